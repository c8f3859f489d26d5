//! Imports: begun by the hash of their file, fed in chunks.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::access::{Caller, Desk, refuse};
use crate::ctx::EntryKind;
use crate::error::Error;
use crate::vault::api::read_time;
use crate::vault::{
    self, Begun, ConsentSaid, How, ImportRowInput, NewCustomer, RelationInput, RowProblem,
};
use crate::web::{Body, CHUNK_SIZE_BYTES_MAX, Problem, Receipted};

/// What is to be imported.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BeginInput {
    /// SHA-256 of the file, hexadecimal: the same file goes on where it stopped.
    file_sha256: String,
    /// SHA-256 of how its columns are read, hexadecimal.
    map_sha256: String,
}

/// Where an import stands.
#[derive(Serialize, ToSchema)]
pub(super) struct ImportView {
    id: String,
    /// Rows of the file that are done; send the ones after.
    rows_done: u64,
    created: u64,
    skipped: u64,
    refused: u64,
    /// Rows of this chunk that made no customer.
    problems: Vec<RowProblemView>,
}

/// A row that made no customer; never with its values.
#[derive(Serialize, ToSchema)]
pub(super) struct RowProblemView {
    line: u64,
    code: String,
    detail: String,
}

/// The next rows.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RowsInput {
    /// How many rows were done before these.
    first: u64,
    /// At most 5,000, and 4 MiB in all.
    rows: Vec<RowInput>,
}

/// Rows to be tried.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TryInput {
    /// At most 5,000, and 4 MiB in all.
    rows: Vec<RowInput>,
}

/// One row.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RowInput {
    /// Its number in the file, for messages.
    line: u64,
    /// Why the customer is known.
    relations: Vec<ImportRelation>,
    /// Declared fields.
    #[schema(value_type = Object)]
    fields: BTreeMap<String, Value>,
    /// What your own systems call the customer, like `shop/4711`; at most 8.
    #[serde(default)]
    references: Vec<String>,
    /// What they consented to elsewhere; the role needs the right `relate` too.
    #[serde(default)]
    consents: Vec<ImportConsent>,
}

/// An imported customer's newest word on a purpose.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ImportConsent {
    /// A purpose of the policy that needs consent.
    purpose: String,
    /// When it was given, RFC 3339.
    #[serde(default)]
    given: Option<String>,
    /// How: `account`, `email`, `form`, `in_person`, `paper` or `phone`.
    #[serde(default)]
    how: Option<String>,
    /// When it was withdrawn, RFC 3339.
    #[serde(default)]
    withdrawn: Option<String>,
}

impl ImportConsent {
    fn read(self) -> Result<ConsentSaid, Error> {
        let time = |text: Option<String>, name| {
            text.as_deref().map(|text| read_time(text, name)).transpose()
        };
        let how = self.how.as_deref().map(How::parse);
        let given = match (time(self.given, "given")?, how) {
            (Some(at), Some(Some(how))) => Some((at, how)),
            (None, None) => None,
            _ => {
                let detail = "a consent that was given has `given`, a time, and `how`, one of \
                              `account`, `email`, `form`, `in_person`, `paper`, `phone`";
                return Err(Error::unprocessable("bad_consent", detail));
            }
        };
        let withdrawn = time(self.withdrawn, "withdrawn")?;
        Ok(ConsentSaid { purpose: self.purpose, given, withdrawn })
    }
}

/// A relation of an imported customer.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ImportRelation {
    name: String,
    /// RFC 3339; now if left out.
    #[serde(default)]
    last: Option<String>,
}

/// Begins an import, or finds where it stopped
#[utoipa::path(post, path = "/v1/imports", tag = "imports", request_body = BeginInput,
    responses((status = 200, body = ImportView), (status = "default", body = Problem)))]
pub(super) async fn begin(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Body(input): Body<BeginInput>,
) -> Result<Receipted<Json<ImportView>>, Error> {
    let begun = async {
        let file = read_hash(&input.file_sha256)?;
        vault::begin_import(&desk, &ctx, file, read_hash(&input.map_sha256)?).await
    };
    match begun.await {
        Ok((begun, receipt)) => Ok(Receipted(receipt, Json(view(&begun, Vec::new())))),
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Import, "import.begin", error).await),
    }
}

/// Takes the next rows of an import, each exactly once
#[utoipa::path(post, path = "/v1/imports/{id}/rows", tag = "imports",
    params(("id" = String, Path)), request_body = RowsInput,
    responses((status = 200, body = ImportView), (status = "default", body = Problem)))]
pub(super) async fn rows(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Path(id): Path<String>,
    Body(input): Body<RowsInput, CHUNK_SIZE_BYTES_MAX>,
) -> Result<Receipted<Json<ImportView>>, Error> {
    let taken = async {
        let rows = read_rows(input.rows)?;
        let outcome = vault::import_chunk(&desk, &ctx, id.parse()?, input.first, rows).await?;
        let receipt =
            outcome.receipt.ok_or_else(|| Error::internal("a chunk without a receipt"))?;
        Ok((receipt, view(&outcome.now, outcome.problems)))
    };
    match taken.await {
        Ok((receipt, view)) => Ok(Receipted(receipt, Json(view))),
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Import, "import.rows", error).await),
    }
}

/// Problems a dry run found.
#[derive(Serialize, ToSchema)]
pub(super) struct TryView {
    problems: Vec<RowProblemView>,
}

/// Says what would become of rows, and keeps none of them
#[utoipa::path(post, path = "/v1/imports/dry-run", tag = "imports", request_body = TryInput,
    responses((status = 200, body = TryView), (status = "default", body = Problem)))]
pub(super) async fn dry_run(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Body(input): Body<TryInput, CHUNK_SIZE_BYTES_MAX>,
) -> Result<Receipted<Json<TryView>>, Error> {
    let tried = async { vault::try_chunk(&desk, &ctx, read_rows(input.rows)?).await };
    match tried.await {
        Ok((problems, receipt)) => {
            Ok(Receipted(receipt, Json(TryView { problems: problem_views(problems) })))
        }
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Import, "import.try", error).await),
    }
}

fn read_rows(rows: Vec<RowInput>) -> Result<Vec<ImportRowInput>, Error> {
    let read = |row: RowInput| {
        let relations = row.relations.into_iter().map(|relation| {
            let last = relation.last.as_deref().map(|text| read_time(text, "last")).transpose()?;
            Ok(RelationInput { name: relation.name, last })
        });
        let relations = relations.collect::<Result<_, Error>>()?;
        let customer = NewCustomer { relations, fields: row.fields };
        let consents = row.consents.into_iter().map(ImportConsent::read);
        let consents = consents.collect::<Result<_, Error>>()?;
        Ok(ImportRowInput { line: row.line, customer, references: row.references, consents })
    };
    rows.into_iter().map(read).collect()
}

/// Whether a text is a row of an import as far as its form goes, for the fuzzer.
#[cfg(any(test, feature = "fuzz"))]
pub(crate) fn takes_row(json: &str) -> bool {
    serde_json::from_str::<RowInput>(json).is_ok()
}

fn read_hash(text: &str) -> Result<[u8; 32], Error> {
    let bytes = data_encoding::HEXLOWER.decode(text.as_bytes()).ok();
    bytes.and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| {
        Error::bad_request("bad_hash", "a SHA-256 is 64 hexadecimal digits in lower case")
    })
}

pub(super) fn view(begun: &Begun, problems: Vec<RowProblem>) -> ImportView {
    ImportView {
        id: begun.id.to_string(),
        rows_done: begun.rows_done,
        created: begun.created,
        skipped: begun.skipped,
        refused: begun.refused,
        problems: problem_views(problems),
    }
}

fn problem_views(problems: Vec<RowProblem>) -> Vec<RowProblemView> {
    let view = |problem: RowProblem| RowProblemView {
        line: problem.line,
        code: problem.code.to_owned(),
        detail: problem.detail,
    };
    problems.into_iter().map(view).collect()
}

//! Records of a customer: invoices, orders, messages.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::access::{Caller, Desk, Purpose, refuse};
use crate::ctx::EntryKind;
use crate::error::Error;
use crate::id::{Id, Record};
use crate::vault::api::customers::read_version;
use crate::vault::api::shown::{FieldsQuery, RevealInput, split};
use crate::vault::{self, NewRecord, RecordShown, RecordWritten, RevealReason};
use crate::web::{Body, Cursor, Page, Paging, Problem, Receipted};

/// A record to be added.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordInput {
    /// A record of the policy, like `invoice`.
    kind: String,
    /// The day it was issued, like `2026-11-21`; today if left out. Its life counts from it.
    #[serde(default)]
    issued: Option<String>,
    /// The record it corrects, of the same customer and kind.
    #[serde(default)]
    corrects: Option<String>,
    /// Declared fields of its kind.
    #[schema(value_type = Object)]
    fields: BTreeMap<String, Value>,
}

/// A record that was added or changed.
#[derive(Serialize, ToSchema)]
pub(super) struct RecordRef {
    /// The record's id.
    id: String,
    /// Its version; also the `ETag`.
    version: u64,
}

/// A record as it may be shown.
#[derive(Serialize, ToSchema)]
pub(super) struct RecordView {
    /// The record.
    id: String,
    /// What it is, by the policy's name.
    kind: String,
    /// Its version; also the `ETag` where one is asked for.
    version: u64,
    /// The day it was issued.
    issued: String,
    /// The record it corrects.
    #[serde(skip_serializing_if = "Option::is_none")]
    corrects: Option<String>,
    /// Field name, without the kind, to value, or to a mask of fixed length.
    #[schema(value_type = Object)]
    fields: serde_json::Map<String, Value>,
    /// The names of the fields that are masks.
    masked: Vec<String>,
}

/// Adds a record to a customer
///
/// A fixed one never changes; a correction is a new one that names the old in `corrects`. The
/// relation it is kept for happens with it.
#[utoipa::path(post, path = "/v1/customers/{id}/records", tag = "records",
    operation_id = "add_record", params(("id" = String, Path)), request_body = RecordInput,
    responses((status = 201, body = RecordRef), (status = "default", body = Problem)))]
pub(super) async fn add(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Path(id): Path<String>,
    Body(input): Body<RecordInput>,
) -> Result<Response, Error> {
    let added = async {
        let customer = id.parse()?;
        let RecordInput { kind, issued, corrects, fields } = input;
        let corrects = corrects.map(|id| id.parse::<Id<Record>>()).transpose()?;
        let input = NewRecord { kind, issued, corrects, fields };
        vault::add_record(&desk, &ctx, customer, &input).await
    };
    match added.await {
        Ok(written) => Ok(answer(StatusCode::CREATED, &id, written)),
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Write, "record.add", error).await),
    }
}

/// Which fields of which kinds. The members of a page are named so that anything else is refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordsQuery {
    fields: String,
    #[serde(default, rename = "limit")]
    _limit: Option<String>,
    #[serde(default, rename = "cursor")]
    _cursor: Option<String>,
}

/// Records of a customer, newest first, as the policy shows them for a purpose
#[utoipa::path(get, path = "/v1/customers/{id}/records", tag = "records",
    operation_id = "list_records",
    params(("id" = String, Path), Paging, ("Strongroom-Purpose" = String, Header),
        ("fields" = String, Query, description = "names with their kind, as in \
            `invoice.number,invoice.total`; records of these kinds are listed")),
    responses((status = 200, body = Page<RecordView>), (status = "default", body = Problem)))]
pub(super) async fn list(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Purpose(purpose): Purpose,
    Path(id): Path<String>,
    Query(query): Query<RecordsQuery>,
    paging: Paging,
) -> Result<Receipted<Json<Page<RecordView>>>, Error> {
    let shown = async {
        let fields = split(&query.fields)?;
        let before = paging.cursor.as_ref().map(position).transpose()?;
        let page = (before, usize::from(paging.limit));
        vault::list_records(&desk, &ctx, id.parse()?, &purpose, &fields, page).await
    };
    match shown.await {
        Ok(shown) => {
            let items = shown.records.into_iter().map(view).collect();
            let next = shown.next.map(|id| Cursor::new(*id.as_bytes()));
            Ok(Receipted(shown.receipt, Json(Page { items, next })))
        }
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Read, "record.list", error).await),
    }
}

/// One record of a customer, as the policy shows it for a purpose
#[utoipa::path(get, path = "/v1/customers/{id}/records/{record}", tag = "records",
    operation_id = "read_record",
    params(("id" = String, Path), ("record" = String, Path), FieldsQuery,
        ("Strongroom-Purpose" = String, Header)),
    responses((status = 200, body = RecordView), (status = "default", body = Problem)))]
pub(super) async fn read(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Purpose(purpose): Purpose,
    Path((id, record)): Path<(String, String)>,
    Query(query): Query<FieldsQuery>,
) -> Result<Response, Error> {
    let shown = async {
        let fields = split(&query.fields)?;
        let (id, record) = (id.parse()?, record.parse()?);
        vault::read_record(&desk, &ctx, id, record, &purpose, &fields).await
    };
    match shown.await {
        Ok((record, receipt)) => Ok(Receipted(receipt, tagged(record)).into_response()),
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Read, "record.read", error).await),
    }
}

/// One record of a customer in clear, for a reason
#[utoipa::path(post, path = "/v1/customers/{id}/records/{record}/reveal", tag = "records",
    operation_id = "reveal_record",
    params(("id" = String, Path), ("record" = String, Path),
        ("Strongroom-Purpose" = String, Header)),
    request_body = RevealInput,
    responses((status = 200, body = RecordView), (status = "default", body = Problem)))]
pub(super) async fn reveal(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Purpose(purpose): Purpose,
    Path((id, record)): Path<(String, String)>,
    Body(input): Body<RevealInput>,
) -> Result<Response, Error> {
    let shown = async {
        let fields = split(&input.fields.join(","))?;
        let why = RevealReason { reason: &input.reason, ticket: &input.ticket };
        let (id, record) = (id.parse()?, record.parse()?);
        vault::reveal_record(&desk, &ctx, id, record, &purpose, (&fields, why)).await
    };
    match shown.await {
        Ok((record, receipt)) => Ok(Receipted(receipt, tagged(record)).into_response()),
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Reveal, "record.reveal", error).await),
    }
}

/// Fields of a record to set; null removes one.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordPatchInput {
    #[schema(value_type = Object)]
    fields: BTreeMap<String, Value>,
}

/// Sets or removes fields of a record that is not fixed; needs `If-Match` with its version
#[utoipa::path(patch, path = "/v1/customers/{id}/records/{record}", tag = "records",
    operation_id = "patch_record",
    params(("id" = String, Path), ("record" = String, Path), ("If-Match" = String, Header)),
    request_body = RecordPatchInput,
    responses((status = 200, body = RecordRef), (status = "default", body = Problem)))]
pub(super) async fn patch(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Path((id, record)): Path<(String, String)>,
    headers: HeaderMap,
    Body(input): Body<RecordPatchInput>,
) -> Result<Response, Error> {
    let done = async {
        let record = (record.parse()?, read_version(&headers)?);
        vault::patch_record(&desk, &ctx, id.parse()?, record, &input.fields).await
    };
    match done.await {
        Ok(written) => Ok(answer(StatusCode::OK, &id, written)),
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Write, "record.patch", error).await),
    }
}

fn answer(status: StatusCode, customer: &str, written: RecordWritten) -> Response {
    let (id, version) = (written.id.to_string(), written.version);
    let place = [
        (header::LOCATION, format!("/v1/customers/{customer}/records/{id}")),
        (header::ETAG, format!("\"{version}\"")),
    ];
    let view = Json(RecordRef { id, version });
    Receipted(written.receipt, (status, place, view)).into_response()
}

fn tagged(record: RecordShown) -> impl IntoResponse {
    let etag = [(header::ETAG, format!("\"{}\"", record.version))];
    (etag, Json(view(record)))
}

fn view(record: RecordShown) -> RecordView {
    RecordView {
        id: record.id.to_string(),
        kind: record.kind,
        version: record.version,
        issued: record.issued,
        corrects: record.corrects.map(|id| id.to_string()),
        fields: record.fields,
        masked: record.masked,
    }
}

fn position(cursor: &Cursor) -> Result<Id<Record>, Error> {
    let bytes = cursor.as_bytes().try_into().map(Id::from_bytes);
    bytes.map_err(|_| {
        let detail = "`cursor` must be `next` of the page before, unchanged";
        Error::bad_request("bad_cursor", detail)
    })
}

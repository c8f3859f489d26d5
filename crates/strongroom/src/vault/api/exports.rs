//! Taking everything out, as far as grants show it in clear.

mod format;

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use crate::access::{Caller, Desk, Purpose, refuse};
use crate::ctx::{Ctx, EntryKind, Receipt};
use crate::error::Error;
use crate::id::{Customer, Id};
use crate::places::PlaceName;
use crate::vault::{self, EXPORT_PIECE_MAX, ExportAsk};
use crate::web::{Body, Pieces, Problem, Receipted, streamed};
use format::Format;

/// What is to leave.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ExportInput {
    /// Field names, those of records with their kind (`invoice.number`); every one must be granted in
    /// clear for the purpose. All that are, if left out, and your references and consents with them:
    /// whoever takes some fields for a purpose of theirs needs neither.
    #[serde(default)]
    fields: Vec<String>,
    /// `ndjson`, which the import reads back, or `csv`, which has no place for records.
    #[serde(default)]
    format: FormatWord,
    /// Where it goes, by its name among the places; `exports` if left out.
    #[serde(default)]
    place: Option<String>,
    /// Goes on after this customer: the last one of an answer that was broken off.
    #[serde(default)]
    after: Option<String>,
    /// At most so many customers, 1 to 500; the header `Strongroom-Next` then says after whom to go
    /// on. All of them, streamed, if left out.
    #[serde(default)]
    limit: Option<u16>,
}

/// How the answer is written.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum FormatWord {
    Csv,
    #[default]
    Ndjson,
}

/// Takes clear values of all customers out, in the order of their ids
///
/// Streamed piece by piece. Each piece of at most 500 customers is an entry of its own, written before
/// the piece leaves, and draws on the budget of the grants in different customers. An answer that was
/// broken off is not whole: go on after its last customer. NDJSON ends with a line `{"end": …}`.
#[utoipa::path(post, path = "/v1/exports", tag = "exports", request_body = ExportInput,
    params(("Strongroom-Purpose" = String, Header)),
    responses((status = 200, content_type = "application/x-ndjson", body = String),
        (status = "default", body = Problem)))]
pub(super) async fn export(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Purpose(purpose): Purpose,
    Body(input): Body<ExportInput>,
) -> Result<Response, Error> {
    match begin(&desk, &ctx, purpose, input).await {
        Ok(response) => Ok(response),
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Export, "export.begin", error).await),
    }
}

/// The first piece is made before the answer begins, so that a refusal has its own status.
async fn begin(
    desk: &Arc<Desk>,
    ctx: &Ctx,
    purpose: String,
    input: ExportInput,
) -> Result<Response, Error> {
    let limit = input.limit.map_or(EXPORT_PIECE_MAX, usize::from);
    if limit == 0 || limit > EXPORT_PIECE_MAX {
        let detail = format!("`limit` is 1 to {EXPORT_PIECE_MAX}");
        return Err(Error::bad_request("bad_limit", detail));
    }
    let after = input.after.as_deref().map(str::parse).transpose()?;
    let to = PlaceName::parse(input.place.as_deref().unwrap_or(EXPORTS))?;
    let mut run = Run::new(desk, ctx, purpose, input.fields, input.format, to)?;
    if after.is_none() {
        vault::begin_export(desk, ctx, &run.ask).await?;
    }
    let first = run.piece(after, limit).await?;
    let Some(next) = first.next.filter(|_| input.limit.is_none()) else {
        let mut response = run.answer(first.receipt, first.text.to_vec().into());
        response.headers_mut().insert(COUNT_HEADER, HeaderValue::from(run.count));
        let next = first.next.map(|id| id.to_string());
        if let Some(Ok(next)) = next.map(|it| HeaderValue::from_str(&it)) {
            response.headers_mut().insert(NEXT_HEADER, next);
        }
        return Ok(response);
    };
    let (pieces, body) = streamed();
    let response = run.answer(first.receipt, body);
    let runtime = tokio::runtime::Handle::current();
    let rest = async move {
        if pieces.put(first.text).await {
            run.rest(next, pieces).await;
        }
    };
    // Opening values is work for a processor, so it does not run where requests are answered.
    tokio::task::spawn_blocking(move || runtime.block_on(rest));
    Ok(response)
}

/// One export on its way.
struct Run {
    desk: Arc<Desk>,
    ctx: Ctx,
    ask: ExportAsk,
    format: Format,
    count: u64,
}

/// Some customers as text.
struct Written {
    text: Zeroizing<Vec<u8>>,
    next: Option<Id<Customer>>,
    receipt: Option<Receipt>,
}

impl Run {
    fn new(
        desk: &Arc<Desk>,
        ctx: &Ctx,
        purpose: String,
        mut fields: Vec<String>,
        format: FormatWord,
        to: PlaceName,
    ) -> Result<Self, Error> {
        let applied = Arc::clone(desk.rights.now()?.applied()?);
        let of_record = |name: &String| name.contains('.');
        if format == FormatWord::Csv && fields.iter().any(of_record) {
            let detail = "a table has one line a customer and no place for their records; ask for \
                          them in `ndjson`";
            return Err(Error::unprocessable("records_in_csv", detail));
        }
        let whole = fields.is_empty();
        if whole {
            fields = vault::exportable(&applied.policy, ctx, &purpose);
            fields.retain(|name| format == FormatWord::Ndjson || !of_record(name));
        }
        let format = match format {
            FormatWord::Csv => Format::csv(&applied.policy, &fields),
            FormatWord::Ndjson => Format::Ndjson,
        };
        let ask = ExportAsk { purpose, fields, whole, to };
        Ok(Self { desk: Arc::clone(desk), ctx: ctx.clone(), ask, format, count: 0 })
    }

    async fn piece(&mut self, after: Option<Id<Customer>>, limit: usize) -> Result<Written, Error> {
        let piece = vault::export_piece(&self.desk, &self.ctx, &self.ask, after, limit).await?;
        let mut text = Zeroizing::new(Vec::with_capacity(PIECE_SIZE_BYTES));
        if after.is_none() {
            self.format.head(&mut text);
        }
        for customer in &piece.customers {
            self.format.line(&mut text, customer)?;
        }
        self.count += piece.customers.len() as u64;
        let mut receipt = piece.receipt;
        if piece.next.is_none() {
            let ended = vault::end_export(&self.desk, &self.ctx, &self.ask, self.count).await?;
            receipt = receipt.or(Some(ended));
            self.format.end(&mut text, self.count);
        }
        Ok(Written { text, next: piece.next, receipt })
    }

    async fn rest(mut self, first: Id<Customer>, pieces: Pieces) {
        let mut next = Some(first);
        while let Some(after) = next {
            let written = match self.piece(Some(after), EXPORT_PIECE_MAX).await {
                Ok(written) => written,
                Err(error) => {
                    let kind = EntryKind::Export;
                    let error = refuse(&self.desk, &self.ctx, kind, "export.piece", error).await;
                    tracing::warn!(code = error.code, "an export was broken off");
                    return pieces.break_off(error).await;
                }
            };
            if !pieces.put(written.text).await {
                return;
            }
            next = written.next;
        }
    }

    fn answer(&self, receipt: Option<Receipt>, body: axum::body::Body) -> Response {
        let kind = [(header::CONTENT_TYPE, self.format.content_type())];
        match receipt {
            Some(receipt) => Receipted(receipt, (kind, body)).into_response(),
            None => (kind, body).into_response(),
        }
    }
}

/// The place of exports that say nothing of where they go.
const EXPORTS: &str = "exports";

/// How many customers are in an answer that is whole.
const COUNT_HEADER: &str = "strongroom-customers";

/// After whom to go on, where more follow.
const NEXT_HEADER: &str = "strongroom-next";

/// Most customers take less than a kilobyte each.
const PIECE_SIZE_BYTES: usize = 512 * 1024;

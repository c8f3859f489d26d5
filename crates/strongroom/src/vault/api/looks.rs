//! Who looked at a customer; whose data an actor touched.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::{Caller, Desk, refuse};
use crate::ctx::{EntryKind, Outcome};
use crate::error::Error;
use crate::places::PlaceName;
use crate::vault::api::read_time;
use crate::vault::{
    self, Look, Position, SCOPE_LINES_MAX, ScopeAsked, ScopeLine, ScopeOf, Touched,
};
use crate::web::{Body, Cursor, Page, Paging, Problem, Receipted};

/// One look.
#[derive(Serialize, ToSchema)]
pub(super) struct LookView {
    /// Its place in the ledger.
    index: u64,
    time: String,
    /// The act, like `customer.reveal`.
    act: String,
    /// Who, by pseudonym: an API key's id, `operator`, or a job of the system.
    actor: String,
    purpose: String,
    reason: String,
    ticket: String,
    /// `ok` or `refused`.
    outcome: &'static str,
    /// The fields by name.
    fields: Vec<String>,
}

/// Who looked at a customer, when and why, newest first
#[utoipa::path(get, path = "/v1/customers/{id}/ledger", tag = "ledger",
    params(("id" = String, Path), Paging),
    responses((status = 200, body = Page<LookView>), (status = "default", body = Problem)))]
pub(super) async fn who_looked(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Path(id): Path<String>,
    paging: Paging,
) -> Result<Receipted<Json<Page<LookView>>>, Error> {
    let looks = async {
        let before = paging.cursor.as_ref().map(position).transpose()?;
        let limit = usize::from(paging.limit);
        vault::who_looked(&desk, &ctx, id.parse()?, before, limit).await
    };
    match looks.await {
        Ok(looks) => {
            let items = looks.looks.into_iter().map(view).collect();
            let next = looks.next.map(|index| Cursor::new(index.to_be_bytes()));
            Ok(Receipted(looks.receipt, Json(Page { items, next })))
        }
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Ledger, "customer.ledger", error).await),
    }
}

/// An actor or a place, and a span of time.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ScopeInput {
    /// An API key's id, `operator`, or `system:` and a job.
    #[serde(default)]
    actor: Option<String>,
    /// Instead of an actor: a place, as `GET /v1/places` names it.
    #[serde(default)]
    place: Option<String>,
    /// RFC 3339.
    from: String,
    /// RFC 3339.
    to: String,
    /// Customers on the page, 1 to 1,000; 200 if left out.
    #[serde(default)]
    limit: Option<u16>,
    /// `next` of the page before; without it the scope begins.
    #[serde(default)]
    cursor: Option<String>,
}

/// Whose data an actor touched, or was at a place, in the order in which it was.
#[derive(Serialize, ToSchema)]
pub(super) struct ScopeView {
    customers: Vec<ScopeLineView>,
    /// Customers of this page who were erased since and cannot be named.
    erased_since: u64,
    /// Everyone who was a customer at this entry of the ledger as well: a backup or an export of all
    /// was there.
    everyone_as_of: Option<u64>,
    /// And so many people whom nobody can name.
    strangers: u64,
    /// The `cursor` of the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    next: Option<Cursor>,
}

/// One customer.
#[derive(Serialize, ToSchema)]
pub(super) struct ScopeLineView {
    /// Absent where the way to the customer was changed by other hands.
    customer: Option<String>,
    /// `known`, or `cannot be opened`: a key is missing or rows were changed by other hands. The id is
    /// then the one that stands in the row; see the findings.
    state: &'static str,
    fields: Vec<String>,
    times: u64,
    first: String,
    last: String,
}

/// Whose data an actor touched, or was at a place, between two moments
#[utoipa::path(post, path = "/v1/ledger/scope", tag = "ledger", request_body = ScopeInput,
    responses((status = 200, body = ScopeView), (status = "default", body = Problem)))]
pub(super) async fn scope(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Body(input): Body<ScopeInput>,
) -> Result<Receipted<Json<ScopeView>>, Error> {
    let done = async { vault::scope(&desk, &ctx, asked(input)?).await };
    match done.await {
        Ok(scope) => {
            let next = scope.next.map(|(index, at)| {
                Cursor::new([&index.to_be_bytes()[..], &at.to_be_bytes()[..]].concat())
            });
            let all = scope.lines.len();
            let customers: Vec<_> = scope.lines.into_iter().filter_map(line).collect();
            let erased_since = all.saturating_sub(customers.len()) as u64;
            let (everyone_as_of, strangers) = (scope.everyone_as_of, scope.strangers);
            let view = ScopeView { customers, erased_since, everyone_as_of, strangers, next };
            Ok(Receipted(scope.receipt, Json(view)))
        }
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Ledger, "ledger.scope", error).await),
    }
}

fn asked(input: ScopeInput) -> Result<ScopeAsked, Error> {
    let limit = usize::from(input.limit.unwrap_or(SCOPE_LINES_DEFAULT));
    if !(1..=SCOPE_LINES_MAX).contains(&limit) {
        let detail = format!("`limit` must be a whole number from 1 to {SCOPE_LINES_MAX}");
        return Err(Error::bad_request("bad_limit", detail));
    }
    let after = input.cursor.as_deref().map(|text| scope_position(&text.parse()?)).transpose()?;
    let span = (read_time(&input.from, "from")?, read_time(&input.to, "to")?);
    let of = match (input.actor, input.place) {
        (Some(actor), None) => ScopeOf::Actor(actor),
        (None, Some(place)) => ScopeOf::Place(PlaceName::parse(&place)?),
        (None, None) => {
            return Err(Error::bad_request("missing_member", "name `actor` or `place`"));
        }
        (Some(_), Some(_)) => {
            return Err(Error::bad_request("bad_scope", "name `actor` or `place`, not both"));
        }
    };
    Ok(ScopeAsked { of, span, after, limit })
}

fn line(line: ScopeLine) -> Option<ScopeLineView> {
    let (customer, state) = match line.who {
        Touched::Erased => return None,
        Touched::Known(id) => (Some(id), "known"),
        Touched::Unopened(id) => (id, "cannot be opened"),
    };
    Some(ScopeLineView {
        customer: customer.map(|id| id.to_string()),
        state,
        fields: line.fields,
        times: line.times,
        first: line.first.to_rfc3339(),
        last: line.last.to_rfc3339(),
    })
}

fn scope_position(cursor: &Cursor) -> Result<Position, Error> {
    let (index, at) = cursor.as_bytes().split_first_chunk::<8>().ok_or_else(bad_cursor)?;
    let at = at.try_into().map_err(|_| bad_cursor())?;
    Ok((u64::from_be_bytes(*index), u32::from_be_bytes(at)))
}

fn view(look: Look) -> LookView {
    let Look { index, leaf, fields } = look;
    LookView {
        index,
        time: leaf.time.to_rfc3339(),
        act: leaf.verb,
        actor: leaf.actor,
        purpose: leaf.purpose,
        reason: leaf.reason,
        ticket: leaf.ticket,
        outcome: match leaf.outcome {
            Outcome::Ok => "ok",
            Outcome::Refused => "refused",
        },
        fields,
    }
}

fn position(cursor: &Cursor) -> Result<u64, Error> {
    let bytes = cursor.as_bytes().try_into().map(u64::from_be_bytes);
    bytes.map_err(|_| bad_cursor())
}

fn bad_cursor() -> Error {
    let detail = "`cursor` must be `next` of the page before, unchanged";
    Error::bad_request("bad_cursor", detail)
}

/// As much as fits on a few screens.
const SCOPE_LINES_DEFAULT: u16 = 200;

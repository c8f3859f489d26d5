//! Who looked at a customer; whose data an actor touched.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::{Caller, Desk, refuse};
use crate::ctx::{EntryKind, Outcome};
use crate::error::Error;
use crate::vault::api::read_time;
use crate::vault::{self, Look, Place};
use crate::web::{Body, Cursor, Page, Paging, Problem, Receipted};

/// One look.
#[derive(Serialize, ToSchema)]
pub(super) struct LookView {
    /// Its place in the ledger.
    index: u64,
    /// The incarnation of the ledger, from 1; a restore opens a new one.
    incarnation: u64,
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
            let next = looks.next.map(|it| {
                Cursor::new([it.incarnation.to_be_bytes(), it.index.to_be_bytes()].concat())
            });
            Ok(Receipted(looks.receipt, Json(Page { items, next })))
        }
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Ledger, "customer.ledger", error).await),
    }
}

/// An actor and a span of time.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ScopeInput {
    /// An API key's id, `operator`, or `system:` and a job.
    actor: String,
    /// RFC 3339.
    from: String,
    /// RFC 3339.
    to: String,
}

/// Whose data an actor touched.
#[derive(Serialize, ToSchema)]
pub(super) struct ScopeView {
    customers: Vec<ScopeLineView>,
    /// Customers erased since, who cannot be named.
    erased_since: u64,
    /// Times of which entries were lost in a restore: whom the actor touched then is UNKNOWN.
    unknown: Vec<UnknownView>,
}

/// A time nobody knows about.
#[derive(Serialize, ToSchema)]
pub(super) struct UnknownView {
    from: String,
    to: String,
}

/// One customer.
#[derive(Serialize, ToSchema)]
pub(super) struct ScopeLineView {
    customer: String,
    fields: Vec<String>,
    times: u64,
    first: String,
    last: String,
}

/// Whose data an actor touched between two moments
#[utoipa::path(post, path = "/v1/ledger/scope", tag = "ledger", request_body = ScopeInput,
    responses((status = 200, body = ScopeView), (status = "default", body = Problem)))]
pub(super) async fn scope(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Body(input): Body<ScopeInput>,
) -> Result<Receipted<Json<ScopeView>>, Error> {
    let done = async {
        let span = (read_time(&input.from, "from")?, read_time(&input.to, "to")?);
        vault::scope(&desk, &ctx, &input.actor, span).await
    };
    match done.await {
        Ok(scope) => {
            let unknown = scope
                .unknown
                .iter()
                .map(|(from, to)| UnknownView { from: from.to_rfc3339(), to: to.to_rfc3339() });
            let unknown = unknown.collect();
            let mut view = ScopeView { customers: Vec::new(), erased_since: 0, unknown };
            for line in scope.lines {
                let Some(customer) = line.customer else {
                    view.erased_since += 1;
                    continue;
                };
                view.customers.push(ScopeLineView {
                    customer: customer.to_string(),
                    fields: line.fields,
                    times: line.times,
                    first: line.first.to_rfc3339(),
                    last: line.last.to_rfc3339(),
                });
            }
            Ok(Receipted(scope.receipt, Json(view)))
        }
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Ledger, "ledger.scope", error).await),
    }
}

fn view(look: Look) -> LookView {
    let Look { incarnation, index, leaf, fields } = look;
    LookView {
        index,
        incarnation,
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

fn position(cursor: &Cursor) -> Result<Place, Error> {
    let number = |half: &[u8]| half.try_into().ok().map(u64::from_be_bytes);
    let place = match cursor.as_bytes().split_at_checked(8) {
        // From before there were incarnations: the newest is meant.
        Some((index, [])) => number(index).map(|index| Place { incarnation: u64::MAX, index }),
        Some((incarnation, index)) => number(incarnation)
            .zip(number(index))
            .map(|(incarnation, index)| Place { incarnation, index }),
        None => None,
    };
    place.ok_or_else(|| {
        let detail = "`cursor` must be `next` of the page before, unchanged";
        Error::bad_request("bad_cursor", detail)
    })
}

//! Routes of places and holdings. They tell how many customers and which fields, never who: whose
//! they were answers `POST /v1/ledger/scope`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::{Caller, Desk, refuse};
use crate::ctx::EntryKind;
use crate::error::Error;
use crate::places::{self, Closing, Held, PlaceKind, PlaceName, PlaceRow};
use crate::web::{Body, Cursor, Page, Paging, Problem, Receipted};

/// All of them.
pub fn routes() -> OpenApiRouter<Arc<Desk>> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(open))
        .routes(routes!(holdings))
        .routes(routes!(close))
}

/// A place where customers' data is or was.
#[derive(Serialize, ToSchema)]
struct PlaceView {
    name: String,
    /// `database`, `folder`, `laptop`, `mailbox`, `paper_box`, `vault` or `vendor`.
    kind: String,
    /// Who answers for it.
    owner: String,
    opened: String,
    /// Since when nothing is there any more.
    closed: Option<String>,
    open_holdings: u64,
}

/// Where customers' data is, by name
#[utoipa::path(get, path = "/v1/places", tag = "places", operation_id = "list_places",
    params(Paging),
    responses((status = 200, body = Page<PlaceView>), (status = "default", body = Problem)))]
async fn list(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    paging: Paging,
) -> Result<Receipted<Json<Page<PlaceView>>>, Error> {
    let listed = async {
        let after = paging.cursor.as_ref().map_or("", |cursor| {
            // What is no text begins no name: the page is empty.
            std::str::from_utf8(cursor.as_bytes()).unwrap_or("~")
        });
        places::list(&desk, &ctx, after, usize::from(paging.limit) + 1).await
    };
    match listed.await {
        Ok((mut found, receipt)) => {
            let more = found.len() > usize::from(paging.limit);
            found.truncate(usize::from(paging.limit));
            let next = found.last().filter(|_| more).map(|it| Cursor::new(it.name.as_bytes()));
            let items = found.into_iter().map(place_view).collect();
            Ok(Receipted(receipt, Json(Page { items, next })))
        }
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Ledger, "places.list", error).await),
    }
}

/// What a place is and who answers for it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PlaceInput {
    /// `database`, `folder`, `laptop`, `mailbox`, `paper_box`, `vault` or `vendor`.
    kind: String,
    /// A post or a team, 1 to 60 letters, digits, spaces and `-_.,:/#`; never a person's name.
    owner: String,
}

/// Names a place, or says anew what it is and who answers for it
#[utoipa::path(put, path = "/v1/places/{name}", tag = "places", operation_id = "put_place",
    params(("name" = String, Path)), request_body = PlaceInput,
    responses((status = 204), (status = "default", body = Problem)))]
async fn open(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Path(name): Path<String>,
    Body(input): Body<PlaceInput>,
) -> Result<Receipted<StatusCode>, Error> {
    let opened = async {
        let (name, kind) = (PlaceName::parse(&name)?, PlaceKind::parse(&input.kind)?);
        places::open(&desk, &ctx, &name, kind, &input.owner).await
    };
    match opened.await {
        Ok(receipt) => Ok(Receipted(receipt, StatusCode::NO_CONTENT)),
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Admin, "place.open", error).await),
    }
}

/// What of whose is at a place: never who.
#[derive(Serialize, ToSchema)]
struct HoldingView {
    id: String,
    /// `these` (an exact set), `everyone_as_of` (a ledger index) or `count` (strangers).
    whose: String,
    /// The size of the set, the ledger index, or the count.
    number: u64,
    /// The fields by name.
    fields: Vec<String>,
    since: String,
    /// When it should be gone at the latest.
    due: Option<String>,
    /// The act that put it there.
    act: String,
    /// What the act belongs to: an import, a send, a request.
    origin: String,
    closed: Option<String>,
    /// What shows that it is gone.
    evidence: Option<String>,
}

/// What is or was at a place, the oldest first; how many customers, never who
#[utoipa::path(get, path = "/v1/places/{name}/holdings", tag = "places",
    operation_id = "list_holdings", params(("name" = String, Path), Paging),
    responses((status = 200, body = Page<HoldingView>), (status = "default", body = Problem)))]
async fn holdings(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Path(name): Path<String>,
    paging: Paging,
) -> Result<Receipted<Json<Page<HoldingView>>>, Error> {
    let limit = usize::from(paging.limit);
    let listed = async {
        let after = paging.cursor.as_ref().map_or(&[][..], Cursor::as_bytes).to_vec();
        places::list_holdings(&desk, &ctx, &PlaceName::parse(&name)?, after, limit + 1).await
    };
    match listed.await {
        Ok(mut found) => {
            let more = found.holdings.len() > limit;
            found.holdings.truncate(limit);
            let last = found.holdings.last().filter(|_| more);
            let next = last.map(|it| Cursor::new(*it.id.as_bytes()));
            let items = found.holdings.iter().map(|held| holding_view(&desk, held)).collect();
            Ok(Receipted(found.receipt, Json(Page { items, next })))
        }
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Ledger, "places.holdings", error).await),
    }
}

/// What is gone, and what shows it. Without `holding` and `origin` everything there, and the place
/// with it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CloseInput {
    /// One holding.
    #[serde(default)]
    holding: Option<String>,
    /// All holdings of an import, a send, a request.
    #[serde(default)]
    origin: Option<String>,
    /// A ticket, a certificate: 1 to 120 letters, digits, spaces and `-_.,:/#`.
    evidence: String,
}

/// How many holdings were closed.
#[derive(Serialize, ToSchema)]
struct ClosedView {
    closed: u64,
}

/// Closes holdings of a place: what was there is gone, and this shows it
#[utoipa::path(post, path = "/v1/places/{name}/close", tag = "places",
    operation_id = "close_holdings", params(("name" = String, Path)), request_body = CloseInput,
    responses((status = 200, body = ClosedView), (status = "default", body = Problem)))]
async fn close(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Path(name): Path<String>,
    Body(input): Body<CloseInput>,
) -> Result<Receipted<Json<ClosedView>>, Error> {
    let closed = async {
        let what = match (input.holding, input.origin) {
            (Some(_), Some(_)) => {
                let detail = "name `holding` or `origin`, not both";
                return Err(Error::bad_request("bad_closing", detail));
            }
            (Some(holding), None) => Closing::One(holding.parse()?),
            (None, Some(origin)) => Closing::Origin(origin),
            (None, None) => Closing::Everything,
        };
        places::close(&desk, &ctx, &PlaceName::parse(&name)?, &what, &input.evidence).await
    };
    match closed.await {
        Ok((closed, receipt)) => Ok(Receipted(receipt, Json(ClosedView { closed }))),
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Admin, "holding.close", error).await),
    }
}

fn place_view(place: PlaceRow) -> PlaceView {
    PlaceView {
        name: place.name,
        kind: place.kind,
        owner: place.owner,
        opened: place.opened.to_rfc3339(),
        closed: place.closed.map(|it| it.to_rfc3339()),
        open_holdings: place.open_holdings,
    }
}

fn holding_view(desk: &Desk, held: &Held) -> HoldingView {
    let applied = desk.rights.now().ok().and_then(|authority| authority.applied.clone());
    let name = |field: u8| {
        let known = applied.as_ref().and_then(|it| it.registry.name_of(field));
        known.map_or_else(|| format!("field {field}"), str::to_owned)
    };
    HoldingView {
        id: held.id.to_string(),
        whose: held.whose.as_str().to_owned(),
        number: held.number,
        fields: held.fields.iter().map(name).collect(),
        since: held.since.to_rfc3339(),
        due: held.due.map(|it| it.to_rfc3339()),
        act: held.act.clone(),
        origin: held.origin.clone(),
        closed: held.closed.map(|it| it.to_rfc3339()),
        evidence: held.closed.map(|_| held.evidence.clone()),
    }
}

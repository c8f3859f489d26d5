//! Legal holds on customers.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::access::{self, Caller, Desk, refuse};
use crate::ctx::EntryKind;
use crate::error::Error;
use crate::vault;
use crate::web::{Body, Problem, Receipted};

/// Why a hold is placed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HoldInput {
    /// The case, 1 to 60 letters, digits, spaces, `-`, `_`, `.`; never a person.
    reason: String,
}

/// Places a legal hold: no path erases the customer while it stands
#[utoipa::path(put, path = "/v1/customers/{id}/hold", tag = "erasure",
    params(("id" = String, Path)), request_body = HoldInput,
    responses((status = 204), (status = "default", body = Problem)))]
pub(super) async fn place_hold(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Path(id): Path<String>,
    Body(input): Body<HoldInput>,
) -> Result<Receipted<StatusCode>, Error> {
    let placed = async { vault::place_hold(&desk, &ctx, id.parse()?, &input.reason).await };
    match placed.await {
        Ok(receipt) => Ok(Receipted(receipt, StatusCode::NO_CONTENT)),
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Admin, "hold.place", error).await),
    }
}

/// Releases every legal hold on a customer
#[utoipa::path(delete, path = "/v1/customers/{id}/hold", tag = "erasure",
    params(("id" = String, Path)),
    responses((status = 204), (status = "default", body = Problem)))]
pub(super) async fn release_hold(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Path(id): Path<String>,
) -> Result<Receipted<StatusCode>, Error> {
    let released = async { access::release_hold(&desk, &ctx, id.parse()?).await };
    match released.await {
        Ok(receipt) => Ok(Receipted(receipt, StatusCode::NO_CONTENT)),
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Admin, "hold.release", error).await),
    }
}

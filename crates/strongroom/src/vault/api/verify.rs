//! Verifying the ledger, and on request what it says against the customers' rows.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::access::{self, Caller, Comparing, Deeper, Desk, VerificationView, refuse};
use crate::ctx::EntryKind;
use crate::error::Error;
use crate::vault;
use crate::web::{Problem, Receipted};

/// How far to go.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct VerifyQuery {
    /// Also hold each customer's rows against the newest entry that wrote them.
    #[serde(default)]
    deep: bool,
}

/// Begins to read the whole log, rebuild the tree and both indexes and compare, or joins a
/// verification that runs; ask how far it is by its id
#[utoipa::path(post, path = "/v1/ledger/verify", tag = "ledger", params(VerifyQuery),
    responses((status = 202, body = VerificationView), (status = "default", body = Problem)))]
pub(super) async fn verify(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Query(VerifyQuery { deep }): Query<VerifyQuery>,
) -> Result<Receipted<(StatusCode, Json<VerificationView>)>, Error> {
    let deeper =
        |desk, is_log_intact| -> Comparing { Box::pin(vault::compare(desk, is_log_intact)) };
    let deeper = deep.then(|| -> Deeper { Box::new(deeper) });
    match access::begin_verification(&desk, &ctx, deeper).await {
        Ok((begun, receipt)) => Ok(Receipted(receipt, (StatusCode::ACCEPTED, Json(begun.into())))),
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Ledger, "ledger.verify", error).await),
    }
}

//! Findings, sealing, the clock.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::api::Caller;
use crate::access::{Desk, commit, permit, refuse};
use crate::ctx::{Entry, EntryKind};
use crate::error::Error;
use crate::findings::{self, FindingKind};
use crate::policy::Right;
use crate::web::{Problem, Receipted};

/// Open findings.
#[derive(Serialize, ToSchema)]
pub(super) struct FindingList {
    findings: Vec<FindingView>,
}

/// What is missing or wrong, and what mends it.
#[derive(Serialize, ToSchema)]
pub(super) struct FindingView {
    id: String,
    kind: String,
    detail: String,
    first_seen: String,
    last_seen: String,
}

/// Lists open findings, at most 200
#[utoipa::path(get, path = "/v1/findings", tag = "upkeep",
    responses((status = 200, body = FindingList), (status = "default", body = Problem)))]
pub(super) async fn findings(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
) -> Result<Json<FindingList>, Error> {
    if let Err(error) = permit(&desk, &ctx, Right::Ledger) {
        return Err(refuse(&desk, &ctx, EntryKind::Admin, "finding.list", error).await);
    }
    let open = findings::list(&desk.data).await?;
    let findings = open.into_iter().map(|raised| FindingView {
        id: raised.id,
        kind: raised.kind,
        detail: raised.detail,
        first_seen: raised.first_seen.to_rfc3339(),
        last_seen: raised.last_seen.to_rfc3339(),
    });
    Ok(Json(FindingList { findings: findings.collect() }))
}

/// After a restore: lets the consents that came back count again
///
/// First set down once more what was withdrawn since the backup; the finding `restored` names the time.
#[utoipa::path(post, path = "/v1/consents/confirm", tag = "upkeep",
    responses((status = 204), (status = "default", body = Problem)))]
pub(super) async fn confirm_consents(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
) -> Result<Receipted<StatusCode>, Error> {
    match crate::access::confirm_consents(&desk, &ctx).await {
        Ok(receipt) => Ok(Receipted(receipt, StatusCode::NO_CONTENT)),
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Admin, "consents.confirm", error).await),
    }
}

/// Drops all keys at once: nothing is shown until the server starts again
#[utoipa::path(post, path = "/v1/seal", tag = "upkeep",
    responses((status = 204), (status = "default", body = Problem)))]
pub(super) async fn seal(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
) -> Result<Receipted<StatusCode>, Error> {
    let entry = Entry::new(&ctx, EntryKind::Admin, "seal").from_reserve();
    let sealed = async { commit(&desk, permit(&desk, &ctx, Right::Keys)?.change(entry)).await };
    match sealed.await {
        Ok(receipt) => {
            desk.keyring.seal();
            Ok(Receipted(receipt, StatusCode::NO_CONTENT))
        }
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Admin, "seal", error).await),
    }
}

/// Says that the machine's clock is right after it jumped
#[utoipa::path(post, path = "/v1/clock/confirm", tag = "upkeep",
    responses((status = 204), (status = "default", body = Problem)))]
pub(super) async fn confirm_clock(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
) -> Result<Receipted<StatusCode>, Error> {
    let entry = Entry::new(&ctx, EntryKind::Admin, "clock.confirm").from_reserve();
    // The person who says so is the evidence that the finding asks for.
    let closed = findings::close(FindingKind::ClockSuspect);
    let confirmed = async {
        let change = permit(&desk, &ctx, Right::Policy)?.change(entry);
        commit(&desk, change.write(closed)).await
    };
    match confirmed.await {
        Ok(receipt) => {
            desk.trust.confirm(desk.clock.as_ref());
            Ok(Receipted(receipt, StatusCode::NO_CONTENT))
        }
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Admin, "clock.confirm", error).await),
    }
}

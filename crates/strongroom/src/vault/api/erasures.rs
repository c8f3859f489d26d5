//! Asking for an erasure, and taking it back.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::{Caller, Desk, refuse};
use crate::ctx::{EntryKind, Time};
use crate::error::Error;
use crate::vault::{self, Kept};
use crate::web::{Problem, Receipted};

/// What becomes of a customer who is to be forgotten.
#[derive(Serialize, ToSchema)]
pub(super) struct ErasureView {
    /// When the keys are destroyed; until then it can be taken back. Hidden from everyone at once.
    due: String,
    /// What stays, until when and why; empty when everything goes.
    kept: Vec<KeptView>,
}

/// A legal duty that keeps a part.
#[derive(Serialize, ToSchema)]
pub(super) struct KeptView {
    relation: String,
    basis: String,
    until: String,
    fields: Vec<String>,
}

/// Asks for a customer to be forgotten
#[utoipa::path(delete, path = "/v1/customers/{id}", tag = "erasure", params(("id" = String, Path)),
    responses((status = 202, body = ErasureView), (status = "default", body = Problem)))]
pub(super) async fn ask(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Path(id): Path<String>,
) -> Result<Receipted<(StatusCode, Json<ErasureView>)>, Error> {
    let asked = async { vault::ask_erasure(&desk, &ctx, id.parse()?).await };
    match asked.await {
        Ok(asked) => {
            let view = view(asked.due, asked.kept);
            Ok(Receipted(asked.receipt, (StatusCode::ACCEPTED, Json(view))))
        }
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Erase, "erase.ask", error).await),
    }
}

/// Takes an erasure back while its grace lasts
#[utoipa::path(delete, path = "/v1/customers/{id}/erasure", tag = "erasure",
    operation_id = "cancel_erasure",
    params(("id" = String, Path)),
    responses((status = 204), (status = "default", body = Problem)))]
pub(super) async fn cancel(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Path(id): Path<String>,
) -> Result<Receipted<StatusCode>, Error> {
    let cancelled = async { vault::cancel_erasure(&desk, &ctx, id.parse()?).await };
    match cancelled.await {
        Ok(receipt) => Ok(Receipted(receipt, StatusCode::NO_CONTENT)),
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Erase, "erase.cancel", error).await),
    }
}

pub(super) fn view(due: Time, kept: Vec<Kept>) -> ErasureView {
    let kept = kept.into_iter().map(|kept| KeptView {
        relation: kept.relation,
        basis: kept.basis,
        until: kept.until.to_rfc3339(),
        fields: kept.fields,
    });
    ErasureView { due: due.to_rfc3339(), kept: kept.collect() }
}

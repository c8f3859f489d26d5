//! Answers of the vault, built again from the present state for a call that was sent again.

use axum::Json;
use axum::response::{IntoResponse, Response};

use crate::access::Desk;
use crate::ctx::Ctx;
use crate::error::Error;
use crate::vault;
use crate::vault::api::{customers, erasures, imports};
use crate::web::Repetition;

/// `None` for routes of other rooms.
pub async fn rebuild(
    desk: &Desk,
    ctx: &Ctx,
    call: &Repetition<'_>,
) -> Result<Option<Response>, Error> {
    let customer = match call.name().as_str() {
        "POST /v1/customers" | "PUT /v1/customers/ref/{source}/{reference}" => call.resource,
        "PATCH /v1/customers/{id}"
        | "POST /v1/customers/{id}/relations"
        | "PUT /v1/customers/{id}/consents/{purpose}"
        | "DELETE /v1/customers/{id}/consents/{purpose}" => call.id,
        "DELETE /v1/customers/{id}" => {
            let (due, kept) = vault::asked_of(desk, ctx, call.id.parse()?).await?;
            let view = erasures::view(due, kept);
            return Ok(Some((call.status, Json(view)).into_response()));
        }
        "POST /v1/imports" | "POST /v1/imports/{id}/rows" => {
            let id = if call.id.is_empty() { call.resource } else { call.id };
            let now = vault::import_now(desk, id.parse()?).await?;
            let view = imports::view(&now, Vec::new());
            return Ok(Some((call.status, Json(view)).into_response()));
        }
        _ => return Ok(None),
    };
    let version = vault::version_of(desk, ctx, customer.parse()?).await?;
    let answer = customers::answer(call.status, customer.to_owned(), version);
    Ok(Some(answer.into_response()))
}

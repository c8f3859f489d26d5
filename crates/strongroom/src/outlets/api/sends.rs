//! Sends: asked for, watched, stopped. No answer holds a value.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::{Caller, Desk, refuse};
use crate::ctx::EntryKind;
use crate::error::Error;
use crate::outlets::{self, AskInput, TemplateText};
use crate::web::{Body, CHUNK_SIZE_BYTES_MAX, Problem, Receipted};

/// Whom to send to and what to say.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SendInput {
    /// At most 20,000 ids; or name a segment.
    #[serde(default)]
    customers: Vec<String>,
    /// All customers with this relation.
    #[serde(default)]
    segment: Option<String>,
    /// For an outlet that sends mail.
    #[serde(default)]
    template: Option<TemplateInput>,
}

/// The words of a mail; `{{field}}` stands for a field of the outlet.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TemplateInput {
    /// One line of at most 200 characters.
    subject: String,
    /// The message as text.
    text: String,
    /// The same as HTML; values stand between tags only, and are escaped.
    #[serde(default)]
    html: Option<String>,
}

/// A send that was asked for.
#[derive(Serialize, ToSchema)]
pub(super) struct SendView {
    id: String,
    /// How many customers it goes to; absent while a segment is gathered.
    recipients: Option<u64>,
    /// How many ids name nobody who may be sent to.
    unknown: u64,
}

/// Sends fields of customers through an outlet; nobody here sees them
#[utoipa::path(post, path = "/v1/outlets/{outlet}/send", tag = "outlets",
    operation_id = "send_through_outlet", params(("outlet" = String, Path)),
    request_body = SendInput,
    responses((status = 202, body = SendView), (status = "default", body = Problem)))]
pub(super) async fn ask(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Path(outlet): Path<String>,
    Body(input): Body<SendInput, CHUNK_SIZE_BYTES_MAX>,
) -> Result<Receipted<(StatusCode, Json<SendView>)>, Error> {
    let asked = async {
        let SendInput { customers, segment, template } = input;
        let customers = customers.iter().map(|id| id.parse()).collect::<Result<_, Error>>()?;
        let template = template.map(|words| TemplateText {
            subject: words.subject,
            text: words.text,
            html: words.html,
        });
        outlets::ask(&desk, &ctx, &outlet, &AskInput { customers, segment, template }).await
    };
    match asked.await {
        Ok(asked) => {
            let (id, unknown) = (asked.id.to_string(), asked.unknown);
            let view = SendView { id, recipients: asked.recipients, unknown };
            Ok(Receipted(asked.receipt, (StatusCode::ACCEPTED, Json(view))))
        }
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Send, "outlet.ask", error).await),
    }
}

/// How far a send is.
#[derive(Serialize, ToSchema)]
pub(super) struct ProgressView {
    /// `gathering`, `sending`, `done` or `stopped`.
    state: &'static str,
    /// Why it waits or was stopped.
    why: Option<String>,
    /// When it goes on, where it is sending.
    next: Option<String>,
    /// Recipients by state: `waiting`, `released`, `accepted`, `refused`, `skipped`, `failed`.
    counts: BTreeMap<&'static str, u64>,
    /// Customers who may have it twice: nobody knew whether it had arrived. At most 1,000.
    unknown: Vec<String>,
    /// Customers whom the vendor refused. At most 1,000.
    refused: Vec<RefusedView>,
}

/// A customer whom the vendor refused.
#[derive(Serialize, ToSchema)]
pub(super) struct RefusedView {
    customer: String,
    /// The vendor's code, like `smtp_550`.
    code: String,
}

/// How far a send is, whom it could not reach, whose fate is not known
#[utoipa::path(get, path = "/v1/outlets/{outlet}/sends/{send}", tag = "outlets",
    operation_id = "send_progress",
    params(("outlet" = String, Path), ("send" = String, Path)),
    responses((status = 200, body = ProgressView), (status = "default", body = Problem)))]
pub(super) async fn progress(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Path((outlet, send)): Path<(String, String)>,
) -> Result<Receipted<Json<ProgressView>>, Error> {
    let found = async { outlets::progress(&desk, &ctx, &outlet, &send.parse()?).await };
    match found.await {
        Ok(found) => {
            let refused = found
                .refused
                .into_iter()
                .map(|(customer, code)| RefusedView { customer: customer.to_string(), code });
            let is_going = found.state == outlets::SendState::Sending;
            let view = ProgressView {
                state: found.state.as_str(),
                why: (!found.why.is_empty()).then_some(found.why),
                next: is_going.then(|| found.next.to_rfc3339()),
                counts: found
                    .counts
                    .iter()
                    .map(|(state, count)| (state.as_str(), *count))
                    .collect(),
                unknown: found.unknown.iter().map(ToString::to_string).collect(),
                refused: refused.collect(),
            };
            Ok(Receipted(found.receipt, Json(view)))
        }
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Send, "outlet.progress", error).await),
    }
}

/// Stops a send; what has left has left
#[utoipa::path(delete, path = "/v1/outlets/{outlet}/sends/{send}", tag = "outlets",
    operation_id = "stop_send", params(("outlet" = String, Path), ("send" = String, Path)),
    responses((status = 204), (status = "default", body = Problem)))]
pub(super) async fn stop(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Path((outlet, send)): Path<(String, String)>,
) -> Result<Receipted<StatusCode>, Error> {
    let stopped = async { outlets::stop(&desk, &ctx, &outlet, &send.parse()?).await };
    match stopped.await {
        Ok(receipt) => Ok(Receipted(receipt, StatusCode::NO_CONTENT)),
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Send, "outlet.stop", error).await),
    }
}

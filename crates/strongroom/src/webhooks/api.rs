//! Routes of webhooks: made, listed, switched, told again, ended.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::{Caller, Desk, refuse};
use crate::ctx::{Ctx, EntryKind, Receipt, Time};
use crate::error::Error;
use crate::web::{Body, Problem, Receipted};
use crate::webhooks::{self, EndpointView, EventKind, Made, NewEndpoint, Switch};

/// All of them.
pub fn routes() -> OpenApiRouter<Arc<Desk>> {
    OpenApiRouter::new()
        .routes(routes!(create, list))
        .routes(routes!(end))
        .routes(routes!(enable))
        .routes(routes!(disable))
        .routes(routes!(renew))
        .routes(routes!(replay))
}

/// Who is to be told of what.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WebhookInput {
    /// Where events are posted: begins with `https://`. Redirects are not followed.
    url: String,
    /// `customer.updated`, `customer.merged`, `customer.consent_withdrawn`,
    /// `customer.relation_ended`, `customer.erased`; all of them if left out.
    #[serde(default)]
    kinds: Vec<String>,
}

/// A webhook, and the secret its events are signed with.
#[derive(Serialize, ToSchema)]
struct MadeWebhook {
    id: String,
    /// `whsec_…`, as the libraries of Standard Webhooks take it. It is shown this once.
    secret: String,
    /// Until when the secret before it counts as well: events carry both signatures.
    #[serde(skip_serializing_if = "Option::is_none")]
    old_secret_until: Option<String>,
}

/// How a webhook stands.
#[derive(Serialize, ToSchema)]
struct WebhookView {
    id: String,
    url: String,
    kinds: Vec<&'static str>,
    /// `on`; `off` until somebody switches it on; `gone`, because it answered 410; `altered` by other
    /// hands in the database, so that nothing is sent to it.
    state: &'static str,
    made: String,
    made_by: String,
    /// How many events wait for it.
    waiting: u64,
    /// How many it was not told of since the last replay: it refused each for three days, or was away
    /// for longer than events are kept.
    passed_over: u64,
    /// What came of the last attempt: `https_` and the status, or why nobody answered.
    last_answer: Option<String>,
    /// Since when nothing was taken.
    failing_since: Option<String>,
    /// When it is tried again, where it fails.
    next_attempt: Option<String>,
    old_secret_until: Option<String>,
}

/// All webhooks.
#[derive(Serialize, ToSchema)]
struct WebhookList {
    webhooks: Vec<WebhookView>,
}

/// From when on to tell again.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReplayInput {
    /// Like `2026-11-21T10:00:00Z`. Events are kept for 30 days.
    since: String,
}

/// What waits after a replay was asked for.
#[derive(Serialize, ToSchema)]
struct ReplayView {
    waiting: u64,
}

/// Has a receiver told what happens to customers: ids alone, signed, in order
#[utoipa::path(post, path = "/v1/webhooks", tag = "webhooks", operation_id = "make_webhook",
    request_body = WebhookInput,
    responses((status = 201, body = MadeWebhook), (status = "default", body = Problem)))]
async fn create(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Body(input): Body<WebhookInput>,
) -> Result<Receipted<(StatusCode, Json<MadeWebhook>)>, Error> {
    let WebhookInput { url, kinds } = input;
    match webhooks::make(&desk, &ctx, &NewEndpoint { url, kinds }).await {
        Ok(made) => Ok(Receipted(made.receipt.clone(), (StatusCode::CREATED, Json(shown(made))))),
        Err(error) => Err(refused(&desk, &ctx, "webhook.make", error).await),
    }
}

/// Lists webhooks and how each stands, without secrets
#[utoipa::path(get, path = "/v1/webhooks", tag = "webhooks", operation_id = "list_webhooks",
    responses((status = 200, body = WebhookList), (status = "default", body = Problem)))]
async fn list(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
) -> Result<Receipted<Json<WebhookList>>, Error> {
    match webhooks::list(&desk, &ctx).await {
        Ok((found, receipt)) => {
            let webhooks = found.into_iter().map(view).collect();
            Ok(Receipted(receipt, Json(WebhookList { webhooks })))
        }
        Err(error) => Err(refused(&desk, &ctx, "webhook.list", error).await),
    }
}

/// Ends a webhook, for good
#[utoipa::path(delete, path = "/v1/webhooks/{hook}", tag = "webhooks", operation_id = "end_webhook",
    params(("hook" = String, Path)),
    responses((status = 204), (status = "default", body = Problem)))]
async fn end(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Path(hook): Path<String>,
) -> Result<Receipted<StatusCode>, Error> {
    let ended = async { webhooks::end(&desk, &ctx, &hook.parse()?).await };
    nothing_more(&desk, &ctx, "webhook.end", ended.await).await
}

/// Switches a webhook on that was switched off, is gone, or came out of a restore
#[utoipa::path(post, path = "/v1/webhooks/{hook}/enable", tag = "webhooks",
    operation_id = "enable_webhook", params(("hook" = String, Path)),
    responses((status = 204), (status = "default", body = Problem)))]
async fn enable(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Path(hook): Path<String>,
) -> Result<Receipted<StatusCode>, Error> {
    let switched = async { webhooks::switch(&desk, &ctx, &hook.parse()?, Switch::On).await };
    nothing_more(&desk, &ctx, "webhook.enable", switched.await).await
}

/// Switches a webhook off; what happens meanwhile waits for it
#[utoipa::path(post, path = "/v1/webhooks/{hook}/disable", tag = "webhooks",
    operation_id = "disable_webhook", params(("hook" = String, Path)),
    responses((status = 204), (status = "default", body = Problem)))]
async fn disable(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Path(hook): Path<String>,
) -> Result<Receipted<StatusCode>, Error> {
    let switched = async { webhooks::switch(&desk, &ctx, &hook.parse()?, Switch::Off).await };
    nothing_more(&desk, &ctx, "webhook.disable", switched.await).await
}

/// Gives a webhook another secret; the one before it counts for a day as well
#[utoipa::path(post, path = "/v1/webhooks/{hook}/secret", tag = "webhooks",
    operation_id = "renew_webhook_secret", params(("hook" = String, Path)),
    responses((status = 200, body = MadeWebhook), (status = "default", body = Problem)))]
async fn renew(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Path(hook): Path<String>,
) -> Result<Receipted<Json<MadeWebhook>>, Error> {
    let renewed = async { webhooks::renew_secret(&desk, &ctx, &hook.parse()?).await };
    match renewed.await {
        Ok(made) => Ok(Receipted(made.receipt.clone(), Json(shown(made)))),
        Err(error) => Err(refused(&desk, &ctx, "webhook.secret", error).await),
    }
}

/// Tells a webhook again of everything that happened since a moment, under the same ids
#[utoipa::path(post, path = "/v1/webhooks/{hook}/replay", tag = "webhooks",
    operation_id = "replay_webhook", params(("hook" = String, Path)), request_body = ReplayInput,
    responses((status = 200, body = ReplayView), (status = "default", body = Problem)))]
async fn replay(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Path(hook): Path<String>,
    Body(input): Body<ReplayInput>,
) -> Result<Receipted<Json<ReplayView>>, Error> {
    let replayed = async {
        let since = Time::parse_rfc3339(&input.since).ok_or_else(|| {
            let detail = "`since` is a time like 2026-11-21T10:00:00Z";
            Error::bad_request("bad_time", detail)
        })?;
        webhooks::replay(&desk, &ctx, &hook.parse()?, since).await
    };
    match replayed.await {
        Ok(replayed) => {
            let view = ReplayView { waiting: replayed.waiting };
            Ok(Receipted(replayed.receipt, Json(view)))
        }
        Err(error) => Err(refused(&desk, &ctx, "webhook.replay", error).await),
    }
}

async fn nothing_more(
    desk: &Desk,
    ctx: &Ctx,
    verb: &'static str,
    done: Result<Receipt, Error>,
) -> Result<Receipted<StatusCode>, Error> {
    match done {
        Ok(receipt) => Ok(Receipted(receipt, StatusCode::NO_CONTENT)),
        Err(error) => Err(refused(desk, ctx, verb, error).await),
    }
}

async fn refused(desk: &Desk, ctx: &Ctx, verb: &'static str, error: Error) -> Error {
    refuse(desk, ctx, EntryKind::Send, verb, error).await
}

fn shown(made: Made) -> MadeWebhook {
    MadeWebhook {
        id: made.id.to_string(),
        secret: made.secret.to_string(),
        old_secret_until: made.old_ends.map(Time::to_rfc3339),
    }
}

fn view(found: EndpointView) -> WebhookView {
    WebhookView {
        id: found.id.to_string(),
        url: found.url,
        kinds: found.kinds.into_iter().map(EventKind::as_str).collect(),
        state: found.state.map_or("altered", webhooks::EndpointState::as_str),
        made: found.made.to_rfc3339(),
        made_by: found.made_by,
        waiting: found.waiting,
        passed_over: found.passed,
        last_answer: Some(found.code).filter(|code| !code.is_empty()),
        failing_since: found.failing.map(Time::to_rfc3339),
        next_attempt: found.next.map(Time::to_rfc3339),
        old_secret_until: found.old_ends.map(Time::to_rfc3339),
    }
}

//! Shares: made and revoked with a key, opened by whoever holds the link.
//!
//! Looking at the page shows nothing and counts nothing: programs that follow links in mail look at
//! every page. Only the button does.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Path, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::{Caller, Desk, Purpose, refuse};
use crate::ctx::EntryKind;
use crate::error::{Error, ErrorKind};
use crate::outlets::{self, NewShare, OpenedShare};
use crate::web::{Body, Call, Problem, Receipted};

/// The two routes that need no key, with the meter that bounds them.
pub(super) fn open_to_all() -> OpenApiRouter<Arc<Desk>> {
    OpenApiRouter::new()
        .routes(routes!(open))
        .routes(routes!(page, show))
        .layer(Extension(Arc::new(Meter::default())))
}

/// What to share with whom.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ShareInput {
    customer: String,
    fields: Vec<String>,
    /// A company or a post: lower-case letters, digits, `-`, `_`, `.`. Its holding has this place.
    recipient: String,
    /// 1 to 720.
    hours: u32,
    /// 1 to 100.
    #[serde(default = "one_view")]
    views: u32,
    /// One of the policy's reasons, where the grant masks the fields.
    #[serde(default)]
    reason: String,
}

/// A share that was made.
#[derive(Serialize, ToSchema)]
pub(super) struct ShareView {
    id: String,
    /// The path of the link; put your server's address before it. It is shown this once.
    path: String,
    /// The same secret, for `POST /v1/shares/open`.
    secret: String,
    ends: String,
}

/// Shares fields of one customer by a link: for one recipient, some hours, some views
#[utoipa::path(post, path = "/v1/shares", tag = "outlets", operation_id = "make_share",
    params(("Strongroom-Purpose" = String, Header)), request_body = ShareInput,
    responses((status = 201, body = ShareView), (status = "default", body = Problem)))]
pub(super) async fn make(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Purpose(purpose): Purpose,
    Body(input): Body<ShareInput>,
) -> Result<Receipted<(StatusCode, Json<ShareView>)>, Error> {
    let made = async {
        let ShareInput { customer, fields, recipient, hours, views, reason } = input;
        if fields.is_empty() {
            let detail = "name the fields to share";
            return Err(Error::unprocessable("fields_missing", detail));
        }
        let customer = customer.parse()?;
        let new = NewShare { customer, purpose, fields, reason, recipient, hours, views };
        outlets::share(&desk, &ctx, &new).await
    };
    match made.await {
        Ok(made) => {
            let view = ShareView {
                id: made.id.to_string(),
                path: format!("/share/{}", *made.secret),
                secret: made.secret.to_string(),
                ends: made.ends.to_rfc3339(),
            };
            Ok(Receipted(made.receipt, (StatusCode::CREATED, Json(view))))
        }
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Send, "share.make", error).await),
    }
}

/// Ends a share at once
#[utoipa::path(delete, path = "/v1/shares/{share}", tag = "outlets", operation_id = "revoke_share",
    params(("share" = String, Path)),
    responses((status = 204), (status = "default", body = Problem)))]
pub(super) async fn revoke(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Path(share): Path<String>,
) -> Result<Receipted<StatusCode>, Error> {
    let revoked = async { outlets::revoke_share(&desk, &ctx, &share.parse()?).await };
    match revoked.await {
        Ok(receipt) => Ok(Receipted(receipt, StatusCode::NO_CONTENT)),
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Send, "share.revoke", error).await),
    }
}

/// The secret of a link.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OpenInput {
    secret: String,
}

/// What a link shows.
#[derive(Serialize, ToSchema)]
pub(super) struct OpenedView {
    #[schema(value_type = Object)]
    fields: Map<String, Value>,
    views_left: u64,
    ends: String,
}

/// Opens a share: one view of it is used up
#[utoipa::path(post, path = "/v1/shares/open", tag = "outlets", operation_id = "open_share",
    security(()), request_body = OpenInput,
    responses((status = 200, body = OpenedView), (status = "default", body = Problem)))]
pub(super) async fn open(
    State(desk): State<Arc<Desk>>,
    Extension(meter): Extension<Arc<Meter>>,
    call: Call,
    Body(input): Body<OpenInput>,
) -> Result<Receipted<Json<OpenedView>>, Error> {
    let opened = view(&desk, &meter, &call, &input.secret).await?;
    let fields = opened.values.iter().map(|(name, value)| (name.clone(), value.expose_json()));
    let (fields, ends) = (fields.collect(), opened.ends.to_rfc3339());
    let body = OpenedView { fields, views_left: opened.views_left, ends };
    Ok(Receipted(opened.receipt, Json(body)))
}

/// The page behind a link; it shows nothing and counts nothing until its button is pressed
#[utoipa::path(get, path = "/share/{secret}", tag = "outlets", operation_id = "share_page",
    security(()), params(("secret" = String, Path)),
    responses((status = 200, body = String, content_type = "text/html"),
        (status = "default", body = Problem)))]
pub(super) async fn page() -> Response {
    html(PAGE.to_owned())
}

/// Opens a share as a page: one view of it is used up
#[utoipa::path(post, path = "/share/{secret}", tag = "outlets", operation_id = "share_page_open",
    security(()), params(("secret" = String, Path)),
    responses((status = 200, body = String, content_type = "text/html"),
        (status = "default", body = Problem)))]
pub(super) async fn show(
    State(desk): State<Arc<Desk>>,
    Extension(meter): Extension<Arc<Meter>>,
    call: Call,
    Path(secret): Path<String>,
) -> Result<Receipted<Response>, Error> {
    let opened = view(&desk, &meter, &call, &secret).await?;
    let mut rows = String::new();
    for (name, value) in &opened.values {
        let text = match value.expose_json() {
            Value::String(text) => text,
            other => other.to_string(),
        };
        rows.push_str("<dt>");
        rows.push_str(&escaped(name));
        rows.push_str("</dt><dd>");
        rows.push_str(&escaped(&text));
        rows.push_str("</dd>");
    }
    let page = SHOWN.replace("{rows}", &rows).replace("{left}", &opened.views_left.to_string());
    Ok(Receipted(opened.receipt, html(page)))
}

async fn view(desk: &Desk, meter: &Meter, call: &Call, secret: &str) -> Result<OpenedShare, Error> {
    let network = call.peer.as_ref().and_then(|peer| peer.network);
    meter.count(network, desk.now().as_ms() / 60_000)?;
    outlets::open_share(desk, network, secret).await
}

/// Bounds what strangers can make the server do: openings a minute, from one network and in all.
#[derive(Default)]
pub(super) struct Meter(Mutex<(i64, u32, HashMap<Option<IpAddr>, u32>)>);

impl Meter {
    fn count(&self, network: Option<IpAddr>, minute: i64) -> Result<(), Error> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.0 != minute {
            *state = (minute, 0, HashMap::new());
        }
        state.1 += 1;
        let all = state.1;
        // No more networks than openings in all, so the map is bounded by them.
        let one = if all > OPENINGS_A_MINUTE_MAX {
            all
        } else {
            let count = state.2.entry(network).or_default();
            *count += 1;
            *count
        };
        if all <= OPENINGS_A_MINUTE_MAX && one <= OPENINGS_OF_ONE_A_MINUTE_MAX {
            return Ok(());
        }
        let detail = "too many links are opened from here; try again in a minute";
        Err(Error::new(ErrorKind::TooMany, "too_many_openings", detail).retry_after(60))
    }
}

fn html(page: String) -> Response {
    let policy = "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
    let headers = [
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (HeaderName::from_static("x-robots-tag"), "noindex"),
    ];
    (headers, Html(page)).into_response()
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

fn one_view() -> u32 {
    1
}

const PAGE: &str = "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\">\
<meta name=\"viewport\" content=\"width=device-width\"><title>Shared with you</title></head><body>\
<main><h1>Shared with you</h1><p>Somebody shared a customer's details with you. Opening them is \
recorded and uses up one view of this link.</p><form method=\"post\"><button>Open</button></form>\
</main></body></html>";

const SHOWN: &str = "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\">\
<meta name=\"viewport\" content=\"width=device-width\"><title>Shared with you</title></head><body>\
<main><h1>Shared with you</h1><dl>{rows}</dl><p>Views left: {left}. Use it for what it was shared for, \
and keep no copy.</p></main></body></html>";

/// People press a button; programs that guess are slowed to nothing against 256 bits.
const OPENINGS_OF_ONE_A_MINUTE_MAX: u32 = 30;

const OPENINGS_A_MINUTE_MAX: u32 = 600;

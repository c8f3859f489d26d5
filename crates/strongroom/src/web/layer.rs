//! The outermost layer: request id, time limit, panics, headers and the one log line per request.
//!
//! The log line names the route's template and nothing the caller wrote: no path, no query, no
//! header, and no method but the well-known ones.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::body::HttpBody;
use axum::extract::{FromRequestParts, MatchedPath, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, COOKIE, HeaderMap, PROXY_AUTHORIZATION, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use strongroom_crypto::Random;

use crate::ctx::{Clock, Time};
use crate::error::Error;
use crate::id::{Id, Request};
use crate::meter::{Answered, Meter};
use crate::web::front::{Misdirected, misdirected};
use crate::web::problem;
use crate::web::serve::{Peer, Secure};

/// What a handler may know about the call it serves; the parts of a [`crate::ctx::Ctx`] that come
/// from the edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// Names it in log, answer and ledger.
    pub request: Id<Request>,
    /// The wall clock when it came in.
    pub now: Time,
    /// Where it came from; absent when no network was involved. It never grants anything.
    pub peer: Option<Peer>,
}

/// Puts the outermost layer around every route. Routes added afterwards are not covered, so this is
/// the last step before [`super::serve`].
pub fn wrap(
    router: Router,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    meter: Meter,
) -> Router {
    router.layer(from_fn_with_state(Edge { clock, random, meter }, attend))
}

/// For handlers that build a [`crate::ctx::Ctx`].
impl<S: Send + Sync> FromRequestParts<S> for Call {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Error> {
        let call = parts.extensions.get::<Self>().copied();
        call.ok_or_else(|| Error::internal("the router is served without its outermost layer"))
    }
}

#[derive(Clone)]
struct Edge {
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    meter: Meter,
}

async fn attend(
    State(edge): State<Edge>,
    mut request: axum::extract::Request,
    next: Next,
) -> Response {
    mark_sensitive(request.headers_mut());
    let now = edge.clock.now();
    let id = Id::time_ordered(now, edge.random.as_ref());
    let name = id.unwrap_or(Id::from_bytes([0; 16]));
    let peer = request.extensions().get::<Peer>().copied();
    let meter = edge.meter.clone();
    let mut line = Line::begin(edge, name, &request);

    let answer = match id {
        Ok(_) if request.extensions().get::<Misdirected>().is_some() => Err(misdirected()),
        Ok(_) => {
            request.extensions_mut().insert(Call { request: name, now, peer });
            bounded(next.run(request)).await
        }
        Err(cause) => Err(Error::from(cause)),
    };
    let answer = answer.unwrap_or_else(IntoResponse::into_response);
    let (mut response, problem) = problem::finish(answer, name);
    if let Some(code) = problem {
        meter.problem(code);
    }

    add_headers(response.headers_mut(), name, peer.map(|peer| peer.secure));
    line.status = Some(response.status().as_u16());
    line.bytes = response.body().size_hint().exact();
    response
}

/// Runs a handler for [`REQUEST_TIME_MS_MAX`] at most, and survives its panic.
async fn bounded(handler: impl Future<Output = Response>) -> Result<Response, Error> {
    let limit = Duration::from_millis(REQUEST_TIME_MS_MAX);
    match tokio::time::timeout(limit, caught(handler)).await {
        Ok(answer) => answer,
        Err(_) => {
            let detail = "this took longer than 30 seconds and was given up; it may have been \
                          carried out, so look before you send it again";
            Err(Error::unavailable("too_slow", detail).retry_after(RETRY_AFTER_S))
        }
    }
}

/// The panic's payload is dropped unread: it may hold what the handler worked on.
async fn caught(handler: impl Future<Output = Response>) -> Result<Response, Error> {
    let mut handler = pin!(handler);
    poll_fn(|context| {
        // INVARIANT: a handler that panicked is never polled again, and what it shares with others
        // is behind locks that are poisoned, so nobody sees a half-done change.
        match catch_unwind(AssertUnwindSafe(|| handler.as_mut().poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(response)) => Poll::Ready(Ok(response)),
            Err(_) => Poll::Ready(Err(Error::internal("the handler panicked"))),
        }
    })
    .await
}

/// Libraries that print headers for debugging then leave these out.
fn mark_sensitive(headers: &mut HeaderMap) {
    for (name, value) in headers.iter_mut() {
        if [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION].contains(name) {
            value.set_sensitive(true);
        }
    }
}

fn add_headers(headers: &mut HeaderMap, request: Id<Request>, secure: Option<Secure>) {
    if let Ok(value) = HeaderValue::from_str(&request.to_string()) {
        headers.insert(REQUEST_ID, value);
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    // A route that says otherwise knows that what it sends is public, as the log's tiles are.
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if secure == Some(Secure::Tls) {
        // One year (RFC 6797). Without includeSubDomains: the neighbours are not ours to bind.
        let year = HeaderValue::from_static("max-age=31536000");
        headers.insert(STRICT_TRANSPORT_SECURITY, year);
    }
}

/// The log line of one request, and its count. It writes itself when dropped, so a request whose
/// caller went away leaves one as well.
struct Line {
    edge: Edge,
    began_us: i64,
    request: Id<Request>,
    method: &'static str,
    route: Option<MatchedPath>,
    status: Option<u16>,
    bytes: Option<u64>,
}

impl Line {
    fn begin(edge: Edge, name: Id<Request>, request: &axum::extract::Request) -> Self {
        edge.meter.begun();
        Self {
            began_us: edge.clock.monotonic_us(),
            edge,
            request: name,
            method: known_method(request.method()),
            route: request.extensions().get::<MatchedPath>().cloned(),
            status: None,
            bytes: None,
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let us = self.edge.clock.monotonic_us().saturating_sub(self.began_us);
        let ms = us / 1000;
        let route = self.route.as_ref().map_or("none", MatchedPath::as_str);
        let Self { request, method, status, bytes, .. } = self;
        self.edge.meter.answered(&Answered { method, route, status: *status, us });
        match status {
            Some(status) => tracing::info!(%request, method, route, status, ms, bytes, "answered"),
            None => tracing::info!(%request, method, route, ms, "the caller went away"),
        }
    }
}

/// A method is free text in HTTP, so only known ones may stand in the log.
fn known_method(method: &Method) -> &'static str {
    let known =
        ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"];
    known.into_iter().find(|known| *known == method.as_str()).unwrap_or("other")
}

/// Longer than any single answer may take (imports and exports are jobs), shorter than the patience
/// of common proxies, which is 60 seconds.
pub const REQUEST_TIME_MS_MAX: u64 = 30_000;

/// What was too slow once is not asked for again at once.
const RETRY_AFTER_S: u64 = 5;

const REQUEST_ID: HeaderName = HeaderName::from_static("strongroom-request-id");

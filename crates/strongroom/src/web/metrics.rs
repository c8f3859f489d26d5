//! The listener for whoever watches the server: one address, one page of numbers, nothing else.
//!
//! It knows no route of the API and no data. Beyond the loopback it asks for a token; that it has one
//! there, and TLS, is seen to where the configuration is read.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use strongroom_crypto::{constant_time_eq, sha256};
use zeroize::Zeroizing;

use crate::error::Error;
use crate::web::bearer::BearerToken;
use crate::web::serve::{Listen, serve_at_most};

/// The numbers as they stand now, as OpenMetrics text.
pub type Numbers = Pin<Box<dyn Future<Output = String> + Send>>;

/// What `GET /metrics` answers, and 404 or 405 for everything else; to callers with the token, if
/// there is one.
pub fn metrics_router(
    token: Option<&Zeroizing<String>>,
    numbers: impl Fn() -> Numbers + Send + Sync + 'static,
) -> Router {
    let token = token.map(|token| sha256(&[token.as_bytes()]));
    let page = Page { token, numbers: Arc::new(numbers) };
    let nothing = || std::future::ready(StatusCode::NOT_FOUND);
    Router::new().route("/metrics", get(show)).with_state(page).fallback(nothing)
}

/// Serves it until `shutdown` completes.
pub async fn serve_metrics(listen: Listen, router: Router, shutdown: impl Future<Output = ()>) {
    serve_at_most(CONNECTIONS_MAX, listen, router, shutdown).await;
}

#[derive(Clone)]
struct Page {
    /// Only a hash, so that it can be compared without telling how much of it was right.
    token: Option<[u8; 32]>,
    numbers: Arc<dyn Fn() -> Numbers + Send + Sync>,
}

async fn show(State(page): State<Page>, shown: Result<BearerToken, Error>) -> Response {
    let is_known = page.token.is_none_or(|token| {
        shown.is_ok_and(|shown| constant_time_eq(&sha256(&[shown.expose().as_bytes()]), &token))
    });
    if !is_known {
        return (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Bearer")]).into_response();
    }
    match tokio::time::timeout(TIME_MAX, (page.numbers)()).await {
        Ok(numbers) => (HEADERS, numbers).into_response(),
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

const HEADERS: [(HeaderName, &str); 3] = [
    (CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8"),
    (CACHE_CONTROL, "no-store"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
];

/// A collector, its stand-by, and a person who looks.
const CONNECTIONS_MAX: u32 = 16;

/// Collectors give up after ten seconds.
const TIME_MAX: Duration = Duration::from_secs(9);

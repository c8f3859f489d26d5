//! Failures as RFC 9457 problems.
//!
//! A handler returns [`Error`]; the outermost layer writes the problem, because only it knows the
//! request id. An answer of 400 or more that did not come from an [`Error`] is replaced whole: the
//! texts of extractors repeat what the caller sent.

use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::{Error, ErrorKind, FieldProblem};
use crate::id::{Id, Request};

/// What every answer of 400 and above holds, as `application/problem+json` (RFC 9457).
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    /// `urn:strongroom:error:` and the code; names the kind of problem, leads to no page.
    #[serde(rename = "type")]
    pub kind: String,
    /// The status in words; the same for every problem of that status.
    pub title: &'static str,
    /// The HTTP status, for readers of stored answers.
    pub status: u16,
    /// Stable: programs branch on it.
    pub code: &'static str,
    /// One sentence for people; may change, and never holds a value that was sent.
    pub detail: String,
    /// Names this request in the log and the ledger.
    pub request_id: String,
    /// What is wrong with which part of the input.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<ProblemField>,
}

/// One problem with one part of the input.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ProblemField {
    /// The part, by the name our schema gives it.
    pub field: String,
    /// Stable: programs branch on it.
    pub code: &'static str,
    /// What is wrong and how to mend it; never the value.
    pub detail: String,
}

impl From<FieldProblem> for ProblemField {
    fn from(problem: FieldProblem) -> Self {
        let FieldProblem { field, code, detail } = problem;
        Self { field, code, detail }
    }
}

impl IntoResponse for Error {
    /// A bare status that carries the error to [`super::wrap`], which writes the problem.
    fn into_response(self) -> Response {
        let mut response = status_of(self.kind).into_response();
        response.extensions_mut().insert(Told(Arc::new(self)));
        response
    }
}

/// Gives every failure its problem, logs its cause and tells its code; leaves every success alone.
pub(super) fn finish(
    mut response: Response,
    request: Id<Request>,
) -> (Response, Option<&'static str>) {
    if let Some(Told(error)) = response.extensions_mut().remove::<Told>() {
        log_cause(&error, request);
        return (from_error(&error, request), Some(error.code));
    }
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return (response, None);
    }
    let (code, detail) = words_for(status);
    let mut replaced = write(status, code, detail.to_owned(), Vec::new(), request);
    if let Some(allow) = response.headers_mut().remove(ALLOW) {
        replaced.headers_mut().insert(ALLOW, allow);
    }
    (replaced, Some(code))
}

/// Rides in the extensions of a response from the handler to [`finish`].
#[derive(Clone)]
struct Told(Arc<Error>);

fn from_error(error: &Error, request: Id<Request>) -> Response {
    let fields = error.fields.iter().cloned().map(ProblemField::from);
    let status = status_of(error.kind);
    let mut response = write(status, error.code, error.detail.clone(), fields.collect(), request);
    if let Some(seconds) = error.retry_after_s {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if error.kind == ErrorKind::Unauthenticated {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

fn write(
    status: StatusCode,
    code: &'static str,
    detail: String,
    errors: Vec<ProblemField>,
    request: Id<Request>,
) -> Response {
    let problem = Problem {
        kind: format!("urn:strongroom:error:{code}"),
        title: status.canonical_reason().unwrap_or("Failure"),
        status: status.as_u16(),
        code,
        detail,
        request_id: request.to_string(),
        errors,
    };
    // Strings and numbers always serialise; if that ever changes, the status still tells the truth.
    let text = serde_json::to_vec(&problem).unwrap_or_default();
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// The only place that logs a cause, so a failure is logged once.
fn log_cause(error: &Error, request: Id<Request>) {
    let Some(cause) = error.cause() else {
        return;
    };
    let mut chain = cause.to_string();
    let mut deeper = cause.source();
    for _ in 0..CAUSES_MAX {
        let Some(cause) = deeper else {
            break;
        };
        chain.push_str(": ");
        chain.push_str(&cause.to_string());
        deeper = cause.source();
    }
    if status_of(error.kind).is_server_error() {
        tracing::error!(%request, code = error.code, cause = chain, "a request failed");
    } else {
        tracing::debug!(%request, code = error.code, cause = chain, "a request was refused");
    }
}

/// What a class of failure is in HTTP.
pub fn status_of(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::BadRequest => StatusCode::BAD_REQUEST,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::Forbidden => StatusCode::FORBIDDEN,
        ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        ErrorKind::Locked => StatusCode::LOCKED,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
        ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::TooMany => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Unprocessable => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

/// What to say for a status that axum itself, not a room, answered with.
fn words_for(status: StatusCode) -> (&'static str, &'static str) {
    match status {
        StatusCode::NOT_FOUND => {
            ("unknown_route", "no call has this address; /v1/openapi.json lists them all")
        }
        StatusCode::METHOD_NOT_ALLOWED => {
            ("method_not_allowed", "this address has other methods; the Allow header lists them")
        }
        status if status.is_server_error() => {
            ("internal", "something failed on our side; the log has more under this request id")
        }
        _ => ("bad_request", "the address or a header of this request does not have its form"),
    }
}

/// Deeper chains are loops or noise.
const CAUSES_MAX: usize = 8;

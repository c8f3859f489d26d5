//! The one route of a witness (C2SP tlog-witness).

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use strongroom_tlog::{ADD_CHECKPOINT_SIZE_BYTES_MAX, WitnessRefusal, size_answer};

use crate::witness::rules::SIZE_KIND;
use crate::witness::verbs::{Keeper, Refused, Unanswered};

/// Where a witness is asked, below its address.
pub const ADD_CHECKPOINT_PATH: &str = "/add-checkpoint";

/// What a witness answers: this one call, and 404 or 405 for everything else.
pub fn routes(keeper: Arc<Keeper>) -> Router {
    let nothing = || std::future::ready(StatusCode::NOT_FOUND);
    Router::new()
        .route(ADD_CHECKPOINT_PATH, post(add_checkpoint))
        .fallback(nothing)
        .with_state(keeper)
}

async fn add_checkpoint(State(keeper): State<Arc<Keeper>>, body: Body) -> Response {
    let answered = async {
        let Ok(body) = to_bytes(body, ADD_CHECKPOINT_SIZE_BYTES_MAX).await else {
            return told(StatusCode::PAYLOAD_TOO_LARGE, "the request is too long or broke off\n");
        };
        let Ok(body) = String::from_utf8(body.to_vec()) else {
            return refused(&Refused { why: WitnessRefusal::Malformed, origin: None });
        };
        // The disk is waited for apart from whoever is served.
        let decided = tokio::task::spawn_blocking(move || keeper.answer(&body)).await;
        match decided {
            Ok(Ok((checkpoint, line))) => {
                let (log, size) = (checkpoint.origin, checkpoint.size);
                tracing::info!(log, size, "cosigned");
                told(StatusCode::OK, line)
            }
            Ok(Err(Unanswered::Refused(refusal))) => refused(&refusal),
            Ok(Err(Unanswered::Failed(error))) => {
                let cause = error.cause().map(ToString::to_string);
                tracing::error!(code = error.code, cause, "nothing is cosigned: {}", error.detail);
                told(StatusCode::SERVICE_UNAVAILABLE, "the witness cannot write; try later\n")
            }
            Err(_) => told(StatusCode::INTERNAL_SERVER_ERROR, "something failed here\n"),
        }
    };
    let answered = tokio::time::timeout(ANSWER_TIME_MAX, answered).await;
    answered.unwrap_or_else(|_| told(StatusCode::SERVICE_UNAVAILABLE, "this took too long\n"))
}

fn refused(refusal: &Refused) -> Response {
    let status = refusal.why.status();
    let what = match refusal.why {
        WitnessRefusal::Malformed => "the request does not have its form",
        WitnessRefusal::OtherSize(_) => "the log is not at the size that was cosigned last",
        WitnessRefusal::Unproven => "the log does not continue what was cosigned last",
        WitnessRefusal::OtherKey => {
            "it hands the log over to a key that is not trusted here; whoever knows why runs `strongroom \
             witness trust`"
        }
        WitnessRefusal::Unsigned => "no key that is trusted for this log signed it",
        WitnessRefusal::UnknownLog => "this log is not trusted here",
    };
    match &refusal.origin {
        // Logs ask so when they begin, and where two processes of one installation ask.
        Some(log) if status == 409 => tracing::info!(log, status, "not cosigned: {what}"),
        Some(log) => tracing::warn!(log, status, "not cosigned: {what}"),
        // The name is anyone's words, and stays out.
        None => tracing::warn!(status, "not cosigned: {what}"),
    }
    let code = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    match refusal.why {
        WitnessRefusal::OtherSize(size) => {
            (code, [(CONTENT_TYPE, SIZE_KIND)], size_answer(size)).into_response()
        }
        _ => told(code, format!("{what}\n")),
    }
}

fn told(status: StatusCode, text: impl Into<String>) -> Response {
    (status, HEADERS, text.into()).into_response()
}

const HEADERS: [(HeaderName, &str); 3] = [
    (CONTENT_TYPE, "text/plain; charset=utf-8"),
    (CACHE_CONTROL, "no-store"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
];

/// Whoever asks gives up after ten seconds, and asks again.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(20);

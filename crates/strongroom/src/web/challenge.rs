//! The one plain listener beyond the loopback: it proves to a public authority that a name leads here
//! (RFC 8555, section 8.3), and sends browsers to https. It knows no route of the API and no data.

use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::header::{CONTENT_TYPE, HOST, LOCATION};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::error::Error;
use crate::web::host::HostName;
use crate::web::serve::{Listen, serve_at_most};

/// What an authority is to find, by the tokens it chose. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Challenges(Arc<Mutex<HashMap<String, String>>>);

impl Challenges {
    /// Answers one from now on.
    pub fn put(&self, token: &str, answer: &str) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Ours come one order at a time; more than that are left over from failures.
        if waiting.len() >= WAITING_MAX {
            waiting.clear();
        }
        waiting.insert(token.to_owned(), answer.to_owned());
    }

    /// Answers none any more.
    pub fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn answer(&self, token: &str) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(token).cloned()
    }
}

/// Opens the port and gives what serves it until `shutdown` completes: challenges, and for the names
/// a redirect to https on their port; 404 for everything else. Needs a running runtime.
pub fn serve_challenges(
    address: SocketAddr,
    challenges: Challenges,
    names: Vec<HostName>,
    https_port: u16,
    shutdown: impl Future<Output = ()>,
) -> Result<impl Future<Output = ()>, Error> {
    let listen = Listen::bind_for_challenges(address)?;
    let redirects = Redirects { names: Arc::new(names), https_port };
    let router = Router::new()
        .route("/.well-known/acme-challenge/{token}", get(answer))
        .with_state(challenges)
        .fallback(move |request: Request| std::future::ready(redirects.answer(&request)));
    Ok(serve_at_most(CONNECTIONS_MAX, listen, router, shutdown))
}

async fn answer(State(challenges): State<Challenges>, Path(token): Path<String>) -> Response {
    match challenges.answer(&token) {
        Some(text) => ([(CONTENT_TYPE, "application/octet-stream")], text).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

#[derive(Clone)]
struct Redirects {
    names: Arc<Vec<HostName>>,
    https_port: u16,
}

impl Redirects {
    /// Only what a browser asks for by a known name, and only to its front page: an address that came
    /// readable is not repeated, and a program that sends its key in the clear is not helped along.
    fn answer(&self, request: &Request) -> Response {
        let host = request.headers().get(HOST).and_then(|value| value.to_str().ok());
        let name = host.and_then(|host| self.names.iter().find(|name| name.is_host(host)));
        let Some(name) = name.filter(|_| [Method::GET, Method::HEAD].contains(request.method()))
        else {
            return StatusCode::NOT_FOUND.into_response();
        };
        let port =
            if self.https_port == 443 { String::new() } else { format!(":{}", self.https_port) };
        let to = format!("https://{}{port}/", name.in_url());
        (StatusCode::PERMANENT_REDIRECT, [(LOCATION, to)]).into_response()
    }
}

/// Names in one order, with room for an authority that asks for each twice.
const WAITING_MAX: usize = 100;
/// An authority looks from a handful of places; browsers follow the redirect and leave.
const CONNECTIONS_MAX: u32 = 64;

//! `Idempotency-Key`: a call that changes something is done once, however often it is sent.
//!
//! One layer around every route. It looks whether the call was done, else lets it through with a
//! claim that its change takes along; whoever loses a race finds the claim taken and is told what the
//! winner did. What must never happen here: a key or a body kept, a question answered twice as if it
//! were a change.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use strongroom_crypto::sha256;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::{ObjectBuilder, OpenApi, RefOr, Required, Type};

use crate::access::{self, Caller, Desk, Repeated};
use crate::ctx::{Claim, Ctx};
use crate::error::Error;
use crate::vault;
use crate::web::{CHUNK_SIZE_BYTES_MAX, REPEATED_HEADER, Receipted, Repetition, read_body};

/// What the layer works with.
#[derive(Clone)]
pub(super) struct Once {
    desk: Arc<Desk>,
    /// By method and route: the status where something is made, and where not.
    statuses: Arc<BTreeMap<(String, String), (u16, u16)>>,
}

impl Once {
    /// The statuses come from the description, so they are said once.
    pub(super) fn new(desk: &Arc<Desk>, api: &OpenApi) -> Self {
        let mut statuses = BTreeMap::new();
        for (route, item) in &api.paths.paths {
            for (method, operation) in operations(item) {
                let codes = operation.responses.responses.keys();
                let good: Vec<u16> = codes.filter_map(|code| code.parse().ok()).collect();
                let done = good.iter().find(|code| **code != 201).or(good.first());
                let done = done.copied().unwrap_or(200);
                let made = if good.contains(&201) { 201 } else { done };
                statuses.insert((method.to_owned(), route.clone()), (made, done));
            }
        }
        Self { desk: Arc::clone(desk), statuses: Arc::new(statuses) }
    }
}

/// The layer.
pub(super) async fn once(State(once): State<Once>, request: Request, next: Next) -> Response {
    if !request.headers().contains_key(KEY_HEADER) {
        return next.run(request).await;
    }
    attend(&once, request, next).await.unwrap_or_else(IntoResponse::into_response)
}

async fn attend(once: &Once, request: Request, next: Next) -> Result<Response, Error> {
    let route = request.extensions().get::<MatchedPath>().map(|it| it.as_str().to_owned());
    let route = route.ok_or_else(|| Error::internal("a route without a template"))?;
    let key = read_key(request.headers())?;
    refuse_question(request.method(), &route)?;
    let (mut parts, body) = request.into_parts();
    let Caller(ctx) = Caller::from_request_parts(&mut parts, &once.desk).await?;
    let body = read_body(body, CHUNK_SIZE_BYTES_MAX).await?;
    let name = (parts.method.as_str().to_owned(), route);
    let statuses = once.statuses.get(&name).copied().unwrap_or((200, 200));
    let claim = access::claim(&once.desk, &ctx, &key, &digest(&parts, &body), statuses)?;
    let place = Place { method: name.0, id: id_in(&name.1, parts.uri.path()), route: name.1 };
    if let Some(done) = access::find_repeated(&once.desk, &ctx, &claim).await? {
        return answer_again(&once.desk, &ctx, &place, done).await;
    }
    parts.extensions.insert(claim.clone());
    // The buffer is wiped when the handler has read it.
    let request = Request::from_parts(parts, Body::from(Bytes::from_owner(body)));
    let answer = next.run(request).await;
    if answer.status().is_success() {
        return Ok(answer);
    }
    // Whoever sent the same call at the same moment may have been first: then this one is told so,
    // whatever it failed with.
    match find_after_failure(&once.desk, &ctx, &claim).await {
        Some(done) => answer_again(&once.desk, &ctx, &place, done).await,
        None => Ok(answer),
    }
}

/// Where a call went.
struct Place {
    method: String,
    route: String,
    id: String,
}

/// The call's own failure is what is told where this finds nothing or fails as well.
async fn find_after_failure(desk: &Desk, ctx: &Ctx, claim: &Claim) -> Option<Repeated> {
    access::find_repeated(desk, ctx, claim).await.ok().flatten()
}

/// The same status, and the body as the present state has it.
async fn answer_again(
    desk: &Desk,
    ctx: &Ctx,
    place: &Place,
    done: Repeated,
) -> Result<Response, Error> {
    let status = StatusCode::from_u16(done.status).map_err(Error::internal)?;
    let (method, route, id) = (place.method.as_str(), place.route.as_str(), place.id.as_str());
    let call = Repetition { method, route, id, resource: &done.resource, status };
    let ctx = Ctx { claim: None, ..ctx.clone() };
    let rebuilt = match access::rebuild(desk, &call)? {
        Some(rebuilt) => Some(rebuilt),
        None => vault::rebuild(desk, &ctx, &call).await?,
    };
    let rebuilt = rebuilt.unwrap_or_else(|| match (status, done.resource.as_str()) {
        (StatusCode::NO_CONTENT, _) => status.into_response(),
        (_, "") => (status, Json(json!({}))).into_response(),
        (_, id) => (status, Json(json!({ "id": id }))).into_response(),
    });
    let mut answer = Receipted(done.receipt, rebuilt).into_response();
    answer.headers_mut().insert(REPEATED_HEADER, HeaderValue::from_static("true"));
    Ok(answer)
}

/// 1 to 255 visible characters. It may be anything, also what should not be kept, so it is not.
fn read_key(headers: &HeaderMap) -> Result<String, Error> {
    let mut values = headers.get_all(KEY_HEADER).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Err(bad_key()) };
    let text = value.to_str().map_err(|_| bad_key())?;
    let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
    if text.is_empty() || text.len() > KEY_SIZE_BYTES_MAX || !visible {
        return Err(bad_key());
    }
    Ok(text.to_owned())
}

fn bad_key() -> Error {
    let detail = "`Idempotency-Key` is one text of 1 to 255 visible characters, new for each call: \
                  a random UUID does";
    Error::bad_request("bad_idempotency_key", detail)
}

fn refuse_question(method: &Method, route: &str) -> Result<(), Error> {
    let asks = *method == Method::GET || *method == Method::HEAD;
    if !asks && !is_question(method.as_str(), route) {
        return Ok(());
    }
    let detail = "`Idempotency-Key` is for calls that change something; leave it out here. Asking \
                  again is always safe, and each look is written down and counted";
    Err(Error::bad_request("idempotency_key_not_taken", detail))
}

fn is_question(method: &str, route: &str) -> bool {
    QUESTIONS.iter().any(|known| known.split_once(' ') == Some((method, route)))
}

/// Everything that says what is wanted.
fn digest(parts: &Parts, body: &[u8]) -> [u8; 32] {
    let header = |name| parts.headers.get(name).map_or(&b""[..], HeaderValue::as_bytes);
    let place = parts.uri.path_and_query().map_or("", |it| it.as_str());
    let words: [&[u8]; 5] = [
        parts.method.as_str().as_bytes(),
        place.as_bytes(),
        header(header::IF_MATCH.as_str()),
        header("strongroom-purpose"),
        body,
    ];
    // Hashed one by one, so that nothing moves from one to the next.
    let hashes: Vec<[u8; 32]> = words.iter().map(|word| sha256(&[word])).collect();
    sha256(&hashes.iter().map(<[u8; 32]>::as_slice).collect::<Vec<_>>())
}

/// What stands in the address where the route has `{id}`.
fn id_in(route: &str, path: &str) -> String {
    let pairs = route.split('/').zip(path.split('/'));
    let id = pairs.filter(|(template, _)| *template == "{id}").map(|(_, part)| part).next();
    id.unwrap_or_default().to_owned()
}

/// Says in the description which calls take a key.
pub(super) fn describe(api: &mut OpenApi) {
    let header: Parameter = ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(
            "New for each call, as a random UUID. Sent again with the same call within a day, nothing \
             is done twice: the answer has the same status, a body as things are now, and the header \
             `Strongroom-Repeated`. With another call it is refused (422).",
        ))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .build();
    for (route, item) in &mut api.paths.paths {
        for (method, operation) in operations_mut(item) {
            if method != "GET" && !is_question(method, route) {
                operation.parameters.get_or_insert_default().push(RefOr::T(header.clone()));
            }
        }
    }
}

fn operations(item: &PathItem) -> impl Iterator<Item = (&'static str, &Operation)> {
    let all = [
        ("DELETE", &item.delete),
        ("GET", &item.get),
        ("PATCH", &item.patch),
        ("POST", &item.post),
        ("PUT", &item.put),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_ref()?)))
}

fn operations_mut(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let all = [
        ("DELETE", &mut item.delete),
        ("GET", &mut item.get),
        ("PATCH", &mut item.patch),
        ("POST", &mut item.post),
        ("PUT", &mut item.put),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// Calls other than GET that change nothing, or bring their own way to be sent again: with a key they
/// are refused. A route that is not here takes one.
const QUESTIONS: &[&str] = &[
    "POST /v1/access/why",
    "POST /v1/customers/lookup",
    "POST /v1/customers/read",
    "POST /v1/customers/{id}/records/{record}/reveal",
    "POST /v1/customers/{id}/reveal",
    // Each item has its own reference: sent again, it finds what it made.
    "POST /v1/customers:batch",
    // It shows values and changes nothing; it goes on after the last customer it gave.
    "POST /v1/exports",
    "POST /v1/imports/dry-run",
    "POST /v1/ledger/scope",
    "POST /v1/ledger/verify",
    "POST /v1/policy/check",
    // A rotation that runs is joined, and another root harms nothing.
    "POST /v1/rotations",
    // Each opening is a view of its own.
    "POST /share/{secret}",
    "POST /v1/shares/open",
    // The same customer, field and consumer have the same token.
    "POST /v1/tokens",
    "POST /v1/tokens/detokenize",
];

/// A UUID has 36; the rest is room for what callers build.
const KEY_SIZE_BYTES_MAX: usize = 255;

const KEY_HEADER: &str = "idempotency-key";

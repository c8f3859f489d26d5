//! A marked value is put into every part of a request that a caller writes, in every way that makes
//! the request fail; it must come back in no answer and stand in no log line of any crate.

use axum::Router;
use axum::extract::{Path, Query};
use axum::routing::post as on_post;

use super::bodies::{Input, router};
use super::{get, listen_to_log, open, post, send};
use crate::web::{BearerToken, Body, Paging};

#[tokio::test]
async fn a_marked_value_comes_back_nowhere() {
    let (log, _guard) = listen_to_log();
    let address = open(router().merge(strict()));
    let requests = requests();
    for request in &requests {
        let answer = send(address, request).await;
        assert!(answer.status >= 400, "each of these must fail: {request}");
        assert!(!has_canary(&answer.head), "{request}\n{}", answer.head);
        assert!(!has_canary(&answer.body), "{request}\n{}", answer.body);
    }
    assert!(!has_canary(&log.text()), "{}", log.text());
    assert_eq!(log.lines_with("answered").len(), requests.len(), "every request was logged");
}

#[tokio::test]
async fn a_marked_value_in_a_request_that_succeeds_is_not_logged() {
    let (log, _guard) = listen_to_log();
    let body = format!(r#"{{"email":"{CANARY}","more":{{"{CANARY}":1}}}}"#);
    let marks = format!("Authorization: Bearer {CANARY}\r\nCookie: a={CANARY}\r\nX-{CANARY}: 1");
    let request = post(&format!("/small?q={CANARY}"), &body);
    let request = request.replace("Host: x", &format!("Host: {CANARY}\r\n{marks}"));
    assert_eq!(send(open(router()), request).await.status, 200);
    assert!(!has_canary(&log.text()), "{}", log.text());
    assert_eq!(log.lines_with("answered").len(), 1);
}

/// A route on which every extractor may fail.
fn strict() -> Router {
    let answer = |_: Path<u32>,
                  _: Query<Vec<(String, u32)>>,
                  _: Paging,
                  _: BearerToken,
                  _: Body<Input>| async {};
    Router::new().route("/strict/{number}", on_post(answer))
}

fn requests() -> Vec<String> {
    let mut requests = vec![
        get(&format!("/{CANARY}")),
        get(&format!("/small?{CANARY}={CANARY}")),
        get("/small").replace("GET", CANARY),
        post(&format!("/strict/{CANARY}"), "{}"),
        post(&format!("/strict/1?x={CANARY}"), "{}"),
        post(&format!("/strict/%ff{CANARY}"), "{}"),
        post(&format!("/strict/1?limit={CANARY}"), "{}"),
        post(&format!("/strict/1?cursor={CANARY}"), "{}"),
        post("/strict/1", &format!(r#"{{"email":"{CANARY}"}}"#)),
    ];
    let headers = [
        format!("Authorization: {CANARY}"),
        format!("Authorization: Basic {CANARY}"),
        format!("Authorization: Bearer {CANARY} {CANARY}"),
        format!("Authorization: Bearer {CANARY}"),
        format!("Cookie: session={CANARY}"),
        format!("X-{CANARY}: {CANARY}"),
        format!("Content-Type: {CANARY}"),
        format!("Content-Type: application/json; charset={CANARY}"),
        format!("Content-Encoding: {CANARY}"),
    ];
    for header in headers {
        let request = post("/strict/1", "{}");
        requests.push(request.replace("Host: x", &format!("Host: x\r\n{header}")));
    }
    let bodies = [
        CANARY.to_owned(),
        format!("\"{CANARY}\""),
        format!("\"{CANARY}"),
        format!(r#"{{"email":"{CANARY}"#),
        format!(r#"{{"email":"{CANARY}"}} {CANARY}"#),
        format!(r#"{{"email":"a","count":"{CANARY}"}}"#),
        format!(r#"{{"email":["{CANARY}"]}}"#),
        format!(r#"{{"email":"a","colour":"{CANARY}"}}"#),
        format!(r#"{{"email":"a","colour":{{"{CANARY}":1}}}}"#),
        format!(r#"{{"email":"a","{CANARY}":1}}"#),
        format!(r#"{{"{CANARY}":1,"{CANARY}":1}}"#),
        format!(r#"{{"email":"a","more":{{"{CANARY}":1,"{CANARY}":"{CANARY}"}}}}"#),
        format!(r#"{{"email":"\q{CANARY}"}}"#),
        format!(r#"{{"email":"a","more":{}"{CANARY}"{}}}"#, "[".repeat(40), "]".repeat(40)),
        format!(r#"{{"count":1,"more":{{"{CANARY}":"{CANARY}"}}}}"#),
    ];
    requests.extend(bodies.iter().map(|body| post("/small", body)));
    requests
}

/// As written, and in the other case, as a method or header may be turned.
fn has_canary(text: &str) -> bool {
    text.to_lowercase().contains(CANARY)
}

const CANARY: &str = "kanarienvogel7";

use std::collections::BTreeMap;

use axum::Router;
use axum::routing::{get as on_get, post as on_post};
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{get, open, parse, post, send};
use crate::web::{BODY_SIZE_BYTES_MAX, BearerToken, Body, CHUNK_SIZE_BYTES_MAX};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    email: String,
    #[serde(default)]
    #[expect(dead_code, reason = "only its type matters")]
    count: u8,
    #[serde(default)]
    more: BTreeMap<String, serde_json::Value>,
    #[serde(default)]
    colour: Option<Colour>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Colour {
    Green,
    Red,
}

pub(super) fn router() -> Router {
    let small = |Body(input): Body<Input>| async move {
        let colour = match input.colour {
            None => "",
            Some(Colour::Green) => " green",
            Some(Colour::Red) => " red",
        };
        format!("{} {}{colour}", input.email.len(), input.more.len())
    };
    let large = move |input: Body<Input, CHUNK_SIZE_BYTES_MAX>| small(Body(input.0));
    Router::new()
        .route("/small", on_post(small))
        .route("/large", on_post(large))
        .route("/key", on_get(|token: BearerToken| async move { token.expose().to_owned() }))
}

#[tokio::test]
async fn a_good_body_is_read() {
    let address = open(router());
    let good = [
        (r#"{"email":"a@b.c"}"#, "5 0"),
        (" \n {\"email\":\"\\u0061\",\"count\":255,\"colour\":\"red\"} \n", "1 0 red"),
        (r#"{"email":"","more":{"a":{"a":1},"b":[{"a":null},{"a":1.5}]}}"#, "0 2"),
    ];
    for (body, expected) in good {
        let answer = send(address, post("/small", body)).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, expected), "{body}");
    }
}

#[tokio::test]
async fn a_bad_body_is_refused_with_place_and_kind() {
    let address = open(router());
    let bad = [
        ("", "bad_json", "empty"),
        (" \n", "bad_json", "empty"),
        ("{\n  \"email\": x}", "bad_json", "line 2, column 12"),
        (r#"{"email":"a"#, "bad_json", "ends at line 1, column 11"),
        (r#"{"email":"a"} x"#, "bad_json", "line 1, column 15"),
        (r#"{"email":"a","count":1e999}"#, "bad_json", "not JSON"),
        (r#"{"email":"\ud800"}"#, "bad_json", "not JSON"),
        ("[]", "bad_type", "not a JSON object"),
        (r#"["a"]"#, "bad_type", "not a JSON object"),
        ("null", "bad_type", "not a JSON object"),
        (r#"{"email":7}"#, "bad_type", "line 1, column 10"),
        (r#"{"email":"a","count":"7"}"#, "bad_type", "column 24"),
        (r#"{"email":"a","count":300}"#, "bad_value", "column 24"),
        (r#"{"email":"a","colour":"blue"}"#, "bad_value", "column 28"),
        (r#"{"email":"a","colour":"Green"}"#, "bad_value", "column 29"),
        (r#"{"count":1}"#, "missing_member", "column 11"),
        (r#"{"email":"a","b":1}"#, "unknown_member", "known there: email, count, more, colour"),
        (r#"{"email":"a","email":"b"}"#, "duplicate_member", "twice"),
        (r#"{"email":"a","\u0065mail":"b"}"#, "duplicate_member", "twice"),
        (r#"{"email":"a","more":{"x":1,"y":2,"x":3}}"#, "duplicate_member", "twice"),
        (r#"{"email":"a","more":{"x":[{"y":1,"y":1}]}}"#, "duplicate_member", "twice"),
    ];
    for (body, code, detail) in bad {
        let answer = send(address, post("/small", body)).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, code), "{body}");
        let told = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(told.contains(detail), "{body}: {told}");
    }
    let answer = send(address, post("/small", r#"{"count":1}"#)).await;
    assert_eq!(answer.json()["errors"][0]["field"], "email");
}

#[tokio::test]
async fn a_body_that_is_not_utf_8_is_refused() {
    let mut request = post("/small", r#"{"email":"a"}"#).into_bytes();
    let at = request.len() - 3;
    request[at] = 0xff;
    let answer = send(open(router()), request).await;
    assert_eq!((answer.status, answer.code()), (400, "bad_json".to_owned()));
    assert!(answer.body.contains("byte 11 of the body is not UTF-8"), "{}", answer.body);
}

#[tokio::test]
async fn only_json_is_read() {
    let address = open(router());
    let with = |kind: &str| {
        post("/small", r#"{"email":"a"}"#).replace("Content-Type: application/json", kind)
    };
    for kind in [
        "Content-Type: application/json; charset=UTF-8",
        "content-type: Application/JSON;charset=\"utf-8\"",
    ] {
        assert_eq!(send(address, with(kind)).await.status, 200, "{kind}");
    }
    for kind in [
        "X: y",
        "Content-Type: text/plain",
        "Content-Type: application/x-www-form-urlencoded",
        "Content-Type: application/jsonp",
        "Content-Type: application/json; charset=latin1",
        "Content-Type: text/plain, application/json",
        "Content-Type: application/json\r\nContent-Type: text/plain",
        "Content-Type: application/json\r\nContent-Encoding: gzip",
    ] {
        let answer = send(address, with(kind)).await;
        let told = (answer.status, answer.code());
        assert_eq!(told, (400, "unsupported_media_type".to_owned()), "{kind}");
    }
}

#[tokio::test]
async fn a_body_has_a_size_and_a_route_may_allow_more() {
    let address = open(router());
    let sized = |size: usize| {
        let frame = r#"{"email":""}"#.len();
        format!(r#"{{"email":"{}"}}"#, "a".repeat(size - frame))
    };
    let fits = sized(BODY_SIZE_BYTES_MAX);
    let too_large = sized(BODY_SIZE_BYTES_MAX + 1);
    assert_eq!(send(address, post("/small", &fits)).await.status, 200);
    assert_eq!(send(address, post("/large", &too_large)).await.status, 200);

    // Announced: refused without a single byte of it.
    let whole = post("/small", &too_large);
    let (head, _) = whole.split_once("\r\n\r\n").unwrap();
    let answer = send(address, format!("{head}\r\n\r\n")).await;
    assert_eq!((answer.status, answer.code()), (413, "body_too_large".to_owned()));

    // Not announced: refused when it has become too much.
    let chunked = |body: &str| {
        let head = head.lines().filter(|line| !line.starts_with("Content-Length"));
        let head: Vec<_> = head.chain(["Transfer-Encoding: chunked"]).collect();
        format!("{}\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", head.join("\r\n"), body.len())
    };
    assert_eq!(send(address, chunked(&fits)).await.status, 200);
    let mut stream = TcpStream::connect(address).await.unwrap();
    let endless = chunked(&too_large);
    let cut = endless.strip_suffix("\r\n0\r\n\r\n").unwrap();
    stream.write_all(cut.as_bytes()).await.unwrap();
    let mut start = [0; 12];
    stream.read_exact(&mut start).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 413");
}

#[tokio::test]
async fn a_body_nests_only_so_deep() {
    let address = open(router());
    let nested = |depth: usize| {
        let inner = depth - 2;
        let (open, close) = ("[".repeat(inner), "]".repeat(inner));
        format!(r#"{{"email":"a","more":{{"x":{open}{close}}}}}"#)
    };
    assert_eq!(send(address, post("/small", &nested(16))).await.status, 200);
    for depth in [17, 100, 100_000] {
        let answer = send(address, post("/small", &nested(depth))).await;
        assert_eq!((answer.status, answer.code()), (400, "bad_json".to_owned()));
        assert!(answer.body.contains("nests below 16 levels"), "{}", answer.body);
    }
}

#[tokio::test]
async fn a_body_that_is_cut_short_is_refused() {
    let mut stream = TcpStream::connect(open(router())).await.unwrap();
    let request = post("/small", r#"{"email":"a"}"#);
    stream.write_all(request.strip_suffix("}").unwrap().as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    assert_eq!(parse(&bytes).code(), "body_cut_short");
}

#[tokio::test]
async fn an_unknown_member_that_imitates_our_list_is_not_repeated() {
    let address = open(router());
    let names = [
        "`, expected `kanari",
        "`, expected one of `kanari`, `vogel",
        "x`, expected `kanari` at line 1 column 1",
        "`, expected `kanari`, there are no fields",
    ];
    for name in names {
        let body = serde_json::json!({ "email": "a", name: 1 }).to_string();
        let answer = send(address, post("/small", &body)).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "unknown_member"));
        assert!(!answer.body.contains("kanari"), "{}", answer.body);
    }
}

#[tokio::test]
async fn a_credential_is_read_strictly() {
    let address = open(router());
    let with = |header: &str| get("/key").replace("Host: x", &format!("Host: x\r\n{header}"));
    for (header, token) in [
        ("Authorization: Bearer sr_live_abc", "sr_live_abc"),
        ("authorization: bearer a-._~+/9==", "a-._~+/9=="),
    ] {
        let answer = send(address, with(header)).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, token));
    }
    let long = format!("Authorization: Bearer {}", "a".repeat(513));
    let bad = [
        ("X: y", "no_credential"),
        ("Authorization:", "bad_credential"),
        ("Authorization: Bearer", "bad_credential"),
        ("Authorization: Bearer ", "bad_credential"),
        ("Authorization: Bearer ==", "bad_credential"),
        ("Authorization: Bearer a=b", "bad_credential"),
        ("Authorization: Bearer  two", "bad_credential"),
        ("Authorization: Bearer a b", "bad_credential"),
        ("Authorization: Bearer ä", "bad_credential"),
        ("Authorization: Basic YTpi", "bad_credential"),
        ("Authorization: sr_live_abc", "bad_credential"),
        ("Authorization: Bearer a\r\nAuthorization: Bearer b", "bad_credential"),
        (&long, "bad_credential"),
    ];
    for (header, code) in bad {
        let answer = send(address, with(header)).await;
        assert_eq!((answer.status, answer.code().as_str()), (401, code), "{header}");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
}

use std::sync::Arc;
use std::task::Poll;

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::{Request, StatusCode};
use axum::routing::get as on_get;
use strongroom_crypto::{CryptoError, Random, SystemRandom};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tower::{Service, ServiceExt};
use utoipa::{IntoParams, PartialSchema};

use super::{NOON, get, listen_to_log, open, read_one, send, wrapped};
use crate::ctx::{Clock, TestClock};
use crate::error::{Error, ErrorKind, FieldProblem};
use crate::meter::Meter;
use crate::web::{Call, PAGE_ITEMS_MAX, Page, Paging, Peer, Problem, Secure, wrap};

#[tokio::test]
async fn an_error_becomes_a_problem_that_says_what_to_do() {
    let refuse = || async {
        let field = "email".to_owned();
        let problem = FieldProblem { field, code: "taken", detail: "use another".to_owned() };
        let error = Error::new(ErrorKind::TooMany, "budget_spent", "the budget is spent");
        Err::<(), _>(error.with_fields(vec![problem]).retry_after(77))
    };
    let address = open(Router::new().route("/x", on_get(refuse)));
    let answer = send(address, get("/x")).await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert_eq!(answer.header("retry-after"), Some("77"));
    let request_id = answer.header("strongroom-request-id").unwrap();
    assert!(request_id.starts_with("req_"));
    let expected = serde_json::json!({
        "type": "urn:strongroom:error:budget_spent",
        "title": "Too Many Requests",
        "status": 429,
        "code": "budget_spent",
        "detail": "the budget is spent",
        "request_id": request_id,
        "errors": [{ "field": "email", "code": "taken", "detail": "use another" }],
    });
    assert_eq!(answer.json(), expected);
}

#[tokio::test]
async fn each_kind_has_its_status() {
    let kinds = [
        (ErrorKind::BadRequest, 400),
        (ErrorKind::Unauthenticated, 401),
        (ErrorKind::Forbidden, 403),
        (ErrorKind::NotFound, 404),
        (ErrorKind::Conflict, 409),
        (ErrorKind::PreconditionFailed, 412),
        (ErrorKind::TooLarge, 413),
        (ErrorKind::Unprocessable, 422),
        (ErrorKind::Locked, 423),
        (ErrorKind::TooMany, 429),
        (ErrorKind::Internal, 500),
        (ErrorKind::Unavailable, 503),
    ];
    for (kind, status) in kinds {
        let refuse = move || async move { Err::<(), _>(Error::new(kind, "some_code", "no")) };
        let answer = send(open(Router::new().route("/x", on_get(refuse))), get("/x")).await;
        assert_eq!((answer.status, answer.code()), (status, "some_code".to_owned()));
        let challenge = answer.header("www-authenticate");
        assert_eq!(challenge, (status == 401).then_some("Bearer"), "{kind:?}");
    }
}

#[tokio::test]
async fn a_cause_is_logged_once_under_the_request_id_and_never_sent() {
    let (log, _guard) = listen_to_log();
    let fail = || async { Err::<(), _>(Error::internal("disk on fire")) };
    let answer = send(open(Router::new().route("/x", on_get(fail))), get("/x")).await;
    assert_eq!((answer.status, answer.code()), (500, "internal".to_owned()));
    assert!(!answer.body.contains("fire"));
    let lines = log.lines_with("disk on fire");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains(answer.header("strongroom-request-id").unwrap()));
    assert!(lines[0].contains("ERROR"));
}

#[tokio::test]
async fn unknown_routes_and_methods_are_problems() {
    let address = open(Router::new().route("/x", on_get(|| async { "yes" })));
    let answer = send(address, get("/y")).await;
    assert_eq!((answer.status, answer.code()), (404, "unknown_route".to_owned()));
    for method in ["POST", "OPTIONS", "TRACE", "WHATEVER"] {
        let answer = send(address, get("/x").replace("GET", method)).await;
        assert_eq!((answer.status, answer.code()), (405, "method_not_allowed".to_owned()));
        assert_eq!(answer.header("allow"), Some("GET,HEAD"), "{method}");
    }
    let answer = send(address, get("/x").replace("GET", "HEAD")).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    let answer = send(address, get("/y").replace("GET", "HEAD")).await;
    assert_eq!((answer.status, answer.body.as_str()), (404, ""));
}

#[tokio::test]
async fn what_an_extractor_of_axum_says_is_not_passed_on() {
    let address = open(Router::new().route("/x/{n}", on_get(|_: Path<u32>| async { "yes" })));
    let answer = send(address, get("/x/Ada")).await;
    assert_eq!((answer.status, answer.code()), (400, "bad_request".to_owned()));
    assert!(!answer.body.contains("Ada"));
    let teapot = || async { (StatusCode::IM_A_TEAPOT, "Ada") };
    let answer = send(open(Router::new().route("/x", on_get(teapot))), get("/x")).await;
    assert_eq!((answer.status, answer.code()), (418, "bad_request".to_owned()));
    assert!(!answer.body.contains("Ada"));
}

#[tokio::test]
async fn a_panic_is_a_500_and_the_connection_lives_on() {
    let (log, _guard) = listen_to_log();
    let router = Router::new()
        .route(
            "/panic",
            on_get(|| async {
                if true {
                    panic!("with Ada's number")
                }
            }),
        )
        .route("/x", on_get(|| async { "yes" }));
    let mut stream = TcpStream::connect(open(router)).await.unwrap();
    stream.write_all(b"GET /panic HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let answer = read_one(&mut stream).await;
    assert_eq!((answer.status, answer.code()), (500, "internal".to_owned()));
    assert!(answer.json()["request_id"].as_str().unwrap().starts_with("req_"));
    stream.write_all(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert_eq!(read_one(&mut stream).await.body, "yes");
    assert_eq!(log.lines_with("the handler panicked").len(), 1);
    assert!(!log.text().contains("Ada"));
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_takes_too_long_is_given_up() {
    let stuck = || async { std::future::pending::<&str>().await };
    let slow = || async { tokio::time::sleep(std::time::Duration::from_secs(29)).await };
    let router = wrapped(Router::new().route("/x", on_get(stuck)).route("/slow", on_get(slow)));
    let ask = |path| Request::get(path).body(Body::empty()).unwrap();
    let begun = tokio::time::Instant::now();
    let answer = router.clone().oneshot(ask("/x")).await.unwrap();
    assert_eq!(begun.elapsed().as_secs(), 30);
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers()["retry-after"], "5");
    assert_eq!(router.oneshot(ask("/slow")).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn every_answer_carries_the_safe_headers() {
    let public = || async { ([("cache-control", "public, max-age=60")], "tile") };
    let router =
        Router::new().route("/x", on_get(|| async { "yes" })).route("/tile", on_get(public));
    let address = open(router);
    for path in ["/x", "/y", "/tile"] {
        let answer = send(address, get(path)).await;
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        assert!(answer.header("strongroom-request-id").is_some());
        assert_eq!(answer.header("strict-transport-security"), None, "this is plain HTTP");
        let cache = if path == "/tile" { "public, max-age=60" } else { "no-store" };
        assert_eq!(answer.header("cache-control"), Some(cache), "{path}");
    }
}

#[tokio::test]
async fn the_log_has_one_line_a_request_with_the_template_and_the_injected_time() {
    let (log, _guard) = listen_to_log();
    let clock = Arc::new(TestClock::at(NOON));
    let hands = Arc::clone(&clock);
    let answer = move || {
        hands.pass_ms(1234);
        async { "four" }
    };
    let router = Router::new().route("/item/{id}", on_get(answer));
    let router = wrap(router, clock, Arc::new(SystemRandom), Meter::starting_at(NOON));
    let request = Request::get("/item/7?q=1").body(Body::empty()).unwrap();
    let answer = router.clone().oneshot(request).await.unwrap();
    let lines = log.lines_with("answered");
    assert_eq!(lines.len(), 1, "{lines:?}");
    let id = answer.headers()["strongroom-request-id"].to_str().unwrap();
    for part in ["GET", "\"/item/{id}\"", "status=200", "ms=1234", "bytes=4", id] {
        assert!(lines[0].contains(part), "{part} in {}", lines[0]);
    }
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_a_line_as_well() {
    let (log, _guard) = listen_to_log();
    let stuck = || async { std::future::pending::<&str>().await };
    let mut router = wrapped(Router::new().route("/x", on_get(stuck)));
    let mut answer = Box::pin(router.call(Request::get("/x").body(Body::empty()).unwrap()));
    std::future::poll_fn(|context| {
        assert!(answer.as_mut().poll(context).is_pending());
        Poll::Ready(())
    })
    .await;
    drop(answer);
    assert_eq!(log.lines_with("the caller went away").len(), 1);
}

#[tokio::test]
async fn without_randomness_there_is_an_error_and_no_answer() {
    struct Dry;
    impl Random for Dry {
        fn fill(&self, _: &mut [u8]) -> Result<(), CryptoError> {
            Err(CryptoError::Exhausted)
        }
    }
    let router = Router::new().route("/x", on_get(|| async { "yes" }));
    let router =
        wrap(router, Arc::new(TestClock::at(NOON)), Arc::new(Dry), Meter::starting_at(NOON));
    let answer = router.oneshot(Request::get("/x").body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn a_handler_learns_who_called_and_when() {
    let (sender, mut calls) = tokio::sync::mpsc::unbounded_channel();
    let answer = move |call: Call| async move { sender.send(call).unwrap() };
    let answer = send(open(Router::new().route("/x", on_get(answer))), get("/x")).await;
    let call = calls.recv().await.unwrap();
    assert_eq!(answer.header("strongroom-request-id").unwrap(), call.request.to_string());
    assert_eq!(call.now, TestClock::at(NOON).now());
    let network = "127.0.0.1".parse().unwrap();
    assert_eq!(call.peer, Some(Peer { network: Some(network), secure: Secure::Plain }));
}

#[tokio::test]
async fn credentials_are_left_out_when_headers_are_printed_for_debugging() {
    let print = |headers: axum::http::HeaderMap| async move { format!("{headers:?}") };
    let address = open(Router::new().route("/x", on_get(print)));
    let secrets = "Authorization: Bearer geheim\r\nCookie: a=geheim\r\nX-Open: offen";
    let request = get("/x").replace("Host: x", &format!("Host: x\r\n{secrets}"));
    let printed = send(address, request).await.body;
    assert!(printed.contains("offen") && !printed.contains("geheim"), "{printed}");
}

#[test]
fn the_described_page_is_the_real_one() {
    let described = serde_json::to_value(Paging::into_params(|| None)).unwrap();
    assert_eq!(described[0]["name"], "limit");
    assert_eq!(described[0]["in"], "query");
    assert_eq!(described[0]["required"], false);
    assert_eq!(described[0]["schema"]["maximum"], PAGE_ITEMS_MAX);
    assert_eq!(described[0]["schema"]["default"], 50);
    assert_eq!(described[1]["name"], "cursor");
    assert_eq!(described[1]["required"], false);
    let problem = serde_json::to_value(Problem::schema()).unwrap();
    let members = ["type", "title", "status", "code", "detail", "request_id"];
    assert_eq!(problem["required"], serde_json::json!(members));
    let page = serde_json::to_value(Page::<u16>::schema()).unwrap();
    assert_eq!(page["required"], serde_json::json!(["items"]));
}

#[tokio::test]
async fn pages_are_bounded_and_cursors_opaque() {
    let list = |paging: Paging| async move {
        axum::Json(Page { items: vec![paging.limit], next: paging.cursor })
    };
    let address = open(Router::new().route("/x", on_get(list)));
    let good = [
        ("/x", r#"{"items":[50]}"#),
        ("/x?", r#"{"items":[50]}"#),
        ("/x?limit=200&fields=name", r#"{"items":[200]}"#),
        ("/x?cursor=MFRGG&limit=1", r#"{"items":[1],"next":"MFRGG"}"#),
    ];
    for (path, body) in good {
        let answer = send(address, get(path)).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, body), "{path}");
    }
    let long = format!("cursor={}", "A".repeat(200));
    let bad = [
        ("limit=201", "bad_limit"),
        ("limit=0", "bad_limit"),
        ("limit=", "bad_limit"),
        ("limit", "bad_limit"),
        ("limit=+5", "bad_limit"),
        ("limit=-1", "bad_limit"),
        ("limit=99999999999", "bad_limit"),
        ("limit=5&limit=5", "bad_limit"),
        ("cursor=", "bad_cursor"),
        ("cursor=mfrgg", "bad_cursor"),
        ("cursor=MFRGH", "bad_cursor"),
        ("cursor=MFRGG%3D", "bad_cursor"),
        ("cursor=MFRGG&cursor=MFRGG", "bad_cursor"),
        (&long, "bad_cursor"),
    ];
    for (query, code) in bad {
        let answer = send(address, get(&format!("/x?{query}"))).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, code), "{query}");
        assert_eq!(answer.json()["errors"][0]["code"], code);
    }
}

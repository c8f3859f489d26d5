//! Bodies that are no JSON, too large, or of another shape than the door takes.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::Frame;
use serde_json::{Value, json};

use super::{Watched, check};
use strongroom::router::openapi;

use crate::support::{POLICY, person};

#[tokio::test]
async fn a_body_that_is_not_the_one_asked_for_is_refused_at_every_door() {
    let watched = Watched::open().await;
    for door in doors(&watched) {
        let whole = door.body.to_string();
        for (bad, code) in broken(&whole) {
            let answer = watched.raw(door.role, door.method, &door.path, bad, &TYPED).await;
            check(&answer, 400, code, &["kanari", "Ada Example"]);
        }
        for (bad, code) in misshapen(&door) {
            let bad = bad.to_string();
            let answer = watched.raw(door.role, door.method, &door.path, bad.clone(), &TYPED).await;
            assert_eq!(answer.status.as_u16() / 100, 4, "{bad} at {}: {}", door.path, answer.json);
            if let Some(code) = code {
                check(&answer, 400, code, &["kanari", "Ada Example"]);
            }
        }
    }
    watched.is_as_before().await;
}

#[tokio::test]
async fn a_body_of_ten_megabytes_is_refused_whether_it_says_so_or_not() {
    let watched = Watched::open().await;
    let huge = format!("{{\"fields\":{{\"note\":\"{}\"}}}}", "kanari ".repeat(1_500_000));
    for door in doors(&watched) {
        let answer = watched.raw(door.role, door.method, &door.path, huge.clone(), &TYPED).await;
        check(&answer, 413, "body_too_large", &["kanari"]);
        assert!(answer.json["detail"].as_str().unwrap().contains("in parts"));
        // In pieces, so that no length is announced.
        let body = Body::new(Pieces(Bytes::from(huge.clone())));
        let answer = watched.raw(door.role, door.method, &door.path, body, &TYPED).await;
        check(&answer, 413, "body_too_large", &["kanari"]);
    }
    watched.is_as_before().await;
}

#[tokio::test]
async fn another_content_type_is_refused() {
    let watched = Watched::open().await;
    let kinds: [&[(&str, &str)]; 7] = [
        &[],
        &[("content-type", "text/plain")],
        &[("content-type", "application/x-www-form-urlencoded")],
        &[("content-type", "application/json; charset=kanari")],
        &[("content-type", "application/json"), ("content-encoding", "gzip")],
        &[("content-type", "application/json"), ("content-type", "application/json")],
        &[("content-type", "application/merge-patch+xml")],
    ];
    for door in doors(&watched) {
        for kind in kinds {
            let body = door.body.to_string();
            let answer = watched.raw(door.role, door.method, &door.path, body, kind).await;
            check(&answer, 400, "unsupported_media_type", &["kanari"]);
        }
    }
    watched.is_as_before().await;
}

#[tokio::test]
async fn an_address_or_method_that_does_not_exist_is_said_so() {
    let watched = Watched::open().await;
    let calls = [
        ("GET", "/", 404, "unknown_route"),
        ("GET", "/v2/customers", 404, "unknown_route"),
        ("GET", "/v1/customers/", 404, "unknown_route"),
        ("GET", "/v1/../v1/keys", 404, "unknown_route"),
        ("GET", "/v1/customers", 405, "method_not_allowed"),
        ("BREW", "/v1/customers", 405, "method_not_allowed"),
        ("DELETE", "/v1/policy", 405, "method_not_allowed"),
    ];
    for (method, path, status, code) in calls {
        let answer = watched.raw("shop", method, path, "", &[]).await;
        check(&answer, status, code, &["/v2", "BREW"]);
        assert_eq!(answer.headers.contains_key("allow"), status == 405);
    }
}

/// A door that takes a body, and one that it would take.
struct Door {
    role: &'static str,
    method: &'static str,
    path: String,
    body: Value,
}

/// All of them.
fn doors(watched: &Watched) -> Vec<Door> {
    let mut doors = doors_of_people(watched);
    doors.extend(doors_of_the_house(watched));
    doors
}

#[tokio::test]
async fn every_door_that_takes_a_body_is_among_these() {
    let doors = doors(&Watched::open().await);
    let document = serde_json::to_value(openapi()).unwrap();
    let mut missing = Vec::new();
    for (pattern, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let is_it =
                |it: &Door| it.method == method.to_uppercase() && stands_for(pattern, &it.path);
            if operation.get("requestBody").is_some() && !doors.iter().any(is_it) {
                missing.push(format!("{method} {pattern}"));
            }
        }
    }
    assert_eq!(missing, [""; 0]);
}

fn stands_for(pattern: &str, path: &str) -> bool {
    let (pattern, path) = (pattern.split('/'), path.split('/'));
    let pairs: Vec<_> = pattern.clone().zip(path.clone()).collect();
    pattern.count() == path.count()
        && pairs.iter().all(|(part, is)| part.starts_with('{') || part == is)
}

/// Doors to customers.
fn doors_of_people(watched: &Watched) -> Vec<Door> {
    let customer = watched.customer_path();
    let id = customer.rsplit('/').next().unwrap_or_default();
    let door = |role, method, path: &str, body| Door { role, method, path: path.to_owned(), body };
    let own =
        |role, method, tail: &str, body| door(role, method, &format!("{customer}{tail}"), body);
    let record = "/records/rec_00000000000000000000000000";
    let mut item = person(7);
    item["ref"] = json!("shop/7");
    vec![
        door("shop", "POST", "/v1/customers:batch", json!({ "items": [item] })),
        door("desk", "POST", "/v1/customers/lookup", json!({ "email": "ada.1@mail.example" })),
        door("shop", "POST", "/v1/customers/read", json!({ "ids": [id], "fields": ["name"] })),
        own("shop", "PUT", "/consents/marketing", json!({ "how": "phone" })),
        own("privacy", "POST", "/merge", json!({ "other": id, "other_version": 1 })),
        own("shop", "POST", "/records", json!({ "kind": "invoice", "fields": { "number": "47" } })),
        own("shop", "PATCH", record, json!({ "fields": { "body": "rings at noon" } })),
        own(
            "desk",
            "POST",
            &format!("{record}/reveal"),
            json!({ "fields": ["invoice.number"], "reason": "return" }),
        ),
        door("shop", "POST", "/v1/tokens", json!({ "customer": id, "field": "name" })),
        door("desk", "POST", "/v1/tokens/detokenize", json!({ "tokens": ["tok_00"] })),
        door("privacy", "POST", "/v1/exports", json!({ "fields": ["name"] })),
        door("importer", "PUT", "/v1/imports/maps/old-shop", json!({ "columns": [] })),
        door("admin", "POST", "/v1/webhooks", json!({ "url": "https://shop.example/hooks" })),
        door(
            "admin",
            "POST",
            "/v1/webhooks/hook_00000000000000000000000000/replay",
            json!({ "since": "2026-11-21T10:00:00Z" }),
        ),
    ]
}

fn doors_of_the_house(watched: &Watched) -> Vec<Door> {
    let customer = watched.customer_path();
    let id = customer.rsplit('/').next().unwrap_or_default();
    let door = |role, method, path: &str, body| Door { role, method, path: path.to_owned(), body };
    let hash = "ab".repeat(32);
    let mut row = person(7);
    row["line"] = json!(1);
    let rows = "/v1/imports/imp_00000000000000000000000000/rows";
    let why = json!({ "role": "desk", "purpose": "support", "field": "email", "wish": "read" });
    let scope = json!({ "actor": "operator", "from": "2026-11-01T00:00:00Z",
        "to": "2026-12-01T00:00:00Z" });
    vec![
        door("shop", "POST", "/v1/customers", person(7)),
        door("shop", "PUT", "/v1/customers/ref/shop/order-1", person(7)),
        door("shop", "PATCH", &customer, json!({ "fields": { "name": "Ada Example7" } })),
        door(
            "desk",
            "POST",
            &format!("{customer}/reveal"),
            json!({ "fields": ["name"], "reason": "return", "ticket": "T-7" }),
        ),
        door(
            "desk",
            "POST",
            &format!("{customer}/relations"),
            json!({ "name": "enquiry", "act": "touch", "last": "2026-11-20T10:00:00Z" }),
        ),
        door("admin", "PUT", &format!("{customer}/hold"), json!({ "reason": "case 7" })),
        door("importer", "POST", "/v1/imports", json!({ "file_sha256": hash, "map_sha256": hash })),
        door("importer", "POST", rows, json!({ "first": 0, "rows": [row] })),
        door("importer", "POST", "/v1/imports/dry-run", json!({ "rows": [row] })),
        door("privacy", "POST", "/v1/ledger/scope", scope),
        door(
            "admin",
            "PUT",
            "/v1/places/cabinet",
            json!({ "kind": "paper_box", "owner": "front desk" }),
        ),
        door("admin", "POST", "/v1/places/cabinet/close", json!({ "evidence": "ticket 4" })),
        door("shop", "POST", "/v1/outlets/parcel-news/send", json!({ "customers": [id] })),
        door(
            "shop",
            "POST",
            "/v1/shares",
            json!({ "customer": id, "fields": ["name"], "recipient": "courier-7", "hours": 24 }),
        ),
        door("shop", "POST", "/v1/shares/open", json!({ "secret": "sr_share_00" })),
        door("admin", "POST", "/v1/policy", json!({ "policy": POLICY })),
        door("admin", "POST", "/v1/policy/check", json!({ "policy": POLICY })),
        door(
            "admin",
            "POST",
            "/v1/keys",
            json!({ "name": "till", "role": "desk", "purposes": ["support"], "days": 7 }),
        ),
        door("admin", "POST", "/v1/rotations", json!({ "what": "root" })),
        door("admin", "POST", "/v1/access/why", why),
    ]
}

/// Texts that are no JSON object, and the codes that may be given.
fn broken(whole: &str) -> Vec<(Vec<u8>, &'static str)> {
    let mut bad: Vec<(Vec<u8>, &'static str)> = vec![
        (b"".to_vec(), "bad_json"),
        (b" \n ".to_vec(), "bad_json"),
        (b"kanari".to_vec(), "bad_json"),
        (b"{\"kanari".to_vec(), "bad_json"),
        (b"\xff\xfe{\0}\0".to_vec(), "bad_json"),
        (format!("{whole} kanari").into_bytes(), "bad_json"),
        (format!("{whole}{whole}").into_bytes(), "bad_json"),
        (format!("{whole}\0").into_bytes(), "bad_json"),
        (format!("\u{feff}{whole}").into_bytes(), "bad_json"),
        (format!("[{whole}]").into_bytes(), "bad_type"),
        (b"\"kanari\"".to_vec(), "bad_type"),
        (b"null".to_vec(), "bad_type"),
        (b"17".to_vec(), "bad_type"),
        ("[".repeat(100_000).into_bytes(), "bad_json"),
        ("{\"kanari\":".repeat(20_000).into_bytes(), "bad_json"),
        (b"{\"kanari\":1,\"kanari\":2}".to_vec(), "duplicate_member"),
    ];
    for cut in [1, whole.len() / 3, whole.len() / 2, whole.len() - 1] {
        bad.push((whole.as_bytes()[..cut].to_vec(), "bad_json"));
    }
    let mut not_utf8 = whole.as_bytes().to_vec();
    let middle = whole.find(':').unwrap() + 2;
    not_utf8.insert(middle, 0xc3);
    bad.push((not_utf8, "bad_json"));
    bad
}

/// Objects of another shape: a member of another type, one too many, one too few; with the code
/// where the shape itself decides.
fn misshapen(door: &Door) -> Vec<(Value, Option<&'static str>)> {
    let members = door.body.as_object().unwrap();
    let (one_more, one_less) = match door.path.as_str() {
        // A field and its value: there is no other shape.
        "/v1/customers/lookup" => ("one_field", "one_field"),
        // One or several.
        "/v1/tokens" | "/v1/tokens/detokenize" => ("unknown_member", "one_form"),
        _ => ("unknown_member", "missing_member"),
    };
    let mut bad = Vec::new();
    let mut more = members.clone();
    more.insert("kanari".to_owned(), json!(1));
    bad.push((Value::Object(more), Some(one_more)));
    for (name, value) in members {
        let others = [json!("kanari"), json!(-1), json!(1.5), json!(true), json!([{}]), json!({})];
        let is_other =
            |other: &Value| std::mem::discriminant(other) != std::mem::discriminant(value);
        for other in others.into_iter().filter(is_other) {
            let mut changed = members.clone();
            changed.insert(name.clone(), other);
            bad.push((Value::Object(changed), None));
        }
        let mut changed = members.clone();
        changed.remove(name);
        let optional = ["days", "fields", "last", "purposes", "relations", "ticket"];
        if !optional.contains(&name.as_str()) {
            bad.push((Value::Object(changed), Some(one_less)));
        }
    }
    bad
}

/// A body that comes in pieces and does not say how many.
struct Pieces(Bytes);

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        if self.0.is_empty() {
            return Poll::Ready(None);
        }
        let size = self.0.len().min(64 * 1024);
        Poll::Ready(Some(Ok(Frame::data(self.0.split_to(size)))))
    }
}

const TYPED: [(&str, &str); 1] = [("content-type", "application/json")];

//! Ids, pages, versions, chunks: too large, too small, of something else.

use serde_json::{Value, json};

use super::{Watched, check};
use crate::support::person;

#[tokio::test]
async fn an_id_of_something_else_is_refused_and_an_unknown_one_is_not_found() {
    let watched = Watched::open().await;
    let unknown = "00000000000000000000000000";
    let key = watched.shop.as_operator("GET", "/v1/keys", None).await.json["keys"][0]["id"].clone();
    let bad = [
        key.as_str().unwrap().to_owned(),
        watched.id.to_uppercase(),
        watched.id.replace("cus_", ""),
        format!("{}0", watched.id),
        format!("cus_{}", "u".repeat(26)),
        format!("cus_{}", "z".repeat(26)) + "%20",
        format!("cus_{}", "0".repeat(8_000)),
        "-1".to_owned(),
        "%00".to_owned(),
        "cus_%2e%2e%2f".to_owned(),
    ];
    for id in &bad {
        for (role, method, tail, body) in doors() {
            let path = format!("/v1/customers/{id}{tail}");
            let headers = [("if-match", "\"1\"")];
            let answer = watched.shop.call_with(role, method, &path, body, &headers).await;
            check(&answer, 400, "bad_id", &[id.as_str()]);
        }
    }
    for (role, method, tail, body) in doors() {
        let path = format!("/v1/customers/cus_{unknown}{tail}");
        let headers = [("if-match", "\"1\"")];
        let answer = watched.shop.call_with(role, method, &path, body, &headers).await;
        check(&answer, 404, "not_found", &[unknown]);
    }
    let path = format!("/v1/keys/{}", watched.id);
    check(&watched.shop.call("admin", "DELETE", &path, None).await, 400, "bad_id", &[]);
    let path = format!("/v1/keys/key_{unknown}");
    check(&watched.shop.call("admin", "DELETE", &path, None).await, 404, "not_found", &[]);
    watched.is_as_before().await;
}

/// Doors that name a customer in their address and need nothing else that may not be there.
fn doors() -> Vec<(&'static str, &'static str, &'static str, Option<Value>)> {
    vec![
        ("shop", "GET", "?fields=name", None),
        ("shop", "PATCH", "", Some(json!({ "fields": { "note": "x" } }))),
        ("privacy", "DELETE", "", None),
        ("privacy", "DELETE", "/erasure", None),
        ("desk", "POST", "/reveal", Some(json!({ "fields": ["name"], "reason": "return" }))),
        ("desk", "POST", "/relations", Some(json!({ "name": "enquiry", "act": "touch" }))),
        ("shop", "GET", "/ledger", None),
        ("shop", "GET", "/consents", None),
        ("shop", "PUT", "/consents/marketing", Some(json!({ "how": "phone" }))),
        ("shop", "DELETE", "/consents/marketing", None),
        ("shop", "GET", "/records?fields=invoice.number", None),
        (
            "shop",
            "POST",
            "/records",
            Some(json!({ "kind": "invoice", "fields": { "number": "47" } })),
        ),
        ("admin", "PUT", "/hold", Some(json!({ "reason": "case 7" }))),
    ]
}

#[tokio::test]
async fn limits_and_cursors_that_are_not_ours_are_refused() {
    let watched = Watched::open().await;
    let path = format!("{}/ledger", watched.customer_path());
    for limit in ["0", "-1", "201", "1e2", "+5", "ten", "", "99999999999999999999", "1&limit=2"] {
        let answer = watched.shop.call("shop", "GET", &format!("{path}?limit={limit}"), None).await;
        check(&answer, 400, "bad_limit", &["99999999999999999999"]);
    }
    let foreign = data_encoding::BASE32_NOPAD.encode(b"a cursor of another list");
    let long = "A".repeat(9_000);
    for cursor in ["kanari", "", "=", "AAAA", foreign.as_str(), long.as_str(), "AE&cursor=AE"] {
        let answer =
            watched.shop.call("shop", "GET", &format!("{path}?cursor={cursor}"), None).await;
        check(&answer, 400, "bad_cursor", &["kanari", &foreign, &long]);
    }
    for index in ["-1", "kanari", "1.5", "99999999999999999999"] {
        let path = format!("/v1/ledger/proof/{index}");
        check(&watched.shop.call("shop", "GET", &path, None).await, 400, "bad_index", &["kanari"]);
    }
    for index in ["1000000", "18446744073709551615"] {
        let path = format!("/v1/ledger/proof/{index}");
        let answer = watched.shop.call("shop", "GET", &path, None).await;
        check(&answer, 404, "not_found", &[]);
        assert!(answer.json["detail"].as_str().unwrap().starts_with("the log has "), "{answer:?}");
    }
    watched.is_as_before().await;
}

#[tokio::test]
async fn a_cursor_far_beyond_the_end_is_the_first_page() {
    let watched = Watched::open().await;
    let path = format!("{}/ledger?limit=1", watched.customer_path());
    for position in [u64::MAX, u64::MAX - 1, 1 << 40] {
        let cursor = data_encoding::BASE32_NOPAD.encode(&position.to_be_bytes());
        let page = watched.shop.call("shop", "GET", &format!("{path}&cursor={cursor}"), None).await;
        assert_eq!(page.status, 200, "{}", page.json);
        assert_eq!(page.json["items"].as_array().unwrap().len(), 1);
    }
    let cursor = data_encoding::BASE32_NOPAD.encode(&0_u64.to_be_bytes());
    let page = watched.shop.call("shop", "GET", &format!("{path}&cursor={cursor}"), None).await;
    assert_eq!(page.json, json!({ "items": [] }), "before the first there is nothing");
}

#[tokio::test]
async fn a_version_that_is_none_changes_nothing() {
    let watched = Watched::open().await;
    let path = watched.customer_path();
    let patch = json!({ "fields": { "note": "kanari" } }).to_string();
    for version in
        ["*", "W/\"1\"", "kanari", "-1", "1.0", "\"1\", \"2\"", "", "0x1", "\"\"", ONE_TOO_MANY]
    {
        let headers = [("content-type", "application/json"), ("if-match", version)];
        let answer = watched.raw("shop", "PATCH", &path, patch.clone(), &headers).await;
        check(&answer, 400, "bad_if_match", &["kanari"]);
    }
    for version in ["\"0\"", "\"2\"", "\"18446744073709551615\""] {
        let headers = [("content-type", "application/json"), ("if-match", version)];
        let answer = watched.raw("shop", "PATCH", &path, patch.clone(), &headers).await;
        check(&answer, 412, "version_changed", &["kanari"]);
    }
    let headers = [("content-type", "application/json")];
    let answer = watched.raw("shop", "PATCH", &path, patch, &headers).await;
    check(&answer, 412, "if_match_missing", &["kanari"]);
    watched.is_as_before().await;
}

#[tokio::test]
async fn an_import_out_of_step_or_too_large_takes_nothing() {
    let watched = Watched::open().await;
    let shop = &watched.shop;
    let begin = json!({ "file_sha256": "ab".repeat(32), "map_sha256": "cd".repeat(32) });
    let begun = shop.call("importer", "POST", "/v1/imports", Some(begin)).await;
    let path = format!("/v1/imports/{}/rows", begun.json["id"].as_str().unwrap());
    let rows = |number: u64| -> Vec<Value> {
        let row =
            |line| json!({ "line": line, "relations": [{ "name": "enquiry" }], "fields": {} });
        (1..=number).map(row).collect()
    };
    for first in [1_u64, 1_000_000, u64::MAX] {
        let body = json!({ "first": first, "rows": rows(1) });
        let answer = shop.call("importer", "POST", &path, Some(body)).await;
        check(&answer, 409, "import_out_of_step", &[]);
        assert!(answer.json["detail"].as_str().unwrap().contains("row 0"), "{}", answer.json);
    }
    let body = json!({ "first": 0, "rows": rows(4_001) });
    check(&shop.call("importer", "POST", &path, Some(body)).await, 413, "too_many_rows", &[]);
    let body = json!({ "rows": rows(4_001) });
    let tried = shop.call("importer", "POST", "/v1/imports/dry-run", Some(body)).await;
    check(&tried, 413, "too_many_rows", &[]);
    for hash in ["", "AB", "kanari", &"AB".repeat(32), &"ab".repeat(33)] {
        let body = json!({ "file_sha256": hash, "map_sha256": "cd".repeat(32) });
        let answer = shop.call("importer", "POST", "/v1/imports", Some(body)).await;
        check(&answer, 400, "bad_hash", &["kanari"]);
    }
    let unknown = "/v1/imports/imp_00000000000000000000000000/rows";
    let body = json!({ "first": 0, "rows": rows(1) });
    check(&shop.call("importer", "POST", unknown, Some(body)).await, 404, "not_found", &[]);
    watched.is_as_before().await;
}

#[tokio::test]
async fn a_look_that_asks_for_nothing_or_for_too_much_is_refused() {
    let watched = Watched::open().await;
    let (shop, path) = (&watched.shop, watched.customer_path());
    let many: Vec<String> = (0..201).map(|number| format!("field_{number}")).collect();
    let many = many.join(",");
    for fields in ["", ",", "name,,email", " ", many.as_str()] {
        let read = format!("{path}?fields={}", fields.replace(' ', "%20"));
        check(&shop.call("shop", "GET", &read, None).await, 400, "bad_fields", &["field_7"]);
        let list: Vec<&str> = fields.split(',').collect();
        let why = json!({ "fields": list, "reason": "return" });
        let answer = shop.call("desk", "POST", &format!("{path}/reveal"), Some(why)).await;
        check(&answer, 400, "bad_fields", &["field_7"]);
    }
    for query in ["", "?", "?field=name", "?fields=name&fields=email"] {
        let answer = shop.call("shop", "GET", &format!("{path}{query}"), None).await;
        check(&answer, 400, "bad_request", &[]);
    }
    let why = json!({ "fields": ["name"], "reason": "kanari" });
    let answer = shop.call("desk", "POST", &format!("{path}/reveal"), Some(why)).await;
    check(&answer, 422, "reason_unknown", &["kanari"]);
    assert!(answer.json["detail"].as_str().unwrap().contains("`customer called`"));
    for body in [json!({}), json!({ "email": "a@mail.example", "phone": "1" })] {
        let answer = shop.call("desk", "POST", "/v1/customers/lookup", Some(body)).await;
        check(&answer, 400, "one_field", &["a@mail.example"]);
    }
    watched.is_as_before().await;
}

#[tokio::test]
async fn a_reference_that_looks_personal_is_refused() {
    let watched = Watched::open().await;
    let long = "7".repeat(65);
    let keys = ["ada", "ada.lovelace", "ada%40mail.example7", "7%20ada", "7%2fx", &long, "7ö"];
    for key in keys {
        let path = format!("/v1/customers/ref/shop/{}", key.replace('ö', "%C3%B6"));
        let answer = watched.shop.call("shop", "PUT", &path, Some(person(7))).await;
        check(&answer, 422, "bad_reference", &["ada", &long]);
    }
    for source in ["Shop", "my%20shop", "sh_op", &"s".repeat(41)] {
        let path = format!("/v1/customers/ref/{source}/order-7");
        let answer = watched.shop.call("shop", "PUT", &path, Some(person(7))).await;
        check(&answer, 422, "bad_reference", &["order-7"]);
    }
    watched.is_as_before().await;
}

/// One more than the largest number a version can be.
const ONE_TOO_MANY: &str = "\"18446744073709551616\"";

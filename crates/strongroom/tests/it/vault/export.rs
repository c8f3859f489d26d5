//! Taking everything out: each piece written down before it leaves, and read back by the import.

use serde_json::{Value, json};

use crate::support::{Answer, Client, POLICY, Shop};

const PATH: &str = "/v1/exports";

/// The shop's policy, and a role that may take everything out.
fn policy(per_day: u32) -> String {
    format!(
        "{POLICY}
[role.leaver]
may = [\"export\"]
[role.half]
may = [\"export\"]
[purpose.leaving]
title = \"Move to another system\"
[[grant]]
role = \"leaver\"
purpose = \"leaving\"
fields = [\"name\", \"email\", \"phone\", \"address\", \"note\", \"date_of_birth\"]
see = \"clear\"
budget = {{ per_day = {per_day} }}
[[grant]]
role = \"half\"
purpose = \"leaving\"
fields = [\"name\"]
see = \"clear\"
budget = {{ per_day = 10 }}
[[grant]]
role = \"half\"
purpose = \"leaving\"
fields = [\"email\"]
see = \"masked\"
budget = {{ per_day = 10 }}
"
    )
}

async fn shop_of(count: usize, per_day: u32) -> (Shop, Client) {
    let shop = Shop::with_policy(&policy(per_day)).await;
    for number in 0..count {
        shop.customer(number).await;
    }
    let key = shop.new_key("leaver", &["leaving"]).await;
    let client = shop.client_with(&key);
    (shop, client)
}

async fn export(client: &Client, body: Value) -> Answer {
    client.call_plain("POST", PATH, Some(body), &[("strongroom-purpose", "leaving")]).await
}

fn lines(answer: &Answer) -> Vec<Value> {
    let text = String::from_utf8(answer.bytes.clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn what_was_exported_is_imported_again_word_for_word() {
    let (shop, client) = shop_of(7, 100).await;
    let hidden = shop.customer(50).await;
    let asked = shop.call("privacy", "DELETE", &format!("/v1/customers/{hidden}"), None).await;
    assert_eq!(asked.status, 202);
    let gone = export(&client, json!({})).await;
    assert_eq!(gone.status, 200, "{:?}", gone.json);
    let mut lines = lines(&gone);
    assert_eq!(lines.pop().unwrap(), json!({ "end": { "customers": 7 } }));
    assert_eq!(lines.len(), 7, "who asked to be forgotten does not leave");
    assert!(lines.iter().all(|line| line["id"] != json!(hidden)));

    let (other, other_client) = shop_of(0, 100).await;
    let hash = "ab".repeat(32);
    let begin = json!({ "file_sha256": hash, "map_sha256": hash });
    let begun = other.call("importer", "POST", "/v1/imports", Some(begin)).await;
    let rows: Vec<Value> = (1..)
        .zip(&lines)
        .map(|(number, line)| {
            json!({ "line": number, "relations": line["relations"], "fields": line["fields"] })
        })
        .collect();
    let path = format!("/v1/imports/{}/rows", begun.json["id"].as_str().unwrap());
    let body = json!({ "first": 0, "rows": rows });
    let taken = other.call("importer", "POST", &path, Some(body)).await;
    assert_eq!(taken.json["created"], 7, "{}", taken.json);
    let back = export(&other_client, json!({})).await;
    let told = |lines: &[Value]| {
        let mut told: Vec<String> = lines
            .iter()
            .filter(|line| line.get("id").is_some())
            .map(|line| json!([line["relations"], line["fields"]]).to_string())
            .collect();
        told.sort();
        told
    };
    assert_eq!(told(&self::lines(&back)), told(&lines));
}

#[tokio::test]
async fn entry_first_each_piece_is_written_down_with_whose_data_it_holds() {
    let (shop, client) = shop_of(5, 100).await;
    let before = shop.ledger_size();
    let mut after = Value::Null;
    let mut ids = Vec::new();
    loop {
        let mut body = json!({ "limit": 2, "fields": ["email"] });
        if after != Value::Null {
            body["after"] = after;
        }
        let piece = export(&client, body).await;
        assert_eq!(piece.status, 200, "{:?}", piece.json);
        let here = lines(&piece);
        ids.extend(here.iter().filter_map(|line| line["id"].as_str().map(str::to_owned)));
        match piece.headers.get("strongroom-next") {
            Some(next) => after = json!(next.to_str().unwrap()),
            None => break,
        }
    }
    assert_eq!(ids.len(), 5);
    let entries = shop.entries_from(before).await;
    let told: Vec<(&str, u64)> = entries.iter().map(|it| (it.verb.as_str(), it.count)).collect();
    let expected = [
        ("export.begin", 0),
        ("export.piece", 2),
        ("export.piece", 2),
        ("export.piece", 1),
        ("export.end", 1),
    ];
    assert_eq!(told, expected);
    for id in ids {
        let looks = format!("/v1/customers/{id}/ledger");
        let looks = shop.call("shop", "GET", &looks, None).await;
        assert_eq!(looks.json["items"][0]["act"], "export.piece", "{}", looks.json);
        assert_eq!(looks.json["items"][0]["fields"], json!(["email"]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_of_a_thousand_is_streamed_and_breaks_off_where_the_budget_ends() {
    let (shop, client) = shop_of(0, 1_100).await;
    let bare = |number: usize| {
        json!({ "ref": format!("shop/{number}"), "relations": [{ "name": "enquiry" }],
            "fields": { "note": format!("order {number}") } })
    };
    for batch in [0..1_000, 1_000..1_200] {
        let items: Vec<Value> = batch.map(bare).collect();
        let body = json!({ "items": items });
        let made = shop.call("shop", "POST", "/v1/customers:batch", Some(body)).await;
        assert_eq!(made.status, 200);
    }
    let key = shop.new_key("leaver", &["leaving"]).await;
    drop(client);
    let request = axum::http::Request::builder()
        .method("POST")
        .uri(PATH)
        .header("authorization", format!("Bearer {key}"))
        .header("strongroom-purpose", "leaving")
        .header("content-type", "application/json")
        .body(axum::body::Body::from("{}"))
        .unwrap();
    let answer = tower::ServiceExt::oneshot(shop.router(), request).await.unwrap();
    assert_eq!(answer.status(), 200);
    let mut body = answer.into_body();
    let mut text = Vec::new();
    let mut broken = false;
    while let Some(frame) = http_body_util::BodyExt::frame(&mut body).await {
        match frame {
            Ok(frame) => text.extend_from_slice(&frame.into_data().unwrap()),
            Err(_) => broken = true,
        }
    }
    assert!(broken, "an answer that is not whole does not end well");
    let got = String::from_utf8(text).unwrap();
    assert_eq!(got.lines().count(), 1_000);
    assert!(!got.contains("\"end\""));
    // Looking again costs nothing that day; the rest is the next day's.
    let last: Value = serde_json::from_str(got.lines().last().unwrap()).unwrap();
    let rest = json!({ "after": last["id"], "limit": 500 });
    let client = shop.client_with(&key);
    assert_eq!(export(&client, json!({ "limit": 500 })).await.status, 200);
    assert_eq!(export(&client, rest.clone()).await.code(), "budget_spent");
    shop.clock.pass_ms(86_400_000);
    let rest = export(&client, rest).await;
    assert_eq!(lines(&rest).last().unwrap(), &json!({ "end": { "customers": 200 } }));
}

#[tokio::test]
async fn masked_fields_and_callers_without_the_right_export_nothing() {
    let (shop, client) = shop_of(2, 100).await;
    let half = shop.client_with(&shop.new_key("half", &["leaving"]).await);
    let name = export(&half, json!({})).await;
    assert_eq!(lines(&name)[0]["fields"].as_object().unwrap().len(), 1, "what is clear, no more");
    let email = export(&half, json!({ "fields": ["email"] })).await;
    assert_eq!((email.status.as_u16(), email.code()), (403, "grant_missing"));
    let unknown = export(&client, json!({ "fields": ["shoe_size"] })).await;
    assert_eq!((unknown.status.as_u16(), unknown.code()), (403, "field_unknown"));
    let shop_key = shop.call("shop", "POST", PATH, Some(json!({ "fields": ["name"] }))).await;
    assert_eq!((shop_key.status.as_u16(), shop_key.code()), (403, "right_missing"));
    let headers = [("strongroom-purpose", "delivery")];
    let body = Some(json!({ "fields": ["name"] }));
    let clear = shop.client("shop").call_plain("POST", PATH, body, &headers).await;
    assert_eq!(clear.code(), "right_missing", "a clear grant alone is no export");
    let spent = export(&client, json!({ "limit": 501 })).await;
    assert_eq!(spent.code(), "bad_limit");
}

#[tokio::test]
async fn a_kept_map_changed_by_sql_is_told_not_used() {
    let mut shop = Shop::open().await;
    let path = "/v1/imports/maps/old-shop";
    let map = json!({ "columns": [{ "field": "email", "column": "E-Mail" }] });
    assert_eq!(shop.call("importer", "PUT", path, Some(map)).await.status, 204);
    let kept = shop.call("importer", "GET", path, None).await;
    assert_eq!(kept.json["columns"], json!([{ "field": "email", "column": "E-Mail" }]));
    shop.stop();
    let sql = "UPDATE import_map SET map = replace(map, 'email', 'note')";
    crate::support::intrude(&shop.data_file(), sql);
    shop.start().await.unwrap();
    let changed = shop.call("importer", "GET", path, None).await;
    assert_eq!((changed.status.as_u16(), changed.code()), (503, "tampered"));
}

#[tokio::test]
async fn no_cell_of_a_table_is_run_as_a_formula() {
    let (shop, client) = shop_of(0, 100).await;
    let notes = ["=1+1", "+1", "-1", "@SUM(A1)", "plain \"quoted\", and more"];
    for note in notes {
        let body = json!({ "relations": [{ "name": "enquiry" }, { "name": "purchase" }],
            "fields": { "note": note, "phone": "+44 20 7946 0001",
                "address": { "lines": ["=cmd", "2 Quay"], "city": "Whitby", "country": "GB" } } });
        let made = shop.call("shop", "POST", "/v1/customers", Some(body)).await;
        assert_eq!(made.status, 201, "{:?}", made.json);
    }
    let fields = json!(["note", "phone", "address"]);
    let table = export(&client, json!({ "format": "csv", "fields": fields })).await;
    assert_eq!(table.headers["content-type"], "text/csv; charset=utf-8; header=present");
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(&*table.bytes);
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 6);
    let mut found = Vec::new();
    for row in &rows {
        for cell in row {
            assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{cell}");
        }
        found.push(row[5].to_owned());
    }
    found.sort();
    assert!(found.contains(&"'=1+1".to_owned()) && found.contains(&notes[4].to_owned()));
}

#[tokio::test]
async fn a_customer_whose_key_is_missing_is_named_and_keeps_nobody_else_in() {
    let (mut shop, client) = shop_of(3, 100).await;
    drop(client);
    let key = shop.new_key("leaver", &["leaving"]).await;
    shop.stop();
    let sql = "DELETE FROM dek WHERE id IN (SELECT id FROM dek LIMIT 1)";
    crate::support::intrude(&shop.keys_file(), sql);
    shop.start().await.unwrap();
    let gone = export(&shop.client_with(&key), json!({})).await;
    let lines = lines(&gone);
    assert_eq!(lines.len(), 4);
    let unreadable: Vec<&Value> =
        lines.iter().filter(|it| it.get("unreadable").is_some()).collect();
    assert_eq!(unreadable.len(), 1);
    assert_eq!(unreadable[0]["unreadable"], "key_missing");
    assert!(unreadable[0].get("fields").is_none());
}

#[tokio::test]
async fn who_has_not_consented_to_the_purpose_does_not_leave() {
    let asking = policy(100).replace(
        "title = \"Move to another system\"",
        "title = \"Move to another system\"\nneeds_consent = true",
    );
    let shop = Shop::with_policy(&asking).await;
    let ids = [shop.customer(1).await, shop.customer(2).await];
    let given = format!("/v1/customers/{}/consents/leaving", ids[1]);
    let body = Some(json!({ "how": "paper" }));
    assert_eq!(shop.call("shop", "PUT", &given, body).await.status, 200);
    let client = shop.client_with(&shop.new_key("leaver", &["leaving"]).await);
    let left = lines(&export(&client, json!({})).await);
    assert_eq!(left.len(), 2, "{left:?}");
    assert_eq!(left[0]["id"], json!(ids[1]));
}

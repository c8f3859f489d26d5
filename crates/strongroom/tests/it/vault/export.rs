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
[role.settler]
may = [\"import\", \"relate\"]
[purpose.leaving]
title = \"Move to another system\"
[[grant]]
role = \"leaver\"
purpose = \"leaving\"
fields = [\"name\", \"email\", \"phone\", \"address\", \"note\", \"date_of_birth\", \"invoice.number\",
  \"invoice.total\"]
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
    crate::support::intrude(shop.data(), sql);
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
    crate::support::intrude(shop.keys(), sql);
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

#[tokio::test]
async fn references_consents_and_records_leave_too_and_all_but_records_come_back() {
    let (shop, client) = shop_of(1, 100).await;
    let body = json!({ "relations": [{ "name": "purchase" }],
        "fields": { "name": "Ada Example", "email": "ada@mail.example" } });
    let made = shop.call("shop", "PUT", "/v1/customers/ref/webshop/4711", Some(body)).await;
    assert_eq!(made.status, 201, "{made:?}");
    let id = made.json["id"].as_str().unwrap();
    let given = json!({ "how": "form", "at": "2026-02-03T10:00:00Z" });
    let path = format!("/v1/customers/{id}/consents/marketing");
    assert_eq!(shop.call("shop", "PUT", &path, Some(given)).await.status, 200);
    let invoice = json!({ "kind": "invoice", "issued": "2026-03-04",
        "fields": { "number": "2026-17", "billing_name": "Ada Example", "total": 12.5 } });
    let path = format!("/v1/customers/{id}/records");
    let record = shop.call("shop", "POST", &path, Some(invoice)).await;
    assert_eq!(record.status, 201, "{record:?}");

    let gone = export(&client, json!({ "place": "new-system" })).await;
    assert_eq!(gone.status, 200, "{:?}", gone.json);
    let all = lines(&gone);
    let line = all.iter().find(|line| line["id"] == json!(id)).unwrap();
    assert_eq!(line["references"], json!(["webshop/4711"]));
    let said = json!([{ "purpose": "marketing", "given": "2026-02-03T10:00:00.000Z",
        "how": "form", "withdrawn": null }]);
    assert_eq!(line["consents"], said);
    let records = json!([{ "id": record.json["id"], "kind": "invoice", "version": 1,
        "issued": "2026-03-04", "corrects": null,
        "fields": { "number": "2026-17", "total": 12.5 } }]);
    assert_eq!(line["records"], records, "the billing name is not granted");
    let few = lines(&export(&client, json!({ "fields": ["name"] })).await);
    let few = few.iter().find(|line| line["id"] == json!(id)).unwrap();
    assert!(few.get("consents").is_none() && few.get("references").is_none(), "{few}");
    let table = export(&client, json!({ "format": "csv" })).await;
    let table = String::from_utf8(table.bytes).unwrap();
    assert!(table.contains("\"given 2026-02-03T10:00:00.000Z\",\"webshop/4711\""), "{table}");
    let refused = export(&client, json!({ "format": "csv", "fields": ["invoice.total"] })).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (422, "records_in_csv"));

    let rows: Vec<Value> = [line]
        .iter()
        .map(|line| {
            json!({ "line": 1, "relations": line["relations"], "fields": line["fields"],
                "references": line["references"], "consents": line["consents"] })
        })
        .collect();
    let (other, _) = shop_of(0, 100).await;
    let imported = |key: String| {
        let (client, rows) = (other.client_with(&key), rows.clone());
        async move {
            let hash = "ab".repeat(32);
            let begin = json!({ "file_sha256": hash, "map_sha256": hash });
            let begun = client.call("POST", "/v1/imports", Some(begin)).await;
            let path = format!("/v1/imports/{}/rows", begun.json["id"].as_str().unwrap());
            client.call("POST", &path, Some(json!({ "first": 0, "rows": rows }))).await
        }
    };
    let short = imported(other.new_key("importer", &[]).await).await;
    assert_eq!(
        (short.status.as_u16(), short.code()),
        (403, "right_missing"),
        "consents: {short:?}"
    );
    let taken = imported(other.new_key("settler", &[]).await).await;
    assert_eq!(taken.json["created"], 1, "{}", taken.json);
    let found = "/v1/customers/ref/webshop/4711?fields=name";
    let found = other.call("shop", "GET", found, None).await;
    assert_eq!(found.status, 200, "{found:?}");
    let path = format!("/v1/customers/{}/consents", found.json["id"].as_str().unwrap());
    let consents = other.call("shop", "GET", &path, None).await;
    assert_eq!(consents.json["consents"][0]["stands"], true, "{consents:?}");
}

#[tokio::test]
async fn whose_data_left_stands_at_the_place_it_went_to() {
    let (shop, client) = shop_of(3, 100).await;
    assert_eq!(export(&client, json!({ "place": "accountant", "limit": 2 })).await.status, 200);
    let held = shop.call("shop", "GET", "/v1/places/accountant/holdings", None).await;
    assert_eq!(held.status, 200, "{held:?}");
    let one = &held.json["items"][0];
    assert_eq!((&one["number"], &one["act"]), (&json!(2), &json!("export.piece")), "{held:?}");
    assert!(one["due"].is_string(), "it has to be gone one day: {one}");
    let bad = export(&client, json!({ "place": "Ada Example" })).await;
    assert_eq!((bad.status.as_u16(), bad.code()), (422, "bad_place"));
}

#[tokio::test]
async fn rows_come_in_under_the_callers_references_each_once() {
    let shop = Shop::open().await;
    let hash = "cd".repeat(32);
    let begin = json!({ "file_sha256": hash, "map_sha256": hash });
    let begun = shop.call("importer", "POST", "/v1/imports", Some(begin)).await;
    let path = format!("/v1/imports/{}/rows", begun.json["id"].as_str().unwrap());
    let row = |line: u64, references: Value| {
        json!({ "line": line, "relations": [{ "name": "enquiry" }], "references": references,
            "fields": { "note": format!("number {line}") } })
    };
    let rows = json!([
        row(1, json!(["webshop/17", "till/3"])),
        row(2, json!(["webshop/17"])),
        row(3, json!(["webshop/ada example"])),
        row(4, json!((0..9).map(|it| format!("till/{it}0")).collect::<Vec<_>>())),
        row(5, json!([])),
    ]);
    let taken =
        shop.call("importer", "POST", &path, Some(json!({ "first": 0, "rows": rows }))).await;
    assert_eq!(taken.status, 200, "{taken:?}");
    let counts = [&taken.json["created"], &taken.json["skipped"], &taken.json["refused"]];
    assert_eq!(counts, [&json!(2), &json!(1), &json!(2)], "{}", taken.json);
    let codes: Vec<&Value> =
        taken.json["problems"].as_array().unwrap().iter().map(|it| &it["code"]).collect();
    assert_eq!(codes, ["taken", "bad_reference", "too_many_references"]);
    assert!(!taken.json.to_string().contains("ada example"), "{}", taken.json);
    let by = async |reference: &str| {
        let path = format!("/v1/customers/ref/{reference}?fields=name");
        let shown = shop.call("shop", "GET", &path, None).await;
        (shown.status.as_u16(), shown.json["id"].clone())
    };
    let (one, other) = (by("webshop/17").await, by("till/3").await);
    assert_eq!(one.0, 200);
    assert_eq!(one, other, "two names for one customer");
    assert_eq!(by("webshop/18").await.0, 404);
    // Who is hidden is found by no name, and the name is free when they are gone.
    let path = format!("/v1/customers/{}", one.1.as_str().unwrap());
    assert_eq!(shop.call("privacy", "DELETE", &path, None).await.status, 202);
    assert_eq!(by("till/3").await.0, 404);
}

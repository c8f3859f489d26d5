//! Places and holdings: what is where, whose it was, and that nothing about it passes unnoticed.

use serde_json::{Value, json};
use strongroom::app::App;
use strongroom::ctx::{Entry, EntryKind, FieldSet};
use strongroom::places::{self, NewHolding, PlaceKind, PlaceName, Whose};
use strongroom::{access, jobs};

use crate::support::{Answer, Shop, intrude, person};

#[tokio::test]
async fn an_import_leaves_its_source_as_a_holding_whose_scope_names_exactly_the_imported() {
    let shop = Shop::open().await;
    shop.customer(99).await;
    let import = import(&shop, 1, 3).await;
    let places = shop.call("privacy", "GET", "/v1/places", None).await;
    assert_eq!(places.json["items"][0]["name"], "import-sources", "{:?}", places.json);
    assert_eq!(places.json["items"][0]["open_holdings"], 1);
    let holdings = shop.call("privacy", "GET", HOLDINGS, None).await;
    let held = &holdings.json["items"][0];
    assert_eq!((&held["whose"], &held["number"]), (&json!("these"), &json!(3)), "{held}");
    assert_eq!(held["origin"], json!(import));
    assert_eq!(held["fields"], json!(["address", "email", "name", "phone"]));
    assert_eq!(held["due"], "2026-12-21T10:00:00.000Z", "thirty days");
    let scope = scope(&shop, "2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z").await;
    let mut named: Vec<String> = customers(&scope);
    let mut imported = Vec::new();
    for number in 1..=3 {
        let email = json!({ "email": format!("ada.{number}@mail.example") });
        let found = shop.call("desk", "POST", "/v1/customers/lookup", Some(email)).await;
        imported.push(found.json["customers"][0].as_str().unwrap().to_owned());
    }
    named.sort();
    imported.sort();
    assert_eq!(named, imported, "these and nobody else");
    let earlier = self::scope(&shop, "2026-11-01T00:00:00Z", "2026-11-20T00:00:00Z").await;
    assert_eq!(customers(&earlier), [] as [&str; 0]);
}

#[tokio::test]
async fn an_erased_customer_is_counted_in_a_scope_and_named_by_nobody() {
    let shop = Shop::open().await;
    import(&shop, 1, 2).await;
    let before = scope(&shop, FROM, TO).await;
    let path = format!("/v1/customers/{}", customers(&before)[0]);
    assert_eq!(shop.call("privacy", "DELETE", &path, None).await.status, 202);
    shop.clock.pass_ms(4_100 * 86_400_000);
    shop.as_operator("POST", "/v1/clock/confirm", None).await;
    jobs::run_once(&shop.desk()).await;
    let key = shop.new_key("privacy", &["support"]).await;
    let body = json!({ "place": "import-sources", "from": FROM, "to": TO });
    let after = shop.client_with(&key).call("POST", "/v1/ledger/scope", Some(body)).await;
    assert_eq!(after.json["erased_since"], 1, "{:?}", after.json);
    assert_eq!(customers(&after), customers(&before)[1..]);
}

#[tokio::test]
async fn a_holding_is_closed_by_evidence_and_counts_to_the_end_of_its_time() {
    let shop = Shop::open().await;
    let first = import(&shop, 1, 1).await;
    shop.clock.pass_ms(1);
    let second = import(&shop, 2, 1).await;
    shop.clock.pass_ms(DAY_MS);
    let close = |body: Value| shop.call("admin", "POST", CLOSE, Some(body));
    let without = close(json!({ "origin": first, "evidence": " " })).await;
    assert_eq!((without.status.as_u16(), without.code()), (422, "bad_evidence"));
    let none = close(json!({ "origin": "imp_none", "evidence": "ticket 4" })).await;
    assert_eq!((none.status.as_u16(), none.code()), (404, "no_holding"));
    let closed = close(json!({ "origin": first, "evidence": "shredded, ticket 4" })).await;
    assert_eq!(closed.json, json!({ "closed": 1 }), "{closed:?}");
    let listed = shop.call("privacy", "GET", HOLDINGS, None).await;
    assert_eq!(listed.json["items"][0]["evidence"], "shredded, ticket 4");
    assert_eq!(listed.json["items"][1]["closed"], Value::Null);
    assert_eq!(customers(&scope(&shop, FROM, TO).await).len(), 2, "it was there in that time");
    let later = scope(&shop, "2026-11-23T00:00:00Z", TO).await;
    assert_eq!(customers(&later).len(), 1, "and is gone since");
    let all = close(json!({ "evidence": "ticket 5" })).await;
    assert_eq!(all.json, json!({ "closed": 1 }), "{second}");
    let places = shop.call("privacy", "GET", "/v1/places", None).await;
    assert_eq!(places.json["items"][0]["closed"], "2026-11-22T10:00:00.001Z", "{:?}", places.json);
}

#[tokio::test]
async fn a_copy_that_should_be_gone_becomes_a_finding() {
    let shop = Shop::open().await;
    import(&shop, 1, 1).await;
    jobs::run_daily(&shop.desk()).await;
    assert!(!kinds(&shop).await.contains(&"holding_overdue".to_owned()));
    shop.clock.pass_ms(31 * DAY_MS);
    jobs::run_daily(&shop.desk()).await;
    assert!(kinds(&shop).await.contains(&"holding_overdue".to_owned()));
}

#[tokio::test]
async fn a_holding_altered_by_sql_is_told_and_never_passed_over() {
    let alterations = [
        "UPDATE holding SET place = 'elsewhere';
         INSERT INTO place VALUES ('elsewhere', 'folder', 'x', 0, NULL)",
        "UPDATE holding SET closed_ms = 1",
        "UPDATE holding SET since_ms = since_ms + 864000000",
        "UPDATE holding SET number = 1",
        "UPDATE holding SET sealed = NULL",
    ];
    for sql in alterations {
        let mut shop = Shop::open().await;
        import(&shop, 1, 2).await;
        shop.stop();
        intrude(shop.data(), sql);
        shop.start().await.unwrap();
        let place = if sql.contains("elsewhere") { "elsewhere" } else { "import-sources" };
        let body = json!({ "place": place, "from": FROM, "to": TO });
        let scope = shop.call("privacy", "POST", "/v1/ledger/scope", Some(body)).await;
        assert_eq!((scope.status.as_u16(), scope.code()), (503, "tampered"), "{sql}");
        let path = format!("/v1/places/{place}/holdings");
        assert_eq!(shop.call("privacy", "GET", &path, None).await.status, 503, "{sql}");
    }
}

#[tokio::test]
async fn places_are_named_listed_and_paged() {
    let shop = Shop::open().await;
    for name in ["cabinet", "attic", "laptop-7"] {
        let body = json!({ "kind": "paper_box", "owner": "front desk" });
        let put = shop.call("admin", "PUT", &format!("/v1/places/{name}"), Some(body)).await;
        assert_eq!(put.status, 204, "{put:?}");
    }
    let first = shop.call("privacy", "GET", "/v1/places?limit=2", None).await;
    assert_eq!(first.json["items"][0]["name"], "attic");
    let path = format!("/v1/places?limit=2&cursor={}", first.json["next"].as_str().unwrap());
    let rest = shop.call("privacy", "GET", &path, None).await;
    assert_eq!(rest.json["items"][0]["name"], "laptop-7");
    assert_eq!(rest.json["items"].as_array().unwrap().len(), 1);
    let bad = [
        ("/v1/places/Ada%20Lovelace", json!({ "kind": "laptop", "owner": "it" }), "bad_place"),
        ("/v1/places/box", json!({ "kind": "box", "owner": "it" }), "bad_place_kind"),
        ("/v1/places/box", json!({ "kind": "laptop", "owner": "ada@mail.example" }), "bad_owner"),
    ];
    for (path, body, code) in bad {
        let put = shop.call("admin", "PUT", path, Some(body)).await;
        assert_eq!((put.status.as_u16(), put.code()), (422, code));
    }
    let none = shop.call("privacy", "GET", "/v1/places/nowhere/holdings", None).await;
    assert_eq!((none.status.as_u16(), none.code()), (404, "no_place"));
}

#[tokio::test]
async fn places_are_bounded_and_known_ones_still_change() {
    let mut shop = Shop::open().await;
    let body = || Some(json!({ "kind": "paper_box", "owner": "front desk" }));
    assert_eq!(shop.call("admin", "PUT", "/v1/places/cabinet", body()).await.status, 204);
    let customer = shop.customer(1).await;
    shop.stop();
    let many = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 4998)
        INSERT INTO place SELECT 'box-' || x, 'paper_box', 'it', 0, NULL FROM n";
    intrude(shop.data(), many);
    shop.start().await.unwrap();
    assert_eq!(shop.call("admin", "PUT", "/v1/places/last", body()).await.status, 204);
    let refused = shop.call("admin", "PUT", "/v1/places/attic", body()).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (409, "too_many_places"));
    assert!(refused.json["detail"].as_str().unwrap().contains("strongroom places list"));
    assert_eq!(shop.call("admin", "PUT", "/v1/places/cabinet", body()).await.status, 204);
    let share = |recipient: &str| json!({ "customer": customer, "fields": ["name"], "recipient": recipient, "hours": 1 });
    let delivery = [("strongroom-purpose", "delivery")];
    let client = shop.client("shop");
    let new = client.call_plain("POST", "/v1/shares", Some(share("courier-7")), &delivery).await;
    assert_eq!((new.status.as_u16(), new.code()), (409, "too_many_places"), "{new:?}");
    let known = client.call_plain("POST", "/v1/shares", Some(share("box-7")), &delivery).await;
    assert_eq!(known.status, 201, "{known:?}");
}

/// More than go into one change; each row is sealed for its place, so real ones are needed.
#[tokio::test]
async fn a_place_with_more_than_500_holdings_is_closed_whole_also_when_it_is_to_be_done_once() {
    for key in [None, Some("closing-1")] {
        let shop = Shop::open().await;
        let origin = import(&shop, 1, 1).await;
        hold_many(&shop, 1_100).await;
        shop.clock.pass_ms(1);
        let headers: Vec<(&str, &str)> =
            key.map(|key| ("idempotency-key", key)).into_iter().collect();
        let close =
            async |body: Value| shop.call_with("admin", "POST", CLOSE, Some(body), &headers).await;
        let body = json!({ "evidence": "ticket 4" });
        let all = close(body.clone()).await;
        assert_eq!((all.status.as_u16(), &all.json), (200, &json!({ "closed": 1_101 })), "{key:?}");
        let places = shop.call("privacy", "GET", "/v1/places", None).await;
        assert_eq!(places.json["items"][0]["open_holdings"], 0);
        assert_ne!(places.json["items"][0]["closed"], Value::Null, "and the place with them");
        let again = close(body).await;
        assert_eq!(again.status, if key.is_some() { 200 } else { 409 }, "{origin}: {again:?}");
    }
}

#[tokio::test]
async fn what_one_act_put_there_is_closed_whole_by_a_call_that_is_done_once() {
    let shop = Shop::open().await;
    import(&shop, 1, 1).await;
    hold_many(&shop, 600).await;
    let body = json!({ "evidence": "ticket 4", "origin": "imp_many" });
    let headers = [("idempotency-key", "closing-2")];
    let closed = shop.call_with("admin", "POST", CLOSE, Some(body.clone()), &headers).await;
    assert_eq!((closed.status.as_u16(), &closed.json), (200, &json!({ "closed": 600 })));
    let again = shop.call_with("admin", "POST", CLOSE, Some(body), &headers).await;
    assert_eq!(again.status, 200, "{again:?}");
    assert_eq!(again.headers["strongroom-repeated"], "true");
    let places = shop.call("privacy", "GET", "/v1/places", None).await;
    assert_eq!(places.json["items"][0]["open_holdings"], 1, "the import's own stays");
}

/// As many holdings more at the place of imports.
async fn hold_many(shop: &Shop, count: usize) {
    let (desk, place) = (shop.desk(), PlaceName::parse("import-sources").unwrap());
    let ctx = App::job_ctx(&desk, "test").unwrap();
    let mut writes = Vec::new();
    for _ in 0..count {
        let new = NewHolding {
            place: &place,
            kind: PlaceKind::Folder,
            whose: Whose::Count(1),
            fields: FieldSet::of([0]),
            due: None,
            act: "test",
            origin: "imp_many",
        };
        writes.extend(places::hold(&desk, &ctx, &new).unwrap());
    }
    let grant = access::system_grant(&ctx, Vec::new()).unwrap();
    let entry = Entry::new(&ctx, EntryKind::System, "test");
    access::commit(&desk, grant.change(entry).write_all(writes)).await.unwrap();
}

/// Imports so many customers from a number on; the id of the import.
pub(crate) async fn import(shop: &Shop, first: usize, count: usize) -> String {
    let hash = format!("{first:064x}");
    let begin = json!({ "file_sha256": hash, "map_sha256": hash });
    let begun = shop.call("importer", "POST", "/v1/imports", Some(begin)).await;
    let id = begun.json["id"].as_str().unwrap().to_owned();
    let rows: Vec<Value> = (first..first + count)
        .map(|number| {
            let mut row = person(number);
            row["line"] = json!(number);
            row
        })
        .collect();
    let path = format!("/v1/imports/{id}/rows");
    let body = json!({ "first": 0, "rows": rows });
    let taken = shop.call("importer", "POST", &path, Some(body)).await;
    assert_eq!(taken.json["created"], json!(count), "{:?}", taken.json);
    id
}

async fn scope(shop: &Shop, from: &str, to: &str) -> Answer {
    let body = json!({ "place": "import-sources", "from": from, "to": to });
    let scope = shop.call("privacy", "POST", "/v1/ledger/scope", Some(body)).await;
    assert_eq!(scope.status, 200, "{:?}", scope.json);
    scope
}

fn customers(scope: &Answer) -> Vec<String> {
    let lines = scope.json["customers"].as_array().unwrap();
    lines.iter().map(|line| line["customer"].as_str().unwrap().to_owned()).collect()
}

async fn kinds(shop: &Shop) -> Vec<String> {
    let findings = shop.call("privacy", "GET", "/v1/findings", None).await;
    let findings = findings.json["findings"].as_array().unwrap().clone();
    findings.iter().map(|it| it["kind"].as_str().unwrap().to_owned()).collect()
}

const HOLDINGS: &str = "/v1/places/import-sources/holdings";
const CLOSE: &str = "/v1/places/import-sources/close";
const FROM: &str = "2026-11-21T00:00:00Z";
const TO: &str = "2026-12-31T00:00:00Z";
const DAY_MS: i64 = 86_400_000;

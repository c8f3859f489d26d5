//! Pages of customers: one entry names them all, and who cannot be shown is named apart.

use serde_json::{Value, json};
use strongroom::ctx::Outcome;
use strongroom::ledger::LeafSubjects;

use crate::attack::{assert_code, assert_no_value, enquirer, findings, one};
use crate::support::{Answer, POLICY, Shop, intrude, refusals};

async fn page(shop: &Shop, ids: &[&str], fields: &[&str]) -> Answer {
    let body = json!({ "ids": ids, "fields": fields });
    shop.call("desk", "POST", "/v1/customers/read", Some(body)).await
}

fn shown(answer: &Answer) -> Vec<&str> {
    assert_eq!(answer.status, 200, "{:?}", answer.json);
    let customers = answer.json["customers"].as_array().unwrap();
    customers.iter().map(|it| it["id"].as_str().unwrap()).collect()
}

async fn customers(shop: &Shop, number: usize) -> Vec<String> {
    let mut ids = Vec::with_capacity(number);
    for number in 0..number {
        ids.push(shop.customer(number).await);
    }
    ids
}

#[tokio::test]
async fn a_page_shows_each_customer_as_a_single_read_does_and_leaves_one_entry() {
    let shop = Shop::open().await;
    let ids = customers(&shop, 3).await;
    let before = shop.ledger_size();
    let wanted = [ids[2].as_str(), &ids[0], &ids[2], &ids[1]];
    let answer = page(&shop, &wanted, &["name", "email"]).await;
    assert_eq!(shown(&answer), [&ids[2], &ids[0], &ids[1]], "in order, each once");
    let entries = shop.entries_from(before).await;
    let told: Vec<(&str, u64)> = entries.iter().map(|it| (it.verb.as_str(), it.count)).collect();
    assert_eq!(told, [("customer.read_many", 3)]);
    assert!(matches!(entries[0].subjects, LeafSubjects::Set { count: 3, .. }), "{entries:?}");
    assert_eq!(answer.index(), before);
    for one in answer.json["customers"].as_array().unwrap() {
        let path = format!("/v1/customers/{}?fields=name,email", one["id"].as_str().unwrap());
        assert_eq!(shop.call("desk", "GET", &path, None).await.json, *one);
    }
    for id in &ids {
        let looks = shop.call("shop", "GET", &format!("/v1/customers/{id}/ledger"), None).await;
        let acts = looks.json["items"].as_array().unwrap();
        let look = acts.iter().find(|it| it["act"] == "customer.read_many").unwrap();
        assert_eq!(look["fields"], json!(["email", "name"]));
    }
    let verified = shop.verify().await;
    assert_eq!(verified["intact"], true, "{verified}");
}

#[tokio::test]
async fn who_is_unknown_hidden_or_erased_is_missing_without_a_difference() {
    let shop = Shop::open().await;
    let ids = customers(&shop, 1).await;
    let (hidden, gone) = (enquirer(&shop, 7).await, enquirer(&shop, 8).await);
    let unknown = "cus_00000000000000000000000000";
    shop.call("privacy", "DELETE", &format!("/v1/customers/{gone}"), None).await;
    shop.clock.pass_ms(8 * 86_400_000);
    strongroom::jobs::run_once(&shop.desk()).await;
    shop.call("privacy", "DELETE", &format!("/v1/customers/{hidden}"), None).await;
    let answer = page(&shop, &[unknown, &ids[0], &hidden, &gone], &["name"]).await;
    assert_eq!(shown(&answer), [&ids[0]]);
    assert_eq!(answer.json["missing"], json!([unknown, hidden, gone]));
    assert_eq!(answer.json["unavailable"], json!([]));
}

#[tokio::test]
async fn one_customer_that_does_not_open_keeps_no_other_and_is_not_hidden() {
    let attacks = [
        // A cell altered, a plain column, a state that is no word of ours.
        "UPDATE sealed_record
         SET data = CAST(substr(data, 1, length(data) - 4) || x'00000000' AS BLOB)
         WHERE customer = @A AND compartment <> zeroblob(16)",
        "UPDATE customer SET life = life + 1 WHERE key = @A",
        "UPDATE customer SET state = 'forgotten' WHERE key = @A",
    ];
    for attack in attacks {
        let shop = Shop::open().await;
        let ids = customers(&shop, 3).await;
        let key = key_of(&shop, &ids[1]);
        intrude(shop.data(), &attack.replace("@A", &key.to_string()));
        let answer = page(&shop, &[&ids[0], &ids[1], &ids[2]], &["name", "email", "note"]).await;
        assert_eq!(shown(&answer), [&ids[0], &ids[2]], "{attack}");
        assert_eq!(answer.json["unavailable"], json!([ids[1]]), "{attack}");
        assert_eq!(
            findings(&shop).await,
            ["key_file_only", "recovery_missing", "tampered"],
            "{attack}"
        );
        let count =
            shop.entries().await.iter().rfind(|it| it.verb == "customer.read_many").unwrap().count;
        assert_eq!(count, 2, "who is not shown is not in the entry");
    }
    let shop = Shop::open().await;
    let first = shop.customer(0).await;
    let before = shop.keys().copied_to(&shop.folder.path().join("before.db"));
    let ids = [first, shop.customer(1).await];
    let newer = "DELETE FROM dek WHERE id NOT IN (SELECT id FROM old.dek)";
    let newer = before.attached("old", newer);
    intrude(shop.keys(), &newer);
    let answer = page(&shop, &[&ids[0], &ids[1]], &["name"]).await;
    assert_eq!(shown(&answer), [&ids[0]]);
    assert_eq!(answer.json["unavailable"], json!([ids[1]]));
    assert_eq!(findings(&shop).await, ["key_file_only", "key_missing", "recovery_missing"]);
}

#[tokio::test]
async fn a_page_costs_as_many_first_looks_as_it_shows_and_is_shown_whole_or_not() {
    let policy = POLICY.replacen("budget = { per_day = 200 }", "budget = { per_day = 5 }", 1);
    let shop = Shop::with_policy(&policy).await;
    let ids = customers(&shop, 6).await;
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let unknown = "cus_00000000000000000000000000";
    assert_eq!(shown(&page(&shop, &[ids[0], ids[1], ids[2], unknown], &["name"]).await).len(), 3);
    let before = shop.ledger_size();
    let spent = page(&shop, &ids, &["name"]).await;
    assert_code(&spent, 429, "budget_spent");
    assert!(spent.json.get("customers").is_none());
    let entries = shop.entries_from(before).await;
    assert_eq!(refusals(&entries, "customer.read_many", "budget_spent"), 1);
    assert_eq!(shown(&page(&shop, &ids[..5], &["name"]).await).len(), 5, "looking again is free");
    let path = format!("/v1/customers/{}?fields=name", ids[5]);
    assert_code(&shop.call("desk", "GET", &path, None).await, 429, "budget_spent");
}

#[tokio::test]
async fn pages_that_may_not_be_shown_show_nothing() {
    let shop = Shop::open().await;
    let id = shop.customer(1).await;
    let many: Vec<String> = (0..201).map(|_| id.clone()).collect();
    let cases: [(&str, Value, u16, &str); 6] = [
        ("desk", json!({ "ids": [], "fields": ["name"] }), 400, "bad_ids"),
        ("desk", json!({ "ids": many, "fields": ["name"] }), 400, "bad_ids"),
        ("desk", json!({ "ids": ["ada@mail.example"], "fields": ["name"] }), 400, "bad_id"),
        ("desk", json!({ "ids": [id], "fields": [] }), 400, "bad_fields"),
        ("desk", json!({ "ids": [id], "fields": ["name", "date_of_birth"] }), 403, "grant_missing"),
        ("importer", json!({ "ids": [id], "fields": ["name"] }), 403, "grant_missing"),
    ];
    for (role, body, status, code) in cases {
        let answer = shop.call(role, "POST", "/v1/customers/read", Some(body)).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (status, code), "{:?}", answer.json);
        assert_no_value(&answer);
    }
    let entries = shop.entries().await;
    let ok =
        entries.iter().filter(|it| it.verb == "customer.read_many" && it.outcome == Outcome::Ok);
    assert_eq!(ok.count(), 0);
}

#[tokio::test]
async fn a_page_for_a_purpose_that_needs_consent_shows_only_who_has_given_it() {
    let shop = Shop::open().await;
    let ids = customers(&shop, 3).await;
    let path = format!("/v1/customers/{}/consents/marketing", ids[1]);
    shop.call("desk", "PUT", &path, Some(json!({ "how": "form" }))).await;
    let client = shop.client_with(&shop.new_key("shop", &["marketing"]).await);
    let body = json!({ "ids": ids, "fields": ["email"] });
    let headers = [("strongroom-purpose", "marketing")];
    let answer = client.call_plain("POST", "/v1/customers/read", Some(body), &headers).await;
    assert_eq!(shown(&answer), [&ids[1]]);
    assert_eq!(answer.json["without_consent"], json!([ids[0], ids[2]]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_pages_are_shown_to_many_at_once() {
    let shop = Shop::open().await;
    let ids = customers(&shop, 200).await;
    let pages = (0..8).map(|_| {
        let client = shop.client("shop");
        let body = json!({ "ids": ids, "fields": ["name", "email", "phone", "address"] });
        async move { client.call("POST", "/v1/customers/read", Some(body)).await }
    });
    for answer in crate::support::together(pages).await {
        assert_eq!(shown(&answer).len(), 200);
    }
}

fn key_of(shop: &Shop, id: &str) -> i64 {
    let id: strongroom::id::Id<strongroom::id::Customer> = id.parse().unwrap();
    let hex: String = id.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    one(shop.data(), &format!("SELECT key FROM customer WHERE id = x'{hex}'"))
}

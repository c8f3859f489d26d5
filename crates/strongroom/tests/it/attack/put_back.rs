//! One customer put back whole by SQL: their rows fit each other, so nothing but the log knows. `ledger
//! verify` does not see it, `--deep` does and names who it is.

use serde_json::{Value, json};
use strongroom::id::{Customer, Id};
use strongroom::jobs;

use super::{Kept, findings, one, read};
use crate::support::{Answer, POLICY, Shop, intrude, person};

const DAY_MS: i64 = 86_400_000;

/// Verifies the log, or the customers' rows too.
async fn verified(shop: &Shop, query: &str) -> Value {
    let path = format!("/v1/ledger/verify{query}");
    let begun = shop.call("privacy", "POST", &path, None).await;
    assert_eq!(begun.status, 202, "{begun:?}");
    let told = shop.verified(&begun).await;
    assert_eq!(told["state"], "done", "{told}");
    told
}

pub(crate) async fn deep(shop: &Shop) -> Value {
    verified(shop, "?deep=true").await["compared"].clone()
}

pub(super) fn key_of(shop: &Shop, id: &str) -> i64 {
    let id = id.parse::<Id<Customer>>().unwrap();
    let hex: String = id.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    one(shop.data(), &format!("SELECT key FROM customer WHERE id = x'{hex}'"))
}

/// Everything of one customer as it was, and nothing of anyone else.
fn put_back(shop: &Shop, then: &Kept, id: &str) {
    let sql = "DELETE FROM customer WHERE key = @A;
        INSERT INTO customer SELECT * FROM old.customer WHERE key = @A;
        DELETE FROM sealed_record WHERE customer = @A;
        INSERT INTO sealed_record SELECT * FROM old.sealed_record WHERE customer = @A;
        DELETE FROM shelf_record WHERE customer = @A;
        INSERT INTO shelf_record SELECT * FROM old.shelf_record WHERE customer = @A;";
    let sql = sql.replace("@A", &key_of(shop, id).to_string());
    intrude(shop.data(), &then.attached(&sql));
}

pub(super) async fn must(
    shop: &Shop,
    role: &str,
    call: (&str, String),
    body: Value,
    version: u64,
) -> Answer {
    let version = format!("\"{version}\"");
    let body = Some(body).filter(|body| !body.is_null());
    let headers = [("if-match", version.as_str())];
    let answer = shop.call_with(role, call.0, &call.1, body, &headers).await;
    assert!(answer.status.is_success(), "{call:?}: {answer:?}");
    answer
}

async fn patch(shop: &Shop, id: &str, version: u64) {
    let note = json!({ "fields": { "note": "rings at noon", "phone": "+44 20 7946 0999" } });
    must(shop, "shop", ("PATCH", format!("/v1/customers/{id}")), note, version).await;
}

async fn add(shop: &Shop, id: &str) -> String {
    let message = json!({ "kind": "message", "fields": { "body": "first words" } });
    let call = ("POST", format!("/v1/customers/{id}/records"));
    let made = must(shop, "shop", call, message, 1).await;
    made.json["id"].as_str().unwrap().to_owned()
}

pub(super) async fn import(shop: &Shop, number: usize) -> String {
    let hash = format!("{number:064x}");
    let begin = json!({ "file_sha256": hash, "map_sha256": hash });
    let begun = must(shop, "importer", ("POST", "/v1/imports".to_owned()), begin, 1).await;
    let call = ("POST", format!("/v1/imports/{}/rows", begun.json["id"].as_str().unwrap()));
    let mut row = person(number);
    row["line"] = json!(1);
    must(shop, "importer", call, json!({ "first": 0, "rows": [row] }), 1).await;
    let email = json!({ "email": format!("ada.{number}@mail.example") });
    let found = shop.call("desk", "POST", "/v1/customers/lookup", Some(email)).await;
    found.json["customers"][0].as_str().unwrap().to_owned()
}

/// A life with every act that writes a customer's rows. Gives who was changed, by what, since `then`.
pub(crate) async fn live(shop: &Shop) -> (Vec<(&'static str, String)>, Kept) {
    let mut whose = Vec::new();
    let acts = ["patch", "relate", "give", "withdraw", "ask", "cancel", "add", "patch record"];
    for act in acts.into_iter().chain(["stays", "goes", "parted"]) {
        whose.push((act, shop.customer(whose.len()).await));
    }
    whose.push(("patch an import", import(shop, 500).await));
    import(shop, 501).await;
    let id = |act: &str| whose.iter().find(|(known, _)| *known == act).unwrap().1.clone();
    let consent = |act: &str| format!("/v1/customers/{}/consents/marketing", id(act));
    let how = json!({ "how": "phone" });
    must(shop, "shop", ("PUT", consent("withdraw")), how.clone(), 1).await;
    let erase = |act: &str| ("DELETE", format!("/v1/customers/{}", id(act)));
    must(shop, "privacy", erase("cancel"), Value::Null, 1).await;
    let record = add(shop, &id("patch record")).await;
    let then = Kept::of_running(shop);

    patch(shop, &id("patch"), 1).await;
    patch(shop, &id("patch an import"), 1).await;
    let relate = ("POST", format!("/v1/customers/{}/relations", id("relate")));
    let relation = json!({ "name": "enquiry", "act": "touch" });
    must(shop, "shop", relate, relation, 1).await;
    must(shop, "shop", ("PUT", consent("give")), how, 1).await;
    must(shop, "shop", ("DELETE", consent("withdraw")), Value::Null, 1).await;
    must(shop, "privacy", erase("ask"), Value::Null, 1).await;
    let cancel = ("DELETE", format!("/v1/customers/{}/erasure", id("cancel")));
    must(shop, "privacy", cancel, Value::Null, 1).await;
    add(shop, &id("add")).await;
    let call = ("PATCH", format!("/v1/customers/{}/records/{record}", id("patch record")));
    must(shop, "shop", call, json!({ "fields": { "body": "other words" } }), 1).await;
    let merge = ("POST", format!("/v1/customers/{}/merge", id("stays")));
    let other = json!({ "other": id("goes"), "other_version": 1 });
    must(shop, "privacy", merge, other, 1).await;
    (whose, then)
}

#[tokio::test]
async fn a_customer_put_back_whole_is_noticed_by_a_deep_verification_and_by_it_alone() {
    let mut shop = Shop::open().await;
    let (whose, then) = live(&shop).await;
    let seen = deep(&shop).await;
    assert_eq!(seen["customers"], 13);
    for none in ["differing", "unknown", "broken", "missing"] {
        assert_eq!(seen[none], 0, "{none}: {seen}");
    }
    shop.stop();
    let now = Kept::of(&shop);
    for (act, id) in whose.iter().filter(|(act, _)| *act != "parted") {
        now.put_back(&shop);
        shop.start().await.unwrap();
        put_back(&shop, &then, id);
        let plain = verified(&shop, "").await;
        assert_eq!((&plain["intact"], &plain["compared"]), (&json!(true), &Value::Null), "{act}");
        assert!(!findings(&shop).await.contains(&"record_put_back".to_owned()));
        let told = verified(&shop, "?deep=true").await;
        assert_eq!((&told["intact"], &told["flaws"]), (&json!(false), &json!([])), "{act}: {told}");
        let seen = &told["compared"];
        assert_eq!((&seen["differing"], &seen["unknown"]), (&json!(1), &json!(0)), "{act}: {seen}");
        assert!(seen["flaws"][0]["what"].as_str().unwrap().contains(id.as_str()), "{act}: {seen}");
        assert!(seen["flaws"][0]["entry"].is_u64(), "{act}: {seen}");
        assert!(findings(&shop).await.contains(&"record_put_back".to_owned()), "{act}");
        let last = shop.entries_from(shop.ledger_size() - 2).await;
        let told = last.iter().any(|it| it.verb == "ledger.verified" && it.count == 1);
        assert!(told, "{act}: {last:?}");
        shop.stop();
    }
}

/// The system's own work is told from that of other hands, or UNKNOWN.
#[tokio::test]
async fn what_the_system_writes_itself_is_no_putting_back() {
    let shop = Shop::open().await;
    let (whose, then) = live(&shop).await;
    let id = |act: &str| whose.iter().find(|(known, _)| *known == act).unwrap().1.clone();
    // Ended relations, and a policy that moves every due day.
    let path = format!("/v1/customers/{}", id("parted"));
    must(&shop, "privacy", ("DELETE", path), Value::Null, 1).await;
    shop.clock.pass_ms(8 * DAY_MS);
    jobs::run_once(&shop.desk()).await;
    let longer = POLICY.replacen("keep = \"3 years\"", "keep = \"4 years\"", 1);
    let applied = shop.as_operator("POST", "/v1/policy", Some(json!({ "policy": longer }))).await;
    assert_eq!(applied.status, 200, "{applied:?}");
    for _ in 0..31 {
        shop.clock.pass_ms(DAY_MS);
        jobs::run_daily(&shop.desk()).await;
    }
    let seen = deep(&shop).await;
    for none in ["differing", "broken", "missing"] {
        assert_eq!(seen[none], 0, "{none}: {seen}");
    }
    // Two acts on records and a merge: their entries have hashes over more than is read here.
    assert_eq!(seen["unknown"], 3, "{seen}");

    put_back(&shop, &then, &id("withdraw"));
    assert_eq!(read(&shop, &id("withdraw")).await.status, 200);
    let seen = deep(&shop).await;
    assert_eq!((&seen["differing"], &seen["unknown"]), (&json!(1), &json!(3)), "{seen}");
}

#[tokio::test]
async fn only_whoever_may_verify_goes_deep() {
    let shop = Shop::open().await;
    let refused = shop.call("desk", "POST", "/v1/ledger/verify?deep=true", None).await;
    assert_eq!(refused.status, 403);
    let bad = shop.call("privacy", "POST", "/v1/ledger/verify?deep=maybe", None).await;
    assert_eq!(bad.status, 400);
}

//! Whose data an actor touched: every page of it, whatever became of those customers since.

use serde_json::{Value, json};
use strongroom::id::{Customer, Id};
use strongroom::jobs;
use strongroom_crypto::peek_binding;

use crate::attack::{assert_code, findings};
use crate::support::data::blob;
use crate::support::{Answer, Shop, intrude};

async fn ask(shop: &Shop, more: &[(&str, Value)]) -> Answer {
    let actor = shop.key_id("desk").await;
    let mut body =
        json!({ "actor": actor, "from": "2026-01-01T00:00:00Z", "to": "2027-12-31T00:00:00Z" });
    for (name, value) in more {
        body[*name] = value.clone();
    }
    shop.call("privacy", "POST", "/v1/ledger/scope", Some(body)).await
}

/// Customers the desk has looked at, in this order; the first of them twice.
async fn looked_at(shop: &Shop, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for number in 1..=count {
        ids.push(shop.customer(number).await);
    }
    ids.rotate_left(count / 2);
    for id in ids.iter().chain(ids.first()) {
        let path = format!("/v1/customers/{id}?fields=name");
        assert_eq!(shop.call("desk", "GET", &path, None).await.status, 200);
    }
    ids
}

fn line<'a>(scope: &'a Answer, id: &str) -> &'a Value {
    let lines = scope.json["customers"].as_array().unwrap();
    lines.iter().find(|line| line["customer"] == id).unwrap_or(&Value::Null)
}

fn hex(id: &str) -> String {
    let id: Id<Customer> = id.parse().unwrap();
    id.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_scope_comes_in_pages_that_name_everyone_once_in_the_order_they_were_touched() {
    let shop = Shop::open().await;
    let ids = looked_at(&shop, 5).await;
    let mut told = Vec::new();
    let mut more = vec![("limit", json!(2))];
    for expected in [2, 2, 1] {
        let before = shop.ledger_size();
        let page = ask(&shop, &more).await;
        assert_eq!(page.status, 200, "{}", page.json);
        assert_eq!(shop.ledger_size(), before + 1, "each page is an entry");
        let lines = page.json["customers"].as_array().unwrap();
        assert_eq!(lines.len(), expected, "{}", page.json);
        told.extend(lines.iter().map(|line| line["customer"].as_str().unwrap().to_owned()));
        assert_eq!(page.json["next"].is_string(), told.len() < 5, "{}", page.json);
        more.truncate(1);
        more.push(("cursor", page.json["next"].clone()));
    }
    assert_eq!(told, ids);
    let whole = ask(&shop, &[]).await;
    assert_eq!(line(&whole, &ids[0])["times"], 2, "{}", whole.json);
    assert!(whole.json.get("next").is_none());
    for limit in [0, 1_001] {
        assert_code(&ask(&shop, &[("limit", json!(limit))]).await, 400, "bad_limit");
    }
    for cursor in ["7777777777776", "x", ""] {
        assert_code(&ask(&shop, &[("cursor", json!(cursor))]).await, 400, "bad_cursor");
    }
}

/// The day of an incident is no day to learn nothing because of one damaged row.
#[tokio::test]
async fn customers_who_cannot_be_opened_are_named_and_hide_nobody_else() {
    let shop = Shop::open().await;
    let ids = looked_at(&shop, 4).await;
    let damage = format!(
        "UPDATE sealed_record SET data = zeroblob(120)
         WHERE customer = (SELECT key FROM customer WHERE id = x'{}')",
        hex(&ids[0])
    );
    intrude(shop.data(), &damage);
    let sealed = format!(
        "SELECT data FROM sealed_record
         WHERE customer = (SELECT key FROM customer WHERE id = x'{}')",
        hex(&ids[1])
    );
    for record in shop.data().column::<Vec<u8>>(&sealed) {
        let dek = blob(&peek_binding(&record).unwrap().dek);
        shop.keys().intrude(&format!("DELETE FROM dek WHERE id = {dek}"));
    }
    let path = format!("/v1/customers/{}", ids[2]);
    assert_eq!(shop.call("privacy", "DELETE", &path, None).await.status, 202);
    shop.clock.pass_ms(31 * 86_400_000);
    jobs::run_once(&shop.desk()).await;

    let scope = ask(&shop, &[]).await;
    assert_eq!(scope.status, 200, "{}", scope.json);
    for closed in &ids[..2] {
        assert_eq!(line(&scope, closed)["state"], "cannot be opened", "{}", scope.json);
    }
    for there in &ids[2..] {
        assert_eq!(line(&scope, there)["state"], "known", "{}", scope.json);
    }
    let findings = findings(&shop).await;
    for kind in ["key_missing", "tampered"] {
        assert!(findings.contains(&kind.to_owned()), "{findings:?}");
    }
}

//! A customer deleted by SQL with every row that leads to them: nothing is left that could be opened and
//! found wrong, and only the log still speaks of them.

use serde_json::{Value, json};
use strongroom::jobs;

use super::put_back::{deep, import, key_of, must};
use super::{Kept, enquirer, findings, flaws};
use crate::support::{Shop, intrude};

const DAY_MS: i64 = 86_400_000;

async fn erase(shop: &Shop, id: &str, version: u64) {
    let call = ("DELETE", format!("/v1/customers/{id}"));
    must(shop, "privacy", call, Value::Null, version).await;
}

async fn merge(shop: &Shop, stays: &str, goes: &str) {
    let call = ("POST", format!("/v1/customers/{stays}/merge"));
    must(shop, "privacy", call, json!({ "other": goes, "other_version": 1 }), 1).await;
}

const TABLES: [&str; 5] = ["customer", "sealed_record", "lookup_unique", "lookup_exact", "subject"];

fn delete(shop: &Shop, id: &str) {
    let key = key_of(shop, id);
    for table in TABLES {
        let column = if table == "customer" { "key" } else { "customer" };
        intrude(shop.data(), &format!("DELETE FROM {table} WHERE {column} = {key}"));
    }
}

fn put_back(shop: &Shop, then: &Kept) {
    let sql = TABLES.map(|it| format!("INSERT OR IGNORE INTO {it} SELECT * FROM old.{it};"));
    intrude(shop.data(), &then.attached(&sql.concat()));
}

#[tokio::test]
async fn who_was_deleted_by_sql_is_missed_and_nobody_who_was_erased() {
    let mut shop = Shop::open().await;
    let mut ids = Vec::new();
    for number in 0..6 {
        ids.push(enquirer(&shop, number).await);
    }
    let imported = import(&shop, 500).await;
    merge(&shop, &ids[0], &ids[1]).await;
    merge(&shop, &ids[2], &ids[3]).await;
    erase(&shop, &ids[0], 2).await;
    erase(&shop, &ids[4], 1).await;
    shop.clock.pass_ms(8 * DAY_MS);
    jobs::run_once(&shop.desk()).await;
    let seen = deep(&shop).await;
    // Two of six went, and one of those who stayed is two.
    assert_eq!((&seen["missing"], &seen["differing"]), (&json!(0), &json!(0)), "{seen}");
    shop.stop();
    let now = Kept::of(&shop);
    shop.start().await.unwrap();
    for (id, missing) in [(&ids[5], 1), (&imported, 1), (&ids[2], 1)] {
        let key = key_of(&shop, id);
        delete(&shop, id);
        assert_eq!(flaws(&shop).await, []);
        let seen = deep(&shop).await;
        assert_eq!((&seen["missing"], &seen["differing"]), (&json!(missing), &json!(0)), "{seen}");
        assert!(seen["flaws"][0]["entry"].is_u64(), "{seen}");
        assert!(findings(&shop).await.contains(&"customer_missing".to_owned()));
        // And with the way to them led to somebody else, so that it leads to nobody who is missed.
        let astray = format!(
            "INSERT INTO subject SELECT * FROM old.subject WHERE customer = {key};
            UPDATE subject SET customer = (SELECT min(key) FROM customer) WHERE customer = {key}"
        );
        intrude(shop.data(), &now.attached(&astray));
        assert_eq!(deep(&shop).await["missing"], missing);
        intrude(shop.data(), "DELETE FROM subject");
        put_back(&shop, &now);
        assert_eq!(deep(&shop).await["missing"], 0);
        assert!(!findings(&shop).await.contains(&"customer_missing".to_owned()));
    }
}

/// One row that nobody can read is one customer who does not open, and hides nothing of the others.
#[tokio::test]
async fn a_row_that_is_none_stops_no_deep_verification() {
    let shop = Shop::open().await;
    let (odd, gone) = (enquirer(&shop, 1).await, enquirer(&shop, 2).await);
    let sql = format!("INSERT INTO sealed_record VALUES ({}, x'00', x'00')", key_of(&shop, &odd));
    intrude(shop.data(), &sql);
    delete(&shop, &gone);
    let seen = deep(&shop).await;
    assert_eq!((&seen["broken"], &seen["missing"]), (&json!(1), &json!(1)), "{seen}");
    let open = shop.as_operator("GET", "/v1/findings", None).await.json;
    let named = format!("tampered:{odd}");
    assert!(open["findings"].as_array().unwrap().iter().any(|it| it["id"] == named), "{open}");
}

/// Whoever deletes a customer and then what the log says of them is not told that nobody is missed.
#[tokio::test]
async fn a_log_that_was_altered_takes_no_finding_back() {
    let shop = Shop::open().await;
    let gone = enquirer(&shop, 1).await;
    delete(&shop, &gone);
    let seen = deep(&shop).await;
    assert_eq!(seen["missing"], 1, "{seen}");
    let entry = seen["flaws"][0]["entry"].as_u64().unwrap();
    intrude(shop.data(), &format!("DELETE FROM ledger_entry WHERE idx = {entry}"));
    let seen = deep(&shop).await;
    assert_eq!(seen["missing"], 0, "{seen}");
    assert_ne!(flaws(&shop).await, []);
    assert!(findings(&shop).await.contains(&"customer_missing".to_owned()));
}

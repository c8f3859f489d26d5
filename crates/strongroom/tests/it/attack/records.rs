//! Records changed by SQL: one deleted, added, swapped between customers or put back is noticed when
//! its shelf is used, and nothing of the shelf is shown.

use serde_json::json;

use super::{Kept, assert_code, findings, one, read};
use crate::support::{Answer, Shop, intrude};

/// Two customers with two invoices and a message each; the message of the first was changed since
/// `before`.
struct Pair {
    shop: Shop,
    first: String,
    second: String,
    before: Kept,
    now: Kept,
}

async fn add(shop: &Shop, customer: &str, kind: &str, text: &str) -> String {
    let field = if kind == "invoice" { "number" } else { "body" };
    let body = json!({ "kind": kind, "fields": { field: text } });
    let path = format!("/v1/customers/{customer}/records");
    let made = shop.call("shop", "POST", &path, Some(body)).await;
    assert_eq!(made.status, 201, "{made:?}");
    made.json["id"].as_str().unwrap().to_owned()
}

impl Pair {
    async fn open() -> Self {
        let mut shop = Shop::open().await;
        let (first, second) = (shop.customer(1).await, shop.customer(2).await);
        let mut messages = Vec::new();
        for customer in [&first, &second] {
            add(&shop, customer, "invoice", "one").await;
            add(&shop, customer, "invoice", "two").await;
            messages.push(add(&shop, customer, "message", "first words").await);
        }
        shop.stop();
        let before = Kept::of(&shop);
        shop.start().await.unwrap();
        let path = format!("/v1/customers/{first}/records/{}", messages[0]);
        let patch = Some(json!({ "fields": { "body": "other words" } }));
        let changed = shop.call_with("shop", "PATCH", &path, patch, &[("if-match", "\"1\"")]).await;
        assert_eq!(changed.status, 200, "{changed:?}");
        shop.stop();
        let now = Kept::of(&shop);
        Self { shop, first, second, before, now }
    }

    /// `@A` and `@B` in the SQL stand for the row keys of the two customers.
    async fn intrude(&mut self, attack: &str) {
        self.now.put_back(&self.shop);
        let key = |greater: &str| {
            let sql = format!("SELECT key FROM customer ORDER BY version {greater} LIMIT 1");
            one::<i64>(self.now.data(), &sql).to_string()
        };
        let attack = attack.replace("@A", &key("DESC")).replace("@B", &key("ASC"));
        intrude(self.shop.data(), &self.before.attached(&attack));
        self.shop.start().await.unwrap();
    }
}

async fn list(shop: &Shop, customer: &str) -> Answer {
    let path = format!("/v1/customers/{customer}/records?fields=invoice.number,message.body");
    shop.call("shop", "GET", &path, None).await
}

#[tokio::test]
async fn bound_a_record_deleted_added_swapped_or_put_back_by_sql_is_noticed() {
    let mut pair = Pair::open().await;
    for attack in ATTACKS {
        pair.intrude(attack).await;
        let looked = list(&pair.shop, &pair.first).await;
        assert_code(&looked, 503, "tampered");
        assert!(!looked.json.to_string().contains("words"), "{looked:?}");
        assert!(findings(&pair.shop).await.contains(&"tampered".to_owned()), "{attack}");
        assert_eq!(read(&pair.shop, &pair.first).await.status, 200, "their fields are untouched");
        if !attack.contains("@B") {
            let other = list(&pair.shop, &pair.second).await;
            assert_eq!(other.status, 200, "{attack}: {other:?}");
        }
        pair.shop.stop();
    }
}

#[tokio::test]
async fn nothing_is_added_to_a_shelf_that_was_changed_by_sql() {
    let mut pair = Pair::open().await;
    pair.intrude("DELETE FROM shelf_record WHERE customer = @A").await;
    let path = format!("/v1/customers/{}/records", pair.first);
    let body = json!({ "kind": "invoice", "fields": { "number": "three" } });
    let refused = pair.shop.call("shop", "POST", &path, Some(body)).await;
    assert_code(&refused, 503, "tampered");
}

#[tokio::test]
async fn a_record_on_a_shelf_of_the_intruders_own_is_noticed() {
    let mut pair = Pair::open().await;
    let attack = "INSERT INTO shelf_record SELECT customer, randomblob(16), x'000102030405060708090a0b0c0d0e0f',
        digest, data FROM shelf_record WHERE customer = @A LIMIT 1";
    pair.intrude(attack).await;
    let id = "rec_000g40r40m30e209185gr38e1w";
    let path = format!("/v1/customers/{}/records/{id}?fields=invoice.number", pair.first);
    assert_code(&pair.shop.call("shop", "GET", &path, None).await, 503, "tampered");
}

/// Records of somebody whose messages alone were destroyed, put back with the key.
#[tokio::test]
async fn erased_stays_erased_though_records_and_their_key_return() {
    let mut shop = Shop::open().await;
    let address = json!({ "lines": ["9 New Quay"], "city": "Whitby", "country": "GB" });
    let buyer = json!({ "relations": [{ "name": "purchase" }], "fields": { "address": address } });
    let made = shop.call("shop", "POST", "/v1/customers", Some(buyer)).await;
    let id = made.json["id"].as_str().unwrap().to_owned();
    add(&shop, &id, "invoice", "stays").await;
    let record = add(&shop, &id, "message", "goes").await;
    shop.stop();
    let before = Kept::of(&shop);
    shop.start().await.unwrap();
    let path = format!("/v1/customers/{id}");
    assert_eq!(shop.call("privacy", "DELETE", &path, None).await.status, 202);
    shop.clock.pass_ms(8 * 86_400_000);
    strongroom::jobs::run_once(&shop.desk()).await;
    // Under the running server: at a start the returned keys alone would be refused.
    let rows = "DELETE FROM customer; INSERT INTO customer SELECT * FROM old.customer;
        DELETE FROM sealed_record; INSERT INTO sealed_record SELECT * FROM old.sealed_record;
        DELETE FROM shelf_record; INSERT INTO shelf_record SELECT * FROM old.shelf_record;";
    intrude(shop.data(), &before.attached(rows));
    let keys = "INSERT OR IGNORE INTO dek SELECT * FROM old.dek;";
    let keys = before.keys().attached("old", keys);
    intrude(shop.keys(), &keys);
    let path = format!("/v1/customers/{id}/records/{record}?fields=message.body");
    let answer = shop.call("shop", "GET", &path, None).await;
    assert_code(&answer, 404, "not_found");
    assert_code(&list(&shop, &id).await, 404, "not_found");
    assert!(findings(&shop).await.contains(&"tampered".to_owned()));
}

const ATTACKS: [&str; 9] = [
    "DELETE FROM shelf_record WHERE (customer, id) IN
       (SELECT customer, id FROM shelf_record WHERE customer = @A LIMIT 1)",
    "DELETE FROM shelf_record WHERE customer = @A",
    // Added: another id for a record that is there, and one of another customer.
    "INSERT INTO shelf_record SELECT customer, shelf, randomblob(16), digest, data
       FROM shelf_record WHERE customer = @A LIMIT 1",
    "INSERT INTO shelf_record SELECT @A, (SELECT shelf FROM shelf_record WHERE customer = @A LIMIT 1),
       id, digest, data FROM shelf_record WHERE customer = @B LIMIT 1",
    // Swapped between two customers, shelves and all.
    "CREATE TEMP TABLE kept AS SELECT * FROM shelf_record;
     DELETE FROM shelf_record;
     INSERT INTO shelf_record
       SELECT CASE customer WHEN @A THEN @B ELSE @A END, shelf, id, digest, data FROM kept",
    // Put back: the older version of a record with its own digest.
    "DELETE FROM shelf_record WHERE customer = @A;
     INSERT INTO shelf_record SELECT * FROM old.shelf_record WHERE customer = @A",
    // The text of one under the id of another, digests untouched and taken along.
    "UPDATE shelf_record SET data = (SELECT data FROM shelf_record AS it
       WHERE it.customer = @A ORDER BY id LIMIT 1) WHERE customer = @A",
    "UPDATE shelf_record SET (digest, data) = (SELECT digest, data FROM shelf_record AS it
       WHERE it.customer = @A ORDER BY id LIMIT 1) WHERE customer = @A",
    "UPDATE shelf_record SET data = CAST(substr(data, 1, length(data) - 1) || x'00' AS BLOB)
       WHERE customer = @A",
];

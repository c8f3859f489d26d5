//! Sealed records, plain columns and index rows changed by SQL: noticed at the next request for that
//! customer, answered with 503 and a finding; everybody else is served.

use serde_json::json;

use super::{Kept, assert_code, assert_no_value, findings, look_up, one, read, reveal};
use crate::support::{Shop, intrude};

/// Two customers: the first is attacked. `old.` names their state before a change of the first.
struct Pair {
    shop: Shop,
    first: String,
    second: String,
    before: Kept,
    now: Kept,
}

impl Pair {
    async fn open() -> Self {
        let mut shop = Shop::open().await;
        let (first, second) = (shop.customer(1).await, shop.customer(2).await);
        shop.stop();
        let before = Kept::of(&shop);
        shop.start().await.unwrap();
        let fields = json!({ "email": "ada.9@mail.example", "note": "asked for a map" });
        let patch = Some(json!({ "fields": fields }));
        let path = format!("/v1/customers/{first}");
        let changed = shop.call_with("shop", "PATCH", &path, patch, &[("if-match", "\"1\"")]).await;
        assert_eq!(changed.status, 200, "{:?}", changed.json);
        shop.stop();
        let now = Kept::of(&shop);
        Self { shop, first, second, before, now }
    }

    /// `@A` and `@B` in the SQL stand for the row keys of the two customers.
    async fn check_tampered(&mut self, attack: &str) {
        self.intrude(attack);
        self.shop.start().await.unwrap();
        assert_code(&read(&self.shop, &self.first).await, 503, "tampered");
        assert_code(&reveal(&self.shop, &self.first).await, 503, "tampered");
        let patch = Some(json!({ "fields": { "note": "x" } }));
        let path = format!("/v1/customers/{}", self.first);
        let patched =
            self.shop.call_with("shop", "PATCH", &path, patch, &[("if-match", "\"2\"")]).await;
        assert_code(&patched, 503, "tampered");
        assert!(findings(&self.shop).await.contains(&"tampered".to_owned()), "{attack}");
        self.shop.stop();
    }

    fn intrude(&self, attack: &str) {
        self.now.put_back(&self.shop);
        let sql = self.before.attached(&self.with_keys(attack));
        intrude(self.shop.data(), &sql);
    }

    fn with_keys(&self, attack: &str) -> String {
        let key = |version: &str| {
            let sql = format!("SELECT key FROM customer WHERE version = {version}");
            one::<i64>(self.now.data(), &sql).to_string()
        };
        attack.replace("@A", &key("2")).replace("@B", &key("1"))
    }
}

#[tokio::test]
async fn bound_a_sealed_record_moved_altered_or_put_back_does_not_open() {
    let mut pair = Pair::open().await;
    for attack in RECORD_ATTACKS {
        pair.check_tampered(attack).await;
        pair.shop.start().await.unwrap();
        let other = read(&pair.shop, &pair.second).await;
        assert_eq!(other.status, 200, "{attack}: {:?}", other.json);
        pair.shop.stop();
    }
}

#[tokio::test]
async fn plain_columns_changed_by_sql_are_noticed_when_the_row_is_used() {
    let mut pair = Pair::open().await;
    for attack in ROW_ATTACKS {
        pair.check_tampered(attack).await;
    }
}

#[tokio::test]
async fn ids_exchanged_between_two_customers_open_neither() {
    let mut pair = Pair::open().await;
    let swap = "CREATE TEMP TABLE ids AS SELECT key, id FROM customer;
        UPDATE customer SET id = randomblob(16);
        UPDATE customer SET id = (SELECT ids.id FROM ids WHERE ids.key <> customer.key);";
    pair.intrude(swap);
    pair.shop.start().await.unwrap();
    assert_code(&read(&pair.shop, &pair.first).await, 503, "tampered");
    assert_code(&read(&pair.shop, &pair.second).await, 503, "tampered");
}

#[tokio::test]
async fn a_restricted_customer_made_active_by_sql_is_not_shown() {
    let mut pair = Pair::open().await;
    pair.now.put_back(&pair.shop);
    pair.shop.start().await.unwrap();
    let path = format!("/v1/customers/{}", pair.first);
    assert_eq!(pair.shop.call("privacy", "DELETE", &path, None).await.status, 202);
    assert_code(&read(&pair.shop, &pair.first).await, 404, "not_found");
    intrude(pair.shop.data(), "UPDATE customer SET state = 'active'");
    assert_code(&read(&pair.shop, &pair.first).await, 503, "tampered");
    assert_code(&reveal(&pair.shop, &pair.first).await, 503, "tampered");
    let found = look_up(&pair.shop, "email", "ada.9@mail.example").await;
    assert_code(&found, 503, "tampered");
    assert_eq!(findings(&pair.shop).await, ["key_file_only", "recovery_missing", "tampered"]);
}

/// A relation stands in the core alone, so no other record could tell the older core.
#[tokio::test]
async fn an_ended_relation_is_not_revived_by_the_older_core() {
    let mut shop = Shop::open().await;
    let id = shop.customer(1).await;
    shop.stop();
    let before = Kept::of(&shop);
    shop.start().await.unwrap();
    let end = Some(json!({ "name": "enquiry", "act": "end" }));
    let path = format!("/v1/customers/{id}/relations");
    let ended = shop.call("shop", "POST", &path, end).await;
    assert_eq!(ended.status, 200, "{:?}", ended.json);
    let core = "UPDATE sealed_record AS new SET data = (SELECT data FROM old.sealed_record AS it
        WHERE it.customer = new.customer AND it.compartment = new.compartment)
        WHERE compartment = zeroblob(16)";
    intrude(shop.data(), &before.attached(core));
    assert_code(&read(&shop, &id).await, 503, "tampered");
}

/// What is not noticed when the row is used: a customer whose rows were *all* put back together is
/// the customer of then. No version of them is mixed with another, and `verify` still stands.
#[tokio::test]
async fn all_rows_of_a_customer_put_back_together_show_the_customer_of_then() {
    let pair = Pair::open().await;
    let all =
        "DELETE FROM sealed_record; INSERT INTO sealed_record SELECT * FROM old.sealed_record;
        DELETE FROM customer; INSERT INTO customer SELECT * FROM old.customer;
        DELETE FROM lookup_unique; INSERT INTO lookup_unique SELECT * FROM old.lookup_unique;";
    pair.intrude(all);
    let mut shop = pair.shop;
    shop.start().await.unwrap();
    let shown = reveal(&shop, &pair.first).await;
    assert_eq!(shown.json["fields"], json!({ "email": "ada.1@mail.example" }), "{:?}", shown.json);
    // Whoever read the newer version is told.
    let patch = Some(json!({ "fields": { "note": "x" } }));
    let path = format!("/v1/customers/{}", pair.first);
    let patched = shop.call_with("shop", "PATCH", &path, patch, &[("if-match", "\"2\"")]).await;
    assert_code(&patched, 412, "version_changed");
}

#[tokio::test]
async fn an_index_row_pointed_at_another_customer_finds_nobody() {
    let mut pair = Pair::open().await;
    for attack in [
        "UPDATE lookup_unique SET customer = @B",
        "DELETE FROM lookup_exact; INSERT INTO lookup_exact
           SELECT field, hash, @B FROM old.lookup_exact WHERE customer = @A",
    ] {
        pair.intrude(attack);
        pair.shop.start().await.unwrap();
        let (field, value) = match attack.contains("unique") {
            true => ("email", "ada.9@mail.example"),
            false => ("phone", "+44 20 7946 0001"),
        };
        let found = look_up(&pair.shop, field, value).await;
        assert_eq!(found.json, json!({ "customers": [] }), "{attack}");
        assert_no_value(&found);
        pair.shop.stop();
    }
    // The customer whose row it was is not changed under a claim that is not theirs.
    pair.intrude("UPDATE lookup_unique SET customer = @B");
    pair.shop.start().await.unwrap();
    let patch = Some(json!({ "fields": { "email": "ada.7@mail.example" } }));
    let path = format!("/v1/customers/{}", pair.first);
    let patched =
        pair.shop.call_with("shop", "PATCH", &path, patch, &[("if-match", "\"2\"")]).await;
    assert_code(&patched, 412, "version_changed");
}

#[tokio::test]
async fn a_subject_row_pointed_at_another_customer_names_nobody() {
    let mut pair = Pair::open().await;
    pair.now.put_back(&pair.shop);
    pair.shop.start().await.unwrap();
    assert_eq!(reveal(&pair.shop, &pair.first).await.status, 200);
    let actor = pair.shop.key_id("desk").await;
    let ask =
        json!({ "actor": actor, "from": "2026-01-01T00:00:00Z", "to": "2027-01-01T00:00:00Z" });
    let scope = pair.shop.as_operator("POST", "/v1/ledger/scope", Some(ask.clone())).await;
    assert_eq!(scope.status, 200, "{:?}", scope.json);
    assert!(scope.json.to_string().contains(&pair.first), "{:?}", scope.json);
    let moved = pair.with_keys("UPDATE subject SET customer = @B WHERE customer = @A");
    intrude(pair.shop.data(), &moved);
    let scope = pair.shop.as_operator("POST", "/v1/ledger/scope", Some(ask)).await;
    assert_eq!(scope.status, 200, "{:?}", scope.json);
    assert!(!scope.json.to_string().contains("cus_"), "{:?}", scope.json);
    assert_eq!(scope.json["customers"][0]["state"], "cannot be opened", "{:?}", scope.json);
    assert!(findings(&pair.shop).await.contains(&"tampered".to_owned()));
}

const RECORD_ATTACKS: [&str; 12] = [
    // Moved between customers: every compartment, the core alone, one compartment alone.
    "UPDATE sealed_record AS mine SET data = (SELECT theirs.data FROM sealed_record AS theirs
       WHERE theirs.customer = @B AND theirs.compartment = mine.compartment) WHERE customer = @A",
    "UPDATE sealed_record SET data = (SELECT data FROM sealed_record
       WHERE customer = @B AND compartment = zeroblob(16))
     WHERE customer = @A AND compartment = zeroblob(16)",
    "UPDATE sealed_record AS mine SET data = (SELECT theirs.data FROM sealed_record AS theirs
       WHERE theirs.customer = @B AND theirs.compartment = mine.compartment)
     WHERE customer = @A AND compartment <> zeroblob(16)",
    // Moved between compartments.
    "UPDATE sealed_record AS one SET data = (SELECT other.data FROM sealed_record AS other
       WHERE other.customer = @A AND other.compartment > one.compartment
       ORDER BY other.compartment LIMIT 1)
     WHERE customer = @A AND compartment = zeroblob(16)",
    // An older version put back: the core alone, the others alone, the row alone.
    "UPDATE sealed_record SET data = (SELECT data FROM old.sealed_record
       WHERE customer = @A AND compartment = zeroblob(16))
     WHERE customer = @A AND compartment = zeroblob(16)",
    "UPDATE sealed_record AS new SET data = (SELECT data FROM old.sealed_record AS it
       WHERE it.customer = @A AND it.compartment = new.compartment)
     WHERE customer = @A AND compartment <> zeroblob(16)",
    "DELETE FROM customer WHERE key = @A;
     INSERT INTO customer SELECT * FROM old.customer WHERE key = @A",
    // Cells cut off, bytes cut off, nothing left.
    "UPDATE sealed_record SET data = substr(data, 1, length(data) - 53) WHERE customer = @A",
    "UPDATE sealed_record SET data = substr(data, 1, 20) WHERE customer = @A",
    "UPDATE sealed_record SET data = x'' WHERE customer = @A",
    // Gone, and one too many.
    "DELETE FROM sealed_record WHERE customer = @A AND compartment <> zeroblob(16)",
    "INSERT INTO sealed_record SELECT customer, x'00112233445566778899aabbccddeeff', data
     FROM sealed_record WHERE customer = @A LIMIT 1",
];

const ROW_ATTACKS: [&str; 9] = [
    "UPDATE customer SET version = -1 WHERE key = @A",
    "UPDATE customer SET state = 'forgotten' WHERE key = @A",
    "UPDATE customer SET state = 'restricted' WHERE key = @A",
    "UPDATE customer SET life = life + 1 WHERE key = @A",
    "UPDATE customer SET life = life - 1 WHERE key = @A",
    "UPDATE customer SET version = version + 1 WHERE key = @A",
    "UPDATE customer SET due_day = 0 WHERE key = @A",
    "UPDATE customer SET mac = (SELECT mac FROM old.customer WHERE key = @A) WHERE key = @A",
    "UPDATE customer SET mac = (SELECT mac FROM customer WHERE key = @B) WHERE key = @A",
];

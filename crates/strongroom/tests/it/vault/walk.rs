//! The daily walk: within thirty days every customer is looked at, and what was changed by other hands
//! is found though nobody asked for it.

use serde_json::json;
use strongroom::id::{Customer, Id};
use strongroom::jobs;

use crate::attack::{findings, one};
use crate::support::{POLICY, Shop, intrude};

const DAY_MS: i64 = 86_400_000;

async fn shop_with(number: usize) -> (Shop, Vec<String>) {
    let shop = Shop::open().await;
    let mut ids = Vec::with_capacity(number);
    for number in 0..number {
        ids.push(shop.customer(number).await);
    }
    (shop, ids)
}

/// One day's run; how many customers each of its entries counts.
async fn walk(shop: &Shop) -> Vec<u64> {
    let before = shop.ledger_size();
    jobs::run_daily(&shop.desk()).await;
    let entries = shop.entries_from(before).await;
    entries.iter().filter(|it| it.verb == "customer.walk").map(|it| it.count).collect()
}

async fn walk_thirty_days(shop: &Shop) -> u64 {
    let mut seen = 0;
    for _ in 0..30 {
        seen += walk(shop).await.iter().sum::<u64>();
        shop.clock.pass_ms(DAY_MS);
    }
    seen
}

fn part(number: i64) -> (i64, i64) {
    let width = i64::MAX / 30;
    (number * width, (number + 1) * width - 1)
}

fn keys_from(shop: &Shop, from: i64, to: i64) -> u64 {
    let sql = format!("SELECT COUNT(*) FROM customer WHERE key >= {from} AND key <= {to}");
    u64::try_from(one::<i64>(shop.data(), &sql)).unwrap()
}

#[tokio::test]
async fn every_customer_is_walked_once_in_thirty_days() {
    let (shop, _) = shop_with(60).await;
    let mut seen = 0;
    for day in 0..30 {
        let walked = walk(&shop).await;
        let (first, last) = part(day);
        assert_eq!(walked, [keys_from(&shop, first, last)], "day {day}");
        assert_eq!(walk(&shop).await, [] as [u64; 0], "once a day is enough");
        seen += walked[0];
        shop.clock.pass_ms(DAY_MS);
    }
    assert_eq!(seen, 60);
    let (first, last) = part(0);
    assert_eq!(walk(&shop).await, [keys_from(&shop, first, last)], "and then again from the front");
    assert_eq!(
        findings(&shop).await,
        ["key_file_only", "recovery_missing"],
        "nothing is wrong with them"
    );
}

#[tokio::test]
async fn what_was_changed_by_sql_is_found_within_thirty_days_and_named() {
    for attack in ATTACKS {
        let (mut shop, ids) = shop_with(8).await;
        let key = key_of(&shop, &ids[3]);
        let other = key_of(&shop, &ids[4]);
        shop.stop();
        let sql = attack.replace("@A", &key.to_string()).replace("@B", &other.to_string());
        intrude(shop.data(), &sql);
        shop.start().await.unwrap();
        assert_eq!(walk_thirty_days(&shop).await, 8, "{attack}");
        assert_eq!(
            findings(&shop).await,
            ["key_file_only", "recovery_missing", "tampered"],
            "{attack}"
        );
        assert_eq!(named(&shop, "tampered"), [bytes_of(&ids[3])], "{attack}");
        let rows: i64 = one(shop.data(), "SELECT COUNT(*) FROM customer");
        assert_eq!(rows, 8, "nothing is deleted: {attack}");
    }
}

#[tokio::test]
async fn a_row_that_was_deleted_or_moved_away_is_found_by_its_records() {
    let attacks = [
        "DELETE FROM customer WHERE key = @A",
        "UPDATE customer SET id = x'00' WHERE key = @A",
        "UPDATE customer SET key = -5 WHERE key = @A",
    ];
    for attack in attacks {
        let (shop, ids) = shop_with(4).await;
        let key = key_of(&shop, &ids[2]);
        intrude(shop.data(), &attack.replace("@A", &key.to_string()));
        walk_thirty_days(&shop).await;
        assert_eq!(
            findings(&shop).await,
            ["key_file_only", "recovery_missing", "tampered"],
            "{attack}"
        );
        let records = format!("SELECT COUNT(*) FROM sealed_record WHERE customer = {key}");
        assert!(one::<i64>(shop.data(), &records) > 1, "nothing is deleted: {attack}");
    }
}

#[tokio::test]
async fn a_key_that_is_missing_is_found_and_nothing_is_deleted() {
    let (shop, ids) = shop_with(2).await;
    let before = shop.keys().copied_to(&shop.folder.path().join("before.db"));
    let last = shop.customer(9).await;
    let newer = "DELETE FROM dek WHERE id NOT IN (SELECT id FROM old.dek)";
    let newer = before.attached("old", newer);
    intrude(shop.keys(), &newer);
    assert_eq!(walk_thirty_days(&shop).await, 3);
    assert_eq!(findings(&shop).await, ["key_file_only", "key_missing", "recovery_missing"]);
    assert_eq!(named(&shop, "key_missing"), [bytes_of(&last)]);
    assert_eq!(one::<i64>(shop.data(), "SELECT COUNT(*) FROM customer"), 3);
    let path = format!("/v1/customers/{}?fields=name", ids[0]);
    assert_eq!(shop.call("desk", "GET", &path, None).await.status, 200);
}

#[tokio::test]
async fn a_walk_that_was_interrupted_goes_on() {
    let (mut shop, _) = shop_with(60).await;
    // Sealed before the first page: nothing was walked, and the next start walks that day's part.
    shop.desk().keyring.seal();
    assert_eq!(walk_quietly(&shop).await, 0);
    shop.stop();
    shop.start().await.unwrap();
    let (first, last) = part(0);
    assert_eq!(walk(&shop).await, [keys_from(&shop, first, last)]);
    // Between two pages of the second part, of which the first ended at its first customer.
    let (first, last) = part(1);
    for number in 60.. {
        if keys_from(&shop, first, last) > 1 {
            break;
        }
        shop.customer(number).await;
    }
    let lowest = format!("SELECT MIN(key) FROM customer WHERE key >= {first}");
    let after = one::<i64>(shop.data(), &lowest) + 1;
    intrude(shop.data(), &format!("UPDATE walk SET position = {after}"));
    shop.clock.pass_ms(DAY_MS);
    assert_eq!(walk(&shop).await, [keys_from(&shop, first, last) - 1]);
    // A place that is none of this part's was not left there by a walk.
    intrude(shop.data(), "UPDATE walk SET position = 9223372036854775807");
    shop.clock.pass_ms(DAY_MS);
    let (first, last) = part(2);
    assert_eq!(walk(&shop).await, [keys_from(&shop, first, last)]);
    // Nobody was there for five days.
    shop.clock.pass_ms(5 * DAY_MS);
    let parts: Vec<u64> =
        (3..8).map(part).map(|(first, last)| keys_from(&shop, first, last)).collect();
    assert_eq!(walk(&shop).await, parts);
    // A day far ahead that was put there does not end the walk.
    intrude(shop.data(), "UPDATE walk SET day = 900000");
    let (first, last) = part(8);
    assert_eq!(walk(&shop).await, [keys_from(&shop, first, last)]);
}

#[tokio::test]
async fn due_days_follow_the_policy_that_is_in_force() {
    let (shop, ids) = shop_with(3).await;
    let days = "SELECT DISTINCT due_day FROM customer";
    let before: i64 = one(shop.data(), days);
    let longer = POLICY.replacen("keep = \"3 years\"", "keep = \"4 years\"", 1);
    let applied = shop.as_operator("POST", "/v1/policy", Some(json!({ "policy": longer }))).await;
    assert_eq!(applied.status, 200, "{:?}", applied.json);
    let start = shop.ledger_size();
    assert_eq!(walk_thirty_days(&shop).await, 3);
    let after: i64 = one(shop.data(), days);
    assert_eq!(after - before, 365);
    let entries = shop.entries_from(start).await;
    let anew: u64 = entries.iter().filter(|it| it.verb == "customer.due").map(|it| it.count).sum();
    assert_eq!(anew, 3);
    for id in ids {
        let path = format!("/v1/customers/{id}?fields=name");
        assert_eq!(shop.call("desk", "GET", &path, None).await.status, 200, "its MAC holds");
    }
    assert_eq!(findings(&shop).await, ["key_file_only", "recovery_missing"]);
}

/// A run of which no entry can be read, because the server is sealed.
async fn walk_quietly(shop: &Shop) -> i64 {
    jobs::run_daily(&shop.desk()).await;
    one(shop.data(), "SELECT COUNT(*) FROM walk")
}

fn named(shop: &Shop, kind: &str) -> Vec<Vec<u8>> {
    shop.data().column(&format!("SELECT customer FROM finding WHERE kind = '{kind}'"))
}

fn bytes_of(id: &str) -> Vec<u8> {
    id.parse::<Id<Customer>>().unwrap().as_bytes().to_vec()
}

fn key_of(shop: &Shop, id: &str) -> i64 {
    let hex: String = bytes_of(id).iter().map(|byte| format!("{byte:02x}")).collect();
    one(shop.data(), &format!("SELECT key FROM customer WHERE id = x'{hex}'"))
}

const ATTACKS: [&str; 8] = [
    "UPDATE customer SET due_day = 0 WHERE key = @A",
    "UPDATE customer SET life = life + 1 WHERE key = @A",
    "UPDATE customer SET state = 'restricted' WHERE key = @A",
    "UPDATE customer SET state = 'forgotten' WHERE key = @A",
    "UPDATE customer SET version = -1 WHERE key = @A",
    "UPDATE customer SET mac = (SELECT mac FROM customer WHERE key = @B) WHERE key = @A",
    "DELETE FROM sealed_record WHERE customer = @A AND compartment <> zeroblob(16)",
    "UPDATE sealed_record SET data = (SELECT data FROM sealed_record
       WHERE customer = @B AND compartment = zeroblob(16))
     WHERE customer = @A AND compartment = zeroblob(16)",
];

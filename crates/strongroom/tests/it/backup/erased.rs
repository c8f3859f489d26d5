//! Backup, erase, restore: gone. And what is not named as erased is not deleted.

use serde_json::json;
use strongroom::backup::{self, MissingKeys};
use strongroom::jobs;

use super::{
    DAY_MS, ask, back_up, count, enquirer, erase, found, input, operator, read, restore, restored,
    settings,
};
use crate::support::{Shop, intrude};

#[tokio::test]
async fn erased_stays_erased_through_backup_and_restore() {
    let mut shop = Shop::open().await;
    let (gone, stays) = (enquirer(&shop, 1).await, enquirer(&shop, 2).await);
    let old = back_up(&shop).await;
    erase(&shop, &gone).await;
    let new = back_up(&shop).await;
    shop.stop();
    let (again, seen) = restored(&shop, &old.data, &new.keys).await;
    assert_eq!((seen.rebuilt.customers_gone, seen.rebuilt.missing), (1, 0));
    check_gone(&again, &gone, &stays).await;
}

/// The keys are as old as the data and have the erased customer's: the newer register alone speaks.
#[tokio::test]
async fn a_newer_register_keeps_the_erased_erased_where_the_keys_are_old() {
    let mut shop = Shop::open().await;
    let (gone, stays) = (enquirer(&shop, 1).await, enquirer(&shop, 2).await);
    let old = back_up(&shop).await;
    erase(&shop, &gone).await;
    let new = back_up(&shop).await;
    shop.stop();
    let mut empty = shop.empty_beside();
    let mut input = input(&empty, &old.data, &old.keys);
    input.registers = vec![new.keys];
    let seen = restore(&empty, &input).unwrap();
    assert_eq!((seen.rebuilt.customers_gone, seen.keys_left_out), (1, 2));
    empty.start().await.unwrap();
    super::enable_all(&empty).await;
    check_gone(&empty, &gone, &stays).await;
    let keys = count(empty.keys(), "SELECT COUNT(*) FROM dek");
    assert_eq!(keys, 2, "the keys of the one who stays");
}

async fn check_gone(again: &Shop, gone: &str, stays: &str) {
    assert_eq!(read(again, gone).await.status, 404);
    assert_eq!(found(again, "eve.1@mail.example").await, 0);
    assert_eq!(read(again, stays).await.status, 200);
    assert_eq!(found(again, "eve.2@mail.example").await, 1);
    assert_eq!(count(again.data(), "SELECT COUNT(*) FROM customer"), 1);
    assert_eq!(count(again.data(), "SELECT COUNT(*) FROM sealed_record"), 2);
    assert_eq!(count(again.data(), "SELECT COUNT(*) FROM erasure_register"), 2);
}

/// Neither key nor sealed record of the erased lies anywhere on the new disk, not even deleted.
#[tokio::test]
async fn a_restore_leaves_no_residue_of_the_erased() {
    let mut shop = Shop::open().await;
    let (gone, stays) = (enquirer(&shop, 1).await, enquirer(&shop, 2).await);
    let old = back_up(&shop).await;
    let before = blobs(&shop);
    erase(&shop, &gone).await;
    let after = blobs(&shop);
    let new = back_up(&shop).await;
    shop.stop();
    let mut empty = shop.empty_beside();
    let mut input = input(&empty, &old.data, &old.keys);
    input.registers = vec![new.keys];
    restore(&empty, &input).unwrap();
    empty.start().await.unwrap();
    super::enable_all(&empty).await;
    assert_eq!(read(&empty, &stays).await.status, 200);
    empty.stop();
    let lies = |blob: &[u8]| {
        let files = std::fs::read_dir(empty.data_folder()).unwrap().flatten();
        let holds = |file: &std::path::Path| {
            std::fs::read(file).unwrap().windows(blob.len()).any(|it| it == blob)
        };
        files.filter(|file| holds(&file.path())).count()
    };
    let erased: Vec<_> = before.iter().filter(|blob| !after.contains(blob)).collect();
    assert_eq!(erased.len(), 4, "two keys, two records");
    for blob in erased {
        assert_eq!(lies(blob), 0);
    }
    let kept: Vec<_> = before.iter().filter(|blob| after.contains(blob)).collect();
    assert!(kept.iter().all(|blob| lies(blob) == 1), "the search can find");
}

/// The end of every wrapped data key and of every sealed record: long enough to be nobody else's.
fn blobs(shop: &Shop) -> Vec<Vec<u8>> {
    let mut found: Vec<Vec<u8>> = shop.keys().column("SELECT wrapped FROM dek");
    found.extend(shop.data().column::<Vec<u8>>("SELECT data FROM sealed_record"));
    found.iter().map(|whole| whole[whole.len() - 24..].to_vec()).collect()
}

/// The legal duty keeps a part; what was forgotten stays forgotten, the rest is read.
#[tokio::test]
async fn a_part_that_was_forgotten_stays_forgotten_and_the_rest_is_read() {
    let mut shop = Shop::open().await;
    let id = shop.customer(1).await;
    let old = back_up(&shop).await;
    ask(&shop, &id).await;
    shop.clock.pass_ms(8 * DAY_MS);
    jobs::run_once(&shop.desk()).await;
    let after = read(&shop, &id).await.json["fields"].clone();
    let phone = json!({ "phone": "+44 20 7946 0001" });
    let finds = async |shop: &Shop| {
        let found = shop.call("desk", "POST", "/v1/customers/lookup", Some(phone.clone())).await;
        found.json["customers"].as_array().map_or(9, Vec::len)
    };
    assert_eq!(finds(&shop).await, 0);
    let new = back_up(&shop).await;
    shop.stop();
    let (again, seen) = restored(&shop, &old.data, &new.keys).await;
    assert!(seen.rebuilt.parts_gone >= 1, "{:?}", seen.rebuilt);
    assert_eq!((seen.rebuilt.customers, seen.rebuilt.missing), (1, 0));
    assert_eq!(read(&again, &id).await.json["fields"], after);
    assert_eq!(finds(&again).await, 0, "nobody is found by what is forgotten");
    assert_eq!(crate::attack::flaws(&again).await, []);
}

/// The invoice stays by law, the message went: with its shelf, and again in the restore.
#[tokio::test]
async fn a_shelf_that_was_destroyed_stays_destroyed_and_the_others_are_read() {
    let mut shop = Shop::open().await;
    let id = enquirer(&shop, 1).await;
    let path = format!("/v1/customers/{id}/records");
    let message = json!({ "kind": "message", "fields": { "subject": "A", "body": "a map" } });
    let invoice = json!({ "kind": "invoice", "fields": { "number": "2026-1",
        "billing_name": "Eve Asker1", "total": 12.5,
        "billing_address": { "lines": ["1 Harbour Street"], "city": "Whitby", "country": "GB" } } });
    for record in [message, invoice] {
        let added = shop.call("shop", "POST", &path, Some(record)).await;
        assert_eq!(added.status, 201, "{:?}", added.json);
    }
    let old = back_up(&shop).await;
    ask(&shop, &id).await;
    shop.clock.pass_ms(8 * DAY_MS);
    jobs::run_once(&shop.desk()).await;
    let listed = format!("{path}?fields=invoice.number,message.body");
    let after = shop.call("shop", "GET", &listed, None).await.json["items"].clone();
    assert_eq!(after.as_array().unwrap().len(), 1, "{after}");
    let new = back_up(&shop).await;
    shop.stop();
    let (again, seen) = restored(&shop, &old.data, &new.keys).await;
    assert_eq!((seen.rebuilt.missing, seen.rebuilt.tampered), (0, 0), "{:?}", seen.rebuilt);
    let listed = again.call("shop", "GET", &listed, None).await;
    assert_eq!(listed.json["items"], after, "{:?}", listed.json);
    assert_eq!(count(again.data(), "SELECT COUNT(*) FROM shelf_record"), 1);
}

#[tokio::test]
async fn an_erasure_asked_for_since_hides_the_customer_again_and_goes_on() {
    let mut shop = Shop::open().await;
    let (asked, taken_back) = (enquirer(&shop, 1).await, enquirer(&shop, 2).await);
    ask(&shop, &taken_back).await;
    let old = back_up(&shop).await;
    ask(&shop, &asked).await;
    let path = format!("/v1/customers/{taken_back}/erasure");
    assert_eq!(shop.call("privacy", "DELETE", &path, None).await.status, 204);
    let new = back_up(&shop).await;
    shop.stop();
    let (again, _) = restored(&shop, &old.data, &new.keys).await;
    assert_eq!(read(&again, &asked).await.status, 404, "asked since: hidden");
    assert_eq!(read(&again, &taken_back).await.status, 200, "taken back since: shown");
    again.clock.pass_ms(8 * DAY_MS);
    jobs::run_once(&again.desk()).await;
    assert_eq!(count(again.data(), "SELECT COUNT(*) FROM customer"), 1, "and then erased");
    assert_eq!(read(&again, &taken_back).await.status, 200);
}

/// Begun, and the machine dies before the keys are destroyed: the key backup still has them.
#[tokio::test]
async fn an_erasure_begun_before_the_machine_died_is_finished() {
    let mut shop = Shop::open_in_file().await;
    let (gone, stays) = (enquirer(&shop, 1).await, enquirer(&shop, 2).await);
    let old = back_up(&shop).await;
    ask(&shop, &gone).await;
    shop.clock.pass_ms(8 * DAY_MS);
    // A reader of keys.db keeps the erasure from being finished: it stays begun.
    let reader = rusqlite::Connection::open(shop.keys_file()).unwrap();
    reader.execute_batch("BEGIN; SELECT COUNT(*) FROM dek;").unwrap();
    jobs::run_once(&shop.desk()).await;
    let begun = "SELECT COUNT(*) FROM erasure_job WHERE state = 'begun'";
    assert_eq!(count(shop.data(), begun), 1);
    let new = back_up(&shop).await;
    drop(reader);
    shop.stop();
    let mut empty = shop.empty_beside();
    let mut input = input(&empty, &old.data, &old.keys);
    input.registers = vec![new.keys];
    let seen = restore(&empty, &input).unwrap();
    assert_eq!(seen.rebuilt.customers_gone, 1);
    empty.start().await.unwrap();
    super::enable_all(&empty).await;
    check_gone(&empty, &gone, &stays).await;
    assert_eq!(count(empty.data(), begun), 0);
    let done = empty.entries().await;
    assert!(done.iter().any(|leaf| leaf.verb == "erase.done"));
}

/// Newer data, older keys: whoever came in between has no key, and that is no erasure.
#[tokio::test]
async fn absence_is_not_erasure_where_the_keys_are_older_than_the_data() {
    let mut shop = Shop::open().await;
    let first = enquirer(&shop, 1).await;
    let old = back_up(&shop).await;
    shop.clock.pass_ms(3_600_000);
    let second = enquirer(&shop, 2).await;
    let new = back_up(&shop).await;
    shop.stop();
    let mut empty = shop.empty_beside();
    let mut input = input(&empty, &new.data, &old.keys);
    let refused = restore(&empty, &input).unwrap_err();
    assert_eq!(refused.code, "register_too_old");
    assert!(refused.detail.contains("--register-as-of 2026-11-21"), "{}", refused.detail);
    input.register_as_of = Some("2026-11-20".to_owned());
    assert_eq!(restore(&empty, &input).unwrap_err().code, "register_too_old", "another day");
    input.register_as_of = Some("2026-11-21".to_owned());
    let refused = restore(&empty, &input).unwrap_err();
    assert_eq!(refused.code, "keys_missing");
    assert!(refused.detail.contains(&second), "it names whom: {}", refused.detail);
    assert!(!empty.keys_file().exists(), "nothing was restored");
    input.missing_keys = MissingKeys::Keep;
    let seen = restore(&empty, &input).unwrap();
    assert_eq!((seen.rebuilt.customers, seen.rebuilt.missing), (1, 1));
    empty.start().await.unwrap();
    super::enable_all(&empty).await;
    assert_eq!(read(&empty, &first).await.status, 200);
    let missing = read(&empty, &second).await;
    assert_eq!((missing.status.as_u16(), missing.code()), (503, "key_missing"));
    assert_eq!(count(empty.data(), "SELECT COUNT(*) FROM customer"), 2, "nothing is deleted");
}

#[tokio::test]
async fn a_pair_older_than_a_day_needs_a_word_about_the_time_since() {
    let mut shop = Shop::open().await;
    enquirer(&shop, 1).await;
    let pair = back_up(&shop).await;
    shop.stop();
    let mut empty = shop.empty_beside();
    empty.clock.pass_ms(DAY_MS + 1);
    let mut input = input(&empty, &pair.data, &pair.keys);
    assert_eq!(restore(&empty, &input).unwrap_err().code, "register_too_old");
    input.register_as_of = Some("2026-11-21".to_owned());
    let seen = restore(&empty, &input).unwrap();
    assert_eq!(seen.window.until.as_ms() - seen.window.register.as_ms(), DAY_MS + 1);
    empty.start().await.unwrap();
    assert!(super::findings(&empty).await.contains(&"restored".to_owned()));
    let found = empty.as_operator("GET", "/v1/findings", None).await.json.to_string();
    assert!(found.contains("One person alone decided"), "there is one admin key: {found}");
    let opening = empty.entries().await.remove(0);
    assert!(opening.reason.ends_with(", agreed to by one person"), "{}", opening.reason);
}

/// Every data backup, every key backup older than N days, the key file of today.
#[tokio::test]
async fn stolen_backups_yield_nothing_of_the_erased_after_n_days() {
    let shop = Shop::open().await;
    let (gone, stays) = (enquirer(&shop, 1).await, enquirer(&shop, 2).await);
    let early = back_up(&shop).await;
    erase(&shop, &gone).await;
    let middle = back_up(&shop).await;
    // Before the N days are over, a thief of both has everyone: that is what N says.
    let thief = theft(&shop, &early.data, &early.keys).await;
    assert_eq!(read(&thief, &gone).await.status, 200, "the test can see what is there");
    drop(thief);
    shop.clock.pass_ms(7 * DAY_MS);
    let late = back_up(&shop).await;
    backup::remove_old(&shop.desk(), &operator(&shop), &settings(&shop)).await.unwrap();
    assert!(!early.keys.exists(), "15 days old");
    assert!(middle.keys.exists() && early.data.exists());
    for data in [&early.data, &middle.data, &late.data] {
        for keys in [&middle.keys, &late.keys] {
            let thief = theft(&shop, data, keys).await;
            assert_ne!(read(&thief, &gone).await.status, 200);
            assert_eq!(read(&thief, &stays).await.status, 200);
        }
    }
    let listed = shop.as_operator("GET", "/v1/backups", None).await.json;
    let removed = |it: &serde_json::Value| !it["keys_removed"].is_null();
    assert_eq!(listed["backups"].as_array().unwrap().iter().filter(|it| removed(it)).count(), 1);
}

/// A thief says whatever a restore wants to hear, and forgets what the registers say.
async fn theft(shop: &Shop, data: &std::path::Path, keys: &std::path::Path) -> Shop {
    let mut empty = shop.empty_beside();
    let mut input = input(&empty, data, keys);
    input.missing_keys = MissingKeys::Keep;
    if let Err(refused) = restore(&empty, &input) {
        let day = refused.detail.split("--register-as-of ").nth(1).unwrap();
        input.register_as_of = Some(day.chars().take(10).collect());
        restore(&empty, &input).unwrap();
    }
    empty.start().await.unwrap();
    super::enable_all(&empty).await;
    empty
}

#[tokio::test]
async fn rows_of_the_register_that_are_not_ours_end_the_restore() {
    let mut shop = Shop::open().await;
    enquirer(&shop, 1).await;
    let old = back_up(&shop).await;
    shop.stop();
    intrude(shop.data(), "INSERT INTO erasure_register VALUES (zeroblob(16), 1, zeroblob(32))");
    shop.start().await.unwrap();
    let new = back_up_by_job(&shop).await;
    shop.stop();
    let empty = shop.empty_beside();
    let refused = restore(&empty, &input(&empty, &old.data, &new.keys)).unwrap_err();
    assert_eq!(refused.code, "rights_altered");
    let refused = restore(&empty, &input(&empty, &new.data, &old.keys));
    assert_eq!(refused.unwrap_err().code, "rights_altered");
}

/// Where rights were altered the operator has none, and the hourly backup goes on: it is the evidence.
async fn back_up_by_job(shop: &Shop) -> super::Pair {
    let desk = shop.desk();
    let ctx = strongroom::app::App::job_ctx(&desk, "backup.make").unwrap();
    let folder = super::vault_of(shop);
    let made = backup::make(&desk, &ctx, &folder, Box::new(|_, _| {})).await.unwrap();
    super::Pair { data: made.data.0, keys: made.keys.0 }
}

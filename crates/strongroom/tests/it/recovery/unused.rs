//! Keys that no record ever came for: when they go, and what keeps them.

use std::sync::Arc;

use serde_json::json;
use strongroom::ctx::{Ctx, NewKey};
use strongroom::vault::{Swept, sweep_pending_keys};

use super::rotation::{counted, go_on, newest, rotate};
use crate::attack::read;
use crate::backup::{back_up, restored};
use crate::support::{Shop, intrude};

const DAY_MS: i64 = 86_400_000;

/// A key made durable for a change that was never done.
fn left_over(shop: &Shop) -> NewKey {
    let desk = shop.desk();
    let block = desk.keyring.new_block().unwrap();
    let (_, key) = desk.keyring.new_data_key(block, &[1; 16], &[2; 16]).unwrap();
    desk.keyring.put_pending(std::slice::from_ref(&key), None, desk.now()).unwrap();
    key
}

fn exists(shop: &Shop, key: &NewKey) -> bool {
    !shop.desk().keyring.which_exist(&[key.id]).unwrap().is_empty()
}

async fn sweep(shop: &Shop) -> Swept {
    let desk = shop.desk();
    let ctx = Ctx::system("keys.sweep", desk.now(), Arc::clone(&desk.random)).unwrap();
    sweep_pending_keys(&desk, &ctx).await.unwrap()
}

async fn removals(shop: &Shop) -> Vec<u64> {
    let entries = shop.entries().await.into_iter();
    entries.filter(|it| it.verb == "keys.remove").map(|it| it.count).collect()
}

#[tokio::test]
async fn a_key_without_a_record_goes_after_a_week_and_then_a_rotation_ends() {
    let shop = Shop::open().await;
    let id = shop.customer(1).await;
    let key = left_over(&shop);
    rotate(&shop, "wrapping_key").await;
    go_on(&shop).await;
    let told = newest(&shop).await;
    assert_eq!((&told["state"], &told["left"]), (&json!("running"), &json!(1)), "{told}");
    shop.clock.pass_ms(6 * DAY_MS);
    assert_eq!(sweep(&shop).await, Swept::default());
    assert!(exists(&shop, &key));
    shop.clock.pass_ms(2 * DAY_MS);
    let swept = sweep(&shop).await;
    assert_eq!((swept.without_record, swept.removed), (1, 1), "{swept:?}");
    assert!(swept.live > 0 && !exists(&shop, &key));
    assert_eq!(removals(&shop).await, [1]);
    go_on(&shop).await;
    assert_eq!(newest(&shop).await["state"], "done");
    assert_eq!(counted(&shop, "SELECT count(*) FROM named_key WHERE name = 'kek/1'"), 0);
    assert_eq!(read(&shop, &id).await.status, 200);
    // Nothing more to do, and nothing more to say.
    assert_eq!(sweep(&shop).await, Swept::default());
    assert_eq!(removals(&shop).await, [1]);
}

#[tokio::test]
async fn no_key_goes_within_a_month_of_a_restore() {
    let shop = Shop::open().await;
    shop.customer(1).await;
    let key = left_over(&shop);
    shop.clock.pass_ms(8 * DAY_MS);
    let pair = back_up(&shop).await;
    let (again, _) = restored(&shop, &pair.data, &pair.keys).await;
    again.clock.pass_ms(29 * DAY_MS);
    let swept = sweep(&again).await;
    assert_eq!((swept.without_record, swept.removed), (1, 0), "{swept:?}");
    assert!(exists(&again, &key) && removals(&again).await.is_empty());
    again.clock.pass_ms(DAY_MS);
    assert_eq!(sweep(&again).await.removed, 1);
    assert!(!exists(&again, &key));
}

#[tokio::test]
async fn no_key_goes_while_the_clock_is_not_to_be_trusted() {
    let shop = Shop::open().await;
    let key = left_over(&shop);
    shop.clock.step_ms(40 * DAY_MS);
    let desk = shop.desk();
    // As the jump would have it.
    let later = desk.now().plus_days(40);
    let ctx = Ctx::system("keys.sweep", later, Arc::clone(&desk.random)).unwrap();
    let swept = sweep_pending_keys(&desk, &ctx).await.unwrap();
    assert_eq!((swept.without_record, swept.removed), (1, 0), "{swept:?}");
    assert!(exists(&shop, &key) && removals(&shop).await.is_empty());
}

/// A core says which key a shelf has, also where somebody deleted the rows on it.
#[tokio::test]
async fn a_key_that_only_a_core_names_stays() {
    let mut shop = Shop::open().await;
    let id = shop.customer(1).await;
    let record = json!({ "kind": "invoice", "fields": { "number": "4711" } });
    let records = format!("/v1/customers/{id}/records");
    assert_eq!(shop.call("shop", "POST", &records, Some(record)).await.status, 201);
    let before = shop.count_data_keys();
    let key = left_over(&shop);
    shop.stop();
    intrude(shop.data(), "DELETE FROM shelf_record");
    shop.start().await.unwrap();
    shop.clock.pass_ms(8 * DAY_MS);
    let swept = sweep(&shop).await;
    assert_eq!((swept.without_record, swept.removed), (2, 1), "{swept:?}");
    assert!(!exists(&shop, &key));
    assert_eq!(shop.count_data_keys(), before);
}

#[tokio::test]
async fn no_key_goes_while_a_customer_does_not_open() {
    let mut shop = Shop::open().await;
    shop.customer(1).await;
    let key = left_over(&shop);
    shop.stop();
    intrude(shop.data(), "UPDATE customer SET due_day = due_day + 1");
    shop.start().await.unwrap();
    shop.clock.pass_ms(8 * DAY_MS);
    assert_eq!(sweep(&shop).await.removed, 0);
    assert!(exists(&shop, &key) && removals(&shop).await.is_empty());
    shop.stop();
    intrude(shop.data(), "UPDATE customer SET due_day = due_day - 1");
    shop.start().await.unwrap();
    assert_eq!(sweep(&shop).await.removed, 1);
}

/// Keys that a rotation put others in place of are in no record here, and in each of a backup of before.
#[tokio::test]
async fn a_sweep_leaves_keys_alone_that_backups_need() {
    let mut shop = Shop::open().await;
    shop.customer(1).await;
    let old = back_up(&shop).await;
    rotate(&shop, "data_keys").await;
    go_on(&shop).await;
    let keys = shop.count_data_keys();
    shop.clock.pass_ms(8 * DAY_MS);
    assert_eq!(sweep(&shop).await.removed, 0);
    assert_eq!(shop.count_data_keys(), keys);
    let new = back_up(&shop).await;
    shop.stop();
    let (_, seen) = restored(&shop, &old.data, &new.keys).await;
    assert_eq!((seen.rebuilt.customers, seen.rebuilt.missing), (1, 0));
}

//! Rotations: new keys in place of old ones, while everything goes on.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use serde_json::{Value, json};
use strongroom::ctx::Ctx;
use strongroom::keys::RotationKind;
use strongroom::{backup, vault};

use super::{hand_out, two};
use crate::backup::{back_up, operator};
use crate::support::{Shop, intrude};

pub(crate) async fn rotate(shop: &Shop, what: &str) -> Value {
    let asked = shop.as_operator("POST", "/v1/rotations", Some(json!({ "what": what }))).await;
    assert_eq!(asked.status, 202, "{:?}", asked.json);
    asked.json
}

/// What a served program does each minute.
pub(crate) async fn go_on(shop: &Shop) {
    let desk = shop.desk();
    let ctx = Ctx::system("rotate", desk.now(), Arc::clone(&desk.random)).unwrap();
    vault::rotate_due(&desk, &ctx, u32::MAX).await.unwrap();
}

pub(crate) async fn newest(shop: &Shop) -> Value {
    shop.as_operator("GET", "/v1/rotations", None).await.json["rotations"][0].clone()
}

async fn name_of(shop: &Shop, id: &str) -> u16 {
    shop.call("desk", "GET", &format!("/v1/customers/{id}?fields=name,email"), None)
        .await
        .status
        .into()
}

pub(super) fn counted(shop: &Shop, sql: &str) -> i64 {
    shop.keys().one(sql)
}

#[tokio::test]
async fn the_wrapping_key_is_rotated_while_everything_goes_on_and_the_old_one_is_gone() {
    let mut shop = Shop::open_today().await;
    let mut ids = Vec::new();
    for number in 0..30 {
        ids.push(shop.customer(number).await);
    }
    let record = json!({ "kind": "invoice", "fields": { "number": "4711" } });
    let records = format!("/v1/customers/{}/records", ids[0]);
    assert_eq!(shop.call("shop", "POST", &records, Some(record)).await.status, 201);
    let before = counted(&shop, "SELECT count(*) FROM dek WHERE kek_version = 1");

    let begun = rotate(&shop, "wrapping_key").await;
    assert_eq!(begun["rotations"][0]["version"], 2, "{begun}");
    // Whoever comes meanwhile is under the new key from the first moment.
    ids.push(shop.customer(99).await);
    go_on(&shop).await;
    let told = newest(&shop).await;
    assert_eq!((&told["state"], &told["left"]), (&json!("done"), &json!(0)), "{told}");
    assert_eq!(told["rewrapped"], before, "{told}");
    assert_eq!(counted(&shop, "SELECT count(*) FROM dek WHERE kek_version <> 2"), 0);
    assert_eq!(counted(&shop, "SELECT count(*) FROM named_key WHERE name = 'kek/1'"), 0);
    let done: Vec<_> =
        shop.entries().await.into_iter().filter(|it| it.verb == "rotate.done").collect();
    assert_eq!(done.len(), 1);
    assert_eq!(done[0].count, before.unsigned_abs());

    shop.stop();
    shop.start().await.unwrap();
    for id in &ids {
        assert_eq!(name_of(&shop, id).await, 200);
    }
    let listed = shop.call("shop", "GET", &format!("{records}?fields=invoice.number"), None).await;
    assert!(listed.status == 200 && listed.json.to_string().contains("4711"), "{listed:?}");
    // The next one starts from here, and a second asking joins it.
    let again = rotate(&shop, "wrapping_key").await;
    assert_eq!(again["rotations"][0]["version"], 3);
    go_on(&shop).await;
    assert_eq!(newest(&shop).await["state"], "done");
}

#[tokio::test]
async fn a_rotation_that_was_broken_off_goes_on_where_it_was() {
    let mut shop = Shop::open_today().await;
    let id = shop.customer(1).await;
    shop.customer(2).await;
    let running = shop
        .desk()
        .keyring
        .begin_rotation(RotationKind::WrappingKey, shop.desk().now())
        .await
        .unwrap();
    let same = shop
        .desk()
        .keyring
        .begin_rotation(RotationKind::WrappingKey, shop.desk().now())
        .await
        .unwrap();
    assert_eq!(running, same, "the one that runs is joined");
    // The process ends with some keys under the new key and the place written down.
    let half = strongroom::keys::Rotation { position: Some(i64::MAX - 1), ..running };
    shop.desk().keyring.rewrap(&half, &[]).unwrap();
    shop.stop();
    shop.start().await.unwrap();
    assert_eq!(name_of(&shop, &id).await, 200);
    assert_eq!(newest(&shop).await["state"], "running");
    // The pass ends at its end with keys left, and the next pass meets them.
    go_on(&shop).await;
    let told = newest(&shop).await;
    assert!(told["state"] == "running" && told["left"].as_u64() > Some(0), "{told}");
    assert_eq!(counted(&shop, "SELECT count(*) FROM named_key WHERE name = 'kek/1'"), 1);
    go_on(&shop).await;
    assert_eq!(newest(&shop).await["state"], "done");
    assert_eq!(name_of(&shop, &id).await, 200);
}

#[tokio::test]
async fn the_old_wrapping_key_stays_while_anything_is_under_it() {
    let mut shop = Shop::open_today().await;
    let (broken, whole) = (shop.customer(1).await, shop.customer(2).await);
    shop.stop();
    intrude(
        shop.data(),
        "UPDATE customer SET due_day = due_day + 1
        WHERE key = (SELECT min(key) FROM customer)",
    );
    shop.start().await.unwrap();
    rotate(&shop, "wrapping_key").await;
    go_on(&shop).await;
    go_on(&shop).await;
    let told = newest(&shop).await;
    assert!(told["state"] == "running" && told["left"].as_u64() > Some(0), "{told}");
    assert_eq!(counted(&shop, "SELECT count(*) FROM named_key WHERE name LIKE 'kek/%'"), 2);
    // Mended, the customer opens again, and then it is done.
    shop.stop();
    intrude(
        shop.data(),
        "UPDATE customer SET due_day = due_day - 1
        WHERE key = (SELECT min(key) FROM customer)",
    );
    shop.start().await.unwrap();
    go_on(&shop).await;
    assert_eq!(newest(&shop).await["state"], "done");
    assert_eq!((name_of(&shop, &broken).await, name_of(&shop, &whole).await), (200, 200));
}

#[tokio::test]
async fn another_root_leaves_shares_and_older_backups_good() {
    let mut shop = Shop::open_today().await;
    let id = shop.customer(1).await;
    let pages = hand_out(&shop).await;
    let pair = back_up(&shop).await;
    let before = wrapped_row(&shop);
    rotate(&shop, "root").await;
    assert_ne!(wrapped_row(&shop), before);
    assert_eq!(name_of(&shop, &id).await, 200);
    // The server still knows the backup as one of ours, and makes the next one under the new root.
    let rows = backup::contents(&pair.data, &shop.desk().keyring).unwrap();
    assert_eq!(rows["customer"], 1);
    let newer = back_up(&shop).await;
    shop.stop();
    shop.start().await.unwrap();
    assert_eq!(name_of(&shop, &id).await, 200);
    shop.stop();
    for pair in [&pair, &newer] {
        let empty = super::empty_machine(&shop);
        let seen = super::restore_by(&empty, pair, two(&pages[1], &pages[2])).unwrap();
        assert_eq!(seen.rebuilt.customers, 1);
    }
}

/// A key that was wrapped before a rotation ended, and comes to be put after it.
#[tokio::test]
async fn no_data_key_is_put_under_a_wrapping_key_that_is_destroyed() {
    let shop = Shop::open_today().await;
    let keyring = Arc::clone(&shop.desk().keyring);
    let block = keyring.new_block().unwrap();
    let (_, late) = keyring.new_data_key(block, &[1; 16], &[2; 16]).unwrap();
    rotate(&shop, "wrapping_key").await;
    go_on(&shop).await;
    assert_eq!(newest(&shop).await["state"], "done");
    let refused = keyring.put_pending(&[late], None, shop.desk().now()).unwrap_err();
    assert_eq!(refused.code, "key_rotated");
    let (_, fresh) = keyring.new_data_key(block, &[1; 16], &[2; 16]).unwrap();
    keyring.put_pending(&[fresh], None, shop.desk().now()).unwrap();
}

/// Readers that run all through a rotation are never told that something was tampered with.
#[tokio::test]
async fn readers_do_not_notice_a_rotation() {
    let shop = Shop::open_today().await;
    let mut ids = Vec::new();
    for number in 0..20 {
        ids.push(shop.customer(number).await);
    }
    for _ in 0..5 {
        rotate(&shop, "wrapping_key").await;
        let reads = async {
            for id in ids.iter().cycle().take(100) {
                assert_eq!(name_of(&shop, id).await, 200);
            }
        };
        tokio::join!(reads, go_on(&shop));
    }
    let findings = shop.as_operator("GET", "/v1/findings", None).await.json.to_string();
    assert!(!findings.contains("tampered"), "{findings}");
    assert_eq!(newest(&shop).await["version"], 6);
}

/// A backup has a root and wrapping keys that belong together, though somebody rotates them meanwhile.
#[tokio::test]
async fn a_rotation_waits_while_keys_are_copied_into_a_backup() {
    let shop = Shop::open_today().await;
    shop.customer(1).await;
    let (desk, ctx) = (shop.desk(), operator(&shop));
    let folder = shop.folder.path().join("backups");
    let mut making = Box::pin(backup::make(&desk, &ctx, &folder, Box::new(|_, _| {})));
    let mut rotating = Box::pin(desk.keyring.rotate_root());
    let before = wrapped_row(&shop);
    assert!(is_pending(&mut making) && is_pending(&mut rotating));
    assert_eq!(wrapped_row(&shop), before, "the root was replaced under the copy");
    let made = making.await.unwrap();
    rotating.await.unwrap();
    assert_ne!(wrapped_row(&shop), before);
    assert_eq!(backup::contents(&made.data.0, &desk.keyring).unwrap()["customer"], 1);
    assert!(backup::contents(&made.keys.0, &desk.keyring).unwrap()["dek"] > 0);
}

/// Goes on with it once.
fn is_pending<F: Future + Unpin>(future: &mut F) -> bool {
    let mut nobody = Context::from_waker(Waker::noop());
    Pin::new(future).poll(&mut nobody).is_pending()
}

/// A key as the root wraps it.
fn wrapped_row(shop: &Shop) -> Vec<u8> {
    shop.keys().one("SELECT wrapped FROM named_key WHERE name = 'row'")
}

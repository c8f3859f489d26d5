//! Stores put back to an older state, alone, together, or from another installation.

use strongroom::jobs;

use super::{Kept, assert_code, enquirer, look_up, one, read};
use crate::support::{Shop, intrude};

#[tokio::test]
async fn strongroom_db_put_back_to_just_before_a_revocation_is_refused() {
    let mut shop = Shop::open().await;
    shop.customer(1).await;
    shop.stop();
    let before = Kept::of(&shop);
    shop.start().await.unwrap();
    // No time passes at all between the copy and the revocation.
    assert_eq!(shop.call("desk", "DELETE", "/v1/keys/own", None).await.status, 204);
    let cut_off = Kept::of_running(&shop);
    shop.stop();
    cut_off.put_back_keys(&shop);
    before.put_back_data(&shop);
    assert_eq!(shop.start().await.unwrap_err().code, "store_rolled_back");
}

#[tokio::test]
async fn strongroom_db_put_back_alone_is_refused_once_the_anchor_has_moved() {
    let mut shop = Shop::open().await;
    let id = shop.customer(1).await;
    shop.stop();
    let before = Kept::of(&shop);
    shop.start().await.unwrap();
    for _ in 0..3 {
        shop.clock.pass_ms(61_000);
        assert_eq!(read(&shop, &id).await.status, 200);
    }
    let cut_off = Kept::of_running(&shop);
    shop.stop();
    cut_off.put_back_keys(&shop);
    before.put_back_data(&shop);
    assert_eq!(shop.start().await.unwrap_err().code, "store_rolled_back");
}

#[tokio::test]
async fn strongroom_db_put_back_alone_within_the_minute_is_refused_after_a_clean_end() {
    let mut shop = Shop::open().await;
    let id = shop.customer(1).await;
    shop.stop();
    let before = Kept::of(&shop);
    shop.start().await.unwrap();
    assert_eq!(read(&shop, &id).await.status, 200);
    shop.stop();
    before.put_back_data(&shop);
    assert_eq!(shop.start().await.unwrap_err().code, "store_rolled_back");
}

/// The same size, another history: the shorter log is made longer again.
#[tokio::test]
async fn a_strongroom_db_with_another_history_is_refused_by_the_anchor() {
    let mut shop = Shop::open().await;
    let id = shop.customer(1).await;
    shop.stop();
    let before = Kept::of(&shop);
    shop.start().await.unwrap();
    for _ in 0..2 {
        shop.clock.pass_ms(61_000);
        read(&shop, &id).await;
    }
    shop.stop();
    let one_way = Kept::of(&shop);
    before.put_back(&shop);
    shop.start().await.unwrap();
    for _ in 0..5 {
        look_up(&shop, "email", "nobody@mail.example").await;
    }
    shop.stop();
    one_way.put_back_keys(&shop);
    assert_eq!(shop.start().await.unwrap_err().code, "store_rolled_back");
}

#[tokio::test]
async fn keys_db_put_back_alone_is_refused_once_it_is_a_minute_older_than_the_log() {
    let mut shop = Shop::open().await;
    let id = shop.customer(1).await;
    shop.stop();
    let before = Kept::of(&shop);
    shop.start().await.unwrap();
    shop.clock.pass_ms(121_000);
    assert_eq!(read(&shop, &id).await.status, 200);
    shop.stop();
    let now = Kept::of(&shop);
    before.put_back_keys(&shop);
    assert_eq!(shop.start().await.unwrap_err().code, "store_rolled_back");
    // With the head made to look older it is the ledger that is refused.
    let time = format!(
        "UPDATE ledger_head SET time_ms = {}",
        one::<i64>(before.data(), "SELECT time_ms FROM ledger_head")
    );
    intrude(shop.data(), &time);
    assert_eq!(shop.start().await.unwrap_err().code, "ledger_altered");
    // And without any anchor the key store is no pair for a log that has entries.
    now.put_back(&shop);
    intrude(shop.keys(), "DELETE FROM anchor");
    assert_eq!(shop.start().await.unwrap_err().code, "store_rolled_back");
}

#[tokio::test]
async fn erased_stays_erased_keys_db_put_back_within_the_minute_is_refused() {
    let mut shop = Shop::open().await;
    let id = enquirer(&shop, 1).await;
    shop.call("privacy", "DELETE", &format!("/v1/customers/{id}"), None).await;
    shop.clock.pass_ms(8 * 86_400_000);
    shop.stop();
    shop.start().await.unwrap();
    shop.stop();
    let before = Kept::of(&shop);
    shop.start().await.unwrap();
    jobs::run_once(&shop.desk()).await;
    shop.stop();
    let now = Kept::of(&shop);
    before.put_back_keys(&shop);
    let refused = shop.start().await.unwrap_err();
    assert_eq!(refused.code, "store_rolled_back", "{refused:?}");
    // With an anchor as young as the log it is the register of erasures that refuses.
    let anchor = "DELETE FROM anchor;
        INSERT INTO anchor SELECT * FROM new.anchor;";
    let anchor = now.keys().attached("new", anchor);
    intrude(shop.keys(), &anchor);
    let refused = shop.start().await.unwrap_err();
    assert_eq!(refused.code, "store_rolled_back", "{refused:?}");
    assert!(refused.detail.contains("erased"), "{refused:?}");
}

/// Within the minute, and with nobody erased since, only the keys made since are missed.
#[tokio::test]
async fn keys_db_put_back_within_the_minute_misses_keys_and_deletes_nothing() {
    let mut shop = Shop::open().await;
    let old = shop.customer(1).await;
    shop.stop();
    let before = Kept::of(&shop);
    shop.start().await.unwrap();
    let new = shop.customer(2).await;
    shop.stop();
    before.put_back_keys(&shop);
    shop.start().await.unwrap();
    assert_eq!(read(&shop, &old).await.status, 200);
    assert_code(&read(&shop, &new).await, 503, "key_missing");
    assert_eq!(super::findings(&shop).await, ["key_file_only", "key_missing", "recovery_missing"]);
    assert_eq!(one::<i64>(shop.data(), "SELECT COUNT(*) FROM customer"), 2);
}

/// The limit of it: both stores put back together are a restore, which only a receipt somebody holds,
/// or a witness, tells from the truth.
#[tokio::test]
async fn both_stores_put_back_together_are_seen_only_by_who_holds_a_receipt() {
    let mut shop = Shop::open().await;
    let id = shop.customer(1).await;
    shop.stop();
    let before = Kept::of(&shop);
    shop.start().await.unwrap();
    let held = size_of(&read(&shop, &id).await.headers);
    for _ in 0..5 {
        read(&shop, &id).await;
    }
    shop.stop();
    before.put_back(&shop);
    shop.start().await.unwrap();
    let now = size_of(&look_up(&shop, "email", "nobody@mail.example").await.headers);
    assert!(now <= held, "a client that keeps its newest receipt sees the log shrink");
}

#[tokio::test]
async fn stores_of_another_installation_are_refused() {
    let (mut shop, mut other) = (Shop::open().await, Shop::open().await);
    let id = shop.customer(1).await;
    other.customer(1).await;
    shop.stop();
    other.stop();
    let (ours, theirs) = (Kept::of(&shop), Kept::of(&other));
    theirs.put_back_keys(&shop);
    assert_eq!(shop.start().await.unwrap_err().code, "wrong_key_file");
    // With their key file too, the data is not theirs.
    let own_key = std::fs::read(shop.key_file()).unwrap();
    replace_key_file(&shop, &std::fs::read(other.key_file()).unwrap());
    assert_eq!(shop.start().await.unwrap_err().code, "mismatched_pair");
    // And said by SQL to be theirs, its log is signed by another.
    let claim = "DELETE FROM installation; INSERT INTO installation SELECT * FROM old.installation";
    intrude(shop.data(), &theirs.attached(claim));
    assert_eq!(shop.start().await.unwrap_err().code, "ledger_altered");
    replace_key_file(&shop, &own_key);
    ours.put_back(&shop);
    shop.start().await.unwrap();
    assert_eq!(read(&shop, &id).await.status, 200);
}

#[tokio::test]
async fn named_keys_exchanged_by_sql_do_not_unseal() {
    let mut shop = Shop::open().await;
    shop.stop();
    let kept = Kept::of(&shop);
    for (attack, code) in [
        (
            "UPDATE named_key SET wrapped = (SELECT wrapped FROM named_key WHERE name = 'row')
             WHERE name = 'index'",
            "keys_damaged",
        ),
        (
            "UPDATE named_key SET wrapped = (SELECT wrapped FROM named_key WHERE name = 'signing')
             WHERE name = 'kek/1'",
            "keys_damaged",
        ),
        ("DELETE FROM named_key WHERE name = 'sets'", "keys_incomplete"),
        ("DELETE FROM named_key WHERE name = 'kek/1'", "keys_incomplete"),
        (
            "UPDATE installation SET installation = x'00112233445566778899aabbccddeeff'",
            "wrong_key_file",
        ),
    ] {
        kept.put_back(&shop);
        intrude(shop.keys(), attack);
        assert_eq!(shop.start().await.unwrap_err().code, code, "{attack}");
    }
}

fn size_of(headers: &axum::http::HeaderMap) -> u64 {
    crate::ledger::Held::of(headers).size
}

fn replace_key_file(shop: &Shop, key: &[u8]) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::remove_file(shop.key_file()).unwrap();
    std::fs::write(shop.key_file(), key).unwrap();
    std::fs::set_permissions(shop.key_file(), std::fs::Permissions::from_mode(0o400)).unwrap();
}

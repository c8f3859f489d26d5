//! New data keys and new look-up keys: what was sealed opens and what was found is found, all the time,
//! and the keys of before open and find nothing.

use std::sync::Arc;

use serde_json::{Value, json};
use strongroom::backup;
use strongroom::ctx::Ctx;
use strongroom::jobs;
use strongroom::keys::RotationKind;
use strongroom::vault;

use super::hand_out;
use super::rotation::{counted, go_on, newest, rotate};
use crate::attack::Kept;
use crate::attack::put_back::deep;
use crate::backup::{
    DAY_MS, back_up, count, enquirer, findings, found, operator, read, restored, settings,
};
use crate::support::data::Data;
use crate::support::{Shop, intrude, person};

/// A customer with everything there is, and how to ask for each of it.
pub(super) struct Whole {
    id: String,
    number: usize,
    follows: String,
    pinned: String,
}

impl Whole {
    pub(super) async fn make(shop: &Shop, number: usize) -> Self {
        let path = format!("/v1/customers/ref/webshop/{number}");
        let made = shop.call("shop", "PUT", &path, Some(person(number))).await;
        assert_eq!(made.status, 201, "{made:?}");
        let id = made.json["id"].as_str().unwrap().to_owned();
        for invoice in ["4711", "4712"] {
            let body = json!({ "kind": "invoice", "fields": { "number": invoice } });
            let records = format!("/v1/customers/{id}/records");
            assert_eq!(shop.call("shop", "POST", &records, Some(body)).await.status, 201);
        }
        let body = json!({ "kind": "message", "fields": { "body": "until noon" } });
        let records = format!("/v1/customers/{id}/records");
        assert_eq!(shop.call("shop", "POST", &records, Some(body)).await.status, 201);
        let [follows, pinned] =
            [token(shop, &id, "email", false).await, token(shop, &id, "phone", true).await];
        Self { id, number, follows, pinned }
    }

    pub(super) async fn check(&self, shop: &Shop) {
        let Self { id, number, .. } = self;
        assert_eq!(read(shop, id).await.status, 200);
        assert_eq!(found(shop, &format!("ada.{number}@mail.example")).await, 1);
        let path = format!("/v1/customers/ref/webshop/{number}?fields=name");
        assert_eq!(shop.call("desk", "GET", &path, None).await.json["id"], json!(id));
        let path = format!("/v1/customers/{id}/records?fields=invoice.number,message.body");
        let records = shop.call("shop", "GET", &path, None).await.json.to_string();
        for part in ["4711", "4712", "until noon"] {
            assert!(records.contains(part), "{records}");
        }
        let body = json!({ "tokens": [self.follows, self.pinned] });
        let shown = shop.call("desk", "POST", "/v1/tokens/detokenize", Some(body)).await.json;
        assert_eq!(shown["tokens"][0]["value"], "a•••@•••.•••", "{shown}");
        assert_eq!(shown["tokens"][1]["pinned"], true, "{shown}");
        assert!(shown["tokens"][1]["value"].is_string(), "{shown}");
        // The same is asked for again: it has its place still.
        assert_eq!(token(shop, id, "email", false).await, self.follows);
        assert_eq!(token(shop, id, "phone", true).await, self.pinned);
        // The log still leads to them.
        let looks = shop.call("privacy", "GET", &format!("/v1/customers/{id}/ledger"), None).await;
        assert!(looks.json["items"].as_array().is_some_and(|it| !it.is_empty()), "{looks:?}");
    }
}

/// The log verifies, and says of nobody anything else than their rows do.
async fn see_log_and_rows_fit(shop: &Shop) {
    assert_eq!(crate::attack::flaws(shop).await, []);
    let compared = deep(shop).await;
    assert_eq!(
        (&compared["differing"], &compared["missing"]),
        (&json!(0), &json!(0)),
        "{compared}"
    );
    assert!(compared["customers"].as_u64() > Some(0), "{compared}");
}

async fn token(shop: &Shop, customer: &str, field: &str, pinned: bool) -> String {
    let body = json!({ "customer": customer, "field": field, "pinned": pinned });
    let made = shop.call("shop", "POST", "/v1/tokens", Some(body)).await;
    assert_eq!(made.status, 200, "{made:?}");
    made.json["tokens"][0].as_str().unwrap().to_owned()
}

pub(super) fn blobs(data: impl Into<Data>, sql: &str) -> Vec<Vec<u8>> {
    data.into().column(sql)
}

pub(super) async fn destroy_retired(shop: &Shop) -> u64 {
    let desk = shop.desk();
    let Some(rehearsed) = backup::rehearsed(&desk).await.unwrap() else { return 0 };
    let ctx = Ctx::system("keys.retire", desk.now(), Arc::clone(&desk.random)).unwrap();
    vault::destroy_retired(&desk, &ctx, rehearsed).await.unwrap()
}

pub(crate) async fn rehearse(shop: &Shop) {
    let check = backup::rehearse(&shop.desk(), &operator(shop), &settings(shop)).await.unwrap();
    assert_eq!(check.result, "ok", "{}", check.detail);
}

#[tokio::test]
async fn every_value_is_sealed_anew_under_keys_nobody_had() {
    let mut shop = Shop::open_today().await;
    let all = [Whole::make(&shop, 1).await, Whole::make(&shop, 2).await];
    let hidden = shop.customer(3).await;
    assert_eq!(
        shop.call("privacy", "DELETE", &format!("/v1/customers/{hidden}"), None).await.status,
        202
    );
    let sealed = "SELECT data FROM sealed_record UNION ALL SELECT data FROM shelf_record
        UNION ALL SELECT data FROM token";
    let (before, keys) = (blobs(shop.data(), sealed), blobs(shop.keys(), "SELECT id FROM dek"));

    rotate(&shop, "data_keys").await;
    go_on(&shop).await;
    let told = newest(&shop).await;
    assert_eq!((&told["what"], &told["state"]), (&json!("data_keys"), &json!("done")), "{told}");
    assert_eq!(told["rewrapped"], keys.len(), "each key was replaced: {told}");
    let after = blobs(shop.data(), sealed);
    assert_eq!(after.len(), before.len());
    assert!(after.iter().all(|blob| !before.contains(blob)), "a value is sealed as it was");
    // The keys of before wait for a backup, under the new wrapping key; the old one is gone.
    let retired = blobs(shop.data(), "SELECT dek FROM retired_key ORDER BY dek");
    let mut keys = keys;
    keys.sort();
    assert_eq!(retired, keys);
    assert_eq!(counted(&shop, "SELECT count(*) FROM dek WHERE kek_version <> 2"), 0);
    assert_eq!(counted(&shop, "SELECT count(*) FROM named_key WHERE name = 'kek/1'"), 0);
    for whole in &all {
        whole.check(&shop).await;
    }
    let back = format!("/v1/customers/{hidden}/erasure");
    assert_eq!(shop.call("privacy", "DELETE", &back, None).await.status, 204);
    assert_eq!(read(&shop, &hidden).await.status, 200);
    shop.stop();
    shop.start().await.unwrap();
    for whole in &all {
        whole.check(&shop).await;
    }
    see_log_and_rows_fit(&shop).await;
}

#[tokio::test]
async fn everything_is_found_by_new_hashes_and_the_old_key_is_gone() {
    let mut shop = Shop::open_today().await;
    let all = [Whole::make(&shop, 1).await, Whole::make(&shop, 2).await];
    let before = blobs(shop.data(), HASHES);
    rotate(&shop, "look_up_keys").await;
    // Before the job has come by, everybody is found, and nobody twice.
    for whole in &all {
        whole.check(&shop).await;
    }
    for _ in 0..3 {
        go_on(&shop).await;
    }
    let told = newest(&shop).await;
    assert_eq!((&told["state"], &told["left"]), (&json!("done"), &json!(0)), "{told}");
    let after = blobs(shop.data(), HASHES);
    assert_eq!(after.len(), before.len());
    assert!(after.iter().all(|hash| !before.contains(hash)), "a hash is as it was");
    assert_eq!(counted(&shop, "SELECT count(*) FROM named_key WHERE name LIKE '%/other'"), 0);
    shop.stop();
    shop.start().await.unwrap();
    for whole in &all {
        whole.check(&shop).await;
    }
    see_log_and_rows_fit(&shop).await;
}

/// A value is unique under both keys together: one customer is hashed by the old key, who comes by the
/// new one.
#[tokio::test]
async fn a_unique_value_stays_unique_while_look_up_keys_are_rotated() {
    let shop = Shop::open_today().await;
    let first = enquirer(&shop, 1).await;
    let second = enquirer(&shop, 2).await;
    let desk = shop.desk();
    let taken = |answer: crate::support::Answer| {
        assert_eq!((answer.status.as_u16(), answer.code()), (409, "taken"), "{answer:?}");
    };
    let same = || {
        json!({ "relations": [{ "name": "enquiry" }],
        "fields": { "name": "Eve", "email": "eve.1@mail.example" } })
    };
    let check = async || {
        taken(shop.call("shop", "POST", "/v1/customers", Some(same())).await);
        let body = json!({ "fields": { "email": "eve.1@mail.example" } });
        let path = format!("/v1/customers/{second}");
        let version =
            shop.call("desk", "GET", &format!("{path}?fields=name"), None).await.json["version"]
                .to_string();
        let version = format!("\"{version}\"");
        let headers = [("if-match", version.as_str())];
        taken(shop.call_with("shop", "PATCH", &path, Some(body), &headers).await);
        assert_eq!(found(&shop, "eve.1@mail.example").await, 1);
    };
    desk.keyring.prepare_look_ups(RotationKind::LookUpKeys).unwrap();
    check().await;
    desk.keyring.begin_rotation(RotationKind::LookUpKeys, desk.now()).await.unwrap();
    check().await;
    // One who says their own address once more is hashed anew by that, and stays alone.
    let path = format!("/v1/customers/{first}");
    let body = json!({ "fields": { "email": "eve.1@mail.example" } });
    let headers = [("if-match", "\"1\"")];
    let patched = shop.call_with("shop", "PATCH", &path, Some(body), &headers).await;
    assert_eq!(patched.status, 200, "{patched:?}");
    check().await;
    for _ in 0..3 {
        go_on(&shop).await;
    }
    assert_eq!(newest(&shop).await["state"], "done");
    check().await;
    assert_eq!(count(shop.data(), "SELECT count(*) FROM lookup_unique"), 2);
}

/// What was decided before the coming key was known claims nothing any more.
#[tokio::test]
async fn what_was_decided_before_look_up_keys_are_exchanged_is_decided_anew() {
    let shop = Shop::open_today().await;
    let before = shop.desk().rights.now().unwrap().epoch;
    rotate(&shop, "data_keys").await;
    assert_eq!(shop.desk().rights.now().unwrap().epoch, before);
    go_on(&shop).await;
    rotate(&shop, "look_up_keys").await;
    // Once when the coming keys are known, and once when they are in their place.
    assert_eq!(shop.desk().rights.now().unwrap().epoch, before + 2);
}

/// Broken off after some customers, with the process; and two kinds never at one time.
#[tokio::test]
async fn a_renewal_that_was_broken_off_goes_on_and_keeps_others_waiting() {
    let mut shop = Shop::open_today().await;
    let all = [Whole::make(&shop, 1).await, Whole::make(&shop, 2).await];
    let (desk, kind) = (shop.desk(), RotationKind::AfterLeak);
    desk.keyring.prepare_look_ups(kind).unwrap();
    let running = desk.keyring.begin_rotation(kind, desk.now()).await.unwrap();
    let half = strongroom::keys::Rotation { position: Some(i64::MAX - 1), ..running };
    desk.keyring.rewrap(&half, &[]).unwrap();
    drop(desk);
    shop.stop();
    shop.start().await.unwrap();
    for whole in &all {
        whole.check(&shop).await;
    }
    let other = json!({ "what": "wrapping_key" });
    let refused = shop.as_operator("POST", "/v1/rotations", Some(other)).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (409, "rotation_running"));
    for _ in 0..4 {
        go_on(&shop).await;
    }
    assert_eq!(newest(&shop).await["state"], "done");
    for whole in &all {
        whole.check(&shop).await;
    }
}

#[tokio::test]
async fn retired_keys_stay_until_a_newer_backup_was_rehearsed_and_no_longer() {
    let shop = Shop::open_today().await;
    let whole = Whole::make(&shop, 1).await;
    let old = back_up(&shop).await;
    rehearse(&shop).await;
    let keys = shop.count_data_keys();
    rotate(&shop, "data_keys").await;
    go_on(&shop).await;
    assert_eq!(destroy_retired(&shop).await, 0, "a backup of before needs them");
    shop.clock.pass_ms(2 * 3_600_000);
    back_up(&shop).await;
    assert_eq!(destroy_retired(&shop).await, 0, "nobody has tried the newer one");
    rehearse(&shop).await;
    // By other hands: a key in use is called retired, and one that is retired is not.
    intrude(
        shop.data(),
        "UPDATE retired_key SET retired_ms = 0 WHERE dek = (SELECT min(dek) FROM retired_key)",
    );
    assert_eq!(destroy_retired(&shop).await, keys - 1);
    assert_eq!(shop.count_data_keys(), keys + 1);
    whole.check(&shop).await;
    let verbs: Vec<String> = shop.entries().await.into_iter().map(|it| it.verb).collect();
    for verb in ["retired.begin", "retired.done"] {
        assert_eq!(verbs.iter().filter(|it| *it == verb).count(), 1);
    }
    assert_eq!(destroy_retired(&shop).await, 0);
    // What was made before opens with the keys that were copied with it.
    let (again, seen) = restored(&shop, &old.data, &old.keys).await;
    assert_eq!((seen.rebuilt.customers, seen.rebuilt.missing), (1, 0));
    whole.check(&again).await;
}

/// The row is written by us and named again by other hands: a key that something is sealed under stays.
#[tokio::test]
async fn a_key_in_use_is_not_destroyed_though_a_row_calls_it_retired() {
    let mut shop = Shop::open_today().await;
    let whole = Whole::make(&shop, 1).await;
    shop.stop();
    let then = Kept::of(&shop);
    shop.start().await.unwrap();
    rotate(&shop, "data_keys").await;
    go_on(&shop).await;
    shop.stop();
    // The customer as before the rotation, beside the rows that it retired keys by.
    let rows = ["customer", "sealed_record", "shelf_record", "token"].map(|table| {
        format!("DELETE FROM {table}; INSERT INTO {table} SELECT * FROM old.{table};")
    });
    intrude(shop.data(), &then.attached(&rows.concat()));
    shop.start().await.unwrap();
    whole.check(&shop).await;
    let desk = shop.desk();
    let ctx = Ctx::system("keys.retire", desk.now(), Arc::clone(&desk.random)).unwrap();
    let much_later = desk.now().plus_days(3);
    assert_eq!(vault::destroy_retired(&desk, &ctx, much_later).await.unwrap(), 0);
    whole.check(&shop).await;
}

#[tokio::test]
async fn after_a_leak_no_key_that_opens_or_finds_stays_and_what_is_exposed_is_named() {
    let mut shop = Shop::open_today().await;
    let all = [Whole::make(&shop, 1).await, Whole::make(&shop, 2).await];
    let pages = hand_out(&shop).await;
    let old = back_up(&shop).await;
    shop.clock.pass_ms(1000);
    let older = "SELECT count(*) FROM named_key WHERE name = 'kek/1' OR name LIKE '%/other'";
    let root = "SELECT wrapped FROM named_key WHERE name = 'root'";
    let before = blobs(shop.keys(), root);
    assert_eq!((count(shop.keys(), older), before.len()), (1, 1));
    let deks = blobs(shop.keys(), "SELECT id FROM dek");
    let hashes = blobs(shop.data(), HASHES);
    rotate(&shop, "after_leak").await;
    assert!(findings(&shop).await.contains(&"keys_leaked".to_owned()));
    for _ in 0..4 {
        go_on(&shop).await;
    }
    let told = newest(&shop).await;
    assert_eq!((&told["what"], &told["state"]), (&json!("after_leak"), &json!("done")), "{told}");
    assert_eq!(count(shop.keys(), older), 0);
    assert_ne!(blobs(shop.keys(), root), before);
    let after = blobs(shop.data(), HASHES);
    assert!(after.iter().all(|hash| !hashes.contains(hash)), "a hash is as it was");
    no_record_names(&shop, &deks);
    for whole in &all {
        whole.check(&shop).await;
    }
    // Shares of before are the way back no more, and what was made before is named.
    assert_eq!(shop.desk().keyring.recovery_set().unwrap(), None);
    assert!(findings(&shop).await.contains(&"recovery_missing".to_owned()));
    let listed = shop.as_operator("GET", "/v1/backups", None).await.json["backups"].clone();
    assert_eq!(listed[0]["exposed"], true, "{listed}");
    let made = back_up(&shop).await;
    let by_shares = |pair| {
        super::restore_by(&super::empty_machine(&shop), pair, super::two(&pages[0], &pages[1]))
    };
    assert_eq!(super::refusal(by_shares(&made)), "no_recovery");
    assert_eq!(super::refusal(by_shares(&old)), "", "that is why it is exposed");
    // It ends when nothing is left to do, and not before.
    let is_open = async |shop: &Shop| findings(shop).await.contains(&"keys_leaked".to_owned());
    jobs::run_daily(&shop.desk()).await;
    assert!(is_open(&shop).await);
    hand_out(&shop).await;
    jobs::run_daily(&shop.desk()).await;
    assert!(is_open(&shop).await, "a backup of before is kept");
    shop.clock.pass_ms(36 * DAY_MS);
    back_up(&shop).await;
    let removed = backup::remove_old(&shop.desk(), &operator(&shop), &settings(&shop)).await;
    assert!(removed.unwrap() > 0);
    jobs::run_daily(&shop.desk()).await;
    assert!(!is_open(&shop).await);
    shop.stop();
    shop.start().await.unwrap();
    for whole in &all {
        whole.check(&shop).await;
    }
}

/// Merged in mid-rotation, one hashed by each key: both ways back lead to who stays.
#[tokio::test]
async fn who_is_merged_while_look_up_keys_are_rotated_is_found_all_the_same() {
    let shop = Shop::open_today().await;
    let (one, other) = (Whole::make(&shop, 1).await, Whole::make(&shop, 2).await);
    let desk = shop.desk();
    desk.keyring.prepare_look_ups(RotationKind::LookUpKeys).unwrap();
    desk.keyring.begin_rotation(RotationKind::LookUpKeys, desk.now()).await.unwrap();
    let version = async |id: &str| {
        let path = format!("/v1/customers/{id}?fields=name");
        shop.call("desk", "GET", &path, None).await.json["version"].as_u64().unwrap()
    };
    let (stays, goes) = (version(&one.id).await, version(&other.id).await);
    let body: Value = json!({ "other": other.id, "other_version": goes, "keep": {} });
    let (path, stays) = (format!("/v1/customers/{}/merge", one.id), format!("\"{stays}\""));
    let merged =
        shop.call_with("privacy", "POST", &path, Some(body), &[("if-match", &stays)]).await;
    assert_eq!(merged.status, 200, "{merged:?}");
    for _ in 0..3 {
        go_on(&shop).await;
    }
    assert_eq!(newest(&shop).await["state"], "done");
    one.check(&shop).await;
    let path = "/v1/customers/ref/webshop/2?fields=name";
    assert_eq!(shop.call("desk", "GET", path, None).await.json["id"], json!(one.id));
    let body = json!({ "tokens": [other.follows] });
    let shown = shop.call("desk", "POST", "/v1/tokens/detokenize", Some(body)).await.json;
    assert!(shown["tokens"][0]["value"].is_string(), "{shown}");
}

/// What a person asked for on suspicion is not ended by the housekeeping of the year.
#[tokio::test]
async fn a_rotation_is_overtaken_only_by_one_that_does_its_work() {
    let shop = Shop::open_today().await;
    let whole = Whole::make(&shop, 1).await;
    let (desk, wrapping) = (shop.desk(), RotationKind::WrappingKey);
    let first = desk.keyring.begin_rotation(wrapping, desk.now()).await.unwrap();
    desk.keyring.begin_rotation(RotationKind::DataKeys, desk.now()).await.unwrap();
    let refused = desk.keyring.begin_rotation(wrapping, desk.now()).await;
    assert_eq!(refused.err().map(|error| error.code), Some("rotation_running"));
    // A pass that was under way writes its place down: it does not rise again by that.
    desk.keyring.rewrap(&first, &[]).unwrap();
    assert!(!desk.keyring.is_running(&first).unwrap());
    go_on(&shop).await;
    let told = shop.as_operator("GET", "/v1/rotations", None).await.json["rotations"].clone();
    assert_eq!(
        (&told[0]["state"], &told[1]["state"]),
        (&json!("done"), &json!("overtaken")),
        "{told}"
    );
    whole.check(&shop).await;
}

/// One who does not open keeps the keys, and nobody behind them waiting.
#[tokio::test]
async fn one_who_cannot_be_renewed_keeps_nobody_else_waiting() {
    let shop = Shop::open_today().await;
    let mut all = Vec::new();
    for number in 1..=3 {
        all.push(Whole::make(&shop, number).await);
    }
    // A token of the first in the order of the walk was altered.
    intrude(
        shop.data(),
        "UPDATE token SET data = zeroblob(length(data)) WHERE customer = (SELECT min(key) FROM customer)",
    );
    rotate(&shop, "data_keys").await;
    go_on(&shop).await;
    let told = newest(&shop).await;
    assert_eq!(told["state"], "running", "{told}");
    assert_eq!(count(shop.data(), "SELECT count(DISTINCT customer) FROM retired_key"), 2);
    assert!(findings(&shop).await.contains(&"tampered".to_owned()));
}

#[tokio::test]
async fn shares_handed_out_after_a_leak_stay_good_when_it_is_asked_for_again() {
    let shop = Shop::open_today().await;
    Whole::make(&shop, 1).await;
    let old = hand_out(&shop).await;
    let shares = "SELECT wrapped FROM named_key WHERE name = 'recovery'";
    rotate(&shop, "after_leak").await;
    assert_eq!(blobs(shop.keys(), shares), [[0; 0]; 0], "{old:?} open nothing");
    hand_out(&shop).await;
    let handed_out = blobs(shop.keys(), shares);
    let again = rotate(&shop, "after_leak").await;
    assert_eq!(again["rotations"].as_array().unwrap().len(), 1, "{again}");
    assert_eq!(blobs(shop.keys(), shares), handed_out);
    assert!(!findings(&shop).await.contains(&"recovery_missing".to_owned()));
}

/// No sealed record is under one of these keys; a record of today is under one that is there.
pub(super) fn no_record_names(shop: &Shop, deks: &[Vec<u8>]) {
    assert!(!deks.is_empty());
    let today = blobs(shop.keys(), "SELECT id FROM dek");
    for table in ["sealed_record", "shelf_record"] {
        let naming = |dek: &Vec<u8>| {
            let hex = data_encoding::HEXLOWER.encode(dek);
            let sql = format!("SELECT count(*) FROM {table} WHERE instr(data, x'{hex}') > 0");
            count(shop.data(), &sql)
        };
        assert!(today.iter().map(naming).sum::<i64>() > 0, "{table}");
        assert_eq!(deks.iter().map(naming).sum::<i64>(), 0, "{table} names a key of before");
    }
}

/// Whatever somebody is found by.
const HASHES: &str = "SELECT hash FROM lookup_unique UNION ALL SELECT hash FROM lookup_exact
    UNION ALL SELECT hash FROM subject UNION ALL SELECT hash FROM token";

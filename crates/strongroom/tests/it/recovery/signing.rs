//! Another key that signs the ledger: who signs when, what stays valid, and what a crash leaves.

use serde_json::{Value, json};
use strongroom::ctx::Outcome;
use strongroom::ledger;
use strongroom_tlog::{VerifierKey, open_checkpoint};
use strongroom_verify::{Asked, Key, Proof, verify_log, verify_proof};

use crate::attack::{Kept, enquirer, flaws, one};
use crate::backup::{back_up, restored};
use crate::ledger::export::{check, export};
use crate::support::{Answer, Shop, intrude};

async fn ask(shop: &Shop) -> Answer {
    let body = json!({ "what": "signing_key" });
    shop.as_operator("POST", "/v1/rotations", Some(body)).await
}

/// The key that verifiers need from then on.
async fn rotate(shop: &Shop) -> VerifierKey {
    let asked = ask(shop).await;
    assert_eq!(asked.status, 202, "{asked:?}");
    VerifierKey::parse(asked.json["signing_key"]["key"].as_str().unwrap()).unwrap()
}

async fn state(shop: &Shop) -> Value {
    shop.as_operator("GET", "/v1/rotations", None).await.json["signing_key"]["state"].clone()
}

fn key(shop: &Shop) -> VerifierKey {
    ledger::verifier_key(&shop.desk().keyring).unwrap()
}

fn newest(shop: &Shop) -> String {
    shop.desk().published.newest().unwrap().checkpoint.as_ref().to_owned()
}

fn opens(note: &str, key: &VerifierKey) -> bool {
    open_checkpoint(note, key).is_ok()
}

/// Names of keys in keys.db that have to do with signing.
fn names(shop: &Shop) -> String {
    let sql = "SELECT name FROM named_key WHERE name LIKE 'sign%' ORDER BY name";
    shop.keys().column::<String>(sql).join(",")
}

async fn places_of(shop: &Shop, verb: &str) -> Vec<u64> {
    let entries = shop.entries().await;
    let found = (0..).zip(entries).filter(|(_, it)| it.verb == verb && it.outcome == Outcome::Ok);
    found.map(|(place, _)| place).collect()
}

#[tokio::test]
async fn a_new_signing_key_signs_alone_at_once_where_nobody_cosigns() {
    let mut shop = Shop::open_today().await;
    shop.customer(1).await;
    let (old, before) = (key(&shop), newest(&shop));
    let new = rotate(&shop).await;
    assert_ne!(old.to_string(), new.to_string());
    assert_eq!((names(&shop).as_str(), key(&shop)), ("signer/0000,signing", new.clone()));
    // The entry that says so is under a checkpoint that both signed; the one after it under the new key's.
    let note = shop.as_operator("GET", "/v1/ledger/checkpoint?handover=1", None).await;
    let note = String::from_utf8(note.bytes).unwrap();
    assert!(opens(&note, &old) && opens(&note, &new), "{note}");
    assert!(note.contains(&format!("\nhandover {new}\n")), "{note}");
    let handed = places_of(&shop, "rotate.signing").await;
    assert_eq!(places_of(&shop, "rotate.signed").await, [handed[0] + 1]);
    assert_eq!(shop.entries().await[handed[0] as usize].ticket, new.to_string());
    assert_eq!(open_checkpoint(&note, &old).unwrap().size, handed[0] + 1);
    assert!(opens(&newest(&shop), &new) && !opens(&newest(&shop), &old));
    assert!(opens(&before, &old), "what was signed before stays so");

    shop.stop();
    shop.start().await.unwrap();
    assert_eq!(shop.verify().await["intact"], true);
    // Every other rotation goes along with it, and the next one too.
    let root = Some(json!({ "what": "root" }));
    assert_eq!(shop.as_operator("POST", "/v1/rotations", root).await.status, 202);
    let third = rotate(&shop).await;
    shop.stop();
    shop.start().await.unwrap();
    assert_eq!((key(&shop), names(&shop).as_str()), (third, "signer/0000,signer/0001,signing"));
    assert_eq!(shop.verify().await["intact"], true);
    let missing = shop.as_operator("GET", "/v1/ledger/checkpoint?handover=3", None).await;
    assert_eq!(missing.status, 404);
}

#[tokio::test]
async fn only_the_right_to_keys_hands_the_ledger_over() {
    let shop = Shop::open_today().await;
    let body = json!({ "what": "signing_key" });
    let refused = shop.call("desk", "POST", "/v1/rotations", Some(body)).await;
    assert_eq!(refused.status, 403, "{refused:?}");
    assert_eq!(names(&shop), "signing", "not even a key is made");
}

/// A certificate of an erasure is a proof of its last entry.
#[tokio::test]
async fn proofs_and_certificates_from_before_the_new_key_stay_valid() {
    let mut shop = Shop::open_today().await;
    let id = enquirer(&shop, 1).await;
    crate::backup::erase(&shop, &id).await;
    let place = *places_of(&shop, "erase.done").await.first().unwrap();
    let path = format!("/v1/ledger/proof/{place}?form=text");
    let certificate = shop.as_operator("GET", &path, None).await.bytes;
    let older = Key::log(&key(&shop).to_string()).unwrap();
    let folder = shop.folder.path().join("before");
    shop.stop();
    export(&shop, &folder).unwrap();
    let kept = std::fs::read(folder.join("checkpoint")).unwrap();
    shop.start().await.unwrap();

    let newer = Key::log(&rotate(&shop).await.to_string()).unwrap();
    let holds = |bytes: &[u8], key: &Key| {
        verify_proof(&Proof::parse(bytes).unwrap(), key, &[], None).is_ok()
    };
    assert!(holds(&certificate, &older) && !holds(&certificate, &newer));
    let again = shop.as_operator("GET", &path, None).await.bytes;
    assert!(holds(&again, &newer) && !holds(&again, &older));
    // The log that is exported then continues what was kept, and its key is the new one.
    shop.stop();
    let refused = export(&shop, &folder).unwrap_err();
    assert!(refused.contains("export into a new folder"), "{refused}");
    let folder = shop.folder.path().join("after");
    export(&shop, &folder).unwrap();
    let asked = |key, older_keys| Asked { since: Some(&kept), older_keys, ..Asked::with(key) };
    let reports = verify_log(&folder, &asked(&newer, std::slice::from_ref(&older))).unwrap();
    assert!(reports[0].continues.is_some());
    // The old key alone vouches for nobody.
    let refused = verify_log(&folder, &asked(&older, &[])).unwrap_err().to_string();
    assert!(refused.contains("nobody but the key before it says so"), "{refused}");
}

#[tokio::test]
async fn a_handover_that_a_crash_broke_off_goes_on() {
    let mut shop = Shop::open_today().await;
    shop.customer(1).await;
    let old = key(&shop);
    // Killed after the key was made: nothing is signed with it, and the next asking uses it.
    let coming = shop.desk().keyring.make_coming_signer().unwrap();
    shop.stop();
    shop.start().await.unwrap();
    assert_eq!((key(&shop), names(&shop).as_str()), (old.clone(), "signing,signing/next"));
    assert!(!shop.desk().published.newest().unwrap().checkpoint.contains("handover"));
    let expected = VerifierKey::new(old.name(), coming).unwrap();

    // Killed while the witness is waited for: both sign, through every start.
    shop.desk().published.expect_witness();
    assert_eq!(rotate(&shop).await, expected);
    assert_eq!(state(&shop).await, "handing_over");
    let refused = ask(&shop).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (409, "signing_key_waits"));
    assert!(opens(&newest(&shop), &old) && opens(&newest(&shop), &expected));
    assert_eq!(shop.verify().await["intact"], true);
    shop.stop();
    let waiting = Kept::of(&shop);

    // Nobody cosigns any more: the next start ends it.
    shop.start().await.unwrap();
    assert_eq!((key(&shop), state(&shop).await), (expected.clone(), json!("settled")));
    shop.stop();
    // Killed between the entry that ends it and the keys: they are brought to what the ledger says.
    waiting.put_back_keys(&shop);
    assert_eq!(names(&shop), "signing,signing/next");
    shop.start().await.unwrap();
    assert_eq!((key(&shop), names(&shop).as_str()), (expected.clone(), "signer/0000,signing"));
    assert!(opens(&newest(&shop), &expected) && !opens(&newest(&shop), &old));
    assert_eq!((shop.verify().await["intact"].clone(), flaws(&shop).await.len()), (json!(true), 0));
}

/// Rows say what the ledger and its signatures say, or nothing is opened.
#[tokio::test]
async fn no_row_alone_hands_the_ledger_over() {
    let mut shop = Shop::open_today().await;
    let coming = shop.desk().keyring.make_coming_signer().unwrap();
    let coming = VerifierKey::new(key(&shop).name(), coming).unwrap();
    shop.stop();
    let kept = Kept::of(&shop);
    for (note, vkey) in [("", coming.to_string()), ("x", coming.to_string()), ("", "x".to_owned())]
    {
        let sql = format!("INSERT INTO ledger_handover VALUES (1, '{vkey}', '{note}')");
        intrude(shop.data(), &sql);
        assert_eq!(shop.start().await.unwrap_err().code, "ledger_altered");
        kept.put_back(&shop);
    }
    shop.start().await.unwrap();
    shop.desk().published.expect_witness();
    rotate(&shop).await;
    shop.stop();
    let kept = Kept::of(&shop);
    for sql in ["UPDATE ledger_handover SET idx = 0", "DELETE FROM ledger_handover"] {
        intrude(shop.data(), sql);
        assert_eq!(shop.start().await.unwrap_err().code, "ledger_altered");
        kept.put_back(&shop);
    }
    // Without the line of the new key too it is opened, and whoever verifies the ledger is told.
    let note: String = one(shop.data(), "SELECT checkpoint FROM ledger_head");
    let (text, lines) = note.split_once("\n\n").unwrap();
    let old = lines.lines().last().unwrap();
    intrude(
        shop.data(),
        &format!(
            "DELETE FROM ledger_handover; UPDATE ledger_head SET checkpoint = '{text}\n\n{old}\n'"
        ),
    );
    shop.start().await.unwrap();
    let told = flaws(&shop).await;
    assert!(
        told.iter().any(|it| it.1.contains("the key that it hands the log over to")),
        "{told:?}"
    );
}

#[tokio::test]
async fn what_the_old_key_signs_later_is_not_opened() {
    let mut shop = Shop::open_today().await;
    shop.stop();
    let kept = Kept::of(&shop);
    shop.start().await.unwrap();
    rotate(&shop).await;
    shop.stop();
    kept.put_back_data(&shop);
    let refused = shop.start().await.unwrap_err();
    assert!(["store_rolled_back", "ledger_altered"].contains(&refused.code), "{}", refused.code);
}

#[tokio::test]
async fn backups_from_before_within_and_after_the_handover_come_back() {
    let shop = Shop::open_today().await;
    shop.customer(1).await;
    let before = back_up(&shop).await;
    shop.desk().published.expect_witness();
    rotate(&shop).await;
    shop.customer(2).await;
    let within = back_up(&shop).await;
    let mut shop = shop;
    shop.stop();
    shop.start().await.unwrap();
    assert_eq!(state(&shop).await, "settled");
    shop.customer(3).await;
    let after = back_up(&shop).await;
    for (data, keys, customers) in [
        (&before, &before, 1),
        (&before, &after, 1),
        (&before, &within, 1),
        (&within, &within, 2),
        (&within, &after, 2),
        (&after, &after, 3),
    ] {
        let (mut again, seen) = restored(&shop, &data.data, &keys.keys).await;
        assert_eq!((seen.rebuilt.customers, seen.rebuilt.missing), (customers, 0));
        assert_eq!(
            (again.verify().await["intact"].clone(), state(&again).await),
            (json!(true), json!("settled"))
        );
        rotate(&again).await;
        again.stop();
        let folder = again.folder.path().join("log");
        export(&again, &folder).unwrap();
        assert_eq!(check(&folder, None).unwrap().len(), 2);
        again.start().await.unwrap();
    }
}

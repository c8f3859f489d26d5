//! Whatever unseals, two backups and an empty machine suffice; the log goes on under a new name.

use std::collections::BTreeMap;

use serde_json::json;
use strongroom::backup::{MIRRORED_TABLES, Outcome, REBUILT_TABLES, contents};
use strongroom::db::list_tables;
use strongroom_tlog::{Hash, VerifierKey, leaf_hash, open_checkpoint, verify_inclusion};

use super::{back_up, count, enquirer, found, input, read, restore, restored, vault_of};
use crate::support::Shop;

#[tokio::test]
async fn a_restore_on_an_empty_machine_brings_everyone_back() {
    let mut shop = Shop::open().await;
    let mut ids = Vec::new();
    for number in 0..30 {
        ids.push(shop.customer(number).await);
    }
    let before = read(&shop, &ids[7]).await.json;
    let pair = back_up(&shop).await;
    shop.stop();
    let (again, seen) = restored(&shop, &pair.data, &pair.keys).await;
    assert_eq!((seen.rebuilt.customers, seen.rebuilt.missing, seen.rebuilt.tampered), (30, 0, 0));
    assert_eq!(seen.keys_off, 5);
    for id in &ids {
        assert_eq!(read(&again, id).await.status, 200);
    }
    let mut after = read(&again, &ids[7]).await.json;
    after["receipt"] = before["receipt"].clone();
    assert_eq!(after["fields"], before["fields"]);
    assert_eq!(found(&again, "ada.7@mail.example").await, 1, "found by the rebuilt index");
    assert_eq!(found(&again, "nobody@mail.example").await, 0);
    let taken = json!({ "relations": [{ "name": "enquiry" }],
        "fields": { "name": "Eve", "email": "ada.7@mail.example" } });
    let taken = again.call("shop", "POST", "/v1/customers", Some(taken)).await;
    assert_eq!((taken.status.as_u16(), taken.code()), (409, "taken"), "unique stays unique");
    assert_eq!(crate::attack::flaws(&again).await, []);
    enquirer(&again, 900).await;
}

#[tokio::test]
async fn a_restored_installation_is_backed_up_and_restored_again() {
    let mut shop = Shop::open().await;
    let id = shop.customer(1).await;
    let pair = back_up(&shop).await;
    shop.stop();
    let (mut second, _) = restored(&shop, &pair.data, &pair.keys).await;
    let other = second.customer(2).await;
    let pair = back_up(&second).await;
    second.stop();
    let (mut third, seen) = restored(&second, &pair.data, &pair.keys).await;
    assert!(seen.origin.unwrap().contains("/3-"));
    for id in [&id, &other] {
        assert_eq!(read(&third, id).await.status, 200);
    }
    let looks = third.call("privacy", "GET", &format!("/v1/customers/{id}/ledger"), None).await;
    let looks = looks.json["items"].as_array().unwrap().clone();
    let incarnations: Vec<u64> =
        looks.iter().map(|it| it["incarnation"].as_u64().unwrap()).collect();
    assert!(incarnations.contains(&1) && incarnations.contains(&3), "{incarnations:?}");
    assert!(incarnations.is_sorted_by(|left, right| left >= right), "{incarnations:?}");
    assert_eq!(crate::attack::flaws(&third).await, []);
    third.stop();
    third.start().await.unwrap();
}

#[tokio::test]
async fn one_history_per_name_even_when_a_backup_is_restored_twice() {
    let mut shop = Shop::open().await;
    shop.customer(1).await;
    let pair = back_up(&shop).await;
    let mut released = BTreeMap::new();
    let mut hear = |text: String| {
        let mut lines = text.lines();
        let name = (lines.next().unwrap().to_owned(), lines.next().unwrap().to_owned());
        let root = lines.next().unwrap().to_owned();
        assert_eq!(released.entry(name).or_insert(root.clone()), &root, "two histories: {text}");
    };
    // The lost machine is not lost at all, and goes on.
    for number in 2..6 {
        shop.customer(number).await;
        hear(checkpoint(&shop));
    }
    for machine in 0..2 {
        let mut empty = shop.empty_beside();
        restore(&empty, &input(&empty, &pair.data, &pair.keys)).unwrap();
        empty.start().await.unwrap();
        super::enable_all(&empty).await;
        hear(checkpoint(&empty));
        for number in 0..4 {
            enquirer(&empty, 10 * machine + number).await;
            hear(checkpoint(&empty));
        }
        empty.stop();
    }
    shop.stop();
    let origins: std::collections::BTreeSet<_> = released.keys().map(|(name, _)| name).collect();
    assert_eq!(origins.len(), 3);
}

fn checkpoint(shop: &Shop) -> String {
    shop.desk().published.newest().unwrap().checkpoint.as_ref().to_owned()
}

#[tokio::test]
async fn proofs_of_the_old_incarnation_stay_valid_and_lost_entries_are_unknown() {
    let mut shop = Shop::open().await;
    let id = shop.customer(1).await;
    assert_eq!(read(&shop, &id).await.status, 200);
    let old = shop.desk().published.newest().unwrap();
    let pair = back_up(&shop).await;
    shop.clock.pass_ms(1_800_000);
    // These are lost with the machine, and nobody will know them.
    assert_eq!(read(&shop, &id).await.status, 200);
    let later = back_up(&shop).await;
    shop.clock.pass_ms(1_800_000);
    shop.stop();
    let (again, seen) = restored(&shop, &pair.data, &later.keys).await;
    assert!(seen.entries_lost >= 2, "{}", seen.entries_lost);
    let last = old.size - 1;
    let path = format!("/v1/ledger/proof/{last}?incarnation=1");
    let proof = again.as_operator("GET", &path, None).await.json;
    let text = |name: &str| proof[name].as_str().unwrap().to_owned();
    let key = VerifierKey::parse(&text("verifier_key")).unwrap();
    let signed = open_checkpoint(&text("checkpoint"), &key).unwrap();
    let leaf = data_encoding::BASE64.decode(text("leaf").as_bytes()).unwrap();
    let hashes: Vec<Hash> = proof["hashes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|hash| Hash::from_base64(hash.as_str().unwrap()).unwrap())
        .collect();
    verify_inclusion(last, signed.size, &leaf_hash(&leaf), &hashes, &signed.root).unwrap();
    assert!(signed.size >= old.size);

    let looks = again.call("privacy", "GET", &format!("/v1/customers/{id}/ledger"), None).await;
    let looks = looks.json["items"].as_array().unwrap().clone();
    let opening = looks.iter().find(|it| it["act"] == "ledger.restore").unwrap();
    assert!(opening["reason"].as_str().unwrap().starts_with("UNKNOWN from 2026-11-21T10:00"));
    assert!(looks.iter().any(|it| it["act"] == "customer.create" && it["incarnation"] == 1));
    let desk = again.as_operator("GET", "/v1/keys", None).await.json;
    let desk = desk["keys"].as_array().unwrap().iter().find(|it| it["role"] == "desk").unwrap();
    let span = json!({ "actor": desk["id"], "from": "2026-11-01T00:00:00Z",
        "to": "2026-12-01T00:00:00Z" });
    let scope = again.as_operator("POST", "/v1/ledger/scope", Some(span)).await.json;
    assert_eq!(scope["unknown"].as_array().unwrap().len(), 1, "{scope}");
    assert_eq!(scope["customers"][0]["customer"], id.as_str(), "the old log answers too: {scope}");
    let early = json!({ "actor": "operator", "from": "2026-11-01T00:00:00Z",
        "to": "2026-11-02T00:00:00Z" });
    let early = again.as_operator("POST", "/v1/ledger/scope", Some(early)).await.json;
    assert_eq!(early["unknown"].as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn an_earlier_incarnation_that_is_gone_or_altered_is_refused_at_start() {
    let mut shop = Shop::open().await;
    shop.customer(1).await;
    let pair = back_up(&shop).await;
    shop.stop();
    let (mut again, _) = restored(&shop, &pair.data, &pair.keys).await;
    again.stop();
    let archive = again.data_folder().join("ledger-1.db");
    let kept = std::fs::read(&archive).unwrap();
    std::fs::remove_file(&archive).unwrap();
    assert_eq!(again.start().await.unwrap_err().code, "ledger_altered");
    std::fs::write(&archive, kept).unwrap();
    again.start().await.unwrap();
    again.stop();
    let last = count(&archive, "SELECT MAX(idx) FROM ledger_entry");
    crate::support::intrude(&archive, &format!("DELETE FROM ledger_entry WHERE idx = {last}"));
    assert_eq!(again.start().await.unwrap_err().code, "ledger_altered");
}

#[tokio::test]
async fn a_preview_says_what_would_come_back_and_leaves_nothing() {
    let mut shop = Shop::open().await;
    shop.customer(1).await;
    let pair = back_up(&shop).await;
    shop.stop();
    let mut empty = shop.empty_beside();
    let mut input = input(&empty, &pair.data, &pair.keys);
    input.outcome = Outcome::Discard;
    let seen = restore(&empty, &input).unwrap();
    assert_eq!((seen.rebuilt.customers, seen.origin), (1, None));
    let left: Vec<_> = std::fs::read_dir(empty.data_folder()).unwrap().flatten().collect();
    assert_eq!(left.len(), 1, "the lock alone: {left:?}");
    assert!(empty.start().await.is_err());
    input.outcome = Outcome::Keep;
    restore(&empty, &input).unwrap();
    empty.start().await.unwrap();
}

#[tokio::test]
async fn a_restore_replaces_nothing() {
    let mut shop = Shop::open_in_file().await;
    shop.customer(1).await;
    let pair = back_up(&shop).await;
    shop.stop();
    let into_itself = input(&shop, &pair.data, &pair.keys);
    assert_eq!(restore(&shop, &into_itself).unwrap_err().code, "data_folder_not_empty");
    shop.start().await.unwrap();
    let running = restore(&shop, &into_itself).unwrap_err();
    assert_eq!(running.code, "data_folder_in_use");
}

#[tokio::test]
async fn a_restore_that_broke_off_begins_anew() {
    let mut shop = Shop::open().await;
    shop.customer(1).await;
    let pair = back_up(&shop).await;
    shop.stop();
    let mut empty = shop.empty_beside();
    let left = empty.data_folder().join("restoring");
    std::fs::create_dir_all(&left).unwrap();
    std::fs::write(left.join("strongroom.db"), b"half a database").unwrap();
    std::fs::write(left.join("keys.db"), b"half a key store").unwrap();
    assert!(empty.start().await.is_err(), "half a restore is no installation");
    restore(&empty, &input(&empty, &pair.data, &pair.keys)).unwrap();
    assert!(!left.exists());
    empty.start().await.unwrap();
}

#[tokio::test]
async fn a_restore_that_broke_off_while_it_gave_names_begins_anew() {
    let mut shop = Shop::open().await;
    shop.customer(1).await;
    let pair = back_up(&shop).await;
    shop.stop();
    let mut empty = shop.empty_beside();
    let left = empty.data_folder().join("restoring");
    std::fs::create_dir_all(&left).unwrap();
    std::fs::write(empty.data_file(), b"named already").unwrap();
    let input = input(&empty, &pair.data, &pair.keys);
    let refused = restore(&empty, &input).unwrap_err();
    assert_eq!(refused.code, "data_folder_not_empty", "no list says that it was ours");
    std::fs::create_dir_all(&left).unwrap();
    std::fs::write(left.join("names"), "ledger-1.db\nstrongroom.db\nkeys.db").unwrap();
    restore(&empty, &input).unwrap();
    empty.start().await.unwrap();
}

/// Records with their shelves, and tokens, which nothing can make anew.
#[tokio::test]
async fn records_and_tokens_come_back_as_they_were() {
    let mut shop = Shop::open().await;
    let id = shop.customer(1).await;
    let invoice = json!({ "kind": "invoice", "fields": { "number": "2026-1",
        "billing_name": "Ada Example1", "total": 12.5,
        "billing_address": { "lines": ["1 Harbour Street"], "city": "Whitby", "country": "GB" } } });
    let path = format!("/v1/customers/{id}/records");
    let added = shop.call("shop", "POST", &path, Some(invoice)).await;
    assert_eq!(added.status, 201, "{:?}", added.json);
    let token = json!({ "customer": id, "field": "address", "pinned": true });
    let token = shop.call("shop", "POST", "/v1/tokens", Some(token)).await;
    assert_eq!(token.status, 200, "{:?}", token.json);
    let seen = async |shop: &Shop| {
        let path = format!("{path}?fields=invoice.number,invoice.total");
        let records = shop.call("shop", "GET", &path, None).await;
        assert_eq!(records.status, 200, "{:?}", records.json);
        let body = json!({ "token": token.json["tokens"][0] });
        let purpose = [("strongroom-purpose", "delivery")];
        let path = "/v1/tokens/detokenize";
        let token = shop.client("shop").call_plain("POST", path, Some(body), &purpose).await;
        assert_eq!(token.status, 200, "{:?}", token.json);
        (records.json["items"].clone(), token.json["tokens"].clone())
    };
    let before = seen(&shop).await;
    let pair = back_up(&shop).await;
    shop.stop();
    let (again, _) = restored(&shop, &pair.data, &pair.keys).await;
    assert_eq!(seen(&again).await, before);
}

/// By hand: whoever adds a table decides here whether a backup carries it, and says so.
#[tokio::test]
async fn somebody_decided_about_every_table() {
    let shop = Shop::open().await;
    let mut db = shop.data().connect();
    for table in list_tables(&mut db).unwrap() {
        let carried = CARRIED_TABLES.contains(&table.name.as_str());
        let rebuilt = REBUILT_TABLES.contains(&table.name.as_str());
        assert!(
            carried != rebuilt,
            "`{}`: every table is carried in the data backup unless it stands in REBUILT_TABLES; an \
             index that lets a thief try values must, and `vault::rebuild` makes it anew. Write your \
             decision into CARRIED_TABLES, and if its rows end a right, into MIRRORED_TABLES",
            table.name
        );
    }
    assert!(MIRRORED_TABLES.iter().all(|it| CARRIED_TABLES.contains(it)));
}

#[tokio::test]
async fn a_backup_holds_no_value_no_index_and_no_key_beside_the_data() {
    let shop = Shop::open().await;
    shop.customer(1).await;
    let pair = back_up(&shop).await;
    let seen = contents(&pair.data, &shop.desk().keyring).unwrap();
    assert!(seen.contains_key("sealed_record") && seen.contains_key("ledger_entry"));
    for absent in REBUILT_TABLES.into_iter().chain(["dek", "named_key"]) {
        assert!(!seen.contains_key(absent), "{absent}");
    }
    let keys = contents(&pair.keys, &shop.desk().keyring).unwrap();
    assert!(keys.contains_key("dek") && !keys.contains_key("sealed_record"));
    for folder in [&pair.data, &pair.keys] {
        for file in std::fs::read_dir(folder).unwrap().flatten() {
            let bytes = std::fs::read(file.path()).unwrap();
            for plain in ["Example1", "mail.example", "Harbour"] {
                assert!(!bytes.windows(plain.len()).any(|it| it == plain.as_bytes()));
            }
        }
    }
    let made = shop.entries().await;
    let made: Vec<_> = made.iter().filter(|leaf| leaf.verb == "backup.make").collect();
    assert_eq!(made.len(), 1);
    assert!(made[0].count > 10 && made[0].actor == "operator");
    let listed = shop.as_operator("GET", "/v1/backups", None).await.json;
    assert_eq!(listed["backups"][0]["folder"], vault_of(&shop).to_str().unwrap());
    assert_eq!(listed["minutes_ago"], 0);
}

const CARRIED_TABLES: [&str; 36] = [
    "api_key",
    "backup",
    "backup_check",
    "budget",
    "budget_seen",
    "customer",
    "erasure_job",
    "erasure_register",
    "finding",
    "holding",
    "import",
    "import_map",
    "installation",
    "ledger_actor",
    "ledger_entry",
    "ledger_handover",
    "ledger_head",
    "ledger_set",
    "ledger_subject",
    "ledger_tile",
    "legal_hold",
    "moving",
    "place",
    "policy_pending",
    "policy_version",
    "repeat",
    "retired_key",
    "sealed_record",
    "send",
    "send_recipient",
    "share",
    "shelf_record",
    "token",
    "walk",
    "webhook",
    "webhook_event",
];

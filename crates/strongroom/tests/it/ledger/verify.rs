//! The log's tables edited by SQL: `ledger verify` names it, and what the newest checkpoint does not
//! cover any more is refused at the next start.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::leaves;
use crate::attack::{Kept, flaws, look_up, one, read};
use crate::support::{Shop, intrude};

/// A log of more than one tile of 256 entries, with a set of subjects in it.
struct Long {
    shop: Shop,
    kept: Kept,
}

impl Long {
    async fn open() -> Self {
        let mut shop = Shop::open().await;
        let id = shop.customer(1).await;
        shop.customer(10_001).await; // The same telephone number.
        let found = look_up(&shop, "phone", "+44 20 7946 0001").await;
        assert_eq!(found.json["customers"].as_array().unwrap().len(), 2, "{:?}", found.json);
        while one::<i64>(shop.data(), "SELECT size FROM ledger_head") < 270 {
            read(&shop, &id).await;
        }
        assert_eq!(flaws(&shop).await, []);
        // Not of a clean end: its anchor covers the whole log and would refuse what the head should.
        let kept = Kept::of_running(&shop);
        shop.stop();
        Self { shop, kept }
    }

    /// Edits under a running server; `verify` must name the entry (where one can be named) and say
    /// what is wrong.
    async fn check_named(&mut self, sql: &str, entry: Option<u64>, words: &str) {
        self.kept.put_back(&self.shop);
        self.shop.start().await.unwrap();
        intrude(self.shop.data(), sql);
        let flaws = flaws(&self.shop).await;
        let named = flaws.iter().any(|(at, what)| *at == entry && what.contains(words));
        assert!(named, "{sql}: {flaws:?}");
        let open = self.shop.as_operator("GET", "/v1/findings", None).await;
        assert!(open.json.to_string().contains("ledger_flaw"), "{sql}: {:?}", open.json);
        self.shop.stop();
    }

    async fn check_refused(&mut self, sql: &str) {
        self.kept.put_back(&self.shop);
        intrude(self.shop.data(), sql);
        let refused = self.shop.start().await.map(|()| "started").unwrap_or_else(|it| it.code);
        assert!(["ledger_altered", "store_rolled_back"].contains(&refused), "{sql}: {refused}");
    }
}

#[tokio::test]
async fn an_entry_or_index_row_edited_deleted_inserted_or_reordered_is_named() {
    let mut long = Long::open().await;
    for (sql, entry, words) in EDITS {
        long.check_named(sql, entry, words).await;
    }
    let mut long = long;
    // What lies below the newest tile is not read at start: it starts, and `verify` names it.
    long.kept.put_back(&long.shop);
    intrude(long.shop.data(), "UPDATE ledger_entry SET leaf = leaf || x'00' WHERE idx = 9");
    long.shop.start().await.unwrap();
    assert!(flaws(&long.shop).await.contains(&(Some(9), "the entry was changed".to_owned())));
}

#[tokio::test]
async fn an_altered_end_of_the_log_is_refused_at_start() {
    let mut long = Long::open().await;
    for sql in REFUSED {
        long.check_refused(sql).await;
    }
    long.kept.put_back(&long.shop);
    long.shop.start().await.unwrap();
}

/// The whole tail cut off with the head of then: the anchor remembers a longer log.
#[tokio::test]
async fn a_tail_cut_off_together_with_its_head_is_refused_by_the_anchor() {
    let mut shop = Shop::open().await;
    let id = shop.customer(1).await;
    shop.stop();
    let then = Kept::of(&shop);
    shop.start().await.unwrap();
    for _ in 0..3 {
        shop.clock.pass_ms(61_000);
        read(&shop, &id).await;
    }
    shop.stop();
    let cut = "DELETE FROM ledger_head; INSERT INTO ledger_head SELECT * FROM old.ledger_head;
        DELETE FROM ledger_entry WHERE idx >= (SELECT size FROM ledger_head);
        DELETE FROM ledger_subject WHERE idx >= (SELECT size FROM ledger_head);
        DELETE FROM ledger_actor WHERE idx >= (SELECT size FROM ledger_head);";
    intrude(shop.data(), &then.attached(cut));
    assert_eq!(shop.start().await.unwrap_err().code, "store_rolled_back");
}

/// Takes every place for long reads, so that a verification waits until this is dropped.
struct Scans {
    _open: Sender<()>,
}

impl Scans {
    async fn take_all(shop: &Shop) -> Self {
        let (open, gate) = channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        let taken = Arc::new(AtomicUsize::new(0));
        for _ in 0..SCANS {
            let (desk, gate, taken) = (shop.desk(), Arc::clone(&gate), Arc::clone(&taken));
            let wait = move || {
                taken.fetch_add(1, Ordering::SeqCst);
                gate.lock().unwrap().recv().is_ok()
            };
            tokio::spawn(async move {
                let data = desk.data.clone();
                drop(desk);
                let _ = data.scan(move |_| Ok(wait())).await;
            });
        }
        while taken.load(Ordering::SeqCst) < SCANS {
            tokio::task::yield_now().await;
        }
        Self { _open: open }
    }
}

/// As many as the database lends.
const SCANS: usize = 16;

#[tokio::test]
async fn a_verification_is_answered_at_once_joined_while_it_runs_and_told_by_its_id() {
    let shop = Shop::open().await;
    let scans = Scans::take_all(&shop).await;
    let before = shop.ledger_size();
    let begun = shop.call("privacy", "POST", "/v1/ledger/verify", None).await;
    assert_eq!((begun.status.as_u16(), &begun.json["state"]), (202, &json!("running")));
    let joined = shop.as_operator("POST", "/v1/ledger/verify", None).await;
    assert_eq!((joined.status.as_u16(), &joined.json["id"]), (202, &begun.json["id"]));
    let verbs: Vec<String> =
        shop.entries_from(before).await.into_iter().map(|entry| entry.verb).collect();
    assert_eq!(verbs, ["ledger.verify", "ledger.verify"], "each who asks leaves an entry");

    drop(scans);
    let told = shop.verified(&begun).await;
    assert_eq!((&told["state"], &told["intact"]), (&json!("done"), &json!(true)), "{told}");
    assert_eq!((&told["size"], &told["done"]), (&json!(before + 2), &json!(before + 2)));
    let last = shop.entries_from(before + 2).await;
    assert_eq!((last.len(), last[0].verb.as_str(), last[0].count), (1, "ledger.verified", 0));

    let again = shop.verify().await;
    assert_ne!(again["id"], begun.json["id"]);
    assert_eq!(shop.verified(&begun).await, told, "the one before is still told");
    shop.verify().await;
    let path = format!("/v1/ledger/verify/{}", begun.json["id"].as_str().unwrap());
    let gone = shop.call("privacy", "GET", &path, None).await;
    assert_eq!(gone.status, 404, "{}", gone.json);
}

#[tokio::test]
async fn a_deep_verification_does_not_join_one_that_is_not() {
    let shop = Shop::open().await;
    let scans = Scans::take_all(&shop).await;
    let plain = shop.as_operator("POST", "/v1/ledger/verify", None).await;
    let deep = shop.as_operator("POST", "/v1/ledger/verify?deep=true", None).await;
    assert_eq!((deep.status.as_u16(), &deep.json["code"]), (409, &json!("verification_running")));
    drop(scans);
    assert_eq!(shop.verified(&plain).await["compared"], Value::Null);

    let scans = Scans::take_all(&shop).await;
    let deep = shop.as_operator("POST", "/v1/ledger/verify?deep=true", None).await;
    let plain = shop.as_operator("POST", "/v1/ledger/verify", None).await;
    assert_eq!(plain.json["id"], deep.json["id"], "who asks for less is told all of it");
    drop(scans);
    assert_eq!(shop.verified(&deep).await["compared"]["customers"], 0);
}

#[tokio::test]
async fn a_verification_that_is_ended_says_so_and_claims_nothing() {
    let mut shop = Shop::open().await;
    let scans = Scans::take_all(&shop).await;
    let begun = shop.as_operator("POST", "/v1/ledger/verify", None).await;
    shop.desk().committer.stall().end_scans();
    drop(scans);
    let told = shop.verified(&begun).await;
    assert_eq!(told["state"], "failed", "{told}");
    assert_eq!((&told["problem"]["code"], &told["intact"]), (&json!("scan_ended"), &Value::Null));
    shop.stop();
    shop.start().await.unwrap();
    assert_eq!(shop.verify().await["intact"], true);
}

const EDITS: [(&str, Option<u64>, &str); 21] = [
    (
        "UPDATE ledger_entry SET leaf = CAST(leaf || x'00' AS BLOB) WHERE idx = 6",
        Some(6),
        "was changed",
    ),
    ("UPDATE ledger_tile SET hash = 'text'", None, "entries 0 to 255"),
    ("UPDATE ledger_subject SET subject = 'text' WHERE idx = 40", Some(40), "does not belong"),
    ("UPDATE ledger_entry SET leaf = leaf || x'00' WHERE idx = 7", Some(7), "was changed"),
    ("UPDATE ledger_entry SET leaf = x'' WHERE idx = 268", Some(268), "was changed"),
    ("UPDATE ledger_entry SET leaf_check = zeroblob(8) WHERE idx = 7", Some(7), "was changed"),
    (
        // With its check made to fit, only the tree knows.
        "UPDATE ledger_entry SET (leaf, leaf_check) =
           (SELECT leaf, leaf_check FROM ledger_entry WHERE idx = 20) WHERE idx = 21",
        None,
        "entries 0 to 255",
    ),
    ("DELETE FROM ledger_entry WHERE idx = 12", Some(12), "is gone"),
    ("DELETE FROM ledger_entry WHERE idx = 269", Some(269), "is gone"),
    (
        "INSERT INTO ledger_entry SELECT 1000, leaf, leaf_check FROM ledger_entry WHERE idx = 3",
        None,
        "beyond the signed size",
    ),
    (
        // Two entries exchange their places.
        "UPDATE ledger_entry SET idx = -1 WHERE idx = 30;
         UPDATE ledger_entry SET idx = 30 WHERE idx = 31;
         UPDATE ledger_entry SET idx = 31 WHERE idx = -1",
        None,
        "entries 0 to 255",
    ),
    (
        "UPDATE ledger_entry SET idx = -1 WHERE idx = 260;
         UPDATE ledger_entry SET idx = 260 WHERE idx = 261;
         UPDATE ledger_entry SET idx = 261 WHERE idx = -1",
        None,
        "do not have the root that was signed",
    ),
    ("DELETE FROM ledger_subject WHERE idx = 40", Some(40), "customer index is gone"),
    (
        "INSERT INTO ledger_subject SELECT run, subject, 2 FROM ledger_subject WHERE idx = 40",
        Some(2),
        "customer index does not belong",
    ),
    (
        "UPDATE ledger_subject SET subject = zeroblob(16) WHERE idx = 41",
        Some(41),
        "customer index is gone",
    ),
    ("DELETE FROM ledger_actor WHERE idx = 42", Some(42), "actor index is gone"),
    ("INSERT INTO ledger_actor VALUES (0, 'operator', 43)", Some(43), "does not belong"),
    ("UPDATE ledger_actor SET actor = 'operator' WHERE idx = 44", Some(44), "actor index is gone"),
    ("INSERT INTO ledger_subject VALUES (9, zeroblob(16), 9999)", None, "no entry belongs to"),
    ("UPDATE ledger_tile SET hash = zeroblob(32)", None, "entries 0 to 255"),
    (
        "UPDATE ledger_set SET sealed = zeroblob(80)",
        Some(SET_ENTRY),
        "set of customers is gone or was changed",
    ),
];

/// Where the look-up with two hits stands: after the policy, five keys, the two findings of the start
/// and two customers.
const SET_ENTRY: u64 = 10;

const REFUSED: [&str; 15] = [
    "UPDATE ledger_entry SET leaf = leaf || x'00' WHERE idx = 262",
    "DELETE FROM ledger_entry WHERE idx = 262",
    "DELETE FROM ledger_entry WHERE idx >= 265",
    "INSERT INTO ledger_entry SELECT size, x'00', x'00' FROM ledger_head",
    "UPDATE ledger_entry SET idx = -1 WHERE idx = 260;
     UPDATE ledger_entry SET idx = 260 WHERE idx = 261;
     UPDATE ledger_entry SET idx = 261 WHERE idx = -1",
    "UPDATE ledger_tile SET hash = zeroblob(32)",
    "DELETE FROM ledger_tile",
    "UPDATE ledger_head SET checkpoint = replace(checkpoint, '/1', '/2')",
    "UPDATE ledger_head SET checkpoint = ''",
    "UPDATE ledger_head SET time_ms = time_ms - 1",
    "UPDATE ledger_head SET time_ms = time_ms + 1",
    "UPDATE ledger_head SET epoch = epoch + 1",
    "UPDATE ledger_head SET state_changes = state_changes - 1",
    "DELETE FROM ledger_head",
    "DELETE FROM ledger_head; DELETE FROM ledger_entry; DELETE FROM ledger_tile",
];

/// A command without a server is a start: who calls ten of them a day adds no ten entries.
#[tokio::test]
async fn what_stands_at_every_start_is_told_once_a_day() {
    let mut shop = Shop::open_today().await;
    let before = leaves(&shop).len();
    for _ in 0..3 {
        shop.stop();
        shop.start().await.unwrap();
    }
    assert_eq!(leaves(&shop).len(), before);
    shop.clock.pass_ms(24 * 60 * 60 * 1_000);
    shop.stop();
    shop.start().await.unwrap();
    // The seal's, and that of the recovery shares.
    assert_eq!(leaves(&shop).len(), before + 2);
}

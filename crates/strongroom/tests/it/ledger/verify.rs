//! The log's tables edited by SQL: `ledger verify` names it, and what the newest checkpoint does not
//! cover any more is refused at the next start.

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
        while one::<i64>(&shop.data_file(), "SELECT size FROM ledger_head") < 270 {
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
        intrude(&self.shop.data_file(), sql);
        let flaws = flaws(&self.shop).await;
        let named = flaws.iter().any(|(at, what)| *at == entry && what.contains(words));
        assert!(named, "{sql}: {flaws:?}");
        let open = self.shop.as_operator("GET", "/v1/findings", None).await;
        assert!(open.json.to_string().contains("ledger_flaw"), "{sql}: {:?}", open.json);
        self.shop.stop();
    }

    async fn check_refused(&mut self, sql: &str) {
        self.kept.put_back(&self.shop);
        intrude(&self.shop.data_file(), sql);
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
    intrude(&long.shop.data_file(), "UPDATE ledger_entry SET leaf = leaf || x'00' WHERE idx = 9");
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
    intrude(&shop.data_file(), &then.attached(cut));
    assert_eq!(shop.start().await.unwrap_err().code, "store_rolled_back");
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

/// Where the look-up with two hits stands: after the policy, five keys, the finding of the start
/// and two customers.
const SET_ENTRY: u64 = 9;

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

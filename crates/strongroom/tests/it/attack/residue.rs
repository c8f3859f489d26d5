//! What is left of a destroyed key on the disk: nothing, in keys.db, its write-ahead log, its index.

use std::path::Path;

use strongroom::jobs;

use super::{Kept, enquirer, one};
use crate::support::Shop;

/// A wrapped data key, and the id that a sealed record names it by.
struct Trace {
    id: Vec<u8>,
    wrapped: Vec<u8>,
}

impl Trace {
    fn all(keys_file: &Path) -> Vec<Self> {
        let db = rusqlite::Connection::open(keys_file).unwrap();
        let mut rows = db.prepare("SELECT id, wrapped FROM dek").unwrap();
        let found = rows.query_map([], |row| Ok(Self { id: row.get(0)?, wrapped: row.get(1)? }));
        found.unwrap().map(Result::unwrap).collect()
    }

    /// Any 16 bytes of it in a row count.
    fn is_in(&self, bytes: &[u8]) -> bool {
        let parts = self.wrapped.windows(16).chain([self.id.as_slice()]);
        parts.into_iter().any(|part| bytes.windows(16).any(|window| window == part))
    }
}

/// keys.db and what stands beside it, whole.
fn bytes_of(keys_file: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for ending in ["", "-wal", "-shm"] {
        let mut name = keys_file.as_os_str().to_owned();
        name.push(ending);
        bytes.extend(std::fs::read(name).unwrap_or_default());
    }
    bytes
}

#[tokio::test]
async fn no_byte_of_an_erased_data_key_is_left() {
    let mut shop = Shop::open_in_file().await;
    let id = enquirer(&shop, 1).await;
    let gone = Trace::all(&shop.keys_file());
    assert!(!gone.is_empty());
    let here = bytes_of(&shop.keys_file());
    assert!(gone.iter().all(|trace| trace.is_in(&here)), "the search can find what is there");
    shop.call("privacy", "DELETE", &format!("/v1/customers/{id}"), None).await;
    shop.clock.pass_ms(8 * 86_400_000);
    jobs::run_once(&shop.desk()).await;
    assert_eq!(one::<i64>(&shop.keys_file(), "SELECT COUNT(*) FROM dek"), 0);
    let left = bytes_of(&shop.keys_file());
    assert!(!gone.iter().any(|trace| trace.is_in(&left)), "while it runs");
    shop.stop();
    let left = bytes_of(&shop.keys_file());
    assert!(!gone.iter().any(|trace| trace.is_in(&left)), "at rest");
}

/// The same deletion by a connection that does not overwrite: the search finds what it left.
#[tokio::test]
async fn without_overwriting_a_deleted_data_key_would_be_left() {
    let mut shop = Shop::open_in_file().await;
    enquirer(&shop, 1).await;
    shop.stop();
    let kept = Kept::of(&shop);
    let gone = Trace::all(kept.keys().file());
    for (overwrite, left_behind) in [("OFF", true), ("ON", false)] {
        kept.put_back(&shop);
        let db = rusqlite::Connection::open(shop.keys_file()).unwrap();
        let sql = format!(
            "PRAGMA secure_delete = {overwrite}; DELETE FROM dek; PRAGMA wal_checkpoint(TRUNCATE);"
        );
        db.execute_batch(&sql).unwrap();
        drop(db);
        let left = bytes_of(&shop.keys_file());
        assert_eq!(gone.iter().any(|trace| trace.is_in(&left)), left_behind, "{overwrite}");
    }
}

/// A reader keeps the old page in the write-ahead log: the erasure is not called done, and goes on by
/// itself once the reader is gone.
#[tokio::test]
async fn an_erasure_is_not_done_while_a_reader_keeps_the_old_page() {
    let shop = Shop::open_in_file().await;
    let id = enquirer(&shop, 1).await;
    let gone = Trace::all(&shop.keys_file());
    shop.call("privacy", "DELETE", &format!("/v1/customers/{id}"), None).await;
    shop.clock.pass_ms(8 * 86_400_000);
    let reader = rusqlite::Connection::open(shop.keys_file()).unwrap();
    reader.execute_batch("BEGIN").unwrap();
    let seen: i64 = reader.query_row("SELECT COUNT(*) FROM dek", [], |row| row.get(0)).unwrap();
    assert!(seen > 0);
    jobs::run_once(&shop.desk()).await;
    let states = "SELECT group_concat(state) FROM erasure_job";
    assert_eq!(one::<String>(shop.data(), states), "begun");
    assert!(gone.iter().any(|trace| trace.is_in(&bytes_of(&shop.keys_file()))));
    drop(reader);
    jobs::run_once(&shop.desk()).await;
    assert_eq!(one::<String>(shop.data(), states), "done");
    assert!(!gone.iter().any(|trace| trace.is_in(&bytes_of(&shop.keys_file()))));
}

//! Copies the write-ahead log into the database on a thread of its own: p99 10.5 → 5.9 ms
//! (`specs/performance.md`).

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use crate::db::Connection;
use crate::error::Error;

/// Wakes the checkpoint thread. Dropping it waits for the thread to end, so that a database that was
/// closed is at rest: no connection of ours, no write-ahead log beside it.
pub struct Checkpointer {
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    /// Starts the thread over an existing database.
    pub fn start(path: PathBuf) -> Result<Self, Error> {
        // One waiting signal is enough: it covers every batch before it.
        let (wake, signals) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("checkpointer".to_owned())
            .spawn(move || run(&path, &signals))
            .map_err(Error::internal)?;
        Ok(Self { wake: Some(wake), thread: Some(thread) })
    }

    /// Another batch is in the write-ahead log.
    pub fn batch_written(&self) {
        // A full channel means that the thread will look anyway.
        let _ = self.wake.as_ref().map(|wake| wake.try_send(()));
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has closed its connection as well.
            let _ = thread.join();
        }
    }
}

fn run(path: &Path, signals: &Receiver<()>) {
    let mut connection = None;
    while signals.recv().is_ok() {
        let size = wal_path(path).metadata().map_or(0, |facts| facts.len());
        if size < WAL_SIZE_BYTES {
            continue;
        }
        let copied = match &mut connection {
            Some(db) => copy(db, size),
            None => Connection::open_to_cut(path).and_then(|db| copy(connection.insert(db), size)),
        };
        if let Err(error) = copied {
            // The log only grows until the next attempt; the committer sees a full disk itself.
            tracing::warn!(code = error.code, "the write-ahead log could not be copied yet");
            connection = None;
        }
    }
}

/// Usually whatever readers leave free; past the limit the log is cut, which waits for readers.
fn copy(db: &mut Connection, size: u64) -> Result<(), Error> {
    if size < WAL_SIZE_BYTES_MAX { db.checkpoint_passive() } else { db.checkpoint_truncating() }
}

fn wal_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    PathBuf::from(name)
}

/// Below this, copying costs more than it saves.
const WAL_SIZE_BYTES: u64 = 4 << 20;

/// Under steady load the log stays below 64 MiB (`specs/performance.md`).
const WAL_SIZE_BYTES_MAX: u64 = 32 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctx::{Clock, SystemClock};
    use crate::db::Durability;

    #[test]
    fn a_scan_that_goes_on_keeps_no_writer_waiting_for_the_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.db");
        let mut writer = Connection::open(&path, Durability::Durable).unwrap();
        writer.run("CREATE TABLE t (a BIGINT)").unwrap();
        let mut scan = Connection::open(&path, Durability::ReadOnly).unwrap();
        scan.run("BEGIN; SELECT a FROM t").unwrap();
        writer.run("INSERT INTO t VALUES (1)").unwrap();
        let clock = SystemClock::new();
        let cut = copy(&mut Connection::open_to_cut(&path).unwrap(), WAL_SIZE_BYTES_MAX);
        assert_eq!(cut.unwrap_err().code, "checkpoint_busy");
        assert!(clock.monotonic_ms() < 2_000, "it holds writers off for as long as it waits");
    }
}

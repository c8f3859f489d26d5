//! Copies the write-ahead log into the database on a thread of its own: p99 10.5 → 5.9 ms
//! (`specs/performance.md`).

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::db::sqlite::Sqlite;
use crate::error::Error;

/// Wakes the checkpoint thread. Dropping it waits for the thread to end, so that a database that was
/// closed is at rest: no connection of ours, no write-ahead log beside it.
pub struct Checkpointer {
    wake: Option<SyncSender<()>>,
    passage: Arc<Passage>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    /// Starts the thread over an existing database.
    pub fn start(path: PathBuf) -> Result<Self, Error> {
        // One waiting signal is enough: it covers every batch before it.
        let (wake, signals) = sync_channel(1);
        let passage = Arc::new(Passage::default());
        let own = Arc::clone(&passage);
        let thread = std::thread::Builder::new()
            .name("checkpointer".to_owned())
            .spawn(move || run(&path, &signals, &own))
            .map_err(Error::internal)?;
        Ok(Self { wake: Some(wake), passage, thread: Some(thread) })
    }

    /// Before each batch: lets the log be started anew where that is due. It is not until what this gives is
    /// dropped.
    pub fn enter(&self) -> Passing {
        self.passage.enter();
        Passing(Arc::clone(&self.passage))
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

/// Who is at the log. The engine's own locks favour whoever asks most often, and that is the writer: under load the
/// log was not started anew for as long as the load lasted, and under an import it grew to gigabytes.
#[derive(Default)]
struct Passage {
    now: Mutex<Now>,
    changed: Condvar,
}

#[derive(Default)]
struct Now {
    /// The log is to be started anew, or is being.
    is_wanted: bool,
    /// A batch is being written.
    is_written: bool,
}

impl Passage {
    fn enter(&self) {
        let now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let free = self.changed.wait_while(now, |now| now.is_wanted);
        free.unwrap_or_else(PoisonError::into_inner).is_written = true;
    }

    /// Waits for the batch under way. Until what it gives is dropped no other begins.
    fn ask(&self) -> Asked<'_> {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.is_wanted = true;
        drop(self.changed.wait_while(now, |now| now.is_written));
        Asked(self)
    }

    fn change(&self, change: impl FnOnce(&mut Now)) {
        change(&mut self.now.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }
}

/// A batch that is being written.
pub struct Passing(Arc<Passage>);

impl Drop for Passing {
    fn drop(&mut self) {
        self.0.change(|now| now.is_written = false);
    }
}

struct Asked<'a>(&'a Passage);

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.0.change(|now| now.is_wanted = false);
    }
}

fn run(path: &Path, signals: &Receiver<()>, passage: &Passage) {
    let mut connection = None;
    while signals.recv().is_ok() {
        let copied = match &mut connection {
            Some(db) => copy(db, passage),
            None => Sqlite::open_to_cut(path).and_then(|db| copy(connection.insert(db), passage)),
        };
        if let Err(error) = copied {
            // The log only grows until the next attempt; the committer sees a full disk itself.
            tracing::warn!(code = error.code, "the write-ahead log could not be copied yet");
            connection = None;
        }
    }
}

/// Usually whatever readers leave free; past the limit the log is started anew, which waits for them.
///
/// Goes by the pages in the log: its file keeps the greatest size it ever had, so by that every batch
/// would be copied at once, with two waits for the disk each.
fn copy(db: &mut Sqlite, passage: &Passage) -> Result<(), Error> {
    let log = db.wal_pages()?;
    if log.in_log >= PAGES_MAX {
        // Nobody writes while the log is started anew, so little may be left to copy by then.
        db.checkpoint_passive()?;
        // Where a long reader is in the way nobody is kept waiting for what will fail.
        let is_free = db.wal_pages()?.copied >= log.in_log;
        let _asked = is_free.then(|| passage.ask());
        db.checkpoint_restarting()
    } else if log.in_log - log.copied >= PAGES_WORTH_COPYING {
        db.checkpoint_passive()
    } else {
        Ok(())
    }
}

/// 4 MiB: below this, copying costs more than it saves.
const PAGES_WORTH_COPYING: i64 = 512;

/// 32 MiB: under steady load the log stays below 64 MiB (`specs/performance.md`).
const PAGES_MAX: i64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctx::{Clock, SystemClock};
    use crate::db::Durability;

    fn fill(writer: &mut Sqlite, pages: i64) {
        writer.run("BEGIN").unwrap();
        for _ in 0..pages {
            writer.run("INSERT INTO t VALUES (zeroblob(8000))").unwrap();
        }
        writer.run("COMMIT").unwrap();
    }

    #[test]
    fn a_scan_that_goes_on_keeps_no_writer_waiting_for_the_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.db");
        let mut writer = Sqlite::open(&path, Durability::Durable).unwrap();
        writer.run("CREATE TABLE t (a BLOB)").unwrap();
        let mut scan = Sqlite::open(&path, Durability::ReadOnly).unwrap();
        scan.run("BEGIN; SELECT a FROM t").unwrap();
        fill(&mut writer, PAGES_MAX);
        let clock = SystemClock::new();
        let cut = copy(&mut Sqlite::open_to_cut(&path).unwrap(), &Passage::default());
        assert_eq!(cut.unwrap_err().code, "checkpoint_busy");
        assert!(clock.monotonic_ms() < 2_000, "it holds writers off for as long as it waits");
    }

    #[test]
    fn a_log_that_was_copied_once_is_not_copied_again_for_every_batch() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.db");
        let mut writer = Sqlite::open(&path, Durability::Durable).unwrap();
        writer.run("CREATE TABLE t (a BLOB)").unwrap();
        let mut db = Sqlite::open_to_cut(&path).unwrap();
        fill(&mut writer, PAGES_WORTH_COPYING);
        copy(&mut db, &Passage::default()).unwrap();
        let log = db.wal_pages().unwrap();
        assert_eq!(log.copied, log.in_log, "it is worth copying");
        fill(&mut writer, 1);
        copy(&mut db, &Passage::default()).unwrap();
        let log = db.wal_pages().unwrap();
        assert!(log.copied < log.in_log, "one page more is not");
    }

    #[test]
    fn a_writer_without_a_pause_does_not_keep_the_log_from_being_started_anew() {
        // Of an import each batch is as large as the log may be.
        for (batch, most) in [(128, 2 * PAGES_MAX), (PAGES_MAX, 4 * PAGES_MAX)] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("t.db");
            let mut writer = Sqlite::open(&path, Durability::Durable).unwrap();
            writer.run("CREATE TABLE t (a BLOB)").unwrap();
            let checkpointer = Checkpointer::start(path.clone()).unwrap();
            for _ in 0..8 * PAGES_MAX / batch {
                let passing = checkpointer.enter();
                fill(&mut writer, batch);
                checkpointer.batch_written();
                drop(passing);
            }
            let size = folder.path().join("t.db-wal").metadata().unwrap().len();
            assert!(size < most.unsigned_abs() * 8192, "of batches of {batch} pages: {size}");
        }
    }
}

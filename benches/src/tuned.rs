//! A plain SQLite database with the settings of the product's own, for baselines: they differ in what they do, and
//! in nothing else.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;

/// Copies the write-ahead log on a thread of its own until it is dropped.
pub(crate) struct Copier {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Opens a new one.
pub(crate) fn open(path: &Path) -> anyhow::Result<(Connection, Copier)> {
    let connection = Connection::open(path)?;
    connection.execute_batch(SETTINGS)?;
    let is_over = Arc::new(AtomicBool::new(false));
    let (path, seen): (PathBuf, _) = (path.to_owned(), Arc::clone(&is_over));
    let thread = std::thread::spawn(move || {
        let Ok(copier) = Connection::open(path) else { return };
        while !seen.load(Ordering::SeqCst) {
            let _ = copier.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
            std::thread::park_timeout(PAUSE);
        }
    });
    Ok((connection, Copier { is_over, thread: Some(thread) }))
}

impl Drop for Copier {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

const SETTINGS: &str = "
    PRAGMA page_size = 8192;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA secure_delete = ON;
    PRAGMA wal_autocheckpoint = 0;
    PRAGMA temp_store = MEMORY;
    PRAGMA cache_size = -65536;
";

/// Some megabytes of log come together in it.
const PAUSE: Duration = Duration::from_millis(50);

//! Reading: a pool of connections, each lent as one snapshot.
//!
//! A short read runs in place on the thread that asks: that took 8 µs where handing it over took
//! 34. A snapshot must not be held while waiting for anything else: at 20 ms the write-ahead log
//! grew to 450 MB (`specs/performance.md`).

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::db::room::stalled;
use crate::db::stall::{Stall, scan_ended};
use crate::db::{Connection, Durability, Place, Row, Statement, Value};
use crate::error::Error;

/// The readable side of a database.
#[derive(Clone)]
pub struct Database {
    pool: Arc<Pool>,
}

struct Pool {
    place: Place,
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
    scans: Arc<Semaphore>,
    stall: Stall,
}

impl Pool {
    fn fresh(&self) -> Result<Connection, Error> {
        let mut fresh = self.place.open(Durability::ReadOnly)?;
        fresh.begin_reading()?;
        Ok(fresh)
    }
}

impl Database {
    /// Over an existing file; its scans end when `stall` says so.
    pub fn over(path: &Path, stall: Stall) -> Self {
        Self::at(Place::File(path.to_owned()), stall)
    }

    /// The same, wherever it is.
    pub fn at(place: Place, stall: Stall) -> Self {
        let permits = Arc::new(Semaphore::new(READERS_MAX));
        let scans = Arc::new(Semaphore::new(SCANS_MAX));
        let idle = Mutex::new(Vec::new());
        Self { pool: Arc::new(Pool { place, idle, permits, scans, stall }) }
    }

    /// Where it is.
    pub fn place(&self) -> &Place {
        &self.pool.place
    }

    /// One consistent view, until it is dropped. 503 `ledger_stalled` while a COMMIT may still come that
    /// nobody waits for any more.
    pub async fn snapshot(&self) -> Result<Snapshot, Error> {
        if self.pool.stall.is_unsettled() {
            return Err(stalled());
        }
        let permit =
            Arc::clone(&self.pool.permits).acquire_owned().await.map_err(Error::internal)?;
        let idle = self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        // A server that was started again knows nothing of connections from before.
        let (connection, is_tried) = match idle.map(|mut idle| idle.begin_reading().map(|()| idle))
        {
            Some(Ok(connection)) => (connection, false),
            Some(Err(_)) | None => (self.pool.fresh()?, true),
        };
        let pool = Arc::clone(&self.pool);
        Ok(Snapshot { connection: Some(connection), is_tried, pool, _permit: permit })
    }

    /// Long reads, on a thread that may block. They end with 503 `scan_ended` when the database has to
    /// be opened afresh.
    pub async fn scan<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let scan = Arc::clone(&self.pool.scans).acquire_owned().await.map_err(Error::internal)?;
        if self.pool.stall.ends_scans() {
            return Err(scan_ended());
        }
        let mut snapshot = self.snapshot().await?;
        snapshot.query("SELECT 1", &[]).await?;
        tokio::task::spawn_blocking(move || {
            // Held to the end of the scan, which goes on when its caller has gone away.
            let _scan = scan;
            let stall = snapshot.pool.stall.clone();
            let connection = snapshot.connection()?;
            connection.give_way_to(stall)?;
            read(connection)
        })
        .await
        .map_err(Error::internal)?
    }
}

impl Database {
    /// Work of many short reads that go through doors of their own, on a thread that may block. It
    /// counts as one scan, so it must not begin another: all of them could wait for each other.
    pub async fn apart<T, F>(&self, work: impl FnOnce() -> F + Send + 'static) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>>,
    {
        let scan = Arc::clone(&self.pool.scans).acquire_owned().await.map_err(Error::internal)?;
        let runtime = tokio::runtime::Handle::current();
        tokio::task::spawn_blocking(move || {
            let _scan = scan;
            runtime.block_on(work())
        })
        .await
        .map_err(Error::internal)?
    }
}

/// One consistent view of the database.
pub struct Snapshot {
    connection: Option<Connection>,
    /// Whether its connection has answered since it was lent, or is a fresh one.
    is_tried: bool,
    pool: Arc<Pool>,
    _permit: OwnedSemaphorePermit,
}

impl Snapshot {
    /// All rows that come back.
    pub async fn query(&mut self, sql: &'static str, args: &[Value]) -> Result<Vec<Row>, Error> {
        self.ask(|connection| connection.query(sql, args))
    }

    /// The only row, or none.
    pub async fn one(&mut self, sql: &'static str, args: &[Value]) -> Result<Option<Row>, Error> {
        self.ask(|connection| connection.one(sql, args))
    }

    /// How many rows each of several questions brings back.
    pub async fn count_all(&mut self, questions: &[&Statement]) -> Result<Vec<u64>, Error> {
        self.ask(|connection| connection.execute_all(questions)?.whole())
    }

    /// A server that was started again ended the connections of before; the first question finds out, and is
    /// asked again on a fresh one.
    fn ask<T>(
        &mut self,
        mut question: impl FnMut(&mut Connection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let answer = question(self.connection()?);
        let is_first = !std::mem::replace(&mut self.is_tried, true);
        if answer.is_err() && is_first && self.connection()?.is_closed() {
            return question(self.connection.insert(self.pool.fresh()?));
        }
        answer
    }

    fn connection(&mut self) -> Result<&mut Connection, Error> {
        self.connection.as_mut().ok_or_else(|| Error::internal("a snapshot without connection"))
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        // A connection that cannot end its snapshot is closed instead of lent again.
        if connection.give_way_to_nobody().and_then(|()| connection.end_reading()).is_ok() {
            self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
    }
}

/// More than the threads that can read at once on a large machine; fewer would make scans starve
/// short reads.
const READERS_MAX: usize = 64;

/// Scans may take minutes; the other connections stay free for short reads.
const SCANS_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn scans_without_end_leave_room_for_short_reads() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.db");
        Connection::open(&path, Durability::Durable).unwrap();
        let database = Database::over(&path, Stall::default());
        // Opens when the sender is gone; until then one waits inside, all others for the lock.
        let (closed, gate) = std::sync::mpsc::channel::<()>();
        let (gate, begun) = (Arc::new(Mutex::new(gate)), Arc::new(AtomicUsize::new(0)));
        for _ in 0..READERS_MAX {
            let (database, gate, begun) = (database.clone(), Arc::clone(&gate), Arc::clone(&begun));
            tokio::spawn(async move {
                let wait = move |_: &mut Connection| {
                    begun.fetch_add(1, Ordering::SeqCst);
                    let _ = gate.lock().unwrap().recv();
                    Ok(())
                };
                database.scan(wait).await
            });
        }
        while begun.load(Ordering::SeqCst) < SCANS_MAX {
            tokio::task::yield_now().await;
        }
        let mut short = database.snapshot().await.unwrap();
        assert!(short.one("SELECT 1", &[]).await.unwrap().is_some());
        assert_eq!(begun.load(Ordering::SeqCst), SCANS_MAX);
        drop(closed);
    }
}

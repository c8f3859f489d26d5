//! The committer beside long reads, and how much may wait for it, on both engines.

mod guards;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use crate::ctx::{
    BudgetClaim, Change, Clock, ClockTrust, Ctx, Entry, EntryKind, Guard, Miss, NewKey, Receipt,
    StateDelta, SystemClock, SystemGrant, TestClock, Time,
};
use crate::db::cluster::Cluster;
use crate::db::sqlite::DISK_FULL;
use crate::db::{
    Act, Charged, Committer, Connection, Database, Durability, Fate, Keeper, Place, Space, Stall,
    Statement,
};
use crate::error::Error;
use crate::meter::Meter;
use strongroom_crypto::SystemRandom;

/// A log of nothing but a table of numbers. It fails when told, and may be made to wait.
struct Plain {
    said: Arc<Said>,
    gate: Option<Receiver<()>>,
}

/// What the log is told to do, and what it saw.
#[derive(Default)]
struct Said {
    fails: AtomicBool,
    is_full: AtomicBool,
    /// So many times it can't be read.
    unreadable: AtomicU32,
    /// A batch was begun.
    is_at_it: AtomicBool,
    trials: AtomicU32,
    looks: AtomicU32,
    touched: Mutex<Vec<i64>>,
    state_changes: Mutex<Vec<u64>>,
}

impl Keeper for Plain {
    fn load(&mut self, _db: &mut Connection) -> Result<(), Error> {
        let one_less = |left: u32| left.checked_sub(1);
        match self.said.unreadable.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less) {
            Ok(_) => Err(Error::unavailable("storage", "the log is said to be unreadable")),
            Err(_) => Ok(()),
        }
    }
    fn is_durable(&mut self, _db: &mut Connection) -> Result<bool, Error> {
        self.said.looks.fetch_add(1, Ordering::SeqCst);
        Ok(false)
    }
    fn epoch(&self) -> u64 {
        0
    }
    fn head_time(&self) -> Time {
        Time::from_ms(0)
    }
    fn charge(&mut self, _db: &mut Connection, claim: &BudgetClaim) -> Result<Charged, Error> {
        Ok(Ok(claim.amount))
    }
    fn uncharge(&mut self, _claim: &BudgetClaim, _amount: u64) {}
    fn change_state(&mut self, _deltas: &[StateDelta]) -> Result<(), Error> {
        Ok(())
    }
    fn append(
        &mut self,
        _db: &mut Connection,
        now: Time,
        acts: &[Act],
    ) -> Result<Vec<Receipt>, Error> {
        self.said.is_at_it.store(true, Ordering::SeqCst);
        if let Some(gate) = &self.gate {
            let _ = gate.recv();
        }
        self.said.fail()?;
        let mut state_changes = self.said.state_changes.lock().unwrap();
        state_changes.extend(acts.iter().map(|act| act.state_changes));
        let receipt = Receipt {
            index: 0,
            size: 1,
            time: now,
            epoch: 0,
            root: [0; 32],
            checkpoint: "".into(),
        };
        Ok(acts.iter().map(|_| receipt.clone()).collect())
    }
    fn put_keys(&mut self, _keys: &[NewKey], _now: Time) -> Result<(), Error> {
        Ok(())
    }
    fn committed(&mut self) -> Result<(), Error> {
        Ok(())
    }
    fn touched(&mut self, customers: &[i64]) {
        self.said.touched.lock().unwrap().extend(customers);
    }
    fn try_write(&mut self, _now: Time) -> Result<(), Error> {
        self.said.trials.fetch_add(1, Ordering::SeqCst);
        self.said.fail()
    }
    fn discard(&mut self) {}
    fn close(&mut self, _now: Time) -> Result<(), Error> {
        Ok(())
    }
}

impl Said {
    fn fail(&self) -> Result<(), Error> {
        if !self.fails.load(Ordering::SeqCst) {
            return Ok(());
        }
        let is_full = self.is_full.load(Ordering::SeqCst);
        let code = if is_full { DISK_FULL } else { "storage" };
        Err(Error::unavailable(code, "the disk is said to fail"))
    }
}

struct House {
    committer: Committer,
    said: Arc<Said>,
    database: Database,
    stall: Stall,
    clock: Arc<TestClock>,
    is_file: bool,
    folder: tempfile::TempDir,
}

/// An empty database for each engine that there is here.
fn places() -> Vec<(Place, tempfile::TempDir)> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::SeqCst);
    let folder = || tempfile::tempdir().unwrap();
    let file = folder();
    let mut places = vec![(Place::File(file.path().join("t.db")), file)];
    if let Some(cluster) = Cluster::shared() {
        let name = format!("committer_{number}").leak();
        places.push((Place::Server(cluster.database(name)), folder()));
    }
    places
}

impl House {
    fn open((place, folder): (Place, tempfile::TempDir), gate: Option<Receiver<()>>) -> Self {
        let mut db = place.open(Durability::Durable).unwrap();
        let [(_, bytes), ..] = db.dialect().words;
        db.run(&format!("CREATE TABLE t (a {bytes})")).unwrap();
        // The server's probe writes to it.
        db.run("CREATE TABLE schema_version (version BIGINT)").unwrap();
        db.run("CREATE TABLE u (n BIGINT PRIMARY KEY)").unwrap();
        let later = "REFERENCES u (n) DEFERRABLE INITIALLY DEFERRED";
        db.run(&format!("CREATE TABLE v (n BIGINT {later})")).unwrap();
        let (stall, said) = (Stall::default(), Arc::new(Said::default()));
        let keeper = Box::new(Plain { said: Arc::clone(&said), gate });
        let clock = Arc::new(TestClock::at(SystemClock::new().now()));
        let trust = Arc::new(ClockTrust::starting_at(clock.as_ref()));
        let meter = Meter::starting_at(clock.now());
        let space = Space::open(folder.path(), stall.clone());
        let room = (stall.clone(), space);
        let (committer, _thread) =
            Committer::start(place.clone(), keeper, clock.clone(), trust, room, meter).unwrap();
        let is_file = place.file().is_some();
        let database = Database::at(place, stall.clone());
        Self { committer, said, database, stall, clock, is_file, folder }
    }

    async fn write(&self, size_bytes: usize) -> Result<Fate, Error> {
        self.committer.commit(change(size_bytes)).await
    }
}

fn change(size_bytes: usize) -> Change {
    let ctx = Ctx::system("test", Time::from_ms(0), Arc::new(SystemRandom)).unwrap();
    let grant = SystemGrant::issue(&ctx, Vec::new()).unwrap();
    let statement = Statement::new("INSERT INTO t VALUES ($1)", vec![vec![7; size_bytes].into()]);
    grant.change(Entry::new(&ctx, EntryKind::System, "test")).write(statement)
}

/// Reads for ten seconds and more, in short statements or in one long one; says when it has begun.
fn read_for_long(db: &mut Connection, begun: &Sender<()>, sql: &'static str) -> Result<(), Error> {
    let clock = SystemClock::new();
    let _ = db.query(SHORT, &[]).map(|_| begun.send(()));
    while clock.monotonic_ms() < 10_000 {
        db.query(sql, &[])?;
    }
    Ok(())
}

const SHORT: &str = "SELECT COUNT(*) FROM t";
const LONG: &str =
    "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 100000000)
SELECT COUNT(*) FROM c";

const RUNS_LONG: &str = "SELECT 1 FROM pg_stat_activity
WHERE pid::BIGINT = $1 AND state = 'active' AND query LIKE 'WITH RECURSIVE c%'";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_scan_gives_way_when_the_database_is_opened_afresh() {
    for (place, sql) in
        places().into_iter().map(|it| (it, SHORT)).chain(places().into_iter().map(|it| (it, LONG)))
    {
        let house = House::open(place, None);
        house.write(1).await.unwrap();
        let (begun, begins) = channel();
        let database = house.database.clone();
        let scan =
            tokio::spawn(
                async move { database.scan(move |db| read_for_long(db, &begun, sql)).await },
            );
        tokio::task::spawn_blocking(move || begins.recv().unwrap()).await.unwrap();
        // The scan reads from a state that lies before this one.
        house.write(1).await.unwrap();

        house.said.fails.store(true, Ordering::SeqCst);
        assert_eq!(house.write(1).await.unwrap_err().code, "ledger_stalled");
        let is_file = house.database.place().file().is_some();
        if !is_file {
            // No reader is in a server's way; whoever stops ends them.
            house.stall.end_scans();
        }
        let ended = scan.await.unwrap().unwrap_err();
        assert_eq!((ended.code, ended.retry_after_s), ("scan_ended", Some(2)), "{sql}");
        if !is_file {
            house.stall.let_scans_begin();
        }
        house.said.fails.store(false, Ordering::SeqCst);
        house.write(1).await.expect("service is back in the same process");
        assert!(!house.stall.is_stalled());
        let count = house.database.scan(|db| db.query(SHORT, &[])).await;
        assert_eq!(count.expect("scans run again")[0].integer(0).unwrap(), 3);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_was_told_to_cancel_is_lent_to_nobody() {
    let Some((place, folder)) = places().into_iter().find(|(place, _)| place.file().is_none())
    else {
        return;
    };
    let house = House::open((place, folder), None);
    let number = |db: &mut Connection| db.one("SELECT pg_backend_pid()", &[]);
    let before = house.database.scan(number).await.unwrap();
    let own = before.as_ref().unwrap().integer(0).unwrap();
    let mut watching = house.database.place().open(Durability::Durable).unwrap();
    let (database, stall) = (house.database.clone(), house.stall.clone());
    let scan = database.scan(move |db| {
        let own = number(db);
        assert_eq!(db.query(LONG, &[]).unwrap_err().code, "scan_ended");
        own
    });
    // Not before it runs: a scan that has asked for nothing yet tells nobody to cancel.
    let end = tokio::task::spawn_blocking(move || {
        while watching.one(RUNS_LONG, &[own.into()]).unwrap().is_none() {
            std::thread::yield_now();
        }
        stall.end_scans();
    });
    let (own, ended) = tokio::join!(scan, end);
    ended.unwrap();
    assert_eq!(own.unwrap(), before, "it is the one that was there");
    house.stall.let_scans_begin();
    assert_ne!(house.database.scan(number).await.unwrap(), before);
}

#[tokio::test]
async fn a_scan_that_is_told_to_end_reads_nothing_more_and_short_reads_go_on() {
    for place in places() {
        let house = House::open(place, None);
        let stall = house.stall.clone();
        let scan = house.database.scan(move |db| {
            db.query(SHORT, &[])?;
            stall.end_scans();
            db.query(SHORT, &[])
        });
        assert_eq!(scan.await.unwrap_err().code, "scan_ended");
        assert_eq!(house.database.scan(|_| Ok(())).await.unwrap_err().code, "scan_ended");
        // On the very connection the scan had.
        let mut short = house.database.snapshot().await.unwrap();
        assert!(short.one(SHORT, &[]).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn no_more_bytes_wait_than_the_queue_takes() {
    for place in places() {
        let (open, gate) = channel();
        let house = House::open(place, Some(gate));
        let large = 20 << 20;
        // One is being written and keeps its place until it is; three more would be too much.
        let mut waiting: Vec<_> = (0..3).map(|_| Box::pin(house.write(large))).collect();
        for commit in &mut waiting {
            let soon = tokio::time::timeout(std::time::Duration::ZERO, commit.as_mut());
            assert!(soon.await.is_err(), "it waits");
        }
        let refused = tokio::time::timeout(std::time::Duration::ZERO, house.write(large)).await;
        let refused = refused.expect("it is answered at once").unwrap_err();
        assert_eq!((refused.code, refused.retry_after_s), ("overloaded", Some(1)));
        drop(open);
        for commit in waiting {
            commit.await.unwrap();
        }
        house.write(large).await.expect("there is room again");
        // Larger than the whole queue, and alone.
        house.write(65 << 20).await.expect("nothing else waits");
    }
}

/// Told that it may have been done, a caller looks; what looks like not done stays so.
#[tokio::test]
async fn what_nobody_waits_for_any_more_is_not_begun() {
    for place in places() {
        let (open, gate) = channel();
        let house = House::open(place, Some(gate));
        let mut waiting: Vec<_> = (0..3).map(|_| Box::pin(house.write(8))).collect();
        for commit in &mut waiting {
            let soon = tokio::time::timeout(std::time::Duration::ZERO, commit.as_mut());
            assert!(soon.await.is_err(), "it waits");
            until(|| house.said.is_at_it.load(Ordering::SeqCst)).await;
        }
        // The first is being written.
        drop(waiting.remove(1));
        drop(open);
        for commit in waiting {
            commit.await.unwrap();
        }
        let mut snapshot = house.database.snapshot().await.unwrap();
        let rows = snapshot.query("SELECT a FROM t LIMIT 9", &[]).await.unwrap();
        assert_eq!(rows.len(), 2);
    }
}

#[tokio::test]
async fn whose_rows_were_written_is_told_before_the_answer_and_after_a_failure_too() {
    for place in places() {
        let house = House::open(place, None);
        let touch = |customer| {
            let mut change = change(1);
            change.writes = change.writes.into_iter().map(|it| it.touching(customer)).collect();
            house.committer.commit(change)
        };
        let told = || std::mem::take(&mut *house.said.touched.lock().unwrap());
        touch(7).await.unwrap();
        assert_eq!(told(), [7]);
        house.said.fails.store(true, Ordering::SeqCst);
        // What a COMMIT that failed left on the disk nobody knows before the log was read again.
        assert_eq!(touch(8).await.unwrap_err().code, "ledger_stalled");
        house.said.fails.store(false, Ordering::SeqCst);
        touch(9).await.unwrap();
        let mut all = told();
        all.sort_unstable();
        assert_eq!(all, [8, 9]);
        let claimed = Statement::new("UPDATE t SET a = a", Vec::new()).touching(10);
        let guard = Guard::Rows { statement: claimed, expected: 9, miss: Miss::StateChanged };
        let missed = house.committer.commit(change(1).guard(guard)).await.unwrap();
        assert!(matches!(missed, Fate::Missed(_)));
        assert_eq!(told(), [] as [i64; 0], "nothing was written");
    }
}

/// Looks until it is so, for a minute: what happens by itself happens on the committer's own thread.
async fn until(is_so: impl Fn() -> bool) {
    let clock = SystemClock::new();
    while !is_so() {
        assert!(clock.monotonic_ms() < 60_000, "it never came");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_stall_ends_by_itself_once_the_disk_takes_writes() {
    for place in places() {
        let house = House::open(place, None);
        house.said.fails.store(true, Ordering::SeqCst);
        assert_eq!(house.write(1).await.unwrap_err().code, "ledger_stalled");
        assert!(house.stall.is_stalled() && house.committer.stall().is_stalled());
        assert!(!house.stall.is_low(), "not every failure is a full disk");
        until(|| house.said.trials.load(Ordering::SeqCst) >= 2).await;
        assert!(house.stall.is_stalled(), "it failed on trial");
        house.said.fails.store(false, Ordering::SeqCst);
        until(|| !house.stall.is_stalled()).await;
    }
}

#[tokio::test]
async fn after_a_failure_the_log_is_read_again_at_once_not_by_the_next_who_writes() {
    for place in places() {
        let house = House::open(place, None);
        house.said.fails.store(true, Ordering::SeqCst);
        house.said.unreadable.store(1, Ordering::SeqCst);
        assert_eq!(house.write(1).await.unwrap_err().code, "ledger_stalled");
        house.said.fails.store(false, Ordering::SeqCst);
        house.write(1).await.expect("what could not be read was met before");
    }
}

#[tokio::test]
async fn a_write_that_meets_a_full_disk_leaves_only_what_must_go_on() {
    for place in places() {
        let house = House::open(place, None);
        house.said.is_full.store(true, Ordering::SeqCst);
        house.said.fails.store(true, Ordering::SeqCst);
        assert_eq!(house.write(1).await.unwrap_err().code, "ledger_stalled");
        assert!(house.stall.is_low());
    }
}

#[tokio::test]
async fn a_disk_that_others_fill_is_noticed_while_nobody_writes() {
    for place in places() {
        let house = House::open(place, None);
        house.write(1).await.unwrap();
        assert!(!house.stall.is_low());
        // Room for the log to be copied is room that is not there.
        let log = std::fs::File::create(house.folder.path().join("strongroom.db-wal")).unwrap();
        log.set_len(1 << 43).unwrap();
        until(|| house.stall.is_low()).await;
    }
}

#[tokio::test]
async fn with_little_room_only_what_must_go_on_is_written_until_there_is_room() {
    for place in places() {
        let house = House::open(place, None);
        house.stall.begin_low();
        let refused = house.write(1).await.unwrap_err();
        assert_eq!((refused.code, refused.retry_after_s), ("disk_reserve", Some(10)));
        let mut urgent = change(1);
        urgent.entry = urgent.entry.from_reserve();
        assert!(matches!(house.committer.commit(urgent).await, Ok(Fate::Committed(_))));
        until(|| !house.stall.is_low()).await;
        house.write(1).await.expect("this disk has room");
    }
}

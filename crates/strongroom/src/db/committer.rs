//! The only writer: takes queued changes, runs them in one transaction, answers when it is durable.
//!
//! What must never happen here: an answer before its entry is on the disk; an answer "done" after a
//! COMMIT that failed; a change half done; two checkpoints of one size.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use crate::ctx::{Change, Clock, ClockTrust, Miss, Receipt};
use crate::db::apply::{Applied, Before, Moment, apply, foresee, needs_savepoint};
use crate::db::checkpointer::Checkpointer;
use crate::db::connection::{Connection, Durability, Place};
use crate::db::keeper::{Act, Fate, Keeper};
use crate::db::pace::{
    IDLE_INTERVAL, PROBE_FIRST, gather, is_big, pause_after, split_before, split_looks,
};
use crate::db::room::{Room, overloaded, stalled, stopped};
use crate::db::space::{Space, disk_reserve, refuse_ordinary};
use crate::db::sqlite::DISK_FULL;
use crate::db::stall::{EndProcessOnPanic, Stall};
use crate::db::unknown::find_batch;
use crate::error::Error;
use crate::meter::Meter;

/// The way to the committer, cheap to clone. When the last one is gone the committer ends.
#[derive(Clone)]
pub struct Committer {
    queue: SyncSender<Job>,
    queued: Arc<AtomicUsize>,
    meter: Meter,
    stall: Stall,
}

struct Job {
    change: Change,
    answer: oneshot::Sender<Result<Fate, Error>>,
    room: Room,
}

impl Committer {
    /// Starts the committer's thread over an open and loaded database.
    pub fn start(
        place: Place,
        keeper: Box<dyn Keeper>,
        clock: Arc<dyn Clock>,
        trust: Arc<ClockTrust>,
        (stall, mut space): (Stall, Space),
        meter: Meter,
    ) -> Result<(Self, JoinHandle<()>), Error> {
        let (queue, jobs) = sync_channel(QUEUE_MAX);
        space.set_aside();
        // A server copies its own log.
        let checkpointer =
            place.file().map(|path| Checkpointer::start(path.to_owned())).transpose()?;
        let mut writer = Writer {
            place,
            db: None,
            keeper,
            clock,
            trust,
            stall: stall.clone(),
            space,
            meter: meter.clone(),
            checkpointer,
            touched: Vec::new(),
        };
        writer.reopen()?;
        let thread = std::thread::Builder::new()
            .name("committer".to_owned())
            .spawn(move || {
                let _end_with_us = EndProcessOnPanic;
                writer.serve(&jobs);
            })
            .map_err(Error::internal)?;
        Ok((Self { queue, queued: Arc::default(), meter, stall }, thread))
    }

    /// Commits a change: answers once it is durable, or was not done.
    pub async fn commit(&self, change: Change) -> Result<Fate, Error> {
        // Here already, so that a crowd that is refused does not keep the committer from its probes.
        refuse_ordinary(&self.stall, &change.entry)?;
        let (answer, receipt) = oneshot::channel();
        let room =
            Room::take(&self.queued, &self.meter, change.size_bytes()).ok_or_else(overloaded)?;
        match self.queue.try_send(Job { change, answer, room }) {
            Ok(()) => receipt.await.map_err(|_| stopped())?,
            Err(TrySendError::Full(_)) => Err(overloaded()),
            Err(TrySendError::Disconnected(_)) => Err(stopped()),
        }
    }

    /// Whether the ledger can be written.
    pub fn stall(&self) -> &Stall {
        &self.stall
    }
}

struct Writer {
    place: Place,
    db: Option<Connection>,
    keeper: Box<dyn Keeper>,
    clock: Arc<dyn Clock>,
    trust: Arc<ClockTrust>,
    stall: Stall,
    space: Space,
    meter: Meter,
    checkpointer: Option<Checkpointer>,
    /// Whose rows were written since the keeper was told.
    touched: Vec<i64>,
}

/// What one change came to inside the batch.
enum Tried {
    Failed(Error),
    Missed(Miss),
    Ready(usize),
}

impl Writer {
    fn serve(&mut self, jobs: &Receiver<Job>) {
        while let Some(first) = self.next(jobs) {
            let mut batch = vec![first];
            // Who parks is woken by nobody who comes: that would cost a change of thread for each.
            gather(jobs, &mut batch, || self.meter.running(), std::thread::park_timeout);
            for part in split_before(batch, |job| is_big(&job.change)) {
                self.run(part);
            }
        }
        if let Err(error) = self.keeper.close(self.trust.now(self.clock.as_ref())) {
            tracing::warn!(code = error.code, "the end of the log could not be anchored");
        }
        if let Some(db) = &mut self.db {
            // A clean end leaves no write-ahead log; after a failure the next start replays it.
            let _ = db.checkpoint_truncating();
        }
    }

    /// The next change; `None` at the end. While nothing can be written, or too little room is left, it
    /// tries by itself whether that is over, and waits longer each time.
    fn next(&mut self, jobs: &Receiver<Job>) -> Option<Job> {
        let mut pause = PROBE_FIRST;
        loop {
            let is_well = self.db.is_some() && !self.stall.is_stalled() && !self.stall.is_low();
            match jobs.recv_timeout(if is_well { IDLE_INTERVAL } else { pause }) {
                Ok(job) => return Some(job),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) if is_well => {
                    // Others fill a disk too, and write to a server.
                    self.space.look();
                    self.keep_up();
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.probe();
                    pause = pause_after(pause, self.place.file().is_none());
                }
            }
        }
    }

    /// Takes over what another node wrote while nothing is written here: a right that ended there ends here
    /// too, for answers that leave no entry as well.
    fn keep_up(&mut self) {
        let (None, Some(db)) = (self.place.file(), &mut self.db) else { return };
        let kept =
            db.begin().and_then(|()| self.keeper.take_turn(db)).and_then(|()| db.roll_back());
        if let Err(error) = kept {
            tracing::warn!(cause = ?error.cause(), "the database server is away");
            self.keeper.discard();
            self.db = None;
        }
    }

    /// Whether the disk takes writes again, without waiting for somebody who has something to write.
    fn probe(&mut self) {
        self.space.recover();
        if self.db.is_some() && !self.stall.is_stalled() {
            return;
        }
        match self.write_on_trial() {
            Ok(()) => {
                tracing::info!("the disk takes writes again");
                self.stall.end();
            }
            Err(still) => {
                tracing::debug!(cause = ?still.cause(), "the disk takes no writes yet");
                self.keeper.discard();
                self.db = None;
            }
        }
    }

    fn write_on_trial(&mut self) -> Result<(), Error> {
        if self.db.is_none() {
            self.reopen()?;
        }
        let db = self.db.as_mut().ok_or_else(|| Error::internal("no connection to write on"))?;
        db.rewrite_a_page()?;
        let now = self.trust.now(self.clock.as_ref()).later(self.keeper.head_time());
        self.keeper.try_write(now)
    }

    fn run(&mut self, mut batch: Vec<Job>) {
        let _passing = self.checkpointer.as_ref().map(Checkpointer::enter);
        self.space.look();
        if self.stall.is_low() {
            let ordinary = |job: &mut Job| refuse_ordinary(&self.stall, &job.change.entry).is_err();
            for job in batch.extract_if(.., ordinary) {
                let _ = job.answer.send(Err(disk_reserve()));
            }
        }
        // Who gave up and then looks whether it was done must not be overtaken by it.
        batch.retain(|job| !job.answer.is_closed());
        if batch.is_empty() {
            return;
        }
        let mut rooms = Vec::with_capacity(batch.len());
        let (changes, answers): (Vec<_>, Vec<_>) = batch
            .into_iter()
            .map(|job| {
                rooms.push(job.room);
                (job.change, job.answer)
            })
            .unzip();
        let (size, began_us) = (changes.len(), self.clock.monotonic_us());
        let attempted = self.attempt(changes);
        let us = self.clock.monotonic_us().saturating_sub(began_us);
        // Before the answers leave: whoever has one may send the next change at once.
        drop(rooms);
        match attempted {
            Ok(fates) => {
                self.meter.batch(size, us);
                self.stall.end();
                self.checkpointer.as_ref().inspect(|it| it.batch_written());
                self.tell_touched();
                for (answer, fate) in answers.into_iter().zip(fates) {
                    // A caller who has gone away does not change what is true.
                    let _ = answer.send(fate);
                }
            }
            Err(failure) => {
                self.meter.batch_failed();
                self.stall.begin();
                tracing::error!(cause = ?failure.cause(), code = failure.code,
                    "a batch could not be written; every answer in it is 503");
                if failure.code == DISK_FULL {
                    self.space.ran_out();
                }
                self.keeper.discard();
                self.db = None;
                let is_unsettled = self.stall.is_unsettled();
                if is_unsettled {
                    self.reopen_if_it_does();
                }
                for answer in answers {
                    let _ = answer.send(Err(stalled()));
                }
                if !is_unsettled {
                    self.reopen_if_it_does();
                }
            }
        }
    }

    fn reopen_if_it_does(&mut self) {
        if let Err(still) = self.reopen() {
            tracing::error!(cause = ?still.cause(), "the database does not open yet");
        }
    }

    /// One batch in one transaction. An error means: nobody may be told that anything was done.
    fn attempt(&mut self, changes: Vec<Change>) -> Result<Vec<Result<Fate, Error>>, Error> {
        if self.db.is_none() {
            self.reopen()?;
        }
        let is_shared = self.place.file().is_none();
        let db = self.db.as_mut().ok_or_else(|| Error::internal("no connection to write on"))?;
        let keeper = self.keeper.as_mut();
        let clock = self.clock.as_ref();
        db.begin()?;
        if is_shared {
            keeper.take_turn(db)?;
        }
        let wall = self.trust.now(clock);
        let moment = Moment { wall, suspect: self.trust.is_suspect(clock) };
        let mut tried = Vec::with_capacity(changes.len());
        let mut acts = Vec::with_capacity(changes.len());
        let mut keys = Vec::new();
        let mut state_changes = 0;
        for some in split_looks(changes, |change| is_shared && !needs_savepoint(change)) {
            let foreseen = foresee(db, keeper, &some)?;
            for (change, known) in some.into_iter().zip(foreseen) {
                let is_first = acts.is_empty() && !is_shared;
                let before = if is_first { Before::Nothing } else { Before::Others };
                tried.push(match apply(db, keeper, &moment, (&change, known), before)? {
                    Applied::Done => {
                        self.touched.extend(change.touched());
                        keeper.change_state(&change.state)?;
                        state_changes += u64::from(!change.state.is_empty());
                        keys.extend(change.keys);
                        let epoch = keeper.epoch();
                        acts.push(Act { entry: change.entry, epoch, state_changes });
                        Tried::Ready(acts.len() - 1)
                    }
                    Applied::Failed(error) => Tried::Failed(error),
                    Applied::Missed(miss) => Tried::Missed(miss),
                });
            }
        }
        let now = wall.later(keeper.head_time());
        let receipts = if acts.is_empty() { Vec::new() } else { keeper.append(db, now, &acts)? };
        keeper.put_keys(&keys, now)?;
        match db.commit() {
            Err(unknown) if is_shared => {
                *db = find_batch(&self.place, keeper, (clock, &self.stall), unknown)?;
            }
            committed => committed?,
        }
        keeper.committed()?;
        tried.into_iter().map(|tried| fate(tried, &receipts)).map(Ok).collect()
    }

    /// Opens a fresh connection, copies the log into the file and reads the state again: after a
    /// failed write nothing in memory is believed. A scan may read for minutes and would keep the log
    /// of a file from being cut, and everyone waiting: it gives way.
    fn reopen(&mut self) -> Result<(), Error> {
        let cuts_log = self.stall.is_stalled() && self.place.file().is_some();
        if cuts_log {
            self.stall.end_scans();
        }
        let mut db = self.place.open(Durability::Durable)?;
        if cuts_log {
            db.checkpoint_truncating()?;
            self.stall.let_scans_begin();
        }
        if self.place.file().is_some() {
            self.keeper.load(&mut db)?;
        } else {
            // In the middle of another's batch the log is not whole.
            db.begin()?;
            self.keeper.hold(&mut db)?;
            self.keeper.load(&mut db)?;
            db.roll_back()?;
            self.stall.settle();
        }
        self.db = Some(db);
        self.tell_touched();
        Ok(())
    }

    fn tell_touched(&mut self) {
        self.keeper.touched(&self.touched);
        self.touched.clear();
    }
}

fn fate(tried: Tried, receipts: &[Receipt]) -> Result<Fate, Error> {
    match tried {
        Tried::Failed(error) => Err(error),
        Tried::Missed(miss) => Ok(Fate::Missed(miss)),
        Tried::Ready(place) => match receipts.get(place) {
            Some(receipt) => Ok(Fate::Committed(receipt.clone())),
            None => Err(Error::internal("an entry without a receipt")),
        },
    }
}

/// Bounds waiting memory, and so the wait: at 10,000 acts a second this is under half a second.
const QUEUE_MAX: usize = 4096;

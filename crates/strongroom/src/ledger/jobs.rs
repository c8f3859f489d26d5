//! Verification: rebuilds the tree and both indexes from the entries and compares.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use strongroom_tlog::{Frontier, TileRoot, VerifierKey, leaf_hash, open_checkpoint};

use crate::ctx::{Outcome, Pseudonym};
use crate::db::Connection;
use crate::error::Error;
use crate::id::{Id, Verification};
use crate::keys::Keyring;
use crate::ledger::model::{Leaf, LeafSubjects};
use crate::ledger::store::{self, StoredEntry};
use crate::ledger::{HANDOVER_VERB, Signers, open_set, open_signed, rules};

/// What a verification saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// How many entries the signed head speaks of.
    pub size: u64,
    /// What does not fit; empty means complete and unaltered.
    pub flaws: Vec<Flaw>,
    /// What the customers' rows said beside the log, where somebody asked for it.
    pub compared: Option<Compared>,
}

impl Verified {
    /// Whether everything that was looked at fits.
    pub fn is_intact(&self) -> bool {
        self.misfits() == 0
    }

    /// How much does not.
    pub fn misfits(&self) -> u64 {
        let rows = self.compared.as_ref().map_or(0, |it| it.differing + it.broken + it.missing);
        self.flaws.len() as u64 + rows
    }
}

/// What came of holding each customer's rows against the newest entry that wrote them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compared {
    /// How many customers there are rows of.
    pub customers: u64,
    /// Of these, how many are not as the log says.
    pub differing: u64,
    /// How many nobody can say it of: no entry holds what their rows should be.
    pub unknown: u64,
    /// How many do not open at all; each has a finding.
    pub broken: u64,
    /// How many the log speaks of are gone, and nobody erased them.
    pub missing: u64,
    /// The differing ones, each at the entry it should be as, and the entries that wrote missing ones last;
    /// not more than [`FLAWS_MAX`].
    pub flaws: Vec<Flaw>,
}

/// How far a verification goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// The log: its tree and its indexes.
    Log,
    /// The rows of customers beside it too.
    Rows,
}

/// Something that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// The entry it was seen at, where there is one.
    pub entry: Option<u64>,
    /// What it is, in words.
    pub what: String,
}

/// A verification that runs, or one that has ended.
#[derive(Debug, Clone)]
pub struct Verifying {
    /// Names it.
    pub id: Id<Verification>,
    /// How far it goes.
    pub depth: Depth,
    /// Entries read so far.
    pub done: u64,
    /// Entries there are to read; 0 until that is known.
    pub size: u64,
    /// What it saw, or why it could not go on; none while it runs.
    pub outcome: Option<Result<Verified, Arc<Error>>>,
}

/// The verification that runs and the one before it. In memory only: what it finds is in the ledger
/// and among the findings.
#[derive(Clone, Default)]
pub struct Verifications(Arc<Mutex<VecDeque<Verifying>>>);

/// Whether a verification was begun or joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joining {
    /// It has to be run.
    Begun,
    /// Somebody's runs already.
    Joined,
}

impl Verifications {
    /// The one that runs, or a new one of this name: reading the whole log twice at a time helps nobody.
    /// Refused where the one that runs does not go as far.
    pub fn begin_or_join(
        &self,
        id: Id<Verification>,
        depth: Depth,
    ) -> Result<(Verifying, Joining), Error> {
        let mut kept = self.kept();
        if let Some(running) = kept.front().filter(|newest| newest.outcome.is_none()) {
            if running.depth < depth {
                let detail =
                    "a verification of the log alone is running; ask again when it has ended";
                return Err(Error::conflict("verification_running", detail));
            }
            return Ok((running.clone(), Joining::Joined));
        }
        let begun = Verifying { id, depth, done: 0, size: 0, outcome: None };
        kept.push_front(begun.clone());
        kept.truncate(VERIFICATIONS_KEPT_MAX);
        Ok((begun, Joining::Begun))
    }

    /// How far one is, or what it saw.
    pub fn find(&self, id: Id<Verification>) -> Option<Verifying> {
        self.kept().iter().find(|known| known.id == id).cloned()
    }

    /// How far one is.
    pub fn advance(&self, id: Id<Verification>, done: u64, size: u64) {
        if let Some(known) = self.kept().iter_mut().find(|known| known.id == id) {
            (known.done, known.size) = (done, size);
        }
    }

    /// One has ended.
    pub fn end(&self, id: Id<Verification>, outcome: Result<Verified, Error>) {
        if let Some(known) = self.kept().iter_mut().find(|known| known.id == id) {
            known.outcome = Some(outcome.map_err(Arc::new));
        }
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Verifying>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the whole log. `progress` hears how many entries are done, and of how many. At most [`FLAWS_MAX`] flaws are
/// named; one is enough to distrust the rest.
pub fn verify(
    db: &mut Connection,
    keyring: &Keyring,
    progress: impl FnMut(u64, u64),
) -> Result<Verified, Error> {
    walk(db, keyring, (keyring.incarnation().1, Signers::Now), progress)
}

/// The same of an earlier incarnation, which signed under another name.
pub fn verify_archive(
    db: &mut Connection,
    keyring: &Keyring,
    origin: &str,
    progress: impl FnMut(u64, u64),
) -> Result<Verified, Error> {
    walk(db, keyring, (origin, Signers::Ever), progress)
}

fn walk(
    db: &mut Connection,
    keyring: &Keyring,
    (origin, signers): (&str, Signers),
    mut progress: impl FnMut(u64, u64),
) -> Result<Verified, Error> {
    let Some(head) = store::read_head(db)? else {
        return Ok(Verified { size: 0, flaws: Vec::new(), compared: None });
    };
    let size = head.frontier.size();
    let mut walk =
        Walk { keyring, origin, signers, tree: Frontier::new(), handed: None, flaws: Vec::new() };
    let mut state = (0, 0, i64::MIN);
    for run in 0..size.div_ceil(rules::RUN_SIZE) {
        let first = run * rules::RUN_SIZE;
        let wanted = rules::RUN_SIZE.min(size - first);
        let stored = store::read_entries(db, first, wanted)?;
        walk.run(db, run, first, wanted, &stored, &mut state)?;
        progress((first + wanted).min(size), size);
        if walk.flaws.len() >= FLAWS_MAX {
            break;
        }
    }
    if walk.flaws.len() < FLAWS_MAX {
        walk.end(db, &head, state)?;
    }
    walk.flaws.truncate(FLAWS_MAX);
    Ok(Verified { size, flaws: walk.flaws, compared: None })
}

struct Walk<'a> {
    keyring: &'a Keyring,
    origin: &'a str,
    signers: Signers,
    tree: Frontier,
    /// The newest entry that hands the log over, and the key it names.
    handed: Option<(u64, String)>,
    flaws: Vec<Flaw>,
}

impl Walk<'_> {
    fn run(
        &mut self,
        db: &mut Connection,
        run: u64,
        first: u64,
        wanted: u64,
        stored: &[StoredEntry],
        state: &mut (u64, u64, i64),
    ) -> Result<(), Error> {
        let (mut subjects, mut actors) = (Vec::new(), Vec::new());
        let mut rows = stored.iter().peekable();
        for index in first..first + wanted {
            let Some(row) = rows.next_if(|row| row.index == index) else {
                self.flaw(Some(index), "the entry is gone");
                continue;
            };
            self.entry(db, row)?;
            let Ok(leaf) = Leaf::decode(&row.leaf) else {
                self.flaw(Some(index), "the entry cannot be read");
                continue;
            };
            let now = (leaf.epoch, leaf.state_changes, leaf.time.as_ms());
            if now.0 < state.0 || now.1 < state.1 || now.2 < state.2 {
                self.flaw(Some(index), "the entry is older than the one below it");
            }
            *state = now;
            subjects.extend(self.subjects(db, index, &leaf)?.into_iter().map(|it| (it, index)));
            if leaf.verb == HANDOVER_VERB && leaf.outcome == Outcome::Ok {
                self.handed = Some((index, leaf.ticket));
            }
            actors.push((leaf.actor, index));
        }
        self.compare(subjects, store::run_subjects(db, run)?, "customer");
        self.compare(actors, store::run_actors(db, run)?, "actor");
        Ok(())
    }

    fn entry(&mut self, db: &mut Connection, row: &StoredEntry) -> Result<(), Error> {
        let hash = leaf_hash(&row.leaf);
        if row.check != rules::leaf_check(&hash) {
            self.flaw(Some(row.index), "the entry was changed");
        }
        let mut completed = Vec::new();
        self.tree.append(hash, &mut completed);
        for TileRoot { level, index, hash } in completed {
            if store::read_tile(db, level, index)? != Some(hash) {
                let span = 256_u64.saturating_pow(u32::from(level));
                let (from, to) = (index * span, (index + 1) * span - 1);
                let what =
                    format!("the entries {from} to {to} are not the ones hashed when written");
                self.flaw(None, &what);
            }
        }
        Ok(())
    }

    fn subjects(
        &mut self,
        db: &mut Connection,
        index: u64,
        leaf: &Leaf,
    ) -> Result<Vec<Pseudonym>, Error> {
        match leaf.subjects {
            LeafSubjects::None => Ok(Vec::new()),
            LeafSubjects::One(one) => Ok(vec![one]),
            LeafSubjects::Set { root, count } => match open_set(db, self.keyring, index) {
                Ok(members)
                    if members.len() as u64 == count
                        && rules::set_root(&leaf.salt, &members) == root =>
                {
                    Ok(members)
                }
                _ => {
                    self.flaw(Some(index), "its set of customers is gone or was changed");
                    Ok(Vec::new())
                }
            },
        }
    }

    /// Of an import a run has millions of rows, so they are held against each other in order.
    fn compare<K: Ord>(
        &mut self,
        mut expected: Vec<(K, u64)>,
        mut stored: Vec<(K, u64)>,
        which: &str,
    ) {
        expected.sort_unstable();
        expected.dedup();
        stored.sort_unstable();
        stored.dedup();
        let (mut expected, mut stored) = (expected.iter().peekable(), stored.iter().peekable());
        while self.flaws.len() < FLAWS_MAX {
            let order = match (expected.peek(), stored.peek()) {
                (None, None) => return,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(wanted), Some(there)) => wanted.cmp(there),
            };
            if order.is_lt() {
                let index = expected.next().map(|(_, index)| *index);
                self.flaw(index, &format!("its row in the {which} index is gone"));
            } else if order.is_gt() {
                let index = stored.next().map(|(_, index)| *index);
                self.flaw(index, &format!("a row in the {which} index does not belong to it"));
            } else {
                expected.next();
                stored.next();
            }
        }
    }

    fn end(
        &mut self,
        db: &mut Connection,
        head: &store::Head,
        state: (u64, u64, i64),
    ) -> Result<(), Error> {
        let size = head.frontier.size();
        if self.tree.size() == size && self.tree.root() != head.frontier.root() {
            self.flaw(None, "the entries do not have the root that was signed");
        }
        match open_signed(self.keyring, self.origin, &head.checkpoint, self.signers) {
            Ok((signed, _)) if signed.size == size && signed.root == head.frontier.root() => {}
            _ => self.flaw(None, "the checkpoint is not signed by this installation"),
        }
        let is_theirs = |key: &str| {
            VerifierKey::parse(key).is_ok_and(|key| open_checkpoint(&head.checkpoint, &key).is_ok())
        };
        if let Some((index, _)) = self.handed.take_if(|(_, key)| !is_theirs(key)) {
            let what = "the checkpoint is not signed with the key that it hands the log over to";
            self.flaw(Some(index), what);
        }
        if state != (head.epoch, head.state_changes, head.time.as_ms()) && size > 0 {
            self.flaw(None, "the head names another state of rights or time than its newest entry");
        }
        if store::count_beyond(db, size)? != 0 {
            self.flaw(None, "there are entries beyond the signed size");
        }
        if store::count_stray_runs(db, size.div_ceil(rules::RUN_SIZE))? != 0 {
            self.flaw(None, "there are index rows that no entry belongs to");
        }
        Ok(())
    }

    fn flaw(&mut self, entry: Option<u64>, what: &str) {
        self.flaws.push(Flaw { entry, what: what.to_owned() });
    }
}

/// More than anyone reads; a log with one flaw is not to be trusted.
pub const FLAWS_MAX: usize = 100;

/// The one that runs, and the one before it for whoever has not asked yet what it saw.
const VERIFICATIONS_KEPT_MAX: usize = 2;

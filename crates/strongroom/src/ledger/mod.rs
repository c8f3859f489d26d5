//! What happened, in a log nobody can rewrite unseen.
//!
//! Appended to by the committer alone; read by everyone who may. It speaks pseudonyms and resolves
//! nobody. What must never happen here: personal data in an entry, two signed checkpoints of one
//! size, a checkpoint that leaves before it is durable.

mod jobs;
mod model;
mod rules;
mod store;
#[cfg(test)]
mod tests;
mod verbs;

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

use strongroom_crypto::{Plain, Random, random_array};
use strongroom_tlog::{
    Frontier, Hash, inclusion_proof, leaf_hash, needed_for_inclusion, needed_for_root, root_of,
};

use crate::ctx::{Pseudonym, Receipt, Subjects, Time};
use crate::db::{Act, Connection, Database, Snapshot};
use crate::error::Error;
use crate::keys::{ANCHOR_AGE_MS_MAX, Anchor, Keyring};

pub use jobs::{
    Compared, Depth, FLAWS_MAX, Flaw, Joining, Verifications, Verified, Verifying, verify,
    verify_archive,
};
use model::Placing;
pub use model::{Leaf, LeafSubjects};
use store::Head;
pub use store::{end_handover, pair};
pub use verbs::{
    Archive, Cosigned, HANDED_VERB, HANDOVER_VERB, LogFacts, Opening, Signers, archive_name, facts,
    handovers, named_key, naming_note, newest_key, number_of, open_archives, open_incarnation,
    open_signed, prove_growth, signed_keys, tile, verifier_key, visit,
};

/// The writing side: lives in the committer.
pub struct Log {
    keyring: Arc<Keyring>,
    random: Arc<dyn Random>,
    origin: String,
    durable: Head,
    /// As the batch under way would leave it.
    tentative: Option<Head>,
    published: Published,
    anchored: Option<Anchor>,
}

/// The state of authority that a batch leaves behind, as the head row keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateStamp {
    /// The epoch.
    pub epoch: u64,
    /// How many changes of state there ever were.
    pub changes: u64,
    /// The keyed hash over all rows of authority.
    pub tag: [u8; 32],
}

/// The newest durable checkpoint, for whoever asks.
#[derive(Clone, Default)]
pub struct Published(Arc<RwLock<Shown>>);

#[derive(Default)]
struct Shown {
    is_watched: bool,
    newest: Option<Newest>,
    cosigned: Option<Cosigned>,
    anchored: Option<Time>,
}

/// A durable checkpoint.
#[derive(Debug, Clone)]
pub struct Newest {
    /// How many entries it covers.
    pub size: u64,
    /// The signed note.
    pub checkpoint: Arc<str>,
    /// The time of its newest entry.
    pub time: Time,
    /// The key that the log is being handed over to, as C2SP verifiers take it.
    pub handing: Option<Arc<str>>,
}

impl Published {
    /// None before the first entry.
    pub fn newest(&self) -> Option<Newest> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).newest.clone()
    }

    /// When keys.db was last told of a checkpoint.
    pub fn anchored(&self) -> Option<Time> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).anchored
    }

    fn set(&self, head: &Head) {
        let (size, checkpoint) = (head.frontier.size(), Arc::clone(&head.checkpoint));
        let handing = head.handing.clone();
        let newest = Newest { size, checkpoint, time: head.time, handing };
        self.0.write().unwrap_or_else(PoisonError::into_inner).newest = Some(newest);
    }

    fn set_anchor(&self, anchor: Option<&Anchor>) {
        let at = anchor.map(|anchor| anchor.at);
        self.0.write().unwrap_or_else(PoisonError::into_inner).anchored = at;
    }
}

impl Log {
    /// A log that still has to be loaded.
    pub fn new(keyring: Arc<Keyring>, random: Arc<dyn Random>, published: Published) -> Self {
        let origin = keyring.incarnation().1.to_owned();
        let durable = empty_head();
        Self { keyring, random, origin, durable, tentative: None, published, anchored: None }
    }

    /// Reads the head again and holds it against its signature, the tree, the newest entry and the
    /// anchor in keys.db. Nothing is served from a log that fails this.
    pub fn load(&mut self, db: &mut Connection) -> Result<StateStamp, Error> {
        self.tentative = None;
        self.anchored = self.keyring.anchor()?;
        self.published.set_anchor(self.anchored.as_ref());
        match store::read_head(db)? {
            Some(mut head) => {
                head.handing = self.settle_handover(db, &head)?;
                self.refuse_unsigned(&head)?;
                refuse_other_tree(db, &head)?;
                self.durable = head;
                self.published.set(&self.durable);
            }
            None => self.durable = empty_head(),
        }
        if store::count_beyond(db, self.durable.frontier.size())? != 0 {
            return Err(altered("there are entries beyond the signed size"));
        }
        self.refuse_rolled_back(db)?;
        let Head { epoch, state_changes, state_tag, .. } = self.durable;
        Ok(StateStamp { epoch, changes: state_changes, tag: state_tag })
    }

    /// Keeps other writers out until the transaction ends. Gives whether the log is as it was left here;
    /// where another has written since, it has to be [loaded](Self::load) again.
    pub fn take_turn(&self, db: &mut Connection) -> Result<bool, Error> {
        let known = (self.durable.frontier.size(), &*self.durable.checkpoint);
        Ok(match store::lock_head(db)? {
            Some((size, checkpoint)) => (size, checkpoint.as_str()) == known,
            None => known.0 == 0,
        })
    }

    /// Whether the batch under way stands in the log, whatever was appended after it.
    pub fn is_durable(&self, db: &mut Connection) -> Result<bool, Error> {
        let Some(head) = &self.tentative else { return Ok(false) };
        let size = head.frontier.size();
        let hashes = store::load_hashes(db, &needed_for_root(size))?;
        Ok(root_of(size, &hashes).is_ok_and(|root| root == head.frontier.root()))
    }

    /// The time of the newest entry.
    pub fn time(&self) -> Time {
        self.tentative.as_ref().unwrap_or(&self.durable).time
    }

    /// Appends a batch and signs the checkpoint over it; nothing leaves before [`Log::committed`].
    pub fn append(
        &mut self,
        db: &mut Connection,
        now: Time,
        acts: &[Act],
        stamp: StateStamp,
    ) -> Result<Vec<Receipt>, Error> {
        let mut head = self.durable.clone();
        let state_before = head.state_changes;
        let first = head.frontier.size();
        let (mut completed, mut added) = (Vec::new(), store::Added::default());
        for act in acts {
            let index = head.frontier.size();
            let salt = random_array(self.random.as_ref())?;
            let (subjects, members) = self.place_subjects(db, index, &salt, &act.entry.subjects)?;
            let placing = Placing {
                time: now,
                epoch: act.epoch,
                state_changes: state_before + act.state_changes,
                network: self.network_tag(now, act)?,
                salt,
                subjects,
            };
            let leaf = Leaf::place(&act.entry, placing).encode();
            let hash = leaf_hash(&leaf);
            head.frontier.append(hash, &mut completed);
            added.entry(index, leaf, &hash)?;
            added.actor(index, &act.entry.actor)?;
            members.iter().try_for_each(|member| added.subject(index, member))?;
        }
        completed.iter().try_for_each(|tile| added.tile(tile))?;
        added.write(db)?;
        let root = head.frontier.root();
        head.time = now;
        head.epoch = stamp.epoch;
        head.state_changes = stamp.changes;
        head.state_tag = stamp.tag;
        head.handing = self.hand_over(db, first, acts)?;
        head.checkpoint = self.sign(&head, root)?;
        store::write_head(db, &head)?;
        let receipts = (first..).zip(acts).map(|(index, act)| Receipt {
            index,
            size: head.frontier.size(),
            time: now,
            epoch: act.epoch,
            root: root.0,
            checkpoint: Arc::clone(&head.checkpoint),
        });
        let receipts = receipts.collect();
        self.tentative = Some(head);
        Ok(receipts)
    }

    /// The anchor to write into keys.db before this batch, if the old one has grown too old: the
    /// newest durable checkpoint, which is still the newest at `now`.
    pub fn anchor_due(&self, now: Time) -> Option<Anchor> {
        let due = self.anchored.as_ref().is_none_or(|anchor| {
            now.as_ms().saturating_sub(anchor.at.as_ms()) >= ANCHOR_AGE_MS_MAX
        });
        due.then(|| self.anchor_at(now))
    }

    /// The newest durable checkpoint as an anchor.
    pub fn anchor_at(&self, now: Time) -> Anchor {
        let frontier = &self.durable.frontier;
        Anchor { size: frontier.size(), root: frontier.root().0, at: now }
    }

    /// keys.db has this anchor now.
    pub fn anchored(&mut self, anchor: Anchor) {
        self.published.set_anchor(Some(&anchor));
        self.anchored = Some(anchor);
    }

    /// The batch is durable. Gives whether another key signs from now on.
    pub fn committed(&mut self) -> Result<bool, Error> {
        let Some(head) = self.tentative.take() else { return Ok(false) };
        let is_handed = self.is_ended_by(&head);
        if is_handed {
            self.keyring.promote_coming_signer()?;
        }
        self.durable = head;
        self.published.set(&self.durable);
        Ok(is_handed)
    }

    /// The batch never was.
    pub fn discard(&mut self) {
        self.tentative = None;
    }

    fn place_subjects(
        &self,
        db: &mut Connection,
        index: u64,
        salt: &[u8; 16],
        subjects: &Subjects,
    ) -> Result<(LeafSubjects, Vec<Pseudonym>), Error> {
        match subjects {
            Subjects::None => Ok((LeafSubjects::None, Vec::new())),
            Subjects::One(one) => Ok((LeafSubjects::One(*one), vec![*one])),
            Subjects::Set(several) => {
                let members: BTreeSet<Pseudonym> = several.iter().copied().collect();
                let members: Vec<Pseudonym> = members.into_iter().collect();
                let root = rules::set_root(salt, &members);
                let plain = Plain::new(rules::encode_set(&members));
                store::append_set(db, index, self.keyring.seal_set(index, &plain)?)?;
                let count = members.len() as u64;
                Ok((LeafSubjects::Set { root, count }, members))
            }
        }
    }

    fn network_tag(&self, now: Time, act: &Act) -> Result<Option<[u8; 16]>, Error> {
        let Some(address) = act.entry.network else { return Ok(None) };
        self.keyring.network_tag(&rules::month_of(now), &address.to_string()).map(Some)
    }

    fn refuse_unsigned(&self, head: &Head) -> Result<(), Error> {
        let (keyring, origin) = (&self.keyring, self.origin.as_str());
        let (checkpoint, _) = open_signed(keyring, origin, &head.checkpoint, Signers::Now)?;
        let frontier = &head.frontier;
        if checkpoint.size != frontier.size() || checkpoint.root != frontier.root() {
            return Err(altered("its head is not what was signed"));
        }
        Ok(())
    }

    /// Each store holds the other: strongroom.db may not be older than the anchor in keys.db, and
    /// no entry may be much younger than it.
    fn refuse_rolled_back(&self, db: &mut Connection) -> Result<(), Error> {
        let size = self.durable.frontier.size();
        let Some(anchor) = &self.anchored else {
            if size == 0 {
                return Ok(());
            }
            return Err(rolled_back("keys.db", "it knows nothing of the log"));
        };
        if anchor.size > size {
            return Err(rolled_back("strongroom.db", "its log is shorter than keys.db remembers"));
        }
        if self.durable.time.as_ms() > anchor.at.as_ms().saturating_add(ANCHOR_AGE_MS_MAX) {
            return Err(rolled_back("keys.db", "it is older than the newest entries"));
        }
        let hashes = store::load_hashes(db, &needed_for_root(anchor.size))?;
        match root_of(anchor.size, &hashes) {
            Ok(root) if root.0 == anchor.root => Ok(()),
            _ => Err(rolled_back("strongroom.db", "its log is not the one keys.db remembers")),
        }
    }
}

/// Keeps whoever else would write out until the transaction ends, on whatever machine. Gives the newest
/// checkpoint, empty before the first.
pub fn hold(db: &mut Connection) -> Result<String, Error> {
    Ok(store::lock_head(db)?.map_or_else(String::new, |(_, checkpoint)| checkpoint))
}

/// One entry about a subject or of an actor.
#[derive(Debug, Clone)]
pub struct Placed {
    /// Its index.
    pub index: u64,
    /// What it says.
    pub leaf: Leaf,
}

/// Entries about a subject below `before`, newest first, at most `limit`.
///
/// Looks into every run of the log, so it belongs on a thread that may block.
pub fn about(
    db: &mut Connection,
    subject: Pseudonym,
    before: Option<u64>,
    limit: usize,
) -> Result<Vec<Placed>, Error> {
    // Whoever asks chooses `before`; runs beyond the end would be walked one by one for ever.
    let size = store::size(db)?;
    let end = before.map_or(size, |before| before.min(size));
    let mut found = Vec::new();
    for run in (0..=rules::run_of(end)).rev() {
        for index in store::subject_in_run(db, run, &subject)? {
            if index >= end {
                continue;
            }
            found.push(Placed { index, leaf: placed(db, index)? });
            if found.len() == limit {
                return Ok(found);
            }
        }
    }
    Ok(found)
}

/// The same about any of several subjects; an entry about two of them is one.
pub fn about_any(
    db: &mut Connection,
    subjects: &[Pseudonym],
    before: Option<u64>,
    limit: usize,
) -> Result<Vec<Placed>, Error> {
    let mut found = Vec::new();
    for subject in subjects {
        found.extend(about(db, *subject, before, limit)?);
    }
    found.sort_by_key(|placed| std::cmp::Reverse(placed.index));
    found.dedup_by_key(|placed| placed.index);
    found.truncate(limit);
    Ok(found)
}

/// One entry.
pub async fn find(snapshot: &mut Snapshot, index: u64) -> Result<Option<Leaf>, Error> {
    store::find_leaf(snapshot, index).await
}

/// Every entry of an actor in a span of time with the subjects it touched, oldest first; `visit`
/// sees one at a time, so a scope of millions does not have to fit into memory.
pub fn scope(
    db: &mut Connection,
    keyring: &Keyring,
    actor: &str,
    span: (Time, Time),
    mut visit: impl FnMut(Placed, Vec<Pseudonym>) -> Result<(), Error>,
) -> Result<(), Error> {
    let size = store::read_head(db)?.map_or(0, |head| head.frontier.size());
    for run in 0..=rules::run_of(size) {
        let mut indexes = store::actor_in_run(db, run, actor)?;
        indexes.reverse();
        for index in indexes {
            let Some(stored) = store::read_entries(db, index, 1)?.pop() else {
                return Err(altered("an index row points to no entry"));
            };
            let leaf = Leaf::decode(&stored.leaf)?;
            if leaf.time < span.0 || leaf.time > span.1 {
                continue;
            }
            let subjects = match leaf.subjects {
                LeafSubjects::None => Vec::new(),
                LeafSubjects::One(one) => vec![one],
                LeafSubjects::Set { .. } => open_set(db, keyring, index)?,
            };
            visit(Placed { index, leaf }, subjects)?;
        }
    }
    Ok(())
}

/// An inclusion proof: entry, size, and the hashes between them, checked before it is given out.
pub async fn prove(data: &Database, index: u64, size: u64) -> Result<(Vec<u8>, Vec<Hash>), Error> {
    data.scan(move |db| {
        let stored = store::read_entries(db, index, 1)?.pop().ok_or_else(Error::not_found)?;
        let hashes = store::load_hashes(db, &needed_for_inclusion(size, index))?;
        let proof = inclusion_proof(size, index, &hashes)
            .map_err(|_| altered("a hash that the proof needs is not there"))?;
        Ok((stored.leaf, proof))
    })
    .await
}

pub(in crate::ledger) fn open_set(
    db: &mut Connection,
    keyring: &Keyring,
    index: u64,
) -> Result<Vec<Pseudonym>, Error> {
    let sealed = store::read_set(db, index)?.ok_or_else(|| altered("a set of subjects is gone"))?;
    let plain = keyring.open_set(index, &sealed)?;
    rules::decode_set(plain.expose()).ok_or_else(|| altered("a set of subjects is damaged"))
}

fn placed(db: &mut Connection, index: u64) -> Result<Leaf, Error> {
    let stored = store::read_entries(db, index, 1)?.pop();
    let stored = stored.ok_or_else(|| altered("an index row points to no entry"))?;
    Leaf::decode(&stored.leaf)
}

/// The newest entry and the newest tile must be the ones under the signed root.
fn refuse_other_tree(db: &mut Connection, head: &Head) -> Result<(), Error> {
    let size = head.frontier.size();
    let hashes = store::load_hashes(db, &needed_for_root(size))?;
    match root_of(size, &hashes) {
        Ok(root) if root == head.frontier.root() => {}
        _ => return Err(altered("its newest entries are not what was signed")),
    }
    let Some(last) = store::read_entries(db, size.saturating_sub(1), 1)?.pop() else {
        return Err(altered("its newest entry is gone"));
    };
    let leaf = Leaf::decode(&last.leaf)?;
    // The time too: with an earlier one an older keys.db would pass for the one that belongs here.
    let named = (leaf.epoch, leaf.state_changes, leaf.time);
    if named != (head.epoch, head.state_changes, head.time) {
        return Err(altered(
            "its newest entry names another state of rights or time than its head",
        ));
    }
    Ok(())
}

fn empty_head() -> Head {
    Head {
        time: Time::from_ms(0),
        epoch: 0,
        state_changes: 0,
        state_tag: [0; 32],
        frontier: Frontier::new(),
        checkpoint: "".into(),
        handing: None,
    }
}

fn altered(what: &str) -> Error {
    let detail = format!(
        "the ledger was altered: {what}. Nothing is served; keep the files as they are, run \
         `strongroom ledger verify` and restore from a backup"
    );
    Error::unavailable("ledger_altered", detail)
}

fn rolled_back(which: &str, how: &str) -> Error {
    let detail = format!(
        "{which} was put back to an older state: {how}. Nothing is served; put back the file that \
         belongs to the other one, or restore both from backups"
    );
    Error::unavailable("store_rolled_back", detail)
}

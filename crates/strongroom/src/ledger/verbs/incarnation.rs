//! A restore opens a new incarnation of the log.
//!
//! The restored machine does not know what the lost one still wrote, so it must never sign under the
//! same name: two logs of one name and size that differ would be two histories. The new one has a
//! number and a random name, its entry 0 names the last known checkpoint of the old one, and the old
//! one stays beside it in a file of its own, complete, with its own tree and signature.

use std::path::Path;
use std::sync::Arc;

use strongroom_crypto::{Random, random_array};
use strongroom_tlog::Hash;

use crate::ctx::{Ctx, Entry, EntryKind, Time};
use crate::db::{Act, Connection, Database, Durability, Stall};
use crate::error::Error;
use crate::keys::{Anchor, Keyring};
use crate::ledger::model::Leaf;
use crate::ledger::{
    Log, Published, Signers, StateStamp, altered, open_signed, refuse_other_tree, store,
};

/// The log of a restored database, as its head was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFacts {
    /// The name it signed under.
    pub origin: String,
    /// How many entries it has.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
    /// The time of its newest entry.
    pub time: Time,
    /// The state of authority its head speaks of.
    pub stamp: StateStamp,
    /// The signed note.
    pub checkpoint: Arc<str>,
}

/// What a new incarnation says about the one before it.
pub struct Opening<'a> {
    /// The old one, as far as it is known.
    pub before: &'a LogFacts,
    /// Entries that are known to be lost.
    pub lost: u64,
    /// The number of the new one.
    pub number: u64,
    /// The state of authority after the restore.
    pub stamp: StateStamp,
    /// Who agreed to a register that does not reach far enough, in words.
    pub agreed: &'a str,
}

/// An earlier incarnation, readable for as long as the installation lives.
pub struct Archive {
    /// Its number, from 1.
    pub number: u64,
    /// What it knows.
    pub facts: LogFacts,
    /// When the next one began: between its newest entry and this moment nobody knows.
    pub ended: Time,
    /// Its tables.
    pub data: Database,
}

/// What stands in the head of a log, held against its signature and its tree.
pub fn facts(db: &mut Connection, keyring: &Keyring) -> Result<Option<LogFacts>, Error> {
    let Some(head) = store::read_head(db)? else { return Ok(None) };
    let origin = head.checkpoint.lines().next().unwrap_or_default().to_owned();
    // A backup of the data may be older than the key that signs today; of the log that is open, `load`
    // asks for more.
    let (signed, _) = open_signed(keyring, &origin, &head.checkpoint, Signers::Ever)?;
    let (size, root) = (head.frontier.size(), head.frontier.root());
    if (signed.size, signed.root) != (size, root) {
        return Err(altered("its head is not what was signed"));
    }
    refuse_other_tree(db, &head)?;
    let stamp = StateStamp { epoch: head.epoch, changes: head.state_changes, tag: head.state_tag };
    Ok(Some(LogFacts { origin, size, root, time: head.time, stamp, checkpoint: head.checkpoint }))
}

/// Writes entry 0 of a new incarnation into an empty log, under a name of its own. Gives that name and
/// the anchor for keys.db.
///
/// The name holds 128 random bits: one backup that is restored on two machines gives two histories
/// with two names.
pub fn open_incarnation(
    db: &mut Connection,
    keyring: &Arc<Keyring>,
    random: &Arc<dyn Random>,
    ctx: &Ctx,
    opening: &Opening<'_>,
) -> Result<(String, Anchor), Error> {
    let installation = data_encoding::HEXLOWER.encode(&keyring.installation());
    let fresh = data_encoding::HEXLOWER.encode(&random_array::<16>(random.as_ref())?);
    let origin = format!("strongroom/{installation}/{}-{fresh}", opening.number);
    let LogFacts { origin: old, size, root, time, .. } = opening.before;
    let ticket = format!("{old} {size} {}", root.to_base64());
    let reason = format!("UNKNOWN from {}{}", time.to_rfc3339(), opening.agreed);
    let entry = Entry::new(ctx, EntryKind::Admin, OPENING_VERB)
        .because(&reason, &ticket)
        .counting(opening.lost);
    let mut log = Log::new(Arc::clone(keyring), Arc::clone(random), Published::default());
    log.origin.clone_from(&origin);
    if store::read_head(db)?.is_some() {
        return Err(Error::internal("a new incarnation begins with an empty log"));
    }
    let StateStamp { epoch, changes, .. } = opening.stamp;
    let now = ctx.now.later(*time);
    db.begin()?;
    log.append(db, now, &[Act { entry, epoch, state_changes: changes }], opening.stamp)?;
    db.commit()?;
    log.committed()?;
    Ok((origin, log.anchor_at(now)))
}

/// Every earlier incarnation, the newest first. Each is named by entry 0 of the one after it; one that
/// is missing or is not what was named is refused.
pub fn open_archives(
    db: &mut Connection,
    keyring: &Keyring,
    folder: &Path,
) -> Result<Vec<Archive>, Error> {
    let mut archives = Vec::new();
    let mut opened = opening_of(db)?;
    if opened.is_none() && keyring.incarnation().0 > 1 {
        return Err(altered("the entry that opened this incarnation is gone"));
    }
    while let Some((leaf, named)) = opened {
        let number = number_of(&named);
        let path = folder.join(archive_name(number));
        if !path.exists() {
            return Err(altered("the file of an earlier incarnation is gone"));
        }
        let mut old = Connection::open(&path, Durability::ReadOnly)?;
        let facts = facts(&mut old, keyring)?.ok_or_else(|| altered("an archive is empty"))?;
        if named != name_of(&facts) {
            return Err(altered("an earlier incarnation is not the one that was named"));
        }
        opened = opening_of(&mut old)?;
        // It never grows and is never opened afresh.
        let data = Database::over(&path, Stall::default());
        archives.push(Archive { number, facts, ended: leaf.time, data });
    }
    Ok(archives)
}

/// The number of an incarnation, from its name (or a text that begins with it).
pub fn number_of(origin: &str) -> u64 {
    let last = origin.split(' ').next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
    last.split('-').next().and_then(|number| number.parse().ok()).unwrap_or(1)
}

/// The file of an earlier incarnation, in the data folder.
pub fn archive_name(number: u64) -> String {
    format!("ledger-{number}.db")
}

/// Entry 0, where it opened a new incarnation, and what it names.
fn opening_of(db: &mut Connection) -> Result<Option<(Leaf, String)>, Error> {
    let Some(first) = store::read_entries(db, 0, 1)?.pop() else { return Ok(None) };
    // An entry that cannot be read is for `verify` to name.
    let Some(leaf) = Leaf::decode(&first.leaf).ok().filter(|leaf| leaf.verb == OPENING_VERB) else {
        return Ok(None);
    };
    let named = leaf.ticket.clone();
    Ok(Some((leaf, named)))
}

fn name_of(facts: &LogFacts) -> String {
    format!("{} {} {}", facts.origin, facts.size, facts.root.to_base64())
}

const OPENING_VERB: &str = "ledger.restore";

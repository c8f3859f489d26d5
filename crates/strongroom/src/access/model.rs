//! The authority in memory, and the desk every room above works at.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use strongroom_crypto::Random;

use crate::ctx::{Clock, ClockTrust, See, Time};
use crate::db::{Committer, Database};
use crate::error::Error;
use crate::id::{ApiKey, Id};
use crate::keys::Keyring;
use crate::ledger::{Archive, Published, Verifications};
use crate::meter::Meter;
use crate::policy::{Applied, Pending};
use crate::staff::KeyRow;

/// Every right there is, as of one epoch. Rights are used from here only, never from rows.
#[derive(Debug, Default)]
pub struct Authority {
    /// +1 with each change of it.
    pub epoch: u64,
    /// API keys by id, revoked ones too.
    pub keys: HashMap<Id<ApiKey>, KeyRow>,
    /// The policy in force.
    pub applied: Option<Arc<Applied>>,
    /// A policy that waits.
    pub pending: Option<Pending>,
    /// Customers under legal hold.
    pub held: HashSet<[u8; 16]>,
}

impl Authority {
    /// The policy in force, or an error that says how to apply one.
    pub fn applied(&self) -> Result<&Arc<Applied>, Error> {
        self.applied.as_ref().ok_or_else(|| {
            let detail = "no policy is applied yet, so nothing may be kept or shown; run \
                          `strongroom policy apply policy.toml`";
            Error::unavailable("no_policy", detail)
        })
    }
}

/// The published authority: one for all readers, replaced as a whole.
#[derive(Clone, Default)]
pub struct Rights(Arc<RwLock<State>>);

#[derive(Clone, Default)]
enum State {
    /// Rows and state hash differ: nobody has any right.
    Altered,
    /// Intact.
    Intact(Arc<Authority>),
    /// Nothing was loaded yet.
    #[default]
    Unknown,
}

impl Rights {
    /// The authority, or why there is none.
    pub fn now(&self) -> Result<Arc<Authority>, Error> {
        match &*self.0.read().unwrap_or_else(PoisonError::into_inner) {
            State::Altered => {
                let detail = "rows that confer rights were changed in the database by other \
                              hands, so no right is honoured; see the findings, and restore the \
                              data from a backup";
                Err(Error::unavailable("rights_altered", detail))
            }
            State::Intact(authority) => Ok(Arc::clone(authority)),
            State::Unknown => Err(Error::unavailable("starting", "the server is starting")),
        }
    }

    pub(super) fn publish(&self, authority: Option<Authority>) {
        let state = authority.map_or(State::Altered, |it| State::Intact(Arc::new(it)));
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = state;
    }
}

/// What every verb above works with; made once by `app`.
pub struct Desk {
    /// What this machine keeps beside the data: keys.db, earlier logs, certificates.
    pub folder: PathBuf,
    /// Opens and seals.
    pub keyring: Arc<Keyring>,
    /// Writes.
    pub committer: Committer,
    /// Reads.
    pub data: Database,
    /// Earlier incarnations of the log, the newest first.
    pub archives: Arc<Vec<Archive>>,
    /// Who may.
    pub rights: Rights,
    /// The newest durable checkpoint.
    pub published: Published,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Whether time can be trusted.
    pub trust: Arc<ClockTrust>,
    /// Chance.
    pub random: Arc<dyn Random>,
    /// Keeps refusals of one caller from filling the log.
    pub refusals: RefusalMeter,
    /// Customers whose keys are missing although nobody erased them.
    pub missing_keys: MissingKeys,
    /// Counts requests without a valid key until their summary is written.
    pub strangers: StrangerMeter,
    /// The verification of the ledger that runs, and the one before it.
    pub verifications: Verifications,
    /// Counts what happens, for who watches the server.
    pub meter: Meter,
}

impl Desk {
    /// The time that acts go by.
    pub fn now(&self) -> Time {
        self.trust.now(self.clock.as_ref())
    }
}

/// Counts requests without a valid key by network. They write no entry of their own: a hundred a
/// second for an hour must not grow the log.
#[derive(Default)]
pub struct StrangerMeter(Mutex<HashMap<Option<IpAddr>, u64>>);

impl StrangerMeter {
    /// Counts one; beyond so many networks all others count together.
    pub fn count(&self, network: Option<IpAddr>) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = counts.len() < NETWORKS_METERED_MAX || counts.contains_key(&network);
        *counts.entry(network.filter(|_| known)).or_default() += 1;
    }

    /// Takes what was counted since the last time.
    pub fn take(&self) -> HashMap<Option<IpAddr>, u64> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Which customers' keys were found missing since the process started.
#[derive(Default)]
pub struct MissingKeys(Mutex<HashSet<[u8; 16]>>);

impl MissingKeys {
    /// Remembers one.
    pub fn note(&self, customer: [u8; 16]) {
        let mut missing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if missing.len() <= KEYS_MISSING_MAX {
            missing.insert(customer);
        }
    }

    /// With more than ten, keys.db is not the one that belongs to the data, and every write would
    /// make it worse.
    pub fn refuse_writes(&self) -> Result<(), Error> {
        if self.0.lock().unwrap_or_else(PoisonError::into_inner).len() <= KEYS_MISSING_MAX {
            return Ok(());
        }
        let detail = "the keys of more than 10 customers are missing, so nothing is written: put \
                      back the keys.db that belongs to the data and restart";
        Err(Error::unavailable("keys_missing", detail))
    }
}

/// Counts refusals per actor and minute.
#[derive(Default)]
pub struct RefusalMeter(Mutex<HashMap<String, Minute>>);

#[derive(Clone, Copy, Default)]
struct Minute {
    number: i64,
    written: u32,
    dropped: u64,
}

/// What to do with a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metered {
    /// Too many this minute: it is only counted.
    Drop,
    /// It gets an entry, which also counts so many dropped before it.
    Write(u64),
}

impl RefusalMeter {
    /// Counts one refusal of an actor.
    pub fn count(&self, actor: &str, minute: i64) -> Metered {
        let mut meters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if meters.len() >= ACTORS_METERED_MAX && !meters.contains_key(actor) {
            meters.retain(|_, meter| meter.number == minute);
        }
        let meter = meters.entry(actor.to_owned()).or_default();
        if meter.number != minute {
            *meter = Minute { number: minute, written: 0, dropped: meter.dropped };
        }
        if meter.written >= REFUSALS_A_MINUTE_MAX {
            meter.dropped += 1;
            return Metered::Drop;
        }
        meter.written += 1;
        Metered::Write(std::mem::take(&mut meter.dropped))
    }
}

/// What may be seen how, and from which grants it comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    /// Field name to how it shows.
    pub fields: BTreeMap<String, See>,
    /// The grants it rests on: key of each and its budget a day.
    pub budgets: Vec<(String, u32)>,
}

/// What a role wants to do with fields for a purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wish {
    /// Look customers up by the field.
    Find,
    /// See it as the grant shows it.
    Read,
    /// See it in clear for a reason.
    Reveal,
}

/// Why something is refused, in words and as a stable code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Stable.
    pub code: &'static str,
    /// Which grant is missing.
    pub why: String,
}

/// At this rate a caller who is refused all day writes a hundred thousand entries, not millions.
const REFUSALS_A_MINUTE_MAX: u32 = 120;

/// One or two are an accident with a row; more are an accident with the file.
const KEYS_MISSING_MAX: usize = 10;

/// Bounds memory, and the entries one minute of attack can write.
const NETWORKS_METERED_MAX: usize = 1_000;

/// Bounds memory; known callers only, so more than all keys there can be.
const ACTORS_METERED_MAX: usize = 20_000;

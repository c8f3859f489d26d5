//! Who asks, when, why; and the types every act is made of.
//!
//! `Change`, `Entry`, `Grant` and `SystemGrant` live here because every room handles them, and have
//! few makers, which `tests/tidy.rs` names: a write or a revealed value without an entry, or a right
//! nobody decided on, does not compile or does not pass.

mod change;
mod claim;
mod entry;
mod grant;

use std::net::IpAddr;
use std::sync::Arc;

use strongroom_crypto::Random;

use crate::error::Error;
use crate::id::{ApiKey, Id, Kind, Request};

pub use crate::time::{Clock, ClockTrust, SystemClock, TestClock, Time};
pub use change::{BudgetClaim, BudgetKind, Change, Guard, Miss, NewKey, StateDelta, StatePart};
pub use claim::Claim;
pub use entry::{Entry, EntryKind, FieldSet, Outcome, Pseudonym, Receipt, Subjects, Written};
pub use grant::{Destruction, Grant, See, SystemGrant};

/// What one call knows about itself: who, when, from where, with which randomness.
#[derive(Clone)]
pub struct Ctx {
    /// Who asks.
    pub actor: Actor,
    /// The peer's network address, if it came over one. It never grants anything.
    pub network: Option<IpAddr>,
    /// When the call began.
    pub now: Time,
    /// Names this call in logs, errors and the ledger.
    pub request: Id<Request>,
    /// Randomness; constant only in tests.
    pub rng: Arc<dyn Random>,
    /// That the call is to be done once however often it is sent; every grant carries it on.
    pub claim: Option<Claim>,
}

/// Who asks. Rights come from the applied policy, never from here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// A program with an API key that was verified against the authority in memory.
    Key {
        /// The key.
        id: Id<ApiKey>,
        /// Its one role.
        role: String,
        /// What it may claim to act for.
        purposes: Vec<String>,
        /// From when on it no longer counts.
        expires: Time,
        /// Who its caller says is asking. It grants nothing; it is written down and counted.
        behalf: Option<StaffRef>,
    },
    /// Whoever can unseal on this machine, through the command line.
    Operator,
    /// Strongroom itself, in a named job.
    System {
        /// The job.
        job: &'static str,
    },
}

/// The business's own opaque name for a member of staff, as a program claims it: `staff-17`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaffRef(String);

impl StaffRef {
    /// 1 to 40 letters, digits, `.`, `_`, `-` with at least one digit, so that no name or e-mail
    /// passes: it stands in the ledger for years.
    pub fn parse(text: &str) -> Option<Self> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let is_opaque = text.len() <= STAFF_REF_SIZE_MAX
            && text.chars().all(plain)
            && text.chars().any(|c| c.is_ascii_digit())
            && !strongroom_detect::card::contains_card_number(text);
        is_opaque.then(|| Self(text.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Actor {
    /// Who the caller says is asking, if it says so.
    pub fn behalf(&self) -> Option<&StaffRef> {
        match self {
            Self::Key { behalf, .. } => behalf.as_ref(),
            Self::Operator | Self::System { .. } => None,
        }
    }

    /// The pseudonym under which the ledger and budgets know this actor.
    pub fn reference(&self) -> String {
        match self {
            Self::Key { id, .. } => id.to_string(),
            Self::Operator => "operator".to_owned(),
            Self::System { job } => format!("system:{job}"),
        }
    }
}

impl Ctx {
    /// A context of the system's own for a periodic or start-up job.
    pub fn system(job: &'static str, now: Time, rng: Arc<dyn Random>) -> Result<Self, Error> {
        let request = Id::time_ordered(now, rng.as_ref())?;
        Ok(Self { actor: Actor::System { job }, network: None, now, request, rng, claim: None })
    }

    /// A fresh time-ordered id.
    pub fn new_id<K: Kind>(&self) -> Result<Id<K>, Error> {
        Ok(Id::time_ordered(self.now, self.rng.as_ref())?)
    }
}

const STAFF_REF_SIZE_MAX: usize = 40;

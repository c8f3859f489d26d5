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
    },
    /// Whoever can unseal on this machine, through the command line.
    Operator,
    /// Strongroom itself, in a named job.
    System {
        /// The job.
        job: &'static str,
    },
}

impl Actor {
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

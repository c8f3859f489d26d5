//! A change: the entry, what must hold, what is written, which keys are put.

use crate::ctx::{Claim, Entry, Subjects, Time};
use crate::sql::Statement;

/// Everything one act does, committed as a whole or not at all.
#[derive(Debug)]
pub struct Change {
    pub(crate) entry: Entry,
    pub(crate) guards: Vec<Guard>,
    pub(crate) writes: Vec<Statement>,
    pub(crate) keys: Vec<NewKey>,
    pub(crate) state: Vec<StateDelta>,
}

impl Change {
    /// For [`crate::ctx::Grant`] and [`crate::ctx::SystemGrant`] alone.
    pub(super) fn guarded(entry: Entry, guards: Vec<Guard>) -> Self {
        Self { entry, guards, writes: Vec::new(), keys: Vec::new(), state: Vec::new() }
    }

    /// A refusal: an entry that changes and shows nothing, so it needs no grant.
    pub fn refusal(entry: Entry, code: &'static str) -> Self {
        Self::guarded(entry.refused(code), Vec::new())
    }

    /// Names what it makes, for a caller who sends the same call again.
    #[must_use]
    pub fn making(self, resource: impl ToString) -> Self {
        self.answering(resource, |claim| claim.made_status)
    }

    /// Names what it changes, where the address of the call does not.
    #[must_use]
    pub fn changing(self, resource: impl ToString) -> Self {
        self.answering(resource, |claim| claim.done_status)
    }

    fn answering(mut self, resource: impl ToString, status: impl Fn(&Claim) -> u16) -> Self {
        for guard in &mut self.guards {
            if let Guard::Once(claim) = guard {
                claim.status = status(claim);
                claim.resource = resource.to_string();
            }
        }
        self
    }

    /// Adds something that must hold.
    #[must_use]
    pub fn guard(mut self, guard: Guard) -> Self {
        self.guards.push(guard);
        self
    }

    /// Adds a statement to run once all guards hold.
    #[must_use]
    pub fn write(mut self, statement: Statement) -> Self {
        self.writes.push(statement);
        self
    }

    /// Adds several statements.
    #[must_use]
    pub fn write_all(mut self, statements: impl IntoIterator<Item = Statement>) -> Self {
        self.writes.extend(statements);
        self
    }

    /// Adds a key that must be durable before the change is.
    #[must_use]
    pub fn put_key(mut self, key: NewKey) -> Self {
        self.keys.push(key);
        self
    }

    /// About how much memory it takes while it waits.
    pub fn size_bytes(&self) -> usize {
        let guards = self.guards.iter().map(|guard| match guard {
            Guard::Rows { statement, .. } => statement.size_bytes(),
            _ => GUARD_SIZE_BYTES,
        });
        let writes = self.writes.iter().map(Statement::size_bytes);
        let keys = self.keys.iter().map(|key| size_of::<NewKey>() + key.wrapped.len());
        let subjects = match &self.entry.subjects {
            Subjects::Set(set) => size_of_val(set.as_slice()),
            Subjects::None | Subjects::One(_) => 0,
        };
        let fixed = size_of::<Self>() + subjects;
        guards.chain(writes).chain(keys).fold(fixed, usize::saturating_add)
    }

    /// Whose rows it writes, by row key.
    pub fn touched(&self) -> impl Iterator<Item = i64> + '_ {
        let guards = self.guards.iter().filter_map(|guard| match guard {
            Guard::Rows { statement, .. } => statement.touches,
            _ => None,
        });
        guards.chain(self.writes.iter().filter_map(|write| write.touches))
    }

    /// Replaces one row of authority by another in the state hash.
    #[must_use]
    pub fn with_state(mut self, delta: StateDelta) -> Self {
        self.state.push(delta);
        self
    }
}

/// A wrapped key on its way to keys.db, where it starts as `pending`.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// The random id a sealed record names.
    pub id: [u8; 16],
    /// The version of the key that wraps it.
    pub kek_version: u32,
    /// The key, wrapped.
    pub wrapped: Vec<u8>,
}

/// Which sum of row MACs a delta belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatePart {
    /// The register of erasures and erasure jobs: no right depends on it.
    Register,
    /// Staff, keys, holds, the applied policy: every change starts a new epoch.
    Rights,
}

/// A row of authority that comes, goes or changes: its MACs before and after.
#[derive(Debug, Clone)]
pub struct StateDelta {
    /// Where it counts.
    pub part: StatePart,
    /// The row's MAC until now.
    pub before: Option<[u8; 32]>,
    /// The row's MAC from now on.
    pub after: Option<[u8; 32]>,
}

/// Something that must hold at the ledger index of the act, or the act is missed.
#[derive(Debug, Clone)]
pub enum Guard {
    /// The budget still covers it; it is charged with the act.
    Budget(BudgetClaim),
    /// No authority changed since the decision.
    Epoch(u64),
    /// The credential is not past its end at the batch's time.
    NotAfter(Time),
    /// Exactly this many rows come back or are changed.
    Rows {
        /// A SELECT, a conditional UPDATE or an INSERT … ON CONFLICT DO NOTHING.
        statement: Statement,
        /// How many rows it must meet.
        expected: u64,
        /// What it means otherwise.
        miss: Miss,
    },
    /// The call was not done before. `access` makes a statement of it when the change is committed.
    Once(Claim),
    /// A moment has come, by the batch's time (the end of a grace).
    NotBefore(Time),
    /// The clock can be trusted, for acts that destroy.
    TrustedClock,
}

/// A draw on a budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetClaim {
    /// What is counted.
    pub kind: BudgetKind,
    /// Whose budget: the actor, and the grant it comes from.
    pub holder: String,
    /// The business's day.
    pub day: String,
    /// The most it may be on that day.
    pub max: u64,
    /// The customers looked at, hashed for first looks; empty where every act counts.
    pub seen: Vec<[u8; 32]>,
    /// How much is charged where every act counts.
    pub amount: u64,
    /// When the day is over, in seconds from the decision.
    pub retry_after_s: u64,
}

/// What a budget counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BudgetKind {
    /// Customers asked to be forgotten.
    Erase,
    /// Look-ups, hits and misses alike.
    Find,
    /// Customers seen for the first time today.
    Read,
    /// Reveals.
    Reveal,
    /// Customers something is sent to.
    Send,
}

/// Why an act was not done although it had been allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Miss {
    /// A right, key, role or policy changed: decide once more.
    AuthorityChanged,
    /// The budget is spent; seconds until it is new.
    BudgetSpent {
        /// What was counted.
        kind: BudgetKind,
        /// When it is new again.
        retry_after_s: u64,
    },
    /// The clock jumped and nobody has confirmed it.
    ClockSuspect,
    /// The credential is past its end.
    Expired,
    /// A legal hold stands against it.
    LegalHold,
    /// Less may be shown of this customer than a moment ago: decide once more.
    LifeChanged,
    /// The same call, sent at the same moment, was done.
    Repeated,
    /// Whom this is for is served by another row, which was or will be done.
    Served,
    /// What it asks for was done or undone already.
    StateChanged,
    /// Another customer has this value or reference (the numeric field id).
    Taken(u8),
    /// The grace is not over.
    TooEarly,
    /// The customer has moved on to another version.
    VersionChanged,
}

/// A budget's holder and day are the longest of them.
const GUARD_SIZE_BYTES: usize = 256;

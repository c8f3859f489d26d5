//! A ledger entry before it has a place: what an act says about itself.

use std::net::IpAddr;

use crate::ctx::{Actor, Ctx, Time};
use crate::id::{Id, Request};

/// The pseudonym of one customer in the ledger: random, sealed in the customer's core record, so it
/// names nobody once the core key is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pseudonym(pub [u8; 16]);

/// What kind of act an entry records. The number is its place in the log's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum EntryKind {
    /// An act of whoever can unseal on this machine.
    Admin = 1,
    /// Sign-ins and their failures.
    Auth = 2,
    /// A step of an erasure.
    Erase = 3,
    /// Rows brought in from a file.
    Import = 4,
    /// An API key made or revoked.
    Key = 5,
    /// A policy applied, or a change of it asked for or cancelled.
    Policy = 6,
    /// Values shown as the grant shows them.
    Read = 7,
    /// Clear values shown for a reason.
    Reveal = 8,
    /// A look-up by an indexed field.
    Search = 9,
    /// Work of the system itself.
    System = 10,
    /// A customer created or changed.
    Write = 11,
    /// The ledger itself was looked into.
    Ledger = 12,
    /// Clear values of many customers leave.
    Export = 13,
    /// Values handed to a recipient without anyone here seeing them.
    Send = 14,
}

/// What came of an act. The number is its place in the log's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Outcome {
    /// It happened.
    Ok = 1,
    /// It was refused; nothing was shown or changed.
    Refused = 2,
}

/// Whose data an act touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subjects {
    /// Nobody's.
    None,
    /// One customer's.
    One(Pseudonym),
    /// Several customers': the entry carries the root of the salted set, the set stands sealed
    /// beside it.
    Set(Vec<Pseudonym>),
}

/// A set of numeric field ids, 0 to 255.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FieldSet([u64; 4]);

impl FieldSet {
    /// The set of these ids.
    pub fn of(fields: impl IntoIterator<Item = u8>) -> Self {
        let mut set = Self::default();
        for field in fields {
            set.insert(field);
        }
        set
    }

    /// Adds one id.
    pub fn insert(&mut self, field: u8) {
        if let Some(word) = self.0.get_mut(usize::from(field / 64)) {
            *word |= 1 << (field % 64);
        }
    }

    /// Whether the id is in the set.
    pub fn contains(&self, field: u8) -> bool {
        self.0.get(usize::from(field / 64)).is_some_and(|word| word & (1 << (field % 64)) != 0)
    }

    /// The ids in order.
    pub fn iter(&self) -> impl Iterator<Item = u8> + '_ {
        (0..=255u8).filter(|field| self.contains(*field))
    }

    /// As 32 bytes, lowest ids first.
    pub fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (chunk, word) in bytes.chunks_exact_mut(8).zip(self.0) {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// Reads what [`FieldSet::to_bytes`] wrote.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        let mut set = Self::default();
        for (word, chunk) in set.0.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*chunk);
        }
        set
    }
}

/// For writes: what was written, so that `ledger verify --deep` can hold a row against its last
/// write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// SHA-256 over the sealed records that were written.
    pub sealed_hash: [u8; 32],
    /// The MAC of the plain columns.
    pub row_mac: [u8; 32],
}

/// What an act says about itself. The committer adds its index, time, epoch and salt.
#[derive(Debug, Clone)]
pub struct Entry {
    pub(crate) kind: EntryKind,
    pub(crate) outcome: Outcome,
    pub(crate) actor: String,
    pub(crate) behalf: String,
    pub(crate) network: Option<IpAddr>,
    pub(crate) request: Id<Request>,
    pub(crate) verb: &'static str,
    pub(crate) purpose: String,
    pub(crate) reason: String,
    pub(crate) ticket: String,
    pub(crate) policy_version: u32,
    pub(crate) subjects: Subjects,
    pub(crate) fields: FieldSet,
    pub(crate) count: u64,
    pub(crate) written: Option<Written>,
    pub(crate) from_reserve: bool,
}

impl Entry {
    /// An act of the context's actor. `verb` is a constant like `customer.read`.
    pub fn new(ctx: &Ctx, kind: EntryKind, verb: &'static str) -> Self {
        Self::by(&ctx.actor, ctx, kind, verb)
    }

    fn by(actor: &Actor, ctx: &Ctx, kind: EntryKind, verb: &'static str) -> Self {
        Self {
            kind,
            outcome: Outcome::Ok,
            actor: actor.reference(),
            behalf: actor.behalf().map_or_else(String::new, |it| it.as_str().to_owned()),
            network: ctx.network,
            request: ctx.request,
            verb,
            purpose: String::new(),
            reason: String::new(),
            ticket: String::new(),
            policy_version: 0,
            subjects: Subjects::None,
            fields: FieldSet::default(),
            count: 0,
            written: None,
            from_reserve: false,
        }
    }

    /// The act was refused, with a stable code as reason.
    #[must_use]
    pub fn refused(mut self, code: &'static str) -> Self {
        self.outcome = Outcome::Refused;
        self.reason = code.to_owned();
        self
    }

    /// Written also while the disk is nearly full, from the space that is kept for it: what ends a right
    /// or somebody's data, what stops or saves it. Nothing that shows a value.
    #[must_use]
    pub fn from_reserve(mut self) -> Self {
        self.from_reserve = true;
        self
    }

    /// What the actor claims to act for.
    #[must_use]
    pub fn for_purpose(mut self, purpose: &str) -> Self {
        self.purpose = purpose.to_owned();
        self
    }

    /// The reason code and the optional ticket of a reveal.
    #[must_use]
    pub fn because(mut self, reason: &str, ticket: &str) -> Self {
        self.reason = reason.to_owned();
        self.ticket = ticket.to_owned();
        self
    }

    /// Whose data.
    #[must_use]
    pub fn about(mut self, subjects: Subjects) -> Self {
        self.subjects = subjects;
        self
    }

    /// Which fields.
    #[must_use]
    pub fn of_fields(mut self, fields: FieldSet) -> Self {
        self.fields = fields;
        self
    }

    /// How many: hits of a search, rows of an import, keys destroyed.
    #[must_use]
    pub fn counting(mut self, count: u64) -> Self {
        self.count = count;
        self
    }

    /// What was written.
    #[must_use]
    pub fn writing(mut self, written: Written) -> Self {
        self.written = Some(written);
        self
    }

    /// The policy version that decided.
    #[must_use]
    pub fn under_policy(mut self, version: u32) -> Self {
        self.policy_version = version;
        self
    }
}

/// Where an entry stands, and the signed state of the log that contains it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The entry's index, from 0.
    pub index: u64,
    /// The log's size in the checkpoint below.
    pub size: u64,
    /// The time of the entry.
    pub time: Time,
    /// The epoch after this entry.
    pub epoch: u64,
    /// The root hash at that size.
    pub root: [u8; 32],
    /// The signed checkpoint, in C2SP note form.
    pub checkpoint: std::sync::Arc<str>,
}

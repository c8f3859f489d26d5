//! Endpoints and events.

use std::collections::BTreeSet;

use strongroom_crypto::Encoder;

use crate::ctx::Time;
use crate::id::{Customer, Event, Id, Webhook};

/// What happened to a customer. The names are stable: programs of others know them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventKind {
    /// They no longer consent to a purpose, or never did.
    ConsentWithdrawn,
    /// Their keys are destroyed, of all or of what no duty keeps.
    Erased,
    /// They are another customer from now on.
    Merged,
    /// Something they were known for is over.
    RelationEnded,
    /// A value or a relation came, went or changed.
    Updated,
}

impl EventKind {
    /// Every kind, in the order of the alphabet.
    pub const ALL: [Self; 5] =
        [Self::ConsentWithdrawn, Self::Erased, Self::Merged, Self::RelationEnded, Self::Updated];

    /// Its stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ConsentWithdrawn => "customer.consent_withdrawn",
            Self::Erased => "customer.erased",
            Self::Merged => "customer.merged",
            Self::RelationEnded => "customer.relation_ended",
            Self::Updated => "customer.updated",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == text)
    }
}

/// Whether an endpoint is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointState {
    /// Not any more: it answered 410.
    Gone,
    /// Not until it is switched on.
    Off,
    /// Yes.
    On,
}

impl EndpointState {
    /// Its stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Off => "off",
            Self::On => "on",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        [Self::Gone, Self::Off, Self::On].into_iter().find(|it| it.as_str() == text)
    }
}

/// A secret that counts beside the present one for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OldSecret {
    pub(super) sealed: Vec<u8>,
    pub(super) ends: Time,
}

/// An address that is told of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EndpointRow {
    pub(super) id: Id<Webhook>,
    pub(super) url: String,
    /// What it is told of.
    pub(super) kinds: BTreeSet<EventKind>,
    /// Sealed for this row.
    pub(super) secret: Vec<u8>,
    pub(super) old: Option<OldSecret>,
    pub(super) made_by: String,
    pub(super) made: Time,
    pub(super) state: EndpointState,
    /// The number of the last event it needs no more.
    pub(super) position: i64,
    /// How often the next event was tried in vain.
    pub(super) attempts: u64,
    /// Not before then.
    pub(super) next: Time,
    /// Since when nothing was taken.
    pub(super) failing: Option<Time>,
    /// Since when the next event was answered with a refusal.
    pub(super) refused: Option<Time>,
    /// What came of the last attempt, as a stable code; empty before the first.
    pub(super) code: String,
    /// How many events it was not told of since it was last asked to be told again.
    pub(super) passed: u64,
    pub(super) mac: [u8; 32],
}

impl EndpointRow {
    pub(super) fn columns(&self) -> Vec<u8> {
        let time = |time: Option<Time>| time.map_or(u64::MAX, |it| it.as_ms().cast_unsigned());
        let old = self.old.as_ref().map_or(&[][..], |it| it.sealed.as_slice());
        let mut encoder = Encoder::new(ENDPOINT_TABLE);
        encoder
            .bytes(self.id.as_bytes())
            .text(&self.url)
            .text(&names_of(&self.kinds))
            .bytes(&self.secret)
            .bytes(old)
            .u64(time(self.old.as_ref().map(|it| it.ends)))
            .text(&self.made_by)
            .u64(self.made.as_ms().cast_unsigned())
            .text(self.state.as_str())
            .u64(self.position.cast_unsigned())
            .u64(self.attempts)
            .u64(self.next.as_ms().cast_unsigned())
            .u64(time(self.failing))
            .u64(time(self.refused))
            .text(&self.code)
            .u64(self.passed);
        encoder.finish()
    }

    /// Whether it does not take what it should.
    pub(super) fn fails_at(&self, now: Time) -> bool {
        let since = self.failing.filter(|_| self.state == EndpointState::On);
        since.is_some_and(|since| {
            now.as_ms().saturating_sub(since.as_ms()) >= FAILING_MS || self.code == PRIVATE_ADDRESS
        })
    }
}

/// The kinds by their names, one after another.
pub(super) fn names_of(kinds: &BTreeSet<EventKind>) -> String {
    kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(",")
}

/// What happened to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EventRow {
    /// Its place in the order of all; given by the database when its act is committed.
    pub(super) number: i64,
    pub(super) id: Id<Event>,
    pub(super) kind: EventKind,
    pub(super) customer: Id<Customer>,
    /// Who they are now, where they were merged.
    pub(super) into: Option<Id<Customer>>,
    pub(super) at: Time,
    pub(super) mac: [u8; 32],
}

impl EventRow {
    pub(super) fn columns(&self) -> Vec<u8> {
        let mut encoder = Encoder::new(EVENT_TABLE);
        encoder
            .bytes(self.id.as_bytes())
            .text(self.kind.as_str())
            .bytes(self.customer.as_bytes())
            .bytes(self.into.as_ref().map_or(&[][..], |it| it.as_bytes()))
            .u64(self.at.as_ms().cast_unsigned());
        encoder.finish()
    }
}

pub(super) const ENDPOINT_TABLE: &str = "webhook";
pub(super) const EVENT_TABLE: &str = "webhook_event";

/// The code of a name that leads into the network, which no waiting mends.
pub(super) const PRIVATE_ADDRESS: &str = "private_address";

/// A receiver that is started anew is back within the hour, and nobody needs to be told.
const FAILING_MS: i64 = 3_600_000;

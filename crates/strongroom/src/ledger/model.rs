//! Entries as they stand in the log: canonical bytes, versioned.

use strongroom_crypto::{CryptoError, Decoder, Encoder};

use crate::ctx::{Entry, EntryKind, FieldSet, Outcome, Pseudonym, Time, Written};
use crate::error::Error;
use crate::id::{Id, Request};

/// One entry, as written. Nothing in it names a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// When it counted: never before the entry below it.
    pub time: Time,
    /// What kind of act.
    pub kind: EntryKind,
    /// What came of it.
    pub outcome: Outcome,
    /// The act, like `customer.read`.
    pub verb: String,
    /// Who, by pseudonym.
    pub actor: String,
    /// What the actor claimed to act for.
    pub purpose: String,
    /// The reason code, or why it was refused.
    pub reason: String,
    /// The ticket of a reveal, if one was given.
    pub ticket: String,
    /// The request, as logs name it.
    pub request: Id<Request>,
    /// The policy version that decided.
    pub policy_version: u32,
    /// The authority epoch after this entry.
    pub epoch: u64,
    /// How many changes of authority state there were up to and with this entry.
    pub state_changes: u64,
    /// Whose data.
    pub subjects: LeafSubjects,
    /// Which fields.
    pub fields: FieldSet,
    /// How many.
    pub count: u64,
    /// What was written.
    pub written: Option<Written>,
    /// The network address as HMAC under the key of the month.
    pub network: Option<[u8; 16]>,
    /// 16 random bytes: no entry can be guessed from its hash.
    pub salt: [u8; 16],
}

/// Whose data an entry touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeafSubjects {
    /// Nobody's.
    None,
    /// One customer's.
    One(Pseudonym),
    /// So many customers'; the sealed set beside the entry has this salted root.
    Set {
        /// Root of the set.
        root: [u8; 32],
        /// Its size.
        count: u64,
    },
}

/// What the log adds to an entry.
pub(super) struct Placing {
    pub(super) time: Time,
    pub(super) epoch: u64,
    pub(super) state_changes: u64,
    pub(super) network: Option<[u8; 16]>,
    pub(super) salt: [u8; 16],
    pub(super) subjects: LeafSubjects,
}

impl Leaf {
    pub(super) fn place(entry: &Entry, placing: Placing) -> Self {
        Self {
            time: placing.time,
            kind: entry.kind,
            outcome: entry.outcome,
            verb: entry.verb.to_owned(),
            actor: entry.actor.clone(),
            purpose: entry.purpose.clone(),
            reason: entry.reason.clone(),
            ticket: entry.ticket.clone(),
            request: entry.request,
            policy_version: entry.policy_version,
            epoch: placing.epoch,
            state_changes: placing.state_changes,
            subjects: placing.subjects,
            fields: entry.fields,
            count: entry.count,
            written: entry.written,
            network: placing.network,
            salt: placing.salt,
        }
    }

    /// The bytes whose hash stands in the tree.
    pub fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::new(LABEL);
        encoder
            .u64(u64::try_from(self.time.as_ms()).unwrap_or(0))
            .u8(self.kind as u8)
            .u8(self.outcome as u8)
            .text(&self.verb)
            .text(&self.actor)
            .text(&self.purpose)
            .text(&self.reason)
            .text(&self.ticket)
            .bytes(self.request.as_bytes())
            .u32(self.policy_version)
            .u64(self.epoch)
            .u64(self.state_changes);
        match &self.subjects {
            LeafSubjects::None => encoder.u8(0),
            LeafSubjects::One(pseudonym) => encoder.u8(1).bytes(&pseudonym.0),
            LeafSubjects::Set { root, count } => encoder.u8(2).bytes(root).u64(*count),
        };
        let fields = self.fields.to_bytes();
        encoder.bytes(without_trailing_zeros(&fields)).u64(self.count);
        match &self.written {
            Some(written) => {
                encoder.u8(1).bytes(&written.sealed_hash).bytes(&written.row_mac);
            }
            None => {
                encoder.u8(0);
            }
        }
        encoder.bytes(self.network.as_ref().map_or(&[], |tag| tag.as_slice())).bytes(&self.salt);
        encoder.finish()
    }

    /// Reads an entry; an unknown kind or a trailing byte is an error, never skipped.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut decoder = Decoder::new(bytes, LABEL)?;
        let leaf = Self {
            time: Time::from_ms(i64::try_from(decoder.u64()?).map_err(Error::internal)?),
            kind: kind_of(decoder.u8()?)?,
            outcome: outcome_of(decoder.u8()?)?,
            verb: decoder.text()?.to_owned(),
            actor: decoder.text()?.to_owned(),
            purpose: decoder.text()?.to_owned(),
            reason: decoder.text()?.to_owned(),
            ticket: decoder.text()?.to_owned(),
            request: Id::from_bytes(decoder.array()?),
            policy_version: decoder.u32()?,
            epoch: decoder.u64()?,
            state_changes: decoder.u64()?,
            subjects: decode_subjects(&mut decoder)?,
            fields: decode_fields(decoder.bytes()?)?,
            count: decoder.u64()?,
            written: decode_written(&mut decoder)?,
            network: decode_network(decoder.bytes()?)?,
            salt: decoder.array()?,
        };
        decoder.finish()?;
        Ok(leaf)
    }
}

/// Low field ids come first, so without its zeros most sets are one or two bytes long.
fn without_trailing_zeros(bytes: &[u8]) -> &[u8] {
    let mut rest = bytes;
    while let Some((0, shorter)) = rest.split_last() {
        rest = shorter;
    }
    rest
}

fn decode_subjects(decoder: &mut Decoder<'_>) -> Result<LeafSubjects, CryptoError> {
    match decoder.u8()? {
        0 => Ok(LeafSubjects::None),
        1 => Ok(LeafSubjects::One(Pseudonym(decoder.array()?))),
        2 => Ok(LeafSubjects::Set { root: decoder.array()?, count: decoder.u64()? }),
        _ => Err(CryptoError::Malformed),
    }
}

fn decode_fields(bytes: &[u8]) -> Result<FieldSet, CryptoError> {
    if bytes.len() > 32 || bytes.last() == Some(&0) {
        return Err(CryptoError::Malformed);
    }
    let mut whole = [0; 32];
    whole.iter_mut().zip(bytes).for_each(|(slot, byte)| *slot = *byte);
    Ok(FieldSet::from_bytes(whole))
}

fn decode_written(decoder: &mut Decoder<'_>) -> Result<Option<Written>, CryptoError> {
    match decoder.u8()? {
        0 => Ok(None),
        1 => Ok(Some(Written { sealed_hash: decoder.array()?, row_mac: decoder.array()? })),
        _ => Err(CryptoError::Malformed),
    }
}

fn decode_network(bytes: &[u8]) -> Result<Option<[u8; 16]>, CryptoError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    bytes.try_into().map(Some).map_err(|_| CryptoError::Malformed)
}

fn kind_of(number: u8) -> Result<EntryKind, CryptoError> {
    KINDS.iter().find(|kind| **kind as u8 == number).copied().ok_or(CryptoError::Malformed)
}

fn outcome_of(number: u8) -> Result<Outcome, CryptoError> {
    match number {
        1 => Ok(Outcome::Ok),
        2 => Ok(Outcome::Refused),
        _ => Err(CryptoError::Malformed),
    }
}

/// Every kind, in the order of their numbers.
pub(super) const KINDS: [EntryKind; 13] = [
    EntryKind::Admin,
    EntryKind::Auth,
    EntryKind::Erase,
    EntryKind::Import,
    EntryKind::Key,
    EntryKind::Policy,
    EntryKind::Read,
    EntryKind::Reveal,
    EntryKind::Search,
    EntryKind::System,
    EntryKind::Write,
    EntryKind::Ledger,
    EntryKind::Send,
];

const LABEL: &str = "strongroom/entry/v1";

//! Customers as the vault knows them.

mod consent;
mod former;
mod record;
mod reference;
mod token;

use std::collections::BTreeMap;

use strongroom_crypto::{CryptoError, Decoder, Encoder, Plain};

use crate::ctx::{Pseudonym, Time};
use crate::error::Error;
use crate::id::{Customer, Id};
use crate::keys::Hashed;

pub(in crate::vault) use self::consent::Consent;
pub use self::consent::How;
pub(super) use self::former::Former;
pub(super) use self::record::{About, Rows, Shelf};
pub use self::reference::Reference;
pub use self::token::Token;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) use self::token::token_of;
pub(super) use self::token::{Standing, TOKEN_VERSION};

/// The plain columns: they say nothing about a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CustomerRow {
    /// A random integer beside the id: records keyed by it are smaller and faster.
    pub(super) key: i64,
    pub(super) id: Id<Customer>,
    pub(super) state: CustomerState,
    pub(super) version: u64,
    /// +1 whenever less may be shown.
    pub(super) life: u64,
    /// The first day, counted from 1970-01-01, on which something may fall due; 0 for none.
    pub(super) due_day: i64,
    pub(super) mac: [u8; 32],
}

/// Whether a customer may be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CustomerState {
    /// Yes.
    Active,
    /// Keys are being destroyed.
    Erasing,
    /// Asked to be erased: hidden from everyone, can be brought back.
    Restricted,
}

impl CustomerState {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Erasing => "erasing",
            Self::Restricted => "restricted",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        [Self::Active, Self::Erasing, Self::Restricted].into_iter().find(|it| it.as_str() == text)
    }
}

impl CustomerRow {
    /// What the row's MAC covers.
    pub(super) fn columns(&self) -> Vec<u8> {
        let mut encoder = Encoder::new("customer");
        encoder
            .u64(self.key.cast_unsigned())
            .bytes(self.id.as_bytes())
            .text(self.state.as_str())
            .u64(self.version)
            .u64(self.life)
            .u64(self.due_day.cast_unsigned());
        encoder.finish()
    }
}

/// What holds a customer together, sealed under the core key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Core {
    pub(super) pseudonym: Pseudonym,
    pub(super) created: Time,
    pub(super) relations: Vec<Relation>,
    /// Compartment id to the version its record has.
    pub(super) compartments: BTreeMap<[u8; 16], u64>,
    pub(super) indexes: Vec<IndexEntry>,
    /// At most one a purpose.
    pub(super) consents: Vec<Consent>,
    /// Where the customer's records stand.
    pub(super) shelves: Vec<Shelf>,
    /// The callers' own names for this customer, each once.
    pub(super) references: Vec<Reference>,
    /// Keys of before rotations, oldest first.
    pub(super) formers: Vec<Former>,
    /// Under which the ledger knew those who were merged into this one.
    pub(super) merged: Vec<Pseudonym>,
    /// Whether this one was merged into another: what is left waits for its keys to be destroyed.
    pub(super) is_merged_away: bool,
}

/// Why a customer is known, and when that last happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Relation {
    pub(super) name: String,
    pub(super) last: Time,
}

/// A hash under which the customer is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct IndexEntry {
    pub(super) kind: IndexKind,
    /// Numeric field id; 255 for references, which no field ever has beside them.
    pub(super) field: u8,
    pub(super) hash: [u8; 16],
}

/// An entry that is to be, and while look-up keys are rotated the hash under which the same value may
/// stand instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) entry: IndexEntry,
    pub(super) other: Option<[u8; 16]>,
}

impl Claim {
    pub(super) fn new(kind: IndexKind, field: u8, hashed: Hashed<16>) -> Self {
        Self { entry: IndexEntry { kind, field, hash: hashed.hash }, other: hashed.other }
    }

    /// Wherever the value may stand.
    pub(super) fn both(self) -> impl Iterator<Item = IndexEntry> {
        let other = self.other.map(|hash| IndexEntry { hash, ..self.entry });
        std::iter::once(self.entry).chain(other)
    }

    /// Whether a customer is found by this value.
    pub(super) fn is_of(self, core: &Core) -> bool {
        self.both().any(|entry| core.indexes.contains(&entry))
    }
}

/// Which table the hash stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IndexKind {
    /// Several customers may share it.
    Exact,
    /// One customer has it.
    Unique,
}

impl Core {
    /// Whether the ledger means this customer by that name. One who was merged into another is that
    /// other from then on.
    pub(super) fn stands_for(&self, subject: &Pseudonym) -> bool {
        self.pseudonym == *subject || self.merged.contains(subject)
    }

    /// The cells of the core record. The numbers are the core's own, not the policy's.
    pub(super) fn cells(&self) -> Vec<(u8, Plain)> {
        let mut relations = Encoder::new("core/relations");
        relations.u32(count(self.relations.len()));
        for relation in &self.relations {
            relations.text(&relation.name).u64(relation.last.as_ms().cast_unsigned());
        }
        let mut compartments = Encoder::new("core/compartments");
        compartments.u32(count(self.compartments.len()));
        for (id, version) in &self.compartments {
            compartments.bytes(id).u64(*version);
        }
        let mut indexes = Encoder::new("core/indexes");
        indexes.u32(count(self.indexes.len()));
        for entry in &self.indexes {
            indexes.u8(entry.kind.number()).u8(entry.field).bytes(&entry.hash);
        }
        let created = self.created.as_ms().to_be_bytes();
        let mut cells = vec![
            (0, Plain::copy_of(&self.pseudonym.0)),
            (1, Plain::copy_of(&created)),
            (2, Plain::new(relations.finish())),
            (3, Plain::new(compartments.finish())),
            (4, Plain::new(indexes.finish())),
        ];
        // Without any the core stays as it was before there were consents.
        if !self.consents.is_empty() {
            cells.push((5, Plain::new(consent::encode(&self.consents))));
        }
        if !self.shelves.is_empty() {
            cells.push((SHELVES_CELL, Plain::new(record::encode_shelves(&self.shelves))));
        }
        if !self.merged.is_empty() || self.is_merged_away {
            let mut merged = Encoder::new("core/merged");
            merged.u8(u8::from(self.is_merged_away)).u32(count(self.merged.len()));
            for pseudonym in &self.merged {
                merged.bytes(&pseudonym.0);
            }
            cells.push((MERGED_CELL, Plain::new(merged.finish())));
        }
        if !self.references.is_empty() {
            cells.push((REFERENCES_CELL, Plain::new(reference::encode(&self.references))));
        }
        if !self.formers.is_empty() {
            cells.push((FORMERS_CELL, Plain::new(former::encode(&self.formers))));
        }
        cells
    }

    /// Reads an opened core record.
    pub(super) fn from_cells(cells: &[(u8, Plain)]) -> Result<Self, Error> {
        let cell = |wanted: u8| {
            let found = cells.iter().find(|(number, _)| *number == wanted);
            found.map(|(_, plain)| plain.expose()).ok_or(CryptoError::Malformed)
        };
        let pseudonym = Pseudonym(cell(0)?.try_into().map_err(|_| CryptoError::Malformed)?);
        let created = i64::from_be_bytes(cell(1)?.try_into().map_err(|_| CryptoError::Malformed)?);
        let mut decoder = Decoder::new(cell(2)?, "core/relations")?;
        let mut relations = Vec::new();
        for _ in 0..decoder.u32()? {
            let name = decoder.text()?.to_owned();
            relations.push(Relation { name, last: Time::from_ms(decoder.u64()?.cast_signed()) });
        }
        decoder.finish()?;
        let mut decoder = Decoder::new(cell(3)?, "core/compartments")?;
        let mut compartments = BTreeMap::new();
        for _ in 0..decoder.u32()? {
            compartments.insert(decoder.array()?, decoder.u64()?);
        }
        decoder.finish()?;
        let mut decoder = Decoder::new(cell(4)?, "core/indexes")?;
        let mut indexes = Vec::new();
        for _ in 0..decoder.u32()? {
            let kind = IndexKind::of(decoder.u8()?)?;
            indexes.push(IndexEntry { kind, field: decoder.u8()?, hash: decoder.array()? });
        }
        decoder.finish()?;
        let consents = cells.iter().find(|(number, _)| *number == 5);
        let consents = consents.map(|(_, plain)| consent::decode(plain.expose())).transpose()?;
        let (created, consents) = (Time::from_ms(created), consents.unwrap_or_default());
        let shelves = match cell(SHELVES_CELL) {
            Ok(cell) => record::decode_shelves(cell)?,
            Err(_) => Vec::new(),
        };
        let references = match cell(REFERENCES_CELL) {
            Ok(cell) => reference::decode(cell)?,
            Err(_) => Vec::new(),
        };
        let formers = match cell(FORMERS_CELL) {
            Ok(cell) => former::decode(cell)?,
            Err(_) => Vec::new(),
        };
        let (mut merged, mut is_merged_away) = (Vec::new(), false);
        if let Ok(cell) = cell(MERGED_CELL) {
            let mut decoder = Decoder::new(cell, "core/merged")?;
            is_merged_away = decoder.u8()? == 1;
            for _ in 0..decoder.u32()? {
                merged.push(Pseudonym(decoder.array()?));
            }
            decoder.finish()?;
        }
        Ok(Self {
            pseudonym,
            created,
            relations,
            compartments,
            indexes,
            consents,
            shelves,
            references,
            formers,
            merged,
            is_merged_away,
        })
    }
}

impl IndexKind {
    fn number(self) -> u8 {
        match self {
            Self::Exact => 1,
            Self::Unique => 2,
        }
    }

    fn of(number: u8) -> Result<Self, CryptoError> {
        match number {
            1 => Ok(Self::Exact),
            2 => Ok(Self::Unique),
            _ => Err(CryptoError::Malformed),
        }
    }
}

/// Absent in the core of a customer without records.
const SHELVES_CELL: u8 = 6;

/// Absent in the core of a customer nobody was merged with.
const MERGED_CELL: u8 = 7;

/// Absent in the core of a customer without a reference.
const REFERENCES_CELL: u8 = 8;

/// Absent in the core of a customer whose keys were never replaced.
const FORMERS_CELL: u8 = 9;

/// The field number under which references are hashed: no policy field may look them up.
pub(super) const REFERENCE_FIELD: u8 = 255;

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

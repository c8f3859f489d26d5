//! Keys as the rooms above may hold them: handles that do, and never show.

mod rotation;
mod seal;
mod words;

use std::collections::BTreeMap;
use std::sync::Arc;

use strongroom_crypto::{
    Binding, Cell, CryptoError, Plain, Random, SecretKey, SigningKey, VerifyingKey, Wanted,
    constant_time_eq,
};

use crate::ctx::{Grant, SystemGrant, Time};
use crate::error::Error;

pub use rotation::{Placed, Rotation, RotationKind};
pub use seal::{Credential, Seal};
pub(super) use seal::{Recovery, SealedRoot};
pub use words::{Beginning, Mark, Standing, WordIndex, index_filling};

/// Where new keys will lie in the store: those that are made together lie together. At random places each would
/// be another page to write, and to read. The store says of each key when it was made, so what this adds
/// is which of one moment belong together, and that says the database too.
#[derive(Debug, Clone, Copy)]
pub struct KeyBlock(pub(super) [u8; 8]);

/// Every key of an installation, while it is unsealed. Dropping it wipes them.
pub(super) struct Unsealed {
    /// How often the keys had changed when these were read.
    pub(super) generation: u64,
    /// Key-encryption keys by version; the last one wraps new keys.
    pub(super) keks: BTreeMap<u32, SecretKey>,
    /// Those that are destroyed, and since when: whoever read a row a moment ago still needs them.
    pub(super) faded: Option<Faded>,
    /// What opens the root: kept to seal a new root, and to open backups made under an older
    /// one. None where two shares opened it.
    pub(super) provider: Option<SecretKey>,
    /// What opened it before: backups from then are opened with it.
    pub(super) formers: Vec<SecretKey>,
    /// Root: wraps all keys below, kept to wrap keys that are made later.
    pub(super) root: SecretKey,
    /// MACs rows of authority, budgets, and API keys.
    pub(super) row: SecretKey,
    /// Hashes of values and tokens.
    pub(super) index: Hashing,
    /// The way back from a pseudonym to a customer.
    pub(super) subject: Hashing,
    /// Seals sets of subjects.
    pub(super) sets: SecretKey,
    /// Signs checkpoints.
    pub(super) signing: SigningKey,
    /// Takes its place once the log is handed over to it.
    pub(super) coming: Option<SigningKey>,
    /// Those it took the place of.
    pub(super) former_signers: Vec<VerifyingKey>,
    /// Network addresses of one month, by `2026-11`.
    pub(super) months: std::sync::Mutex<BTreeMap<String, Arc<SecretKey>>>,
}

/// Since when they are destroyed, and the keys by version.
pub(super) type Faded = (Time, BTreeMap<u32, SecretKey>);

impl Unsealed {
    /// The key that wraps, or wrapped a moment ago, under this version.
    pub(super) fn kek(&self, version: u32) -> Option<&SecretKey> {
        let faded = self.faded.as_ref().and_then(|(_, keks)| keks.get(&version));
        self.keks.get(&version).or(faded)
    }
}

/// A key under which things are found. While it is rotated there is a second one, and what is looked
/// for may stand under either.
pub(super) struct Hashing {
    /// What is written from now on stands under this one.
    pub(super) key: SecretKey,
    /// The other one, while they are rotated.
    pub(super) other: Option<SecretKey>,
}

impl Hashing {
    pub(super) fn both(&self) -> impl Iterator<Item = &SecretKey> {
        std::iter::once(&self.key).chain(&self.other)
    }
}

/// A hash under which something is found, and while the keys of hashes are rotated the one it may
/// stand under instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hashed<const N: usize> {
    /// What is written from now on.
    pub hash: [u8; N],
    /// Under the other key.
    pub other: Option<[u8; N]>,
}

impl<const N: usize> Hashed<N> {
    /// Wherever it may stand.
    pub fn both(&self) -> impl Iterator<Item = [u8; N]> {
        std::iter::once(self.hash).chain(self.other)
    }
}

/// The data key of one customer and compartment, unwrapped for one act.
pub struct KeyHandle {
    pub(super) binding: KeyBinding,
    pub(super) key: SecretKey,
    /// The version of the key that it was made under; another may wrap it since.
    pub(super) made_under: u32,
}

/// Where a data key belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyBinding {
    /// The installation.
    pub installation: [u8; 16],
    /// The customer.
    pub customer: [u8; 16],
    /// The compartment; all zero for the core.
    pub compartment: [u8; 16],
    /// The key's own id.
    pub dek: [u8; 16],
}

/// What allows a sealed value to be opened.
#[derive(Clone, Copy)]
pub enum Permit<'a> {
    /// A person or program, by decision.
    Grant(&'a Grant),
    /// The system itself, in a named job.
    System(&'a SystemGrant),
}

impl Permit<'_> {
    fn covers(&self, field: u8) -> bool {
        match self {
            Self::Grant(grant) => grant.fields().contains_key(&field),
            Self::System(grant) => grant.fields().contains(&field),
        }
    }
}

impl KeyHandle {
    /// Seals the next version of this compartment's record.
    pub fn seal(
        &self,
        random: &dyn Random,
        version: u64,
        cells: &[Cell<'_>],
    ) -> Result<Vec<u8>, Error> {
        Ok(strongroom_crypto::seal_record(&self.key, random, &self.binding.at(version), cells)?)
    }

    /// Opens the fields a permit covers; a field it does not cover is an error of ours, and nothing
    /// is opened.
    pub fn open_fields(
        &self,
        permit: Permit<'_>,
        version: u64,
        sealed: &[u8],
        fields: &[u8],
    ) -> Result<Vec<(u8, Plain)>, Error> {
        if !fields.iter().all(|field| permit.covers(*field)) {
            return Err(Error::internal("a field was to be opened that no grant covers"));
        }
        let binding = self.binding.at(version);
        Ok(strongroom_crypto::open_record(&self.key, &binding, sealed, Wanted::Only(fields))?)
    }

    /// Opens a core record, which holds no field of the policy: pseudonym, relations, versions.
    pub fn open_core(&self, version: u64, sealed: &[u8]) -> Result<Vec<(u8, Plain)>, Error> {
        if self.binding.compartment != CORE {
            return Err(Error::internal("only the core opens without naming fields"));
        }
        let binding = self.binding.at(version);
        Ok(strongroom_crypto::open_record(&self.key, &binding, sealed, Wanted::All)?)
    }

    /// Seals the next version with some cells taken from a record under another key. The values do not
    /// leave this room.
    pub fn reseal_taking(
        &self,
        random: &dyn Random,
        versions: Versions,
        sealed: &[u8],
        from: Source<'_>,
        fields: &[u8],
    ) -> Result<Vec<u8>, Error> {
        let taken = from.open(Wanted::Only(fields))?;
        let changes = taken.into_iter().map(|(field, value)| (field, Some(value))).collect();
        self.reseal(random, versions, sealed, &changes)
    }

    /// Seals what stands under another key under this one: some fields, or everything. The values do
    /// not leave this room.
    pub fn seal_from(
        &self,
        random: &dyn Random,
        version: u64,
        from: Source<'_>,
        fields: Option<&[u8]>,
    ) -> Result<Vec<u8>, Error> {
        let taken = from.open(fields.map_or(Wanted::All, Wanted::Only))?;
        let cells: Vec<Cell<'_>> = taken
            .iter()
            .map(|(field, value)| Cell { field: *field, value: value.expose() })
            .collect();
        self.seal(random, version, &cells)
    }

    /// Opens what a record says about itself, which is no field of the policy.
    pub fn open_about(&self, version: u64, sealed: &[u8]) -> Result<Plain, Error> {
        if self.binding.compartment == CORE {
            return Err(Error::internal("the core says nothing about itself"));
        }
        let (binding, wanted) = (self.binding.at(version), Wanted::Only(&[ABOUT]));
        let opened = strongroom_crypto::open_record(&self.key, &binding, sealed, wanted)?;
        let about = opened.into_iter().next().map(|(_, plain)| plain);
        about.ok_or_else(|| CryptoError::Tampered.into())
    }

    /// Seals the next version with some cells replaced or removed. What the others hold is opened
    /// and sealed again without leaving this room.
    pub fn reseal(
        &self,
        random: &dyn Random,
        versions: Versions,
        sealed: &[u8],
        changes: &BTreeMap<u8, Option<Plain>>,
    ) -> Result<Vec<u8>, Error> {
        let binding = self.binding.at(versions.now);
        let opened = strongroom_crypto::open_record(&self.key, &binding, sealed, Wanted::All)?;
        let mut cells: BTreeMap<u8, &Plain> =
            opened.iter().map(|(field, value)| (*field, value)).collect();
        for (field, change) in changes {
            match change {
                Some(value) => cells.insert(*field, value),
                None => cells.remove(field),
            };
        }
        let cells: Vec<Cell<'_>> = cells
            .iter()
            .map(|(field, value)| Cell { field: *field, value: value.expose() })
            .collect();
        self.seal(random, versions.next, &cells)
    }

    /// Seals copies of some fields of a record beside what the copy says about itself, under the same
    /// key, so that they die with it. The values do not leave this room.
    pub fn seal_copy(
        &self,
        random: &dyn Random,
        versions: Versions,
        sealed: &[u8],
        fields: &[u8],
        about: &Plain,
    ) -> Result<Vec<u8>, Error> {
        let (binding, wanted) = (self.binding.at(versions.now), Wanted::Only(fields));
        let opened = strongroom_crypto::open_record(&self.key, &binding, sealed, wanted)?;
        let mut cells: Vec<Cell<'_>> = opened
            .iter()
            .map(|(field, value)| Cell { field: *field, value: value.expose() })
            .collect();
        cells.push(Cell { field: ABOUT, value: about.expose() });
        self.seal(random, versions.next, &cells)
    }

    /// A MAC of one field's value, which says whether it is still the same; `None` where the record
    /// has no such field.
    pub fn mac_field(
        &self,
        version: u64,
        sealed: &[u8],
        field: u8,
    ) -> Result<Option<[u8; 32]>, Error> {
        let (binding, fields) = (self.binding.at(version), [field]);
        let wanted = Wanted::Only(&fields);
        let opened = strongroom_crypto::open_record(&self.key, &binding, sealed, wanted)?;
        let tag = |(_, value): &(u8, Plain)| *self.key.mac(FIELD_LABEL, value.expose()).as_bytes();
        Ok(opened.first().map(tag))
    }

    /// Whether a record holds exactly this value of a field, or none where there is none.
    pub fn holds(
        &self,
        version: u64,
        sealed: &[u8],
        field: u8,
        value: Option<&Plain>,
    ) -> Result<bool, Error> {
        let (binding, fields) = (self.binding.at(version), [field]);
        let wanted = Wanted::Only(&fields);
        let opened = strongroom_crypto::open_record(&self.key, &binding, sealed, wanted)?;
        Ok(match (opened.first(), value) {
            (Some((_, held)), Some(value)) => constant_time_eq(held.expose(), value.expose()),
            (held, value) => held.is_none() && value.is_none(),
        })
    }

    /// The MAC of a customer's plain columns; keyed by the core.
    pub fn mac_row(&self, columns: &[u8]) -> [u8; 32] {
        *self.key.mac(ROW_LABEL, columns).as_bytes()
    }

    /// Whether plain columns are as they were written.
    pub fn verify_row(&self, columns: &[u8], mac: &[u8]) -> Result<(), CryptoError> {
        self.key.verify(ROW_LABEL, columns, mac)
    }

    /// The key's id.
    pub fn dek(&self) -> [u8; 16] {
        self.binding.dek
    }

    /// Whether it was made before a rotation gave every data key a new wrapping key.
    pub fn is_before(&self, rotation: &Rotation) -> bool {
        self.made_under < rotation.kek_version
    }
}

impl KeyBinding {
    fn at(&self, version: u64) -> Binding {
        Binding {
            installation: self.installation,
            customer: self.customer,
            compartment: self.compartment,
            dek: self.dek,
            version,
        }
    }
}

/// A record under a key, to be sealed under another.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// Its key.
    pub key: &'a KeyHandle,
    /// As stored.
    pub version: u64,
    /// As stored.
    pub sealed: &'a [u8],
}

impl Source<'_> {
    fn open(&self, wanted: Wanted<'_>) -> Result<Vec<(u8, Plain)>, Error> {
        if self.key.binding.compartment == CORE {
            return Err(Error::internal("a core is never sealed under the key of another"));
        }
        let binding = self.key.binding.at(self.version);
        Ok(strongroom_crypto::open_record(&self.key.key, &binding, self.sealed, wanted)?)
    }
}

/// The version a record has, and the one it gets.
#[derive(Debug, Clone, Copy)]
pub struct Versions {
    /// As stored.
    pub now: u64,
    /// As sealed next.
    pub next: u64,
}

/// The compartment that seals what holds a customer together, and dies last.
pub const CORE: [u8; 16] = [0; 16];

/// The cell in which a record says what it is: no field of the policy ever has this number.
pub const ABOUT: u8 = u8::MAX;

const FIELD_LABEL: &str = "strongroom/customer/field/v1";
const ROW_LABEL: &str = "strongroom/customer/row/v1";

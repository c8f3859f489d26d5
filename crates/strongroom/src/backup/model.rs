//! What a backup says about itself.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::ctx::Time;
use crate::error::Error;
use crate::keys::BackupKey;

/// How backups are made and kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The folder they go to.
    pub to: PathBuf,
    /// Minutes between two: what is lost at most.
    pub every_minutes: u32,
    /// Days a key backup is kept: after so many an erasure has reached every backup we manage.
    pub keep_keys_days: u32,
    /// Days a data backup is kept.
    pub keep_data_days: u32,
    /// A program and its arguments that take copies to another machine; empty for none.
    pub command: Vec<String>,
}

/// Hears how many rows of which backup are written.
pub type Told = Box<dyn FnMut(Kind, u64) + Send>;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Sealed rows and the ledger; no key.
    Data,
    /// Wrapped keys and the register of erasures.
    Keys,
}

impl Kind {
    /// As folders are named.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Keys => "keys",
        }
    }
}

/// What stands in the file `manifest` of a backup, under a MAC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The form of everything below.
    pub format: u32,
    /// Which of the two.
    pub kind: Kind,
    /// Names the pair.
    pub backup: String,
    /// The installation, hexadecimal.
    pub installation: String,
    /// When its snapshot was taken, for people.
    pub made: String,
    /// The same in milliseconds.
    pub made_ms: i64,
    /// Version of the tables of strongroom.db.
    pub schema: u32,
    /// Version of the tables of keys.db.
    pub keys_schema: u32,
    /// How many entries the ledger had.
    pub entries: u64,
    /// The checkpoint over them, signed.
    pub checkpoint: String,
    /// The root key as it is wrapped, base64: whatever unseals the installation unwraps it.
    pub wrapped_root: String,
    /// Of the data: sealed records, each of which needs its key. Of the keys: data keys.
    pub data_keys: u64,
    /// Of the keys: how many are wrapped by which generation.
    pub generations: BTreeMap<u32, u64>,
    /// The files beside this one.
    pub parts: Vec<Part>,
}

/// One file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// Whose rows: `data`, `keys`, `mirror`, or an earlier ledger, like `ledger-1`.
    pub holds: String,
    /// How many.
    pub rows: u64,
    /// Its size.
    pub size_bytes: u64,
    /// SHA-256 of the file as it lies there, hexadecimal.
    pub sha256: String,
}

impl Manifest {
    /// The file's text: a first line, the manifest, its MAC.
    pub(super) fn to_text(&self, key: &BackupKey) -> Result<String, Error> {
        let json = serde_json::to_string_pretty(self).map_err(Error::internal)?;
        let body = format!("{FIRST_LINE}\n{json}\n");
        let mac = data_encoding::HEXLOWER.encode(&key.mac(body.as_bytes()));
        Ok(format!("{body}{LAST_LINE}{mac}\n"))
    }

    /// Reads a manifest without believing it; `None` if it is none.
    pub(super) fn parse(text: &str) -> Option<Unverified> {
        let (body, last) = text.strip_suffix('\n')?.rsplit_once('\n')?;
        let mac = data_encoding::HEXLOWER.decode(last.strip_prefix(LAST_LINE)?.as_bytes()).ok()?;
        let body = format!("{body}\n");
        let json = body.strip_prefix(FIRST_LINE)?.strip_prefix('\n')?;
        let manifest: Self = serde_json::from_str(json).ok()?;
        Some(Unverified { manifest, body, mac })
    }

    /// When its snapshot was taken.
    pub fn time(&self) -> Time {
        Time::from_ms(self.made_ms)
    }

    /// The installation's id.
    pub(super) fn installation_id(&self) -> Option<[u8; 16]> {
        let bytes = data_encoding::HEXLOWER.decode(self.installation.as_bytes()).ok()?;
        bytes.as_slice().try_into().ok()
    }

    /// All files together.
    pub fn size_bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.size_bytes).sum()
    }

    /// All rows together.
    pub fn rows(&self) -> u64 {
        self.parts.iter().map(|part| part.rows).sum()
    }
}

/// A manifest whose MAC is still to be checked.
pub(super) struct Unverified {
    pub(super) manifest: Manifest,
    pub(super) body: String,
    pub(super) mac: Vec<u8>,
}

impl Unverified {
    /// The manifest, if we wrote it, and which of the keys it was written with.
    pub(super) fn verify<K: Borrow<BackupKey>>(
        self,
        keys: impl IntoIterator<Item = K>,
    ) -> Option<(Manifest, K)> {
        let is_its = |key: &K| key.borrow().is_ours(self.body.as_bytes(), &self.mac);
        let key = keys.into_iter().find(is_its)?;
        Some((self.manifest, key))
    }

    /// The root key as the manifest carries it; not believed yet.
    pub(super) fn wrapped_root(&self) -> Option<Vec<u8>> {
        data_encoding::BASE64.decode(self.manifest.wrapped_root.as_bytes()).ok()
    }
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// What is done.
    pub what: &'static str,
    /// So many of it.
    pub done: u64,
    /// Out of so many, where that is known.
    pub of: Option<u64>,
}

/// Tables that are no part of a backup, because the cores hold what they say: a thief of backups gets no
/// index to try values against.
pub const REBUILT_TABLES: [&str; 3] = ["lookup_exact", "lookup_unique", "subject"];

/// What the key backup holds beside the keys: whatever ends a right or a customer, as of a moment later
/// than the data.
pub const MIRRORED_TABLES: [&str; 5] =
    ["api_key", "erasure_job", "erasure_register", "legal_hold", "policy_version"];

/// The form of manifest and parts.
pub(super) const FORMAT: u32 = 1;

pub(super) const MANIFEST: &str = "manifest";

const FIRST_LINE: &str = "strongroom backup 1: sealed, keep it apart from the key file";
const LAST_LINE: &str = "mac ";

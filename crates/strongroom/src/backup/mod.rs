//! Backups: made, rehearsed, removed, restored.
//!
//! Two, apart: the data (sealed rows and the ledger, no key, no index) and the keys (wrapped, with the
//! register of erasures). What must never happen here: a key and what it opens in one backup, something
//! half written that is taken for a backup, something restored that a register calls erased, a second
//! history under one name.

mod api;
mod jobs;
mod model;
mod rules;
mod store;
#[cfg(test)]
mod tests;
mod verbs;

#[cfg(any(test, feature = "fuzz"))]
use crate::{error::Error, keys::BackupKey};

pub use api::routes;
pub use jobs::{Attempts, rehearse, run_due, run_due_copies};
pub use model::{Kind, MIRRORED_TABLES, Manifest, Part, REBUILT_TABLES, Settings, Step, Told};
pub use store::{BackupRow, CheckRow};
pub use verbs::{
    Agreement, Latest, Made, MissingKeys, Outcome, RestoreInput, Restored, Standing, Window,
    close_leak, contents, copy_newest, latest, make, rehearsed, remove_old, remove_old_copies,
    restore, standing,
};

/// The text of a manifest, for the fuzzer.
#[cfg(any(test, feature = "fuzz"))]
pub(crate) fn manifest_text(manifest: &Manifest, key: &BackupKey) -> Result<String, Error> {
    manifest.to_text(key)
}

/// What a text holds that is a manifest of ours, for the fuzzer.
#[cfg(any(test, feature = "fuzz"))]
pub(crate) fn read_manifest(text: &str, key: &BackupKey) -> Option<Manifest> {
    Manifest::parse(text)?.verify([key]).map(|(manifest, _)| manifest)
}

/// A frame of a part, read and written again, for the fuzzer.
#[cfg(any(test, feature = "fuzz"))]
pub(crate) fn frame_again(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut again = Vec::new();
    rules::Frame::decode(bytes)?.encode(&mut again).ok()?;
    Some(again)
}

/// How many rows an open part holds under its title, for the fuzzer.
#[cfg(any(test, feature = "fuzz"))]
pub(crate) fn rows_of(part: &[u8], title: &str) -> Option<u64> {
    verbs::rows_of(part, title)
}

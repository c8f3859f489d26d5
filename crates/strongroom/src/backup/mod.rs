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

pub use api::routes;
pub use jobs::{Attempts, rehearse, run_due, run_due_copies};
pub use model::{Kind, MIRRORED_TABLES, Manifest, Part, REBUILT_TABLES, Settings, Step, Told};
pub use store::{BackupRow, CheckRow};
pub use verbs::{
    Agreement, Latest, Made, MissingKeys, Outcome, RestoreInput, Restored, Standing, Window,
    contents, copy_newest, latest, make, remove_old, remove_old_copies, restore, standing,
};

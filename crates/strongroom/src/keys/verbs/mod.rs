//! What the key store does beyond single keys: unsealing, the way back, backups, and what it seals beside
//! records.

mod backup;
mod beside;
mod hashing;
mod locked;
mod moving;
mod recovery;
mod rotate;
mod signing;
mod turn;
mod unseal;

pub use backup::{
    BackupKey, BackupReader, BackupWriter, KeyReader, backup_keys, empty_store, settle,
};
#[cfg(test)]
pub(super) use locked::each_long_lived;
pub use moving::move_store;
pub use recovery::{MadeShares, Rehearsed, rehearse, reseal};
pub(super) use turn::copy_of;
pub(super) use unseal::wrap_named;
pub use unseal::{create, open};

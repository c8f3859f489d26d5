//! What the key store does beyond single keys: unsealing, the way back, backups, and what it seals beside
//! records.

mod backup;
mod beside;
mod hashing;
mod locked;
mod recovery;
mod rotate;
mod signing;
mod unseal;

pub use backup::{
    BackupKey, BackupReader, BackupWriter, KeyReader, backup_keys, empty_store, settle,
};
#[cfg(test)]
pub(super) use locked::each_long_lived;
pub(super) use locked::lock_one;
pub use recovery::{MadeShares, Rehearsed, rehearse, reseal};
pub(super) use unseal::write_key;
pub use unseal::{create, open};

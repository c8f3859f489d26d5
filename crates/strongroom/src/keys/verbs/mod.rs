//! What the key store does for backups, and what it seals beside records.

mod backup;
mod beside;

pub use backup::{
    BackupKey, BackupReader, BackupWriter, KeyReader, backup_key, empty_store, settle,
};

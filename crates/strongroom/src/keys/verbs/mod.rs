//! What the key store does for backups, beside what `mod` offers.

mod backup;

pub use backup::{
    BackupKey, BackupReader, BackupWriter, KeyReader, backup_key, empty_store, settle,
};

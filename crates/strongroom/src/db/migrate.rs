//! Schema: numbered texts, applied once each, in one transaction.
//!
//! One source serves both engines: `{bytes}`, `{text}`, `{integer}` and `{clustered}` stand for what differs.

use crate::db::{Connection, Statement, Value};
use crate::error::Error;

/// One step of a schema. From the first tagged version on, steps only add.
pub struct Migration {
    /// Counted from 1.
    pub version: u32,
    /// The statements.
    pub text: &'static str,
}

/// The schema of strongroom.db, all rooms together: one order, one transaction a step.
pub const DATA: &[Migration] = &[
    Migration { version: 1, text: include_str!("migrations/data_0001_ledger.sql") },
    Migration { version: 2, text: include_str!("migrations/data_0002_rights.sql") },
    Migration { version: 3, text: include_str!("migrations/data_0003_vault.sql") },
    Migration { version: 4, text: include_str!("migrations/data_0004_backup.sql") },
    Migration { version: 5, text: include_str!("migrations/data_0005_outlets.sql") },
    Migration { version: 6, text: include_str!("migrations/data_0006_people.sql") },
    Migration { version: 7, text: include_str!("migrations/data_0007_records.sql") },
    Migration { version: 8, text: include_str!("migrations/data_0008_flows.sql") },
    Migration { version: 9, text: include_str!("migrations/data_0009_webhooks.sql") },
    Migration { version: 10, text: include_str!("migrations/data_0010_backup_copies.sql") },
    Migration { version: 11, text: include_str!("migrations/data_0011_retired_keys.sql") },
    Migration { version: 12, text: include_str!("migrations/data_0012_handover.sql") },
    Migration { version: 13, text: include_str!("migrations/data_0013_moving.sql") },
];

/// The number of the newest step.
pub fn newest(steps: &[Migration]) -> u32 {
    steps.last().map_or(0, |step| step.version)
}

/// Brings an empty database up to an older step, as rows of that time fit into.
pub fn migrate_to(db: &mut Connection, steps: &[Migration], version: u32) -> Result<(), Error> {
    let known = steps.iter().take_while(|step| step.version <= version).count();
    if version > newest(steps) {
        return Err(too_new(i64::from(version), i64::from(newest(steps))));
    }
    migrate(db, steps.get(..known).unwrap_or(steps))
}

/// Brings a database up to the newest step; refuses one that is newer than this program.
pub fn migrate(db: &mut Connection, steps: &[Migration]) -> Result<(), Error> {
    db.run(VERSION_TABLE)?;
    let current = match db.one(READ_VERSION, &[])? {
        Some(row) => row.integer(0)?,
        None => 0,
    };
    let newest = i64::from(newest(steps));
    if current > newest {
        return Err(too_new(current, newest));
    }
    for step in steps.iter().filter(|step| i64::from(step.version) > current) {
        db.begin()?;
        let words = db.dialect().words.iter();
        db.run(
            &words.fold(step.text.to_owned(), |text, (ours, theirs)| text.replace(ours, theirs)),
        )?;
        let version = Value::from(i64::from(step.version));
        db.execute(&Statement::new(WRITE_VERSION, vec![version]))?;
        db.commit()?;
    }
    Ok(())
}

fn too_new(current: i64, newest: i64) -> Error {
    let detail = format!(
        "the data was written by a newer version (schema {current}, this program knows {newest}); \
         start the newer program, nothing was changed"
    );
    Error::unavailable("schema_too_new", detail)
}

const VERSION_TABLE: &str =
    "CREATE TABLE IF NOT EXISTS schema_version (id BIGINT PRIMARY KEY, version BIGINT NOT NULL)";

const READ_VERSION: &str = "SELECT version FROM schema_version WHERE id = 1";

const WRITE_VERSION: &str = "INSERT INTO schema_version (id, version)
VALUES (1, $1)
ON CONFLICT (id) DO UPDATE SET version = excluded.version";

//! witness.db: which logs are trusted, and what was cosigned last of each.

use std::path::Path;

use strongroom_tlog::{Checkpoint, Hash, VerifierKey, Witnessed};

use crate::ctx::Time;
use crate::db::{Connection, Durability, Migration, Row, Statement, Value, migrate};
use crate::error::Error;

/// What was cosigned last of a log.
pub(in crate::witness) struct Record {
    pub(in crate::witness) witnessed: Witnessed,
    /// The time that stands in the cosignature.
    pub(in crate::witness) time_s: u64,
}

/// Makes the file for a new witness.
pub(in crate::witness) fn create(path: &Path, vkey: &str) -> Result<(), Error> {
    let mut db = Connection::open(path, Durability::Durable)?;
    migrate(&mut db, MIGRATIONS)?;
    db.execute(&Statement::new(WRITE_WITNESS, vec![vkey.into()]))?;
    db.checkpoint_truncating()
}

/// Opens the file of a witness. One that is gone or belongs to another key is refused: a witness that
/// has forgotten what it cosigned would cosign another history.
pub(in crate::witness) fn open(path: &Path, vkey: &str) -> Result<Connection, Error> {
    let forgotten = || {
        let detail = "`witness.db` is gone or belongs to another witness, and what was cosigned is \
                      not known any more: make a new witness, with a key of its own";
        Error::unavailable("witness_forgot", detail)
    };
    if !path.exists() {
        return Err(forgotten());
    }
    let mut db = Connection::open(path, Durability::Durable)?;
    migrate(&mut db, MIGRATIONS)?;
    let known = db.one(READ_WITNESS, &[])?.ok_or_else(forgotten)?;
    if known.text(0)? != vkey {
        return Err(forgotten());
    }
    Ok(db)
}

impl Record {
    /// None where nothing was ever cosigned of it.
    pub(in crate::witness) fn of(db: &mut Connection, origin: &str) -> Result<Option<Self>, Error> {
        let Some(row) = db.one(READ_COSIGNED, &[origin.into()])? else { return Ok(None) };
        let size = u64::try_from(row.integer(0)?).map_err(Error::internal)?;
        let time_s = u64::try_from(row.integer(2)?).map_err(Error::internal)?;
        let witnessed = Witnessed { size, root: Hash(row.array(1)?) };
        Ok(Some(Self { witnessed, time_s }))
    }

    /// Within a transaction; counts once that is committed.
    pub(in crate::witness) fn write(
        db: &mut Connection,
        checkpoint: &Checkpoint,
        note: &str,
        time_s: u64,
    ) -> Result<(), Error> {
        let args = vec![
            checkpoint.origin.as_str().into(),
            i64::try_from(checkpoint.size).map_err(Error::internal)?.into(),
            checkpoint.root.0.into(),
            i64::try_from(time_s).map_err(Error::internal)?.into(),
            note.into(),
        ];
        db.execute(&Statement::new(WRITE_COSIGNED, args)).map(drop)
    }

    /// The keys of the logs of this name; none for a name nobody told of.
    pub(in crate::witness) fn trusted(
        db: &mut Connection,
        origin: &str,
    ) -> Result<Vec<VerifierKey>, Error> {
        let read = |row: &Row| VerifierKey::parse(row.text(0)?).map_err(Error::internal);
        let rows = db.query(READ_TRUSTED, &[origin.into(), Value::from(KEYS_PER_LOG_MAX)])?;
        rows.iter().map(read).collect()
    }

    /// The keys that were trusted before this one count no more.
    pub(in crate::witness) fn retire_older(
        db: &mut Connection,
        log: &VerifierKey,
        now: Time,
    ) -> Result<(), Error> {
        let args = vec![log.name().into(), log.to_string().into(), now.as_ms().into()];
        db.execute(&Statement::new(RETIRE_OLDER, args)).map(drop)
    }

    /// From now on logs with this key are cosigned; whether that is new. One whose successor signs is
    /// refused: it may be a stolen one.
    pub(in crate::witness) fn trust(
        db: &mut Connection,
        log: &VerifierKey,
        now: Time,
    ) -> Result<bool, Error> {
        if db.one(IS_RETIRED, &[log.to_string().into()])?.is_some() {
            let detail = "this key of the log was replaced by a newer one, which signs since; \
                          `strongroom ledger key` prints the one of today";
            return Err(Error::conflict("key_replaced", detail));
        }
        // Later than every one before it, also where the clock was set back.
        let newest = db.one(NEWEST_TRUSTED, &[log.name().into()])?;
        let newest = newest.map(|row| row.integer(0)).transpose()?;
        let trusted_ms = now.as_ms().max(newest.map_or(i64::MIN, |ms| ms.saturating_add(1)));
        let args = vec![log.to_string().into(), log.name().into(), trusted_ms.into()];
        Ok(db.execute(&Statement::new(TRUST, args))? > 0)
    }
}

const MIGRATIONS: &[Migration] = &[
    Migration { version: 1, text: include_str!("../../db/migrations/witness_0001.sql") },
    Migration { version: 2, text: include_str!("../../db/migrations/witness_0002.sql") },
];

const WRITE_WITNESS: &str = "INSERT INTO witness (id, vkey) VALUES (1, $1)";

const READ_WITNESS: &str = "SELECT vkey FROM witness WHERE id = 1";

const READ_COSIGNED: &str = "SELECT size, root, time_s FROM cosigned WHERE origin = $1";

const WRITE_COSIGNED: &str = "INSERT INTO cosigned (origin, size, root, time_s, checkpoint)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (origin) DO UPDATE SET
  size = excluded.size, root = excluded.root, time_s = excluded.time_s,
  checkpoint = excluded.checkpoint";

const READ_TRUSTED: &str = "SELECT vkey FROM trusted_log
WHERE origin = $1 AND retired_ms IS NULL
ORDER BY trusted_ms DESC, vkey
LIMIT $2";

const NEWEST_TRUSTED: &str = "SELECT trusted_ms FROM trusted_log
WHERE origin = $1
ORDER BY trusted_ms DESC
LIMIT 1";

const IS_RETIRED: &str = "SELECT 1 FROM trusted_log WHERE vkey = $1 AND retired_ms IS NOT NULL";

const RETIRE_OLDER: &str = "UPDATE trusted_log SET retired_ms = $3
WHERE origin = $1 AND vkey <> $2 AND retired_ms IS NULL";

const TRUST: &str = "INSERT INTO trusted_log (vkey, origin, trusted_ms) VALUES ($1, $2, $3)
ON CONFLICT (vkey) DO NOTHING";

/// A key and the one that takes its place, many times over.
const KEYS_PER_LOG_MAX: i64 = 16;

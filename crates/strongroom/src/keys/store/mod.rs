//! keys.db: wrapped keys, and the anchor of the log. No other room reads or writes it.

pub(super) mod credential;
pub(super) mod key_file;
pub(super) mod rotations;

use crate::ctx::{NewKey, Time};
use crate::db::{Connection, Migration, Row, Statement, Value, newest};
use crate::error::Error;

pub(super) const MIGRATIONS: &[Migration] = &[
    Migration { version: 1, text: include_str!("../../db/migrations/keys_0001.sql") },
    Migration { version: 2, text: include_str!("../../db/migrations/keys_0002.sql") },
    Migration { version: 3, text: include_str!("../../db/migrations/keys_0003.sql") },
    Migration { version: 4, text: include_str!("../../db/migrations/keys_0004.sql") },
    Migration { version: 5, text: include_str!("../../db/migrations/keys_0005.sql") },
];

/// The table of data keys: the one a restore does not take over whole.
pub const DEK_TABLE: &str = "dek";

/// Where what is deleted is a secret.
pub(super) const SECRET_TABLES: &[&str] = &[DEK_TABLE, "named_key"];

/// The version of keys.db that this program makes.
pub fn newest_schema() -> u32 {
    newest(MIGRATIONS)
}

/// The newest checkpoint keys.db has seen, and when it looked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// The log's size then.
    pub size: u64,
    /// The root hash then.
    pub root: [u8; 32],
    /// When it was anchored: no durable entry is more than [`super::ANCHOR_AGE_MS_MAX`] younger.
    pub at: Time,
}

pub(super) fn read_installation(db: &mut Connection) -> Result<Option<[u8; 16]>, Error> {
    db.one(READ_INSTALLATION, &[])?.map(|row| row.array(0)).transpose()
}

pub(super) fn write_installation(db: &mut Connection, id: &[u8; 16]) -> Result<(), Error> {
    db.execute(&Statement::new(WRITE_INSTALLATION, vec![id.into()])).map(drop)
}

/// How often the keys of the installation changed.
pub(super) fn read_generation(db: &mut Connection) -> Result<u64, Error> {
    generation_of(db.one(READ_GENERATION, &[])?)
}

/// The same, and whoever else would change them waits until the transaction ends.
pub(super) fn lock_generation(db: &mut Connection) -> Result<u64, Error> {
    generation_of(db.one(LOCK_GENERATION, &[])?)
}

pub(super) fn count_change(db: &mut Connection) -> Result<(), Error> {
    db.execute(&Statement::new(COUNT_CHANGE, Vec::new())).map(drop)
}

fn generation_of(row: Option<Row>) -> Result<u64, Error> {
    let row = row.ok_or_else(|| Error::unavailable("not_initialised", "the key store is empty"))?;
    u64::try_from(row.integer(0)?).map_err(Error::internal)
}

pub(super) fn read_named(db: &mut Connection) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let rows = db.query(READ_NAMED, &[Value::from(NAMED_KEYS_MAX)])?;
    rows.iter().map(|row| Ok((row.text(0)?.to_owned(), row.bytes(1)?.to_vec()))).collect()
}

/// Puts a wrapped key under its name, in place of the one that had it.
pub(super) fn put_named(db: &mut Connection, name: &str, wrapped: Vec<u8>) -> Result<(), Error> {
    db.execute(&Statement::new(PUT_NAMED, vec![name.into(), wrapped.into()])).map(drop)
}

pub(super) fn put_pending(db: &mut Connection, keys: &[NewKey], now: Time) -> Result<(), Error> {
    let put = |key: &NewKey| {
        let (version, wrapped) = (Value::from(i64::from(key.kek_version)), key.wrapped.clone());
        let (state, now) = ("pending".into(), now.as_ms().into());
        let args = vec![key.id.into(), version.clone(), state, now, wrapped.into(), version];
        Statement::new(PUT_PENDING, args)
    };
    let puts: Vec<Statement> = keys.iter().map(put).collect();
    db.write_all(&puts.iter().collect::<Vec<_>>())
}

pub(super) fn destroy(db: &mut Connection, id: &[u8; 16]) -> Result<u64, Error> {
    db.execute(&Statement::new(DESTROY, vec![id.into()]))
}

pub(super) fn exists(db: &mut Connection, id: &[u8; 16]) -> Result<bool, Error> {
    Ok(db.one(EXISTS, &[id.into()])?.is_some())
}

/// As if none had been seen yet: restored keys may be newer than the data beside them.
pub(super) fn mark_all_pending(db: &mut Connection) -> Result<(), Error> {
    db.execute(&Statement::new(MARK_ALL_PENDING, Vec::new())).map(drop)
}

pub(super) fn mark_live(db: &mut Connection, id: &[u8; 16]) -> Result<(), Error> {
    db.execute(&Statement::new(MARK_LIVE, vec![id.into()])).map(drop)
}

pub(super) fn list_pending(
    db: &mut Connection,
    created_before: Time,
) -> Result<Vec<[u8; 16]>, Error> {
    let args = [created_before.as_ms().into(), Value::from(SWEEP_PAGE_MAX)];
    db.query(LIST_PENDING, &args)?.iter().map(|row| row.array(0)).collect()
}

pub(super) fn read_incarnation(db: &mut Connection) -> Result<Option<(u64, String)>, Error> {
    let Some(row) = db.one(READ_INCARNATION, &[])? else { return Ok(None) };
    let number = u64::try_from(row.integer(0)?).map_err(Error::internal)?;
    Ok(Some((number, row.text(1)?.to_owned())))
}

pub(super) fn write_incarnation(
    db: &mut Connection,
    number: u64,
    origin: &str,
) -> Result<(), Error> {
    let number = i64::try_from(number).map_err(Error::internal)?;
    let args = vec![number.into(), origin.into()];
    db.execute(&Statement::new(WRITE_INCARNATION, args)).map(drop)
}

pub(super) fn read_anchor(db: &mut Connection) -> Result<Option<Anchor>, Error> {
    let Some(row) = db.one(READ_ANCHOR, &[])? else { return Ok(None) };
    let size = u64::try_from(row.integer(0)?).map_err(Error::internal)?;
    Ok(Some(Anchor { size, root: row.array(1)?, at: Time::from_ms(row.integer(2)?) }))
}

/// Whatever is anchored there is of another log.
pub(super) fn forget_anchor(db: &mut Connection) -> Result<(), Error> {
    db.execute(&Statement::new(FORGET_ANCHOR, Vec::new())).map(drop)
}

/// Unless a newer one is there: of two nodes the one that is behind may come last.
pub(super) fn write_anchor(db: &mut Connection, anchor: &Anchor) -> Result<(), Error> {
    let size = i64::try_from(anchor.size).map_err(Error::internal)?;
    let args = vec![size.into(), anchor.root.into(), anchor.at.as_ms().into()];
    db.execute(&Statement::new(WRITE_ANCHOR, args)).map(drop)
}

/// Reads one wrapped data key with the version of the key that wraps it.
pub(super) const READ_DEK: &str = "SELECT kek_version, wrapped, made_under FROM dek WHERE id = $1";

const READ_INSTALLATION: &str = "SELECT installation FROM installation WHERE id = 1";

const READ_GENERATION: &str = "SELECT generation FROM installation WHERE id = 1";

const LOCK_GENERATION: &str =
    "UPDATE installation SET generation = generation WHERE id = 1 RETURNING generation";

const COUNT_CHANGE: &str = "UPDATE installation SET generation = generation + 1 WHERE id = 1";

const WRITE_INSTALLATION: &str = "INSERT INTO installation (id, installation) VALUES (1, $1)";

const READ_NAMED: &str = "SELECT name, wrapped FROM named_key ORDER BY name LIMIT $1";

const PUT_NAMED: &str = "INSERT INTO named_key (name, wrapped)
VALUES ($1, $2)
ON CONFLICT (name) DO UPDATE SET wrapped = excluded.wrapped";

const PUT_PENDING: &str =
    "INSERT INTO dek (id, kek_version, state, created_ms, wrapped, made_under)
VALUES ($1, $2, $3, $4, $5, $6)";

const DESTROY: &str = "DELETE FROM dek WHERE id = $1";

const EXISTS: &str = "SELECT 1 FROM dek WHERE id = $1";

const MARK_LIVE: &str = "UPDATE dek SET state = 'live' WHERE id = $1 AND state = 'pending'";

const MARK_ALL_PENDING: &str = "UPDATE dek SET state = 'pending'";

const LIST_PENDING: &str = "SELECT id FROM dek
WHERE state = 'pending' AND created_ms < $1
ORDER BY created_ms
LIMIT $2";

const READ_INCARNATION: &str = "SELECT number, origin FROM incarnation WHERE id = 1";

const WRITE_INCARNATION: &str = "INSERT INTO incarnation (id, number, origin)
VALUES (1, $1, $2)
ON CONFLICT (id) DO UPDATE SET number = excluded.number, origin = excluded.origin";

const READ_ANCHOR: &str = "SELECT size, root, at_ms FROM anchor WHERE id = 1";

const WRITE_ANCHOR: &str = "INSERT INTO anchor (id, size, root, at_ms)
VALUES (1, $1, $2, $3)
ON CONFLICT (id) DO UPDATE SET size = excluded.size, root = excluded.root, at_ms = excluded.at_ms
WHERE anchor.size <= excluded.size";

const FORGET_ANCHOR: &str = "DELETE FROM anchor";

/// A handful of installation keys and one for each month of two years.
const NAMED_KEYS_MAX: i64 = 1000;

/// The sweeper looks at so many pending keys at a time: those of some 150,000 customers, in 8 MB.
const SWEEP_PAGE_MAX: i64 = 500_000;

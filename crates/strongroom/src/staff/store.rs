//! Table `api_key`.

use crate::ctx::Time;
use crate::db::{Connection, Row, Statement, Value};
use crate::error::Error;
use crate::id::Id;
use crate::staff::model::KeyRow;

pub(super) const TABLE: &str = "api_key";

pub(super) fn list(db: &mut Connection) -> Result<Vec<KeyRow>, Error> {
    db.query(LIST, &[Value::from(KEYS_MAX)])?.iter().map(read).collect()
}

pub(super) fn insert(row: &KeyRow) -> Statement {
    Statement::new(INSERT, values(row))
}

/// Meets one row only if the stored one is the one that was decided on.
pub(super) fn update(row: &KeyRow, mac_before: &[u8; 32]) -> Statement {
    let args = vec![
        row.id.as_bytes().into(),
        row.revoked.map(Time::as_ms).into(),
        i64::try_from(row.version).unwrap_or(i64::MAX).into(),
        row.mac.into(),
        mac_before.into(),
        row.disabled.map(Time::as_ms).into(),
    ];
    Statement::new(UPDATE, args)
}

fn values(row: &KeyRow) -> Vec<Value> {
    vec![
        row.id.as_bytes().into(),
        row.name.clone().into(),
        row.role.clone().into(),
        row.purposes.join(",").into(),
        row.created.as_ms().into(),
        row.expires.as_ms().into(),
        row.revoked.map(Time::as_ms).into(),
        row.verifier.into(),
        i64::try_from(row.version).unwrap_or(i64::MAX).into(),
        row.mac.into(),
        i64::from(row.people).into(),
        row.disabled.map(Time::as_ms).into(),
    ]
}

fn read(row: &Row) -> Result<KeyRow, Error> {
    Ok(KeyRow {
        id: Id::from_bytes(row.array(0)?),
        name: row.text(1)?.to_owned(),
        role: row.text(2)?.to_owned(),
        purposes: row.text(3)?.split(',').filter(|p| !p.is_empty()).map(str::to_owned).collect(),
        created: Time::from_ms(row.integer(4)?),
        expires: Time::from_ms(row.integer(5)?),
        revoked: row.optional_integer(6)?.map(Time::from_ms),
        verifier: row.array(7)?,
        version: u64::try_from(row.integer(8)?).map_err(Error::internal)?,
        mac: row.array(9)?,
        people: row.integer(10)? != 0,
        disabled: row.optional_integer(11)?.map(Time::from_ms),
    })
}

const LIST: &str = "SELECT id, name, role, purposes, created_ms, expires_ms, revoked_ms, verifier,
  version, mac, people, disabled_ms
FROM api_key
ORDER BY id
LIMIT $1";

const INSERT: &str = "INSERT INTO api_key
  (id, name, role, purposes, created_ms, expires_ms, revoked_ms, verifier, version, mac, people,
  disabled_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";

const UPDATE: &str = "UPDATE api_key
SET revoked_ms = $2, version = $3, mac = $4, disabled_ms = $6
WHERE id = $1 AND mac = $5";

/// All keys are held in memory, so their number is bounded.
pub(super) const KEYS_MAX: i64 = 10_000;

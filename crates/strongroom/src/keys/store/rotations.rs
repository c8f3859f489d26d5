//! Table `rotation`, and what a rotation does to wrapped data keys.

use crate::ctx::Time;
use crate::db::{Connection, Row, Statement, Value};
use crate::error::Error;
use crate::keys::model::{Rotation, RotationKind};

/// Newest first.
pub(in crate::keys) fn list(db: &mut Connection) -> Result<Vec<Rotation>, Error> {
    db.query(LIST, &[Value::from(LISTED_MAX)])?.iter().map(read).collect()
}

pub(in crate::keys) fn put(db: &mut Connection, rotation: &Rotation) -> Result<(), Error> {
    let signed = |number: u64| i64::try_from(number).map_err(Error::internal);
    let args = vec![
        rotation.id.into(),
        i64::from(rotation.kek_version).into(),
        rotation.position.into(),
        i64::from(rotation.passes).into(),
        signed(rotation.rewrapped)?.into(),
        signed(rotation.left_over)?.into(),
        rotation.begun.as_ms().into(),
        rotation.ended.map(Time::as_ms).into(),
        rotation.kind.as_str().into(),
        signed(rotation.unsettled)?.into(),
    ];
    db.execute(&Statement::new(PUT, args)).map(drop)
}

/// Restored data may be of before a rotation that sealed it anew: that one goes over all customers
/// again, with the newest wrapping key, unless another one is not done yet.
pub(in crate::keys) fn reopen(db: &mut Connection) -> Result<(), Error> {
    let all = list(db)?;
    if all.iter().any(|it| it.ended.is_none()) {
        return Ok(());
    }
    let newest = all.iter().map(|it| it.kek_version).max();
    let sealed = all.into_iter().find(|it| it.kind.seals_anew());
    let (Some(sealed), Some(kek_version)) = (sealed, newest) else { return Ok(()) };
    let args = vec![sealed.id.into(), i64::from(kek_version).into()];
    db.execute(&Statement::new(REOPEN, args)).map(drop)
}

/// Puts a data key under another wrapping key, if it is still under the one it was read with.
pub(in crate::keys) fn rewrap(
    db: &mut Connection,
    dek: &[u8; 16],
    (from, to): (u32, u32),
    wrapped: Vec<u8>,
) -> Result<u64, Error> {
    let args = vec![dek.into(), i64::from(from).into(), i64::from(to).into(), wrapped.into()];
    db.execute(&Statement::new(REWRAP, args))
}

/// Data keys under a wrapping key that is older than this one.
pub(in crate::keys) fn count_older(db: &mut Connection, kek_version: u32) -> Result<u64, Error> {
    let row = db.one(COUNT_OLDER, &[i64::from(kek_version).into()])?;
    let count = row.map_or(Ok(0), |row| row.integer(0))?;
    u64::try_from(count).map_err(Error::internal)
}

pub(in crate::keys) fn delete_named(db: &mut Connection, name: &str) -> Result<u64, Error> {
    db.execute(&Statement::new(DELETE_NAMED, vec![name.into()]))
}

fn read(row: &Row) -> Result<Rotation, Error> {
    let unsigned = |at| u64::try_from(row.integer(at)?).map_err(Error::internal);
    Ok(Rotation {
        id: row.array(0)?,
        kek_version: u32::try_from(row.integer(1)?).map_err(Error::internal)?,
        position: row.optional_integer(2)?,
        passes: u32::try_from(row.integer(3)?).map_err(Error::internal)?,
        rewrapped: unsigned(4)?,
        left_over: unsigned(5)?,
        begun: Time::from_ms(row.integer(6)?),
        ended: row.optional_integer(7)?.map(Time::from_ms),
        kind: RotationKind::parse(row.text(8)?)
            .ok_or_else(|| Error::internal("an unknown rotation"))?,
        unsettled: unsigned(9)?,
    })
}

const LIST: &str =
    "SELECT id, kek_version, position, passes, rewrapped, left_over, begun_ms, ended_ms, kind,
  unsettled
FROM rotation
ORDER BY begun_ms DESC, kek_version DESC, ended_ms IS NOT NULL
LIMIT $1";

const PUT: &str = "INSERT INTO rotation
  (id, kek_version, position, passes, rewrapped, left_over, begun_ms, ended_ms, kind, unsettled)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (id) DO UPDATE SET position = excluded.position, passes = excluded.passes,
  rewrapped = excluded.rewrapped, left_over = excluded.left_over,
  ended_ms = coalesce(rotation.ended_ms, excluded.ended_ms), unsettled = excluded.unsettled";

const REOPEN: &str = "UPDATE rotation
SET ended_ms = NULL, position = NULL, passes = 0, unsettled = 0, kind = 'data_keys', kek_version = $2
WHERE id = $1";

const REWRAP: &str = "UPDATE dek SET kek_version = $3, wrapped = $4
WHERE id = $1 AND kek_version = $2";

const COUNT_OLDER: &str = "SELECT count(*) FROM dek WHERE kek_version < $1";

const DELETE_NAMED: &str = "DELETE FROM named_key WHERE name = $1";

/// Years of them.
const LISTED_MAX: i64 = 50;

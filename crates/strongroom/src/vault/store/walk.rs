//! Table `walk`, and the rows it goes over.

use crate::db::{Row, Snapshot, Statement, Value};
use crate::error::Error;
use crate::id::{Customer, Id};
use crate::vault::model::CustomerRow;

/// How far the walk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::vault) struct WalkRow {
    /// The row key to look at next.
    pub(in crate::vault) position: i64,
    /// The day on which the part before it was finished, counted from 1970-01-01.
    pub(in crate::vault) day: i64,
    /// How many parts are finished, of all there ever were.
    pub(in crate::vault) parts: i64,
}

pub(in crate::vault) async fn read_walk(snapshot: &mut Snapshot) -> Result<Option<WalkRow>, Error> {
    let row = snapshot.one(READ, &[]).await?;
    let read = |row: Row| {
        let (position, day) = (row.integer(0)?, row.integer(1)?);
        Ok(WalkRow { position, day, parts: row.integer(2)? })
    };
    row.map(read).transpose()
}

pub(in crate::vault) fn put_walk(row: &WalkRow) -> Statement {
    Statement::new(PUT, vec![row.position.into(), row.day.into(), row.parts.into()])
}

/// Row keys and ids from one key to another, in order; an id that is none of ours is `None`.
pub(in crate::vault) async fn list_keys(
    snapshot: &mut Snapshot,
    span: (i64, i64),
    limit: i64,
) -> Result<Vec<(i64, Option<Id<Customer>>)>, Error> {
    let args = [span.0.into(), span.1.into(), Value::from(limit)];
    let rows = snapshot.query(LIST, &args).await?;
    let read = |row: &Row| Ok((row.integer(0)?, row.array(1).ok().map(Id::from_bytes)));
    rows.iter().map(read).collect()
}

/// Whether a sealed record between two keys has no customer.
pub(in crate::vault) async fn any_orphan(
    snapshot: &mut Snapshot,
    span: (i64, i64),
) -> Result<bool, Error> {
    Ok(snapshot.one(ANY_ORPHAN, &[span.0.into(), span.1.into()]).await?.is_some())
}

/// Only where the row is still the one that was read: whoever changed it meanwhile has set its due day
/// anew.
pub(in crate::vault) fn set_due_day(row: &CustomerRow, mac_before: &[u8; 32]) -> Statement {
    let args = vec![row.key.into(), row.due_day.into(), row.mac.into(), mac_before.into()];
    Statement::new(SET_DUE_DAY, args)
}

const READ: &str = "SELECT position, day, parts FROM walk WHERE id = 1";

const PUT: &str = "INSERT INTO walk (id, position, day, parts)
VALUES (1, $1, $2, $3)
ON CONFLICT (id) DO UPDATE SET
  position = excluded.position, day = excluded.day, parts = excluded.parts";

const LIST: &str = "SELECT key, id FROM customer
WHERE key >= $1 AND key <= $2
ORDER BY key
LIMIT $3";

const ANY_ORPHAN: &str = "SELECT customer FROM sealed_record
WHERE customer >= $1 AND customer <= $2
  AND NOT EXISTS (SELECT 1 FROM customer WHERE key = sealed_record.customer)
LIMIT 1";

const SET_DUE_DAY: &str = "UPDATE customer
SET due_day = $2, mac = $3
WHERE key = $1 AND mac = $4";

//! Table `import`.

use crate::ctx::Time;
use crate::db::{Row, Snapshot, Statement, Value};
use crate::error::Error;
use crate::id::{Id, Import};

/// Where an import stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::vault) struct ImportRow {
    pub(in crate::vault) id: Id<Import>,
    pub(in crate::vault) file_hash: [u8; 32],
    pub(in crate::vault) map_hash: [u8; 32],
    pub(in crate::vault) next_row: u64,
    pub(in crate::vault) created: u64,
    pub(in crate::vault) skipped: u64,
    pub(in crate::vault) refused: u64,
    pub(in crate::vault) started: Time,
}

/// Meets one row only if this file with this map was never begun.
pub(in crate::vault) fn insert_import(row: &ImportRow) -> Statement {
    let args = vec![
        row.id.as_bytes().into(),
        row.file_hash.into(),
        row.map_hash.into(),
        row.started.as_ms().into(),
    ];
    Statement::new(INSERT, args)
}

/// Meets one row only if it still stands where it was read.
pub(in crate::vault) fn advance_import(row: &ImportRow, next: &ImportRow) -> Statement {
    let number = |value: u64| Value::from(i64::try_from(value).unwrap_or(i64::MAX));
    let args = vec![
        row.id.as_bytes().into(),
        number(row.next_row),
        number(next.next_row),
        number(next.created),
        number(next.skipped),
        number(next.refused),
    ];
    Statement::new(ADVANCE, args)
}

pub(in crate::vault) async fn find_import(
    snapshot: &mut Snapshot,
    file_hash: &[u8; 32],
    map_hash: &[u8; 32],
) -> Result<Option<ImportRow>, Error> {
    let row = snapshot.one(FIND, &[file_hash.into(), map_hash.into()]).await?;
    row.map(|row| read(&row)).transpose()
}

pub(in crate::vault) async fn read_import(
    snapshot: &mut Snapshot,
    id: &Id<Import>,
) -> Result<Option<ImportRow>, Error> {
    let row = snapshot.one(READ, &[id.as_bytes().into()]).await?;
    row.map(|row| read(&row)).transpose()
}

fn read(row: &Row) -> Result<ImportRow, Error> {
    let number = |column| u64::try_from(row.integer(column)?).map_err(Error::internal);
    Ok(ImportRow {
        id: Id::from_bytes(row.array(0)?),
        file_hash: row.array(1)?,
        map_hash: row.array(2)?,
        next_row: number(3)?,
        created: number(4)?,
        skipped: number(5)?,
        refused: number(6)?,
        started: Time::from_ms(row.integer(7)?),
    })
}

const INSERT: &str = "INSERT INTO import
  (id, file_hash, map_hash, next_row, created, skipped, refused, state, started_ms)
VALUES ($1, $2, $3, 0, 0, 0, 0, 'open', $4)
ON CONFLICT (file_hash, map_hash) DO NOTHING";

const ADVANCE: &str = "UPDATE import
SET next_row = $3, created = $4, skipped = $5, refused = $6
WHERE id = $1 AND next_row = $2";

const FIND: &str = "SELECT id, file_hash, map_hash, next_row, created, skipped, refused, started_ms
FROM import
WHERE file_hash = $1 AND map_hash = $2";

const READ: &str = "SELECT id, file_hash, map_hash, next_row, created, skipped, refused, started_ms
FROM import
WHERE id = $1";

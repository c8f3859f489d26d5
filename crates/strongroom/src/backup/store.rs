//! Tables `backup` and `backup_check`.

use crate::backup::model::Kind;
use crate::ctx::Time;
use crate::db::{NullOf, Row, Snapshot, Statement, Value};
use crate::error::Error;

/// One pair of backups, as it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupRow {
    /// Names the pair.
    pub id: String,
    /// When the data's snapshot was taken.
    pub made: Time,
    /// Where both folders are.
    pub folder: String,
    /// How many entries the ledger had.
    pub entries: u64,
    /// Rows of the data backup.
    pub data_rows: u64,
    /// Its size.
    pub data_size_bytes: u64,
    /// Rows of the key backup.
    pub keys_rows: u64,
    /// Its size.
    pub keys_size_bytes: u64,
    /// When a copy began to go to another machine: something of it may be there.
    pub copy_begun: Option<Time>,
    /// When the whole pair had been copied to another machine.
    pub copied: Option<Time>,
    /// When the copy of the data was taken back.
    pub data_copy_removed: Option<Time>,
    /// When the copy of the keys was.
    pub keys_copy_removed: Option<Time>,
    /// When the data backup was removed.
    pub data_removed: Option<Time>,
    /// When the key backup was removed.
    pub keys_removed: Option<Time>,
}

impl BackupRow {
    /// Whether anything of it is left, here or on another machine.
    pub fn is_kept(&self) -> bool {
        let here = self.data_removed.is_none() || self.keys_removed.is_none();
        here || self.has_copy(Kind::Data) || self.has_copy(Kind::Keys)
    }

    /// Whether something of it may be on another machine.
    pub fn has_copy(&self, kind: Kind) -> bool {
        let removed = match kind {
            Kind::Data => self.data_copy_removed,
            Kind::Keys => self.keys_copy_removed,
        };
        self.copy_begun.is_some() && removed.is_none()
    }
}

/// What a rehearsed restore saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckRow {
    /// Names it.
    pub id: String,
    /// When.
    pub at: Time,
    /// Which pair.
    pub backup: String,
    /// `ok`, or the code of what went wrong.
    pub result: String,
    /// Customers who opened.
    pub customers: u64,
    /// Of those, how many with all their values.
    pub sampled: u64,
    /// Entries of the ledger that were verified.
    pub entries: u64,
    /// In words.
    pub detail: String,
}

impl CheckRow {
    /// Whether everything came back.
    pub fn is_good(&self) -> bool {
        self.result == GOOD
    }
}

pub(super) fn insert(row: &BackupRow) -> Statement {
    let args = vec![
        row.id.clone().into(),
        row.made.as_ms().into(),
        row.folder.clone().into(),
        signed(row.entries),
        signed(row.data_rows),
        signed(row.data_size_bytes),
        signed(row.keys_rows),
        signed(row.keys_size_bytes),
    ];
    Statement::new(INSERT, args)
}

pub(super) fn copy_begun(id: &str, at: Time) -> Statement {
    Statement::new(COPY_BEGUN, vec![id.into(), at.as_ms().into()])
}

pub(super) fn copied(id: &str, at: Time) -> Statement {
    Statement::new(COPIED, vec![id.into(), at.as_ms().into()])
}

pub(super) fn data_removed(id: &str, at: Time) -> Statement {
    Statement::new(DATA_REMOVED, vec![id.into(), at.as_ms().into()])
}

pub(super) fn keys_removed(id: &str, at: Time) -> Statement {
    Statement::new(KEYS_REMOVED, vec![id.into(), at.as_ms().into()])
}

pub(super) fn copy_removed(id: &str, kind: Kind, at: Time) -> Statement {
    let sql = match kind {
        Kind::Data => DATA_COPY_REMOVED,
        Kind::Keys => KEYS_COPY_REMOVED,
    };
    Statement::new(sql, vec![id.into(), at.as_ms().into()])
}

pub(super) fn insert_check(row: &CheckRow) -> Statement {
    let args = vec![
        row.id.clone().into(),
        row.at.as_ms().into(),
        row.backup.clone().into(),
        row.result.clone().into(),
        signed(row.customers),
        signed(row.sampled),
        signed(row.entries),
        row.detail.clone().into(),
    ];
    Statement::new(INSERT_CHECK, args)
}

/// Backups of which something is still kept, the newest first.
pub(super) async fn list(snapshot: &mut Snapshot) -> Result<Vec<BackupRow>, Error> {
    snapshot.query(LIST, &[Value::from(BACKUPS_MAX)]).await?.iter().map(read).collect()
}

/// The newest backup, removed or not.
pub(super) async fn newest(snapshot: &mut Snapshot) -> Result<Option<BackupRow>, Error> {
    snapshot.one(NEWEST, &[]).await?.map(|row| read(&row)).transpose()
}

/// The newest backup in a folder.
pub(super) async fn newest_in(
    snapshot: &mut Snapshot,
    folder: &str,
) -> Result<Option<BackupRow>, Error> {
    snapshot.one(NEWEST_IN, &[folder.into()]).await?.map(|row| read(&row)).transpose()
}

pub(super) async fn newest_check(snapshot: &mut Snapshot) -> Result<Option<CheckRow>, Error> {
    snapshot.one(NEWEST_CHECK, &[]).await?.map(|row| read_check(&row)).transpose()
}

fn read(row: &Row) -> Result<BackupRow, Error> {
    Ok(BackupRow {
        id: row.text(0)?.to_owned(),
        made: Time::from_ms(row.integer(1)?),
        folder: row.text(2)?.to_owned(),
        entries: unsigned(row, 3)?,
        data_rows: unsigned(row, 4)?,
        data_size_bytes: unsigned(row, 5)?,
        keys_rows: unsigned(row, 6)?,
        keys_size_bytes: unsigned(row, 7)?,
        data_removed: row.optional_integer(8)?.map(Time::from_ms),
        keys_removed: row.optional_integer(9)?.map(Time::from_ms),
        copied: row.optional_integer(10)?.map(Time::from_ms),
        copy_begun: row.optional_integer(11)?.map(Time::from_ms),
        data_copy_removed: row.optional_integer(12)?.map(Time::from_ms),
        keys_copy_removed: row.optional_integer(13)?.map(Time::from_ms),
    })
}

fn read_check(row: &Row) -> Result<CheckRow, Error> {
    Ok(CheckRow {
        id: row.text(0)?.to_owned(),
        at: Time::from_ms(row.integer(1)?),
        backup: row.text(2)?.to_owned(),
        result: row.text(3)?.to_owned(),
        customers: unsigned(row, 4)?,
        sampled: unsigned(row, 5)?,
        entries: unsigned(row, 6)?,
        detail: row.text(7)?.to_owned(),
    })
}

fn signed(number: u64) -> Value {
    i64::try_from(number).map_or(Value::Null(NullOf::Integer), Value::from)
}

fn unsigned(row: &Row, column: usize) -> Result<u64, Error> {
    u64::try_from(row.integer(column)?).map_err(Error::internal)
}

const INSERT: &str = "INSERT INTO backup
  (id, made_ms, folder, entries, data_rows, data_size_bytes, keys_rows, keys_size_bytes)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";

const COPY_BEGUN: &str = "UPDATE backup SET copy_begun_ms = $2 WHERE id = $1";

const COPIED: &str = "UPDATE backup SET copied_ms = $2 WHERE id = $1";

const DATA_COPY_REMOVED: &str = "UPDATE backup SET data_copy_removed_ms = $2 WHERE id = $1";

const KEYS_COPY_REMOVED: &str = "UPDATE backup SET keys_copy_removed_ms = $2 WHERE id = $1";

const DATA_REMOVED: &str = "UPDATE backup SET data_removed_ms = $2 WHERE id = $1";

const KEYS_REMOVED: &str = "UPDATE backup SET keys_removed_ms = $2 WHERE id = $1";

const LIST: &str = "SELECT id, made_ms, folder, entries, data_rows, data_size_bytes, keys_rows,
  keys_size_bytes, data_removed_ms, keys_removed_ms, copied_ms,
  copy_begun_ms, data_copy_removed_ms, keys_copy_removed_ms
FROM backup
WHERE data_removed_ms IS NULL OR keys_removed_ms IS NULL OR copy_begun_ms IS NOT NULL
  AND (data_copy_removed_ms IS NULL OR keys_copy_removed_ms IS NULL)
ORDER BY made_ms DESC, id
LIMIT $1";

const NEWEST: &str = "SELECT id, made_ms, folder, entries, data_rows, data_size_bytes, keys_rows,
  keys_size_bytes, data_removed_ms, keys_removed_ms, copied_ms,
  copy_begun_ms, data_copy_removed_ms, keys_copy_removed_ms
FROM backup
ORDER BY made_ms DESC, id
LIMIT 1";

const NEWEST_IN: &str =
    "SELECT id, made_ms, folder, entries, data_rows, data_size_bytes, keys_rows,
  keys_size_bytes, data_removed_ms, keys_removed_ms, copied_ms,
  copy_begun_ms, data_copy_removed_ms, keys_copy_removed_ms
FROM backup
WHERE folder = $1
ORDER BY made_ms DESC, id
LIMIT 1";

const INSERT_CHECK: &str = "INSERT INTO backup_check
  (id, at_ms, backup, result, customers, sampled, entries, detail)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";

const NEWEST_CHECK: &str = "SELECT id, at_ms, backup, result, customers, sampled, entries, detail
FROM backup_check
ORDER BY at_ms DESC, id
LIMIT 1";

/// What a rehearsal that brought everything back is written down as.
pub(super) const GOOD: &str = "ok";

/// Hourly for a year.
const BACKUPS_MAX: i64 = 10_000;

//! One connection to one SQLite file.
//!
//! Sharp edges this hides: SQLite numbers `$2, $1` by first occurrence, so parameters are rewritten
//! to `?N`; and an error of one statement must be told apart from an error of the disk.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::types::ValueRef;
use rusqlite::{ErrorCode, OpenFlags};

use crate::db::connection::{Durability, EachRow, Ran};
use crate::db::stall::{Stall, scan_ended};
use crate::error::Error;
use crate::sql::{NullOf, Row, Statement, Value};

/// One connection. Never shared between threads at the same time.
pub(super) struct Sqlite {
    raw: rusqlite::Connection,
    rewritten: HashMap<&'static str, String>,
}

/// Pages of the write-ahead log.
pub(super) struct WalPages {
    /// Since it was started anew.
    pub(super) in_log: i64,
    /// Of these, how many stand in the file.
    pub(super) copied: i64,
}

impl Sqlite {
    /// Opens, and for a writer creates, the file.
    pub(super) fn open(path: &Path, durability: Durability) -> Result<Self, Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        if durability != Durability::ReadOnly {
            create_private(path)?;
        }
        let raw = match durability {
            Durability::ReadOnly => rusqlite::Connection::open_with_flags(path, flags)?,
            Durability::Durable | Durability::Scratch => {
                rusqlite::Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_CREATE)?
            }
        };
        raw.set_prepared_statement_cache_capacity(STATEMENTS_CACHED_MAX);
        let settings = match durability {
            Durability::ReadOnly => READER_SETTINGS,
            Durability::Durable => WRITER_SETTINGS,
            Durability::Scratch => SCRATCH_SETTINGS,
        };
        raw.execute_batch(settings)?;
        // A plan never waits for a value: without this a statement whose value might matter to its plan is
        // compiled anew each time it runs, and that was a tenth of what a read costs.
        raw.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        Ok(Self { raw, rewritten: HashMap::new() })
    }

    /// Opens a connection that cuts the write-ahead log. Cutting keeps every writer out while it waits
    /// for readers, so it waits for short ones alone.
    pub(super) fn open_to_cut(path: &Path) -> Result<Self, Error> {
        let db = Self::open(path, Durability::Durable)?;
        db.raw.busy_timeout(READER_TIME_MAX)?;
        Ok(db)
    }

    /// All rows that come back.
    pub(super) fn query(&mut self, sql: &'static str, args: &[Value]) -> Result<Vec<Row>, Error> {
        let sql = portable_parameters(&mut self.rewritten, sql);
        let mut statement = self.raw.prepare_cached(sql)?;
        let columns = statement.column_count();
        let mut rows = statement.query(rusqlite::params_from_iter(args))?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(read_row(row, columns)?);
        }
        Ok(found)
    }

    /// How many rows a statement changed, or brought back if it is a question.
    pub(super) fn execute(&mut self, statement: &Statement) -> Result<u64, Error> {
        let sql = portable_parameters(&mut self.rewritten, statement.sql);
        let mut prepared = self.raw.prepare_cached(sql)?;
        let params = rusqlite::params_from_iter(&statement.args);
        if prepared.column_count() == 0 {
            return Ok(prepared.execute(params)? as u64);
        }
        let mut rows = prepared.query(params)?;
        let mut count = 0;
        while rows.next()?.is_some() {
            count += 1;
        }
        Ok(count)
    }

    /// Runs statements in their order up to the first that fails.
    pub(super) fn execute_all(&mut self, statements: &[&Statement]) -> Ran {
        let mut rows = Vec::with_capacity(statements.len());
        for statement in statements {
            match self.execute(statement) {
                Ok(changed) => rows.push(changed),
                Err(error) => return Ran { rows, failed: Some(error) },
            }
        }
        Ran { rows, failed: None }
    }

    /// Makes a scratch database what any other is: whole, on the disk, with a write-ahead log.
    pub(super) fn settle(&mut self, path: &Path) -> Result<(), Error> {
        self.raw.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
        let synced = std::fs::File::open(path).and_then(|file| file.sync_all());
        synced.map_err(|cause| {
            let detail = "a database file cannot be brought to the disk; check space and errors";
            Error::unavailable("storage", detail).caused_by(cause)
        })
    }

    /// Gives each row of a statement that was put together while running, one at a time.
    pub(super) fn visit(
        &mut self,
        sql: &str,
        args: &[Value],
        each: EachRow<'_>,
    ) -> Result<(), Error> {
        let mut statement = self.raw.prepare_cached(&sql.replace('$', "?"))?;
        let columns = statement.column_count();
        let mut rows = statement.query(rusqlite::params_from_iter(args))?;
        while let Some(row) = rows.next()? {
            each(read_row(row, columns)?)?;
        }
        Ok(())
    }

    /// Runs a statement that was put together while running.
    pub(super) fn execute_made(&mut self, sql: &str, args: &[Value]) -> Result<(), Error> {
        let mut statement = self.raw.prepare_cached(&sql.replace('$', "?"))?;
        statement.execute(rusqlite::params_from_iter(args))?;
        Ok(())
    }

    /// Runs a text of several statements without parameters.
    pub(super) fn run(&mut self, text: &str) -> Result<(), Error> {
        Ok(self.raw.execute_batch(text)?)
    }

    /// Runs a single statement without parameters that comes again and again.
    pub(super) fn step(&mut self, text: &'static str) -> Result<(), Error> {
        self.raw.prepare_cached(text)?.execute([])?;
        Ok(())
    }

    /// From now on a statement that runs ends with an error as soon as scans have to end.
    pub(super) fn give_way_to(&mut self, stall: Stall) -> Result<(), Error> {
        let ends = move || stall.ends_scans();
        Ok(self.raw.progress_handler(STEPS_BETWEEN_LOOKS, Some(ends))?)
    }

    /// It reads to the end again, whoever waits.
    pub(super) fn give_way_to_nobody(&mut self) -> Result<(), Error> {
        Ok(self.raw.progress_handler(0, None::<fn() -> bool>)?)
    }

    /// Starts a transaction that may write.
    pub(super) fn begin(&mut self) -> Result<(), Error> {
        self.step("BEGIN IMMEDIATE")
    }

    /// Makes the transaction durable.
    pub(super) fn commit(&mut self) -> Result<(), Error> {
        self.step("COMMIT")
    }

    /// Starts a transaction that sees one moment and writes nothing.
    pub(super) fn begin_reading(&mut self) -> Result<(), Error> {
        self.step("BEGIN")
    }

    /// Ends it; harmless where there is none. There is nothing to take back, and looking for it costs.
    pub(super) fn end_reading(&mut self) -> Result<(), Error> {
        if self.raw.is_autocommit() { Ok(()) } else { self.commit() }
    }

    /// Writes a page as it is, through to the disk: whether it takes writes.
    pub(super) fn rewrite_a_page(&mut self) -> Result<(), Error> {
        self.begin()?;
        // The engine's own number for programs; ours are in a table, and this one stays nought.
        self.run("PRAGMA user_version = 0")?;
        self.commit()
    }

    /// Forgets the transaction; harmless where there is none.
    pub(super) fn roll_back(&mut self) -> Result<(), Error> {
        if self.raw.is_autocommit() { Ok(()) } else { self.run("ROLLBACK") }
    }

    /// Copies the write-ahead log into the file and cuts it to nothing, so that no deleted byte
    /// survives there. An error where a reader stands in the way.
    pub(super) fn checkpoint_truncating(&mut self) -> Result<(), Error> {
        self.copy_log("PRAGMA wal_checkpoint(TRUNCATE)")
    }

    /// Copies the write-ahead log into the file, so that the next writer starts it anew. An error where
    /// a reader stands in the way.
    pub(super) fn checkpoint_restarting(&mut self) -> Result<(), Error> {
        self.copy_log("PRAGMA wal_checkpoint(RESTART)")
    }

    /// How much of the write-ahead log there is, and how much of it stands in the file already.
    pub(super) fn wal_pages(&mut self) -> Result<WalPages, Error> {
        Ok(self.raw.query_row("PRAGMA wal_checkpoint(NOOP)", [], |row| {
            Ok(WalPages { in_log: row.get(1)?, copied: row.get(2)? })
        })?)
    }

    /// Copies what it can of the write-ahead log into the file without waiting for anyone.
    pub(super) fn checkpoint_passive(&mut self) -> Result<(), Error> {
        self.raw.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
        Ok(())
    }

    fn copy_log(&mut self, pragma: &str) -> Result<(), Error> {
        let busy: i64 = self.raw.query_row(pragma, [], |row| row.get(0))?;
        if busy == 0 {
            return Ok(());
        }
        let detail = "a reader keeps the write-ahead log open; it is tried again";
        Err(Error::unavailable(CHECKPOINT_BUSY, detail).retry_after(1))
    }
}

impl From<rusqlite::Error> for Error {
    fn from(cause: rusqlite::Error) -> Self {
        if cause.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) {
            let detail = "this clashes with what is stored; read it again and decide once more";
            return Self::conflict("conflict", detail).caused_by(cause);
        }
        if cause.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) {
            return scan_ended();
        }
        if cause.sqlite_error_code() == Some(ErrorCode::DiskFull) {
            let detail =
                "the disk is full; nothing was changed or shown. Free disk space, then try again";
            return Self::unavailable(DISK_FULL, detail).caused_by(cause).retry_after(1);
        }
        let detail = "the database did not take it; nothing was changed or shown. Check the disk \
                      (space, errors), then try again";
        Self::unavailable("storage", detail).caused_by(cause).retry_after(1)
    }
}

impl rusqlite::ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        use rusqlite::types::{ToSqlOutput, Value as Owned};
        Ok(match self {
            Self::Bytes(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
            Self::Integer(number) => ToSqlOutput::Owned(Owned::Integer(*number)),
            Self::Null(_) => ToSqlOutput::Owned(Owned::Null),
            Self::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        })
    }
}

fn read_row(row: &rusqlite::Row<'_>, columns: usize) -> Result<Row, Error> {
    let mut values = Vec::with_capacity(columns);
    for column in 0..columns {
        values.push(match row.get_ref(column)? {
            ValueRef::Null => Value::Null(NullOf::Integer),
            ValueRef::Integer(number) => Value::Integer(number),
            // Other hands alone write text that is no UTF-8: as bytes it fits no column of text, and
            // whoever reads the row can say which one was changed.
            ValueRef::Text(text) => String::from_utf8(text.to_vec())
                .map_or_else(|error| Value::Bytes(error.into_bytes()), Value::Text),
            ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
            ValueRef::Real(_) => return Err(Error::internal("a stored number is not whole")),
        });
    }
    Ok(Row(values))
}

/// A new file is readable by its owner only; the write-ahead log takes its mode from it.
fn create_private(path: &Path) -> Result<(), Error> {
    let mut options = OpenOptions::new();
    match options.create_new(true).write(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(known) if known.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(cause) => {
            let detail = "a database file cannot be made; check the folder and the disk";
            Err(Error::unavailable("storage", detail).caused_by(cause).retry_after(1))
        }
    }
}

/// Rewrites `$N` to `?N` once per statement. Statements are our own constants and never hold a
/// dollar sign in a literal.
fn portable_parameters<'a>(
    rewritten: &'a mut HashMap<&'static str, String>,
    sql: &'static str,
) -> &'a str {
    rewritten.entry(sql).or_insert_with(|| sql.replace('$', "?"))
}

/// The code of a write that met the end of the disk.
pub(super) const DISK_FULL: &str = "disk_full";

/// The code of a log that cannot be cut yet.
pub const CHECKPOINT_BUSY: &str = "checkpoint_busy";

/// A thousand times what a short read takes.
const READER_TIME_MAX: Duration = Duration::from_millis(20);

/// Steps of the engine between two looks whether scans have to end: well under a millisecond.
const STEPS_BETWEEN_LOOKS: std::ffi::c_int = 10_000;

/// More than the number of statements all rooms have together.
const STATEMENTS_CACHED_MAX: usize = 256;

/// Pages of 8 KiB hold a customer's sealed records; measured best (`specs/performance.md`).
/// Checkpoints run on a thread of their own, so the writer never pauses for one.
const WRITER_SETTINGS: &str = "
    PRAGMA page_size = 8192;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA secure_delete = ON;
    PRAGMA wal_autocheckpoint = 0;
    PRAGMA busy_timeout = 5000;
    PRAGMA temp_store = MEMORY;
    PRAGMA cache_size = -65536;
";

/// No journal and no waiting for the disk: a restore that breaks off begins anew.
const SCRATCH_SETTINGS: &str = "
    PRAGMA page_size = 8192;
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    PRAGMA secure_delete = ON;
    PRAGMA locking_mode = EXCLUSIVE;
    PRAGMA temp_store = MEMORY;
    PRAGMA cache_size = -131072;
";

const READER_SETTINGS: &str = "
    PRAGMA query_only = ON;
    PRAGMA busy_timeout = 5000;
    PRAGMA temp_store = MEMORY;
    PRAGMA cache_size = -2048;
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_bind_by_their_number_whatever_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let mut db = Sqlite::open(&folder.path().join("t.db"), Durability::Durable).unwrap();
        let rows = db.query("SELECT $2, $1", &[Value::from(1), Value::from("two")]).unwrap();
        assert_eq!((rows[0].text(0).unwrap(), rows[0].integer(1).unwrap()), ("two", 1));
    }

    #[test]
    fn nobody_but_the_owner_reads_a_new_file_or_its_log() {
        use std::os::unix::fs::MetadataExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.db");
        let mut db = Sqlite::open(&path, Durability::Durable).unwrap();
        db.run("CREATE TABLE t (a BIGINT)").unwrap();
        for name in ["t.db", "t.db-wal", "t.db-shm"] {
            let mode = folder.path().join(name).metadata().unwrap().mode();
            assert_eq!(mode & 0o077, 0, "{name}");
        }
    }

    #[test]
    fn a_reading_connection_cannot_write() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.db");
        Sqlite::open(&path, Durability::Durable).unwrap().run("CREATE TABLE t (a BIGINT)").unwrap();
        let mut reader = Sqlite::open(&path, Durability::ReadOnly).unwrap();
        assert!(reader.execute(&Statement::new("INSERT INTO t VALUES (1)", vec![])).is_err());
    }
}

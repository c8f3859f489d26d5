//! One connection, to whichever engine there is.

use std::path::{Path, PathBuf};

use crate::db::postgres::{Postgres, Server};
use crate::db::sqlite::Sqlite;
use crate::db::stall::{Stall, scan_ended};
use crate::error::Error;
use crate::sql::{Row, Statement, Value};

/// One connection. Never shared between threads at the same time.
pub struct Connection {
    engine: Engine,
    gives_way_to: Option<Stall>,
}

enum Engine {
    Sqlite(Sqlite),
    Postgres(Box<Postgres>),
}

/// Is given one row at a time.
pub(super) type EachRow<'a> = &'a mut dyn FnMut(Row) -> Result<(), Error>;

/// What became of several statements.
pub struct Ran {
    /// How many rows each changed, or brought back, up to the one that failed.
    pub rows: Vec<u64>,
    /// Why that one did.
    pub failed: Option<Error>,
}

impl Ran {
    /// All of them, or why there are fewer.
    pub fn whole(self) -> Result<Vec<u64>, Error> {
        self.failed.map_or(Ok(self.rows), Err)
    }
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Reads only; the engine refuses writes.
    ReadOnly,
    /// For a copy under construction that nobody takes for data: fast, and worth nothing after a crash
    /// until [`Connection::settle`].
    Scratch,
    /// Every commit is on the disk before it returns, and deleted bytes are overwritten.
    Durable,
}

/// Where a database is.
#[derive(Clone)]
pub enum Place {
    /// In a file of its own.
    File(PathBuf),
    /// At a server.
    Server(Server),
}

impl Place {
    /// Opens a connection; a server's are all the same.
    pub fn open(&self, durability: Durability) -> Result<Connection, Error> {
        match self {
            Self::File(path) => Connection::open(path, durability),
            Self::Server(server) => Connection::to(server),
        }
    }

    /// Whether whoever copies the one copies the other: two databases of one cluster share its write-ahead
    /// log and its backups. Two files are a pair that belongs together, and never said to be.
    pub fn is_beside(&self, other: &Self) -> Result<bool, Error> {
        let (Self::Server(one), Self::Server(other)) = (self, other) else { return Ok(false) };
        Ok(one.cluster()? == other.cluster()?)
    }

    /// The file, where it is one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Server(_) => None,
        }
    }
}

impl Connection {
    /// Opens, and for a writer creates, the file.
    pub fn open(path: &Path, durability: Durability) -> Result<Self, Error> {
        Ok(Self::over(Engine::Sqlite(Sqlite::open(path, durability)?)))
    }

    /// Opens a connection that cuts the write-ahead log. Cutting keeps every writer out while it waits
    /// for readers, so it waits for short ones alone.
    pub fn open_to_cut(path: &Path) -> Result<Self, Error> {
        Ok(Self::over(Engine::Sqlite(Sqlite::open_to_cut(path)?)))
    }

    /// Opens a connection to a server, whose commits are durable.
    pub fn to(server: &Server) -> Result<Self, Error> {
        Ok(Self::over(Engine::Postgres(Box::new(server.connect()?))))
    }

    fn over(engine: Engine) -> Self {
        Self { engine, gives_way_to: None }
    }

    /// All rows that come back.
    pub fn query(&mut self, sql: &'static str, args: &[Value]) -> Result<Vec<Row>, Error> {
        if self.gives_way_to.as_ref().is_some_and(Stall::ends_scans) {
            return Err(scan_ended());
        }
        match &mut self.engine {
            Engine::Sqlite(db) => db.query(sql, args),
            Engine::Postgres(db) => db.query(sql, args),
        }
    }

    /// The only row, or none; a second one is an error of ours.
    pub fn one(&mut self, sql: &'static str, args: &[Value]) -> Result<Option<Row>, Error> {
        let mut rows = self.query(sql, args)?;
        match rows.len() {
            0 | 1 => Ok(rows.pop()),
            more => Err(Error::internal(format!("{more} rows where one was expected"))),
        }
    }

    /// How many rows a statement changed, or brought back if it is a question.
    pub fn execute(&mut self, statement: &Statement) -> Result<u64, Error> {
        match &mut self.engine {
            Engine::Sqlite(db) => db.execute(statement),
            Engine::Postgres(db) => db.execute(statement),
        }
    }

    /// Runs statements in their order up to the first that fails. Over a server one way there and back serves many
    /// of them, and those behind one that failed were sent too: the transaction is good for nothing but to be
    /// rolled back.
    pub fn execute_all(&mut self, statements: &[&Statement]) -> Result<Ran, Error> {
        match &mut self.engine {
            Engine::Sqlite(db) => Ok(db.execute_all(statements)),
            Engine::Postgres(db) => db.execute_all(statements),
        }
    }

    /// The same where nobody asks how many rows each of them changed. Over a server rows for one table that follow each
    /// other are one statement.
    pub fn write_all(&mut self, statements: &[&Statement]) -> Result<(), Error> {
        match &mut self.engine {
            Engine::Sqlite(db) => db.execute_all(statements).whole().map(drop),
            Engine::Postgres(db) => db.write_all(statements),
        }
    }

    /// The same, and as [`Connection::execute_later`] does.
    pub fn write_all_later(&mut self, statements: &[&Statement]) -> Result<(), Error> {
        match &mut self.engine {
            Engine::Sqlite(db) => db.execute_all(statements).whole().map(drop),
            Engine::Postgres(db) => db.write_all_later(statements),
        }
    }

    /// Runs a statement of which nobody asks how many rows it changed. Over a server nobody waits for it
    /// either: where it fails, so does what comes after it in the transaction, and its COMMIT.
    pub fn execute_later(&mut self, statement: &Statement) -> Result<(), Error> {
        match &mut self.engine {
            Engine::Sqlite(db) => db.execute(statement).map(drop),
            Engine::Postgres(db) => db.execute_later(statement),
        }
    }

    /// The same with a fixed text.
    pub(super) fn run_later(&mut self, text: &'static str) -> Result<(), Error> {
        match &mut self.engine {
            Engine::Sqlite(db) => db.step(text),
            Engine::Postgres(db) => db.run_later(text),
        }
    }

    /// Gives each row that comes back, one at a time: of millions, where all of them would not fit into memory.
    pub fn each_row(
        &mut self,
        sql: &'static str,
        args: &[Value],
        each: impl FnMut(Row) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.visit(sql, args, each)
    }

    /// Gives each row of a statement that was put together while running, one at a time: such are made of
    /// names that stand in the schema, and of nothing else.
    pub(super) fn visit(
        &mut self,
        sql: &str,
        args: &[Value],
        mut each: impl FnMut(Row) -> Result<(), Error>,
    ) -> Result<(), Error> {
        match &mut self.engine {
            Engine::Sqlite(db) => db.visit(sql, args, &mut each),
            Engine::Postgres(db) => db.visit(sql, args, &mut each),
        }
    }

    /// Runs a statement that was put together while running.
    pub(super) fn execute_made(&mut self, sql: &str, args: &[Value]) -> Result<(), Error> {
        match &mut self.engine {
            Engine::Sqlite(db) => db.execute_made(sql, args),
            Engine::Postgres(db) => db.execute_made(sql, args),
        }
    }

    /// Puts rows into a table, all in one go where the engine can.
    pub(super) fn put_rows(
        &mut self,
        (table, columns): (&str, &str),
        insert: &str,
        rows: &[Vec<Value>],
    ) -> Result<(), Error> {
        match &mut self.engine {
            Engine::Sqlite(db) => rows.iter().try_for_each(|row| db.execute_made(insert, row)),
            Engine::Postgres(db) => db.put_rows(table, columns, rows),
        }
    }

    /// Makes a scratch database what any other is: whole, on the disk, with a write-ahead log.
    pub fn settle(&mut self, path: &Path) -> Result<(), Error> {
        match &mut self.engine {
            Engine::Sqlite(db) => db.settle(path),
            // Never anything else.
            Engine::Postgres(_) => Ok(()),
        }
    }

    /// Runs a text of several statements without parameters.
    pub(super) fn run(&mut self, text: &str) -> Result<(), Error> {
        match &mut self.engine {
            Engine::Sqlite(db) => db.run(text),
            Engine::Postgres(db) => db.run(text),
        }
    }

    /// Which words of a schema it takes.
    pub(super) fn dialect(&self) -> &'static Dialect {
        match &self.engine {
            Engine::Sqlite(_) => &Dialect::SQLITE,
            Engine::Postgres(_) => &Dialect::POSTGRES,
        }
    }

    /// From now on what it reads ends with an error, between statements and inside of one, as soon as
    /// scans have to end.
    pub(super) fn give_way_to(&mut self, stall: Stall) -> Result<(), Error> {
        match &mut self.engine {
            Engine::Sqlite(db) => db.give_way_to(stall.clone())?,
            Engine::Postgres(db) => db.give_way_to(Some(stall.clone())),
        }
        self.gives_way_to = Some(stall);
        Ok(())
    }

    /// It reads to the end again, whoever waits.
    pub(super) fn give_way_to_nobody(&mut self) -> Result<(), Error> {
        if self.gives_way_to.take().is_none() {
            return Ok(());
        }
        match &mut self.engine {
            Engine::Sqlite(db) => db.give_way_to_nobody(),
            Engine::Postgres(db) => {
                db.give_way_to(None);
                Ok(())
            }
        }
    }

    /// Starts a transaction that may write.
    pub fn begin(&mut self) -> Result<(), Error> {
        match &mut self.engine {
            Engine::Sqlite(db) => db.begin(),
            Engine::Postgres(db) => db.begin(),
        }
    }

    /// Starts a transaction that sees one moment and writes nothing.
    pub(super) fn begin_reading(&mut self) -> Result<(), Error> {
        match &mut self.engine {
            Engine::Sqlite(db) => db.begin_reading(),
            Engine::Postgres(db) => db.begin_reading(),
        }
    }

    /// Whether nothing is asked over it any more; a file is always there.
    pub fn is_closed(&self) -> bool {
        match &self.engine {
            Engine::Sqlite(_) => false,
            Engine::Postgres(db) => db.is_closed(),
        }
    }

    /// Ends it; harmless where there is none.
    pub(super) fn end_reading(&mut self) -> Result<(), Error> {
        match &mut self.engine {
            Engine::Sqlite(db) => db.end_reading(),
            Engine::Postgres(db) => db.run_later("ROLLBACK"),
        }
    }

    /// Makes the transaction durable.
    pub fn commit(&mut self) -> Result<(), Error> {
        match &mut self.engine {
            Engine::Sqlite(db) => db.commit(),
            Engine::Postgres(db) => db.commit(),
        }
    }

    /// Writes something as it is, through to the disk: whether it takes writes.
    pub(super) fn rewrite_a_page(&mut self) -> Result<(), Error> {
        match &mut self.engine {
            Engine::Sqlite(db) => db.rewrite_a_page(),
            Engine::Postgres(db) => db.rewrite_a_row(),
        }
    }

    /// Forgets the transaction; harmless where there is none.
    pub fn roll_back(&mut self) -> Result<(), Error> {
        match &mut self.engine {
            Engine::Sqlite(db) => db.roll_back(),
            Engine::Postgres(db) => db.roll_back(),
        }
    }

    /// Has a server give back the room of what was deleted from these tables, to be overwritten. A file has
    /// [`Self::checkpoint_truncating`] for that.
    pub fn free_deleted(&mut self, tables: &[&'static str]) -> Result<(), Error> {
        match &mut self.engine {
            Engine::Sqlite(_) => Ok(()),
            Engine::Postgres(db) => db.run(&format!("VACUUM {}", tables.join(", "))),
        }
    }

    /// Copies the write-ahead log into the file and cuts it to nothing, so that no deleted byte
    /// survives there. An error where a reader stands in the way. A server keeps its own log, and what was
    /// deleted is in that for as long as it is configured to.
    pub fn checkpoint_truncating(&mut self) -> Result<(), Error> {
        match &mut self.engine {
            Engine::Sqlite(db) => db.checkpoint_truncating(),
            Engine::Postgres(_) => Ok(()),
        }
    }
}

/// What the engines call differently.
pub(super) struct Dialect {
    /// What stands in a schema, and the engine's word for it.
    pub(super) words: [(&'static str, &'static str); 4],
    /// Brings back the names of all tables but the one that holds the version of the schema.
    pub(super) list_tables: &'static str,
    /// Brings back the names of the columns of a table, in their order.
    pub(super) list_columns: &'static str,
    /// Brings back the names of the columns of a table's primary key, in the order of the key.
    pub(super) list_key: &'static str,
}

impl Dialect {
    const SQLITE: Self = Self {
        words: [
            ("{bytes}", "BLOB"),
            ("{text}", "TEXT"),
            ("{integer}", "INTEGER"),
            ("{clustered}", "WITHOUT ROWID"),
        ],
        list_tables: "SELECT name FROM sqlite_master
WHERE type = 'table' AND name <> 'schema_version' AND name NOT LIKE 'sqlite_%'
ORDER BY name",
        list_columns: "SELECT name FROM pragma_table_info($1) ORDER BY cid",
        list_key: "SELECT name FROM pragma_table_info($1) WHERE pk > 0 ORDER BY pk",
    };

    /// Texts are ordered by their bytes, as SQLite orders them.
    const POSTGRES: Self = Self {
        words: [
            ("{bytes}", "BYTEA"),
            ("{text}", "TEXT COLLATE \"C\""),
            ("{integer}", "BIGINT"),
            ("{clustered}", ""),
        ],
        list_tables: "SELECT tablename::TEXT FROM pg_tables
WHERE schemaname = current_schema() AND tablename <> 'schema_version'
ORDER BY tablename COLLATE \"C\"",
        list_columns: "SELECT attname::TEXT FROM pg_attribute
WHERE attrelid = (quote_ident(current_schema()) || '.' || quote_ident($1))::regclass
AND attnum > 0 AND NOT attisdropped
ORDER BY attnum",
        list_key: "SELECT attname::TEXT FROM pg_index JOIN pg_attribute ON attrelid = indrelid
WHERE indrelid = (quote_ident(current_schema()) || '.' || quote_ident($1))::regclass
AND indisprimary AND attnum = ANY(indkey)
ORDER BY array_position(indkey::INT2[], attnum)",
    };
}

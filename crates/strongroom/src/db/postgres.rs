//! A PostgreSQL server, and one connection to it.
//!
//! Sharp edges this hides: PostgreSQL guesses the types of parameters and guesses int4, so each is told
//! it; a sum is a number of a type of its own; a COMMIT after an error answers well and rolls back; and
//! what it says of an error may repeat a value.

mod many;

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::executor::block_on;
use futures::{FutureExt, TryStreamExt};
use rustls::ClientConfig;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{CancelToken, Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::db::connection::EachRow;
use crate::db::sqlite::DISK_FULL;
use crate::db::stall::{Stall, scan_ended};
use crate::db::url::{bad_url, parse, stays_here};
use crate::db::wire::{read_row, type_of};
use crate::error::Error;
use crate::sql::{Row, Statement, Value};

/// How a server is reached. Cheap to clone; its connections are driven by one thread of their own, so that a
/// caller on any thread may wait for an answer.
#[derive(Clone)]
pub struct Server {
    config: Arc<Config>,
    tls: Option<Arc<ClientConfig>>,
    driver: Arc<Driver>,
    patience: Duration,
}

/// Ends without waiting for its connections, in whatever context the last user of it goes.
struct Driver(Option<Runtime>);

impl Driver {
    fn runtime(&self) -> Result<&Runtime, Error> {
        self.0.as_ref().ok_or_else(|| Error::internal("no driver"))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Server {
    /// By a URL `postgres://user@host:5432/database`. Whatever is not on this machine is spoken to over TLS
    /// alone; without `tls`, only a server on this machine is.
    pub fn at(
        url: &str,
        password: Option<&[u8]>,
        tls: Option<Arc<ClientConfig>>,
    ) -> Result<Self, Error> {
        let mut config = parse(url)?;
        if !stays_here(&config) {
            if tls.is_none() {
                return Err(bad_url("the server is another machine, and there is no TLS to it"));
            }
            config.ssl_mode(SslMode::Require);
        }
        if let Some(password) = password {
            config.password(password);
        }
        config.application_name("strongroom").connect_timeout(CONNECT_TIME_MAX);
        config.tcp_user_timeout(SILENCE_MAX).keepalives_idle(SILENCE_MAX);
        let driver = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("postgres")
            .enable_all()
            .build()
            .map_err(Error::internal)?;
        let driver = Arc::new(Driver(Some(driver)));
        Ok(Self { config: Arc::new(config), tls, driver, patience: ANSWER_TIME_MAX })
    }

    /// Whether what is said to the server of a URL stays on this machine.
    pub fn is_here(url: &str) -> Result<bool, Error> {
        parse(url).map(|config| stays_here(&config))
    }

    /// Waits so long for each answer in place of [half a minute](Self::at).
    #[must_use]
    pub fn waiting(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Opens a connection whose commits are durable; a server that was told to lose them is refused.
    pub(super) fn connect(&self) -> Result<Postgres, Error> {
        let client = self.open()?;
        let answers = Answers {
            driver: Arc::clone(&self.driver),
            patience: self.patience,
            is_lost: Cell::new(false),
            cancel: client.cancel_token(),
            tls: self.tls.clone(),
            gives_way_to: None,
        };
        let (prepared, prepared_rows) = (HashMap::new(), HashMap::new());
        let mut db = Postgres { client, prepared, prepared_rows, answers };
        db.run(SESSION)?;
        for setting in DURABLE {
            let told = db.query(READ_SETTING, &[(*setting).into()])?;
            if told.first().and_then(|row| row.text(0).ok()) == Some("off") {
                return Err(not_durable(setting));
            }
        }
        Ok(db)
    }

    /// What tells its cluster from every other one; a copy of its files has the same.
    pub(super) fn cluster(&self) -> Result<i64, Error> {
        let told = self.connect()?.query(READ_CLUSTER, &[])?;
        told.first().map_or_else(|| Err(silent()), |row| row.integer(0))
    }

    fn open(&self) -> Result<Client, Error> {
        let (config, tls) = (Arc::clone(&self.config), self.tls.clone());
        let opening = async move {
            // One or the other: both give a client, and a connection of another type.
            Ok::<_, tokio_postgres::Error>(match tls {
                Some(tls) => {
                    let tls = MakeRustlsConnect::new(ClientConfig::clone(&tls));
                    let (client, connection) = config.connect(tls).await?;
                    tokio::spawn(async move { drop(connection.await) });
                    client
                }
                None => {
                    let (client, connection) = config.connect(NoTls).await?;
                    tokio::spawn(async move { drop(connection.await) });
                    client
                }
            })
        };
        let patience = self.patience;
        let opening = async move { tokio::time::timeout(patience, opening).await };
        let opening = self.driver.runtime()?.spawn(opening);
        block(opening).map_err(Error::internal)?.map_err(|_| silent())?.map_err(Error::from)
    }
}

/// What a connection waits for, and how long.
struct Answers {
    driver: Arc<Driver>,
    patience: Duration,
    /// Nobody knows what became of what was asked last.
    is_lost: Cell<bool>,
    /// Ends what runs, by a connection of its own.
    cancel: CancelToken,
    tls: Option<Arc<ClientConfig>>,
    gives_way_to: Option<Stall>,
}

impl Answers {
    /// Waits for an answer, and not longer than a server takes that is merely slow. Then the connection is
    /// good for nothing more: what was asked may still be done.
    fn wait<T>(
        &self,
        asking: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Error> {
        if self.is_lost.get() {
            return Err(silent());
        }
        let runtime = self.driver.runtime()?;
        let _clock = runtime.enter();
        let mut asking = std::pin::pin!(asking);
        let (mut waited, mut is_cancelled) = (Duration::ZERO, false);
        while waited < self.patience {
            if let Ok(answer) = block(tokio::time::timeout(LOOK_INTERVAL, asking.as_mut())) {
                // A cancellation that comes late would end whatever is asked next.
                self.is_lost.set(is_cancelled);
                return Ok(answer?);
            }
            waited += LOOK_INTERVAL;
            if !is_cancelled && self.gives_way_to.as_ref().is_some_and(Stall::ends_scans) {
                is_cancelled = true;
                runtime.spawn(cancel(self.cancel.clone(), self.tls.clone()));
            }
        }
        self.is_lost.set(true);
        Err(silent())
    }
}

impl Answers {
    /// Sends what is asked and lets the answer go by. Answers come in the order of the questions, so whoever
    /// asks after it waits for it too.
    fn leave<T>(
        &self,
        asking: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<(), Error> {
        if self.is_lost.get() {
            return Err(silent());
        }
        // The first step of a question sends it.
        match asking.now_or_never() {
            Some(Err(error)) => Err(error.into()),
            Some(Ok(_)) | None => Ok(()),
        }
    }
}

/// Blocks this thread, on whatever it runs. Inside a task the runtime would have everybody pause after some
/// answers, and wait for a turn that a blocked thread never gives.
fn block<T>(future: impl Future<Output = T>) -> T {
    block_on(tokio::task::unconstrained(future))
}

/// Its answer says nothing: what was asked ends with an error of its own, or was done before.
async fn cancel(token: CancelToken, tls: Option<Arc<ClientConfig>>) {
    let _ = match tls {
        Some(tls) => token.cancel_query(MakeRustlsConnect::new(ClientConfig::clone(&tls))).await,
        None => token.cancel_query(NoTls).await,
    };
}

/// One connection. Never shared between threads at the same time.
pub(super) struct Postgres {
    client: Client,
    prepared: HashMap<&'static str, tokio_postgres::Statement>,
    /// Of statements that write a row, those that write many; none where there is none.
    prepared_rows: HashMap<&'static str, Option<tokio_postgres::Statement>>,
    answers: Answers,
}

impl Postgres {
    /// All rows that come back.
    pub(super) fn query(&mut self, sql: &'static str, args: &[Value]) -> Result<Vec<Row>, Error> {
        let statement = self.prepare(sql, args)?;
        let args: Vec<&(dyn ToSql + Sync)> = args.iter().map(|arg| arg as _).collect();
        let rows = self.answers.wait(self.client.query(&statement, &args))?;
        rows.iter().map(read_row).collect()
    }

    /// How many rows a statement changed, or brought back if it is a question.
    pub(super) fn execute(&mut self, statement: &Statement) -> Result<u64, Error> {
        let prepared = self.prepare(statement.sql, &statement.args)?;
        let args: Vec<&(dyn ToSql + Sync)> = statement.args.iter().map(|arg| arg as _).collect();
        self.answers.wait(self.client.execute(&prepared, &args))
    }

    /// Sends a statement of the transaction under way and does not wait: what is asked next does, and fails
    /// where this one failed; so does the COMMIT.
    pub(super) fn execute_later(&mut self, statement: &Statement) -> Result<(), Error> {
        let prepared = self.prepare(statement.sql, &statement.args)?;
        let args: Vec<&(dyn ToSql + Sync)> = statement.args.iter().map(|arg| arg as _).collect();
        self.answers.leave(self.client.execute(&prepared, &args))
    }

    /// The same with a text of several statements without parameters.
    pub(super) fn run_later(&mut self, text: &str) -> Result<(), Error> {
        self.answers.leave(self.client.batch_execute(text))
    }

    /// Whether its server, or the way there, is gone, or an answer never came.
    pub(super) fn is_closed(&self) -> bool {
        self.answers.is_lost.get() || self.client.is_closed()
    }

    /// Starts a transaction that sees one moment, which is that of the first question in it.
    pub(super) fn begin_reading(&mut self) -> Result<(), Error> {
        self.run_later("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    }

    fn prepare(
        &mut self,
        sql: &'static str,
        args: &[Value],
    ) -> Result<tokio_postgres::Statement, Error> {
        if let Some(known) = self.prepared.get(sql) {
            return Ok(known.clone());
        }
        let types: Vec<Type> = args.iter().map(type_of).collect();
        let prepared = self.answers.wait(self.client.prepare_typed(sql, &types))?;
        self.prepared.insert(sql, prepared.clone());
        Ok(prepared)
    }

    /// From now on a statement that runs ends with an error as soon as scans have to end.
    pub(super) fn give_way_to(&mut self, stall: Option<Stall>) {
        self.answers.gives_way_to = stall;
    }

    /// Runs a text of several statements without parameters.
    pub(super) fn run(&mut self, text: &str) -> Result<(), Error> {
        self.answers.wait(self.client.batch_execute(text))
    }

    /// Starts a transaction.
    pub(super) fn begin(&mut self) -> Result<(), Error> {
        self.run("BEGIN")
    }

    /// Makes the transaction durable. Where an error in it was passed over, the question before it fails,
    /// and with it this; a COMMIT alone would answer as if it had been done.
    pub(super) fn commit(&mut self) -> Result<(), Error> {
        self.run("SELECT 1; COMMIT")
    }

    /// Forgets the transaction; harmless where there is none.
    pub(super) fn roll_back(&mut self) -> Result<(), Error> {
        self.run("ROLLBACK")
    }

    /// Gives each row of a statement that was put together while running, one at a time.
    pub(super) fn visit(
        &mut self,
        sql: &str,
        args: &[Value],
        each: EachRow<'_>,
    ) -> Result<(), Error> {
        let typed = args.iter().map(|arg| (arg, type_of(arg)));
        let rows = self.answers.wait(self.client.query_typed_raw(sql, typed))?;
        let mut rows = std::pin::pin!(rows);
        while let Some(row) = self.answers.wait(rows.try_next())? {
            each(read_row(&row)?)?;
        }
        Ok(())
    }

    /// Runs a statement that was put together while running. A null may stand in a column of any type.
    pub(super) fn execute_made(&mut self, sql: &str, args: &[Value]) -> Result<(), Error> {
        let args: Vec<&(dyn ToSql + Sync)> = args.iter().map(|arg| arg as _).collect();
        self.answers.wait(self.client.execute(sql, &args)).map(drop)
    }

    /// Puts rows into a table as a stream of their own: one answer for all of them.
    pub(super) fn put_rows(
        &mut self,
        table: &str,
        columns: &str,
        rows: &[Vec<Value>],
    ) -> Result<(), Error> {
        let shape = format!("SELECT {columns} FROM {table}");
        let shape = self.answers.wait(self.client.prepare(&shape))?;
        let types: Vec<Type> = shape.columns().iter().map(|it| it.type_().clone()).collect();
        let copy = format!("COPY {table} ({columns}) FROM STDIN BINARY");
        self.answers.wait(async {
            let stream = self.client.copy_in(&copy).await?;
            let mut writer = std::pin::pin!(BinaryCopyInWriter::new(stream, &types));
            for row in rows {
                writer.as_mut().write_raw(row).await?;
            }
            writer.finish().await
        })?;
        Ok(())
    }

    /// Writes a row as it is, through to the disk.
    pub(super) fn rewrite_a_row(&mut self) -> Result<(), Error> {
        self.run("BEGIN; UPDATE schema_version SET version = version; COMMIT")
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(told) = error.as_db_error() else {
            return silent().caused_by(error);
        };
        // Its message may repeat a value; its code and what clashed do not.
        let (code, constraint) = (told.code().code(), told.constraint().unwrap_or_default());
        let cause = format!("SQLSTATE {code} {constraint}");
        if code.starts_with(CONSTRAINT_CLASS) {
            let detail = "this clashes with what is stored; read it again and decide once more";
            return Self::conflict("conflict", detail).caused_by(cause);
        }
        if *told.code() == SqlState::QUERY_CANCELED {
            return scan_ended();
        }
        if *told.code() == SqlState::DISK_FULL {
            let detail = "the disk of the database server is full; nothing was changed or shown. Free disk \
                          space there, then try again";
            return Self::unavailable(DISK_FULL, detail).caused_by(cause).retry_after(1);
        }
        let detail = "the database server did not take it; nothing was changed or shown. See the \
                      server's own log, then try again";
        Self::unavailable("storage", detail).caused_by(cause).retry_after(1)
    }
}

fn silent() -> Error {
    let detail = "the database server does not answer, so nothing is shown; read again whether a change that \
                  was just asked for was done. Check that it runs and can be reached, then try again";
    Error::unavailable("storage", detail).retry_after(1)
}

fn not_durable(setting: &str) -> Error {
    let detail = format!(
        "`{setting}` is off at the PostgreSQL server, so it loses what it called done when it stops; \
         set it to `on` in its configuration"
    );
    Error::unavailable("not_durable", detail)
}

/// Longer than a server takes that is merely busy.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);

/// A server that says nothing for so long is gone: its packets are lost on the way.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// A statement of ours takes milliseconds, a page of many rows a second: then the server hangs.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(30);

/// Between two looks whether what runs has to end.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// SQLSTATE of what clashes with a constraint.
const CONSTRAINT_CLASS: &str = "23";

/// Whoever waits for a lock waits for a writer that hangs; whoever idles in a transaction keeps the others
/// waiting. Both end long before anybody's patience.
const SESSION: &str = "SET synchronous_commit = on;
SET lock_timeout = '5s';
SET idle_in_transaction_session_timeout = '10s';
SET client_min_messages = warning;
SET timezone = 'UTC'";

/// Without these an answered commit is lost with the server's power.
const DURABLE: &[&str] = &["fsync", "full_page_writes", "synchronous_commit"];

const READ_CLUSTER: &str = "SELECT system_identifier FROM pg_control_system()";

const READ_SETTING: &str = "SELECT setting FROM pg_settings WHERE name = $1";

//! The data of a shop, as whoever holds its database sees it: a file, or a schema of a server of PostgreSQL.
//!
//! Which of them is chosen for a whole run: `STRONGROOM_ENGINE=postgres`, `STRONGROOM_ENGINE=servers` for the keys at
//! a second server too, or SQLite without a word.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use strongroom::db::{Connection, Durability, Row, Server, Statement};
use strongroom::error::Error;

use crate::support::postgres::Cluster;

/// Where the data of one shop is.
#[derive(Clone)]
pub(crate) enum Data {
    File(PathBuf),
    /// By the name of its schema.
    Schema(At, String),
    /// Over a way of a test's own.
    Server(Server),
}

/// Which of the two servers of a run.
#[derive(Clone, Copy)]
pub(crate) enum At {
    OfData,
    OfKeys,
}

impl At {
    fn cluster(self) -> &'static Cluster {
        let found = match self {
            Self::OfData => Cluster::shared(),
            Self::OfKeys => Cluster::of_keys(),
        };
        found.expect("STRONGROOM_ENGINE asks for PostgreSQL, which is not here")
    }

    /// The database in which shops have schemas of their own.
    fn shops(self) -> &'static Server {
        static SHOPS: [OnceLock<Server>; 2] = [OnceLock::new(), OnceLock::new()];
        SHOPS[self as usize].get_or_init(|| {
            let server = self.cluster().database("shops");
            let mut db = Connection::to(&server).unwrap();
            for word in WORDS {
                db.execute(&Statement::new(word, Vec::new())).unwrap();
            }
            server
        })
    }

    fn make_schema(self, prefix: &str) -> String {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let schema = format!("{prefix}_{}", MADE.fetch_add(1, Ordering::SeqCst));
        let mut db = Connection::to(self.shops()).unwrap();
        db.execute(&made(format!("CREATE SCHEMA {schema}"))).unwrap();
        schema
    }

    fn url(self, schema: &str) -> String {
        let url = self.cluster().url("shops");
        format!("{url}&options=-csearch_path%3D{schema},public")
    }
}

/// What a question of a test brings back.
pub(crate) trait Answered: Sized {
    fn of(row: &Row) -> Self;
}

impl Answered for i64 {
    fn of(row: &Row) -> Self {
        row.integer(0).unwrap()
    }
}

impl Answered for String {
    fn of(row: &Row) -> Self {
        row.text(0).unwrap().to_owned()
    }
}

impl Answered for Vec<u8> {
    fn of(row: &Row) -> Self {
        row.bytes(0).unwrap().to_vec()
    }
}

impl From<&PathBuf> for Data {
    fn from(file: &PathBuf) -> Self {
        Self::File(file.clone())
    }
}

impl From<&Path> for Data {
    fn from(file: &Path) -> Self {
        Self::File(file.to_owned())
    }
}

impl From<&Data> for Data {
    fn from(data: &Data) -> Self {
        data.clone()
    }
}

impl Data {
    /// A place for a new shop, in its folder or at the server that the run is for.
    pub(crate) fn fresh(folder: &Path) -> Self {
        if !runs_on_a_server() {
            return Self::File(folder.join("data/strongroom.db"));
        }
        let schema = At::OfData.make_schema("shop");
        let password = password_file(At::OfData.cluster(), folder);
        let url = At::OfData.url(&schema);
        let section = format!("[database]\nurl = {url:?}\npassword_file = {password:?}\n");
        std::fs::write(folder.join(SECTION), section).unwrap();
        Self::Schema(At::OfData, schema)
    }

    /// The same for its keys.
    pub(crate) fn fresh_keys(folder: &Path) -> Self {
        if !keys_are_on_a_server() {
            return Self::File(folder.join("data/keys.db"));
        }
        let schema = At::OfKeys.make_schema("keys");
        let section = key_section(At::OfKeys.cluster(), &At::OfKeys.url(&schema), folder);
        std::fs::write(folder.join(SECTION), section_of(folder) + &section).unwrap();
        Self::Schema(At::OfKeys, schema)
    }

    /// The way to it, where it is at a server.
    pub(crate) fn server(&self) -> Option<Server> {
        match self {
            Self::File(_) => None,
            Self::Schema(at, schema) => {
                let password = at.cluster().password();
                Some(Server::at(&at.url(schema), Some(password.as_bytes()), None).unwrap())
            }
            Self::Server(server) => Some(server.clone()),
        }
    }

    /// Where it is in a file.
    pub(crate) fn file(&self) -> &Path {
        match self {
            Self::File(file) => file,
            _ => panic!("it is at a server"),
        }
    }

    /// Runs SQL on it, in the words of SQLite, as an intruder with the database would.
    pub(crate) fn intrude(&self, sql: &str) {
        match self {
            Self::File(file) => {
                rusqlite::Connection::open(file).unwrap().execute_batch(sql).unwrap();
            }
            Self::Schema(..) | Self::Server(_) => {
                let mut db = self.connect();
                for one in in_its_words(sql).split(';').filter(|one| !one.trim().is_empty()) {
                    db.execute(&made(one.to_owned())).unwrap_or_else(|e| panic!("{one}: {e:?}"));
                }
            }
        }
    }

    /// From now on nothing is put into a table of it.
    pub(crate) fn refuse_rows_of(&self, table: &str) {
        let sql = match self {
            Self::File(_) => format!(
                "CREATE TRIGGER broken BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'broken'); END"
            ),
            _ => {
                format!("CREATE TRIGGER broken BEFORE INSERT ON {table} EXECUTE FUNCTION refuse()")
            }
        };
        self.connect_to_write().execute(&made(sql)).unwrap();
    }

    /// Takes that back.
    pub(crate) fn take_rows_of(&self, table: &str) {
        let sql = match self {
            Self::File(_) => "DROP TRIGGER broken".to_owned(),
            _ => format!("DROP TRIGGER broken ON {table}"),
        };
        self.connect_to_write().execute(&made(sql)).unwrap();
    }

    /// Every writer waits while this is held.
    pub(crate) fn held(&self) -> Connection {
        let mut db = self.connect_to_write();
        db.begin().unwrap();
        db.execute(&Statement::new("UPDATE ledger_head SET size = size", Vec::new())).unwrap();
        db
    }

    /// Whether these bytes stand in it: in the file, or in a row.
    pub(crate) fn contains(&self, needle: &[u8]) -> bool {
        let has = |bytes: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
        match self {
            Self::File(file) => has(&std::fs::read(file).unwrap()),
            _ => {
                let mut db = self.connect();
                let hex = data_encoding::HEXLOWER.encode(needle);
                // What is no text stands in no text.
                let is_text = needle.iter().all(u8::is_ascii_alphanumeric);
                let text =
                    if is_text { String::from_utf8(needle.to_vec()).unwrap() } else { hex.clone() };
                tables(&mut db).iter().any(|table| {
                    let rows = format!(
                        "SELECT 1 FROM {table} AS it
                         WHERE strpos(it::TEXT, '{hex}') > 0 OR strpos(it::TEXT, '{text}') > 0"
                    );
                    !db.query(rows.leak(), &[]).unwrap().is_empty()
                })
            }
        }
    }

    fn connect_to_write(&self) -> Connection {
        match self {
            Self::File(file) => Connection::open(file, Durability::Durable).unwrap(),
            _ => self.connect(),
        }
    }

    /// The first value of the only row.
    pub(crate) fn one<T: Answered>(&self, sql: &str) -> T {
        let mut all = self.column(sql);
        assert_eq!(all.len(), 1, "{sql}");
        all.remove(0)
    }

    /// The first value of each row.
    pub(crate) fn column<T: Answered>(&self, sql: &str) -> Vec<T> {
        self.try_column(sql).unwrap()
    }

    /// The same while a program writes to it, which may be in the way.
    pub(crate) fn try_column<T: Answered>(&self, sql: &str) -> Result<Vec<T>, Error> {
        let sql = match self {
            Self::File(_) => sql.to_owned(),
            Self::Schema(..) | Self::Server(_) => in_its_words(sql),
        };
        Ok(self.try_connect()?.query(sql.leak(), &[])?.iter().map(T::of).collect())
    }

    /// A copy of all of it, of a file into another one.
    pub(crate) fn copied_to(&self, file: &Path) -> Self {
        match self {
            Self::File(_) => {
                self.intrude(&format!("VACUUM INTO '{}'", file.display()));
                Self::File(file.to_owned())
            }
            Self::Schema(at, schema) => {
                let (copy, mut db) = (at.make_schema("kept"), self.connect());
                for table in tables(&mut db) {
                    let same = format!("CREATE TABLE {copy}.{table} (LIKE {schema}.{table})");
                    db.execute(&made(same)).unwrap();
                    let rows = format!("INSERT INTO {copy}.{table} SELECT * FROM {schema}.{table}");
                    db.execute(&made(rows)).unwrap();
                }
                Self::Schema(*at, copy)
            }
            Self::Server(_) => panic!("only schemas are copied"),
        }
    }

    /// Every row of it in place of those that are there; both are on a server.
    pub(crate) fn become_like(&self, other: &Self) {
        let (Self::Schema(_, own), Self::Schema(_, other)) = (self, other) else {
            panic!("files are copied");
        };
        let mut db = self.connect();
        for table in tables(&mut db) {
            db.execute(&made(format!("DELETE FROM {own}.{table}"))).unwrap();
            let rows = format!("INSERT INTO {own}.{table} SELECT * FROM {other}.{table}");
            db.execute(&made(rows)).unwrap();
        }
    }

    /// For SQL that speaks of its tables under the name of another database, beside those of the one it is
    /// run on.
    pub(crate) fn attached(&self, name: &str, sql: &str) -> String {
        match self {
            Self::File(file) => format!("ATTACH '{}' AS {name}; {sql}", file.display()),
            Self::Schema(_, schema) => sql.replace(&format!("{name}."), &format!("{schema}.")),
            Self::Server(_) => panic!("only schemas are kept"),
        }
    }

    pub(crate) fn connect(&self) -> Connection {
        self.try_connect().unwrap()
    }

    fn try_connect(&self) -> Result<Connection, Error> {
        match self {
            Self::File(file) => Connection::open(file, Durability::ReadOnly),
            Self::Schema(..) | Self::Server(_) => Connection::to(&self.server().unwrap()),
        }
    }
}

/// From now on data and keys are in the folder.
pub(crate) fn forget_servers(folder: &Path) {
    if engine() != "sqlite" {
        std::fs::remove_file(folder.join(SECTION)).unwrap();
    }
}

/// What a configuration says of the data and keys of the shop in this folder.
pub(crate) fn section_of(folder: &Path) -> String {
    std::fs::read_to_string(folder.join(SECTION)).unwrap_or_default()
}

/// What a configuration says of data in a database of a server; its password is put into the folder.
pub(crate) fn database_section(cluster: &Cluster, name: &str, folder: &Path) -> String {
    let (url, password) = (cluster.url(name), password_file(cluster, folder));
    format!("[database]\nurl = {url:?}\npassword_file = {password:?}\n")
}

/// What a configuration says of keys in a database of a server; its password is put into the folder.
pub(crate) fn key_section(cluster: &Cluster, url: &str, folder: &Path) -> String {
    let password = folder.join("keys.password");
    std::fs::write(&password, cluster.password()).unwrap();
    std::fs::set_permissions(&password, Permissions::from_mode(0o600)).unwrap();
    format!("[key_database]\nurl = {url:?}\npassword_file = {password:?}\n")
}

/// The password of a server, as a configuration or a command wants it.
pub(crate) fn password_file(cluster: &Cluster, folder: &Path) -> PathBuf {
    let path = folder.join("database.password");
    std::fs::write(&path, cluster.password()).unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    path
}

const SECTION: &str = "database.section";

/// Bytes as they stand in SQL.
pub(crate) fn blob(bytes: &[u8]) -> String {
    format!("x'{}'", data_encoding::HEXLOWER.encode(bytes))
}

/// Whether their keys are too.
fn keys_are_on_a_server() -> bool {
    engine() == "servers"
}

/// Whether the shops of this run are on a server.
pub(crate) fn runs_on_a_server() -> bool {
    engine() != "sqlite"
}

fn engine() -> String {
    #[expect(clippy::disallowed_methods, reason = "the check asks for the other engine this way")]
    let engine = std::env::var("STRONGROOM_ENGINE").unwrap_or_else(|_| "sqlite".to_owned());
    let known = ["sqlite", "postgres", "servers"];
    assert!(known.contains(&&*engine), "STRONGROOM_ENGINE is one of {known:?}, not {engine}");
    engine
}

fn tables(db: &mut Connection) -> Vec<String> {
    let sql = "SELECT tablename::TEXT FROM pg_tables WHERE schemaname = current_schema()";
    db.query(sql, &[]).unwrap().iter().map(|row| row.text(0).unwrap().to_owned()).collect()
}

/// Statements are constants; a test has few of its own.
fn made(sql: String) -> Statement {
    Statement::new(sql.leak(), Vec::new())
}

/// What SQLite has and PostgreSQL lacks, for the questions and attacks of tests.
const WORDS: &[&str] = &[
    "CREATE DOMAIN blob AS BYTEA",
    "CREATE FUNCTION zeroblob(BIGINT) RETURNS BYTEA LANGUAGE SQL IMMUTABLE
     AS 'SELECT decode(repeat(''00'', $1::INT), ''hex'')'",
    "CREATE FUNCTION hex(BYTEA) RETURNS TEXT LANGUAGE SQL IMMUTABLE
     AS 'SELECT upper(encode($1, ''hex''))'",
    "CREATE FUNCTION instr(BYTEA, BYTEA) RETURNS BIGINT LANGUAGE SQL IMMUTABLE
     AS 'SELECT position($2 in $1)::BIGINT'",
    "CREATE FUNCTION randomblob(BIGINT) RETURNS BYTEA LANGUAGE SQL
     AS 'SELECT substring(decode(md5(random()::TEXT) || md5(random()::TEXT), ''hex'') for $1::INT)'",
    "CREATE FUNCTION smaller(BYTEA, BYTEA) RETURNS BYTEA LANGUAGE SQL IMMUTABLE
     AS 'SELECT least($1, $2)'",
    "CREATE FUNCTION greater(BYTEA, BYTEA) RETURNS BYTEA LANGUAGE SQL IMMUTABLE
     AS 'SELECT greatest($1, $2)'",
    "CREATE AGGREGATE min(BYTEA) (sfunc = smaller, stype = BYTEA)",
    "CREATE AGGREGATE max(BYTEA) (sfunc = greater, stype = BYTEA)",
    "CREATE AGGREGATE group_concat(TEXT) (sfunc = textcat, stype = TEXT)",
    "CREATE FUNCTION refuse() RETURNS TRIGGER LANGUAGE plpgsql
     AS 'BEGIN RAISE EXCEPTION ''broken''; END'",
];

/// PostgreSQL writes bytes in another way, and what to do with a row that is there already.
fn in_its_words(sql: &str) -> String {
    let one = |one: &str| match one.contains("INSERT OR IGNORE") {
        true => one.replace("INSERT OR IGNORE", "INSERT") + " ON CONFLICT DO NOTHING",
        false => one.to_owned(),
    };
    let sql: Vec<String> = sql.split(';').map(one).collect();
    let sql = sql.join(";");
    let (mut text, mut rest) = (String::new(), sql.as_str());
    while let Some((before, after)) = rest.split_once("x'") {
        text += before;
        // The end of a word in quotes is none, nor is a word of that letter.
        if before.ends_with(|end: char| end.is_ascii_alphanumeric() || "_'".contains(end)) {
            text += "x'";
            rest = after;
            continue;
        }
        let (hex, after) = after.split_once('\'').unwrap();
        text += &format!("'\\x{hex}'::bytea");
        rest = after;
    }
    text + rest
}

//! The installation that is measured: made through the product's own doors, durable as shipped.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, ensure};
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request};
use clap::Args;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use strongroom::access::AsOperator;
use strongroom::app::{App, Surroundings, initialise};
use strongroom::config;
use strongroom::ctx::{Clock, SystemClock};
use strongroom::db::{Connection, Server};
use strongroom::id::{ApiKey, Id};
use strongroom::keys::{Places, Seal};
use strongroom::router::router;
use strongroom_crypto::SystemRandom;
use tokio::task::JoinSet;
use tower::ServiceExt;

/// One open installation with its customers.
pub(crate) struct Shop {
    pub(crate) app: App,
    pub(crate) router: Router,
    /// An API key that creates, looks up and reads masked.
    pub(crate) key: String,
    /// An API key that may only change customers.
    pub(crate) changer: String,
    /// An API key that may only erase.
    pub(crate) eraser: String,
    /// What names `key`.
    pub(crate) key_id: Id<ApiKey>,
    /// Numbers and ids: of all of them, or of a sample.
    pub(crate) customers: Vec<(usize, String)>,
}

/// Where the data is.
#[derive(Args, Clone, Default)]
pub(crate) struct At {
    /// Keep the data in this empty database of a PostgreSQL server: postgres://USER@HOST:PORT/DATABASE
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// The file with its password; mode 600
    #[arg(long, value_name = "FILE", requires = "database")]
    password_file: Option<PathBuf>,
    /// Keep the keys in this empty database of another PostgreSQL server
    #[arg(long, value_name = "URL", requires = "database")]
    key_database: Option<String>,
    /// The file with its password; mode 600
    #[arg(long, value_name = "FILE", requires = "key_database")]
    key_password_file: Option<PathBuf>,
}

impl At {
    /// What says the same to another process of this program.
    pub(crate) fn arguments(&self) -> Vec<OsString> {
        let texts = [("--database", &self.database), ("--key-database", &self.key_database)];
        let files = [
            ("--password-file", &self.password_file),
            ("--key-password-file", &self.key_password_file),
        ];
        let texts = texts.into_iter().filter_map(|(name, text)| Some((name, text.clone()?.into())));
        let files = files.into_iter().filter_map(|(name, file)| Some((name, file.clone()?.into())));
        texts.chain(files).flat_map(|(name, value): (_, OsString)| [name.into(), value]).collect()
    }

    /// Whether several nodes can share it.
    pub(crate) fn has_keys_at_server(&self) -> bool {
        self.key_database.is_some()
    }

    /// What it is called in a report, which names no place.
    pub(crate) fn engine(&self) -> &'static str {
        if self.database.is_some() { "PostgreSQL" } else { "SQLite" }
    }

    /// How another driver reaches the server, where there is one.
    pub(crate) fn reach(&self) -> anyhow::Result<Option<tokio_postgres::Config>> {
        let Some(url) = &self.database else { return Ok(None) };
        let mut config: tokio_postgres::Config = url.parse()?;
        if let Some(file) = &self.password_file {
            config.password(std::fs::read_to_string(file)?.trim());
        }
        Ok(Some(config))
    }

    /// Of the database at the server, with its indexes.
    pub(crate) fn database_bytes(&self) -> anyhow::Result<u64> {
        let server = self.server()?.context("there is no server")?;
        let size =
            Connection::to(&server)?.one("SELECT pg_database_size(current_database())", &[])?;
        Ok(u64::try_from(size.context("no size")?.integer(0)?)?)
    }

    fn server(&self) -> anyhow::Result<Option<Server>> {
        reached(self.database.as_ref(), self.password_file.as_ref(), "database")
    }

    fn key_server(&self) -> anyhow::Result<Option<Server>> {
        reached(self.key_database.as_ref(), self.key_password_file.as_ref(), "key_database")
    }
}

fn reached(
    url: Option<&String>,
    password_file: Option<&PathBuf>,
    section: &'static str,
) -> anyhow::Result<Option<Server>> {
    let Some(url) = url.cloned() else { return Ok(None) };
    let password_file = password_file.cloned();
    Ok(Some(config::Database { url, password_file, ca: None }.server(section)?))
}

/// What a read answers.
pub(crate) struct Answered {
    pub(crate) headers: HeaderMap,
    pub(crate) body: axum::body::Bytes,
}

/// Three of the ten fields, from both compartments.
pub(crate) const READ_FIELDS: &str = "company,email,name";

impl Shop {
    /// Makes it, or opens the one that is there and goes on with its import.
    pub(crate) async fn open(folder: &Path, at: &At, customers: usize) -> anyhow::Result<Self> {
        Self::open_by(folder, at, customers, Arc::new(SystemClock::new())).await
    }

    /// By a clock that somebody moves.
    pub(crate) async fn open_by(
        folder: &Path,
        at: &At,
        customers: usize,
        clock: Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        let (app, router) = imported(folder, at, customers, clock).await?;
        // Look-ups are charged, so those of the set-up have a key of their own.
        let (finder, _) = new_key(&router, "shop").await?;
        let customers = find_sample(&router, &finder, customers).await?;
        let (key, key_id) = new_key(&router, "shop").await?;
        let (changer, _) = new_key(&router, "changer").await?;
        let (eraser, _) = new_key(&router, "eraser").await?;
        Ok(Self { app, router, key, changer, eraser, key_id, customers })
    }

    /// Makes an installation with so many customers, or goes on until there are so many, and closes it.
    pub(crate) async fn fill(folder: &Path, at: &At, customers: usize) -> anyhow::Result<()> {
        imported(folder, at, customers, Arc::new(SystemClock::new())).await.map(drop)
    }

    /// The answer to one read; the constant route repeats it.
    pub(crate) async fn read_one(&self) -> anyhow::Result<Answered> {
        let (_, id) = self.customers.first().context("no customers")?;
        let path = format!("/v1/customers/{id}?fields={READ_FIELDS}");
        call(&self.router, Some(&self.key), "GET", &path, None).await
    }
}

/// A made-up customer with all ten fields.
pub(crate) fn person(number: usize) -> Value {
    json!({
        "relations": [{ "name": "enquiry" }, { "name": "purchase" }],
        "fields": {
            "name": format!("Ada Example-{number}"),
            "email": email(number),
            "phone": format!("+44 20 7946 {:04}", number % 10_000),
            "language": "english",
            "note": "Prefers to be called in the afternoon; likes books about the sea.",
            "address": { "lines": [format!("{number} Harbour Street")], "city": "Whitby",
                "postcode": "YO21 1AA", "country": "GB" },
            "company": format!("Example & Daughters {number}"),
            "date_of_birth": format!("{}-03-14", 1940 + number % 60),
            "points": number % 5_000,
            "since": "2019-05-21",
        }
    })
}

/// Unique by number.
pub(crate) fn email(number: usize) -> String {
    format!("ada.{number}@mail.example")
}

/// Opens an installation, and makes it before where there is none.
pub(crate) async fn opened(folder: &Path, at: &At) -> anyhow::Result<App> {
    opened_by(folder, at, Arc::new(SystemClock::new())).await
}

async fn opened_by(folder: &Path, at: &At, clock: Arc<dyn Clock>) -> anyhow::Result<App> {
    let is_new = !folder.join("data").exists();
    let key_server = at.key_server()?;
    let seal = Seal::KeyFile(folder.join("seal.key"));
    let places = Places { data_folder: folder.join("data"), key_server, seal };
    let mut surroundings =
        Surroundings { places, server: None, clock, random: Arc::new(SystemRandom) };
    if is_new {
        initialise(&surroundings)?;
    }
    surroundings.server = at.server()?;
    let app = App::open(surroundings).await?;
    if is_new {
        let router = router(&app.desk()?);
        let policy = json!({ "policy": POLICY });
        call(&router, None, "POST", "/v1/policy", Some(policy)).await?;
    }
    Ok(app)
}

async fn imported(
    folder: &Path,
    at: &At,
    customers: usize,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<(App, Router)> {
    let mut importing = Importing::begin_in(opened_by(folder, at, clock).await?).await?;
    importing.go_on_to(customers).await?;
    Ok((importing.app, importing.router))
}

/// Its secret and its name.
pub(crate) async fn new_key(router: &Router, role: &str) -> anyhow::Result<(String, Id<ApiKey>)> {
    let input = json!({ "name": format!("bench {role}"), "role": role, "purposes": ["support"] });
    let made = call(router, None, "POST", "/v1/keys", Some(input)).await?.json()?;
    let text = |name| made.get(name).and_then(Value::as_str).context("no key");
    Ok((text("secret")?.to_owned(), text("id")?.parse()?))
}

/// An import that is under way.
pub(crate) struct Importing {
    // Goes before the app: whoever holds a desk keeps the app from ending in order.
    router: Router,
    app: App,
    key: String,
    path: String,
    /// Rows that are done.
    pub(crate) done: usize,
}

impl Importing {
    /// Begins it, or finds where it stopped.
    pub(crate) async fn begin(folder: &Path, at: &At) -> anyhow::Result<Self> {
        Self::begin_in(opened(folder, at).await?).await
    }

    async fn begin_in(app: App) -> anyhow::Result<Self> {
        let router = router(&app.desk()?);
        let (key, _) = new_key(&router, "importer").await?;
        let hash = "0".repeat(64);
        let input = json!({ "file_sha256": hash, "map_sha256": hash });
        let begun = call(&router, Some(&key), "POST", "/v1/imports", Some(input)).await?.json()?;
        let id = begun.get("id").and_then(Value::as_str).context("no import")?;
        let path = format!("/v1/imports/{id}/rows");
        let done = begun.get("rows_done").and_then(Value::as_u64).context("no count of rows")?;
        Ok(Self { app, router, key, path, done: usize::try_from(done)? })
    }

    /// Goes on until there are so many customers.
    pub(crate) async fn go_on_to(&mut self, customers: usize) -> anyhow::Result<()> {
        while self.done < customers {
            let first = self.done;
            let end = customers.min(first + CHUNK_ROWS);
            let chunk =
                json!({ "first": first, "rows": (first..end).map(row).collect::<Vec<_>>() });
            let (router, key) = (&self.router, self.key.as_str());
            let now = call(router, Some(key), "POST", &self.path, Some(chunk)).await?.json()?;
            ensure!(now.get("created") == Some(&json!(end)), "the import refused rows: {now}");
            self.done = end;
        }
        Ok(())
    }
}

fn row(number: usize) -> Value {
    let mut row = person(number);
    if let Some(members) = row.as_object_mut() {
        members.insert("line".to_owned(), json!(number + 1));
    }
    row
}

/// Some of them, evenly spread; in the order of their numbers, so that pairs of runs read the same ones.
async fn find_sample(
    router: &Router,
    key: &str,
    customers: usize,
) -> anyhow::Result<Vec<(usize, String)>> {
    let numbers: Vec<usize> = (0..customers).step_by(customers.div_ceil(SAMPLE_MAX)).collect();
    let mut found = Vec::with_capacity(numbers.len());
    for some in numbers.chunks(FINDERS) {
        let mut finders = JoinSet::new();
        for number in some.iter().copied() {
            let (router, key) = (router.clone(), key.to_owned());
            finders.spawn(async move { anyhow::Ok((number, find(&router, &key, number).await?)) });
        }
        while let Some(done) = finders.join_next().await {
            found.push(done??);
        }
    }
    found.sort_unstable();
    Ok(found)
}

async fn find(router: &Router, key: &str, number: usize) -> anyhow::Result<String> {
    let wanted = json!({ "email": email(number) });
    let answer = call(router, Some(key), "POST", "/v1/customers/lookup", Some(wanted)).await?;
    let id = answer.json()?.pointer("/customers/0").and_then(Value::as_str).map(str::to_owned);
    id.context("an imported customer is not found")
}

/// One call through the router inside the process; without a key as the operator.
pub(crate) async fn call(
    router: &Router,
    key: Option<&str>,
    method: &str,
    path: &str,
    body: Option<Value>,
) -> anyhow::Result<Answered> {
    let mut request = Request::builder().method(method).uri(path);
    request = request.header("content-type", "application/json");
    if let Some(key) = key {
        request = request.header("authorization", format!("Bearer {key}"));
        request = request.header("strongroom-purpose", "support");
    }
    let body = body.map_or_else(Body::empty, |json| Body::from(json.to_string()));
    let mut request = request.body(body)?;
    if key.is_none() {
        request.extensions_mut().insert(AsOperator);
    }
    let response = router.clone().oneshot(request).await?;
    let (parts, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    let text = String::from_utf8_lossy(&body);
    ensure!(parts.status.is_success(), "{method} {path}: {} {text}", parts.status);
    Ok(Answered { headers: parts.headers, body })
}

impl Answered {
    fn json(&self) -> anyhow::Result<Value> {
        Ok(serde_json::from_slice(&self.body)?)
    }
}

const POLICY: &str = include_str!("shop.toml");

/// As many as the command sends unless told otherwise.
pub(crate) const CHUNK_ROWS: usize = 4_000;

/// More than a reader's caches hold.
const SAMPLE_MAX: usize = 20_000;

/// Enough to share commits.
const FINDERS: usize = 64;

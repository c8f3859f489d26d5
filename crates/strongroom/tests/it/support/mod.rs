//! A small shop to test with: a real installation in a temporary folder, a clock that is moved by
//! hand, and keys of every role.

pub(crate) mod canary;
mod client;
pub(crate) mod data;
mod log;
pub(crate) mod mail;
pub(crate) mod numbers;
pub(crate) mod postgres;
pub(crate) mod receiver;
pub(crate) mod server;

use std::collections::HashMap;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use strongroom::access::{AsOperator, Desk};
use strongroom::app::{App, Surroundings, initialise};
use strongroom::ctx::{Clock, SystemClock, TestClock, Time};
use strongroom::keys::{Places, Seal};
use strongroom::router::router;
use strongroom_crypto::SystemRandom;
use tempfile::TempDir;
use tower::ServiceExt;

pub(crate) use client::{Client, Readers, together};
pub(crate) use data::Data;
pub(crate) use log::refusals;

/// One installation, open, with the shop's policy and a key of each role.
pub(crate) struct Shop {
    pub(crate) folder: TempDir,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) keys: HashMap<&'static str, String>,
    data: Data,
    key_data: Data,
    app: Option<App>,
    router: Option<Router>,
}

/// An answer, read whole.
#[derive(Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) json: Value,
    /// The body as it came.
    pub(crate) bytes: Vec<u8>,
}

/// Without the bytes, which nobody can read.
impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {:?}", self.status, self.json, self.headers)
    }
}

const DATA: &str = "data/strongroom.db";
const KEYS: &str = "data/keys.db";

/// 2026-11-21T10:00:00Z.
pub(crate) const START_MS: i64 = 1_795_255_200_000;

/// The policy of `examples/shop`.
pub(crate) const POLICY: &str = include_str!("../../../../../examples/shop/policy.toml");

impl Shop {
    /// With the policy of `examples/shop`.
    pub(crate) async fn open() -> Self {
        Self::with_policy(POLICY).await
    }

    /// The same at the machine's own time, for tests that serve it in a process of its own: keys made
    /// at a fixed time would be past their end one day.
    pub(crate) async fn open_today() -> Self {
        Self::open_today_with(POLICY).await
    }

    pub(crate) async fn open_today_with(policy: &str) -> Self {
        Self::with(Self::bare_at(SystemClock::new().now()), policy).await
    }

    /// With a policy of the test's own.
    pub(crate) async fn with_policy(policy: &str) -> Self {
        Self::with(Self::bare(), policy).await
    }

    async fn with(mut shop: Self, policy: &str) -> Self {
        shop.start().await.unwrap();
        let answer =
            shop.as_operator("POST", "/v1/policy", Some(json!({ "policy": policy }))).await;
        assert_eq!(answer.status, 200, "{:?}", answer.json);
        for role in ["shop", "desk", "importer", "privacy", "admin"] {
            let key = shop.new_key(role, &["support", "delivery"]).await;
            shop.keys.insert(role, key);
        }
        shop
    }

    /// With its data at a server of the test's own.
    pub(crate) async fn open_at(server: strongroom::db::Server) -> Self {
        Self::open_at_with(server, POLICY).await
    }

    pub(crate) async fn open_at_with(server: strongroom::db::Server, policy: &str) -> Self {
        let mut shop = Self::bare();
        shop.data = Data::Server(server);
        Self::with(shop, policy).await
    }

    /// The same at the machine's own time.
    pub(crate) async fn open_today_at(server: strongroom::db::Server) -> Self {
        let mut shop = Self::bare_at(SystemClock::new().now());
        shop.data = Data::Server(server);
        Self::with(shop, POLICY).await
    }

    /// With its data in a file, whatever the run is for.
    pub(crate) async fn open_in_file() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let places = [DATA, KEYS].map(|it| Data::File(folder.path().join(it)));
        Self::with(Self::bare_in(folder, SystemClock::new().now(), places), POLICY).await
    }

    /// From now on its data is there; where it was until now.
    pub(crate) fn use_data(&mut self, data: Data) -> Data {
        std::mem::replace(&mut self.data, data)
    }

    /// The same with its keys.
    pub(crate) fn use_keys(&mut self, keys: Data) -> Data {
        std::mem::replace(&mut self.key_data, keys)
    }

    /// From now on its keys are in its folder.
    pub(crate) fn use_keys_file(&mut self) {
        self.key_data = Data::File(self.folder.path().join(KEYS));
    }

    /// Another node on the same databases.
    pub(crate) fn node_beside(&self) -> Self {
        let (data, key_data) = (self.data.clone(), self.key_data.clone());
        assert!(key_data.server().is_some(), "two nodes need one place for their keys");
        let node = Self { data, key_data, ..self.empty_beside() };
        std::fs::create_dir(node.data_folder()).unwrap();
        node
    }

    /// Initialised, not open.
    pub(crate) fn bare() -> Self {
        Self::bare_at(Time::from_ms(START_MS))
    }

    fn bare_at(start: Time) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let places = [Data::fresh(folder.path()), Data::fresh_keys(folder.path())];
        Self::bare_in(folder, start, places)
    }

    fn bare_in(folder: TempDir, start: Time, [data, key_data]: [Data; 2]) -> Self {
        let (clock, keys) = (Arc::new(TestClock::at(start)), HashMap::new());
        let shop = Self { folder, clock, keys, data, key_data, app: None, router: None };
        initialise(&shop.surroundings()).unwrap();
        shop
    }

    /// An empty machine at the same moment, with nothing but a copy of the key file; the texts of the
    /// keys are known as before.
    pub(crate) fn empty_beside(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(TestClock::at(self.clock.now()));
        let keys = self.keys.clone();
        // A restore fills a folder.
        let data = Data::File(folder.path().join(DATA));
        let key_data = Data::File(folder.path().join(KEYS));
        let shop = Self { folder, clock, keys, data, key_data, app: None, router: None };
        std::fs::copy(self.key_file(), shop.key_file()).unwrap();
        shop
    }

    /// Opens or opens again after [`Shop::stop`].
    pub(crate) async fn start(&mut self) -> Result<(), strongroom::error::Error> {
        let app = App::open(self.surroundings()).await?;
        self.router = Some(router(&app.desk()?));
        self.app = Some(app);
        Ok(())
    }

    /// Closes cleanly; every file is at rest afterwards.
    pub(crate) fn stop(&mut self) {
        self.router = None;
        self.app = None;
    }

    pub(crate) fn desk(&self) -> Arc<Desk> {
        self.app.as_ref().unwrap().desk().unwrap()
    }

    /// None while it is closed.
    pub(crate) fn find_desk(&self) -> Option<Arc<Desk>> {
        self.app.as_ref().map(|app| app.desk().unwrap())
    }

    pub(crate) fn router(&self) -> Router {
        self.router.clone().unwrap()
    }

    pub(crate) fn data_folder(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(crate) fn key_file(&self) -> PathBuf {
        self.folder.path().join("seal.key")
    }

    /// Of a shop whose data is in a file.
    pub(crate) fn data_file(&self) -> PathBuf {
        self.data.file().to_owned()
    }

    pub(crate) fn data(&self) -> &Data {
        &self.data
    }

    /// The key store, as a place to ask.
    pub(crate) fn keys(&self) -> &Data {
        &self.key_data
    }

    /// Of a shop whose keys are in its folder.
    pub(crate) fn keys_file(&self) -> PathBuf {
        self.key_data.file().to_owned()
    }

    /// Makes an API key and gives its text.
    pub(crate) async fn new_key(&self, role: &str, purposes: &[&str]) -> String {
        let body = json!({ "name": format!("test {role}"), "role": role, "purposes": purposes });
        let answer = self.as_operator("POST", "/v1/keys", Some(body)).await;
        assert_eq!(answer.status, 201, "{:?}", answer.json);
        answer.json["secret"].as_str().unwrap().to_owned()
    }

    /// The id of a role's key.
    pub(crate) async fn key_id(&self, role: &str) -> String {
        let keys = self.as_operator("GET", "/v1/keys", None).await;
        let keys = keys.json["keys"].as_array().unwrap().clone();
        let key = keys.into_iter().find(|key| key["role"] == role).unwrap();
        key["id"].as_str().unwrap().to_owned()
    }

    /// A call with the key of a role, for the purpose `support`.
    pub(crate) async fn call(
        &self,
        role: &str,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Answer {
        self.call_with(role, method, path, body, &[]).await
    }

    /// The same with more headers.
    pub(crate) async fn call_with(
        &self,
        role: &str,
        method: &str,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let key = format!("Bearer {}", self.keys[role]);
        let mut all = vec![("authorization", key.as_str())];
        if headers.iter().all(|(name, _)| *name != "strongroom-purpose") {
            all.push(("strongroom-purpose", "support"));
        }
        all.extend_from_slice(headers);
        send(self.router(), method, path, body, &all, false).await
    }

    /// A call of whoever can unseal, as the command line makes it without a server.
    pub(crate) async fn as_operator(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Answer {
        send(self.router(), method, path, body, &[], true).await
    }

    /// Verifies the ledger as the operator and gives what it saw.
    pub(crate) async fn verify(&self) -> Value {
        let begun = self.as_operator("POST", "/v1/ledger/verify", None).await;
        assert_eq!(begun.status, 202, "{:?}", begun.json);
        self.verified(&begun).await
    }

    /// Waits for the end of a verification that was begun.
    pub(crate) async fn verified(&self, begun: &Answer) -> Value {
        let path = format!("/v1/ledger/verify/{}", begun.json["id"].as_str().unwrap());
        loop {
            let told = self.as_operator("GET", &path, None).await;
            assert_eq!(told.status, 200, "{:?}", told.json);
            if told.json["state"] != "running" {
                return told.json;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Makes a customer with a unique e-mail and gives the id.
    pub(crate) async fn customer(&self, number: usize) -> String {
        let answer = self.call("shop", "POST", "/v1/customers", Some(person(number))).await;
        assert_eq!(answer.status, 201, "{:?}", answer.json);
        answer.json["id"].as_str().unwrap().to_owned()
    }

    /// The time of the shop in seconds, as metrics count it.
    pub(crate) fn seconds(&self) -> f64 {
        self.clock.now().as_ms() as f64 / 1e3
    }

    pub(crate) fn surroundings(&self) -> Surroundings {
        let seal = Seal::KeyFile(self.key_file());
        let key_server = self.key_data.server();
        let places = Places { data_folder: self.data_folder(), key_server, seal };
        let clock = Arc::clone(&self.clock);
        let server = self.data.server();
        Surroundings { places, server, clock, random: Arc::new(SystemRandom) }
    }
}

/// A made-up customer with every field.
pub(crate) fn person(number: usize) -> Value {
    json!({
        "relations": [{ "name": "enquiry" }, { "name": "purchase" }],
        "fields": {
            "name": format!("Ada Example{number}"),
            "email": format!("ada.{number}@mail.example"),
            "phone": format!("+44 20 7946 {:04}", number % 10_000),
            "address": { "lines": [format!("{number} Harbour Street")], "city": "Whitby",
                "postcode": "YO21 1AA", "country": "GB" },
        }
    })
}

/// Sends one request through a router.
pub(crate) async fn send(
    router: Router,
    method: &str,
    path: &str,
    body: Option<Value>,
    headers: &[(&str, &str)],
    operator: bool,
) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = match body {
        Some(json) => {
            request = request.header("content-type", "application/json");
            Body::from(json.to_string())
        }
        None => Body::empty(),
    };
    let mut request = request.body(body).unwrap();
    if operator {
        request.extensions_mut().insert(AsOperator);
    }
    send_raw(router, request).await
}

/// Sends a request that is made byte by byte.
pub(crate) async fn send_raw(router: Router, request: Request<Body>) -> Answer {
    let response = router.oneshot(request).await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    let json = serde_json::from_slice(&bytes)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
    Answer { status, headers, json, bytes: bytes.to_vec() }
}

/// A port on the loopback that was free a moment ago, given to nobody else in this process; below those
/// that the system gives to whoever asks for any.
pub(crate) fn free_port() -> u16 {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    loop {
        let start = u16::try_from(std::process::id() % 80).unwrap() * 100;
        let port = 20_000 + (start + GIVEN.fetch_add(1, Ordering::SeqCst)) % 10_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Runs SQL on a database of a closed installation, as an intruder with the database would.
pub(crate) fn intrude(data: impl Into<Data>, sql: &str) {
    data.into().intrude(sql);
}

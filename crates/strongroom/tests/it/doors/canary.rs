//! Marked values go through every door; afterwards none of them stands anywhere but where it may.

mod outward;
mod planted;
mod probes;

use std::collections::BTreeSet;
use std::path::Path;

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};
use strongroom::access::AsOperator;
use strongroom::db::{Connection, Statement};
use strongroom::router::openapi;
use strongroom::{jobs, metrics};

use crate::support::canary::{Canaries, collect_log_lines, fresh_digits, fresh_word, log_lines};
use crate::support::numbers::Numbers;
use crate::support::postgres::Cluster;
use crate::support::{Answer, Shop, intrude, send_raw};
use crate::vault::words;

#[tokio::test]
async fn personal_data_only_in_sealed_no_marked_value_stands_elsewhere() {
    let mut aviary = Aviary::of(Shop::with_policy(&words::policy()).await);
    let path = sing(&mut aviary).await;
    // Every record altered: what is said about damage must not say what was damaged.
    let last_byte = "UPDATE sealed_record
        SET data = CAST(substr(data, 1, length(data) - 1) || x'00' AS BLOB)";
    intrude(aviary.shop.data(), last_byte);
    aviary.shop.start().await.unwrap();
    let read = format!("{path}?fields=name,email,address");
    aviary.send(Probe::new("shop", "GET", &read), 503).await;
    aviary.check("with damaged records").await;
}

/// The same with the data at a server: nothing stands in its tables, its write-ahead log or what it says.
#[tokio::test]
async fn personal_data_only_in_sealed_no_marked_value_stands_at_a_server() {
    // Nothing in its write-ahead log is written over meanwhile.
    let Some(cluster) = Cluster::start(&["wal_keep_size=1GB"], &[]) else { return };
    let server = cluster.database("aviary");
    let mut aviary = Aviary::of(Shop::open_at_with(server.clone(), &words::policy()).await);
    aviary.is_searched_often = false;
    sing(&mut aviary).await;
    let found = aviary.canaries.find_in_folders(&cluster.written("aviary"));
    assert!(found.is_empty(), "at the server:\n{}", found.join("\n"));
    // And it would be found there.
    let leak = aviary.word("planted");
    let mut db = Connection::to(&server).unwrap();
    for sql in ["CREATE TABLE leak (note TEXT)", "INSERT INTO leak VALUES ($1)"] {
        let args = if sql.contains('$') { vec![leak.as_str().into()] } else { Vec::new() };
        db.execute(&Statement::new(sql, args)).unwrap();
    }
    let found = aviary.canaries.find_in_folders(&cluster.written("aviary"));
    assert!(found.len() >= 2, "in a table and in the log before it: {found:?}");
}

/// Everything a shop is for, with marked values; the path of the customer who was
/// erased. It is closed afterwards.
async fn sing(aviary: &mut Aviary) -> String {
    let customer = probes::customers(aviary).await;
    probes::looks(aviary, &customer).await;
    probes::words(aviary).await;
    probes::records(aviary, &customer.id).await;
    probes::tokens(aviary, &customer.id).await;
    probes::merges(aviary).await;
    probes::imports(aviary).await;
    probes::texts(aviary, &customer.id).await;
    outward::sends(aviary, &customer.id).await;
    outward::shares(aviary, &customer.id).await;
    outward::webhooks(aviary, &customer.id).await;
    probes::bodies(aviary, &customer.id).await;
    probes::addresses_and_headers(aviary, &customer.id).await;
    if aviary.is_searched_often {
        aviary.check("while it runs").await;
    }
    crate::backup::back_up_and_restore_beside(&aviary.shop).await;
    if aviary.is_searched_often {
        aviary.check("with a backup, a rehearsal and a restored copy beside it").await;
    }

    let path = format!("/v1/customers/{}", customer.id);
    aviary.send(Probe::new("privacy", "DELETE", &path), 202).await;
    aviary.shop.clock.pass_ms(8 * 86_400_000);
    jobs::run_once(&aviary.shop.desk()).await;
    if aviary.is_searched_often {
        aviary.check("after an erasure").await;
    }

    aviary.shop.stop();
    aviary.check("at rest").await;
    path
}

/// A shop, what was put into it, and everything it answered.
struct Aviary {
    shop: Shop,
    canaries: Canaries,
    seen: Vec<Seen>,
    /// Else once, at the end.
    is_searched_often: bool,
}

/// An answer, byte by byte, and the canaries it may show.
struct Seen {
    call: String,
    bytes: Vec<u8>,
    may_show: Vec<String>,
}

/// One call.
struct Probe {
    role: &'static str,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    may_show: Vec<String>,
}

impl Probe {
    fn new(role: &'static str, method: &str, path: &str) -> Self {
        let (method, path) = (method.to_owned(), path.to_owned());
        Self { role, method, path, headers: Vec::new(), body: Vec::new(), may_show: Vec::new() }
    }

    fn json(self, body: &Value) -> Self {
        self.bytes(body.to_string())
    }

    fn bytes(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.header("content-type", "application/json")
    }

    fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Canaries whose names begin so may stand in the answer.
    fn may_show(mut self, names: &[&str]) -> Self {
        self.may_show = names.iter().map(|name| (*name).to_owned()).collect();
        self
    }
}

impl Aviary {
    fn of(shop: Shop) -> Self {
        collect_log_lines();
        Self { shop, canaries: Canaries::default(), seen: Vec::new(), is_searched_often: true }
    }

    /// A word to be put in somewhere, and searched for from now on.
    fn word(&mut self, name: &str) -> String {
        let word = fresh_word();
        self.canaries.mark(name, &word);
        word
    }

    /// A name with a fresh word and characters that every escaping changes.
    fn name(&mut self, name: &str) -> String {
        let word = self.word(name);
        let text = format!("Zoë \"{word}\" & Söhne <7>");
        self.canaries.mark(name, &text);
        text
    }

    fn email(&mut self, name: &str) -> String {
        let word = self.word(name);
        let text = format!("{word}.zoe@mail.example");
        self.canaries.mark(name, &text);
        text
    }

    /// As people write it; the way it is kept is searched for as well.
    fn phone(&mut self, name: &str) -> String {
        let digits = fresh_digits(8);
        self.canaries.mark(name, &format!("+49301{digits}"));
        self.canaries.mark(name, &format!("0301{digits}"));
        let (one, two) = digits.split_at(4);
        let text = format!("+49 301 {one} {two}");
        self.canaries.mark(name, &text);
        text
    }

    fn address(&mut self, name: &str) -> Value {
        let (street, city) = (self.name(name), self.word(name));
        json!({ "lines": [street, self.word(name)], "city": city, "postcode": "YO21 1AA",
            "country": "GB" })
    }

    /// Every field of the policy, marked.
    fn fields(&mut self, door: &str) -> Value {
        json!({
            "name": self.name(&format!("{door}/name")),
            "email": self.email(&format!("{door}/email")),
            "phone": self.phone(&format!("{door}/phone")),
            "address": self.address(&format!("{door}/address")),
            "note": format!("first\n{}\nlast", self.name(&format!("{door}/note"))),
            "date_of_birth": self.birthday(&format!("{door}/date_of_birth")),
        })
    }

    fn birthday(&mut self, name: &str) -> String {
        let digits = fresh_digits(3);
        let (year, month) = digits.split_at(2);
        let text = format!("19{year}-0{}-17", month.replace('0', "1"));
        self.canaries.mark(name, &text);
        text
    }

    async fn send(&mut self, probe: Probe, expected: u16) -> Answer {
        let Probe { role, method, path, headers, body, may_show } = probe;
        let mut request = Request::builder().method(method.as_str()).uri(&path);
        let is_named = |name: &str| headers.iter().any(|(known, _)| known == name);
        if role != "operator" && role != "nobody" && !is_named("authorization") {
            request = request.header("authorization", format!("Bearer {}", self.shop.keys[role]));
        }
        if !is_named("strongroom-purpose") {
            request = request.header("strongroom-purpose", "support");
        }
        for (name, value) in &headers {
            request = request.header(name.as_str(), value.as_bytes());
        }
        let mut request = request.body(Body::from(body)).unwrap();
        if role == "operator" {
            request.extensions_mut().insert(AsOperator);
        }
        let answer = send_raw(self.shop.router(), request).await;
        let call = format!("{method} {path} by {role}");
        assert_eq!(answer.status, expected, "{call}: {}", answer.json);
        let mut bytes = answer.bytes.clone();
        for (name, value) in &answer.headers {
            bytes.extend_from_slice(b"\n");
            bytes.extend_from_slice(name.as_str().as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value.as_bytes());
        }
        self.seen.push(Seen { call, bytes, may_show });
        answer
    }

    /// Searches everything there is.
    async fn check(&self, when: &str) {
        let mut found = self.canaries.find_in_folder(self.shop.folder.path());
        if let Some(desk) = self.shop.find_desk() {
            let page = metrics::scrape(&desk).await;
            let on_page = self.canaries.find(page.as_bytes()).into_iter();
            found.extend(on_page.map(|(name, form)| format!("{name} in the metrics as {form}")));
            found.extend(strange_labels(&page));
        }
        let lines = log_lines();
        if let Some(last) = self.seen.iter().rev().find_map(Seen::request_id) {
            let is_there = lines.windows(last.len()).any(|it| it == last.as_bytes());
            assert!(is_there, "the lines of this test are among those collected");
        }
        let in_log = self.canaries.find(&lines).into_iter();
        found.extend(in_log.map(|(name, form)| format!("{name} in the log as {form}")));
        for seen in &self.seen {
            for (name, form) in self.canaries.find(&seen.bytes) {
                if !seen.may_show.iter().any(|known| name.starts_with(known)) {
                    found.push(format!("{name} in the answer to {} as {form}", seen.call));
                }
            }
        }
        assert!(found.is_empty(), "{when}:\n{}", found.join("\n"));
    }
}

/// Labels of metrics that are neither a template of a route nor a word in the sources of the product.
fn strange_labels(page: &str) -> Vec<String> {
    let document = serde_json::to_value(openapi()).unwrap();
    let mut words = sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")));
    let routes = document["paths"].as_object().unwrap().keys();
    words.extend(routes.map(|route| format!("{route:?}")));
    let numbers = Numbers::read(page);
    let is_strange = |(name, value): &(&str, &str)| match *name {
        "le" => *value != "+Inf" && value.parse::<f64>().is_err(),
        "version" => *value != env!("CARGO_PKG_VERSION"),
        "code" | "file" | "job" | "kind" | "method" | "route" | "status" => {
            let quoted = format!("{value:?}");
            !words.iter().any(|text| text.contains(&quoted))
        }
        _ => true,
    };
    let strange: BTreeSet<(&str, &str)> = numbers.labels().filter(is_strange).collect();
    strange.into_iter().map(|(name, value)| format!("{name}={value} in the metrics")).collect()
}

/// The text of every source below a folder.
fn sources(folder: &Path) -> Vec<String> {
    let mut texts = Vec::new();
    for item in std::fs::read_dir(folder).unwrap() {
        let path = item.unwrap().path();
        if path.is_dir() {
            texts.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            texts.push(std::fs::read_to_string(&path).unwrap());
        }
    }
    texts
}

impl Seen {
    fn request_id(&self) -> Option<&str> {
        let text = std::str::from_utf8(&self.bytes).ok()?;
        text.lines().find_map(|line| line.strip_prefix("strongroom-request-id: "))
    }
}

//! An intruder with SQL on strongroom.db, keys.db or both. Each test says what they did, what they
//! got (no clear text, no right), and when it is noticed: at the next request, at the next start, or
//! by `ledger verify`.

mod budgets;
mod erasure;
mod keys;
mod nonces;
mod positions;
pub(crate) mod put_back;
mod records;
mod residue;
mod rights;
mod rollback;
mod running;
mod sealed;
mod vanished;

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::data::{Answered, Data};
use crate::support::{Answer, Shop, person};

/// Copies of both databases of an installation.
pub(crate) struct Kept {
    _folder: TempDir,
    data: Data,
    keys: Data,
}

impl Kept {
    pub(crate) fn of(shop: &Shop) -> Self {
        for place in [shop.keys(), shop.data()] {
            if let Data::File(file) = place {
                settle(file);
            }
        }
        Self::of_running(shop)
    }

    /// Copies of both databases as they are while it runs: what is left where the power fails, since
    /// a clean end anchors the log once more.
    pub(crate) fn of_running(shop: &Shop) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = shop.data().copied_to(&folder.path().join("strongroom.db"));
        let keys = shop.keys().copied_to(&folder.path().join("keys.db"));
        Self { _folder: folder, data, keys }
    }

    pub(crate) fn data(&self) -> &Data {
        &self.data
    }

    pub(crate) fn keys(&self) -> &Data {
        &self.keys
    }

    pub(crate) fn put_back(&self, shop: &Shop) {
        self.put_back_data(shop);
        self.put_back_keys(shop);
    }

    pub(crate) fn put_back_data(&self, shop: &Shop) {
        put_back(&self.data, shop.data());
    }

    pub(crate) fn put_back_keys(&self, shop: &Shop) {
        put_back(&self.keys, shop.keys());
    }

    /// For SQL that puts old rows back: `old.` names the kept data.
    pub(crate) fn attached(&self, sql: &str) -> String {
        self.data.attached("old", sql)
    }
}

fn put_back(kept: &Data, place: &Data) {
    match (kept, place) {
        (Data::File(kept), Data::File(file)) => {
            settle(file);
            std::fs::copy(kept, file).unwrap();
        }
        _ => place.become_like(kept),
    }
}

/// Two connections that close at the same moment leave the write-ahead log behind; one more closes it.
fn settle(file: &Path) {
    let db = rusqlite::Connection::open(file).unwrap();
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(db);
    let mut beside = file.as_os_str().to_owned();
    beside.push("-wal");
    assert!(!Path::new(&beside).exists(), "{} is not at rest", file.display());
}

/// The one value a question brings back.
pub(crate) fn one<T: Answered>(data: impl Into<Data>, sql: &str) -> T {
    data.into().one(sql)
}

/// A customer without a legal duty, so that an erasure takes all of it.
pub(crate) async fn enquirer(shop: &Shop, number: usize) -> String {
    let mut input = person(number);
    input["relations"] = json!([{ "name": "enquiry" }]);
    input["fields"].as_object_mut().unwrap().remove("address");
    let made = shop.call("shop", "POST", "/v1/customers", Some(input)).await;
    assert_eq!(made.status, 201, "{:?}", made.json);
    made.json["id"].as_str().unwrap().to_owned()
}

pub(crate) async fn read(shop: &Shop, id: &str) -> Answer {
    shop.call("desk", "GET", &format!("/v1/customers/{id}?fields=name,email"), None).await
}

pub(crate) async fn reveal(shop: &Shop, id: &str) -> Answer {
    let why = json!({ "fields": ["email"], "reason": "customer called" });
    shop.call("desk", "POST", &format!("/v1/customers/{id}/reveal"), Some(why)).await
}

pub(crate) async fn look_up(shop: &Shop, field: &str, value: &str) -> Answer {
    shop.call("desk", "POST", "/v1/customers/lookup", Some(json!({ field: value }))).await
}

/// Kinds of open findings, each once.
pub(crate) async fn findings(shop: &Shop) -> Vec<String> {
    let answer = shop.as_operator("GET", "/v1/findings", None).await;
    assert_eq!(answer.status, 200, "{:?}", answer.json);
    let mut kinds: Vec<String> = answer.json["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| finding["kind"].as_str().unwrap().to_owned())
        .collect();
    kinds.sort();
    kinds.dedup();
    kinds
}

/// What `ledger verify` names.
pub(crate) async fn flaws(shop: &Shop) -> Vec<(Option<u64>, String)> {
    let verified = shop.verify().await;
    assert_eq!(verified["state"], "done", "{verified}");
    let flaws = verified["flaws"].as_array().unwrap().iter();
    flaws.map(|it| (it["entry"].as_u64(), it["what"].as_str().unwrap().to_owned())).collect()
}

#[track_caller]
pub(crate) fn assert_code(answer: &Answer, status: u16, code: &str) {
    let got = (answer.status.as_u16(), &answer.json["code"]);
    assert_eq!(got, (status, &Value::from(code)), "{:?}", answer.json);
    assert_no_value(answer);
}

/// No value of a customer made by [`person`] is in an answer. The random id of a request may hold any four digits.
#[track_caller]
pub(crate) fn assert_no_value(answer: &Answer) {
    let mut json = answer.json.clone();
    json.as_object_mut().map(|members| members.remove("request_id"));
    let text = json.to_string();
    for value in ["Example", "@mail.example", "7946", "+4420", "Harbour Street", "YO21"] {
        assert!(!text.contains(value), "`{value}` in {text}");
    }
}

pub(crate) const POLICY: &str = include_str!("../../../../../examples/shop/policy.toml");

//! Backups and restores, on real files: what comes back, what stays gone, what is refused by name.

mod erased;
mod exported;
mod older;
mod parts;
mod rights;
mod upkeep;
mod whole;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;
use strongroom::app;
use strongroom::backup::{self, Kind, MissingKeys, Outcome, RestoreInput, Restored, Settings};
use strongroom::ctx::{Actor, Ctx};
use strongroom::error::Error;
use strongroom::id::Id;
use strongroom::jobs;
use strongroom::keys::{Places, Seal};
use strongroom_crypto::{Random, SystemRandom};

use crate::support::data::Data;
use crate::support::{Answer, Shop};

/// A pair of backups.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) data: PathBuf,
    pub(crate) keys: PathBuf,
}

/// What an operator does at the command line.
pub(crate) fn operator(shop: &Shop) -> Ctx {
    let desk = shop.desk();
    let request = Id::time_ordered(desk.now(), desk.random.as_ref()).unwrap();
    let rng = Arc::clone(&desk.random);
    Ctx { actor: Actor::Operator, network: None, now: desk.now(), request, rng, claim: None }
}

pub(crate) fn vault_of(shop: &Shop) -> PathBuf {
    shop.folder.path().join("backups")
}

pub(crate) fn settings(shop: &Shop) -> Settings {
    Settings {
        to: vault_of(shop),
        every_minutes: 60,
        keep_keys_days: 14,
        keep_data_days: 35,
        command: Vec::new(),
    }
}

pub(crate) async fn back_up(shop: &Shop) -> Pair {
    let (desk, ctx, folder) = (shop.desk(), operator(shop), vault_of(shop));
    let made = backup::make(&desk, &ctx, &folder, Box::new(|_, _| {})).await.unwrap();
    assert_eq!((made.data.1.kind, made.keys.1.kind), (Kind::Data, Kind::Keys));
    Pair { data: made.data.0, keys: made.keys.0 }
}

/// Everything a backup and a restore leave on disk, in the folder of the shop.
pub(crate) async fn back_up_and_restore_beside(shop: &Shop) {
    let pair = back_up(shop).await;
    let check = backup::rehearse(&shop.desk(), &operator(shop), &settings(shop)).await.unwrap();
    assert_eq!(check.result, "ok", "{}", check.detail);
    let mut input = input(shop, &pair.data, &pair.keys);
    input.places.data_folder = shop.folder.path().join("restored");
    restore(shop, &input).unwrap();
}

/// The ordinary way: both of a pair, onto an empty machine.
pub(crate) fn input(empty: &Shop, data: &Path, keys: &Path) -> RestoreInput {
    RestoreInput {
        data: data.to_owned(),
        keys: keys.to_owned(),
        registers: Vec::new(),
        places: Places::in_folder(empty.data_folder(), Seal::KeyFile(empty.key_file())),
        unseal: None,
        register_as_of: None,
        agreed_by: Vec::new(),
        missing_keys: MissingKeys::Refuse,
        outcome: Outcome::Keep,
    }
}

pub(crate) fn restore(empty: &Shop, input: &RestoreInput) -> Result<Restored, Error> {
    let random: Arc<dyn Random> = Arc::new(SystemRandom);
    app::restore(input, empty.clock.as_ref(), &random, |_| {})
}

/// Restored, open, every key that may be switched on switched on.
pub(crate) async fn restored(shop: &Shop, data: &Path, keys: &Path) -> (Shop, Restored) {
    let mut empty = shop.empty_beside();
    let seen = restore(&empty, &input(&empty, data, keys)).unwrap();
    empty.start().await.unwrap();
    enable_all(&empty).await;
    (empty, seen)
}

pub(crate) async fn enable_all(shop: &Shop) {
    let keys = shop.as_operator("GET", "/v1/keys", None).await;
    for key in keys.json["keys"].as_array().unwrap() {
        if key["revoked"].is_null() {
            let path = format!("/v1/keys/{}/enable", key["id"].as_str().unwrap());
            assert_eq!(shop.as_operator("POST", &path, None).await.status, 204);
        }
    }
}

pub(crate) async fn enquirer(shop: &Shop, number: usize) -> String {
    let body = json!({ "relations": [{ "name": "enquiry" }],
        "fields": { "name": format!("Eve Asker{number}"),
            "email": format!("eve.{number}@mail.example") } });
    let made = shop.call("shop", "POST", "/v1/customers", Some(body)).await;
    assert_eq!(made.status, 201, "{:?}", made.json);
    made.json["id"].as_str().unwrap().to_owned()
}

pub(crate) async fn read(shop: &Shop, id: &str) -> Answer {
    shop.call("desk", "GET", &format!("/v1/customers/{id}?fields=name,email"), None).await
}

pub(crate) async fn found(shop: &Shop, email: &str) -> usize {
    let body = json!({ "email": email });
    let found = shop.call("desk", "POST", "/v1/customers/lookup", Some(body)).await;
    assert_eq!(found.status, 200, "{:?}", found.json);
    found.json["customers"].as_array().unwrap().len()
}

/// Asks, and lets the grace and the jobs pass.
pub(crate) async fn erase(shop: &Shop, id: &str) {
    ask(shop, id).await;
    shop.clock.pass_ms(8 * DAY_MS);
    jobs::run_once(&shop.desk()).await;
    assert_eq!(read(shop, id).await.status, 404);
}

async fn ask(shop: &Shop, id: &str) {
    let asked = shop.call("privacy", "DELETE", &format!("/v1/customers/{id}"), None).await;
    assert_eq!(asked.status, 202, "{:?}", asked.json);
}

pub(crate) async fn findings(shop: &Shop) -> Vec<String> {
    let listed = shop.as_operator("GET", "/v1/findings", None).await;
    let kinds = listed.json["findings"].as_array().unwrap().iter();
    kinds.map(|it| it["kind"].as_str().unwrap().to_owned()).collect()
}

pub(crate) fn count(data: impl Into<Data>, sql: &str) -> i64 {
    data.into().one(sql)
}

pub(crate) const DAY_MS: i64 = 86_400_000;

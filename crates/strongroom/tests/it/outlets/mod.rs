//! Use without seeing: sends to a real mail server and a real HTTPS receiver, and shares by a link.

mod care;
mod https;
mod kills;
mod mails;
mod shares;

use std::sync::Arc;

use serde_json::{Value, json};
use strongroom::config::Config;
use strongroom::outlets::{Connections, run_once};

use crate::support::{Answer, Shop, person};

/// How vendors are reached, as a configuration file with this in it says.
pub(crate) fn connections(shop: &Shop, more: &str) -> Arc<Connections> {
    let path = shop.folder.path().join("connections.toml");
    let text =
        format!("data_dir = \"data\"\nkey_file = \"seal.key\"\npolicy = \"policy.toml\"\n{more}");
    std::fs::write(&path, text).unwrap();
    Arc::new(Connections::read(&Config::read(&path).unwrap()).unwrap())
}

/// One look for work.
pub(crate) async fn run(shop: &Shop, connections: &Arc<Connections>) {
    run_once(&shop.desk(), connections).await.unwrap();
}

/// A customer whose address says what the mail server does with it.
pub(crate) async fn customer(shop: &Shop, what: &str, number: usize) -> String {
    let mut person = person(number);
    person["fields"]["email"] = json!(format!("{what}.{number}@mail.example"));
    let made = shop.call("shop", "POST", "/v1/customers", Some(person)).await;
    assert_eq!(made.status, 201, "{:?}", made.json);
    made.json["id"].as_str().unwrap().to_owned()
}

/// Merges one of a version into a customer who was not changed yet.
pub(crate) async fn merge(shop: &Shop, stays: &str, goes: (&str, u64)) {
    let body = json!({ "other": goes.0, "other_version": goes.1, "keep": {} });
    let path = format!("/v1/customers/{stays}/merge");
    let headers = [("if-match", "\"1\"")];
    let merged = shop.call_with("privacy", "POST", &path, Some(body), &headers).await;
    assert_eq!(merged.status, 200, "{merged:?}");
}

/// Asks for a send through `parcel-news`; the path of its progress.
pub(crate) async fn send(shop: &Shop, customers: &[String]) -> String {
    let body = json!({ "customers": customers, "template": template() });
    let asked = shop.call("shop", "POST", SEND, Some(body)).await;
    assert_eq!(asked.status, 202, "{:?}", asked.json);
    assert_eq!(asked.json["recipients"], json!(customers.len()), "{:?}", asked.json);
    format!("/v1/outlets/parcel-news/sends/{}", asked.json["id"].as_str().unwrap())
}

pub(crate) fn template() -> Value {
    json!({
        "subject": "Your parcel, {{name}}",
        "text": "Dear {{name}},\nit is on its way.\n",
        "html": "<p>Dear <b>{{name}}</b>, it is on its way.</p>",
    })
}

pub(crate) async fn progress(shop: &Shop, path: &str) -> Answer {
    let progress = shop.call("shop", "GET", path, None).await;
    assert_eq!(progress.status, 200, "{:?}", progress.json);
    progress
}

/// What asks for a send to one customer.
pub(crate) fn send_body(customer: &str) -> Value {
    json!({ "customers": [customer],
        "template": { "subject": "Your parcel", "text": "Dear {{name}}" } })
}

/// What makes a link to one customer's name.
pub(crate) fn share_body(customer: &str) -> Value {
    json!({ "customer": customer, "fields": ["name"], "recipient": "courier-7", "hours": 24,
        "views": 100 })
}

/// The id of a send that was asked for.
pub(crate) async fn asked(shop: &Shop, customer: &str) -> String {
    let asked = shop.call("shop", "POST", SEND, Some(send_body(customer))).await;
    asked.json["id"].as_str().unwrap().to_owned()
}

/// The id and the secret of a link that was made.
pub(crate) async fn shared(shop: &Shop, customer: &str) -> (String, String) {
    let client = shop.client("shop");
    let purpose = [("strongroom-purpose", "delivery")];
    let made = client.call_plain("POST", "/v1/shares", Some(share_body(customer)), &purpose).await;
    let text = |name: &str| made.json[name].as_str().unwrap().to_owned();
    (text("id"), text("secret"))
}

/// A send and a share, by the names that stand for them in addresses.
pub(crate) async fn outward_names(shop: &Shop, customer: &str) -> [(&'static str, String); 3] {
    let (share, secret) = shared(shop, customer).await;
    [("send", asked(shop, customer).await), ("share", share), ("secret", secret)]
}

pub(crate) const SEND: &str = "/v1/outlets/parcel-news/send";

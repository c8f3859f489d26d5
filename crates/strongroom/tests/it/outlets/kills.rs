//! The real binary, killed in the middle of a send: nobody missed, nobody twice but those listed.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{SEND, template};
use crate::places::import;
use crate::support::Shop;
use crate::support::mail::MailServer;
use crate::support::server::{Client, Server};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn send_killed_three_times_nobody_is_missed_and_nobody_twice_but_those_listed() {
    killed(500).await;
}

/// The long check asks for more: `STRONGROOM_RECIPIENTS=10000`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_send_to_thousands_killed_three_times_misses_nobody() {
    #[expect(clippy::disallowed_methods, reason = "the long check asks for more this way")]
    let count = std::env::var("STRONGROOM_RECIPIENTS").ok().and_then(|it| it.parse().ok());
    killed(count.unwrap_or(2_000)).await;
}

async fn killed(count: usize) {
    let mut shop = Shop::open_today().await;
    for first in (0..count).step_by(500) {
        import(&shop, first + 1, 500.min(count - first)).await;
    }
    let key = shop.keys["shop"].clone();
    let auditor = shop.keys["privacy"].clone();
    shop.stop();
    let mail = MailServer::start(shop.folder.path(), &[]);
    let config = format!("{}connections = {CONNECTIONS}\n", mail.plain());
    let mut server = Server::start_with(shop.folder.path(), &[], &config);
    let body = json!({ "segment": "enquiry", "template": template() });
    let asked = Client::new(&server, &key).send("POST", SEND, Some(&body)).unwrap();
    assert_eq!(asked.status, 202, "{:?}", asked.json);
    let path = format!("/v1/outlets/parcel-news/sends/{}", asked.json["id"].as_str().unwrap());
    for kill in 1..=KILLS {
        let wanted = mail.mails().len().max(count * kill / (KILLS + 1));
        wait_until(&mut server, || mail.mails().len() > wanted);
        server.kill();
        server = Server::start_with(shop.folder.path(), &[], &config);
    }
    let mut client = Client::new(&server, &key);
    let done = loop {
        let progress = client.send("GET", &path, None).unwrap();
        assert_eq!(progress.status, 200, "{:?}", progress.json);
        assert_ne!(progress.json["state"], "stopped", "{:?}", progress.json);
        if progress.json["state"] == "done" {
            break progress.json;
        }
        assert!(server.is_up());
        std::thread::yield_now();
    };
    assert_eq!(done["counts"], json!({ "accepted": count }), "{done}");
    let listed = done["unknown"].as_array().unwrap();
    assert!(listed.len() <= KILLS * CONNECTIONS, "at most one per open connection: {done}");

    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    let mut ids: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for mail in mail.mails() {
        *times.entry(mail.to.clone()).or_default() += 1;
        ids.entry(mail.to).or_default().insert(mail.id);
    }
    assert_eq!(times.len(), count, "nobody is missed");
    assert!(ids.values().all(|ids| ids.len() == 1), "the same message id each time");
    let twice: Vec<&String> =
        times.iter().filter(|(_, count)| **count > 1).map(|(to, _)| to).collect();
    println!("{count} recipients, {} of unknown fate, {} twice", listed.len(), twice.len());
    assert!(times.values().all(|count| *count <= 2));
    let listed: BTreeSet<&str> = listed.iter().map(|it| it.as_str().unwrap()).collect();
    for address in twice {
        let found = json!({ "email": address });
        let found = client.send("POST", "/v1/customers/lookup", Some(&found)).unwrap();
        let id = found.json["customers"][0].as_str().unwrap();
        assert!(listed.contains(id), "{address} had it twice and is not listed");
    }
    let mut auditor = Client::new(&server, &auditor);
    assert_eq!(named_by_scope(&mut auditor).len(), count, "each once");
    server.kill();
    shop.start().await.unwrap();
    let verified = shop.verify().await;
    assert_eq!(verified["intact"], Value::Bool(true), "{verified}");
}

/// Everyone the scope of the vendor names, page by page.
fn named_by_scope(auditor: &mut Client) -> BTreeSet<String> {
    let mut span = json!({ "place": "parcel-news", "from": "2020-01-01T00:00:00Z",
        "to": "2090-01-01T00:00:00Z" });
    let mut named = BTreeSet::new();
    loop {
        let page = auditor.send("POST", "/v1/ledger/scope", Some(&span)).unwrap();
        assert_eq!(page.status, 200, "{:?}", page.json);
        for line in page.json["customers"].as_array().unwrap() {
            assert!(named.insert(line["customer"].as_str().unwrap().to_owned()), "twice: {line}");
        }
        let Some(next) = page.json["next"].as_str() else { return named };
        span["cursor"] = json!(next);
    }
}

fn wait_until(server: &mut Server, holds: impl Fn() -> bool) {
    while !holds() {
        assert!(server.is_up(), "the server ended by itself");
        std::thread::yield_now();
    }
}

const KILLS: usize = 3;
const CONNECTIONS: usize = 3;

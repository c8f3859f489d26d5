//! Merges under kill -9: each is done or was never begun, whatever was answered.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::support::server::{Client, Server};
use crate::support::{Shop, person};

/// Two who are one, with their e-mail addresses.
#[derive(Clone)]
struct Pair {
    stays: String,
    goes: String,
    number: usize,
}

#[tokio::test]
async fn crash_a_merge_is_whole_or_never_was() {
    let mut shop = Shop::open_today().await;
    let mut keys = Vec::new();
    let mut pairs: Vec<Vec<Pair>> = Vec::new();
    for worker in 0..WORKERS {
        // Ten a day are a caller's limit.
        keys.push(shop.new_key("privacy", &["support"]).await);
        let mut own = Vec::new();
        for number in (worker * 10..worker * 10 + 10).map(|it| 2 * it) {
            let (stays, goes) = (shop.customer(number).await, shop.customer(number + 1).await);
            own.push(Pair { stays, goes, number });
        }
        pairs.push(own);
    }
    let answered = Mutex::new(Vec::new());
    shop.stop();
    for kill_after in [3, 6, 8] {
        one_kill(&shop, (&keys, &pairs), &answered, kill_after);
        shop.start().await.unwrap();
        let answered = answered.lock().unwrap().clone();
        for pair in pairs.iter().flatten() {
            check(&shop, pair, answered.contains(&pair.number)).await;
        }
        let verified = shop.verify().await;
        assert_eq!(verified["intact"], true, "{verified}");
        shop.stop();
    }
    assert!(answered.lock().unwrap().len() >= 17);
}

/// Serves, merges until so many more are answered, kills.
fn one_kill(
    shop: &Shop,
    (keys, pairs): (&[String], &[Vec<Pair>]),
    answered: &Mutex<Vec<usize>>,
    kill_after: usize,
) {
    let mut server = Server::start(shop.folder.path(), &[]);
    let count = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let mut workers = Vec::new();
        for (key, pairs) in keys.iter().zip(pairs) {
            let (mut client, count) = (Client::new(&server, key), &count);
            workers.push(scope.spawn(move || {
                for pair in pairs {
                    let body = json!({ "other": pair.goes, "other_version": 1,
                        "keep": { "email": "other" } });
                    let path = format!("/v1/customers/{}/merge", pair.stays);
                    let Some(reply) = client.send("POST", &path, Some(&body)) else { return };
                    if reply.status == 200 {
                        answered.lock().unwrap().push(pair.number);
                        count.fetch_add(1, Ordering::SeqCst);
                    }
                }
            }));
        }
        while count.load(Ordering::SeqCst) < kill_after {
            let done = workers.iter().all(|worker| worker.is_finished());
            if done || !server.is_up() {
                server.kill();
                panic!("the server or all clients ended by themselves");
            }
            std::thread::yield_now();
        }
        server.kill();
    });
}

async fn check(shop: &Shop, pair: &Pair, was_answered: bool) {
    let read = |id: &str| format!("/v1/customers/{id}?fields=name");
    let stays = shop.call("shop", "GET", &read(&pair.stays), None).await;
    assert_eq!(stays.status, 200, "{stays:?}");
    let goes = shop.call("shop", "GET", &read(&pair.goes), None).await;
    let is_merged = goes.status == 404;
    assert!(is_merged || !was_answered, "an answered merge was lost: {goes:?}");
    assert_eq!(is_merged, stays.json["version"] == 2, "{stays:?}");
    let email = |number: usize| json!({ "email": person(number)["fields"]["email"] });
    let (mine, theirs) = (email(pair.number), email(pair.number + 1));
    let expected: [Value; 2] = match is_merged {
        true => [json!([]), json!([pair.stays])],
        false => [json!([pair.stays]), json!([pair.goes])],
    };
    for (email, expected) in [mine, theirs].into_iter().zip(expected) {
        let found = shop.call("shop", "POST", "/v1/customers/lookup", Some(email)).await;
        assert_eq!(found.json["customers"], expected, "{found:?}");
    }
}

const WORKERS: usize = 3;

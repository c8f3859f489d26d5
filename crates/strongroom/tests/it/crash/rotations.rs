//! Killed at one step after another of each rotation of keys: everything opens and is found, whatever is
//! half done goes on, and at its end nothing is left under a key of before.

use std::os::unix::process::ExitStatusExt;

use serde_json::json;
use strongroom::ctx::{Clock, Ctx, SystemClock};
use strongroom::vault;

use super::disk::die_in;
use super::steps::Served;
use crate::support::data::Data;
use crate::support::server::Client;
use crate::support::{Shop, person};

async fn token(shop: &Shop, customer: &str) -> String {
    let body = json!({ "customer": customer, "field": "phone", "pinned": true });
    let made = shop.call("shop", "POST", "/v1/tokens", Some(body)).await;
    assert_eq!(made.status, 200, "{made:?}");
    made.json["tokens"][0].as_str().unwrap().to_owned()
}

/// While the program writes to a file it may be busy: then it is asked again.
fn counted(data: &Data, sql: &str) -> i64 {
    data.try_column(sql).ok().and_then(|all| all.first().copied()).unwrap_or(-1)
}

/// Kills at each `stride`-th step from the asking on, until one comes to its end.
async fn kill_at_steps_of(what: &str, stride: usize) {
    let mut served = Served::new().await;
    served.shop.start().await.unwrap();
    let mut people = Vec::new();
    for number in 1..=2 {
        let made = served.shop.call("shop", "POST", "/v1/customers", Some(person(number))).await;
        let id = made.json["id"].as_str().unwrap().to_owned();
        let records = format!("/v1/customers/{id}/records");
        let body = json!({ "kind": "invoice", "fields": { "number": "4711" } });
        assert_eq!(served.shop.call("shop", "POST", &records, Some(body)).await.status, 201);
        let token = token(&served.shop, &id).await;
        people.push((number, id, token));
    }
    served.shop.stop();
    let key = served.shop.keys["admin"].clone();
    let mut kills = 0;
    for step in (1..STEPS_MAX).step_by(stride) {
        let mut server = served.start().unwrap();
        served.wait_until_quiet();
        die_in(&served.control, step, step.is_multiple_of(2));
        let reply = Client::new(&server, &key).send(
            "POST",
            "/v1/rotations",
            Some(&json!({ "what": what })),
        );
        assert!(reply.as_ref().is_none_or(|it| it.status == 202), "{reply:?}");
        let clock = SystemClock::new();
        let keys = served.shop.keys();
        // Or what is left is not under its power: keys of creates that were killed, which stay for a week.
        let is_done = || {
            let orphans = orphans_under_older_keys(&served.shop);
            let all_else = orphans > 0 && counted(keys, PASSED) > 0;
            counted(keys, OPEN) == 0 || (all_else && counted(keys, OLDER) == orphans)
        };
        while server.is_up() && !(reply.is_some() && is_done()) && clock.monotonic_ms() < 30_000 {
            std::thread::yield_now();
        }
        let died = !server.is_up();
        assert!(died || (reply.is_some() && is_done()), "{what}: it goes on for ever");
        assert!(!died || server.end().signal() == Some(9), "{what}: it ended by itself");
        server.kill();
        die_in(&served.control, 0, false);
        served.check(step).await;
        see_all(&served, &people, (what, step)).await;
        served.shop.stop();
        kills += u32::from(died);
        if !died {
            println!("{what}: {kills} kills, the last before step {step}");
            assert!(kills >= KILLS_MIN, "{what} takes more than {kills} times {stride} steps");
            return;
        }
    }
    panic!("{what} never came to its end");
}

/// Half done, and when it has gone on to its end.
async fn see_all(served: &Served, people: &[(usize, String, String)], at: (&str, u32)) {
    let shop = &served.shop;
    for is_ended in [false, true] {
        for (number, id, token) in people {
            let fields = "fields=name,email,phone,address";
            let read =
                shop.call("shop", "GET", &format!("/v1/customers/{id}?{fields}"), None).await;
            assert_eq!(read.status, 200, "{at:?} {is_ended}: {read:?}");
            assert_eq!(served.found(*number).await, std::slice::from_ref(id), "{at:?} {is_ended}");
            let records = format!("/v1/customers/{id}/records?fields=invoice.number");
            let listed = shop.call("shop", "GET", &records, None).await;
            assert!(listed.json.to_string().contains("4711"), "{at:?} {is_ended}: {listed:?}");
            let body = json!({ "tokens": [token] });
            let shown = shop.call("desk", "POST", "/v1/tokens/detokenize", Some(body)).await.json;
            assert!(shown["tokens"][0]["value"].is_string(), "{at:?} {is_ended}: {shown}");
        }
        let desk = shop.desk();
        let ctx = Ctx::system("rotate", desk.now(), std::sync::Arc::clone(&desk.random)).unwrap();
        vault::rotate_due(&desk, &ctx, u32::MAX).await.unwrap();
    }
    // A key that was durable when its record was not stays under the key it was wrapped by, until it is
    // taken for what it is; nothing else does.
    let orphans = orphans_under_older_keys(shop);
    let left = counted(shop.keys(), OLDER);
    assert_eq!(left, orphans, "{at:?}");
    let open = counted(shop.keys(), OPEN);
    assert_eq!(open, i64::from(orphans > 0), "{at:?}");
    let keks = counted(shop.keys(), "SELECT count(*) FROM named_key WHERE name LIKE 'kek/%'");
    assert!(keks == 1 || orphans > 0, "{at:?}");
    let other = "SELECT count(*) FROM named_key WHERE name LIKE '%/other'";
    assert!(counted(shop.keys(), other) == 0 || orphans > 0, "{at:?}");
}

/// Data keys that nothing is sealed under, and nothing ever was.
fn orphans_under_older_keys(shop: &Shop) -> i64 {
    let Ok(older) = shop.keys().try_column::<String>(OLDER_IDS) else { return -2 };
    let names = |dek: &String| {
        let named = format!(
            "SELECT (SELECT count(*) FROM sealed_record WHERE instr(data, x'{dek}') > 0)
                  + (SELECT count(*) FROM shelf_record WHERE instr(data, x'{dek}') > 0)
                  + (SELECT count(*) FROM retired_key WHERE dek = x'{dek}')"
        );
        counted(shop.data(), &named)
    };
    let named: Vec<i64> = older.iter().map(names).collect();
    if named.contains(&-1) {
        return -2;
    }
    named.iter().map(|count| i64::from(*count == 0)).sum()
}

#[tokio::test]
async fn kill_minus_9_in_strides_of_a_rotation_of_the_root() {
    kill_at_steps_of("root", 2).await;
}

#[tokio::test]
async fn kill_minus_9_in_strides_of_a_rotation_of_the_wrapping_key() {
    kill_at_steps_of("wrapping_key", 3).await;
}

#[tokio::test]
async fn kill_minus_9_in_strides_of_a_rotation_of_data_keys() {
    kill_at_steps_of("data_keys", 4).await;
}

#[tokio::test]
async fn kill_minus_9_in_strides_of_a_rotation_of_look_up_keys() {
    kill_at_steps_of("look_up_keys", 7).await;
}

#[tokio::test]
async fn kill_minus_9_in_strides_of_a_rotation_of_the_signing_key() {
    kill_at_steps_of("signing_key", 3).await;
}

#[tokio::test]
async fn kill_minus_9_in_strides_of_a_rotation_after_a_leak() {
    kill_at_steps_of("after_leak", 9).await;
}

const OPEN: &str = "SELECT count(*) FROM rotation WHERE ended_ms IS NULL";

/// Everybody was looked at once.
const PASSED: &str = "SELECT count(*) FROM rotation WHERE ended_ms IS NULL AND passes > 0";

const OLDER: &str = "SELECT count(*) FROM dek WHERE kek_version <>
    (SELECT max(CAST(substr(name, 5) AS INTEGER)) FROM named_key WHERE name LIKE 'kek/%')";

const OLDER_IDS: &str = "SELECT hex(id) FROM dek WHERE kek_version <>
    (SELECT max(CAST(substr(name, 5) AS INTEGER)) FROM named_key WHERE name LIKE 'kek/%')";

const STEPS_MAX: u32 = 2_000;

const KILLS_MIN: u32 = 5;

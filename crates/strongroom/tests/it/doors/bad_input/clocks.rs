//! Keys that are over, and clocks that jump.

use serde_json::json;
use strongroom::jobs;

use super::{Watched, check};
use crate::support::Shop;

#[tokio::test]
async fn a_key_counts_to_its_last_moment_and_not_beyond() {
    let watched = Watched::open().await;
    let shop = &watched.shop;
    let input = json!({ "name": "short", "role": "shop", "purposes": ["support"], "days": 1 });
    let key = shop.as_operator("POST", "/v1/keys", Some(input)).await;
    let client = shop.client_with(key.json["secret"].as_str().unwrap());
    let read = format!("{}?fields=name", watched.customer_path());
    shop.clock.pass_ms(DAY_MS);
    assert_eq!(client.call("GET", &read, None).await.status, 200);
    shop.clock.pass_ms(1);
    let before = shop.ledger_size();
    let answer = client.call("GET", &read, None).await;
    check(&answer, 401, "key_ended", &[]);
    assert!(answer.json["detail"].as_str().unwrap().contains("make a new one"));
    assert_eq!(shop.ledger_size(), before);
}

#[tokio::test]
async fn a_clock_that_jumps_back_by_years_changes_nothing_but_erasures() {
    let watched = Watched::open().await;
    let shop = &watched.shop;
    let asked = ask_erasure(shop, 2).await;
    shop.clock.step_ms(-5 * YEAR_MS);
    still_works(&watched).await;
    shop.clock.pass_ms(30 * DAY_MS);
    jobs::run_once(&shop.desk()).await;
    assert!(!was_erased(shop).await, "five years too early by this clock");
    shop.clock.step_ms(5 * YEAR_MS);
    jobs::run_once(&shop.desk()).await;
    assert!(!was_erased(shop).await, "the clock jumped and nobody has confirmed it");
    confirm(shop).await;
    jobs::run_once(&shop.desk()).await;
    assert!(was_erased(shop).await, "due, and the clock is confirmed");
    let gone = shop.call("privacy", "DELETE", &format!("{asked}/erasure"), None).await;
    assert_eq!(gone.status, 404);
    time_never_falls(shop).await;
}

#[tokio::test]
async fn a_clock_that_jumps_ahead_erases_and_applies_nothing() {
    let watched = Watched::open().await;
    let shop = &watched.shop;
    let asked = ask_erasure(shop, 2).await;
    let wider = crate::support::POLICY.replacen("per_day = 30 }", "per_day = 31 }", 1);
    let waits = shop.as_operator("POST", "/v1/policy", Some(json!({ "policy": wider }))).await;
    assert!(waits.json["due"].is_string(), "{}", waits.json);
    shop.clock.step_ms(60 * DAY_MS);
    still_works(&watched).await;
    jobs::run_once(&shop.desk()).await;
    assert!(!was_erased(shop).await, "nothing is erased by a clock that jumped");
    let policy = shop.call("admin", "GET", "/v1/policy", None).await;
    assert_eq!(policy.json["version"], 1, "nor does a policy that waits come early");
    let findings = shop.call("privacy", "GET", "/v1/findings", None).await;
    let is_told = findings.json.to_string().contains("strongroom doctor --confirm-clock");
    assert!(is_told, "the operator is told what to do: {}", findings.json);
    let back = shop.call("privacy", "DELETE", &format!("{asked}/erasure"), None).await;
    assert_eq!(back.status, 204, "it can still be taken back: {}", back.json);
    time_never_falls(shop).await;
}

#[tokio::test]
async fn a_policy_that_is_due_waits_for_a_clock_that_can_be_trusted() {
    let shop = Shop::open().await;
    let wider = crate::support::POLICY.replacen("per_day = 30 }", "per_day = 31 }", 1);
    let waits = shop.as_operator("POST", "/v1/policy", Some(json!({ "policy": wider }))).await;
    assert!(waits.json["due"].is_string(), "{}", waits.json);
    shop.clock.step_ms(60 * DAY_MS);
    // Its day is over by any clock.
    shop.clock.pass_ms(2 * DAY_MS);
    jobs::run_once(&shop.desk()).await;
    let version =
        || async { shop.as_operator("GET", "/v1/policy", None).await.json["version"].clone() };
    assert_eq!(version().await, 1, "nobody has looked at the clock");
    confirm(&shop).await;
    jobs::run_once(&shop.desk()).await;
    assert_eq!(version().await, 2);
}

#[tokio::test]
async fn the_finding_of_a_clock_that_jumped_ends_when_a_person_confirms_it() {
    let shop = Shop::open().await;
    let is_open = || async {
        let findings = shop.call("privacy", "GET", "/v1/findings", None).await;
        findings.json.to_string().contains("clock_suspect")
    };
    for _ in 0..2 {
        shop.clock.step_ms(2 * DAY_MS);
        jobs::run_once(&shop.desk()).await;
        assert!(is_open().await);
        confirm(&shop).await;
        jobs::run_once(&shop.desk()).await;
        assert!(!is_open().await, "what a person has looked at is not open");
    }
    let findings = shop.call("privacy", "GET", "/v1/findings", None).await;
    assert!(findings.json.to_string().contains("key_file_only"), "no other was closed");
}

/// Reading, revealing and writing go on.
async fn still_works(watched: &Watched) {
    let shop = &watched.shop;
    let read = format!("{}?fields=name", watched.customer_path());
    assert_eq!(shop.call("desk", "GET", &read, None).await.status, 200);
    let reveal = json!({ "fields": ["name"], "reason": "return" });
    let path = format!("{}/reveal", watched.customer_path());
    assert_eq!(shop.call("desk", "POST", &path, Some(reveal)).await.status, 200);
    let number = usize::try_from(shop.ledger_size()).unwrap();
    shop.customer(1_000 + number).await;
}

async fn ask_erasure(shop: &Shop, number: usize) -> String {
    let path = format!("/v1/customers/{}", shop.customer(number).await);
    assert_eq!(shop.call("privacy", "DELETE", &path, None).await.status, 202);
    path
}

async fn was_erased(shop: &Shop) -> bool {
    shop.entries().await.iter().any(|entry| entry.verb == "erase.begin")
}

async fn confirm(shop: &Shop) {
    let confirmed = shop.as_operator("POST", "/v1/clock/confirm", None).await;
    assert_eq!(confirmed.status, 204, "{}", confirmed.json);
}

async fn time_never_falls(shop: &Shop) {
    let times: Vec<_> = shop.entries().await.iter().map(|entry| entry.time).collect();
    assert!(times.is_sorted(), "{times:?}");
    let verified = shop.verify().await;
    assert_eq!(verified["intact"], true, "{}", verified);
}

const DAY_MS: i64 = 86_400_000;
const YEAR_MS: i64 = 365 * DAY_MS;

/// A time once written to the ledger cannot be taken back; credentials go by the clock.
#[tokio::test]
async fn a_clock_years_ahead_ends_no_key_for_good() {
    let mut shop = Shop::open().await;
    let id = shop.customer(1).await;
    let path = format!("/v1/customers/{id}?fields=name");
    let years_ms = 3 * 366 * 86_400_000;

    shop.clock.step_ms(years_ms);
    strongroom::jobs::run_once(&shop.desk()).await;
    assert_eq!(shop.call("desk", "GET", &path, None).await.status, 200, "while it is suspect");
    shop.clock.step_ms(-years_ms);
    confirm(&shop).await;
    assert_eq!(shop.call("desk", "GET", &path, None).await.status, 200, "once it is confirmed");

    // Started with the clock years ahead, it believes it: the keys are past their end.
    shop.stop();
    shop.clock.step_ms(years_ms);
    shop.start().await.unwrap();
    assert_eq!(shop.call("desk", "GET", &path, None).await.status, 401);
    shop.verify().await;
    shop.stop();
    shop.clock.step_ms(-years_ms);
    shop.start().await.unwrap();
    assert_eq!(shop.call("desk", "GET", &path, None).await.status, 200, "the clock is right again");
    time_never_falls(&shop).await;
}

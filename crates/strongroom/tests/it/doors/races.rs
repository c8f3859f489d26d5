//! Calls that come at the same moment: one of them wins, budgets hold, nothing happens twice.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use strongroom::ctx::Outcome;

use crate::support::{Answer, Client, Shop, person, refusals, together};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_parallel_creates_with_one_email_make_one_customer() {
    let shop = Shop::open().await;
    let before = shop.count_data_keys();
    shop.customer(ROUNDS).await;
    let keys_each = shop.count_data_keys() - before;
    assert!(keys_each > 1, "a core and its compartments have a key each");
    let client = shop.client("shop");
    for round in 0..ROUNDS {
        let creates = [0, 1].map(|_| {
            let client = client.clone();
            async move { client.call("POST", "/v1/customers", Some(person(round))).await }
        });
        let mut answers = together(creates).await;
        answers.sort_by_key(|answer| answer.status);
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
        assert_eq!(statuses, [201, 409], "round {round}: {:?}", answers[0].json);
        assert_eq!(answers[1].code(), "taken");
        assert_eq!(answers[1].json["errors"][0]["field"], "email");
    }
    let customers = shop.count_customers();
    assert_eq!(customers, ROUNDS as u64 + 1, "one row each");
    assert_eq!(shop.count_data_keys() - before, customers * keys_each, "one set of keys each");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_reveals_against_a_budget_of_thirty() {
    let shop = Shop::open().await;
    let customers = customers(&shop, 64).await;
    let answers = reveal_all(&shop.client("desk"), &customers).await;
    check_thirty(&shop, &answers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_budget_of_thirty_holds_across_a_restart() {
    let mut shop = Shop::open().await;
    let customers = customers(&shop, 64).await;
    let mut answers = reveal_all(&shop.client("desk"), &customers[..20]).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    shop.stop();
    shop.start().await.unwrap();
    answers.extend(reveal_all(&shop.client("desk"), &customers[20..]).await);
    check_thirty(&shop, &answers).await;
}

/// Exactly thirty were shown; each of the others was told when to come back and is in the ledger.
pub(crate) async fn check_thirty(shop: &Shop, answers: &[Answer]) {
    let (shown, refused): (Vec<&Answer>, Vec<&Answer>) =
        answers.iter().partition(|answer| answer.status == 200);
    assert_eq!((shown.len(), refused.len()), (30, 34));
    for answer in &refused {
        assert_eq!((answer.status.as_u16(), answer.code()), (429, "budget_spent"));
        assert!(answer.json.get("fields").is_none(), "a refusal shows nothing");
        // It is ten o'clock in London.
        assert_eq!(answer.headers["retry-after"], "50400");
    }
    let entries = shop.entries().await;
    assert_eq!(refusals(&entries, "customer.reveal", "budget_spent"), 34);
    let shown_entries =
        entries.iter().filter(|it| it.verb == "customer.reveal" && it.outcome == Outcome::Ok);
    assert_eq!(shown_entries.count(), 30);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn parallel_first_looks_at_one_customer_cost_one_and_one_beyond_the_budget_none() {
    let policy = crate::support::POLICY.replace("per_day = 5000", "per_day = 2");
    let shop = Shop::with_policy(&policy).await;
    let customers = customers(&shop, 3).await;
    let look = |id: &String| {
        let (client, path) = (shop.client("shop"), format!("/v1/customers/{id}?fields=name"));
        async move { client.call("GET", &path, None).await.status.as_u16() }
    };
    let first = together((0..32).map(|_| look(&customers[0]))).await;
    assert_eq!(first, [200; 32], "looking again costs nothing");
    assert_eq!(look(&customers[1]).await, 200, "thirty-two looks at one cost one");
    assert_eq!(look(&customers[2]).await, 429, "the third customer is one too many");
    assert_eq!(look(&customers[0]).await, 200, "those seen today stay visible");
    shop.clock.pass_ms(24 * 3_600_000);
    assert_eq!(look(&customers[2]).await, 200, "tomorrow is another budget");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn misses_of_a_look_up_are_charged_like_hits() {
    let policy = crate::support::POLICY.replace("per_day = 5000", "per_day = 8");
    let shop = Shop::with_policy(&policy).await;
    shop.customer(0).await;
    let look_ups = (0..16).map(|number| {
        let client = shop.client("shop");
        let body = json!({ "email": format!("ada.{}@mail.example", number % 2) });
        async move { client.call("POST", "/v1/customers/lookup", Some(body)).await }
    });
    let statuses = count_statuses(&together(look_ups).await);
    assert_eq!(statuses, BTreeMap::from([(200, 8), (429, 8)]));
    assert_eq!(refusals(&shop.entries().await, "customer.lookup", "budget_spent"), 8);
}

#[tokio::test]
async fn who_hears_that_a_value_is_taken_is_in_the_ledger() {
    let shop = Shop::open().await;
    shop.customer(1).await;
    let before = shop.ledger_size();
    let twin = shop.call("shop", "POST", "/v1/customers", Some(person(1))).await;
    assert_eq!((twin.status.as_u16(), twin.code()), (409, "taken"));
    let mut row = person(1);
    row["line"] = json!(1);
    let rows = json!({ "rows": [row] });
    let tried = shop.call("importer", "POST", "/v1/imports/dry-run", Some(rows)).await;
    assert_eq!(tried.json["problems"][0]["code"], "taken", "{:?}", tried.json);
    let entries = shop.entries_from(before).await;
    let acts: Vec<(&str, Outcome)> =
        entries.iter().map(|it| (it.verb.as_str(), it.outcome)).collect();
    assert_eq!(acts, [("customer.create", Outcome::Refused), ("import.try", Outcome::Ok)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn parallel_upserts_of_one_reference_make_one_customer() {
    let shop = Shop::open().await;
    for round in 0..20 {
        let path = format!("/v1/customers/ref/shop/order-{round}");
        let upserts = (0..4).map(|_| {
            let (client, path) = (shop.client("shop"), path.clone());
            async move { client.call("PUT", &path, Some(person(round))).await }
        });
        let answers = together(upserts).await;
        let statuses = count_statuses(&answers);
        assert_eq!(statuses, BTreeMap::from([(200, 3), (201, 1)]), "{answers:?}");
        let ids: Vec<&Value> = answers.iter().map(|answer| &answer.json["id"]).collect();
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        assert_eq!(shop.count_customers(), round as u64 + 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_parallel_patches_of_one_version_one_wins() {
    let shop = Shop::open().await;
    let path = format!("/v1/customers/{}", shop.customer(1).await);
    for version in 1..=10_u32 {
        let patches = (0..16).map(|number| {
            let (client, path) = (shop.client("shop"), path.clone());
            let body = json!({ "fields": { "note": format!("note {number}") } });
            let etag = format!("\"{version}\"");
            async move { client.call_with("PATCH", &path, Some(body), &[("if-match", &etag)]).await }
        });
        let answers = together(patches).await;
        assert_eq!(count_statuses(&answers), BTreeMap::from([(200, 1), (412, 15)]));
        let won = answers.iter().find(|answer| answer.status == 200).unwrap();
        assert_eq!(won.json["version"], version + 1);
        assert!(answers.iter().all(|it| it.status == 200 || it.code() == "version_changed"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn parallel_touches_of_a_relation_all_count() {
    let shop = Shop::open().await;
    let path = format!("/v1/customers/{}/relations", shop.customer(1).await);
    let touches = (0..4).map(|_| {
        let (client, path) = (shop.client("desk"), path.clone());
        let body = json!({ "name": "purchase", "act": "touch" });
        async move { client.call("POST", &path, Some(body)).await }
    });
    let answers = together(touches).await;
    assert_eq!(count_statuses(&answers), BTreeMap::from([(200, 4)]), "{answers:?}");
    let mut versions: Vec<_> = answers.iter().map(|it| it.json["version"].as_u64()).collect();
    versions.sort_unstable();
    assert_eq!(versions, [2, 3, 4, 5].map(Some), "none was written over");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_parallel_chunks_of_one_import_one_is_taken() {
    let shop = Shop::open().await;
    let begin = json!({ "file_sha256": "ab".repeat(32), "map_sha256": "cd".repeat(32) });
    let begun = shop.call("importer", "POST", "/v1/imports", Some(begin)).await;
    let path = format!("/v1/imports/{}/rows", begun.json["id"].as_str().unwrap());
    for first in 0..10 {
        let mut row = person(first);
        row["line"] = json!(first + 1);
        let chunks = (0..4).map(|_| {
            let (client, path) = (shop.client("importer"), path.clone());
            let body = json!({ "first": first, "rows": [row.clone()] });
            async move { client.call("POST", &path, Some(body)).await }
        });
        let answers = together(chunks).await;
        assert_eq!(count_statuses(&answers), BTreeMap::from([(200, 1), (409, 3)]), "{answers:?}");
        assert_eq!(shop.count_customers(), first as u64 + 1);
    }
}

pub(crate) async fn customers(shop: &Shop, number: usize) -> Vec<String> {
    let mut ids = Vec::with_capacity(number);
    for number in 0..number {
        ids.push(shop.customer(number).await);
    }
    ids
}

pub(crate) async fn reveal_all(client: &Client, customers: &[String]) -> Vec<Answer> {
    let reveals = customers.iter().map(|id| {
        let (client, path) = (client.clone(), format!("/v1/customers/{id}/reveal"));
        let why = json!({ "fields": ["email"], "reason": "customer called" });
        async move { client.call("POST", &path, Some(why)).await }
    });
    together(reveals).await
}

fn count_statuses(answers: &[Answer]) -> BTreeMap<u16, usize> {
    let mut counts = BTreeMap::new();
    for answer in answers {
        *counts.entry(answer.status.as_u16()).or_default() += 1;
    }
    counts
}

const ROUNDS: usize = 1_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn parallel_asks_for_erasure_stay_within_what_goes_in_one_day() {
    let shop = Shop::open().await;
    let mut callers = Vec::new();
    for _ in 0..20 {
        let key = shop.new_key("privacy", &["support"]).await;
        callers.push(shop.client_with(&key));
    }
    let mut asks = Vec::new();
    for number in 0..140 {
        let (id, caller) = (shop.customer(number).await, callers[number % callers.len()].clone());
        let path = format!("/v1/customers/{id}");
        asks.push(async move { caller.call("DELETE", &path, None).await });
    }
    let last = asks.split_off(95);
    for ask in asks {
        assert_eq!(ask.await.status, 202);
    }
    let answers = together(last).await;
    let asked = answers.iter().filter(|answer| answer.status == 202).count();
    assert_eq!(asked, 5, "100 a day in all");
    let refused = answers.iter().filter(|answer| answer.status != 202);
    refused.for_each(|answer| assert_eq!(answer.code(), "second_person_needed"));
}

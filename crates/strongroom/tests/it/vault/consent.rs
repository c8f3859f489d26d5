//! Purposes that need consent: nothing is shown for them without it, or above its withdrawal.

use std::sync::Arc;

use serde_json::{Value, json};
use strongroom::ctx::{Ctx, Guard, Miss, Outcome};
use strongroom::jobs;
use strongroom::vault;

use crate::support::{Answer, Client, POLICY, Readers, Shop, refusals};

/// A shop whose web shop may also reveal for marketing, and a key of it for that purpose.
async fn open() -> (Shop, Client) {
    let policy = POLICY.replacen(
        "budget = { per_day = 2000 }",
        "budget = { per_day = 2000 }\nreveal = { needs = \"reason\", reasons = [\"prize\"], per_day = 90 }",
        1,
    );
    assert_ne!(policy, POLICY);
    let shop = Shop::with_policy(&policy).await;
    let key = shop.new_key("shop", &["marketing"]).await;
    let client = shop.client_with(&key);
    (shop, client)
}

async fn read(client: &Client, id: &str) -> Answer {
    let path = format!("/v1/customers/{id}?fields=name,email");
    client.call_plain("GET", &path, None, &MARKETING).await
}

async fn reveal(client: &Client, id: &str) -> Answer {
    let path = format!("/v1/customers/{id}/reveal");
    let why = json!({ "fields": ["email"], "reason": "prize" });
    client.call_plain("POST", &path, Some(why), &MARKETING).await
}

async fn find(client: &Client, number: usize) -> Value {
    let body = json!({ "email": format!("ada.{number}@mail.example") });
    let found = client.call_plain("POST", "/v1/customers/lookup", Some(body), &MARKETING).await;
    assert_eq!(found.status, 200, "{:?}", found.json);
    found.json["customers"].clone()
}

async fn give(shop: &Shop, id: &str) -> Answer {
    let path = format!("/v1/customers/{id}/consents/marketing");
    shop.call("desk", "PUT", &path, Some(json!({ "how": "form" }))).await
}

async fn withdraw(shop: &Shop, id: &str) -> Answer {
    shop.call("privacy", "DELETE", &format!("/v1/customers/{id}/consents/marketing"), None).await
}

#[tokio::test]
async fn a_purpose_that_needs_consent_shows_nobody_who_has_not_given_it() {
    let (mut shop, client) = open().await;
    let (id, other) = (shop.customer(1).await, shop.customer(2).await);
    let before = shop.ledger_size();
    for answer in [read(&client, &id).await, reveal(&client, &id).await] {
        assert_eq!((answer.status.as_u16(), answer.code()), (403, "consent_missing"));
        assert!(answer.json.get("fields").is_none());
    }
    assert_eq!(find(&client, 1).await, json!([]), "a look-up for it finds nobody");
    let entries = shop.entries_from(before).await;
    assert_eq!(refusals(&entries, "customer.read", "consent_missing"), 1);
    assert_eq!(refusals(&entries, "customer.reveal", "consent_missing"), 1);
    let support = format!("/v1/customers/{id}?fields=name");
    assert_eq!(shop.call("desk", "GET", &support, None).await.status, 200, "others go on");

    let given = give(&shop, &id).await;
    assert_eq!((given.status.as_u16(), &given.json["version"]), (200, &json!(2)));
    assert_eq!(read(&client, &id).await.status, 200);
    assert_eq!(reveal(&client, &id).await.json["fields"]["email"], "ada.1@mail.example");
    assert_eq!(find(&client, 1).await, json!([id]));
    assert_eq!(read(&client, &other).await.code(), "consent_missing", "one consents for oneself");

    drop(client);
    shop.stop();
    shop.start().await.unwrap();
    let key = shop.new_key("shop", &["marketing"]).await;
    let client = shop.client_with(&key);
    assert_eq!(read(&client, &id).await.status, 200, "a restart changes nothing");
    assert_eq!(withdraw(&shop, &id).await.status, 200);
    assert_eq!(read(&client, &id).await.code(), "consent_missing");
    assert_eq!(find(&client, 1).await, json!([]));
    let patch = json!({ "fields": { "note": "still a customer" } });
    let path = format!("/v1/customers/{id}");
    let patched =
        shop.call_with("shop", "PATCH", &path, Some(patch), &[("if-match", "\"3\"")]).await;
    assert_eq!(patched.status, 200, "{:?}", patched.json);
    assert_eq!(read(&client, &id).await.code(), "consent_missing", "a patch keeps the word");
    let verified = shop.verify().await;
    assert_eq!(verified["intact"], true, "{verified}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn position_decides_nothing_is_shown_above_a_withdrawal_to_sixty_four_racing_readers() {
    let (shop, client) = open().await;
    for round in 0..5 {
        let id = shop.customer(round).await;
        assert_eq!(give(&shop, &id).await.status, 200);
        let readers = Readers::start(READERS, |_| {
            let (client, id) = (client.clone(), id.clone());
            move || {
                let (client, id) = (client.clone(), id.clone());
                async move { read(&client, &id).await }
            }
        });
        readers.answered(2 * READERS as u32).await;
        let withdrawn = withdraw(&shop, &id).await;
        assert_eq!(withdrawn.status, 200, "{:?}", withdrawn.json);
        readers.refused(READERS as u32).await;
        readers.stop().await;
        let late = shop.entries_from(withdrawn.index() + 1).await;
        let late = late.iter().filter(|it| it.verb == "customer.read" && it.outcome == Outcome::Ok);
        assert_eq!(late.count(), 0, "round {round}");
    }
}

#[tokio::test]
async fn the_ledger_says_who_took_a_consent_in_how_and_for_what() {
    let (shop, _) = open().await;
    let id = shop.customer(1).await;
    let before = shop.ledger_size();
    give(&shop, &id).await;
    withdraw(&shop, &id).await;
    let entries = shop.entries_from(before).await;
    let told: Vec<(&str, &str, &str)> = entries
        .iter()
        .map(|it| (it.verb.as_str(), it.purpose.as_str(), it.reason.as_str()))
        .collect();
    assert_eq!(
        told,
        [("consent.give", "marketing", "form"), ("consent.withdraw", "marketing", "")]
    );
    let looks = shop.call("shop", "GET", &format!("/v1/customers/{id}/ledger"), None).await;
    assert_eq!(looks.json["items"][1]["act"], "consent.give", "{:?}", looks.json);
    assert_eq!(looks.json["items"][1]["purpose"], "marketing");
}

#[tokio::test]
async fn consents_show_to_whoever_takes_them_in_or_has_a_grant_of_the_purpose() {
    let second = "[purpose.survey]\nneeds_consent = true\n\n[role.shop]";
    let reader = "[role.reader]\n\n[[grant]]\nrole = \"reader\"\npurpose = \"survey\"\n\
                  fields = [\"name\"]\nsee = \"masked\"\nbudget = { per_day = 10 }\n";
    let policy = POLICY.replacen("[role.shop]", second, 1) + reader;
    let shop = Shop::with_policy(&policy).await;
    let id = shop.customer(1).await;
    give(&shop, &id).await;
    let survey = format!("/v1/customers/{id}/consents/survey");
    let at = json!({ "how": "in_person", "at": "2026-11-01T09:00:00Z" });
    assert_eq!(shop.call("shop", "PUT", &survey, Some(at)).await.status, 200);
    shop.clock.pass_ms(1);
    shop.call("desk", "DELETE", &survey, None).await;
    let all = json!([
        { "purpose": "marketing", "stands": true, "given": "2026-11-21T10:00:00.000Z", "how": "form",
          "withdrawn": null },
        { "purpose": "survey", "stands": false, "given": "2026-11-01T09:00:00.000Z",
          "how": "in_person", "withdrawn": "2026-11-21T10:00:00.001Z" },
    ]);
    let path = format!("/v1/customers/{id}/consents");
    for role in ["shop", "desk", "privacy"] {
        let listed = shop.call(role, "GET", &path, None).await;
        assert_eq!(listed.json["consents"], all, "{role}: {:?}", listed.json);
    }
    let reader = shop.client_with(&shop.new_key("reader", &["survey"]).await);
    let listed = reader.call("GET", &path, None).await;
    assert_eq!(listed.json["consents"], json!([all[1]]), "{:?}", listed.json);
    let without = shop.client_with(&shop.new_key("reader", &["support"]).await);
    assert_eq!(without.call("GET", &path, None).await.code(), "right_missing");
}

#[tokio::test]
async fn an_older_consent_does_not_undo_a_withdrawal() {
    let (shop, client) = open().await;
    let id = shop.customer(1).await;
    let path = format!("/v1/customers/{id}/consents/marketing");
    let old = json!({ "how": "form", "at": "2026-11-01T10:00:00Z" });
    // The customer said no before the old list was brought in.
    assert_eq!(withdraw(&shop, &id).await.status, 200);
    let refused = shop.call("shop", "PUT", &path, Some(old)).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (409, "consent_withdrawn"));
    assert_eq!(read(&client, &id).await.code(), "consent_missing");
    shop.clock.pass_ms(1_000);
    assert_eq!(give(&shop, &id).await.status, 200, "a new word counts");
    assert_eq!(read(&client, &id).await.status, 200);
}

#[tokio::test]
async fn consents_that_mean_nothing_are_refused() {
    let (shop, _) = open().await;
    let id = shop.customer(1).await;
    let cases = [
        ("support", json!({ "how": "form" }), 422, "consent_not_needed"),
        ("delight", json!({ "how": "form" }), 422, "purpose_unknown"),
        (
            "marketing",
            json!({ "how": "form", "at": "2027-01-01T00:00:00Z" }),
            422,
            "consent_in_future",
        ),
        ("marketing", json!({ "how": "form", "at": "yesterday" }), 422, "bad_time"),
        ("marketing", json!({ "how": "Ada said so" }), 400, "bad_value"),
        ("marketing", json!({}), 400, "missing_member"),
    ];
    for (purpose, body, status, code) in cases {
        let path = format!("/v1/customers/{id}/consents/{purpose}");
        let answer = shop.call("desk", "PUT", &path, Some(body)).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (status, code), "{purpose}");
        assert!(!answer.json.to_string().contains("Ada"));
    }
    let path = format!("/v1/customers/{id}/consents/delight");
    assert_eq!(shop.call("desk", "DELETE", &path, None).await.code(), "purpose_unknown");
}

#[tokio::test]
async fn who_asks_to_be_forgotten_has_no_consent_left_beside_what_the_law_keeps() {
    let (shop, client) = open().await;
    let id = shop.customer(1).await;
    give(&shop, &id).await;
    assert_eq!(read(&client, &id).await.status, 200);
    shop.call("privacy", "DELETE", &format!("/v1/customers/{id}"), None).await;
    shop.clock.pass_ms(8 * 86_400_000);
    jobs::run_once(&shop.desk()).await;
    assert_eq!(read(&client, &id).await.code(), "consent_missing");
    let listed = shop.call("desk", "GET", &format!("/v1/customers/{id}/consents"), None).await;
    assert_eq!(listed.json["consents"], json!([]));
}

#[tokio::test]
async fn a_purpose_that_comes_to_need_consent_shows_only_who_has_given_it() {
    let free = POLICY.replacen("needs_consent = true ", "needs_consent = false ", 1);
    let shop = Shop::with_policy(&free).await;
    let client = shop.client_with(&shop.new_key("shop", &["marketing"]).await);
    let id = shop.customer(1).await;
    assert_eq!(read(&client, &id).await.status, 200);
    let applied = shop.as_operator("POST", "/v1/policy", Some(json!({ "policy": POLICY }))).await;
    assert!(applied.json["version"].is_u64(), "narrowing does not wait: {:?}", applied.json);
    assert_eq!(read(&client, &id).await.code(), "consent_missing");
    let back = shop.as_operator("POST", "/v1/policy", Some(json!({ "policy": free }))).await;
    assert!(back.json["version"].is_null(), "widening waits: {:?}", back.json);
}

#[tokio::test]
async fn rooms_that_send_are_told_per_customer_with_a_guard_for_the_position() {
    let (shop, _) = open().await;
    let id = shop.customer(1).await;
    let desk = shop.desk();
    let ctx = Ctx::system("outlet.send", desk.now(), Arc::clone(&desk.random)).unwrap();
    let applied = Arc::clone(desk.rights.now().unwrap().applied().unwrap());
    let ask = || vault::consented(&desk, &ctx, id.parse().unwrap(), &applied, "marketing");
    assert_eq!(ask().await.err().unwrap().code, "consent_missing");
    give(&shop, &id).await;
    let consented = ask().await.unwrap();
    let is_alive =
        matches!(consented.guard, Guard::Rows { expected: 1, miss: Miss::LifeChanged, .. });
    assert!(is_alive, "{:?}", consented.guard);
    withdraw(&shop, &id).await;
    assert_eq!(ask().await.err().unwrap().code, "consent_missing");
}

const MARKETING: [(&str, &str); 1] = [("strongroom-purpose", "marketing")];
const READERS: usize = 64;

//! Keys of programs that people sit at: each call says who asks, the ledger repeats it as claimed, and
//! budgets count it.

use serde_json::{Value, json};

use crate::attack::{assert_code, enquirer};
use crate::support::{Answer, Client, POLICY, Shop, intrude};

async fn people_key(shop: &Shop, role: &str) -> Client {
    let body =
        json!({ "name": "front desk", "role": role, "purposes": ["support"], "people": true });
    let made = shop.as_operator("POST", "/v1/keys", Some(body)).await;
    assert_eq!(made.status, 201, "{:?}", made.json);
    shop.client_with(made.json["secret"].as_str().unwrap())
}

async fn read(client: &Client, id: &str, claims: &[&str]) -> Answer {
    let mut headers = vec![("strongroom-purpose", "support")];
    headers.extend(claims.iter().map(|claim| ("strongroom-on-behalf-of", *claim)));
    let path = format!("/v1/customers/{id}?fields=name");
    client.call_plain("GET", &path, None, &headers).await
}

#[tokio::test]
async fn a_key_of_people_is_refused_that_does_not_say_who_asks() {
    let mut shop = Shop::open().await;
    let id = shop.customer(1).await;
    let client = people_key(&shop, "desk").await;
    let before = shop.ledger_size();
    assert_code(&read(&client, &id, &[]).await, 400, "behalf_missing");
    let personal =
        ["Ada", "ada@mail.example", "Ada 1", "1 ö", "4242-4242-4242-4242", "", &"1".repeat(41)];
    for claim in personal {
        let refused = read(&client, &id, &[claim]).await;
        assert_code(&refused, 400, "bad_behalf");
        assert!(claim.is_empty() || !refused.json.to_string().contains(claim), "{claim}");
    }
    assert_code(&read(&client, &id, &["staff-1", "staff-2"]).await, 400, "bad_behalf");
    assert_eq!(shop.ledger_size(), before, "nothing was shown");
    for (method, path) in [("GET", "/v1/policy"), ("DELETE", "/v1/keys/own")] {
        let refused = client.call_plain(method, path, None, &[]).await;
        assert_code(&refused, 400, "behalf_missing");
    }
    assert_eq!(read(&client, &id, &["staff-17"]).await.status, 200);
    let listed = shop.call("admin", "GET", "/v1/keys", None).await;
    let people = |it: &&Value| it["people"] == true;
    assert_eq!(listed.json["keys"].as_array().unwrap().iter().filter(people).count(), 1);
    drop(client);
    shop.stop();
    shop.start().await.unwrap();
    assert_eq!(shop.call("desk", "GET", "/v1/policy", None).await.status, 200, "rows verify");
}

#[tokio::test]
async fn the_ledger_says_who_was_said_to_ask() {
    let shop = Shop::open().await;
    let id = shop.customer(1).await;
    let client = people_key(&shop, "desk").await;
    read(&client, &id, &["staff-17"]).await;
    read(&shop.client("shop"), &id, &["staff-18"]).await;
    read(&shop.client("shop"), &id, &[]).await;
    let forbidden = format!("/v1/customers/{id}?fields=date_of_birth");
    let headers = [("strongroom-purpose", "support"), ("strongroom-on-behalf-of", "staff-17")];
    let before = shop.ledger_size();
    assert_eq!(client.call_plain("GET", &forbidden, None, &headers).await.status, 403);
    assert_eq!(shop.entries_from(before).await[0].behalf, "staff-17", "refusals too");
    let looks = shop.call("shop", "GET", &format!("/v1/customers/{id}/ledger"), None).await;
    let claims: Vec<&Value> =
        looks.json["items"].as_array().unwrap().iter().map(|it| &it["on_behalf_of"]).collect();
    assert_eq!(claims, [&json!(null), &json!("staff-18"), &json!("staff-17"), &json!(null)]);
    let verified = shop.verify().await;
    assert_eq!(verified["intact"], true, "{verified}");
}

#[tokio::test]
async fn both_the_key_and_who_is_said_to_ask_have_a_budget() {
    let policy = POLICY.replacen("budget = { per_day = 200 }", "budget = { per_day = 3 }", 1);
    let shop = Shop::with_policy(&policy).await;
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(shop.customer(number).await);
    }
    let (one, other) = (people_key(&shop, "desk").await, people_key(&shop, "desk").await);
    for (key, customer, claim, status) in [
        (&one, 0, "staff-1", 200),
        (&one, 1, "staff-1", 200),
        (&one, 0, "staff-2", 200),
        // The third customer of this key, whoever asks; a fourth is one too many for anybody.
        (&one, 2, "staff-2", 200),
        (&one, 3, "staff-3", 429),
        // The other key has its own budget, but the third person has seen nobody yet.
        (&other, 2, "staff-1", 200),
        // Three customers through two keys: the person's budget is spent, the key's is not.
        (&other, 3, "staff-1", 429),
        (&other, 3, "staff-3", 200),
    ] {
        let answer = read(key, &ids[customer], &[claim]).await;
        assert_eq!(answer.status, status, "customer {customer} by {claim}: {:?}", answer.json);
    }
}

#[tokio::test]
async fn one_person_asks_for_ten_erasures_a_day_through_all_keys() {
    let shop = Shop::open().await;
    let (one, other) = (people_key(&shop, "privacy").await, people_key(&shop, "privacy").await);
    for number in 0..12 {
        let id = enquirer(&shop, number).await;
        let claim = if number == 11 { "staff-2" } else { "staff-1" };
        let client = if number % 2 == 0 { &one } else { &other };
        let headers = [("strongroom-on-behalf-of", claim)];
        let asked =
            client.call_plain("DELETE", &format!("/v1/customers/{id}"), None, &headers).await;
        match number {
            10 => assert_code(&asked, 403, "second_person_needed"),
            _ => assert_eq!(asked.status, 202, "{number}: {:?}", asked.json),
        }
    }
}

#[tokio::test]
async fn a_key_of_people_made_a_program_s_by_sql_gives_nobody_a_right() {
    let mut shop = Shop::open().await;
    let id = shop.customer(1).await;
    let client = people_key(&shop, "desk").await;
    drop(client);
    shop.stop();
    intrude(shop.data(), "UPDATE api_key SET people = 0");
    shop.start().await.unwrap();
    let path = format!("/v1/customers/{id}?fields=name");
    assert_code(&shop.call("desk", "GET", &path, None).await, 503, "rights_altered");
}

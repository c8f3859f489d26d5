//! Tokens: one for each value and consumer, pinned or following, dead with what they stand for.

use serde_json::{Value, json};
use strongroom::jobs;

use crate::attack::{Kept, assert_code, enquirer, one};
use crate::support::{Answer, Shop, intrude, together};

const DAY_MS: i64 = 86_400_000;

async fn make(shop: &Shop, body: Value) -> Answer {
    shop.call("shop", "POST", "/v1/tokens", Some(body)).await
}

async fn made(shop: &Shop, body: Value) -> String {
    let answer = make(shop, body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json["tokens"][0].as_str().unwrap().to_owned()
}

/// In clear, for the purpose `delivery`.
async fn clear(shop: &Shop, token: &str) -> Value {
    let body = Some(json!({ "token": token }));
    let purpose = [("strongroom-purpose", "delivery")];
    let path = "/v1/tokens/detokenize";
    let answer = shop.client("shop").call_plain("POST", path, body, &purpose).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json["tokens"][0].clone()
}

async fn read(shop: &Shop, role: &str, body: Value) -> Answer {
    shop.call(role, "POST", "/v1/tokens/detokenize", Some(body)).await
}

async fn move_to(shop: &Shop, id: &str, version: u64, street: &str) {
    let address = json!({ "lines": [street], "city": "Whitby", "country": "GB" });
    let patch = Some(json!({ "fields": { "address": address } }));
    let (path, version) = (format!("/v1/customers/{id}"), format!("\"{version}\""));
    let moved = shop.call_with("shop", "PATCH", &path, patch, &[("if-match", &version)]).await;
    assert_eq!(moved.status, 200, "{moved:?}");
}

#[tokio::test]
async fn a_new_address_leaves_a_pinned_token_and_moves_one_that_follows() {
    let shop = Shop::open().await;
    let id = shop.customer(1).await;
    let pinned = json!({ "customer": id, "field": "address", "pinned": true });
    let then = made(&shop, pinned.clone()).await;
    let now = made(&shop, json!({ "customer": id, "field": "address" })).await;
    assert_ne!(then, now);
    let before = clear(&shop, &then).await;
    assert_eq!(
        (&before["value"]["lines"], &before["pinned"]),
        (&json!(["1 Harbour Street"]), &json!(true))
    );

    move_to(&shop, &id, 1, "9 New Quay").await;
    assert_eq!(clear(&shop, &then).await, before);
    let after = clear(&shop, &now).await;
    assert_eq!(
        (&after["value"]["lines"], &after["pinned"]),
        (&json!(["9 New Quay"]), &json!(false))
    );
    let again = made(&shop, pinned.clone()).await;
    assert_ne!(again, then, "another value has another pinned token");
    assert_eq!(clear(&shop, &again).await["value"]["lines"], json!(["9 New Quay"]));
    move_to(&shop, &id, 2, "1 Harbour Street").await;
    assert_eq!(made(&shop, json!({ "customer": id, "field": "address" })).await, now);
}

#[tokio::test]
async fn a_customer_field_and_consumer_have_one_token() {
    let shop = Shop::open().await;
    let (id, other) = (shop.customer(1).await, shop.customer(2).await);
    let body = |customer: &str, field: &str, consumer: &str, pinned: bool| json!({ "customer": customer, "field": field, "consumer": consumer, "pinned": pinned });
    let token = made(&shop, body(&id, "name", "newsletter", false)).await;
    assert_eq!(made(&shop, body(&id, "name", "newsletter", false)).await, token);
    let pinned = made(&shop, body(&id, "name", "newsletter", true)).await;
    assert_eq!(made(&shop, body(&id, "name", "newsletter", true)).await, pinned);
    let mut all = vec![
        token.clone(),
        pinned,
        made(&shop, body(&id, "email", "newsletter", false)).await,
        made(&shop, body(&id, "name", "parcels", false)).await,
        made(&shop, body(&other, "name", "newsletter", false)).await,
    ];
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 5, "each has its own");

    let one = body(&id, "name", "newsletter", false);
    let batch = json!({ "tokens": [one, body(&other, "phone", "x", false), one] });
    let before = shop.ledger_size();
    let answer = make(&shop, batch).await;
    assert_eq!(answer.json["tokens"][0], json!(token), "{answer:?}");
    assert_eq!(answer.json["tokens"][2], json!(token));
    let entries = shop.entries_from(before).await;
    assert_eq!((entries.len(), entries[0].verb.as_str(), entries[0].count), (1, "token.make", 3));

    let calls = (0..6).map(|_| {
        let (client, body) = (shop.client("shop"), body(&id, "name", "raced", false));
        async move { client.call("POST", "/v1/tokens", Some(body)).await }
    });
    let raced = together(calls).await;
    let mut tokens: Vec<String> =
        raced.iter().map(|answer| answer.json["tokens"][0].as_str().unwrap().to_owned()).collect();
    tokens.dedup();
    assert_eq!(tokens.len(), 1, "one token, whoever was first: {raced:?}");
}

#[tokio::test]
async fn a_token_shows_what_the_grant_shows_in_one_entry() {
    let shop = Shop::open().await;
    let (id, other) = (shop.customer(1).await, shop.customer(2).await);
    let name = made(&shop, json!({ "customer": id, "field": "name" })).await;
    let phone = made(&shop, json!({ "customer": other, "field": "phone" })).await;
    let mut misspelt = name.clone();
    let last = misspelt.pop().unwrap();
    misspelt.push(if last == '7' { '8' } else { '7' });
    let unknown = "tok_00000000000000000000000000".to_owned() + "0";
    let before = shop.ledger_size();
    let body = json!({ "tokens": [name, phone, misspelt, unknown, "ada@mail.example"] });
    let seen = read(&shop, "desk", body).await;
    assert_eq!(seen.status, 200, "{seen:?}");
    let tokens = seen.json["tokens"].as_array().unwrap();
    assert_eq!(
        tokens[0],
        json!({ "field": "name", "value": "A••••", "masked": true, "pinned": false })
    );
    assert_eq!(tokens[1]["value"], "•••• ••02");
    let problems: Vec<&Value> = tokens[2..].iter().map(|it| &it["problem"]).collect();
    assert_eq!(problems, ["token_misspelt", "token_unknown", "token_misspelt"]);
    let entries = shop.entries_from(before).await;
    assert_eq!((entries.len(), entries[0].verb.as_str(), entries[0].count), (1, "token.read", 2));
    for customer in [&id, &other] {
        let looks =
            shop.call("shop", "GET", &format!("/v1/customers/{customer}/ledger"), None).await;
        assert_eq!(looks.json["items"][0]["act"], "token.read", "{looks:?}");
    }
    let born = json!({ "date_of_birth": "1990-01-01" });
    let path = format!("/v1/customers/{id}");
    let patch = Some(json!({ "fields": born }));
    shop.call_with("shop", "PATCH", &path, patch, &[("if-match", "\"1\"")]).await;
    let born = made(&shop, json!({ "customer": id, "field": "date_of_birth" })).await;
    let refused = read(&shop, "desk", json!({ "tokens": [name, born] })).await;
    assert_code(&refused, 403, "grant_missing");
}

#[tokio::test]
async fn tokens_of_those_who_have_not_consented_show_nothing() {
    let shop = Shop::open().await;
    let client = shop.client_with(&shop.new_key("shop", &["marketing"]).await);
    let (yes, no) = (shop.customer(1).await, shop.customer(2).await);
    let path = format!("/v1/customers/{yes}/consents/marketing");
    let given = shop.call("desk", "PUT", &path, Some(json!({ "how": "form" }))).await;
    assert_eq!(given.status, 200, "{given:?}");
    let mut tokens = Vec::new();
    for customer in [&yes, &no] {
        tokens.push(made(&shop, json!({ "customer": customer, "field": "name" })).await);
    }
    let body = Some(json!({ "tokens": tokens }));
    let purpose = [("strongroom-purpose", "marketing")];
    let seen = client.call_plain("POST", "/v1/tokens/detokenize", body, &purpose).await;
    assert_eq!(seen.json["tokens"][0]["value"], "A••••", "{seen:?}");
    let refused = json!({ "masked": false, "pinned": false, "problem": "consent_missing" });
    assert_eq!(seen.json["tokens"][1], refused);
    let looks = shop.call("shop", "GET", &format!("/v1/customers/{no}/ledger"), None).await;
    assert_eq!(looks.json["items"][0]["act"], "token.make", "nobody looked: {looks:?}");
}

#[tokio::test]
async fn detokenizing_draws_on_the_budget_in_different_customers() {
    let policy =
        crate::support::POLICY.replacen("budget = { per_day = 50 }", "budget = { per_day = 2 }", 1);
    let shop = Shop::with_policy(&policy).await;
    let mut tokens = Vec::new();
    for number in 1..=3 {
        let id = shop.customer(number).await;
        tokens.push(made(&shop, json!({ "customer": id, "field": "name" })).await);
    }
    let first = json!({ "tokens": [tokens[0], tokens[1], tokens[0]] });
    assert_eq!(read(&shop, "privacy", first).await.status, 200);
    let third = read(&shop, "privacy", json!({ "token": tokens[2] })).await;
    assert_code(&third, 429, "budget_spent");
    assert_eq!(read(&shop, "privacy", json!({ "token": tokens[1] })).await.status, 200);
}

#[tokio::test]
async fn a_token_ends_when_it_was_asked_to() {
    let shop = Shop::open().await;
    let id = shop.customer(1).await;
    let body = |expires: &str| json!({ "customer": id, "field": "name", "expires": expires });
    let token = made(&shop, body("2026-11-22T10:00:00Z")).await;
    assert_eq!(clear(&shop, &token).await["value"], "Ada Example1");
    shop.clock.pass_ms(DAY_MS);
    assert_eq!(clear(&shop, &token).await["problem"], "token_unknown");
    let again = made(&shop, body("2026-12-24T10:00:00Z")).await;
    assert_eq!(again, token, "so that rows still join");
    assert_eq!(clear(&shop, &token).await["value"], "Ada Example1");
    assert_code(&make(&shop, body("2026-11-22T09:59:00Z")).await, 422, "expires_in_past");
}

#[tokio::test]
async fn what_cannot_be_a_token_is_refused() {
    let shop = Shop::open().await;
    let id = shop.customer(1).await;
    for (body, status, code) in [
        (json!({ "customer": id, "field": "shoe_size" }), 422, "field_unknown"),
        (json!({ "customer": id, "field": "invoice.number" }), 422, "field_unknown"),
        (json!({ "customer": id, "field": "note" }), 422, "no_value"),
        (json!({ "customer": id, "field": "name", "consumer": "Ada Ex" }), 422, "bad_consumer"),
        (json!({ "customer": id }), 400, "one_form"),
        (json!({ "tokens": [] }), 400, "one_form"),
        (json!({ "customer": id, "field": "name", "tokens": [] }), 400, "one_form"),
        (
            json!({ "customer": "cus_00000000000000000000000000", "field": "name" }),
            404,
            "not_found",
        ),
    ] {
        assert_code(&make(&shop, body).await, status, code);
    }
    let many = vec![json!({ "customer": id, "field": "name" }); 201];
    assert_code(&make(&shop, json!({ "tokens": many })).await, 413, "too_many_tokens");
    let many = vec!["tok_1"; 201];
    assert_code(&read(&shop, "desk", json!({ "tokens": many })).await, 413, "too_many_tokens");
}

#[tokio::test]
async fn erased_stays_erased_for_tokens_too() {
    let mut shop = Shop::open().await;
    let (whole, part) = (enquirer(&shop, 1).await, shop.customer(2).await);
    let gone = made(&shop, json!({ "customer": whole, "field": "name", "pinned": true })).await;
    let stays = made(&shop, json!({ "customer": part, "field": "name", "pinned": true })).await;
    let phone = made(&shop, json!({ "customer": part, "field": "phone", "pinned": true })).await;
    shop.stop();
    let before = Kept::of(&shop);
    shop.start().await.unwrap();
    for id in [&whole, &part] {
        let path = format!("/v1/customers/{id}");
        assert_eq!(shop.call("privacy", "DELETE", &path, None).await.status, 202);
    }
    assert_eq!(clear(&shop, &gone).await["problem"], "token_unknown", "hidden at once");
    shop.clock.pass_ms(8 * DAY_MS);
    jobs::run_once(&shop.desk()).await;
    let left = || one::<i64>(shop.data(), "SELECT COUNT(*) FROM token");
    assert_eq!(left(), 1, "one row for the name a legal duty keeps");
    assert_eq!(clear(&shop, &stays).await["value"], "Ada Example2");
    // The rows of the tokens alone, put back: the key that opens them is gone.
    let rows = "INSERT OR IGNORE INTO token SELECT * FROM old.token";
    intrude(shop.data(), &before.attached(rows));
    assert_eq!(left(), 3);
    for token in [&gone, &phone] {
        let body = json!({ "token": token });
        let seen = read(&shop, "desk", body).await;
        assert_eq!(seen.json["tokens"][0]["problem"], "token_unknown", "{seen:?}");
    }
}

/// The token itself is known to its holder alone, and a row is good for one token and customer.
#[tokio::test]
async fn bound_a_token_is_kept_as_a_hash_and_opens_for_nobody_else() {
    let mut shop = Shop::open().await;
    let (id, other) = (shop.customer(1).await, shop.customer(2).await);
    let mine = made(&shop, json!({ "customer": id, "field": "name", "pinned": true })).await;
    let theirs = made(&shop, json!({ "customer": other, "field": "name", "pinned": true })).await;
    shop.stop();
    let bytes = bytes_of(&mine);
    for data in [shop.data(), shop.keys()] {
        assert!(!data.contains(mine.trim_start_matches("tok_").as_bytes()));
        assert!(!data.contains(&bytes));
    }
    let now = Kept::of(&shop);
    for attack in [
        // The data of one under the hash of the other, alone and with everything else.
        "CREATE TEMP TABLE kept AS SELECT * FROM token;
         UPDATE token SET data = (SELECT data FROM kept WHERE kept.hash <> token.hash)",
        "CREATE TEMP TABLE kept AS SELECT * FROM token; DELETE FROM token;
         INSERT INTO token SELECT one.hash, it.customer, it.compartment, it.slot, it.data
           FROM kept AS one JOIN kept AS it ON it.hash <> one.hash",
        "UPDATE token SET customer = (SELECT key FROM customer WHERE key <> token.customer)",
        "UPDATE token SET data = CAST(substr(data, 1, length(data) - 1) || x'00' AS BLOB)",
    ] {
        now.put_back(&shop);
        intrude(shop.data(), attack);
        shop.start().await.unwrap();
        for token in [&mine, &theirs] {
            assert_code(&read(&shop, "desk", json!({ "token": token })).await, 503, "tampered");
        }
        shop.stop();
    }
    // A token's copy in the place of the record it was copied from.
    now.put_back(&shop);
    let swap = "UPDATE sealed_record SET data = (SELECT data FROM token WHERE token.customer =
        sealed_record.customer) WHERE compartment IN (SELECT compartment FROM token)";
    intrude(shop.data(), swap);
    shop.start().await.unwrap();
    assert_code(&crate::attack::read(&shop, &id).await, 503, "tampered");
}

/// The 16 bytes behind the letters.
fn bytes_of(token: &str) -> [u8; 16] {
    let alphabet = "0123456789abcdefghjkmnpqrstvwxyz";
    let mut number = 0_u128;
    for (place, letter) in token.trim_start_matches("tok_").chars().take(26).enumerate() {
        let value = alphabet.find(letter).unwrap() as u128;
        // The last letter carries three bits, and two that are zero.
        number = if place == 25 { number << 3 | value >> 2 } else { number << 5 | value };
    }
    number.to_be_bytes()
}

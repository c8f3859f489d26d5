//! Refusals that tell something of a customer: none leaves without its entry.

use serde_json::{Value, json};
use strongroom::ctx::Outcome;

use crate::support::{Answer, Shop, person};

/// It is refused with this code, and so it stands in the ledger.
async fn check(shop: &Shop, asked: impl Future<Output = Answer>, code: &str) {
    let before = shop.ledger_size();
    let answer = asked.await;
    assert_eq!(answer.json["code"], code, "{}", answer.json);
    let entries = shop.entries_from(before).await;
    let told: Vec<_> = entries.iter().map(|entry| (entry.outcome, entry.reason.as_str())).collect();
    assert_eq!(told, [(Outcome::Refused, code)], "{}", answer.json);
}

#[tokio::test]
async fn what_a_refusal_tells_of_a_customer_is_written_down() {
    let shop = Shop::open().await;
    let mut only = person(1);
    only["relations"] = json!([{ "name": "enquiry" }]);
    only["fields"] = json!({ "name": "Ada Example1", "email": "ada.1@mail.example" });
    let path = "/v1/customers/ref/shop/order-1";
    let made = shop.call("shop", "PUT", path, Some(only)).await;
    let id = made.json["id"].as_str().unwrap().to_owned();
    let customer = format!("/v1/customers/{id}");
    let relate = |body: Value| {
        let path = format!("{customer}/relations");
        let shop = &shop;
        async move { shop.call("shop", "POST", &path, Some(body)).await }
    };
    let end = |name: &str| relate(json!({ "name": name, "act": "end" }));
    check(&shop, end("purchase"), "relation_unknown").await;
    check(&shop, end("enquiry"), "last_relation").await;
    let ahead = json!({ "name": "enquiry", "act": "touch", "last": "2036-01-01T00:00:00Z" });
    check(&shop, relate(ahead), "relation_in_future").await;

    let patch = |fields: Value, version: &'static str| {
        let (shop, path) = (&shop, customer.clone());
        let body = Some(json!({ "fields": fields }));
        async move { shop.call_with("shop", "PATCH", &path, body, &[("if-match", version)]).await }
    };
    let address = person(1)["fields"]["address"].clone();
    let not_needed = patch(json!({ "address": address }), "\"1\"");
    check(&shop, not_needed, "fields_refused").await;
    let overtaken = patch(json!({ "name": "Ada" }), "\"7\"");
    check(&shop, overtaken, "version_changed").await;

    let bound = format!("/v1/customers/{}/relations", shop.customer(2).await);
    let duty = Some(json!({ "name": "purchase", "act": "end" }));
    check(&shop, shop.call("shop", "POST", &bound, duty), "kept_by_law").await;

    let cancel = format!("{customer}/erasure");
    check(&shop, shop.call("privacy", "DELETE", &cancel, None), "no_erasure").await;
    let hold = format!("{customer}/hold");
    check(&shop, shop.call("admin", "DELETE", &hold, None), "no_hold").await;
    assert_eq!(shop.call("privacy", "DELETE", &customer, None).await.status, 202);
    let again = shop.call("shop", "PUT", path, Some(person(2)));
    check(&shop, again, "being_erased").await;
    let before = shop.ledger_size();
    let read = format!("{customer}?fields=name");
    assert_eq!(shop.call("shop", "GET", &read, None).await.status, 404);
    assert_eq!(shop.ledger_size(), before, "this tells nothing");
}

#[tokio::test]
async fn such_refusals_are_metered_like_all_others() {
    let shop = Shop::open().await;
    let path = format!("/v1/customers/{}/erasure", shop.customer(1).await);
    let before = shop.ledger_size();
    for _ in 0..130 {
        assert_eq!(shop.call("privacy", "DELETE", &path, None).await.status, 404);
    }
    assert_eq!(shop.ledger_size() - before, 120, "so many a minute");
}

#[tokio::test]
async fn nobody_who_is_not_there_can_be_held() {
    let shop = Shop::open().await;
    let nobody = "/v1/customers/cus_00000000000000000000000000/hold";
    let place = || shop.call("admin", "PUT", nobody, Some(json!({ "reason": "case 7" })));
    check(&shop, place(), "not_found").await;
    let by_desk = shop.call("desk", "PUT", nobody, Some(json!({ "reason": "case 7" }))).await;
    assert_eq!(by_desk.status, 403, "who may not hold is not told who is there");
    let path = format!("/v1/customers/{}", shop.customer(1).await);
    assert_eq!(shop.call("privacy", "DELETE", &path, None).await.status, 202);
    let hold = format!("{path}/hold");
    let held = shop.call("admin", "PUT", &hold, Some(json!({ "reason": "case 7" }))).await;
    assert_eq!(held.status, 204, "who waits for their erasure can be held: {}", held.json);
}

//! The main path: make, find, read, reveal, change, who looked, erase.

use serde_json::json;
use strongroom::jobs;

use crate::support::{Shop, person};

#[tokio::test]
async fn a_customer_is_made_found_shown_changed_and_looked_up_in_the_ledger() {
    let shop = Shop::open().await;
    let id = shop.customer(1).await;

    let email = json!({ "email": "ADA.1@mail.example" });
    let found = shop.call("desk", "POST", "/v1/customers/lookup", Some(email)).await;
    assert_eq!(found.json, json!({ "customers": [id] }));

    let path = format!("/v1/customers/{id}?fields=name,email");
    let masked = shop.call("desk", "GET", &path, None).await;
    assert_eq!(masked.status, 200, "{:?}", masked.json);
    assert_eq!(masked.json["masked"], json!(["email", "name"]));
    assert!(!masked.json.to_string().contains("Example1"));
    assert!(masked.headers.contains_key("strongroom-receipt"));

    let why = json!({ "fields": ["email"], "reason": "customer called", "ticket": "T-77" });
    let path = format!("/v1/customers/{id}/reveal");
    let clear = shop.call("desk", "POST", &path, Some(why)).await;
    assert_eq!(clear.json["fields"], json!({ "email": "ada.1@mail.example" }));

    let patch = json!({ "fields": { "email": "new@mail.example", "phone": null } });
    let path = format!("/v1/customers/{id}");
    let changed =
        shop.call_with("shop", "PATCH", &path, Some(patch.clone()), &[("if-match", "\"1\"")]).await;
    assert_eq!(changed.json["version"], 2, "{:?}", changed.json);
    let stale = shop.call_with("shop", "PATCH", &path, Some(patch), &[("if-match", "\"1\"")]).await;
    assert_eq!((stale.status.as_u16(), &stale.json["code"]), (412, &json!("version_changed")));

    let old = json!({ "email": "ada.1@mail.example" });
    let gone = shop.call("desk", "POST", "/v1/customers/lookup", Some(old)).await;
    assert_eq!(gone.json, json!({ "customers": [] }));

    let looks = shop.call("shop", "GET", &format!("/v1/customers/{id}/ledger"), None).await;
    let acts: Vec<&str> = looks.json["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["act"].as_str().unwrap())
        .collect();
    assert_eq!(
        acts,
        [
            "customer.patch",
            "customer.reveal",
            "customer.read",
            "customer.lookup",
            "customer.create"
        ]
    );

    let verified = shop.verify().await;
    assert_eq!(verified["intact"], true, "{:?}", verified);
}

#[tokio::test]
async fn an_erasure_hides_at_once_and_destroys_after_its_grace() {
    let shop = Shop::open().await;
    let mut input = person(1);
    input["relations"] = json!([{ "name": "enquiry" }]);
    input["fields"].as_object_mut().unwrap().remove("address");
    let made = shop.call("shop", "POST", "/v1/customers", Some(input)).await;
    let path = format!("/v1/customers/{}", made.json["id"].as_str().unwrap());
    let read = format!("{path}?fields=name");

    let asked = shop.call("privacy", "DELETE", &path, None).await;
    assert_eq!((asked.status.as_u16(), &asked.json["kept"]), (202, &json!([])));
    assert_eq!(shop.call("desk", "GET", &read, None).await.status, 404);

    let back = shop.call("privacy", "DELETE", &format!("{path}/erasure"), None).await;
    assert_eq!(back.status, 204, "{:?}", back.json);
    assert_eq!(shop.call("desk", "GET", &read, None).await.status, 200);

    shop.call("privacy", "DELETE", &path, None).await;
    shop.clock.pass_ms(6 * 86_400_000);
    jobs::run_once(&shop.desk()).await;
    let still = shop.call("privacy", "DELETE", &format!("{path}/erasure"), None).await;
    assert_eq!(still.status, 204, "within the grace it can be taken back: {:?}", still.json);

    shop.call("privacy", "DELETE", &path, None).await;
    shop.clock.pass_ms(8 * 86_400_000);
    jobs::run_once(&shop.desk()).await;
    let gone = shop.call("privacy", "DELETE", &format!("{path}/erasure"), None).await;
    assert_eq!(gone.status, 404);
    let verified = shop.verify().await;
    assert_eq!(verified["intact"], true, "{:?}", verified);
    let again = shop.call("shop", "POST", "/v1/customers", Some(person(1))).await;
    assert_eq!(again.status, 201, "the e-mail is free again: {:?}", again.json);
}

#[tokio::test]
async fn what_a_legal_duty_needs_stays_and_the_rest_dies() {
    let shop = Shop::open().await;
    let id = shop.customer(1).await;
    let path = format!("/v1/customers/{id}");
    let asked = shop.call("privacy", "DELETE", &path, None).await;
    assert_eq!(asked.json["kept"][0]["basis"], "tax law", "{:?}", asked.json);
    shop.clock.pass_ms(8 * 86_400_000);
    jobs::run_once(&shop.desk()).await;
    let kept = shop.call("shop", "GET", &format!("{path}?fields=name,phone"), None).await;
    assert_eq!(kept.status, 200, "{:?}", kept.json);
    assert_eq!(kept.json["fields"].as_object().unwrap().keys().collect::<Vec<_>>(), ["name"]);
    let phone = json!({ "phone": "+44 20 7946 0001" });
    let found = shop.call("desk", "POST", "/v1/customers/lookup", Some(phone)).await;
    assert_eq!(found.json, json!({ "customers": [] }), "a forgotten phone finds nobody");
}

#[tokio::test]
async fn everything_survives_a_restart() {
    let mut shop = Shop::open().await;
    let id = shop.customer(1).await;
    shop.stop();
    shop.start().await.unwrap();
    let read = format!("/v1/customers/{id}?fields=name");
    assert_eq!(shop.call("desk", "GET", &read, None).await.status, 200);
    let verified = shop.verify().await;
    assert_eq!(verified["intact"], true, "{:?}", verified);
}

#[tokio::test]
async fn a_relation_that_rests_on_a_legal_duty_does_not_end_by_hand() {
    let shop = Shop::open().await;
    let id = shop.customer(1).await;
    let path = format!("/v1/customers/{id}/relations");
    let end = json!({ "name": "purchase", "act": "end" });
    let refused = shop.call("shop", "POST", &path, Some(end.clone())).await;
    assert_eq!((refused.status.as_u16(), &refused.json["code"]), (409, &json!("kept_by_law")));
    let free = json!({ "name": "enquiry", "act": "end" });
    assert_eq!(shop.call("shop", "POST", &path, Some(free)).await.status, 200);
}

#[tokio::test]
async fn while_a_policy_waits_no_other_is_applied() {
    let shop = Shop::open().await;
    let wider = crate::support::POLICY.replacen("per_day = 30 }", "per_day = 31 }", 1);
    let narrower = crate::support::POLICY.replacen("per_day = 30 }", "per_day = 29 }", 1);
    shop.as_operator("POST", "/v1/policy", Some(json!({ "policy": wider }))).await;
    let body = json!({ "policy": narrower });
    let refused = shop.as_operator("POST", "/v1/policy", Some(body.clone())).await;
    assert_eq!((refused.status.as_u16(), &refused.json["code"]), (409, &json!("policy_pending")));
    assert_eq!(shop.as_operator("DELETE", "/v1/policy/pending", None).await.status, 204);
    assert_eq!(shop.as_operator("POST", "/v1/policy", Some(body)).await.status, 200);
}

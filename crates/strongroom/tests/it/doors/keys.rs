//! Keys that end: said in time, and no longer once somebody has acted.

use serde_json::json;
use strongroom::jobs;

use crate::support::Shop;

#[tokio::test]
async fn a_key_that_ends_soon_is_told_until_it_is_replaced() {
    let shop = Shop::open().await;
    let body = json!({ "name": "Till", "role": "shop", "purposes": ["support"], "days": 20 });
    let made = shop.as_operator("POST", "/v1/keys", Some(body)).await;
    let id = made.json["id"].as_str().unwrap().to_owned();
    assert_eq!(told(&shop).await, None, "it lives for 20 days");
    shop.clock.pass_ms(7 * DAY_MS);
    let detail = told(&shop).await.unwrap();
    assert!(detail.starts_with("1 API keys") && detail.contains(&id), "{detail}");
    assert!(!detail.contains("Till"), "what people call it may be anything: {detail}");
    shop.clock.pass_ms(14 * DAY_MS);
    assert!(told(&shop).await.unwrap().contains(&id), "it has just ended");
    let revoked = shop.as_operator("DELETE", &format!("/v1/keys/{id}"), None).await;
    assert!(revoked.status.is_success(), "{revoked:?}");
    assert_eq!(told(&shop).await, None, "nobody waits for it any more");
    assert_eq!(told(&shop).await, None);
}

async fn told(shop: &Shop) -> Option<String> {
    jobs::run_daily(&shop.desk()).await;
    let findings = shop.as_operator("GET", "/v1/findings", None).await;
    let findings = findings.json["findings"].as_array().unwrap().clone();
    let found = findings.iter().find(|it| it["kind"] == "key_ending");
    found.map(|it| it["detail"].as_str().unwrap().to_owned())
}

const DAY_MS: i64 = 86_400_000;

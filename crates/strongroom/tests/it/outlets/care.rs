//! What is left of sends and shares when they are long over.

use serde_json::json;
use strongroom::jobs;

use super::{SEND, asked, progress, shared, template};
use crate::support::{Shop, intrude, person};

const DAY_MS: i64 = 86_400_000;

/// Sends, recipients and shares there are rows of.
fn rows(shop: &Shop) -> [i64; 3] {
    let count = |table| shop.data().one(&format!("SELECT count(*) FROM {table}"));
    ["send", "send_recipient", "share"].map(count)
}

async fn stop(shop: &Shop, send: &str) {
    let path = format!("/v1/outlets/parcel-news/sends/{send}");
    assert_eq!(shop.call("shop", "DELETE", &path, None).await.status, 204);
}

#[tokio::test]
async fn sends_and_shares_that_ended_90_days_ago_are_forgotten_and_others_stay() {
    let shop = Shop::open().await;
    let customer = shop.customer(1).await;
    let old = asked(&shop, &customer).await;
    stop(&shop, &old).await;
    shared(&shop, &customer).await;
    let open = asked(&shop, &customer).await;
    shop.clock.pass_ms(60 * DAY_MS);
    let young = asked(&shop, &customer).await;
    stop(&shop, &young).await;
    shared(&shop, &customer).await;
    shop.clock.pass_ms(29 * DAY_MS);
    jobs::run_daily(&shop.desk()).await;
    assert_eq!(rows(&shop), [3, 3, 2], "a day too early");
    shop.clock.pass_ms(DAY_MS + 1);
    // The link lived for a day.
    let holdings = shop.as_operator("GET", "/v1/places", None).await.json["items"].clone();
    jobs::run_daily(&shop.desk()).await;
    assert_eq!(rows(&shop), [2, 2, 2]);
    shop.clock.pass_ms(DAY_MS);
    jobs::run_daily(&shop.desk()).await;
    assert_eq!(rows(&shop), [2, 2, 1]);
    let desk = shop.desk();
    let told = strongroom::metrics::scrape(&desk).await;
    assert!(told.contains("strongroom_sends_open 1\n"), "{open} is not over");
    let entries = shop.entries().await;
    let counted = |verb: &str| -> Vec<u64> {
        entries.iter().filter(|leaf| leaf.verb == verb).map(|leaf| leaf.count).collect()
    };
    assert_eq!((counted("outlet.forget"), counted("share.forget")), (vec![1], vec![1]));
    assert_eq!(counted("outlet.ask").len(), 3, "the ledger keeps what was asked");
    let after = shop.as_operator("GET", "/v1/places", None).await.json["items"].clone();
    assert_eq!(holdings, after, "and the places where it is");
    assert_eq!(shop.verify().await["intact"], true);
}

#[tokio::test]
async fn a_send_to_many_is_forgotten_in_steps_that_nobody_waits_for() {
    let shop = Shop::open().await;
    let customer = shop.customer(1).await;
    let send = asked(&shop, &customer).await;
    stop(&shop, &send).await;
    // As many more recipients as a send takes in three steps.
    let more = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 4499)
        INSERT INTO send_recipient SELECT send, x, subject, state, attempts, doubts, next_ms, code, mac
        FROM send_recipient, n WHERE number = 0";
    intrude(shop.data(), more);
    shop.clock.pass_ms(91 * DAY_MS);
    jobs::run_daily(&shop.desk()).await;
    assert_eq!(rows(&shop), [0, 0, 0]);
    let entries = shop.entries().await;
    let steps = entries.iter().filter(|leaf| leaf.verb == "outlet.forget");
    assert_eq!(steps.map(|leaf| leaf.count).collect::<Vec<_>>(), [2000, 2000, 500]);
}

#[tokio::test]
async fn what_other_hands_ended_is_told_and_what_a_wrong_clock_ended_stays() {
    let shop = Shop::open().await;
    let customer = shop.customer(1).await;
    let send = asked(&shop, &customer).await;
    let body = json!({ "customers": [customer], "template": template() });
    assert_eq!(shop.call("shop", "POST", SEND, Some(body)).await.status, 202);
    let path = format!("/v1/outlets/parcel-news/sends/{send}");
    assert_eq!(progress(&shop, &path).await.json["state"], "sending");
    intrude(shop.data(), "UPDATE send SET state = 'done', next_ms = 0");
    jobs::run_daily(&shop.desk()).await;
    assert_eq!(rows(&shop), [2, 2, 0], "nobody is passed over unseen");
    let seen = shop.as_operator("GET", "/v1/findings", None).await.json;
    let kinds = seen["findings"].as_array().unwrap().iter().map(|it| it["kind"].clone());
    assert!(kinds.into_iter().any(|kind| kind == "tampered"), "{seen}");

    let other = Shop::open().await;
    let made = other.call("shop", "POST", "/v1/customers", Some(person(2))).await;
    let send = asked(&other, made.json["id"].as_str().unwrap()).await;
    stop(&other, &send).await;
    other.clock.step_ms(400 * DAY_MS);
    jobs::run_daily(&other.desk()).await;
    assert_eq!(rows(&other), [1, 1, 0]);
}

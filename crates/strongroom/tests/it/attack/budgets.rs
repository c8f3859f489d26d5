//! Budget rows have a MAC each and stand in no state hash: a lowered one counts as spent; one that is
//! deleted or put back whole is honoured after a restart. That gives at most another day's budget,
//! and every look of it stands in the ledger.

use super::{POLICY, assert_code, look_up, reveal};
use crate::support::{Shop, intrude};

/// Two reveals a day.
async fn frugal() -> (Shop, String) {
    let shop = Shop::with_policy(&POLICY.replace("per_day = 30 }", "per_day = 2 }")).await;
    let id = shop.customer(1).await;
    (shop, id)
}

#[tokio::test]
async fn a_budget_changed_by_sql_does_not_matter_while_the_server_runs() {
    for attack in ["UPDATE budget SET used = 0", "DELETE FROM budget", "DELETE FROM budget_seen"] {
        let (shop, id) = frugal().await;
        assert_eq!(reveal(&shop, &id).await.status, 200);
        intrude(shop.data(), attack);
        assert_eq!(reveal(&shop, &id).await.status, 200);
        intrude(shop.data(), attack);
        assert_code(&reveal(&shop, &id).await, 429, "budget_spent");
    }
}

#[tokio::test]
async fn a_budget_lowered_by_sql_counts_as_spent_after_a_restart() {
    for attack in [
        "UPDATE budget SET used = 0",
        "UPDATE budget SET used = 1 WHERE kind = 'reveal'",
        "UPDATE budget SET mac = x'00'",
        "DELETE FROM budget WHERE kind = 'reveal'; UPDATE budget SET kind = 'reveal'",
        "UPDATE budget SET (used, mac) = (SELECT used, mac FROM budget WHERE kind = 'find')",
    ] {
        let (mut shop, id) = frugal().await;
        look_up(&shop, "email", "nobody@mail.example").await;
        assert_eq!(reveal(&shop, &id).await.status, 200);
        assert_eq!(reveal(&shop, &id).await.status, 200);
        shop.stop();
        intrude(shop.data(), attack);
        shop.start().await.unwrap();
        assert_code(&reveal(&shop, &id).await, 429, "budget_spent");
    }
}

#[tokio::test]
async fn a_budget_deleted_by_sql_is_new_after_a_restart_and_the_ledger_has_every_look() {
    let (mut shop, id) = frugal().await;
    for _ in 0..2 {
        assert_eq!(reveal(&shop, &id).await.status, 200);
    }
    shop.stop();
    intrude(shop.data(), "DELETE FROM budget");
    shop.start().await.unwrap();
    for _ in 0..2 {
        assert_eq!(
            reveal(&shop, &id).await.status,
            200,
            "not noticed: budgets are in no state hash"
        );
    }
    assert_code(&reveal(&shop, &id).await, 429, "budget_spent");
    let looks = shop.call("shop", "GET", &format!("/v1/customers/{id}/ledger"), None).await;
    let acts = looks.json["items"].as_array().unwrap().iter();
    assert_eq!(acts.filter(|it| it["act"] == "customer.reveal").count(), 4);
}

#[tokio::test]
async fn a_budget_survives_a_restart() {
    let (mut shop, id) = frugal().await;
    for _ in 0..2 {
        assert_eq!(reveal(&shop, &id).await.status, 200);
    }
    shop.stop();
    shop.start().await.unwrap();
    assert_code(&reveal(&shop, &id).await, 429, "budget_spent");
}

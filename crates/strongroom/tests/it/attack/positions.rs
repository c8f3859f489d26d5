//! Position decides: an act counts only if it was still allowed at its place in the ledger. Two acts
//! are decided on the same state while the disk is held up; the first takes away what the second
//! was decided on.

use serde_json::json;

use super::{assert_code, enquirer, read, reveal};
use crate::ledger::Held;
use crate::support::{Answer, Shop, person};

/// Polls `first` and then `second` until both wait for the disk, and only then lets it go on.
async fn in_order(
    shop: &Shop,
    first: impl Future<Output = Answer>,
    second: impl Future<Output = Answer>,
) -> (Answer, Answer) {
    let disk = shop.data().held();
    let let_go = async {
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
        drop(disk);
    };
    let (first, second, ()) = tokio::join!(biased; first, second, let_go);
    (first, second)
}

#[tokio::test]
async fn position_decides_an_act_of_a_key_revoked_below_it_is_not_done() {
    for revoked_by in ["DELETE /v1/keys/own", "operator"] {
        let shop = Shop::open().await;
        let id = shop.customer(1).await;
        assert_eq!(reveal(&shop, &id).await.status, 200);
        let path = match revoked_by {
            "operator" => format!("/v1/keys/{}", key_of(&shop, "desk").await),
            _ => "/v1/keys/own".to_owned(),
        };
        let revoke = async {
            match revoked_by {
                "operator" => shop.as_operator("DELETE", &path, None).await,
                _ => shop.call("desk", "DELETE", &path, None).await,
            }
        };
        let (revoked, revealed) = in_order(&shop, revoke, reveal(&shop, &id)).await;
        assert_eq!(revoked.status, 204, "{:?}", revoked.json);
        assert_code(&revealed, 401, "key_ended");
    }
}

#[tokio::test]
async fn a_write_of_a_key_that_was_revoked_below_it_is_not_done() {
    let shop = Shop::open().await;
    let revoke = shop.call("shop", "DELETE", "/v1/keys/own", None);
    let create = shop.call("shop", "POST", "/v1/customers", Some(person(1)));
    let (revoked, created) = in_order(&shop, revoke, create).await;
    assert_eq!(revoked.status, 204, "{:?}", revoked.json);
    assert_code(&created, 401, "key_ended");
    let customers: i64 = super::one(shop.data(), "SELECT COUNT(*) FROM customer");
    assert_eq!(customers, 0);
}

#[tokio::test]
async fn a_look_that_a_newer_policy_denies_is_not_done() {
    let shop = Shop::open().await;
    let id = shop.customer(1).await;
    let narrower = super::POLICY.replace(
        "fields = [\"name\", \"email\", \"phone\", \"address\", \"note\"]\nfind",
        "fields = [\"name\"]\nfind",
    );
    assert_ne!(narrower, super::POLICY);
    let apply = shop.as_operator("POST", "/v1/policy", Some(json!({ "policy": narrower })));
    let (applied, shown) = in_order(&shop, apply, read(&shop, &id)).await;
    assert_eq!(applied.status, 200, "{:?}", applied.json);
    assert_code(&shown, 403, "grant_missing");
}

#[tokio::test]
async fn nothing_is_shown_of_a_customer_above_the_entry_that_hides_them() {
    let shop = Shop::open().await;
    let id = enquirer(&shop, 1).await;
    let path = format!("/v1/customers/{id}");
    let ask = shop.call("privacy", "DELETE", &path, None);
    let (asked, revealed) = in_order(&shop, ask, reveal(&shop, &id)).await;
    assert_eq!(asked.status, 202, "{:?}", asked.json);
    assert_code(&revealed, 404, "not_found");
    // The other way round the look stands below.
    let other = enquirer(&shop, 2).await;
    let path = format!("/v1/customers/{other}");
    let ask = shop.call("privacy", "DELETE", &path, None);
    let (revealed, asked) = in_order(&shop, reveal(&shop, &other), ask).await;
    assert_eq!((revealed.status.as_u16(), asked.status.as_u16()), (200, 202));
    assert!(Held::of(&revealed.headers).index < Held::of(&asked.headers).index);
}

#[tokio::test]
async fn a_page_shows_nobody_above_the_entry_that_hides_them_and_the_others_still() {
    let shop = Shop::open().await;
    let (hidden, other) = (enquirer(&shop, 1).await, enquirer(&shop, 2).await);
    let path = format!("/v1/customers/{hidden}");
    let ask = shop.call("privacy", "DELETE", &path, None);
    let body = json!({ "ids": [hidden, other], "fields": ["name"] });
    let page = shop.call("desk", "POST", "/v1/customers/read", Some(body));
    let (asked, page) = in_order(&shop, ask, page).await;
    assert_eq!((asked.status.as_u16(), page.status.as_u16()), (202, 200), "{:?}", page.json);
    assert_eq!(page.json["missing"], json!([hidden]));
    assert_eq!(page.json["customers"][0]["id"], json!(other));
    assert_eq!(page.json["customers"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_budget_is_counted_at_the_place_of_the_act() {
    let policy = super::POLICY.replace("per_day = 30 }", "per_day = 1 }");
    let shop = Shop::with_policy(&policy).await;
    let id = shop.customer(1).await;
    let (first, second) = in_order(&shop, reveal(&shop, &id), reveal(&shop, &id)).await;
    assert_eq!(first.status, 200, "{:?}", first.json);
    assert_code(&second, 429, "budget_spent");
}

#[tokio::test]
async fn a_unique_value_is_claimed_once() {
    let shop = Shop::open().await;
    let create = || shop.call("shop", "POST", "/v1/customers", Some(person(1)));
    let (first, second) = in_order(&shop, create(), create()).await;
    assert_eq!(first.status, 201, "{:?}", first.json);
    assert_code(&second, 409, "taken");
    assert_code(&create().await, 409, "taken");
    let keys: i64 = super::one(shop.keys(), "SELECT COUNT(*) FROM dek");
    let records: i64 = super::one(shop.data(), "SELECT COUNT(*) FROM sealed_record");
    assert_eq!(keys, records, "no key of a customer who never was");
}

async fn key_of(shop: &Shop, role: &str) -> String {
    let keys = shop.as_operator("GET", "/v1/keys", None).await;
    let keys = keys.json["keys"].as_array().unwrap().clone();
    let found = keys.into_iter().find(|key| key["role"] == role).unwrap();
    found["id"].as_str().unwrap().to_owned()
}

//! What `DELETE` answers is what happens: what stays, until when and by which law, and what goes.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use strongroom::jobs;

use crate::attack::{assert_code, look_up, one};
use crate::support::{Shop, person};

async fn make(shop: &Shop, relations: &Value, without: &[&str]) -> String {
    let mut input = person(1);
    input["relations"] = relations.clone();
    let fields = input["fields"].as_object_mut().unwrap();
    without.iter().for_each(|name| drop(fields.remove(*name)));
    let made = shop.call("shop", "POST", "/v1/customers", Some(input)).await;
    assert_eq!(made.status, 201, "{:?}", made.json);
    made.json["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_buyer_s_address_stays_by_tax_law_and_their_phone_goes() {
    let shop = Shop::open().await;
    let relations = json!([
        { "name": "enquiry" },
        { "name": "purchase", "last": "2026-07-01T12:00:00Z" },
    ]);
    let id = make(&shop, &relations, &[]).await;
    let path = format!("/v1/customers/{id}");
    let asked = shop.call("privacy", "DELETE", &path, None).await;
    let expected = json!({
        "due": "2026-11-28T10:00:00.000Z",
        "kept": [{
            "relation": "purchase", "basis": "tax law", "fields": ["address", "email", "name"],
            "until": "2036-07-01T23:00:00.000Z", "last_day": "2036-07-01",
        }],
        "goes": ["phone"],
        "ends": ["enquiry"],
    });
    assert_eq!((asked.status.as_u16(), &asked.json), (202, &expected));
    let keys = "SELECT COUNT(*) FROM dek";
    let before: i64 = one(shop.keys(), keys);
    shop.clock.pass_ms(8 * 86_400_000);
    jobs::run_once(&shop.desk()).await;
    assert_eq!(before - one::<i64>(shop.keys(), keys), 1, "the phone's key is destroyed");
    // Exactly what was told is there.
    let all = format!("{path}?fields=name,email,phone,address,note");
    let left = shop.call("shop", "GET", &all, None).await;
    let left: BTreeSet<&str> =
        left.json["fields"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(left, BTreeSet::from(["address", "email", "name"]));
    let label = [("strongroom-purpose", "delivery")];
    let address = format!("{path}?fields=address");
    let shown = shop.client("shop").call_plain("GET", &address, None, &label).await;
    assert_eq!(shown.json["fields"]["address"]["city"], "Whitby", "{:?}", shown.json);
    let found = look_up(&shop, "phone", "+44 20 7946 0001").await;
    assert_eq!(found.json["customers"], json!([]));
}

#[tokio::test]
async fn what_is_not_there_is_not_said_to_stay_or_go() {
    let shop = Shop::open().await;
    let relations = json!([{ "name": "enquiry" }, { "name": "purchase" }]);
    let id = make(&shop, &relations, &["phone", "address"]).await;
    let asked = shop.call("privacy", "DELETE", &format!("/v1/customers/{id}"), None).await;
    assert_eq!(asked.json["kept"][0]["fields"], json!(["email", "name"]), "{:?}", asked.json);
    assert_eq!((&asked.json["goes"], &asked.json["ends"]), (&json!([]), &json!(["enquiry"])));
}

#[tokio::test]
async fn without_a_live_duty_everything_goes() {
    let shop = Shop::open().await;
    // Ten years were over in the grace: what is asked for today is told as it will be then.
    let over = json!([{ "name": "purchase", "last": "2016-11-25T10:00:00Z" }]);
    let id = make(&shop, &over, &["phone"]).await;
    let asked = shop.call("privacy", "DELETE", &format!("/v1/customers/{id}"), None).await;
    assert_eq!(asked.json["kept"], json!([]), "{:?}", asked.json);
    assert_eq!(asked.json["goes"], json!(["address", "email", "name"]));
    assert_eq!(asked.json["ends"], json!(["purchase"]));
    shop.clock.pass_ms(8 * 86_400_000);
    jobs::run_once(&shop.desk()).await;
    let rows: i64 = one(shop.data(), "SELECT COUNT(*) FROM customer");
    assert_eq!(rows, 0);
}

#[tokio::test]
async fn under_a_legal_hold_nothing_goes_and_the_answer_is_423() {
    let shop = Shop::open().await;
    let id = shop.customer(1).await;
    let hold = format!("/v1/customers/{id}/hold");
    shop.as_operator("PUT", &hold, Some(json!({ "reason": "case 7" }))).await;
    let path = format!("/v1/customers/{id}");
    assert_code(&shop.call("privacy", "DELETE", &path, None).await, 423, "legal_hold");
    assert_eq!(shop.call("desk", "GET", &format!("{path}?fields=name"), None).await.status, 200);
}

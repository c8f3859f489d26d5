//! Many writes in one call.

use serde_json::{Value, json};

use crate::support::{Shop, person};

const PATH: &str = "/v1/customers:batch";

fn item(number: usize) -> Value {
    let mut item = person(number);
    item["ref"] = json!(format!("shop/{number}"));
    item
}

#[tokio::test]
async fn each_item_has_its_own_answer_in_order_and_a_bad_one_stops_no_other() {
    let shop = Shop::open().await;
    let taken = shop.customer(3).await;
    let mut undeclared = item(5);
    undeclared["fields"]["shoe_size"] = json!(44);
    let mut personal = item(6);
    personal["ref"] = json!("shop/ada@mail.example");
    let items = json!([item(1), undeclared, item(2), item(3), item(1), personal, item(4)]);
    let body = json!({ "items": items });
    let done = shop.call("shop", "POST", PATH, Some(body.clone())).await;
    assert_eq!(done.status, 200, "{:?}", done.json);
    let statuses = |answer: &Value| -> Vec<u64> {
        answer["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["status"].as_u64().unwrap())
            .collect()
    };
    assert_eq!(statuses(&done.json), [201, 422, 201, 409, 422, 422, 201]);
    let code = |place: usize| done.json["items"][place]["problem"]["code"].clone();
    assert_eq!(code(1), "fields_refused");
    assert_eq!(
        (code(3), code(4), code(5)),
        (json!("taken"), json!("reference_twice"), json!("bad_reference"))
    );
    assert!(!done.json.to_string().contains("mail.example"));
    assert!(!done.json.to_string().contains(&taken), "who has it is not told");
    let entries = shop.entries().await;
    let made = entries.iter().filter(|it| it.verb == "customer.create").count();
    assert_eq!(made, 4, "three items and the one before, an entry each");
    // The way back after a lost answer: the same call finds what was made.
    let again = shop.call("shop", "POST", PATH, Some(body)).await;
    assert_eq!(statuses(&again.json), [200, 422, 200, 409, 422, 422, 200]);
    for place in [0, 2, 6] {
        assert_eq!(again.json["items"][place]["id"], done.json["items"][place]["id"]);
    }
}

#[tokio::test]
async fn a_batch_of_a_thousand_is_taken_and_one_more_is_not() {
    let shop = Shop::open().await;
    let bare = |number: usize| json!({ "ref": format!("shop/{number}"), "relations": [{ "name": "enquiry" }] });
    let items: Vec<Value> = (0..1_001).map(bare).collect();
    let more = shop.call("shop", "POST", PATH, Some(json!({ "items": items }))).await;
    assert_eq!((more.status.as_u16(), more.code()), (413, "too_many_items"));
    let before = shop.ledger_size();
    let most = shop.call("shop", "POST", PATH, Some(json!({ "items": items[..1_000] }))).await;
    let made = most.json["items"].as_array().unwrap();
    assert!(made.iter().all(|it| it["status"] == 201), "{}", most.json);
    assert_eq!(shop.ledger_size() - before, 1_000);
    let large =
        json!({ "items": [{ "ref": "shop/1", "fields": { "note": "x".repeat(5 << 20) } }] });
    let large = shop.call("shop", "POST", PATH, Some(large)).await;
    assert_eq!((large.status.as_u16(), large.code()), (413, "body_too_large"));
}

#[tokio::test]
async fn who_may_not_create_is_refused_once_for_the_whole_batch() {
    let shop = Shop::open().await;
    let before = shop.ledger_size();
    let items: Vec<Value> = (0..10).map(item).collect();
    let refused = shop.call("desk", "POST", PATH, Some(json!({ "items": items }))).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (403, "right_missing"));
    assert_eq!(shop.ledger_size(), before + 1);
}

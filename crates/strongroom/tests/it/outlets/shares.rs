//! Shares by a link: so often, so long, dead when the customer or the key is.

use serde_json::{Value, json};

use super::merge;
use crate::support::{Answer, Shop, intrude, send, together};

#[tokio::test]
async fn a_share_shows_its_fields_as_often_as_it_says_and_writes_each_view_down() {
    let shop = Shop::open().await;
    let id = shop.customer(1).await;
    let made = make(&shop, &id, 24, 2).await;
    let secret = made.json["secret"].as_str().unwrap();
    assert!(!made.json.to_string().contains("Example1"), "the maker sees no value");
    let before = shop.ledger_size();
    // Programs that follow links look at pages; they burn no view and learn nothing.
    let path = made.json["path"].as_str().unwrap();
    for _ in 0..5 {
        let page = send(shop.router(), "GET", path, None, &[], false).await;
        assert_eq!(page.status, 200);
        assert!(!String::from_utf8_lossy(&page.bytes).contains("Example1"));
        assert_eq!(page.headers["cache-control"], "no-store");
        assert_eq!(page.headers["referrer-policy"], "no-referrer");
    }
    assert_eq!(shop.ledger_size(), before);
    let first = open(&shop, secret).await;
    assert_eq!(first.status, 200, "{:?}", first.json);
    assert_eq!(first.json["fields"]["name"], "Ada Example1");
    assert_eq!(first.json["views_left"], 1);
    assert!(first.headers.contains_key("strongroom-receipt"));
    let second = send(shop.router(), "POST", path, None, &[], false).await;
    assert!(String::from_utf8_lossy(&second.bytes).contains("<dd>Ada Example1</dd>"), "{second:?}");
    let third = open(&shop, secret).await;
    assert_eq!((third.status.as_u16(), third.code()), (404, "no_share"));
    let acts: Vec<String> =
        shop.entries_from(before).await.into_iter().map(|entry| entry.verb).collect();
    assert_eq!(acts, ["share.open", "share.open"]);
    let scope = json!({ "place": "courier-7", "from": "2026-11-21T00:00:00Z",
        "to": "2026-11-22T00:00:00Z" });
    let scope = shop.call("privacy", "POST", "/v1/ledger/scope", Some(scope)).await;
    assert_eq!(scope.json["customers"][0]["customer"], json!(id), "the recipient is a place");
    assert_eq!(scope.json["customers"][0]["fields"], json!(["address", "name"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn racing_openings_never_show_more_views_than_there_are() {
    let shop = Shop::open().await;
    let id = shop.customer(1).await;
    let made = make(&shop, &id, 24, 3).await;
    let secret = made.json["secret"].as_str().unwrap().to_owned();
    let opened = together((0..12).map(|_| {
        let (router, secret) = (shop.router(), secret.clone());
        async move {
            let body = json!({ "secret": secret });
            send(router, "POST", "/v1/shares/open", Some(body), &[], false).await
        }
    }))
    .await;
    let shown = opened.iter().filter(|answer| answer.status == 200).count();
    assert!((1..=3).contains(&shown), "{shown}");
    let mut more = shown;
    while open(&shop, &secret).await.status == 200 {
        more += 1;
    }
    assert_eq!(more, 3);
}

#[tokio::test]
async fn a_share_is_dead_when_it_is_over_revoked_or_its_customer_or_key_is_gone() {
    let shop = Shop::open().await;
    let over = make(&shop, &shop.customer(1).await, 1, 9).await;
    let revoked = make(&shop, &shop.customer(2).await, 24, 9).await;
    let (erased, ended) = (shop.customer(3).await, shop.customer(4).await);
    let hidden = make(&shop, &erased, 24, 9).await;
    let less = make(&shop, &ended, 24, 9).await;
    let key = shop.new_key("shop", &["delivery"]).await;
    let stolen = shop.client_with(&key);
    let body = body(&shop.customer(5).await, 24, 9);
    let headers = [("strongroom-purpose", "delivery")];
    let stolen_share = stolen.call_plain("POST", "/v1/shares", Some(body), &headers).await;
    assert_eq!(stolen_share.status, 201, "{stolen_share:?}");
    let shares = [&over, &revoked, &hidden, &less, &stolen_share];
    for share in shares {
        let shown = open(&shop, share.json["secret"].as_str().unwrap()).await;
        assert_eq!(shown.status, 200, "alive at first: {:?}", shown.json);
    }
    let path = format!("/v1/shares/{}", revoked.json["id"].as_str().unwrap());
    assert_eq!(shop.call("shop", "DELETE", &path, None).await.status, 204);
    let path = format!("/v1/customers/{erased}");
    assert_eq!(shop.call("privacy", "DELETE", &path, None).await.status, 202);
    let end = json!({ "name": "enquiry", "act": "end" });
    let path = format!("/v1/customers/{ended}/relations");
    assert_eq!(shop.call("shop", "POST", &path, Some(end)).await.status, 200);
    assert_eq!(stolen.call("DELETE", "/v1/keys/own", None).await.status, 204);
    shop.clock.pass_ms(3_600_001);
    for (share, name) in shares.iter().zip(["over", "revoked", "hidden", "less", "stolen"]) {
        let answer = open(&shop, share.json["secret"].as_str().unwrap()).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (404, "no_share"), "{name}");
    }
}

#[tokio::test]
async fn bound_a_share_of_one_who_was_merged_does_not_show_whom_they_were_merged_into() {
    let shop = Shop::open().await;
    let (stays, goes) = (shop.customer(1).await, shop.customer(2).await);
    // One life more, as the merge gives the one who stays: their lives are the same number then.
    let end = json!({ "name": "enquiry", "act": "end" });
    let path = format!("/v1/customers/{goes}/relations");
    assert_eq!(shop.call("shop", "POST", &path, Some(end)).await.status, 200);
    let share = make(&shop, &goes, 24, 9).await;
    let secret = share.json["secret"].as_str().unwrap();
    assert_eq!(open(&shop, secret).await.status, 200);
    merge(&shop, &stays, (&goes, 2)).await;
    let answer = open(&shop, secret).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (404, "no_share"), "{answer:?}");
}

#[tokio::test]
async fn who_may_not_see_the_values_may_not_share_them() {
    let shop = Shop::open().await;
    let id = shop.customer(1).await;
    let headers = [("strongroom-purpose", "support")];
    let masked =
        shop.call_with("shop", "POST", "/v1/shares", Some(body(&id, 1, 1)), &headers).await;
    assert_eq!((masked.status.as_u16(), masked.code()), (403, "grant_missing"), "{masked:?}");
    let desk = shop.call("desk", "POST", "/v1/shares", Some(body(&id, 1, 1))).await;
    assert_eq!((desk.status.as_u16(), desk.code()), (403, "right_missing"));
    let bad = [
        (json!({ "hours": 0 }), "bad_share"),
        (json!({ "hours": 721 }), "bad_share"),
        (json!({ "views": 101 }), "bad_share"),
        (json!({ "recipient": "Ada Lovelace" }), "bad_place"),
        (json!({ "fields": [] }), "fields_missing"),
    ];
    for (change, code) in bad {
        let mut body = body(&id, 1, 1);
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let client = shop.client("shop");
        let refused = client.call_plain("POST", "/v1/shares", Some(body), &DELIVERY).await;
        assert_eq!(refused.code(), code);
    }
}

#[tokio::test]
async fn guesses_at_links_are_slowed_down() {
    let shop = Shop::open().await;
    let mut answers = Vec::new();
    for number in 0..31 {
        let guess = format!("sr_share_{number:064x}");
        answers.push(open(&shop, &guess).await.status.as_u16());
    }
    assert!(answers[..30].iter().all(|status| *status == 404), "{answers:?}");
    assert_eq!(answers[30], 429);
    shop.clock.pass_ms(60_000);
    assert_eq!(open(&shop, "nonsense").await.status, 404);
}

#[tokio::test]
async fn bound_a_share_changed_in_the_database_shows_nothing() {
    let alterations = [
        "UPDATE share SET subject = (SELECT subject FROM share AS other WHERE other.id <> share.id)",
        "UPDATE share SET views_max = 99",
        "UPDATE share SET ends_ms = ends_ms + 86400000",
        "UPDATE share SET fields = x'ffff000000000000000000000000000000000000000000000000000000000000'",
    ];
    for sql in alterations {
        let mut shop = Shop::open().await;
        let first = make(&shop, &shop.customer(1).await, 24, 1).await;
        make(&shop, &shop.customer(2).await, 24, 1).await;
        shop.stop();
        intrude(shop.data(), sql);
        shop.start().await.unwrap();
        let answer = open(&shop, first.json["secret"].as_str().unwrap()).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (503, "tampered"), "{sql}");
    }
}

#[tokio::test]
async fn the_secret_of_a_link_is_not_in_the_database() {
    let mut shop = Shop::open().await;
    let made = make(&shop, &shop.customer(1).await, 24, 1).await;
    let hex = made.json["secret"].as_str().unwrap().strip_prefix("sr_share_").unwrap();
    let bytes = data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap();
    shop.stop();
    for needle in [hex.as_bytes(), &bytes] {
        assert!(!shop.data().contains(needle));
    }
}

async fn make(shop: &Shop, id: &str, hours: u32, views: u32) -> Answer {
    let client = shop.client("shop");
    let made =
        client.call_plain("POST", "/v1/shares", Some(body(id, hours, views)), &DELIVERY).await;
    assert_eq!(made.status, 201, "{:?}", made.json);
    made
}

fn body(id: &str, hours: u32, views: u32) -> Value {
    json!({ "customer": id, "fields": ["name", "address"], "recipient": "courier-7",
        "hours": hours, "views": views })
}

async fn open(shop: &Shop, secret: &str) -> Answer {
    let body = json!({ "secret": secret });
    send(shop.router(), "POST", "/v1/shares/open", Some(body), &[], false).await
}

const DELIVERY: [(&str, &str); 1] = [("strongroom-purpose", "delivery")];

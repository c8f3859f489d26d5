//! Making, switching, ending; secrets.

use std::sync::Arc;

use serde_json::json;
use strongroom::webhooks::run_once;

use super::{DAY_MS, Scene, are_signed, made, noted, url, view};
use crate::support::Shop;
use crate::support::receiver::Receiver;

#[tokio::test]
async fn an_address_that_is_no_public_https_address_is_refused() {
    let shop = Shop::open().await;
    let private = [
        "https://127.0.0.1/hooks",
        "https://10.0.0.7:8443/hooks",
        "https://192.168.1.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/hooks",
        "https://[fd00::1]/hooks",
        "https://[::ffff:10.0.0.1]/hooks",
    ];
    let bad = [
        "http://shop.example/hooks",
        "https://",
        "https://user:word@shop.example/hooks",
        "https://shop.example/a b",
        "https://shop.example/#a",
        "shop.example",
        &format!("https://shop.example/{}", "a".repeat(300)),
    ];
    for (urls, code) in [(&private[..], "private_address"), (&bad[..], "bad_url")] {
        for url in urls {
            let body = json!({ "url": url });
            let answer = shop.as_operator("POST", "/v1/webhooks", Some(body)).await;
            assert_eq!((answer.status.as_u16(), answer.code()), (422, code), "{url}");
        }
    }
    let body = json!({ "url": "https://shop.example", "kinds": ["customer.sneezed"] });
    let answer = shop.as_operator("POST", "/v1/webhooks", Some(body)).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (422, "kind_unknown"));
    assert_eq!(shop.as_operator("GET", "/v1/webhooks", None).await.json["webhooks"], json!([]));
}

#[tokio::test]
async fn two_secrets_count_for_a_day_and_then_the_new_one_alone() {
    let scene = Scene::open().await;
    let id = scene.shop.customer(1).await;
    let renewed = scene.post("secret", None).await;
    assert_eq!(renewed.status, 200, "{:?}", renewed.json);
    assert!(renewed.json["old_secret_until"].is_string());
    let new = renewed.json["secret"].as_str().unwrap();
    assert_ne!(new, scene.secret);
    noted(&scene.shop, &id, 1, "one").await;
    scene.run().await;
    let posts = scene.receiver.posts();
    assert!(are_signed(new, &posts) && are_signed(&scene.secret, &posts));
    scene.receiver.forget_posts();
    scene.shop.clock.pass_ms(DAY_MS);
    noted(&scene.shop, &id, 2, "two").await;
    scene.run().await;
    let posts = scene.receiver.posts();
    assert!(are_signed(new, &posts) && !are_signed(&scene.secret, &posts));
    assert!(scene.view().await["old_secret_until"].is_null());
}

#[tokio::test]
async fn what_happens_while_an_endpoint_is_off_waits_for_it() {
    let scene = Scene::open().await;
    let id = scene.shop.customer(1).await;
    assert_eq!(scene.post("disable", None).await.status, 204);
    assert_eq!(scene.post("disable", None).await.code(), "already_off");
    noted(&scene.shop, &id, 1, "one").await;
    scene.run().await;
    assert_eq!(scene.receiver.posts().len(), 0);
    assert_eq!(scene.view().await["waiting"], 1);
    assert_eq!(scene.post("enable", None).await.status, 204);
    assert_eq!(scene.post("enable", None).await.code(), "already_on");
    scene.run().await;
    assert_eq!(scene.receiver.posts().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_is_ended_or_switched_off_is_told_nothing_from_then_on() {
    for end in [true, false] {
        let scene = Scene::open().await;
        let id = scene.shop.customer(1).await;
        for version in 1..=3 {
            noted(&scene.shop, &id, version, &format!("note {version}")).await;
        }
        // It answers the first when it is already ended.
        scene.receiver.answers(&["wait"]);
        let (desk, couriers) = (scene.shop.desk(), Arc::clone(&scene.couriers));
        let away = tokio::spawn(async move { run_once(&desk, &couriers).await });
        while scene.receiver.posts().is_empty() {
            tokio::task::yield_now().await;
        }
        if end {
            let path = format!("/v1/webhooks/{}", scene.id);
            assert_eq!(scene.shop.as_operator("DELETE", &path, None).await.status, 204);
        } else {
            assert_eq!(scene.post("disable", None).await.status, 204);
        }
        scene.receiver.answers(&[]);
        scene.receiver.goes_on();
        away.await.unwrap().unwrap();
        scene.run().await;
        assert_eq!(scene.receiver.posts().len(), 1);
        if !end {
            assert_eq!(scene.view().await["waiting"], 2, "the first was noted all the same");
        }
    }
}

#[tokio::test]
async fn an_id_that_names_no_webhook_is_not_found() {
    let scene = Scene::open().await;
    let none = "hook_00000000000000000000000000";
    for (method, path) in [
        ("DELETE", format!("/v1/webhooks/{none}")),
        ("POST", format!("/v1/webhooks/{none}/enable")),
        ("POST", format!("/v1/webhooks/{none}/secret")),
    ] {
        let answer = scene.shop.as_operator(method, &path, None).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (404, "not_found"), "{path}");
    }
    let other = Receiver::start(&[]).await;
    let (second, _) = made(&scene.shop, &url(&other), &[]).await;
    assert_eq!(view(&scene.shop, &second).await["state"], "on");
    let listed = scene.shop.as_operator("GET", "/v1/webhooks", None).await;
    assert!(!listed.json.to_string().contains("whsec_"), "no secret is shown twice");
}

#[tokio::test]
async fn acts_on_webhooks_are_entries_that_name_them() {
    let scene = Scene::open().await;
    let id = scene.shop.customer(1).await;
    noted(&scene.shop, &id, 1, "one").await;
    scene.run().await;
    scene.post("secret", None).await;
    scene.post("disable", None).await;
    scene.post("enable", None).await;
    scene.post("replay", Some(json!({ "since": "2026-11-21T10:00:00Z" }))).await;
    scene.shop.as_operator("DELETE", &format!("/v1/webhooks/{}", scene.id), None).await;
    let entries = scene.shop.entries().await;
    let verbs: Vec<&str> =
        entries.iter().filter(|it| it.reason == scene.id).map(|it| it.verb.as_str()).collect();
    let expected = ["make", "deliver", "secret", "disable", "enable", "replay", "end"];
    assert_eq!(verbs, expected.map(|verb| format!("webhook.{verb}")));
}

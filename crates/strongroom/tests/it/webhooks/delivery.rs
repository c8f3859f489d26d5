//! Through everything a receiver can do: each event once, in order, signed.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use strongroom::ctx::Clock;
use strongroom::webhooks::run_once;

use super::{DAY_MS, Scene, are_signed, config, couriers, findings, made, noted, url, view};
use crate::support::Shop;
use crate::support::receiver::Receiver;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_was_down_for_a_day_gets_every_event_once_in_order_and_signed() {
    let scene = Scene::open().await;
    let shop = &scene.shop;
    let mut customers = Vec::new();
    for number in 1..=3 {
        customers.push(shop.customer(number).await);
    }
    scene.receiver.goes_down();
    let mut happened = Vec::new();
    // A day, in steps of ten minutes; something happens in each hour.
    for step in 0..144 {
        if step % 6 == 0 {
            let number = (step / 6) % 3;
            let version = 1 + step as u64 / 18;
            noted(shop, &customers[number], version, &format!("note {step}")).await;
            happened.push(customers[number].clone());
        }
        shop.clock.pass_ms(DAY_MS / 144);
        scene.run().await;
    }
    assert_eq!(scene.receiver.posts().len(), 0);
    let down = scene.view().await;
    assert_eq!((&down["waiting"], &down["last_answer"]), (&json!(24), &json!("tls_refused")));
    assert!(down["failing_since"].is_string() && down["next_attempt"].is_string(), "{down}");
    assert_eq!(findings(shop, "webhook_failing").await, 1);

    scene.receiver.comes_back();
    scene.run().await;
    assert_eq!(scene.receiver.posts().len(), 0, "it is not stormed: its time has not come");
    shop.clock.pass_ms(3_600_000);
    scene.run().await;
    scene.run().await;
    let posts = scene.receiver.posts();
    let told: Vec<String> = scene.told().into_iter().map(|(_, id)| id).collect();
    assert_eq!(told, happened, "every event, once, in the order in which it happened");
    let ids: BTreeMap<&str, ()> = posts.iter().map(|it| (it.header("webhook-id"), ())).collect();
    assert_eq!(ids.len(), 24);
    assert!(are_signed(&scene.secret, &posts));
    let second = (shop.clock.now().as_ms() / 1_000).to_string();
    assert!(posts.iter().all(|it| it.header("webhook-timestamp") == second), "of the attempt");
    assert!(posts.iter().all(|it| it.path == "/hooks?v=1"));
    assert!(posts.iter().all(|it| it.header("content-type") == "application/json"));
    let up = scene.view().await;
    assert_eq!((&up["waiting"], &up["last_answer"]), (&json!(0), &json!("https_200")));
    assert!(up["failing_since"].is_null());
    assert_eq!(findings(shop, "webhook_failing").await, 0, "closed by the evidence");
    assert_eq!(shop.verify().await["intact"], json!(true));
}

#[tokio::test]
async fn whoever_does_not_have_the_secret_signs_nothing() {
    let scene = Scene::open().await;
    for number in 1..=2 {
        let id = scene.shop.customer(number).await;
        noted(&scene.shop, &id, 1, "hello").await;
    }
    scene.run().await;
    let posts = scene.receiver.posts();
    assert!(are_signed(&scene.secret, &posts));
    let other = made(&scene.shop, &url(&scene.receiver), &[]).await.1;
    assert!(!are_signed(&other, &posts), "another endpoint's secret");
    let mut forged = posts.clone();
    forged[0].body = posts[1].body.clone();
    assert!(!are_signed(&scene.secret, &forged), "another body under this id");
}

#[tokio::test]
async fn a_replay_sends_the_same_events_again_under_the_same_ids() {
    let scene = Scene::open().await;
    let id = scene.shop.customer(1).await;
    noted(&scene.shop, &id, 1, "one").await;
    scene.shop.clock.pass_ms(3_600_000);
    let since = scene.shop.clock.now().to_rfc3339();
    noted(&scene.shop, &id, 2, "two").await;
    noted(&scene.shop, &id, 3, "three").await;
    scene.run().await;
    let first = scene.receiver.posts();
    assert_eq!(first.len(), 3);
    scene.receiver.forget_posts();
    scene.shop.clock.pass_ms(3_600_000);
    let told = scene.post("replay", Some(json!({ "since": since }))).await;
    assert_eq!((told.status.as_u16(), &told.json), (200, &json!({ "waiting": 2 })));
    scene.run().await;
    scene.run().await;
    let again = scene.receiver.posts();
    assert_eq!(again.len(), 2);
    for (old, new) in first[1..].iter().zip(&again) {
        assert_eq!(old.header("webhook-id"), new.header("webhook-id"));
        assert_eq!(old.body, new.body);
        assert_ne!(old.header("webhook-timestamp"), new.header("webhook-timestamp"));
    }
    assert!(are_signed(&scene.secret, &again));
    // A moment nothing happened since passes nothing over that waits.
    noted(&scene.shop, &id, 4, "four").await;
    scene.shop.clock.pass_ms(3_600_000);
    let since = json!({ "since": scene.shop.clock.now().to_rfc3339() });
    assert_eq!(scene.post("replay", Some(since)).await.json, json!({ "waiting": 1 }));
    scene.run().await;
    assert_eq!(scene.receiver.posts().len(), 3);
    let bad = scene.post("replay", Some(json!({ "since": "yesterday" }))).await;
    assert_eq!((bad.status.as_u16(), bad.code()), (400, "bad_time"));
}

#[tokio::test]
async fn an_answer_says_whether_an_event_is_tried_again_and_no_event_overtakes_another() {
    let scene = Scene::open().await;
    let shop = &scene.shop;
    let id = shop.customer(1).await;
    noted(shop, &id, 1, "one").await;
    noted(shop, &id, 2, "two").await;
    // A redirect is not followed either.
    let answers = ["500", "302", "hangup", "429", "204"];
    scene.receiver.answers(&answers);
    for (number, code) in
        ["https_500", "https_302", "https_connection_lost", "https_429"].into_iter().enumerate()
    {
        scene.run().await;
        scene.run().await;
        assert_eq!(scene.receiver.posts().len(), number + 1, "not before its time");
        assert_eq!(scene.view().await["last_answer"], code);
        shop.clock.pass_ms(3_600_000);
    }
    scene.run().await;
    let posts = scene.receiver.posts();
    assert_eq!(posts.len(), 6);
    assert!(posts[1..5].iter().all(|it| it.header("webhook-id") == posts[0].header("webhook-id")));
    assert_ne!(posts[5].header("webhook-id"), posts[0].header("webhook-id"));
    assert!(posts.iter().all(|it| it.path == "/hooks?v=1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_does_not_answer_delays_no_other() {
    let scene = Scene::open().await;
    // Both trust one certificate, so that one configuration reaches both.
    let folder = tempfile::tempdir().unwrap();
    for name in ["vendor.pem", "vendor.key"] {
        std::fs::copy(scene.receiver.certificate.path(name), folder.path().join(name)).unwrap();
    }
    let certificate = crate::support::receiver::Certificate { folder };
    let dead = Receiver::start_with(certificate, &["hold"]).await;
    let (dead_id, _) = made(&scene.shop, &url(&dead), &[]).await;
    let id = scene.shop.customer(1).await;
    noted(&scene.shop, &id, 1, "one").await;
    let (desk, couriers) = (scene.shop.desk(), Arc::clone(&scene.couriers));
    let away = tokio::spawn(async move { run_once(&desk, &couriers).await });
    while dead.posts().is_empty() || scene.receiver.posts().is_empty() {
        tokio::task::yield_now().await;
    }
    // One courier still waits there; this round is back without it.
    noted(&scene.shop, &id, 2, "two").await;
    while scene.receiver.posts().len() < 2 {
        scene.run().await;
    }
    assert_eq!(dead.posts().len(), 1, "no second courier to one endpoint");
    assert_eq!(view(&scene.shop, &dead_id).await["waiting"], 2);
    away.abort();
    assert!(away.await.unwrap_err().is_cancelled());
}

#[tokio::test]
async fn a_name_that_leads_into_the_network_is_not_posted_to_unless_the_configuration_says_so() {
    let scene = Scene::open().await;
    let id = scene.shop.customer(1).await;
    noted(&scene.shop, &id, 1, "one").await;
    let outside = config(&scene.receiver).replace("allow_private_address = true", "");
    let outside = couriers(&scene.shop, &outside);
    run_once(&scene.shop.desk(), &outside).await.unwrap();
    let view = scene.view().await;
    assert_eq!((&view["last_answer"], &view["waiting"]), (&json!("private_address"), &json!(1)));
    assert_eq!(findings(&scene.shop, "webhook_failing").await, 1, "at once: waiting mends nothing");
    assert_eq!(scene.receiver.posts().len(), 0);
    scene.shop.clock.pass_ms(5_000);
    scene.run().await;
    assert_eq!(scene.receiver.posts().len(), 1);
    assert_eq!(findings(&scene.shop, "webhook_failing").await, 0);
}

#[tokio::test]
async fn a_receiver_whose_certificate_is_not_trusted_is_told_nothing() {
    let scene = Scene::open().await;
    let id = scene.shop.customer(1).await;
    noted(&scene.shop, &id, 1, "one").await;
    let stranger = Receiver::start(&[]).await;
    let strangers = couriers(&scene.shop, &config(&stranger));
    run_once(&scene.shop.desk(), &strangers).await.unwrap();
    assert_eq!(scene.view().await["last_answer"], "tls_refused");
    assert_eq!(scene.receiver.posts().len(), 0);
}

#[tokio::test]
async fn an_endpoint_is_told_of_the_kinds_it_asked_for() {
    let scene = Scene::open().await;
    let (few, _) = made(&scene.shop, &url(&scene.receiver), &["customer.erased"]).await;
    let id = scene.shop.customer(1).await;
    noted(&scene.shop, &id, 1, "one").await;
    assert_eq!(view(&scene.shop, &few).await["waiting"], 0);
    scene.run().await;
    assert_eq!(scene.told(), [("customer.updated".to_owned(), id)]);
}

#[tokio::test]
async fn without_a_webhook_nothing_is_kept() {
    let mut shop = Shop::open().await;
    let id = shop.customer(1).await;
    noted(&shop, &id, 1, "one").await;
    let rows = "SELECT COUNT(*) FROM webhook_event";
    assert_eq!(crate::attack::one::<i64>(shop.data(), rows), 0);
    let receiver = Receiver::start(&[]).await;
    let (hook, _) = made(&shop, &url(&receiver), &[]).await;
    let ended = shop.as_operator("DELETE", &format!("/v1/webhooks/{hook}"), None).await;
    assert_eq!(ended.status, 204);
    noted(&shop, &id, 2, "two").await;
    shop.stop();
    assert_eq!(crate::attack::one::<i64>(shop.data(), rows), 0);
}

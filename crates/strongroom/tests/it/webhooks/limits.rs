//! When an event is given up, and that a person learns of it.

use serde_json::json;
use strongroom::jobs;

use super::{DAY_MS, Scene, findings, noted, url};

#[tokio::test]
async fn what_a_receiver_refuses_for_three_days_is_passed_over_and_told() {
    let scene = Scene::open().await;
    let shop = &scene.shop;
    let id = shop.customer(1).await;
    noted(shop, &id, 1, "one").await;
    noted(shop, &id, 2, "two").await;
    scene.receiver.answers(&["400"; 73]);
    for _ in 0..72 {
        scene.run().await;
        shop.clock.pass_ms(3_600_000);
    }
    assert_eq!(scene.view().await["passed_over"], 0, "not before");
    assert_eq!(findings(shop, "webhook_failing").await, 1);
    scene.run().await;
    scene.run().await;
    let view = scene.view().await;
    assert_eq!((&view["passed_over"], &view["waiting"]), (&json!(1), &json!(0)), "{view}");
    let posts = scene.receiver.posts();
    assert_eq!(posts.len(), 74);
    assert_ne!(posts[73].header("webhook-id"), posts[0].header("webhook-id"), "the next one");
    assert_eq!(findings(shop, "webhook_passed").await, 1);
    assert_eq!(findings(shop, "webhook_failing").await, 0);
    scene.receiver.forget_posts();
    let all = json!({ "since": "2026-11-21T10:00:00Z" });
    assert_eq!(scene.post("replay", Some(all)).await.json, json!({ "waiting": 2 }));
    assert_eq!(findings(shop, "webhook_passed").await, 0, "told again is not passed over");
    scene.run().await;
    assert_eq!(scene.receiver.posts().len(), 2);
}

#[tokio::test]
async fn a_proxy_without_its_application_refuses_nothing() {
    let scene = Scene::open().await;
    let id = scene.shop.customer(1).await;
    noted(&scene.shop, &id, 1, "one").await;
    scene.receiver.answers(&["502"; 120]);
    for _ in 0..120 {
        scene.run().await;
        scene.shop.clock.pass_ms(3_600_000);
    }
    assert_eq!(scene.view().await["passed_over"], 0);
    scene.run().await;
    assert_eq!(scene.view().await["waiting"], 0);
}

#[tokio::test]
async fn a_clock_that_jumps_passes_nothing_over() {
    let scene = Scene::open().await;
    let shop = &scene.shop;
    let id = shop.customer(1).await;
    noted(shop, &id, 1, "one").await;
    scene.receiver.answers(&["400", "400"]);
    scene.run().await;
    shop.clock.step_ms(40 * DAY_MS);
    shop.clock.pass_ms(5_000);
    scene.run().await;
    assert_eq!(scene.receiver.posts().len(), 2);
    jobs::run_daily(&shop.desk()).await;
    let view = scene.view().await;
    assert_eq!((&view["passed_over"], &view["waiting"]), (&json!(0), &json!(1)), "{view}");
    shop.clock.step_ms(-40 * DAY_MS);
    shop.clock.pass_ms(30_000);
    scene.run().await;
    assert_eq!(scene.view().await["waiting"], 0);
}

#[tokio::test]
async fn a_receiver_that_is_away_has_its_events_for_thirty_days_and_no_longer() {
    let scene = Scene::open().await;
    let shop = &scene.shop;
    let id = shop.customer(1).await;
    noted(shop, &id, 1, "one").await;
    scene.receiver.goes_down();
    for _ in 0..30 {
        scene.run().await;
        shop.clock.pass_ms(DAY_MS);
        jobs::run_daily(&shop.desk()).await;
    }
    noted(shop, &id, 2, "two").await;
    assert_eq!(scene.view().await["waiting"], 2);
    shop.clock.pass_ms(DAY_MS);
    jobs::run_daily(&shop.desk()).await;
    let view = scene.view().await;
    assert_eq!((&view["passed_over"], &view["waiting"]), (&json!(1), &json!(1)), "{view}");
    assert_eq!(findings(shop, "webhook_passed").await, 1);
    scene.receiver.comes_back();
    shop.clock.pass_ms(3_600_000);
    scene.run().await;
    assert_eq!(scene.receiver.posts().len(), 1);
    // A number is never given twice: what comes after everything went is told as well.
    shop.clock.pass_ms(32 * DAY_MS);
    jobs::run_daily(&shop.desk()).await;
    noted(shop, &id, 3, "three").await;
    scene.run().await;
    assert_eq!(scene.receiver.posts().len(), 2);
}

#[tokio::test]
async fn a_receiver_that_says_it_is_gone_is_told_nothing_until_somebody_switches_it_on() {
    let scene = Scene::open().await;
    let shop = &scene.shop;
    let id = shop.customer(1).await;
    noted(shop, &id, 1, "one").await;
    scene.receiver.answers(&["410"]);
    scene.run().await;
    assert_eq!(scene.view().await["state"], "gone");
    assert_eq!(findings(shop, "webhook_gone").await, 1);
    shop.clock.pass_ms(DAY_MS);
    scene.run().await;
    assert_eq!(scene.receiver.posts().len(), 1);
    assert_eq!(scene.post("enable", None).await.status, 204);
    assert_eq!(findings(shop, "webhook_gone").await, 0);
    scene.run().await;
    let posts = scene.receiver.posts();
    assert_eq!(posts.len(), 2, "what happened meanwhile waited");
    assert_eq!(posts[0].header("webhook-id"), posts[1].header("webhook-id"));
}

#[tokio::test]
async fn there_are_sixteen_webhooks_at_most() {
    let scene = Scene::open().await;
    let body = json!({ "url": url(&scene.receiver) });
    for number in 2..=17 {
        let made = scene.shop.as_operator("POST", "/v1/webhooks", Some(body.clone())).await;
        if number < 17 {
            assert_eq!(made.status, 201);
        } else {
            assert_eq!((made.status.as_u16(), made.code()), (409, "too_many_webhooks"));
        }
    }
}

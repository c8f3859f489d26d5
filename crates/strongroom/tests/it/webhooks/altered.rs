//! Rows changed by other hands: nothing is sent for them.

use serde_json::json;
use strongroom::app::App;
use strongroom::vault;

use super::{DAY_MS, Scene, findings, made, noted, url};
use crate::support::intrude;
use crate::support::receiver::Receiver;

#[tokio::test]
async fn an_endpoint_altered_by_sql_is_told_nothing_and_can_be_ended() {
    for sql in [
        "UPDATE webhook SET url = replace(url, 'hooks', 'mine')",
        "UPDATE webhook SET kinds = 'customer.erased,customer.updated'",
        "UPDATE webhook SET kinds = 'nonsense'",
        "UPDATE webhook SET position = position - 1",
        "UPDATE webhook SET passed = -1",
    ] {
        let mut scene = Scene::open().await;
        let id = scene.shop.customer(1).await;
        noted(&scene.shop, &id, 1, "one").await;
        scene.shop.stop();
        intrude(scene.shop.data(), sql);
        scene.shop.start().await.unwrap();
        scene.run().await;
        scene.run().await;
        assert_eq!(scene.receiver.posts().len(), 0, "{sql}");
        assert_eq!(scene.view().await["state"], "altered", "{sql}");
        assert_eq!(findings(&scene.shop, "tampered").await, 1);
        let entries = scene.shop.entries().await;
        let raised = entries.iter().filter(|it| it.actor == "system:webhooks.deliver").count();
        assert_eq!(raised, 1, "once");
        for act in ["enable", "disable", "secret"] {
            assert_eq!(scene.post(act, None).await.code(), "tampered", "{act}");
        }
        let since = json!({ "since": "2026-11-21T10:00:00Z" });
        assert_eq!(scene.post("replay", Some(since)).await.code(), "tampered");
        let path = format!("/v1/webhooks/{}", scene.id);
        assert_eq!(scene.shop.as_operator("DELETE", &path, None).await.status, 204);
        assert!(scene.view().await.is_null());
    }
}

#[tokio::test]
async fn an_endpoint_switched_on_by_sql_is_told_nothing() {
    let mut scene = Scene::open().await;
    let thief = Receiver::start(&[]).await;
    let (other, _) = made(&scene.shop, &url(&thief), &[]).await;
    for id in [&other, &scene.id] {
        let path = format!("/v1/webhooks/{id}/disable");
        assert_eq!(scene.shop.as_operator("POST", &path, None).await.status, 204);
    }
    let id = scene.shop.customer(1).await;
    noted(&scene.shop, &id, 1, "one").await;
    scene.shop.stop();
    intrude(scene.shop.data(), "UPDATE webhook SET state = 'on'");
    scene.shop.start().await.unwrap();
    scene.run().await;
    assert_eq!(scene.receiver.posts().len() + thief.posts().len(), 0);
}

#[tokio::test]
async fn an_endpoint_given_another_s_secret_by_sql_is_told_nothing() {
    let mut scene = Scene::open().await;
    let thief = Receiver::start(&[]).await;
    made(&scene.shop, &url(&thief), &[]).await;
    let id = scene.shop.customer(1).await;
    noted(&scene.shop, &id, 1, "one").await;
    scene.shop.stop();
    let swap = "CREATE TEMP TABLE was AS SELECT id, secret FROM webhook;
        UPDATE webhook SET secret = (SELECT secret FROM was WHERE was.id <> webhook.id)";
    intrude(scene.shop.data(), swap);
    scene.shop.start().await.unwrap();
    scene.run().await;
    assert_eq!(scene.receiver.posts().len() + thief.posts().len(), 0);
}

#[tokio::test]
async fn an_event_altered_or_put_there_by_sql_is_sent_to_nobody() {
    for (sql, sent) in [
        ("UPDATE webhook_event SET kind = 'customer.erased' WHERE number = 1", 1),
        ("UPDATE webhook_event SET kind = 'customer.unheard_of' WHERE number = 1", 2),
        (
            "UPDATE webhook_event SET customer = (SELECT customer FROM webhook_event WHERE number = 2) WHERE number = 1",
            1,
        ),
        ("UPDATE webhook_event SET merged_into = customer WHERE number = 1", 1),
        ("UPDATE webhook_event SET id = x'00' WHERE number = 1", 1),
        (
            "INSERT INTO webhook_event SELECT 3, randomblob(16), kind, customer, NULL, at_ms, mac FROM webhook_event WHERE number = 1",
            2,
        ),
    ] {
        let mut scene = Scene::open().await;
        let (one, two) = (scene.shop.customer(1).await, scene.shop.customer(2).await);
        for id in [one, two] {
            noted(&scene.shop, &id, 1, "one").await;
        }
        scene.shop.stop();
        intrude(scene.shop.data(), sql);
        scene.shop.start().await.unwrap();
        scene.run().await;
        assert_eq!(scene.receiver.posts().len(), sent, "{sql}");
        let is_altered = !sql.contains("unheard_of");
        assert_eq!(findings(&scene.shop, "tampered").await, usize::from(is_altered), "{sql}");
        assert_eq!(scene.view().await["waiting"], 0, "the others are not kept waiting");
        let all = "customer.updated";
        assert!(
            scene.told().iter().all(|(kind, _)| kind == all),
            "{sql}: as it was, or not at all"
        );
    }
}

#[tokio::test]
async fn numbers_put_there_by_sql_stop_no_act() {
    for sql in [
        "UPDATE webhook_event SET number = 9223372036854775807",
        "UPDATE webhook_event SET number = 9223372036854775806",
        "UPDATE webhook SET position = 9223372036854775807",
        "UPDATE webhook SET position = 9223372036854775806",
    ] {
        let mut scene = Scene::open().await;
        let id = scene.shop.customer(1).await;
        noted(&scene.shop, &id, 1, "one").await;
        scene.shop.stop();
        intrude(scene.shop.data(), sql);
        scene.shop.start().await.unwrap();
        for version in 2..=4 {
            noted(&scene.shop, &id, version, &format!("note {version}")).await;
        }
        let path = format!("/v1/customers/{id}");
        assert_eq!(scene.shop.call("privacy", "DELETE", &path, None).await.status, 202);
        scene.shop.clock.pass_ms(8 * DAY_MS);
        let ctx = App::job_ctx(&scene.shop.desk(), "erase.due").unwrap();
        let erased = vault::erase_due(&scene.shop.desk(), &ctx).await.unwrap();
        assert_eq!(erased.done, 1, "{sql}");
    }
}

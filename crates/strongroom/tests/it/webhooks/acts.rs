//! Which acts are told, and what is said of them.

use serde_json::{Value, json};
use strongroom::ctx::Clock;
use strongroom::jobs;

use super::{DAY_MS, Scene, noted};
use crate::support::person;

impl Scene {
    /// What was said since the last time.
    async fn news(&self) -> Vec<(String, String)> {
        self.run().await;
        let told = self.told();
        self.receiver.forget_posts();
        told
    }

    async fn does(&self, role: &str, method: &str, path: &str, body: Option<Value>, version: u64) {
        let version = format!("\"{version}\"");
        let headers = [("if-match", version.as_str())];
        let done = self.shop.call_with(role, method, path, body, &headers).await;
        assert!(done.status.is_success(), "{method} {path}: {done:?}");
    }

    async fn relates(&self, id: &str, name: &str, act: &str) {
        let body = json!({ "name": name, "act": act });
        let path = format!("/v1/customers/{id}/relations");
        self.does("shop", "POST", &path, Some(body), 0).await;
    }
}

fn one(kind: &str, id: &str) -> Vec<(String, String)> {
    vec![(format!("customer.{kind}"), id.to_owned())]
}

#[tokio::test]
async fn changes_of_what_is_kept_are_told_and_nothing_else() {
    let scene = Scene::open().await;
    let id = scene.shop.customer(1).await;
    let own = format!("/v1/customers/{id}");
    assert_eq!(scene.news().await, [], "that somebody was made is known to whoever made them");
    noted(&scene.shop, &id, 1, "one").await;
    assert_eq!(scene.news().await, one("updated", &id));
    noted(&scene.shop, &id, 2, "one").await;
    assert_eq!(scene.news().await, [], "the same value again");
    let gone = Some(json!({ "fields": { "note": null } }));
    scene.does("shop", "PATCH", &own, gone.clone(), 3).await;
    assert_eq!(scene.news().await, one("updated", &id));
    scene.does("shop", "PATCH", &own, gone, 4).await;
    assert_eq!(scene.news().await, [], "it was gone before");
    scene.relates(&id, "enquiry", "touch").await;
    assert_eq!(
        scene.news().await,
        [],
        "that something happened again changes nothing that is shown"
    );
    scene.relates(&id, "enquiry", "end").await;
    assert_eq!(scene.news().await, one("relation_ended", &id));
    scene.relates(&id, "enquiry", "touch").await;
    assert_eq!(scene.news().await, one("updated", &id), "a new one");
    let consent = format!("{own}/consents/marketing");
    scene.does("shop", "PUT", &consent, Some(json!({ "how": "phone" })), 0).await;
    assert_eq!(scene.news().await, []);
    scene.does("shop", "DELETE", &consent, None, 0).await;
    assert_eq!(scene.news().await, one("consent_withdrawn", &id));
    scene.does("shop", "GET", &format!("{own}?fields=name"), None, 0).await;
    let late = json!({ "fields": { "note": "late" } });
    let stale = [("if-match", "\"1\"")];
    let refused = scene.shop.call_with("shop", "PATCH", &own, Some(late), &stale).await;
    assert_eq!(refused.status, 412);
    assert_eq!(scene.news().await, [], "what is not done is not told");
}

#[tokio::test]
async fn a_system_that_is_kept_in_step_is_told_of_what_it_did_not_know() {
    let scene = Scene::open().await;
    let place = "/v1/customers/ref/shop/4711";
    scene.does("shop", "PUT", place, Some(person(1)), 0).await;
    assert_eq!(scene.news().await, []);
    scene.does("shop", "PUT", place, Some(person(1)), 0).await;
    assert_eq!(scene.news().await, [], "everything as before");
    let mut moved = person(1);
    moved["fields"]["address"]["city"] = json!("Leeds");
    scene.does("shop", "PUT", place, Some(moved.clone()), 0).await;
    let told = scene.news().await;
    assert_eq!((told.len(), told[0].0.as_str()), (1, "customer.updated"));
    let mut same = moved;
    same["ref"] = json!("shop/4711");
    let mut new = person(2);
    new["ref"] = json!("shop/4712");
    let batch = json!({ "items": [same.clone(), new] });
    scene.does("shop", "POST", "/v1/customers:batch", Some(batch), 0).await;
    assert_eq!(scene.news().await, []);
    same["fields"]["name"] = json!("Ada Other");
    let batch = json!({ "items": [same] });
    scene.does("shop", "POST", "/v1/customers:batch", Some(batch), 0).await;
    assert_eq!(scene.news().await, told);
}

#[tokio::test]
async fn an_event_says_ids_and_nothing_else_of_a_person() {
    let scene = Scene::open().await;
    let id = scene.shop.customer(1).await;
    let at = scene.shop.clock.now().to_rfc3339();
    noted(&scene.shop, &id, 1, "one").await;
    scene.run().await;
    let post = &scene.receiver.posts()[0];
    let body: Value = serde_json::from_str(&post.body).unwrap();
    let all = json!({ "type": "customer.updated", "timestamp": at, "data": { "id": id } });
    assert_eq!(body, all);
    assert!(post.header("webhook-id").starts_with("evt_"));
}

#[tokio::test]
async fn whoever_is_merged_and_erased_is_told_until_nothing_is_left() {
    let scene = Scene::open().await;
    let (stays, goes) = (scene.shop.customer(1).await, scene.shop.customer(2).await);
    let merge = json!({ "other": goes, "other_version": 1 });
    scene.does("privacy", "POST", &format!("/v1/customers/{stays}/merge"), Some(merge), 1).await;
    scene.run().await;
    let merged: Value = serde_json::from_str(&scene.receiver.posts()[0].body).unwrap();
    assert_eq!(merged["type"], "customer.merged");
    assert_eq!(merged["data"], json!({ "id": goes, "into": stays }), "at once, and into whom");
    assert_eq!(scene.news().await[1..], one("updated", &stays));
    scene.shop.clock.pass_ms(8 * DAY_MS);
    jobs::run_once(&scene.shop.desk()).await;
    assert_eq!(scene.news().await, one("erased", &goes));
    // A part stays with this one: a duty keeps it. What goes, goes for others too.
    scene.does("privacy", "DELETE", &format!("/v1/customers/{stays}"), None, 0).await;
    assert_eq!(scene.news().await, [], "it can still be taken back");
    scene.shop.clock.pass_ms(8 * DAY_MS);
    jobs::run_once(&scene.shop.desk()).await;
    assert_eq!(scene.news().await, one("erased", &stays));
    assert_eq!(scene.shop.count_customers(), 1);
}

#[tokio::test]
async fn of_whoever_is_erased_whole_nothing_older_is_sent_any_more() {
    let mut scene = Scene::open().await;
    let body = json!({ "relations": [{ "name": "enquiry" }], "fields": { "name": "Eve Asker" } });
    let made = scene.shop.call("shop", "POST", "/v1/customers", Some(body)).await;
    let eve = made.json["id"].as_str().unwrap().to_owned();
    let ada = scene.shop.customer(1).await;
    scene.receiver.goes_down();
    noted(&scene.shop, &ada, 1, "one").await;
    noted(&scene.shop, &eve, 1, "one").await;
    scene.run().await;
    scene.does("privacy", "DELETE", &format!("/v1/customers/{eve}"), None, 0).await;
    scene.shop.clock.pass_ms(8 * DAY_MS);
    jobs::run_once(&scene.shop.desk()).await;
    assert_eq!(scene.shop.count_customers(), 1);
    scene.receiver.comes_back();
    let news = scene.news().await;
    assert_eq!(news, [one("updated", &ada), one("erased", &eve)].concat());
    let again = json!({ "since": "2026-11-21T10:00:00Z" });
    assert_eq!(scene.post("replay", Some(again)).await.status, 200);
    assert_eq!(scene.news().await, news, "nor in a replay");
    // An id stands here no longer than events are kept.
    scene.shop.clock.pass_ms(31 * DAY_MS);
    jobs::run_daily(&scene.shop.desk()).await;
    scene.shop.stop();
    assert_eq!(scene.shop.data().one::<i64>("SELECT COUNT(*) FROM webhook_event"), 0);
}

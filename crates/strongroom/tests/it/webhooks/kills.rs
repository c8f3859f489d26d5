//! The real binary, killed between the post and the note that it was taken.

use serde_json::json;

use super::{are_signed, config, told_by, url};
use crate::support::Shop;
use crate::support::receiver::Receiver;
use crate::support::server::{Client, Server};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_before_it_was_written_down_an_event_comes_again_under_its_id_and_none_is_lost() {
    let mut shop = Shop::open_today().await;
    let receiver = Receiver::start(&["hold"]).await;
    let id = shop.customer(1).await;
    let (key, admin) = (shop.keys["shop"].clone(), shop.keys["admin"].clone());
    shop.stop();
    let config = config(&receiver);
    let mut server = Server::start_with(shop.folder.path(), &[], &config);
    let made = Client::new(&server, &admin)
        .send("POST", "/v1/webhooks", Some(&json!({ "url": url(&receiver) })))
        .unwrap();
    assert_eq!(made.status, 201, "{:?}", made.json);
    let changed = Client::new(&server, &key)
        .send("PATCH", &format!("/v1/customers/{id}"), Some(&json!({ "fields": { "note": "a" } })))
        .unwrap();
    assert_eq!(changed.status, 200, "{:?}", changed.json);
    let touched = json!({ "name": "enquiry", "act": "end" });
    let path = format!("/v1/customers/{id}/relations");
    let ended = Client::new(&server, &key).send("POST", &path, Some(&touched)).unwrap();
    assert_eq!(ended.status, 200, "{:?}", ended.json);
    wait_until(&mut server, || !receiver.posts().is_empty());
    server.kill();
    let mut server = Server::start_with(shop.folder.path(), &[], &config);
    wait_until(&mut server, || receiver.posts().len() >= 3);
    let waiting = |server: &Server| {
        let listed = Client::new(server, &admin).send("GET", "/v1/webhooks", None).unwrap();
        listed.json["webhooks"][0]["waiting"].as_u64().unwrap()
    };
    while waiting(&server) > 0 {
        assert!(server.is_up());
    }
    let posts = receiver.posts();
    let kinds: Vec<String> = posts.iter().map(|post| told_by(post).0).collect();
    assert_eq!(kinds, ["customer.updated", "customer.updated", "customer.relation_ended"]);
    assert_eq!(posts[0].header("webhook-id"), posts[1].header("webhook-id"));
    assert_eq!(posts[0].body, posts[1].body);
    assert!(are_signed(made.json["secret"].as_str().unwrap(), &posts));
}

fn wait_until(server: &mut Server, holds: impl Fn() -> bool) {
    while !holds() {
        assert!(server.is_up(), "the server ended by itself");
        std::thread::yield_now();
    }
}

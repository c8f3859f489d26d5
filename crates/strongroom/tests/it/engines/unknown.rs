//! A COMMIT that a server does not answer: looked up, and only then told.

use strongroom::db::Server;

use super::cut::{Cut, Way};
use crate::support::postgres::Cluster;
use crate::support::{Shop, person};

/// A shop whose server is reached over a way that can be cut.
async fn open(name: &'static str) -> Option<(Shop, Way)> {
    let cluster = Cluster::shared()?;
    drop(cluster.database(name));
    let url = cluster.url(name);
    let port = url.rsplit(':').next().unwrap().split('/').next().unwrap();
    let way = Way::to(port.parse().unwrap());
    let url = url.replace(port, &way.port.to_string());
    let server = Server::at(&url, Some(cluster.password().as_bytes()), None).unwrap();
    Some((Shop::open_at(server).await, way))
}

async fn created(shop: &Shop) -> usize {
    shop.entries().await.iter().filter(|it| it.verb == "customer.create").count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_was_done_and_not_answered_is_found_and_told_as_done() {
    let Some((shop, way)) = open("told_as_done").await else { return };
    for (number, refused) in [(1, 0), (2, 7)] {
        way.cut_next(Cut::After, refused);
        let made = shop.call("shop", "POST", "/v1/customers", Some(person(number))).await;
        assert_eq!(made.status, 201, "{made:?}");
        assert!(way.is_done());
        let path = format!("/v1/customers/{}?fields=name", made.json["id"].as_str().unwrap());
        assert_eq!(shop.call("shop", "GET", &path, None).await.status, 200);
        assert_eq!(created(&shop).await, number, "exactly once");
    }
    shop.customer(3).await;
    assert_eq!(shop.verify().await["flaws"], serde_json::json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_the_server_never_had_is_told_as_not_done_and_service_returns() {
    let Some((shop, way)) = open("told_as_not_done").await else { return };
    for (number, refused) in [(1, 0), (2, 7)] {
        way.cut_next(Cut::Before, refused);
        let missed = shop.call("shop", "POST", "/v1/customers", Some(person(number))).await;
        assert_eq!((missed.status.as_u16(), missed.code()), (503, "ledger_stalled"), "{missed:?}");
        assert!(way.is_done());
        assert_eq!(created(&shop).await, number - 1, "nothing of it is there");
        // Its address is free, and nobody had to help.
        shop.customer(number).await;
        assert_eq!(created(&shop).await, number);
    }
    assert_eq!(shop.verify().await["flaws"], serde_json::json!([]));
}

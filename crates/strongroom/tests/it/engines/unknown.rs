//! A COMMIT that a server does not answer: looked up, and only then told.

use std::time::Duration;

use strongroom::ctx::Outcome;
use strongroom::db::{Connection, Statement};
use strongroom::ledger::Leaf;

use super::cut::{Cut, Way};
use crate::support::postgres::Cluster;
use crate::support::{Shop, person};

/// A shop whose server is reached over a way that can be cut.
async fn open(name: &'static str) -> Option<(Shop, Way)> {
    let (server, way) = Way::to(Cluster::shared()?, name);
    Some((Shop::open_at(server).await, way))
}

async fn created(shop: &Shop) -> usize {
    let is_one = |it: &&Leaf| it.verb == "customer.create" && it.outcome == Outcome::Ok;
    shop.entries().await.iter().filter(is_one).count()
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

/// Each look may take seconds by itself where packets are lost: they are bounded by time, not by number.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stays_away_for_half_a_minute_is_given_up_and_what_it_did_is_found_later() {
    let Some((shop, way)) = open("stays_away").await else { return };
    way.cut_next(Cut::After, u32::MAX);
    let client = shop.client("shop");
    let create = async move { client.call("POST", "/v1/customers", Some(person(1))).await };
    let create = tokio::spawn(create);
    while way.turned_away() == 0 {
        tokio::task::yield_now().await;
    }
    shop.clock.pass_ms(30_000);
    let missed = create.await.unwrap();
    assert_eq!((missed.status.as_u16(), missed.code()), (503, "ledger_stalled"), "{missed:?}");
    way.refuse_nobody();
    let again = shop.call("shop", "POST", "/v1/customers", Some(person(1))).await;
    assert_eq!((again.status.as_u16(), again.code()), (409, "taken"), "{again:?}");
    assert_eq!(created(&shop).await, 1, "it was done, once");
    assert_eq!(shop.verify().await["flaws"], serde_json::json!([]));
}

/// A server that hangs inside a COMMIT, as where it waits for another that has it too. What is read before
/// nobody can say what becomes of it would be what was before.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn while_a_commit_may_still_come_nothing_is_read() {
    let Some(cluster) = Cluster::start(&[], &[]) else { return };
    let shop = Shop::open_at(cluster.database("hangs").waiting(Duration::from_secs(1))).await;
    let path = format!("/v1/customers/{}", shop.customer(1).await);
    let mut there = Connection::to(&cluster.server("hangs")).unwrap();
    let mut set = |standby: &'static str| {
        there.execute(&Statement::new(standby, Vec::new())).unwrap();
        there.query("SELECT pg_reload_conf()", &[]).unwrap();
    };
    set("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    let (client, change) = (shop.client("shop"), path.clone());
    let change = tokio::spawn(async move {
        let name = serde_json::json!({ "fields": { "name": "Ada Changed" } });
        client.call_plain("PATCH", &change, Some(name), &[("if-match", "\"1\"")]).await
    });
    let mut looker = Connection::to(&cluster.server("hangs")).unwrap();
    let hanging = "SELECT pid::BIGINT FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    let waiting = "SELECT pid::BIGINT FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    for step in [hanging, waiting] {
        while looker.query(step, &[]).unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    }
    shop.clock.pass_ms(30_000);
    let missed = change.await.unwrap();
    assert_eq!((missed.status.as_u16(), missed.code()), (503, "ledger_stalled"), "{missed:?}");
    let read = format!("{path}?fields=name");
    // It comes while somebody reads.
    let comes = async {
        for _ in 0..300 {
            assert!(!looker.query(hanging, &[]).unwrap().is_empty(), "it hangs until here");
        }
        set("ALTER SYSTEM SET synchronous_standby_names = ''");
    };
    let (early, ()) = tokio::join!(shop.call("shop", "GET", &read, None), comes);
    assert_eq!((early.status.as_u16(), early.code()), (503, "ledger_stalled"), "{early:?}");
    let seen = loop {
        let seen = shop.call("shop", "GET", &read, None).await;
        if seen.status != 503 {
            break seen;
        }
    };
    assert_eq!((seen.status.as_u16(), &seen.json["version"]), (200, &serde_json::json!(2)));
    assert_eq!(shop.verify().await["flaws"], serde_json::json!([]));
}

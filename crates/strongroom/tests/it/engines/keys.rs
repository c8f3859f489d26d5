//! The keys at a server of their own: everything is as with keys.db, and two nodes share them.

use std::sync::Arc;

use serde_json::{Value, json};
use strongroom::app::{App, move_data, move_keys, reseal};
use strongroom::backup::Step;
use strongroom::db::{Connection, Lead, Server};
use strongroom::error::Error;
use strongroom::keys::Seal;

use super::moving::operator_of;
use super::nodes;
use crate::attack::findings;
use crate::backup::{enquirer, erase};
use crate::recovery::{go_on, newest, rotate};
use crate::support::data::Data;
use crate::support::postgres::Cluster;
use crate::support::{Shop, person};

/// Breaks off where `told` says so.
async fn moves(
    shop: &Shop,
    to: Option<Server>,
    told: impl FnMut(Step) -> Result<(), Error>,
) -> Result<u64, Error> {
    move_keys(shop.surroundings(), to, &operator_of(shop), told).await
}

/// Moves the keys of a closed shop and tells it so.
pub(super) async fn keys_to_server(shop: &mut Shop, server: Server) {
    moves(shop, Some(server.clone()), |_| Ok(())).await.unwrap();
    shop.use_keys(Data::Server(server));
}

/// The code with which it does not open.
async fn refused(shop: &Shop) -> &'static str {
    App::open(shop.surroundings()).await.err().map_or("", |it| it.code)
}

/// With its keys in its folder, whatever the run is for.
async fn closed_shop() -> (Shop, String) {
    let mut shop = Shop::open_in_file().await;
    let id = shop.customer(1).await;
    shop.customer(2).await;
    shop.stop();
    (shop, id)
}

async fn name_of(shop: &Shop, id: &str) -> Value {
    let path = format!("/v1/customers/{id}?fields=name");
    let answer = shop.call("desk", "GET", &path, None).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json["fields"]["name"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_moved_to_a_server_and_back_open_everything_and_nothing_is_left_behind() {
    let Some(cluster) = Cluster::of_keys() else { return };
    let (mut shop, id) = closed_shop().await;
    let server = cluster.database("keys_and_back");
    let rows = moves(&shop, Some(server.clone()), |_| Ok(())).await.unwrap();
    assert!(rows > 10, "{rows}");
    let file = shop.keys_file();
    assert!(!file.exists(), "what was erased would be there for ever");
    assert_eq!(refused(&shop).await, "not_initialised");
    shop.use_keys(Data::Server(server.clone()));
    shop.start().await.unwrap();
    assert!(name_of(&shop, &id).await.as_str().is_some_and(|name| name.starts_with('A')));
    assert!(shop.entries().await.iter().any(|it| it.verb == "keys.move"));
    shop.customer(3).await;
    assert_eq!(shop.verify().await["flaws"], json!([]));
    shop.stop();

    moves(&shop, None, |_| Ok(())).await.unwrap();
    let at_server = Data::Server(server.clone());
    assert_eq!(at_server.one::<i64>("SELECT count(*) FROM dek"), 0);
    assert_eq!(at_server.one::<i64>("SELECT count(*) FROM named_key"), 0);
    assert_eq!(refused(&shop).await, "two_key_stores");
    assert_eq!(moves(&shop, None, |_| Ok(())).await.unwrap_err().code, "moved_already");
    shop.use_keys_file();
    shop.start().await.unwrap();
    name_of(&shop, &id).await;
    assert_eq!(shop.verify().await["flaws"], json!([]));
    shop.stop();
    std::fs::remove_file(file).unwrap();
    shop.use_keys(Data::Server(server));
    assert_eq!(refused(&shop).await, "moved");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_of_keys_that_broke_off_leaves_one_place_in_use_and_goes_on() {
    let Some(cluster) = Cluster::of_keys() else { return };
    let (mut shop, id) = closed_shop().await;
    let server = cluster.database("keys_broken_off");
    for stop_at in ["keys copied", "keys compared"] {
        let told = |step: Step| match step.what == stop_at {
            true => Err(Error::unavailable("cut", "the test ends it here")),
            false => Ok(()),
        };
        assert_eq!(moves(&shop, Some(server.clone()), told).await.unwrap_err().code, "cut");
        // Where they were they are in use, and what arrived is for nobody.
        shop.start().await.unwrap();
        name_of(&shop, &id).await;
        shop.stop();
        let mut there = shop.empty_beside();
        std::fs::create_dir(there.data_folder()).unwrap();
        there.use_keys(Data::Server(server.clone()));
        assert_eq!(refused(&there).await, "moved");
    }
    // A key that came meanwhile comes with them.
    shop.start().await.unwrap();
    let late = shop.customer(4).await;
    shop.stop();
    keys_to_server(&mut shop, server).await;
    shop.start().await.unwrap();
    for id in [id, late] {
        name_of(&shop, &id).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_that_holds_something_is_no_place_for_keys() {
    let Some(cluster) = Cluster::of_keys() else { return };
    let (mut first, _) = closed_shop().await;
    let server = cluster.database("keys_occupied");
    keys_to_server(&mut first, server.clone()).await;
    let (second, id) = closed_shop().await;
    let occupied = moves(&second, Some(server), |_| Ok(())).await;
    assert_eq!(occupied.unwrap_err().code, "not_empty");
    let mut second = second;
    second.start().await.unwrap();
    name_of(&second, &id).await;
    first.start().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erased_customer_has_no_key_at_the_server_and_every_rotation_works_there() {
    let Some(cluster) = Cluster::of_keys() else { return };
    let (mut shop, _) = closed_shop().await;
    let server = cluster.database("keys_rotated");
    keys_to_server(&mut shop, server.clone()).await;
    shop.start().await.unwrap();
    let keys = Data::Server(server);
    let count = || keys.one::<i64>("SELECT count(*) FROM dek");
    let before = count();
    let gone = enquirer(&shop, 8).await;
    assert!(count() > before);
    erase(&shop, &gone).await;
    assert_eq!(count(), before);
    let other = shop.customer(7).await;
    for kind in ["wrapping_key", "data_keys", "look_up_keys"] {
        rotate(&shop, kind).await;
        for _ in 0..3 {
            go_on(&shop).await;
        }
        assert_eq!(newest(&shop).await["state"], "done", "{kind}");
        name_of(&shop, &other).await;
        let taken = shop.call("shop", "POST", "/v1/customers", Some(person(7))).await;
        assert_eq!(taken.status, 409, "{kind}: {taken:?}");
    }
    assert_eq!(shop.verify().await["flaws"], json!([]));
    // As a fresh process reads it.
    shop.stop();
    shop.start().await.unwrap();
    name_of(&shop, &other).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_server_that_was_away_is_found_again_by_itself() {
    let Some(cluster) = Cluster::start(&["max_connections=40"], &[]) else { return };
    let (mut shop, id) = closed_shop().await;
    keys_to_server(&mut shop, cluster.database("keys_away")).await;
    shop.start().await.unwrap();
    cluster.end(crate::support::postgres::End::Killed);
    let refused = shop.call("shop", "POST", "/v1/customers", Some(person(5))).await;
    assert_eq!(refused.status, 503, "{refused:?}");
    cluster.start_again();
    let mut asked = 0;
    while shop.call("shop", "POST", "/v1/customers", Some(person(5))).await.status != 201 {
        asked += 1;
        assert!(asked < 1_000_000, "it never came back");
        tokio::task::yield_now().await;
    }
    name_of(&shop, &id).await;
    assert_eq!(shop.verify().await["flaws"], json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_nodes_go_on_for_longer_than_an_anchor_lasts() {
    let Some(nodes) = nodes::open("keys_of_two_nodes").await else { return };
    for round in 0..6 {
        for (node, number) in nodes.iter().zip(0..) {
            let id = node.customer(100 + 10 * round + number).await;
            name_of(&nodes[1 - number], &id).await;
        }
        // More than a month in all: a key of a month that one makes is known to the other.
        nodes.iter().for_each(|node| node.clock.pass_ms(7 * 86_400_000));
    }
    for node in &nodes {
        assert_eq!(node.verify().await["flaws"], json!([]));
    }
}

/// What wraps and opens keys is another after a rotation, and the other node has to learn it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_one_node_rotates_the_other_takes_over() {
    let Some([first, second]) = nodes::open("keys_rotated_beside").await else { return };
    let id = first.customer(1).await;
    for (kind, number) in ["root", "wrapping_key", "look_up_keys"].into_iter().zip(10..) {
        rotate(&first, kind).await;
        name_of(&second, &id).await;
        let late = second.customer(number).await;
        name_of(&first, &late).await;
        let body = Some(person(number));
        let taken = first.call("shop", "POST", "/v1/customers", body).await;
        assert_eq!(taken.status, 409, "{kind}: one e-mail, one customer: {taken:?}");
        // One kind at a time.
        go_on(&first).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_and_data_in_one_cluster_are_a_finding_and_apart_they_are_none() {
    let (Some(one), Some(other)) = (Cluster::shared(), Cluster::of_keys()) else { return };
    let mut shop = Shop::open_at(one.database("keys_beside_data")).await;
    shop.stop();
    let beside = "keys_beside_data".to_owned();
    keys_to_server(&mut shop, one.database("keys_beside_keys")).await;
    shop.start().await.unwrap();
    assert!(findings(&shop).await.contains(&beside));
    shop.stop();
    let away = other.database("keys_away_from_data");
    moves(&shop, Some(away.clone()), |_| Ok(())).await.unwrap();
    shop.use_keys(Data::Server(away));
    shop.start().await.unwrap();
    assert!(!findings(&shop).await.contains(&beside));
}

/// Its memory would hold what is not there any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_moved_or_sealed_otherwise_while_another_machine_serves() {
    let (Some(one), Some(other)) = (Cluster::shared(), Cluster::of_keys()) else { return };
    let mut shop = Shop::open_at(one.database("keys_served")).await;
    let mut serving = Lead::over(shop.desk().data.place().clone());
    assert!(serving.is_ours().unwrap());
    shop.stop();
    let server = other.database("keys_not_moved");
    let code = |refused: Result<(), Error>| refused.unwrap_err().code;
    let ctx = operator_of(&shop);
    let moved = moves(&shop, Some(server.clone()), |_| Ok(())).await;
    assert_eq!(code(moved.map(drop)), "served_elsewhere");
    let moved = move_data(shop.surroundings(), None, &ctx, |_| Ok(())).await;
    assert_eq!(code(moved.map(drop)), "served_elsewhere");
    let words = Seal::Passphrase(Arc::new("seven wet herons borrow a ladder".to_owned().into()));
    assert_eq!(code(reseal(shop.surroundings(), &words, &ctx).await), "served_elsewhere");
    serving.let_go();
    keys_to_server(&mut shop, server).await;
    shop.start().await.unwrap();
}

/// Whoever reads a table of keys meets nothing that opens anything without the seal.
#[tokio::test]
async fn the_key_server_never_has_a_key_in_the_clear() {
    let Some(cluster) = Cluster::of_keys() else { return };
    let (mut shop, _) = closed_shop().await;
    let server = cluster.database("keys_in_the_clear");
    keys_to_server(&mut shop, server.clone()).await;
    let seal = std::fs::read(shop.key_file()).unwrap();
    assert!(!Data::Server(server.clone()).contains(&seal));
    let mut db = Connection::to(&server).unwrap();
    let rows = db.query("SELECT wrapped FROM named_key ORDER BY name", &[]).unwrap();
    assert!(rows.iter().all(|row| row.bytes(0).unwrap().len() > 48), "a key and its tag");
}

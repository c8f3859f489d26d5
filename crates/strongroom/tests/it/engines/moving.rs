//! The data moved to a server and back: the same shop, and never two of it.

use std::process::{Command, Stdio};
use std::sync::Arc;

use serde_json::json;
use strongroom::app::{App, Moved, Surroundings, move_data};
use strongroom::backup::Step;
use strongroom::ctx::{Actor, Clock, Ctx};
use strongroom::db::{Connection, Server};
use strongroom::error::Error;
use strongroom::id::Id;
use strongroom_crypto::SystemRandom;

use super::cut::{Cut, Way};
use crate::places::import;
use crate::support::data::{Data, password_file};
use crate::support::postgres::Cluster;
use crate::support::server::configure;
use crate::support::{Shop, person};

/// A closed shop with its data in a file and something in most tables, and an empty database.
async fn shop_and_database(name: &'static str, customers: usize) -> Option<(Shop, Server)> {
    let server = Cluster::shared()?.database(name);
    let mut shop = Shop::open_in_file().await;
    import(&shop, 100, customers).await;
    let id = shop.customer(1).await;
    shop.customer(2).await;
    let path = format!("/v1/customers/{id}");
    assert_eq!(shop.call("privacy", "DELETE", &path, None).await.status, 202);
    shop.stop();
    Some((shop, server))
}

/// Breaks off where `told` says so.
async fn moves(
    shop: &Shop,
    to: Option<Server>,
    told: impl FnMut(Step) -> Result<(), Error>,
) -> Result<Moved, Error> {
    move_data(shop.surroundings(), to, &operator_of(shop), told).await
}

/// Whoever unseals; nothing is open.
pub(super) fn operator_of(shop: &Shop) -> Ctx {
    let (now, rng) = (shop.clock.now(), Arc::new(SystemRandom));
    let request = Id::time_ordered(now, rng.as_ref()).unwrap();
    Ctx { actor: Actor::Operator, network: None, now, request, rng, claim: None }
}

/// The code with which it does not open.
async fn refused(shop: &Shop, server: Option<Server>) -> &'static str {
    App::open(Surroundings { server, ..shop.surroundings() }).await.err().map_or("", |it| it.code)
}

async fn is_whole(shop: &mut Shop, customers: u64) {
    shop.start().await.unwrap();
    assert_eq!(shop.count_customers(), customers);
    assert_eq!(shop.verify().await["flaws"], json!([]));
    let email = json!({ "email": "ada.100@mail.example" });
    let found = shop.call("desk", "POST", "/v1/customers/lookup", Some(email)).await;
    let path = format!(
        "/v1/customers/{}?fields=name",
        found.json["customers"][0].as_str().unwrap_or_else(|| panic!("{found:?}"))
    );
    assert_eq!(shop.call("desk", "GET", &path, None).await.status, 200);
    let again = shop.call("shop", "POST", "/v1/customers", Some(person(100))).await;
    assert_eq!(again.status, 409, "who has this e-mail is known there too");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shop_moved_to_a_server_and_back_is_the_same_shop() {
    let Some((mut shop, server)) = shop_and_database("moved_and_back", 1_200).await else { return };
    let there = moves(&shop, Some(server.clone()), |_| Ok(())).await.unwrap();
    assert!(there.rows > 5 * 1_200 && there.entries > 5, "{there:?}");
    assert_eq!(refused(&shop, None).await, "data_missing");
    let file = shop.use_data(Data::Server(server.clone()));
    is_whole(&mut shop, 1_202).await;
    assert!(shop.entries().await.iter().any(|it| it.verb == "data.move"));
    shop.customer(3).await;
    shop.stop();

    moves(&shop, None, |_| Ok(())).await.unwrap();
    assert_eq!(refused(&shop, Some(server.clone())).await, "two_databases");
    let again = moved_from(&shop, Some(server.clone()), None).await;
    assert_eq!(again.unwrap_err().code, "moved_already");
    shop.use_data(file);
    is_whole(&mut shop, 1_203).await;
    shop.stop();
    // What was left at the server is for nobody, and is not overwritten.
    let occupied = moves(&shop, Some(server.clone()), |_| Ok(())).await;
    assert_eq!(occupied.unwrap_err().code, "not_empty");
    std::fs::remove_file(shop.data_file()).unwrap();
    assert_eq!(refused(&shop, Some(server)).await, "moved");
}

/// With the data where the configuration does not say it is.
async fn moved_from(shop: &Shop, from: Option<Server>, to: Option<Server>) -> Result<Moved, Error> {
    let ctx = operator_of(shop);
    let surroundings = Surroundings { server: from, ..shop.surroundings() };
    move_data(surroundings, to, &ctx, |_| Ok(())).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_that_breaks_off_anywhere_goes_on_and_neither_place_is_lost() {
    let Some((mut shop, server)) = shop_and_database("broken_off", 2_500).await else { return };
    let ctx = operator_of(&shop);
    let (mut steps_allowed, mut copied_before) = (1, 0);
    let moved = loop {
        let (mut steps, mut copied) = (0, 0);
        let told = |step: Step| {
            steps += 1;
            if step.what == "rows copied" {
                copied = step.done;
            }
            match steps >= steps_allowed {
                true => Err(Error::unavailable("broken_off", "by the test")),
                false => Ok(()),
            }
        };
        let moving = move_data(shop.surroundings(), Some(server.clone()), &ctx, told).await;
        copied_before += copied;
        match moving {
            Ok(moved) => break moved,
            Err(error) => assert_eq!(error.code, "broken_off"),
        }
        assert_eq!(refused(&shop, Some(server.clone())).await, "two_databases");
        steps_allowed += 1;
    };
    assert!(steps_allowed > 5, "{steps_allowed}");
    assert_eq!(copied_before, moved.rows, "each row was sent once");
    shop.use_data(Data::Server(server));
    is_whole(&mut shop, 2_502).await;
    let moves = shop.entries().await.iter().filter(|it| it.verb == "data.move").count();
    assert_eq!(moves, 1, "going on is no second move");
}

/// What arrived before something was written at the old place is of no use.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_begins_anew_where_the_shop_was_served_in_between() {
    let Some((mut shop, server)) = shop_and_database("served_between", 50).await else { return };
    let broken_off = |_: Step| Err(Error::unavailable("broken_off", "by the test"));
    let error = moves(&shop, Some(server.clone()), broken_off).await.unwrap_err();
    assert_eq!(error.code, "broken_off");
    shop.start().await.unwrap();
    let gone = format!("/v1/keys/{}", shop.key_id("importer").await);
    assert_eq!(shop.as_operator("DELETE", &gone, None).await.status, 204);
    shop.customer(3).await;
    shop.stop();
    moves(&shop, Some(server.clone()), |_| Ok(())).await.unwrap();
    shop.use_data(Data::Server(server));
    is_whole(&mut shop, 53).await;
    let import = json!({ "file_sha256": "0".repeat(64), "map_sha256": "0".repeat(64) });
    assert_eq!(shop.call("importer", "POST", "/v1/imports", Some(import)).await.status, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_is_another_one_there_ends_the_move_and_the_old_place_stays() {
    let Some((mut shop, server)) = shop_and_database("flawed", 50).await else { return };
    let there = Data::Server(server.clone());
    let ctx = operator_of(&shop);
    for attack in ["UPDATE sealed_record SET data = x'00'", "DELETE FROM subject"] {
        let mut is_attacked = false;
        let told = |step: Step| {
            if step.what == "rows compared" && !is_attacked {
                is_attacked = true;
                there.intrude(attack);
            }
            Ok(())
        };
        let moving = move_data(shop.surroundings(), Some(server.clone()), &ctx, told).await;
        let code = moving.map_or_else(|error| error.code, |_| "moved");
        assert_eq!(code, "move_flawed", "{attack}");
        // As the message says: emptied, and moved again.
        there.intrude("DELETE FROM sealed_record; DELETE FROM subject");
    }
    is_whole(&mut shop, 52).await;
    shop.stop();
    moves(&shop, Some(server), |_| Ok(())).await.unwrap();
    shop.use_data(there);
    is_whole(&mut shop, 52).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_that_lost_its_server_at_any_commit_is_finished_by_the_same_command() {
    let Some((mut shop, _)) = shop_and_database("lost_at_commit", 30).await else { return };
    let (server, way) = Way::to(Cluster::shared().unwrap(), "lost_at_a_commit");
    let ctx = operator_of(&shop);
    for cut in [Cut::Before, Cut::After, Cut::Before, Cut::After] {
        way.cut_next(cut, 0);
        let moving = move_data(shop.surroundings(), Some(server.clone()), &ctx, |_| Ok(())).await;
        assert_eq!(moving.unwrap_err().code, "storage");
        assert!(way.is_done());
    }
    move_data(shop.surroundings(), Some(server.clone()), &ctx, |_| Ok(())).await.unwrap();
    shop.use_data(Data::Server(server));
    is_whole(&mut shop, 32).await;
}

/// The last step is the one that is missing: all is there, and the old place is out of use already.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_of_which_only_the_last_step_is_missing_is_finished() {
    let Some((mut shop, server)) = shop_and_database("last_step", 20).await else { return };
    let moved = moves(&shop, Some(server.clone()), |_| Ok(())).await.unwrap();
    let there = Data::Server(server.clone());
    there.intrude("INSERT INTO moving (id, state, checkpoint) VALUES (1, 'whole', '')");
    assert_eq!(refused(&shop, Some(server.clone())).await, "moved");
    assert_eq!(refused(&shop, None).await, "data_missing");
    assert_eq!(moves(&shop, Some(server), |_| Ok(())).await.unwrap(), moved);
    shop.use_data(there);
    is_whole(&mut shop, 22).await;
}

/// The program itself, killed as soon as customers arrive, and run again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_that_is_killed_goes_on() {
    let Some((mut shop, server)) = shop_and_database("killed", 3_000).await else { return };
    let cluster = Cluster::shared().unwrap();
    let password = password_file(cluster, shop.folder.path());
    let config = configure(shop.folder.path(), "moving.toml", "");
    let command = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom"));
        command.args(["move", "--to", &cluster.url("killed"), "--password-file"]).arg(&password);
        command.arg("--config").arg(&config).stdin(Stdio::null());
        command
    };
    for rows in [1, 1_500] {
        let mut child = command().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut db = Connection::to(&server).unwrap();
        let arrived = |db: &mut Connection| {
            let count = db.query("SELECT COUNT(*) FROM customer", &[]);
            count.map_or(0, |rows| rows[0].integer(0).unwrap())
        };
        while arrived(&mut db) < rows && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        let _ = child.kill();
        child.wait().unwrap();
    }
    let told = command().output().unwrap();
    let out = String::from_utf8_lossy(&told.stdout).into_owned();
    let is_done = told.status.success() && out.contains("[database]\nurl = \"postgres://");
    // The second kill may have come when all was done.
    assert!(is_done || refused(&shop, None).await == "data_missing", "{told:?}");
    shop.use_data(Data::Server(server));
    is_whole(&mut shop, 3_002).await;
}

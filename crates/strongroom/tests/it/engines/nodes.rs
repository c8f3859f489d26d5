//! Two nodes on one database: each has its own memory, and neither believes it where the other wrote.

use std::sync::Barrier;

use serde_json::json;
use strongroom::app::{App, Surroundings};

use crate::doors::races::{check_thirty, customers, reveal_all};
use crate::support::data::database_section;
use crate::support::postgres::Cluster;
use crate::support::server::{Client, Server};
use crate::support::{Answer, Shop, person, together};

/// Two nodes that know the same keys.
async fn open(name: &'static str) -> Option<[Shop; 2]> {
    let cluster = Cluster::shared()?;
    let mut first = Shop::open_at(cluster.database(name)).await;
    first.stop();
    let second = first.node_beside();
    let mut nodes = [first, second];
    for node in &mut nodes {
        node.start().await.unwrap();
    }
    Some(nodes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_nodes_that_create_one_email_at_once_make_one_customer() {
    let Some(nodes) = open("two_nodes_create").await else { return };
    for round in 0..ROUNDS {
        let creates = nodes.each_ref().map(|node| {
            let client = node.client("shop");
            async move { client.call("POST", "/v1/customers", Some(person(round))).await }
        });
        let answers: Vec<Answer> = together(creates).await;
        let mut statuses: Vec<u16> = answers.iter().map(|it| it.status.as_u16()).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409], "round {round}: {answers:?}");
    }
    assert_eq!(nodes[0].count_customers(), ROUNDS as u64);
    for node in &nodes {
        assert_eq!(node.verify().await["flaws"], json!([]));
    }
}

/// The program itself, twice: `STRONGROOM_RACES` rounds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_two_processes_that_create_one_email_at_once_make_one_customer() {
    #[expect(clippy::disallowed_methods, reason = "the long check asks for more")]
    let asked = std::env::var("STRONGROOM_RACES").ok().and_then(|it| it.parse().ok());
    let rounds = asked.unwrap_or(ROUNDS);
    let Some(cluster) = Cluster::shared() else { return };
    let mut shop = Shop::open_today_at(cluster.database("two_processes")).await;
    let key = shop.keys["shop"].clone();
    shop.stop();
    let other = shop.node_beside();
    let section = database_section(cluster, "two_processes", shop.folder.path());
    let servers = [&shop, &other].map(|it| Server::start_with(it.folder.path(), &[], &section));
    let start = Barrier::new(2);
    let statuses = std::thread::scope(|scope| {
        let clients = servers.each_ref().map(|server| {
            let (start, mut client) = (&start, Client::new(server, &key));
            scope.spawn(move || {
                let create = |round| {
                    start.wait();
                    client.send("POST", "/v1/customers", Some(&person(round))).unwrap().status
                };
                (0..rounds).map(create).collect::<Vec<u16>>()
            })
        });
        clients.map(|client| client.join().unwrap())
    });
    let pairs = statuses[0].iter().zip(&statuses[1]);
    let won = |pair: &(&u16, &u16)| [(&201, &409), (&409, &201)].contains(pair);
    assert_eq!(pairs.clone().filter(won).count(), rounds, "{statuses:?}");
    let first = statuses[0].iter().filter(|status| **status == 201).count();
    println!("{first} of {rounds} were won by the one, the others by the other");
    drop(servers);
    shop.start().await.unwrap();
    assert_eq!(shop.count_customers(), rounds as u64);
    assert_eq!(shop.verify().await["flaws"], json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_reveals_over_two_nodes_against_a_budget_of_thirty() {
    let Some(cluster) = Cluster::shared() else { return };
    let mut first = Shop::open_at(cluster.database("two_nodes_reveal")).await;
    let customers = customers(&first, 64).await;
    first.stop();
    let mut second = first.node_beside();
    first.start().await.unwrap();
    second.start().await.unwrap();
    let (one, other) = (first.client("desk"), second.client("desk"));
    let (here, there) = customers.split_at(32);
    let (mut answers, more) = tokio::join!(reveal_all(&one, here), reveal_all(&other, there));
    answers.extend(more);
    check_thirty(&first, &answers).await;
}

/// A right that one node ends has ended on the other: what it knows is older than the log.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_key_that_one_node_revokes_gets_nothing_from_the_other() {
    let Some([first, second]) = open("two_nodes_revoke").await else { return };
    let nobody = || Some(json!({ "email": "nobody@mail.example" }));
    let look = "/v1/customers/lookup";
    assert_eq!(second.call("desk", "POST", look, nobody()).await.status, 200);
    let path = format!("/v1/keys/{}", first.key_id("desk").await);
    assert_eq!(first.as_operator("DELETE", &path, None).await.status, 204);
    let refused = second.call("desk", "POST", look, nobody()).await;
    assert_eq!(refused.status, 401, "{refused:?}");
}

/// What leaves no entry asks no log, so a node that writes nothing has to look by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_key_that_one_node_revokes_ends_on_an_idle_one_too() {
    let Some([first, second]) = open("two_nodes_idle").await else { return };
    let ask = || second.call("admin", "GET", "/v1/policy", None);
    let entries = second.entries().await.len();
    assert_eq!(ask().await.status, 200);
    assert_eq!(second.entries().await.len(), entries, "asking leaves no entry");
    let path = format!("/v1/keys/{}", first.key_id("admin").await);
    assert_eq!(first.as_operator("DELETE", &path, None).await.status, 204);
    let mut asked = 0;
    while ask().await.status != 401 {
        asked += 1;
        assert!(asked < 1_000_000, "it never looked");
        tokio::task::yield_now().await;
    }
}

/// Whichever the configuration names that day would be taken for the data.
#[tokio::test]
async fn data_in_the_folder_and_at_a_server_is_refused() {
    let Some(cluster) = Cluster::shared() else { return };
    let shop = Shop::bare();
    let open = |server| App::open(Surroundings { server, ..shop.surroundings() });
    drop(open(None).await.unwrap());
    let refused = open(Some(cluster.database("two_places"))).await.err().unwrap();
    assert_eq!(refused.code, "two_databases");
    drop(open(None).await.unwrap());
}

const ROUNDS: usize = 100;

//! Two nodes on one database: each has its own memory, and neither believes it where the other wrote.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Barrier};

use serde_json::json;
use strongroom::app::{App, Surroundings};
use strongroom::ctx::{Clock, SystemClock};
use strongroom::db::Lead;
use strongroom::jobs;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

use super::keys::keys_to_server;
use crate::doors::races::{check_thirty, customers, reveal_all};
use crate::support::data::{database_section, key_section};
use crate::support::postgres::{Cluster, End};
use crate::support::server::{Client, Server};
use crate::support::{Answer, Shop, person, together};

/// Two nodes that share the data at one server and the keys at another.
pub(super) async fn open(name: &'static str) -> Option<[Shop; 2]> {
    let mut first = Shop::open_at(Cluster::shared()?.database(name)).await;
    first.stop();
    keys_to_server(&mut first, Cluster::of_keys()?.database(name)).await;
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
    let Some(of_keys) = Cluster::of_keys() else { return };
    let name = "two_processes";
    let mut shop = Shop::open_today_at(cluster.database(name)).await;
    let key = shop.keys["shop"].clone();
    shop.stop();
    keys_to_server(&mut shop, of_keys.database(name)).await;
    let other = shop.node_beside();
    let folder = shop.folder.path();
    let section =
        database_section(cluster, name, folder) + &key_section(of_keys, &of_keys.url(name), folder);
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
    println!("SEEN {{\"rounds\": {rounds}, \"won_by_the_first\": {first}}}");
    drop(servers);
    shop.start().await.unwrap();
    assert_eq!(shop.count_customers(), rounds as u64);
    assert_eq!(shop.verify().await["flaws"], json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_reveals_over_two_nodes_against_a_budget_of_thirty() {
    let Some([first, second]) = open("two_nodes_reveal").await else { return };
    let customers = customers(&first, 64).await;
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
    let clock = SystemClock::new();
    while ask().await.status != 401 {
        assert!(clock.monotonic_ms() < 60_000, "it never looked");
        tokio::task::yield_now().await;
    }
}

/// Two would send twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_nodes_one_does_the_jobs_and_the_other_takes_over() {
    let Some([first, second]) = open("two_nodes_lead").await else { return };
    let (one, end_one, leading) = lead(&first);
    until(|| one.load(SeqCst)).await;
    let (other, end_other, following) = lead(&second);
    // It has asked by the time that the one has been asked again, and was refused.
    let mut beside = Lead::over(second.desk().data.place().clone());
    assert!(!beside.is_ours().unwrap());
    assert!(!other.load(SeqCst));
    drop(end_one);
    leading.await.unwrap();
    assert!(!one.load(SeqCst), "what it began has ended");
    until(|| other.load(SeqCst)).await;
    drop(end_other);
    following.await.unwrap();
    assert!(beside.is_ours().unwrap(), "nobody leads any more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_leads_and_is_cut_off_begins_nothing_until_the_server_is_back() {
    let Some(cluster) = Cluster::start(&["max_connections=40"], &[]) else { return };
    let node = Shop::open_at(cluster.database("leads_alone")).await;
    let (leads, end, leading) = lead(&node);
    until(|| leads.load(SeqCst)).await;
    cluster.end(End::Killed);
    until(|| !leads.load(SeqCst)).await;
    cluster.start_again();
    until(|| leads.load(SeqCst)).await;
    drop(end);
    leading.await.unwrap();
}

/// Whether a node has jobs running, what ends its claim, and what ends then.
fn lead(node: &Shop) -> (Arc<AtomicBool>, oneshot::Sender<()>, JoinHandle<()>) {
    let leads = Arc::new(AtomicBool::new(false));
    let (told, (end, ended)) = (Arc::clone(&leads), oneshot::channel());
    let begin = move || {
        told.store(true, SeqCst);
        let until_ended = Leading(Arc::clone(&told));
        let mut jobs = JoinSet::new();
        jobs.spawn(async move {
            let _until_ended = until_ended;
            std::future::pending().await
        });
        jobs
    };
    (leads, end, tokio::spawn(jobs::lead(node.desk(), begin, ended)))
}

struct Leading(Arc<AtomicBool>);

impl Drop for Leading {
    fn drop(&mut self) {
        self.0.store(false, SeqCst);
    }
}

async fn until(is_so: impl Fn() -> bool) {
    let clock = SystemClock::new();
    while !is_so() {
        assert!(clock.monotonic_ms() < 60_000, "it never came");
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

//! Invariant 1 under kill -9: every answer received has its entry, nothing acknowledged is lost.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use strongroom::ctx::{EntryKind, Outcome};
use strongroom::ledger;

use crate::support::server::{Client, Server};
use crate::support::{POLICY, Shop, person};

/// What clients were told.
#[derive(Default)]
struct Told {
    /// Customer id to the highest version that was acknowledged.
    versions: BTreeMap<String, u64>,
    /// Receipt index to the kind of act that was answered.
    receipts: BTreeMap<u64, EntryKind>,
}

#[tokio::test]
async fn crash_every_answer_received_has_its_entry_and_nothing_acknowledged_is_lost() {
    let kills: u64 =
        option_env("STRONGROOM_KILLS").and_then(|it| it.parse().ok()).unwrap_or(KILLS_DEFAULT);
    let seed: u64 =
        option_env("STRONGROOM_SEED").and_then(|it| it.parse().ok()).unwrap_or(20_261_121);
    println!("{kills} kills, seed {seed}");
    let mut random = seed;
    let mut done = 0;
    // After each kill the whole ledger is verified; one of all kills would make that outgrow them.
    while done < kills {
        let here = KILLS_DEFAULT.min(kills - done);
        kill_one_installation(here, &mut random).await;
        done += here;
        println!("{done} of {kills} kills");
    }
}

async fn kill_one_installation(kills: u64, random: &mut u64) {
    let mut shop = Shop::open_today_with(&unlimited()).await;
    let (maker, looker) = (shop.keys["shop"].clone(), shop.keys["desk"].clone());
    shop.stop();
    let told = Arc::new(Mutex::new(Told::default()));
    let mut counted = 0;
    let mut rounds = 0;
    let mut unanswered_total = 0;
    while counted < kills {
        rounds += 1;
        assert!(rounds < 4 * kills + 8, "too few kills met a request in flight");
        *random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let answers = 20 + (*random >> 33) % 120;
        let unanswered = one_kill(&shop, &told, (&maker, &looker), rounds, answers);
        unanswered_total += unanswered;
        counted += u64::from(unanswered > 0);
        check_recovered(&mut shop, &told).await;
    }
    let told = told.lock().unwrap();
    println!(
        "{rounds} rounds, {counted} kills with a request in flight, {unanswered_total} unanswered, \
         {} answers, {} customers",
        told.receipts.len(),
        told.versions.len()
    );
    assert!(told.receipts.len() as u64 >= 20 * kills);
    for wanted in [EntryKind::Write, EntryKind::Read, EntryKind::Reveal] {
        let answered = told.receipts.values().filter(|kind| **kind == wanted).count();
        assert!(answered as u64 >= kills, "{wanted:?}: {answered} answers");
    }
}

/// Nobody looks at so many in a day; here each of them may be the one that is cut off.
pub(super) fn unlimited() -> String {
    let reveals = POLICY.replace("\"return\"], per_day = 30 }", "\"return\"], per_day = 20000 }");
    reveals.replace("budget = { per_day = 200 }", "budget = { per_day = 20000 }")
}

/// Serves, loads until so many answers came, kills; how many requests got no answer.
fn one_kill(
    shop: &Shop,
    told: &Arc<Mutex<Told>>,
    keys: (&str, &str),
    round: u64,
    answers: u64,
) -> u64 {
    let mut server = Server::start(shop.folder.path(), &[]);
    let (answered, unanswered) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    std::thread::scope(|scope| {
        let mut workers = Vec::new();
        for worker in 0..WORKERS {
            let (maker, looker) = (Client::new(&server, keys.0), Client::new(&server, keys.1));
            let (told, answered) = (Arc::clone(told), Arc::clone(&answered));
            let unanswered = Arc::clone(&unanswered);
            workers.push(scope.spawn(move || {
                let number = usize::try_from(round * 100_000 + worker * 10_000).unwrap();
                let was_in_flight = work(number, maker, looker, &told, &answered);
                unanswered.fetch_add(u64::from(was_in_flight), Ordering::SeqCst);
            }));
        }
        while answered.load(Ordering::SeqCst) < answers {
            let gone = !server.is_up() || workers.iter().any(|worker| worker.is_finished());
            if gone {
                server.kill();
                panic!("the server or a client ended by itself");
            }
            std::thread::yield_now();
        }
        server.kill();
    });
    unanswered.load(Ordering::SeqCst)
}

/// Creates, reads, reveals and changes until a request gets no answer; whether that one was in flight.
fn work(
    first: usize,
    mut maker: Client,
    mut looker: Client,
    told: &Mutex<Told>,
    answered: &AtomicU64,
) -> bool {
    for number in first.. {
        let Some(made) = maker.send("POST", "/v1/customers", Some(&person(number))) else {
            return maker.was_sent();
        };
        let Some(id) = note(told, answered, &made, 201, EntryKind::Write) else { continue };
        let path = format!("/v1/customers/{id}");
        let read = format!("{path}?fields=name,email");
        let Some(seen) = looker.send("GET", &read, None) else { return looker.was_sent() };
        note(told, answered, &seen, 200, EntryKind::Read);
        let why = json!({ "fields": ["email"], "reason": "return" });
        let Some(shown) = looker.send("POST", &format!("{path}/reveal"), Some(&why)) else {
            return looker.was_sent();
        };
        note(told, answered, &shown, 200, EntryKind::Reveal);
        let touch = json!({ "name": "purchase", "act": "touch" });
        let Some(moved) = maker.send("POST", &format!("{path}/relations"), Some(&touch)) else {
            return maker.was_sent();
        };
        note(told, answered, &moved, 200, EntryKind::Write);
    }
    false
}

/// Remembers an answer; the id of the customer if it was the one expected.
fn note(
    told: &Mutex<Told>,
    answered: &AtomicU64,
    reply: &crate::support::server::Reply,
    expected: u16,
    kind: EntryKind,
) -> Option<String> {
    answered.fetch_add(1, Ordering::SeqCst);
    if reply.status == 429 || reply.status == 503 {
        return None;
    }
    assert_eq!(reply.status, expected, "{:?}", reply.json);
    let id = reply.json["id"].as_str()?.to_owned();
    let version = reply.json["version"].as_u64()?;
    let mut told = told.lock().unwrap();
    told.receipts.insert(reply.receipt.expect("an answer without a receipt"), kind);
    let known = told.versions.entry(id.clone()).or_default();
    *known = (*known).max(version);
    Some(id)
}

/// After the kill: it opens, the ledger verifies, every answer has its entry, every customer is there.
async fn check_recovered(shop: &mut Shop, told: &Mutex<Told>) {
    shop.start().await.unwrap();
    let verified = shop.verify().await;
    assert_eq!(verified["intact"], true, "{:?}", verified);
    let (receipts, versions) = {
        let mut told = told.lock().unwrap();
        let versions = told.versions.clone();
        (std::mem::take(&mut told.receipts), versions)
    };
    let mut data = shop.desk().data.snapshot().await.unwrap();
    for (index, kind) in &receipts {
        let leaf = ledger::find(&mut data, *index).await.unwrap();
        let leaf = leaf.unwrap_or_else(|| panic!("entry {index} of an answer is gone"));
        assert_eq!((leaf.kind, leaf.outcome), (*kind, Outcome::Ok), "entry {index}");
    }
    drop(data);
    told.lock().unwrap().receipts.extend(receipts);
    for (id, version) in versions.iter().rev().take(CUSTOMERS_CHECKED_MAX) {
        let path = format!("/v1/customers/{id}?fields=name");
        let read: Value = shop.call("shop", "GET", &path, None).await.json;
        assert!(read["version"].as_u64() >= Some(*version), "{id} was lost: {read:?}");
    }
    shop.stop();
}

fn option_env(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "the long check asks for more kills this way")]
    std::env::var(name).ok()
}

const KILLS_DEFAULT: u64 = 50;
const WORKERS: u64 = 6;

/// Every round checks a sample beside all receipts, or the checks would outgrow the kills.
const CUSTOMERS_CHECKED_MAX: usize = 200;

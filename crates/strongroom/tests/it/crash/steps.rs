//! Killed at the first step of an act, at the second, and so on until it is done: whatever was on the
//! disk then, it is as if the act was done or had never begun.

use std::os::unix::process::ExitStatusExt;

use serde_json::{Value, json};
use strongroom::ctx::{Clock, SystemClock};

use super::disk::{build_shim, byte, count_sends, die_in, steps};
use super::kill::unlimited;
use super::storm::see_no_destroyed_key;
use crate::attack::{enquirer, findings};
use crate::support::server::{Client, Reply, Server};
use crate::support::{Shop, person};

/// An installation that is served with the shim in front.
pub(super) struct Served {
    pub(super) shop: Shop,
    library: std::path::PathBuf,
    pub(super) control: std::path::PathBuf,
}

impl Served {
    pub(super) async fn new() -> Self {
        let policy = unlimited().replace("erase_grace = \"7 days\"", "erase_grace = \"0 days\"");
        let mut shop = Shop::open_today_with(&policy).await;
        shop.stop();
        let (library, control) = build_shim(shop.folder.path());
        if shop.data().server().is_some() {
            count_sends(&control);
        }
        Self { shop, library, control }
    }

    pub(super) fn start(&self) -> Result<Server, std::process::ExitStatus> {
        let environment = [
            ("LD_PRELOAD", self.library.to_str().unwrap()),
            ("STRONGROOM_FAULT_FILE", self.control.to_str().unwrap()),
        ];
        let server = Server::try_start(self.shop.folder.path(), &environment);
        assert_eq!(byte(&self.control, 2), 1, "the shim was not loaded");
        server
    }

    /// One request to a server that dies at its `step`-th step from then, if the answer does not come
    /// before. What it does at its start is over first.
    fn ask(
        &self,
        key: &str,
        (method, path): (&str, &str),
        body: Option<&Value>,
        step: u32,
    ) -> Tried {
        let mut server = self.start().unwrap();
        self.wait_until_quiet();
        die_in(&self.control, step, step.is_multiple_of(2));
        let reply = Client::new(&server, key).send(method, path, body);
        die_in(&self.control, 0, false);
        let killed = reply.is_none() && server.end().signal() == Some(9);
        assert!(killed || reply.is_some(), "no answer, and nobody was killed");
        Tried { reply, killed }
    }

    /// The jobs of the start have had their turn.
    pub(super) fn wait_until_quiet(&self) {
        let mut before = steps(&self.control);
        let clock = SystemClock::new();
        let mut quiet_since = clock.monotonic_ms();
        while clock.monotonic_ms() - quiet_since < 60 {
            let now = steps(&self.control);
            if now != before {
                (before, quiet_since) = (now, clock.monotonic_ms());
            }
            std::thread::yield_now();
        }
    }

    pub(super) async fn check(&mut self, step: u32) {
        // What the server asked for is due by the machine's time.
        let late = SystemClock::new().now().as_ms() - self.shop.clock.now().as_ms();
        self.shop.clock.pass_ms(late.max(0));
        self.shop.start().await.unwrap_or_else(|error| panic!("step {step}: {error:?}"));
        let verified = self.shop.verify().await;
        assert_eq!(verified["intact"], true, "step {step}: {verified}");
        let bad = ["key_missing", "ledger_flaw", "rights_altered", "tampered"];
        let open = findings(&self.shop).await;
        assert!(!open.iter().any(|kind| bad.contains(&kind.as_str())), "step {step}: {open:?}");
    }

    /// The ids that a look-up by e-mail finds.
    pub(super) async fn found(&self, number: usize) -> Vec<String> {
        let email = json!({ "email": person(number)["fields"]["email"] });
        let found = self.shop.call("desk", "POST", "/v1/customers/lookup", Some(email)).await;
        assert_eq!(found.status, 200, "{found:?}");
        let ids = found.json["customers"].as_array().unwrap().iter();
        ids.map(|id| id.as_str().unwrap().to_owned()).collect()
    }
}

struct Tried {
    reply: Option<Reply>,
    killed: bool,
}

#[tokio::test]
async fn kill_minus_9_at_every_step_of_create() {
    let mut served = Served::new().await;
    let key = served.shop.keys["shop"].clone();
    let (mut there, mut absent) = (0, 0);
    for step in 1..STEPS_MAX {
        let number = usize::try_from(step).unwrap();
        let ask = ("POST", "/v1/customers");
        let tried = served.ask(&key, ask, Some(&person(number)), step);
        served.check(step).await;
        let found = served.found(number).await;
        match tried.reply {
            Some(reply) => {
                assert_eq!(reply.status, 201, "{:?}", reply.json);
                assert_eq!(found, [reply.json["id"].as_str().unwrap()], "an answered create");
                served.shop.stop();
                println!("create: {} kills, {there} of them after the commit", there + absent);
                assert!(step > 20 && absent > 0, "a create takes more than {step} steps");
                return;
            }
            None => {
                assert!(tried.killed && found.len() <= 1);
                if let Some(id) = found.first() {
                    let path = format!("/v1/customers/{id}?fields=name,email,phone,address");
                    let read = served.shop.call("shop", "GET", &path, None).await;
                    assert_eq!(read.status, 200, "step {step}: whole or not there: {read:?}");
                    there += 1;
                } else {
                    // Nothing stands in the way of doing it again.
                    let again = served.shop.call("shop", "POST", ask.1, Some(person(number))).await;
                    assert_eq!(again.status, 201, "step {step}: {again:?}");
                    absent += 1;
                }
            }
        }
        served.shop.stop();
    }
    panic!("a create never came to its end");
}

#[tokio::test]
async fn kill_minus_9_at_every_step_of_erase() {
    let mut served = Served::new().await;
    let mut asked = 0;
    for step in 1..STEPS_MAX {
        let number = usize::try_from(step).unwrap();
        served.shop.start().await.unwrap();
        let id = enquirer(&served.shop, number).await;
        // Ten a day are a caller's limit.
        let privacy = served.shop.new_key("privacy", &["support"]).await;
        served.shop.stop();
        let path = format!("/v1/customers/{id}");
        let tried = served.ask(&privacy, ("DELETE", &path), None, step);
        served.check(step).await;
        let read = served.shop.call("shop", "GET", &format!("{path}?fields=name"), None).await;
        served.shop.stop();
        if let Some(reply) = tried.reply {
            assert_eq!((reply.status, read.status.as_u16()), (202, 404), "{:?}", reply.json);
            asked = step;
            break;
        }
        assert!(tried.killed && [200, 404].contains(&read.status.as_u16()), "{read:?}");
    }
    assert!(asked > 15, "asking takes more than {asked} steps");
    destroy_at_every_step(&mut served).await;
}

/// The server that finds the erasure due dies at each of its steps in turn, those of its start too.
async fn destroy_at_every_step(served: &mut Served) {
    let mut kills = 0;
    let is_served = served.shop.data().server().is_some();
    let stride = if is_served { STRIDE_AT_A_SERVER } else { STRIDE };
    for step in (1..STEPS_MAX).step_by(stride) {
        served.shop.start().await.unwrap();
        let number = 10_000 + usize::try_from(step).unwrap();
        let id = enquirer(&served.shop, number).await;
        let privacy = served.shop.new_key("privacy", &["support"]).await;
        served.shop.keys.insert("privacy", privacy);
        let path = format!("/v1/customers/{id}");
        let asked = served.shop.call("privacy", "DELETE", &path, None).await;
        assert_eq!(asked.status, 202, "{asked:?}");
        served.shop.stop();
        die_in(&served.control, step, step.is_multiple_of(2));
        let died = match served.start() {
            Err(status) => status.signal() == Some(9),
            Ok(mut server) => {
                let clock = SystemClock::new();
                let undone = || jobs(&served.shop, "state <> 'done'") > 0;
                while server.is_up() && undone() && clock.monotonic_ms() < 30_000 {
                    std::thread::yield_now();
                }
                let died = !server.is_up();
                assert!(died || !undone(), "the erasure goes on for ever");
                assert!(!died || server.end().signal() == Some(9), "it ended by itself");
                server.kill();
                died
            }
        };
        die_in(&served.control, 0, false);
        served.check(step).await;
        let read = served.shop.call("shop", "GET", &format!("{path}?fields=name"), None).await;
        assert_eq!(read.status, 404, "step {step}: {read:?}");
        assert_eq!(served.found(number).await, [""; 0], "step {step}");
        strongroom::jobs::run_once(&served.shop.desk()).await;
        assert_eq!(jobs(&served.shop, "state <> 'done'"), 0, "step {step}: it is finished");
        see_no_destroyed_key(&served.shop);
        served.shop.stop();
        kills += u32::from(died);
        if !died {
            println!("erase: {kills} kills, the last before step {step}");
            assert!(kills > 10);
            return;
        }
    }
    panic!("an erasure never came to its end");
}

fn jobs(shop: &Shop, which: &str) -> i64 {
    shop.data().one(&format!("SELECT COUNT(*) FROM erasure_job WHERE {which}"))
}

/// Far more than any act takes.
const STEPS_MAX: u32 = 1_000;

/// A start and an erasure take some hundreds of steps, most of them pages of one log: every third, and
/// half of them torn, meets each kind.
const STRIDE: usize = 3;

/// Each question to a server is one, those of a start too, and a hundred erasures are all there may be in a day.
const STRIDE_AT_A_SERVER: usize = 13;

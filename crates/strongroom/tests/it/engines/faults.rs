//! A server of PostgreSQL that fails under load: killed, started again, cut off, blocked.
//!
//! After every fault service returns without a hand. At the end every acknowledged change is there, every
//! answered read has its entry once, what was asked without an answer was done once or never, and the log
//! verifies.

mod checks;
mod load;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use strongroom::ctx::{Clock, SystemClock};

use super::cut::{Cut, Way};
use crate::support::postgres::{Cluster, End};
use crate::support::{POLICY, Shop};
use checks::check;
use load::{Caller, Load, Manner, Told, Weather};

/// What happens to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    /// Nothing passes for two seconds, in either direction.
    Blocked,
    /// Every connection is cut at once.
    CutAll,
    /// A COMMIT is cut off from its answer.
    CutAfterCommit,
    /// The same, and nobody gets to the server until the batch is given up.
    CutAndAway,
    /// A COMMIT never reaches the server.
    CutBeforeCommit,
    /// All of its processes, or the first, so that the others have to notice.
    Killed,
    /// Right after a COMMIT that nobody heard of.
    KilledAfterCommit,
    /// One of its processes, so that it ends the others itself.
    KilledInPart,
    Stopped,
    StoppedAtOnce,
}

const FAULTS: [Fault; 10] = [
    Fault::Blocked,
    Fault::CutAll,
    Fault::CutAfterCommit,
    Fault::CutAndAway,
    Fault::CutBeforeCommit,
    Fault::Killed,
    Fault::KilledAfterCommit,
    Fault::KilledInPart,
    Fault::Stopped,
    Fault::StoppedAtOnce,
];

// The callers block as many threads at most; the others keep time.
#[tokio::test(flavor = "multi_thread", worker_threads = 10)]
async fn slow_a_server_that_fails_under_load_loses_nothing_and_service_returns() {
    let (rounds, seed) = (option("STRONGROOM_FAULTS"), option("STRONGROOM_SEED"));
    let (rounds, seed) = (rounds.unwrap_or(ROUNDS_DEFAULT), seed.unwrap_or(20_261_121));
    println!("{rounds} faults of the server, seed {seed}");
    let Some(cluster) = Cluster::start(&[], &[]) else { return };
    let clock = SystemClock::new();
    let mut storm = Storm { cluster, chance: Chance(seed), deck: Vec::new(), met: BTreeMap::new() };
    let mut told = Told::default();
    let mut done = 0;
    // All of a ledger is verified at the end; one of all rounds would outgrow them.
    for block in 0.. {
        let here = ROUNDS_DEFAULT.min(rounds - done);
        if here == 0 {
            break;
        }
        told.add(storm.one_installation(block, here).await);
        done += here;
        println!("{done} of {rounds} faults");
    }
    assert!(told.answered > 20 * rounds, "there was no load: {} answers", told.answered);
    assert!(told.refused > 0 && told.in_doubt > 0, "no fault met a call");
    assert!(told.done_in_doubt > 0 || rounds < 100, "nobody asked for what had been done");
    let summary = json!({
        "faults": rounds, "seconds": clock.monotonic_ms() / 1000, "met": storm.met, "answered": told.answered,
        "reads": told.reads(), "customers": told.known.len(), "refused": told.refused,
        "in_doubt": told.in_doubt, "done_in_doubt": told.done_in_doubt,
    });
    println!("SEEN {summary}");
}

struct Storm {
    cluster: Cluster,
    chance: Chance,
    /// What is still to come before everything comes again.
    deck: Vec<Fault>,
    met: BTreeMap<String, u64>,
}

impl Storm {
    /// So many rounds with an installation of its own; what its callers were told.
    async fn one_installation(&mut self, block: u64, rounds: u64) -> Told {
        let name: &'static str = format!("faults_{block}").leak();
        let (server, way) = Way::to(&self.cluster, name);
        let shop = Shop::open_at_with(server, &unlimited()).await;
        let weather = Arc::new(Weather::default());
        let load = Load::start(&shop, &weather, self.chance.draw(u64::MAX));
        let mut looker = Caller::new(&shop, &weather, Manner::Insists, LOOKER);
        for _ in 0..rounds {
            let fault = self.draw();
            *self.met.entry(format!("{fault:?}")).or_default() += 1;
            let answers = 20 + self.chance.draw(60);
            let site = Site { shop: &shop, way: &way, database: name };
            let round = async {
                weather.answered(u32::try_from(answers).unwrap()).await;
                self.strike(fault, site, &weather).await;
                // Nobody helps: this only asks until it is answered, and until the way is clear.
                looker.create().await;
                while !way.is_done() {
                    looker.create().await;
                }
                weather.clears();
            };
            let timely = tokio::time::timeout(PATIENCE, round).await;
            assert!(
                timely.is_ok(),
                "{fault:?}: no service after {PATIENCE:?}, at last {:?}; the server said: {}",
                looker.refusal,
                self.cluster.log_end()
            );
        }
        let mut told = load.stop().await;
        told.add(std::mem::take(&mut looker.told));
        check(&shop, &told).await;
        told
    }

    /// Each comes once before one comes twice.
    fn draw(&mut self) -> Fault {
        if self.deck.is_empty() {
            self.deck = FAULTS.to_vec();
        }
        let place = self.chance.draw(self.deck.len() as u64);
        self.deck.swap_remove(usize::try_from(place).unwrap())
    }

    async fn strike(&mut self, fault: Fault, site: Site<'_>, weather: &Weather) {
        let Site { shop, way, database } = site;
        if fault == Fault::Blocked {
            // Half a minute is what an answer may take, so nobody is to be refused.
            return way.block(BLOCKED);
        }
        weather.breaks();
        let refused = u32::try_from(self.chance.draw(8)).unwrap();
        match fault {
            Fault::Blocked => {}
            Fault::CutAll => way.cut_all(),
            Fault::CutAfterCommit => way.cut_next(Cut::After, refused),
            Fault::CutAndAway => {
                way.cut_next(Cut::After, u32::MAX);
                let (given_up, mut seen) = (weather.given_up(), way.turned_away());
                while weather.given_up() == given_up {
                    // Half a minute with each who comes, until it was the committer who looked.
                    if way.turned_away() > seen {
                        seen = way.turned_away();
                        shop.clock.pass_ms(30_000);
                    }
                    tokio::task::yield_now().await;
                }
                way.refuse_nobody();
            }
            Fault::CutBeforeCommit => way.cut_next(Cut::Before, refused),
            Fault::Killed if refused % 2 == 0 => self.restart(End::KilledAtTheHead),
            Fault::Killed => self.restart(End::Killed),
            Fault::KilledAfterCommit => {
                // Nobody looks before it is dead.
                way.cut_next(Cut::After, 3);
                while !way.has_cut() {
                    tokio::task::yield_now().await;
                }
                self.restart(End::Killed);
            }
            Fault::KilledInPart => self.cluster.kill_one_that_serves(database),
            Fault::Stopped => self.restart(End::Fast),
            Fault::StoppedAtOnce => self.restart(End::Immediate),
        }
    }

    fn restart(&self, how: End) {
        self.cluster.end(how);
        self.cluster.start_again();
    }
}

/// Where it happens.
struct Site<'a> {
    shop: &'a Shop,
    way: &'a Way,
    database: &'a str,
}

/// Numbers that follow from the seed.
struct Chance(u64);

impl Chance {
    /// A number below `end`.
    fn draw(&mut self, end: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// Everybody is looked at here, in clear as well.
fn unlimited() -> String {
    POLICY.replace("budget = { per_day = 500 }", "budget = { per_day = 100000 }")
}

fn option(name: &str) -> Option<u64> {
    #[expect(clippy::disallowed_methods, reason = "the long check asks for more faults this way")]
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

const ROUNDS_DEFAULT: u64 = 10;

/// The number of the caller that looks whether service is back.
const LOOKER: usize = 99;

const BLOCKED: Duration = Duration::from_secs(2);

/// A server is back after a second or two, and the product looks ten times a second.
const PATIENCE: Duration = Duration::from_mins(1);

//! Kills at random: while it serves, while it recovers, while it makes a backup, while it restores; with
//! faults of the disk before and beneath them.
//!
//! After every kill: every answer has its entry, nothing that was acknowledged is lost, who was erased
//! stays erased, the log verifies, rows and keys fit. A block is one installation; `./check part
//! crash-10000` runs one block after another and adds them up.

mod acts;
mod checks;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;
use strongroom::ctx::{Clock, EntryKind, SystemClock};

use super::disk::{build_shim, byte, count_sends, die_in, injected, set, set_quota};
use super::kill::unlimited;
use crate::support::Shop;
use crate::support::server::{Client, Server, configure};
use acts::work;
use checks::{check_recovered, check_restored};

pub(super) use checks::see_no_destroyed_key;

/// What clients were told, and what they asked without being told.
#[derive(Default)]
pub(super) struct Told {
    /// Customers by id, with the highest version that was acknowledged and the number they were made of.
    pub(super) known: BTreeMap<String, (u64, usize)>,
    /// Receipt index to the kind of act that was answered.
    pub(super) receipts: BTreeMap<u64, EntryKind>,
    /// The root that was signed for each size of the log.
    pub(super) roots: BTreeMap<u64, String>,
    /// Whose erasure was acknowledged: they are never seen again.
    pub(super) erased: BTreeSet<String>,
    /// Whose erasure was asked for without an answer: both are right.
    pub(super) doubtful: BTreeSet<String>,
    /// Whether keys were ever rotated: every customer's version goes up by that, whoever changes them.
    pub(super) is_rotated: bool,
    /// How often each act was answered as done.
    pub(super) done: BTreeMap<&'static str, u64>,
}

/// One installation under attack.
pub(super) struct Storm {
    pub(super) shop: Shop,
    pub(super) told: Mutex<Told>,
    pub(super) seed: u64,
    makers: Vec<String>,
    looker: String,
    admin: String,
    privacy: Vec<String>,
    library: PathBuf,
    control: PathBuf,
    /// The pair a restore is tried with, and who was gone already when it was made.
    pub(super) pair: Option<(PathBuf, BTreeSet<Vec<u8>>)>,
    kills: BTreeMap<&'static str, u64>,
    faults: BTreeMap<&'static str, u64>,
    in_flight: u64,
}

/// What a round kills.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Prey {
    Backup,
    Restore,
    /// It serves, and keys are rotated meanwhile.
    Rotation,
    Serve,
    StartUp,
}

/// The faults of `tests/tools/fault.c` by name.
const FAULTS: [(&str, u8); 6] = [
    ("disk_full", 1),
    ("fsync_fails", 2),
    ("io_error", 3),
    ("read_only", 4),
    ("torn_write", 5),
    ("quota", 7),
];

#[tokio::test]
async fn crash_storm_whatever_is_killed_whenever_nothing_acknowledged_is_lost() {
    let (kills, seed) = (option("STRONGROOM_STORM_KILLS"), option("STRONGROOM_SEED"));
    let (kills, seed) = (kills.unwrap_or(KILLS_DEFAULT), seed.unwrap_or(20_261_121));
    println!("storm: {kills} kills, seed {seed}");
    let clock = SystemClock::new();
    let mut storm = Storm::new(seed).await;
    let (mut done, mut rounds) = (0, 0);
    while done < kills {
        rounds += 1;
        assert!(rounds < 4 * kills + 16, "too many rounds in which nobody died");
        done += u64::from(storm.one_round(rounds).await);
    }
    println!("{}", storm.summary(done, rounds, clock.monotonic_ms() / 1000));
}

/// Batches fail and processes die with a root signed for entries that never were: it left nobody.
#[tokio::test]
async fn crash_two_roots_at_one_size_are_never_signed_out() {
    let mut storm = Storm::new(20_261_122).await;
    for round in 1..=8 {
        storm.kill_server(round, None);
        set(&storm.control, 0, 0);
        die_in(&storm.control, 0, false);
        check_recovered(&mut storm, round).await;
    }
    assert!(storm.told.into_inner().unwrap().roots.len() > 50);
    // A disk that fails is not this machine's where the data is at a server.
    let is_served = storm.shop.data().server().is_some();
    assert!(is_served || !storm.faults.is_empty(), "no batch failed");
}

impl Storm {
    async fn new(seed: u64) -> Self {
        let policy = unlimited()
            .replace("erase_grace = \"7 days\"", "erase_grace = \"0 days\"")
            .replace("may = [\"erase\", \"ledger\", \"merge\"]", "may = [\"erase\"]");
        let mut shop = Shop::open_today_with(&policy).await;
        let (mut privacy, mut makers) = (Vec::new(), Vec::new());
        for _ in 0..PRIVACY_KEYS {
            // Ten a day are a caller's limit.
            privacy.push(shop.new_key("privacy", &["support"]).await);
        }
        for _ in 0..WORKERS {
            makers.push(shop.new_key("shop", &["support", "delivery"]).await);
        }
        let (looker, admin) = (shop.keys["desk"].clone(), shop.keys["admin"].clone());
        let folder = shop.folder.path().to_owned();
        shop.stop();
        configure(&folder, "strongroom.toml", "");
        let (library, control) = build_shim(&folder);
        if shop.data().server().is_some() {
            count_sends(&control);
        }
        let (kills, faults) = (BTreeMap::new(), BTreeMap::new());
        let (told, pair, in_flight) = (Mutex::default(), None, 0);
        Self {
            shop,
            told,
            seed,
            makers,
            looker,
            admin,
            privacy,
            library,
            control,
            pair,
            kills,
            faults,
            in_flight,
        }
    }

    /// A number below `end`, the next one of the seed.
    fn draw(&mut self, end: u64) -> u64 {
        self.seed = self
            .seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.seed >> 33) % end
    }

    fn draw_prey(&mut self) -> Prey {
        match self.draw(20) {
            0..=2 => Prey::StartUp,
            3 | 4 => Prey::Backup,
            5 | 6 => Prey::Restore,
            7 | 8 => Prey::Rotation,
            _ => Prey::Serve,
        }
    }

    /// Whether somebody was killed; checked in any case.
    async fn one_round(&mut self, round: u64) -> bool {
        set(&self.control, 0, 0);
        die_in(&self.control, 0, false);
        let prey = self.draw_prey();
        let (name, killed) = match prey {
            Prey::Backup => ("backup", self.kill_backup()),
            Prey::Restore => ("restore", self.kill_restore().await),
            Prey::Rotation => {
                let kind = self.draw_kind();
                ("rotation", self.kill_server(round, Some(kind)))
            }
            Prey::Serve => ("serve", self.kill_server(round, None)),
            Prey::StartUp => ("start-up", self.kill_start_up()),
        };
        set(&self.control, 0, 0);
        die_in(&self.control, 0, false);
        if killed {
            *self.kills.entry(name).or_default() += 1;
        }
        check_recovered(self, round).await;
        killed
    }

    /// Serves under load; a fault may come and go; then the process dies, at once or at a step of its own.
    /// Keys may be rotated meanwhile.
    fn kill_server(&mut self, round: u64, rotation: Option<&'static str>) -> bool {
        let kill_at = 4 + self.draw(40);
        let fault = if self.draw(5) < 2 { self.draw_fault() } else { None };
        let fault_at = self.draw(kill_at);
        let heal_at = if self.draw(2) == 0 { fault_at + self.draw(30) } else { u64::MAX };
        let steps = if self.draw(4) == 0 { 0 } else { 1 + self.draw(STEPS_MAX) };
        let torn = self.draw(2) == 0;
        let seeds: Vec<u64> = (0..WORKERS).map(|_| self.draw(u64::from(u32::MAX))).collect();
        let mut server =
            self.serve().unwrap_or_else(|status| panic!("it does not start: {status}"));
        let (answered, unanswered) = (AtomicU64::new(0), AtomicU64::new(0));
        let privacy = &self.privacy[usize::try_from(round).unwrap() % self.privacy.len()];
        let mut struck = false;
        let killed = std::thread::scope(|scope| {
            for (worker, seed) in seeds.iter().enumerate() {
                let clients = (
                    Client::new(&server, &self.makers[worker]),
                    Client::new(&server, &self.looker),
                    Client::new(&server, privacy),
                );
                let (told, answered, unanswered) = (&self.told, &answered, &unanswered);
                let first = usize::try_from(round * 1_000).unwrap() + worker * 100;
                scope.spawn(move || {
                    let was_in_flight = work(first, *seed, clients, told, answered);
                    unanswered.fetch_add(u64::from(was_in_flight), Ordering::SeqCst);
                });
            }
            if let Some(what) = rotation {
                let mut admin = Client::new(&server, &self.admin);
                self.told.lock().unwrap().is_rotated = true;
                scope.spawn(move || {
                    let reply = admin.send("POST", "/v1/rotations", Some(&json!({ "what": what })));
                    let status = reply.as_ref().map_or(202, |reply| reply.status);
                    assert!([202, 409, 503].contains(&status), "{reply:?}");
                });
            }
            let (clock, mut is_dying) = (SystemClock::new(), false);
            while server.is_up() {
                let count = answered.load(Ordering::SeqCst);
                if count >= fault_at
                    && !struck
                    && let Some(fault) = fault
                {
                    self.strike(fault);
                    struck = true;
                }
                if count >= heal_at && struck {
                    set(&self.control, 0, 0);
                }
                if count >= kill_at && !is_dying {
                    is_dying = true;
                    die_in(&self.control, u32::try_from(steps).unwrap(), torn);
                }
                let is_late = count >= kill_at + 300 || clock.monotonic_ms() > 20_000;
                if is_dying && (steps == 0 || is_late) {
                    break;
                }
                std::thread::yield_now();
            }
            ended_by_kill(server.end())
        });
        self.in_flight += u64::from(unanswered.into_inner() > 0);
        if struck && injected(&self.control) > 0 {
            let name = fault.map_or("", |(name, _)| name);
            *self.faults.entry(name).or_default() += 1;
        }
        killed
    }

    fn draw_kind(&mut self) -> &'static str {
        let kinds = ["root", "wrapping_key", "data_keys", "look_up_keys", "after_leak"];
        kinds[usize::try_from(self.draw(5)).unwrap()]
    }

    fn draw_fault(&mut self) -> Option<(&'static str, u8)> {
        let which = usize::try_from(self.draw(FAULTS.len() as u64)).unwrap();
        Some(FAULTS[which])
    }

    fn strike(&self, (_, fault): (&str, u8)) {
        // Since the last round; the file is the shim's own.
        std::os::unix::fs::FileExt::write_all_at(
            &std::fs::File::options().write(true).open(&self.control).unwrap(),
            &[0; 4],
            4,
        )
        .unwrap();
        match fault {
            7 => set_quota(&self.control, 7, 1 << 20),
            fault => set(&self.control, fault, 0),
        }
    }

    /// Dies while it recovers from the kill before, or while it does what is due at its start.
    fn kill_start_up(&mut self) -> bool {
        let steps = 1 + self.draw(STEPS_AT_START_MAX);
        let torn = self.draw(2) == 0;
        die_in(&self.control, u32::try_from(steps).unwrap(), torn);
        match self.serve() {
            Err(status) => ended_by_kill(status),
            Ok(mut server) => {
                let clock = SystemClock::new();
                while server.is_up() && clock.monotonic_ms() < 500 {
                    std::thread::yield_now();
                }
                ended_by_kill(server.end())
            }
        }
    }

    fn kill_backup(&mut self) -> bool {
        let steps = 1 + self.draw(STEPS_OF_A_BACKUP_MAX);
        self.back_up(u32::try_from(steps).unwrap())
    }

    /// Dies after so many steps, none for not at all; whether it did.
    fn back_up(&mut self, steps: u32) -> bool {
        let to = self.shop.folder.path().join("away");
        let gone = checks::gone(&self.shop, &self.told.lock().unwrap());
        let torn = self.draw(2) == 0;
        die_in(&self.control, steps, torn);
        let status = self.run(&["backup", "--to", to.to_str().unwrap()]);
        if status.success() {
            self.pair = Some((to, gone));
            return false;
        }
        self.died(status)
    }

    /// Dies, and then goes to its end.
    async fn kill_restore(&mut self) -> bool {
        if self.pair.is_none() || self.draw(2) == 0 {
            assert!(!self.back_up(0), "a backup that nothing killed");
        }
        let (from, _) = self.pair.clone().unwrap();
        let to = self.shop.folder.path().join("restored");
        let _ = std::fs::remove_dir_all(&to);
        let (from, key) = (from.to_str().unwrap(), self.shop.key_file());
        let arguments = ["restore", "--data", from, "--keys", from, "--to", to.to_str().unwrap()];
        let arguments = [&arguments[..], &["--seal-key", key.to_str().unwrap()]].concat();
        let steps = 1 + self.draw(STEPS_OF_A_RESTORE_MAX);
        let torn = self.draw(2) == 0;
        die_in(&self.control, u32::try_from(steps).unwrap(), torn);
        let status = self.run(&arguments);
        let killed = !status.success() && self.died(status);
        die_in(&self.control, 0, false);
        if killed {
            let again = self.run(&arguments);
            let is_there = to.join("keys.db").exists();
            assert!(again.success() || is_there, "a restore that was killed goes on anew");
        }
        check_restored(self, &to).await;
        killed
    }

    /// Whether a command that did not come to its end was killed; nothing else keeps one from it.
    fn died(&self, status: std::process::ExitStatus) -> bool {
        let log = || std::fs::read_to_string(self.shop.folder.path().join("commands.log"));
        assert_eq!(status.signal(), Some(SIGKILL), "{status}: {:?}", log());
        true
    }

    fn environment(&self) -> [(&'static str, &str); 2] {
        [
            ("LD_PRELOAD", self.library.to_str().unwrap()),
            ("STRONGROOM_FAULT_FILE", self.control.to_str().unwrap()),
        ]
    }

    fn serve(&self) -> Result<Server, std::process::ExitStatus> {
        let server = Server::try_start(self.shop.folder.path(), &self.environment());
        assert_eq!(byte(&self.control, 2), 1, "the shim was not loaded");
        server
    }

    /// A command of its own, without a server.
    fn run(&self, arguments: &[&str]) -> std::process::ExitStatus {
        let log = Path::new("commands.log");
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.shop.folder.path().join(log))
            .unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom"));
        command
            .args(arguments)
            .arg("--config")
            .arg(self.shop.folder.path().join("strongroom.toml"));
        command.envs(self.environment()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        command.status().unwrap()
    }

    /// One line that `check` adds up.
    fn summary(&self, kills: u64, rounds: u64, seconds: i64) -> String {
        let told = self.told.lock().unwrap();
        let block = json!({
            "kills": kills, "rounds": rounds, "seconds": seconds, "in_flight": self.in_flight,
            "killed": self.kills, "faults": self.faults, "answered": told.done,
            "entries_checked": told.receipts.len(), "customers": told.known.len(),
            "erased": told.erased.len(),
        });
        format!("STORM {block}")
    }
}

/// A program that ends by itself has failed, whatever the disk does.
fn ended_by_kill(status: std::process::ExitStatus) -> bool {
    assert_eq!(status.signal(), Some(SIGKILL), "it ended by itself: {status}");
    true
}

fn option(name: &str) -> Option<u64> {
    #[expect(clippy::disallowed_methods, reason = "the long check asks for more kills this way")]
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// Enough to see each prey once; the long check asks for blocks of a hundred.
const KILLS_DEFAULT: u64 = 25;
const WORKERS: u64 = 4;
const PRIVACY_KEYS: usize = 9;
const SIGKILL: i32 = 9;

/// A create takes about sixty steps; a batch of several acts some more.
const STEPS_MAX: u64 = 160;
const STEPS_AT_START_MAX: u64 = 120;
const STEPS_OF_A_BACKUP_MAX: u64 = 160;
const STEPS_OF_A_RESTORE_MAX: u64 = 600;

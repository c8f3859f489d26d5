//! A disk that fills up: nothing is shown, what must go on goes on from the reserve, and with room again
//! the same process serves everything.
//!
//! Three ways to fill it: a quota that the disk tells of, one that it does not (both by the shim, so
//! that they need no rights), and a real small file system.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use strongroom::ctx::{Clock, SystemClock};
use strongroom::db::{RESERVE, RESERVE_BYTES, is_reserved};

use super::disk::{build_shim, byte, injected, set_quota};
use crate::attack::enquirer;
use crate::support::server::{Client, Server};
use crate::support::{POLICY, Shop, person};

/// An installation whose disk will fill up.
struct Filling {
    shop: Shop,
    keys: [String; 4],
    /// The key to be revoked, and its id.
    lost: (String, String),
    /// Customers from before: one to look at, one to erase in each half.
    known: Vec<String>,
    environment: Vec<(&'static str, String)>,
}

impl Filling {
    async fn new() -> Self {
        let policy = POLICY.replace("erase_grace = \"7 days\"", "erase_grace = \"0 days\"");
        let mut shop = Shop::open_today_with(&policy).await;
        let mut known = Vec::new();
        for number in 1..4 {
            known.push(enquirer(&shop, number).await);
        }
        let keys = ["shop", "desk", "privacy", "admin"].map(|role| shop.keys[role].clone());
        let lost = (shop.keys["importer"].clone(), shop.key_id("importer").await);
        shop.stop();
        Self { shop, keys, lost, known, environment: Vec::new() }
    }

    fn serve(&self) -> Server {
        let environment: Vec<_> =
            self.environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let server = Server::start(self.shop.folder.path(), &environment);
        assert!(is_reserved(&self.data()) || self.is_full(&server), "made at the start");
        server
    }

    fn is_full(&self, server: &Server) -> bool {
        let ready = Client::new(server, "").send("GET", "/readyz", None).unwrap();
        ready.json["code"] == "disk_reserve"
    }

    fn data(&self) -> PathBuf {
        self.shop.data_folder()
    }

    /// `strongroom backup` while nobody serves.
    fn back_up(&self, to: &Path) -> (bool, String) {
        let made = Command::new(env!("CARGO_BIN_EXE_strongroom"))
            .args(["backup", "--config"])
            .arg(self.shop.folder.path().join("strongroom.toml"))
            .arg("--to")
            .arg(to)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        (made.status.success(), String::from_utf8_lossy(&made.stderr).into_owned())
    }
}

#[tokio::test]
async fn crash_a_disk_that_fills_up_shows_nothing_and_only_what_must_go_on_is_done() {
    let mut filling = Filling::new().await;
    let control = shimmed(&mut filling);
    let taken = used(&filling.data());
    let (small, large) = (taken + RESERVE_BYTES + (30 << 20), 1 << 40);
    set_quota(&control, 6, large);
    let full = || set_quota(&control, 6, small);
    let (told, _shop) = scenario(filling, full, || set_quota(&control, 6, large)).await;
    assert_eq!(told, "disk_reserve", "it stopped before a write met the end");
    assert_eq!(injected(&control), 0, "no write met the end of the disk");
}

#[tokio::test]
async fn crash_a_quota_that_no_disk_tells_of_is_met_once_and_then_the_reserve_is_let_go() {
    let mut filling = Filling::new().await;
    let control = shimmed(&mut filling);
    // Less than it takes by then: without the reserve no byte more can be written.
    let small = used(&filling.data()) + RESERVE_BYTES;
    set_quota(&control, 7, 1 << 40);
    let full = || set_quota(&control, 7, small);
    let (told, _shop) = scenario(filling, full, || set_quota(&control, 7, 1 << 40)).await;
    // Whoever wrote first met it: the call that was looked at, or a job of the server just before.
    assert!(["ledger_stalled", "disk_reserve"].contains(&told.as_str()), "{told}");
    assert!(injected(&control) > 0, "a write met the end of the disk");
}

#[tokio::test]
async fn crash_a_server_starts_on_a_disk_that_is_full_and_revokes_keys() {
    let mut filling = Filling::new().await;
    let control = shimmed(&mut filling);
    // To the last byte, the reserve among them.
    set_quota(&control, 6, used(&filling.data()) + RESERVE_BYTES);
    assert!(is_reserved(&filling.data()));
    let server = filling.serve();
    assert!(filling.is_full(&server) && !is_reserved(&filling.data()), "it was let go");
    let path = format!("/v1/keys/{}", filling.lost.1);
    let revoked = Client::new(&server, &filling.keys[3]).send("DELETE", &path, None).unwrap();
    assert_eq!(revoked.status, 204, "{:?}", revoked.json);
    assert_eq!(injected(&control), 0, "no write met the end of the disk");
}

#[tokio::test]
async fn crash_a_real_file_system_that_somebody_else_fills_up_gives_way_to_the_reserve() {
    let filling = Filling::new().await;
    let Some(mounted) = Mounted::over(&filling.data(), "200M") else {
        could_not_look("a real file system that fills up, because this machine lets us mount none");
        return;
    };
    let filler = filling.data().join("somebody-else");
    let full = || {
        let free = strongroom::db::free_bytes(&filling_folder(&filler)).unwrap();
        let size = usize::try_from(free).unwrap();
        // To the last byte, whatever the reserve holds.
        let _ = std::fs::write(&filler, vec![7_u8; size]);
    };
    let free = || std::fs::remove_file(&filler).unwrap();
    let (told, _shop) = scenario(filling, full, free).await;
    assert!(told == "disk_reserve" || told == "ledger_stalled", "{told}");
    drop(mounted);
}

fn filling_folder(filler: &Path) -> PathBuf {
    filler.parent().unwrap().to_owned()
}

/// Fills the disk under load, sees what is done and what is not, frees it. The code that ordinary calls
/// were first refused with.
async fn scenario(filling: Filling, fill: impl Fn(), free: impl Fn()) -> (String, Shop) {
    let server = filling.serve();
    let [shop, desk, privacy, admin] = &filling.keys;
    let (first, told) = fill_under_load(&server, (shop, desk), &filling.known[0], &fill);

    // In the process that met it: nothing is shown, nothing is made, rights end.
    let read = format!("/v1/customers/{}?fields=name,email", filling.known[0]);
    assert_refused(&server, shop, "POST", "/v1/customers", Some(&person(900_001)));
    assert_refused(&server, desk, "GET", &read, None);
    let mut anyone = Client::new(&server, desk);
    // After a write that failed it says so until one was tried again.
    until("it says why", || {
        code(&anyone.send("GET", "/readyz", None).unwrap().json) == "disk_reserve"
    });
    assert_eq!(anyone.send("GET", "/healthz", None).unwrap().status, 200);
    erase(&server, privacy, &filling.known[1]);
    let path = format!("/v1/keys/{}", filling.lost.1);
    let revoked = Client::new(&server, admin).send("DELETE", &path, None).unwrap();
    assert_eq!(revoked.status, 204, "{:?}", revoked.json);
    let lost = Client::new(&server, &filling.lost.0).send("GET", "/v1/policy", None).unwrap();
    assert_eq!(lost.status, 401, "a revoked key counts no more: {:?}", lost.json);
    drop(server);

    // Started on a disk that is full: what was asked for is erased, copies can be made elsewhere.
    let server = filling.serve();
    until("the erasure is done", || count(&filling.shop, ERASED) == 1);
    assert_refused(&server, desk, "GET", &read, None);
    until("it is a finding", || count(&filling.shop, LOW) == 1);
    let sealed = Client::new(&server, admin).send("POST", "/v1/seal", None).unwrap();
    assert_eq!(sealed.status, 204, "{:?}", sealed.json);
    drop(server);
    back_up_elsewhere(&filling);

    // Room again: the same process serves everything, with the reserve whole.
    let mut server = filling.serve();
    let process = server.id();
    assert_refused(&server, desk, "GET", &read, None);
    free();
    let mut client = Client::new(&server, desk);
    until("it is ready by itself", || client.send("GET", "/readyz", None).unwrap().status == 200);
    assert!(is_reserved(&filling.data()), "the reserve first");
    assert_eq!(client.send("GET", &read, None).unwrap().status, 200);
    let made = Client::new(&server, shop).send("POST", "/v1/customers", Some(&person(900_002)));
    assert_eq!(made.unwrap().status, 201);
    assert!(server.is_up() && server.id() == process);
    server.kill();
    (first, check_afterwards(filling.shop, &told).await)
}

const LOW: &str = "SELECT COUNT(*) FROM finding WHERE kind = 'disk_low'";
const ERASED: &str = "SELECT COUNT(*) FROM erasure_job WHERE state = 'done'";

/// Creates and reads until every worker is refused; the first code, and the receipts of what was done.
fn fill_under_load(
    server: &Server,
    (maker, looker): (&str, &str),
    known: &str,
    fill: &impl Fn(),
) -> (String, Vec<u64>) {
    let (codes, receipts) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let done = AtomicUsize::new(0);
    let read = format!("/v1/customers/{known}?fields=name,email");
    std::thread::scope(|scope| {
        for worker in 0..4_usize {
            let (codes, receipts, done, read) = (&codes, &receipts, &done, &read);
            let (mut maker, mut looker) = (Client::new(server, maker), Client::new(server, looker));
            scope.spawn(move || {
                for number in 0..20_000 {
                    let one = person(1_000 + worker * 100_000 + number);
                    let made = maker.send("POST", "/v1/customers", Some(&one)).unwrap();
                    let seen = looker.send("GET", read, None).unwrap();
                    for reply in [made, seen] {
                        if reply.status == 503 {
                            assert!(reply.json.get("fields").is_none(), "{:?}", reply.json);
                            codes.lock().unwrap().push(code(&reply.json));
                        } else if reply.status < 300 {
                            receipts.lock().unwrap().push(reply.receipt.unwrap());
                        } else {
                            assert_eq!(reply.status, 429, "{:?}", reply.json);
                        }
                    }
                    done.fetch_add(1, Ordering::SeqCst);
                    if codes.lock().unwrap().iter().any(|code| code == "disk_reserve") {
                        return;
                    }
                }
                panic!("the disk never filled up");
            });
        }
        while done.load(Ordering::SeqCst) < 20 {
            std::thread::yield_now();
        }
        fill();
    });
    let first = codes.into_inner().unwrap().remove(0);
    (first, receipts.into_inner().unwrap())
}

/// Ordinary acts are refused by name and hold nothing.
fn assert_refused(server: &Server, key: &str, method: &str, path: &str, body: Option<&Value>) {
    let reply = Client::new(server, key).send(method, path, body).unwrap();
    assert_eq!((reply.status, code(&reply.json)), (503, "disk_reserve".to_owned()));
    assert!(reply.json.get("fields").is_none() && reply.receipt.is_none(), "{:?}", reply.json);
}

fn erase(server: &Server, key: &str, id: &str) {
    let path = format!("/v1/customers/{id}");
    let asked = Client::new(server, key).send("DELETE", &path, None).unwrap();
    assert_eq!(asked.status, 202, "{:?}", asked.json);
}

/// A pair goes to another disk, and is refused on this one.
fn back_up_elsewhere(filling: &Filling) {
    let (made, said) = filling.back_up(&filling.data().with_file_name("same-disk"));
    let other = tempfile::tempdir_in("/dev/shm")
        .expect("COULD NOT LOOK: there is no second disk to back up to (/dev/shm)");
    if on_one_disk(&filling.data(), filling.data().parent().unwrap()) {
        assert!(!made && said.contains("nearly full"), "{said}");
    }
    let (made, said) = filling.back_up(other.path());
    assert!(made, "{said}");
    let names = std::fs::read_dir(other.path()).unwrap().flatten();
    let names: Vec<_> = names.map(|it| it.file_name().to_string_lossy().into_owned()).collect();
    assert!(names.iter().any(|it| it.starts_with("data-")), "{names:?}");
    assert!(names.iter().any(|it| it.starts_with("keys-")), "{names:?}");
}

/// `check` says at its end what no test could look at here.
fn could_not_look(what: &str) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("could-not-look");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("mount"), format!("{what}\n")).unwrap();
}

fn on_one_disk(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let disk = |path: &Path| path.metadata().map(|facts| facts.dev()).ok();
    disk(one) == disk(other)
}

/// Every answer has its entry, the log is whole, the erased stay erased.
async fn check_afterwards(mut shop: Shop, told: &[u64]) -> Shop {
    shop.start().await.unwrap();
    let verified = shop.verify().await;
    assert_eq!(verified["intact"], true, "{verified}");
    let entries = shop.desk().published.newest().unwrap().size;
    assert!(!told.is_empty() && told.iter().all(|index| *index < entries));
    assert_eq!(count(&shop, ERASED), 1);
    shop
}

fn count(shop: &Shop, sql: &str) -> i64 {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let db = rusqlite::Connection::open_with_flags(shop.data_file(), flags).unwrap();
    db.query_row(sql, [], |row| row.get(0)).unwrap()
}

fn code(json: &Value) -> String {
    json["code"].as_str().unwrap_or_default().to_owned()
}

/// Asks until it is so, for a minute.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let clock = SystemClock::new();
    while !is_so() {
        assert!(clock.monotonic_ms() < 60_000, "never: {what}");
        std::thread::yield_now();
    }
}

fn shimmed(filling: &mut Filling) -> PathBuf {
    let (library, control) = build_shim(filling.shop.folder.path());
    filling.environment = vec![
        ("LD_PRELOAD", library.to_str().unwrap().to_owned()),
        ("STRONGROOM_FAULT_FILE", control.to_str().unwrap().to_owned()),
    ];
    assert_eq!(byte(&control, 2), 0);
    control
}

/// What the files of a folder take on the disk, without the reserve.
fn used(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let files = std::fs::read_dir(folder).unwrap().flatten();
    let files = files.filter(|it| it.file_name() != RESERVE);
    files.map(|it| it.metadata().unwrap().blocks() * 512).sum()
}

/// A small file system over a data folder, with what was in it; gone when dropped.
struct Mounted(PathBuf);

impl Mounted {
    fn over(folder: &Path, size: &str) -> Option<Self> {
        let aside = folder.with_file_name("aside");
        std::fs::rename(folder, &aside).unwrap();
        std::fs::create_dir(folder).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size},mode=700"), "tmpfs"])
            .arg(folder)
            .output();
        if !mounted.is_ok_and(|it| it.status.success()) {
            return None;
        }
        for file in std::fs::read_dir(&aside).unwrap().flatten() {
            if file.file_name() != RESERVE {
                std::fs::copy(file.path(), folder.join(file.file_name())).unwrap();
            }
        }
        Some(Self(folder.to_owned()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

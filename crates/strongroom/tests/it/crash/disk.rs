//! A disk that is full, read-only or dying below SQLite: no answer with data, a clear 503, and back
//! to service in the same process.

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use strongroom::ctx::{Clock, SystemClock};

use crate::support::server::{Client, Server};
use crate::support::{Shop, person};

/// The faults of `tests/tools/fault.c` by name.
const FAULTS: [(&str, u8); 5] = [
    ("the disk is full", 1),
    ("fsync fails", 2),
    ("writes fail", 3),
    ("the disk is read-only", 4),
    ("writes are torn", 5),
];

#[tokio::test]
async fn crash_a_failing_disk_gives_no_data_a_clear_503_and_service_returns_in_the_same_process() {
    for (files, which) in [(0, "every file"), (1, "strongroom.db"), (2, "keys.db")] {
        for (name, fault) in FAULTS {
            one_fault(&format!("{name}, {which}"), fault, files).await;
        }
    }
}

async fn one_fault(name: &str, fault: u8, files: u8) {
    let mut shop = Shop::open_today().await;
    let id = shop.customer(1).await;
    let keys = (shop.keys["shop"].clone(), shop.keys["desk"].clone());
    shop.stop();
    let (library, control) = build_shim(shop.folder.path());
    let environment = [
        ("LD_PRELOAD", library.to_str().unwrap()),
        ("STRONGROOM_FAULT_FILE", control.to_str().unwrap()),
    ];
    let mut server = Server::start(shop.folder.path(), &environment);
    assert_eq!(byte(&control, 2), 1, "the shim was not loaded");
    let (mut maker, mut looker) = (Client::new(&server, &keys.0), Client::new(&server, &keys.1));
    let process = server.id();
    let path = format!("/v1/customers/{id}?fields=name,email");

    let before = looker.send("GET", &path, None).unwrap();
    assert_eq!(before.status, 200, "{name}: {:?}", before.json);

    set(&control, fault, files);
    let made = maker.send("POST", "/v1/customers", Some(&person(2))).unwrap();
    assert_eq!(made.status, 503, "{name}: a create was answered {:?}", made.json);
    let read = looker.send("GET", &path, None).unwrap();
    if files == 2 {
        // A read needs nothing of keys.db to be written, unless its anchor is due.
        assert!(read.status == 200 || read.status == 503, "{name}: {:?}", read.json);
    } else {
        assert_eq!(read.status, 503, "{name}: a read was answered {:?}", read.json);
        // A disk that was seen to be full is spared; only what must go on is tried.
        let code = if fault == 1 { "disk_reserve" } else { "ledger_stalled" };
        assert_eq!(read.json["code"], code, "{name}");
        assert!(read.json.get("fields").is_none(), "{name}: data without an entry");
    }
    assert!(injected(&control) > 0, "{name}: the fault never struck");
    assert!(looker.send("GET", "/healthz", None).is_some_and(|it| it.status == 200), "{name}");

    set(&control, 0, 0);
    if files == 0 || fault == 1 {
        ready_by_itself(name, &mut looker);
    }
    let mut back = looker.send("GET", &path, None).unwrap();
    // The first call after the disk is mended may still be the one that opens the database again.
    if back.status == 503 {
        back = looker.send("GET", &path, None).unwrap();
    }
    assert_eq!(back.status, 200, "{name}: service did not return: {:?}", back.json);
    let made = maker.send("POST", "/v1/customers", Some(&person(3))).unwrap();
    assert_eq!(made.status, 201, "{name}: {:?}", made.json);
    assert!(server.is_up() && server.id() == process);
    server.kill();

    shop.start().await.unwrap();
    let verified = shop.verify().await;
    assert_eq!(verified["intact"], true, "{name}: {:?}", verified);
    let email = json!({ "email": "ada.3@mail.example" });
    let found = shop.call("desk", "POST", "/v1/customers/lookup", Some(email)).await;
    assert_eq!(found.json["customers"].as_array().map(Vec::len), Some(1), "{name}");
}

/// Nobody writes meanwhile: the server finds out that the disk takes writes again.
fn ready_by_itself(name: &str, client: &mut Client) {
    let clock = SystemClock::new();
    while client.send("GET", "/readyz", None).unwrap().status != 200 {
        assert!(clock.monotonic_ms() < 60_000, "{name}: /readyz stays 503");
        std::thread::yield_now();
    }
}

pub(crate) fn build_shim(folder: &Path) -> (PathBuf, PathBuf) {
    let (library, control) = (folder.join("fault.so"), folder.join("control"));
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tools/fault.c");
    let built = Command::new("cc")
        .args(["-O2", "-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(source)
        .arg("-ldl")
        .status();
    assert!(built.is_ok_and(|status| status.success()), "a C compiler is needed: install gcc");
    std::fs::write(&control, [0; 32]).unwrap();
    (library, control)
}

pub(crate) fn set(control: &Path, fault: u8, files: u8) {
    let file = std::fs::File::options().write(true).open(control).unwrap();
    file.write_all_at(&[files], 1).unwrap();
    file.write_all_at(&[fault], 0).unwrap();
}

/// From now on the folder of the data may take so many bytes.
pub(super) fn set_quota(control: &Path, fault: u8, bytes: u64) {
    let file = std::fs::File::options().write(true).open(control).unwrap();
    file.write_all_at(&bytes.to_ne_bytes(), 16).unwrap();
    file.write_all_at(&[fault], 0).unwrap();
}

/// The process dies at its `steps`-th step from now, after half of it if it is a write and so told; at
/// none where it is 0.
pub(super) fn die_in(control: &Path, steps: u32, torn: bool) {
    let file = std::fs::File::options().write(true).open(control).unwrap();
    file.write_all_at(&[u8::from(torn)], 3).unwrap();
    file.write_all_at(&steps.to_ne_bytes(), 8).unwrap();
}

/// From now on what is sent is a step too: to a server everything is.
pub(super) fn count_sends(control: &Path) {
    let file = std::fs::File::options().write(true).open(control).unwrap();
    file.write_all_at(&[1], 24).unwrap();
}

/// Steps that processes with this control have taken.
pub(super) fn steps(control: &Path) -> u32 {
    u32::from_ne_bytes(std::fs::read(control).unwrap()[12..16].try_into().unwrap())
}

pub(super) fn byte(control: &Path, at: usize) -> u8 {
    std::fs::read(control).unwrap()[at]
}

pub(super) fn injected(control: &Path) -> u32 {
    u32::from_ne_bytes(std::fs::read(control).unwrap()[4..8].try_into().unwrap())
}

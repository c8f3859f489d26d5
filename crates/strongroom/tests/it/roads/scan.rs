//! What others' tools say of the server: testssl.sh of a given certificate, and a browser of the own
//! authority after the printed steps. Minutes each, so `./check long` asks for them.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;

use strongroom::certificates::make_authority;
use strongroom::config::OwnCa;
use strongroom::ctx::{Clock, SystemClock};
use strongroom::web::{HostName, Listen, read_tls, serve};
use strongroom_crypto::SystemRandom;
use tempfile::TempDir;

use super::{echo, is_there};

/// A server for `localhost` with a certificate of an own authority in the folder `tls`.
fn served(folder: &TempDir) -> SocketAddr {
    let names = vec![HostName::parse("localhost").unwrap()];
    let own = OwnCa { folder: folder.path().join("tls"), names };
    let clock = SystemClock::new();
    make_authority(&own, clock.now(), &SystemRandom).unwrap();
    let file = own.folder.join("server.pem");
    let tls = read_tls(&file, &file, clock.now()).unwrap();
    let listen = Listen::bind("127.0.0.1:0".parse().unwrap(), Some(tls)).unwrap();
    let address = listen.address().unwrap();
    tokio::spawn(serve(listen, echo(Arc::new(clock)), std::future::pending()));
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minutes; ./check long runs it"]
async fn slow_testssl_finds_nothing_to_mend() {
    if !is_there("testssl", "testssl.sh") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let address = served(&folder);
    let report = folder.path().join("report.json");
    let mut command = Command::new("testssl");
    command.args(["--quiet", "--warnings", "off", "--color", "0", "--ip", "127.0.0.1"]);
    command.args(["--protocols", "--server-defaults", "--vulnerable", "--fs", "--std"]);
    command.arg("--add-ca").arg(folder.path().join("tls/strongroom-ca.crt"));
    command.arg("--jsonfile").arg(&report).arg(format!("localhost:{}", address.port()));
    let told = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let found: Vec<serde_json::Value> = serde_json::from_slice(&fs::read(&report).unwrap())
        .unwrap_or_else(|_| {
            panic!("{}", String::from_utf8_lossy(&told.stdout));
        });
    assert!(found.len() > 40, "it looked: {found:?}");
    let wrong: Vec<_> = found
        .iter()
        .filter(|it| !["OK", "INFO"].contains(&it["severity"].as_str().unwrap()))
        .filter(|it| !KNOWN.iter().any(|(id, _)| it["id"] == *id))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a browser; ./check long runs it"]
async fn slow_a_browser_takes_the_own_authority_after_the_printed_steps() {
    if !is_there("chromium", "chromium") || !is_there("certutil", "libnss3-tools") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let address = served(&folder);
    let home = folder.path().join("home");
    fs::create_dir(&home).unwrap();
    let url = format!("https://localhost:{}/x", address.port());
    let before = browse(&home, &url).await;
    assert!(!before.contains("Some(127.0.0.1)"), "or this test shows nothing: {before}");
    // The lines as the page prints them, the command alone changed to take no password.
    let certificate = folder.path().join("tls");
    let linux = strongroom::certificates::steps().iter().find(|it| it.device == "Linux").unwrap();
    let lines = linux.lines.iter().filter_map(|line| line.strip_prefix("$ "));
    for line in lines.filter(|line| line.contains("nssdb")) {
        let told = Command::new("sh")
            .args(["-c", line])
            .env("HOME", &home)
            .current_dir(&certificate)
            .output()
            .unwrap();
        assert!(told.status.success(), "{line}: {told:?}");
    }
    let after = browse(&home, &url).await;
    assert!(after.contains("Some(127.0.0.1)"), "{after}");
}

async fn browse(home: &std::path::Path, url: &str) -> String {
    let mut command = Command::new("chromium");
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", "--timeout=20000"]);
    command.arg(format!("--user-data-dir={}", home.join("profile").display()));
    command.arg(url).env("HOME", home);
    let told = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    String::from_utf8_lossy(&told.stdout).into_owned()
}

/// What it says that is not about us, and why.
const KNOWN: &[(&str, &str)] = &[
    ("engine_problem", "its own openssl lacks ciphers of another country, which we do not have"),
    (
        "cert_revocation",
        "an authority of one's own revokes nothing: its certificates end after 90 days",
    ),
    ("DNS_CAArecord", "nobody may set one for `localhost`"),
];

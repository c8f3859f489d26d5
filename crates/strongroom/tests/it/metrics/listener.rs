//! The listener over the wire, of the real server: what it serves, what it does not, and whom.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::crash::disk::{build_shim, set};
use crate::support::data::section_of;
use crate::support::numbers::Numbers;
use crate::support::server::{Client, Server};
use crate::support::{Shop, free_port, person};

#[tokio::test]
async fn metrics_stand_on_a_listener_of_their_own_and_nothing_else_does() {
    let (shop, key) = closed().await;
    let own = free_address();
    let mut server =
        Server::start_with(shop.folder.path(), &[], &format!("[metrics]\nlisten = \"{own}\"\n"));
    let mut client = Client::new(&server, &key);
    assert_eq!(client.send("GET", "/readyz", None).unwrap().status, 200);
    assert_eq!(client.send("GET", "/metrics", None).unwrap().status, 404, "not on the API's");

    let page = ask(&own, "GET", "/metrics", "");
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    assert!(page.contains("content-type: application/openmetrics-text; version=1.0.0"), "{page}");
    let told = Numbers::read(page.split_once("\r\n\r\n").unwrap().1);
    let ready = "strongroom_requests_total{method=\"GET\",route=\"/readyz\",status=\"2xx\"}";
    assert_eq!(told.of(ready), 1.0);
    // The jobs of the start leave entries of their own; these end last.
    let ask_numbers = || {
        let page = ask(&own, "GET", "/metrics", "");
        Numbers::read(page.split_once("\r\n\r\n").unwrap().1)
    };
    let is_over = |told: &Numbers, job: &str| {
        told.has(&format!("strongroom_job_success_timestamp_seconds{{job=\"{job}\"}}"))
    };
    while !["webhook.forget", "backup", "backup.copy"]
        .iter()
        .all(|job| is_over(&ask_numbers(), job))
    {
        assert!(server.is_up());
        std::thread::yield_now();
    }
    // Asked once more: a page counts entries before it looks at jobs.
    let before = ask_numbers().of("strongroom_ledger_entries");

    for path in
        ["/", "/healthz", "/readyz", "/v1/openapi.json", "/v1/keys", "/metrics/", "/Metrics"]
    {
        let answer = ask(&own, "GET", path, &format!("authorization: Bearer {key}\r\n"));
        assert!(answer.starts_with("HTTP/1.1 404"), "{path}: {answer}");
        assert!(answer.ends_with("\r\n\r\n"), "{path}: nothing is said: {answer}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let answer = ask(&own, method, "/metrics", "");
        assert!(answer.starts_with("HTTP/1.1 405"), "{method}: {answer}");
    }
    assert_eq!(
        ask_numbers().of("strongroom_ledger_entries"),
        before,
        "nobody who looks leaves an entry"
    );
}

#[tokio::test]
async fn a_token_is_asked_for_where_one_is_named() {
    let (shop, key) = closed().await;
    let file = shop.folder.path().join("metrics.token");
    let token = "0123456789abcdef0123456789abcdef";
    std::fs::write(&file, format!("{token}\n")).unwrap();
    let config =
        |own: &str| format!("[metrics]\nlisten = \"{own}\"\ntoken_file = \"metrics.token\"\n");
    let mode = |mode| {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(0o644);
    let told = refused(shop.folder.path(), &config("127.0.0.1:0"));
    assert!(told.contains("`metrics.token_file`") && told.contains("chmod 600"), "{told}");
    mode(0o600);
    let own = free_address();
    let server = Server::start_with(shop.folder.path(), &[], &config(&own));
    let get = |headers: &str| ask(&own, "GET", "/metrics", headers);
    assert!(get(&format!("authorization: Bearer {token}\r\n")).starts_with("HTTP/1.1 200"));
    for wrong in ["0123456789abcdef0123456789abcdeF", "0123456789abcdef", key.as_str()] {
        let answer = get(&format!("authorization: Bearer {wrong}\r\n"));
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
        assert!(!answer.contains("strongroom_"), "{answer}");
    }
    assert!(get("").starts_with("HTTP/1.1 401"));
    drop(server);

    std::fs::write(&file, "short").unwrap();
    let told = refused(shop.folder.path(), &config("127.0.0.1:0"));
    assert!(told.contains("openssl rand -hex 32"), "{told}");
    let told = refused(shop.folder.path(), "[metrics]\nlisten = \"0.0.0.0:0\"\n");
    assert!(told.contains("`metrics.token_file` has to name"), "{told}");
}

#[tokio::test]
async fn a_ledger_that_cannot_be_written_shows_and_its_end_too() {
    let (shop, key) = closed_in_file().await;
    let (library, control) = build_shim(shop.folder.path());
    let environment = [
        ("LD_PRELOAD", library.to_str().unwrap()),
        ("STRONGROOM_FAULT_FILE", control.to_str().unwrap()),
    ];
    let own = free_address();
    let more = format!("[metrics]\nlisten = \"{own}\"\n");
    let server = Server::start_with(shop.folder.path(), &environment, &more);
    let mut client = Client::new(&server, &key);
    let told = || Numbers::read(ask(&own, "GET", "/metrics", "").split_once("\r\n\r\n").unwrap().1);
    assert_eq!(told().of("strongroom_ledger_stalled"), 0.0);

    set(&control, 3, 0);
    assert_eq!(client.send("POST", "/v1/customers", Some(&person(1))).unwrap().status, 503);
    let stalled = told();
    assert_eq!(stalled.of("strongroom_ledger_stalled"), 1.0);
    assert!(stalled.of("strongroom_batches_failed_total") >= 1.0);
    assert!(stalled.of("strongroom_problems_total{code=\"ledger_stalled\"}") >= 1.0);

    set(&control, 0, 0);
    // The first call after the disk is mended may still be the one that opens the database again.
    while client.send("POST", "/v1/customers", Some(&person(1))).unwrap().status == 503 {}
    assert_eq!(told().of("strongroom_ledger_stalled"), 0.0);
}

/// A shop that nobody has open, and the key of its application.
async fn closed() -> (Shop, String) {
    close(Shop::open_today().await)
}

async fn closed_in_file() -> (Shop, String) {
    close(Shop::open_in_file().await)
}

fn close(mut shop: Shop) -> (Shop, String) {
    let key = shop.keys["shop"].clone();
    shop.stop();
    (shop, key)
}

/// Free a moment ago.
fn free_address() -> String {
    format!("127.0.0.1:{}", free_port())
}

/// Asks once and reads to the end.
fn ask(address: &str, method: &str, path: &str, headers: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// What a server says that does not start with this in its configuration.
fn refused(folder: &Path, more: &str) -> String {
    let config = folder.join("refused.toml");
    let text = format!(
        "data_dir = \"data\"\nkey_file = \"seal.key\"\npolicy = \"policy.toml\"\n\
         listen = \"127.0.0.1:0\"\n{more}\n{}",
        section_of(folder)
    );
    std::fs::write(&config, text).unwrap();
    let port_file = folder.join("refused.port");
    let mut child = Command::new(env!("CARGO_BIN_EXE_strongroom"))
        .args(["serve", "--config"])
        .arg(&config)
        .arg("--port-file")
        .arg(&port_file)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while child.try_wait().unwrap().is_none() {
        if port_file.exists() {
            let _ = child.kill();
            let _ = child.wait();
            panic!("it serves with {more}");
        }
        std::thread::yield_now();
    }
    let told = child.wait_with_output().unwrap();
    assert_eq!(told.status.code(), Some(1), "{told:?}");
    String::from_utf8(told.stderr).unwrap()
}

//! The witness, in processes of their own: what it notices of a server, what nobody notices without it,
//! and that it never says two things of one size.

mod alone;
mod handover;
mod kills;
mod restarts;
mod rollback;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use strongroom::ctx::{Clock, SystemClock};
use strongroom::ledger;
use strongroom_tlog::{Checkpoint, VerifierKey, WitnessKey, open_cosigned};

use crate::support::Shop;
use crate::support::server::{Client, Server};

/// A witness on another machine, as far as a test can have one.
struct Witness {
    folder: PathBuf,
    key: WitnessKey,
    /// The same from its first start on.
    address: Option<String>,
    child: Option<Child>,
}

impl Witness {
    /// Made, not served.
    fn make(folder: &Path) -> Self {
        let folder = folder.join("witness");
        let made = strongroom(&["witness", "init", "--json", "--folder", text(&folder)]);
        assert_eq!(made.code, Some(0), "{made:?}");
        let made: Value = serde_json::from_str(&made.out).unwrap();
        let key = WitnessKey::parse(made["key"].as_str().unwrap()).unwrap();
        Self { folder, key, address: None, child: None }
    }

    fn trust(&self, log: &VerifierKey) {
        let log = log.to_string();
        let told = strongroom(&["witness", "trust", "--folder", text(&self.folder), &log]);
        assert_eq!(told.code, Some(0), "{told:?}");
    }

    fn serve(&mut self) {
        self.serve_with(&[]);
    }

    /// Served where it was before, and answering.
    fn serve_with(&mut self, more: &[&str]) {
        let port_file = self.folder.join("port");
        let _ = std::fs::remove_file(&port_file);
        let listen = self.address.clone().unwrap_or_else(|| "127.0.0.1:0".to_owned());
        let log = std::fs::File::options().create(true).append(true).open(self.log_file());
        let mut child = Command::new(env!("CARGO_BIN_EXE_strongroom"))
            .args(["witness", "serve", "--folder", text(&self.folder), "--listen", &listen])
            .args(["--port-file", text(&port_file)])
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.unwrap())
            .spawn()
            .unwrap();
        loop {
            let written = std::fs::read_to_string(&port_file).unwrap_or_default();
            if written.ends_with('\n') {
                self.address = Some(written.trim().to_owned());
                break;
            }
            assert!(child.try_wait().unwrap().is_none(), "the witness ended: {}", self.said());
            std::thread::yield_now();
        }
        self.child = Some(child);
    }

    /// SIGKILL, and wait until it is gone.
    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn log_file(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// Its log lines.
    fn said(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// What a server's configuration says of it.
    fn config(&self) -> String {
        let address = self.address.as_deref().unwrap();
        format!("[witness]\nurl = \"http://{address}\"\nkey = \"{}\"\n", self.key)
    }

    /// Asks it to cosign; none where the connection broke off.
    fn ask(&self, body: &str) -> Option<(u16, String)> {
        let told = http(self.address.as_deref().unwrap(), "POST", "/add-checkpoint", "", body)?;
        Some((told.status, told.body))
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.kill();
    }
}

/// An answer, read to the end of the connection.
struct Answered {
    status: u16,
    head: String,
    body: String,
}

fn http(address: &str, method: &str, path: &str, head: &str, body: &str) -> Option<Answered> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(60))).ok()?;
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{head}\
         content-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut told = Vec::new();
    stream.read_to_end(&mut told).ok()?;
    let told = String::from_utf8(told).ok()?;
    let (head, body) = told.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answered { status, head: head.to_ascii_lowercase(), body: body.to_owned() })
}

/// A shop that was closed, the key of its ledger, and a witness that was told of it and is served.
struct Pair {
    shop: Shop,
    log: VerifierKey,
    witness: Witness,
    /// Of the folder that the witness lies in.
    _elsewhere: tempfile::TempDir,
}

impl Pair {
    async fn new() -> Self {
        let mut pair = Self::strangers().await;
        pair.witness.serve();
        pair.witness.trust(&pair.log);
        pair
    }

    /// The witness was not told of it and is not served.
    async fn strangers() -> Self {
        let mut shop = Shop::open_today().await;
        let log = ledger::verifier_key(&shop.desk().keyring).unwrap();
        shop.stop();
        let elsewhere = tempfile::tempdir().unwrap();
        let witness = Witness::make(elsewhere.path());
        Self { shop, log, witness, _elsewhere: elsewhere }
    }

    fn folder(&self) -> &Path {
        self.shop.folder.path()
    }

    fn serve(&self) -> Server {
        Server::start_with(self.folder(), &[], &self.witness.config())
    }

    /// A start that is refused; its words.
    fn refused(&self) -> String {
        refused(self.folder(), &self.witness.config())
    }

    /// The newest note that the witness cosigned, as the server shows it.
    fn cosigned(&self, server: &Server) -> Option<(Checkpoint, String)> {
        let note = get(server, &self.shop.keys["admin"], "/v1/ledger/checkpoint?cosigned=true");
        let note = note.filter(|note| note.status == 200)?.body;
        let (checkpoint, _) = open_cosigned(&note, &self.log, &self.witness.key).unwrap();
        Some((checkpoint, note))
    }

    /// Changes a right, so that the witness is asked soon, and waits until it cosigned that.
    fn change_rights(&self, server: &Server) -> Checkpoint {
        let size = self.ask_soon(server);
        self.wait(|| self.cosigned(server).map(|it| it.0).filter(|it| it.size >= size))
    }

    /// Changes a right; gives how many entries there are then.
    fn ask_soon(&self, server: &Server) -> u64 {
        let body = serde_json::json!({ "name": "spare", "role": "desk", "purposes": ["support"] });
        let mut admin = Client::new(server, &self.shop.keys["admin"]);
        let made = admin.send("POST", "/v1/keys", Some(&body)).unwrap();
        assert_eq!(made.status, 201, "{made:?}");
        made.receipt.unwrap() + 1
    }

    /// Looks again and again, for a minute at most.
    fn wait<T>(&self, mut look: impl FnMut() -> Option<T>) -> T {
        let clock = SystemClock::new();
        while clock.monotonic_ms() < PATIENCE_MS {
            if let Some(seen) = look() {
                return seen;
            }
            std::thread::yield_now();
        }
        panic!("it did not come; the witness: {}", self.witness.said());
    }

    fn findings(&self, server: &Server) -> Vec<(String, String)> {
        let told = get(server, &self.shop.keys["shop"], "/v1/findings").unwrap();
        assert_eq!(told.status, 200, "{}", told.body);
        let told: Value = serde_json::from_str(&told.body).unwrap();
        let text = |it: &Value, name: &str| it[name].as_str().unwrap().to_owned();
        let rows = told["findings"].as_array().unwrap().iter();
        rows.map(|it| (text(it, "kind"), text(it, "detail"))).collect()
    }

    /// The words of an open finding.
    fn finding(&self, server: &Server, kind: &str) -> Option<String> {
        self.findings(server).into_iter().find(|it| it.0 == kind).map(|it| it.1)
    }
}

fn get(server: &Server, key: &str, path: &str) -> Option<Answered> {
    http(&server.address, "GET", path, &format!("authorization: Bearer {key}\r\n"), "")
}

/// A configuration beside the one of the server.
fn configure(folder: &Path, more: &str) -> PathBuf {
    crate::support::server::configure(folder, "refused.toml", more)
}

/// A start that ends by itself, with what it said.
fn refused(folder: &Path, more: &str) -> String {
    let config = configure(folder, more);
    // A start that is not refused would serve until the test is ended from outside.
    let told = strongroom(&["ledger", "checkpoint", "--config", text(&config)]);
    assert_eq!(told.code, Some(1), "it was opened: {told:?}");
    let port_file = folder.join("refused.port");
    let mut child = Command::new(env!("CARGO_BIN_EXE_strongroom"))
        .args(["serve", "--config", text(&config), "--port-file", text(&port_file)])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while child.try_wait().unwrap().is_none() {
        if port_file.exists() {
            let _ = child.kill();
            let _ = child.wait();
            panic!("it was served");
        }
        std::thread::yield_now();
    }
    let told = child.wait_with_output().unwrap();
    assert_eq!(told.status.code(), Some(1));
    String::from_utf8(told.stderr).unwrap()
}

/// What a command said and how it ended.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

fn strongroom(arguments: &[&str]) -> Said {
    let told = Command::new(env!("CARGO_BIN_EXE_strongroom")).args(arguments).output().unwrap();
    Said {
        code: told.status.code(),
        out: String::from_utf8(told.stdout).unwrap(),
        err: String::from_utf8(told.stderr).unwrap(),
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Whatever is waited for comes within a second or two.
const PATIENCE_MS: i64 = 60_000;

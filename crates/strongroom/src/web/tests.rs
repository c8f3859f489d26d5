//! Through a real router, and real sockets on the loopback wherever a socket matters.
//!
//! Where time must pass, tokio's clock stands still and leaps to the next timer as soon as nobody
//! has anything to do, so a test of a limit of ten seconds takes none.

mod answers;
mod bodies;
mod canary;
mod connections;
mod encrypted;

use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use strongroom_crypto::SystemRandom;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Listen, serve, wrap};
use crate::ctx::{TestClock, Time};
use crate::meter::Meter;

/// What came back over HTTP/1.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (given, value) = line.split_once(": ")?;
            given.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }

    fn code(&self) -> String {
        self.json()["code"].as_str().unwrap().to_owned()
    }
}

fn wrapped(router: Router) -> Router {
    wrap(router, Arc::new(TestClock::at(NOON)), Arc::new(SystemRandom), Meter::starting_at(NOON))
}

/// Serves on a free port for as long as the test's runtime lives.
fn open(router: Router) -> SocketAddr {
    let listen = Listen::bind(ANY_PORT.parse().unwrap(), None).unwrap();
    let address = listen.address().unwrap();
    tokio::spawn(serve(listen, wrapped(router), std::future::pending()));
    address
}

async fn send(address: SocketAddr, request: impl AsRef<[u8]>) -> Answer {
    exchange(TcpStream::connect(address).await.unwrap(), request).await
}

/// Writes a request that asks for the connection to be closed, and reads to its end.
async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    request: impl AsRef<[u8]>,
) -> Answer {
    // The server may close before it has read all of a request it refuses.
    let _ = stream.write_all(request.as_ref()).await;
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    parse(&bytes)
}

/// Reads one answer with an announced length, and leaves the connection open.
async fn read_one(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    loop {
        let byte = stream.read_u8().await.unwrap();
        bytes.push(byte);
        if bytes.ends_with(b"\r\n\r\n") {
            break;
        }
    }
    let head = parse(&bytes);
    let length = head.header("content-length").unwrap().parse().unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    Answer { body: String::from_utf8(body).unwrap(), ..head }
}

#[track_caller]
fn parse(bytes: &[u8]) -> Answer {
    let text = std::str::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").expect("an answer");
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
}

fn post(path: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
}

/// Everything that is logged on this thread, of every crate and level, while the guard lives.
fn listen_to_log() -> (Log, tracing::subscriber::DefaultGuard) {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    (log, tracing::subscriber::set_default(subscriber))
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    fn lines_with(&self, part: &str) -> Vec<String> {
        self.text().lines().filter(|line| line.contains(part)).map(str::to_owned).collect()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

const ANY_PORT: &str = "127.0.0.1:0";
/// 2026-07-01T12:00:00Z.
const NOON: Time = Time::from_ms(1_782_907_200_000);

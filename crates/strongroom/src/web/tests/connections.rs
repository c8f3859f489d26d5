use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get as on_get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, timeout};

use super::{ANY_PORT, exchange, get, open, read_one, send, wrapped};
use crate::error::ErrorKind;
use crate::web::serve::serve_at_most;
use crate::web::{Body, Listen, serve};

#[tokio::test]
async fn plain_http_is_refused_beyond_the_loopback() {
    for address in ["0.0.0.0:0", "[::]:0", "[::ffff:0.0.0.0]:0"] {
        // A machine without IPv6 cannot bind, and then serves nothing either.
        match Listen::bind(address.parse().unwrap(), None).map(|listen| listen.address().unwrap()) {
            Ok(bound) => panic!("{bound} is open"),
            Err(error) if address.starts_with("0.") => {
                assert_eq!(
                    (error.kind, error.code),
                    (ErrorKind::Unprocessable, "plain_http_refused")
                );
                assert!(error.detail.contains("tls.certificate"), "it names the cure");
            }
            Err(error) => assert!(["plain_http_refused", "cannot_listen"].contains(&error.code)),
        }
    }
    for address in ["127.0.0.1:0", "127.200.3.4:0"] {
        let listen = Listen::bind(address.parse().unwrap(), None).unwrap();
        assert!(
            listen.address().unwrap().ip().is_loopback() && listen.address().unwrap().port() != 0
        );
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_said_to_be() {
    let taken = Listen::bind(ANY_PORT.parse().unwrap(), None).unwrap();
    let error = Listen::bind(taken.address().unwrap(), None).map(|_| ()).unwrap_err();
    assert_eq!(error.code, "cannot_listen");
    assert!(error.detail.contains(&taken.address().unwrap().to_string()), "{}", error.detail);
}

/// Writes `start`, then only listens; answers how many seconds the server put up with it.
async fn patience(address: SocketAddr, start: &str) -> u64 {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(start.as_bytes()).await.unwrap();
    let begun = Instant::now();
    let mut bytes = Vec::new();
    let ended = timeout(Duration::from_secs(600), stream.read_to_end(&mut bytes)).await;
    assert!(ended.is_ok(), "the server waits for ever after {start:?}");
    begun.elapsed().as_secs()
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_dawdles_is_dropped() {
    let read = |_: Body<u8>| async { "read" };
    let router = Router::new().route("/x", on_get(|| async { "yes" }).post(read));
    let address = open(router);
    let starts = [
        ("", 10),
        ("GET /x", 10),
        ("GET /x HTTP/1.1\r\nHost: x\r\nX-Slow: ", 10),
        // The beginning of the preface of HTTP/2, and all of it.
        ("PRI * HTT", 10),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 10),
        // Idle after an answer.
        ("GET /x HTTP/1.1\r\nHost: x\r\n\r\n", 10),
        // A body that never comes is bounded by the request's time.
        (
            "POST /x HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n",
            40,
        ),
    ];
    for (start, seconds_max) in starts {
        let waited = patience(address, start).await;
        assert!(waited <= seconds_max, "{waited} seconds after {start:?}");
    }
}

#[tokio::test]
async fn a_head_has_a_size() {
    let address = open(Router::new().route("/x", on_get(|| async { "yes" })));
    let with = |header: String| get("/x").replace("Host: x", &format!("Host: x\r\n{header}"));
    assert_eq!(send(address, with(format!("X: {}", "y".repeat(8_000)))).await.status, 200);
    assert_eq!(send(address, with(format!("X: {}", "y".repeat(17_000)))).await.status, 431);
    let many = |count| (0..count).map(|n| format!("X{n}: y")).collect::<Vec<_>>().join("\r\n");
    assert_eq!(send(address, with(many(60))).await.status, 200);
    assert_eq!(send(address, with(many(70))).await.status, 431);
    assert!(send(address, get(&format!("/{}", "y".repeat(17_000)))).await.status >= 400);
}

#[tokio::test]
async fn whoever_comes_when_the_house_is_full_waits() {
    let listen = Listen::bind(ANY_PORT.parse().unwrap(), None).unwrap();
    let address = listen.address().unwrap();
    let router = wrapped(Router::new().route("/x", on_get(|| async { "yes" })));
    tokio::spawn(serve_at_most(1, listen, router, std::future::pending()));
    let mut first = TcpStream::connect(address).await.unwrap();
    first.write_all(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert_eq!(read_one(&mut first).await.body, "yes");

    let mut second = TcpStream::connect(address).await.unwrap();
    second.write_all(get("/x").as_bytes()).await.unwrap();
    // As long as the first is served, the second is not: it takes turns with nobody.
    for _ in 0..10 {
        first.write_all(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        assert_eq!(read_one(&mut first).await.body, "yes");
        assert!(second.try_read(&mut [0; 1]).is_err());
    }
    drop(first);
    assert_eq!(exchange(second, "").await.body, "yes");
}

struct Closing {
    address: SocketAddr,
    /// The handler has begun.
    begun: Arc<Notify>,
    /// Lets the handler end.
    end: Arc<Notify>,
    stop: oneshot::Sender<()>,
    served: tokio::task::JoinHandle<()>,
}

fn closing() -> Closing {
    let (begun, end) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (stop, stopped) = oneshot::channel();
    let (tell, wait) = (Arc::clone(&begun), Arc::clone(&end));
    let answer = move || async move {
        tell.notify_one();
        wait.notified().await;
        "finished"
    };
    let listen = Listen::bind(ANY_PORT.parse().unwrap(), None).unwrap();
    let address = listen.address().unwrap();
    let router = wrapped(Router::new().route("/x", on_get(answer)));
    let served = tokio::spawn(serve(listen, router, async {
        let _ = stopped.await;
    }));
    Closing { address, begun, end, stop, served }
}

#[tokio::test]
async fn a_shutdown_lets_running_requests_finish_and_no_new_ones_in() {
    let house = closing();
    let mut idle = TcpStream::connect(house.address).await.unwrap();
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    stream.write_all(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    house.begun.notified().await;
    house.stop.send(()).unwrap();
    // The idle connection ends at once, and with it the proof that the shutdown has begun.
    assert_eq!(idle.read(&mut [0; 1]).await.unwrap_or(0), 0);
    assert!(TcpStream::connect(house.address).await.is_err());
    assert!(!house.served.is_finished());
    house.end.notify_one();
    assert_eq!(read_one(&mut stream).await.body, "finished");
    house.served.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_cuts_off_what_does_not_end() {
    let house = closing();
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    stream.write_all(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    house.begun.notified().await;
    let begun = Instant::now();
    house.stop.send(()).unwrap();
    house.served.await.unwrap();
    assert_eq!(begun.elapsed().as_secs(), 10);
    assert_eq!(stream.read(&mut [0; 1]).await.unwrap_or(0), 0);
}

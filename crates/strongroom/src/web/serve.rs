//! Listens, and serves connections within limits until it is told to stop.
//!
//! Plain HTTP exists on loopback and on a Unix socket alone. Every wait for a peer ends: for its handshake, its first
//! request, its headers, its next request.

use std::future::Future;
use std::io::ErrorKind as IoErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use crate::error::Error;
use crate::web::front::{Front, Misdirected};
use crate::web::socket::Socket;

/// Where a request came from; in the request's extensions, and in [`super::Call`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The address of the other end, IPv4 in its own form even where it came mapped into IPv6; behind
    /// a proxy, what the proxy says, and nothing where it says nothing through a socket.
    pub network: Option<IpAddr>,
    /// How the bytes travelled.
    pub secure: Secure,
}

/// How the bytes of a connection travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secure {
    /// Readable; on this machine's loopback or a Unix socket only.
    Plain,
    /// Through TLS that ends in this process.
    Tls,
}

/// An open port that may be served: TLS, or plain on loopback or on a Unix socket.
pub struct Listen {
    listener: Listener,
    tls: Option<TlsAcceptor>,
    front: Option<Arc<Front>>,
}

enum Listener {
    Tcp(TcpListener, SocketAddr),
    Unix(Socket),
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Listen {
    /// Opens the port; needs a running runtime. Fails with `plain_http_refused` when there is no TLS
    /// and the address is not of the loopback, and with `cannot_listen` when the system says no.
    pub fn bind(address: SocketAddr, tls: Option<Arc<ServerConfig>>) -> Result<Self, Error> {
        let reach = if tls.is_some() { Reach::Anywhere } else { Reach::Loopback };
        let listener = open(address, reach)?;
        Ok(Self { listener, tls: tls.map(TlsAcceptor::from), front: None })
    }

    /// Plain, wherever it is: for [`super::serve_challenges`] alone, which knows no data.
    pub(super) fn bind_for_challenges(address: SocketAddr) -> Result<Self, Error> {
        Ok(Self { listener: open(address, Reach::Anywhere)?, tls: None, front: None })
    }

    /// Opens a Unix socket that its owner and a group, by name or number, may use; needs a running
    /// runtime. Who can use it is a proxy.
    pub fn bind_socket(path: &Path, group: &str, front: Front) -> Result<Self, Error> {
        let listener = Listener::Unix(Socket::bind(path, group)?);
        Ok(Self { listener, tls: None, front: Some(Arc::new(front)) })
    }

    /// With proxies before it.
    #[must_use]
    pub fn behind(self, front: Front) -> Self {
        Self { front: Some(Arc::new(front)), ..self }
    }

    /// The bound address; tells the port that the system chose for port 0. `None` for a Unix socket.
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.listener {
            Listener::Tcp(_, address) => Some(*address),
            Listener::Unix(_) => None,
        }
    }
}

/// Who a listener lets in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    Anywhere,
    Loopback,
}

fn open(address: SocketAddr, reach: Reach) -> Result<Listener, Error> {
    let cannot = |cause: std::io::Error| {
        let detail = format!("cannot listen on `{address}`: {cause}");
        Error::unavailable("cannot_listen", detail).caused_by(cause)
    };
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    let socket = socket.map_err(cannot)?;
    // Otherwise a restart waits minutes for the connections of the last run to be forgotten.
    socket.set_reuseaddr(true).map_err(cannot)?;
    socket.bind(address).map_err(cannot)?;
    let address = socket.local_addr().map_err(cannot)?;
    // What the system bound counts, not what was asked for; and nobody was let in yet.
    if reach == Reach::Loopback && !is_loopback(address.ip()) {
        return Err(plain_refused(address));
    }
    let listener = socket.listen(BACKLOG_MAX).map_err(cannot)?;
    Ok(Listener::Tcp(listener, address))
}

/// Serves until `shutdown` completes, then lets running requests finish for 10 seconds and cuts off
/// the rest. Dropping the future cuts off everything at once.
pub async fn serve(listen: Listen, router: Router, shutdown: impl Future<Output = ()>) {
    serve_at_most(CONNECTIONS_MAX, listen, router, shutdown).await;
}

/// The same for a listener that few have business with.
pub async fn serve_few(listen: Listen, router: Router, shutdown: impl Future<Output = ()>) {
    serve_at_most(CONNECTIONS_FEW, listen, router, shutdown).await;
}

pub(super) async fn serve_at_most(
    connections_max: u32,
    listen: Listen,
    router: Router,
    shutdown: impl Future<Output = ()>,
) {
    let Listen { listener, tls, front } = listen;
    let room = Arc::new(Semaphore::new(usize::try_from(connections_max).unwrap_or(1)));
    let (phase, _) = watch::channel(Phase::Open);
    let mut shutdown = pin!(shutdown);
    loop {
        let (stream, peer, permit) = tokio::select! {
            () = &mut shutdown => break,
            accepted = accept(&listener, &room) => accepted,
        };
        let (tls, phase) = (tls.clone(), phase.subscribe());
        let house = House { router: router.clone(), front: front.clone() };
        tokio::spawn(async move {
            attend(stream, peer, tls, house, phase).await;
            drop(permit);
        });
    }
    drop(listener);
    phase.send_replace(Phase::Closing);
    // Each connection holds a permit, so all of them together mean that none is left.
    if timeout(SHUTDOWN_TIME, room.acquire_many(connections_max)).await.is_err() {
        tracing::warn!("cutting off requests that were still running at the end of the shutdown");
        phase.send_replace(Phase::Closed);
        // Every connection sees the phase at its next turn; none waits for its peer any more.
        let _ = room.acquire_many(connections_max).await;
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Closed,
    Closing,
    Open,
}

/// The next connection, once there is room for it; until then peers wait in the system's queue.
async fn accept(
    listener: &Listener,
    room: &Arc<Semaphore>,
) -> (Stream, Option<IpAddr>, OwnedSemaphorePermit) {
    loop {
        let Ok(permit) = Arc::clone(room).acquire_owned().await else {
            // INVARIANT: nobody closes the semaphore.
            std::future::pending::<()>().await;
            continue;
        };
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer, permit),
            Err(error) if is_of_one_peer(error.kind()) => {}
            Err(error) => {
                // Mostly too many open files: trying again at once would only burn the processor.
                tracing::warn!(cause = %error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

impl Listener {
    async fn accept(&self) -> std::io::Result<(Stream, Option<IpAddr>)> {
        match self {
            Self::Tcp(listener, _) => {
                let (stream, peer) = listener.accept().await?;
                // Answers are small and whole; holding them back saves nothing.
                let _ = stream.set_nodelay(true);
                Ok((Stream::Tcp(stream), Some(peer.ip().to_canonical())))
            }
            Self::Unix(socket) => Ok((Stream::Unix(socket.accept().await?), None)),
        }
    }
}

/// What answers, and what stands before it.
struct House {
    router: Router,
    front: Option<Arc<Front>>,
}

impl House {
    /// Puts into a request where it came from.
    fn mark<B>(&self, request: &mut Request<B>, peer: Peer) {
        let Some(front) = &self.front else {
            request.extensions_mut().insert(peer);
            return;
        };
        let network = front.network(peer.network, request.headers());
        if !front.is_for_us(request) {
            request.extensions_mut().insert(Misdirected);
        }
        request.extensions_mut().insert(Peer { network, ..peer });
    }
}

async fn attend(
    stream: Stream,
    network: Option<IpAddr>,
    tls: Option<TlsAcceptor>,
    house: House,
    mut phase: watch::Receiver<Phase>,
) {
    let plain = Peer { network, secure: Secure::Plain };
    let (stream, acceptor) = match (stream, tls) {
        (Stream::Unix(stream), _) => return converse(stream, plain, house, phase).await,
        (Stream::Tcp(stream), None) => return converse(stream, plain, house, phase).await,
        (Stream::Tcp(stream), Some(acceptor)) => (stream, acceptor),
    };
    let greeted = tokio::select! {
        greeted = timeout(HANDSHAKE_TIME_MAX, acceptor.accept(stream)) => greeted,
        _ = phase.wait_for(|phase| *phase != Phase::Open) => return,
    };
    // A failed handshake is the peer's to explain; scanners would fill the log with them.
    if let Ok(Ok(stream)) = greeted {
        converse(stream, Peer { network, secure: Secure::Tls }, house, phase).await;
    }
}

async fn converse<I>(stream: I, peer: Peer, house: House, mut phase: watch::Receiver<Phase>)
where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let begun = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&begun);
    let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
        counter.fetch_add(1, Ordering::Relaxed);
        house.mark(&mut request, peer);
        house.router.clone().oneshot(request)
    });
    let protocol = protocol();
    let mut connection = pin!(protocol.serve_connection(TokioIo::new(stream), service));
    let mut seen = 0;
    loop {
        let patience = if seen == 0 { FIRST_REQUEST_TIME_MAX } else { IDLE_TIME_MAX };
        tokio::select! {
            _ = connection.as_mut() => return,
            () = sleep(patience) => {
                // hyper bounds the headers of a request, but neither the bytes from which it learns
                // the version nor the preface of HTTP/2 nor how long HTTP/2 stays idle.
                let now = begun.load(Ordering::Relaxed);
                if now == 0 {
                    return;
                }
                if now == seen {
                    connection.as_mut().graceful_shutdown();
                }
                seen = now;
            }
            changed = phase.changed() => {
                // An error means that `serve` was dropped.
                if changed.is_err() || *phase.borrow_and_update() == Phase::Closed {
                    return;
                }
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

fn protocol() -> Builder<TokioExecutor> {
    let mut protocol = Builder::new(TokioExecutor::new());
    protocol
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_SIZE_BYTES_MAX.into());
    protocol
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIME_MAX)
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEAD_SIZE_BYTES_MAX.into());
    protocol
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

fn is_of_one_peer(kind: IoErrorKind) -> bool {
    matches!(
        kind,
        IoErrorKind::ConnectionAborted
            | IoErrorKind::ConnectionRefused
            | IoErrorKind::ConnectionReset
    )
}

fn plain_refused(address: SocketAddr) -> Error {
    let detail = format!(
        "refusing plain HTTP on `{address}`, where others could read it: set `tls.certificate` and \
         `tls.key`, have `strongroom tls own-ca` make them, or listen on 127.0.0.1"
    );
    Error::unprocessable("plain_http_refused", detail)
}

/// What two cores and 1 GB hold with room to spare; whoever comes later waits.
pub const CONNECTIONS_MAX: u32 = 10_000;

/// Each log that a witness knows has one.
const CONNECTIONS_FEW: u32 = 256;

/// Waiting connections in the system's queue; systems cut it to their own limit.
const BACKLOG_MAX: u32 = 1024;
/// Time for the system to close files when it had none left.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);
/// A handshake is two round trips.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);
/// Whoever connects has something to ask.
const FIRST_REQUEST_TIME_MAX: Duration = Duration::from_secs(10);
/// For request line and headers on HTTP/1, also between two requests.
const HEAD_TIME_MAX: Duration = Duration::from_secs(10);
/// Without a new request for so long, a connection ends after what runs on it.
const IDLE_TIME_MAX: Duration = Duration::from_secs(60);
/// A credential, a purpose and what clients add; browsers send about 20.
const HEADERS_MAX: usize = 64;
/// Request line and headers together. Nothing of ours is longer than 1 KiB.
const HEAD_SIZE_BYTES_MAX: u16 = 16 * 1024;
/// Requests at once on one HTTP/2 connection; the number RFC 9113, section 6.5.2, calls a minimum.
const STREAMS_MAX: u32 = 100;
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIME_MAX: Duration = Duration::from_secs(10);
/// Service managers kill after 90 seconds or less; the committer needs its share.
const SHUTDOWN_TIME: Duration = Duration::from_secs(10);

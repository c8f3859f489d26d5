//! How the server is reached: its certificate, and what it says to who knocks.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use super::Check;
use crate::certificates::AUTHORITY_FILE;
use crate::config::{Config, Proxy, Tls};
use crate::ctx::{Clock, SystemClock};
use crate::web::{HostName, life_of, names_of};

/// The certificate in its file: whether it counts, and how long.
pub(super) fn certificate(config: &Config) -> Option<Check> {
    let name = "certificate";
    let tls = config.tls.as_ref()?;
    let file = tls.files().certificate;
    let mend = match tls {
        Tls::Acme(_) => {
            "strongroom serve, and look at what its log says of `acme_failed`".to_owned()
        }
        Tls::Given(_) => format!("put a new one into {}", file.display()),
        Tls::OwnCa(own) => {
            let names: Vec<String> = own.names.iter().map(|it| format!(" --name {it}")).collect();
            format!("strongroom tls own-ca{}", names.concat())
        }
    };
    let risk =
        "Applications cannot reach customers' data, and people learn to click warnings away.";
    let now = SystemClock::new().now();
    let life = CertificateDer::from_pem_file(&file).ok().and_then(|der| life_of(&der));
    let Some(life) = life else {
        let saw = format!("`{}` holds no certificate that can be read", file.display());
        return Some(Check::fail(name, saw, risk, mend));
    };
    let days = life.until.as_ms().saturating_sub(now.as_ms()) / 86_400_000;
    if now < life.from || now >= life.until {
        return Some(Check::fail(name, "it does not count today", risk, mend));
    }
    let saw = format!("{days} days are left");
    let is_ending = days
        < DAYS_LEFT_MIN.min(life.until.as_ms().saturating_sub(life.from.as_ms()) / 86_400_000 / 6);
    Some(if is_ending { Check::fail(name, saw, risk, mend) } else { Check::pass(name, saw) })
}

/// Knocks as a client does, and as one who speaks plainly.
pub(super) async fn server(config: &Config) -> Vec<Check> {
    if let Some(Proxy { socket: Some(path), hosts, .. }) = &config.proxy {
        return vec![by_socket(path, hosts).await];
    }
    let address = knock_at(config.listen);
    let Some(tls) = &config.tls else {
        let host = config.proxy.as_ref().and_then(|proxy| proxy.hosts.first());
        let host = host.map_or_else(|| address.to_string(), HostName::in_url);
        let told = match connect(address).await {
            Ok(stream) => ask(stream, &host).await,
            Err(cause) => Err(cause),
        };
        // `serve` refuses to be readable elsewhere, and holds the folder: it is up.
        let saw = "what is readable is reached from this machine only";
        return vec![answered(&address.to_string(), told), Check::pass("plain", saw)];
    };
    vec![by_tls(tls, config, address).await, plain(address).await]
}

/// Through the handshake of a client that trusts what devices are told to trust.
async fn by_tls(tls: &Tls, config: &Config, address: SocketAddr) -> Check {
    let name = "server";
    let shown = tls.files().certificate;
    let Some(host) = host_in(tls, &shown) else {
        let saw = format!("`{}` names no server to knock for", shown.display());
        return Check::unknown(name, saw, format!("openssl s_client -connect {address}"));
    };
    let Some(roots) = roots(tls) else {
        let saw = "what clients trust the certificate by could not be read";
        return Check::unknown(name, saw, format!("openssl s_client -connect {address}"));
    };
    let told = async {
        let stream = connect(address).await?;
        let server = ServerName::try_from(host.to_string()).map_err(std::io::Error::other)?;
        let stream = connector(roots)?.connect(server, stream).await?;
        let header = config.proxy.as_ref().and_then(|proxy| proxy.hosts.first()).unwrap_or(&host);
        ask(stream, &header.in_url()).await
    };
    match (timely(told).await, tls) {
        // Devices may trust it by an authority that this machine does not know.
        (Err(cause), Tls::Given(_)) if is_certificate(&cause) => Check::unknown(
            name,
            format!("whether clients trust its certificate could not be seen from here: {cause}"),
            format!("curl https://{}:{}/readyz, from a client", host.in_url(), address.port()),
        ),
        (told, _) => answered(&format!("https://{}:{}", host.in_url(), address.port()), told),
    }
}

/// What speaks TLS must not answer who does not.
async fn plain(address: SocketAddr) -> Check {
    let told = async {
        let stream = connect(address).await?;
        ask(stream, "localhost").await
    };
    match timely(told).await {
        Ok(status) => Check::fail(
            "plain",
            format!("it answers plain HTTP with {status} at {address}"),
            "Names, addresses and keys can be read on the network.",
            "stop whatever listens there that is not this server: ss -ltnp",
        ),
        Err(cause) if cause.kind() == std::io::ErrorKind::ConnectionRefused => {
            let saw = format!("nothing listens at {address}");
            Check::unknown("plain", saw, "ss -ltnp")
        }
        Err(_) => Check::pass("plain", "who does not speak TLS is not answered"),
    }
}

async fn by_socket(path: &Path, hosts: &[HostName]) -> Check {
    let host = hosts.first().map(HostName::in_url).unwrap_or_default();
    let told = async { ask(UnixStream::connect(path).await?, &host).await };
    answered(&path.display().to_string(), timely(told).await)
}

fn answered(place: &str, told: std::io::Result<u16>) -> Check {
    let risk = "Applications cannot look customers up.";
    match told {
        Ok(200) => Check::pass("server", format!("it answers at {place}")),
        Ok(status) => {
            let saw = format!("it answers at {place}, and is not ready (status {status})");
            Check::fail("server", saw, risk, "strongroom findings --server URL --key-file FILE")
        }
        Err(cause) => {
            let saw = format!("nothing right answers at {place}: {cause}");
            Check::fail("server", saw, risk, "look at the log of `strongroom serve`")
        }
    }
}

/// Asks whether it is ready; the status.
async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin, host: &str) -> std::io::Result<u16> {
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let asked = async {
        stream.write_all(request.as_bytes()).await?;
        let mut line = [0; STATUS_LINE_SIZE_BYTES];
        stream.read_exact(&mut line).await?;
        let line = String::from_utf8_lossy(&line);
        let status = line.strip_prefix("HTTP/1.1 ").and_then(|status| status.parse().ok());
        status.ok_or_else(|| std::io::Error::other("the answer is not HTTP"))
    };
    timely(asked).await
}

async fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    timely(TcpStream::connect(address)).await
}

async fn timely<T>(work: impl Future<Output = std::io::Result<T>>) -> std::io::Result<T> {
    tokio::time::timeout(PATIENCE, work).await?
}

/// Where this machine reaches a server that listens everywhere.
fn knock_at(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// A name that the certificate is for.
fn host_in(tls: &Tls, shown: &Path) -> Option<HostName> {
    match tls {
        Tls::Acme(acme) => acme.names.first().cloned(),
        Tls::Given(_) => {
            let der = CertificateDer::from_pem_file(shown).ok()?;
            names_of(&der).into_iter().find(|name| matches!(name, HostName::Dns(_)))
        }
        Tls::OwnCa(own) => own.names.first().cloned(),
    }
}

fn roots(tls: &Tls) -> Option<RootCertStore> {
    let mut roots = RootCertStore::empty();
    match tls {
        Tls::OwnCa(own) => {
            let der = CertificateDer::from_pem_file(own.folder.join(AUTHORITY_FILE)).ok()?;
            roots.add(der).ok()?;
        }
        Tls::Acme(_) | Tls::Given(_) => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    (!roots.is_empty()).then_some(roots)
}

fn connector(roots: RootCertStore) -> std::io::Result<TlsConnector> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(std::io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Whether a handshake failed for the certificate that was shown.
fn is_certificate(cause: &std::io::Error) -> bool {
    let inner = cause.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    matches!(inner, Some(rustls::Error::InvalidCertificate(_)))
}

const DAYS_LEFT_MIN: i64 = 14;
const PATIENCE: Duration = Duration::from_secs(5);
/// `HTTP/1.1 200`.
const STATUS_LINE_SIZE_BYTES: usize = 12;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::routing::get as on_get;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::crypto::aws_lc_rs::kx_group::{X25519, X25519MLKEM768};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, NamedGroup, ProtocolVersion, RootCertStore, SupportedProtocolVersion};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{NOON, exchange, get, wrapped};
use crate::ctx::Time;
use crate::error::Error;
use crate::web::{Call, Listen, Secure, read_tls, serve};

/// An authority, a certificate of it for `localhost`, and the files of both.
struct Papers {
    folder: TempDir,
    authority: CertificateDer<'static>,
    authority_pem: String,
    leaf_pem: String,
    key_pem: String,
}

impl Papers {
    /// Valid through all of 2026.
    fn new() -> Self {
        let authority_key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = params.self_signed(&authority_key).unwrap();
        let issuer = Issuer::new(params, authority_key);
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_before = date_time_ymd(2026, 1, 1);
        params.not_after = date_time_ymd(2027, 1, 1);
        let leaf = params.signed_by(&key, &issuer).unwrap();
        Self {
            folder: tempfile::tempdir().unwrap(),
            authority: authority.der().clone(),
            authority_pem: authority.pem(),
            leaf_pem: leaf.pem(),
            key_pem: key.serialize_pem(),
        }
    }

    fn write(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    fn read(&self, chain: &str, key: &str, mode: u32, now: Time) -> Result<(), Error> {
        let chain = self.write("chain.pem", chain, 0o644);
        read_tls(&chain, &self.write("key.pem", key, mode), now).map(|_| ())
    }

    /// Serves with these papers, and answers how to reach it.
    fn open(&self) -> std::net::SocketAddr {
        let chain = format!("{}{}", self.leaf_pem, self.authority_pem);
        let chain = self.write("chain.pem", &chain, 0o644);
        let tls = read_tls(&chain, &self.write("key.pem", &self.key_pem, 0o600), NOON).unwrap();
        let listen = Listen::bind("0.0.0.0:0".parse().unwrap(), Some(tls)).unwrap();
        let port = listen.address().unwrap().port();
        let answer = |call: Call| async move {
            format!("{:?}", call.peer.map(|peer| peer.secure == Secure::Tls))
        };
        let router = wrapped(Router::new().route("/x", on_get(answer)));
        tokio::spawn(serve(listen, router, std::future::pending()));
        ([127, 0, 0, 1], port).into()
    }

    async fn connect(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        protocols: &[&str],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.clone()).unwrap();
        let mut provider = rustls::crypto::aws_lc_rs::default_provider();
        // As browsers rank them.
        provider.kx_groups = vec![X25519MLKEM768, X25519];
        let verifier = rustls::client::WebPkiServerVerifier::builder_with_provider(
            Arc::new(roots),
            Arc::new(provider.clone()),
        );
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(versions)
            .unwrap()
            .with_webpki_verifier(verifier.build().unwrap())
            .with_no_client_auth();
        // The papers are of 2026, whatever the year of this run.
        config.time_provider = Arc::new(InTwentyTwentySix);
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let stream = TcpStream::connect(self.open()).await?;
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }
}

#[derive(Debug)]
struct InTwentyTwentySix;

impl rustls::time_provider::TimeProvider for InTwentyTwentySix {
    fn current_time(&self) -> Option<rustls::pki_types::UnixTime> {
        let since = std::time::Duration::from_millis(NOON.as_ms().unsigned_abs());
        Some(rustls::pki_types::UnixTime::since_unix_epoch(since))
    }
}

#[tokio::test]
async fn tls_13_is_spoken_and_withstands_a_quantum_computer() {
    let papers = Papers::new();
    let stream = papers.connect(&[&rustls::version::TLS13], &["http/1.1"]).await.unwrap();
    let (_, session) = stream.get_ref();
    assert_eq!(session.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    let group = session.negotiated_key_exchange_group().unwrap().name();
    assert_eq!(group, NamedGroup::X25519MLKEM768);
    let answer = exchange(stream, get("/x")).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "Some(true)"));
    assert_eq!(answer.header("strict-transport-security"), Some("max-age=31536000"));
}

#[tokio::test]
async fn tls_12_is_spoken_with_forward_secrecy() {
    let papers = Papers::new();
    let stream = papers.connect(&[&rustls::version::TLS12], &["http/1.1"]).await.unwrap();
    let (_, session) = stream.get_ref();
    assert_eq!(session.protocol_version(), Some(ProtocolVersion::TLSv1_2));
    let suite = format!("{:?}", session.negotiated_cipher_suite().unwrap().suite());
    assert!(suite.starts_with("TLS_ECDHE_"), "{suite}");
    assert_eq!(exchange(stream, get("/x")).await.status, 200);
}

#[tokio::test]
async fn http_2_is_preferred_and_works() {
    let papers = Papers::new();
    let stream = papers.connect(rustls::ALL_VERSIONS, &["http/1.1", "h2"]).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let io = TokioIo::new(stream);
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    for (method, length) in [("GET", "10"), ("HEAD", "10")] {
        let request = hyper::Request::builder().method(method).uri("https://localhost/x");
        let request = request.body(axum::body::Body::empty()).unwrap();
        let answer = sender.send_request(request).await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-length"], length);
        assert!(answer.headers().contains_key("strict-transport-security"));
    }
}

/// A peer that answers every ping and asks for nothing.
#[tokio::test]
async fn an_idle_connection_of_http_2_ends() {
    let papers = Papers::new();
    let stream = papers.connect(rustls::ALL_VERSIONS, &["h2"]).await.unwrap();
    let io = TokioIo::new(stream);
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = hyper::Request::get("https://localhost/x").body(axum::body::Body::empty());
    assert_eq!(sender.send_request(request.unwrap()).await.unwrap().status(), 200);
    tokio::time::pause();
    let limit = std::time::Duration::from_secs(150);
    let ended = tokio::time::timeout(limit, connection).await;
    assert!(ended.is_ok(), "the server keeps it for ever");
    assert!(sender.is_closed());
}

#[tokio::test]
async fn a_client_that_speaks_something_else_is_refused() {
    let papers = Papers::new();
    assert!(papers.connect(rustls::ALL_VERSIONS, &["smtp"]).await.is_err());
}

/// RFC 8446, section 4.1.2: a hello without `supported_versions` offers its `legacy_version` at most.
#[tokio::test]
async fn older_versions_are_refused() {
    let papers = Papers::new();
    let mut answers = Vec::new();
    for version in [[3, 0], [3, 1], [3, 2], [3, 3]] {
        let mut hello = version.to_vec();
        hello.extend([7; 32]);
        hello.extend([0]); // No session id.
        hello.extend([0, 4, 0xc0, 0x2b, 0xc0, 0x09]); // ECDHE_ECDSA with AES-GCM and AES-CBC.
        hello.extend([1, 0]); // No compression.
        hello.extend([0, 22]);
        hello.extend([0, 10, 0, 4, 0, 2, 0, 23]); // The group P-256.
        hello.extend([0, 11, 0, 2, 1, 0]); // Points uncompressed.
        hello.extend([0, 13, 0, 4, 0, 2, 4, 3]); // ECDSA with P-256 and SHA-256.
        let length = u8::try_from(hello.len()).unwrap();
        let mut record = vec![22, 3, 1, 0, length + 4, 1, 0, 0, length];
        record.append(&mut hello);
        let mut stream = TcpStream::connect(papers.open()).await.unwrap();
        stream.write_all(&record).await.unwrap();
        let mut answer = vec![0; 7];
        stream.read_exact(&mut answer).await.unwrap();
        answers.push(answer);
    }
    // The same hello is good for TLS 1.2: a handshake record. Before it, one alert: fatal,
    // protocol_version (RFC 8446, section 6).
    let taken = answers.pop().unwrap();
    assert_eq!(taken.first(), Some(&22));
    for answer in answers {
        assert!(answer.starts_with(&[21]) && answer.ends_with(&[2, 70]), "{answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_does_not_come_is_given_up() {
    let mut stream = TcpStream::connect(Papers::new().open()).await.unwrap();
    stream.write_all(&[22, 3, 1]).await.unwrap();
    let limit = std::time::Duration::from_secs(15);
    let ended = tokio::time::timeout(limit, stream.read(&mut [0; 1])).await;
    assert_eq!(ended.expect("the server waits for ever").unwrap_or(0), 0);
}

#[test]
fn bad_papers_are_refused_with_the_cure() {
    let papers = Papers::new();
    let (leaf, authority, key) = (&papers.leaf_pem, &papers.authority_pem, &papers.key_pem);
    let chain = format!("{leaf}{authority}");
    assert!(papers.read(&chain, key, 0o600, NOON).is_ok());
    assert!(papers.read(leaf, key, 0o400, NOON).is_ok(), "an authority need not be in the chain");

    let other = Papers::new();
    let broken_key = key.replacen("\n", "\n!", 1);
    let wrong_order = format!("{authority}{leaf}");
    let bad = [
        (wrong_order.as_str(), key.as_str(), 0o600, NOON, "bad_certificate", "wrong order"),
        (key, key, 0o600, NOON, "bad_certificate", "no certificate"),
        ("", key, 0o600, NOON, "bad_certificate", "no certificate"),
        ("-----BEGIN CERTIFICATE-----\nAA", key, 0o600, NOON, "bad_certificate", "not PEM"),
        (&chain, &other.key_pem, 0o600, NOON, "bad_key", "does not belong"),
        (&chain, key, 0o640, NOON, "bad_key", "chmod 600"),
        (&chain, key, 0o604, NOON, "bad_key", "chmod 600"),
        (&chain, leaf, 0o600, NOON, "bad_key", "no private key"),
        (&chain, &broken_key, 0o600, NOON, "bad_key", "no private key"),
        (&chain, key, 0o600, NOON.plus_days(200), "bad_certificate", "has expired"),
        (&chain, key, 0o600, NOON.plus_days(-200), "bad_certificate", "not valid yet"),
        (leaf, key, 0o600, NOON.plus_days(200), "bad_certificate", "has expired"),
    ];
    for (chain, key, mode, now, code, part) in bad {
        let error = papers.read(chain, key, mode, now).unwrap_err();
        assert_eq!(error.code, code, "{}", error.detail);
        assert!(error.detail.contains(part), "{part} in {}", error.detail);
        assert!(error.detail.contains(".pem`"), "it names the file: {}", error.detail);
        let told = format!("{error:?}");
        assert!(!key.lines().nth(1).is_some_and(|line| told.contains(line)), "the key is told");
    }
    let missing = papers.folder.path().join("none.pem");
    assert_eq!(read_tls(&missing, &missing, NOON).unwrap_err().code, "bad_certificate");
    let certificate = papers.write("chain.pem", &chain, 0o644);
    assert_eq!(read_tls(&certificate, &missing, NOON).unwrap_err().code, "bad_key");
    let folder = papers.folder.path();
    assert_eq!(read_tls(folder, &missing, NOON).unwrap_err().code, "bad_certificate");
}

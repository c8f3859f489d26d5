//! A server elsewhere, over HTTP/1.1: plain on the loopback alone, TLS with a named authority beyond.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::HOST;
use axum::http::uri::{Authority, Scheme};
use axum::http::{HeaderValue, Request, Uri};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{Answer, read_whole};
use crate::cli::failure::Failure;
use crate::web::REQUEST_TIME_MS_MAX;

pub(super) struct There {
    authority: Authority,
    tls: Option<TlsConnector>,
    connection: Option<SendRequest<Body>>,
}

impl There {
    /// Only looks at the address; the first call connects.
    pub(super) fn to(server: &str, ca: Option<&Path>) -> Result<Self, Failure> {
        let wrong = || Failure::usage("`--server` is an address like http://127.0.0.1:8720");
        let uri: Uri = server.parse().map_err(|_| wrong())?;
        let has_path = !matches!(uri.path(), "" | "/") || uri.query().is_some();
        let authority = uri.authority().filter(|it| !it.as_str().contains('@') && !has_path);
        let authority = authority.ok_or_else(wrong)?.clone();
        let tls = match (uri.scheme(), ca) {
            (Some(scheme), None) if *scheme == Scheme::HTTP => None,
            (Some(scheme), Some(ca)) if *scheme == Scheme::HTTPS => Some(trusting(ca)?),
            (Some(scheme), None) if *scheme == Scheme::HTTPS => {
                let sentence = "name the certificate that signed the server's with `--ca FILE`";
                return Err(Failure::usage(sentence));
            }
            _ => return Err(wrong()),
        };
        Ok(Self { authority, tls, connection: None })
    }

    pub(super) async fn call(&mut self, mut request: Request<Body>) -> Result<Answer, Failure> {
        let host = HeaderValue::from_str(self.authority.as_str()).map_err(|_| no_answer())?;
        request.headers_mut().insert(HOST, host);
        // A connection that idled too long was closed by the server; nothing was sent on it yet.
        let live = match self.connection.take() {
            Some(mut live) => live.ready().await.is_ok().then_some(live),
            None => None,
        };
        let mut live = match live {
            Some(live) => live,
            None => self.connect().await?,
        };
        let asked =
            async { read_whole(live.send_request(request).await.map_err(|_| no_answer())?).await };
        let limit = Duration::from_millis(REQUEST_TIME_MS_MAX.saturating_mul(2));
        let answer = tokio::time::timeout(limit, asked).await.map_err(|_| no_answer())??;
        self.connection = Some(live);
        Ok(answer)
    }

    async fn connect(&self) -> Result<SendRequest<Body>, Failure> {
        let address = &self.authority;
        let cannot = |cause: &dyn std::fmt::Display| {
            Failure::new("cannot_connect", format!("no server answers at `{address}`: {cause}"))
        };
        let default_port = if self.tls.is_some() { 443 } else { 80 };
        let host = address.host().trim_matches(['[', ']']);
        let port = address.port_u16().unwrap_or(default_port);
        let connecting = TcpStream::connect((host, port));
        let stream = tokio::time::timeout(CONNECT_TIME, connecting)
            .await
            .map_err(|_| cannot(&"it took longer than 10 seconds"))?
            .map_err(|cause| cannot(&cause))?;
        stream.set_nodelay(true)?;
        let Some(tls) = &self.tls else {
            // What the name led to counts, not how it reads: the key would travel readable.
            if !stream.peer_addr()?.ip().is_loopback() {
                let sentence = "plain http:// goes to this machine alone, or the key could be read \
                                on the way; use https:// with `--ca`";
                return Err(Failure::usage(sentence));
            }
            return begin(stream).await;
        };
        let name = ServerName::try_from(host.to_owned()).map_err(|cause| cannot(&cause))?;
        begin(tls.connect(name, stream).await.map_err(|cause| cannot(&cause))?).await
    }
}

async fn begin<S>(stream: S) -> Result<SendRequest<Body>, Failure>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|_| no_answer())?;
    // It ends with its sender; what breaks it is told to the request that waits.
    tokio::spawn(connection);
    Ok(sender)
}

fn trusting(ca: &Path) -> Result<TlsConnector, Failure> {
    let wrong = |problem: &str| {
        let sentence = format!("the certificate `{}` {problem}", ca.display());
        Failure::new("bad_certificate", sentence)
    };
    let mut text = Vec::new();
    File::open(ca)
        .and_then(|file| file.take(CA_SIZE_BYTES_MAX).read_to_end(&mut text))
        .map_err(|cause| wrong(&format!("cannot be read: {cause}")))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let certificate = certificate.map_err(|_| wrong("is not PEM"))?;
        roots.add(certificate).map_err(|_| wrong("cannot be used to trust a server"))?;
    }
    if roots.is_empty() {
        return Err(wrong("holds no certificate"));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| wrong("cannot be used: TLS is not available"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

fn no_answer() -> Failure {
    let sentence = "the server did not answer to the end; what was asked may have been done, so look \
                    before you ask again";
    Failure::new("no_answer", sentence)
}

/// On a network that works a connection takes milliseconds.
const CONNECT_TIME: Duration = Duration::from_secs(10);
/// Hundreds of certificates.
const CA_SIZE_BYTES_MAX: u64 = 1024 * 1024;

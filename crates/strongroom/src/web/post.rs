//! Posting to somebody else's server over TLS: outlets, and whatever else leaves by HTTPS.
//!
//! What must never happen here: a connection without TLS or to a name the certificate is not for, an
//! address inside the network reached by a name from outside, an answer's text kept or told.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::header::{CONTENT_TYPE, HOST};
use axum::http::{HeaderName, HeaderValue, Request};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::error::Error;

/// Which addresses a name may lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Private networks and this machine as well.
    PrivateToo,
    /// Public ones alone.
    PublicOnly,
}

/// What a post came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Posted {
    /// A status came back.
    Answered(u16),
    /// It was sent, and nobody knows whether it arrived.
    Lost,
}

/// Posts to one address, on a connection that is kept.
pub struct Poster {
    url: String,
    host: String,
    port: u16,
    reach: Reach,
    tls: TlsConnector,
    live: Option<SendRequest<Full<Bytes>>>,
}

/// Trusts the certificates of a PEM file, which a setting of this name may give, or without one those
/// the system trusts. There is no way to trust whoever answers.
pub fn trusted_by(ca: Option<&Path>, setting: &str) -> Result<Arc<ClientConfig>, Error> {
    let refuse = |path: &Path, problem: &str| {
        let detail = format!("`{setting}` names `{}`: {problem}", path.display());
        Error::unprocessable("bad_certificate", detail)
    };
    let mut roots = RootCertStore::empty();
    match ca {
        Some(path) => {
            let text = std::fs::read(path).map_err(|cause| refuse(path, &cause.to_string()))?;
            for certificate in CertificateDer::pem_slice_iter(&text) {
                let certificate = certificate.map_err(|_| refuse(path, "it is not PEM"))?;
                roots.add(certificate).map_err(|_| refuse(path, "it holds no certificate"))?;
            }
        }
        None => {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
        }
    }
    if roots.is_empty() {
        let detail = format!(
            "no certificate to trust servers by was found; install the system's (ca-certificates), \
             or name a PEM file with `{setting}`"
        );
        return Err(Error::unprocessable("bad_certificate", detail));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Error::internal)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

impl Poster {
    /// To an `https://` address whose host and port are these. Connects with the first post.
    pub fn new(url: &str, host: &str, port: u16, reach: Reach, tls: Arc<ClientConfig>) -> Self {
        let (url, host) = (url.to_owned(), host.to_owned());
        Self { url, host, port, reach, tls: TlsConnector::from(tls), live: None }
    }

    /// Sees to a connection, before anything is let out for it. Fails with a stable code.
    pub async fn ready(&mut self) -> Result<(), &'static str> {
        if let Some(live) = &mut self.live
            && live.ready().await.is_ok()
        {
            return Ok(());
        }
        self.live = None;
        let connecting = tokio::time::timeout(CONNECT_TIME, self.connect());
        self.live = Some(connecting.await.map_err(|_| "connect_timeout")??);
        Ok(())
    }

    /// Posts a JSON body with more headers. [`Poster::ready`] comes first.
    pub async fn post(&mut self, headers: &[(&'static str, &str)], body: &[u8]) -> Posted {
        let Some(mut live) = self.live.take() else { return Posted::Lost };
        let Some(request) = self.request(headers, body) else { return Posted::Lost };
        let answered = async {
            let response = live.send_request(request).await.ok()?;
            let status = response.status().as_u16();
            // The text is not looked at; it is read so that the connection can be used again.
            let read = Limited::new(response.into_body(), ANSWER_SIZE_BYTES_MAX).collect().await;
            Some((status, read.is_ok()))
        };
        match tokio::time::timeout(ANSWER_TIME, answered).await {
            Ok(Some((status, reusable))) => {
                self.live = reusable.then_some(live);
                Posted::Answered(status)
            }
            Ok(None) | Err(_) => Posted::Lost,
        }
    }

    fn request(
        &self,
        headers: &[(&'static str, &str)],
        body: &[u8],
    ) -> Option<Request<Full<Bytes>>> {
        let path = self.url.strip_prefix("https://")?;
        let path = path.find(['/', '?']).and_then(|at| path.get(at..)).unwrap_or("/");
        let path = if path.starts_with('?') { format!("/{path}") } else { path.to_owned() };
        let host = self.url.strip_prefix("https://")?.split(['/', '?']).next()?;
        let mut request = Request::post(path)
            .header(HOST, host)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::copy_from_slice(body)))
            .ok()?;
        for (name, value) in headers {
            let value = HeaderValue::from_str(value).ok()?;
            request.headers_mut().insert(HeaderName::from_static(name), value);
        }
        Some(request)
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, &'static str> {
        let found = tokio::net::lookup_host((self.host.as_str(), self.port)).await;
        let addresses: Vec<SocketAddr> = found.map_err(|_| "name_not_found")?.collect();
        // The addresses that were looked at are those connected to: a second look-up may lead elsewhere.
        let is_allowed = |it: &SocketAddr| self.reach == Reach::PrivateToo || is_public(it.ip());
        let addresses: Vec<SocketAddr> = addresses.into_iter().filter(is_allowed).collect();
        if addresses.is_empty() {
            return Err("private_address");
        }
        let stream = connect_to_one(&addresses).await.ok_or("cannot_connect")?;
        stream.set_nodelay(true).map_err(|_| "cannot_connect")?;
        let name = ServerName::try_from(self.host.clone()).map_err(|_| "bad_name")?;
        let stream = self.tls.connect(name, stream).await.map_err(|_| "tls_refused")?;
        let (sender, connection) =
            handshake(TokioIo::new(stream)).await.map_err(|_| "cannot_connect")?;
        // It ends with its sender; what breaks it is told to the request that waits.
        tokio::spawn(connection);
        Ok(sender)
    }
}

/// One that answers, in the order they were found: many names lead to an IPv6 address first, and many
/// machines reach none.
pub(super) async fn connect_to_one(addresses: &[SocketAddr]) -> Option<TcpStream> {
    for address in addresses {
        let connecting = tokio::time::timeout(ADDRESS_TIME, TcpStream::connect(address));
        if let Ok(Ok(stream)) = connecting.await {
            return Some(stream);
        }
    }
    None
}

/// Whether a host is written as the number of an address that is not of the open network. Where a
/// name leads is seen when it is connected to.
pub fn is_private_number(host: &str) -> bool {
    host.parse().is_ok_and(|address| !is_public(address))
}

/// Whether an address is one of the open network: nothing of ours, nothing reserved.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            let reserved = matches!(
                (a, b, c),
                (0 | 10 | 127 | 224..=255, _, _)
                    | (100, 64..=127, _)
                    | (169, 254, _)
                    | (172, 16..=31, _)
                    | (192, 168, _)
                    | (192, 0, 0 | 2)
                    | (198, 18..=19, _)
                    | (198, 51, 100)
                    | (203, 0, 113)
            );
            !reserved
        }
        IpAddr::V6(v6) => {
            if let Some(inner) = v6.to_ipv4_mapped() {
                return is_public(IpAddr::V4(inner));
            }
            // Global unicast is 2000::/3; of it neither tunnels into IPv4 nor documentation.
            let [first, second, ..] = v6.segments();
            (0x2000..0x4000).contains(&first)
                && first != 0x2002
                && !(first == 0x2001 && (second == 0 || second == 0x0db8))
        }
    }
}

/// On a network that works a connection takes milliseconds.
const CONNECT_TIME: Duration = Duration::from_secs(10);

/// Of it so much for one address: one that swallows everything leaves time for the next.
const ADDRESS_TIME: Duration = Duration::from_secs(4);

/// A vendor that thinks longer is asked again.
const ANSWER_TIME: Duration = Duration::from_secs(30);

/// More than any answer nobody reads.
const ANSWER_SIZE_BYTES_MAX: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_are_not_of_the_open_network_are_told() {
        let private = [
            "127.0.0.1",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.1.1",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "192.0.2.1",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:db8::1",
            "2001::1",
        ];
        for text in private {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
        for text in ["1.1.1.1", "172.32.0.1", "100.63.0.1", "2606:4700::1", "::ffff:8.8.8.8"] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }
}

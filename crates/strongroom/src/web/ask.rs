//! Asking a server of one's own choice for a short text: a witness.
//!
//! What must never happen here: a plain connection beyond this machine, an answer longer than we asked
//! for, a wait without an end.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::header::{CONTENT_TYPE, HOST};
use axum::http::{Request, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use crate::error::Error;
use crate::web::host::HostName;
use crate::web::post::{connect_to_one, trusted_by};

/// Where a server is asked: `https://HOST[:PORT][/PATH]`, or `http://` on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct AskAddress {
    is_plain: bool,
    host: String,
    port: u16,
    /// Without a slash at its end.
    path: String,
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The status.
    pub status: u16,
    /// The content type as it was named; empty without one.
    pub kind: String,
    /// The body.
    pub text: String,
}

/// Asks one server, on a connection of its own each time.
pub struct Asker {
    address: AskAddress,
    tls: Option<TlsConnector>,
}

impl AskAddress {
    /// Reads one; the text of a refusal names the cure.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |problem: &str| {
            Err(format!("`{text}` is no address to ask: {problem}, like `https://witness.example`"))
        };
        let is_plain = match text.split_once("://") {
            Some(("https", _)) => false,
            Some(("http", _)) => true,
            _ => return wrong("it begins with `https://`"),
        };
        if text.len() > ADDRESS_SIZE_BYTES_MAX || !text.bytes().all(|it| it.is_ascii_graphic()) {
            return wrong("it is at most 300 characters of plain ASCII");
        }
        let uri: Option<Uri> = text.parse().ok();
        let parts = uri.as_ref().and_then(|uri| Some((uri, uri.authority()?)));
        let Some((uri, authority)) = parts else { return wrong("it is scheme, host and path") };
        if authority.as_str().contains('@') || uri.query().is_some() || text.contains('#') {
            return wrong("no user, `?` or `#` stands in it");
        }
        let name = authority.host().trim_matches(['[', ']']);
        let Ok(host) = HostName::parse(name) else { return wrong("its host is no name") };
        let is_here = match &host {
            HostName::Address(address) => address.is_loopback(),
            HostName::Dns(name) => name == "localhost",
        };
        if is_plain && !is_here {
            return wrong(
                "beyond this machine nothing travels readable, so it begins with `https://`",
            );
        }
        let port = authority.port_u16().unwrap_or(if is_plain { 80 } else { 443 });
        let path = uri.path().trim_end_matches('/').to_owned();
        Ok(Self { is_plain, host: host.to_string(), port, path })
    }

    fn authority(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

impl TryFrom<String> for AskAddress {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl fmt::Display for AskAddress {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_plain { "http" } else { "https" };
        write!(out, "{scheme}://{}{}", self.authority(), self.path)
    }
}

impl Asker {
    /// Trusts the certificates of a PEM file, which a setting of this name gives, or without one those
    /// the system trusts.
    pub fn new(address: AskAddress, ca: Option<&Path>, setting: &str) -> Result<Self, Error> {
        let tls = match address.is_plain {
            true => None,
            false => Some(TlsConnector::from(trusted_by(ca, setting)?)),
        };
        Ok(Self { address, tls })
    }

    /// Posts a text below the address. Fails with a stable word for what went wrong on the way.
    pub async fn post(&self, path: &str, text: String) -> Result<Told, &'static str> {
        let asked = tokio::time::timeout(ASK_TIME, self.attempt(path, text));
        asked.await.map_err(|_| "it did not answer in time")?
    }

    async fn attempt(&self, path: &str, text: String) -> Result<Told, &'static str> {
        let AskAddress { host, port, is_plain, .. } = &self.address;
        let found = tokio::net::lookup_host((host.as_str(), *port)).await;
        // Nothing leaves this machine readable, wherever the name `localhost` leads to.
        let is_allowed = |it: &SocketAddr| !is_plain || it.ip().to_canonical().is_loopback();
        let addresses: Vec<SocketAddr> =
            found.map_err(|_| "its name was not found")?.filter(is_allowed).collect();
        let stream = connect_to_one(&addresses).await.ok_or("it cannot be connected to")?;
        stream.set_nodelay(true).map_err(|_| "it cannot be connected to")?;
        let request = self.request(path, text).ok_or("its address cannot be asked")?;
        let Some(tls) = &self.tls else { return converse(stream, request).await };
        let name = ServerName::try_from(host.clone()).map_err(|_| "its name is none of TLS")?;
        let stream = tls.connect(name, stream).await;
        converse(stream.map_err(|_| "its certificate is not trusted")?, request).await
    }

    fn request(&self, path: &str, text: String) -> Option<Request<Full<Bytes>>> {
        Request::post(format!("{}{path}", self.address.path))
            .header(HOST, self.address.authority())
            .header(CONTENT_TYPE, "text/plain; charset=utf-8")
            .body(Full::new(Bytes::from(text)))
            .ok()
    }
}

async fn converse<I>(stream: I, request: Request<Full<Bytes>>) -> Result<Told, &'static str>
where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let broken = "the connection broke off";
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|_| broken)?;
    // It ends with its sender.
    tokio::spawn(connection);
    let (head, body) = sender.send_request(request).await.map_err(|_| broken)?.into_parts();
    let body = Limited::new(body, ANSWER_SIZE_BYTES_MAX).collect().await;
    let body = body.map_err(|_| "its answer broke off or is too long")?.to_bytes();
    let text = String::from_utf8(body.to_vec()).map_err(|_| "its answer is no text")?;
    let kind = head.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let (status, kind) = (head.status.as_u16(), kind.unwrap_or_default().to_owned());
    Ok(Told { status, kind, text })
}

/// Longer than any address somebody types.
const ADDRESS_SIZE_BYTES_MAX: usize = 300;

/// A dozen signature lines are 2 KiB.
const ANSWER_SIZE_BYTES_MAX: usize = 64 * 1024;

/// With the connection. A start waits for it.
const ASK_TIME: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_https_or_of_this_machine() {
        for (text, shown) in [
            ("https://witness.example", "https://witness.example:443"),
            ("https://10.0.0.7:8443/logs/", "https://10.0.0.7:8443/logs"),
            ("http://127.0.0.1:8730", "http://127.0.0.1:8730"),
            ("http://[::1]:8730/a", "http://[::1]:8730/a"),
            ("http://localhost/", "http://localhost:80"),
        ] {
            assert_eq!(AskAddress::parse(text).unwrap().to_string(), shown);
        }
        for text in [
            "",
            "witness.example",
            "ftp://witness.example",
            "http://witness.example",
            "http://10.0.0.7:8730",
            "http://127.0.0.1.witness.example",
            "https://",
            "https://user@witness.example",
            "https://witness.example/?a",
            "https://witness.example/#a",
            "https://*.example",
            "https://witness.example/a b",
            "https://witness.example/\u{1b}[2J",
            "https://witness.example\n",
        ] {
            assert!(AskAddress::parse(text).is_err(), "{text:?}");
        }
    }
}

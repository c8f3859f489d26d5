//! A proxy in front of this server: by which names it asks, and what it may say about the caller.
//!
//! It may say the caller's address, for the ledger and for counting strangers. What must never happen
//! here: that word taken from anybody else, or anything granted because of an address.

use std::net::IpAddr;

use axum::http::header::HOST;
use axum::http::{HeaderMap, HeaderName, Request};

use crate::error::Error;
use crate::web::host::HostName;

/// The proxies in front, and the names the world knows this server by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Front {
    /// Where a proxy connects from; whoever comes through the Unix socket is one.
    pub proxies: Vec<IpAddr>,
    /// The `Host` a request must carry.
    pub hosts: Vec<HostName>,
}

/// Marks a request that asks for a host which this server is not.
#[derive(Debug, Clone, Copy)]
pub(super) struct Misdirected;

impl Front {
    /// The caller's address: what a listed proxy appended last to `X-Forwarded-For`, else the peer's.
    /// What stands further left was written by the caller and counts for nothing.
    pub(super) fn network(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Option<IpAddr> {
        if peer.is_some_and(|peer| !self.proxies.contains(&peer)) {
            return peer;
        }
        let lines = headers.get_all(FORWARDED_FOR).iter().rev();
        for text in lines.flat_map(|line| line.to_str().unwrap_or_default().rsplit(',')) {
            // A word that is no address ends the part that proxies of ours wrote.
            let Ok(address) = text.trim().parse::<IpAddr>() else { return peer };
            let address = address.to_canonical();
            if !self.proxies.contains(&address) {
                return Some(address);
            }
        }
        peer
    }

    /// Whether a request names this server, once and no other.
    pub(super) fn is_for_us<B>(&self, request: &Request<B>) -> bool {
        let mut headers = request.headers().get_all(HOST).iter();
        // HTTP/2 carries it in the address.
        let host = match request.uri().authority() {
            Some(authority) => Some(authority.as_str()),
            None => headers.next().and_then(|value| value.to_str().ok()),
        };
        let is_ours = |host: &str| self.hosts.iter().any(|name| name.is_host(host));
        host.is_some_and(is_ours) && headers.all(|more| more.to_str().is_ok_and(is_ours))
    }
}

/// What a misdirected request is told; the host it asked for is not repeated.
pub(super) fn misdirected() -> Error {
    let detail = "this request names a host that is not in `proxy.hosts` of the configuration; have \
                  the proxy pass on the name it is asked by, or add that name";
    Error::bad_request("wrong_host", detail)
}

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

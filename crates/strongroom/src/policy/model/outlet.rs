//! Where values may go without anyone here seeing them.

use std::collections::BTreeSet;

use super::{Field, Name};

/// A way out for some fields, for one purpose, to one vendor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outlet {
    /// For people; the name where the policy gives none.
    pub title: String,
    /// What it is for: whoever sends through it must act for this.
    pub purpose: Name<super::Purpose>,
    /// What may go out; never empty.
    pub fields: BTreeSet<Name<Field>>,
    /// Where to.
    pub to: Destination,
    /// How many different customers a key may send to on a day of the business.
    pub per_day: u32,
}

/// Where an outlet leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A vendor's own interface.
    Https(HttpsAddress),
    /// The mail server of the configuration, to the customer's own address.
    Smtp,
}

impl Destination {
    /// The word of the policy.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Https(address) => address.as_str(),
            Self::Smtp => "smtp",
        }
    }
}

/// An address that begins with `https://` and names a host; nobody's name stands in it, because the
/// policy is the same for every customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpsAddress {
    text: String,
    host: String,
    port: u16,
}

impl HttpsAddress {
    /// None for anything else: another scheme, a user, a fragment, blanks, more than 300 letters.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("https://")?;
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}#@".contains(&byte);
        if text.len() > ADDRESS_SIZE_MAX || !rest.bytes().all(plain) {
            return None;
        }
        let authority = rest.split(['/', '?']).next()?;
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port.parse().ok()?),
            _ => (authority, 443),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return None;
        }
        Some(Self { text: text.to_owned(), host: host.to_owned(), port })
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The name or number to connect to.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// 443 where none is named.
    pub fn port(&self) -> u16 {
        self.port
    }
}

const ADDRESS_SIZE_MAX: usize = 300;

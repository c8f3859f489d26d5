//! What a server is called by: a name or an address, as certificates, proxies and callers write it.

use std::fmt;
use std::net::IpAddr;

use serde::Deserialize;

/// A DNS name in lower-case ASCII, or an address.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum HostName {
    /// Like `192.168.1.20`.
    Address(IpAddr),
    /// Like `vault.harbour.example`.
    Dns(String),
}

impl HostName {
    /// Reads one without a port; `*` and empty labels are refused, other letters become Punycode.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            let cure = "a name is like `vault.harbour.example` or `192.168.1.20`: without \
                        `https://`, port and `*`";
            format!("`{text}` is no name of a server; {cure}")
        };
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Address(address.to_canonical()));
        }
        let name = idna::domain_to_ascii(text).map_err(|_| wrong())?;
        let is_label = |label: &str| {
            let inner = label.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-');
            (1..=LABEL_SIZE_BYTES_MAX).contains(&label.len())
                && inner
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        // A last label of digits is an address that did not parse (RFC 3696, section 2).
        let is_number = |label: &str| label.bytes().all(|it| it.is_ascii_digit());
        let is_name = name.len() <= NAME_SIZE_BYTES_MAX
            && name.split('.').all(is_label)
            && !name.rsplit('.').next().is_some_and(is_number);
        if is_name { Ok(Self::Dns(name)) } else { Err(wrong()) }
    }

    /// Whether a `Host` header, with or without a port, names this server.
    pub fn is_host(&self, header: &str) -> bool {
        match self {
            Self::Dns(name) => {
                let host = header.rsplit_once(':').filter(|(_, port)| is_port(port));
                host.map_or(header, |(host, _)| host).eq_ignore_ascii_case(name)
            }
            Self::Address(address) => {
                let bare = header.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
                let parsed = bare.unwrap_or(header).parse::<IpAddr>().ok();
                let with_port = || header.parse::<std::net::SocketAddr>().ok().map(|it| it.ip());
                parsed.or_else(with_port).is_some_and(|it| it.to_canonical() == *address)
            }
        }
    }

    /// As it stands in an address of the web.
    pub fn in_url(&self) -> String {
        match self {
            Self::Address(IpAddr::V6(address)) => format!("[{address}]"),
            Self::Address(address) => address.to_string(),
            Self::Dns(name) => name.clone(),
        }
    }
}

impl TryFrom<String> for HostName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(formatter),
            Self::Dns(name) => formatter.write_str(name),
        }
    }
}

fn is_port(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit())
}

/// RFC 1035, section 2.3.4.
const LABEL_SIZE_BYTES_MAX: usize = 63;
const NAME_SIZE_BYTES_MAX: usize = 253;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_read_and_nothing_else() {
        let good = [
            ("Vault.Harbour.Example", "vault.harbour.example"),
            ("localhost", "localhost"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("192.168.1.20", "192.168.1.20"),
            ("::1", "::1"),
            ("::ffff:10.0.0.1", "10.0.0.1"),
        ];
        for (text, read) in good {
            assert_eq!(HostName::parse(text).unwrap().to_string(), read);
        }
        let bad = ["", "*.example", "a..b", "https://a", "a:8720", "-a", "a-", "10.0.0.300", "a b"];
        for text in bad {
            assert!(HostName::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_host_header_is_compared_with_and_without_its_port() {
        let is_host = |name: &str, header: &str| HostName::parse(name).unwrap().is_host(header);
        assert!(
            is_host("vault.example", "Vault.Example")
                && is_host("vault.example", "vault.example:1")
        );
        assert!(is_host("10.0.0.1", "10.0.0.1:80") && is_host("::1", "[::1]:80"));
        assert!(is_host("::1", "[::1]") && is_host("10.0.0.1", "10.0.0.1"));
        for header in
            ["", "example", "vault.example.", "xvault.example", "vault.example:x", "10.0.0.1"]
        {
            assert!(!is_host("vault.example", header), "{header}");
        }
    }
}

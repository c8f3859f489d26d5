//! How callers reach the server: `[tls]` with one of three sources of a certificate, or `[proxy]`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::web::HostName;

/// Where the server's certificate comes from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "TlsText")]
pub enum Tls {
    /// A public authority, asked over ACME.
    Acme(Acme),
    /// Two PEM files that somebody else renews; they are read again when they change.
    Given(TlsFiles),
    /// A small authority of this installation's own.
    OwnCa(OwnCa),
}

/// The two PEM files of a TLS server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate and those that signed it, the server's own first.
    pub certificate: PathBuf,
    /// Its private key; mode 600.
    pub key: PathBuf,
}

/// A small authority of our own, whose certificate each device is told to trust once.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnCa {
    /// The folder of the authority and the server's certificate; never inside the data folder.
    #[serde(default = "default_folder")]
    pub folder: PathBuf,
    /// The names and addresses the server is reached by; the authority can sign for no other.
    pub names: Vec<HostName>,
}

/// Certificates of a public authority (RFC 8555).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acme {
    /// The folder of the account and the certificate; never inside the data folder.
    #[serde(default = "default_folder")]
    pub folder: PathBuf,
    /// The public names.
    pub names: Vec<HostName>,
    /// That the authority's terms of service are agreed to. It asks; nobody can say it for you.
    pub agree_to_terms: bool,
    /// Where the authority describes itself; Let's Encrypt if left out.
    #[serde(default = "default_directory")]
    pub directory: String,
    /// Where it may write to, like `mailto:it@harbour.example`.
    pub contact: Option<String>,
    /// Where its questions are answered: port 80 of the public name must lead here.
    #[serde(default = "default_challenges")]
    pub challenges: SocketAddr,
    /// The certificates (PEM) its directory is trusted by; those the system trusts if left out.
    pub ca_file: Option<PathBuf>,
}

/// A proxy in front, which ends TLS.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proxy {
    /// The names the proxy is asked by; a request for another host is refused.
    pub hosts: Vec<HostName>,
    /// The Unix socket to serve on, instead of `listen`.
    pub socket: Option<PathBuf>,
    /// The group, by name or number, whose members may use the socket: the proxy's.
    pub group: Option<String>,
    /// The addresses proxies connect from; what they say about the caller's address is believed.
    #[serde(default)]
    pub from: Vec<IpAddr>,
}

impl Tls {
    /// The setting that is a path, with its name.
    pub(super) fn paths(&mut self) -> Vec<(&'static str, &mut PathBuf)> {
        match self {
            Self::Acme(acme) => {
                let mut paths = vec![("tls.acme.folder", &mut acme.folder)];
                paths.extend(acme.ca_file.as_mut().map(|path| ("tls.acme.ca_file", path)));
                paths
            }
            Self::Given(files) => {
                vec![("tls.certificate", &mut files.certificate), ("tls.key", &mut files.key)]
            }
            Self::OwnCa(own) => vec![("tls.own_ca.folder", &mut own.folder)],
        }
    }

    /// The files a server reads.
    pub fn files(&self) -> TlsFiles {
        match self {
            Self::Acme(Acme { folder, .. }) | Self::OwnCa(OwnCa { folder, .. }) => {
                // One file, so that certificate and key change in one step.
                let both = folder.join(SERVER_FILE);
                TlsFiles { certificate: both.clone(), key: both }
            }
            Self::Given(files) => files.clone(),
        }
    }

    /// What is wrong beyond the form.
    pub(super) fn problem(&self, data_dir: &Path) -> Option<String> {
        let (section, folder, names) = match self {
            Self::Acme(acme) => ("tls.acme", &acme.folder, &acme.names),
            Self::Given(_) => return None,
            Self::OwnCa(own) => ("tls.own_ca", &own.folder, &own.names),
        };
        if folder.starts_with(data_dir) {
            return Some(format!(
                "`{section}.folder` lies inside `data_dir`, so every copy of the data would carry \
                 its keys; name another folder"
            ));
        }
        if names.is_empty() || names.len() > NAMES_MAX {
            return Some(format!("`{section}.names` holds 1 to {NAMES_MAX} names"));
        }
        let Self::Acme(acme) = self else { return None };
        if !acme.agree_to_terms {
            let problem = "`tls.acme.agree_to_terms` is false; the authority signs only for who \
                           agrees to its terms: read them and set it to true";
            return Some(problem.to_owned());
        }
        if !acme.directory.starts_with("https://") {
            return Some("`tls.acme.directory` does not begin with `https://`".to_owned());
        }
        let is_address = |name: &HostName| matches!(name, HostName::Address(_));
        acme.names.iter().any(is_address).then(|| {
            "`tls.acme.names` holds an address; a public authority is asked for names, or use \
             `[tls.own_ca]`"
                .to_owned()
        })
    }
}

impl Proxy {
    /// What is wrong beyond the form.
    pub(super) fn problem(&self, tls: Option<&Tls>) -> Option<&'static str> {
        if self.hosts.is_empty() || self.hosts.len() > NAMES_MAX {
            return Some("`proxy.hosts` holds 1 to 50 names: those the proxy is asked by");
        }
        match (&self.socket, &self.group) {
            (Some(_), None) => Some("`proxy.socket` needs `proxy.group`: the group of the proxy"),
            (None, Some(_)) => Some("`proxy.group` is for `proxy.socket`, which is missing"),
            (Some(_), Some(_)) if tls.is_some() => {
                Some("`proxy.socket` and `[tls]` exclude each other: the proxy ends TLS")
            }
            (Some(_), Some(_)) if !self.from.is_empty() => {
                Some("`proxy.socket` and `proxy.from` exclude each other")
            }
            (None, None) if self.from.is_empty() => Some(
                "`[proxy]` needs `socket` and `group`, or `from`: the addresses proxies connect from",
            ),
            _ => None,
        }
    }
}

/// As it stands in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TlsText {
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    own_ca: Option<OwnCa>,
    acme: Option<Acme>,
}

impl TryFrom<TlsText> for Tls {
    type Error = &'static str;

    fn try_from(text: TlsText) -> Result<Self, &'static str> {
        match text {
            TlsText {
                certificate: Some(certificate),
                key: Some(key),
                own_ca: None,
                acme: None,
            } => Ok(Self::Given(TlsFiles { certificate, key })),
            TlsText { certificate: None, key: None, own_ca: Some(own), acme: None } => {
                Ok(Self::OwnCa(own))
            }
            TlsText { certificate: None, key: None, own_ca: None, acme: Some(acme) } => {
                Ok(Self::Acme(acme))
            }
            TlsText { certificate: Some(_), key: None, own_ca: None, acme: None } => {
                Err("missing field `key`")
            }
            TlsText { certificate: None, key: Some(_), own_ca: None, acme: None } => {
                Err("missing field `certificate`")
            }
            _ => Err("`[tls]` needs exactly one: `certificate` and `key`, or `[tls.own_ca]`, or \
                      `[tls.acme]`"),
        }
    }
}

fn default_folder() -> PathBuf {
    PathBuf::from("tls")
}

fn default_directory() -> String {
    "https://acme-v02.api.letsencrypt.org/directory".to_owned()
}

fn default_challenges() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::UNSPECIFIED, 80))
}

/// Certificate and key together.
const SERVER_FILE: &str = "server.pem";
/// Half of what public authorities allow in one certificate.
const NAMES_MAX: usize = 50;

#[cfg(test)]
mod tests {
    use crate::config::tests::{SMALL, read};

    use super::*;

    #[test]
    fn each_road_is_read() {
        let own =
            read(format!("{SMALL}[tls.own_ca]\nnames = [\"vault.lan\", \"10.0.0.5\"]")).unwrap();
        let Some(Tls::OwnCa(own)) = own.tls else { panic!("{own:?}") };
        assert!(own.folder.is_absolute() && own.folder.ends_with("tls"));
        assert_eq!(own.names.len(), 2);

        let text = "[tls.acme]\nnames = [\"vault.example\"]\nagree_to_terms = true";
        let acme = read(format!("{SMALL}{text}")).unwrap().tls.unwrap();
        let files = acme.files();
        assert!(files.certificate == files.key && files.key.ends_with("tls/server.pem"));
        let Tls::Acme(acme) = acme else { panic!("{acme:?}") };
        assert_eq!(acme.challenges, "0.0.0.0:80".parse().unwrap());
        assert!(acme.directory.contains("letsencrypt"));

        let text = "[proxy]\nsocket = \"api.sock\"\ngroup = \"www-data\"\nhosts = [\"a.example\"]";
        let proxy = read(format!("{SMALL}{text}")).unwrap().proxy.unwrap();
        assert!(proxy.socket.unwrap().is_absolute());
        let text = "[proxy]\nfrom = [\"127.0.0.1\"]\nhosts = [\"a.example\"]";
        assert_eq!(read(format!("{SMALL}{text}")).unwrap().proxy.unwrap().from.len(), 1);
    }

    #[test]
    fn half_a_road_is_refused_with_its_cure() {
        let acme = "[tls.acme]\nagree_to_terms = true\n";
        let proxy = "[proxy]\nhosts = [\"a.example\"]\n";
        let bad = [
            ("[tls]".to_owned(), "exactly one"),
            (
                "[tls]\ncertificate = \"a\"\nkey = \"b\"\n[tls.own_ca]\nnames = [\"a\"]".to_owned(),
                "exactly one",
            ),
            ("[tls.own_ca]\nnames = []".to_owned(), "holds 1 to 50 names"),
            ("[tls.own_ca]\nnames = [\"*.a\"]".to_owned(), "is no name of a server"),
            (
                "[tls.own_ca]\nnames = [\"a\"]\nfolder = \"data/tls\"".to_owned(),
                "inside `data_dir`",
            ),
            ("[tls.acme]\nnames = [\"a.example\"]\nagree_to_terms = false".to_owned(), "read them"),
            (format!("{acme}names = [\"10.0.0.1\"]"), "holds an address"),
            (format!("{acme}names = [\"a\"]\ndirectory = \"http://a\""), "`https://`"),
            (format!("{acme}names = [\"a\"]\ninsecure = true"), "unknown field `insecure`"),
            (proxy.to_owned(), "or `from`"),
            (format!("{proxy}socket = \"a\""), "needs `proxy.group`"),
            (format!("{proxy}group = \"a\""), "is for `proxy.socket`"),
            (
                format!("{proxy}socket = \"a\"\ngroup = \"b\"\nfrom = [\"::1\"]"),
                "exclude each other",
            ),
            (
                format!("{proxy}socket = \"a\"\ngroup = \"b\"\n[tls.own_ca]\nnames = [\"a\"]"),
                "ends TLS",
            ),
            ("[proxy]\nhosts = []\nfrom = [\"::1\"]".to_owned(), "1 to 50"),
        ];
        for (text, part) in bad {
            let error = read(format!("{SMALL}{text}")).unwrap_err();
            assert!(error.detail.contains(part), "{part} in {}", error.detail);
        }
    }
}

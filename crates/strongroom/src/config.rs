//! The one configuration file. What stands in it is what counts: no variable of the environment
//! changes a setting, and a key nobody knows is an error, because a misspelt safeguard is none.

mod database;
mod roads;
mod seal;
mod secrets;
mod watched;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::db::Server;
use crate::error::Error;

pub use database::Database;
pub use roads::{Acme, OwnCa, Proxy, Tls, TlsFiles};
pub use seal::{SealKind, Sealing};
pub use secrets::read_secret;
pub use watched::Watched;

/// How this installation runs. Every path is absolute.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The folder of `strongroom.db` and `keys.db`.
    pub data_dir: PathBuf,
    /// The file that the seal of the root key is read from, unless `seal` says how else.
    pub key_file: Option<PathBuf>,
    /// What opens the installation instead of a key file.
    pub seal: Option<Sealing>,
    /// The server that holds the data; absent where `strongroom.db` in the data folder does.
    pub database: Option<Database>,
    /// The server that holds the keys; absent where `keys.db` in the data folder does.
    pub key_database: Option<Database>,
    /// The data policy that `policy apply` reads.
    pub policy: PathBuf,
    /// Where to serve; beyond the loopback only with `tls`.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// Absent for a server on the loopback.
    pub tls: Option<Tls>,
    /// Absent where nothing stands between the callers and this server.
    pub proxy: Option<Proxy>,
    /// How backups are made; hourly without a word.
    #[serde(default)]
    pub backup: Backups,
    /// The mail server that outlets send through.
    pub smtp: Option<Smtp>,
    /// Where numbers are shown to whoever watches the server; nowhere if left out.
    pub metrics: Option<Metrics>,
    /// How outlets that lead to an `https://` address are connected, by their names.
    #[serde(default)]
    pub outlets: BTreeMap<String, OutletConnection>,
    /// How the receivers of webhooks are reached.
    #[serde(default)]
    pub webhooks: Webhooks,
    /// Who cosigns the ledger; nobody if left out.
    pub witness: Option<Watched>,
}

/// How a server makes its backups.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Backups {
    /// The folder they go to.
    pub to: PathBuf,
    /// Minutes between two, 5 to 1440: what is lost at most.
    pub every_minutes: u32,
    /// Days a key backup is kept, 1 to 365: after so many an erasure has reached every backup.
    pub keep_keys_days: u32,
    /// Days a data backup is kept, 1 to 3650.
    pub keep_data_days: u32,
    /// A program, by its whole path, and its arguments, which take a copy of each pair to another machine;
    /// nobody if left out.
    pub command: Vec<String>,
}

impl Default for Backups {
    fn default() -> Self {
        let to = PathBuf::from("backups");
        let command = Vec::new();
        Self { to, every_minutes: 60, keep_keys_days: 14, keep_data_days: 35, command }
    }
}

impl Backups {
    fn problem(&self) -> Option<String> {
        let limits = [
            ("every_minutes", self.every_minutes, 5..=1440),
            ("keep_keys_days", self.keep_keys_days, 1..=365),
            ("keep_data_days", self.keep_data_days, 1..=3650),
        ];
        for (key, value, limit) in limits {
            if !limit.contains(&value) {
                let (least, most) = (limit.start(), limit.end());
                return Some(format!("`backup.{key}` is {value}; it goes from {least} to {most}"));
            }
        }
        // Else which program it is depends on where the server was started.
        let program = self.command.first()?;
        let problem = "`backup.command` is a list: a program by its whole path, then its arguments";
        (!Path::new(program).is_absolute()).then(|| problem.to_owned())
    }
}

/// The mail server of outlets with `to = "smtp"`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Smtp {
    /// Its name; the certificate must be for it.
    pub host: String,
    /// 465 with `tls`, 587 with `starttls`.
    pub port: u16,
    /// How the connection is protected.
    #[serde(default)]
    pub encryption: Encryption,
    /// Who we are to it, if it asks.
    pub user: Option<String>,
    /// The file that holds the password; mode 600.
    pub password_file: Option<PathBuf>,
    /// The certificate (PEM) that signed the server's; those the system trusts if left out.
    pub ca: Option<PathBuf>,
    /// Whom mail is from, like `Harbour Books <news@harbour.example>`.
    pub from: String,
    /// How many connections at a time, 1 to 16.
    #[serde(default = "default_connections")]
    pub connections: u8,
}

/// How a connection to a mail server is protected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encryption {
    /// Not at all; to this machine alone.
    None,
    /// After a plain greeting.
    StartTls,
    /// From the first byte.
    #[default]
    Tls,
}

/// How one HTTPS outlet is connected.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutletConnection {
    /// The certificate (PEM) that signed the vendor's; those the system trusts if left out.
    pub ca: Option<PathBuf>,
    /// The file that holds the token sent as `Authorization: Bearer`; mode 600.
    pub token_file: Option<PathBuf>,
    /// Whether the vendor may be on a private network or this machine.
    #[serde(default)]
    pub allow_private_address: bool,
}

/// How the receivers of webhooks are reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhooks {
    /// The certificate (PEM) that signed theirs; those the system trusts if left out.
    pub ca: Option<PathBuf>,
    /// Whether they may be on a private network or this machine.
    #[serde(default)]
    pub allow_private_address: bool,
}

/// Where numbers are shown to whoever watches the server.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// An address of its own; beyond the loopback only with `token_file` and `tls`.
    pub listen: SocketAddr,
    /// The file that holds the token asked for as `Authorization: Bearer`; mode 600.
    pub token_file: Option<PathBuf>,
}

impl Metrics {
    /// Whether only this machine reaches it.
    pub fn is_local(&self) -> bool {
        self.listen.ip().to_canonical().is_loopback()
    }

    fn problem(&self, tls: Option<&Tls>) -> Option<&'static str> {
        if self.is_local() {
            return None;
        }
        match (&self.token_file, tls) {
            (None, _) => Some(
                "`metrics.listen` is beyond this machine, so `metrics.token_file` has to name the \
                 file of a token; or listen on 127.0.0.1",
            ),
            (Some(_), None) => Some(
                "`metrics.listen` is beyond this machine, where a token must not travel readable: \
                 set `[tls]`, or listen on 127.0.0.1 and let the proxy lead there",
            ),
            (Some(_), Some(_)) => None,
        }
    }
}

impl Config {
    /// Reads a TOML file of at most 64 KiB. Relative paths in it start at its folder.
    ///
    /// Fails with `bad_config`, naming file, line and cure.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let path = std::path::absolute(path).map_err(|cause| cannot_read(path, &cause))?;
        let text = read_text(&path)?;
        let mut config: Self = toml::from_str(&text).map_err(|e| refuse(&path, &text, &e))?;
        let folder = path.parent().unwrap_or(&path);
        for (key, setting) in config.paths() {
            if setting.as_os_str().is_empty() {
                return Err(bad_config(&path, &format!("`{key}` is empty; name a path")));
            }
            *setting = folder.join(&*setting);
        }
        let seal = seal::problem(config.key_file.as_deref(), config.seal.as_ref());
        if let Some(problem) = config.backup.problem().or(seal.map(str::to_owned)) {
            return Err(bad_config(&path, &problem));
        }
        let proxy = config.proxy.as_ref().and_then(|it| it.problem(config.tls.as_ref()));
        let tls = config.tls.as_ref().and_then(|it| it.problem(&config.data_dir));
        let metrics = config.metrics.as_ref().and_then(|it| it.problem(config.tls.as_ref()));
        let witness = config.witness.as_ref().and_then(Watched::problem);
        let database = config.database.as_ref().and_then(|it| it.problem("database"));
        let keys = config.key_database.as_ref().and_then(|it| it.problem("key_database"));
        if let Some(problem) =
            tls.or(proxy.or(metrics).map(str::to_owned)).or(witness).or(database).or(keys)
        {
            return Err(bad_config(&path, &problem));
        }
        Ok(config)
    }

    /// The way to the server that holds the data, if one does.
    pub fn server(&self) -> Result<Option<Server>, Error> {
        self.database.as_ref().map(|it| it.server("database")).transpose()
    }

    /// The way to the server that holds the keys, if one does.
    pub fn key_server(&self) -> Result<Option<Server>, Error> {
        self.key_database.as_ref().map(|it| it.server("key_database")).transpose()
    }

    fn paths(&mut self) -> Vec<(&'static str, &mut PathBuf)> {
        let mut paths = vec![
            ("data_dir", &mut self.data_dir),
            ("policy", &mut self.policy),
            ("backup.to", &mut self.backup.to),
        ];
        paths.extend(self.key_file.as_mut().map(|path| ("key_file", path)));
        let sealing = self.seal.as_mut().and_then(|seal| seal.file.as_mut());
        paths.extend(sealing.map(|path| ("seal.file", path)));
        let database = self.database.as_mut();
        let names = ["database.password_file", "database.ca"];
        paths.extend(database.into_iter().flat_map(|it| it.paths(names)));
        let keys = self.key_database.as_mut();
        let names = ["key_database.password_file", "key_database.ca"];
        paths.extend(keys.into_iter().flat_map(|it| it.paths(names)));
        if let Some(tls) = &mut self.tls {
            paths.extend(tls.paths());
        }
        if let Some(smtp) = &mut self.smtp {
            paths.extend(smtp.password_file.as_mut().map(|path| ("smtp.password_file", path)));
            paths.extend(smtp.ca.as_mut().map(|path| ("smtp.ca", path)));
        }
        for outlet in self.outlets.values_mut() {
            paths.extend(outlet.token_file.as_mut().map(|path| ("outlets.token_file", path)));
            paths.extend(outlet.ca.as_mut().map(|path| ("outlets.ca", path)));
        }
        let witness_ca = self.witness.as_mut().and_then(|it| it.ca.as_mut());
        paths.extend(witness_ca.map(|path| ("witness.ca", path)));
        paths.extend(self.webhooks.ca.as_mut().map(|path| ("webhooks.ca", path)));
        let token = self.metrics.as_mut().and_then(|metrics| metrics.token_file.as_mut());
        paths.extend(token.map(|path| ("metrics.token_file", path)));
        let socket = self.proxy.as_mut().and_then(|proxy| proxy.socket.as_mut());
        paths.extend(socket.map(|path| ("proxy.socket", path)));
        paths
    }
}

fn read_text(path: &Path) -> Result<String, Error> {
    let file = File::open(path).map_err(|cause| cannot_read(path, &cause))?;
    let mut text = Vec::new();
    let limit = FILE_SIZE_BYTES_MAX.saturating_add(1);
    file.take(limit).read_to_end(&mut text).map_err(|cause| cannot_read(path, &cause))?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > FILE_SIZE_BYTES_MAX {
        let problem =
            format!("it is larger than {FILE_SIZE_BYTES_MAX} bytes; is it the right file?");
        return Err(bad_config(path, &problem));
    }
    String::from_utf8(text).map_err(|_| bad_config(path, "it is not UTF-8; save it as such"))
}

/// The configuration holds no customer's data, so what its author wrote may be repeated.
fn refuse(path: &Path, text: &str, error: &toml::de::Error) -> Error {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = before.matches('\n').count().saturating_add(1);
    // toml's multi-line messages draw the place; one line says it.
    let message = error.message().replace('\n', ", ");
    let cure = if message.starts_with("unknown field") {
        "; correct the name or remove the line"
    } else {
        ""
    };
    bad_config(path, &format!("line {line}: {message}{cure}"))
}

fn cannot_read(path: &Path, cause: &std::io::Error) -> Error {
    bad_config(path, &format!("it cannot be read: {cause}; `strongroom init` writes one"))
}

fn bad_config(path: &Path, problem: &str) -> Error {
    let detail = format!("the configuration `{}`: {problem}", path.display());
    Error::unprocessable("bad_config", detail)
}

fn default_connections() -> u8 {
    2
}

fn default_listen() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 8720))
}

/// A hundred times what a configuration with every setting and a comment on each needs.
const FILE_SIZE_BYTES_MAX: u64 = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn read(text: impl AsRef<[u8]>) -> Result<Config, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("strongroom.toml");
        std::fs::write(&path, text).unwrap();
        let config = Config::read(&path);
        if let Ok(config) = &config {
            assert_eq!(
                config.data_dir,
                folder.path().join("data"),
                "it starts at the file's folder"
            );
        }
        config
    }

    #[test]
    fn a_small_file_is_enough() {
        let config = read(SMALL).unwrap();
        assert_eq!(config.listen, "127.0.0.1:8720".parse().unwrap());
        assert_eq!(config.key_file.as_deref(), Some(Path::new("/etc/strongroom/key")));
        assert_eq!(config.tls, None);
        assert!(config.backup.to.is_absolute() && config.backup.to.ends_with("backups"));
        assert_eq!(config.backup.every_minutes, 60);
    }

    #[test]
    fn every_setting_is_read() {
        let text = format!(
            "listen = \"[::]:443\"\n{SMALL}[tls]\ncertificate = \"/tls/a.pem\"\nkey = \"tls/b.pem\""
        );
        let config = read(text).unwrap();
        assert_eq!(config.listen, "[::]:443".parse().unwrap());
        let Some(Tls::Given(tls)) = config.tls else { panic!("{config:?}") };
        assert_eq!(tls.certificate, Path::new("/tls/a.pem"));
        assert!(tls.key.is_absolute() && tls.key.ends_with("tls/b.pem"));
    }

    #[test]
    fn metrics_are_for_this_machine_or_behind_token_and_tls() {
        assert_eq!(read(SMALL).unwrap().metrics, None, "nowhere unless asked for");
        for listen in ["127.0.0.1:9464", "[::1]:9464", "[::ffff:127.0.0.1]:9464"] {
            let text = format!("{SMALL}[metrics]\nlisten = \"{listen}\"");
            assert!(read(text).unwrap().metrics.unwrap().is_local(), "{listen}");
        }
        let text = format!(
            "{SMALL}[metrics]\nlisten = \"10.0.0.7:9464\"\ntoken_file = \"metrics.token\"\n\
             [tls]\ncertificate = \"a\"\nkey = \"b\""
        );
        let metrics = read(text).unwrap().metrics.unwrap();
        assert!(!metrics.is_local() && metrics.token_file.unwrap().is_absolute());
    }

    #[test]
    fn connections_of_outlets_are_read() {
        let text = format!(
            "{SMALL}[smtp]\nhost = \"mail.example\"\nport = 465\nuser = \"shop\"\n\
             password_file = \"smtp.password\"\nfrom = \"news@harbour.example\"\n\
             [outlets.courier]\ntoken_file = \"token\"\n"
        );
        let config = read(text).unwrap();
        let smtp = config.smtp.unwrap();
        assert_eq!((smtp.encryption, smtp.connections), (Encryption::Tls, 2), "safe by default");
        assert!(smtp.password_file.unwrap().is_absolute());
        let courier = &config.outlets["courier"];
        assert!(
            !courier.allow_private_address && courier.token_file.as_ref().unwrap().is_absolute()
        );
    }

    #[test]
    fn a_bad_file_is_refused_with_line_and_cure() {
        let bad = [
            (format!("{SMALL}\nlisten_to = 1"), "line 5: unknown field `listen_to`"),
            (format!("{SMALL}\nlisten_to = 1"), "correct the name or remove the line"),
            (format!("{SMALL}[tls]\ncertificate = \"a\"\nkeys = \"b\""), "line 6: unknown field"),
            (format!("{SMALL}[tls]\ncertificate = \"a\""), "missing field `key`"),
            (format!("{SMALL}[tls]\ncertificate = \"a\"\nkey = \"\""), "`tls.key` is empty"),
            (format!("{SMALL}listen = \"localhost\""), "line 4"),
            (format!("{SMALL}listen = 8720"), "line 4"),
            (format!("{SMALL}{SMALL}"), "line 4"),
            (SMALL.replace("\"data\"", "\"\""), "`data_dir` is empty"),
            (SMALL.replace("policy", "# "), "missing field `policy`"),
            (SMALL.replace("= \"data\"", "="), "line 1"),
            (format!("{SMALL}[backup]\nevery_minutes = 1"), "`backup.every_minutes` is 1"),
            (format!("{SMALL}[backup]\nkeep_keys_days = 0"), "`backup.keep_keys_days` is 0"),
            (format!("{SMALL}[backup]\ncommand = [\"rclone\"]"), "by its whole path"),
            (format!("{SMALL}[backup]\nkeep = 1"), "line 5: unknown field `keep`"),
            (
                format!("{SMALL}[metrics]\nlisten = \"0.0.0.0:9464\""),
                "`metrics.token_file` has to name",
            ),
            (
                format!("{SMALL}[metrics]\nlisten = \"10.0.0.7:9464\"\ntoken_file = \"t\""),
                "must not travel readable",
            ),
            (" ".repeat(64 * 1024) + SMALL, "larger than 65536 bytes"),
        ];
        for (text, part) in bad {
            let error = read(&text).unwrap_err();
            assert_eq!(error.code, "bad_config");
            assert!(error.detail.contains(part), "{part} in {}", error.detail);
            assert!(error.detail.contains("strongroom.toml`"), "it names the file");
            assert!(!error.detail.contains('\n'), "{}", error.detail);
        }
        assert!(read(b"\xff").unwrap_err().detail.contains("not UTF-8"));
    }

    #[test]
    fn a_file_that_is_not_there_is_said_to_be_missing() {
        let error = Config::read(Path::new("/none/strongroom.toml")).unwrap_err();
        assert!(error.detail.contains("/none/strongroom.toml"), "{}", error.detail);
        assert!(error.detail.contains("strongroom init"), "{}", error.detail);
    }

    pub(super) const SMALL: &str =
        "data_dir = \"data\"\nkey_file = \"/etc/strongroom/key\"\npolicy = \"policy.toml\"\n";
}

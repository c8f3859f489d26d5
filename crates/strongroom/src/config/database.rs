//! `[database]` and `[key_database]`: the PostgreSQL servers that hold the data and the keys, where one machine
//! is not enough.

use std::path::PathBuf;

use serde::Deserialize;

use crate::config::read_secret;
use crate::db::Server;
use crate::error::Error;
use crate::web::trusted_by;

/// A PostgreSQL server. Data and keys belong at two: whoever copies that of the data has no key.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// `postgres://USER@HOST:PORT/DATABASE`, without a password.
    pub url: String,
    /// The file that holds the password, if the server asks for one; mode 600.
    pub password_file: Option<PathBuf>,
    /// The certificate (PEM) that signed the server's; those the system trusts if left out. With it, TLS is
    /// spoken to a server on this machine too.
    pub ca: Option<PathBuf>,
}

impl Database {
    /// The way there. Nothing is asked yet.
    ///
    /// Fails with `bad_database_url`, `bad_certificate` or `bad_config`, each naming its cure.
    pub fn server(&self, section: &str) -> Result<Server, Error> {
        let password = self.password_file.as_deref();
        let setting = format!("{section}.password_file");
        let password = password.map(|path| read_secret(path, &setting)).transpose()?;
        let is_trusted = self.ca.is_some() || !Server::is_here(&self.url)?;
        let trusted = || trusted_by(self.ca.as_deref(), &format!("{section}.ca"));
        let tls = is_trusted.then(trusted).transpose()?;
        Server::at(&self.url, password.as_ref().map(|it| it.as_bytes()), tls)
    }

    /// What is wrong beyond the form.
    pub(super) fn problem(&self, section: &str) -> Option<String> {
        Server::is_here(&self.url).err().map(|error| format!("`{section}.url`: {}", error.detail))
    }

    /// With what each is called.
    pub(super) fn paths(
        &mut self,
        [password, ca]: [&'static str; 2],
    ) -> impl Iterator<Item = (&'static str, &mut PathBuf)> {
        let named = self.password_file.as_mut().map(|path| (password, path));
        named.into_iter().chain(self.ca.as_mut().map(|path| (ca, path)))
    }
}

#[cfg(test)]
mod tests {
    use crate::config::tests::{SMALL, read};

    #[test]
    fn a_database_server_is_read_whole_or_refused() {
        assert_eq!(read(SMALL).unwrap().database, None);
        let url = "url = \"postgres://strongroom@db.lan/customers\"\n";
        let text =
            format!("{SMALL}[database]\n{url}password_file = \"db.password\"\nca = \"d.pem\"");
        let database = read(text).unwrap().database.unwrap();
        assert!(
            database.ca.unwrap().is_absolute() && database.password_file.unwrap().is_absolute()
        );
        for (text, part) in [
            ("ca = \"d.pem\"".to_owned(), "missing field `url`"),
            (url.replace("room@", "room:secret@"), "it holds a password"),
            (url.replace("/customers", ""), "user or database is missing"),
            (url.replace("postgres:", "mysql:"), "it is not of this form"),
            (format!("{url}pasword_file = \"p\""), "unknown field `pasword_file`"),
            (format!("{url}ca = \"\""), "`database.ca` is empty"),
        ] {
            let error = read(format!("{SMALL}[database]\n{text}")).unwrap_err();
            assert!(error.detail.contains(part), "{part} in {}", error.detail);
            assert!(!error.detail.contains("secret"), "{}", error.detail);
        }
    }
}

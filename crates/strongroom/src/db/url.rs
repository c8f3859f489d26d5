//! Where a server is, as a URL says it.

use tokio_postgres::Config;
use tokio_postgres::config::Host;

use crate::error::Error;

pub(super) fn parse(url: &str) -> Result<Config, Error> {
    // The library's message may repeat a part of the URL.
    let config: Config = url.parse().map_err(|_| bad_url("it is not of this form"))?;
    if config.get_password().is_some() {
        return Err(bad_url("it holds a password; give that in a file of its own"));
    }
    if config.get_user().is_none() || config.get_dbname().is_none() {
        return Err(bad_url("user or database is missing"));
    }
    if config.get_hosts().is_empty() {
        return Err(bad_url("the host is missing"));
    }
    Ok(config)
}

/// Whether what is said to it stays on this machine.
pub(super) fn stays_here(config: &Config) -> bool {
    let mut addresses = config.get_hostaddrs().iter();
    config.get_hosts().iter().all(is_here) && addresses.all(|it| it.is_loopback())
}

fn is_here(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => {
            name == "localhost" || name.parse().is_ok_and(|it: std::net::IpAddr| it.is_loopback())
        }
        Host::Unix(_) => true,
    }
}

pub(super) fn bad_url(what: &str) -> Error {
    let detail = format!(
        "the URL of the database is refused: {what}. It reads postgres://USER@HOST:PORT/DATABASE"
    );
    Error::unprocessable("bad_database_url", detail)
}

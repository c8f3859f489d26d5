//! How a server is reached: opens what the configuration names, and keeps its certificate.

use std::path::Path;
use std::sync::Arc;

use strongroom_crypto::SystemRandom;
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

use crate::access::Desk;
use crate::certificates::{self, Keeper};
use crate::cli::failure::Failure;
use crate::config::{Config, Proxy, Tls, read_secret};
use crate::ctx::SystemClock;
use crate::error::Error;
use crate::web::{Challenges, Front, Listen, serve_challenges};

/// Where metrics are shown, open, and the token they are shown for.
pub(super) struct Watch {
    pub(super) listen: Listen,
    pub(super) token: Option<Zeroizing<String>>,
    pub(super) place: String,
}

/// The road of a configuration, ready to be served on.
pub(super) struct Road {
    keeper: Option<Arc<Keeper>>,
    challenges: Option<JoinHandle<()>>,
}

impl Road {
    /// Sees to a certificate where one is needed; a public authority is asked here already, so that a
    /// server without one never begins.
    pub(super) async fn open(config: &Config) -> Result<Self, Failure> {
        let Some(tls) = &config.tls else { return Ok(Self { keeper: None, challenges: None }) };
        let waiting = Challenges::default();
        let challenges = match tls {
            Tls::Acme(acme) => {
                let (names, port) = (acme.names.clone(), config.listen.port());
                let never = std::future::pending();
                let served =
                    serve_challenges(acme.challenges, waiting.clone(), names, port, never)?;
                Some(tokio::spawn(served))
            }
            Tls::Given(_) | Tls::OwnCa(_) => None,
        };
        let clock = SystemClock::new();
        let keeper = Keeper::open(tls.clone(), waiting, &clock, Arc::new(SystemRandom)).await?;
        Ok(Self { keeper: Some(Arc::new(keeper)), challenges })
    }

    /// Opens the port or the socket; and where that is, in words.
    pub(super) fn listen(&self, config: &Config) -> Result<(Listen, String), Error> {
        if let Some(Proxy { socket: Some(path), group: Some(group), hosts, .. }) = &config.proxy {
            let front = Front { proxies: Vec::new(), hosts: hosts.clone() };
            let listen = Listen::bind_socket(path, group, front)?;
            return Ok((listen, path.display().to_string()));
        }
        let tls = self.keeper.as_ref().map(|keeper| keeper.tls().config());
        let scheme = if tls.is_some() { "https" } else { "http" };
        let mut listen = Listen::bind(config.listen, tls)?;
        if let Some(Proxy { from, hosts, .. }) = &config.proxy {
            let proxies = from.iter().map(|address| address.to_canonical()).collect();
            listen = listen.behind(Front { proxies, hosts: hosts.clone() });
        }
        let address = listen.address().unwrap_or(config.listen);
        Ok((listen, format!("{scheme}://{address}")))
    }

    /// Opens the listener for metrics where the configuration names one, and where that is.
    pub(super) fn listen_for_metrics(&self, config: &Config) -> Result<Option<Watch>, Error> {
        let Some(metrics) = &config.metrics else { return Ok(None) };
        let token = match &metrics.token_file {
            Some(file) => Some(read_token(file)?),
            None => None,
        };
        let tls = self.keeper.as_ref().filter(|_| !metrics.is_local());
        let tls = tls.map(|keeper| keeper.tls().config());
        let scheme = if tls.is_some() { "https" } else { "http" };
        let listen = Listen::bind(metrics.listen, tls)?;
        let address = listen.address().unwrap_or(metrics.listen);
        Ok(Some(Watch { listen, token, place: format!("{scheme}://{address}/metrics") }))
    }

    /// Keeps the certificate while the server runs.
    pub(super) fn keep(self, desk: &Arc<Desk>) -> Keeping {
        let job = self.keeper.map(|it| tokio::spawn(certificates::run(Arc::clone(desk), it)));
        Keeping { tasks: job.into_iter().chain(self.challenges).collect() }
    }
}

fn read_token(file: &Path) -> Result<Zeroizing<String>, Error> {
    let token = read_secret(file, "metrics.token_file")?;
    if token.len() < TOKEN_SIZE_BYTES_MIN {
        let detail = "`metrics.token_file`: its token is shorter than 32 characters, which could be \
                      guessed; `openssl rand -hex 32` makes one";
        return Err(Error::unprocessable("bad_config", detail));
    }
    Ok(token)
}

/// 128 bits in hexadecimal.
const TOKEN_SIZE_BYTES_MIN: usize = 32;

/// What keeps a road; ended before the installation is closed.
pub(super) struct Keeping {
    tasks: Vec<JoinHandle<()>>,
}

impl Keeping {
    pub(super) async fn end(self) {
        for task in self.tasks {
            task.abort();
            // Only a job that has let the desk go lets the installation close.
            let _ = task.await;
        }
    }
}

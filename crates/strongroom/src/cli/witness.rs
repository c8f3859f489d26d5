//! `strongroom witness`: another machine that remembers how far a ledger was.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::json;
use strongroom_crypto::SystemRandom;

use crate::cli::Common;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::serve::{Stop, write_port_file};
use crate::ctx::{Clock, SystemClock};
use crate::web::{Listen, read_tls, serve_few};
use crate::witness::{self, Keeper};

/// A witness, on another machine: it notices when older files are put back
#[derive(Subcommand)]
pub(super) enum Witness {
    /// Make a new witness: a folder with a key of its own
    ///
    /// Example: strongroom witness init --folder /srv/witness
    Init {
        #[command(flatten)]
        place: Place,
        /// What it is called in its cosignatures; a random name without it
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
    /// Have it cosign the ledger of a server from now on
    ///
    /// The server prints the key of its ledger while its witness was not told of it.
    ///
    /// Example: strongroom witness trust --folder /srv/witness 'strongroom/…/1+1a2b3c4d+AS…'
    Trust {
        #[command(flatten)]
        place: Place,
        /// The key of the ledger, as the server printed it
        #[arg(value_name = "KEY")]
        key: String,
    },
    /// Cosign for the servers it was told of, until told to stop (Ctrl-C, or SIGTERM)
    ///
    /// Example: strongroom witness serve --folder /srv/witness --listen 127.0.0.1:8730
    Serve(Box<Serve>),
}

/// Where a witness lives.
#[derive(Args)]
pub(super) struct Place {
    /// Its folder: key and record. Never put back an older copy of it; make a new witness instead
    #[arg(long, value_name = "DIR")]
    folder: PathBuf,
}

/// How it is served.
#[derive(Args)]
pub(super) struct Serve {
    #[command(flatten)]
    place: Place,
    /// Where to serve; beyond this machine only with a certificate
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8730")]
    listen: SocketAddr,
    /// The certificate (PEM) and those that signed it
    #[arg(long, value_name = "FILE", requires = "certificate_key")]
    certificate: Option<PathBuf>,
    /// The private key of the certificate; chmod 600
    #[arg(long, value_name = "FILE", requires = "certificate")]
    certificate_key: Option<PathBuf>,
    /// Write the bound address to this file once requests are answered
    #[arg(long, value_name = "FILE")]
    port_file: Option<PathBuf>,
}

impl Witness {
    /// Whether it goes on until it is told to stop.
    pub(super) fn is_served(&self) -> bool {
        matches!(self, Self::Serve(_))
    }

    pub(super) async fn run(&self, common: &Common, output: &Output) -> Result<(), Failure> {
        if common.server.is_some() || common.key_file.is_some() {
            return Err(Failure::usage("`witness` takes neither `--server` nor `--key-file`"));
        }
        match self {
            Self::Init { place, name } => init(&place.folder, name.as_deref(), output),
            Self::Trust { place, key } => trust(&place.folder, key, output),
            Self::Serve(serve) => serve.run(output).await,
        }
    }
}

fn init(folder: &Path, name: Option<&str>, output: &Output) -> Result<(), Failure> {
    let key = witness::make(folder, name, &SystemRandom)?;
    if output.is_json() {
        return output.value(&json!({ "folder": folder, "key": key.to_string() }));
    }
    output.line(&format!(
        "A new witness lies in {}. Its key:\n\n\
         \x20 {key}\n\n\
         Next:\n\
         \x20 1. Serve it here:                       strongroom witness serve --folder {}\n\
         \x20 2. In strongroom.toml of the server:    [witness]\n\
         \x20                                         url = \"https://…\"   # where this machine is reached\n\
         \x20                                         key = \"{key}\"\n\
         \x20 3. Start the server. It prints the key of its ledger; here, once:\n\
         \x20                                         strongroom witness trust --folder {} KEY",
        folder.display(),
        folder.display(),
        folder.display(),
    ))
}

fn trust(folder: &Path, key: &str, output: &Output) -> Result<(), Failure> {
    let trusted = witness::trust(folder, key, SystemClock::new().now())?;
    if output.is_json() {
        return output.value(&json!({ "log": trusted.origin, "new": trusted.is_new }));
    }
    match trusted.is_new {
        true => output.line(&format!("From now on the ledger {} is cosigned.", trusted.origin)),
        false => output.line(&format!("The ledger {} was trusted already.", trusted.origin)),
    }
}

impl Serve {
    async fn run(&self, output: &Output) -> Result<(), Failure> {
        let clock = Arc::new(SystemClock::new());
        let stop = Stop::watch()?;
        let tls = match (&self.certificate, &self.certificate_key) {
            (Some(certificate), Some(key)) => Some(read_tls(certificate, key, clock.now())?),
            _ => None,
        };
        let scheme = if tls.is_some() { "https" } else { "http" };
        let keeper = Arc::new(Keeper::open(&self.place.folder, clock)?);
        let listen = Listen::bind(self.listen, tls).map_err(plain_refused)?;
        let address = listen.address().unwrap_or(self.listen).to_string();
        if let Some(path) = &self.port_file {
            write_port_file(path, &address)?;
        }
        output.words(&format!(
            "The witness {} answers at {scheme}://{address}; Ctrl-C stops it.",
            keeper.vkey().name()
        ))?;
        serve_few(listen, witness::routes(keeper), stop.asked()).await;
        output.words("Stopped; everything that was cosigned is on disk.")
    }
}

/// The cure of a witness is another one than that of a server.
fn plain_refused(error: crate::error::Error) -> Failure {
    if error.code != "plain_http_refused" {
        return Failure::from(error);
    }
    Failure::new(
        error.code,
        "refusing plain HTTP beyond this machine, where answers could be forged: give \
         `--certificate` and `--certificate-key`, or listen on 127.0.0.1 behind a proxy or a tunnel",
    )
}

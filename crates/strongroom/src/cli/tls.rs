//! `strongroom tls`: a certificate from a small authority of one's own.

use std::path::Path;

use clap::Subcommand;
use serde_json::json;
use strongroom_crypto::SystemRandom;

use crate::certificates::{
    AUTHORITY_FILE, Authority, TRUST_FILE, authority, issue, make_authority, steps,
};
use crate::cli::Common;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::config::OwnCa;
use crate::ctx::{Clock, SystemClock};
use crate::web::HostName;

/// Certificates: how applications and browsers know that they speak to this server
#[derive(Subcommand)]
pub(super) enum Tls {
    /// Make a small authority that can sign for these names only, and the server's certificate
    ///
    /// Where the authority is there already, a new certificate is made and the steps are told again.
    ///
    /// Example: strongroom tls own-ca --name vault.office.lan --name 192.168.1.20
    OwnCa {
        /// A name or address by which the server is reached; several by repeating it
        #[arg(long = "name", required = true, value_name = "HOST", value_parser = HostName::parse)]
        names: Vec<HostName>,
    },
}

impl Tls {
    pub(super) fn run(&self, common: &Common, output: &Output) -> Result<(), Failure> {
        let Self::OwnCa { names } = self;
        let config = std::path::absolute(&common.config)?;
        let folder = config.parent().unwrap_or(Path::new(".")).join("tls");
        let own = OwnCa { folder, names: names.clone() };
        let authority = make(&own)?;
        if output.is_json() {
            return output.value(&json!({
                "authority": own.folder.join(AUTHORITY_FILE),
                "fingerprint": authority.fingerprint,
                "names": names.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "until": authority.until.to_rfc3339(),
                "trust_page": own.folder.join(TRUST_FILE),
            }));
        }
        tell(&own, &authority, output)?;
        let names: Vec<String> = own.names.iter().map(|name| format!("\"{name}\"")).collect();
        output.line(&format!(
            "\nIn {}, if it does not stand there yet:\n\n\
             \x20 listen = \"0.0.0.0:8720\"      # before the first [section]\n\n\
             \x20 [tls.own_ca]\n\
             \x20 names = [{}]\n\n\
             The server renews its certificate by itself, every 60 days.",
            common.config.display(),
            names.join(", ")
        ))
    }
}

/// The authority of a folder, made if there is none, and a fresh certificate of the server.
pub(super) fn make(own: &OwnCa) -> Result<Authority, Failure> {
    let now = SystemClock::new().now();
    if own.folder.join(AUTHORITY_FILE).exists() {
        let known = authority(own)?;
        issue(own, now, &SystemRandom)?;
        return Ok(known);
    }
    Ok(make_authority(own, now, &SystemRandom)?)
}

/// The authority, and how each device comes to trust it.
pub(super) fn tell(own: &OwnCa, authority: &Authority, output: &Output) -> Result<(), Failure> {
    let names: Vec<String> = authority.names.iter().map(ToString::to_string).collect();
    output.line(&format!(
        "An authority of your own, which can sign for {} and nothing else:\n",
        names.join(", ")
    ))?;
    let file = own.folder.join(AUTHORITY_FILE);
    output.rows(&[
        vec!["  certificate".to_owned(), file.display().to_string()],
        vec!["  fingerprint".to_owned(), format!("SHA-256 {}", authority.fingerprint)],
        vec!["  counts until".to_owned(), authority.until.to_rfc3339().chars().take(10).collect()],
        vec!["  to print".to_owned(), own.folder.join(TRUST_FILE).display().to_string()],
    ])?;
    output.line(
        "\nEach device that uses the server is told once to trust it. Carry the certificate there (it is\n\
         no secret), compare the fingerprint, then:",
    )?;
    for step in steps() {
        output.line(&format!("\n{}", step.device))?;
        for line in step.lines {
            output.line(&format!("  {line}"))?;
        }
    }
    Ok(())
}

//! Roads to the server, each driven with the real thing: an authority of our own, a public one that
//! tests run (pebble), a proxy in front (nginx).

mod acme;
mod own_ca;
mod proxy;
mod scan;

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use strongroom::ctx::{Clock, Time};
use strongroom::meter::Meter;
use strongroom::web::{Call, wrap};
use strongroom_crypto::SystemRandom;

/// A program of the system that a test drives. Killed, by its own id, when dropped.
struct Tool(Child);

impl Tool {
    /// Starts one; `None`, said aloud, where it is not installed. `./check` installs it, and builds
    /// with STRONGROOM_TOOLS=required: then its absence is a failure.
    fn start(name: &str, package: &str, prepare: impl FnOnce(&mut Command)) -> Option<Self> {
        if !is_there(name, package) {
            return None;
        }
        let mut command = Command::new(name);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        prepare(&mut command);
        Some(Self(command.spawn().unwrap()))
    }

    /// Waits until something listens at an address, or the program has ended.
    fn wait_for(&mut self, address: SocketAddr) {
        while TcpStream::connect(address).is_err() {
            assert!(self.0.try_wait().unwrap().is_none(), "it ended before it listened");
            std::thread::yield_now();
        }
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn is_there(name: &str, package: &str) -> bool {
    let found = Command::new("sh").args(["-c", "command -v \"$0\"", name]).output().unwrap();
    if found.status.success() {
        return true;
    }
    let said = format!("COULD NOT LOOK: no {name}; apt-get install {package}");
    assert!(option_env!("STRONGROOM_TOOLS") != Some("required"), "{said}");
    println!("{said}");
    false
}

/// Answers at `/x` where the server believes that a request came from.
fn echo(clock: Arc<dyn Clock>) -> Router {
    let answer = |call: Call| async move { format!("{:?}", call.peer.unwrap().network) };
    let meter = Meter::starting_at(clock.now());
    wrap(Router::new().route("/x", get(answer)), clock, Arc::new(SystemRandom), meter)
}

/// The certificate a server shows for a name, to a client that trusts one authority, at a time.
async fn shown(
    address: SocketAddr,
    name: &str,
    authority: &Path,
    now: Time,
) -> Result<Vec<u8>, std::io::Error> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(authority).unwrap() {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.time_provider = Arc::new(At(now));
    let stream = tokio::net::TcpStream::connect(address).await?;
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = connector.connect(ServerName::try_from(name.to_owned()).unwrap(), stream).await?;
    Ok(stream.get_ref().1.peer_certificates().unwrap()[0].to_vec())
}

#[derive(Debug)]
struct At(Time);

impl rustls::time_provider::TimeProvider for At {
    fn current_time(&self) -> Option<UnixTime> {
        let since = std::time::Duration::from_millis(self.0.as_ms().unsigned_abs());
        Some(UnixTime::since_unix_epoch(since))
    }
}

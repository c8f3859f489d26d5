//! TLS from two PEM files: the certificate with its chain, and the key. One file may hold both.
//!
//! TLS 1.3 and 1.2 with forward secrecy, nothing older and no early data. The key exchange that also
//! withstands a quantum computer (X25519MLKEM768) is used with every client that asks for it first,
//! as today's browsers do: rustls 0.23 follows the client's order of groups, so a client that ranks
//! it lower gets what it ranks higher.

use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::kx_group::{SECP256R1, SECP384R1, X25519, X25519MLKEM768};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::{CertifiedKey, SigningKey};
use rustls::{CertificateError, RootCertStore, ServerConfig};
use x509_parser::extensions::GeneralName;
use zeroize::Zeroizing;

use crate::ctx::Time;
use crate::error::Error;
use crate::web::host::HostName;

/// Reads the certificate chain (leaf first) and its key.
///
/// Fails with `bad_certificate` or `bad_key`, naming the file and the cure: not there, too large, not
/// PEM, in the wrong order, expired or not valid yet at `now`; a key that others may read or that
/// belongs to another certificate.
pub fn read_tls(certificate: &Path, key: &Path, now: Time) -> Result<Arc<ServerConfig>, Error> {
    Ok(Tls::read(certificate, key, now)?.config())
}

/// The certificate a server shows; read again from its files when they change, without a restart.
#[derive(Debug)]
pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    shown: Arc<Shown>,
    config: Arc<ServerConfig>,
}

/// From when until when a certificate counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    /// Not before.
    pub from: Time,
    /// Not after.
    pub until: Time,
}

impl Tls {
    /// Reads both files; fails as [`read_tls`] does.
    pub fn read(certificate: &Path, key: &Path, now: Time) -> Result<Self, Error> {
        let shown = Arc::new(Shown(RwLock::new(read_certified(certificate, key, now)?)));
        let builder = ServerConfig::builder_with_provider(Arc::new(provider()))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(Error::internal)?;
        let resolver = Arc::clone(&shown);
        let mut config = builder.with_no_client_auth().with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let (certificate, key) = (certificate.to_owned(), key.to_owned());
        Ok(Self { certificate, key, shown, config: Arc::new(config) })
    }

    /// For a listener. What it shows follows [`Tls::reload`].
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// Reads the files again; whether another certificate is shown from now on. What cannot be used
    /// is an error, and the one from before stays.
    pub fn reload(&self, now: Time) -> Result<bool, Error> {
        let read = read_certified(&self.certificate, &self.key, now)?;
        if read.cert == self.shown.now().cert {
            return Ok(false);
        }
        *self.shown.0.write().unwrap_or_else(PoisonError::into_inner) = read;
        Ok(true)
    }

    /// How long the certificate that is shown counts.
    pub fn life(&self) -> Result<Life, Error> {
        let shown = self.shown.now();
        let leaf = shown.cert.first().ok_or_else(|| {
            bad_certificate(&self.certificate, "holds no certificate; is it the key's file?")
        })?;
        life_of(leaf)
            .ok_or_else(|| bad_certificate(&self.certificate, "holds no X.509 certificate"))
    }
}

/// From when until when a certificate in DER counts; `None` if it is none.
pub fn life_of(certificate: &[u8]) -> Option<Life> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let ms = |at: x509_parser::time::ASN1Time| Time::from_ms(at.timestamp().saturating_mul(1000));
    let validity = parsed.validity();
    Some(Life { from: ms(validity.not_before), until: ms(validity.not_after) })
}

/// The DNS names a certificate in DER is for; none if it is none.
pub fn names_of(certificate: &[u8]) -> Vec<HostName> {
    let Ok((_, parsed)) = x509_parser::parse_x509_certificate(certificate) else {
        return Vec::new();
    };
    let Ok(Some(listed)) = parsed.subject_alternative_name() else { return Vec::new() };
    let names = listed.value.general_names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => HostName::parse(name).ok(),
        _ => None,
    });
    names.collect()
}

/// Answers every greeting with the same certificate: whoever reaches the server may see it.
#[derive(Debug)]
struct Shown(RwLock<Arc<CertifiedKey>>);

impl Shown {
    fn now(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.now())
    }
}

fn read_certified(certificate: &Path, key: &Path, now: Time) -> Result<Arc<CertifiedKey>, Error> {
    let provider = Arc::new(provider());
    let chain = read_chain(certificate)?;
    let signer = read_key(key, &provider)?;
    check_match(certificate, key, &chain, &signer)?;
    check_dates(certificate, &chain, &provider, now)?;
    Ok(Arc::new(CertifiedKey::new(chain, signer)))
}

/// Lists the groups itself, so that no feature flag of rustls decides whether the hybrid is there.
fn provider() -> CryptoProvider {
    CryptoProvider {
        kx_groups: vec![X25519MLKEM768, X25519, SECP256R1, SECP384R1],
        ..rustls::crypto::aws_lc_rs::default_provider()
    }
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let (text, _) = read_file(path).map_err(|problem| bad_certificate(path, &problem))?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|_| bad_certificate(path, "is not PEM; copy it again, whole"))?;
    if chain.is_empty() {
        return Err(bad_certificate(path, "holds no certificate; is it the key's file?"));
    }
    Ok(chain)
}

fn read_key(path: &Path, provider: &CryptoProvider) -> Result<Arc<dyn SigningKey>, Error> {
    let (text, metadata) = read_file(path).map_err(|problem| bad_key(path, &problem))?;
    if metadata.mode() & 0o077 != 0 {
        let problem = format!("can be read by others; run `chmod 600 {}`", path.display());
        return Err(bad_key(path, &problem));
    }
    // The causes quote lines of the file, so they are dropped.
    let key = PrivateKeyDer::from_pem_slice(&text).map_err(|_| {
        bad_key(path, "holds no private key in PEM without a password; is it the certificate?")
    })?;
    provider.key_provider.load_private_key(key).map_err(|_| {
        bad_key(path, "is of a kind TLS does not use; take ECDSA P-256, Ed25519 or RSA 2048 and up")
    })
}

fn check_match(
    certificate: &Path,
    key: &Path,
    chain: &[CertificateDer<'static>],
    signer: &Arc<dyn SigningKey>,
) -> Result<(), Error> {
    let mut matching = chain
        .iter()
        .map(|one| CertifiedKey::new(vec![one.clone()], Arc::clone(signer)).keys_match().is_ok());
    if matching.next() == Some(true) {
        return Ok(());
    }
    if matching.any(|is_match| is_match) {
        let problem = "is in the wrong order; the server's own certificate comes first, then those \
                       that signed it";
        return Err(bad_certificate(certificate, problem));
    }
    let problem = format!("does not belong to the certificate in `{}`", certificate.display());
    Err(bad_key(key, &problem))
}

/// Asks the verifier that clients use, trusting the end of the chain, and listens to what it says
/// about dates alone: whether a client trusts the chain is for the client to know.
fn check_dates(
    path: &Path,
    chain: &[CertificateDer<'static>],
    provider: &Arc<CryptoProvider>,
    now: Time,
) -> Result<(), Error> {
    let (Some((leaf, rest)), Some(last)) = (chain.split_first(), chain.last()) else {
        return Ok(());
    };
    let mut roots = RootCertStore::empty();
    roots.add(last.clone()).map_err(|_| bad_certificate(path, "holds no X.509 certificate"))?;
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
            .build()
            .map_err(Error::internal)?;
    let name = ServerName::try_from("localhost").map_err(Error::internal)?;
    let now_ms = u64::try_from(now.as_ms()).unwrap_or(0);
    let now = UnixTime::since_unix_epoch(Duration::from_millis(now_ms));
    match verifier.verify_server_cert(leaf, rest, &name, &[], now) {
        Err(rustls::Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        )) => Err(bad_certificate(path, "has expired; renew it, or mend this machine's clock")),
        Err(rustls::Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        )) => Err(bad_certificate(path, "is not valid yet; mend this machine's clock, or wait")),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// The content, wiped when dropped, and the facts of the very file that was read.
fn read_file(path: &Path) -> Result<(Zeroizing<Vec<u8>>, Metadata), String> {
    let cannot = |error: std::io::Error| format!("cannot be read: {error}");
    let file = File::open(path).map_err(cannot)?;
    let metadata = file.metadata().map_err(cannot)?;
    if !metadata.is_file() || metadata.len() > FILE_SIZE_BYTES_MAX {
        return Err(format!("is not a file of at most {FILE_SIZE_BYTES_MAX} bytes"));
    }
    // At its full size from the start: a buffer that grows leaves copies of the key behind.
    let size_max = usize::try_from(FILE_SIZE_BYTES_MAX).unwrap_or(0);
    let mut text = Zeroizing::new(Vec::with_capacity(size_max.saturating_add(1)));
    file.take(FILE_SIZE_BYTES_MAX).read_to_end(&mut text).map_err(cannot)?;
    Ok((text, metadata))
}

fn bad_certificate(path: &Path, problem: &str) -> Error {
    let detail = format!("the certificate `{}` {problem}", path.display());
    Error::unprocessable("bad_certificate", detail)
}

fn bad_key(path: &Path, problem: &str) -> Error {
    Error::unprocessable("bad_key", format!("the TLS key `{}` {problem}", path.display()))
}

/// Ten times a chain of four RSA 4096 certificates.
const FILE_SIZE_BYTES_MAX: u64 = 64 * 1024;

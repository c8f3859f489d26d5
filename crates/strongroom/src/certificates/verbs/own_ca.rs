//! A small authority of our own: it can sign for the names it was made for and for nothing else, so
//! that whoever trusts it trusts no more than this server.

use std::fs;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    NameConstraints, SanType, SerialNumber, date_time_ymd,
};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use strongroom_crypto::{Random, random_array};
use x509_parser::extensions::GeneralName;
use zeroize::Zeroizing;

use super::{make_folder, put};
use crate::certificates::model::{Authority, fingerprint};
use crate::certificates::pages::trust_page;
use crate::config::{OwnCa, Tls};
use crate::ctx::Time;
use crate::error::Error;
use crate::web::{HostName, life_of};

/// Makes the authority, the page that tells how to trust it, and a first certificate for the server.
/// Refuses to replace an authority: every device would have to be told again.
pub fn make_authority(own: &OwnCa, now: Time, random: &dyn Random) -> Result<Authority, Error> {
    make_folder(&own.folder)?;
    let certificate = own.folder.join(AUTHORITY_FILE);
    let key_file = own.folder.join(AUTHORITY_KEY_FILE);
    for path in [&certificate, &key_file] {
        if path.exists() {
            let detail = format!(
                "`{}` is there already; nothing was changed. An authority signs for the names it was \
                 made for: for others move its folder away, and have every device trust the new one",
                path.display()
            );
            return Err(Error::conflict("authority_exists", detail));
        }
    }
    let key = KeyPair::generate().map_err(Error::internal)?;
    let mut params = params(now, AUTHORITY_DAYS, random)?;
    params.distinguished_name = authority_name(&own.names, random)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    // Systems hold what it signs to this as well: neither programs nor mail.
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.name_constraints = Some(only(&own.names));
    let made = params.self_signed(&key).map_err(Error::internal)?;
    // The key first: a certificate without its key could not be used and stands in the way.
    put(&key_file, &Zeroizing::new(key.serialize_pem()), 0o600)?;
    put(&certificate, &made.pem(), 0o644)?;
    let authority = authority(own)?;
    put(&own.folder.join(TRUST_FILE), &trust_page(&authority), 0o644)?;
    issue(own, now, random)?;
    Ok(authority)
}

/// The authority of a folder. Fails with `no_authority` where there is none, and with `own_ca_names`
/// where it was made for other names than the configuration has.
pub fn authority(own: &OwnCa) -> Result<Authority, Error> {
    let path = own.folder.join(AUTHORITY_FILE);
    let pem = fs::read_to_string(&path).map_err(|cause| {
        let names: Vec<String> = own.names.iter().map(|name| format!(" --name {name}")).collect();
        let detail = format!(
            "the authority `{}` cannot be read: {cause}; `strongroom tls own-ca{}` makes one",
            path.display(),
            names.concat()
        );
        Error::unprocessable("no_authority", detail)
    })?;
    let damaged = || {
        let detail = format!("`{}` is no certificate of an authority of ours", path.display());
        Error::unprocessable("bad_certificate", detail)
    };
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| damaged())?;
    let until = life_of(&der).ok_or_else(damaged)?.until;
    let names = names_in(&der).ok_or_else(damaged)?;
    let lacks = own.names.iter().find(|name| !names.contains(name));
    if let Some(name) = lacks {
        let detail = format!(
            "the authority `{}` was not made for `{name}` and cannot sign for it; correct \
             `tls.own_ca.names`, or move the folder away and make a new one, which every device has \
             to be told to trust",
            path.display()
        );
        return Err(Error::unprocessable("own_ca_names", detail));
    }
    Ok(Authority { fingerprint: fingerprint(&der), names, until, pem })
}

/// Signs a new certificate, with a new key, for the server; puts it in place once a client that
/// trusts the authority alone accepts it for every name.
pub fn issue(own: &OwnCa, now: Time, random: &dyn Random) -> Result<(), Error> {
    let authority = authority(own)?;
    let path = own.folder.join(AUTHORITY_KEY_FILE);
    let pem = fs::read_to_string(&path).map(Zeroizing::new).map_err(|cause| {
        let detail = format!("the authority's key `{}` cannot be read: {cause}", path.display());
        Error::unprocessable("bad_key", detail)
    })?;
    let bad_key = |_: rcgen::Error| {
        let detail = format!("`{}` is no key of an authority of ours", path.display());
        Error::unprocessable("bad_key", detail)
    };
    let issuer_key = KeyPair::from_pem(&pem).map_err(bad_key)?;
    let issuer = Issuer::from_ca_cert_pem(&authority.pem, issuer_key).map_err(bad_key)?;

    let key = KeyPair::generate().map_err(Error::internal)?;
    let mut params = params(now, SERVER_DAYS, random)?;
    params.distinguished_name = DistinguishedName::new();
    params.subject_alt_names = own.names.iter().map(alternative).collect::<Result<_, _>>()?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let made = params.signed_by(&key, &issuer).map_err(Error::internal)?;
    accept(&authority, made.der(), &own.names, now)?;
    let both = Zeroizing::new(format!("{}{}", made.pem(), key.serialize_pem()));
    put(&Tls::OwnCa(own.clone()).files().certificate, &both, 0o600)
}

/// What is the same for both: dates, and a serial number nobody can guess.
fn params(now: Time, days: i64, random: &dyn Random) -> Result<CertificateParams, Error> {
    let mut serial: [u8; 16] = random_array(random)?;
    // Positive and not zero (RFC 5280, section 4.1.2.2).
    if let Some(first) = serial.first_mut() {
        *first = (*first & 0x7f) | 0x40;
    }
    let mut params = CertificateParams::default();
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    // The clocks of devices go wrong by minutes.
    let from = now.plus_ms(-HOUR_MS);
    let at = |time: Time| {
        let since = u64::try_from(time.as_ms()).unwrap_or(0);
        date_time_ymd(1970, 1, 1) + Duration::from_secs(since / 1000)
    };
    params.not_before = at(from);
    params.not_after = at(from.plus_days(days).plus_ms(-1000));
    Ok(params)
}

/// Tells one authority from another in the lists of a device.
fn authority_name(names: &[HostName], random: &dyn Random) -> Result<DistinguishedName, Error> {
    let [a, b]: [u8; 2] = random_array(random)?;
    let first = names.first().map(ToString::to_string).unwrap_or_default();
    // RFC 5280, appendix A.1, ends a common name at 64 characters.
    let first: String = first.chars().take(40).collect();
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, format!("Strongroom {first} {a:02x}{b:02x}"));
    Ok(name)
}

/// The names and what lies below them, these addresses, and nothing else. A kind of name that no
/// constraint speaks of would be free (RFC 5280, section 4.2.1.10), so each kind is spoken of.
fn only(names: &[HostName]) -> NameConstraints {
    let mut permitted = Vec::new();
    let mut excluded = Vec::new();
    for name in names {
        permitted.push(match name {
            HostName::Address(IpAddr::V4(address)) => {
                GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix(address.octets(), 32))
            }
            HostName::Address(IpAddr::V6(address)) => {
                GeneralSubtree::IpAddress(CidrSubnet::from_v6_prefix(address.octets(), 128))
            }
            HostName::Dns(name) => GeneralSubtree::DnsName(name.clone()),
        });
    }
    if !names.iter().any(|name| matches!(name, HostName::Dns(_))) {
        // A name that nothing can ever have (RFC 2606).
        permitted.push(GeneralSubtree::DnsName("invalid".to_owned()));
    }
    let has = |is_kind: fn(&IpAddr) -> bool| {
        names.iter().any(|name| matches!(name, HostName::Address(it) if is_kind(it)))
    };
    if !has(IpAddr::is_ipv4) {
        excluded.push(GeneralSubtree::IpAddress(CidrSubnet::V4([0; 4], [0; 4])));
    }
    if !has(IpAddr::is_ipv6) {
        excluded.push(GeneralSubtree::IpAddress(CidrSubnet::V6([0; 16], [0; 16])));
    }
    NameConstraints { permitted_subtrees: permitted, excluded_subtrees: excluded }
}

/// What an authority of ours may sign for.
fn names_in(der: &[u8]) -> Option<Vec<HostName>> {
    let (_, parsed) = x509_parser::parse_x509_certificate(der).ok()?;
    let constraints = parsed.name_constraints().ok()??.value;
    let mut names = Vec::new();
    for subtree in constraints.permitted_subtrees.as_ref()? {
        match &subtree.base {
            GeneralName::DNSName("invalid") => {}
            GeneralName::DNSName(name) => names.push(HostName::parse(name).ok()?),
            GeneralName::IPAddress(bytes) => names.push(HostName::Address(address_in(bytes)?)),
            _ => return None,
        }
    }
    Some(names)
}

/// An address and its mask, one after the other.
fn address_in(bytes: &[u8]) -> Option<IpAddr> {
    let (address, _) = bytes.split_at_checked(bytes.len() / 2)?;
    let short = <[u8; 4]>::try_from(address).ok().map(IpAddr::from);
    short.or_else(|| <[u8; 16]>::try_from(address).ok().map(IpAddr::from))
}

fn alternative(name: &HostName) -> Result<SanType, Error> {
    Ok(match name {
        HostName::Address(address) => SanType::IpAddress(*address),
        HostName::Dns(name) => SanType::DnsName(
            name.clone().try_into().map_err(|cause: rcgen::Error| Error::internal(cause))?,
        ),
    })
}

/// Asks the verifier that clients use.
fn accept(
    authority: &Authority,
    leaf: &CertificateDer<'_>,
    names: &[HostName],
    now: Time,
) -> Result<(), Error> {
    let root = CertificateDer::from_pem_slice(authority.pem.as_bytes()).map_err(Error::internal)?;
    let mut roots = RootCertStore::empty();
    roots.add(root).map_err(Error::internal)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(Error::internal)?;
    let now = Duration::from_millis(u64::try_from(now.as_ms()).unwrap_or(0));
    let now = UnixTime::since_unix_epoch(now);
    for name in names {
        let asked = ServerName::try_from(name.to_string()).map_err(Error::internal)?;
        verifier.verify_server_cert(leaf, &[], &asked, &[], now).map_err(|cause| {
            let detail = format!(
                "the own authority's certificate for `{name}` would be refused by clients, so the \
                 one in use stays: {cause}; move its folder away and make a new one"
            );
            Error::unprocessable("own_ca_refused", detail)
        })?;
    }
    Ok(())
}

/// The authority's certificate, for the devices.
pub const AUTHORITY_FILE: &str = "strongroom-ca.crt";
/// How to trust it, to print.
pub const TRUST_FILE: &str = "trust.html";
const AUTHORITY_KEY_FILE: &str = "strongroom-ca.key";

/// Ten years: telling every device again is the most work there is with an authority of one's own.
const AUTHORITY_DAYS: i64 = 3650;
/// What public authorities go to as well; renewed after 60.
const SERVER_DAYS: i64 = 90;
const HOUR_MS: i64 = 3_600_000;

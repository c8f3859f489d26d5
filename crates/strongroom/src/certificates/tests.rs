//! An authority of our own signs for its names alone, and its files are as they should be.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use strongroom_crypto::SystemRandom;
use tempfile::TempDir;

use super::model::{is_due, is_ending};
use super::{AUTHORITY_FILE, TRUST_FILE, authority, issue, make_authority};
use crate::config::OwnCa;
use crate::ctx::Time;
use crate::web::{HostName, Life, life_of};

fn own(folder: &TempDir, names: &[&str]) -> OwnCa {
    let names = names.iter().map(|name| HostName::parse(name).unwrap()).collect();
    OwnCa { folder: folder.path().join("tls"), names }
}

fn leaf(own: &OwnCa) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(own.folder.join("server.pem")).unwrap()
}

/// Whether a client that trusts the authority alone takes a certificate for a name.
fn accepts(own: &OwnCa, leaf: &CertificateDer<'_>, name: &str, now: Time) -> bool {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(own.folder.join(AUTHORITY_FILE)).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
    let now = UnixTime::since_unix_epoch(Duration::from_millis(now.as_ms().unsigned_abs()));
    let name = ServerName::try_from(name.to_owned()).unwrap();
    verifier.build().unwrap().verify_server_cert(leaf, &[], &name, &[], now).is_ok()
}

#[test]
fn the_own_authority_s_certificate_is_taken_for_its_names_for_90_days() {
    let folder = tempfile::tempdir().unwrap();
    for names in [&["vault.lan", "10.0.0.5", "fd00::5"][..], &["vault.lan"], &["10.0.0.5"]] {
        let own = own(&folder, names);
        make_authority(&own, NOON, &SystemRandom).unwrap();
        let leaf = leaf(&own);
        for name in names {
            assert!(accepts(&own, &leaf, name, NOON), "{name} of {names:?}");
            assert!(accepts(&own, &leaf, name, NOON.plus_days(89)));
            assert!(!accepts(&own, &leaf, name, NOON.plus_days(91)));
        }
        let Life { from, until } = life_of(&leaf).unwrap();
        assert!(until.as_ms() - from.as_ms() <= 90 * 86_400_000);
        fs::remove_dir_all(&own.folder).unwrap();
    }
}

#[test]
fn whoever_steals_the_own_authority_can_sign_for_nothing_but_its_names() {
    let folder = tempfile::tempdir().unwrap();
    for names in [&["vault.lan", "10.0.0.5"][..], &["vault.lan"], &["10.0.0.5"]] {
        let own = own(&folder, names);
        make_authority(&own, NOON, &SystemRandom).unwrap();
        let key = fs::read_to_string(own.folder.join("strongroom-ca.key")).unwrap();
        let certificate = fs::read_to_string(own.folder.join(AUTHORITY_FILE)).unwrap();
        let issuer =
            Issuer::from_ca_cert_pem(&certificate, KeyPair::from_pem(&key).unwrap()).unwrap();
        let signs = |name: &str| {
            let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
            params.not_before = rcgen::date_time_ymd(2026, 1, 1);
            let key = KeyPair::generate().unwrap();
            accepts(&own, params.signed_by(&key, &issuer).unwrap().der(), name, NOON)
        };
        assert!(signs(names[0]), "or this test shows nothing");
        for name in ["bank.example", "lan", "xvault.lan", "10.0.0.6", "8.8.8.8", "fd00::6", "::1"] {
            assert!(!signs(name), "{name} by an authority for {names:?}");
        }
        fs::remove_dir_all(&own.folder).unwrap();
    }
}

#[test]
fn keys_are_their_owner_s_and_what_is_handed_out_holds_none() {
    let folder = tempfile::tempdir().unwrap();
    let own = own(&folder, &["vault.lan"]);
    let made = make_authority(&own, NOON, &SystemRandom).unwrap();
    let mode =
        |name: &str| fs::metadata(own.folder.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("strongroom-ca.key"), mode("server.pem"), mode(".")), (0o600, 0o600, 0o700));
    for name in [AUTHORITY_FILE, TRUST_FILE] {
        let text = fs::read_to_string(own.folder.join(name)).unwrap();
        assert!(!text.contains("PRIVATE"), "{name}");
    }
    let page = fs::read_to_string(own.folder.join(TRUST_FILE)).unwrap();
    assert!(page.contains(&made.fingerprint) && page.contains("vault.lan"));
    assert!(!page.contains('{') || !page.contains("{names}"));
    for device in ["Windows", "macOS", "iPhone", "Android", "Firefox", "Linux"] {
        assert!(page.contains(device), "{device}");
    }
    assert_eq!(made.fingerprint.len(), 32 * 3 - 1);
}

#[test]
fn an_authority_is_never_replaced_nor_asked_for_other_names() {
    let folder = tempfile::tempdir().unwrap();
    let first = own(&folder, &["vault.lan", "10.0.0.5"]);
    let made = make_authority(&first, NOON, &SystemRandom).unwrap();
    let again = make_authority(&first, NOON, &SystemRandom).unwrap_err();
    assert_eq!(again.code, "authority_exists");
    let fewer = own(&folder, &["vault.lan"]);
    issue(&fewer, NOON, &SystemRandom).unwrap();
    let before = leaf(&fewer);
    let other = own(&folder, &["vault.lan", "other.lan"]);
    let refused = issue(&other, NOON, &SystemRandom).unwrap_err();
    assert_eq!(refused.code, "own_ca_names", "{}", refused.detail);
    assert!(leaf(&fewer) == before, "the one in use stays");
    assert_eq!(authority(&first).unwrap(), made);
    let elsewhere = OwnCa { folder: folder.path().join("none"), ..first };
    let none = authority(&elsewhere).unwrap_err();
    assert!(
        none.detail.contains("strongroom tls own-ca --name vault.lan --name 10.0.0.5"),
        "{}",
        none.detail
    );
}

#[test]
fn serials_and_keys_are_never_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let own = own(&folder, &["vault.lan"]);
    make_authority(&own, NOON, &SystemRandom).unwrap();
    let mut serials = std::collections::HashSet::new();
    for _ in 0..20 {
        issue(&own, NOON, &SystemRandom).unwrap();
        let leaf = leaf(&own);
        let (_, parsed) = x509_parser::parse_x509_certificate(&leaf).unwrap();
        assert!(parsed.raw_serial().len() == 16, "{:?}", parsed.raw_serial());
        assert!(serials.insert((parsed.raw_serial().to_vec(), parsed.public_key().raw.to_vec())));
    }
}

#[test]
fn a_certificate_is_due_with_a_third_of_its_life_left_and_told_of_at_14_days() {
    let life = Life { from: NOON, until: NOON.plus_days(90) };
    assert!(!is_due(life, NOON.plus_days(59)) && is_due(life, NOON.plus_days(60)));
    assert!(!is_ending(life, NOON.plus_days(75)) && is_ending(life, NOON.plus_days(76)));
    let short = Life { from: NOON, until: NOON.plus_days(6) };
    assert!(!is_due(short, NOON.plus_days(3)) && is_due(short, NOON.plus_days(4)));
    assert!(!is_ending(short, NOON.plus_days(4)) && is_ending(short, NOON.plus_days(5)));
}

/// 2026-07-01T12:00:00Z.
const NOON: Time = Time::from_ms(1_782_907_200_000);

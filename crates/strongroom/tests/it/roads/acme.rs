//! A public authority, run here: Debian's pebble, with a DNS of its own that leads every name to the
//! loopback. Its directory has a certificate of an authority made for the test.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use strongroom::certificates::Keeper;
use strongroom::config::{Acme, Tls};
use strongroom::ctx::{Clock, SystemClock, Time};
use strongroom::web::{Challenges, HostName, Listen, serve, serve_challenges};
use strongroom_crypto::SystemRandom;

use super::{Tool, echo, shown};
use crate::support::{Shop, free_port};

const NAME: &str = "vault.example";

/// An authority that runs, and where it looks for proofs.
struct Pebble {
    folder: PathBuf,
    directory_port: u16,
    management_port: u16,
    proof_port: u16,
    _dns: Tool,
    tool: Option<Tool>,
    dns: SocketAddr,
}

impl Pebble {
    /// `None`, said aloud, where it is not installed.
    fn start(folder: &Path) -> Option<Self> {
        let folder = folder.join("pebble");
        fs::create_dir(&folder).unwrap();
        papers(&folder);
        let (dns_port, management) = (free_port(), free_port());
        let dns: SocketAddr = ([127, 0, 0, 1], dns_port).into();
        let mut answering = Tool::start("pebble-challtestsrv", "pebble", |command| {
            let management = format!("127.0.0.1:{management}");
            command.args(["-dns01", &dns.to_string(), "-management", &management]);
            command.args(["-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv6", ""]);
        })?;
        answering.wait_for(([127, 0, 0, 1], management).into());
        let mut pebble = Self {
            folder,
            directory_port: free_port(),
            management_port: free_port(),
            proof_port: free_port(),
            _dns: answering,
            tool: None,
            dns,
        };
        pebble.run();
        Some(pebble)
    }

    fn run(&mut self) {
        let config = serde_json::json!({ "pebble": {
            "listenAddress": format!("127.0.0.1:{}", self.directory_port),
            "managementListenAddress": format!("127.0.0.1:{}", self.management_port),
            "certificate": self.folder.join("directory.pem"),
            "privateKey": self.folder.join("directory.key"),
            "httpPort": self.proof_port,
            "tlsPort": free_port(),
            "ocspResponderURL": "",
            "externalAccountBindingRequired": false,
        }});
        let path = self.folder.join("pebble.json");
        fs::write(&path, config.to_string()).unwrap();
        let log = fs::File::options().create(true).append(true).open(self.log()).unwrap();
        let mut tool = Tool::start("pebble", "pebble", |command| {
            command.arg("-config").arg(&path).arg("-dnsserver").arg(self.dns.to_string());
            command.env("PEBBLE_VA_NOSLEEP", "1").stdout(log);
        })
        .unwrap();
        tool.wait_for(([127, 0, 0, 1], self.directory_port).into());
        tool.wait_for(([127, 0, 0, 1], self.management_port).into());
        self.tool = Some(tool);
    }

    fn stop(&mut self) {
        self.tool = None;
    }

    fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    fn ca_file(&self) -> PathBuf {
        self.folder.join("directory-ca.pem")
    }

    fn acme(&self, folder: PathBuf) -> Acme {
        Acme {
            folder,
            names: vec![HostName::parse(NAME).unwrap()],
            agree_to_terms: true,
            directory: format!("https://127.0.0.1:{}/dir", self.directory_port),
            contact: Some("mailto:it@shop.example".to_owned()),
            challenges: ([127, 0, 0, 1], self.proof_port).into(),
            ca_file: Some(self.ca_file()),
        }
    }

    /// The root that clients of our server trust; made anew each time pebble starts.
    fn root(&self) -> PathBuf {
        let path = self.folder.join("root.pem");
        let url = format!("https://127.0.0.1:{}/roots/0", self.management_port);
        let mut curl = Command::new("curl");
        let told = curl.args(["-sSf", "-m", "30", "--cacert"]).arg(self.ca_file()).arg("-o");
        assert!(told.arg(&path).arg(&url).status().unwrap().success());
        path
    }
}

/// What the directory of the authority is known by.
fn papers(folder: &Path) {
    let authority_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // Told apart from the certificate below, which has the name that rcgen gives.
    params.distinguished_name.push(rcgen::DnType::CommonName, "the directory's authority");
    let authority = params.self_signed(&authority_key).unwrap();
    fs::write(folder.join("directory-ca.pem"), authority.pem()).unwrap();
    let issuer = Issuer::new(params, authority_key);
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let leaf = params.signed_by(&key, &issuer).unwrap();
    fs::write(folder.join("directory.pem"), leaf.pem()).unwrap();
    fs::write(folder.join("directory.key"), key.serialize_pem()).unwrap();
}

fn get(url: &str) -> String {
    let told = Command::new("curl").args(["-sS", "-m", "30", "-i", url]).output().unwrap();
    String::from_utf8(told.stdout).unwrap()
}

fn get_as(url: &str, host: &str) -> String {
    let host = format!("Host: {host}");
    let told = Command::new("curl").args(["-sS", "-m", "30", "-i", "-H", &host, url]).output();
    String::from_utf8(told.unwrap().stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_public_authority_gives_a_certificate_and_renews_it() {
    let shop = Shop::open_today().await;
    let Some(mut pebble) = Pebble::start(shop.folder.path()) else { return };
    // The clock of the shop stands still while pebble's goes on.
    shop.clock.pass_ms(600_000);
    let acme = pebble.acme(shop.folder.path().join("tls"));
    let challenges = Challenges::default();
    let never = std::future::pending();
    let names = acme.names.clone();
    let proofs = serve_challenges(acme.challenges, challenges.clone(), names, 443, never).unwrap();
    let proofs = tokio::spawn(proofs);
    let open = async || {
        let random = Arc::new(SystemRandom);
        Keeper::open(Tls::Acme(acme.clone()), challenges.clone(), shop.clock.as_ref(), random).await
    };
    let keeper = open().await.unwrap();
    let listen = Listen::bind("127.0.0.1:0".parse().unwrap(), Some(keeper.tls().config())).unwrap();
    let address = listen.address().unwrap();
    tokio::spawn(serve(listen, echo(Arc::clone(&shop.clock) as _), std::future::pending()));

    let root = pebble.root();
    let first = shown(address, NAME, &root, shop.clock.now()).await.unwrap();
    for file in ["acme-account.json", "server.pem"] {
        let mode = fs::metadata(acme.folder.join(file)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{file}");
    }
    let account = fs::read_to_string(acme.folder.join("acme-account.json")).unwrap();
    // With one that counts nothing is asked, and the account is kept.
    drop(open().await.unwrap());
    assert!(shown(address, NAME, &root, shop.clock.now()).await.unwrap() == first);

    // When a third is left and the authority is down, the old one stays.
    let life = keeper.tls().life().unwrap();
    let whole_ms = life.until.as_ms() - life.from.as_ms();
    shop.clock.pass_ms(whole_ms / 3 * 2 + 3_600_000);
    pebble.stop();
    keeper.turn(&shop.desk()).await.unwrap();
    assert!(shown(address, NAME, &root, shop.clock.now()).await.unwrap() == first);
    assert_eq!(fs::read_to_string(acme.folder.join("acme-account.json")).unwrap(), account);

    // Up again, and new: pebble forgets everything with its end, so the account is unknown to it.
    pebble.run();
    fs::remove_file(acme.folder.join("acme-account.json")).unwrap();
    shop.clock.pass_ms(3_600_000);
    keeper.turn(&shop.desk()).await.unwrap();
    let second = shown(address, NAME, &pebble.root(), shop.clock.now()).await.unwrap();
    assert!(second != first, "{}", fs::read_to_string(pebble.log()).unwrap());
    proofs.abort();
}

/// Pebble signs from this very second on. Asking took a while, so the time of the asking is not yet
/// within the life of what was given.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_counts_only_from_the_second_it_was_signed_in_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let Some(pebble) = Pebble::start(folder.path()) else { return };
    let acme = pebble.acme(folder.path().join("tls"));
    let challenges = Challenges::default();
    let never = std::future::pending();
    let names = acme.names.clone();
    let proofs = serve_challenges(acme.challenges, challenges.clone(), names, 443, never).unwrap();
    let proofs = tokio::spawn(proofs);
    let clock = SlowToAsk { signed: acme.folder.clone(), machine: SystemClock::new() };
    let asked = clock.now();
    let random = Arc::new(SystemRandom);
    let keeper = Keeper::open(Tls::Acme(acme), challenges, &clock, random).await.unwrap();
    let life = keeper.tls().life().unwrap();
    assert!(life.from > asked, "this authority backdates, so this test shows nothing");
    assert!(life.from <= clock.now());
    proofs.abort();
}

/// The machine's clock, a minute earlier until something signed lies in the folder: as if asking had
/// taken that minute.
struct SlowToAsk {
    signed: PathBuf,
    machine: SystemClock,
}

impl Clock for SlowToAsk {
    fn now(&self) -> Time {
        let files = fs::read_dir(&self.signed).into_iter().flatten().flatten();
        let is_signed = files.filter(|it| it.path().extension().is_some_and(|it| it == "pem"));
        self.machine.now().plus_ms(if is_signed.count() > 0 { 0 } else { -60_000 })
    }

    fn monotonic_ms(&self) -> i64 {
        self.machine.monotonic_ms()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_proof_or_a_trusted_directory_there_is_no_certificate_and_no_start() {
    let shop = Shop::open_today().await;
    let Some(pebble) = Pebble::start(shop.folder.path()) else { return };
    let acme = pebble.acme(shop.folder.path().join("tls"));
    let open = async |acme: Acme| {
        let random = Arc::new(SystemRandom);
        let keeper =
            Keeper::open(Tls::Acme(acme), Challenges::default(), shop.clock.as_ref(), random);
        keeper.await.map(drop).unwrap_err()
    };
    // Nothing answers where the authority looks.
    let error = open(acme.clone()).await;
    assert_eq!(error.code, "acme_failed", "{}", error.detail);
    assert!(error.detail.contains("port 80"), "{}", error.detail);
    assert!(!acme.folder.join("server.pem").exists());
    // A directory that another authority vouches for is not spoken to.
    let other = shop.folder.path().join("other");
    fs::create_dir(&other).unwrap();
    papers(&other);
    let account = acme.folder.join("acme-account.json");
    fs::remove_file(&account).unwrap();
    let error = open(Acme { ca_file: Some(other.join("directory-ca.pem")), ..acme }).await;
    assert_eq!(error.code, "acme_failed", "{}", error.detail);
    assert!(!account.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_listener_for_proofs_answers_proofs_and_sends_browsers_to_https() {
    let address: SocketAddr = ([127, 0, 0, 1], free_port()).into();
    let names = vec![HostName::parse(NAME).unwrap()];
    let challenges = Challenges::default();
    let never = std::future::pending();
    let proofs = serve_challenges(address, challenges.clone(), names, 8720, never).unwrap();
    tokio::spawn(proofs);
    let told = tokio::task::spawn_blocking(move || {
        challenges.put("tok", "tok.proof");
        let proof = get(&format!("http://{address}/.well-known/acme-challenge/tok"));
        assert!(proof.contains("200 OK") && proof.ends_with("tok.proof"), "{proof}");
        challenges.clear();
        let gone = get(&format!("http://{address}/.well-known/acme-challenge/tok"));
        assert!(gone.contains("404"), "{gone}");
        for path in ["/readyz", "/v1/customers", "/v1/openapi.json", "/"] {
            let told = get_as(&format!("http://{address}{path}?q=marked"), NAME);
            assert!(told.contains("308 Permanent"), "{path}: {told}");
            assert!(told.contains("location: https://vault.example:8720/\r\n"), "{path}: {told}");
            assert!(!told.contains("marked"), "{told}");
            assert!(get(&format!("http://{address}{path}")).contains("404"), "{path}");
        }
        let posted = Command::new("curl")
            .args(["-sS", "-m", "30", "-i", "-H", "Host: vault.example", "-d", "{}"])
            .arg(format!("http://{address}/v1/customers"))
            .output()
            .unwrap();
        String::from_utf8(posted.stdout).unwrap()
    });
    assert!(told.await.unwrap().contains("404"));
}

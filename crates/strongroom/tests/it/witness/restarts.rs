//! A witness that comes and goes, that does not know the ledger, or has to be there.

use std::process::Command;

use data_encoding::{BASE64, HEXLOWER};
use serde_json::Value;
use strongroom_tlog::{
    Checkpoint, Hash, VerifierKey, leaf_hash, open_checkpoint, open_cosigned, verify_inclusion,
};

use super::{Pair, configure, get, refused, strongroom, text};
use crate::attack::one;
use crate::backup::back_up_and_restore_beside;
use crate::support::data::forget_servers;
use crate::support::receiver::Certificate;
use crate::support::server::Server;

#[tokio::test]
async fn an_unreachable_witness_is_an_entry_and_a_finding_that_closes_by_itself() {
    let mut pair = Pair::new().await;
    pair.witness.kill();
    let misses = |pair: &Pair| {
        let actor = "SELECT COUNT(*) FROM ledger_entry WHERE INSTR(leaf, 'witness.miss') > 0";
        one::<i64>(pair.shop.data(), actor)
    };
    // A command that opens the installation tells it as well; no job helps it there.
    let config = configure(pair.folder(), &pair.witness.config());
    let told = strongroom(&["findings", "--config", text(&config)]);
    assert!(told.out.contains("witness_unreachable"), "{told:?}");
    assert_eq!(misses(&pair), 1);
    let server = pair.serve();
    let told = pair.finding(&server, "witness_unreachable").unwrap();
    assert!(told.contains("it cannot be connected to"), "{told}");
    assert_eq!(misses(&pair), 2, "each start is an entry");
    // However often it is asked in vain, that is told once.
    pair.ask_soon(&server);
    pair.witness.serve();
    pair.change_rights(&server);
    pair.wait(|| pair.finding(&server, "witness_unreachable").is_none().then_some(()));
    assert_eq!(misses(&pair), 2);
    pair.witness.kill();
    pair.ask_soon(&server);
    pair.wait(|| pair.finding(&server, "witness_unreachable"));
}

#[tokio::test]
async fn a_witness_that_is_required_and_silent_refuses_the_start() {
    let mut pair = Pair::new().await;
    let required = format!("{}required = true\n", pair.witness.config());
    let server = Server::start_with(pair.folder(), &[], &required);
    pair.change_rights(&server);
    drop(server);
    pair.witness.kill();
    let said = refused(pair.folder(), &required);
    assert!(said.contains("it cannot be connected to"), "{said}");
    assert!(said.contains("`witness.required` is set"), "{said}");
    let server = pair.serve();
    assert!(pair.finding(&server, "witness_unreachable").is_some(), "not required, it is opened");
}

#[tokio::test]
async fn a_ledger_the_witness_was_not_told_of_names_the_command_that_tells_it() {
    let mut pair = Pair::strangers().await;
    pair.witness.serve();
    let required = format!("{}required = true\n", pair.witness.config());
    let command = format!("strongroom witness trust --folder DIR '{}'", pair.log);
    let said = refused(pair.folder(), &required);
    assert!(said.contains(&command), "{said}");
    let server = pair.serve();
    let told = pair.finding(&server, "witness_unreachable").unwrap();
    assert!(told.contains(&command), "{told}");
    assert!(!pair.witness.said().contains("strongroom/"), "a stranger's words stay out of the log");
    // The very command, while both run.
    pair.witness.trust(&pair.log);
    pair.change_rights(&server);
    pair.wait(|| pair.finding(&server, "witness_unreachable").is_none().then_some(()));
    assert!(pair.witness.said().contains("cosigned"), "{}", pair.witness.said());
}

/// A restore begins a ledger under a new name, which nobody but a person can vouch for.
#[tokio::test]
async fn a_restored_ledger_is_told_to_the_witness_by_a_person() {
    let mut pair = Pair::new().await;
    let server = pair.serve();
    pair.change_rights(&server);
    drop(server);
    pair.shop.start().await.unwrap();
    back_up_and_restore_beside(&pair.shop).await;
    pair.shop.stop();
    let folder = pair.folder();
    std::fs::rename(folder.join("data"), folder.join("lost")).unwrap();
    std::fs::rename(folder.join("restored"), folder.join("data")).unwrap();
    // A restore fills a folder, wherever the data was.
    forget_servers(folder);
    let required = format!("{}required = true\n", pair.witness.config());
    let said = refused(folder, &required);
    let restored = said.split_once("trust --folder DIR '").unwrap().1.split_once('\'').unwrap().0;
    let restored = VerifierKey::parse(restored).unwrap();
    assert!(restored.name().contains("/2-"), "it has a name of its own: {restored}");
    assert_ne!(restored.name(), pair.log.name());
    pair.witness.trust(&restored);
    let config = folder.join("refused.toml");
    let told = strongroom(&["ledger", "checkpoint", "--config", text(&config)]);
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(told.out.starts_with(restored.name()), "{told:?}");
    let record = pair.witness.folder.join("witness.db");
    assert_eq!(one::<i64>(&record, "SELECT COUNT(*) FROM cosigned"), 2, "both are remembered");
}

/// Another witness at the same address, however willing, is not the one that was named.
#[tokio::test]
async fn a_cosignature_of_another_key_is_none() {
    let mut pair = Pair::new().await;
    let elsewhere = tempfile::tempdir().unwrap();
    let mut other = super::Witness::make(elsewhere.path());
    other.trust(&pair.log);
    pair.witness.kill();
    other.address.clone_from(&pair.witness.address);
    other.serve();
    let server = pair.serve();
    let told = pair.finding(&server, "witness_unreachable").unwrap();
    assert!(told.contains("not with the key that `witness.key` names"), "{told}");
    assert!(pair.cosigned(&server).is_none());
}

#[tokio::test]
async fn checkpoints_and_proofs_bear_the_line_of_the_witness_as_anyone_can_check() {
    let pair = Pair::new().await;
    let server = pair.serve();
    let size = pair.change_rights(&server).size;
    let (_, note) = pair.cosigned(&server).unwrap();
    check_with_openssl(&note, &pair.witness.key.to_string());

    let key = &pair.shop.keys["shop"];
    let told = get(&server, key, "/v1/ledger/proof/0").unwrap();
    let proof: Value = serde_json::from_str(&told.body).unwrap();
    assert_eq!(proof["witness_key"], pair.witness.key.to_string(), "{proof}");
    let note = proof["checkpoint"].as_str().unwrap();
    let (checkpoint, _) = open_cosigned(note, &pair.log, &pair.witness.key).unwrap();
    assert!(checkpoint.size >= size);
    verify_inclusion_of(&proof, 0, &checkpoint);

    // The newest entries are proven too, under the log's own signature alone.
    let newest = get(&server, key, "/v1/ledger/checkpoint").unwrap().body;
    let newest: u64 = newest.lines().nth(1).unwrap().parse().unwrap();
    let told = get(&server, key, &format!("/v1/ledger/proof/{}", newest - 1)).unwrap();
    let proof: Value = serde_json::from_str(&told.body).unwrap();
    let checkpoint = open_checkpoint(proof["checkpoint"].as_str().unwrap(), &pair.log).unwrap();
    assert!(checkpoint.size >= newest, "{proof}");
    verify_inclusion_of(&proof, newest - 1, &checkpoint);
    let cosigned = get(&server, key, "/v1/ledger/checkpoint?cosigned=perhaps").unwrap();
    assert_eq!(cosigned.status, 400, "{}", cosigned.body);
}

fn verify_inclusion_of(proof: &Value, index: u64, checkpoint: &Checkpoint) {
    let hashes = proof["hashes"].as_array().unwrap().iter();
    let hashes: Vec<Hash> =
        hashes.map(|it| Hash::from_base64(it.as_str().unwrap()).unwrap()).collect();
    let leaf = BASE64.decode(proof["leaf"].as_str().unwrap().as_bytes()).unwrap();
    let leaf = leaf_hash(&leaf);
    verify_inclusion(index, checkpoint.size, &leaf, &hashes, &checkpoint.root).unwrap();
}

/// By the text of the specification and another implementation of Ed25519.
fn check_with_openssl(note: &str, vkey: &str) {
    let (text, lines) = note.rsplit_once("\n\n").unwrap();
    let (name, rest) = vkey.split_once('+').unwrap();
    let (id, public) = rest.split_once('+').unwrap();
    let line = lines.lines().find(|line| line.starts_with(&format!("— {name} "))).unwrap();
    let signature = BASE64.decode(line.rsplit_once(' ').unwrap().1.as_bytes()).unwrap();
    assert_eq!((HEXLOWER.encode(&signature[..4]).as_str(), signature.len()), (id, 76));
    let time = u64::from_be_bytes(signature[4..12].try_into().unwrap());
    let message = format!("cosignature/v1\ntime {time}\n{text}\n");
    let public = BASE64.decode(public.as_bytes()).unwrap();
    // RFC 8410, section 4: the public key of Ed25519 in DER.
    let prefix = HEXLOWER.decode(b"302a300506032b6570032100").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    write("key", &[&prefix, &public[1..]].concat());
    write("signature", &signature[12..]);
    write("message", message.as_bytes());
    let verify = || {
        let line =
            "pkeyutl -verify -pubin -keyform DER -inkey key -rawin -in message -sigfile signature";
        let mut openssl = Command::new("openssl");
        openssl.args(line.split(' ')).current_dir(folder.path()).output().unwrap().status.success()
    };
    assert!(verify());
    write("message", message.replacen("time ", "time 1", 1).as_bytes());
    assert!(!verify(), "the check can fail");
}

#[tokio::test]
async fn a_witness_with_a_certificate_is_asked_over_tls() {
    let mut pair = Pair::strangers().await;
    let certificate = Certificate::make();
    let (pem, key) = (certificate.path("vendor.pem"), certificate.path("vendor.key"));
    pair.witness.serve_with(&["--certificate", &pem, "--certificate-key", &key]);
    pair.witness.trust(&pair.log);
    let plain = pair.witness.config();
    let tls = plain.replace("http://", "https://");
    let server = Server::start_with(pair.folder(), &[], &format!("{tls}ca = \"{pem}\"\n"));
    pair.change_rights(&server);
    drop(server);
    // One that nobody signed is not believed, and one that speaks TLS is not asked without.
    for (config, part) in [(tls, "its certificate is not trusted"), (plain, "the connection broke")]
    {
        let server = Server::start_with(pair.folder(), &[], &config);
        let told = pair.finding(&server, "witness_unreachable").unwrap();
        assert!(told.contains(part), "{told}");
    }
}

/// A clean end asks once more, so that not even the newest entry can be taken back.
#[tokio::test]
async fn after_a_clean_end_the_witness_knows_the_newest_entry() {
    let pair = Pair::new().await;
    let server = pair.serve();
    pair.change_rights(&server);
    // Not a change of rights, so nothing asks before the end.
    let wanted = serde_json::json!({ "email": "nobody@mail.example" });
    let mut desk = crate::support::server::Client::new(&server, &pair.shop.keys["desk"]);
    let looked = desk.send("POST", "/v1/customers/lookup", Some(&wanted)).unwrap();
    assert_eq!(looked.status, 200, "{looked:?}");
    let id = server.id().to_string();
    assert!(Command::new("kill").args(["-s", "TERM", &id]).status().unwrap().success());
    let mut server = server;
    pair.wait(|| (!server.is_up()).then_some(()));
    let entries: i64 = one(pair.shop.data(), "SELECT COUNT(*) FROM ledger_entry");
    let record = pair.witness.folder.join("witness.db");
    assert_eq!(one::<i64>(&record, "SELECT size FROM cosigned"), entries);
}

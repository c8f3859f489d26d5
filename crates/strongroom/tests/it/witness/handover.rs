//! Another signing key of a ledger, and what the witness has to do with it: it cosigns who comes only where a
//! person told it of them, and who came before not any more.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};
use strongroom_crypto::{SecretKey, SigningKey};
use strongroom_tlog::{Checkpoint, VerifierKey, open_cosigned, sign_checkpoint_by};
use strongroom_verify::{Asked, Key, verify_log};

use super::kills::{Face, TwoFaced};
use super::{Pair, Witness, get, strongroom, text};
use crate::support::server::{Client, Server};

fn rotate(pair: &Pair, server: &Server) -> VerifierKey {
    let body = json!({ "what": "signing_key" });
    let mut admin = Client::new(server, &pair.shop.keys["admin"]);
    let made = admin.send("POST", "/v1/rotations", Some(&body)).unwrap();
    assert_eq!(made.status, 202, "{made:?}");
    let signing = signing_key(pair, server);
    assert_eq!(signing["state"], "handing_over");
    VerifierKey::parse(signing["key"].as_str().unwrap()).unwrap()
}

fn signing_key(pair: &Pair, server: &Server) -> Value {
    let told = get(server, &pair.shop.keys["admin"], "/v1/rotations").unwrap();
    serde_json::from_str::<Value>(&told.body).unwrap()["signing_key"].clone()
}

#[tokio::test]
async fn a_new_signing_key_is_settled_when_the_witness_was_told_of_it() {
    let mut pair = Pair::new().await;
    let server = pair.serve();
    pair.change_rights(&server);
    let (old, new) = (pair.log.clone(), rotate(&pair, &server));
    let command = format!("strongroom witness trust --folder DIR '{new}'");
    let told = pair.wait(|| {
        pair.ask_soon(&server);
        pair.finding(&server, "witness_unreachable")
    });
    assert!(told.contains(&command), "{told}");
    assert!(
        pair.witness.said().contains("a key that is not trusted here"),
        "{}",
        pair.witness.said()
    );
    assert_eq!(signing_key(&pair, &server)["state"], "handing_over");
    // It goes on so through a start.
    drop(server);
    let server = pair.serve();
    assert_eq!(signing_key(&pair, &server)["key"], new.to_string());

    pair.witness.trust(&new);
    pair.log = new.clone();
    pair.wait(|| {
        pair.ask_soon(&server);
        (signing_key(&pair, &server)["state"] == "settled").then_some(())
    });
    let path = "/v1/ledger/checkpoint?handover=1";
    let note = get(&server, &pair.shop.keys["admin"], path).unwrap().body;
    for key in [&old, &new] {
        let (checkpoint, _) = open_cosigned(&note, key, &pair.witness.key).unwrap();
        assert_eq!(checkpoint.extensions, [format!("handover {new}")]);
    }
    pair.change_rights(&server);
    pair.wait(|| pair.finding(&server, "witness_unreachable").is_none().then_some(()));
    audit(&pair, &server, [&old, &new]);
    // A key that was replaced is not trusted again by mistake.
    let old = old.to_string();
    let told = strongroom(&["witness", "trust", "--folder", text(&pair.witness.folder), &old]);
    assert!(told.code == Some(1) && told.err.contains("was replaced by a newer one"), "{told:?}");
    // The next start asks with a note from before, and with the new key.
    drop(server);
    let server = pair.serve();
    pair.change_rights(&server);
}

/// An auditor who has the old key alone follows to the new one by the word of the witness, and by nobody else's.
fn audit(pair: &Pair, server: &Server, [old, new]: [&VerifierKey; 2]) {
    let (folder, file) = (pair.folder().join("log"), pair.folder().join("auditor.key"));
    std::fs::write(&file, &pair.shop.keys["privacy"]).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let place = format!("http://{}", server.address);
    let (log, file) = (text(&folder), text(&file));
    let told = strongroom(&["ledger", "export", log, "--server", &place, "--key-file", file]);
    assert_eq!(told.code, Some(0), "{told:?}");
    let witness = Key::witness(&pair.witness.key.to_string()).unwrap();
    let check = |key: &VerifierKey, witnesses: &[Key]| {
        let key = Key::log(&key.to_string()).unwrap();
        verify_log(&folder, &Asked { witnesses, ..Asked::with(&key) })
    };
    let reports = check(old, std::slice::from_ref(&witness)).unwrap();
    assert_eq!(reports[0].handed[0].1, new.to_string());
    check(new, &[]).unwrap();
    let refused = check(old, &[]).unwrap_err().to_string();
    assert!(refused.contains("nobody but the key before it says so"), "{refused}");
    let told = strongroom(&["ledger", "key", "--server", &place, "--key-file", file]);
    assert_eq!(told.out.trim(), new.to_string(), "{told:?}");
}

fn signer(seed: u8) -> SigningKey {
    SigningKey::from_seed(&SecretKey::from_bytes([seed; 32])).unwrap()
}

/// The body of a question for a checkpoint that may name a coming key, signed by some.
fn request(
    log: &TwoFaced,
    old: u64,
    size: u64,
    named: Option<&VerifierKey>,
    by: &[&SigningKey],
) -> String {
    let plain = log.request(Face::One, old, size);
    let extensions = named.map(|key| format!("handover {key}")).into_iter().collect();
    let checkpoint = Checkpoint { extensions, ..log.checkpoint(Face::One, size) };
    let (head, _) = plain.split_once("\n\n").unwrap();
    format!("{head}\n\n{}", sign_checkpoint_by(&checkpoint, by).unwrap())
}

/// A thief of the signing key asks the witness directly.
#[test]
fn a_stolen_signing_key_alone_gets_no_other_key_cosigned() {
    let folder = tempfile::tempdir().unwrap();
    let log = TwoFaced::new();
    let mut witness = Witness::make(folder.path());
    witness.trust(&log.vkey());
    witness.serve();
    let (old, new, thief) = (signer(3), signer(4), signer(9));
    let vkey = |key: &SigningKey| VerifierKey::new(log.vkey().name(), key.verifying_key()).unwrap();
    let ask = |body: &str| witness.ask(body).unwrap().0;
    assert_eq!(ask(&request(&log, 0, 5, None, &[&old])), 200);
    for by in [&[&old][..], &[&thief, &old], &[&thief]] {
        assert_eq!(ask(&request(&log, 5, 6, Some(&vkey(&thief)), by)), 403);
    }
    // Told of the coming key, it cosigns who names that one, and nobody who names another beside it.
    witness.trust(&vkey(&new));
    assert_eq!(ask(&request(&log, 5, 6, Some(&vkey(&thief)), &[&old])), 403);
    assert_eq!(ask(&request(&log, 5, 6, None, &[&old])), 200, "the new one does not sign yet");
    assert_eq!(ask(&request(&log, 6, 7, Some(&vkey(&new)), &[&new, &old])), 200);
    // From here on the old key is nothing.
    assert_eq!(ask(&request(&log, 7, 8, None, &[&old])), 403);
    assert_eq!(ask(&request(&log, 7, 8, Some(&vkey(&thief)), &[&thief, &old])), 403);
    assert_eq!(ask(&request(&log, 7, 8, None, &[&new])), 200);
    witness.kill();
    witness.serve();
    assert_eq!(witness.ask(&request(&log, 8, 9, None, &[&old])).unwrap().0, 403);
}

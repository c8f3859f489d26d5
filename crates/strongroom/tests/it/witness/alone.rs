//! A witness by itself: what it answers to whom.

use std::process::Command;

use super::kills::{Face, TwoFaced};
use super::{Witness, http, strongroom, text};

/// Trusts the log of two histories, and is served.
fn serve(folder: &std::path::Path) -> (Witness, TwoFaced) {
    let log = TwoFaced::new();
    let mut witness = Witness::make(folder);
    witness.trust(&log.vkey());
    witness.serve();
    (witness, log)
}

#[test]
fn a_forked_log_is_refused_with_the_status_of_the_protocol() {
    let folder = tempfile::tempdir().unwrap();
    let (mut witness, log) = serve(folder.path());
    let check = |witness: &Witness, face, old, size, status| {
        let (answered, body) = witness.ask(&log.request(face, old, size)).unwrap();
        assert_eq!(answered, status, "{body}");
        body
    };
    check(&witness, Face::One, 0, 7, 200);
    for (face, old, size) in [
        (Face::Other, 0, 7),
        (Face::Other, 7, 7),
        (Face::Other, 0, 9),
        (Face::One, 0, 5),
        (Face::One, 5, 5),
        (Face::One, 0, 9),
    ] {
        assert_eq!(check(&witness, face, old, size, 409), "7\n");
    }
    check(&witness, Face::Other, 7, 9, 422);
    check(&witness, Face::One, 7, 5, 400);
    check(&witness, Face::One, 7, 7, 200);
    check(&witness, Face::One, 7, 9, 200);
    witness.kill();
    witness.serve();
    assert_eq!(check(&witness, Face::Other, 0, 9, 409), "9\n");
    check(&witness, Face::Other, 9, 20, 422);
    let said = witness.said();
    assert!(said.contains("the log does not continue what was cosigned last"), "{said}");
    let answer = http(
        witness.address.as_deref().unwrap(),
        "POST",
        "/add-checkpoint",
        "",
        &log.request(Face::One, 0, 9),
    );
    assert!(answer.unwrap().head.contains("content-type: text/x.tlog.size"));
}

#[test]
fn whatever_else_is_sent_is_refused_and_stands_in_no_log_line() {
    let folder = tempfile::tempdir().unwrap();
    let (witness, log) = serve(folder.path());
    let address = witness.address.clone().unwrap();
    let good = log.request(Face::One, 0, 7);
    let ask = |body: &str| witness.ask(body).unwrap().0;
    // Line breaks, escapes and other names in the place of the origin.
    for origin in [
        "marked/log",
        "marked\u{1b}[2J",
        "two.faced/log\u{1b}[2Jmarked",
        "two.faced/log\u{9b}marked",
        "two.faced/log marked",
        "two.faced/log\r",
        "",
    ] {
        assert_eq!(ask(&good.replacen("two.faced/log", origin, 1)), 404, "{origin:?}");
    }
    assert_eq!(ask(&good.replacen("two.faced/log\n", "two.faced/log\n9\nmarked\n", 1)), 403);
    assert_eq!(ask(&good.replacen("\n7\n", "\n8\n", 1)), 403);
    assert_eq!(ask(&format!("{good}— marked\u{1b}[2J AAAAAAA=\n")), 400);
    for body in ["", "marked", "old 0\n", "old -1\n\nmarked", "old 0\nmarked\n\nmarked"] {
        assert_eq!(ask(body), 400, "{body:?}");
    }
    assert_eq!(ask(&format!("old 0\n\n{}", "marked".repeat(11_000))), 413);
    let other = |method: &str, path: &str| http(&address, method, path, "", "").unwrap().status;
    assert_eq!((other("GET", "/add-checkpoint"), other("GET", "/marked")), (405, 404));
    assert_eq!((other("DELETE", "/add-checkpoint"), other("POST", "/")), (405, 404));
    let said = witness.said();
    assert!(!said.contains("marked") && !said.contains('\u{1b}'), "{said}");
    assert_eq!(ask(&good), 200, "and all of it changed nothing");
}

#[test]
fn a_witness_is_not_served_readable_beyond_this_machine() {
    let folder = tempfile::tempdir().unwrap();
    let witness = Witness::make(folder.path());
    let at = text(&witness.folder);
    // One that is not refused would serve until it is ended.
    let told = Command::new("timeout")
        .args(["20", env!("CARGO_BIN_EXE_strongroom"), "witness", "serve", "--folder", at])
        .args(["--listen", "0.0.0.0:0"])
        .output()
        .unwrap();
    assert_eq!(told.status.code(), Some(1), "{told:?}");
    let said = String::from_utf8(told.stderr).unwrap();
    assert!(said.contains("refusing plain HTTP beyond this machine"), "{said}");
    for half in [&["--certificate", "a.pem"][..], &["--certificate-key", "a.key"]] {
        let told = strongroom(&[&["witness", "serve", "--folder", at], half].concat());
        assert_eq!(told.code, Some(2), "{told:?}");
    }
    let again = strongroom(&["witness", "init", "--folder", at]);
    assert_eq!(again.code, Some(1), "{again:?}");
    assert!(again.err.contains("holds a witness already"), "{again:?}");
    let nowhere = folder.path().join("nowhere");
    let told = strongroom(&["witness", "serve", "--folder", text(&nowhere)]);
    assert!(told.err.contains("strongroom witness init"), "{told:?}");
    assert!(!nowhere.exists());
}

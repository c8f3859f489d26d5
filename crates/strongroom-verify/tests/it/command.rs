//! The program as it is run.

use std::process::Command;

use crate::made::{Made, ORIGIN, put};

fn run(arguments: &[&str]) -> (i32, String, String) {
    let ran = Command::new(env!("CARGO_BIN_EXE_strongroom-verify")).args(arguments).output();
    let ran = ran.unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (ran.status.code().unwrap(), text(&ran.stdout), text(&ran.stderr))
}

#[test]
fn it_ends_with_0_only_where_everything_was_checked() {
    let (folder, made) = (tempfile::tempdir().unwrap(), Made::of(ORIGIN, 300));
    made.write(folder.path());
    let (at, vkey) = (folder.path().to_str().unwrap(), made.vkey());
    let (code, out, _) = run(&[at, "--key", &vkey]);
    assert_eq!(code, 0, "{out}");
    assert!(out.ends_with("\nINTACT: everything above was checked.\n"), "{out}");
    for part in ["size         300\n", "from         2026-11-21T10:00:00.000Z\n", "read refused"] {
        assert!(out.contains(part), "{out}");
    }
    let other = Made::of("other", 1).vkey();
    let (code, out, err) = run(&[at, "--key", &other]);
    assert_eq!((code, out.as_str()), (1, ""));
    let id = other.split('+').nth(1).unwrap();
    let said = format!("the key {id} of other did not sign it; it says it is of {ORIGIN}");
    assert_eq!(err, format!("NOT INTACT: checkpoint: {said}.\n"));
    // With blanks around it, as it is copied from a letter.
    assert_eq!(run(&[at, "--key", &format!(" {vkey} \r\n")]).0, 0);
}

/// Nobody should go and accuse somebody because of a file of their own that is not there.
#[test]
fn what_the_caller_named_and_is_not_there_is_no_word_about_the_log() {
    let (folder, made) = (tempfile::tempdir().unwrap(), Made::of(ORIGIN, 3));
    made.write(folder.path());
    let other = tempfile::tempdir().unwrap();
    put(other.path(), "letter.txt", b"Dear auditor");
    let at = |name: &str| other.path().join(name).to_str().unwrap().to_owned();
    let (log, letter, nothing) = (folder.path().to_str().unwrap(), at("letter.txt"), at("nothing"));
    let (vkey, elsewhere) = (made.vkey(), other.path().to_str().unwrap());
    for (call, expected) in [
        (&[elsewhere, "--key", &vkey][..], "it is no exported log"),
        (&[&nothing, "--key", &vkey], "is not there"),
        (&[&letter, "--key", &vkey], "cannot be read"),
        (&[log, "--key", &vkey, "--since", &nothing], "the file is not there"),
        (&[log, "--key", &vkey, "--since", &letter], "the older checkpoint: no blank line"),
        (&["proof", &nothing, "--key", &vkey], "the file is not there"),
        (&["proof", log, "--key", &vkey], "it is not a file"),
        (&["proof", &letter, "--key", &vkey, "--entry", &nothing], "the file is not there"),
    ] {
        let (code, out, err) = run(call);
        assert_eq!((code, out.as_str()), (2, ""), "{call:?}: {err}");
        assert!(err.starts_with("NOTHING CHECKED: ") && err.contains(expected), "{err}");
    }
    // What the export itself lacks or has too much is.
    std::os::unix::fs::symlink(&nothing, folder.path().join("notes")).unwrap();
    let (code, _, err) = run(&[log, "--key", &vkey]);
    assert!(code == 1 && err.contains("`notes` does not belong"), "{err}");
    std::fs::remove_file(folder.path().join("notes")).unwrap();
    std::fs::remove_file(folder.path().join("checkpoint")).unwrap();
    assert_eq!(run(&[log, "--key", &vkey]).0, 1);
}

#[test]
fn entries_are_listed_where_all_of_them_hold() {
    let (folder, made) = (tempfile::tempdir().unwrap(), Made::of(ORIGIN, 300));
    made.write(folder.path());
    let (at, vkey) = (folder.path().to_str().unwrap(), made.vkey());
    let (code, out, _) = run(&[at, "--key", &vkey, "--list"]);
    assert_eq!(code, 0, "{out}");
    let listed: Vec<&str> = out.lines().filter(|line| line.contains(" by key_06gzz")).collect();
    assert_eq!(listed.len(), 300);
    let first = "0            2026-11-21T10:00:00.000Z  read ok          customer.read by key_06gzz, about nobody";
    assert_eq!(listed[0], first);
    assert!(listed[299].starts_with("299 ") && listed[299].ends_with("about 2 customers"));
    let entries = folder.path().join("tile/entries/000");
    let mut bytes = std::fs::read(&entries).unwrap();
    bytes[40] ^= 1;
    std::fs::write(entries, bytes).unwrap();
    let (code, out, _) = run(&[at, "--key", &vkey, "--list"]);
    assert_eq!((code, out.as_str()), (1, ""));
}

#[test]
fn a_call_that_is_not_understood_checks_nothing() {
    let vkey = Made::of(ORIGIN, 1).vkey();
    let calls: [&[&str]; 13] = [
        &[],
        &["folder"],
        &["--key", &vkey],
        &["folder", "--key"],
        &["folder", "--key", "nonsense"],
        &["folder", "--key", &vkey, "--key", &vkey],
        &["folder", "other", "--key", &vkey],
        &["folder", "--key", &vkey, "--entry", "x"],
        &["folder", "--key", &vkey, "--sloppy", "x"],
        &["proof", "file", "--key", &vkey, "--list"],
        // Whoever reads only the number takes 0 for "it was checked and holds".
        &["folder", "--key", &vkey, "--help"],
        &["--version", "folder", "--key", &vkey],
        &["proof", "--help", "file"],
    ];
    for call in calls {
        let (code, out, err) = run(call);
        assert_eq!((code, out.as_str()), (2, ""), "{call:?}: {err}");
        assert!(err.starts_with("NOTHING CHECKED: ") && err.lines().count() == 1, "{err}");
    }
    for call in [&["--help"][..], &["--version"], &["proof", "--help"]] {
        let (code, out, _) = run(call);
        assert_eq!((code, out.contains("Ends with 0 only")), (0, true));
        assert!(out.starts_with(concat!("strongroom-verify ", env!("CARGO_PKG_VERSION"))), "{out}");
    }
}

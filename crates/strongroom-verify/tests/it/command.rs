//! The program as it is run.

use std::process::Command;

use crate::made::{Made, ORIGIN};

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
    assert_eq!(err, "NOT INTACT: checkpoint: the key of other did not sign it.\n");
    let kept = folder.path().join("../kept-checkpoint-of-nobody");
    let (code, _, err) = run(&[at, "--key", &vkey, "--since", kept.to_str().unwrap()]);
    assert_eq!((code, err.contains("the older checkpoint: the file is not there")), (1, true));
}

#[test]
fn a_call_that_is_not_understood_checks_nothing() {
    let vkey = Made::of(ORIGIN, 1).vkey();
    let calls: [&[&str]; 9] = [
        &[],
        &["folder"],
        &["--key", &vkey],
        &["folder", "--key"],
        &["folder", "--key", "nonsense"],
        &["folder", "--key", &vkey, "--key", &vkey],
        &["folder", "other", "--key", &vkey],
        &["folder", "--key", &vkey, "--entry", "x"],
        &["folder", "--key", &vkey, "--sloppy", "x"],
    ];
    for call in calls {
        let (code, out, err) = run(call);
        assert_eq!((code, out.as_str()), (2, ""), "{call:?}: {err}");
        assert!(err.contains("strongroom-verify proof FILE"), "{err}");
    }
    let (code, out, _) = run(&["--help"]);
    assert_eq!((code, out.contains("Ends with 0 only")), (0, true));
}

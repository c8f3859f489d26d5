//! `init` and `serve`.

use std::os::unix::fs::PermissionsExt;

use super::{Installation, POLICY, Running, run, shell, strongroom};

#[test]
fn an_installation_is_made_served_stopped_and_free_again() {
    let installation = Installation::with_policy(POLICY);
    let mode = |name: &str| {
        std::fs::metadata(installation.path().join(name)).unwrap().permissions().mode() & 0o777
    };
    assert_eq!((mode("strongroom.key"), mode("data")), (0o400, 0o700));
    let (mut server, address) = installation.serve();
    let ready = shell(&format!("curl -sS http://{address}/readyz"));
    assert_eq!(ready.out, "{\"status\":\"ready\"}", "{ready:?}");

    let second = installation.run(&["serve"]);
    assert_eq!(second.code, Some(1), "{second:?}");
    assert!(second.err.contains("another strongroom works on this data folder"), "{second:?}");

    server.signal("TERM");
    let (status, said) = server.end();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains("Stopped"), "{said}");
    assert!(installation.must(&["ledger", "verify"]).starts_with("Intact: "));
}

#[test]
fn init_overwrites_nothing() {
    let installation = Installation::new();
    let read = |name: &str| std::fs::read(installation.path().join(name)).unwrap();
    let before = (read("strongroom.key"), read("strongroom.toml"), read("data/keys.db"));
    let again = run(strongroom().arg("init").arg("--dir").arg(installation.path()), "");
    assert_eq!(again.code, Some(1), "{again:?}");
    assert!(again.err.contains("nothing was changed"), "{again:?}");
    // Each of the three alone stands in the way.
    for gone in ["strongroom.toml", "strongroom.key", "data"] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(gone), "mine").unwrap();
        let refused = run(strongroom().arg("init").arg("--dir").arg(folder.path()), "");
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing was made");
    }
    let after = (read("strongroom.key"), read("strongroom.toml"), read("data/keys.db"));
    assert!(before == after);

    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("policy.toml"), "mine").unwrap();
    let kept = run(strongroom().arg("init").arg("--dir").arg(folder.path()), "");
    assert_eq!(kept.code, Some(0), "{kept:?}");
    assert!(kept.out.contains("Whoever has the key file and the data reads every customer"));
    assert!(kept.out.contains("There is no way back yet if the key file is lost"));
    assert_eq!(std::fs::read_to_string(folder.path().join("policy.toml")).unwrap(), "mine");
}

#[test]
fn serve_says_when_the_policy_file_is_not_the_applied_one() {
    let installation = Installation::with_policy(POLICY);
    let policy = installation.path().join("policy.toml");
    let said = |installation: &Installation| {
        let (mut server, _) = installation.serve();
        server.signal("INT");
        server.end().1
    };
    // What only reads differently is the same policy.
    std::fs::write(&policy, format!("# a comment\n{POLICY}")).unwrap();
    assert!(!said(&installation).contains("policy"));
    std::fs::write(&policy, POLICY.replace("per_day = 30 ", "per_day = 29 ")).unwrap();
    assert!(said(&installation).contains("the policy file differs from the applied policy"));
    std::fs::write(&policy, "nonsense").unwrap();
    assert!(said(&installation).contains("cannot be read as a policy"));
}

#[test]
fn log_lines_are_json_where_asked_and_hold_no_value() {
    let installation = Installation::with_policy(POLICY);
    let mut server = Running::start(&mut installation.command(&["serve", "--log-json"]));
    let line = server.wait_for(|line| line.starts_with("Strongroom answers at"));
    let address = line.split_whitespace().nth(3).unwrap().trim_end_matches(';').to_owned();
    let told =
        shell(&format!("curl -sS '{address}/v1/customers/marked?fields=marked' -H 'x: marked'"));
    assert!(told.out.contains("no_credential"), "{told:?}");
    server.signal("TERM");
    let (_, said) = server.end();
    let logged: Vec<serde_json::Value> =
        said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let answered = logged.iter().find(|line| line["message"] == "answered").expect(&said);
    assert_eq!(
        (&answered["status"], &answered["route"]),
        (&401.into(), &"/v1/customers/{id}".into())
    );
    assert!(!said.contains("marked"), "{said}");
}

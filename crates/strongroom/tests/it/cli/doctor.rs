//! `doctor`: what it sees, what it does not, and that the second is never taken for the first.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use super::{Installation, POLICY, run, strongroom};

/// What it says, by check.
fn verdict(installation: &Installation, check: &str) -> String {
    let told = installation.run(&["doctor", "--json"]);
    let seen: Value = serde_json::from_str(&told.out).expect(&told.err);
    let checks = seen["checks"].as_array().unwrap();
    let failed = checks.iter().any(|it| it["verdict"] == "FAIL");
    assert_eq!(told.code, Some(i32::from(failed)), "{told:?}");
    let found = checks.iter().find(|it| it["check"] == check);
    found.map(|it| it["verdict"].as_str().unwrap().to_owned()).unwrap_or_default()
}

#[test]
fn doctor_fails_what_is_open_to_others_or_in_the_wrong_place() {
    let installation = Installation::with_policy(POLICY);
    let path = |name: &str| installation.path().join(name);
    let mode = |name: &str, mode| {
        std::fs::set_permissions(path(name), Permissions::from_mode(mode)).unwrap();
    };
    for check in ["data folder", "key file", "policy", "answers"] {
        assert_eq!(verdict(&installation, check), "PASS", "{check}");
    }
    mode("data/keys.db", 0o640);
    assert_eq!(verdict(&installation, "data folder"), "FAIL");
    mode("data/keys.db", 0o600);
    mode("strongroom.key", 0o440);
    assert_eq!(verdict(&installation, "key file"), "FAIL");
    mode("strongroom.key", 0o400);

    let config = std::fs::read_to_string(installation.config()).unwrap();
    let put = |text: &str| std::fs::write(installation.config(), text).unwrap();
    std::fs::create_dir(path("backups")).unwrap();
    std::fs::copy(path("strongroom.key"), path("backups/strongroom.key")).unwrap();
    put(&config.replace("\"strongroom.key\"", "\"backups/strongroom.key\""));
    assert_eq!(verdict(&installation, "key file"), "FAIL", "among the backups");
    put(&config);
    std::fs::write(path("policy.toml"), POLICY.replace("per_day = 30 ", "per_day = 29 ")).unwrap();
    assert_eq!(verdict(&installation, "policy"), "FAIL");
    let told = installation.run(&["doctor"]);
    assert_eq!(told.code, Some(1));
    assert!(told.out.contains("Mend it: strongroom policy apply"), "{}", told.out);
}

#[test]
fn doctor_sees_that_there_is_no_backup_and_that_one_came_back() {
    let installation = Installation::with_policy(POLICY);
    assert_eq!(verdict(&installation, "backup"), "FAIL", "there never was one");
    let told = installation.run(&["doctor"]);
    assert!(told.out.contains("Mend it: strongroom backup"), "{}", told.out);
    installation.must(&["backup"]);
    assert_eq!(verdict(&installation, "backup"), "UNKNOWN", "nobody tried to restore it");
    installation.must(&["restore", "--verify"]);
    assert_eq!(verdict(&installation, "backup"), "PASS");
    let (mut server, address) = installation.serve();
    assert_eq!(verdict(&installation, "backup"), "UNKNOWN", "without a key");
    server.signal("TERM");
    server.end();
    // A part that others damaged is seen by the next rehearsal, and told until one is good again.
    let vault = installation.path().join("backups");
    let data = std::fs::read_dir(&vault).unwrap().flatten().map(|it| it.path());
    let data = data.filter(|it| it.file_name().unwrap().to_str().unwrap().starts_with("data-"));
    std::fs::write(data.max().unwrap().join("part-0001.age"), "nothing").unwrap();
    installation.run(&["restore", "--verify"]);
    assert_eq!(verdict(&installation, "backup"), "FAIL", "{address}");
}

#[test]
fn doctor_knocks_at_a_server_that_runs_and_says_what_it_could_not_see() {
    let installation = Installation::with_policy(POLICY);
    assert_eq!(verdict(&installation, "server"), "UNKNOWN");
    let config = std::fs::read_to_string(installation.config()).unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let made = installation.run(&["tls", "own-ca", "--name", "localhost"]);
    assert_eq!(made.code, Some(0), "{made:?}");
    let road = "[tls.own_ca]\nnames = [\"localhost\"]\n";
    std::fs::write(
        installation.config(),
        config.replace("127.0.0.1:0", &format!("127.0.0.1:{port}")) + road,
    )
    .unwrap();
    assert_eq!(verdict(&installation, "certificate"), "PASS");
    let (mut server, address) = installation.serve();
    assert_eq!(address, format!("127.0.0.1:{port}"));
    for check in ["server", "plain", "certificate"] {
        assert_eq!(verdict(&installation, check), "PASS", "{check}");
    }
    assert_eq!(verdict(&installation, "findings"), "UNKNOWN", "without a key");
    server.signal("TERM");
    assert_eq!(server.end().0.code(), Some(0));
    // What the file holds is looked at, not believed.
    let file = installation.path().join("tls/server.pem");
    std::fs::write(&file, "nothing").unwrap();
    assert_eq!(verdict(&installation, "certificate"), "FAIL");
    // The next start makes a new one.
    let (mut server, _) = installation.serve();
    server.signal("TERM");
    server.end();
    assert_eq!(verdict(&installation, "certificate"), "PASS");
    let told = run(strongroom().args(["doctor", "--config", "/nonexistent/strongroom.toml"]), "");
    assert_eq!(told.code, Some(1));
}

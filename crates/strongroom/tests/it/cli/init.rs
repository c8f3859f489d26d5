//! `init` as a conversation, and what it writes.

use std::path::Path;

use super::{Told, run, shell, strongroom};

/// On a terminal, with these answers typed.
fn converse(dir: &Path, flags: &str, answers: &str) -> Told {
    let program = env!("CARGO_BIN_EXE_strongroom");
    let line = format!("{program} init --dir {} {flags}", dir.display());
    let answers = answers.replace('\n', "\\n");
    shell(&format!("printf '{answers}' | script -qec '{line}' /dev/null"))
}

fn read(dir: &Path, name: &str) -> String {
    std::fs::read_to_string(dir.join(name)).unwrap()
}

#[test]
fn six_answers_on_a_terminal_make_an_installation() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("club");
    let told = converse(
        &dir,
        "",
        "Bay \"Rowing\" Club\nEurope/Paris\nclub\noffice\nvault.lan\n/mnt/copies\nnone\n",
    );
    assert_eq!(told.code, Some(0), "{told:?}");
    for part in [
        "1. What",
        "2. In which",
        "3. Which",
        "4. How",
        "5. Which folder",
        "6. At which",
        "Next:",
        "SHA-256",
    ] {
        assert!(told.out.contains(part), "{part}: {}", told.out);
    }
    let policy = read(&dir, "policy.toml");
    assert!(
        policy.contains("name = 'Bay \"Rowing\" Club'")
            || policy.contains("name = \"Bay \\\"Rowing\\\" Club\"")
    );
    assert!(policy.contains("timezone = \"Europe/Paris\"") && policy.contains("[relation.member]"));
    let config = read(&dir, "strongroom.toml");
    assert!(config.contains("[tls.own_ca]") && config.contains("vault.lan"), "{config}");
    assert!(config.contains("to = \"/mnt/copies\"") && config.contains("0.0.0.0:8720"), "{config}");
    let at = ["--config", dir.join("strongroom.toml").to_str().unwrap()].map(str::to_owned);
    let applied = run(strongroom().args(["policy", "apply"]).args(&at), "");
    assert_eq!(applied.code, Some(0), "{applied:?}");
    assert!(dir.join("tls/trust.html").exists());
}

#[test]
fn a_conversation_that_breaks_off_makes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("new");
    let told = converse(&dir, "--reach public --host vault.example", "A\n\n\nno\n");
    assert_eq!(told.code, Some(2), "{told:?}");
    assert!(told.out.contains("agrees to its terms"), "{told:?}");
    assert!(!dir.exists());
}

#[test]
fn every_template_is_a_policy_that_applies_and_its_next_steps_are_true() {
    for template in ["shop", "practice", "agency", "club"] {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        let made =
            run(strongroom().arg("init").arg("--dir").arg(dir).args(["--template", template]), "");
        assert_eq!(made.code, Some(0), "{made:?}");
        let policy = dir.join("policy.toml");
        let checked = run(strongroom().args(["policy", "check"]).arg(&policy), "");
        assert_eq!(checked.code, Some(0), "{template}: {checked:?}");
        // The lines as they are printed.
        let program = env!("CARGO_BIN_EXE_strongroom");
        let lines: Vec<&str> = made
            .out
            .lines()
            .filter_map(|line| line.split_once(":  ").map(|(_, command)| command.trim()))
            .filter(|command| command.starts_with("strongroom ") && !command.contains("serve"))
            .collect();
        assert_eq!(lines.len(), 2, "{}", made.out);
        for line in lines {
            let line = line.replacen("strongroom", program, 1);
            let told = shell(&format!("cd '{}' && {line}", dir.display()));
            assert_eq!(told.code, Some(0), "{line}: {told:?}");
        }
    }
}

#[test]
fn flags_alone_choose_each_road_and_no_road_is_half() {
    let init = |flags: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("new");
        let told = run(strongroom().arg("init").arg("--dir").arg(&dir).args(flags), "");
        let config = std::fs::read_to_string(dir.join("strongroom.toml")).unwrap_or_default();
        (told.code, config, told.err)
    };
    let (code, config, _) = init(&[]);
    assert!(code == Some(0) && config.contains("127.0.0.1:8720") && !config.contains("\n[tls"));
    let (code, config, _) =
        init(&["--reach", "public", "--host", "vault.example", "--agree-to-terms"]);
    assert!(code == Some(0) && config.contains("[tls.acme]") && config.contains("0.0.0.0:443"));
    let (code, config, _) = init(&["--reach", "proxy", "--host", "vault.example"]);
    assert!(code == Some(0) && config.contains("[proxy]") && config.contains("127.0.0.1:8720"));
    let (code, config, _) =
        init(&["--witness", "https://witness.lan", "--witness-key", WITNESS_KEY]);
    assert!(code == Some(0) && config.contains("\n[witness]\n") && config.contains(WITNESS_KEY));
    let (code, config, _) = init(&["--witness", "none"]);
    assert!(code == Some(0) && !config.contains("\n[witness]\n"));
    for half in [
        &["--reach", "office"][..],
        &["--reach", "public", "--host", "vault.example"],
        &["--reach", "public", "--host", "10.0.0.1", "--agree-to-terms"],
        &["--host", "vault.example"],
        &["--timezone", "Moon/Base"],
        &["--template", "clubs"],
        &["--witness", "https://witness.lan"],
        &["--witness", "none", "--witness-key", WITNESS_KEY],
        &["--witness", "http://witness.lan", "--witness-key", WITNESS_KEY],
        &["--witness", "https://witness.lan", "--witness-key", "key"],
    ] {
        let (code, config, said) = init(half);
        assert!(code == Some(2) && config.is_empty(), "{half:?}: {said}");
    }
}

const WITNESS_KEY: &str = "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2";

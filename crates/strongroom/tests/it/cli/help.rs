//! What a person reads first.

use super::{run, strongroom};

#[test]
fn every_command_has_a_help_with_an_example() {
    for command in COMMANDS {
        let help = run(strongroom().args(command.split(' ')).arg("--help"), "");
        assert_eq!(help.code, Some(0), "{help:?}");
        assert!(help.out.contains(&format!("Example: strongroom {command}")), "{}", help.out);
    }
}

#[test]
fn every_command_there_is_stands_here() {
    let mut groups = vec![String::new()];
    while let Some(group) = groups.pop() {
        for name in listed(&group) {
            let command = format!("{group} {name}").trim().to_owned();
            let is_group = COMMANDS.iter().any(|it| it.starts_with(&format!("{command} ")));
            let is_here = is_group || COMMANDS.contains(&command.as_str());
            assert!(is_here, "`{command}` is not here");
            if is_group {
                groups.push(command);
            }
        }
    }
}

/// The commands that a help lists.
fn listed(group: &str) -> Vec<String> {
    let help = run(strongroom().args(group.split_whitespace()).arg("--help"), "");
    assert_eq!(help.code, Some(0), "{help:?}");
    let lines = help.out.lines().skip_while(|line| *line != "Commands:").skip(1);
    let lines = lines.take_while(|line| !line.is_empty());
    let names = lines.filter(|line| !line.starts_with("    "));
    let names = names.map(|line| line.split_whitespace().next().unwrap().to_owned());
    let names: Vec<String> = names.filter(|name| name != "help").collect();
    assert!(!names.is_empty(), "{group}: {}", help.out);
    names
}

#[test]
fn a_command_that_is_not_understood_ends_with_2() {
    assert_eq!(run(strongroom().arg("nonsense"), "").code, Some(2));
    assert_eq!(run(strongroom().args(["serve", "--server", "x"]), "").code, Some(2));
    assert_eq!(run(&mut strongroom(), "").code, Some(2));
}

const COMMANDS: [&str; 66] = [
    "demo",
    "init",
    "serve",
    "tls own-ca",
    "move",
    "backup",
    "backup list",
    "restore",
    "recover",
    "recover shares",
    "recover seal",
    "rotate",
    "policy check",
    "policy apply",
    "policy show",
    "policy cancel",
    "key new",
    "key list",
    "key disable",
    "key enable",
    "key revoke",
    "import",
    "export",
    "customer add",
    "customer find",
    "customer show",
    "customer reveal",
    "customer consents",
    "customer consent",
    "customer withdraw",
    "customer erase",
    "customer keep",
    "ledger verify",
    "ledger who",
    "ledger scope",
    "ledger proof",
    "ledger export",
    "ledger checkpoint",
    "ledger key",
    "access who",
    "access why",
    "places list",
    "places holdings",
    "places add",
    "places close",
    "webhook new",
    "webhook list",
    "webhook on",
    "webhook off",
    "webhook replay",
    "webhook secret",
    "webhook end",
    "send new",
    "send show",
    "send stop",
    "share new",
    "share end",
    "witness init",
    "witness trust",
    "witness serve",
    "hold place",
    "hold release",
    "findings",
    "doctor",
    "seal",
    "openapi",
];

//! What a person reads first.

use super::{run, strongroom};

#[test]
fn every_command_has_a_help_with_an_example() {
    for command in COMMANDS {
        let help = run(strongroom().args(command.split(' ')).arg("--help"), "");
        assert_eq!(help.code, Some(0), "{help:?}");
        assert!(help.out.contains(&format!("Example: strongroom {command}")), "{}", help.out);
    }
    let all = run(strongroom().arg("--help"), "");
    let listed = all.out.lines().skip_while(|line| *line != "Commands:").skip(1);
    for line in listed.take_while(|line| !line.is_empty()) {
        let name = line.split_whitespace().next().unwrap();
        assert!(COMMANDS.iter().any(|it| it.split(' ').next() == Some(name)), "{name} is not here");
    }
}

#[test]
fn a_command_that_is_not_understood_ends_with_2() {
    assert_eq!(run(strongroom().arg("nonsense"), "").code, Some(2));
    assert_eq!(run(strongroom().args(["serve", "--server", "x"]), "").code, Some(2));
    assert_eq!(run(&mut strongroom(), "").code, Some(2));
}

const COMMANDS: [&str; 65] = [
    "demo",
    "init",
    "serve",
    "tls own-ca",
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

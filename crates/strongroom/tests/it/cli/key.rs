//! `key`, and commands that go to a server with one.

use std::os::unix::fs::PermissionsExt;

use rcgen::generate_simple_self_signed;

use super::{Installation, POLICY, run, text};

#[test]
fn a_secret_is_for_its_owner_alone() {
    let installation = Installation::with_policy(POLICY);
    let file = installation.key("desk");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let key = ["key", "new", "--name", "x", "--role", "desk", "--purpose", "support"];
    let again = installation.run(&[&key[..], &["--out", &text(&file)]].concat());
    assert_eq!(again.code, Some(1), "an existing file is not written over: {again:?}");

    let quiet = installation.must(&[&key[..], &["--quiet"]].concat());
    assert!(quiet.starts_with("sr_live_") && quiet.lines().count() == 1, "{quiet}");
    let listed = installation.must(&["key", "list"]);
    assert!(!listed.contains("sr_live_") && listed.contains("test desk"), "{listed}");

    let key_file = text(&file);
    let show = ["customer", "find", "email", "--purpose", "support", "--key-file", &key_file];
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o640)).unwrap();
    let open = run(&mut installation.command(&show), "a@mail.example");
    assert_eq!(open.code, Some(1), "{open:?}");
    assert!(open.err.contains("can be read by others"), "{open:?}");
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    let fine = run(&mut installation.command(&show), "a@mail.example\n");
    assert_eq!(fine.code, Some(0), "{fine:?}");

    let id = listed.lines().find(|line| line.contains("test desk")).unwrap();
    let id = id.split_whitespace().next().unwrap();
    installation.must(&["key", "revoke", id]);
    let revoked = run(&mut installation.command(&show), "a@mail.example\n");
    assert_eq!(revoked.code, Some(1), "{revoked:?}");
    assert!(revoked.err.contains("(request req_"), "{revoked:?}");
}

#[test]
fn a_customer_is_added_found_shown_revealed_hidden_and_kept_over_http() {
    let installation = Installation::with_policy(POLICY);
    let [shop, desk, privacy] =
        ["shop", "desk", "privacy"].map(|role| text(installation.key(role)));
    let (_server, address) = installation.serve();
    let server = format!("http://{address}");
    let ask = |key: &str, arguments: &[&str], stdin: &str| {
        let there = ["--server", &server, "--key-file", key];
        let told = run(&mut installation.command(&[arguments, &there].concat()), stdin);
        assert_eq!(told.code, Some(0), "{arguments:?}: {told:?}");
        told.out.trim().to_owned()
    };
    let fields = r#"{"name": "Ada Marked", "email": "ada@marked.example",
        "address": {"lines": ["1 Marked Row"], "city": "Netherby"}}"#;
    let id = ask(&shop, &["customer", "add", "--relation", "purchase"], fields);
    let found =
        ask(&desk, &["customer", "find", "email", "--purpose", "support"], "ada@marked.example\n");
    assert_eq!(found, id);
    let what = [id.as_str(), "--fields", "name,email,address", "--purpose", "support"];
    let shown = ask(&desk, &[&["customer", "show"], &what[..]].concat(), "");
    assert!(shown.contains("(masked)") && !shown.contains("arked"), "{shown}");
    let why = ["--reason", "customer called", "--ticket", "T-1"];
    let clear = ask(&desk, &[&["customer", "reveal"], &what[..], &why].concat(), "");
    assert!(
        clear.contains("ada@marked.example") && clear.contains("1 Marked Row, Netherby"),
        "{clear}"
    );
    let looks = ask(&shop, &["ledger", "who", &id], "");
    assert!(looks.contains("customer.reveal") && looks.contains("T-1"), "{looks}");
    assert!(ask(&privacy, &["customer", "erase", &id], "").contains("Hidden from everyone now"));
    let gone =
        ask(&desk, &["customer", "find", "email", "--purpose", "support"], "ada@marked.example");
    assert_eq!(gone, "");
    ask(&privacy, &["customer", "keep", &id], "");
    let back = ask(
        &desk,
        &["customer", "find", "email", "--purpose", "support", "--json"],
        "ada@marked.example",
    );
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&back).unwrap()["customers"][0],
        id.as_str()
    );
}

#[test]
fn what_is_mistyped_is_not_repeated() {
    let installation = Installation::with_policy(POLICY);
    let key = text(installation.key("shop"));
    let mistakes: [(&[&str], &str); 4] = [
        (
            &["customer", "show", "ada@marked.example", "--fields", "name", "--purpose", "support"],
            "",
        ),
        (&["customer", "erase", "Ada Marked"], ""),
        (&["customer", "add", "--relation", "purchase"], "{\"name\": Ada Marked}"),
        (&["customer", "add", "--relation", "purchase"], "{\"marked\": \"Ada Marked\"}"),
    ];
    for (arguments, stdin) in mistakes {
        let told =
            run(&mut installation.command(&[arguments, &["--key-file", &key]].concat()), stdin);
        assert!(told.code.is_some_and(|code| code > 0), "{told:?}");
        assert!(!told.err.is_empty() && !format!("{told:?}").contains("arked"), "{told:?}");
    }
}

#[test]
fn over_tls_only_the_named_authority_is_trusted() {
    let installation = Installation::with_policy(POLICY);
    let key = text(installation.key("shop"));
    let make = |name: &str| {
        let made = generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let (certificate, key) =
            (installation.path().join(format!("{name}.pem")), installation.path().join(name));
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).unwrap();
        text(certificate)
    };
    let (ours, other) = (make("tls"), make("other"));
    let config = std::fs::read_to_string(installation.config()).unwrap();
    let tls = format!("{config}\n[tls]\ncertificate = \"tls.pem\"\nkey = \"tls\"\n");
    std::fs::write(installation.config(), tls).unwrap();
    let (_server, address) = installation.serve();
    let https = format!("https://{address}");
    let ask = |server: &str, ca: &[&str]| {
        let there = ["policy", "show", "--server", server, "--key-file", &key];
        installation.run(&[&there[..], ca].concat())
    };
    let fine = ask(&https, &["--ca", &ours]);
    assert_eq!(fine.code, Some(0), "{fine:?}");
    let wrong = ask(&https, &["--ca", &other]);
    assert_eq!(wrong.code, Some(1), "{wrong:?}");
    assert!(wrong.err.contains("no server answers"), "{wrong:?}");
    assert_eq!(ask(&https, &[]).code, Some(2));
    assert_eq!(ask(&format!("http://{address}"), &[]).code, Some(1));
}

#[test]
fn the_server_and_the_key_file_may_stand_on_either_side_of_the_command() {
    let installation = Installation::with_policy(POLICY);
    let key = text(installation.key("shop"));
    let (_server, address) = installation.serve();
    let server = format!("http://{address}");
    let (at, with) = (["--server", &server], ["--key-file", &key]);
    let show = ["policy", "show"];
    let file = installation.run(&[&show[..], &["--text"], &at, &with].concat());
    assert_eq!(file.code, Some(1), "the file may say more than the policy does: {file:?}");
    assert!(file.err.contains("may `policy`") && file.out.is_empty(), "{file:?}");
    for arguments in [[at, with, show], [at, show, with], [with, show, at], [show, at, with]] {
        let told = installation.run(&arguments.concat());
        assert_eq!(told.code, Some(0), "{arguments:?}: {told:?}");
    }
    let without = installation.run(&[show, at].concat());
    assert_eq!(without.code, Some(2), "{without:?}");
    assert!(without.err.contains("`--key-file FILE`"), "{without:?}");
}

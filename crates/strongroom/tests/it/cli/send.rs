//! `send` and `share`: asked for from files, watched, stopped; a link that is shown once.

use super::{Installation, POLICY, run, shell, text};

#[test]
fn a_send_is_asked_for_from_files_watched_and_stopped() {
    let installation = Installation::with_policy(POLICY);
    let key = key(&installation);
    let ask = |arguments: &[&str], stdin: &str| {
        run(&mut installation.command(&[arguments, &["--key-file", &key]].concat()), stdin)
    };
    let fields = r#"{"name": "Ada Marked", "email": "ada@marked.example"}"#;
    let added = ask(&["customer", "add", "--relation", "purchase"], fields);
    let customer = added.out.trim().to_owned();
    let file = |name: &str, words: &str| {
        let path = installation.path().join(name);
        std::fs::write(&path, words).unwrap();
        text(path)
    };
    let words = file("words.txt", "Dear {{name}},\nit is on its way.\n");
    let html = file("words.html", "<p>Dear {{name}}</p>");
    let ids = file("ids.txt", &format!("{customer}\n\n  cus_00000000000000000000000000\n"));
    let new = ["send", "new", "parcel-news", "--subject", "Your parcel", "--text", &words];
    let listed = [&new[..], &["--html", &html, "--customers", &ids]].concat();
    let asked = ask(&listed, "");
    assert_eq!(asked.code, Some(0), "{asked:?}");
    assert!(asked.out.contains(", to 1 customers."), "{asked:?}");
    assert!(asked.out.contains("1 ids name nobody"), "{asked:?}");
    let send = asked.out.split_whitespace().nth(1).unwrap().trim_end_matches(',').to_owned();

    let show = ["send", "show", "parcel-news", &send];
    let told = ask(&show, "");
    assert_eq!(told.out, "sending: 1 waiting.\n", "{told:?}");
    let told = ask(&[&show[..], &["--json"]].concat(), "");
    let json: serde_json::Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!(json["counts"]["waiting"], 1);
    let stopped = ask(&["send", "stop", "parcel-news", &send], "");
    assert_eq!(stopped.out, "Stopped; nobody else is sent to.\n", "{stopped:?}");
    let told = ask(&show, "");
    assert!(told.out.starts_with("stopped: 1 waiting.\nWhy: asked."), "{told:?}");
    assert_eq!(ask(&["send", "stop", "parcel-news", &send], "").code, Some(1));

    let segment = ask(&[&new[..], &["--segment", "purchase"]].concat(), "");
    assert!(segment.out.contains("are gathered while a server runs"), "{segment:?}");

    // A list of what is no id is refused by the line, and not repeated.
    let names = file("names.txt", &format!("{customer}\nada@marked.example\n"));
    let refused = ask(&[&new[..], &["--customers", &names]].concat(), "");
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("line 2 of the list"), "{refused:?}");
    assert!(!refused.err.contains("marked"), "{refused:?}");
    let large = file("large.txt", &"x".repeat(600 * 1024));
    let words = ["--subject", "s", "--text", &large, "--customers", &ids];
    let refused = ask(&[&["send", "new", "parcel-news"], &words[..]].concat(), "");
    assert!(refused.err.contains("is larger than 512 KiB"), "{refused:?}");
}

#[test]
fn a_link_is_shown_once_works_and_is_ended() {
    let installation = Installation::with_policy(POLICY);
    let key = key(&installation);
    let (_server, address) = installation.serve();
    let server = format!("http://{address}");
    let ask = |arguments: &[&str], stdin: &str| {
        let there = ["--server", &server, "--key-file", &key];
        let told = run(&mut installation.command(&[arguments, &there].concat()), stdin);
        assert_eq!(told.code, Some(0), "{arguments:?}: {told:?}");
        told.out
    };
    let fields = r#"{"name": "Ada Marked", "email": "ada@marked.example"}"#;
    let customer = ask(&["customer", "add", "--relation", "purchase"], fields);
    let what = ["share", "new", customer.trim(), "--fields", "name", "--for", "courier-7"];
    let how = ["--purpose", "delivery", "--hours", "24", "--views", "2"];
    let told = ask(&[&what[..], &how].concat(), "");
    let link = told.lines().map(str::trim).find(|line| line.starts_with("http")).unwrap();
    assert!(link.starts_with(&format!("{server}/share/sr_share_")), "{told}");
    let open = || shell(&format!("curl -sS -X POST '{link}'")).out;
    assert!(open().contains("Ada Marked"));
    let share = told.split_whitespace().nth(1).unwrap().trim_end_matches(',');
    assert_eq!(ask(&["share", "end", share], ""), "Ended; its link shows nothing any more.\n");
    assert!(open().contains("no_share"));
}

/// A key of the shop's application that may also send.
fn key(installation: &Installation) -> String {
    let made = ["key", "new", "--name", "shop", "--role", "shop", "--purpose", "delivery"];
    let key = text(installation.path().join("delivery.key"));
    installation.must(&[&made[..], &["--purpose", "support", "--out", &key]].concat());
    key
}

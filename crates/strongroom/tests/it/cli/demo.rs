//! `demo`: what it prints works, and nothing of it stays.

use std::net::TcpListener;
use std::path::Path;

use serde_json::Value;

use super::{Running, run, shell, strongroom};

#[test]
fn the_five_lines_work_as_printed_and_nothing_stays() {
    let folder = tempfile::tempdir().unwrap();
    let mut demo = demo_in(folder.path());
    demo.wait_for(|line| line == "# Who looked:");
    demo.wait_for(|line| line.starts_with("curl"));
    let keys: Vec<&String> =
        demo.said.iter().filter(|it| it.starts_with("SHOP=") || it.starts_with("DESK=")).collect();
    let curls: Vec<&String> = demo.said.iter().filter(|it| it.starts_with("curl")).collect();
    assert_eq!((keys.len(), curls.len()), (2, 5), "{:?}", demo.said);
    let answers: Vec<(String, Value)> =
        curls.iter().map(|curl| paste(keys[0], keys[1], curl)).collect();
    let statuses: Vec<&str> = answers.iter().map(|(status, _)| status.as_str()).collect();
    assert_eq!(statuses, ["200", "200", "200", "200", "200"], "{answers:?}");
    let [created, found, masked, clear, looks] = answers.as_slice() else { panic!() };
    let id = created.1["id"].as_str().unwrap();
    assert!(demo.said.iter().any(|line| line.contains(id) && !line.starts_with("curl")));
    assert_eq!(found.1["customers"], serde_json::json!([id]));
    let mut hidden: Vec<&str> =
        masked.1["masked"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
    hidden.sort_unstable();
    assert_eq!(hidden, ["email", "name", "phone"]);
    assert!(!masked.1.to_string().contains("whitfield") && !masked.1.to_string().contains("Nora"));
    assert_eq!(clear.1["fields"]["email"], "nora.whitfield@mail.example");
    assert_eq!(clear.1["masked"], serde_json::json!([]));
    let acts: Vec<&str> =
        looks.1["items"].as_array().unwrap().iter().map(|it| it["act"].as_str().unwrap()).collect();
    let expected = [
        "customer.reveal",
        "customer.read",
        "customer.lookup",
        "customer.upsert",
        "customer.create",
    ];
    assert_eq!(acts, expected);

    assert_ne!(entries(folder.path()), 0);
    demo.signal("INT");
    let (status, said) = demo.end();
    assert_eq!(status.code(), Some(0), "{said}");
    assert_eq!(entries(folder.path()), 0, "{said}");
}

#[test]
fn a_demo_interrupted_while_it_is_made_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut demo = demo_in(folder.path());
    while entries(folder.path()) == 0 {
        std::thread::yield_now();
    }
    demo.signal("TERM");
    let (status, said) = demo.end();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(!said.contains("curl"), "it was made before it was interrupted: {said}");
    assert_eq!(entries(folder.path()), 0, "{said}");
}

#[test]
fn a_taken_port_is_said_and_another_one_is_used() {
    let folder = tempfile::tempdir().unwrap();
    // Where something else has the port already, that is as good.
    let _taken = TcpListener::bind("127.0.0.1:8720");
    let mut demo = Running::start(strongroom().arg("demo").env("TMPDIR", folder.path()));
    demo.wait_for(|line| line.starts_with("Port 8720 is taken"));
    let open = demo.wait_for(|line| line.contains("is open at"));
    assert!(!open.contains(":8720"), "{open}");
    demo.signal("INT");
    assert_eq!(demo.end().0.code(), Some(0));
}

#[test]
fn demo_once_makes_a_shop_to_keep() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("shop");
    let once = |dir: &Path| run(strongroom().args(["demo", "--once", "--dir"]).arg(dir), "");
    let made = once(&dir);
    assert_eq!(made.code, Some(0), "{made:?}");
    assert!(made.out.contains("strongroom serve --config"), "{made:?}");
    assert!(!dir.join("customers.csv").exists(), "the list that was imported is gone");
    let again = once(&dir);
    assert_eq!(again.code, Some(1), "{again:?}");
    assert!(again.err.contains("not empty"), "{again:?}");

    let config = dir.join("strongroom.toml");
    let changed = std::fs::read_to_string(&config).unwrap().replace("8720", "0");
    std::fs::write(&config, changed).unwrap();
    let mut server = Running::start(strongroom().arg("serve").arg("--config").arg(&config));
    let line = server.wait_for(|line| line.starts_with("Strongroom answers at"));
    let address = line.split_whitespace().nth(3).unwrap().trim_end_matches(';');
    let (keys, lines): (Vec<&str>, Vec<&str>) = made
        .out
        .lines()
        .filter(|line| ["SHOP=", "DESK=", "curl"].iter().any(|start| line.starts_with(start)))
        .partition(|line| !line.starts_with("curl"));
    assert_eq!((keys.len(), lines.len()), (2, 5));
    for line in lines {
        let line = line.replace("http://127.0.0.1:8720", address);
        let (status, answer) = paste(keys[0], keys[1], &line);
        assert_eq!(status, "200", "{line}: {answer}");
    }
}

fn demo_in(folder: &Path) -> Running {
    Running::start(strongroom().args(["demo", "--port", "0"]).env("TMPDIR", folder))
}

/// Runs a printed line in a shell that has the two keys; the status, and the body.
fn paste(shop: &str, desk: &str, curl: &str) -> (String, Value) {
    let told = shell(&format!("{shop}\n{desk}\n{curl} -w '\\n%{{http_code}}'"));
    assert_eq!((told.code, told.err.as_str()), (Some(0), ""), "{curl}");
    let (body, status) = told.out.rsplit_once('\n').unwrap();
    (status.to_owned(), serde_json::from_str(body).unwrap())
}

fn entries(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

//! `webhook`: receivers that are told.

use std::os::unix::fs::PermissionsExt;

use super::{Installation, POLICY, run, text};

#[test]
fn a_webhook_is_made_listed_switched_told_again_and_ended() {
    let installation = Installation::with_policy(POLICY);
    assert!(installation.must(&["webhook", "list"]).contains("no webhooks yet"));
    let file = installation.path().join("webhook.secret");
    let new = ["webhook", "new", "--url", "https://shop.example/hooks", "--out", &text(&file)];
    let told = installation.must(&[&new[..], &["--kind", "customer.consent_withdrawn"]].concat());
    assert!(!told.contains("whsec_"), "{told}");
    let secret = std::fs::read_to_string(&file).unwrap();
    assert!(secret.starts_with("whsec_") && secret.lines().count() == 1);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let again = installation.run(&new);
    assert_eq!(again.code, Some(1), "an existing file is not written over: {again:?}");

    let listed = installation.must(&["webhook", "list"]);
    assert!(listed.contains("https://shop.example/hooks") && !listed.contains("whsec_"));
    let id = listed.lines().find_map(|line| line.split(' ').find(|it| it.starts_with("hook_")));
    let id = id.unwrap().to_owned();
    installation.must(&["webhook", "off", &id]);
    assert!(installation.must(&["webhook", "list"]).contains("off"));
    installation.must(&["webhook", "on", &id]);
    assert!(!installation.must(&["webhook", "list"]).contains("off"));
    let since = ["webhook", "replay", &id, "--since", "2026-11-21T10:00:00Z"];
    assert_eq!(installation.must(&since), "0 events wait to be sent now.\n");
    let key = text(installation.key("shop"));
    let ask = |arguments: &[&str], stdin: &str| {
        let all = [arguments, &["--key-file", &key]].concat();
        let told = run(&mut installation.command(&all), stdin);
        assert_eq!(told.code, Some(0), "{told:?}");
        told.out
    };
    let fields = r#"{"name": "Ada Marked"}"#;
    let customer = ask(&["customer", "add", "--relation", "enquiry"], fields);
    ask(&["customer", "withdraw", customer.trim(), "--purpose", "marketing"], "");
    assert_eq!(installation.must(&since), "1 events wait to be sent now.\n");
    assert!(installation.must(&["webhook", "secret", &id]).contains("whsec_"));
    installation.must(&["webhook", "end", &id]);
    assert!(installation.must(&["webhook", "list"]).contains("no webhooks yet"));

    let private = ["webhook", "new", "--url", "https://10.0.0.1/hooks"];
    let refused = installation.run(&private);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.err.contains("allow_private_address"), "{refused:?}");
}

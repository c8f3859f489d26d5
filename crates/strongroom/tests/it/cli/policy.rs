//! `policy`.

use super::{Installation, POLICY, run, strongroom};

#[test]
fn policy_check_names_the_line_the_cause_and_the_cure() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.toml");
    let check = |text: &str| {
        std::fs::write(&file, text).unwrap();
        run(strongroom().args(["policy", "check"]).arg(&file), "")
    };
    let good = check(POLICY);
    assert_eq!((good.code, good.err.as_str()), (Some(0), ""));
    assert!(good.out.starts_with("No problems: 6 fields"), "{good:?}");

    let bad = POLICY.replace("needed_for = [\"enquiry\"]", "needed_for = [\"enquirry\"]");
    let line = bad.lines().position(|line| line.contains("enquirry")).unwrap() + 1;
    let told = check(&bad);
    assert_eq!(told.code, Some(1), "{told:?}");
    assert!(told.out.starts_with(&format!("line {line}: ")), "{told:?}");
    assert!(told.out.contains("enquiry") && told.out.contains("; "), "{told:?}");
    assert_eq!(told.out.lines().count(), 2, "one line for each of the two places: {told:?}");

    let broken = check("[business\nname = 1");
    assert!(broken.out.starts_with("line 1: "), "{broken:?}");
}

#[test]
fn what_widens_is_shown_waits_and_can_be_cancelled() {
    let installation = Installation::with_policy(POLICY);
    let policy = installation.path().join("policy.toml");
    std::fs::write(&policy, POLICY.replace("per_day = 30 ", "per_day = 60 ")).unwrap();
    let preview = installation.must(&["policy", "apply", "--preview"]);
    assert!(preview.contains("  ! ") && preview.contains("60"), "{preview}");
    assert!(preview.contains("Nothing was changed"), "{preview}");
    assert!(!installation.must(&["policy", "show"]).contains("waits"));

    let file = installation.must(&["policy", "show", "--text"]);
    assert_eq!(file.trim_end(), POLICY.trim_end(), "the file can be had back");

    let waits = installation.must(&["policy", "apply"]);
    assert!(waits.contains("waits until"), "{waits}");
    let shown = installation.must(&["policy", "show"]);
    assert!(shown.starts_with("Version 1,") && shown.contains("Another one waits"), "{shown}");
    installation.must(&["policy", "cancel"]);
    assert!(!installation.must(&["policy", "show"]).contains("waits"));

    std::fs::write(&policy, POLICY.replace("per_day = 30 ", "per_day = 20 ")).unwrap();
    assert!(installation.must(&["policy", "apply"]).contains("Applied as version 2."));
}

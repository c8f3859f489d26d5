//! Policies with unknown names and grants that cannot be.

use serde_json::json;

use super::{Watched, check};
use crate::support::POLICY;

#[tokio::test]
async fn a_policy_that_cannot_be_is_refused_with_line_cause_and_cure() {
    let watched = Watched::open().await;
    let in_force = watched.shop.call("admin", "GET", "/v1/policy", None).await.json;
    for (old, new, words) in BAD {
        assert!(POLICY.contains(old), "nothing to replace: {old}");
        let policy = POLICY.replacen(old, new, 1);
        let (before, _) = policy.split_once(new).unwrap();
        let line = 1 + before.matches('\n').count();
        for path in ["/v1/policy", "/v1/policy/check"] {
            let body = json!({ "policy": policy });
            let answer = watched.shop.call("admin", "POST", path, Some(body)).await;
            check(&answer, 422, "bad_policy", &[]);
            let problems = answer.json["errors"].as_array().unwrap();
            let named = problems.iter().find(|problem| {
                let detail = problem["detail"].as_str().unwrap();
                words.iter().all(|word| detail.contains(word))
            });
            let problem = named.unwrap_or_else(|| panic!("{words:?} in {problems:?}"));
            let place = problem["field"].as_str().unwrap();
            let at: usize = place.strip_prefix("line ").unwrap().parse().unwrap();
            assert!(at.abs_diff(line) <= 12, "line {at} is near line {line}: {problem}");
            assert!(problem["detail"].as_str().unwrap().contains("; "), "cause; cure: {problem}");
        }
    }
    let after = watched.shop.call("admin", "GET", "/v1/policy", None).await.json;
    assert_eq!(in_force, after, "the policy in force is the one from before");
    watched.is_as_before().await;
}

#[tokio::test]
async fn a_text_that_is_no_policy_is_refused() {
    let watched = Watched::open().await;
    let long = format!("{POLICY}\nx = \"{}\"", "[".repeat(100_000));
    for policy in ["", "\0", "kanari", "[business]", "{}", "[[grant]]\nrole = \"shop\"", &long] {
        let body = json!({ "policy": policy });
        let answer = watched.shop.call("admin", "POST", "/v1/policy", Some(body)).await;
        check(&answer, 422, "bad_policy", &[]);
        let problems = answer.json["errors"].as_array().unwrap();
        assert!(!problems.is_empty() && problems.len() < 200, "{problems:?}");
    }
    let again = json!({ "policy": POLICY });
    let answer = watched.shop.call("admin", "POST", "/v1/policy", Some(again)).await;
    check(&answer, 409, "policy_unchanged", &[]);
    watched.is_as_before().await;
}

#[tokio::test]
async fn a_key_that_could_do_nothing_or_live_for_ever_is_refused() {
    let watched = Watched::open().await;
    let shop = &watched.shop;
    let long = "n".repeat(61);
    for name in ["", "kanari@mail.example", "nul\0", "Zoë", "a\nb", long.as_str()] {
        let body = json!({ "name": name, "role": "desk" });
        check(
            &shop.call("admin", "POST", "/v1/keys", Some(body)).await,
            422,
            "bad_name",
            &["kanari"],
        );
    }
    for days in [0_u64, 366, 4_294_967_295] {
        let body = json!({ "name": "till", "role": "desk", "days": days });
        check(&shop.call("admin", "POST", "/v1/keys", Some(body)).await, 422, "bad_days", &[]);
    }
    for days in [json!(-1), json!(1.5), json!("7"), json!(4_294_967_296_u64)] {
        let body = json!({ "name": "till", "role": "desk", "days": days });
        let answer = shop.call("admin", "POST", "/v1/keys", Some(body)).await;
        assert_eq!(answer.status, 400, "{}", answer.json);
    }
    for body in [
        json!({ "name": "till", "role": "kanari" }),
        json!({ "name": "till", "role": "" }),
        json!({ "name": "till", "role": "desk", "purposes": ["support", "kanari"] }),
    ] {
        let answer = shop.call("admin", "POST", "/v1/keys", Some(body)).await;
        check(&answer, 422, "unknown_name", &["kanari"]);
        let cure = answer.json["errors"][0]["detail"].as_str().unwrap();
        assert!(cure.contains("`desk`") || cure.contains("`support`"), "{cure}");
    }
    let keys = shop.call("admin", "GET", "/v1/keys", None).await;
    assert_eq!(keys.json["keys"].as_array().unwrap().len(), shop.keys.len());
}

/// What is replaced in the policy of the shop, by what, and words of the answer.
const BAD: &[(&str, &str, &[&str])] = &[
    ("type = \"email\"", "type = \"e-mail\"", &["`e-mail`", "did you mean `email`"]),
    ("needed_for = [\"purchase\"]", "needed_for = [\"purchases\"]", &["`purchases`", "`purchase`"]),
    ("role = \"desk\"", "role = \"desks\"", &["`desks`", "did you mean `desk`"]),
    (
        "purpose = \"delivery\"",
        "purpose = \"deliveries\"",
        &["`deliveries`", "did you mean `delivery`"],
    ),
    ("find = [\"email\", \"phone\"]", "find = [\"e_mail\"]", &["`e_mail`", "`email`"]),
    ("find = [\"email\", \"phone\"]", "find = [\"address\"]", &["`address`", "find"]),
    (
        "fields = [\"name\", \"address\"]",
        "fields = [\"name\", \"adress\"]",
        &["`adress`", "`address`"],
    ),
    ("see = \"masked\"\nbudget = { per_day = 5000 }", "see = \"masked\"", &["budget"]),
    ("budget = { per_day = 500 }", "budget = { per_day = 0 }", &["per_day"]),
    ("budget = { per_day = 500 }", "budget = { per_day = -1 }", &["per_day"]),
    ("see = \"clear\"", "see = \"naked\"", &["`naked`"]),
    ("reveal = { needs = \"reason\"", "reveal = { needs = \"mood\"", &["`mood`"]),
    ("keep = \"3 years\"", "keep = \"for ever\"", &["`for ever`"]),
    ("may = [\"keys\", \"policy\"]", "may = [\"keys\", \"everything\"]", &["`everything`"]),
    ("timezone = \"Europe/London\"", "timezone = \"Mars/Olympus\"", &["`Mars/Olympus`"]),
    ("find = \"exact\"", "find = \"words\"", &["`phone`", "nobody is found by the words of"]),
    ("reveal = { needs = \"reason\"", "reveal = { needs = \"approval\"", &["not in this version"]),
];

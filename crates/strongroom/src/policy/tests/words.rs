//! Finding by words: which fields have them, who may, and which part of a value they are.

use serde_json::json;

use super::*;
use crate::policy::parse_value;

#[test]
fn words_are_for_what_people_are_called_and_where_they_live() {
    let with = |kind: &str| {
        let kind = format!("type = {kind}\nfind = \"words\"");
        parse(&SMALL.replacen("type = \"text\"", &kind, 1))
    };
    for kind in ["\"email\"", "\"name\"", "\"postal_address\""] {
        assert_eq!(with(kind).unwrap().fields()["note"].find, Find::Words, "{kind}");
    }
    for kind in [
        "\"choice\"\nchoices = [\"tea\", \"coffee\"]",
        "\"country\"",
        "\"date\"",
        "\"date_of_birth\"",
        "\"iban\"",
        "\"national_id\"\ncountry = \"GB\"",
        "\"number\"",
        "\"payment_token\"",
        "\"phone\"",
        "\"text\"",
    ] {
        let problems = with(kind).unwrap_err();
        assert_eq!(problems.len(), 1, "{kind}");
        let problem = problems[0].to_string();
        assert!(problem.contains("nobody is found by the words of"), "{problem}");
        assert!(problem.contains("take"), "it names the cure: {problem}");
    }
}

#[test]
fn words_are_found_by_those_who_see_them_in_clear() {
    let worded = SMALL.replacen("find = \"exact\"", "find = \"words\"", 1);
    parse(&worded).unwrap_err();
    let reveal = "reveal = { needs = \"reason\", reasons = [\"called\"], per_day = 3 }\n";
    let clear = worded.replacen("\"masked\"", "\"clear\"", 1).replacen(reveal, "", 1);
    parsed(&clear);
    let other = clear.replacen("fields = [\"email\"]", "fields = [\"note\"]", 1);
    let problems = parse(&other).unwrap_err();
    assert!(problems[0].to_string().contains("does not show in clear"), "{}", problems[0]);
}

#[test]
fn nothing_of_words_is_fixed_once_declared() {
    let random = &strongroom_crypto::SystemRandom;
    let with = |find: &str| {
        let name = format!("[field.name]\ntype = \"name\"\nneeded_for = [\"sale\"]\n{find}");
        parsed(&SMALL.replacen("[field.email]", &format!("{name}[field.email]"), 1))
    };
    let registry = Registry::default().extended_for(&with(""), random).unwrap();
    let worded = registry.extended_for(&with("find = \"words\"\n"), random).unwrap();
    assert_eq!(worded, registry, "an index in memory leaves nothing behind");
    let refused = worded.extended_for(&with("find = \"exact\"\n"), random).unwrap_err();
    assert_eq!(refused.code, "field_changed");
}

#[test]
fn of_an_address_nobody_is_found_by_region_or_country() {
    let address = json!({ "lines": ["7 Pier Road", "Flat 2"], "city": "Whitby", "region": "Yorkshire",
        "postcode": "YO21 1AA", "country": "GB" });
    let kept = parse_value(&FieldKind::PostalAddress, shop().business(), &address).ok().unwrap();
    assert_eq!(kept.expose_words().trim_end(), "7 Pier Road Flat 2 Whitby YO21 1AA");
    let name =
        parse_value(&FieldKind::Name, shop().business(), &json!("Ann Whitfield")).ok().unwrap();
    assert_eq!(name.expose_words().as_str(), "Ann Whitfield");
}

//! What a change of the policy is said to do.

use proptest::prelude::*;

use super::*;

/// Every change is checked forwards, and backwards for the opposite effect.
#[track_caller]
fn check(old: &str, new: &str, expected: &[(Effect, &str)]) {
    check_from(SHOP, old, new, expected);
}

#[track_caller]
fn check_from(base: &str, old: &str, new: &str, expected: &[(Effect, &str)]) {
    assert!(base.contains(old), "nothing to replace: {old}");
    let lines = difference(Some(&parsed(base)), &parsed(&base.replacen(old, new, 1)));
    let lines: Vec<_> = lines.iter().map(|line| (line.effect, line.text.as_str())).collect();
    assert_eq!(lines, expected);
}

const DESK: &str = "[[grant]]\nrole = \"desk\"\npurpose = \"support\"\nfields = [\"name\", \
                    \"email\", \"phone\", \"address\", \"note\"]";

#[test]
fn the_first_policy_is_told_in_short_and_asks_for_nobody() {
    let lines = difference(None, &shop());
    assert_eq!(lines.len(), 1 + 2 + 1 + 2 + 5 + 2);
    assert!(lines.iter().all(|line| line.effect == Effect::Neutral));
    assert_eq!(lines[0].text, "First policy of Harbour Books, time zone Europe/London");
}

#[test]
fn changes_of_the_business_are_told() {
    check(
        "Harbour Books",
        "Quay Books",
        &[(Effect::Neutral, "The name of the business is now `Quay Books` (was `Harbour Books`)")],
    );
    check(
        "Europe/London",
        "Europe/Paris",
        &[(
            Effect::ShortensLife,
            "The time zone, by which days end, is now `Europe/Paris` (was `Europe/London`)",
        )],
    );
    let what = "The time in which an erasure can be cancelled is now";
    let shorter = format!("{what} `6 days` (was `7 days`)");
    check("7 days", "6 days", &[(Effect::ShortensLife, &shorter)]);
    let longer = format!("{what} `8 days` (was `7 days`)");
    check("7 days", "8 days", &[(Effect::Neutral, &longer)]);
    check(
        "country = \"GB\"",
        "",
        &[(
            Effect::Neutral,
            "The country of telephone numbers without a prefix is now `none` (was `GB`)",
        )],
    );
}

#[test]
fn changes_of_relations_are_told() {
    let what = "The time relation `purchase` lasts is";
    let shorter = format!("{what} shortened to 9 years (was 10 years)");
    check("10 years", "9 years", &[(Effect::ShortensLife, &shorter)]);
    let longer = format!("{what} lengthened to 11 years (was 10 years)");
    check("10 years", "11 years", &[(Effect::Neutral, &longer)]);
    check(
        "basis = \"tax law\"",
        "",
        &[(Effect::ShortensLife, "Erasure no longer waits for relation `purchase` (was: tax law)")],
    );
    check(
        "tax law",
        "trade law",
        &[(
            Effect::Neutral,
            "The legal duty behind relation `purchase` is now `trade law` (was `tax law`)",
        )],
    );
    let visit = "[relation.visit]\nkeep = \"1 year\"\n[field.name]";
    check(
        "[field.name]",
        visit,
        &[(Effect::Neutral, "Relation `visit` is added; it lasts 1 year")],
    );
    check_from(
        &SHOP.replacen("[field.name]", visit, 1),
        visit,
        "[field.name]",
        &[(Effect::ShortensLife, "Relation `visit` is dropped, and with it what only it keeps")],
    );
}

#[test]
fn changes_of_fields_are_told() {
    let size = "[field.size]\ntype = \"text\"\nneeded_for = [\"enquiry\"]\n[field.name]";
    let with_size = SHOP.replacen("[field.name]", size, 1);
    check(
        "[field.name]",
        size,
        &[(Effect::Neutral, "Field `size` of type `text` is added, needed for `enquiry`")],
    );
    check_from(
        &with_size,
        size,
        "[field.name]",
        &[(Effect::DropsField, "Field `size` is dropped with its values")],
    );
    check(
        "type = \"name\"",
        "type = \"text\"",
        &[(
            Effect::DropsField,
            "Field `name` is now of type `text` (was `name`); values kept so far are masked whole",
        )],
    );
    check(
        "size_max = 1000",
        "size_max = 900",
        &[(
            Effect::Neutral,
            "What field `note` takes is now at most 900 characters (was at most 1000 characters); \
         values kept so far stay",
        )],
    );
    check(
        "restricted",
        "confidential",
        &[(
            Effect::Widens,
            "The class of field `date_of_birth` is now `confidential` (was `restricted`)",
        )],
    );
    check(
        "type = \"name\"",
        "type = \"name\"\nclass = \"restricted\"",
        &[(Effect::Narrows, "The class of field `name` is now `restricted` (was `confidential`)")],
    );
    check(
        "[\"enquiry\", \"purchase\"]",
        "[\"enquiry\"]",
        &[(Effect::ShortensLife, "Field `name` is no longer needed for `purchase`")],
    );
    check(
        "needed_for = [\"purchase\"]",
        "needed_for = [\"enquiry\", \"purchase\"]",
        &[(Effect::Neutral, "Field `address` is now needed for `enquiry`")],
    );
    check(
        "find = \"unique\"",
        "find = \"exact\"",
        &[(Effect::Neutral, "The index over field `email` is now `exact` (was `unique`)")],
    );
}

#[test]
fn changes_of_records_are_told() {
    let note =
        "[record.order]\nrelation = \"purchase\"\nfields = { number = \"text\" }\n[role.desk]";
    check(
        "[role.desk]",
        note,
        &[(Effect::Neutral, "Record `order` with `number` is added, kept for `purchase`")],
    );
    check_from(
        &SHOP.replacen("[role.desk]", note, 1),
        note,
        "[role.desk]",
        &[(Effect::DropsField, "Record `order` is dropped with its values")],
    );
    check(
        "fixed = true",
        "fixed = false",
        &[(
            Effect::Widens,
            "Record `invoice` may be changed after it was issued; those issued so far may not",
        )],
    );
    check(
        "fixed = false",
        "fixed = true",
        &[(Effect::Narrows, "Record `message` is fixed once issued")],
    );
    check(
        "title = \"Invoice\"\nrelation = \"purchase\"",
        "title = \"Invoice\"\nrelation = \"enquiry\"",
        &[(
            Effect::ShortensLife,
            "The relation that record `invoice` is kept for is now `enquiry` (was `purchase`)",
        )],
    );
    check(
        "subject = \"text\", ",
        "subject = \"text\", sent = \"date\", ",
        &[(Effect::Neutral, "Field `message.sent` of type `date` is added")],
    );
    check(
        "size_max = 4000",
        "size_max = 3000",
        &[(
            Effect::Neutral,
            "What field `message.body` takes is now at most 3000 characters (was at most 4000 \
             characters); values kept so far stay",
        )],
    );
}

#[test]
fn changes_of_roles_and_rights_are_told() {
    check(
        "may = [\"relate\"]",
        "may = [\"erase\"]",
        &[
            (Effect::Widens, "Role `desk` has the right `erase` now"),
            (Effect::Narrows, "Role `desk` no longer has the right `relate`"),
        ],
    );
    let boss = "[role.boss]\nmay = [\"keys\"]\n[role.desk]";
    check(
        "[role.desk]",
        boss,
        &[
            (Effect::Neutral, "Role `boss` is added"),
            (Effect::Widens, "Role `boss` has the right `keys` now"),
        ],
    );
    check_from(
        &SHOP.replacen("[role.desk]", boss, 1),
        boss,
        "[role.desk]",
        &[(Effect::Narrows, "Role `boss` is dropped")],
    );
    let asked = "[purpose.survey]\nneeds_consent = true\n[role.desk]";
    let line = "Purpose `survey` is added, only with consent";
    check("[role.desk]", asked, &[(Effect::Neutral, line)]);
    let (needs, free) = ("needs_consent = true", "needs_consent = false");
    let narrowed = "Purpose `marketing` needs the customer's consent now";
    let base = SHOP.replacen(needs, free, 1);
    check_from(&base, free, needs, &[(Effect::Narrows, narrowed)]);
    let widened = "Purpose `marketing` no longer needs the customer's consent";
    check(needs, free, &[(Effect::Widens, widened)]);
    let audit = "[purpose.audit]\n[role.desk]";
    check("[role.desk]", audit, &[(Effect::Neutral, "Purpose `audit` is added")]);
    check_from(
        &SHOP.replacen("[role.desk]", audit, 1),
        audit,
        "[role.desk]",
        &[(Effect::Narrows, "Purpose `audit` is dropped")],
    );
}

#[test]
fn changes_of_grants_are_told() {
    let narrower = "[[grant]]\nrole = \"desk\"\npurpose = \"support\"\nfields = [\"name\", \
                    \"email\", \"phone\", \"address\"]";
    check(
        DESK,
        narrower,
        &[
            (
                Effect::Narrows,
                "Role `desk` may now see field `note` not at all (was masked) for purpose `support`",
            ),
            (
                Effect::Narrows,
                "Role `desk` may no longer reveal field `note` for purpose `support`",
            ),
        ],
    );
    check_from(
        &SHOP.replacen(DESK, narrower, 1),
        narrower,
        DESK,
        &[
            (
                Effect::Widens,
                "Role `desk` may now see field `note` masked (was not at all) for purpose `support`",
            ),
            (
                Effect::Widens,
                "Role `desk` may now reveal field `note` for purpose `support`, 30 times a day, for: \
             customer called, wrong address, return",
            ),
        ],
    );
}

#[test]
fn changes_of_what_a_grant_shows_finds_and_counts_are_told() {
    let clear = "see = \"clear\"\nbudget = { per_day = 500 }";
    check(
        clear,
        "see = \"masked\"\nbudget = { per_day = 600 }",
        &[
            (
                Effect::Narrows,
                "Role `shop` may now see field `address` masked (was in clear) for purpose `delivery`",
            ),
            (
                Effect::Narrows,
                "Role `shop` may now see field `name` masked (was in clear) for purpose `delivery`",
            ),
            (
                Effect::Widens,
                "Role `shop` may read `address`, `name` 600 times a day (was 500) for purpose \
             `delivery`",
            ),
        ],
    );
    check(
        "find = [\"email\"]\nsee",
        "see",
        &[(
            Effect::Narrows,
            "Role `privacy` may no longer find by field `email` for purpose `support`",
        )],
    );
    check(
        "find = [\"email\"]\nsee",
        "find = [\"phone\"]\nsee",
        &[
            (Effect::Widens, "Role `privacy` may now find by field `phone` for purpose `support`"),
            (
                Effect::Narrows,
                "Role `privacy` may no longer find by field `email` for purpose `support`",
            ),
        ],
    );
    check(
        "per_day = 200",
        "per_day = 100",
        &[
            (
                Effect::Narrows,
                "Role `desk` may look customers up by `email`, `phone` 100 times a day (was 200) for \
             purpose `support`",
            ),
            (
                Effect::Narrows,
                "Role `desk` may read `address`, `email`, `name`, `note`, `phone` 100 times a day \
             (was 200) for purpose `support`",
            ),
        ],
    );
}

#[test]
fn changes_of_reveals_are_told() {
    let effects = |old: &str, new: &str| {
        let lines = difference(Some(&shop()), &parsed(&SHOP.replacen(old, new, 1)));
        assert_eq!(lines.len(), 5, "one line for each field");
        assert!(lines.iter().all(|line| line.effect == lines[0].effect));
        lines[0].effect
    };
    assert_eq!(effects("per_day = 30 ", "per_day = 31 "), Effect::Widens);
    assert_eq!(effects("per_day = 30 ", "per_day = 29 "), Effect::Narrows);
    assert_eq!(effects("\"return\"]", "\"return\", \"other\"]"), Effect::Widens);
    assert_eq!(effects(", \"return\"]", "]"), Effect::Narrows);
    assert_eq!(effects("\"return\"]", "\"refund\"]"), Effect::Widens);
}

/// Ten customers' names and ten other customers' addresses are more than ten customers.
#[test]
fn a_budget_split_in_two_widens() {
    let one = "[[grant]]\nrole = \"shop\"\npurpose = \"delivery\"\nfields = [\"name\", \
               \"address\"]\nsee = \"clear\"\nbudget = { per_day = 500 }\n";
    let half = |field: &str| one.replacen("\"name\", \"address\"", &format!("\"{field}\""), 1);
    let two = half("name") + &half("address");
    let what = "The budgets of role `shop` for purpose `delivery` are shared among other fields";
    let split = format!("{what} (2 budgets, was 1)");
    check(one, &two, &[(Effect::Widens, &split)]);
    let joined = format!("{what} (1 budgets, was 2)");
    check_from(&SHOP.replacen(one, &two, 1), &two, one, &[(Effect::Narrows, &joined)]);
}

#[test]
fn a_second_person_is_asked_for_grave_changes_only() {
    let grave = [Effect::DropsField, Effect::ShortensLife, Effect::Widens];
    assert!(grave.into_iter().all(Effect::needs_second_person));
    assert!(![Effect::Narrows, Effect::Neutral].into_iter().any(Effect::needs_second_person));
}

proptest! {
    #[test]
    fn the_difference_is_empty_only_between_equal_policies(
        changes in proptest::collection::vec((0..SHOP.len(), "[a-z0-9\"]{1,3}", 0..4_usize), 0..3),
    ) {
        let mut text = SHOP.to_owned();
        for (at, new, cut) in changes {
            let end = (at + cut).min(text.len());
            if text.is_char_boundary(at) && text.is_char_boundary(end) && at < end {
                text.replace_range(at..end, &new);
            }
        }
        let old = shop();
        if let Ok(new) = parse(&text) {
            prop_assert_eq!(difference(Some(&old), &new).is_empty(), old == new);
            prop_assert!(difference(Some(&new), &new).is_empty());
        }
    }
}

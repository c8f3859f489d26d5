//! Policy files, good and bad.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::policy::rules::{POLICY_SIZE_BYTES_MAX, PROBLEMS_MAX};

#[test]
fn one_mistake_is_one_problem() {
    for (old, new) in [
        ("[\"sale\"]\nfind", "[\"sal\"]\nfind"),
        ("type = \"email\"", "type = \"mail\""),
        ("role = \"desk\"", "role = \"desc\""),
        ("3 years", "3 weeks"),
        ("Europe/London", "Europe/Londn"),
    ] {
        assert_eq!(parse(&SMALL.replacen(old, new, 1)).unwrap_err().len(), 1, "{new}");
    }
}

#[test]
fn several_mistakes_are_reported_together_in_the_order_of_the_lines() {
    let text =
        SMALL.replacen("Shop", "", 1).replacen("masked", "mask", 1).replacen("years", "y", 1);
    let lines: Vec<u32> = parse(&text).unwrap_err().iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [2, 5, 21]);
}

#[test]
fn at_most_twenty_problems_are_reported() {
    let nonsense: String = (0..2_000).map(|count| format!("key{count} = 1\n")).collect();
    let problems = parse(&format!("{nonsense}{SMALL}")).unwrap_err();
    assert_eq!(problems.len(), PROBLEMS_MAX);
    assert_eq!(problems[0].line, 1);
    let broken: String = (0..2_000).map(|_| "= = =\n").collect();
    assert_eq!(parse(&broken).unwrap_err().len(), PROBLEMS_MAX);
}

#[test]
fn an_empty_file_says_what_is_missing() {
    let problems = parse("").unwrap_err();
    let causes: Vec<_> = problems.iter().map(|problem| problem.cause.as_str()).collect();
    let expected =
        ["the policy has no `business`", "the policy has no relation", "the policy has no field"];
    assert_eq!(causes, expected);
}

#[test]
fn a_file_beyond_its_size_is_refused_unread() {
    let fits = format!("{SMALL}#{}", "x".repeat(POLICY_SIZE_BYTES_MAX - SMALL.len() - 1));
    parsed(&fits);
    let problems = parse(&format!("{fits}x")).unwrap_err();
    assert_eq!(problems[0].cause, "the policy has more than 256 KiB");
}

#[test]
fn counts_of_parts_have_limits() {
    let check = |count_max: usize, part: &dyn Fn(usize) -> String, expected: &str| {
        let parts = |count| SMALL.to_owned() + &(0..count).map(part).collect::<String>();
        parsed(&parts(count_max));
        let problem = parse(&parts(count_max + 1)).unwrap_err()[0].to_string();
        assert!(problem.contains(expected), "{problem}");
    };
    let relation = |n| format!("[relation.r{n}]\nkeep = \"1 year\"\n");
    check(63, &relation, "more than 64 of `relation`");
    let field = |n| format!("[field.f{n}]\ntype = \"date\"\nneeded_for = [\"sale\"]\n");
    check(198, &field, "more than 200 of `field`");
    check(63, &|n| format!("[purpose.p{n}]\n"), "more than 64 of `purpose`");
    check(63, &|n| format!("[role.r{n}]\n"), "more than 64 of `role`");

    let fields: String = (0..198).map(field).collect();
    let roles: String = (0..3).map(|n| format!("[role.r{n}]\n")).collect();
    let grant = |n: usize| {
        let (role, field) = (n / 198, n % 198);
        format!(
            "[[grant]]\nrole = \"r{role}\"\npurpose = \"support\"\nfields = [\"f{field}\"]\n\
             see = \"clear\"\nbudget = {{ per_day = 1 }}\n"
        )
    };
    let policy =
        |count| format!("{SMALL}{fields}{roles}{}", (0..count).map(grant).collect::<String>());
    assert_eq!(parsed(&policy(499)).grants().len(), 500);
    assert!(parse(&policy(500)).unwrap_err()[0].cause.contains("more than 500 grants"));
}

#[test]
fn fields_needed_for_the_same_share_one_of_at_most_eight_compartments() {
    let policy = |count: usize| {
        let part = |n| {
            format!(
                "[relation.r{n}]\nkeep = \"1 year\"\n[field.f{n}]\ntype = \"date\"\n\
                 needed_for = [\"r{n}\"]\n"
            )
        };
        SMALL.to_owned() + &(0..count).map(part).collect::<String>()
    };
    assert_eq!(compartments(&parsed(SMALL)).len(), 1);
    let eight = compartments(&parsed(&policy(7)));
    assert_eq!(eight.len(), 8);
    assert!(eight.contains(&BTreeSet::from([Name::parse("sale").unwrap()])));
    let problem = parse(&policy(8)).unwrap_err()[0].to_string();
    let expected = "line 61: with field `f7` there are more than 8 different `needed_for`: give it";
    assert!(problem.starts_with(expected), "{problem}");
}

#[test]
fn a_field_is_in_one_grant_of_a_role_and_purpose() {
    let grant = |role: &str, uses: &str| {
        format!(
            "[role.other]\n[[grant]]\nrole = \"{role}\"\npurpose = \"support\"\n{uses}\n\
             see = \"clear\"\nbudget = {{ per_day = 1 }}\n"
        )
    };
    parsed(&(SMALL.to_owned() + &grant("other", "fields = [\"email\"]\nfind = [\"email\"]")));
    parsed(&(SMALL.to_owned() + &grant("desk", "fields = [\"note\"]")));
    for (uses, key) in
        [("fields = [\"email\"]", "fields"), ("fields = [\"note\"]\nfind = [\"email\"]", "find")]
    {
        let problems = parse(&(SMALL.to_owned() + &grant("desk", uses))).unwrap_err();
        let expected =
            format!("`email` is in `{key}` of two grants of role `desk` for purpose `support`");
        assert_eq!(problems[0].cause, expected);
    }
}

#[test]
fn a_grant_that_gives_nothing_is_refused() {
    let text = SMALL.replacen("find = [\"email\"]\nsee = \"masked\"", "see = \"none\"", 1);
    let reveal_only = parsed(&text.replacen("budget = { per_day = 5 }\n", "", 1));
    assert_eq!(reveal_only.grants()[0].budget, None);
    let (nothing, _) = text.split_once("reveal").unwrap();
    let problem = parse(nothing).unwrap_err()[0].to_string();
    assert!(problem.starts_with("line 16: a grant shows nothing, finds nothing"), "{problem}");
}

#[test]
fn finding_alone_needs_a_budget() {
    let text = SMALL.replacen("see = \"masked\"", "see = \"none\"", 1);
    parsed(&text);
    let problem = parse(&text.replacen("budget = { per_day = 5 }\n", "", 1)).unwrap_err();
    assert_eq!(problem[0].cause, "a grant has no `budget`");
}

#[test]
fn what_is_left_out_is_the_safe_default() {
    let policy = parsed(SMALL);
    assert_eq!(policy.business().erase_grace, GracePeriod::DEFAULT);
    assert_eq!(policy.business().country, None);
    let note = &policy.fields()["note"];
    assert_eq!((note.class, note.find), (Class::Confidential, Find::None));
    assert_eq!(note.kind, FieldKind::Text { size_max: 2_000 });
    assert_eq!(note.title, "note");
    assert!(parsed(&SMALL.replacen("may = [\"relate\"]\n", "", 1)).roles()["desk"].may.is_empty());
}

#[test]
fn the_shop_says_what_its_file_says() {
    let policy = shop();
    assert_eq!(policy.business().timezone.iana_name(), Some("Europe/London"));
    assert_eq!(policy.business().country.unwrap().as_str(), "GB");
    assert_eq!(policy.relations()["purchase"].basis.as_deref(), Some("tax law"));
    assert_eq!(policy.relations()["purchase"].keep.years(), 10);
    assert_eq!(policy.fields()["email"].find, Find::Unique);
    assert_eq!(policy.fields()["phone"].find, Find::Exact);
    assert_eq!(compartments(&policy).len(), 3);
    let shop =
        BTreeSet::from([Right::Create, Right::Ledger, Right::Relate, Right::Send, Right::Update]);
    assert_eq!(policy.roles()["shop"].may, shop);
    let desk: Vec<&Grant> = policy.grants_of("desk", "support").collect();
    assert_eq!(desk.len(), 2);
    assert_eq!(desk[0].see, See::Masked);
    assert_eq!(desk[0].reveal.as_ref().unwrap().per_day, 30);
    assert_eq!(desk[0].key(), "desk/support/address");
    let keys: BTreeSet<String> = policy.grants().iter().map(Grant::key).collect();
    assert_eq!(keys.len(), policy.grants().len());
}

#[test]
fn the_overview_names_everything_with_its_title() {
    let overview = describe(&shop());
    assert_eq!(overview["business"]["name"], "Harbour Books");
    assert_eq!(overview["relations"][0]["title"], "Asked a question");
    let email = json!({
        "name": "email", "title": "E-mail address", "type": "email", "class": "confidential",
        "needed_for": ["enquiry", "purchase"], "find": "unique",
    });
    assert!(overview["fields"].as_array().unwrap().contains(&email));
    assert_eq!(overview["purposes"][1]["needs_consent"], true);
    assert_eq!(overview["grants"].as_array().unwrap().len(), 7);
    assert_eq!(overview["grants"][2]["reveal"]["per_day"], 30);
    assert_eq!(overview["roles"].as_array().unwrap().len(), 5);
}

/// A policy with a record, and a grant that names a field of it.
fn with_invoice(fields: &str) -> String {
    let record = format!("[record.invoice]\nrelation = \"sale\"\nfields = {fields}\n[purpose.");
    SMALL.replacen("[purpose.", &record, 1).replacen(
        "fields = [\"email\"]",
        "fields = [\"email\", \"invoice.number\"]",
        1,
    )
}

#[test]
fn a_record_is_read_with_its_fields_and_fixed_unless_it_says_otherwise() {
    let policy =
        parsed(&with_invoice("{ number = \"text\", to = { type = \"name\", title = \"To\" } }"));
    let invoice = &policy.records()["invoice"];
    assert!(invoice.fixed);
    assert_eq!(invoice.relation.as_str(), "sale");
    assert_eq!(policy.field("invoice.to").unwrap().title, "To");
    assert_eq!(policy.field("invoice.number").unwrap().kind, FieldKind::Text { size_max: 2_000 });
    assert!(policy.field("number").is_none() && policy.field("order.number").is_none());
    let grant = &policy.grants()[0];
    assert!(grant.fields.contains("invoice.number") && !grant.fields.contains("number"));
    let overview = describe(&shop());
    assert_eq!(overview["records"][0]["name"], "invoice");
    assert_eq!(overview["records"][0]["fields"][2]["name"], "invoice.number");
}

#[test]
fn nobody_is_found_by_a_field_of_a_record() {
    let text = with_invoice("{ number = \"text\" }");
    let text = text.replacen("find = [\"email\"]", "find = [\"invoice.number\"]", 1);
    let problems = parse(&text).unwrap_err();
    assert!(problems[0].cause.contains("which belongs to a record"), "{problems:?}");
}

#[test]
fn numbers_of_record_fields_are_never_reused() {
    let number = |registry: &Registry, name: &str| registry.id_of(name);
    let registry = |text: &str, before: &Registry| {
        before.extended_for(&parsed(text), &strongroom_crypto::SystemRandom).unwrap()
    };
    let first =
        registry(&with_invoice("{ number = \"text\", total = \"number\" }"), &Registry::default());
    let total = number(&first, "invoice.total").unwrap();
    let dropped = registry(&with_invoice("{ number = \"text\" }"), &first);
    let back = registry(&with_invoice("{ number = \"text\", vat = \"number\" }"), &dropped);
    assert_eq!(number(&back, "invoice.total"), Some(total), "kept though nothing names it");
    assert_ne!(number(&back, "invoice.vat"), Some(total));
    let other = with_invoice("{ number = \"number\" }");
    let changed = first.extended_for(&parsed(&other), &strongroom_crypto::SystemRandom);
    assert_eq!(changed.unwrap_err().code, "field_changed");
}

#[test]
fn fields_of_records_count_with_the_others() {
    let fields = |count: usize| {
        let all: Vec<String> = (0..count).map(|n| format!("f{n} = \"date\"")).collect();
        format!("{{ number = \"text\", {} }}", all.join(", "))
    };
    let field = |n| format!("[field.f{n}]\ntype = \"date\"\nneeded_for = [\"sale\"]\n");
    let text = |own: usize, of_record: usize| {
        with_invoice(&fields(of_record)) + &(0..own).map(field).collect::<String>()
    };
    parsed(&text(158, 39));
    let cause = &parse(&text(160, 39)).unwrap_err()[0].cause;
    assert!(cause.contains("records have 40 fields, 38 are left"), "{cause}");
    let cause = &parse(&text(0, 40)).unwrap_err()[0].cause;
    assert!(cause.contains("has more than 40 fields"), "{cause}");
}

#[test]
fn nested_nonsense_does_not_exhaust_the_stack() {
    for text in [
        "a = ".to_owned() + &"[".repeat(100_000),
        "a = ".to_owned() + &"{a=".repeat(50_000),
        "[".to_owned() + &"a.".repeat(100_000) + "a]",
        "a.".repeat(100_000) + "a = 1",
    ] {
        assert!(!parse(&text).unwrap_err().is_empty());
    }
}

proptest! {
    #[test]
    fn parsing_never_panics_and_always_explains(text in ".{0,300}") {
        let problems = parse(&text).unwrap_err();
        prop_assert!((1..=PROBLEMS_MAX).contains(&problems.len()));
    }

    #[test]
    fn a_damaged_policy_never_panics(
        cuts in proptest::collection::vec((0..SHOP.len(), 0..SHOP.len()), 1..4),
        insert in "[\\[\\]\"={}a-z0-9.,\n \u{202e}é]{0,12}",
    ) {
        let mut text = SHOP.to_owned();
        for (one, other) in cuts {
            let (one, other) = (one.min(text.len()), other.min(text.len()));
            let (start, end) = (one.min(other), one.max(other).min(one.min(other) + 40));
            if text.is_char_boundary(start) && text.is_char_boundary(end) {
                text.replace_range(start..end, &insert);
            }
        }
        if let Err(problems) = parse(&text) {
            let last = u32::try_from(text.lines().count().max(1)).unwrap() + 1;
            prop_assert!(problems.iter().all(|problem| (1..=last).contains(&problem.line)));
            prop_assert!(problems.iter().all(|it| !it.cause.is_empty() && !it.cure.is_empty()));
        }
    }
}

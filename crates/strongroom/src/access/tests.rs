//! Properties of the decision, and the meters.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::model::Metered;
use super::*;
use crate::ctx::See;
use crate::policy::{Policy, Right, parse};

const SHOP: &str = include_str!("../../../../examples/shop/policy.toml");

const WISHES: [Wish; 3] = [Wish::Find, Wish::Read, Wish::Reveal];

fn shop() -> Policy {
    parse(SHOP).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// Names of the policy and a few that it does not have.
fn any_of(known: &[&'static str]) -> impl Strategy<Value = String> + use<> {
    let mut names: Vec<String> = known.iter().map(|name| (*name).to_owned()).collect();
    names.extend(["", "Name", "name ", "nobody", "ada@mail.example"].map(str::to_owned));
    prop::sample::select(names)
}

fn roles() -> impl Strategy<Value = String> {
    any_of(&["shop", "desk", "importer", "privacy", "admin"])
}

fn purposes() -> impl Strategy<Value = String> {
    any_of(&["support", "delivery"])
}

fn fields() -> impl Strategy<Value = Vec<String>> {
    let names = any_of(&["name", "email", "phone", "address", "note", "date_of_birth"]);
    prop::collection::vec(names, 1..5)
}

fn wishes() -> impl Strategy<Value = Wish> {
    prop::sample::select(WISHES.to_vec())
}

/// Field by field, from the grants alone.
fn granted(policy: &Policy, role: &str, purpose: &str, wish: Wish, field: &str) -> bool {
    policy.grants().iter().any(|grant| {
        let named = match wish {
            Wish::Find => grant.find.contains(field),
            Wish::Read => grant.fields.contains(field) && grant.see != crate::policy::See::None,
            Wish::Reveal => grant.fields.contains(field) && grant.reveal.is_some(),
        };
        grant.role.as_str() == role && grant.purpose.as_str() == purpose && named
    })
}

proptest! {
    #[test]
    fn everything_is_denied_that_no_grant_names(
        role in roles(), purpose in purposes(), wish in wishes(), fields in fields(),
    ) {
        let policy = shop();
        let all = fields.iter().all(|field| granted(&policy, &role, &purpose, wish, field));
        let decision = decide(&policy, &role, &purpose, wish, &fields);
        prop_assert_eq!(decision.is_ok(), all);
        if let Ok(allowed) = decision {
            let asked: BTreeSet<&String> = fields.iter().collect();
            prop_assert_eq!(allowed.fields.keys().collect::<BTreeSet<_>>(), asked);
            prop_assert!(!allowed.budgets.is_empty(), "no look without a budget");
            prop_assert!(allowed.budgets.iter().all(|(_, per_day)| *per_day > 0));
        }
    }

    #[test]
    fn fewer_fields_never_need_more_rights(
        role in roles(), purpose in purposes(), wish in wishes(), fields in fields(),
    ) {
        let policy = shop();
        if let Ok(all) = decide(&policy, &role, &purpose, wish, &fields) {
            for field in &fields {
                let one = decide(&policy, &role, &purpose, wish, std::slice::from_ref(field));
                let one = one.unwrap();
                prop_assert_eq!(one.fields.get(field), all.fields.get(field));
            }
        }
    }

    #[test]
    fn a_masked_grant_never_shows_clear_without_a_reveal(
        role in roles(), purpose in purposes(), fields in fields(),
    ) {
        let policy = shop();
        if let Ok(allowed) = decide(&policy, &role, &purpose, Wish::Read, &fields) {
            let clear = purpose == "delivery";
            for see in allowed.fields.values() {
                prop_assert_eq!(*see == See::Clear, clear);
            }
        }
        if let Ok(allowed) = decide(&policy, &role, &purpose, Wish::Reveal, &fields) {
            prop_assert!(allowed.budgets.iter().all(|(_, per_day)| *per_day == 30));
            prop_assert!(!reasons(&policy, &role, &purpose, &fields).is_empty());
        }
    }

    #[test]
    fn who_sees_a_field_is_what_is_decided(
        role in roles(), purpose in purposes(), wish in wishes(),
        field in any_of(&["name", "email", "phone", "address", "note", "date_of_birth"]),
    ) {
        let policy = shop();
        let seers = who(&policy, &field);
        let mut mine = seers.iter().filter(|seer| seer.role == role && seer.purpose == purpose);
        let told = mine.any(|seer| match wish {
            Wish::Find => seer.finds,
            Wish::Read => seer.see != "none",
            Wish::Reveal => seer.reveals,
        });
        prop_assert_eq!(decide(&policy, &role, &purpose, wish, &[field]).is_ok(), told);
    }

    #[test]
    fn a_refusal_repeats_nothing_that_may_be_a_value(wish in wishes(), typed in "[a-z]{12}@mail") {
        let refused = decide(&shop(), "desk", "support", wish, std::slice::from_ref(&typed));
        prop_assert!(!refused.unwrap_err().why.contains(&typed));
        let refused = decide(&shop(), "desk", &typed, wish, &["name".to_owned()]);
        prop_assert!(!refused.unwrap_err().why.contains(&typed));
    }
}

#[test]
fn a_right_is_missing_unless_the_role_lists_it() {
    let policy = shop();
    for (role, allowed) in [
        ("shop", &[Right::Create, Right::Update, Right::Relate, Right::Ledger][..]),
        ("desk", &[Right::Relate]),
        ("importer", &[Right::Import]),
        ("privacy", &[Right::Erase, Right::Ledger]),
        ("admin", &[Right::Keys, Right::Policy]),
        ("nobody", &[]),
    ] {
        for right in RIGHTS {
            assert_eq!(may(&policy, role, right).is_ok(), allowed.contains(&right), "{role}");
        }
    }
}

#[test]
fn an_outlet_sends_for_who_has_the_right_and_acts_for_its_purpose() {
    let policy = shop();
    let send = |role: &str, purposes: &[&str], outlet: &str| {
        let purposes: Vec<String> = purposes.iter().map(|&name| name.to_owned()).collect();
        let sent = rules::may_send(&policy, role, &purposes, outlet);
        sent.map(|outlet| outlet.purpose.to_string()).map_err(|refusal| refusal.code)
    };
    assert_eq!(send("shop", &["delivery"], "parcel-news"), Ok("delivery".to_owned()));
    assert_eq!(send("shop", &["support", "delivery"], "parcel-news"), Ok("delivery".to_owned()));
    assert_eq!(send("shop", &["support"], "parcel-news"), Err("purpose_missing"));
    assert_eq!(send("shop", &[], "parcel-news"), Err("purpose_missing"));
    assert_eq!(send("shop", &["delivery"], "pigeons"), Err("outlet_unknown"));
    assert_eq!(send("desk", &["delivery"], "parcel-news"), Err("right_missing"));
}

#[test]
fn what_is_shown_in_clear_is_what_the_grant_says_or_what_is_revealed() {
    let policy = shop();
    for (role, purpose, wish, see) in [
        ("shop", "delivery", Wish::Read, See::Clear),
        ("shop", "support", Wish::Read, See::Masked),
        ("shop", "support", Wish::Find, See::Masked),
        ("desk", "support", Wish::Read, See::Masked),
        ("desk", "support", Wish::Reveal, See::Clear),
    ] {
        let field = if wish == Wish::Find { "email" } else { "name" };
        let allowed = decide(&policy, role, purpose, wish, &[field.to_owned()]).unwrap();
        assert_eq!(allowed.fields.into_values().collect::<Vec<_>>(), [see], "{role} {purpose}");
    }
}

/// Two grants of one role that differ in everything: what may be revealed, found, and why.
const TWO_GRANTS: &str = r#"
[[grant]]
role = "privacy"
purpose = "delivery"
fields = ["name", "email"]
find = ["email", "phone"]
see = "masked"
budget = { per_day = 40 }
reveal = { needs = "reason", reasons = ["lost parcel", "return"], per_day = 4 }

[[grant]]
role = "privacy"
purpose = "delivery"
fields = ["address"]
see = "masked"
budget = { per_day = 50 }
reveal = { needs = "reason", reasons = ["return", "wrong address"], per_day = 5 }
"#;

#[test]
fn fields_of_two_grants_draw_on_both_budgets_once_and_take_the_reasons_of_both() {
    let text = format!("{SHOP}{TWO_GRANTS}");
    let policy = parse(&text).unwrap_or_else(|problems| panic!("{problems:?}"));
    let fields = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let draws = |wish, names: &[&str]| {
        let allowed = decide(&policy, "privacy", "delivery", wish, &fields(names)).unwrap();
        let mut draws: Vec<u32> = allowed.budgets.iter().map(|(_, per_day)| *per_day).collect();
        draws.sort_unstable();
        draws
    };
    assert_eq!(draws(Wish::Read, &["name", "email"]), [40], "one grant, one budget");
    assert_eq!(draws(Wish::Read, &["name", "address", "email"]), [40, 50]);
    assert_eq!(draws(Wish::Reveal, &["name", "address"]), [4, 5]);
    let why = |purpose, names: &[&str]| reasons(&policy, "privacy", purpose, &fields(names));
    assert_eq!(why("delivery", &["name"]), ["lost parcel", "return"]);
    assert_eq!(why("delivery", &["name", "address"]), ["return"], "what both list");
    assert_eq!(why("support", &["name"]), [] as [&str; 0]);
    assert_eq!(reasons(&policy, "shop", "delivery", &fields(&["name"])), [] as [&str; 0]);
    let seers = who(&policy, "phone");
    let seer = seers.iter().find(|seer| (&*seer.role, &*seer.purpose) == ("privacy", "delivery"));
    let seer = seer.expect("who may find by it is named");
    assert_eq!((seer.see, seer.finds, seer.reveals), ("none", true, false));
}

#[test]
fn only_so_many_refusals_of_one_caller_are_written_a_minute_and_the_rest_is_counted() {
    let meter = RefusalMeter::default();
    for _ in 0..120 {
        assert_eq!(meter.count("key", 7), Metered::Write(0));
    }
    for _ in 0..30 {
        assert_eq!(meter.count("key", 7), Metered::Drop);
    }
    assert_eq!(meter.count("other", 7), Metered::Write(0), "each caller has a meter");
    assert_eq!(meter.count("key", 8), Metered::Write(30));
    assert_eq!(meter.count("key", 8), Metered::Write(0), "told once");
}

#[test]
fn strangers_are_counted_by_network_and_their_number_is_bounded() {
    let meter = StrangerMeter::default();
    for last in 0..2_000_u32 {
        meter.count(Some(std::net::IpAddr::from(last.to_be_bytes())));
    }
    let counts = meter.take();
    assert!(counts.len() <= 1_001, "{}", counts.len());
    assert_eq!(counts.values().sum::<u64>(), 2_000, "nobody is forgotten");
    assert!(meter.take().is_empty());
}

#[test]
fn with_more_than_ten_keys_missing_nothing_is_written() {
    let missing = MissingKeys::default();
    for customer in 0..10 {
        missing.note([customer; 16]);
        missing.note([customer; 16]);
    }
    assert!(missing.refuse_writes().is_ok(), "ten customers, each counted once");
    missing.note([10; 16]);
    assert_eq!(missing.refuse_writes().unwrap_err().code, "keys_missing");
}

const RIGHTS: [Right; 8] = [
    Right::Create,
    Right::Erase,
    Right::Import,
    Right::Keys,
    Right::Ledger,
    Right::Policy,
    Right::Relate,
    Right::Update,
];

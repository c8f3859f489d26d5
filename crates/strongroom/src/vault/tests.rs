//! Rules of the vault: when something falls due, what an erasure leaves, what is stored.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use proptest::prelude::*;
use strongroom_crypto::SystemRandom;

use super::model::{
    Consent, Core, CustomerRow, CustomerState, How, IndexEntry, IndexKind, Reference, Relation,
    Shelf,
};
use super::rules::{due_day, erasures_a_day_max, relation_ends, remainder};
use crate::ctx::{Pseudonym, Time};
use crate::id::Id;
use crate::policy::{Applied, Registry, parse};

const SHOP: &str = include_str!("../../../../examples/shop/policy.toml");

fn applied(text: &str) -> Applied {
    let policy = parse(text).unwrap_or_else(|problems| panic!("{problems:?}"));
    let registry = Registry::default().extended_for(&policy, &SystemRandom).unwrap();
    let (version, since, text) = (1, Time::from_ms(0), text.to_owned());
    Applied { version, policy, registry, since, text, consents_since: None }
}

fn in_zone(zone: &str, keep: &str) -> Applied {
    let text = SHOP.replace("Europe/London", zone).replace("\"3 years\"", &format!("\"{keep}\""));
    applied(&text)
}

fn at(text: &str) -> Time {
    Time::parse_rfc3339(text).unwrap()
}

fn relation(name: &str, last: &str) -> Relation {
    Relation { name: name.to_owned(), last: at(last) }
}

/// `keep` after `last`, in a zone: over at this moment.
#[track_caller]
fn check_end(zone: &str, keep: &str, last: &str, over: &str) {
    let applied = in_zone(zone, keep);
    let rule = &applied.policy.relations()["enquiry"];
    let zone = TimeZone::get(zone).unwrap();
    let ends = relation_ends(at(last), rule.keep, &zone).unwrap();
    assert_eq!(ends.to_rfc3339(), at(over).to_rfc3339(), "{keep} after {last}");
}

#[test]
fn a_relation_ends_at_the_end_of_a_day_of_the_business() {
    check_end("UTC", "3 years", "2026-11-21T10:00:00Z", "2029-11-22T00:00:00Z");
    check_end("UTC", "3 years", "2026-11-21T00:00:00Z", "2029-11-22T00:00:00Z");
    check_end("UTC", "3 years", "2026-11-21T23:59:59Z", "2029-11-22T00:00:00Z");
    check_end("UTC", "30 days", "2026-12-15T10:00:00Z", "2027-01-15T00:00:00Z");
}

#[test]
fn a_leap_day_ends_in_a_year_without_one() {
    check_end("UTC", "1 year", "2028-02-29T10:00:00Z", "2029-03-01T00:00:00Z");
    check_end("UTC", "4 years", "2028-02-29T10:00:00Z", "2032-03-01T00:00:00Z");
    check_end("UTC", "3 years", "2025-02-28T10:00:00Z", "2028-02-29T00:00:00Z");
    check_end("UTC", "1 month", "2027-01-31T10:00:00Z", "2027-03-01T00:00:00Z");
    check_end("UTC", "1 month", "2028-01-31T10:00:00Z", "2028-03-01T00:00:00Z");
}

#[test]
fn the_day_is_that_of_the_zone_and_daylight_saving_moves_its_end() {
    // In the evening in UTC it is the next day already in Auckland and still the last in Honolulu.
    let evening = "2026-07-01T12:30:00Z";
    check_end("Pacific/Auckland", "1 year", evening, "2027-07-02T12:00:00Z");
    check_end("Pacific/Honolulu", "1 year", "2026-07-02T09:59:00Z", "2027-07-02T10:00:00Z");
    // The day ends an hour earlier by UTC while London has summer time.
    check_end("Europe/London", "1 year", "2026-07-01T10:00:00Z", "2027-07-01T23:00:00Z");
    check_end("Europe/London", "1 year", "2026-12-01T10:00:00Z", "2027-12-02T00:00:00Z");
    // Midnight that does not exist: the day begins when the clocks have gone forward.
    check_end("America/Sao_Paulo", "1 month", "2018-10-03T12:00:00Z", "2018-11-04T03:00:00Z");
}

#[test]
fn the_due_day_is_the_first_on_which_something_is_over() {
    let applied = applied(SHOP);
    let day = |text: &str| at(text).as_ms() / 86_400_000;
    let both =
        [relation("enquiry", "2026-11-21T10:00:00Z"), relation("purchase", "2018-11-21T10:00:00Z")];
    assert_eq!(due_day(&applied.policy, &both), day("2028-11-22T12:00:00Z"));
    assert_eq!(due_day(&applied.policy, &both[..1]), day("2029-11-22T12:00:00Z"));
    assert_eq!(due_day(&applied.policy, &[]), 0);
    let gone = [relation("unknown", "2026-11-21T10:00:00Z")];
    assert_eq!(due_day(&applied.policy, &gone), 0);
}

fn core(applied: &Applied, relations: Vec<Relation>) -> Core {
    let names = ["enquiry", "purchase"];
    let wanted = [&names[..], &names[..1], &names[1..]];
    let compartments = wanted
        .iter()
        .filter_map(|needed| applied.registry.compartment_for(needed.iter().copied()))
        .map(|compartment| (compartment.id, 1))
        .collect::<BTreeMap<_, _>>();
    assert_eq!(compartments.len(), 3);
    let created = at("2026-01-01T00:00:00Z");
    Core {
        pseudonym: Pseudonym([1; 16]),
        created,
        relations,
        compartments,
        indexes: Vec::new(),
        consents: Vec::new(),
        shelves: Vec::new(),
        references: Vec::new(),
        formers: Vec::new(),
        merged: Vec::new(),
        is_merged_away: false,
    }
}

#[test]
fn an_erasure_leaves_what_a_live_legal_duty_needs_and_nothing_else() {
    let applied = applied(SHOP);
    let now = at("2026-11-21T10:00:00Z");
    let enquiry = relation("enquiry", "2026-11-01T10:00:00Z");
    let purchase = relation("purchase", "2020-11-01T10:00:00Z");
    let left = remainder(&applied, &core(&applied, vec![enquiry.clone(), purchase.clone()]), now);
    assert_eq!(left.relations, [purchase]);
    assert_eq!(left.compartments.len(), 2, "not the one that only an enquiry needs");
    assert_eq!(left.why[0].basis, "tax law");
    assert!(!left.why[0].fields.contains(&"phone".to_owned()), "{:?}", left.why);
    let left = remainder(&applied, &core(&applied, vec![enquiry]), now);
    assert!(left.relations.is_empty() && left.compartments.is_empty() && left.why.is_empty());
}

#[test]
fn a_legal_duty_that_is_over_keeps_nothing() {
    let applied = applied(SHOP);
    let core = core(&applied, vec![relation("purchase", "2016-11-20T10:00:00Z")]);
    let last = at("2026-11-20T23:59:59Z");
    assert_eq!(remainder(&applied, &core, last).relations.len(), 1, "until the end of its day");
    assert!(remainder(&applied, &core, last.plus_ms(1_000)).relations.is_empty());
}

#[test]
fn one_in_a_hundred_may_go_a_day_and_at_least_a_hundred() {
    let days = [0, 1, 9_999, 10_000, 10_100, 1_000_000].map(erasures_a_day_max);
    assert_eq!(days, [100, 100, 100, 100, 101, 10_000]);
}

#[test]
fn a_reference_that_looks_personal_is_refused() {
    for (source, key, good) in [
        ("shop", "4711", true),
        ("woo-2", "A.b_c-9", true),
        ("shop", "ada", false),
        ("shop", "ada.1@mail.example", false),
        ("shop", "4111111111111111", false),
        ("shop", "4111-1111-1111-1111", false),
        ("shop", "", false),
        ("", "4711", false),
        ("Shop", "4711", false),
        ("shop/x", "4711", false),
        ("shop", "47 11", false),
    ] {
        assert_eq!(Reference::parse(source, key).is_ok(), good, "{source}/{key}");
    }
    assert!(Reference::parse("shop", &"1".repeat(65)).is_err());
}

fn row() -> CustomerRow {
    let (id, state) = (Id::from_bytes([3; 16]), CustomerState::Active);
    CustomerRow { key: 7, id, state, version: 2, life: 3, due_day: 4, mac: [0; 32] }
}

#[test]
fn the_mac_of_a_customer_covers_every_plain_column() {
    let edits: [fn(&mut CustomerRow); 7] = [
        |row| row.key += 1,
        |row| row.id = Id::from_bytes([4; 16]),
        |row| row.state = CustomerState::Restricted,
        |row| row.state = CustomerState::Erasing,
        |row| row.version += 1,
        |row| row.life += 1,
        |row| row.due_day = -row.due_day,
    ];
    for edit in edits {
        let mut edited = row();
        edit(&mut edited);
        assert_ne!(edited.columns(), row().columns(), "{edited:?}");
    }
    // A neighbour's number is not one's own: version and life cannot change places.
    let mut swapped = row();
    (swapped.version, swapped.life) = (3, 2);
    assert_ne!(swapped.columns(), row().columns());
}

proptest! {
    #[test]
    fn a_core_reads_back_as_it_was_sealed(
        pseudonym: [u8; 16], created in -1_000_i64..i64::MAX,
        relations in prop::collection::vec(("[a-z]{1,12}", any::<i64>()), 0..5),
        compartments: BTreeMap<[u8; 16], u64>,
        indexes in prop::collection::vec((any::<bool>(), any::<u8>(), any::<[u8; 16]>()), 0..9),
        consents in prop::collection::vec(("[a-z]{1,12}", any::<Option<i64>>(), any::<Option<i64>>()), 0..4),
        shelves in prop::collection::vec(
            (any::<[u8; 16]>(), "[a-z]{1,12}", 1970_i16..9_999, any::<[u8; 16]>(), any::<u32>(),
                any::<[u8; 32]>()),
            0..4,
        ),
        references in prop::collection::vec("[a-z]{1,9}/[0-9]{1,9}", 0..3),
        merged in prop::collection::vec(any::<[u8; 16]>(), 0..3), is_merged_away: bool,
    ) {
        let core = Core {
            pseudonym: Pseudonym(pseudonym),
            created: Time::from_ms(created),
            relations: relations
                .into_iter()
                .map(|(name, last)| Relation { name, last: Time::from_ms(last) })
                .collect(),
            compartments,
            indexes: indexes
                .into_iter()
                .map(|(unique, field, hash)| {
                    let kind = if unique { IndexKind::Unique } else { IndexKind::Exact };
                    IndexEntry { kind, field, hash }
                })
                .collect(),
            consents: consents
                .into_iter()
                .map(|(purpose, given, withdrawn)| {
                    let given = given.map(|time| (Time::from_ms(time), How::InPerson));
                    Consent { purpose, given, withdrawn: withdrawn.map(Time::from_ms) }
                })
                .collect(),
            shelves: shelves
                .into_iter()
                .map(|(id, kind, end_year, dek, count, digest)| {
                    Shelf { id, kind, end_year, dek, count, digest }
                })
                .collect(),
            references: references.iter().map(|it| Reference::parse_text(it).unwrap()).collect(),
            formers: Vec::new(),
            merged: merged.into_iter().map(Pseudonym).collect(),
            is_merged_away,
        };
        // A core sealed before there were consents has no cell for them.
        let old: Vec<_> = core.cells().into_iter().filter(|(number, _)| *number != 5).collect();
        prop_assert_eq!(Core::from_cells(&old).unwrap().consents, Vec::new());
        prop_assert!(core.cells().is_sorted_by(|one, next| one.0 < next.0), "else it is not sealed");
        prop_assert_eq!(Core::from_cells(&core.cells()).unwrap(), core);
    }
}

//! What may be a place, and what was there when.

use super::model::{Held, HeldOf, plain_words};
use super::*;
use crate::ctx::{FieldSet, Time};
use crate::id::Id;

#[test]
fn a_place_is_no_person() {
    for good in ["import-sources", "mail.example.com", "a", "box7"] {
        assert_eq!(PlaceName::parse(good).unwrap().as_str(), good);
    }
    let long = "a".repeat(61);
    for bad in ["", "Ada", "ada lovelace", "ada@mail.example", "7box", "ä", "a/b", &long] {
        assert_eq!(PlaceName::parse(bad).unwrap_err().code, "bad_place", "{bad}");
    }
}

#[test]
fn evidence_is_a_ticket_and_no_prose() {
    plain_words("shredded, ticket #41", 120, "bad_evidence").unwrap();
    for bad in ["", "  ", "4111 1111 1111 1111", "line\nbreak", "ada@mail.example", "Zoë"] {
        assert!(plain_words(bad, 120, "bad_evidence").is_err(), "{bad}");
    }
}

#[test]
fn what_has_no_evidence_of_being_gone_is_still_there() {
    let there = |since: i64, closed: Option<i64>| Held {
        id: Id::from_bytes([1; 16]),
        place: "vendor".to_owned(),
        whose: HeldOf::Count,
        number: 1,
        sealed: Vec::new(),
        fields: FieldSet::default(),
        act: "test".to_owned(),
        origin: String::new(),
        since: Time::from_ms(since),
        due: Some(Time::from_ms(since)),
        closed: closed.map(Time::from_ms),
        evidence: String::new(),
        mac: [0; 32],
    };
    let span = (Time::from_ms(100), Time::from_ms(200));
    let cases = [
        (there(50, None), true),
        (there(200, None), true),
        (there(201, None), false),
        (there(50, Some(99)), false),
        (there(50, Some(100)), true),
        (there(150, Some(160)), true),
    ];
    for (held, expected) in cases {
        assert_eq!(held.was_there(span), expected, "{:?} {:?}", held.since, held.closed);
    }
}

//! Values of customers: what fields take, and what stands in text.

use std::sync::LazyLock;

use serde_json::Value;
use strongroom_detect::card::{contains_card_number, find_card_numbers};
use strongroom_detect::country::CountryCode;
use strongroom_detect::email::parse_email;
use strongroom_detect::iban::parse_iban;
use strongroom_detect::phone::parse_phone;
use strongroom_detect::text::{Lines, check_text, display_safe};

use super::is_plain;
use crate::policy::{self, FieldKind, FieldValue, Policy, mask, parse_value};

/// A value for a field of any kind, and texts for the recognisers.
pub fn values(data: &[u8]) {
    let Some((&mode, data)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(data) else { return };
    let kinds = kinds();
    if let Some(kind) = kinds.get(usize::from(mode)) {
        let plain = Value::String(text.to_owned());
        value(kind, &plain);
        if let Ok(json) = serde_json::from_str(text) {
            value(kind, &json);
        }
        return;
    }
    match mode % 4 {
        0 => stored(data),
        1 => cards(text),
        2 => recognised(text),
        _ => {
            let shown = display_safe(text);
            assert!(
                shown == text || check_text(text, Lines::Many).is_err(),
                "changed what is fine"
            );
            assert!(!shown.contains(['\u{1b}', '\r', '\u{202e}']), "not safe to show");
            assert_eq!(display_safe(&shown), shown, "safe only the second time");
        }
    }
}

/// What is taken is canonical: shown and sent back, stored and read back, it is the same. No refusal
/// repeats it, and no mask has a length of its own.
fn value(kind: &FieldKind, sent: &Value) {
    let Some(policy) = POLICY.as_ref() else { return };
    match parse_value(kind, policy.business(), sent) {
        Ok(taken) => {
            let again = parse_value(kind, policy.business(), &taken.expose_json());
            assert!(
                again.is_ok_and(|again| same(&again, &taken)),
                "sent back, it is another value"
            );
            let stored = FieldValue::from_bytes(&taken.expose_bytes());
            assert!(
                stored.is_ok_and(|stored| same(&stored, &taken)),
                "stored, it is another value"
            );
            let masked = mask(kind, &taken);
            let shown = masked.as_str().unwrap_or_default();
            assert!(is_plain(shown), "{shown:?}");
            let length = (shown.chars().count(), kind.as_str());
            let known = LENGTHS.contains(&length);
            assert!(known, "the length of a mask tells: {length:?}");
        }
        Err(problem) => {
            let told = problem.to_string();
            assert!(is_plain(&told), "{told:?}");
            let text = sent.as_str().unwrap_or_default();
            let by_chance = text.len() < 12 || text.bytes().filter(u8::is_ascii_digit).count() < 6;
            assert!(by_chance || !told.contains(text), "repeats the value");
        }
    }
}

fn same(first: &FieldValue, second: &FieldValue) -> bool {
    *first.expose_bytes() == *second.expose_bytes()
        && *first.expose_index_text() == *second.expose_index_text()
}

/// Bytes as a stored value.
fn stored(data: &[u8]) {
    if let Ok(value) = FieldValue::from_bytes(data) {
        assert_eq!(value.expose_bytes().as_slice(), data, "two forms of one value");
        assert!(!value.expose_json().is_null(), "stored, and not shown");
        for kind in kinds() {
            assert!(mask(&kind, &value).as_str().is_some_and(is_plain), "{}", kind.as_str());
        }
    }
}

fn cards(text: &str) {
    let hits = find_card_numbers(text);
    assert_eq!(contains_card_number(text), !hits.is_empty(), "two answers");
    let mut end = 0;
    for hit in hits {
        assert!(hit.offset_bytes >= end, "overlapping");
        end = hit.offset_bytes + hit.size_bytes;
        let found = text.get(hit.offset_bytes..end);
        assert!(found.is_some_and(contains_card_number), "none where it is said to be");
    }
}

fn recognised(text: &str) {
    if let Ok(email) = parse_email(text) {
        let again = parse_email(&email.display);
        assert!(again.is_ok_and(|again| again == email), "another address when read again");
        let normal = parse_email(&email.normalised);
        assert!(normal.is_ok_and(|it| it.normalised == email.normalised), "not yet normalised");
    }
    if let Ok(iban) = parse_iban(text) {
        assert_eq!(parse_iban(&iban).as_ref(), Ok(&iban), "another account when read again");
        assert!(iban.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{iban}");
    }
    for country in [None, CountryCode::parse("GB").ok(), CountryCode::parse("DE").ok()] {
        let Ok(phone) = parse_phone(text, country) else { continue };
        let digits = phone.e164.strip_prefix('+').unwrap_or_default();
        assert!(digits.bytes().all(|byte| byte.is_ascii_digit()), "no number: {}", phone.e164);
        assert!((4..=15).contains(&digits.len()), "{} digits", digits.len());
        let again = parse_phone(&phone.e164, country);
        assert!(again.is_ok_and(|again| again == phone), "another number when read again");
    }
}

/// The kinds of fields there are, each once.
fn kinds() -> Vec<FieldKind> {
    let mut kinds = vec![
        FieldKind::Choice { choices: vec!["one".to_owned(), "two".to_owned()] },
        FieldKind::Country,
        FieldKind::Date,
        FieldKind::DateOfBirth,
        FieldKind::Email,
        FieldKind::Iban,
        FieldKind::Name,
        FieldKind::Number,
        FieldKind::PaymentToken,
        FieldKind::Phone,
        FieldKind::PostalAddress,
        FieldKind::Text { size_max: 200 },
    ];
    let germany = CountryCode::parse("DE").ok();
    kinds.extend(germany.map(|country| FieldKind::NationalId { country }));
    kinds
}

/// How long the masks of each kind are, counted from `policy::mask`.
const LENGTHS: [(usize, &str); 13] = [
    (4, "choice"),
    (4, "country"),
    (4, "date"),
    (10, "date_of_birth"),
    (12, "email"),
    (7, "iban"),
    (5, "name"),
    (4, "national_id"),
    (4, "number"),
    (4, "payment_token"),
    (9, "phone"),
    (6, "postal_address"),
    (4, "text"),
];

static POLICY: LazyLock<Option<Policy>> = LazyLock::new(|| policy::parse(SHOP).ok());
const SHOP: &str = include_str!("../../../../examples/shop/policy.toml");

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let texts: [(u8, &str); 21] = [
        (0, "one"),
        (1, "GB"),
        (2, "2024-02-29"),
        (3, "1980-12-31"),
        (4, " Zoë.Müller@Bücher.Example "),
        (5, "GB82 WEST 1234 5698 7654 32"),
        (6, "  Ada  Example"),
        (7, "-12.50"),
        (8, "pm_1a2b3c4d5e6f"),
        (9, "+44 (0)20 7946 0001"),
        (
            10,
            "{\"lines\":[\"1 Harbour Street\"],\"city\":\"Whitby\",\"postcode\":\"YO21 1AA\",\"country\":\"GB\"}",
        ),
        (11, "first\nsecond\tline"),
        (12, "12 345 678 901"),
        (100, "\u{1}text"),
        // Found: the end of a stored account that is none was shown.
        (100, "i[-\0\0\0n"),
        (101, "pay with 4111 1111 1111 1111, or 5555-5555-5555-4444"),
        (101, "４１１１ 1111 1111 1111 in wide digits"),
        (102, "zoe@mail.example"),
        (102, "DE89 3704 0044 0532 0130 00"),
        (102, "0049 30 901820"),
        (103, "\u{1b}[2J\u{202e}text\r\n"),
    ];
    texts.iter().map(|(mode, text)| [&[*mode], text.as_bytes()].concat()).collect()
}

#[test]
fn seeds_are_taken() {
    let policy = POLICY.as_ref().unwrap();
    for (kind, seed) in kinds().iter().zip(seeds()) {
        let text = std::str::from_utf8(&seed[1..]).unwrap();
        let json = serde_json::from_str(text).unwrap_or_default();
        let plain = Value::String(text.to_owned());
        let taken = [plain, json].iter().any(|it| parse_value(kind, policy.business(), it).is_ok());
        assert!(taken, "{} does not take {text}", kind.as_str());
    }
}

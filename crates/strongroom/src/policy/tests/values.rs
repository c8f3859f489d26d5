//! Values: what each kind takes, refuses, shows masked, and never says.

use proptest::prelude::*;
use serde_json::{Value, json};
use strongroom_detect::country::CountryCode;

use super::*;

/// Numbers the card schemes and payment providers publish for tests.
const CARDS: &[&str] = &[
    "4111111111111111",
    "4012888888881881",
    "4242424242424242",
    "5555555555554444",
    "5105105105105100",
    "2223003122003222",
    "378282246310005",
    "371449635398431",
    "6011111111111117",
    "6011000990139424",
    "30569309025904",
    "38520000023237",
    "3530111333300000",
    "3566002020360505",
    "6200000000000005",
    "6759649826438453",
];

fn kinds() -> Vec<FieldKind> {
    vec![
        FieldKind::Choice { choices: vec!["red".to_owned(), "blue".to_owned()] },
        FieldKind::Country,
        FieldKind::Date,
        FieldKind::DateOfBirth,
        FieldKind::Email,
        FieldKind::Iban,
        FieldKind::Name,
        FieldKind::NationalId { country: CountryCode::parse("DE").unwrap() },
        FieldKind::Number,
        FieldKind::PaymentToken,
        FieldKind::Phone,
        FieldKind::PostalAddress,
        FieldKind::Text { size_max: 100 },
    ]
}

fn kind(word: &str) -> FieldKind {
    kinds().into_iter().find(|kind| kind.as_str() == word).unwrap()
}

fn read(word: &str, value: Value) -> Result<FieldValue, ValueProblem> {
    parse_value(&kind(word), shop().business(), &value)
}

#[track_caller]
fn taken(word: &str, value: Value) -> FieldValue {
    read(word, value).unwrap_or_else(|problem| panic!("{word}: {problem}"))
}

#[track_caller]
fn refused(word: &str, value: Value) -> ValueProblem {
    match read(word, value.clone()) {
        Ok(_) => panic!("{word} took {value}"),
        Err(problem) => problem,
    }
}

#[test]
fn values_are_kept_in_one_form() {
    let check = |word: &str, value: Value, kept: Value| {
        assert_eq!(taken(word, value.clone()).expose_json(), kept, "{word} {value}");
    };
    check("choice", json!("red"), json!("red"));
    check("country", json!(" de "), json!("DE"));
    check("date", json!("2024-02-29"), json!("2024-02-29"));
    check("date_of_birth", json!("1961-04-12"), json!("1961-04-12"));
    check("email", json!(" Anna@Example.com "), json!("Anna@Example.com"));
    check("iban", json!("de89 3704 0044 0532 0130 00"), json!("DE89370400440532013000"));
    check("name", json!("  Ada \u{a0} Love\u{301}lace "), json!("Ada Lov\u{e9}lace"));
    check("national_id", json!("ab-12.34 56/x"), json!("AB123456X"));
    check("number", json!(-12), json!(-12));
    check("number", json!(12.50), json!(12.5));
    check("number", json!("+0012.500"), json!(12.5));
    check("number", json!("-0.0"), json!(0));
    check("number", json!(999_999_999_999_999_i64), json!(999_999_999_999_999_i64));
    check("payment_token", json!("pm_1MqLiJLkdIwHu7ix"), json!("pm_1MqLiJLkdIwHu7ix"));
    check("phone", json!("020 7946 0018"), json!("+442079460018"));
    check("phone", json!("+49 151 23456789"), json!("+4915123456789"));
    check("text", json!("one\r\ntwo\n"), json!("one\ntwo"));
    let address = json!({
        "lines": [" 1 Quay Street "], "city": "Bristol", "postcode": "BS1 4DJ",
        "country": "gb", "region": null,
    });
    let kept = json!({
        "lines": ["1 Quay Street"], "city": "Bristol", "postcode": "BS1 4DJ", "country": "GB",
    });
    check("postal_address", address, kept);
}

#[test]
fn what_a_kind_does_not_take_is_refused() {
    for (word, value) in [
        ("choice", json!("green")),
        ("choice", json!("RED")),
        ("country", json!("UK")),
        ("date", json!("2023-02-29")),
        ("date", json!("20240229")),
        ("date", json!("29.02.2024")),
        ("date", json!("2024-02-29T00:00")),
        ("date", json!("-000001-01-01")),
        ("date_of_birth", json!("1879-12-31")),
        ("email", json!("anna")),
        ("email", json!("Anna <anna@example.com>")),
        ("iban", json!("DE89370400440532013001")),
        ("name", json!("---")),
        ("name", json!("")),
        ("name", json!("x".repeat(201))),
        ("national_id", json!("123")),
        ("national_id", json!("12_34")),
        ("number", json!("12,5")),
        ("number", json!("1e3")),
        ("number", json!("0x10")),
        ("number", json!(".5")),
        ("number", json!("5.")),
        ("number", json!("--5")),
        ("number", json!("NaN")),
        ("number", json!(1e300)),
        ("number", json!(u64::MAX)),
        ("number", json!(1_000_000_000_000_000_i64)),
        ("payment_token", json!("1234567890")),
        ("payment_token", json!("tok 1")),
        ("phone", json!("call me")),
        ("phone", json!("123")),
        ("text", json!("x".repeat(101))),
        ("text", json!("  ")),
        ("postal_address", json!({})),
        ("postal_address", json!({ "lines": [] })),
        ("postal_address", json!({ "lines": [""] })),
        ("postal_address", json!({ "lines": "1 Quay Street" })),
        ("postal_address", json!({ "lines": ["a", "b", "c", "d", "e"] })),
        ("postal_address", json!({ "lines": ["a"], "country": "Britain" })),
        ("postal_address", json!({ "lines": ["a"], "zip": "1" })),
        ("postal_address", json!({ "lines": ["a"], "city": 3 })),
        ("postal_address", json!({ "lines": ["a\nb"] })),
    ] {
        let problem = refused(word, value);
        assert!(!problem.cause.is_empty() && !problem.cure.is_empty());
    }
}

#[test]
fn another_json_type_is_refused() {
    for kind in kinds() {
        for value in [json!(null), json!(true), json!([]), json!(["a@example.com"])] {
            let problem = refused(kind.as_str(), value);
            assert_eq!(problem.code, ValueProblemCode::WrongType, "{}", kind.as_str());
        }
    }
    assert_eq!(refused("phone", json!(442079460018_i64)).code, ValueProblemCode::WrongType);
}

#[test]
fn a_phone_without_prefix_needs_the_country_of_the_business() {
    let policy = parsed(&SHOP.replacen("country = \"GB\"", "", 1));
    let read = |number| parse_value(&FieldKind::Phone, policy.business(), &json!(number));
    assert!(read("020 7946 0018").is_err());
    assert!(read("+44 20 7946 0018").is_ok());
}

#[test]
fn card_numbers_are_refused_in_every_kind() {
    for card in CARDS {
        let spaced = card.as_bytes().chunks(4).map(|part| str::from_utf8(part).unwrap());
        let spaced = spaced.collect::<Vec<_>>().join(" ");
        let two_lines = [spaced.get(..9).unwrap(), spaced.get(10..).unwrap()];
        let pointed = [card.get(..8).unwrap(), card.get(8..).unwrap()].join(".");
        for kind in kinds() {
            let forms = match kind {
                FieldKind::PostalAddress => vec![
                    json!({ "lines": [card] }),
                    json!({ "lines": ["1 Quay Street", format!("card {spaced}")] }),
                    json!({ "lines": ["1 Quay Street"], "city": spaced }),
                    json!({ "lines": ["1 Quay Street"], "region": card }),
                    json!({ "lines": ["1 Quay Street"], "postcode": card }),
                    json!({ "lines": ["1 Quay Street"], "country": card }),
                    json!({ "lines": two_lines }),
                ],
                FieldKind::Number => vec![
                    json!(card),
                    json!(card.parse::<i64>().unwrap()),
                    json!(format!("-{card}")),
                    json!(pointed),
                ],
                FieldKind::NationalId { .. } => {
                    vec![json!(card), json!(spaced.replace(' ', "/")), json!(spaced)]
                }
                _ => vec![json!(card), json!(spaced), json!(format!("pay {spaced} soon"))],
            };
            for value in forms {
                let problem = refused(kind.as_str(), value.clone());
                let (code, word) = (problem.code, kind.as_str());
                assert_eq!(code, ValueProblemCode::CardNumber, "{word} {value}: {problem}");
                assert!(problem.cure.contains("payment provider's token"));
            }
        }
        assert!(read("email", json!(format!("{card}@example.com"))).is_err());
        assert!(read("payment_token", json!(format!("tok_{card}"))).is_err());
    }
}

#[test]
fn what_a_kind_strips_does_not_hide_a_card_number() {
    for (word, text) in [
        // A number keeps no plus sign, which would make 13 digits a telephone number.
        ("number", "+4222222222222"),
        // Nor noughts before or after it, without which this is one of 13 digits.
        ("number", "5770898.5091640"),
        ("number", "0005770898.509164"),
        ("number", "-5770898509164.0"),
        ("number", "-5770898.5091640"),
        // More blanks than a card number has between its digits, all of them ignored.
        ("national_id", "4111     1111     1111     1111"),
    ] {
        assert_eq!(refused(word, json!(text)).code, ValueProblemCode::CardNumber, "{word}");
    }
}

/// Else the value could not be sent back as it was answered.
#[test]
fn a_phone_that_becomes_a_card_number_with_its_prefix_is_refused() {
    let policy = parsed(&SHOP.replacen("\"GB\"", "\"IT\"", 1));
    let read = |number| parse_value(&FieldKind::Phone, policy.business(), &json!(number)).err();
    assert!(read("06 6982 0001").is_none());
    assert_eq!(read("941631058021").unwrap().code, ValueProblemCode::CardNumber);
}

#[test]
fn a_valid_iban_is_no_card_number() {
    taken("iban", json!("DE89 3704 0044 0532 0130 00"));
    taken("iban", json!("GB29NWBK60161331926819"));
}

#[test]
fn hostile_texts_are_refused_by_every_kind() {
    let hostile = [
        "\0",
        "\u{1b}[2J",
        "\u{7f}",
        "\u{85}",
        "\u{202e}",
        "\u{202a}",
        "\u{202d}",
        "\u{2066}",
        "\u{2067}",
        "\u{200b}",
        "\u{2060}",
        "\u{feff}",
        "\u{2028}",
        "\u{2029}",
        "\u{fdd0}",
        "\u{ffff}",
        "\u{e0041}",
    ];
    for kind in kinds() {
        for character in hostile {
            for text in [format!("an{character}na@example.com"), format!("re{character}d 12345")] {
                let value = match kind {
                    FieldKind::PostalAddress => json!({ "lines": ["a"], "city": text }),
                    _ => json!(text),
                };
                let word = kind.as_str();
                let problem = refused(word, value);
                if kind != FieldKind::Number {
                    let code = problem.code;
                    assert_eq!(code, ValueProblemCode::ForbiddenCharacter, "{word} {text:?}");
                }
            }
        }
    }
}

#[test]
fn a_huge_value_is_refused_without_looking_at_it() {
    let huge = "4111 1111 1111 1111 ".repeat(500_000);
    for kind in kinds() {
        let value = match kind {
            FieldKind::PostalAddress => json!({ "lines": [huge] }),
            _ => json!(huge),
        };
        let code = refused(kind.as_str(), value).code;
        let expected = match kind {
            FieldKind::Number => ValueProblemCode::Invalid,
            _ => ValueProblemCode::TooLong,
        };
        assert_eq!(code, expected, "{}", kind.as_str());
    }
    let parts: serde_json::Map<String, Value> =
        (0..100_000).map(|n| (format!("part{n}"), json!("x"))).collect();
    assert!(read("postal_address", Value::Object(parts)).is_err());
}

#[test]
fn values_people_call_the_same_are_found_alike() {
    let index = |word: &str, text: &str| taken(word, json!(text)).expose_index_text().to_string();
    let check = |word: &str, one: &str, other: &str| {
        assert_eq!(index(word, one), index(word, other), "{word} {one} {other}");
    };
    check("email", "Anna@Example.COM", "anna@example.com");
    check("email", "anna@b\u{fc}cher.example", "anna@xn--bcher-kva.example");
    check("phone", "020 7946 0018", "+44 (0)20 7946-0018");
    check("name", "ADA  Lov\u{e9}lace", "ada love\u{301}lace");
    check("iban", "DE89 3704 0044 0532 0130 00", "de89370400440532013000");
    check("national_id", "ab 12-34", "AB1234");
    check("number", "12.50", "12.5");
    assert_ne!(index("payment_token", "tok_a"), index("payment_token", "tok_A"));
}

#[test]
fn masks_show_the_hint_and_no_more() {
    let check = |word: &str, value: Value, expected: &str| {
        let value = taken(word, value);
        assert_eq!(mask(&kind(word), &value), json!(expected));
    };
    check("choice", json!("red"), "••••");
    check("country", json!("DE"), "••••");
    check("date", json!("2024-02-29"), "••••");
    check("date_of_birth", json!("1961-04-12"), "••••-••-••");
    check("email", json!("anna@example.com"), "a•••@•••.•••");
    check("email", json!("a@b.museum"), "a•••@•••.•••");
    check("iban", json!("DE89370400440532013000"), "•••• 00");
    check("name", json!("Ada Lovelace"), "A••••");
    check("name", json!("Ō"), "Ō••••");
    check("name", json!("(Ada)"), "•••••");
    check("national_id", json!("AB123456"), "••••");
    check("number", json!(12), "••••");
    check("payment_token", json!("tok_1234"), "••••");
    check("phone", json!("+442079460018"), "•••• ••18");
    check("postal_address", json!({ "lines": ["1 Quay Street"] }), "••••••");
    check("text", json!("likes poetry"), "••••");
}

#[test]
fn a_value_of_a_former_kind_shows_nothing() {
    let text = taken("text", json!("secret"));
    for kind in kinds() {
        let masked = mask(&kind, &text);
        let shown = masked.as_str().unwrap();
        assert!(!shown.contains(char::is_alphanumeric), "{} {shown}", kind.as_str());
    }
}

#[test]
fn bytes_that_are_no_value_are_refused() {
    for bytes in [
        b"".as_slice(),
        b"?x",
        b"n\xff",
        b"#",
        b"#abc",
        b"#NaN",
        b"#inf",
        b"a{}",
        b"a[]",
        b"a{\"lines\":[\"a\"],\"zip\":\"1\"}",
    ] {
        assert!(FieldValue::from_bytes(bytes).is_err(), "{bytes:?}");
    }
}

/// Fails to compile when a value can be shown or sent out by accident: a type with the trait makes
/// the call ambiguous.
#[test]
fn values_have_no_way_out_but_expose() {
    trait Silent<Mark> {
        fn holds() {}
    }
    struct Debug;
    struct Display;
    struct Serialize;
    impl<T: ?Sized> Silent<()> for T {}
    impl<T: ?Sized + std::fmt::Debug> Silent<Debug> for T {}
    impl<T: ?Sized + std::fmt::Display> Silent<Display> for T {}
    impl<T: ?Sized + serde::Serialize> Silent<Serialize> for T {}
    <FieldValue as Silent<_>>::holds();
}

/// Values each kind is likely to take, and texts of all sorts.
fn any_value() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        "\\PC{0,40}",
        "[A-Za-zÀ-ž' .-]{1,30}",
        "[a-z.]{1,10}@[a-z]{1,10}\\.(com|de|museum)",
        "\\+?[0-9 ()-]{3,20}",
        "[0-9]{4}-[0-9]{2}-[0-9]{2}",
        "-?[0-9]{1,9}(\\.[0-9]{1,9})?",
        "(DE|GB|FR|red|blue|tok_[A-Za-z0-9]{6,20})",
    ];
    prop_oneof![
        4 => text.clone().prop_map(Value::String),
        1 => any::<f64>().prop_map(|number| json!(number)),
        1 => any::<i64>().prop_map(|number| json!(number)),
        1 => (-1_000_000_000_i64..1_000_000_000, 0..9_u32)
            .prop_map(|(number, shift)| json!(number as f64 / 10_f64.powi(shift as i32))),
        2 => (proptest::collection::vec(text.clone(), 1..4), text)
            .prop_map(|(lines, city)| json!({ "lines": lines, "city": city })),
    ]
}

proptest! {
    #[test]
    fn a_value_comes_back_from_its_bytes_and_from_its_answer(value in any_value()) {
        let policy = shop();
        for kind in kinds() {
            let Ok(kept) = parse_value(&kind, policy.business(), &value) else { continue };
            let bytes = kept.expose_bytes();
            let opened = FieldValue::from_bytes(&bytes).unwrap();
            prop_assert_eq!(opened.expose_json(), kept.expose_json());
            prop_assert_eq!(opened.expose_index_text(), kept.expose_index_text());
            let again = parse_value(&kind, policy.business(), &kept.expose_json());
            let again = again.map_err(|problem| TestCaseError::fail(problem.to_string()))?;
            prop_assert_eq!(again.expose_bytes(), bytes, "{}", kind.as_str());
        }
    }

    #[test]
    fn masks_have_one_length_and_show_at_most_two_characters(value in any_value()) {
        let policy = shop();
        for kind in kinds() {
            let Ok(kept) = parse_value(&kind, policy.business(), &value) else { continue };
            let masked = mask(&kind, &kept);
            let masked = masked.as_str().unwrap();
            let length = match kind {
                FieldKind::DateOfBirth => 10,
                FieldKind::Email => 12,
                FieldKind::Iban => 7,
                FieldKind::Name => 5,
                FieldKind::Phone => 9,
                FieldKind::PostalAddress => 6,
                _ => 4,
            };
            prop_assert_eq!(masked.chars().count(), length, "{}", kind.as_str());
            let hint = masked.chars().filter(|shown| !"•@.- ".contains(*shown)).count();
            let hint_max = match kind {
                FieldKind::Email | FieldKind::Name => 1,
                FieldKind::Iban | FieldKind::Phone => 2,
                _ => 0,
            };
            prop_assert!(hint <= hint_max, "{} {}", kind.as_str(), masked);
        }
    }

    #[test]
    fn a_refusal_never_repeats_the_value(mark in "[qxzj]{12}", around in "\\PC{0,10}") {
        let text = format!("{around}{mark}@{around} 4111111111111111");
        let policy = shop();
        for kind in kinds() {
            for value in [
                json!(text),
                json!(mark),
                json!(format!("{mark}\u{202e}")),
                json!(mark.repeat(20)),
                json!([mark]),
                json!({ mark.as_str(): mark }),
                json!({ "lines": [text] }),
                json!({ "lines": [mark], "country": mark }),
                json!({ "lines": ["a"], "postcode": mark.repeat(2) }),
            ] {
                if let Err(problem) = parse_value(&kind, policy.business(), &value) {
                    let said = format!("{problem} {problem:?} {}", problem.code.as_str());
                    prop_assert!(!said.contains(&mark), "{} {said}", kind.as_str());
                    prop_assert!(!said.contains("4111"), "{} {said}", kind.as_str());
                }
            }
        }
    }
}

//! Promises of all parsers: they never panic, they are idempotent, their errors repeat nothing.

use proptest::prelude::*;
use strongroom_detect::country::CountryCode;
use strongroom_detect::email::parse_email;
use strongroom_detect::iban::parse_iban;
use strongroom_detect::phone::parse_phone;
use strongroom_detect::text::{Lines, check_text, display_safe};

/// The words of all errors that this text brings about.
fn errors(text: &str) -> Vec<String> {
    let germany = CountryCode::parse("DE").ok();
    [
        parse_email(text).err().map(|error| error.to_string()),
        parse_phone(text, None).err().map(|error| error.to_string()),
        parse_phone(text, germany).err().map(|error| error.to_string()),
        parse_iban(text).err().map(|error| error.to_string()),
        CountryCode::parse(text).err().map(|error| error.to_string()),
        check_text(text, Lines::One).err().map(|error| error.to_string()),
        check_text(text, Lines::Many).err().map(|error| error.to_string()),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The longest piece, in characters, that an error text has in common with the input.
fn repeated_chars(error: &str, text: &str) -> usize {
    let input: Vec<char> = text.chars().collect();
    let mut longest = 0;
    for start in 0..input.len() {
        while let Some(piece) = input.get(start..=start + longest) {
            if !error.contains(&piece.iter().collect::<String>()) {
                break;
            }
            longest += 1;
        }
    }
    longest
}

/// Characters chosen so that the fixed words of the errors have none in common with them but
/// letters of their examples, dots and @.
const INPUT: &str = "[QXJZ789@.+() \\-\u{200B}\u{202E}\nßж\u{0}０]{0,40}";

#[test]
fn the_measure_of_repetition_measures() {
    assert_eq!(repeated_chars("has XJ9Q inside", "ZZXJ9QZZ"), 4);
    assert_eq!(repeated_chars("nothing", "789"), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_error_repeats_its_input(text in INPUT) {
        // ` @ ` stands in a fixed sentence too: only what holds a letter or digit tells anything.
        let told: String = text.chars().filter(|c| c.is_alphanumeric()).collect();
        for error in errors(&text) {
            let bare: String = error.chars().filter(|c| c.is_alphanumeric()).collect();
            prop_assert!(repeated_chars(&bare, &told) <= 2, "{}", error);
        }
    }

    #[test]
    fn errors_do_not_depend_on_the_value(text in "\\PC{0,40}|.{0,40}|[0-9 +@.a-zA-Z]{0,40}") {
        for error in errors(&text) {
            prop_assert!(error.len() < 100 && error.is_ascii());
            prop_assert!(!error.ends_with('.'));
        }
    }

    #[test]
    fn normalised_addresses_stay_as_they_are(
        text in "[a-zA-ZİΣßéж0-9.+'_-]{1,12}@([a-zA-ZäßİΣ例0-9-]{1,10}\\.){1,2}(com|DE|公司|ΣΑΣ)",
    ) {
        if let Ok(email) = parse_email(&text) {
            let again = parse_email(&email.normalised);
            prop_assert!(again.is_ok_and(|again| again.normalised == email.normalised));
            let shown = parse_email(&email.display);
            prop_assert!(shown.is_ok_and(|shown| shown == email));
            prop_assert!(email.normalised.len() <= 254);
        }
    }

    #[test]
    fn plain_addresses_are_accepted(
        local in "[a-zA-Z0-9]{1,20}(\\.[a-z0-9]{1,20}){0,2}",
        domain in "([a-z0-9]{1,20}\\.){1,3}[a-z]{2,6}",
    ) {
        let address = format!("{local}@{domain}");
        prop_assert!(parse_email(&address).is_ok());
    }

    #[test]
    fn normalised_numbers_stay_as_they_are(
        text in "(\\+|00|0|)[ (]?[0-9]{1,4}[ )-]?[0-9]{4,10}",
        country in "[A-Z]{2}",
    ) {
        let country = CountryCode::parse(&country).ok();
        if let Ok(phone) = parse_phone(&text, country) {
            prop_assert!(phone.e164.len() <= 16 && phone.e164.starts_with('+'));
            for other in [None, country, CountryCode::parse("US").ok()] {
                let again = parse_phone(&phone.e164, other);
                prop_assert!(again.is_ok_and(|again| again == phone));
            }
        }
    }

    #[test]
    fn ibans_stay_as_they_are(country in "[A-Z]{2}", rest in "[0-9]{2}[A-Z0-9 ]{11,30}") {
        if let Ok(iban) = parse_iban(&format!("{country}{rest}")) {
            prop_assert_eq!(parse_iban(&iban), Ok(iban.clone()));
        }
    }

    #[test]
    fn what_is_shown_may_stand_in_a_field(text in ".{0,60}|\\PC{0,60}|[\u{200B}-\u{2070}\r\n]{0,9}") {
        let shown = display_safe(&text).into_owned();
        prop_assert_eq!(check_text(&shown, Lines::Many), Ok(()));
        if check_text(&text, Lines::Many).is_ok() {
            prop_assert_eq!(shown, text);
        }
    }
}

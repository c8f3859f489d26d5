//! International bank account numbers (ISO 13616).

use thiserror::Error;

use crate::characters::is_invisible;

/// Parses an IBAN: electronic form, capitals without spaces.
///
/// Country, length and check digits are checked; the national inner structure is not.
///
/// # Errors
/// The first fault, in words that tell the cure and never repeat the number.
pub fn parse_iban(text: &str) -> Result<String, IbanError> {
    let mut iban = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            iban.push(c.to_ascii_uppercase());
        } else if !(c.is_whitespace() || c == '-' || is_invisible(c)) {
            return Err(IbanError::Character);
        }
        if iban.len() > IBAN_SIZE_MAX {
            return Err(IbanError::Length);
        }
    }
    if iban.is_empty() {
        return Err(IbanError::Empty);
    }
    let size = size_in(&iban).ok_or(IbanError::Country)?;
    if iban.len() != size {
        return Err(IbanError::Length);
    }
    if has_check_digits(iban.as_bytes()) { Ok(iban) } else { Err(IbanError::CheckDigits) }
}

/// The bytes of a valid IBAN at the start of the text, single spaces inside included, which ends
/// where the word ends.
pub(crate) fn prefix_size_bytes(text: &str) -> Option<usize> {
    let size = size_in(text)?;
    let mut iban = [0; IBAN_SIZE_MAX];
    let mut characters = text.char_indices();
    let mut end = 0;
    for place in iban.iter_mut().take(size) {
        let (mut at, mut c) = characters.next()?;
        if end > 0 && matches!(c, ' ' | '\u{A0}') {
            (at, c) = characters.next()?;
        }
        if !c.is_ascii_alphanumeric() {
            return None;
        }
        *place = u8::try_from(c).ok()?.to_ascii_uppercase();
        end = at + 1;
    }
    let ends_a_word = characters.next().is_none_or(|(_, c)| !c.is_alphanumeric());
    (ends_a_word && has_check_digits(iban.get(..size)?)).then_some(end)
}

/// The length of the country's IBANs, told by the first two letters of either case.
fn size_in(text: &str) -> Option<usize> {
    let country = text.get(..2)?;
    // Spares digits, which the card search asks about most, the look into the table.
    if !country.bytes().all(|b| b.is_ascii_alphabetic()) {
        return None;
    }
    let row = SIZES.iter().find(|(code, _)| code.eq_ignore_ascii_case(country))?;
    Some(row.1)
}

/// ISO 7064 MOD 97-10 over the number with its first four characters moved to the end; letters
/// count as 10 to 35.
fn has_check_digits(iban: &[u8]) -> bool {
    let moved = iban.iter().skip(4).chain(iban.iter().take(4));
    let mut rest = 0u32;
    for character in moved {
        let Some(value) = char::from(*character).to_digit(36) else {
            return false;
        };
        rest = (rest * if value < 10 { 10 } else { 100 } + value) % 97;
    }
    let check_are_digits = iban.iter().skip(2).take(2).all(u8::is_ascii_digit);
    check_are_digits && rest == 1
}

/// Why a text is no IBAN. The words never repeat the text.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum IbanError {
    /// Something other than letters, digits, spaces and hyphens.
    #[error("has a character that account numbers do not have; use letters and digits only")]
    Character,
    /// The check digits do not fit.
    #[error("the check digits do not fit; compare each digit with the bank's paper")]
    CheckDigits,
    /// A country that has no IBANs.
    #[error("does not begin with the code of a country that has IBANs")]
    Country,
    /// Nothing in it.
    #[error("is empty")]
    Empty,
    /// Not the length of the country.
    #[error("has too few or too many characters for its country")]
    Length,
}

/// The longest of the registry is Russia's, the standard allows one more.
const IBAN_SIZE_MAX: usize = 34;

/// Country codes and lengths of the SWIFT IBAN Registry, release 99.
const SIZES: &[(&str, usize)] = &[
    ("AD", 24),
    ("AE", 23),
    ("AL", 28),
    ("AT", 20),
    ("AZ", 28),
    ("BA", 20),
    ("BE", 16),
    ("BG", 22),
    ("BH", 22),
    ("BI", 27),
    ("BR", 29),
    ("BY", 28),
    ("CH", 21),
    ("CR", 22),
    ("CY", 28),
    ("CZ", 24),
    ("DE", 22),
    ("DJ", 27),
    ("DK", 18),
    ("DO", 28),
    ("EE", 20),
    ("EG", 29),
    ("ES", 24),
    ("FI", 18),
    ("FK", 18),
    ("FO", 18),
    ("FR", 27),
    ("GB", 22),
    ("GE", 22),
    ("GI", 23),
    ("GL", 18),
    ("GR", 27),
    ("GT", 28),
    ("HN", 28),
    ("HR", 21),
    ("HU", 28),
    ("IE", 22),
    ("IL", 23),
    ("IQ", 23),
    ("IS", 26),
    ("IT", 27),
    ("JO", 30),
    ("KW", 30),
    ("KZ", 20),
    ("LB", 28),
    ("LC", 32),
    ("LI", 21),
    ("LT", 20),
    ("LU", 20),
    ("LV", 21),
    ("LY", 25),
    ("MC", 27),
    ("MD", 24),
    ("ME", 22),
    ("MK", 19),
    ("MN", 20),
    ("MR", 27),
    ("MT", 31),
    ("MU", 30),
    ("NI", 28),
    ("NL", 18),
    ("NO", 15),
    ("OM", 23),
    ("PK", 24),
    ("PL", 28),
    ("PS", 29),
    ("PT", 25),
    ("QA", 29),
    ("RO", 24),
    ("RS", 22),
    ("RU", 33),
    ("SA", 24),
    ("SC", 31),
    ("SD", 18),
    ("SE", 24),
    ("SI", 19),
    ("SK", 24),
    ("SM", 27),
    ("SO", 23),
    ("ST", 25),
    ("SV", 28),
    ("TL", 23),
    ("TN", 24),
    ("TR", 26),
    ("UA", 29),
    ("VA", 22),
    ("VG", 24),
    ("XK", 20),
    ("YE", 30),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_of_the_registry_are_accepted() {
        for (text, expected) in [
            ("DE89 3704 0044 0532 0130 00", "DE89370400440532013000"),
            ("gb29 nwbk 6016 1331 9268 19", "GB29NWBK60161331926819"),
            ("FR14 2004 1010 0505 0001 3M02 606", "FR1420041010050500013M02606"),
            ("NO93-8601-1117-947", "NO9386011117947"),
            ("MT84MALT011000012345MTLCAST001S", "MT84MALT011000012345MTLCAST001S"),
        ] {
            assert_eq!(parse_iban(text), Ok(expected.to_owned()));
            assert_eq!(parse_iban(expected), Ok(expected.to_owned()));
        }
    }

    #[test]
    fn faults_are_told_apart() {
        for (text, error) in [
            ("", IbanError::Empty),
            (" - ", IbanError::Empty),
            ("DE89370400440532013001", IbanError::CheckDigits),
            ("DE98370400440532013000", IbanError::CheckDigits),
            // Fits modulo 97, but with letters where check digits stand.
            ("DEA5370400440532013000", IbanError::CheckDigits),
            ("DE8937040044053201300", IbanError::Length),
            ("DE893704004405320130000", IbanError::Length),
            ("US89370400440532013000", IbanError::Country),
            ("D", IbanError::Country),
            ("DE89/3704", IbanError::Character),
            ("DE89３704", IbanError::Character),
        ] {
            assert_eq!(parse_iban(text), Err(error), "{text}");
        }
        assert_eq!(parse_iban(&"1".repeat(10_000)), Err(IbanError::Length));
    }

    #[test]
    fn a_swap_of_two_neighbours_is_noticed() {
        let iban = "DE89370400440532013000";
        for at in 4..iban.len() - 1 {
            let mut swapped = iban.as_bytes().to_vec();
            swapped.swap(at, at + 1);
            let swapped = String::from_utf8(swapped).unwrap();
            assert_eq!(parse_iban(&swapped).is_ok(), swapped == iban, "{at}");
        }
    }

    #[test]
    fn an_iban_at_the_start_of_a_text_is_measured() {
        let cases = [
            ("DE89370400440532013000", Some(22)),
            ("de89 3704 0044 0532 0130 00, thanks", Some(27)),
            ("DE89370400440532013000x", None),
            ("DE89  3704 0044 0532 0130 00", None),
            ("DE89370400440532013001", None),
            ("DE89", None),
            ("ä", None),
        ];
        for (text, expected) in cases {
            assert_eq!(prefix_size_bytes(text), expected, "{text}");
        }
    }

    #[test]
    fn the_table_is_sorted_and_fits_the_standard() {
        assert!(SIZES.is_sorted());
        assert!(SIZES.iter().all(|(_, size)| (15..=IBAN_SIZE_MAX).contains(size)));
    }
}

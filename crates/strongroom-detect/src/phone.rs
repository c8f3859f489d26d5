//! Telephone numbers.
//!
//! Numbers are brought into the form of ITU-T E.164 with a table of calling codes, prefixes and
//! lengths. Whether a number is allocated is not known here. The library `phonenumber` would know
//! more patterns, but brings 23 crates and 150 ms at the first use.

use thiserror::Error;

use crate::calling::{Plan, plan_of, plans_with};
use crate::characters::{Separator, decimal_digit, is_invisible, separator};
use crate::country::CountryCode;

/// A parsed number. It is personal data: no `Debug`, so that it cannot slip into a log.
#[derive(Clone, PartialEq, Eq)]
pub struct Phone {
    /// A plus sign, the calling code and the national number, 15 digits at most.
    pub e164: String,
}

/// Parses one number as people write it: spaces, dots, hyphens, slashes and brackets are let go,
/// and so is the zero in `+44 (0)20`.
///
/// A number with a plus sign or `00` says its country itself; any other is read as dialled inside
/// `default_country`.
///
/// # Errors
/// The first fault, in words that tell the cure and never repeat the number.
pub fn parse_phone(text: &str, default_country: Option<CountryCode>) -> Result<Phone, PhoneError> {
    if text.len() > INPUT_SIZE_BYTES_MAX {
        return Err(PhoneError::TooLong);
    }
    let (start, digits) = read(text)?;
    if start == Start::Plus {
        return international(&digits);
    }
    let Some(country) = default_country else {
        let digits = digits.strip_prefix("00").ok_or(PhoneError::NoCountry)?;
        return international(digits);
    };
    let plan = plan_of(country.as_str()).ok_or(PhoneError::NoPlan)?;
    match digits.strip_prefix(plan.exit_prefix) {
        Some(rest) if !plan.exit_prefix.is_empty() => international(rest),
        // Elsewhere a carrier's code may follow, and a wrong number would come out.
        _ if digits.starts_with("00") => Err(PhoneError::ExitPrefix),
        _ => national(&digits, plan),
    }
}

/// How a number begins.
#[derive(PartialEq, Eq)]
enum Start {
    Digit,
    Plus,
}

/// The digits of all scripts as ASCII, and whether a plus sign stands before them.
fn read(text: &str) -> Result<(Start, String), PhoneError> {
    let mut start = Start::Digit;
    let mut digits = String::new();
    for c in text.chars() {
        if let Some(digit) = decimal_digit(c) {
            digits.push(char::from(b'0' + digit));
        } else if matches!(c, '+' | '\u{FF0B}') && digits.is_empty() && start == Start::Digit {
            start = Start::Plus;
        } else if c.is_alphabetic() {
            return Err(PhoneError::Letter);
        } else if !is_between_digits(c) {
            return Err(PhoneError::Character);
        }
    }
    if digits.is_empty() { Err(PhoneError::Empty) } else { Ok((start, digits)) }
}

fn is_between_digits(c: char) -> bool {
    let is_bracket = matches!(c, '(' | ')' | '[' | ']' | '\u{FF08}' | '\u{FF09}');
    let is_line_or_underscore =
        matches!(separator(c), Some(Separator::Line | Separator::Underscore));
    is_bracket || is_invisible(c) || (separator(c).is_some() && !is_line_or_underscore)
}

fn international(digits: &str) -> Result<Phone, PhoneError> {
    // Calling codes are prefix-free: at most one of the three lengths is assigned.
    let (code, national) = (1..=3)
        .filter_map(|size| digits.split_at_checked(size))
        .filter_map(|(code, national)| Some((code.parse::<u16>().ok()?, code, national)))
        .find(|(value, code, _)| !code.starts_with('0') && plans_with(*value).next().is_some())
        .map(|(value, _, national)| (value, national))
        .ok_or(PhoneError::CallingCode)?;
    let drops_zero = plans_with(code).any(|plan| plan.trunk_prefix == "0");
    let national = match national.strip_prefix('0') {
        Some(rest) if drops_zero => rest,
        _ => national,
    };
    if drops_zero && national.starts_with('0') {
        return Err(PhoneError::Length);
    }
    number(code, national, |size| plans_with(code).any(|plan| plan.sizes.contains(&size)))
}

fn national(digits: &str, plan: &Plan) -> Result<Phone, PhoneError> {
    let fits = |size| plan.sizes.contains(&size);
    let without = match digits.strip_prefix(plan.trunk_prefix) {
        // National numbers of a few countries begin with the digit that is also their prefix.
        Some(rest) if plan.trunk_prefix.starts_with('0') || fits(rest.len()) => rest,
        _ => digits,
    };
    number(plan.calling_code, without, fits)
}

fn number(code: u16, national: &str, fits: impl Fn(usize) -> bool) -> Result<Phone, PhoneError> {
    let e164 = format!("+{code}{national}");
    if !fits(national.len()) || e164.len() > E164_SIZE_MAX {
        return Err(PhoneError::Length);
    }
    // North American area codes begin with 2 to 9 (NANPA numbering plan).
    if code == 1 && national.starts_with(['0', '1']) {
        return Err(PhoneError::AreaCode);
    }
    Ok(Phone { e164 })
}

/// Why a text is no telephone number. The words never repeat the text.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum PhoneError {
    /// A North American area code that cannot be.
    #[error("the area code cannot begin with 0 or 1; check the first digits")]
    AreaCode,
    /// An unassigned calling code.
    #[error("no country has this calling code; check the digits after the plus sign")]
    CallingCode,
    /// Something that is neither digit nor usual between digits.
    #[error("has a character that telephone numbers do not have; use digits and spaces only")]
    Character,
    /// No digit.
    #[error("has no digits")]
    Empty,
    /// Zeros for dialling abroad where a carrier's code may follow them.
    #[error("begins with zeros for dialling abroad; write a plus sign and the calling code")]
    ExitPrefix,
    /// Too short or too long for its country.
    #[error("has too few or too many digits for its country; check for missing digits")]
    Length,
    /// Letters, such as those of an extension.
    #[error("has letters; write digits only and leave out the extension")]
    Letter,
    /// Neither a plus sign nor a default country.
    #[error("has no country; begin with a plus sign and the calling code, like +44 or +1")]
    NoCountry,
    /// The default country has no numbering plan of its own.
    #[error("the country has no calling code of its own; begin with a plus sign and the code")]
    NoPlan,
    /// Longer than any number.
    #[error("is too long for a telephone number; give one number only")]
    TooLong,
}

/// The plus sign and the 15 digits of ITU-T E.164.
const E164_SIZE_MAX: usize = 16;

/// A number with brackets and separators around each digit stays far below.
const INPUT_SIZE_BYTES_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, country: &str, expected: Result<&str, PhoneError>) {
        let phone = parse_phone(text, CountryCode::parse(country).ok());
        let e164 = phone.as_ref().map(|phone| &*phone.e164).map_err(|error| *error);
        assert_eq!(e164, expected, "{text} {country}");
    }

    #[test]
    fn numbers_that_name_their_country_need_no_other() {
        for (text, expected) in [
            ("+44 20 7946 0958", "+442079460958"),
            ("+44 (0)20 7946 0958", "+442079460958"),
            ("0044 20 7946 0958", "+442079460958"),
            ("＋４９ ３０ ９０１８２０", "+4930901820"),
            ("\u{202A}+1 (415) 555-2671\u{202C}", "+14155552671"),
            ("+39 06 698 1234", "+39066981234"),
            ("+225 01 23 45 67 89", "+2250123456789"),
            ("+383 44 123 456", "+38344123456"),
            ("+800 1234 5678", "+80012345678"),
            ("+٤٤ ٢٠ ٧٩٤٦ ٠٩٥٨", "+442079460958"),
        ] {
            check(text, "", Ok(expected));
            check(expected, "", Ok(expected));
            check(expected, "JP", Ok(expected));
        }
    }

    #[test]
    fn other_numbers_are_read_as_dialled_in_the_default_country() {
        for (text, country, expected) in [
            ("020 7946 0958", "GB", "+442079460958"),
            ("030/901820", "DE", "+4930901820"),
            ("(415) 555-2671", "US", "+14155552671"),
            ("1-415-555-2671", "US", "+14155552671"),
            ("06 698 1234", "IT", "+39066981234"),
            ("8 (912) 345-67-89", "RU", "+79123456789"),
            ("812 345-67-89", "RU", "+78123456789"),
            ("06 30 123 4567", "HU", "+36301234567"),
            ("011 44 20 7946 0958", "US", "+442079460958"),
            ("0011 44 20 7946 0958", "AU", "+442079460958"),
            ("010 44 20 7946 0958", "JP", "+442079460958"),
            ("0049 30 901820", "FR", "+4930901820"),
            ("22 12 34 56", "NO", "+4722123456"),
            ("010-1234-5678", "KR", "+821012345678"),
        ] {
            check(text, country, Ok(expected));
        }
    }

    #[test]
    fn faults_are_told_apart() {
        for (text, country, error) in [
            ("", "", PhoneError::Empty),
            ("+", "", PhoneError::Empty),
            ("020 7946 0958", "", PhoneError::NoCountry),
            ("020 7946 0958", "AQ", PhoneError::NoPlan),
            ("+999 123456", "", PhoneError::CallingCode),
            ("+0 123456", "", PhoneError::CallingCode),
            ("00", "", PhoneError::CallingCode),
            ("+44 20", "", PhoneError::Length),
            ("+44 20 7946 0958 1234", "", PhoneError::Length),
            ("+44 0020 7946 095", "", PhoneError::Length),
            ("+49 30 1234567890123", "", PhoneError::Length),
            ("+1 115 555 2671", "", PhoneError::AreaCode),
            ("011 15 2345-6789", "AR", PhoneError::Length),
            ("001 45 12345678", "SG", PhoneError::ExitPrefix),
            ("0800 FLOWERS", "GB", PhoneError::Letter),
            ("020 7946 0958 ext. 3", "GB", PhoneError::Letter),
            ("020 7946 0958, 020 7946 0959", "GB", PhoneError::Character),
            ("020 7946 0958\n3", "GB", PhoneError::Character),
            ("++44 20 7946 0958", "", PhoneError::Character),
            ("44+20 7946 0958", "GB", PhoneError::Character),
        ] {
            check(text, country, Err(error));
        }
        check(&"1".repeat(100_000), "US", Err(PhoneError::TooLong));
    }

    #[test]
    fn calling_codes_are_prefix_free() {
        let assigned: Vec<u16> = (1..1000).filter(|c| plans_with(*c).next().is_some()).collect();
        for short in &assigned {
            for long in assigned.iter().filter(|long| *long != short) {
                assert!(!long.to_string().starts_with(&short.to_string()), "{short} {long}");
            }
        }
    }

    #[test]
    fn plans_name_assigned_countries_once() {
        let codes = (b'A'..=b'Z').flat_map(|a| (b'A'..=b'Z').map(move |b| [a, b]));
        let known: Vec<String> = codes
            .map(|code| code.map(char::from).iter().collect::<String>())
            .filter(|code| plan_of(code).is_some())
            .collect();
        assert_eq!(known.len(), 242);
        assert!(known.iter().all(|code| CountryCode::parse(code).is_ok()));
    }
}

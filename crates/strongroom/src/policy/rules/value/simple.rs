//! The kinds whose values are one short line.

use jiff::civil;
use serde_json::Value;
use strongroom_detect::country::CountryCode;
use strongroom_detect::email::parse_email;
use strongroom_detect::iban::parse_iban;
use strongroom_detect::phone::parse_phone;
use strongroom_detect::text::Lines;
use zeroize::Zeroizing;

use super::invalid;
use super::text::{accept, refuse_card_number};
use crate::policy::model::{ValueProblem, ValueProblemCode};

pub(super) fn choice(choices: &[String], value: &Value) -> Result<Zeroizing<String>, ValueProblem> {
    let text = accept(value, Lines::One, LINE_SIZE_MAX)?;
    if !choices.contains(&text) {
        let known = choices.iter().map(|choice| format!("`{choice}`")).collect::<Vec<_>>();
        return Err(invalid(
            "the value is not one of the choices",
            &format!("send one of {}", known.join(", ")),
        ));
    }
    Ok(text)
}

pub(super) fn country(value: &Value) -> Result<Zeroizing<String>, ValueProblem> {
    let text = accept(value, Lines::One, LINE_SIZE_MAX)?;
    let country = CountryCode::parse(&text)
        .map_err(|error| invalid("the value is not a country", &error.to_string()))?;
    Ok(Zeroizing::new(country.as_str().to_owned()))
}

pub(super) fn date(value: &Value) -> Result<Zeroizing<String>, ValueProblem> {
    Ok(Zeroizing::new(day(value)?.to_string()))
}

pub(super) fn date_of_birth(value: &Value) -> Result<Zeroizing<String>, ValueProblem> {
    let day = day(value)?;
    if day.year() < BIRTH_YEAR_MIN {
        return Err(invalid(
            "the date of birth lies before 1880",
            "check the year; leave the field out when the date is not known",
        ));
    }
    Ok(Zeroizing::new(day.to_string()))
}

pub(super) fn email(value: &Value) -> Result<Zeroizing<String>, ValueProblem> {
    let text = accept(value, Lines::One, LINE_SIZE_MAX)?;
    let email = parse_email(&text)
        .map_err(|error| invalid("the value is not an e-mail address", &error.to_string()))?;
    Ok(Zeroizing::new(email.display))
}

pub(super) fn iban(value: &Value) -> Result<Zeroizing<String>, ValueProblem> {
    let text = accept(value, Lines::One, LINE_SIZE_MAX)?;
    let iban = parse_iban(&text)
        .map_err(|error| invalid("the value is not an IBAN", &error.to_string()))?;
    Ok(Zeroizing::new(iban))
}

pub(super) fn national_id(value: &Value) -> Result<Zeroizing<String>, ValueProblem> {
    let text = accept(value, Lines::One, LINE_SIZE_MAX)?;
    let is_filler = |letter: char| letter.is_whitespace() || "-./".contains(letter);
    let number: Zeroizing<String> = Zeroizing::new(
        text.chars()
            .filter(|letter| !is_filler(*letter))
            .map(|letter| letter.to_ascii_uppercase())
            .collect(),
    );
    let is_plain = number.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !is_plain || !NATIONAL_ID_SIZE.contains(&number.len()) {
        return Err(invalid(
            "the value is not a national number",
            "send 4 to 32 letters and digits; blanks, `-`, `.` and `/` between them are ignored",
        ));
    }
    Ok(number)
}

pub(super) fn number(value: &Value) -> Result<Zeroizing<String>, ValueProblem> {
    let text = Zeroizing::new(match value {
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => whole.to_string(),
            // Display writes the shortest text that reads back as the same number, and never an
            // exponent.
            (None, Some(fraction)) => fraction.to_string(),
            (None, None) => number.to_string(),
        },
        Value::String(text) if text.len() <= NUMBER_TEXT_SIZE_MAX => text.trim().to_owned(),
        Value::String(_) => return Err(not_a_number()),
        _ => {
            return Err(ValueProblem {
                code: ValueProblemCode::WrongType,
                cause: "the value is neither a JSON number nor a text with one".to_owned(),
                cure: "send a number such as `12` or `12.5`".to_owned(),
            });
        }
    });
    refuse_card_number(&text)?;
    let (sign, digits) = match text.strip_prefix(['-', '+']) {
        Some(digits) if text.starts_with('-') => ("-", digits),
        Some(digits) => ("", digits),
        None => ("", text.as_str()),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let are_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !are_digits(whole) || !are_digits(fraction) {
        return Err(not_a_number());
    }
    // A sign before a card number or a point in it does not hide it.
    refuse_card_number(&Zeroizing::new(digits.replace('.', "")))?;
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    if whole.len() + fraction.len() > NUMBER_DIGITS_MAX {
        return Err(not_a_number());
    }
    let whole = if whole.is_empty() { "0" } else { whole };
    Ok(Zeroizing::new(match (whole, fraction) {
        ("0", "") => "0".to_owned(),
        (_, "") => format!("{sign}{whole}"),
        _ => format!("{sign}{whole}.{fraction}"),
    }))
}

pub(super) fn payment_token(value: &Value) -> Result<Zeroizing<String>, ValueProblem> {
    let text = accept(value, Lines::One, LINE_SIZE_MAX)?;
    let is_graphic = text.bytes().all(|byte| byte.is_ascii_graphic());
    let has_letter = text.bytes().any(|byte| byte.is_ascii_alphabetic());
    if !is_graphic || !has_letter || text.len() < TOKEN_SIZE_MIN {
        return Err(invalid(
            "the value is not a payment provider's token",
            "send the token as the provider gave it: at least 4 letters, digits and signs, no \
             blanks, not digits alone",
        ));
    }
    Ok(text)
}

pub(super) fn phone(
    home: Option<CountryCode>,
    value: &Value,
) -> Result<Zeroizing<String>, ValueProblem> {
    let text = accept(value, Lines::One, LINE_SIZE_MAX)?;
    let phone = parse_phone(&text, home)
        .map_err(|error| invalid("the value is not a telephone number", &error.to_string()))?;
    Ok(Zeroizing::new(phone.e164))
}

fn day(value: &Value) -> Result<civil::Date, ValueProblem> {
    let text = accept(value, Lines::One, LINE_SIZE_MAX)?;
    let date = text.parse::<civil::Date>().ok();
    // The parser takes other forms too, with a time or without dashes; one form is kept.
    date.filter(|date| date.year() >= 1 && date.to_string() == *text).ok_or_else(|| {
        invalid("the value is not a date of the calendar", "send year, month and day: `2024-02-29`")
    })
}

fn not_a_number() -> ValueProblem {
    invalid(
        "the value is not a decimal number of at most 15 digits",
        "send digits with a point before the fraction, such as `12.5`; keep other numbers in a \
         field of type `text`",
    )
}

/// The longest e-mail address has 254 characters (RFC 5321, erratum 1690).
const LINE_SIZE_MAX: u32 = 254;

/// More than any number that is accepted, and enough to look for a card number in it.
const NUMBER_TEXT_SIZE_MAX: usize = 64;

/// Every decimal of 15 digits survives a JSON number read as IEEE 754 binary64.
const NUMBER_DIGITS_MAX: usize = 15;

/// Short enough for any authority's numbers, long enough not to be a typing mistake.
const NATIONAL_ID_SIZE: std::ops::RangeInclusive<usize> = 4..=32;

const TOKEN_SIZE_MIN: usize = 4;

/// Nobody born earlier is alive: the oldest person on record lived 122 years.
const BIRTH_YEAR_MIN: i16 = 1880;

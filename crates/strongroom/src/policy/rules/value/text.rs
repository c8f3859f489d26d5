//! The part that is the same for all text: size, characters, card numbers.

use serde_json::Value;
use strongroom_detect::card::contains_card_number;
use strongroom_detect::text::{Lines, check_text};
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use super::invalid;
use crate::policy::model::{TEXT_SIZE_MAX, ValueProblem, ValueProblemCode};

/// Text without card numbers and forbidden characters, in NFC, without blanks around it, at most
/// `size_max` characters.
pub(super) fn accept(
    value: &Value,
    lines: Lines,
    size_max: u32,
) -> Result<Zeroizing<String>, ValueProblem> {
    let text = value.as_str().ok_or_else(|| ValueProblem {
        code: ValueProblemCode::WrongType,
        cause: "the value is not a JSON text".to_owned(),
        cure: "send it in quotes".to_owned(),
    })?;
    // What is longer than any field takes is refused before anything looks at it, so that a huge
    // value costs nothing.
    if text.len() > VALUE_SIZE_BYTES_MAX {
        return Err(too_long(size_max));
    }
    refuse_card_number(text)?;
    tidy(text, lines, size_max)
}

/// Payment card numbers are kept nowhere, also not inside a longer text.
pub(super) fn refuse_card_number(text: &str) -> Result<(), ValueProblem> {
    if contains_card_number(text) {
        return Err(ValueProblem {
            code: ValueProblemCode::CardNumber,
            cause: "the value contains a payment card number, which is never kept".to_owned(),
            cure: "keep the payment provider's token in a field of type `payment_token` instead"
                .to_owned(),
        });
    }
    Ok(())
}

/// NFC, blanks around it cut, forbidden characters and excess refused.
fn tidy(text: &str, lines: Lines, size_max: u32) -> Result<Zeroizing<String>, ValueProblem> {
    // NFC grows a text by a factor of three at most (UAX #15, section 5); room for all of it means
    // that no half-written copy stays behind in memory.
    let mut normal = Zeroizing::new(String::with_capacity(text.len() * 3));
    normal.extend(text.nfc());
    let unix = Zeroizing::new(normal.replace("\r\n", "\n"));
    let trimmed = unix.trim();
    if trimmed.is_empty() {
        return Err(invalid("the value is empty", "leave the field out when there is no value"));
    }
    if trimmed.chars().nth(size_max as usize).is_some() {
        return Err(too_long(size_max));
    }
    check_text(trimmed, lines).map_err(|error| ValueProblem {
        code: ValueProblemCode::ForbiddenCharacter,
        cause: "the value has a character its type does not take".to_owned(),
        cure: error.to_string(),
    })?;
    Ok(Zeroizing::new(trimmed.to_owned()))
}

fn too_long(size_max: u32) -> ValueProblem {
    ValueProblem {
        code: ValueProblemCode::TooLong,
        cause: "the value is too long".to_owned(),
        cure: format!("send at most {size_max} characters"),
    }
}

/// The longest text of any kind, four bytes to the character.
const VALUE_SIZE_BYTES_MAX: usize = TEXT_SIZE_MAX as usize * 4;

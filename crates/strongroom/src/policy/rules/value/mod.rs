//! Reading values: every value that comes in passes here, whichever door it came through. It is
//! refused or brought into its canonical form, and a refusal never repeats it.

mod address;
mod simple;
mod text;

use serde_json::Value;
use strongroom_detect::text::Lines;
use zeroize::Zeroizing;

use self::text::{accept, refuse_card_number};
use crate::policy::model::{
    Business, FieldKind, FieldValue, Shape, ValueProblem, ValueProblemCode,
};

/// Reads a value for a field of this kind. Telephone numbers without a country prefix belong to
/// the country of the business. Reading what `FieldValue::expose_json` shows gives the same value.
pub fn parse_value(
    kind: &FieldKind,
    business: &Business,
    value: &Value,
) -> Result<FieldValue, ValueProblem> {
    let (shape, text) = match kind {
        FieldKind::Choice { choices } => (Shape::Choice, simple::choice(choices, value)?),
        FieldKind::Country => (Shape::Country, simple::country(value)?),
        FieldKind::Date => (Shape::Date, simple::date(value)?),
        FieldKind::DateOfBirth => (Shape::DateOfBirth, simple::date_of_birth(value)?),
        FieldKind::Email => (Shape::Email, simple::email(value)?),
        FieldKind::Iban => (Shape::Iban, simple::iban(value)?),
        FieldKind::Name => (Shape::Name, name(value)?),
        FieldKind::NationalId { .. } => (Shape::NationalId, simple::national_id(value)?),
        FieldKind::Number => (Shape::Number, simple::number(value)?),
        FieldKind::PaymentToken => (Shape::PaymentToken, simple::payment_token(value)?),
        FieldKind::Phone => (Shape::Phone, simple::phone(business.country, value)?),
        FieldKind::PostalAddress => (Shape::PostalAddress, address::address(value)?),
        FieldKind::Text { size_max } => (Shape::Text, free_text(*size_max, value)?),
    };
    // Without what its kind ignores, or with a country's prefix, it may read as a card where it did
    // not as it was sent.
    refuse_card_number(&text)?;
    Ok(FieldValue::new(shape, text))
}

fn name(value: &Value) -> Result<Zeroizing<String>, ValueProblem> {
    let text = accept(value, Lines::One, NAME_SIZE_MAX)?;
    if !text.chars().any(char::is_alphanumeric) {
        return Err(invalid(
            "a name has no letter in it",
            "send the name, or leave the field out when it is not known",
        ));
    }
    let mut name = Zeroizing::new(String::with_capacity(text.len()));
    for word in text.split_whitespace() {
        if !name.is_empty() {
            name.push(' ');
        }
        name.push_str(word);
    }
    Ok(name)
}

fn free_text(size_max: u32, value: &Value) -> Result<Zeroizing<String>, ValueProblem> {
    accept(value, Lines::Many, size_max)
}

fn invalid(cause: &str, cure: &str) -> ValueProblem {
    ValueProblem { code: ValueProblemCode::Invalid, cause: cause.to_owned(), cure: cure.to_owned() }
}

/// Long names of people run to about 100 characters, of businesses to about 160.
const NAME_SIZE_MAX: u32 = 200;

//! Masks: what someone sees who may know that a value is there, and perhaps recognise it, but not
//! read it. Every mask of a kind has one length, whatever the value, so the length tells nothing;
//! and what a customer's masks show together is never more than these hints.

use serde_json::Value;

use crate::policy::model::{FieldKind, FieldValue, Shape};

/// The masked value, always a JSON text: a first letter of names and of e-mail addresses, the last
/// two digits of telephone numbers and bank accounts, nothing of anything else. The length in
/// characters depends on the kind alone. Values sealed while the field had another kind show
/// nothing.
pub fn mask(kind: &FieldKind, value: &FieldValue) -> Value {
    let text = value.expose_text();
    let masked = match (kind, value.shape()) {
        (FieldKind::DateOfBirth, _) => "••••-••-••".to_owned(),
        (FieldKind::Email, Shape::Email) => format!("{}•••@•••.•••", first_letter(text)),
        (FieldKind::Email, _) => "••••@•••.•••".to_owned(),
        (FieldKind::Iban, Shape::Iban) => format!("•••• {}", last_two(text)),
        (FieldKind::Iban, _) => "•••• ••".to_owned(),
        (FieldKind::Name, Shape::Name) => format!("{}••••", first_letter(text)),
        (FieldKind::Name, _) => "•••••".to_owned(),
        (FieldKind::Phone, Shape::Phone) => format!("•••• ••{}", last_two(text)),
        (FieldKind::Phone, _) => "•••• ••••".to_owned(),
        (FieldKind::PostalAddress, _) => "••••••".to_owned(),
        _ => "••••".to_owned(),
    };
    Value::String(masked)
}

/// One character. A mark or sign in front of a name is no letter and is not shown.
fn first_letter(text: &str) -> char {
    text.chars().next().filter(|first| first.is_alphanumeric()).unwrap_or('•')
}

/// The text of telephone numbers and IBANs is ASCII and longer than two. Nothing else is shown, whatever
/// is stored.
fn last_two(text: &str) -> &str {
    let last = text.len().checked_sub(2).and_then(|start| text.get(start..));
    last.filter(|last| last.bytes().all(|byte| byte.is_ascii_alphanumeric())).unwrap_or("••")
}

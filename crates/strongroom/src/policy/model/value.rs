//! A value of a customer, read and normalised. It never shows itself by accident: there is no
//! Debug, Display or Serialize, and every way out is called `expose`.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};
use strongroom_detect::email::parse_email;
use unicode_normalization::UnicodeNormalization;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// One value in its canonical form; wiped from memory when dropped.
pub struct FieldValue {
    shape: Shape,
    /// Canonical for its shape; the JSON of an `Address` for `Shape::PostalAddress`.
    text: Zeroizing<String>,
}

impl FieldValue {
    // INVARIANT: callers in this room pass text that is canonical for the shape.
    pub(in crate::policy) fn new(shape: Shape, text: Zeroizing<String>) -> Self {
        Self { shape, text }
    }

    pub(in crate::policy) fn shape(&self) -> Shape {
        self.shape
    }

    pub(in crate::policy) fn expose_text(&self) -> &str {
        &self.text
    }

    /// The canonical bytes to be sealed. Equal values of a kind have equal bytes, and what the
    /// bytes mean does not depend on the policy that is applied when they are opened.
    pub fn expose_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(1 + self.text.len()));
        bytes.push(self.shape.tag());
        bytes.extend_from_slice(self.text.as_bytes());
        bytes
    }

    /// Reads what `expose_bytes` wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, UnreadableValueError> {
        let (tag, text) = bytes.split_first().ok_or(UnreadableValueError)?;
        let shape = Shape::of_tag(*tag).ok_or(UnreadableValueError)?;
        let text = str::from_utf8(text).map_err(|_| UnreadableValueError)?;
        let value = Self::new(shape, Zeroizing::new(text.to_owned()));
        value.json().ok_or(UnreadableValueError)?;
        Ok(value)
    }

    /// The clear value as an API answers it. Sending it back gives the same value.
    pub fn expose_json(&self) -> Value {
        // INVARIANT: `new` is given canonical text and `from_bytes` has tried this.
        self.json().unwrap_or(Value::Null)
    }

    /// The text a look-up index is keyed by: two values a person would call the same give the
    /// same text. It is as secret as the value.
    pub fn expose_index_text(&self) -> Zeroizing<String> {
        match self.shape {
            Shape::Email => match parse_email(&self.text) {
                Ok(email) => Zeroizing::new(email.normalised),
                // Sealed by a version with other rules for addresses; still found by itself.
                Err(_) => Zeroizing::new(self.text.to_lowercase()),
            },
            // Lower case may undo NFC (U+0130 becomes two characters), so NFC comes last.
            Shape::Name => Zeroizing::new(self.text.to_lowercase().nfc().collect()),
            _ => self.text.clone(),
        }
    }

    /// The text whose words a customer may be found by: of an address the lines, the city and the
    /// postcode, since a country or a region would answer "who lives there". It is as secret as the value.
    pub fn expose_words(&self) -> Zeroizing<String> {
        let Shape::PostalAddress = self.shape else { return self.text.clone() };
        let Ok(address) = serde_json::from_str::<Address>(&self.text) else {
            return Zeroizing::default();
        };
        let parts = address.lines.iter().chain(&address.city).chain(&address.postcode);
        let mut words = Zeroizing::new(String::with_capacity(self.text.len()));
        for part in parts {
            words.push_str(part);
            words.push(' ');
        }
        words
    }

    fn json(&self) -> Option<Value> {
        match self.shape {
            Shape::Number => number_json(&self.text),
            Shape::PostalAddress => {
                serde_json::from_str::<Address>(&self.text).ok()?;
                serde_json::from_str(&self.text).ok()
            }
            _ => Some(Value::String(self.text.as_str().to_owned())),
        }
    }
}

/// Which form a stored value has. It outlives the kind its field had when it was sealed: after
/// `type = "text"` became `type = "email"`, old values are still texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::policy) enum Shape {
    Choice,
    Country,
    Date,
    DateOfBirth,
    Email,
    Iban,
    Name,
    NationalId,
    Number,
    PaymentToken,
    Phone,
    PostalAddress,
    Text,
}

impl Shape {
    fn tag(self) -> u8 {
        match self {
            Self::Choice => b'c',
            Self::Country => b'l',
            Self::Date => b'd',
            Self::DateOfBirth => b'b',
            Self::Email => b'e',
            Self::Iban => b'i',
            Self::Name => b'n',
            Self::NationalId => b'g',
            Self::Number => b'#',
            Self::PaymentToken => b'k',
            Self::Phone => b'p',
            Self::PostalAddress => b'a',
            Self::Text => b't',
        }
    }

    fn of_tag(tag: u8) -> Option<Self> {
        ALL.into_iter().find(|shape| shape.tag() == tag)
    }
}

/// A postal address; sealed as JSON with the parts in this order.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
pub(in crate::policy) struct Address {
    pub(in crate::policy) lines: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::policy) city: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::policy) region: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::policy) postcode: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::policy) country: Option<String>,
}

/// Opened bytes are not a value this version knows; damage, or written by a newer version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnreadableValueError;

impl fmt::Display for UnreadableValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a stored value has a form this version does not know; was it written by a newer one?",
        )
    }
}

impl std::error::Error for UnreadableValueError {}

fn number_json(text: &str) -> Option<Value> {
    if let Ok(whole) = text.parse::<i64>() {
        return Some(Value::Number(whole.into()));
    }
    Number::from_f64(text.parse().ok()?).map(Value::Number)
}

const ALL: [Shape; 13] = [
    Shape::Choice,
    Shape::Country,
    Shape::Date,
    Shape::DateOfBirth,
    Shape::Email,
    Shape::Iban,
    Shape::Name,
    Shape::NationalId,
    Shape::Number,
    Shape::PaymentToken,
    Shape::Phone,
    Shape::PostalAddress,
    Shape::Text,
];

//! Tokens: 128 random bits and a check character, and what they stand for.

use std::fmt;

use strongroom_crypto::{CryptoError, Decoder, Encoder};

use crate::ctx::Time;
use crate::id::{self, Id};

/// What stands for one value of a customer in another system: `tok_`, 26 letters and digits, and one
/// more by which a slip of the pen is told from a token nobody knows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(Id<id::Token>);

impl Token {
    pub(in crate::vault) fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Id::from_bytes(bytes))
    }

    pub(in crate::vault) fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// `None` for what cannot be a token as it was given out.
    pub fn parse(text: &str) -> Option<Self> {
        let (rest, check) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let id: Id<id::Token> = rest.parse().ok()?;
        (check_letter(rest) == check.chars().next()).then_some(Self(id))
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        let check = check_letter(&text).unwrap_or_default();
        write!(f, "{text}{check}")
    }
}

/// The text of a token, for the fuzzer.
#[cfg(any(test, feature = "fuzz"))]
pub(crate) fn token_of(bytes: [u8; 16]) -> String {
    Token::from_bytes(bytes).to_string()
}

/// Luhn's check modulo 32: it tells every single wrong letter and nearly every two exchanged ones.
fn check_letter(text: &str) -> Option<char> {
    let (_, letters) = text.split_once('_')?;
    let mut sum = 0;
    for (place, letter) in letters.chars().rev().enumerate() {
        let value = ALPHABET.find(letter)?;
        let value = if place % 2 == 0 { value * 2 } else { value };
        sum += value / 32 + value % 32;
    }
    ALPHABET.chars().nth((32 - sum % 32) % 32)
}

/// Crockford's, as ids are written.
const ALPHABET: &str = "0123456789abcdefghjkmnpqrstvwxyz";

/// What a token stands for, sealed beside the value where it is pinned to one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::vault) struct Standing {
    /// The token itself, so that it opens under no other.
    pub(in crate::vault) token: [u8; 16],
    /// The number of the field.
    pub(in crate::vault) field: u8,
    /// Whom it was made for.
    pub(in crate::vault) consumer: String,
    /// Whether it shows the value of then, or that of now.
    pub(in crate::vault) pinned: bool,
    /// From when on it stands for nothing.
    pub(in crate::vault) expires: Option<Time>,
}

impl Standing {
    pub(in crate::vault) fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::new("token/standing");
        encoder.bytes(&self.token).u8(self.field).text(&self.consumer).u8(u8::from(self.pinned));
        let expires = self.expires.map_or(0, |at| at.as_ms().cast_unsigned());
        encoder.u8(u8::from(self.expires.is_some())).u64(expires);
        encoder.finish()
    }

    pub(in crate::vault) fn decode(bytes: &[u8]) -> Result<Self, CryptoError> {
        let mut decoder = Decoder::new(bytes, "token/standing")?;
        let (token, field) = (decoder.array()?, decoder.u8()?);
        let (consumer, pinned) = (decoder.text()?.to_owned(), decoder.u8()? == 1);
        let (has_end, end) = (decoder.u8()? == 1, decoder.u64()?);
        decoder.finish()?;
        let expires = has_end.then(|| Time::from_ms(end.cast_signed()));
        Ok(Self { token, field, consumer, pinned, expires })
    }
}

/// The version tokens are sealed at: no record of a compartment ever has it, so the one does not open
/// in the place of the other.
pub(in crate::vault) const TOKEN_VERSION: u64 = 1 << 63;

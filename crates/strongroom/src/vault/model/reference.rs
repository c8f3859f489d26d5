//! References: what a customer is called in the systems of whoever calls.

use strongroom_crypto::{CryptoError, Decoder, Encoder};

use crate::error::Error;

/// A caller's own opaque name for a customer: `shop/4711`. Refused if it looks personal, since it
/// stands in URLs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    source: String,
    key: String,
}

impl Reference {
    /// A source of 1 to 40 lower-case letters, digits, `-`; a key of 1 to 64 letters, digits, `.`,
    /// `_`, `-` with at least one digit, so that no name or e-mail passes.
    pub fn parse(source: &str, key: &str) -> Result<Self, Error> {
        let plain_source = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let plain_key = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let good_source =
            !source.is_empty() && source.len() <= 40 && source.chars().all(plain_source);
        let good_key = !key.is_empty()
            && key.len() <= 64
            && key.chars().all(plain_key)
            && key.chars().any(|c| c.is_ascii_digit());
        if !good_source || !good_key || strongroom_detect::card::contains_card_number(key) {
            let detail = "a reference is your own opaque number: source of 1 to 40 lower-case \
                          letters, digits and `-`; key of 1 to 64 letters, digits, `.`, `_`, `-` \
                          with at least one digit. It stands in addresses, so never a name, an \
                          e-mail or a card number";
            return Err(Error::unprocessable("bad_reference", detail));
        }
        Ok(Self { source: source.to_owned(), key: key.to_owned() })
    }

    /// Reads `shop/4711`.
    pub fn parse_text(text: &str) -> Result<Self, Error> {
        let (source, key) = text.split_once('/').unwrap_or((text, ""));
        Self::parse(source, key)
    }

    /// The text its hash covers, `shop/4711`.
    pub(in crate::vault) fn index_text(&self) -> String {
        format!("{}/{}", self.source, self.key)
    }
}

pub(super) fn encode(references: &[Reference]) -> Vec<u8> {
    let mut encoder = Encoder::new("core/references");
    encoder.u32(super::count(references.len()));
    for reference in references {
        encoder.text(&reference.source).text(&reference.key);
    }
    encoder.finish()
}

pub(super) fn decode(bytes: &[u8]) -> Result<Vec<Reference>, CryptoError> {
    let mut decoder = Decoder::new(bytes, "core/references")?;
    let mut references = Vec::new();
    for _ in 0..decoder.u32()? {
        let (source, key) = (decoder.text()?.to_owned(), decoder.text()?.to_owned());
        references.push(Reference { source, key });
    }
    decoder.finish()?;
    Ok(references)
}

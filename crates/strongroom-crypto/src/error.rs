//! What can go wrong with bytes and keys. Never says what the bytes were.

use std::error::Error;
use std::fmt;

/// The four failures of this crate; none of them carries data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CryptoError {
    /// The random source failed. Nothing was made; trying again is safe.
    Exhausted,
    /// The input does not have the form that was asked for. No key was involved.
    Malformed,
    /// Sealed data, a tag or a signature does not fit the key or the place it was checked against.
    /// The cause is withheld on purpose (`specs/crypto.md`, "Sealed record").
    Tampered,
    /// The input is longer than a limit of this crate.
    TooLarge,
}

impl fmt::Display for CryptoError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Exhausted => "the random source failed, nothing was made",
            Self::Malformed => "the bytes do not have the expected form",
            Self::Tampered => "the sealed data does not fit its key or its place",
            Self::TooLarge => "the data is larger than the limit",
        })
    }
}

impl Error for CryptoError {}

#[cfg(test)]
mod tests {
    use super::CryptoError::{Exhausted, Malformed, Tampered, TooLarge};

    #[test]
    fn each_failure_says_what_it_is_and_no_more() {
        let words = [Exhausted, Malformed, Tampered, TooLarge].map(|error| error.to_string());
        assert_eq!(
            words,
            [
                "the random source failed, nothing was made",
                "the bytes do not have the expected form",
                "the sealed data does not fit its key or its place",
                "the data is larger than the limit",
            ]
        );
    }
}

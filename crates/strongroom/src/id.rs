//! Identifiers: 128 bits with a prefix that says what they name.
//!
//! Customer ids and pseudonyms are random, so they tell nothing about when or in which order people
//! became customers. All others start with their time, which keeps indexes narrow.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use data_encoding::{Encoding, Specification};
use std::sync::LazyLock;
use strongroom_crypto::{CryptoError, Random, random_array};

use crate::error::Error;
use crate::time::Time;

/// What an identifier names.
pub trait Kind {
    /// The letters before the underscore.
    const PREFIX: &'static str;
}

/// An API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ApiKey;
/// A customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Customer;
/// What of whose is at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Holding;
/// An import job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Import;
/// A send through an outlet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sending;
/// A share of some fields by a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Share;
/// A record of a customer: an invoice, an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Record;
/// What stands for one value of a customer in another system; written with a check character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token;
/// What happened to a customer, as receivers of webhooks are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Event;
/// An address that is told of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Webhook;
/// One request, as logs and errors name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Request;
/// One verification of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Verification;

impl Kind for ApiKey {
    const PREFIX: &'static str = "key";
}
impl Kind for Customer {
    const PREFIX: &'static str = "cus";
}
impl Kind for Holding {
    const PREFIX: &'static str = "hld";
}
impl Kind for Import {
    const PREFIX: &'static str = "imp";
}
impl Kind for Sending {
    const PREFIX: &'static str = "snd";
}
impl Kind for Share {
    const PREFIX: &'static str = "shr";
}
impl Kind for Record {
    const PREFIX: &'static str = "rec";
}
impl Kind for Token {
    const PREFIX: &'static str = "tok";
}
impl Kind for Event {
    const PREFIX: &'static str = "evt";
}
impl Kind for Webhook {
    const PREFIX: &'static str = "hook";
}
impl Kind for Request {
    const PREFIX: &'static str = "req";
}
impl Kind for Verification {
    const PREFIX: &'static str = "ver";
}

/// 128 bits that name one `K`; written as `prefix_` and 26 letters and digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id<K> {
    bytes: [u8; 16],
    kind: PhantomData<K>,
}

impl<K: Kind> Id<K> {
    /// An id that tells nothing.
    pub fn random(random: &dyn Random) -> Result<Self, CryptoError> {
        Ok(Self::from_bytes(random_array(random)?))
    }

    /// An id that sorts by the time it was made (milliseconds, 48 bits).
    pub fn time_ordered(now: Time, random: &dyn Random) -> Result<Self, CryptoError> {
        let mut bytes: [u8; 16] = random_array(random)?;
        let [_, _, time @ ..] = now.as_ms().to_be_bytes();
        for (slot, byte) in bytes.iter_mut().zip(time) {
            *slot = byte;
        }
        Ok(Self::from_bytes(bytes))
    }

    /// The id with exactly these bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self { bytes, kind: PhantomData }
    }

    /// The 16 bytes, as they are bound into sealed records.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.bytes
    }
}

impl<K: Kind> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", K::PREFIX, BASE32.encode(&self.bytes))
    }
}

impl<K: Kind> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl<K: Kind> FromStr for Id<K> {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bytes = text
            .strip_prefix(K::PREFIX)
            .and_then(|rest| rest.strip_prefix('_'))
            .and_then(|letters| BASE32.decode(letters.as_bytes()).ok())
            .and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
        match bytes {
            Some(bytes) => Ok(Self::from_bytes(bytes)),
            None => Err(Error::bad_request(
                "bad_id",
                format!(
                    "this is not an id of the form `{}_…` with 26 letters and digits",
                    K::PREFIX
                ),
            )),
        }
    }
}

/// Crockford's alphabet in lower case, without the look-alikes i, l, o, u: ids are read over the
/// telephone. Decoding is strict, so one id has one spelling.
static BASE32: LazyLock<Encoding> = LazyLock::new(|| {
    let mut specification = Specification::new();
    specification.symbols.push_str("0123456789abcdefghjkmnpqrstvwxyz");
    #[expect(clippy::expect_used, reason = "INVARIANT: the alphabet is a constant of 32 letters")]
    specification.encoding().expect("32 distinct letters")
});

#[cfg(test)]
mod tests {
    use super::*;
    use strongroom_crypto::SystemRandom;

    #[test]
    fn an_id_reads_back_as_it_was_written() {
        let id = Id::<Customer>::random(&SystemRandom).unwrap();
        assert_eq!(id.to_string().parse::<Id<Customer>>().unwrap(), id);
        assert_eq!(id.to_string().len(), 30);
    }

    #[test]
    fn an_id_of_another_kind_or_spelling_is_refused() {
        let id = Id::<Customer>::from_bytes([7; 16]).to_string();
        for bad in
            [id.replace("cus", "key"), id.to_uppercase(), format!("{id}0"), id.replace('0', "o")]
        {
            if bad != id {
                assert!(bad.parse::<Id<Customer>>().is_err(), "{bad}");
            }
        }
    }

    #[test]
    fn time_ordered_ids_sort_by_time() {
        let early = Id::<ApiKey>::time_ordered(Time::from_ms(1_000), &SystemRandom).unwrap();
        let late = Id::<ApiKey>::time_ordered(Time::from_ms(1_001), &SystemRandom).unwrap();
        assert!(early < late && early.to_string() < late.to_string());
    }
}

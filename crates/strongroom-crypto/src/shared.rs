//! Secrets that another party holds as well, to check what we sign for it (Standard Webhooks).
//!
//! Apart from [`crate::SecretKey`], so that a key of ours never signs what a stranger chooses, and no
//! secret that left this house is ever taken for a key of ours.

use zeroize::ZeroizeOnDrop;

use crate::hmac::hmac_sha256;
use crate::{CryptoError, Plain, Random};

/// 24 to 64 uniform secret bytes, wiped when dropped, shared with one receiver.
#[derive(ZeroizeOnDrop)]
pub struct SharedSecret {
    bytes: Vec<u8>,
}

impl SharedSecret {
    /// A fresh one of 32 bytes, as good as the random source.
    pub fn generate(random: &dyn Random) -> Result<Self, CryptoError> {
        let mut secret = Self { bytes: vec![0; SIZE_BYTES] };
        random.fill(&mut secret.bytes)?;
        Ok(secret)
    }

    /// One that was sealed; [`CryptoError::Malformed`] unless of 24 to 64 bytes, as the specification
    /// asks.
    pub fn from_plain(plain: &Plain) -> Result<Self, CryptoError> {
        if !(SIZE_BYTES_MIN..=SIZE_BYTES_MAX).contains(&plain.size_bytes()) {
            return Err(CryptoError::Malformed);
        }
        Ok(Self { bytes: plain.expose().to_vec() })
    }

    /// Shows it, to be handed to the receiver once, or sealed.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.bytes
    }

    /// HMAC-SHA-256 over the parts written one after another; where they join is the caller's concern.
    #[must_use]
    pub fn sign(&self, parts: &[&[u8]]) -> [u8; 32] {
        hmac_sha256(&self.bytes, parts.iter().copied())
    }
}

const SIZE_BYTES: usize = 32;
const SIZE_BYTES_MIN: usize = 24;
const SIZE_BYTES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SystemRandom;
    use crate::random::broken::FailingRandom;

    #[test]
    fn secrets_are_wiped_on_drop_and_need_a_random_source() {
        fn wiped<T: ZeroizeOnDrop>() {}
        wiped::<SharedSecret>();
        let first = SharedSecret::generate(&SystemRandom).unwrap();
        let second = SharedSecret::generate(&SystemRandom).unwrap();
        assert_ne!(first.expose(), second.expose());
        assert_eq!(first.expose().len(), 32);
        assert_eq!(SharedSecret::generate(&FailingRandom).err(), Some(CryptoError::Exhausted));
    }

    #[test]
    fn a_tag_is_hmac_sha_256() {
        // RFC 4231, test case 6 has a key too long for here; test case 4 has 25 bytes.
        let key: Vec<u8> = (1..=25).collect();
        let secret = SharedSecret::from_plain(&Plain::new(key)).unwrap();
        let tag = secret.sign(&[&[0xcd; 20], &[0xcd; 30]]);
        let hex = "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b";
        let known: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(known, hex);
    }

    #[test]
    fn a_secret_of_another_size_is_none() {
        let from = |size| SharedSecret::from_plain(&Plain::new(vec![3; size])).map(drop);
        assert_eq!((from(24), from(64)), (Ok(()), Ok(())));
        for size in [0, 23, 65] {
            assert_eq!(from(size), Err(CryptoError::Malformed), "{size}");
        }
    }
}

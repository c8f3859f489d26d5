//! Ed25519 signatures (RFC 8032): who wrote the log. Deterministic, so no random source can break
//! them.

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

use crate::{CryptoError, SecretKey};

/// Signs; the library keeps the private part and wipes it when dropped.
pub struct SigningKey {
    pair: Ed25519KeyPair,
}

/// The public part, to be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifyingKey {
    bytes: [u8; 32],
}

impl SigningKey {
    /// The key pair of this seed. The seed must serve nothing else: derive one for the purpose.
    pub fn from_seed(seed: &SecretKey) -> Result<Self, CryptoError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose_bytes())
            .map_err(|_| CryptoError::Malformed)?;
        Ok(Self { pair })
    }

    /// Signs the message itself (pure Ed25519, no pre-hash); the same message, the same signature.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        let mut out = [0; 64];
        // INVARIANT: an Ed25519 signature is 64 bytes.
        out.copy_from_slice(self.pair.sign(message).as_ref());
        out
    }

    /// What others need in order to check.
    #[must_use]
    pub fn verifying_key(&self) -> VerifyingKey {
        let mut bytes = [0; 32];
        // INVARIANT: an Ed25519 public key is 32 bytes.
        bytes.copy_from_slice(self.pair.public_key().as_ref());
        VerifyingKey { bytes }
    }
}

impl VerifyingKey {
    /// Takes any bytes; those that are no point of the curve verify nothing. Only keys from a
    /// trusted place: a forger may choose a weak one under which a signature fits many messages.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self { bytes }
    }

    /// The encoding of RFC 8032, section 5.1.2.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// [`CryptoError::Tampered`] unless these 64 bytes sign exactly this message.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        UnparsedPublicKey::new(&ED25519, &self.bytes)
            .verify(message, signature)
            .map_err(|_| CryptoError::Tampered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> SigningKey {
        SigningKey::from_seed(&SecretKey::from_bytes([byte; 32])).unwrap()
    }

    #[test]
    fn only_the_signature_of_this_key_over_this_message_is_accepted() {
        let public = key(1).verifying_key();
        let signature = key(1).sign(b"message");
        assert_eq!(public.verify(b"message", &signature), Ok(()));
        let check = |public: VerifyingKey, message: &[u8], signature: &[u8]| {
            assert_eq!(public.verify(message, signature), Err(CryptoError::Tampered));
        };
        check(public, b"messag", &signature);
        check(public, b"", &signature);
        check(key(2).verifying_key(), b"message", &signature);
        check(public, b"message", &[]);
        check(public, b"message", &signature[..63]);
        check(public, b"message", &[signature.as_slice(), &[0]].concat());
        for bit in 0..512 {
            let mut wrong = signature;
            wrong[bit / 8] ^= 1 << (bit % 8);
            check(public, b"message", &wrong);
        }
    }

    #[test]
    fn bytes_that_are_no_point_verify_nothing() {
        // 2 is not the y of any point of the curve (RFC 8032, section 5.1.3, step 3).
        let mut bytes = [0; 32];
        bytes[0] = 2;
        let public = VerifyingKey::from_bytes(bytes);
        assert_eq!(public.as_bytes(), &bytes);
        let signature = key(1).sign(b"message");
        assert_eq!(public.verify(b"message", &signature), Err(CryptoError::Tampered));
    }
}

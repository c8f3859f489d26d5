//! Keys sealed under keys, for storage (`specs/crypto.md`, "Keys").
//!
//! Layout: suite byte ‖ 12 B nonce ‖ ciphertext ‖ 16 B tag. AES-256-GCM-SIV, because a wrapping key
//! lives long and its nonces are random: should the random source repeat one, an onlooker learns
//! only whether the same secret was wrapped twice for the same place.

use zeroize::Zeroizing;

use crate::aead::{Aead, NONCE_SIZE_BYTES, TAG_SIZE_BYTES};
use crate::{CryptoError, Encoder, Plain, Random, SecretKey, random_array};

/// Seals a secret for the one place that `aad` names (an injective encoding of all ids that tell
/// it from every other place). At most [`WRAP_SIZE_BYTES_MAX`], else [`CryptoError::TooLarge`].
pub fn wrap(
    key: &SecretKey,
    random: &dyn Random,
    aad: &[u8],
    secret: &Plain,
) -> Result<Vec<u8>, CryptoError> {
    if secret.size_bytes() > WRAP_SIZE_BYTES_MAX {
        return Err(CryptoError::TooLarge);
    }
    let nonce = random_array::<NONCE_SIZE_BYTES>(random)?;
    let mut sealed = vec![0; secret.size_bytes() + TAG_SIZE_BYTES];
    Aead::gcm_siv(key.expose_bytes())?.seal(
        nonce,
        &bound_aad(aad),
        secret.expose(),
        &mut sealed,
    )?;

    let mut wrapped = Vec::with_capacity(1 + NONCE_SIZE_BYTES + sealed.len());
    wrapped.push(SUITE_AES_256_GCM_SIV);
    wrapped.extend_from_slice(&nonce);
    wrapped.extend_from_slice(&sealed);
    Ok(wrapped)
}

/// Opens what [`wrap`] made under the same key for the same place. Everything else, an unknown
/// suite and a wrong length included, is [`CryptoError::Tampered`].
///
/// GCM-SIV does not commit to its key: somebody who *chose* two keys can make one text that opens
/// under both. Wrapping keys are ours and random, and what opens is a key whose records do commit.
pub fn unwrap_key(key: &SecretKey, aad: &[u8], wrapped: &[u8]) -> Result<Plain, CryptoError> {
    let Some((&SUITE_AES_256_GCM_SIV, rest)) = wrapped.split_first() else {
        return Err(CryptoError::Tampered);
    };
    let (nonce, sealed) =
        rest.split_first_chunk::<NONCE_SIZE_BYTES>().ok_or(CryptoError::Tampered)?;
    let size = sealed.len().checked_sub(TAG_SIZE_BYTES).ok_or(CryptoError::Tampered)?;
    // Wiped also when the tag turns out wrong.
    let mut secret = Zeroizing::new(vec![0; size]);
    Aead::gcm_siv(key.expose_bytes())?.open(*nonce, &bound_aad(aad), sealed, &mut secret)?;
    Ok(Plain::new(std::mem::take(&mut *secret)))
}

/// Longer secrets are records; a wrapped list of two thousand keys still fits.
pub const WRAP_SIZE_BYTES_MAX: usize = 64 * 1024;

/// Binds the suite too, so that a later suite cannot be exchanged for this one.
fn bound_aad(aad: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder::new("strongroom/wrap");
    encoder.u8(SUITE_AES_256_GCM_SIV).bytes(aad);
    encoder.finish()
}

/// Suite numbers are stored; never reuse one.
const SUITE_AES_256_GCM_SIV: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SystemRandom;
    use crate::random::broken::{ConstantRandom, FailingRandom};

    const PLACE: &[u8] = b"installation, customer, compartment, dek id, version";

    fn key() -> SecretKey {
        SecretKey::from_bytes([5; 32])
    }

    fn wrapped() -> Vec<u8> {
        wrap(&key(), &SystemRandom, PLACE, &Plain::new(vec![9; 32])).unwrap()
    }

    fn check_refused(key: &SecretKey, aad: &[u8], wrapped: &[u8]) {
        assert_eq!(unwrap_key(key, aad, wrapped).err(), Some(CryptoError::Tampered));
    }

    #[test]
    fn a_wrapped_secret_comes_back() {
        for size in [0, 1, 32, 4_096, WRAP_SIZE_BYTES_MAX] {
            let secret = Plain::new(vec![0xc3; size]);
            let wrapped = wrap(&key(), &SystemRandom, PLACE, &secret).unwrap();
            assert_eq!(wrapped.len(), 1 + 12 + size + 16);
            let opened = unwrap_key(&key(), PLACE, &wrapped).unwrap();
            assert_eq!(opened.expose(), secret.expose());
        }
    }

    #[test]
    fn a_wrapped_dek_that_was_moved_does_not_open() {
        check_refused(&key(), b"another customer", &wrapped());
        check_refused(&key(), b"", &wrapped());
        check_refused(&SecretKey::from_bytes([6; 32]), PLACE, &wrapped());
    }

    #[test]
    fn a_wrapped_dek_with_any_bit_flipped_does_not_open() {
        let good = wrapped();
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            check_refused(&key(), PLACE, &bad);
        }
        for size in 0..good.len() {
            check_refused(&key(), PLACE, &good[..size]);
        }
        check_refused(&key(), PLACE, &[good.as_slice(), &[0]].concat());
    }

    #[test]
    fn a_repeated_nonce_shows_only_whether_secrets_are_the_same() {
        let wrap = |byte: u8| {
            let secret = Plain::new(vec![byte; 32]);
            wrap(&key(), &ConstantRandom(0), PLACE, &secret).unwrap()
        };
        assert_eq!(wrap(1), wrap(1));
        // With GCM the difference of the ciphertexts would be that of the secrets: 1 ^ 2 = 3.
        let (first, second) = (wrap(1), wrap(2));
        let same_stream = (13..45).filter(|&at| first[at] ^ second[at] == 3).count();
        assert!(same_stream < 8, "{same_stream} of 32 bytes share a key stream");
    }

    #[test]
    fn limits_and_a_failing_random_source_are_errors() {
        let huge = Plain::new(vec![0; WRAP_SIZE_BYTES_MAX + 1]);
        let error = wrap(&key(), &SystemRandom, PLACE, &huge).err();
        assert_eq!(error, Some(CryptoError::TooLarge));
        let error = wrap(&key(), &FailingRandom, PLACE, &Plain::new(vec![1])).err();
        assert_eq!(error, Some(CryptoError::Exhausted));
    }
}

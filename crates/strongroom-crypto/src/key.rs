//! Secret keys: made, derived from one another, and used to authenticate. Never shown by accident.

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::encode::{Encoder, length_prefix};
use crate::hkdf;
use crate::hmac::hmac_sha256;
use crate::{CryptoError, Plain, Random, random_array};

/// 32 uniform secret bytes, wiped when dropped.
///
/// They sit on the heap, so that moving the key does not leave copies on the stack. Like
/// [`Plain`], a key cannot be printed, cloned or compared:
///
/// ```
/// let key = strongroom_crypto::SecretKey::from_bytes([7; 32]);
/// assert_eq!(key.expose_bytes(), &[7; 32]);
/// ```
///
/// ```compile_fail,E0277
/// let key = strongroom_crypto::SecretKey::from_bytes([7; 32]);
/// println!("{key:?}");
/// ```
///
/// ```compile_fail,E0599
/// let key = strongroom_crypto::SecretKey::from_bytes([7; 32]);
/// let _second = key.clone();
/// ```
///
/// ```compile_fail,E0369
/// let key = strongroom_crypto::SecretKey::from_bytes([7; 32]);
/// let _same = key == key;
/// ```
#[derive(ZeroizeOnDrop)]
pub struct SecretKey {
    bytes: Box<[u8; KEY_SIZE_BYTES]>,
}

/// An HMAC-SHA-256 tag.
///
/// It has no `==`: comparing tags in variable time tells a forger how far a guess was right. Check
/// one with [`SecretKey::verify`].
#[derive(Clone, Copy)]
pub struct Tag(pub [u8; 32]);

impl SecretKey {
    /// A key that is as good as the random source; data keys use [`Self::generate_hedged`].
    pub fn generate(random: &dyn Random) -> Result<Self, CryptoError> {
        let mut key = Self::zero();
        random.fill(key.bytes.as_mut_slice())?;
        Ok(key)
    }

    /// A key that stays secret and unique even if the random source is constant, as long as
    /// `secret` is secret and `id` is never used twice (`specs/crypto.md`, "Keys"): a PRF under
    /// `secret` over the random bytes and the id.
    pub fn generate_hedged(
        random: &dyn Random,
        secret: &SecretKey,
        id: &[u8],
    ) -> Result<Self, CryptoError> {
        let mut fresh: [u8; 32] = random_array(random)?;
        // The random part has a fixed size, so the id after it needs no prefix.
        let tag = secret.mac_parts(HEDGED_KEY_LABEL, &[&fresh, id]);
        fresh.zeroize();
        Ok(Self::from_bytes(tag.0))
    }

    /// Takes bytes that are already uniform: never a password or other text of a person.
    #[must_use]
    pub fn from_bytes(mut bytes: [u8; KEY_SIZE_BYTES]) -> Self {
        let mut key = Self::zero();
        key.bytes.copy_from_slice(&bytes);
        bytes.zeroize();
        key
    }

    /// A key that was wrapped; [`CryptoError::Malformed`] unless exactly 32 bytes.
    pub fn from_plain(plain: &Plain) -> Result<Self, CryptoError> {
        let mut key = Self::zero();
        if plain.size_bytes() != KEY_SIZE_BYTES {
            return Err(CryptoError::Malformed);
        }
        key.bytes.copy_from_slice(plain.expose());
        Ok(key)
    }

    /// An independent key for one purpose (`label`) and one thing (`context`): HKDF-Expand with
    /// the canonical encoding of both as info. Knowing it reveals nothing about `self`.
    #[must_use]
    pub fn derive(&self, label: &str, context: &[u8]) -> SecretKey {
        let mut info = Encoder::new(label);
        info.bytes(context);
        let mut key = Self::zero();
        #[expect(
            clippy::expect_used,
            reason = "INVARIANT: 32 bytes are below the limit of 255 × 32, the only failure"
        )]
        hkdf::expand(&self.bytes, &info.finish(), key.bytes.as_mut_slice())
            .expect("32 bytes can be expanded");
        key
    }

    /// Authenticates `message` for one purpose; two labels never give related tags.
    #[must_use]
    pub fn mac(&self, label: &str, message: &[u8]) -> Tag {
        self.mac_parts(label, &[message])
    }

    /// Checks a tag in constant time. A shortened or lengthened tag is [`CryptoError::Tampered`].
    pub fn verify(&self, label: &str, message: &[u8], tag: &[u8]) -> Result<(), CryptoError> {
        if constant_time_eq(self.mac(label, message).as_bytes(), tag) {
            return Ok(());
        }
        Err(CryptoError::Tampered)
    }

    /// Shows the secret, to be wrapped, split into shares or kept in locked memory.
    #[must_use]
    pub fn expose_bytes(&self) -> &[u8; KEY_SIZE_BYTES] {
        &self.bytes
    }

    /// [`Self::mac`] of the parts written one after another; the caller knows that they cannot be
    /// cut in two ways.
    pub(crate) fn mac_parts(&self, label: &str, parts: &[&[u8]]) -> Tag {
        // INVARIANT: no tag equals a derived key. Both are HMAC under one key, and the first byte
        // keeps their inputs apart: MAC_KIND here, the kind of a label in `derive`, a letter in
        // the info of a record. Nothing else may compute HMAC under a `SecretKey`.
        let prefix = length_prefix(label.len());
        let head: [&[u8]; 3] = [&[MAC_KIND], prefix.as_bytes(), label.as_bytes()];
        Tag(hmac_sha256(self.bytes.as_slice(), head.into_iter().chain(parts.iter().copied())))
    }

    fn zero() -> Self {
        Self { bytes: Box::new([0; KEY_SIZE_BYTES]) }
    }
}

impl Tag {
    /// The 32 bytes to store.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Compares without telling by its duration where two secrets differ; their lengths are public.
#[must_use]
pub fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(a, b).is_ok()
}

const KEY_SIZE_BYTES: usize = 32;

const HEDGED_KEY_LABEL: &str = "strongroom/hedged-key/v1";

/// Not one of the kinds of item an `Encoder` writes, and not a letter.
const MAC_KIND: u8 = 0x1f;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::broken::{ConstantRandom, FailingRandom};
    use crate::{SystemRandom, hmac};

    fn key(byte: u8) -> SecretKey {
        SecretKey::from_bytes([byte; 32])
    }

    #[test]
    fn keys_are_wiped_on_drop() {
        fn wiped<T: ZeroizeOnDrop>() {}
        wiped::<SecretKey>();
    }

    #[test]
    fn generated_keys_differ_and_need_a_random_source() {
        let first = SecretKey::generate(&SystemRandom).unwrap();
        let second = SecretKey::generate(&SystemRandom).unwrap();
        assert_ne!(first.expose_bytes(), second.expose_bytes());
        assert_eq!(SecretKey::generate(&FailingRandom).err(), Some(CryptoError::Exhausted));
        let hedged = SecretKey::generate_hedged(&FailingRandom, &key(1), b"id");
        assert_eq!(hedged.err(), Some(CryptoError::Exhausted));
    }

    #[test]
    fn hedged_keys_are_unique_even_with_a_constant_random_source() {
        let make = |random: u8, secret: u8, id: &[u8]| {
            let key = SecretKey::generate_hedged(&ConstantRandom(random), &key(secret), id);
            *key.unwrap().expose_bytes()
        };
        let base = make(0, 1, b"dek-1");
        assert_ne!(base, make(0, 1, b"dek-2"), "the id counts");
        assert_ne!(base, make(0, 2, b"dek-1"), "the secret counts");
        assert_ne!(base, make(9, 1, b"dek-1"), "the random bytes count");
        assert_ne!(base, [0; 32], "the random bytes are not the key");
        assert_eq!(base, make(0, 1, b"dek-1"));
        // Without the hedge the same source gives the same key again and again.
        let unhedged = || *SecretKey::generate(&ConstantRandom(0)).unwrap().expose_bytes();
        assert_eq!(unhedged(), unhedged());
    }

    #[test]
    fn a_wrapped_key_has_exactly_32_bytes() {
        let from = |size: usize| SecretKey::from_plain(&Plain::new(vec![3; size])).map(|_| ());
        assert_eq!(from(32), Ok(()));
        for size in [0, 31, 33, 64] {
            assert_eq!(from(size), Err(CryptoError::Malformed), "{size}");
        }
        let key = SecretKey::from_plain(&Plain::new((0..32).collect())).unwrap();
        assert!(key.expose_bytes().iter().copied().eq(0..32));
    }

    #[test]
    fn derived_keys_depend_on_key_label_and_context() {
        let derive = |byte: u8, label: &str, context: &[u8]| {
            *key(byte).derive(label, context).expose_bytes()
        };
        let base = derive(1, "label", b"context");
        assert_eq!(base, derive(1, "label", b"context"));
        assert_ne!(base, derive(2, "label", b"context"));
        assert_ne!(base, derive(1, "labe", b"lcontext"), "the border between both counts");
        assert_ne!(base, derive(1, "label", b"contex"));
        assert_ne!(base, [1; 32]);
    }

    #[test]
    fn derive_is_hkdf_expand_of_the_canonical_encoding() {
        // RFC 5869, section 2.3: T(1) = HMAC(PRK, info ‖ 0x01).
        let mut info = Encoder::new("label");
        info.bytes(b"context");
        let expected = hmac::hmac_sha256(&[7; 32], [info.finish().as_slice(), &[1]]);
        assert_eq!(key(7).derive("label", b"context").expose_bytes(), &expected);
    }

    #[test]
    fn a_tag_never_equals_a_derived_key() {
        // If tags were made over the plain encoding of the label, this message would give the key.
        let mut info = Encoder::new("label");
        info.bytes(b"context");
        let info = info.finish();
        let mut label = Encoder::new("label").finish();
        let mut message = info[label.len()..].to_vec();
        message.push(1);
        let derived = *key(7).derive("label", b"context").expose_bytes();
        assert_ne!(key(7).mac("label", &message).as_bytes(), &derived);
        label.extend_from_slice(&message);
        assert_eq!(hmac::hmac_sha256(&[7; 32], [label.as_slice()]), derived);
    }

    #[test]
    fn tags_depend_on_key_label_and_message() {
        let mac = |byte: u8, label: &str, message: &[u8]| *key(byte).mac(label, message).as_bytes();
        let base = mac(1, "label", b"message");
        assert_ne!(base, mac(2, "label", b"message"));
        assert_ne!(base, mac(1, "labelm", b"essage"), "the border between both counts");
        assert_ne!(base, mac(1, "label", b"message\0"));
        let parts = key(1).mac_parts("label", &[b"mess", b"", b"age"]);
        assert_eq!(&base, parts.as_bytes());
    }

    #[test]
    fn only_the_whole_right_tag_is_accepted() {
        let tag = *key(1).mac("label", b"message").as_bytes();
        let verify = |tag: &[u8]| key(1).verify("label", b"message", tag);
        assert_eq!(verify(&tag), Ok(()));
        for bit in 0..256 {
            let mut wrong = tag;
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(verify(&wrong), Err(CryptoError::Tampered));
        }
        for size in 0..32 {
            assert_eq!(verify(&tag[..size]), Err(CryptoError::Tampered));
        }
        assert_eq!(verify(&[tag.as_slice(), &[0]].concat()), Err(CryptoError::Tampered));
        assert_eq!(key(1).verify("other", b"message", &tag), Err(CryptoError::Tampered));
        assert_eq!(key(2).verify("label", b"message", &tag), Err(CryptoError::Tampered));
    }

    #[test]
    fn constant_time_equality_is_equality() {
        assert!(constant_time_eq(b"", b""));
        assert!(constant_time_eq(b"same", b"same"));
        assert!(!constant_time_eq(b"same", b"sama"));
        assert!(!constant_time_eq(b"same", b"tame"));
        assert!(!constant_time_eq(b"same", b"samey"));
    }
}

//! A key from a passphrase: Argon2id (RFC 9106), 64 MiB and three passes (`specs/crypto.md`, "Seal
//! providers and recovery").
//!
//! Argon2 is the one function here that the cipher library does not have; it comes from the `argon2`
//! crate of RustCrypto, and its published vector is among the tests.

use argon2::{Algorithm, Argon2, Params, Version};
use zeroize::Zeroizing;

use crate::{CryptoError, Random, SecretKey, random_array};

/// What a passphrase is stretched with. Not secret; the same passphrase with another salt gives another
/// key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// Random, and new for every passphrase that is set.
    pub salt: [u8; 16],
    /// In KiB.
    pub memory_kib: u32,
    /// How often the memory is gone over.
    pub passes: u32,
}

impl Stretch {
    /// The strength of today, with a fresh salt.
    pub fn new(random: &dyn Random) -> Result<Self, CryptoError> {
        let salt = random_array(random)?;
        Ok(Self { salt, memory_kib: MEMORY_KIB, passes: PASSES })
    }

    /// The key of a passphrase: some tenths of a second and 64 MiB each time. Refuses a strength that is
    /// weaker than the weakest ever written, and one that would exhaust this machine, as
    /// [`CryptoError::Malformed`]: both are the work of other hands.
    pub fn key(&self, passphrase: &[u8]) -> Result<SecretKey, CryptoError> {
        let is_sound = (MEMORY_KIB..=MEMORY_KIB_MAX).contains(&self.memory_kib)
            && (PASSES..=PASSES_MAX).contains(&self.passes);
        if !is_sound {
            return Err(CryptoError::Malformed);
        }
        let params = Params::new(self.memory_kib, self.passes, 1, Some(KEY_SIZE_BYTES));
        let params = params.map_err(|_| CryptoError::Malformed)?;
        let mut key = Zeroizing::new([0; KEY_SIZE_BYTES]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase, &self.salt, key.as_mut_slice())
            .map_err(|_| CryptoError::Malformed)?;
        Ok(SecretKey::from_bytes(*key))
    }
}

const KEY_SIZE_BYTES: usize = 32;

const MEMORY_KIB: u32 = 64 * 1024;

const PASSES: u32 = 3;

/// 1 GiB.
const MEMORY_KIB_MAX: u32 = 1024 * 1024;

const PASSES_MAX: u32 = 32;

#[cfg(test)]
mod tests {
    use argon2::{AssociatedData, ParamsBuilder};

    use super::*;
    use crate::SystemRandom;

    #[test]
    fn argon2id_is_that_of_rfc_9106() {
        // Section 5.3.
        let params = ParamsBuilder::new()
            .m_cost(32)
            .t_cost(3)
            .p_cost(4)
            .data(AssociatedData::new(&[4; 12]).unwrap())
            .build()
            .unwrap();
        let secret = [3; 8];
        let argon =
            Argon2::new_with_secret(&secret, Algorithm::Argon2id, Version::V0x13, params).unwrap();
        let mut tag = [0; 32];
        argon.hash_password_into(&[1; 32], &[2; 16], &mut tag).unwrap();
        let expected = [
            0x0d, 0x64, 0x0d, 0xf5, 0x8d, 0x78, 0x76, 0x6c, 0x08, 0xc0, 0x37, 0xa3, 0x4a, 0x8b,
            0x53, 0xc9, 0xd0, 0x1e, 0xf0, 0x45, 0x2d, 0x75, 0xb6, 0x5e, 0xb5, 0x25, 0x20, 0xe9,
            0x6b, 0x01, 0xe6, 0x59,
        ];
        assert_eq!(tag, expected);
    }

    #[test]
    fn passphrase_and_salt_both_count() {
        let stretch = Stretch::new(&SystemRandom).unwrap();
        let other = Stretch { salt: [9; 16], ..stretch };
        let key =
            |stretch: &Stretch, text: &str| *stretch.key(text.as_bytes()).unwrap().expose_bytes();
        let base = key(&stretch, "correct horse");
        assert_eq!(base, key(&stretch, "correct horse"));
        assert_ne!(base, key(&stretch, "correct horsf"));
        assert_ne!(base, key(&other, "correct horse"));
    }

    #[test]
    fn a_strength_of_other_hands_is_refused() {
        let stretch = Stretch::new(&SystemRandom).unwrap();
        assert_eq!((stretch.memory_kib, stretch.passes), (65_536, 3));
        for (memory_kib, passes) in [
            (8, 3),
            (65_535, 3),
            (65_536, 2),
            (65_536, 0),
            (1_048_577, 3),
            (65_536, 33),
            (u32::MAX, u32::MAX),
        ] {
            let weak = Stretch { memory_kib, passes, ..stretch };
            assert_eq!(
                weak.key(b"text").err(),
                Some(CryptoError::Malformed),
                "{memory_kib} {passes}"
            );
        }
    }
}

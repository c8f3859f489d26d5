//! Where random bytes come from. Injected, so that tests can run with a broken source.

use crate::CryptoError;

/// A source of random bytes that nobody can predict.
///
/// What this crate seals stays safe even if a source repeats itself (records and data keys are
/// hedged, wrapping resists nonce reuse); what it *generates* without a hedge does not.
pub trait Random: Send + Sync {
    /// Fills all of `out`, or fails with [`CryptoError::Exhausted`]; callers must then not use
    /// `out`, which may be half filled.
    fn fill(&self, out: &mut [u8]) -> Result<(), CryptoError>;
}

/// The generator of `aws-lc-rs`, seeded by the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, out: &mut [u8]) -> Result<(), CryptoError> {
        aws_lc_rs::rand::fill(out).map_err(|_| CryptoError::Exhausted)
    }
}

/// `N` random bytes for ids, salts and nonces. Secrets come from [`crate::SecretKey::generate`],
/// which wipes them.
pub fn random_array<const N: usize>(random: &dyn Random) -> Result<[u8; N], CryptoError> {
    let mut out = [0; N];
    random.fill(&mut out)?;
    Ok(out)
}

/// Broken sources, for the tests of the whole crate.
#[cfg(test)]
pub(crate) mod broken {
    use super::{CryptoError, Random};

    /// Always the same byte: a generator that was never seeded.
    pub(crate) struct ConstantRandom(pub(crate) u8);

    impl Random for ConstantRandom {
        fn fill(&self, out: &mut [u8]) -> Result<(), CryptoError> {
            out.fill(self.0);
            Ok(())
        }
    }

    /// No bytes at all.
    pub(crate) struct FailingRandom;

    impl Random for FailingRandom {
        fn fill(&self, _out: &mut [u8]) -> Result<(), CryptoError> {
            Err(CryptoError::Exhausted)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::broken::FailingRandom;
    use super::*;

    #[test]
    fn the_system_source_does_not_repeat_itself() {
        let first: [u8; 32] = random_array(&SystemRandom).unwrap();
        let second: [u8; 32] = random_array(&SystemRandom).unwrap();
        assert_ne!(first, second);
        assert_ne!(first, [0; 32]);
    }

    #[test]
    fn a_failing_source_is_an_error_and_never_zeros() {
        assert_eq!(random_array::<16>(&FailingRandom), Err(CryptoError::Exhausted));
    }
}

//! The sealed room: bytes and keys, and nothing else.
//!
//! Every cipher, hash and signature of Strongroom is reached through this crate, and all but one
//! are computed by `aws-lc-rs` (Argon2id comes from `argon2`); what is written here is how they are put together
//! (`specs/crypto.md`, sections "Keys" and "Sealed record"). It does no I/O, reads no clock, knows
//! no database, and gets its randomness as an argument.
//!
//! Two rules hold for everything in it. Secrets live in [`Plain`] and [`SecretKey`], which are
//! wiped when dropped and cannot be printed or copied by accident. Whatever does not open says only
//! [`CryptoError::Tampered`]: a caller, and so an attacker, never learns which check failed.

#![forbid(unsafe_code)]

mod aead;
#[cfg(feature = "bench")]
#[doc(hidden)]
pub mod bench;
mod encode;
mod error;
#[cfg(any(test, feature = "fuzz"))]
#[doc(hidden)]
pub mod fuzz;
mod hash;
mod hkdf;
mod hmac;
mod key;
mod plain;
mod random;
mod record;
mod shared;
mod shares;
mod sign;
mod stretch;
#[cfg(test)]
mod vectors;
mod wrap;

pub use encode::{Decoder, Encoder};
pub use error::CryptoError;
pub use hash::{Sha256, sha256};
pub use key::{SecretKey, Tag, constant_time_eq};
pub use plain::Plain;
pub use random::{Random, SystemRandom, random_array};
pub use record::{
    Binding, CELL_SIZE_BYTES_MAX, CELLS_MAX, Cell, Wanted, open_record, peek_binding, peek_fields,
    seal_record,
};
pub use shared::SharedSecret;
pub use shares::{SHARES_COUNT, Share, ShareError, combine_shares, split_key};
pub use sign::{SigningKey, VerifyingKey};
pub use stretch::Stretch;
pub use wrap::{WRAP_SIZE_BYTES_MAX, unwrap_key, wrap};

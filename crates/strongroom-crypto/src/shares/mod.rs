//! Recovery shares: a key split so that any two of three shares give it back and one says nothing
//! (`specs/crypto.md`, "Seal providers and recovery").
//!
//! Shamir's scheme (A. Shamir, "How to share a secret", 1979) over GF(256), one line through each
//! byte of the key: share `x` is `key + x · slope`. Each share also carries the id of its set and a
//! short MAC under the key, so that shares of two sets, one share twice and a share that was changed
//! are told apart from one another, and a wrong key is never given out.

mod field;
mod words;

use std::fmt;

use zeroize::Zeroizing;

use crate::{CryptoError, Random, SecretKey, constant_time_eq, random_array};

/// One of three shares. Like a key it cannot be printed or compared; [`Share::to_rows`] is how it
/// gets onto paper.
pub struct Share {
    set: [u8; SET_SIZE_BYTES],
    number: u8,
    value: Zeroizing<[u8; 32]>,
    tag: [u8; TAG_SIZE_BYTES],
}

/// Why shares give no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShareError {
    /// The two are of different sets: one was made before a rotation or for another installation.
    OtherSet,
    /// The same share was given twice.
    SameShare,
    /// The shares fit together and yet do not give the key they were made from: one was changed.
    Changed,
    /// The row is not there or stands there twice.
    RowMissing {
        /// From 1.
        row: usize,
    },
    /// The row has another number of words than four.
    RowLength {
        /// From 1.
        row: usize,
    },
    /// No share has this word.
    Word {
        /// From 1.
        row: usize,
        /// From 1, within its row.
        word: usize,
    },
    /// The words of the row do not belong together: one is mistyped, or two changed places.
    Row {
        /// From 1.
        row: usize,
    },
    /// All rows are well formed and do not belong together.
    Rows,
    /// Not a share of the kind this program makes.
    Version,
}

/// Splits a key into three shares, any two of which give it back.
pub fn split_key(
    secret: &SecretKey,
    random: &dyn Random,
) -> Result<[Share; SHARES_COUNT], CryptoError> {
    let set = random_array(random)?;
    // Uniform where the random source is, zero included; and where the source is constant, still
    // unknown to whoever does not know the key.
    let mut slope = Zeroizing::new(random_array::<32>(random)?);
    let hedge = secret.derive(SLOPE_LABEL, &set);
    slope.iter_mut().zip(hedge.expose_bytes()).for_each(|(byte, hedge)| *byte ^= hedge);
    let tag = tag_of(secret, &set);
    Ok([1, 2, 3].map(|number| Share {
        set,
        number,
        value: Zeroizing::new(field::point(secret.expose_bytes(), &slope, number)),
        tag,
    }))
}

/// The key of two shares, in any order.
pub fn combine_shares(a: &Share, b: &Share) -> Result<SecretKey, ShareError> {
    if a.set != b.set {
        return Err(ShareError::OtherSet);
    }
    if a.number == b.number {
        return Err(ShareError::SameShare);
    }
    let (a_point, b_point) = ((a.number, &*a.value), (b.number, &*b.value));
    let secret = SecretKey::from_bytes(field::at_zero(a_point, b_point));
    let tag = tag_of(&secret, &a.set);
    if constant_time_eq(&tag, &a.tag) && constant_time_eq(&tag, &b.tag) {
        return Ok(secret);
    }
    Err(ShareError::Changed)
}

impl Share {
    /// Which of the three: 1, 2 or 3.
    #[must_use]
    pub fn number(&self) -> u8 {
        self.number
    }

    /// The set, as a person compares two of them: shares of one set say the same.
    #[must_use]
    pub fn set_name(&self) -> String {
        words::set_name(&self.set)
    }

    /// Eight rows of four words, each row with its number before it and a newline after it.
    #[must_use]
    pub fn to_rows(&self) -> Zeroizing<String> {
        let parts = [VERSION, self.number]
            .into_iter()
            .chain(self.set)
            .chain(self.value.iter().copied())
            .chain(self.tag);
        let mut bytes = Zeroizing::new([0; words::PAYLOAD_SIZE_BYTES]);
        bytes.iter_mut().zip(parts).for_each(|(slot, byte)| *slot = byte);
        words::encode(&bytes)
    }

    /// Reads what [`Self::to_rows`] wrote out of a text that may hold other lines: a row is a line that
    /// begins with its number and a colon. Case and spaces do not matter.
    pub fn from_rows(text: &str) -> Result<Self, ShareError> {
        let bytes = words::decode(text)?;
        let mut rest = bytes.iter().copied();
        let mut share = Self {
            set: [0; SET_SIZE_BYTES],
            number: 0,
            value: Zeroizing::new([0; 32]),
            tag: [0; TAG_SIZE_BYTES],
        };
        if rest.next() != Some(VERSION) {
            return Err(ShareError::Version);
        }
        share.number = rest.next().filter(|it| (1..=3).contains(it)).ok_or(ShareError::Version)?;
        share.set.iter_mut().zip(&mut rest).for_each(|(slot, byte)| *slot = byte);
        share.value.iter_mut().zip(&mut rest).for_each(|(slot, byte)| *slot = byte);
        share.tag.iter_mut().zip(&mut rest).for_each(|(slot, byte)| *slot = byte);
        Ok(share)
    }
}

impl fmt::Display for ShareError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherSet => out.write_str(
                "the two shares are of different sets, and only shares of one set fit together",
            ),
            Self::SameShare => {
                out.write_str("it is the same share twice; two different ones are needed")
            }
            Self::Changed => out.write_str("the shares do not give the key they were made from"),
            Self::RowMissing { row } => write!(out, "row {row} is missing or stands there twice"),
            Self::RowLength { row } => write!(out, "row {row} has not four words"),
            Self::Word { row, word } => {
                write!(out, "word {word} of row {row} is no word of a share; look at it again")
            }
            Self::Row { row } => {
                write!(out, "a word of row {row} is mistyped, or two changed places")
            }
            Self::Rows => out.write_str("the rows are of different shares"),
            Self::Version => out.write_str("it is not a share of the kind this program makes"),
        }
    }
}

impl std::error::Error for ShareError {}

/// How many shares a key is split into.
pub const SHARES_COUNT: usize = 3;

fn tag_of(secret: &SecretKey, set: &[u8; SET_SIZE_BYTES]) -> [u8; TAG_SIZE_BYTES] {
    let mut short = [0; TAG_SIZE_BYTES];
    let tag = secret.mac(TAG_LABEL, set);
    short.iter_mut().zip(tag.as_bytes()).for_each(|(slot, byte)| *slot = *byte);
    short
}

/// With it all parts are exactly seven rows of seven bytes; two sets of one business never meet.
const SET_SIZE_BYTES: usize = 7;

/// Tells a mistake from the key with one chance in 2^64; what the key opens authenticates it again.
const TAG_SIZE_BYTES: usize = 8;

/// First byte of a share; never reuse one.
const VERSION: u8 = 1;

const SLOPE_LABEL: &str = "strongroom/share/slope/v1";

const TAG_LABEL: &str = "strongroom/share/tag/v1";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SystemRandom;
    use crate::random::broken::{ConstantRandom, FailingRandom};

    fn key() -> SecretKey {
        SecretKey::from_bytes(std::array::from_fn(|at| at as u8 ^ 0x5a))
    }

    fn split() -> [Share; 3] {
        split_key(&key(), &SystemRandom).unwrap()
    }

    fn refusal(a: &Share, b: &Share) -> Option<ShareError> {
        combine_shares(a, b).err()
    }

    fn copy(share: &Share) -> Share {
        let (set, number, tag) = (share.set, share.number, share.tag);
        Share { set, number, value: share.value.clone(), tag }
    }

    #[test]
    fn two_of_three_recover() {
        let shares = split();
        for (a, b) in [(0, 1), (0, 2), (1, 2), (1, 0), (2, 0), (2, 1)] {
            let recovered = combine_shares(&shares[a], &shares[b]).unwrap();
            assert_eq!(recovered.expose_bytes(), key().expose_bytes(), "{a} and {b}");
        }
    }

    #[test]
    fn a_share_comes_back_from_its_rows_among_other_lines() {
        for (share, number) in split().iter().zip(1..) {
            let text = format!("Keep this.\n{}\nThank you.", share.to_rows().to_uppercase());
            let read = Share::from_rows(&text).unwrap();
            assert_eq!((share.number(), read.number()), (number, number));
            assert_eq!(*read.to_rows(), *share.to_rows());
        }
        let mut newer = [7; words::PAYLOAD_SIZE_BYTES];
        newer[0] = VERSION + 1;
        assert_eq!(Share::from_rows(&words::encode(&newer)).err(), Some(ShareError::Version));
    }

    #[test]
    fn a_mistyped_word_is_told_with_its_row() {
        let rows = split()[0].to_rows();
        for row in 2..=7 {
            let line = rows.lines().nth(row - 1).unwrap();
            let (first, second) =
                (line.split(' ').nth(1).unwrap(), line.split(' ').nth(2).unwrap());
            if first == second {
                continue;
            }
            let swapped = line.replace(&format!("{first} {second}"), &format!("{second} {first}"));
            let refused = Share::from_rows(&rows.replace(line, &swapped)).err();
            assert_eq!(refused, Some(ShareError::Row { row }));
            assert!(refused.unwrap().to_string().contains(&format!("row {row}")));
        }
    }

    #[test]
    fn the_name_of_a_set_is_two_words() {
        let name = split()[0].set_name();
        assert_eq!((name.len(), name.split('-').count()), (11, 2), "{name}");
    }

    #[test]
    fn wrong_and_mixed_sets_are_named() {
        let (ours, others) = (split(), split());
        assert_eq!(refusal(&ours[0], &others[1]), Some(ShareError::OtherSet));
        assert_eq!(refusal(&ours[0], &ours[0]), Some(ShareError::SameShare));
        // Somebody writes our set's id over the shares of another key.
        let strange = split_key(&SecretKey::from_bytes([1; 32]), &SystemRandom).unwrap();
        let mut forged = copy(&strange[1]);
        forged.set = ours[0].set;
        assert_eq!(refusal(&ours[0], &forged), Some(ShareError::Changed));
        forged.tag = ours[0].tag;
        assert_eq!(refusal(&ours[0], &forged), Some(ShareError::Changed));
    }

    #[test]
    fn a_share_with_any_bit_flipped_gives_no_key() {
        let shares = split();
        for bit in 0..32 * 8 {
            let mut changed = copy(&shares[1]);
            changed.value[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(refusal(&shares[0], &changed), Some(ShareError::Changed));
        }
        for bit in 0..TAG_SIZE_BYTES * 8 {
            let mut changed = copy(&shares[1]);
            changed.tag[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(refusal(&shares[0], &changed), Some(ShareError::Changed));
            assert_eq!(refusal(&changed, &shares[0]), Some(ShareError::Changed));
        }
        let mut renumbered = copy(&shares[1]);
        renumbered.number = 3;
        assert_eq!(refusal(&shares[0], &renumbered), Some(ShareError::Changed));
    }

    /// The distribution of one share's bytes does not depend on the key: chi-square over a million
    /// splits of each of two keys that differ in every bit, for each of the three shares.
    #[test]
    fn one_share_gives_nothing() {
        for secret in [[0; 32], [0xff; 32]] {
            let key = SecretKey::from_bytes(secret);
            let mut seen = [[0_u32; 256]; SHARES_COUNT];
            for _ in 0..SPLITS {
                let shares = split_key(&key, &SystemRandom).unwrap();
                for (seen, share) in seen.iter_mut().zip(&shares) {
                    seen[usize::from(share.value[7])] += 1;
                }
            }
            for (number, seen) in seen.iter().enumerate() {
                let chi = chi_square(seen);
                // 255 degrees of freedom: mean 255, deviation 22.6. Nine deviations never happen by
                // chance, and one coefficient that is never zero already gives 3,900 more.
                assert!(chi < 460.0, "share {number}: {chi}");
            }
        }
        // What the test can see: shares whose slope is never zero.
        let mut seen = [SPLITS / 255; 256];
        seen[0] = 0;
        assert!(chi_square(&seen) > 460.0);
    }

    #[test]
    fn a_constant_random_source_does_not_give_the_key_away() {
        for byte in [0, 1, 0xff] {
            let (key, shares) = (key(), split_key(&key(), &ConstantRandom(byte)).unwrap());
            for share in &shares {
                let same = share.value.iter().zip(key.expose_bytes()).filter(|(a, b)| a == b);
                assert!(same.count() < 8, "share {} is nearly the key", share.number);
            }
            let recovered = combine_shares(&shares[0], &shares[2]).unwrap();
            assert_eq!(recovered.expose_bytes(), key.expose_bytes());
        }
        assert_eq!(split_key(&key(), &FailingRandom).err(), Some(CryptoError::Exhausted));
    }

    #[test]
    fn shares_of_one_set_have_one_name() {
        let (ours, others) = (split(), split());
        assert_eq!(ours[0].set_name(), ours[2].set_name());
        assert_ne!(ours[0].set_name(), others[0].set_name());
    }

    fn chi_square(seen: &[u32; 256]) -> f64 {
        let expected = f64::from(seen.iter().sum::<u32>()) / 256.0;
        seen.iter().map(|&count| (f64::from(count) - expected).powi(2) / expected).sum()
    }

    const SPLITS: u32 = 1_000_000;
}

//! A share as words that can be read aloud, written down and typed.
//!
//! Each word stands for 16 bits: consonant, vowel, consonant, vowel, consonant, as in "A Proposal for
//! Proquints" (D. Wilkerson, 2009, arXiv:0901.4016); no list of words is needed and no two look alike.
//! A row is four words: seven bytes of the share and a check byte, so that a mistake is named by its row.
//! The eighth row is a check over all.

use zeroize::Zeroizing;

use crate::sha256;
use crate::shares::ShareError;

/// Seven rows of seven bytes.
pub(super) const PAYLOAD_SIZE_BYTES: usize = ROWS * ROW_SIZE_BYTES;

/// The rows of a share.
pub(super) fn encode(payload: &[u8; PAYLOAD_SIZE_BYTES]) -> Zeroizing<String> {
    // Room for all of it: growing would leave pieces behind.
    let mut text = Zeroizing::new(String::with_capacity(TEXT_SIZE_BYTES_MAX));
    for (index, data) in payload.chunks(ROW_SIZE_BYTES).enumerate() {
        let check = row_check(index, data);
        write_row(&mut text, index, data.iter().copied().chain([check]));
    }
    write_row(&mut text, ROWS, whole_check(payload).into_iter());
    text
}

/// What stands in the rows of a text.
pub(super) fn decode(text: &str) -> Result<Zeroizing<[u8; PAYLOAD_SIZE_BYTES]>, ShareError> {
    let mut payload = Zeroizing::new([0; PAYLOAD_SIZE_BYTES]);
    for (index, place) in payload.chunks_mut(ROW_SIZE_BYTES).enumerate() {
        let row = read_row(text, index)?;
        let Some((check, data)) = row.split_last() else { return Err(ShareError::Rows) };
        if row_check(index, data) != *check {
            return Err(ShareError::Row { row: index + 1 });
        }
        place.copy_from_slice(data);
    }
    if *read_row(text, ROWS)? != whole_check(payload.as_slice()) {
        return Err(ShareError::Rows);
    }
    Ok(payload)
}

/// The name of a set: two words.
pub(super) fn set_name(set: &[u8]) -> String {
    let mut name = String::new();
    let mut bytes = set.iter().copied();
    while let (Some(high), Some(low), true) = (bytes.next(), bytes.next(), name.len() < 11) {
        if !name.is_empty() {
            name.push('-');
        }
        push_word(&mut name, u16::from_be_bytes([high, low]));
    }
    name
}

fn write_row(text: &mut String, index: usize, mut bytes: impl Iterator<Item = u8>) {
    text.push_str(&format!("{}:", index + 1));
    while let (Some(high), Some(low)) = (bytes.next(), bytes.next()) {
        text.push(' ');
        push_word(text, u16::from_be_bytes([high, low]));
    }
    text.push('\n');
}

fn read_row(text: &str, index: usize) -> Result<Zeroizing<[u8; 8]>, ShareError> {
    let row = index + 1;
    let prefix = format!("{row}:");
    let mut lines = text.lines().filter_map(|line| line.trim().strip_prefix(&prefix));
    let (Some(line), None) = (lines.next(), lines.next()) else {
        return Err(ShareError::RowMissing { row });
    };
    let mut bytes = Zeroizing::new([0; 8]);
    let mut words = line.split_whitespace();
    for (at, place) in bytes.chunks_mut(2).enumerate() {
        let word = words.next().ok_or(ShareError::RowLength { row })?;
        let value = read_word(word).ok_or(ShareError::Word { row, word: at + 1 })?;
        place.copy_from_slice(&value.to_be_bytes());
    }
    if words.next().is_some() {
        return Err(ShareError::RowLength { row });
    }
    Ok(bytes)
}

/// Lower bits of a word last: 4 bits a consonant, 2 bits a vowel.
fn push_word(text: &mut String, value: u16) {
    for (shift, letters) in SYLLABLES {
        let at = usize::from(value >> shift) % letters.len();
        text.extend(letters.chars().nth(at));
    }
}

fn read_word(word: &str) -> Option<u16> {
    let mut letters = word.chars();
    let mut value = 0;
    for (shift, known) in SYLLABLES {
        let letter = letters.next()?.to_ascii_lowercase();
        let at = known.chars().position(|it| it == letter)?;
        value |= u16::try_from(at).ok()? << shift;
    }
    letters.next().is_none().then_some(value)
}

fn row_check(index: usize, data: &[u8]) -> u8 {
    let number = u8::try_from(index).unwrap_or(u8::MAX);
    let [first, ..] = sha256(&[b"strongroom/share/row/v1", &[number], data]);
    first
}

fn whole_check(payload: &[u8]) -> [u8; 8] {
    let [a, b, c, d, e, f, g, h, ..] = sha256(&[b"strongroom/share/v1", payload]);
    [a, b, c, d, e, f, g, h]
}

/// Rows that hold the share; one more is a check.
const ROWS: usize = 7;

const ROW_SIZE_BYTES: usize = 7;

/// Eight rows of 27 bytes.
const TEXT_SIZE_BYTES_MAX: usize = 256;

const CONSONANTS: &str = "bdfghjklmnprstvz";

const VOWELS: &str = "aiou";

const SYLLABLES: [(u32, &str); 5] =
    [(12, CONSONANTS), (10, VOWELS), (6, CONSONANTS), (4, VOWELS), (0, CONSONANTS)];

#[cfg(test)]
mod tests {
    use super::*;

    fn payload() -> [u8; PAYLOAD_SIZE_BYTES] {
        std::array::from_fn(|at| (at * 37) as u8)
    }

    fn refusal(text: &str) -> Option<ShareError> {
        decode(text).err()
    }

    #[test]
    fn words_are_the_published_ones() {
        // The paper's examples: 127.0.0.1 is lusab-babad, 63.84.220.193 is gutih-tugad.
        for (bytes, name) in [([127, 0, 0, 1], "lusab-babad"), ([63, 84, 220, 193], "gutih-tugad")]
        {
            assert_eq!(set_name(&bytes), name);
        }
        for value in 0..=u16::MAX {
            let mut word = String::new();
            push_word(&mut word, value);
            assert_eq!(read_word(&word), Some(value));
            assert_eq!(read_word(&word.to_uppercase()), Some(value));
        }
    }

    #[test]
    fn a_share_is_read_back_whatever_stands_around_it() {
        let text = encode(&payload());
        assert_eq!(text.lines().count(), 8);
        assert_eq!(*decode(&text).unwrap(), payload());
        let page = format!("Keep this safe.\r\n\n{}\nEnd\n", text.replace('\n', "\r\n"));
        assert_eq!(*decode(&page.replace(' ', "   ")).unwrap(), payload());
        let upside_down: Vec<&str> = text.lines().rev().collect();
        assert_eq!(*decode(&upside_down.join("\n")).unwrap(), payload(), "rows have numbers");
    }

    #[test]
    fn a_mistake_is_named_by_its_row() {
        let text = encode(&payload());
        let lines: Vec<&str> = text.lines().collect();
        for row in 1..=8 {
            let with = |line: &str| {
                let mut lines = lines.clone();
                lines[row - 1] = line;
                lines.join("\n")
            };
            let line = lines[row - 1];
            let missing = ShareError::RowMissing { row };
            assert_eq!(refusal(&with("")), Some(missing));
            assert_eq!(refusal(&format!("{}\n{line}", &*text)), Some(missing));
            let length = Some(ShareError::RowLength { row });
            assert_eq!(refusal(&with(line.rsplit_once(' ').unwrap().0)), length);
            assert_eq!(refusal(&with(&format!("{line} babab"))), length);
            let strange = format!("{} xylem", line.rsplit_once(' ').unwrap().0);
            assert_eq!(refusal(&with(&strange)), Some(ShareError::Word { row, word: 4 }));
            let longer = format!("{line}b");
            assert_eq!(refusal(&with(&longer)), Some(ShareError::Word { row, word: 4 }));
        }
        assert_eq!(refusal(""), Some(ShareError::RowMissing { row: 1 }));
    }

    #[test]
    fn no_other_word_is_taken_in_any_place() {
        let text = encode(&payload());
        let mut unseen_rows = 0;
        for at in text.char_indices().filter(|(_, letter)| letter.is_ascii_lowercase()) {
            for letter in CONSONANTS.chars().chain(VOWELS.chars()).filter(|it| *it != at.1) {
                let mut changed = text.to_string();
                changed.replace_range(at.0..=at.0, &letter.to_string());
                let refused = refusal(&changed).expect("another word gives another share");
                unseen_rows += usize::from(refused == ShareError::Rows);
            }
        }
        // The last row is a check over all, and one of 256 slips past the check of its own row.
        assert!(unseen_rows < 700, "{unseen_rows}");
    }

    #[test]
    fn rows_of_two_shares_do_not_mix() {
        let (ours, mut other) = (encode(&payload()), payload());
        other[3] ^= 1;
        let other = encode(&other);
        let (first, rest) = other.split_once('\n').unwrap();
        assert_ne!(ours.lines().next(), Some(first));
        let ours_after: Vec<&str> = ours.lines().skip(1).collect();
        assert_eq!(refusal(&format!("{first}\n{}", ours_after.join("\n"))), Some(ShareError::Rows));
        assert_eq!(refusal(rest), Some(ShareError::RowMissing { row: 1 }));
    }
}

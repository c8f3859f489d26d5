//! What may stand in a text field.
//!
//! Refused is what a reader cannot see and what can make one text look like another; everything
//! people write in names, addresses and notes of any language stays.

use std::borrow::Cow;

use thiserror::Error;

use crate::characters::{is_bidi_control, is_zero_width};

/// Whether a field may have more than one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lines {
    /// Line feeds and tabs may stand in it. Carriage returns may not: turn the line ends of forms
    /// into line feeds first.
    Many,
    /// One line without tabs.
    One,
}

/// Checks a text for a field; it says yes or no and changes nothing.
///
/// The joiners U+200C and U+200D and the direction marks U+200E, U+200F and U+061C are let in:
/// Persian names, emoji and mixed addresses need them. Searches have to look through them.
///
/// # Errors
/// The first fault in the text, without any of its content.
pub fn check_text(text: &str, lines: Lines) -> Result<(), TextError> {
    if text.len() > TEXT_SIZE_BYTES_MAX {
        return Err(TextError::TooLong);
    }
    match text.chars().find_map(|c| fault(c, lines)) {
        Some(fault) => Err(fault),
        None => Ok(()),
    }
}

/// The text with every character that `check_text` refuses in many lines replaced by U+FFFD, for
/// showing what came from outside, such as file names.
pub fn display_safe(text: &str) -> Cow<'_, str> {
    if text.chars().all(|c| fault(c, Lines::Many).is_none()) {
        return Cow::Borrowed(text);
    }
    let shown = |c| if fault(c, Lines::Many).is_some() { char::REPLACEMENT_CHARACTER } else { c };
    Cow::Owned(text.chars().map(shown).collect())
}

fn fault(c: char, lines: Lines) -> Option<TextError> {
    match (c, lines) {
        ('\n' | '\t', Lines::Many) => None,
        ('\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}', Lines::One) => {
            Some(TextError::SeveralLines)
        }
        ('\r' | '\u{85}' | '\u{2028}' | '\u{2029}', Lines::Many) => Some(TextError::LineEnd),
        _ if c.is_control() => Some(TextError::Control),
        _ if is_bidi_control(c) => Some(TextError::Direction),
        _ if is_zero_width(c) => Some(TextError::ZeroWidth),
        _ if is_noncharacter(c) => Some(TextError::Noncharacter),
        _ => None,
    }
}

/// The 66 code points of the Unicode Standard, section 23.7, that never carry text.
fn is_noncharacter(c: char) -> bool {
    let code = u32::from(c);
    (0xFDD0..=0xFDEF).contains(&code) || code & 0xFFFE == 0xFFFE
}

/// Why a text may not stand in a field. The words never repeat the text.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum TextError {
    /// A control character, NUL among them.
    #[error("has a control character; type the text anew instead of pasting it")]
    Control,
    /// A control that reverses or isolates the direction of writing.
    #[error("has a hidden character that turns the direction of writing; type the text anew")]
    Direction,
    /// A line end other than a line feed where many lines are allowed.
    #[error("has a line end of another kind; end lines with a line feed alone")]
    LineEnd,
    /// A code point that is no character.
    #[error("has a code that is no character; the file it came from may be damaged")]
    Noncharacter,
    /// More than one line in a field of one.
    #[error("has more than one line; put it on one line")]
    SeveralLines,
    /// Longer than `TEXT_SIZE_BYTES_MAX`.
    #[error("is longer than a field may be (64 KiB); shorten it or keep it as a document")]
    TooLong,
    /// A character without width.
    #[error("has a hidden character without width; type the text anew instead of pasting it")]
    ZeroWidth,
}

/// The most bytes of any text field: a long letter; a field is sealed and shown as a whole.
pub const TEXT_SIZE_BYTES_MAX: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_may_stand() {
        for text in [
            "",
            "Zoë O’Brien-Åström",
            "می\u{200C}خواهم",
            "👩\u{200D}👧 and 🏳\u{FE0F}\u{200D}🌈",
            "עברית\u{200F} 12",
            "王小明",
            "nai\u{308}ve",
            "soft\u{AD}hyphen",
        ] {
            assert_eq!(check_text(text, Lines::One), Ok(()), "{text:?}");
            assert_eq!(display_safe(text), text);
        }
        assert_eq!(check_text("one\n\ttwo", Lines::Many), Ok(()));
    }

    #[test]
    fn what_cannot_be_seen_is_refused() {
        let both = [
            ("a\0b", TextError::Control),
            ("a\u{1B}[31m", TextError::Control),
            ("a\u{7F}", TextError::Control),
            ("a\u{202E}b", TextError::Direction),
            ("a\u{2066}b", TextError::Direction),
            ("a\u{200B}b", TextError::ZeroWidth),
            ("a\u{2060}b", TextError::ZeroWidth),
            ("\u{FEFF}a", TextError::ZeroWidth),
            ("a\u{E0034}", TextError::ZeroWidth),
            ("a\u{FDD0}", TextError::Noncharacter),
            ("a\u{FFFF}", TextError::Noncharacter),
            ("a\u{10FFFE}", TextError::Noncharacter),
        ];
        for (text, error) in both {
            for lines in [Lines::One, Lines::Many] {
                assert_eq!(check_text(text, lines), Err(error), "{text:?}");
            }
            assert!(display_safe(text).contains('\u{FFFD}'), "{text:?}");
            assert_eq!(check_text(&display_safe(text), Lines::Many), Ok(()));
        }
    }

    #[test]
    fn line_ends_follow_the_kind_of_field() {
        assert_eq!(check_text("a\nb", Lines::One), Err(TextError::SeveralLines));
        assert_eq!(check_text("a\tb", Lines::One), Err(TextError::Control));
        assert_eq!(check_text("a\u{2028}b", Lines::One), Err(TextError::SeveralLines));
        assert_eq!(check_text("a\r\nb", Lines::Many), Err(TextError::LineEnd));
    }

    #[test]
    fn the_size_limit_holds_to_the_byte() {
        let longest = "x".repeat(TEXT_SIZE_BYTES_MAX);
        assert_eq!(check_text(&longest, Lines::One), Ok(()));
        assert_eq!(check_text(&format!("{longest}x"), Lines::One), Err(TextError::TooLong));
    }
}

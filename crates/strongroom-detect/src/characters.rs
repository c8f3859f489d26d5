//! What single characters are, for the recognisers that look through disguises.
//!
//! One place decides which characters carry a digit, which are not seen by a reader and which
//! part groups of digits, so that no recogniser can be fooled by what another one knows.

/// The value of a decimal digit of any script (Unicode general category Nd), full-width and
/// mathematical ones included.
pub(crate) fn decimal_digit(c: char) -> Option<u8> {
    if c.is_ascii() {
        return c.to_digit(10).and_then(|digit| u8::try_from(digit).ok());
    }
    // Latin, Greek, Cyrillic and Hebrew need no search.
    if c < '\u{660}' {
        return None;
    }
    let code = u32::from(c);
    let below = DIGIT_ZEROS.partition_point(|zero| *zero <= code);
    let zero = DIGIT_ZEROS.get(below.checked_sub(1)?)?;
    let value = code - zero;
    if value < 10 { u8::try_from(value).ok() } else { None }
}

/// Characters a reader does not see, or sees only as a decoration of the digit before: zero-width
/// and bidirectional controls, soft hyphens, variation selectors, tags, combining marks used to
/// strike text through or to frame it.
pub(crate) fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{AD}'
        | '\u{300}'..='\u{36F}'
        | '\u{61C}'
        | '\u{180B}'..='\u{180F}'
        | '\u{200B}'..='\u{200F}'
        | '\u{202A}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}'
        | '\u{20D0}'..='\u{20FF}'
        | '\u{FE00}'..='\u{FE0F}'
        | '\u{FEFF}'
        | '\u{E0000}'..='\u{E0FFF}')
}

/// Characters that move the writing direction of what follows and can make a text read as
/// another one ("Trojan Source", CVE-2021-42574): embeddings, overrides, isolates, the deprecated
/// shaping controls. The plain marks U+200E, U+200F and U+061C are no part of it.
pub(crate) fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{206F}')
}

/// Characters without width and without use in names or sentences. The joiners U+200C and U+200D
/// are no part of it: Persian words and family emoji need them.
pub(crate) fn is_zero_width(c: char) -> bool {
    matches!(c, '\u{200B}' | '\u{2060}'..='\u{2065}' | '\u{FEFF}' | '\u{E0000}'..='\u{E007F}')
}

/// The kind of a character that people, forms and files put between groups of digits.
pub(crate) fn separator(c: char) -> Option<Separator> {
    let separator = match c {
        ' ' | '\u{A0}' | '\u{1680}' | '\u{2000}'..='\u{200A}' | '\u{202F}' | '\u{205F}' => {
            Separator::Space
        }
        // Blank glyphs that are no spaces to Unicode: Braille, Hangul fillers, ideographic.
        '\u{115F}' | '\u{1160}' | '\u{2800}' | '\u{3000}' | '\u{3164}' | '\u{FFA0}' => {
            Separator::Space
        }
        '\t' => Separator::Tab,
        '\n' | '\r' | '\u{B}' | '\u{C}' | '\u{85}' | '\u{2028}' | '\u{2029}' => Separator::Line,
        // General category Pd, and signs drawn as a dash: minus, bullet hyphen, macron, katakana.
        '-' | '\u{AF}' | '\u{58A}' | '\u{5BE}' | '\u{1400}' | '\u{1806}' => Separator::Hyphen,
        '\u{2010}'..='\u{2015}' | '\u{2043}' | '\u{2212}' | '\u{2E17}' => Separator::Hyphen,
        '\u{2E1A}' | '\u{2E3A}' | '\u{2E3B}' | '\u{2E40}' | '\u{2E5D}' => Separator::Hyphen,
        '\u{301C}' | '\u{3030}' | '\u{30A0}' | '\u{30FC}' | '\u{FE31}' => Separator::Hyphen,
        '\u{FE32}' | '\u{FE58}' | '\u{FE63}' | '\u{FF0D}' | '\u{10D6E}' | '\u{10EAD}' | '~' => {
            Separator::Hyphen
        }
        '.' | '\u{B7}' | '\u{2022}' | '\u{2024}' | '\u{2027}' | '\u{2219}' => Separator::Dot,
        '\u{22C5}' | '\u{3002}' | '\u{30FB}' | '\u{FF0E}' | '\u{FF61}' | '\u{FF65}' => {
            Separator::Dot
        }
        '/' | '\\' | '\u{2044}' | '\u{2215}' | '\u{FF0F}' | '\u{FF3C}' => Separator::Slash,
        '_' | '\u{203F}' | '\u{2040}' | '\u{FE33}' | '\u{FE34}' | '\u{FF3F}' => {
            Separator::Underscore
        }
        _ => return None,
    };
    Some(separator)
}

/// What stands between two groups of digits; `Mixed` when more than one kind does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Separator {
    Dot,
    Hyphen,
    Line,
    Mixed,
    Slash,
    Space,
    Tab,
    Underscore,
}

/// The zero of every block of ten decimal digits, Unicode 16.0, `DerivedGeneralCategory.txt`; a
/// test compares it with the tables of the regular expression engine.
const DIGIT_ZEROS: [u32; 76] = [
    0x30, 0x660, 0x6F0, 0x7C0, 0x966, 0x9E6, 0xA66, 0xAE6, 0xB66, 0xBE6, 0xC66, 0xCE6, 0xD66,
    0xDE6, 0xE50, 0xED0, 0xF20, 0x1040, 0x1090, 0x17E0, 0x1810, 0x1946, 0x19D0, 0x1A80, 0x1A90,
    0x1B50, 0x1BB0, 0x1C40, 0x1C50, 0xA620, 0xA8D0, 0xA900, 0xA9D0, 0xA9F0, 0xAA50, 0xABF0, 0xFF10,
    0x104A0, 0x10D30, 0x10D40, 0x11066, 0x110F0, 0x11136, 0x111D0, 0x112F0, 0x11450, 0x114D0,
    0x11650, 0x116C0, 0x116D0, 0x116DA, 0x11730, 0x118E0, 0x11950, 0x11BF0, 0x11C50, 0x11D50,
    0x11DA0, 0x11F50, 0x16130, 0x16A60, 0x16AC0, 0x16B50, 0x16D70, 0x1CCF0, 0x1D7CE, 0x1D7D8,
    0x1D7E2, 0x1D7EC, 0x1D7F6, 0x1E140, 0x1E2F0, 0x1E4F0, 0x1E5F1, 0x1E950, 0x1FBF0,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_decimal_digit_of_unicode_is_known_and_nothing_else() {
        let digits = regex_automata::meta::Regex::new(r"^\d$").unwrap();
        for c in char::MIN..=char::MAX {
            let expected = digits.is_match(c.to_string().as_bytes());
            assert_eq!(decimal_digit(c).is_some(), expected, "U+{:04X}", u32::from(c));
        }
    }

    #[test]
    fn digits_have_their_value() {
        for (c, value) in [('7', 7), ('٣', 3), ('۹', 9), ('４', 4), ('०', 0), ('𝟗', 9)] {
            assert_eq!(decimal_digit(c), Some(value));
        }
        for c in ['a', '²', '④', '½', '四'] {
            assert_eq!(decimal_digit(c), None);
        }
    }

    #[test]
    fn every_white_space_and_dash_parts_digits() {
        let parts = regex_automata::meta::Regex::new(r"^[\s\p{Pd}]$").unwrap();
        for c in char::MIN..=char::MAX {
            if parts.is_match(c.to_string().as_bytes()) {
                assert!(separator(c).is_some(), "U+{:04X}", u32::from(c));
            }
        }
    }

    #[test]
    fn no_character_is_of_two_classes() {
        for c in char::MIN..=char::MAX {
            let classes = [decimal_digit(c).is_some(), is_invisible(c), separator(c).is_some()];
            assert!(classes.iter().filter(|class| **class).count() <= 1, "U+{:04X}", u32::from(c));
        }
    }

    #[test]
    fn what_text_refuses_as_hidden_is_looked_through_by_the_card_search() {
        for c in char::MIN..=char::MAX {
            if is_bidi_control(c) || is_zero_width(c) {
                assert!(is_invisible(c), "U+{:04X}", u32::from(c));
            }
        }
    }
}

//! Words as a search understands them.
//!
//! A text is put into NFKC, split at whatever is neither letter nor digit, and each word is folded: lower
//! case, without accents, letters that are no accents spelled out (`ß` is `ss`, `ł` is `l`). A word with
//! an umlaut has a second form, as it is spelled where there is none on the keyboard: `Müller` is found as
//! `Muller`, `mueller` and `MÜLL`. None of it is stored, so it may change with any version.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::{decompose_canonical, is_combining_mark};
use zeroize::Zeroizing;

use crate::keys::Beginning;

/// What somebody typed to find a customer by.
pub(in crate::vault) struct Typed(Vec<Word>);

/// The forms of one word: one, or two where it has an umlaut.
struct Word(Vec<Zeroizing<String>>);

impl Typed {
    /// `None` where it is too little to search by, or too much to be typed.
    pub(in crate::vault) fn parse(text: &str) -> Option<Self> {
        if text.chars().count() > TYPED_CHARS_MAX {
            return None;
        }
        let words = words_in(text);
        let letters: usize = words.iter().map(Word::weight).sum();
        let is_enough = letters >= LETTERS_MIN && words.iter().any(Word::is_indexed);
        (is_enough && words.len() <= TYPED_WORDS_MAX).then_some(Self(words))
    }

    /// What to ask the index for: of each word long enough to be in it, the beginning of each form.
    pub(in crate::vault) fn beginnings(&self) -> Vec<Vec<Zeroizing<String>>> {
        let indexed = self.0.iter().filter(|word| word.is_indexed());
        let begin = |form: &Zeroizing<String>| start_of(form, BEGINNING_CHARS_MAX);
        indexed.map(|word| word.0.iter().map(begin).collect()).collect()
    }

    /// Whether every word that was typed begins a word of this text.
    pub(in crate::vault) fn is_in(&self, text: &str) -> bool {
        let words = words_in(text);
        self.0.iter().all(|typed| words.iter().any(|word| word.begins_with(typed)))
    }
}

/// All beginnings under which a text is found.
pub(in crate::vault) fn beginnings_of(field: u8, text: &str) -> Vec<Beginning> {
    let mut beginnings = Vec::new();
    for form in words_in(text).iter().flat_map(|word| &word.0) {
        let chars = form.chars().count().min(BEGINNING_CHARS_MAX);
        for length in BEGINNING_CHARS_MIN..=chars {
            beginnings.push(Beginning { field, text: start_of(form, length) });
        }
    }
    beginnings
}

impl Word {
    fn is_indexed(&self) -> bool {
        self.0.iter().all(|form| form.chars().count() >= BEGINNING_CHARS_MIN)
    }

    fn begins_with(&self, typed: &Self) -> bool {
        self.0.iter().any(|form| typed.0.iter().any(|start| form.starts_with(start.as_str())))
    }

    /// A sign of a script that writes a word with one or two counts as two letters.
    fn weight(&self) -> usize {
        let letters = |form: &Zeroizing<String>| {
            form.chars().map(|c| if c >= FIRST_WORD_SIGN { 2 } else { 1 }).sum()
        };
        self.0.first().map_or(0, letters)
    }
}

fn words_in(text: &str) -> Vec<Word> {
    let mut composed = Zeroizing::new(String::with_capacity(text.len() * 2));
    composed.extend(text.nfkc());
    let is_of_word = |c: char| c.is_alphanumeric() || is_combining_mark(c);
    let words = composed.split(|c| !is_of_word(c)).filter(|word| !word.is_empty());
    let forms = words.map(|word| {
        let plain = fold(word, |_| None);
        let spelled = fold(word, spelled_out);
        let forms = if plain == spelled { vec![plain] } else { vec![plain, spelled] };
        Word(forms)
    });
    forms.filter(|word| word.0.iter().all(|form| !form.is_empty())).collect()
}

/// Lower case without accents; `spell` may know better than to drop one.
fn fold(word: &str, spell: impl Fn(char) -> Option<&'static str>) -> Zeroizing<String> {
    let mut folded = Zeroizing::new(String::with_capacity(word.len() * 4));
    for c in word.chars().flat_map(char::to_lowercase) {
        if let Some(letters) = spell(c) {
            folded.push_str(letters);
            continue;
        }
        decompose_canonical(c, |part| match part {
            accent if is_accent(accent) => {}
            letter => match without_stroke(letter) {
                Some(letters) => folded.push_str(letters),
                None => folded.push(letter),
            },
        });
    }
    folded
}

/// As German and the languages of Scandinavia spell it without umlauts.
fn spelled_out(letter: char) -> Option<&'static str> {
    Some(match letter {
        'ä' => "ae",
        'ö' | 'ø' => "oe",
        'ü' => "ue",
        'å' => "aa",
        _ => return None,
    })
}

/// Letters that are no letter with an accent, though people type them as one.
fn without_stroke(letter: char) -> Option<&'static str> {
    Some(match letter {
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'ø' => "o",
        'đ' | 'ð' => "d",
        'þ' => "th",
        'ł' => "l",
        'ħ' => "h",
        'ı' => "i",
        'ς' => "σ",
        _ => return None,
    })
}

/// Accents of Latin, Greek and Cyrillic letters. Marks of other scripts are vowels and stay.
fn is_accent(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}')
}

fn start_of(form: &str, chars: usize) -> Zeroizing<String> {
    let end = form.char_indices().nth(chars).map_or(form.len(), |(at, _)| at);
    Zeroizing::new(form.get(..end).unwrap_or(form).to_owned())
}

/// One letter would list a tenth of all customers, at a posting for each word.
const BEGINNING_CHARS_MIN: usize = 2;

/// Who types more has narrowed it down already; the rest is compared.
const BEGINNING_CHARS_MAX: usize = 12;

/// With fewer, somebody goes through the alphabet rather than look for a customer (`specs/vault.md`).
const LETTERS_MIN: usize = 3;

/// More than the names of anybody.
const TYPED_WORDS_MAX: usize = 8;

/// As long as a name may be.
const TYPED_CHARS_MAX: usize = 200;

/// Where the scripts of Chinese, Japanese and Korean begin.
const FIRST_WORD_SIGN: char = '\u{2e80}';

#[cfg(test)]
mod tests {
    use super::*;

    fn finds(typed: &str, text: &str) -> bool {
        let typed = Typed::parse(typed).expect("enough to search by");
        let indexed: Vec<String> =
            beginnings_of(0, text).iter().map(|it| it.text.as_str().to_owned()).collect();
        let is_candidate =
            typed.beginnings().iter().all(|forms| forms.iter().any(|it| indexed.contains(it)));
        let is_found = typed.is_in(text);
        assert!(is_candidate || !is_found, "the index misses whom it should find: {text}");
        is_found
    }

    #[test]
    fn a_search_finds_whatever_a_person_would_call_the_same() {
        for (typed, text) in [
            ("ann", "Ann Whitfield"),
            ("WHIT", "Ann Whitfield"),
            ("field ann", "Ann Field"),
            ("a whit", "Ann Whitfield"),
            ("whitfield", "Ann Whitfield"),
            ("o'brien", "Nora O’Brien"),
            ("brien", "Nora O'Brien"),
            ("muller", "Jörg Müller"),
            ("müller", "Jörg Müller"),
            ("mu\u{308}ller", "Jörg Müller"),
            ("mueller", "Jörg Müller"),
            ("müller", "Jorg Mueller"),
            ("MÜLL", "Jorg Mueller"),
            ("joerg", "Jörg Müller"),
            ("strasse", "Lange Straße 7"),
            ("straße", "Lange Strasse 7"),
            ("lodz", "Łódź"),
            ("soren", "Søren Åberg"),
            ("soeren aaberg", "Søren Åberg"),
            ("istanbul", "İSTANBUL"),
            ("οδυσσευς", "ΟΔΥΣΣΕΎΣ"),
            ("иван", "Ива́н Йорданов"),
            ("fi11", "ﬁ11 Ltd"),
            ("王伟", "王伟"),
            ("김민", "김민준"),
            ("yo21 1aa", "Whitby YO21 1AA"),
            ("wolfeschlegelsteinhausen", "Wolfeschlegelsteinhausenbergerdorff"),
        ] {
            assert!(finds(typed, text), "`{typed}` finds `{text}`");
        }
        for (typed, text) in [
            ("anne", "Ann Whitfield"),
            ("hitfield", "Ann Whitfield"),
            ("ann ben", "Ann Whitfield"),
            ("b whit", "Ann Whitfield"),
            ("muel", "Jorg Muller"),
            ("wolfeschlegelsteinhausenx", "Wolfeschlegelsteinhausenbergerdorff"),
        ] {
            assert!(!finds(typed, text), "`{typed}` does not find `{text}`");
        }
    }

    #[test]
    fn too_little_and_too_much_are_no_search() {
        let long = "a".repeat(201);
        let many = "ab ".repeat(9);
        for typed in ["", "  ", "ab", "a b c", "- . '", "\u{301}\u{301}", "王", &long, &many] {
            assert!(Typed::parse(typed).is_none(), "{typed:?}");
        }
        assert!(Typed::parse("li w").is_some(), "a short name beside a letter of the other");
    }
}

//! What must hold for any bytes whatever, of each parser of the product: bodies for the fuzzer
//! (`fuzz/` beside `crates/`), run over the committed corpora by the tests below. No part of the
//! product: built for tests and with the feature `fuzz` only.
//!
//! A body asserts; it never merely survives. A new parser gets a target here: a line in [`TARGETS`],
//! a body, seeds, and a file in `fuzz/fuzz_targets`. The parsers of sealed records and of the log have
//! theirs in their own crates.

mod backups;
mod imports;
mod policies;
mod tokens;
mod values;

pub use backups::backups;
pub use imports::{lines, sheets};
pub use policies::policies;
pub use tokens::{cursors, keys, words};
pub use values::values;

/// A target: its name, which its corpus has too, what it does, and inputs to begin with.
pub type Target = (&'static str, fn(&[u8]), fn() -> Vec<Vec<u8>>);

/// All targets of this crate. Recovery shares come with them.
pub const TARGETS: &[Target] = &[
    ("backups", backups, backups::seeds),
    ("cursors", cursors, tokens::cursor_seeds),
    ("keys", keys, tokens::key_seeds),
    ("lines", lines, imports::line_seeds),
    ("policies", policies, policies::seeds),
    ("sheets", sheets, imports::sheet_seeds),
    ("values", values, values::seeds),
    ("words", words, tokens::word_seeds),
];

/// Every input that the fuzzer kept, and every seed, through its target.
#[test]
fn what_the_fuzzer_found_still_holds() {
    let corpora = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus");
    for (name, target, seeds) in TARGETS {
        seeds().iter().for_each(|seed| target(seed));
        let corpus = std::fs::read_dir(format!("{corpora}/{name}")).unwrap();
        let inputs: Vec<_> = corpus.map(|file| file.unwrap().path()).collect();
        assert!(!inputs.is_empty(), "fuzz/corpus/{name} is empty");
        inputs.iter().for_each(|input| target(&std::fs::read(input).unwrap()));
    }
}

/// Whether a text would move the cursor, start a line or turn the direction of writing where it is
/// shown.
fn is_plain(text: &str) -> bool {
    !text.chars().any(|letter| {
        letter.is_control() || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    })
}

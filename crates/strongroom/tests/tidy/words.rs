//! Words that must not stand in sources and documents.

use crate::tree::Tree;

/// Unfinished code, silenced lints, and paths and hosts that mean something on one machine only.
///
/// The words are put together from two halves so that this file does not find itself.
pub(crate) fn banned(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in &tree.texts {
        if path.ends_with("Cargo.lock") {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            for word in WORDS {
                if (word.everywhere || path.ends_with(".rs")) && stands_in(line, word) {
                    let at = number + 1;
                    let text = word.text();
                    found.push(format!("{path}:{at}: `{text}`: {}", word.cure));
                }
            }
        }
    }
    found
}

struct Word {
    halves: (&'static str, &'static str),
    /// In documents as well as in Rust sources.
    everywhere: bool,
    cure: &'static str,
}

impl Word {
    fn text(&self) -> String {
        format!("{}{}", self.halves.0, self.halves.1)
    }
}

/// The word begins where it stands: `my_word` or `a/b` do not hold `word` or `/b`.
fn stands_in(line: &str, word: &Word) -> bool {
    let text = word.text();
    line.match_indices(&text).any(|(at, _)| {
        let before = line.get(..at).and_then(|start| start.chars().next_back());
        !before.is_some_and(|letter| letter.is_alphanumeric() || "_-.}".contains(letter))
    })
}

const FINISH: &str = "finish it, or write down in an issue what is left and refuse the case";
const ELSEWHERE: &str = "it exists on one machine only: say it without the place";
const HOST: &str = "tools know where their registry is: leave the host out";
const EXPECT: &str = "write #[expect(.., reason = \"..\")], which fails when it is needed no more";

const WORDS: &[Word] = &[
    Word { halves: ("to", "do!("), everywhere: false, cure: FINISH },
    Word { halves: ("unimple", "mented!("), everywhere: false, cure: FINISH },
    Word { halves: ("db", "g!("), everywhere: false, cure: "use tracing, without personal data" },
    Word { halves: ("#[al", "low("), everywhere: false, cure: EXPECT },
    Word { halves: ("#![al", "low("), everywhere: false, cure: EXPECT },
    Word { halves: ("/wo", "rk/"), everywhere: true, cure: ELSEWHERE },
    Word { halves: ("/ro", "ot/"), everywhere: true, cure: ELSEWHERE },
    Word { halves: ("/ho", "me/"), everywhere: true, cure: ELSEWHERE },
    Word { halves: ("crates", ".io"), everywhere: true, cure: HOST },
    Word { halves: ("index.crates", ".io"), everywhere: true, cure: HOST },
    Word { halves: ("static.crates", ".io"), everywhere: true, cure: HOST },
    Word { halves: ("registry.npm", "js.org"), everywhere: true, cure: HOST },
    Word { halves: ("proxy.go", "lang.org"), everywhere: true, cure: HOST },
    Word { halves: ("py", "pi.org"), everywhere: true, cure: HOST },
    Word { halves: ("deb.deb", "ian.org"), everywhere: true, cure: HOST },
    Word { halves: ("docker", ".io"), everywhere: true, cure: HOST },
];

#[test]
fn each_banned_word_is_caught() -> Result<(), String> {
    for word in WORDS {
        let line = format!("// first\n// {}x)", word.text());
        let tree = Tree::of(&[("crates/a/src/lib.rs", &line)])?;
        crate::tree::check(&banned(&tree), &[&format!("lib.rs:2: `{}`", word.text())]);
        let tree =
            Tree::of(&[("README.md", &line), ("Cargo.lock", &line), ("fuzz/Cargo.lock", &line)])?;
        crate::tree::check(&banned(&tree), if word.everywhere { &["README.md:2"] } else { &[] });
    }
    Ok(())
}

#[test]
fn a_word_inside_another_is_none() -> Result<(), String> {
    let places = ["example.org", "{folder}", "frame"];
    let text: String =
        places.iter().map(|before| format!("{before}{}\n", WORDS[5].text())).collect();
    crate::tree::check(&banned(&Tree::of(&[("README.md", &text)])?), &[]);
    Ok(())
}

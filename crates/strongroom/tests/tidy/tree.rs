//! The repository as tidy sees it: texts by path, and Rust sources as paths, literals and functions.
//!
//! A rule is a function from a `Tree` to the list of what it found, so the same function runs over
//! the repository and, in its self-test, over a few lines with a planted violation.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::tokens::{self, Source};

/// Every readable text, by its path below the root with `/` between the parts.
pub(crate) struct Tree {
    pub(crate) texts: BTreeMap<String, String>,
    /// The parsed `.rs` files among `texts`.
    pub(crate) sources: BTreeMap<String, Source>,
}

impl Tree {
    /// Reads what the rules speak about and skips what tools write (`target`, `.git`) and binaries.
    pub(crate) fn read(root: &Path) -> Result<Self, String> {
        let mut texts = BTreeMap::new();
        read_folder(root, "", &mut texts)?;
        Self::parse(texts)
    }

    /// The tree of a self-test.
    pub(crate) fn of(files: &[(&str, &str)]) -> Result<Self, String> {
        Self::parse(files.iter().map(|(path, text)| (path.to_string(), text.to_string())).collect())
    }

    fn parse(texts: BTreeMap<String, String>) -> Result<Self, String> {
        let mut sources = BTreeMap::new();
        for (path, text) in &texts {
            if path.ends_with(".rs") {
                let source = tokens::read(text, is_test_file(path))
                    .map_err(|error| format!("{path} cannot be read as Rust: {error}"))?;
                sources.insert(path.clone(), source);
            }
        }
        Ok(Self { texts, sources })
    }

    /// Sources below a folder given with its closing `/`, with their paths relative to it.
    pub(crate) fn below<'a>(
        &'a self,
        folder: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a Source)> {
        self.sources
            .iter()
            .filter_map(move |(path, source)| Some((path.strip_prefix(folder)?, source)))
    }
}

/// Sources of the product.
pub(crate) const SRC: &str = "crates/strongroom/src/";

/// The first part of a path below `SRC`: the name of its module, without `.rs`.
pub(crate) fn module_of(path: &str) -> &str {
    let first = path.split('/').next().unwrap_or(path);
    first.strip_suffix(".rs").unwrap_or(first)
}

/// A path below a crate is one of the places: a file named whole, or a folder named with its `/`.
pub(crate) fn is_in(path: &str, places: &[&str]) -> bool {
    places
        .iter()
        .any(|place| if place.ends_with('/') { path.starts_with(place) } else { path == *place })
}

/// A file or folder of a room, whatever the room: `is_part(path, "store")` for `vault/store/find.rs`.
pub(crate) fn is_part(path: &str, part: &str) -> bool {
    let mut parts = path.split('/').skip(1);
    parts.next().is_some_and(|second| second.strip_suffix(".rs").unwrap_or(second) == part)
}

/// Unit tests live in `tests.rs` or a folder of that name, integration tests below `tests/`, what is
/// fuzzed in `fuzz`, which the product does not have (`walls::fuzzed`).
fn is_test_file(path: &str) -> bool {
    let test = ["benches", "fuzz", "fuzz.rs", "tests", "tests.rs"];
    path.split('/').any(|part| test.contains(&part))
}

fn read_folder(
    folder: &Path,
    prefix: &str,
    texts: &mut BTreeMap<String, String>,
) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{} cannot be read: {error}", folder.display());
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() && !SKIPPED.contains(&name.as_str()) {
            read_folder(&entry.path(), &format!("{path}/"), texts)?;
        } else if kind.is_file() && is_text(&name, &path) {
            let bytes = fs::read(entry.path()).map_err(failed)?;
            texts.insert(path, String::from_utf8_lossy(&bytes).into_owned());
        }
    }
    Ok(())
}

fn is_text(name: &str, path: &str) -> bool {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending);
    ending.is_some_and(|ending| ENDINGS.contains(&ending)) || is_in(path, NAMED)
}

const SKIPPED: &[&str] = &[".git", "node_modules", "target"];
const ENDINGS: &[&str] = &[
    "c", "css", "html", "js", "json", "lock", "md", "rs", "sh", "sql", "toml", "txt", "yaml", "yml",
];
const NAMED: &[&str] = &[".ci/run", "LICENSE", "check"];

/// The rules under test find exactly the violations that hold the expected words, in this order.
#[track_caller]
pub(crate) fn check(found: &[String], expected: &[&str]) {
    let fits = found.len() == expected.len()
        && found.iter().zip(expected).all(|(line, words)| line.contains(words));
    assert!(fits, "expected {expected:?}, found {found:#?}");
}

#[test]
fn a_tree_is_read_from_disk_without_what_tools_write() -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let root = folder.path();
    fs::create_dir_all(root.join("src/target")).map_err(|error| error.to_string())?;
    for path in ["src/a.rs", "src/target/b.rs", "src/c.png", "check"] {
        fs::write(root.join(path), "fn a() {}").map_err(|error| error.to_string())?;
    }
    let tree = Tree::read(root)?;
    assert_eq!(tree.texts.keys().collect::<Vec<_>>(), ["check", "src/a.rs"]);
    assert_eq!(tree.sources.keys().collect::<Vec<_>>(), ["src/a.rs"]);
    assert!(Tree::read(&root.join("absent")).is_err(), "a tree that is not there must not pass");
    Ok(())
}

#[test]
fn a_place_is_a_file_or_a_folder() {
    assert!(is_in("web/tls.rs", &["web/"]) && is_in("router.rs", &["router.rs"]));
    assert!(!is_in("webhooks/mod.rs", &["web/"]) && !is_in("vault/router.rs", &["router.rs"]));
    assert!(is_part("vault/store.rs", "store") && is_part("vault/store/find.rs", "store"));
    assert!(!is_part("vault/restore.rs", "store") && !is_part("store.rs", "store"));
    assert_eq!((module_of("vault/store.rs"), module_of("id.rs")), ("vault", "id"));
}

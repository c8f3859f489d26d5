//! The shape of rooms, files and functions.

use crate::order::{Floor, Order};
use crate::tree::{SRC, Tree, is_part, module_of};

/// Every room has the same inside, so a reader who knows one knows all.
pub(crate) fn parts(tree: &Tree, order: &Order) -> Vec<String> {
    let mut found = Vec::new();
    for path in tree.texts.keys() {
        let Some(path) = path.strip_prefix(SRC) else {
            continue;
        };
        if order.floor(module_of(path)) == Some(Floor::Room) && !is_known_part(path) {
            found.push(format!(
                "{SRC}{path}: a room holds only {} (each a .rs file or a folder of .rs files) and \
                 pages/*.html: put this into the one it belongs to",
                PARTS.join(", ")
            ));
        }
    }
    found
}

/// `model`, `rules` and `store` are behind the door of their room.
pub(crate) fn doors(tree: &Tree, order: &Order) -> Vec<String> {
    let mut found = Vec::new();
    for (path, source) in tree.below(SRC) {
        if order.floor(module_of(path)) != Some(Floor::Room) || !path.ends_with("/mod.rs") {
            continue;
        }
        for module in &source.modules {
            if module.is_visible && PRIVATE.contains(&module.name.as_str()) {
                found.push(format!(
                    "{SRC}{path}:{}: `{}` is visible outside its room: write `mod {};` and name \
                     with `pub use` what the door offers",
                    module.line, module.name, module.name
                ));
            }
        }
    }
    found
}

/// A file, a function and `main.rs` have a length that one can read in one go.
pub(crate) fn lengths(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for (path, source) in tree.sources.iter().filter(|(path, _)| path.starts_with("crates/")) {
        let is_main = path.ends_with("/src/main.rs");
        let lines_max = if is_main { MAIN_LINES_MAX } else { FILE_LINES_MAX };
        let lines = tree.texts.get(path).map_or(0, |text| text.lines().count());
        if lines > lines_max {
            found.push(format!(
                "{path} has {lines} lines, {lines_max} are allowed: make a folder of the same name \
                 and split it by verb"
            ));
        }
        for function in &source.functions {
            if function.lines > FUNCTION_LINES_MAX {
                found.push(format!(
                    "{path}:{}: `{}` has {} lines, {FUNCTION_LINES_MAX} are allowed: split it where \
                     one step ends, and if no split feels right, look at the design",
                    function.line, function.name, function.lines
                ));
            }
        }
    }
    found
}

/// What everyone must read stays short enough to be read.
pub(crate) fn documents(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for (path, lines_max) in DOCUMENTS {
        let Some(text) = tree.texts.get(*path) else {
            found.push(format!("{path} is not there: whoever is new begins with it"));
            continue;
        };
        let lines = text.lines().count();
        if lines > *lines_max {
            found.push(format!(
                "{path} has {lines} lines, {lines_max} are allowed: move detail to docs/ and leave \
                 a link"
            ));
        }
    }
    found
}

fn is_known_part(path: &str) -> bool {
    let depth = path.split('/').count();
    let in_part = PARTS.iter().any(|part| is_part(path, part));
    // A file `mod.rs` is the door; a folder `mod` is not a thing.
    let is_door = path.ends_with("/mod.rs") && depth == 2;
    let is_source = path.ends_with(".rs") && (is_door || !is_part(path, "mod"));
    let is_template = path.ends_with(".html") && is_part(path, "pages") && depth > 2;
    depth > 1 && in_part && (is_source || is_template)
}

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;
const MAIN_LINES_MAX: usize = 40;
const DOCUMENTS: &[(&str, usize)] = &[("ARCHITECTURE.md", 150), ("README.md", 120)];
const PARTS: &[&str] =
    &["mod", "model", "rules", "store", "verbs", "api", "pages", "jobs", "tests"];
const PRIVATE: &[&str] = &["model", "rules", "store"];

#[cfg(test)]
const ARCHITECTURE: &str = "## Order of rooms\n```\nground: db\nvault\nroof: app\n```\n";

#[cfg(test)]
fn tree_of(path: &str, text: &str) -> Result<(Tree, Order), String> {
    let tree = Tree::of(&[("ARCHITECTURE.md", ARCHITECTURE), (&format!("{SRC}{path}"), text)])?;
    let order = Order::read(&tree)?;
    Ok((tree, order))
}

#[test]
fn a_ninth_file_in_a_room_is_caught() -> Result<(), String> {
    let good = [
        "vault/mod.rs",
        "vault/store.rs",
        "vault/store/find.rs",
        "vault/pages/list.html",
        "vault/tests/erase.rs",
        "db/anything.rs",
        "app/anything.rs",
    ];
    for path in good {
        let (tree, order) = tree_of(path, "")?;
        crate::tree::check(&parts(&tree, &order), &[]);
    }
    let bad = [
        "vault.rs",
        "vault/helpers.rs",
        "vault/helpers/mod.rs",
        "vault/mod/mod.rs",
        "vault/list.html",
        "vault/api/list.html",
        "vault/store/schema.sql",
        "vault/pages.html",
    ];
    for path in bad {
        let (tree, order) = tree_of(path, "")?;
        crate::tree::check(&parts(&tree, &order), &["a room holds only"]);
    }
    Ok(())
}

#[test]
fn an_open_door_is_caught() -> Result<(), String> {
    let (tree, order) = tree_of("vault/mod.rs", "mod model;\npub mod api;\npub(crate) use x::y;")?;
    crate::tree::check(&doors(&tree, &order), &[]);
    for text in ["pub mod store;", "pub(crate) mod rules;", "pub(super) mod model { }"] {
        let (tree, order) = tree_of("vault/mod.rs", text)?;
        crate::tree::check(&doors(&tree, &order), &["visible outside its room"]);
    }
    Ok(())
}

#[test]
fn what_is_too_long_is_caught() -> Result<(), String> {
    let function = |lines: usize| format!("fn f(\n) {{{}}}\n", "\n".repeat(lines - 2));
    let cases = [
        ("crates/a/src/lib.rs", "\n".repeat(500), vec![]),
        ("crates/a/src/lib.rs", "\n".repeat(501), vec!["has 501 lines"]),
        ("crates/a/tests/it/b.rs", "\n".repeat(501), vec!["has 501 lines"]),
        ("crates/a/src/main.rs", "\n".repeat(40), vec![]),
        ("crates/a/src/main.rs", "\n".repeat(41), vec!["40 are allowed"]),
        ("crates/a/src/b.rs", function(70), vec![]),
        ("crates/a/src/b.rs", function(71), vec!["`f` has 71 lines"]),
        ("crates/a/src/b.rs", format!("p! {{ {} }}", function(71)), vec!["`f` has 71 lines"]),
    ];
    for (path, text, expected) in cases {
        crate::tree::check(&lengths(&Tree::of(&[(path, &text)])?), &expected);
    }
    Ok(())
}

#[test]
fn a_document_grown_too_long_is_caught() -> Result<(), String> {
    let texts = ["\n".repeat(121), "\n".repeat(151)];
    let tree = Tree::of(&[("README.md", &texts[0]), ("ARCHITECTURE.md", &texts[1])])?;
    crate::tree::check(&documents(&tree), &["ARCHITECTURE.md has 151", "README.md has 121"]);
    let texts = ["\n".repeat(120), "\n".repeat(150)];
    let tree = Tree::of(&[("README.md", &texts[0]), ("ARCHITECTURE.md", &texts[1])])?;
    crate::tree::check(&documents(&tree), &[]);
    let tree = Tree::of(&[("README.md", "# Strongroom")])?;
    crate::tree::check(&documents(&tree), &["ARCHITECTURE.md is not there"]);
    Ok(())
}

//! Tests that documents name.

use std::collections::BTreeSet;

use crate::tree::Tree;

/// What `docs/tested.md` says of a test is worth nothing where there is no such test.
pub(crate) fn tests_of_documents(tree: &Tree) -> Vec<String> {
    let functions: BTreeSet<&str> = tree
        .texts
        .iter()
        .filter(|(path, _)| path.ends_with(".rs"))
        .flat_map(|(_, text)| text.lines().map(str::trim_start).filter_map(name_of_function))
        .collect();
    let mut found = Vec::new();
    if !tree.texts.iter().any(|(path, _)| path.ends_with(PAGE)) {
        found.push(format!("{PAGE}: it is not there, and with it what is tested where"));
    }
    for (path, text) in tree.texts.iter().filter(|(path, _)| path.ends_with(PAGE)) {
        for (number, line) in text.lines().enumerate() {
            let quoted = line.split('`').skip(1).step_by(2);
            for name in quoted.filter(|name| is_name_of_a_test(name)) {
                if !functions.contains(name) {
                    let at = number + 1;
                    found.push(format!(
                        "{path}:{at}: there is no test `{name}`: name the one that shows this line, or write it"
                    ));
                }
            }
        }
    }
    found
}

/// Of a line that begins one; no test is public.
fn name_of_function(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ")?;
    rest.split('(').next()
}

fn is_name_of_a_test(text: &str) -> bool {
    let is_word =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
    text.matches('_').count() >= 2 && text.chars().all(is_word)
}

const PAGE: &str = "docs/tested.md";

#[test]
fn a_test_that_is_named_and_not_there_is_caught() -> Result<(), String> {
    let tree = Tree::of(&[
        ("crates/a/src/lib.rs", "fn a_cell_that_moved() {}"),
        (
            "docs/tested.md",
            "| line | `a_cell_that_moved` |\n| line | `a_cell_that_went` and `wal_size` |",
        ),
    ])?;
    crate::tree::check(
        &tests_of_documents(&tree),
        &["docs/tested.md:2: there is no test `a_cell_that_went`"],
    );
    Ok(())
}

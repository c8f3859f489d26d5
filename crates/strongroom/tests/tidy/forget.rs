//! Every table with a customer in it is emptied when that customer is forgotten.

use std::collections::{BTreeMap, BTreeSet};

use crate::tree::{SRC, Tree, is_part, module_of};

/// For each table with a column `customer`: a room with `fn forget` deletes from it, or it stands on
/// the reviewed list.
pub(crate) fn forgotten(tree: &Tree) -> Vec<String> {
    let deleted = deleted_tables(tree);
    let mut found = Vec::new();
    for (table, place) in customer_tables(tree) {
        let is_kept = KEPT.iter().any(|(name, _)| *name == table);
        if !deleted.contains(&table) && !is_kept {
            found.push(format!(
                "{place}: the table `{table}` has a column `customer` and no room forgets it: add \
                 `DELETE FROM {table} ..` to the store of the room that owns it, in its `forget`, \
                 or the table with its reason to KEPT"
            ));
        }
    }
    found
}

/// Tables by name, with the file that makes them.
fn customer_tables(tree: &Tree) -> BTreeMap<String, String> {
    let mut tables = BTreeMap::new();
    for (path, text) in statements(tree) {
        for (_, rest) in split_at_each(&text, "CREATE TABLE ") {
            let rest = rest.strip_prefix("IF NOT EXISTS ").unwrap_or(rest);
            let Some((name, body)) = rest.split_once('(') else {
                continue;
            };
            if columns(body).any(|column| column == COLUMN) {
                tables.insert(plain_name(name), path.clone());
            }
        }
        for (_, rest) in split_at_each(&text, "ALTER TABLE ") {
            let words: Vec<&str> =
                rest.split(' ').map(|word| word.trim_matches(';')).take(4).collect();
            if let [name, "ADD", "COLUMN", column] | [name, "ADD", column, _] = words.as_slice()
                && plain_name(column) == COLUMN
            {
                tables.insert(plain_name(name), path.clone());
            }
        }
    }
    tables
}

/// Tables that a room which has a `forget` deletes a customer's rows from.
fn deleted_tables(tree: &Tree) -> BTreeSet<String> {
    let forgets = |path: &str| {
        tree.sources
            .get(path)
            .is_some_and(|source| source.functions.iter().any(|function| function.name == "forget"))
    };
    let rooms: BTreeSet<&str> = tree
        .below(SRC)
        .filter(|(path, _)| ["mod", "store", "jobs"].iter().any(|part| is_part(path, part)))
        .filter(|(path, _)| forgets(&format!("{SRC}{path}")))
        .map(|(path, _)| module_of(path))
        .collect();
    let mut tables = BTreeSet::new();
    for (path, source) in tree.below(SRC).filter(|(path, _)| is_part(path, "store")) {
        if !rooms.contains(module_of(path)) {
            continue;
        }
        for literal in source.literals.iter().filter(|literal| !literal.in_test) {
            for (_, rest) in split_at_each(&one_line(&literal.text), "DELETE FROM ") {
                let statement = rest.split(';').next().unwrap_or_default();
                let mut words = statement.split(|it: char| !it.is_alphanumeric() && it != '_');
                // By something else it may be another's rows that go.
                if words.any(|word| word == COLUMN) {
                    tables.insert(plain_name(statement.split(' ').next().unwrap_or_default()));
                }
            }
        }
    }
    tables
}

/// Every text that may hold SQL, blanks and comments reduced, by the path it stands in.
fn statements(tree: &Tree) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for (path, text) in &tree.texts {
        if path.starts_with(SRC) && path.ends_with(".sql") {
            all.push((path.clone(), one_line(text)));
        }
    }
    for (path, source) in tree.below(SRC) {
        for literal in source.literals.iter().filter(|literal| !literal.in_test) {
            all.push((format!("{SRC}{path}:{}", literal.line), one_line(&literal.text)));
        }
    }
    all
}

/// One line with single blanks, without `--` comments and the line ends written as escapes.
fn one_line(text: &str) -> String {
    let without_escapes = text.replace("\\n", "\n").replace("\\\n", "\n");
    let lines = without_escapes.lines().map(|line| line.split("--").next().unwrap_or_default());
    let words: Vec<&str> = lines.flat_map(str::split_whitespace).collect();
    words.join(" ")
}

/// What stands behind each occurrence of the words.
fn split_at_each<'a>(text: &'a str, words: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
    text.match_indices(words).filter_map(move |(at, _)| Some((at, text.get(at + words.len()..)?)))
}

/// The first word of each part of a table's body, up to its closing parenthesis.
fn columns(body: &str) -> impl Iterator<Item = String> {
    let mut names = Vec::new();
    let mut part = String::new();
    let mut depth = 0_usize;
    for letter in body.chars() {
        match letter {
            '(' => depth += 1,
            ')' if depth == 0 => break,
            ')' => depth -= 1,
            ',' if depth == 0 => names.push(std::mem::take(&mut part)),
            _ if depth == 0 => part.push(letter),
            _ => {}
        }
    }
    names.push(part);
    names.into_iter().map(|part| plain_name(part.split_whitespace().next().unwrap_or_default()))
}

fn plain_name(name: &str) -> String {
    name.trim().trim_matches(|letter| matches!(letter, '"' | '`' | ';' | '\\')).to_owned()
}

const COLUMN: &str = "customer";

/// Tables that keep a customer's id after the customer is gone, and why they must.
const KEPT: &[(&str, &str)] = &[
    ("erasure_job", "the erase itself, resumed after a crash by the customer's id"),
    ("legal_hold", "while one stands, its customer is not erased; released, the row is deleted"),
];

#[cfg(test)]
fn check(files: &[(&str, &str)], expected: &[&str]) -> Result<(), String> {
    let files: Vec<(String, &str)> =
        files.iter().map(|(path, text)| (format!("{SRC}{path}"), *text)).collect();
    let files: Vec<(&str, &str)> =
        files.iter().map(|(path, text)| (path.as_str(), *text)).collect();
    crate::tree::check(&forgotten(&Tree::of(&files)?), expected);
    Ok(())
}

#[test]
fn a_table_nobody_forgets_is_caught() -> Result<(), String> {
    let sql =
        ("db/migrations/0001.sql", "CREATE TABLE cell (\n  id TEXT,\n  customer TEXT NOT NULL\n);");
    let door = ("vault/mod.rs", "pub fn forget(x: Y) {}");
    let store = ("vault/store.rs", "const A: &str = \"DELETE FROM cell\\n WHERE customer = $1\";");
    let missing = ["the table `cell` has a column `customer`"];
    check(&[sql, door, store], &[])?;
    check(&[sql], &missing)?;
    check(&[sql, store], &missing)?;
    check(&[sql, door], &missing)?;
    check(&[sql, ("vault/mod.rs", "/// fn forget"), store], &missing)?;
    check(&[sql, ("staff/mod.rs", door.1), store], &missing)?;
    let other = ("vault/store.rs", "const A: &str = \"DELETE FROM cell WHERE id = $1\";");
    check(&[sql, door, other], &missing)?;
    let longer = ("vault/store.rs", "const A: &str = \"DELETE FROM cell_index\";");
    check(&[sql, door, longer], &missing)?;
    let test = ("vault/store.rs", "#[cfg(test)] const A: &str = \"DELETE FROM cell\";");
    check(&[sql, door, test], &missing)
}

#[test]
fn tables_are_found_however_they_are_made() -> Result<(), String> {
    let bad = [
        "const A: &str = \"CREATE TABLE IF NOT EXISTS cell (customer TEXT)\";",
        "const A: &str = \"\\\n  CREATE TABLE cell (\\n  id TEXT, customer TEXT)\";",
        "const A: &[&str] = &[\"CREATE TABLE a (b TEXT)\", \"CREATE TABLE \\\"cell\\\" (customer TEXT)\"];",
        "const A: &str = \"CREATE TABLE cell (id TEXT CHECK (id IN ('a', 'b')), customer TEXT)\";",
        "const A: &str = \"ALTER TABLE cell ADD COLUMN customer TEXT\";",
    ];
    for text in bad {
        check(&[("db/schema.rs", text)], &["the table `cell`"])?;
    }
    let good = [
        "const A: &str = \"CREATE TABLE cell (id TEXT, customer_count BIGINT)\";",
        "const A: &str = \"CREATE TABLE cell (id TEXT, -- no customer, nothing\n x BIGINT)\";",
        "const A: &str = \"CREATE TABLE cell (id TEXT, UNIQUE (id, customer)); CREATE TABLE b (c TEXT)\";",
        "const A: &str = \"CREATE TABLE legal_hold (customer TEXT)\";",
    ];
    for text in good {
        check(&[("db/schema.rs", text)], &[])?;
    }
    Ok(())
}

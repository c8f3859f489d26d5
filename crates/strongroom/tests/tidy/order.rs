//! The order of rooms: read from ARCHITECTURE.md, kept by every path that crosses from one module
//! of the product to another.

use crate::tokens::Written;
use crate::tree::{SRC, Tree, module_of};

/// The block under `## Order of rooms`, lowest first.
pub(crate) struct Order {
    lines: Vec<(Floor, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Floor {
    /// Everyone may import it; it imports no room.
    Ground,
    Roof,
    Room,
}

impl Order {
    /// Fails with the cure where the chapter or its block is absent, malformed or says a name twice.
    pub(crate) fn read(tree: &Tree) -> Result<Self, String> {
        let text = tree.texts.get("ARCHITECTURE.md").ok_or(
            "ARCHITECTURE.md does not exist: write it, with the order of rooms (one name a line, \
             lowest first) in a fenced block under the line `## Order of rooms`",
        )?;
        let chapter = text.lines().skip_while(|line| line.trim_end() != HEADING).skip(1);
        let block: Vec<&str> = chapter
            .take_while(|line| !line.starts_with("## "))
            .skip_while(|line| !line.starts_with("```"))
            .skip(1)
            .take_while(|line| !line.starts_with("```"))
            .collect();
        let mut order = Self { lines: Vec::new() };
        for line in block {
            let line = line.split('#').next().unwrap_or_default().trim();
            if !line.is_empty() {
                order.add(line)?;
            }
        }
        if order.lines.is_empty() {
            return Err(format!(
                "ARCHITECTURE.md names no room: put a fenced block with one name a line, lowest \
                 first, under the line `{HEADING}`"
            ));
        }
        Ok(order)
    }

    pub(crate) fn floor(&self, name: &str) -> Option<Floor> {
        self.lines.iter().find(|(_, listed)| listed == name).map(|(floor, _)| *floor)
    }

    fn add(&mut self, line: &str) -> Result<(), String> {
        let (floor, name) = match line.split_once(": ") {
            Some(("ground", name)) => (Floor::Ground, name.trim()),
            Some(("roof", name)) => (Floor::Roof, name.trim()),
            _ => (Floor::Room, line),
        };
        if !name.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_') {
            return Err(format!(
                "ARCHITECTURE.md: `{line}` in the order of rooms is not `name`, `ground: name` or \
                 `roof: name`"
            ));
        }
        if self.floor(name).is_some() {
            return Err(format!("ARCHITECTURE.md: `{name}` stands in the order of rooms twice"));
        }
        self.lines.push((floor, name.to_owned()));
        Ok(())
    }

    fn height(&self, name: &str) -> Option<usize> {
        self.lines.iter().position(|(_, listed)| listed == name)
    }

    fn allows(&self, from: &str, to: &str) -> bool {
        from == to
            || self.floor(to) == Some(Floor::Ground)
            || (self.floor(from) != Some(Floor::Ground) && self.height(to) < self.height(from))
    }
}

/// A path may lead to the ground floor or downwards.
pub(crate) fn arrows(tree: &Tree, order: &Order) -> Vec<String> {
    let mut found = Vec::new();
    for (path, source) in tree.below(SRC).filter(|(path, _)| !UNORDERED.contains(path)) {
        let own = module_of(path);
        // `same_modules` asks for its place; without one every arrow would be a second complaint.
        if order.floor(own).is_none() {
            continue;
        }
        for written in &source.paths {
            let at = format!("{SRC}{path}:{}: `{}`", written.line, written.text());
            match target(path, written) {
                Target::Inside => {}
                Target::Everything => found.push(format!(
                    "{at} takes the whole crate, which hides the rooms it uses: name the module"
                )),
                Target::Module(other) if order.floor(&other).is_none() => found.push(format!(
                    "{at} leads to no module of the order in ARCHITECTURE.md: write the path \
                     through its module (crate::error::Error), not through lib.rs"
                )),
                Target::Module(other) if order.allows(own, &other) => {}
                Target::Module(other) => found.push(format!(
                    "{at} leads from `{own}` up to `{other}`: move the code to the higher of the \
                     two, hand the value down as an argument, or change the order of rooms in \
                     ARCHITECTURE.md with a reason in docs/decisions"
                )),
            }
        }
    }
    found
}

/// The order and the folder `src` name the same modules.
pub(crate) fn same_modules(tree: &Tree, order: &Order) -> Vec<String> {
    let mut found = Vec::new();
    let ordered = tree.below(SRC).filter(|(path, _)| !UNORDERED.contains(path));
    let mut modules: Vec<&str> = ordered.map(|(path, _)| module_of(path)).collect();
    modules.dedup();
    for module in &modules {
        if order.floor(module).is_none() {
            found.push(format!(
                "`{module}` stands in {SRC} but not in the order of rooms: add it to the block in \
                 ARCHITECTURE.md, above everything it imports"
            ));
        }
    }
    for (_, name) in &order.lines {
        if !modules.contains(&name.as_str()) {
            found.push(format!(
                "`{name}` stands in the order of rooms but not in {SRC}: a room is made when its \
                 first feature lands, so take it out of ARCHITECTURE.md until then"
            ));
        }
    }
    found
}

enum Target {
    Everything,
    Inside,
    Module(String),
}

/// Where a path leads, seen from the top of the crate. `super` climbs one module at a time.
fn target(path: &str, written: &Written) -> Target {
    let first = written.segments.first().map(String::as_str);
    if first == Some("crate") {
        return top(written, 1);
    }
    let climbs = written.segments.iter().take_while(|segment| *segment == "super").count();
    let named = path.split('/').count() - usize::from(path.ends_with("/mod.rs"));
    if climbs > 0 && climbs >= named + written.depth {
        return top(written, climbs);
    }
    Target::Inside
}

fn top(written: &Written, at: usize) -> Target {
    match written.segments.get(at).map(String::as_str) {
        Some("*" | "self") => Target::Everything,
        Some(name) => Target::Module(name.to_owned()),
        // The lone word stands in `pub(crate)`; renamed it would stand for everything.
        None if written.is_renamed => Target::Everything,
        None => Target::Inside,
    }
}

const HEADING: &str = "## Order of rooms";
const UNORDERED: &[&str] = &["lib.rs", "main.rs"];

#[cfg(test)]
const ARCHITECTURE: &str = "# Map\n```\nnot: this\n```\n## Order of rooms\nLowest first.\n```text\n\
    ground: error\nground: db\n# rooms\nkeys\nledger # speaks pseudonyms\nroof: router\n```\n## Next\n";

#[cfg(test)]
fn check(path: &str, text: &str, expected: &[&str]) -> Result<(), String> {
    let tree = Tree::of(&[("ARCHITECTURE.md", ARCHITECTURE), (&format!("{SRC}{path}"), text)])?;
    crate::tree::check(&arrows(&tree, &Order::read(&tree)?), expected);
    Ok(())
}

#[test]
fn an_arrow_upwards_is_caught() -> Result<(), String> {
    check("ledger/mod.rs", "use crate::{keys::open, error::Error, ledger::model};", &[])?;
    check("router.rs", "use crate::{db, keys, ledger};", &[])?;
    check(
        "keys/store.rs",
        "use crate::db::Row;\nuse crate::ledger::find;",
        &[":2: `crate::ledger::find`"],
    )?;
    check("keys/mod.rs", "fn f() { assert!(crate::router::is_up()) }", &["`keys` up to `router`"])?;
    check("db/mod.rs", "use crate::keys::open;", &["`db` up to `keys`"])?;
    check("db/mod.rs", "use crate::error::Error;", &[])?;
    check("error.rs", "use crate::db::Row;", &[])?;
    check(
        "keys/mod.rs",
        "#[cfg(test)] mod tests { use crate::ledger::find; }",
        &["up to `ledger`"],
    )?;
    check("lib.rs", "pub use crate::router::Router;", &[])
}

#[test]
fn an_arrow_through_super_is_caught() -> Result<(), String> {
    check("keys/mod.rs", "use super::ledger::find;", &["up to `ledger`"])?;
    check(
        "keys/store.rs",
        "use super::super::ledger::find; use super::model;",
        &["up to `ledger`"],
    )?;
    check("keys/store/find.rs", "use super::super::model;", &[])?;
    check("keys/rules.rs", "mod tests { use super::super::model; use super::f; }", &[])?;
    check("error.rs", "use super::keys::open;", &["up to `keys`"])
}

#[test]
fn the_whole_crate_is_caught() -> Result<(), String> {
    for text in ["use crate::*;", "use crate as all;", "use crate::{self as all};"] {
        check("keys/mod.rs", text, &["takes the whole crate"])?;
    }
    check("keys/mod.rs", "pub(crate) fn f() {} pub(in crate::keys) fn g() {}", &[])?;
    check("keys/mod.rs", "use crate::Error;", &["leads to no module"])
}

#[test]
fn a_module_missing_on_either_side_is_caught() -> Result<(), String> {
    let there = ["error.rs", "db/mod.rs", "keys/mod.rs", "ledger/mod.rs", "router.rs", "main.rs"];
    let paths: Vec<String> = there.iter().map(|path| format!("{SRC}{path}")).collect();
    let mut files = vec![("ARCHITECTURE.md", ARCHITECTURE)];
    files.extend(paths.iter().map(|path| (path.as_str(), "")));
    let tree = Tree::of(&files)?;
    crate::tree::check(&same_modules(&tree, &Order::read(&tree)?), &[]);
    files.pop();
    files.pop();
    files.push(("crates/strongroom/src/vault/mod.rs", ""));
    let tree = Tree::of(&files)?;
    let found = same_modules(&tree, &Order::read(&tree)?);
    crate::tree::check(&found, &["`vault` stands in crates", "`router` stands in the order"]);
    Ok(())
}

#[test]
fn an_order_that_cannot_be_read_is_an_error() -> Result<(), String> {
    let read = |text: &str| -> Result<(), String> {
        Order::read(&Tree::of(&[("ARCHITECTURE.md", text)])?).map(|_| ())
    };
    assert!(Order::read(&Tree::of(&[])?).is_err_and(|error| error.contains("does not exist")));
    assert!(read("# Map\n```\nkeys\n```\n").is_err_and(|error| error.contains("names no room")));
    assert!(read("## Order of rooms\n```\nkeys\nground: keys\n```\n").is_err());
    assert!(read("## Order of rooms\n```\nattic: keys\n```\n").is_err());
    assert_eq!(read(ARCHITECTURE), Ok(()));
    Ok(())
}

//! Walls inside the code: where SQL, ciphers, HTTP types and the makers of grants may stand.

use crate::tokens::Written;
use crate::tree::{SRC, Tree, is_in, is_part, module_of};

/// SQL stands where every statement can be listed and prepared on both engines.
pub(crate) fn sql(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for (path, source) in tree.below(SRC) {
        if is_part(path, "store") || module_of(path) == "db" {
            continue;
        }
        for literal in source.literals.iter().filter(|literal| !literal.in_test) {
            if let Some(verb) = sql_verb(&literal.text) {
                found.push(format!(
                    "{SRC}{path}:{}: a statement (`{verb}`) outside store.rs and db/: make it a \
                     constant of its room's store.rs",
                    literal.line
                ));
            }
        }
    }
    found
}

/// HTTP ends at the edge: what lies behind a door can be called from the command line as well.
pub(crate) fn http(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for (path, source) in tree.below(SRC) {
        if is_in(path, HTTP_PLACES) || HTTP_PARTS.iter().any(|part| is_part(path, part)) {
            continue;
        }
        for written in source.paths.iter().filter(|written| written.segments.len() > 1) {
            if HTTP_CRATES.iter().any(|name| written.starts_with(&[name])) {
                found.push(format!(
                    "{SRC}{path}:{}: `{}` brings HTTP into the house: turn it into a type of the \
                     room in api.rs, pages.rs or web/",
                    written.line,
                    written.text()
                ));
            }
        }
    }
    found
}

/// Only strongroom-crypto speaks to the ciphers.
pub(crate) fn ciphers(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for (path, source) in &tree.sources {
        if path.starts_with("crates/strongroom-crypto/") {
            continue;
        }
        for written in source.paths.iter().filter(|written| written.starts_with(&["aws_lc_rs"])) {
            found.push(format!(
                "{path}:{}: `{}` passes the crypto wall: add what is needed to strongroom-crypto. \
                 (For the TLS provider write rustls::crypto::aws_lc_rs in full.)",
                written.line,
                written.text()
            ));
        }
    }
    found
}

/// Only `keys` opens what is sealed. A glob or a new name would hide who else does.
pub(crate) fn openers(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for (path, source) in &tree.sources {
        let is_keys = path.strip_prefix(SRC).is_some_and(|path| module_of(path) == "keys");
        // It times refusals, under keys and of records of its own.
        let is_timing = path == "benches/src/timing/primitives.rs";
        if is_keys || is_timing || path.starts_with("crates/strongroom-crypto/") {
            continue;
        }
        for written in &source.paths {
            let at = || format!("{path}:{}: `{}`", written.line, written.text());
            let is_crypto = written.starts_with(&["strongroom_crypto"]);
            if opens(written) {
                found.push(format!("{} opens what is sealed outside keys: ask keys for it", at()));
            } else if is_crypto && (written.ends_with(&["*"]) || hides_crate(written)) {
                found.push(format!("{} hides what is used: name each item of the crate", at()));
            }
        }
    }
    found
}

/// The verifier of the log trusts as little code as possible.
pub(crate) fn tlog(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for (path, source) in tree.below("crates/strongroom-tlog/") {
        for written in &source.paths {
            if written.starts_with(&["strongroom_crypto"]) && !is_for_tlog(written) {
                found.push(format!(
                    "crates/strongroom-tlog/{path}:{}: `{}` is not for the log: it uses {} (and {} \
                     in tests) of strongroom_crypto, each named in full",
                    written.line,
                    written.text(),
                    TLOG_ITEMS.join(", "),
                    TLOG_TEST_ITEMS.join(", "),
                ));
            }
        }
    }
    found
}

/// The auditor's program shares the hash and the signature with the writer, so that no mistake of one
/// hides in the other.
pub(crate) fn verifier(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for (path, source) in tree.below(VERIFIER) {
        for written in source.paths.iter().filter(|written| !written.in_test) {
            let first = written.segments.first().map_or("", String::as_str);
            let is_shared = written.starts_with(&["strongroom_crypto"])
                && !is_of(written, VERIFIER_ITEMS, &["hash", "sign"]);
            if is_shared || VERIFIER_STRANGERS.contains(&first) {
                found.push(format!(
                    "{VERIFIER}{path}:{}: `{}` is not for the auditor's program: it shares {} of \
                     strongroom_crypto with the writer, each named in full, and nothing else",
                    written.line,
                    written.text(),
                    VERIFIER_ITEMS.join(", "),
                ));
            }
        }
    }
    let manifest = format!("{VERIFIER}Cargo.toml");
    let Some(text) = tree.texts.get(&manifest) else { return found };
    let table = text.parse::<toml::Table>().unwrap_or_default();
    let needs = table.get("dependencies").and_then(toml::Value::as_table);
    let needs: Vec<&str> = needs.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    if needs != ["strongroom-crypto"] {
        found.push(format!(
            "{manifest}: it may depend on strongroom-crypto alone, not on {}",
            needs.join(", ")
        ));
    }
    found
}

/// What is fuzzed counts as test code, so the product must be built without it.
pub(crate) fn fuzzed(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in tree.texts.iter().filter(|(path, _)| path.ends_with(".rs")) {
        let mut before = "";
        for line in text.lines().map(str::trim).filter(|line| *line != "#[doc(hidden)]") {
            if line.ends_with("mod fuzz;") && before != "#[cfg(any(test, feature = \"fuzz\"))]" {
                found.push(format!(
                    "{path}: `{line}` would be in the product: write \
                     #[cfg(any(test, feature = \"fuzz\"))] before it"
                ));
            }
            before = line;
        }
    }
    for (path, text) in tree.texts.iter().filter(|(path, _)| path.ends_with("/Cargo.toml")) {
        for line in
            text.lines().filter(|line| !path.starts_with("fuzz/") && line.contains("\"fuzz\""))
        {
            found.push(format!("{path}: `{line}` turns on what only fuzz/ may: take it out"));
        }
    }
    found
}

/// A grant is a proof that someone decided, a destruction that its entry is durable; each kind has
/// its makers. Tests may make what they need: none of it is in the binary.
pub(crate) fn makers(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for (path, source) in tree.below(SRC) {
        for maker in MAKERS {
            let is_maker =
                is_in(path, maker.places) || maker.parts.iter().any(|part| is_part(path, part));
            if is_maker {
                continue;
            }
            for written in source.paths.iter().filter(|written| !written.in_test) {
                let makes = written.ends_with(&[maker.kind, maker.method]);
                let renames = written.is_renamed && written.ends_with(&[maker.kind]);
                if makes || renames {
                    found.push(format!(
                        "{SRC}{path}:{}: `{}` makes or renames a {}; only {} may: ask there for a \
                         decision and take the result as an argument",
                        written.line,
                        written.text(),
                        maker.kind,
                        maker.cure
                    ));
                }
            }
        }
    }
    found
}

struct Maker {
    kind: &'static str,
    method: &'static str,
    places: &'static [&'static str],
    parts: &'static [&'static str],
    cure: &'static str,
}

/// Upper case only, as the style asks, so that a sentence that begins with `Select` is none.
fn sql_verb(literal: &str) -> Option<&'static str> {
    let mut text = literal.trim_start();
    while let Some(escaped) = text.strip_prefix('\\') {
        text = escaped.strip_prefix(['n', 'r', 't']).unwrap_or(escaped).trim_start();
    }
    SQL_VERBS.iter().copied().find(|verb| {
        text.strip_prefix(verb).is_some_and(|rest| {
            let ends = rest.is_empty() && SQL_LONE_VERBS.contains(verb);
            // `DELETE /v1/customers` is a route.
            let goes_on = rest.starts_with(|letter: char| letter.is_whitespace() || letter == '\\')
                && !rest.trim_start().starts_with('/');
            ends || goes_on || rest.starts_with(';')
        })
    })
}

/// Any path to an opener that does not lead through a door of our own.
fn opens(written: &Written) -> bool {
    let names_opener = written.segments.iter().any(|segment| OPENERS.contains(&segment.as_str()));
    let is_own = written.starts_with(&["crate"]) || written.starts_with(&["keys"]);
    names_opener && !is_own && written.segments.len() > 1
}

fn hides_crate(written: &Written) -> bool {
    let is_whole = written.segments.len() == 1 || written.ends_with(&["self"]);
    is_whole && written.is_renamed
}

fn is_for_tlog(written: &Written) -> bool {
    is_of(written, TLOG_ITEMS, TLOG_MODULES)
        || (written.in_test && is_of(written, TLOG_TEST_ITEMS, TLOG_MODULES))
}

/// Whether a path takes one of these items from its crate, straight or through a module.
fn is_of(written: &Written, items: &[&str], modules: &[&str]) -> bool {
    let mut segments = written.segments.iter().map(String::as_str).skip(1);
    let item = segments.find(|segment| !modules.contains(segment));
    // The crate's bare name is harmless: what is taken from it follows in another path.
    let is_bare = written.segments.len() == 1 && !written.is_renamed;
    is_bare || item.is_some_and(|item| items.contains(&item))
}

const SQL_VERBS: &[&str] = &[
    "ALTER",
    "BEGIN",
    "COMMIT",
    "CREATE",
    "DELETE",
    "DROP",
    "INSERT",
    "PRAGMA",
    "RELEASE",
    "REPLACE",
    "ROLLBACK",
    "SAVEPOINT",
    "SELECT",
    "UPDATE",
    "VACUUM",
    "WITH",
];
const SQL_LONE_VERBS: &[&str] = &["BEGIN", "COMMIT", "ROLLBACK", "VACUUM"];

const HTTP_CRATES: &[&str] =
    &["axum", "http", "http_body", "http_body_util", "hyper", "hyper_util", "tower_http"];
const HTTP_PLACES: &[&str] =
    &["app.rs", "app/", "cli/", "console/", "portal/", "router.rs", "router/", "web/"];
const HTTP_PARTS: &[&str] = &["api", "pages"];

const OPENERS: &[&str] = &["open_record", "unwrap_key"];

const TLOG_ITEMS: &[&str] = &["Sha256", "SigningKey", "VerifyingKey", "sha256"];
const TLOG_TEST_ITEMS: &[&str] = &["SecretKey"];
const TLOG_MODULES: &[&str] = &["hash", "sign", "signature"];

const VERIFIER: &str = "crates/strongroom-verify/";
const VERIFIER_ITEMS: &[&str] = &["VerifyingKey", "sha256"];
const VERIFIER_STRANGERS: &[&str] = &["strongroom", "strongroom_detect", "strongroom_tlog"];

const MAKERS: &[Maker] = &[
    Maker {
        kind: "Destruction",
        method: "issue",
        places: &["vault/jobs.rs", "vault/jobs/"],
        parts: &[],
        cure: "the vault's erase job, after its durable erase.begin,",
    },
    Maker { kind: "Grant", method: "issue", places: &["access/"], parts: &[], cure: "access/" },
    Maker {
        kind: "SystemGrant",
        method: "issue",
        places: &["access/", "jobs.rs", "jobs/"],
        parts: &["jobs"],
        cure: "access/ and the jobs of a room",
    },
];

#[cfg(test)]
#[track_caller]
fn check(rule: fn(&Tree) -> Vec<String>, path: &str, text: &str, expected: &[&str]) {
    match Tree::of(&[(path, text)]) {
        Ok(tree) => crate::tree::check(&rule(&tree), expected),
        Err(error) => assert_eq!(error, "", "the case must parse"),
    }
}

#[test]
fn sql_outside_a_store_is_caught() {
    let text = r#"const A: &str = "SELECT name FROM customer";"#;
    check(sql, "crates/strongroom/src/vault/store.rs", text, &[]);
    check(sql, "crates/strongroom/src/vault/store/find.rs", text, &[]);
    check(sql, "crates/strongroom/src/db/sqlite.rs", text, &[]);
    check(sql, "crates/strongroom/src/vault/tests.rs", text, &[]);
    check(
        sql,
        "crates/strongroom/src/vault/mod.rs",
        text,
        &["vault/mod.rs:1: a statement (`SELECT`)"],
    );
    check(sql, "crates/strongroom/src/store.rs", text, &["SELECT"]);
    let bad = [
        r#"fn f() { run("  \n DELETE\n FROM x") }"#,
        r#"const A: &str = "\nSELECT\n1";"#,
        "const A: &str = \"\\\n    INSERT INTO x\";",
        r##"fn f() { format!(r#"UPDATE {x} SET y"#) }"##,
        r#"const A: &str = "BEGIN IMMEDIATE"; #[cfg(test)] mod t { const B: &str = "COMMIT"; }"#,
        r#"const A: &str = "PRAGMA secure_delete=ON;";"#,
        r#"const A: &str = "COMMIT";"#,
        r#"const A: &str = "WITH x AS (SELECT 1) SELECT 2";"#,
    ];
    for text in bad {
        check(sql, "crates/strongroom/src/vault/rules.rs", text, &["a statement"]);
    }
    for text in ["Select a role", "DELETE /v1/customers", "CREATED at", "SELECT", "UPDATE_MAX"] {
        let text = format!("/// SELECT x\nconst A: &str = \"{text}\";");
        check(sql, "crates/strongroom/src/vault/rules.rs", &text, &[]);
    }
}

#[test]
fn http_inside_the_house_is_caught() {
    let text = "use axum::Json;";
    for path in ["vault/api.rs", "vault/api/create.rs", "staff/pages.rs", "web/tls.rs", "app.rs"] {
        check(http, &format!("{SRC}{path}"), text, &[]);
    }
    for text in [text, "fn f() -> http::StatusCode { g }", "use hyper::{body::Body};"] {
        check(http, "crates/strongroom/src/vault/mod.rs", text, &["vault/mod.rs:1: `"]);
        check(http, "crates/strongroom/src/error.rs", text, &["brings HTTP into the house"]);
    }
    check(
        http,
        "crates/strongroom/src/vault/mod.rs",
        "use crate::web::http::x; let http = 1;",
        &[],
    );
}

#[test]
fn a_hole_in_the_crypto_wall_is_caught() {
    for text in
        ["use aws_lc_rs::digest;", "fn f() { aws_lc_rs::rand::fill(x) }", "use aws_lc_rs as a;"]
    {
        check(ciphers, "crates/strongroom/src/keys/mod.rs", text, &["passes the crypto wall"]);
        check(ciphers, "crates/strongroom-tlog/tests/a.rs", text, &["passes the crypto wall"]);
        check(ciphers, "crates/strongroom-crypto/src/hash.rs", text, &[]);
    }
    let text = "fn f() { rustls::crypto::aws_lc_rs::default_provider() }";
    check(ciphers, "crates/strongroom/src/web/tls.rs", text, &[]);
}

#[test]
fn an_opener_outside_keys_is_caught() {
    let bad = [
        "use strongroom_crypto::{Plain, open_record};",
        "use strongroom_crypto::keys::unwrap_key as f;",
        "use strongroom_crypto::record; fn f() { record::open_record(x) }",
        "use strongroom_crypto::*;",
        "use strongroom_crypto::record::*;",
        "use strongroom_crypto as c;",
        "use strongroom_crypto::{self as c};",
    ];
    for text in bad {
        check(openers, "crates/strongroom/src/vault/mod.rs", text, &[":1: `"]);
        check(openers, "crates/strongroom/tests/it/main.rs", text, &[":1: `"]);
        check(openers, "crates/strongroom/src/keys/keyring.rs", text, &[]);
    }
    let good = "use strongroom_crypto::{Plain, Sealed}; use crate::keys::open_record;";
    check(openers, "crates/strongroom/src/vault/mod.rs", good, &[]);
}

#[test]
fn more_than_hash_and_signature_in_the_log_is_caught() {
    let good = "use strongroom_crypto::{Sha256, sha256, SigningKey as Key}; \
                fn f() { strongroom_crypto::VerifyingKey::parse(x) } \
                #[cfg(test)] mod tests { use strongroom_crypto::SecretKey; }";
    check(tlog, "crates/strongroom-tlog/src/note.rs", good, &[]);
    let bad = [
        "use strongroom_crypto::SecretKey;",
        "use strongroom_crypto::{sha256, seal_record};",
        "use strongroom_crypto::hash::*;",
        "use strongroom_crypto::hash;",
        "use strongroom_crypto as c;",
    ];
    for text in bad {
        check(tlog, "crates/strongroom-tlog/src/note.rs", text, &["is not for the log"]);
        check(tlog, "crates/strongroom/src/ledger/mod.rs", text, &[]);
    }
}

#[test]
fn what_the_auditors_program_shares_with_the_writer_is_caught() {
    let src = "crates/strongroom-verify/src/tree.rs";
    let good = "use strongroom_crypto::{VerifyingKey, sha256}; use crate::tree; \
                #[cfg(test)] mod tests { use strongroom_tlog::Frontier; }";
    check(verifier, src, good, &[]);
    let bad = [
        "use strongroom_tlog::leaf_hash;",
        "fn f() { strongroom_tlog::open_note(x) }",
        "use strongroom::ledger::Leaf;",
        "use strongroom_crypto::Decoder;",
        "use strongroom_crypto::{sha256, SigningKey};",
        "use strongroom_crypto::hash::*;",
        "use strongroom_crypto as c;",
    ];
    for text in bad {
        check(verifier, src, text, &["is not for the auditor's program"]);
        check(verifier, "crates/strongroom-verify/tests/it/made.rs", text, &[]);
    }
    let manifest = "crates/strongroom-verify/Cargo.toml";
    let with = |needs: &str| Tree::of(&[(manifest, &format!("[dependencies]\n{needs}"))]).unwrap();
    crate::tree::check(&verifier(&with("strongroom-crypto.workspace = true")), &[]);
    let more = "strongroom-crypto.workspace = true\nstrongroom-tlog.workspace = true";
    crate::tree::check(&verifier(&with(more)), &["strongroom-crypto alone"]);
    crate::tree::check(&verifier(&with("")), &["strongroom-crypto alone"]);
}

#[test]
fn a_grant_made_elsewhere_is_caught() {
    let grant = "fn f() { ctx::Grant::issue(x) }";
    let system = "fn f() { SystemGrant::issue(x) }";
    for path in ["vault/mod.rs", "vault/jobs.rs", "ctx.rs", "app.rs", "accessory/mod.rs"] {
        check(makers, &format!("{SRC}{path}"), grant, &["makes or renames a Grant"]);
    }
    for path in ["vault/mod.rs", "ctx.rs", "app.rs"] {
        check(makers, &format!("{SRC}{path}"), system, &["makes or renames a SystemGrant"]);
    }
    for path in ["access/mod.rs", "vault/jobs.rs", "vault/jobs/erase.rs", "jobs.rs"] {
        check(makers, &format!("{SRC}{path}"), system, &[]);
    }
    let destruction = "fn f() { crate::ctx::Destruction::issue(x) }";
    for path in ["vault/mod.rs", "retention/jobs.rs", "keys/mod.rs", "access/mod.rs"] {
        check(makers, &format!("{SRC}{path}"), destruction, &["makes or renames a Destruction"]);
    }
    check(makers, "crates/strongroom/src/vault/jobs/erase.rs", destruction, &[]);
    check(makers, "crates/strongroom/src/access/rules.rs", grant, &[]);
    check(makers, "crates/strongroom/src/vault/tests.rs", grant, &[]);
    check(
        makers,
        "crates/strongroom/src/vault/mod.rs",
        "use crate::ctx::Grant as G;",
        &["renames"],
    );
    check(makers, "crates/strongroom/src/vault/mod.rs", "use crate::ctx::Grant;", &[]);
}

#[test]
fn what_is_fuzzed_in_the_product_is_caught() {
    let gated = "#[cfg(any(test, feature = \"fuzz\"))]\n#[doc(hidden)]\npub mod fuzz;";
    check(fuzzed, "crates/a/src/lib.rs", gated, &[]);
    for text in ["pub mod fuzz;", "#[cfg(test)]\nmod a;\nmod fuzz;", "#[doc(hidden)]\nmod fuzz;"] {
        check(fuzzed, "crates/a/src/lib.rs", text, &["would be in the product"]);
    }
    let on = "strongroom = { path = \"..\", features = [\"fuzz\"] }";
    check(fuzzed, "benches/Cargo.toml", on, &["turns on"]);
    check(fuzzed, "crates/a/Cargo.toml", "default = [\"fuzz\"]", &["turns on"]);
    check(fuzzed, "crates/a/Cargo.toml", "[features]\nfuzz = []", &[]);
    check(fuzzed, "fuzz/Cargo.toml", on, &[]);
}

//! Every statement of every room, as it stands in the sources, is taken by both engines: whatever is beyond
//! the subset that they share is not.

use std::path::{Path, PathBuf};

use crate::support::postgres::Cluster;

#[expect(dead_code, reason = "tidy uses all of it")]
#[path = "../../tidy/tokens.rs"]
mod tokens;

/// A statement and where it stands.
struct Found {
    place: String,
    text: String,
}

/// All string literals outside of tests that begin as a statement does. `db` alone may speak to an engine
/// in its own words.
fn statements() -> Vec<Found> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut found, mut folders) = (Vec::new(), vec![root.clone()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let file = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
            if !file.ends_with(".rs") || (file.starts_with("db/") && file != "db/migrate.rs") {
                continue;
            }
            let is_test = file.contains("tests");
            let source = tokens::read(&std::fs::read_to_string(&path).unwrap(), is_test).unwrap();
            let literals = source.literals.into_iter().filter(|it| !it.in_test);
            found.extend(literals.filter_map(|literal| {
                let text = unescaped(&literal.text);
                let (place, text) = (format!("src/{file}:{}", literal.line), text);
                is_statement(&text).then_some(Found { place, text })
            }));
        }
    }
    found
}

fn is_statement(text: &str) -> bool {
    let first = ["SELECT ", "INSERT INTO ", "UPDATE ", "DELETE FROM ", "WITH "];
    first.iter().any(|first| text.starts_with(first))
}

/// A backslash at the end of a line takes the break and the blanks after it away.
fn unescaped(text: &str) -> String {
    let mut lines = text.split("\\\n");
    let first = lines.next().unwrap_or_default().to_owned();
    lines.fold(first, |text, line| text + line.trim_start()).replace("\\\"", "\"")
}

/// The schemas that stand beside each other, each in a database of its own.
const SCHEMAS: [&str; 3] = ["data", "keys", "witness"];

fn schema(name: &str, words: [(&str, &str); 4]) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/db/migrations");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.file_name().unwrap().to_string_lossy().starts_with(name));
    files.sort();
    assert!(!files.is_empty(), "{name}");
    let texts = files.iter().map(|path| std::fs::read_to_string(path).unwrap());
    let text: String = texts.collect();
    let text = words.iter().fold(text, |text, (ours, theirs)| text.replace(ours, theirs));
    text + ";CREATE TABLE schema_version (id BIGINT PRIMARY KEY, version BIGINT NOT NULL);"
}

#[test]
fn each_statement_is_taken_by_sqlite_under_one_of_the_schemas() {
    let words = [
        ("{bytes}", "BLOB"),
        ("{text}", "TEXT"),
        ("{integer}", "INTEGER"),
        ("{clustered}", "WITHOUT ROWID"),
    ];
    let databases = SCHEMAS.map(|name| {
        let db = rusqlite::Connection::open_in_memory().unwrap();
        db.execute_batch(&schema(name, words)).unwrap();
        db
    });
    let all = statements();
    assert!(all.len() > 200, "only {} were found", all.len());
    for Found { place, text } in &all {
        let sql = text.replace('$', "?");
        let refused: Vec<_> = databases.iter().filter_map(|db| db.prepare(&sql).err()).collect();
        assert!(refused.len() < databases.len(), "{place}: {text}\n{refused:?}");
    }
}

#[test]
fn each_statement_is_taken_by_postgresql_and_brings_back_what_the_seam_reads() {
    use tokio_postgres::types::Type;
    let Some(cluster) = Cluster::shared() else { return };
    let words = [
        ("{bytes}", "BYTEA"),
        ("{text}", "TEXT COLLATE \"C\""),
        ("{integer}", "BIGINT"),
        ("{clustered}", ""),
    ];
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut clients = Vec::new();
        for (schema_name, name) in SCHEMAS.into_iter().zip(["st_data", "st_keys", "st_witness"]) {
            cluster.database(name);
            let mut config: tokio_postgres::Config = cluster.url(name).parse().unwrap();
            config.password(cluster.password());
            let (client, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
            tokio::spawn(connection);
            client.batch_execute(&schema(schema_name, words)).await.unwrap();
            clients.push(client);
        }
        let readable = [Type::BYTEA, Type::INT8, Type::INT4, Type::BOOL, Type::TEXT];
        for Found { place, text } in statements() {
            let (mut taken, mut refused) = (None, Vec::new());
            for client in &clients {
                match client.prepare(&text).await {
                    Ok(prepared) => taken = taken.or(Some(prepared)),
                    Err(error) => refused.push(error.as_db_error().map(ToString::to_string)),
                }
            }
            let taken = taken.unwrap_or_else(|| panic!("{place}: {text}\n{refused:?}"));
            for column in taken.columns() {
                let ty = column.type_();
                assert!(
                    readable.contains(ty),
                    "{place}: {} is of type {ty}\n{text}",
                    column.name()
                );
            }
            for ty in taken.params() {
                assert!(readable.contains(ty), "{place}: a parameter of type {ty}\n{text}");
            }
        }
    });
}

/// Taken by both, and meant differently by each.
#[test]
fn no_statement_says_what_the_engines_understand_differently() {
    let differs = [
        (" LIKE ", "SQLite takes no notice of case"),
        (" RANDOM(", "chance is injected"),
        ("NOW()", "time is injected"),
        ("CURRENT_", "time is injected"),
        ("TYPEOF(", "SQLite alone keeps other types in a column"),
        ("COLLATE", "the schema says it"),
        (" ROUND(", "numbers are whole"),
        (" AVG(", "numbers are whole"),
    ];
    for Found { place, text } in statements() {
        let upper = text.to_uppercase();
        for (word, why) in differs {
            assert!(!upper.contains(word), "{place}: {word} ({why})\n{text}");
        }
    }
}

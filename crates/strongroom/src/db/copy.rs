//! Whole tables, row by row: what a backup reads and a restore writes.
//!
//! The only place where a statement is put together while running: from names of tables and columns
//! that stand in the database's own schema, never from anything else.

use rusqlite::params_from_iter;

use crate::db::Connection;
use crate::db::connection::read_row;
use crate::error::Error;
use crate::sql::Value;

/// A table and its columns, in the order of the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableShape {
    /// Its name.
    pub name: String,
    /// The names of its columns.
    pub columns: Vec<String>,
}

/// Every table there is but the one that holds the version of the schema.
pub fn list_tables(db: &mut Connection) -> Result<Vec<TableShape>, Error> {
    let mut names = db.raw().prepare(LIST_TABLES)?;
    let names: Vec<String> =
        names.query_map([], |row| row.get(0))?.collect::<Result<_, rusqlite::Error>>()?;
    let mut tables = Vec::with_capacity(names.len());
    for name in names {
        let mut columns = db.raw().prepare(LIST_COLUMNS)?;
        let columns = columns.query_map([&name], |row| row.get(0))?;
        let columns = columns.collect::<Result<_, rusqlite::Error>>()?;
        tables.push(TableShape { name, columns });
    }
    Ok(tables)
}

/// Every row of a table, in the order it is stored. `visit` sees one at a time, so that the largest
/// table does not have to fit into memory.
pub fn read_rows(
    db: &mut Connection,
    table: &TableShape,
    mut visit: impl FnMut(Vec<Value>) -> Result<(), Error>,
) -> Result<(), Error> {
    let sql = format!("SELECT {} FROM {}", columns(table), quoted(&table.name));
    let mut statement = db.raw().prepare(&sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        visit(read_row(row, table.columns.len())?.0)?;
    }
    Ok(())
}

/// A page of a table after a row, by its first column, which must be unique: for stores in which no
/// read may last long.
pub fn rows_after(
    db: &mut Connection,
    table: &TableShape,
    after: Option<&Value>,
    limit: i64,
) -> Result<Vec<Vec<Value>>, Error> {
    let first = table.columns.first().map(|name| quoted(name)).unwrap_or_default();
    let filter = if after.is_some() { format!("WHERE {first} > ?1") } else { String::new() };
    let (name, columns) = (quoted(&table.name), columns(table));
    let sql = format!("SELECT {columns} FROM {name} {filter} ORDER BY {first} LIMIT {limit}");
    let mut statement = db.raw().prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(after))?;
    let mut page = Vec::new();
    while let Some(row) = rows.next()? {
        page.push(read_row(row, table.columns.len())?.0);
    }
    Ok(page)
}

/// Puts a row into a table whose shape was held against the schema.
pub fn insert_row(db: &mut Connection, table: &TableShape, row: &[Value]) -> Result<(), Error> {
    let places = vec!["?"; table.columns.len()].join(", ");
    let (name, columns) = (quoted(&table.name), columns(table));
    let sql = format!("INSERT INTO {name} ({columns}) VALUES ({places})");
    db.raw().prepare_cached(&sql)?.execute(params_from_iter(row))?;
    Ok(())
}

fn columns(table: &TableShape) -> String {
    let names: Vec<String> = table.columns.iter().map(|name| quoted(name)).collect();
    names.join(", ")
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

const LIST_TABLES: &str = "SELECT name FROM sqlite_master
WHERE type = 'table' AND name <> 'schema_version' AND name NOT LIKE 'sqlite_%'
ORDER BY name";

const LIST_COLUMNS: &str = "SELECT name FROM pragma_table_info(?1) ORDER BY cid";

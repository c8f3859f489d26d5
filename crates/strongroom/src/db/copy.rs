//! Whole tables, row by row: what a backup reads and a restore writes.
//!
//! The only place where a statement is put together while running: from names of tables and columns
//! that stand in the database's own schema, never from anything else.

use crate::db::Connection;
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
    let dialect = db.dialect();
    let names = db.query(dialect.list_tables, &[])?;
    let mut tables = Vec::with_capacity(names.len());
    for name in names {
        let name = name.text(0)?.to_owned();
        let columns = db.query(dialect.list_columns, &[name.as_str().into()])?;
        let columns = columns.iter().map(|column| Ok(column.text(0)?.to_owned()));
        tables.push(TableShape { name, columns: columns.collect::<Result<_, Error>>()? });
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
    db.visit(&sql, &[], |row| visit(row.0))
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
    let filter = if after.is_some() { format!("WHERE {first} > $1") } else { String::new() };
    let (name, columns) = (quoted(&table.name), columns(table));
    let sql = format!("SELECT {columns} FROM {name} {filter} ORDER BY {first} LIMIT {limit}");
    let mut page = Vec::new();
    db.visit(&sql, after.map(std::slice::from_ref).unwrap_or_default(), |row| {
        page.push(row.0);
        Ok(())
    })?;
    Ok(page)
}

/// Puts a row into a table whose shape was held against the schema.
pub fn insert_row(db: &mut Connection, table: &TableShape, row: &[Value]) -> Result<(), Error> {
    let places: Vec<String> = (1..=table.columns.len()).map(|place| format!("${place}")).collect();
    let (name, columns, places) = (quoted(&table.name), columns(table), places.join(", "));
    db.execute_made(&format!("INSERT INTO {name} ({columns}) VALUES ({places})"), row)
}

fn columns(table: &TableShape) -> String {
    let names: Vec<String> = table.columns.iter().map(|name| quoted(name)).collect();
    names.join(", ")
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

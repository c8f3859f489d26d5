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

/// The columns that tell the rows of a table apart, by their places in its shape and in the order of its
/// primary key.
pub(super) fn key_of(db: &mut Connection, table: &TableShape) -> Result<Vec<usize>, Error> {
    let names = db.query(db.dialect().list_key, &[table.name.as_str().into()])?;
    let place = |name: &str| table.columns.iter().position(|column| column == name);
    let key = names.iter().map(|name| place(name.text(0)?).ok_or_else(|| no_key(table)));
    let key: Vec<usize> = key.collect::<Result<_, _>>()?;
    if key.is_empty() { Err(no_key(table)) } else { Ok(key) }
}

/// The rows of a table behind one of them, in the order of its key; the first ones without one.
pub(super) fn page_after(
    db: &mut Connection,
    table: &TableShape,
    key: &[usize],
    after: Option<&[Value]>,
    limit: i64,
) -> Result<Vec<Vec<Value>>, Error> {
    let order = key_columns(table, key);
    let filter = match after {
        Some(_) => format!("WHERE ({order}) > ({})", places(key.len())),
        None => String::new(),
    };
    let (name, columns) = (quoted(&table.name), columns(table));
    let sql = format!("SELECT {columns} FROM {name} {filter} ORDER BY {order} LIMIT {limit}");
    let mut page = Vec::new();
    db.visit(&sql, after.unwrap_or_default(), |row| {
        page.push(row.0);
        Ok(())
    })?;
    Ok(page)
}

/// The key of the last row of a table; none where it is empty.
pub(super) fn last_key(
    db: &mut Connection,
    table: &TableShape,
    key: &[usize],
) -> Result<Option<Vec<Value>>, Error> {
    let order = key_columns(table, key);
    let descending = order.replace(", ", " DESC, ");
    let name = quoted(&table.name);
    let sql = format!("SELECT {order} FROM {name} ORDER BY {descending} DESC LIMIT 1");
    let mut last = None;
    db.visit(&sql, &[], |row| {
        last = Some(row.0);
        Ok(())
    })?;
    Ok(last)
}

/// Puts rows into a table whose shape was held against the schema.
pub(super) fn insert_rows(
    db: &mut Connection,
    table: &TableShape,
    rows: &[Vec<Value>],
) -> Result<(), Error> {
    db.put_rows((&quoted(&table.name), &columns(table)), &insert_sql(table), rows)
}

/// How many rows a table has.
pub(super) fn count_rows(db: &mut Connection, table: &TableShape) -> Result<u64, Error> {
    let mut count = 0;
    db.visit(&format!("SELECT count(*) FROM {}", quoted(&table.name)), &[], |row| {
        count = u64::try_from(row.integer(0)?).map_err(Error::internal)?;
        Ok(())
    })?;
    Ok(count)
}

/// Deletes every row of a table.
pub(super) fn delete_rows(db: &mut Connection, table: &TableShape) -> Result<(), Error> {
    db.execute_made(&format!("DELETE FROM {}", quoted(&table.name)), &[])
}

/// Puts a row into a table whose shape was held against the schema.
pub fn insert_row(db: &mut Connection, table: &TableShape, row: &[Value]) -> Result<(), Error> {
    db.execute_made(&insert_sql(table), row)
}

fn insert_sql(table: &TableShape) -> String {
    let (name, columns, places) =
        (quoted(&table.name), columns(table), places(table.columns.len()));
    format!("INSERT INTO {name} ({columns}) VALUES ({places})")
}

fn places(count: usize) -> String {
    let places: Vec<String> = (1..=count).map(|place| format!("${place}")).collect();
    places.join(", ")
}

fn key_columns(table: &TableShape, key: &[usize]) -> String {
    let names = key.iter().filter_map(|place| table.columns.get(*place));
    let names: Vec<String> = names.map(|name| quoted(name)).collect();
    names.join(", ")
}

fn columns(table: &TableShape) -> String {
    let names: Vec<String> = table.columns.iter().map(|name| quoted(name)).collect();
    names.join(", ")
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn no_key(table: &TableShape) -> Error {
    Error::internal(format!("the table {} has no primary key", table.name))
}

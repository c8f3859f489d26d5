//! A database moved to another place: table by table in the order of each key, so that a move that broke off
//! goes on behind the last row that arrived.

use crate::db::copy::{
    TableShape, count_rows, delete_rows, insert_rows, key_of, last_key, list_tables, page_after,
};
use crate::db::{Connection, NullOf, Statement, Value};
use crate::error::Error;

/// What a move left in a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// How far it is.
    pub moving: Moving,
    /// The checkpoint of the log when the move began; empty where there was none yet.
    pub checkpoint: String,
}

/// How far a move is, as the database sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moving {
    /// Rows are still coming.
    Arriving,
    /// Every row is here, and was held against the one it came from.
    Whole,
    /// The data is at another place now.
    Away,
}

impl Mark {
    /// None where nothing was moved, or a move is done.
    pub fn read(db: &mut Connection) -> Result<Option<Self>, Error> {
        let Some(row) = db.one(READ, &[])? else { return Ok(None) };
        let moving = match row.text(0)? {
            ARRIVING => Moving::Arriving,
            WHOLE => Moving::Whole,
            _ => Moving::Away,
        };
        Ok(Some(Self { moving, checkpoint: row.text(1)?.to_owned() }))
    }

    /// In place of the one there is.
    pub fn put(&self, db: &mut Connection) -> Result<(), Error> {
        let state = match self.moving {
            Moving::Arriving => ARRIVING,
            Moving::Whole => WHOLE,
            Moving::Away => AWAY,
        };
        let args = vec![state.into(), self.checkpoint.as_str().into()];
        db.execute(&Statement::new(PUT, args)).map(drop)
    }

    /// Nothing is left of a move: the database is one like any other.
    pub fn forget(db: &mut Connection) -> Result<(), Error> {
        db.execute(&Statement::new(FORGET, Vec::new())).map(drop)
    }

    /// In a database that rows were arriving in, of a move that does not go on: deletes them all, and begins
    /// another one.
    pub fn begin_anew(&self, db: &mut Connection) -> Result<(), Error> {
        db.begin()?;
        for table in moved_tables(db)? {
            delete_rows(db, &table)?;
        }
        self.put(db)?;
        db.commit()
    }
}

/// Deletes every row of a database whose rows are all at another place now, and marks it as left.
pub fn leave_empty(db: &mut Connection) -> Result<(), Error> {
    for table in moved_tables(db)? {
        delete_rows(db, &table)?;
    }
    Mark { moving: Moving::Away, checkpoint: String::new() }.put(db)
}

/// Whether no table has a row.
pub fn is_empty(db: &mut Connection) -> Result<bool, Error> {
    for table in moved_tables(db)? {
        let key = key_of(db, &table)?;
        if last_key(db, &table, &key)?.is_some() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What is moved: every table but the marks of a move, which both places have of their own.
fn moved_tables(db: &mut Connection) -> Result<Vec<TableShape>, Error> {
    let mut tables = list_tables(db)?;
    tables.retain(|table| table.name != TABLE);
    Ok(tables)
}

/// How far a copy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leg {
    /// Rows are on their way.
    Copied,
    /// Rows are held against those they came from.
    Compared,
}

/// Copies what has not arrived yet and holds all of it against what it came from; gives how many rows there are.
/// `told` hears how many so far; an error of it ends the copying there. Fails with `move_flawed` where a row is
/// another.
pub fn copy_all(
    from: &mut Connection,
    to: &mut Connection,
    mut told: impl FnMut(Leg, u64) -> Result<(), Error>,
) -> Result<u64, Error> {
    let (mut copied, mut compared) = (0, 0);
    let tables = moved_tables(from)?;
    for table in &tables {
        copy_table(from, to, table, |rows| {
            copied += rows;
            told(Leg::Copied, copied)
        })?;
    }
    for table in &tables {
        let same = same_rows(from, to, table, |rows| {
            compared += rows;
            told(Leg::Compared, compared)
        })?;
        if !same {
            return Err(move_flawed(&format!("the table `{}` is not what was sent", table.name)));
        }
    }
    Ok(compared)
}

/// How many rows there are in all that is moved.
pub fn count_all(db: &mut Connection) -> Result<u64, Error> {
    let tables = moved_tables(db)?;
    tables.iter().map(|table| count_rows(db, table)).sum()
}

/// Copies the rows of a table that have not arrived yet, a page and a COMMIT at a time. `told` hears how many
/// there are after each; an error of it ends the copying there.
fn copy_table(
    from: &mut Connection,
    to: &mut Connection,
    table: &TableShape,
    mut told: impl FnMut(u64) -> Result<(), Error>,
) -> Result<(), Error> {
    let key = key_of(from, table)?;
    let mut after = last_key(to, table, &key)?;
    loop {
        let page = page_after(from, table, &key, after.as_deref(), PAGE_ROWS)?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(key_in(last, &key));
        to.begin()?;
        insert_rows(to, table, &page)?;
        to.commit()?;
        told(page.len() as u64)?;
    }
}

/// Reads a table at both places, row beside row; gives whether all are the same.
fn same_rows(
    one: &mut Connection,
    other: &mut Connection,
    table: &TableShape,
    mut told: impl FnMut(u64) -> Result<(), Error>,
) -> Result<bool, Error> {
    let key = key_of(one, table)?;
    let mut after = None;
    loop {
        let here = page_after(one, table, &key, after.as_deref(), PAGE_ROWS)?;
        let there = page_after(other, table, &key, after.as_deref(), PAGE_ROWS)?;
        if here.len() != there.len() || !here.iter().zip(&there).all(|(a, b)| is_same(a, b)) {
            return Ok(false);
        }
        let Some(last) = here.last() else { return Ok(true) };
        after = Some(key_in(last, &key));
        told(here.len() as u64)?;
    }
}

/// What is said where `move` finds that something did not arrive as it was sent.
pub fn move_flawed(what: &str) -> Error {
    let detail = format!(
        "what arrived cannot be used: {what}. Nothing was changed at the place it came from, which stays \
         the one in use; empty the new place and move again"
    );
    Error::unavailable("move_flawed", detail)
}

/// An absent value is one, whatever type the engine says it would have had.
fn is_same(one: &[Value], other: &[Value]) -> bool {
    let untyped = |value: &Value| match value {
        Value::Null(_) => Value::Null(NullOf::Text),
        value => value.clone(),
    };
    one.len() == other.len() && one.iter().zip(other).all(|(a, b)| untyped(a) == untyped(b))
}

fn key_in(row: &[Value], key: &[usize]) -> Vec<Value> {
    key.iter().filter_map(|place| row.get(*place)).cloned().collect()
}

const TABLE: &str = "moving";

const ARRIVING: &str = "arriving";
const WHOLE: &str = "whole";
const AWAY: &str = "away";

const READ: &str = "SELECT state, checkpoint FROM moving WHERE id = 1";

const PUT: &str = "INSERT INTO moving (id, state, checkpoint) VALUES (1, $1, $2)
ON CONFLICT (id) DO UPDATE SET state = excluded.state, checkpoint = excluded.checkpoint";

const FORGET: &str = "DELETE FROM moving WHERE id = 1";

/// Some MB of the largest records.
const PAGE_ROWS: i64 = 1_000;

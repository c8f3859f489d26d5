//! Many statements, one way there and back; and rows for one table that follow each other, one statement.

use futures::FutureExt;
use tokio_postgres::types::{ToSql, Type};

use super::{Postgres, silent};
use crate::db::connection::Ran;
use crate::db::wire::type_of;
use crate::error::Error;
use crate::sql::{Statement, Value};

/// A prepared statement and what stands in for its parameters.
struct Asked<'a> {
    prepared: tokio_postgres::Statement,
    args: Vec<Arg<'a>>,
}

enum Arg<'a> {
    One(&'a Value),
    /// One value of each row.
    Column(Vec<&'a Value>),
}

impl<'a> Arg<'a> {
    fn as_sql(&self) -> &(dyn ToSql + Sync + 'a) {
        match self {
            Self::One(value) => *value,
            Self::Column(values) => values,
        }
    }
}

impl Postgres {
    /// How many rows each statement changed, or brought back if it is a question; all are sent in their order, many
    /// before the first answer is waited for.
    pub(in crate::db) fn execute_all(&mut self, statements: &[&Statement]) -> Result<Ran, Error> {
        let asked = statements.iter().map(|statement| self.one(statement));
        let asked = asked.collect::<Result<Vec<_>, _>>()?;
        self.run_all(&asked)
    }

    /// The same where nobody asks how many rows each of them changed.
    pub(in crate::db) fn write_all(&mut self, statements: &[&Statement]) -> Result<(), Error> {
        let asked = self.together(statements)?;
        self.run_all(&asked)?.whole().map(drop)
    }

    /// The same without waiting: what is asked next does, and fails where one of these failed; so does the COMMIT.
    pub(in crate::db) fn write_all_later(
        &mut self,
        statements: &[&Statement],
    ) -> Result<(), Error> {
        let asked = self.together(statements)?;
        asked.iter().try_for_each(|one| self.answers.leave(self.ask(one)))
    }

    fn run_all(&self, asked: &[Asked<'_>]) -> Result<Ran, Error> {
        let mut rows = Vec::with_capacity(asked.len());
        for some in asked.chunks(SENT_AT_ONCE_MAX) {
            if self.answers.is_lost.get() {
                return Err(silent());
            }
            let asking = some.iter().map(|one| {
                let mut asking = Box::pin(self.ask(one));
                // The first step of a question sends it.
                let early = asking.as_mut().now_or_never();
                (asking, early)
            });
            let asking: Vec<_> = asking.collect();
            for (asking, early) in asking {
                let answer = match early {
                    Some(early) => early.map_err(Error::from),
                    None => self.answers.wait(asking),
                };
                match answer {
                    Ok(changed) => rows.push(changed),
                    // Those after it fail too, and say less.
                    Err(error) => return Ok(Ran { rows, failed: Some(error) }),
                }
            }
        }
        Ok(Ran { rows, failed: None })
    }

    async fn ask(&self, asked: &Asked<'_>) -> Result<u64, tokio_postgres::Error> {
        let args: Vec<_> = asked.args.iter().map(Arg::as_sql).collect();
        self.client.execute(&asked.prepared, &args).await
    }

    fn one<'a>(&mut self, statement: &'a Statement) -> Result<Asked<'a>, Error> {
        let prepared = self.prepare(statement.sql, &statement.args)?;
        Ok(Asked { prepared, args: statement.args.iter().map(Arg::One).collect() })
    }

    /// Statements in their order, rows for one table that follow each other as one.
    fn together<'a>(&mut self, statements: &[&'a Statement]) -> Result<Vec<Asked<'a>>, Error> {
        let mut asked = Vec::with_capacity(statements.len());
        for same in statements.chunk_by(|one, next| one.sql == next.sql) {
            let many = same.first().filter(|_| same.len() >= ROWS_MIN);
            match many.map(|first| self.prepare_rows(first)).transpose()?.flatten() {
                Some(prepared) => {
                    for rows in same.chunks(ROWS_MAX) {
                        let prepared = prepared.clone();
                        asked.push(Asked { prepared, args: columns(rows)? });
                    }
                }
                None => {
                    for statement in same {
                        asked.push(self.one(statement)?);
                    }
                }
            }
        }
        Ok(asked)
    }

    /// The statement that writes many rows where this one writes one; none where it does more than that.
    fn prepare_rows(
        &mut self,
        one: &Statement,
    ) -> Result<Option<tokio_postgres::Statement>, Error> {
        if let Some(known) = self.prepared_rows.get(one.sql) {
            return Ok(known.clone());
        }
        let prepared = match rows_text(one.sql, one.args.len()) {
            None => None,
            Some(text) => {
                let types: Vec<Type> = one.args.iter().map(array_of).collect();
                Some(self.answers.wait(self.client.prepare_typed(&text, &types))?)
            }
        };
        self.prepared_rows.insert(one.sql, prepared.clone());
        Ok(prepared)
    }
}

/// The values of rows, column by column.
fn columns<'a>(rows: &[&'a Statement]) -> Result<Vec<Arg<'a>>, Error> {
    let width = rows.first().map_or(0, |row| row.args.len());
    // A shorter column would be filled with nulls.
    if rows.iter().any(|row| row.args.len() != width) {
        return Err(Error::internal("rows of different lengths for one table"));
    }
    let column = |place| rows.iter().filter_map(|row| row.args.get(place)).collect();
    Ok((0..width).map(column).map(Arg::Column).collect())
}

fn array_of(value: &Value) -> Type {
    match type_of(value) {
        Type::INT8 => Type::INT8_ARRAY,
        Type::BYTEA => Type::BYTEA_ARRAY,
        _ => Type::TEXT_ARRAY,
    }
}

/// The text that writes the rows of its arrays where `sql` writes the row of its parameters. `None` where that would
/// be something else: an upsert may meet a row twice, and values that are no parameters stay with their row.
fn rows_text(sql: &str, width: usize) -> Option<String> {
    let params = (1..=width).map(|number| format!("${number}")).collect::<Vec<_>>().join(", ");
    let (table, rest) = sql.split_once(&format!("VALUES ({params})"))?;
    let is_plain = rest.is_empty()
        || rest.trim_start().starts_with("ON CONFLICT") && rest.ends_with("DO NOTHING");
    let is_row = table.starts_with("INSERT INTO ") && !table.contains('$');
    (width > 0 && is_plain && is_row)
        .then(|| format!("{table}SELECT * FROM unnest({params}){rest}"))
}

/// Bounds what waits to be sent, and answers that wait to be read.
const SENT_AT_ONCE_MAX: usize = 1_024;

/// Fewer are sent as they are: they share their way there and back too.
const ROWS_MIN: usize = 4;

/// Less than a megabyte of sealed records.
const ROWS_MAX: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_different_lengths_are_refused() {
        let row = |values: &[i64]| {
            Statement::new("INSERT", values.iter().map(|value| Value::from(*value)).collect())
        };
        let (long, short) = (row(&[1, 2]), row(&[1]));
        assert_eq!(columns(&[&long, &long]).unwrap().len(), 2);
        for rows in [[&long, &short], [&short, &long]] {
            assert!(columns(&rows).is_err());
        }
    }

    #[test]
    fn a_row_becomes_rows_only_where_that_is_all_it_does() {
        let many = |sql, width| rows_text(sql, width);
        assert_eq!(
            many("INSERT INTO t (a, b) VALUES ($1, $2)", 2).as_deref(),
            Some("INSERT INTO t (a, b) SELECT * FROM unnest($1, $2)")
        );
        let kept = "INSERT INTO t (a)\nVALUES ($1)\nON CONFLICT (a) DO NOTHING";
        assert_eq!(
            many(kept, 1).as_deref(),
            Some("INSERT INTO t (a)\nSELECT * FROM unnest($1)\nON CONFLICT (a) DO NOTHING")
        );
        for (sql, width) in [
            ("INSERT INTO t (a) VALUES ($1) ON CONFLICT (a) DO UPDATE SET a = excluded.a", 1),
            ("INSERT INTO t (a) VALUES ($1) RETURNING a", 1),
            ("INSERT INTO t (a, b) VALUES ($1, 'x')", 1),
            ("INSERT INTO t (a, b) VALUES ($2, $1)", 2),
            ("INSERT INTO t (a, b) VALUES ($1, $2)", 1),
            ("INSERT INTO t (a) SELECT $1 WHERE EXISTS (SELECT 1)", 1),
            ("INSERT INTO t (a) VALUES (1)", 0),
            ("UPDATE t SET a = $1", 1),
        ] {
            assert_eq!(many(sql, width), None, "{sql}");
        }
    }
}

//! What a program without keys, rights and proofs would do: read, change or delete a plain row, and write a plain line
//! of what it did. As many in one commit as there are clients, as durable as the product.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, Transaction, params};
use tokio::time::Instant;

use crate::measured::{Measured, latencies_us};
use crate::plan::Span;
use crate::shop::person;
use crate::tuned;

/// What is done to a row.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Change,
    Delete,
    Read,
}

/// Deleting ends with the last row; the others at the end of the span.
pub(crate) fn measure(
    folder: &Path,
    act: Act,
    clients: usize,
    span: Span,
) -> anyhow::Result<Measured> {
    let place = tempfile::tempdir_in(folder)?;
    let (mut connection, _copier) = tuned::open(&place.path().join("plain.db"))?;
    connection.execute_batch(SCHEMA)?;
    fill(&mut connection)?;
    // Only that much can be deleted; nothing is left to warm up with.
    let (warm_up, acts_max) = match act {
        Act::Delete => (Duration::ZERO, ROWS),
        Act::Change | Act::Read => (span.warm_up(), usize::MAX),
    };
    let (begin, mut acts, mut latencies) = (Instant::now() + warm_up, 0, Vec::new());
    let end = begin + span.run();
    let mut done = begin;
    loop {
        let begun = Instant::now();
        if begun >= end || acts + clients > acts_max {
            break;
        }
        let turn = connection.transaction()?;
        for _ in 0..clients {
            acts += 1;
            let number = i64::try_from((acts * STRIDE) % ROWS)?;
            anyhow::ensure!(act.on(&turn, number)?, "no such row");
            turn.prepare_cached(LINE)?.execute(params![number, LINE_TEXT])?;
        }
        turn.commit()?;
        done = Instant::now();
        if begun >= begin {
            latencies.push(u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX));
        }
    }
    let operations = (latencies.len() * clients) as u64;
    let [p50_us, p99_us, max_us] = latencies_us(latencies);
    Ok(Measured {
        operations,
        per_second: operations as f64 / done.duration_since(begin).as_secs_f64(),
        server_cpu_us: None,
        generator_cpu_us: None,
        written_bytes: None,
        commits: None,
        p50_us,
        p99_us,
        max_us,
    })
}

impl Act {
    fn on(self, turn: &Transaction<'_>, number: i64) -> anyhow::Result<bool> {
        Ok(match self {
            Self::Change => turn.prepare_cached(UPDATE)?.execute([number])? == 1,
            Self::Delete => turn.prepare_cached(DELETE)?.execute([number])? == 1,
            Self::Read => {
                let mut find = turn.prepare_cached(FIND)?;
                let profile = find.query_row([number], |row| row.get::<_, String>(0))?;
                !std::hint::black_box(profile).is_empty()
            }
        })
    }
}

fn fill(connection: &mut Connection) -> anyhow::Result<()> {
    let turn = connection.transaction()?;
    for number in 0..ROWS {
        turn.prepare_cached(INSERT)?
            .execute(params![i64::try_from(number)?, person(number).to_string()])?;
    }
    Ok(turn.commit()?)
}

const SCHEMA: &str = "
    CREATE TABLE customer (id INTEGER PRIMARY KEY, points INTEGER NOT NULL, profile TEXT NOT NULL);
    CREATE TABLE line (id INTEGER PRIMARY KEY, customer INTEGER NOT NULL, text TEXT NOT NULL);
";

const INSERT: &str = "INSERT INTO customer (id, points, profile) VALUES (?1, 0, ?2)";

const UPDATE: &str = "UPDATE customer SET points = points + 1 WHERE id = ?1";

const DELETE: &str = "DELETE FROM customer WHERE id = ?1";

const FIND: &str = "SELECT profile FROM customer WHERE id = ?1";

const LINE: &str = "INSERT INTO line (customer, text) VALUES (?1, ?2)";

/// About what a line of a plain log says.
const LINE_TEXT: &str = "2026-11-23T09:00:00Z shop-key-1 customer.patch points support 127.0.0.1";

const ROWS: usize = 10_000;

/// Prime to the number of rows: each comes in its turn, and neighbours do not.
const STRIDE: usize = 7_919;

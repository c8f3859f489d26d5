//! What a program without keys, rights and proofs would do: change a plain row, and write a plain line of what it
//! did. As many in one commit as there are clients, as durable as the product.

use std::path::Path;

use rusqlite::{Connection, params};
use tokio::time::Instant;

use crate::measured::{Measured, latencies_us};
use crate::plan::Span;
use crate::shop::person;
use crate::tuned;

pub(crate) fn measure(folder: &Path, clients: usize, span: Span) -> anyhow::Result<Measured> {
    let place = tempfile::tempdir_in(folder)?;
    let (mut connection, _copier) = tuned::open(&place.path().join("plain.db"))?;
    connection.execute_batch(SCHEMA)?;
    fill(&mut connection)?;
    let (begin, mut changes, mut latencies) = (Instant::now() + span.warm_up(), 0, Vec::new());
    let end = begin + span.run();
    loop {
        let begun = Instant::now();
        if begun >= end {
            break;
        }
        let turn = connection.transaction()?;
        for _ in 0..clients {
            changes += STRIDE;
            let number = i64::try_from(changes % ROWS)?;
            let changed = turn.prepare_cached(UPDATE)?.execute([number])?;
            anyhow::ensure!(changed == 1, "no row to change");
            turn.prepare_cached(LINE)?.execute(params![number, LINE_TEXT])?;
        }
        turn.commit()?;
        if begun >= begin {
            latencies.push(u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX));
        }
    }
    let operations = (latencies.len() * clients) as u64;
    let [p50_us, p99_us, max_us] = latencies_us(latencies);
    Ok(Measured {
        operations,
        per_second: operations as f64 / span.run().as_secs_f64(),
        server_cpu_us: None,
        generator_cpu_us: None,
        written_bytes: None,
        p50_us,
        p99_us,
        max_us,
    })
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

const LINE: &str = "INSERT INTO line (customer, text) VALUES (?1, ?2)";

/// About what a line of a plain log says.
const LINE_TEXT: &str = "2026-11-23T09:00:00Z shop-key-1 customer.patch points support 127.0.0.1";

const ROWS: usize = 10_000;

/// Prime to the number of rows: each comes in its turn, and neighbours do not.
const STRIDE: usize = 7_919;

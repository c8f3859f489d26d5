//! The baseline of one client: one row, one bare SQLite commit, as durable as the product's.

use std::path::Path;

use rusqlite::Connection;
use tokio::time::Instant;

use crate::measured::{Measured, latencies_us};
use crate::plan::Span;

/// Commits one row after the other, in the folder that holds the product's data.
pub(crate) fn measure(folder: &Path, span: Span) -> anyhow::Result<Measured> {
    let connection = Connection::open(folder.join("bare.db"))?;
    connection.execute_batch(SETTINGS)?;
    let mut insert = connection.prepare(INSERT)?;
    let begin = Instant::now() + span.warm_up();
    let end = begin + span.run();
    let mut latencies = Vec::new();
    loop {
        let begun = Instant::now();
        if begun >= end {
            break;
        }
        insert.execute([[7_u8; ROW_SIZE_BYTES].as_slice()])?;
        if begun >= begin {
            latencies.push(u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX));
        }
    }
    let operations = latencies.len() as u64;
    let [p50_us, p99_us, max_us] = latencies_us(latencies);
    Ok(Measured {
        operations,
        per_second: operations as f64 / span.run().as_secs_f64(),
        server_cpu_us: None,
        generator_cpu_us: None,
        written_bytes: None,
        commits: None,
        p50_us,
        p99_us,
        max_us,
    })
}

const SETTINGS: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    CREATE TABLE IF NOT EXISTS entry (id INTEGER PRIMARY KEY, body BLOB NOT NULL);
";

const INSERT: &str = "INSERT INTO entry (body) VALUES (?1)";

/// About what an entry of the ledger holds.
const ROW_SIZE_BYTES: usize = 300;

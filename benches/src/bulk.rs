//! What an import is held against: plain rows of the same customers with the same two indexes, by a program that
//! does nothing else. On SQLite in commits of as many rows, as durable; at a server as one COPY.

use std::path::Path;

use anyhow::Context;
use futures::SinkExt;
use rusqlite::params_from_iter;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_postgres::NoTls;

use crate::shop::{At, CHUNK_ROWS, person};
use crate::tuned;

pub(crate) fn measure(folder: &Path, at: &At, customers: usize) -> anyhow::Result<Value> {
    let begun = Instant::now();
    let spared = match at.reach()? {
        None => sqlite(folder, customers)?,
        Some(config) => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            runtime.block_on(server(&config, customers))?
        }
    };
    let seconds = begun.elapsed().as_secs_f64() - spared;
    Ok(json!({ "rows": customers, "seconds": seconds,
        "rows_a_second": customers as f64 / seconds }))
}

/// Gives the seconds that rows took to be made up.
fn sqlite(folder: &Path, customers: usize) -> anyhow::Result<f64> {
    let place = tempfile::tempdir_in(folder)?;
    let (mut connection, _copier) = tuned::open(&place.path().join("bulk.db"))?;
    connection.execute_batch(SCHEMA)?;
    let mut spared = 0.0;
    for first in (0..customers).step_by(CHUNK_ROWS) {
        let (rows, seconds) = chunk(first, customers)?;
        spared += seconds;
        let turn = connection.transaction()?;
        for row in &rows {
            turn.prepare_cached(INSERT)?.execute(params_from_iter(row))?;
        }
        turn.commit()?;
    }
    Ok(spared)
}

async fn server(config: &tokio_postgres::Config, customers: usize) -> anyhow::Result<f64> {
    let (client, connection) = config.connect(NoTls).await?;
    let driving = tokio::spawn(connection);
    client.batch_execute("DROP TABLE IF EXISTS bulk").await?;
    client.batch_execute(SCHEMA).await?;
    let mut copy = std::pin::pin!(client.copy_in("COPY bulk FROM STDIN").await?);
    let mut spared = 0.0;
    for first in (0..customers).step_by(CHUNK_ROWS) {
        let (rows, seconds) = chunk(first, customers)?;
        spared += seconds;
        let lines: String = rows.iter().map(|row| row.join("\t") + "\n").collect();
        copy.send(axum::body::Bytes::from(lines)).await?;
    }
    copy.finish().await?;
    client.batch_execute("DROP TABLE bulk").await?;
    drop(client);
    driving.await?.context("the connection failed").map(|()| spared)
}

/// Rows of ten fields, as text, and the seconds it took to make them up.
fn chunk(first: usize, customers: usize) -> anyhow::Result<(Vec<Vec<String>>, f64)> {
    let begun = Instant::now();
    let mut rows = Vec::with_capacity(CHUNK_ROWS);
    for number in first..customers.min(first + CHUNK_ROWS) {
        let person = person(number);
        let field = |name: &str| match person.get("fields").and_then(|it| it.get(name)) {
            Some(Value::String(text)) => text.clone(),
            other => other.map(Value::to_string).unwrap_or_default(),
        };
        rows.push(FIELDS.into_iter().map(field).collect());
    }
    Ok((rows, begun.elapsed().as_secs_f64()))
}

const FIELDS: [&str; 10] = [
    "name",
    "email",
    "phone",
    "language",
    "note",
    "address",
    "company",
    "date_of_birth",
    "points",
    "since",
];

const SCHEMA: &str = "CREATE TABLE bulk (name TEXT, email TEXT, phone TEXT, language TEXT,
  note TEXT, address TEXT, company TEXT, date_of_birth TEXT, points TEXT, since TEXT);
CREATE UNIQUE INDEX bulk_email ON bulk (email);
CREATE INDEX bulk_phone ON bulk (phone);";

const INSERT: &str = "INSERT INTO bulk VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";

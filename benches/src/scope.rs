//! Whose data an actor touched, over the whole ledger, beside SQLite's own scan of the same rows.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use serde_json::{Value, json};
use strongroom::ctx::Time;
use strongroom::ledger;
use tokio::time::Instant;

use crate::shop::{At, opened};

/// The busiest actor of the newest run of the index; `scan_seconds` is absent over a server.
pub(crate) async fn measure(folder: &Path, at: &At) -> anyhow::Result<Value> {
    let app = opened(folder, at).await?;
    let desk = app.desk()?;
    let is_file = at.engine() == "SQLite";
    // The first one fills the caches for both.
    is_file.then(|| scan(folder)).transpose()?;
    let keyring = Arc::clone(&desk.keyring);
    let asked = desk.data.scan(move |db| {
        let busiest =
            db.one(BUSIEST, &[])?.map(|row| row.text(0).map(str::to_owned)).transpose()?;
        let actor = busiest.unwrap_or_default();
        let (begun, mut hits) = (Instant::now(), 0_u64);
        let ever = (Time::from_ms(i64::MIN), Time::from_ms(i64::MAX));
        ledger::scope(db, &keyring, &actor, ever, |_, _| {
            hits += 1;
            Ok(())
        })?;
        Ok((hits, begun.elapsed().as_secs_f64()))
    });
    let (hits, seconds) = asked.await?;
    let scan = is_file.then(|| scan(folder)).transpose()?;
    let (entries, scan_seconds) = scan.unzip();
    Ok(json!({ "hits": hits, "seconds": seconds, "us_a_hit": seconds * 1e6 / hits.max(1) as f64,
        "entries": entries, "scan_seconds": scan_seconds }))
}

fn scan(folder: &Path) -> anyhow::Result<(u64, f64)> {
    let database = rusqlite::Connection::open(folder.join("data").join("strongroom.db"))?;
    let mut read = database.prepare("SELECT idx, leaf FROM ledger_entry ORDER BY idx")?;
    let (begun, mut entries) = (Instant::now(), 0);
    let mut rows = read.query([])?;
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        entries += 1;
        bytes += row.get_ref(1)?.as_blob().context("a leaf is bytes")?.len();
    }
    std::hint::black_box(bytes);
    Ok((entries, begun.elapsed().as_secs_f64()))
}

const BUSIEST: &str = "SELECT actor FROM ledger_actor
WHERE run = (SELECT max(run) - 1 FROM ledger_actor)
GROUP BY actor
ORDER BY count(*) DESC
LIMIT 1";

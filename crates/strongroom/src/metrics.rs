//! What stands on `/metrics`: what the process counted, and what rooms say of now.
//!
//! Reads what lies in memory and a few counted rows; opens no value, writes no entry. What must never
//! happen here: a label that is not a word of this program, a number from before where today's could
//! not be read.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::access::Desk;
use crate::backup::Latest;
use crate::db::free_bytes;
use crate::error::Error;
use crate::findings::FindingKind;
use crate::meter::timestamp;
use crate::{backup, findings, outlets};

/// All numbers as they stand now, as OpenMetrics text.
pub async fn scrape(desk: &Arc<Desk>) -> String {
    let mut own = Registry::with_prefix("strongroom");
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    own.register("build", "Which program this is", Info::new(version));
    desk.meter.show_in(&mut own);
    show_state(desk, &mut own);
    show_files(&desk.folder, &mut own);
    let rows = tokio::time::timeout(ROWS_TIME_MAX, Rows::read(desk)).await;
    if let Ok(Err(error)) = &rows {
        tracing::warn!(code = error.code, cause = ?error.cause(), "not all metrics could be read");
    }
    let rows = rows.ok().and_then(Result::ok);
    number(&mut own, "scrape_complete", COMPLETE, i64::from(rows.is_some()));
    if let Some(rows) = rows {
        rows.show(&mut own);
    }
    let mut process = Registry::with_prefix("process");
    show_process(desk, &mut process);
    let mut text = String::new();
    let written = encode_registry(&mut text, &own)
        .and_then(|()| encode_registry(&mut text, &process))
        .and_then(|()| encode_eof(&mut text));
    // A page that breaks off has no end mark, so that nobody takes it for whole.
    if written.is_err() { String::new() } else { text }
}

/// What lies in memory.
fn show_state(desk: &Desk, registry: &mut Registry) {
    let is_stalled = desk.committer.stall().is_stalled();
    number(registry, "ledger_stalled", STALLED, i64::from(is_stalled));
    let is_low = desk.committer.stall().is_low();
    number(registry, "disk_reserve", RESERVE, i64::from(is_low));
    number(registry, "sealed", SEALED, i64::from(desk.keyring.is_sealed()));
    if let Some(newest) = desk.published.newest() {
        let size = i64::try_from(newest.size).unwrap_or(i64::MAX);
        number(registry, "ledger_entries", ENTRIES, size);
        moment(registry, "ledger_checkpoint_timestamp_seconds", CHECKPOINT, timestamp(newest.time));
    }
    if let Some(anchored) = desk.published.anchored() {
        moment(registry, "ledger_anchor_timestamp_seconds", ANCHOR, timestamp(anchored));
    }
    if let Some(ends) = desk.meter.certificate_ends() {
        moment(registry, "certificate_end_timestamp_seconds", CERTIFICATE, timestamp(ends));
    }
}

/// What the database says, read together or not at all.
struct Rows {
    findings: BTreeMap<Option<FindingKind>, u64>,
    latest: Latest,
    sends: u64,
    recipients: u64,
}

impl Rows {
    async fn read(desk: &Desk) -> Result<Self, Error> {
        let findings = findings::count_open(&desk.data).await?;
        let latest = backup::latest(desk).await?;
        let (sends, recipients) = outlets::count_waiting(desk).await?;
        Ok(Self { findings, latest, sends, recipients })
    }

    fn show(&self, registry: &mut Registry) {
        let open = Family::<Kind, Gauge>::default();
        let kinds = FindingKind::ALL.map(|kind| (Some(kind), kind.as_str()));
        for (kind, name) in kinds.into_iter().chain([(None, "other")]) {
            let count = self.findings.get(&kind).copied().unwrap_or_default();
            open.get_or_create(&Kind { kind: name }).set(signed(count));
        }
        registry.register("findings_open", FINDINGS, open);
        // Zero where there is none: the age of no backup is what an alert has to see.
        let made = self.latest.made.map_or(0.0, timestamp);
        moment(registry, "backup_timestamp_seconds", BACKUP, made);
        let check = self.latest.check.as_ref();
        let at = check.map_or(0.0, |check| timestamp(check.at));
        moment(registry, "backup_rehearsal_timestamp_seconds", REHEARSAL, at);
        let is_good = check.is_some_and(backup::CheckRow::is_good);
        number(registry, "backup_rehearsal_good", REHEARSED, i64::from(is_good));
        number(registry, "sends_open", SENDS, signed(self.sends));
        number(registry, "send_recipients_waiting", RECIPIENTS, signed(self.recipients));
    }
}

/// Sizes on the disk; a file that is not there has none.
fn show_files(folder: &Path, registry: &mut Registry) {
    let sizes = Family::<Named, Gauge>::default();
    for file in ["strongroom.db", "strongroom.db-wal", "keys.db", "keys.db-wal"] {
        let size = std::fs::metadata(folder.join(file)).map_or(0, |facts| facts.len());
        sizes.get_or_create(&Named { file }).set(signed(size));
    }
    registry.register("file_bytes", FILES, sizes);
    if let Some(free) = free_bytes(folder) {
        number(registry, "disk_free_bytes", DISK, signed(free));
    }
}

/// Under the names that every program of this kind uses.
fn show_process(desk: &Desk, registry: &mut Registry) {
    moment(registry, "start_time_seconds", STARTED, timestamp(desk.meter.started()));
    if let Some(bytes) = resident_bytes() {
        number(registry, "resident_memory_bytes", MEMORY, bytes);
    }
}

/// What the system says of this process; nothing where it does not say it so.
fn resident_bytes() -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

fn number(registry: &mut Registry, name: &'static str, help: &str, value: i64) {
    let gauge = Gauge::<i64>::default();
    gauge.set(value);
    registry.register(name, help, gauge);
}

fn moment(registry: &mut Registry, name: &'static str, help: &str, value: f64) {
    let gauge = Gauge::<f64, AtomicU64>::default();
    gauge.set(value);
    registry.register(name, help, gauge);
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Named {
    file: &'static str,
}

/// Shorter than the patience of collectors: what lies in memory is shown without the rest.
const ROWS_TIME_MAX: Duration = Duration::from_secs(5);

const COMPLETE: &str =
    "1, or 0 where the database could not be asked and its numbers are missing here";
const STALLED: &str = "1 while the ledger cannot be written, so that nothing is shown or changed";
const RESERVE: &str = "1 while so little room is left that only what must go on is done";
const SEALED: &str = "1 after the keys were dropped, until a restart";
const ENTRIES: &str = "Entries of the ledger";
const CHECKPOINT: &str = "Time of the newest entry, over which the newest checkpoint is signed";
const ANCHOR: &str = "When keys.db was last told of a checkpoint";
const CERTIFICATE: &str = "When the certificate that is shown ends";
const FINDINGS: &str = "Open findings by kind";
const BACKUP: &str = "When the newest backup was made; 0 where there never was one";
const REHEARSAL: &str = "When a restore was last rehearsed; 0 where none ever was";
const REHEARSED: &str = "1 if the last rehearsed restore brought everything back";
const SENDS: &str = "Sends through outlets that are not over";
const RECIPIENTS: &str = "Recipients of those sends who wait";
const FILES: &str = "Size of the files of the data folder; a write-ahead log keeps its greatest";
const DISK: &str = "Free bytes on the disk of the data";
const STARTED: &str = "When the process began";
const MEMORY: &str = "Memory of the process that is in use";

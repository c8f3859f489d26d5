//! How it is with many customers: the import that brings them, and at each mark size, start-up, memory, and how
//! fast somebody is read, beside the same with few.
//!
//! The folder stays, and the report in it: a run that was ended goes on where it was.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, ensure};
use clap::Args;
use serde_json::{Value, json};
use strongroom::ledger;
use tokio::runtime::Runtime;
use tokio::time::Instant;

use crate::load::{Load, Work};
use crate::machine::{Machine, Versions, load_average};
use crate::measured::{Measured, Spread};
use crate::plan::Span;
use crate::process::Process;
use crate::scope;
use crate::server::{Server, plan_path};
use crate::shop::{At, Importing, opened, person};
use crate::{bulk, commit};

#[derive(Args)]
pub(crate) struct Grow {
    /// Keep data and report in this folder
    #[arg(long, value_name = "DIR")]
    folder: PathBuf,
    /// Measure at these numbers of customers, in rising order
    #[arg(long, value_delimiter = ',', default_values_t = [10_000, 1_000_000])]
    marks: Vec<usize>,
    /// Pairs of runs at each mark
    #[arg(long, default_value_t = 5)]
    pairs: usize,
    /// After the last mark, read so many times, and measure once more with that ledger
    #[arg(long, value_name = "ENTRIES")]
    entries: Option<u64>,
    /// Where to write the report too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    span: Span,
}

/// One step in a process of its own, so that its memory and its processor time are nobody else's.
#[derive(Args)]
pub(crate) struct GrowStep {
    /// Which one
    step: String,
    /// The folder of the shop
    folder: PathBuf,
    /// Customers there are, or are to be
    customers: usize,
    #[command(flatten)]
    at: At,
}

impl Grow {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let mut report = Report::open(self.folder.join("report.json"))?;
        for mark in &self.marks {
            let name = |step: &str| format!("{step} at {mark}");
            report.have(&name("import"), || self.step("import", *mark))?;
            if *mark <= BULK_MAX {
                report.have(&name("plain rows"), || self.step("bulk", *mark))?;
            }
            report.have(&name("size"), || self.size(*mark))?;
            report.have(&name("start"), || self.start(*mark))?;
            report.have(&name("load"), || self.load(*mark))?;
        }
        if let (Some(entries), Some(customers)) = (self.entries, self.marks.last()) {
            report.have("ledger grown", || self.fill_ledger(*customers, entries))?;
            report.have("load with the grown ledger", || self.load(*customers))?;
            report.have("start with the grown ledger", || self.start(*customers))?;
            report.have("size with the grown ledger", || self.size(*customers))?;
            report.have("scope", || self.step("scope", *customers))?;
        }
        if let Some(customers) = self.marks.last() {
            report.have("ledger verified", || self.step("verify", *customers))?;
        }
        let head = json!({ "machine": Machine::read(&self.folder), "versions": Versions::read(),
            "engine": self.at.engine(), "load_average": load_average() });
        let text = report.text(&head)?;
        if let Some(path) = &self.json {
            fs::write(path, &text).context("the JSON cannot be written")?;
        }
        Ok(write!(std::io::stdout(), "{text}")?)
    }

    fn step(&self, step: &str, customers: usize) -> anyhow::Result<Value> {
        let output = Command::new(std::env::current_exe()?)
            .args(["grow-step", step])
            .arg(&self.folder)
            .arg(customers.to_string())
            .args(self.at.arguments())
            .stderr(std::process::Stdio::inherit())
            .output()?;
        ensure!(output.status.success(), "the step `{step}` failed");
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Each time in a process of its own.
    fn start(&self, customers: usize) -> anyhow::Result<Value> {
        let starts = (0..self.pairs).map(|_| self.step("start", customers));
        let starts = starts.collect::<anyhow::Result<Vec<Value>>>()?;
        let middle = |name| {
            Spread::of(starts.iter().filter_map(|start| start.get(name).and_then(Value::as_f64)))
        };
        Ok(json!({ "seconds": middle("seconds"), "memory_kib": middle("memory_kib") }))
    }

    fn size(&self, customers: usize) -> anyhow::Result<Value> {
        let bytes = match self.at.engine() {
            "SQLite" => file_bytes(&self.folder, "strongroom.db")?,
            _ => self.at.database_bytes()?,
        };
        let beside = ["strongroom.db-wal", "keys.db", "keys.db-wal"];
        let beside = beside.iter().filter_map(|name| file_bytes(&self.folder, name).ok());
        let bytes = bytes + beside.sum::<u64>();
        let json: usize = (0..SIZED).map(|number| person(number).to_string().len()).sum();
        let (each, json) = (bytes as f64 / customers as f64, json as f64 / SIZED as f64);
        Ok(json!({ "bytes": bytes, "bytes_each": each, "json_bytes_each": json,
            "ratio": each / json }))
    }

    /// Reads and look-ups, each beside a constant answer and a bare commit.
    fn load(&self, customers: usize) -> anyhow::Result<Value> {
        let server = Server::start(&self.folder, &self.at, customers)?;
        let run = |work, clients| self.load_once(&server, work, clients);
        let mut seen: BTreeMap<&str, Vec<Measured>> = BTreeMap::new();
        for _ in 0..self.pairs {
            for (name, work, clients) in LOADS {
                seen.entry(name).or_default().push(run(work, clients)?);
            }
            let commits = commit::measure(&self.folder, self.span)?;
            seen.entry("bare commit").or_default().push(commits);
        }
        let log = fs::metadata(self.folder.join("data/strongroom.db-wal")).ok();
        let middle = |name: &str, of: fn(&Measured) -> f64| {
            seen.get(name).and_then(|runs| Spread::of(runs.iter().map(of)))
        };
        let mut report = json!({
            "memory_peak_kib": server.process().memory_peak_kib(),
            "write_ahead_log_bytes": log.map(|log| log.len()),
        });
        let members = report.as_object_mut().context("no object")?;
        for name in LOADS.map(|(name, _, _)| name).into_iter().chain(["bare commit"]) {
            members.insert(
                name.to_owned(),
                json!({
                    "per_second": middle(name, |run| run.per_second),
                    "p50_us": middle(name, |run| run.p50_us),
                    "p99_us": middle(name, |run| run.p99_us),
                    "server_cpu_us": middle(name, |run| run.server_cpu_us.unwrap_or(0.0)),
                    "written_bytes": middle(name, |run| run.written_bytes.unwrap_or(0.0)),
                }),
            );
        }
        Ok(report)
    }

    fn load_once(&self, server: &Server, work: Work, clients: usize) -> anyhow::Result<Measured> {
        let (plan, server) = (plan_path(&self.folder), server.process().0);
        Load { plan, server, work, clients, first_new: 0, span: self.span }.start()
    }

    /// Reads, a minute at a time, until there are so many entries.
    fn fill_ledger(&self, customers: usize, entries: u64) -> anyhow::Result<Value> {
        let server = Server::start(&self.folder, &self.at, customers)?;
        let (begun, mut made, mut rates) = (Instant::now(), 0, Vec::new());
        while made < entries {
            let span = Span { warm_up_ms: 0, run_ms: 60_000 };
            let (plan, server) = (plan_path(&self.folder), server.process().0);
            let load = Load { plan, server, work: Work::Read, clients: 256, first_new: 0, span };
            let measured = load.start()?;
            made += measured.operations;
            rates.push(measured.per_second.round());
            writeln!(std::io::stderr(), "{made} entries, {:.0} a second", measured.per_second)?;
        }
        Ok(json!({ "entries": made, "seconds": begun.elapsed().as_secs_f64(),
            "per_second_each_minute": rates }))
    }
}

impl GrowStep {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let seen = match self.step.as_str() {
            "import" => self.import()?,
            "bulk" => bulk::measure(&self.folder, &self.at, self.customers)?,
            "start" => self.start()?,
            "verify" => runtime()?.block_on(self.verify())?,
            "scope" => runtime()?.block_on(scope::measure(&self.folder, &self.at))?,
            other => anyhow::bail!("no step `{other}`"),
        };
        Ok(writeln!(std::io::stdout(), "{seen}")?)
    }

    /// By the product's own import, slice by slice, so that a rate that falls is seen.
    fn import(&self) -> anyhow::Result<Value> {
        let (runtime, own) = (runtime()?, Process(std::process::id()));
        let (begun, mut rates) = (Instant::now(), Vec::new());
        let mut importing = runtime.block_on(Importing::begin(&self.folder, &self.at))?;
        let (known, before) = (importing.done, own.written_bytes());
        while importing.done < self.customers {
            let (from, slice) = (Instant::now(), importing.done);
            let end = (slice + SLICE).min(self.customers);
            runtime.block_on(importing.go_on_to(end))?;
            let rate = (end - slice) as f64 / from.elapsed().as_secs_f64();
            writeln!(std::io::stderr(), "{end} customers, {rate:.0} a second")?;
            rates.push(rate.round());
        }
        let rows = (importing.done - known).max(1) as f64;
        drop(importing);
        let written = own.written_bytes().zip(before).map(|(now, then)| (now - then) as f64 / rows);
        let seconds = begun.elapsed().as_secs_f64();
        Ok(
            json!({ "from": known, "rows": rows, "seconds": seconds, "rows_a_second": rows / seconds,
            "slice_rows": SLICE, "rows_a_second_by_slice": rates, "written_bytes_a_row": written,
            "memory_peak_kib": own.memory_peak_kib() }),
        )
    }

    /// Fails where anything does not fit.
    async fn verify(&self) -> anyhow::Result<Value> {
        let app = opened(&self.folder, &self.at).await?;
        let desk = app.desk()?;
        let (begun, keyring) = (Instant::now(), Arc::clone(&desk.keyring));
        let verified = desk.data.scan(move |db| ledger::verify(db, &keyring, |_, _| ())).await?;
        ensure!(verified.is_intact(), "the ledger does not verify: {:?}", verified.flaws.first());
        Ok(json!({ "entries": verified.size, "seconds": begun.elapsed().as_secs_f64(),
            "memory_peak_kib": Process(std::process::id()).memory_peak_kib() }))
    }

    fn start(&self) -> anyhow::Result<Value> {
        let begun = Instant::now();
        let app = runtime()?.block_on(opened(&self.folder, &self.at))?;
        let seconds = begun.elapsed().as_secs_f64();
        let own = Process(std::process::id());
        let seen = json!({ "seconds": seconds, "memory_kib": own.memory_kib() });
        drop(app);
        Ok(seen)
    }
}

/// What was measured so far; written after each step.
struct Report {
    path: PathBuf,
    seen: BTreeMap<String, Value>,
}

impl Report {
    fn open(path: PathBuf) -> anyhow::Result<Self> {
        let seen = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).context("the report is not understood")?,
            Err(_) => BTreeMap::new(),
        };
        Ok(Self { path, seen })
    }

    fn have(
        &mut self,
        name: &str,
        measure: impl FnOnce() -> anyhow::Result<Value>,
    ) -> anyhow::Result<()> {
        if self.seen.contains_key(name) {
            return Ok(());
        }
        writeln!(std::io::stderr(), "{name}")?;
        let mut seen = measure()?;
        if let Some(members) = seen.as_object_mut() {
            // A run that is gone on with may be of another program by then.
            members.insert("commit".to_owned(), json!(Versions::read().commit));
            members.insert("load_average_after".to_owned(), json!(load_average()));
        }
        self.seen.insert(name.to_owned(), seen);
        Ok(fs::write(&self.path, serde_json::to_string_pretty(&self.seen)?)?)
    }

    fn text(&self, head: &Value) -> anyhow::Result<String> {
        Ok(serde_json::to_string_pretty(&json!({ "head": head, "seen": self.seen }))? + "\n")
    }
}

fn file_bytes(folder: &Path, name: &str) -> anyhow::Result<u64> {
    Ok(fs::metadata(folder.join("data").join(name))?.len())
}

fn runtime() -> anyhow::Result<Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

/// What is asked at each mark.
const LOADS: [(&str, Work, usize); 5] = [
    ("constant, 64 clients", Work::Constant, 64),
    ("read, 1 client", Work::Read, 1),
    ("read, 64 clients", Work::Read, 64),
    ("look-up + read, 1 client", Work::LookUpRead, 1),
    ("look-up + read, 64 clients", Work::LookUpRead, 64),
];

/// Of plain rows there is no need for more: their rate holds.
const BULK_MAX: usize = 2_000_000;

/// Customers between two figures of an import.
const SLICE: usize = 100_000;

/// Customers whose JSON is looked at.
const SIZED: usize = 1_000;

//! The one command: every row, then the table and the JSON.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use crate::inside::Inside;
use crate::machine::{Machine, Versions, load_average};
use crate::plan::{Runs, Span};
use crate::report::{Afterwards, Report, Settings};
use crate::rows::{ROWS, compare_inside};
use crate::server::Server;

#[derive(Args)]
pub(crate) struct All {
    /// A few seconds, to see that it runs; the figures mean nothing
    #[arg(long)]
    smoke: bool,
    /// Where to write the JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Make the data in a new folder inside this one, to measure another disk
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    #[command(flatten)]
    runs: Runs,
}

impl All {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let report = self.measure()?;
        writeln!(std::io::stdout(), "{}", report.table())?;
        let path = self.json.clone().unwrap_or_else(default_json);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let json = serde_json::to_string_pretty(&report)? + "\n";
        fs::write(&path, json).context("the JSON cannot be written")
    }

    fn measure(&self) -> anyhow::Result<Report> {
        let folder = match &self.folder {
            Some(parent) => tempfile::tempdir_in(parent)?,
            None => tempfile::tempdir()?,
        };
        let (pairs, customers, span) = match self.smoke {
            true => (1, 200, SMOKE_SPAN),
            false => (self.runs.pairs, self.runs.customers, self.runs.span),
        };
        let (at, load_average_before) = (&self.runs.at, load_average());
        say(&format!("load average {load_average_before}; importing {customers} customers"))?;
        let server = Server::start(folder.path(), at, customers)?;
        let mut rows = Vec::new();
        let mut first_new = customers;
        for row in ROWS {
            say(row.name)?;
            rows.push(row.compare(&server, folder.path(), &mut first_new, (pairs, span))?);
        }
        let afterwards = Afterwards {
            memory_peak_mib: server.process().memory_peak_kib().map(|kib| kib / 1024),
            data_mib: size_mib(folder.path(), "strongroom.db"),
            write_ahead_log_mib: size_mib(folder.path(), "strongroom.db-wal"),
        };
        let body_bytes = server.plan.body_bytes;
        drop(server);
        say("in process")?;
        let mut inside = Inside::open(folder.path(), at, customers)?;
        rows.extend(compare_inside(&mut inside, folder.path(), (pairs, span))?);
        Ok(Report {
            machine: Machine::read(folder.path()),
            versions: Versions::read(),
            settings: Settings::new(at.engine(), pairs, customers, span, body_bytes),
            load_average_before,
            load_average_after: load_average(),
            rows,
            afterwards,
        })
    }
}

/// Progress goes to standard error, so that the table can be kept.
fn say(line: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stderr(), "{line}")?)
}

fn size_mib(folder: &Path, file: &str) -> Option<u64> {
    fs::metadata(folder.join("data").join(file)).ok().map(|file| file.len() / (1024 * 1024))
}

fn default_json() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("out").join("bench.json")
}

/// Long enough that something is answered on a machine that is busy with other things too: of 256 clients,
/// nobody was within 250 ms on two cores with nine others at work.
const SMOKE_SPAN: Span = Span { warm_up_ms: 50, run_ms: 1_000 };

//! How long a backup and a restore take, how much memory, how much disk: RPO and RTO.
//!
//! Backup and restore each run in a process of their own, so that the peak of one is not the other's.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, ensure};
use clap::Args;
use serde_json::{Value, json};
use strongroom::app::{self, App, Surroundings};
use strongroom::backup::{self, MissingKeys, Outcome, RestoreInput};
use strongroom::ctx::SystemClock;
use strongroom::keys::{Places, Seal};
use strongroom_crypto::{Random, SystemRandom};
use tokio::time::Instant;

use crate::machine::{Machine, Versions, load_average};
use crate::process::Process;
use crate::shop::{At, Shop};

#[derive(Args)]
pub(crate) struct Restore {
    /// Customers imported before
    #[arg(long, default_value_t = 1_000_000)]
    customers: usize,
    /// Where to write the JSON, instead of to standard output
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Make the data in a new folder inside this one, to measure another disk
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct RestoreStep {
    /// Which one
    step: String,
    /// The folder of the shop
    folder: PathBuf,
}

impl Restore {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let folder = match &self.folder {
            Some(parent) => tempfile::tempdir_in(parent)?,
            None => tempfile::tempdir()?,
        };
        let load = load_average();
        let began = Instant::now();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(Shop::fill(folder.path(), &At::default(), self.customers))?;
        let import_s = began.elapsed().as_secs_f64();
        drop(runtime);
        let data_bytes = size(&folder.path().join("data"))?;
        let mut report = json!({
            "customers": self.customers,
            "import_s": import_s,
            "data_folder_bytes": data_bytes,
            "load_average_before": load,
            "machine": Machine::read(folder.path()),
            "versions": Versions::read(),
        });
        for name in STEPS {
            let seen = step(name, folder.path())?;
            if let Some(members) = report.as_object_mut() {
                members.insert(name.to_owned(), seen);
            }
        }
        let text = serde_json::to_string_pretty(&report)? + "\n";
        match &self.json {
            Some(path) => fs::write(path, text).context("the JSON cannot be written"),
            None => Ok(write!(std::io::stdout(), "{text}")?),
        }
    }
}

impl RestoreStep {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let began = Instant::now();
        let (rows, bytes) = match self.step.as_str() {
            "backup" => {
                let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
                runtime.block_on(back_up(&self.folder))?
            }
            "restore" => restore(&self.folder)?,
            other => anyhow::bail!("no step `{other}`"),
        };
        let seconds = began.elapsed().as_secs_f64();
        let rate = if seconds > 0.0 { rows as f64 / seconds } else { 0.0 };
        let seen = json!({
            "seconds": seconds,
            "rows": rows,
            "rows_per_s": rate.round(),
            "bytes": bytes,
            "peak_memory_kib": Process(std::process::id()).memory_peak_kib(),
        });
        Ok(writeln!(std::io::stdout(), "{seen}")?)
    }
}

fn step(name: &str, folder: &Path) -> anyhow::Result<Value> {
    let output = Command::new(std::env::current_exe()?)
        .args(["restore-step", name])
        .arg(folder)
        .stderr(std::process::Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "the {name} failed");
    Ok(serde_json::from_slice(&output.stdout)?)
}

async fn back_up(folder: &Path) -> anyhow::Result<(u64, u64)> {
    let places = Places::in_folder(folder.join("data"), Seal::KeyFile(folder.join("seal.key")));
    let clock = Arc::new(SystemClock::new());
    let app =
        App::open(Surroundings { places, server: None, clock, random: Arc::new(SystemRandom) })
            .await?;
    let desk = app.desk()?;
    let ctx = App::job_ctx(&desk, "backup.make")?;
    let to = folder.join("backups");
    let made = backup::make(&desk, &ctx, &to, Box::new(|_, _| {})).await?;
    let (data, keys) = (made.data.1, made.keys.1);
    Ok((data.rows() + keys.rows(), data.size_bytes() + keys.size_bytes()))
}

fn restore(folder: &Path) -> anyhow::Result<(u64, u64)> {
    let (backups, again) = (folder.join("backups"), folder.join("again"));
    let input = RestoreInput {
        data: backups.clone(),
        keys: backups,
        registers: Vec::new(),
        places: Places::in_folder(&again, Seal::KeyFile(folder.join("seal.key"))),
        unseal: None,
        register_as_of: None,
        agreed_by: Vec::new(),
        missing_keys: MissingKeys::Refuse,
        outcome: Outcome::Keep,
    };
    let random: Arc<dyn Random> = Arc::new(SystemRandom);
    let restored = app::restore(&input, &SystemClock::new(), &random, |_| {})?;
    let rows = restored.data.rows() + restored.keys.rows() + restored.rebuilt.index_rows;
    Ok((rows, size(&again)?))
}

fn size(folder: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for found in fs::read_dir(folder)? {
        bytes += found?.metadata()?.len();
    }
    Ok(bytes)
}

const STEPS: [&str; 2] = ["backup", "restore"];

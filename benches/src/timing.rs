//! Whether durations tell secrets apart, as dudect asks it (Reparaz, Balasch, Verbauwhede: "Dude, is my
//! code constant time?", 2017): two classes of input, drawn in random order, and Welch's t-test over
//! their times, whole and cropped.
//!
//! A harness that finds nothing proves nothing, so a comparison that stops at the first wrong byte is
//! planted first, and must be found. What may be told apart by design is measured too, and said.

mod edge;
mod primitives;
mod welch;

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::Args;
use serde::Serialize;

use crate::machine::{Machine, Versions, load_average};
use welch::Verdict;

#[derive(Args)]
pub(crate) struct Timing {
    /// Samples of each comparison inside this process
    #[arg(long, default_value_t = 1_000_000)]
    samples: usize,
    /// Pairs of requests over the loopback
    #[arg(long, default_value_t = 40_000)]
    requests: usize,
    /// Where to write the JSON, instead of to standard output
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What is expected of a case.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Expected {
    /// Known to differ, by design; measured to be said.
    Differs,
    /// Put there to be found.
    Found,
    /// Must not be told apart.
    Same,
}

/// Two classes of input and what the times said.
#[derive(Serialize)]
struct Case {
    name: &'static str,
    first: &'static str,
    second: &'static str,
    expected: Expected,
    #[serde(flatten)]
    verdict: Verdict,
}

impl Case {
    fn is_as_expected(&self) -> bool {
        match self.expected {
            Expected::Differs => true,
            Expected::Found => self.verdict.told_apart,
            Expected::Same => !self.verdict.told_apart,
        }
    }
}

#[derive(Serialize)]
struct Report {
    part: &'static str,
    passed: bool,
    t_limit: f64,
    cases: Vec<Case>,
    load_average_before: String,
    machine: Machine,
    versions: Versions,
}

impl Timing {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let load_average_before = load_average();
        let folder = tempfile::tempdir()?;
        let mut cases = primitives::measure(self.samples)?;
        cases.extend(edge::measure(folder.path(), self.requests)?);
        let mut out = std::io::stdout();
        for case in &cases {
            writeln!(out, "{}", line(case))?;
        }
        let wrong: Vec<&str> =
            cases.iter().filter(|case| !case.is_as_expected()).map(|case| case.name).collect();
        let report = Report {
            part: "timing",
            passed: wrong.is_empty(),
            t_limit: welch::T_LIMIT,
            load_average_before,
            machine: Machine::read(folder.path()),
            versions: Versions::read(),
            cases: Vec::new(),
        };
        let wrong = wrong.join(", ");
        let report = Report { cases, ..report };
        let text = serde_json::to_string_pretty(&report)? + "\n";
        match &self.json {
            Some(path) => fs::write(path, text).context("the JSON cannot be written")?,
            None => write!(out, "{text}")?,
        }
        ensure!(report.passed, "not as it must be: {wrong}");
        Ok(())
    }
}

fn line(case: &Case) -> String {
    let Verdict { t, samples, medians_ns: [first, second], told_apart } = &case.verdict;
    let said = match (told_apart, case.expected) {
        (true, Expected::Found) => "found, as it must be",
        (false, Expected::Found) => "MISSED: the harness is blind",
        (true, Expected::Same) => "TOLD APART",
        (false, Expected::Same) => "not told apart",
        (true, Expected::Differs) => "told apart, by design",
        (false, Expected::Differs) => "not told apart, though it may be",
    };
    format!(
        "{}: {said} (|t| {t:.1} over {samples}; {} {first:.0} ns, {} {second:.0} ns)",
        case.name, case.first, case.second
    )
}

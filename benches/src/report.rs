//! The table and the JSON: ratios first, absolute figures second.

use serde::Serialize;

use crate::machine::{Machine, Versions};
use crate::measured::{Measured, Spread};
use crate::plan::Span;
use crate::rows::{Baseline, Compared};

#[derive(Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) versions: Versions,
    pub(crate) settings: Settings,
    pub(crate) load_average_before: String,
    pub(crate) load_average_after: String,
    pub(crate) rows: Vec<Compared>,
    pub(crate) afterwards: Afterwards,
}

#[derive(Serialize)]
pub(crate) struct Settings {
    engine: &'static str,
    pairs: usize,
    warm_up_ms: u64,
    run_ms: u64,
    customers: usize,
    answer_body_bytes: usize,
    notes: &'static [&'static str],
}

/// What the server came to, over all rows.
#[derive(Serialize)]
pub(crate) struct Afterwards {
    pub(crate) memory_peak_mib: Option<u64>,
    pub(crate) data_mib: Option<u64>,
    /// The file never shrinks while the server runs, so this is the most it ever was.
    pub(crate) write_ahead_log_mib: Option<u64>,
}

impl Settings {
    pub(crate) fn new(
        engine: &'static str,
        pairs: usize,
        customers: usize,
        span: Span,
        body_bytes: usize,
    ) -> Self {
        let Span { warm_up_ms, run_ms } = span;
        let answer_body_bytes = body_bytes;
        Self { engine, pairs, warm_up_ms, run_ms, customers, answer_body_bytes, notes: NOTES }
    }
}

impl Report {
    pub(crate) fn table(&self) -> String {
        let Self { machine, versions, settings, .. } = self;
        let mut text = format!(
            "{} | {} cores | {} MiB | Linux {} | data on {}\n\
             strongroom {} ({}) | rust {} | SQLite {} | {}\n\
             load average before {}, after {}\n\
             data on {}: {} customers, answer {} B, warm-up {} ms, {} pairs of runs of {} ms\n",
            machine.processor,
            machine.cores,
            machine.memory_mib,
            machine.kernel,
            machine.file_system,
            versions.strongroom,
            versions.commit,
            versions.rust,
            versions.sqlite,
            versions.build,
            self.load_average_before,
            self.load_average_after,
            settings.engine,
            settings.customers,
            settings.answer_body_bytes,
            settings.warm_up_ms,
            settings.pairs,
            settings.run_ms,
        );
        if settings.engine != "SQLite" {
            text.push_str(
                "- the baselines of commits and changes are SQLite's here too: another engine\n",
            );
        }
        for note in settings.notes {
            text.push_str(&format!("- {note}\n"));
        }
        if settings.pairs < PAIRS_MIN {
            text.push_str("- TOO FEW RUNS: these figures show that it works, and nothing else\n");
        }
        text.push_str("\nRatios: median (least to most)\n\n");
        text.push_str(&table(&self.rows));
        let Afterwards { memory_peak_mib, data_mib, write_ahead_log_mib } = self.afterwards;
        let mib = |size: Option<u64>| size.map_or("?".to_owned(), |size| size.to_string());
        text.push_str(&format!(
            "\nthe server afterwards: memory peak {} MiB, data {} MiB, write-ahead log at most {} MiB \
             (target <= 64)\n",
            mib(memory_peak_mib),
            mib(data_mib),
            mib(write_ahead_log_mib),
        ));
        text
    }
}

/// Ratios, and what they come from.
pub(crate) fn table(rows: &[Compared]) -> String {
    let absolutes = "\nAbsolute figures: medians of the runs, the greatest of all maxima\n\n";
    aligned(&ratios(rows)) + absolutes + &aligned(&absolutes_of(rows))
}

fn ratios(rows: &[Compared]) -> Vec<Vec<String>> {
    let head = ["work", "baseline", "ratio", "target", "CPU ratio", "target", "p99 ms", "target"];
    let mut lines = vec![head.map(str::to_owned).to_vec()];
    for row in rows {
        let p99_ms = middle(&row.ours, |run| Some(run.p99_us / 1000.0));
        let target = row.target;
        let ratio_target = match target.latency_max {
            Some(max) => at_most(row.ratio, Some(max)),
            None => at_least(row.ratio, target.rate_min),
        };
        lines.push(vec![
            row.name.to_owned(),
            row.baseline.names().0.to_owned(),
            spread(row.ratio),
            ratio_target,
            spread(row.cpu_ratio),
            at_most(row.cpu_ratio, target.cpu_max),
            figure(p99_ms.map(|p99| p99.median)),
            at_most(p99_ms, target.p99_ms_max),
        ]);
    }
    lines
}

fn absolutes_of(rows: &[Compared]) -> Vec<Vec<String>> {
    let head = [
        "work",
        "per second",
        "p50 µs",
        "p99 µs",
        "max µs",
        "CPU µs, server",
        "CPU µs, generator",
        "bytes written",
        "commits",
    ];
    let mut lines = vec![head.map(str::to_owned).to_vec()];
    for row in rows {
        lines.push(absolute(row.name, &row.ours));
        lines.push(absolute(row.baseline.names().1, &row.theirs));
    }
    lines
}

impl Baseline {
    /// What of it is compared, and what it is.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::BareCipher => ("rate of ten bare calls", "  ten calls of AES-256-GCM"),
            Self::BareCommit => ("p50 of a bare commit", "  bare SQLite commit"),
            Self::Constant => ("rate of the constant", "  constant"),
            Self::OneNode => ("rate of one node", "  one node"),
            Self::PlainDelete => ("rate of plain DELETEs", "  plain DELETE and line"),
            Self::PlainRead => ("rate of plain SELECTs", "  plain SELECT and line"),
            Self::PlainUpdate => ("rate of plain UPDATEs", "  plain UPDATE and line"),
        }
    }
}

fn absolute(name: &str, runs: &[Measured]) -> Vec<String> {
    let median = |of: fn(&Measured) -> Option<f64>| figure(middle(runs, of).map(|it| it.median));
    vec![
        name.to_owned(),
        spread(middle(runs, |run| Some(run.per_second))),
        median(|run| Some(run.p50_us)),
        median(|run| Some(run.p99_us)),
        figure(middle(runs, |run| Some(run.max_us)).map(|it| it.max)),
        median(|run| run.server_cpu_us),
        median(|run| run.generator_cpu_us),
        median(|run| run.written_bytes),
        median(|run| run.commits),
    ]
}

fn middle(runs: &[Measured], of: fn(&Measured) -> Option<f64>) -> Option<Spread> {
    Spread::of(runs.iter().filter_map(of))
}

fn at_least(value: Option<Spread>, min: Option<f64>) -> String {
    let Some(min) = min else { return String::new() };
    let missed = value.is_none_or(|value| value.median < min);
    format!(">= {min:.2}{}", if missed { " MISSED" } else { "" })
}

fn at_most(value: Option<Spread>, max: Option<f64>) -> String {
    let Some(max) = max else { return String::new() };
    let missed = value.is_none_or(|value| value.median > max);
    format!("<= {max}{}", if missed { " MISSED" } else { "" })
}

fn spread(value: Option<Spread>) -> String {
    value.map_or_else(absent, |Spread { median, min, max }| {
        format!("{} ({} to {})", figure(Some(median)), figure(Some(min)), figure(Some(max)))
    })
}

/// Three digits that mean something; nothing took no time, so nought was not measured.
fn figure(value: Option<f64>) -> String {
    value.filter(|value| *value > 0.0).map_or_else(absent, |value| match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value if value >= 1.0 => format!("{value:.2}"),
        value => format!("{value:.3}"),
    })
}

fn absent() -> String {
    "-".to_owned()
}

/// Markdown that reads well as text too.
fn aligned(lines: &[Vec<String>]) -> String {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate() {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        text.push_str(&format!("| {} |\n", cells.collect::<Vec<_>>().join(" | ")));
        if number == 0 {
            let rules = widths.iter().map(|width| "-".repeat(*width));
            text.push_str(&format!("| {} |\n", rules.collect::<Vec<_>>().join(" | ")));
        }
    }
    text
}

/// Fewer have no middle worth the name (`specs/performance.md`, "Method").
const PAIRS_MIN: usize = 5;

const NOTES: &[&str] = &[
    "the load generator is a process of its own on the same cores: rates are flattered where it is \
     the larger part, so read the ratio of CPU beside them",
    "policy: 10 fields in 2 compartments; a read asks 3 masked, from both; its entry is durable \
     before it is answered (SQLite WAL, synchronous=FULL, every batch signed)",
    "constant: one read's answer with its receipt header, said again by the same process through the \
     same server and middleware, to the same request",
    "look-up + read is two requests, and compared with one constant",
    "in process: by the verbs, without HTTP; the baselines of plain rows are one SQLite commit for as \
     many rows as there are clients, on one thread",
    "keep-alive connections over plain HTTP/1.1 on loopback, closed loop, random customers, every \
     answer checked; log at info into a file, its line counted among the bytes written",
];

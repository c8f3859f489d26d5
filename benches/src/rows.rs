//! What is compared with what, and how far it may lie apart (`specs/performance.md`).

use std::path::Path;

use serde::Serialize;

use crate::inside::Inside;
use crate::load::{Load, Work};
use crate::measured::{Measured, Spread};
use crate::plain::Act;
use crate::plan::Span;
use crate::server::{Server, plan_path};
use crate::{commit, plain, seal};

/// One line of the table, over HTTP.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    work: Work,
    clients: usize,
    pub(crate) baseline: Baseline,
    pub(crate) target: Target,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Baseline {
    /// One bare SQLite commit in the same folder; compared by the median latency.
    BareCommit,
    /// The same server answering a constant, with as many clients; compared by rate.
    Constant,
    /// Ten calls of AES-256-GCM with random nonces, in the same process; compared by rate.
    BareCipher,
    /// One node with as many clients as two have together; compared by rate.
    OneNode,
    /// As many plain rows deleted as there are clients, each with a plain line of a log, in one SQLite commit, by a
    /// program that does nothing else; compared by rate.
    PlainDelete,
    /// The same with rows that are read.
    PlainRead,
    /// The same with a number that is changed in a row.
    PlainUpdate,
}

/// Absent where the specification names none.
#[derive(Clone, Copy, Default, Serialize)]
pub(crate) struct Target {
    /// Of the rate to that of the baseline.
    pub(crate) rate_min: Option<f64>,
    /// Of the median latency to that of the baseline.
    pub(crate) latency_max: Option<f64>,
    /// Of the server's processor time per operation to that of the baseline.
    pub(crate) cpu_max: Option<f64>,
    pub(crate) p99_ms_max: Option<f64>,
}

/// A row with what was measured, pair by pair.
#[derive(Serialize)]
pub(crate) struct Compared {
    pub(crate) name: &'static str,
    pub(crate) baseline: Baseline,
    pub(crate) target: Target,
    pub(crate) clients: usize,
    /// Of rates or, against a bare commit, of median latencies.
    pub(crate) ratio: Option<Spread>,
    pub(crate) cpu_ratio: Option<Spread>,
    pub(crate) ours: Vec<Measured>,
    pub(crate) theirs: Vec<Measured>,
}

impl Row {
    /// Pairs of runs, ours and the baseline's in turn, so that both meet the same weather.
    pub(crate) fn compare(
        &self,
        server: &Server,
        folder: &Path,
        first_new: &mut usize,
        (pairs, span): (usize, Span),
    ) -> anyhow::Result<Compared> {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..pairs {
            let load = |work, first_new| Load {
                plan: plan_path(folder),
                server: server.process().0,
                work,
                clients: self.clients,
                first_new,
                span,
            };
            ours.push(load(self.work, *first_new).start()?);
            *first_new += NEW_IN_A_RUN_MAX;
            theirs.push(match self.baseline {
                Baseline::Constant => load(Work::Constant, 0).start()?,
                beside => beside.measure(folder, self.clients, span)?,
            });
        }
        let Self { name, baseline, target, clients, .. } = *self;
        Ok(Compared::new((name, baseline, target, clients), ours, theirs))
    }
}

/// What is measured without HTTP, in this process.
pub(crate) fn compare_inside(
    inside: &mut Inside,
    folder: &Path,
    (pairs, span): (usize, Span),
) -> anyhow::Result<Vec<Compared>> {
    let mut rows = Vec::new();
    for (name, clients, baseline, target) in INSIDE {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..pairs {
            ours.push(match baseline {
                Baseline::BareCipher => seal::ours(span)?,
                Baseline::PlainDelete => inside.erase()?,
                _ => inside.read(clients, span)?,
            });
            theirs.push(baseline.measure(folder, clients, span)?);
        }
        rows.push(Compared::new((name, baseline, target, clients), ours, theirs));
    }
    Ok(rows)
}

impl Baseline {
    /// Those that need no server.
    fn measure(self, folder: &Path, clients: usize, span: Span) -> anyhow::Result<Measured> {
        match self {
            Self::BareCipher => seal::theirs(span),
            Self::BareCommit => commit::measure(folder, span),
            Self::PlainDelete => plain::measure(folder, Act::Delete, clients, span),
            Self::PlainRead => plain::measure(folder, Act::Read, clients, span),
            Self::PlainUpdate => plain::measure(folder, Act::Change, clients, span),
            Self::Constant | Self::OneNode => anyhow::bail!("a baseline with a server"),
        }
    }
}

impl Compared {
    /// `ours` and `theirs` in the order of the pairs.
    pub(crate) fn new(
        (name, baseline, target, clients): (&'static str, Baseline, Target, usize),
        ours: Vec<Measured>,
        theirs: Vec<Measured>,
    ) -> Self {
        let pair = |of: fn(&Measured, &Measured) -> Option<f64>| {
            Spread::of(ours.iter().zip(&theirs).filter_map(|(ours, theirs)| of(ours, theirs)))
        };
        let ratio = pair(match baseline {
            Baseline::BareCommit => |ours, theirs| Some(ours.p50_us / theirs.p50_us),
            _ => |ours, theirs| Some(ours.per_second / theirs.per_second),
        });
        let cpu_ratio = pair(|ours, theirs| {
            // A short run may use less than the kernel's grain of 10 ms.
            Some(ours.server_cpu_us? / theirs.server_cpu_us.filter(|time| *time > 0.0)?)
        });
        Self { name, baseline, target, clients, ratio, cpu_ratio, ours, theirs }
    }
}

/// Those that let the data grow stand last.
pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "audited read, 1 client",
        work: Work::Read,
        clients: 1,
        baseline: Baseline::Constant,
        target: NO_TARGET,
    },
    Row {
        name: "audited read, 64 clients",
        work: Work::Read,
        clients: 64,
        baseline: Baseline::Constant,
        target: Target {
            rate_min: Some(0.20),
            cpu_max: Some(6.0),
            p99_ms_max: Some(6.0),
            ..NO_TARGET
        },
    },
    Row {
        name: "audited read, 256 clients",
        work: Work::Read,
        clients: 256,
        baseline: Baseline::Constant,
        target: Target {
            rate_min: Some(0.25),
            cpu_max: Some(6.0),
            p99_ms_max: Some(15.0),
            ..NO_TARGET
        },
    },
    Row {
        name: "look-up + read, 64 clients",
        work: Work::LookUpRead,
        clients: 64,
        baseline: Baseline::Constant,
        target: Target { rate_min: Some(0.15), ..NO_TARGET },
    },
    Row {
        name: "one read at a time, latency",
        work: Work::Read,
        clients: 1,
        baseline: Baseline::BareCommit,
        target: Target { latency_max: Some(3.0), ..NO_TARGET },
    },
    Row {
        name: "create, 64 clients",
        work: Work::Create,
        clients: 64,
        baseline: Baseline::Constant,
        target: NO_TARGET,
    },
    Row {
        name: "change of a field, 64 clients",
        work: Work::Change,
        clients: 64,
        baseline: Baseline::PlainUpdate,
        target: Target { rate_min: Some(0.3), ..NO_TARGET },
    },
];

/// Erasing stands last: the clock goes ahead with it.
const INSIDE: [(&str, usize, Baseline, Target); 4] = [
    (
        "audited read in process, 64 at once",
        64,
        Baseline::PlainRead,
        Target { rate_min: Some(0.35), ..NO_TARGET },
    ),
    (
        "one read at a time in process, latency",
        1,
        Baseline::BareCommit,
        Target { latency_max: Some(2.0), ..NO_TARGET },
    ),
    (
        "sealing a record of 10 fields",
        1,
        Baseline::BareCipher,
        Target { rate_min: Some(1.0), ..NO_TARGET },
    ),
    (
        "erasure, asked for and done",
        64,
        Baseline::PlainDelete,
        Target { rate_min: Some(0.3), ..NO_TARGET },
    ),
];

pub(crate) const NO_TARGET: Target =
    Target { rate_min: None, latency_max: None, cpu_max: None, p99_ms_max: None };

/// Each creating run has numbers of its own, so that no e-mail address comes twice.
pub(crate) const NEW_IN_A_RUN_MAX: usize = 10_000_000;

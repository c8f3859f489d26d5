//! What is compared with what, and how far it may lie apart (`specs/performance.md`).

use std::path::Path;

use serde::Serialize;

use crate::commit;
use crate::load::{Load, Work};
use crate::measured::{Measured, Spread};
use crate::plain;
use crate::plan::Span;
use crate::server::{Server, plan_path};

/// One line of the table.
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
    /// As many plain changes of a row, each with a plain line of a log, in one SQLite commit, by a program that
    /// does nothing else; compared by rate.
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
                Baseline::BareCommit => commit::measure(folder, span)?,
                Baseline::Constant => load(Work::Constant, 0).start()?,
                Baseline::PlainUpdate => plain::measure(folder, self.clients, span)?,
            });
        }
        let pair = |of: fn(&Measured, &Measured) -> Option<f64>| {
            Spread::of(ours.iter().zip(&theirs).filter_map(|(ours, theirs)| of(ours, theirs)))
        };
        let ratio = pair(match self.baseline {
            Baseline::BareCommit => |ours, theirs| Some(ours.p50_us / theirs.p50_us),
            _ => |ours, theirs| Some(ours.per_second / theirs.per_second),
        });
        let cpu_ratio = pair(|ours, theirs| {
            // A short run may use less than the kernel's grain of 10 ms.
            Some(ours.server_cpu_us? / theirs.server_cpu_us.filter(|time| *time > 0.0)?)
        });
        let Self { name, baseline, target, clients, .. } = *self;
        Ok(Compared { name, baseline, target, clients, ratio, cpu_ratio, ours, theirs })
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

const NO_TARGET: Target =
    Target { rate_min: None, latency_max: None, cpu_max: None, p99_ms_max: None };

/// Each creating run has numbers of its own, so that no e-mail address comes twice.
const NEW_IN_A_RUN_MAX: usize = 10_000_000;

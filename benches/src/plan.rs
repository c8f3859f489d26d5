//! What the server tells the load generator, and how long to measure.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::shop::At;

/// Written by the server into its own folder once it answers.
#[derive(Serialize, Deserialize)]
pub(crate) struct Plan {
    /// Loopback port of the product's router.
    pub(crate) product_port: u16,
    /// Loopback port of the constant answer, in the same process.
    pub(crate) constant_port: u16,
    /// An API key of the role `shop`.
    pub(crate) key: String,
    /// An API key that may only change customers.
    pub(crate) changer: String,
    /// An API key that may only erase.
    pub(crate) eraser: String,
    /// Numbers and ids of imported customers: of all of them, or of a sample.
    pub(crate) customers: Vec<(usize, String)>,
    /// Size of the body of both answers.
    pub(crate) body_bytes: usize,
}

impl Plan {
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let bytes = fs::read(path).context("the server's plan cannot be read")?;
        serde_json::from_slice(&bytes).context("the server's plan is not understood")
    }

    pub(crate) fn write(&self, path: &Path) -> anyhow::Result<()> {
        Ok(fs::write(path, serde_json::to_vec(self)?)?)
    }
}

/// What is measured, how often and for how long.
#[derive(Args)]
pub(crate) struct Runs {
    /// Pairs of runs for each row
    #[arg(long, default_value_t = 5)]
    pub(crate) pairs: usize,
    /// Customers imported before
    #[arg(long, default_value_t = 10_000)]
    pub(crate) customers: usize,
    #[command(flatten)]
    pub(crate) at: At,
    #[command(flatten)]
    pub(crate) span: Span,
}

/// How long one run takes.
#[derive(Args, Clone, Copy)]
pub(crate) struct Span {
    /// Before anything counts
    #[arg(long, default_value_t = 2_000)]
    pub(crate) warm_up_ms: u64,
    /// What counts
    #[arg(long, default_value_t = 4_000)]
    pub(crate) run_ms: u64,
}

impl Span {
    pub(crate) fn warm_up(self) -> Duration {
        Duration::from_millis(self.warm_up_ms)
    }

    pub(crate) fn run(self) -> Duration {
        Duration::from_millis(self.run_ms)
    }
}

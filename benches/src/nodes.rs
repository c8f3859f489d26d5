//! Two nodes on one database beside one: one writer at a time by design, so what a second one adds is what it can
//! do outside of that turn.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::thread;

use anyhow::{Context, ensure};
use clap::Args;
use serde_json::json;

use crate::load::{Load, Work};
use crate::machine::{Machine, Versions, load_average};
use crate::measured::Measured;
use crate::plan::{Runs, Span};
use crate::report;
use crate::rows::{Baseline, Compared, NEW_IN_A_RUN_MAX, NO_TARGET};
use crate::server::{Server, plan_path};

#[derive(Args)]
pub(crate) struct Nodes {
    /// Where to write the JSON
    #[arg(long, value_name = "FILE")]
    json: PathBuf,
    #[command(flatten)]
    runs: Runs,
}

/// One of them, with the folder of its own.
struct Node {
    folder: tempfile::TempDir,
    server: Server,
}

impl Nodes {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let Runs { pairs, customers, at, span } = &self.runs;
        ensure!(at.has_keys_at_server(), "two nodes need `--database` and `--key-database`");
        let folder = tempfile::tempdir()?;
        let server = Server::start(folder.path(), at, *customers)?;
        let first = Node { folder, server };
        let folder = tempfile::tempdir()?;
        fs::create_dir(folder.path().join("data"))?;
        fs::copy(first.folder.path().join("seal.key"), folder.path().join("seal.key"))?;
        let server = Server::start(folder.path(), at, *customers)?;
        let second = Node { folder, server };
        let mut rows = Vec::new();
        let mut first_new = *customers;
        for (name, work) in
            [("audited read, two nodes", Work::Read), ("create, two nodes", Work::Create)]
        {
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            for _ in 0..*pairs {
                ours.push(self.both([&first, &second], work, &mut first_new)?);
                theirs.push(first.load(work, (CLIENTS, first_new), *span)?);
                first_new += NEW_IN_A_RUN_MAX;
            }
            rows.push(Compared::new((name, Baseline::OneNode, NO_TARGET, CLIENTS), ours, theirs));
        }
        writeln!(std::io::stdout(), "{}", report::table(&rows))?;
        let seen = json!({ "machine": Machine::read(first.folder.path()), "versions": Versions::read(),
            "load_average": load_average(), "customers": customers, "rows": rows });
        let text = serde_json::to_string_pretty(&seen)? + "\n";
        fs::write(&self.json, text).context("the JSON cannot be written")
    }

    /// Half of the clients at each, at the same time.
    fn both(
        &self,
        nodes: [&Node; 2],
        work: Work,
        first_new: &mut usize,
    ) -> anyhow::Result<Measured> {
        let measured = thread::scope(|scope| {
            let running = nodes.map(|node| {
                let numbers = (CLIENTS / 2, *first_new);
                *first_new += NEW_IN_A_RUN_MAX;
                scope.spawn(move || node.load(work, numbers, self.runs.span))
            });
            running.map(|it| it.join().ok().context("a thread panicked")?)
        });
        let [here, there] = measured;
        Ok(here?.beside(&there?))
    }
}

impl Node {
    fn load(
        &self,
        work: Work,
        (clients, first_new): (usize, usize),
        span: Span,
    ) -> anyhow::Result<Measured> {
        let plan = plan_path(self.folder.path());
        Load { plan, server: self.server.process().0, work, clients, first_new, span }.start()
    }
}

/// Of one node; each of two has half of them.
const CLIENTS: usize = 64;

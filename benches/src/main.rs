//! Measures Strongroom as ratios to baselines in the same run: `specs/performance.md`, "Method".
//!
//! `all` is the one command. It starts a server and a load generator, both as processes of their
//! own, from this same binary.

mod all;
mod answer;
mod bulk;
mod commit;
mod connection;
mod grow;
mod inside;
mod load;
mod machine;
mod measured;
mod nodes;
mod plain;
mod plan;
mod process;
mod report;
mod restore;
mod rows;
mod scope;
mod seal;
mod server;
mod shop;
mod thief;
mod timing;
mod tuned;

use clap::{Parser, Subcommand};

/// The allocator of the product's binary: what is measured must be what is shipped.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(about = "Measures Strongroom as ratios to baselines in the same run")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure everything, print the table, write JSON
    All(all::All),
    /// Measure with many customers: import, size, start-up, memory, reads, scope; goes on where it was
    Grow(grow::Grow),
    /// Measure two nodes on one database beside one
    Nodes(nodes::Nodes),
    /// Measure a backup and a restore: time, rows a second, peak memory, size on disk
    Restore(restore::Restore),
    /// Ask whether durations tell secrets apart; fails where they do, or where a planted one is missed
    Timing(timing::Timing),
    /// How fast somebody who stole files or keys guesses what is in them
    Thief(thief::Thief),
    /// One step of it; started by `grow`
    #[command(hide = true)]
    GrowStep(grow::GrowStep),
    /// One step of it; started by `restore`
    #[command(hide = true)]
    RestoreStep(restore::RestoreStep),
    /// The load generator; started by `all`
    #[command(hide = true)]
    Load(load::Load),
    /// The server that is measured; started by `all`
    #[command(hide = true)]
    ServeForBench(server::ServeForBench),
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::All(all) => all.run(),
        Command::Grow(grow) => grow.run(),
        Command::GrowStep(step) => step.run(),
        Command::Nodes(nodes) => nodes.run(),
        Command::Restore(restore) => restore.run(),
        Command::RestoreStep(step) => step.run(),
        Command::Thief(thief) => thief.run(),
        Command::Timing(timing) => timing.run(),
        Command::Load(load) => load.run(),
        Command::ServeForBench(server) => server.run(),
    }
}

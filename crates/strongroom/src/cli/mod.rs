//! The command line: every command there is.
//!
//! A command asks the same `/v1` that programs ask, over HTTP or inside this process, so there is one
//! way to do a thing and one place that decides whether it may be done. What must never happen here:
//! a personal value as an argument (they stand in process lists and shell histories) or in a message.

mod access;
mod backup;
mod customer;
mod demo;
mod doctor;
mod export;
mod failure;
mod import;
mod init;
mod key;
mod ledger;
mod log;
mod moving;
mod output;
mod places;
mod policy;
mod recover;
mod road;
mod rotate;
mod seal;
mod send;
mod serve;
mod share;
mod tls;
mod transport;
mod upkeep;
mod webhook;
mod witness;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, Parser, Subcommand};
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

use self::failure::Failure;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) use self::import::{ReadFile, read_file};
use self::output::Output;

/// Parses the arguments, runs the command, says what went wrong, and gives the exit code: 0 for
/// done, 1 for refused or failed, 2 for a command that was not understood.
pub fn run() -> ExitCode {
    log::hush_panics();
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(told) => return refuse(&told),
    };
    log::start(&arguments);
    harden();
    let output = Output::new(arguments.common.json);
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(cause) => return output::tell(&Failure::from(cause), &output),
    };
    match runtime.block_on(dispatch(&arguments, &output)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => output::tell(&failure, &output),
    }
}

/// Keys and values are in this process's memory: no other process of the same user reads it, and a crash
/// writes none of it to a file.
fn harden() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let limited = setrlimit(Resource::Core, none);
    let hidden = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    if limited.and(hidden).is_err() {
        tracing::warn!(
            "this system does not let a program keep its memory out of core dumps: turn them off \
             (`ulimit -c 0`)"
        );
    }
}

/// Says what is wrong with the command line, or prints the help that was asked for. A value that was
/// refused is not repeated: where an id belongs people type names and addresses.
fn refuse(told: &clap::Error) -> ExitCode {
    if told.kind() == ErrorKind::ValueValidation
        && let Some(problem) = std::error::Error::source(told)
    {
        let argument = match told.get(ContextKind::InvalidArg) {
            Some(ContextValue::String(argument)) => argument.as_str(),
            _ => "an argument",
        };
        output::warn(&format!("strongroom: `{argument}`: {problem}"));
    } else {
        // Nobody reads it if even this cannot be written.
        let _ = told.print();
    }
    ExitCode::from(u8::try_from(told.exit_code()).unwrap_or(2))
}

/// Keeps the customer data of a business safe, and proves it.
#[derive(Parser)]
#[command(name = "strongroom", version, max_term_width = 100, disable_help_subcommand = true)]
#[command(after_help = "Begin with `strongroom demo`, or with `strongroom init` for a real one.")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

/// What every command takes.
#[derive(Args)]
struct Common {
    /// The configuration of the installation on this machine
    #[arg(long, global = true, value_name = "FILE", default_value = "strongroom.toml")]
    config: PathBuf,
    /// A running server, instead of the installation on this machine, like http://127.0.0.1:8720
    #[arg(long, global = true, value_name = "URL")]
    server: Option<String>,
    /// A file that holds an API key (sr_live_…) and that only you can read
    #[arg(long, global = true, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Who asks, for a key of people: your own opaque name for them, like staff-17
    #[arg(long, global = true, value_name = "REF", value_parser = transport::staff)]
    on_behalf_of: Option<String>,
    /// The certificate (PEM) that signed the server's, for an https:// server
    #[arg(long, global = true, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Print the API's JSON instead of words
    #[arg(long, global = true)]
    json: bool,
    /// Write log lines as JSON
    #[arg(long, global = true)]
    log_json: bool,
}

impl Common {
    /// What needs what. Not left to the parser, which looks for both on the same side of the command.
    fn check(&self) -> Result<(), Failure> {
        if self.key_file.is_none() && (self.server.is_some() || self.on_behalf_of.is_some()) {
            return Err(Failure::usage(
                "`--server` and `--on-behalf-of` go with an API key: name its file with `--key-file FILE`",
            ));
        }
        if self.ca.is_some() && self.server.is_none() {
            return Err(Failure::usage("`--ca` goes with `--server https://…`"));
        }
        Ok(())
    }
}

#[derive(Subcommand)]
enum Command {
    Demo(demo::Demo),
    Init(init::Init),
    Serve(serve::Serve),
    Backup(backup::Backup),
    Restore(backup::Restore),
    Move(moving::Move),
    Recover(recover::Recover),
    Rotate(rotate::Rotate),
    #[command(subcommand)]
    Tls(tls::Tls),
    #[command(subcommand)]
    Policy(policy::Policy),
    #[command(subcommand)]
    Key(key::Key),
    Import(import::Import),
    Export(export::Export),
    #[command(subcommand)]
    Customer(customer::Customer),
    #[command(subcommand)]
    Ledger(ledger::Ledger),
    #[command(subcommand)]
    Access(access::Access),
    #[command(subcommand)]
    Places(places::Places),
    #[command(subcommand)]
    Webhook(webhook::Webhook),
    #[command(subcommand)]
    Send(send::Send),
    #[command(subcommand)]
    Share(share::Share),
    #[command(subcommand)]
    Witness(witness::Witness),
    #[command(subcommand)]
    Hold(upkeep::Hold),
    /// List what is missing or wrong, and what mends it
    ///
    /// Example: strongroom findings
    Findings,
    /// Look at the installation and this machine: what passes, what fails, what mends it
    ///
    /// Exit code 1 if anything fails. What could not be seen is UNKNOWN and did not pass.
    ///
    /// Example: strongroom doctor
    Doctor {
        /// Say that the machine's clock is right after it jumped
        #[arg(long)]
        confirm_clock: bool,
        /// Say, after a restore, that every consent withdrawn since the backup was set down again
        #[arg(long, conflicts_with = "confirm_clock")]
        confirm_consents: bool,
    },
    /// Drop all keys of a running server at once: nothing is shown until it starts again
    ///
    /// Example: strongroom seal --server http://127.0.0.1:8720 --key-file admin.key
    Seal,
    /// Print the description of the API (OpenAPI 3.1)
    ///
    /// Example: strongroom openapi > openapi.json
    Openapi,
}

async fn dispatch(arguments: &Arguments, output: &Output) -> Result<(), Failure> {
    let common = &arguments.common;
    common.check()?;
    match &arguments.command {
        Command::Demo(demo) => demo.run(output).await,
        Command::Init(init) => init.run(output).await,
        Command::Serve(serve) => serve.run(common, output).await,
        Command::Backup(backup) => backup.run(common, output).await,
        Command::Restore(restore) => restore.run(common, output).await,
        Command::Move(moving) => moving.run(common, output).await,
        Command::Recover(recover) => recover.run(common, output).await,
        Command::Rotate(rotate) => rotate.run(common, output).await,
        Command::Tls(tls) => tls.run(common, output),
        Command::Policy(policy) => policy.run(common, output).await,
        Command::Key(key) => key.run(common, output).await,
        Command::Import(import) => import.run(common, output).await,
        Command::Export(export) => export.run(common, output).await,
        Command::Customer(customer) => customer.run(common, output).await,
        Command::Ledger(ledger) => ledger.run(common, output).await,
        Command::Access(access) => access.run(common, output).await,
        Command::Places(places) => places.run(common, output).await,
        Command::Webhook(webhook) => webhook.run(common, output).await,
        Command::Send(send) => send.run(common, output).await,
        Command::Share(share) => share.run(common, output).await,
        Command::Witness(witness) => witness.run(common, output).await,
        Command::Hold(hold) => hold.run(common, output).await,
        Command::Findings => upkeep::findings(common, output).await,
        Command::Doctor { confirm_clock: true, .. } => {
            doctor::confirm(doctor::Confirmed::Clock, common, output).await
        }
        Command::Doctor { confirm_consents: true, .. } => {
            doctor::confirm(doctor::Confirmed::Consents, common, output).await
        }
        Command::Doctor { .. } => doctor::run(common, output).await,
        Command::Seal => upkeep::seal(common, output).await,
        Command::Openapi => upkeep::openapi(output),
    }
}

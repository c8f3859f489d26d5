//! `strongroom move`: the data, or the keys, to a database server, or back into the data folder.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde_json::json;
use strongroom_crypto::SystemRandom;

use crate::app::{Moved, Surroundings, move_data, move_keys};
use crate::backup::Step;
use crate::cli::Common;
use crate::cli::backup::{bar, operator_at};
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::seal;
use crate::config::{Config, Database};
use crate::ctx::{Clock, SystemClock};

/// Move the data, or the keys, to a PostgreSQL server, or back into the data folder
///
/// Nothing may serve it meanwhile. Every row is held against the one it came from, and the ledger is verified,
/// before the new place is good for anything; stopped, it goes on where it was. Where it was before, the data
/// stays too, out of use, until you delete it. Keys (`--keys`) do not: they are moved alone, to another server
/// than the data, and nothing of them is left behind.
///
/// Example: strongroom move --to postgres://strongroom@db.lan/customers --password-file db.password
#[derive(Args)]
pub(super) struct Move {
    /// Move the keys, and not the data
    #[arg(long)]
    keys: bool,
    /// The URL of an empty database, without a password; or the data folder
    #[arg(long, value_name = "URL|DIR")]
    to: String,
    /// The file that holds the server's password; mode 600
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// The certificate (PEM) that signed the server's; those the system trusts if left out
    #[arg(long, value_name = "FILE")]
    database_ca: Option<PathBuf>,
}

impl Move {
    pub(super) async fn run(&self, common: &Common, output: &Output) -> Result<(), Failure> {
        if common.server.is_some() {
            return Err(Failure::usage("`move` works on this machine, without `--server`"));
        }
        let config = Config::read(&common.config)?;
        let to = self.to(&config)?;
        let clock = SystemClock::new();
        let random = Arc::new(SystemRandom);
        let ctx = operator_at(clock.now(), random.clone())?;
        let (places, server) = (seal::places(&config)?, config.server()?);
        let surroundings = Surroundings { places, server, clock: Arc::new(clock), random };
        let section = if self.keys { "key_database" } else { "database" };
        let server = to.as_ref().map(|it| it.server(section)).transpose()?;
        let bar = bar(output);
        let told = |step: Step| {
            let of = step.of.map(|of| format!(" of {of}")).unwrap_or_default();
            bar.set_message(format!("{}{of} {}", step.done, step.what));
            Ok(())
        };
        let (value, done) = if self.keys {
            let rows = move_keys(surroundings, server, &ctx, told).await;
            bar.finish_and_clear();
            let rows = rows?;
            (json!({ "rows": rows }), told_of_keys(rows))
        } else {
            let moved = move_data(surroundings, server, &ctx, told).await;
            bar.finish_and_clear();
            let Moved { rows, entries } = moved?;
            (json!({ "rows": rows, "entries": entries }), told_of_data(rows, entries))
        };
        if output.is_json() {
            return output.value(&value);
        }
        output.line(&done)?;
        let was_at_server =
            if self.keys { &config.key_database } else { &config.database }.is_some();
        output.line(&match to {
            Some(to) => format!("{}\n\n{}", named_by(section, &to), self.left(was_at_server)),
            None => format!(
                "From the configuration, take the section `[{section}]` out. {}",
                self.left(true)
            ),
        })
    }

    /// What is left where it was.
    fn left(&self, at_server: bool) -> &'static str {
        match (self.keys, at_server) {
            (true, true) => {
                "Nothing of the keys is left in the tables they were in; drop that database, and delete its \
                 backups: the keys are in those as they were then."
            }
            (true, false) => {
                "There is no keys.db any more. Copies of it that you made yourself are yours to delete: the keys \
                 are in those as they were then."
            }
            (false, true) => {
                "The database it was in is marked as left and opens no more; drop it when you are sure."
            }
            (false, false) => {
                "The file it was in is called strongroom-moved.db now; delete it when you are sure. The keys stay \
                 where they are."
            }
        }
    }

    /// The server to move to; none for the data folder.
    fn to(&self, config: &Config) -> Result<Option<Database>, Failure> {
        if self.to.contains("://") {
            let absolute =
                |path: &Option<PathBuf>| path.as_ref().map(std::path::absolute).transpose();
            return Ok(Some(Database {
                url: self.to.clone(),
                password_file: absolute(&self.password_file)?,
                ca: absolute(&self.database_ca)?,
            }));
        }
        let is_folder = |to: PathBuf| Some(to) == config.data_dir.canonicalize().ok();
        if !PathBuf::from(&self.to).canonicalize().is_ok_and(is_folder) {
            let sentence = "`--to` takes the URL of a database, postgres://USER@HOST/DATABASE, or the data folder \
                            that the configuration names; a data folder itself is moved as any folder is, while \
                            nothing serves it";
            return Err(Failure::usage(sentence));
        }
        Ok(None)
    }
}

fn told_of_data(rows: u64, entries: u64) -> String {
    format!(
        "Moved: {rows} rows, each held against the one it came from, and a ledger of {entries} entries, verified.\n"
    )
}

fn told_of_keys(rows: u64) -> String {
    format!(
        "Moved: {rows} rows, each held against the one it came from, and every key opened where it is now.\n"
    )
}

/// The section of the configuration that names a server.
fn named_by(section: &str, server: &Database) -> String {
    let file = |name: &str, path: &Option<PathBuf>| {
        path.as_ref().map(|path| format!("\n{name} = {path:?}")).unwrap_or_default()
    };
    format!(
        "In the configuration, this is what names it from now on:\n\n[{section}]\nurl = {:?}{}{}",
        server.url,
        file("password_file", &server.password_file),
        file("ca", &server.ca)
    )
}

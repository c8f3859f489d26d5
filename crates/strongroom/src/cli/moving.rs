//! `strongroom move`: the data to a database server, or back into the data folder.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde_json::json;
use strongroom_crypto::SystemRandom;

use crate::app::{Surroundings, move_data};
use crate::backup::Step;
use crate::cli::Common;
use crate::cli::backup::{bar, operator_at};
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::seal;
use crate::config::{Config, Database};
use crate::ctx::{Clock, SystemClock};

/// Move the data to a PostgreSQL server, or back into the data folder
///
/// Nothing may serve it meanwhile. Every row is held against the one it came from, and the ledger is verified,
/// before the new place is good for anything; stopped, it goes on where it was. The keys stay in the data
/// folder. Where it was before, the data stays too, out of use, until you delete it.
///
/// Example: strongroom move --to postgres://strongroom@db.lan/customers --password-file db.password
#[derive(Args)]
pub(super) struct Move {
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
        let server = to.as_ref().map(Database::server).transpose()?;
        let bar = bar(output);
        let moved = move_data(surroundings, server, &ctx, |step: Step| {
            let of = step.of.map(|of| format!(" of {of}")).unwrap_or_default();
            bar.set_message(format!("{}{of} {}", step.done, step.what));
            Ok(())
        })
        .await;
        bar.finish_and_clear();
        let moved = moved?;
        if output.is_json() {
            return output.value(&json!({ "rows": moved.rows, "entries": moved.entries }));
        }
        output.line(&format!(
            "Moved: {} rows, each held against the one it came from, and a ledger of {} entries, verified.\n",
            moved.rows, moved.entries
        ))?;
        output.line(&match to {
            Some(database) => told_of_server(&database, &config),
            None => BACK.to_owned(),
        })
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

fn told_of_server(database: &Database, config: &Config) -> String {
    let file = |name: &str, path: &Option<PathBuf>| {
        path.as_ref().map(|path| format!("\n{name} = {path:?}")).unwrap_or_default()
    };
    let section = format!(
        "[database]\nurl = {:?}{}{}",
        database.url,
        file("password_file", &database.password_file),
        file("ca", &database.ca)
    );
    let left = match config.database {
        Some(_) => {
            "The database it was in is marked as left and opens no more; drop it when you are sure."
        }
        None => {
            "The file it was in is called strongroom-moved.db now; delete it when you are sure. The keys stay in \
             the data folder."
        }
    };
    format!("In the configuration, this is what names it from now on:\n\n{section}\n\n{left}")
}

const BACK: &str = "From the configuration, take the section `[database]` out. The database it was in is marked as left \
     and opens no more; drop it when you are sure.";

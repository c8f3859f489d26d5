//! `strongroom backup` and `strongroom restore`: the way back, made, rehearsed and gone.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};
use indicatif::ProgressBar;
use serde_json::{Value, json};
use strongroom_crypto::{Random, SystemRandom};
use zeroize::Zeroizing;

use crate::app::{self, App};
use crate::backup::{
    self, Agreement, Kind, Made, MissingKeys, Outcome, RestoreInput, Restored, Settings, Step,
};
use crate::cli::Common;
use crate::cli::failure::Failure;
use crate::cli::output::{Output, warn};
use crate::cli::recover::refuse_taken;
use crate::cli::seal;
use crate::cli::serve;
use crate::cli::transport::{Call, Transport};
use crate::config::{Config, read_secret};
use crate::ctx::{Actor, Ctx, SystemClock, Time};
use crate::error::Error;
use crate::id::Id;
use crate::keys::{Places, Seal};

/// Make a pair of backups: one of the data, one of the keys, both sealed
///
/// A server makes them by itself, into the folder that the configuration names under `[backup]`. Keep
/// both apart from the key file: whoever has all three can read everything, and without the key file
/// nobody can read anything.
///
/// Example: strongroom backup --to /mnt/usb/strongroom
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Backup {
    /// The folder they go to, instead of the one in the configuration
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<BackupCommand>,
}

#[derive(Subcommand)]
enum BackupCommand {
    /// List backups, how old the newest is, and what the last rehearsed restore saw
    ///
    /// Example: strongroom backup list
    List,
}

/// Bring an installation back from its two backups and what opens it, or two recovery shares
///
/// Into the data folder that the configuration names, or `--to`; it must be empty. What any register of
/// erasures that can be reached calls erased stays erased, every API key is off until it is switched on
/// again, and the ledger opens a new incarnation.
///
/// Example: strongroom restore --data /mnt/usb/strongroom --keys /mnt/usb/strongroom --preview
#[derive(Args)]
pub(super) struct Restore {
    /// The data backup, or a folder in which the newest is taken
    #[arg(long, value_name = "DIR", required_unless_present = "verify")]
    data: Option<PathBuf>,
    /// The key backup, or a folder in which the newest is taken
    #[arg(long, value_name = "DIR", required_unless_present = "verify")]
    keys: Option<PathBuf>,
    /// The empty data folder, instead of the one in the configuration
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    /// The key file of the installation, instead of what the configuration names; with `--share`, the
    /// new one to be made
    #[arg(long, value_name = "FILE")]
    seal_key: Option<PathBuf>,
    /// A recovery share, twice for two of them, where what opened the installation is lost
    #[arg(long, value_name = "FILE")]
    share: Vec<PathBuf>,
    /// Another key backup whose register of erasures counts too; several times for several
    #[arg(long, value_name = "DIR")]
    register: Vec<PathBuf>,
    /// The day of the newest register, where it is older than the data or than a day: says that you
    /// know of the time in which erasures are not known
    #[arg(long, value_name = "YYYY-MM-DD")]
    register_as_of: Option<String>,
    /// The file of an API key that agrees to `--register-as-of`; two people name one each
    #[arg(long, requires = "register_as_of", value_name = "FILE")]
    agreed_by: Vec<PathBuf>,
    /// Say yes to `--register-as-of` where nobody sits at a terminal
    #[arg(long, requires = "register_as_of")]
    yes_register_as_of: bool,
    /// Restore everyone else where the keys of some customers are in no backup
    #[arg(long)]
    accept_missing_keys: bool,
    /// Say what would come back and what would not, and change nothing
    #[arg(long)]
    preview: bool,
    /// Rehearse: restore the newest backup beside the installation on this machine, look, throw it away
    #[arg(long, conflicts_with_all = ["data", "keys", "to", "preview", "share"])]
    verify: bool,
}

impl Backup {
    pub(super) async fn run(&self, common: &Common, output: &Output) -> Result<(), Failure> {
        if self.command.is_some() {
            return list(common, output).await;
        }
        if common.server.is_some() {
            let sentence = "a server makes its backups by itself, see `strongroom backup list`; \
                            `backup` is for the installation on this machine while it is not served";
            return Err(Failure::usage(sentence));
        }
        let config = Config::read(&common.config)?;
        let to =
            self.to.clone().map_or_else(|| Ok(config.backup.to.clone()), std::path::absolute)?;
        let app = serve::open(&config).await?;
        let bar = bar(output);
        let told = bar.clone();
        let told = Box::new(move |kind: Kind, rows: u64| {
            told.set_message(format!("{rows} rows of the {} backup", kind.as_str()));
        });
        let desk = app.desk()?;
        let made = backup::make(&desk, &operator(&app)?, &to, told).await;
        let made = made.inspect_err(|_| bar.finish_and_clear())?;
        bar.set_message("copying it to another machine");
        let copied = match &self.to {
            None => backup::copy_newest(&desk, &operator(&app)?, &settings(&config)).await,
            Some(_) => Ok(false),
        };
        bar.finish_and_clear();
        tell_made(&made, &copied, output)?;
        // The pair was made either way; whoever asked has to know that it is here only.
        copied.map(drop).map_err(Failure::from)
    }
}

fn tell_made(made: &Made, copied: &Result<bool, Error>, output: &Output) -> Result<(), Failure> {
    if output.is_json() {
        return output.value(&json!({
            "data": { "folder": made.data.0, "rows": made.data.1.rows(),
                "size_bytes": made.data.1.size_bytes() },
            "keys": { "folder": made.keys.0, "rows": made.keys.1.rows(),
                "size_bytes": made.keys.1.size_bytes() },
            "entries": made.data.1.entries,
            "copied": matches!(copied, Ok(true)),
            "receipt": made.receipt.index,
        }));
    }
    for (folder, manifest) in [&made.data, &made.keys] {
        output.line(&format!(
            "{} backup: {} rows, {} bytes\n  {}",
            manifest.kind.as_str(),
            manifest.rows(),
            manifest.size_bytes(),
            folder.display()
        ))?;
    }
    output.line(match copied {
        Ok(true) => "Both were copied to another machine by the configured command.",
        Ok(false) => "Copy both away from this machine, and never beside the key file.",
        Err(_) => "Both are on this machine only:",
    })
}

async fn list(common: &Common, output: &Output) -> Result<(), Failure> {
    let call = Call::get("/v1/backups");
    let list = Transport::open(common).await?.call(call).await?.json()?;
    if output.is_json() {
        return output.value(&list);
    }
    let columns =
        ["made", "folder", "entries", "data_rows", "copied", "data_removed", "keys_removed"];
    output.list(list.get("backups").unwrap_or(&Value::Null), &columns, "There are no backups.")?;
    if let Some(minutes) = list.get("minutes_ago").and_then(Value::as_i64) {
        output.line(&format!(
            "The newest is {minutes} minutes old: what was done since would be lost with this machine."
        ))?;
    }
    match list.get("rehearsal").filter(|it| !it.is_null()) {
        None => output.line("No restore was rehearsed yet: `strongroom restore --verify` does."),
        Some(seen) => {
            let text = |name: &str| seen.get(name).and_then(Value::as_str).unwrap_or_default();
            output.line(&format!(
                "Rehearsed at {}: {}; {}.",
                text("at"),
                text("result"),
                text("detail")
            ))
        }
    }
}

impl Restore {
    pub(super) async fn run(&self, common: &Common, output: &Output) -> Result<(), Failure> {
        if common.server.is_some() {
            return Err(Failure::usage("`restore` works on this machine, without `--server`"));
        }
        if self.verify {
            return verify(common, output).await;
        }
        let input = self.input(common)?;
        self.confirm()?;
        let random: Arc<dyn Random> = Arc::new(SystemRandom);
        let bar = bar(output);
        let restored = app::restore(&input, &SystemClock::new(), &random, |step: Step| {
            let of = step.of.map(|of| format!(" of {of}")).unwrap_or_default();
            bar.set_message(format!("{}{of} {}", step.done, step.what));
        });
        bar.finish_and_clear();
        tell(&restored?, self.preview, output)
    }

    fn input(&self, common: &Common) -> Result<RestoreInput, Failure> {
        let needed = || Failure::usage("`restore` needs `--data` and `--keys`");
        let unseal = match self.share.as_slice() {
            [] => None,
            files => Some(seal::shares(files)?),
        };
        let places = self.places(common)?;
        if unseal.is_some() && !self.preview {
            refuse_taken(&places.seal)?;
        }
        Ok(RestoreInput {
            unseal,
            data: self.data.clone().ok_or_else(needed)?,
            keys: self.keys.clone().ok_or_else(needed)?,
            registers: self.register.clone(),
            places,
            register_as_of: self.register_as_of.clone(),
            agreed_by: self.agreements()?,
            missing_keys: match self.accept_missing_keys {
                true => MissingKeys::Keep,
                false => MissingKeys::Refuse,
            },
            outcome: if self.preview { Outcome::Discard } else { Outcome::Keep },
        })
    }

    /// The folder to fill, and what opens the installation afterwards. An empty machine may have no
    /// configuration yet.
    fn places(&self, common: &Common) -> Result<Places, Failure> {
        if let (Some(to), Some(key_file)) = (&self.to, &self.seal_key) {
            let seal = Seal::KeyFile(key_file.clone());
            return Ok(Places::in_folder(std::path::absolute(to)?, seal));
        }
        let config = Config::read(&common.config)?;
        let is_served = config.database.is_some() || config.key_database.is_some();
        if is_served && self.to.is_none() {
            let sentence = "a restore fills a data folder, and the configuration names a database server; \
                            name an empty folder with `--to DIR`";
            return Err(Failure::usage(sentence));
        }
        let mut places = match &self.seal_key {
            Some(path) => Places::in_folder(config.data_dir, Seal::KeyFile(path.clone())),
            None => seal::places(&config)?,
        };
        if let Some(to) = &self.to {
            places = Places::in_folder(std::path::absolute(to)?, places.seal);
        }
        Ok(places)
    }

    fn agreements(&self) -> Result<Vec<Zeroizing<String>>, Failure> {
        let read = |file: &PathBuf| read_secret(file, "--agreed-by").map_err(Failure::from);
        self.agreed_by.iter().map(read).collect()
    }

    /// Whoever types it has to mean it; whether a second person is needed is seen in the data.
    fn confirm(&self) -> Result<(), Failure> {
        let Some(day) = &self.register_as_of else { return Ok(()) };
        if self.preview || self.yes_register_as_of {
            return Ok(());
        }
        if !io::stdin().is_terminal() {
            let sentence = "`--register-as-of` is confirmed at a terminal, or with \
                            `--yes-register-as-of`: whoever was erased after that day comes back";
            return Err(Failure::usage(sentence));
        }
        warn(&format!(
            "Whoever was erased after {day} comes back with this restore. Type {day} to go on:"
        ));
        let _ = io::stderr().flush();
        let mut typed = String::new();
        io::stdin().lock().read_line(&mut typed)?;
        match typed.trim() == day {
            true => Ok(()),
            false => Err(Failure::new("not_confirmed", "nothing was restored")),
        }
    }
}

async fn verify(common: &Common, output: &Output) -> Result<(), Failure> {
    let config = Config::read(&common.config)?;
    let app = serve::open(&config).await?;
    let settings = settings(&config);
    let bar = bar(output);
    bar.set_message("restoring the newest backup beside the data");
    let desk = app.desk()?;
    let check = backup::rehearse(&desk, &operator(&app)?, &settings).await;
    bar.finish_and_clear();
    let check = check?;
    if output.is_json() {
        output.value(&json!({
            "result": check.result, "customers": check.customers, "sampled": check.sampled,
            "entries": check.entries, "detail": check.detail,
        }))?;
    } else {
        output.line(&format!("{}: {}.", check.result, check.detail))?;
    }
    if check.result == "ok" { Ok(()) } else { Err(Failure::told()) }
}

fn tell(restored: &Restored, preview: bool, output: &Output) -> Result<(), Failure> {
    let Restored { rebuilt, window, .. } = restored;
    if output.is_json() {
        return output.value(&json!({
            "preview": preview,
            "customers": rebuilt.customers, "index_rows": rebuilt.index_rows,
            "customers_gone": rebuilt.customers_gone, "parts_gone": rebuilt.parts_gone,
            "missing": rebuilt.missing, "tampered": rebuilt.tampered, "named": rebuilt.named,
            "keys_left_out": restored.keys_left_out, "keys_off": restored.keys_off,
            "holds": restored.holds, "policy_version": restored.policy_version,
            "entries_lost": restored.entries_lost, "origin": restored.origin,
            "window": { "data": window.data.to_rfc3339(), "register": window.register.to_rfc3339(),
                "until": window.until.to_rfc3339() },
        }));
    }
    let verb = if preview { "Would be restored" } else { "Restored" };
    output.line(&format!(
        "{verb}: {} customers, {} index rows made, {} entries of the old ledger.",
        rebuilt.customers, rebuilt.index_rows, restored.data.entries
    ))?;
    output.line(&format!(
        "Erased since the data was copied, and gone again: {} customers, {} parts of customers.",
        rebuilt.customers_gone, rebuilt.parts_gone
    ))?;
    output.line(&format!(
        "The data is from {}, the newest register of erasures from {}. Nobody knows what was done \
         between then and {}: erasures, holds, revoked keys and consents of that time have to be done \
         again, and {} entries of the ledger are known to be lost.",
        window.data.to_rfc3339(),
        window.register.to_rfc3339(),
        window.until.to_rfc3339(),
        restored.entries_lost
    ))?;
    if rebuilt.missing + rebuilt.tampered > 0 {
        output.line(&format!(
            "Cannot be opened: {} customers without a key in this key backup, {} altered: {}.",
            rebuilt.missing,
            rebuilt.tampered,
            rebuilt.named.join(", ")
        ))?;
    }
    if restored.agreement == Agreement::Asked {
        output.line(
            "Two people have to agree to that time: each names the file of an API key whose role may \
             `keys`, with `--agreed-by FILE`.",
        )?;
    }
    if preview {
        return output.line("This was a preview; nothing was changed.");
    }
    output.line(&format!(
        "{} API keys are off. Look at each with `strongroom key list`, then `strongroom key enable ID`.",
        restored.keys_off
    ))
}

/// How the configuration wants backups.
pub(super) fn settings(config: &Config) -> Settings {
    Settings {
        to: config.backup.to.clone(),
        every_minutes: config.backup.every_minutes,
        keep_keys_days: config.backup.keep_keys_days,
        keep_data_days: config.backup.keep_data_days,
        command: config.backup.command.clone(),
    }
}

pub(super) fn operator(app: &App) -> Result<Ctx, Failure> {
    let desk = app.desk()?;
    operator_at(desk.now(), Arc::clone(&desk.random))
}

/// The same where nothing is open yet.
pub(super) fn operator_at(now: Time, rng: Arc<dyn Random>) -> Result<Ctx, Failure> {
    let request = Id::time_ordered(now, rng.as_ref()).map_err(Error::from)?;
    Ok(Ctx { actor: Actor::Operator, network: None, now, request, rng, claim: None })
}

/// Moves on a terminal; elsewhere, and for programs, there is nothing to see.
pub(super) fn bar(output: &Output) -> ProgressBar {
    match io::stderr().is_terminal() && !output.is_json() {
        true => ProgressBar::new_spinner(),
        false => ProgressBar::hidden(),
    }
}

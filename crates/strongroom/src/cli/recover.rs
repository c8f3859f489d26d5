//! `strongroom recover`: the way back by shares, and what opens an installation.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;
use strongroom_crypto::{Share, SystemRandom};
use zeroize::Zeroizing;

use crate::access;
use crate::app::{App, Surroundings, rehearse_recovery, reseal};
use crate::cli::Common;
use crate::cli::backup::operator_at;
use crate::cli::failure::Failure;
use crate::cli::init::create_new;
use crate::cli::output::Output;
use crate::cli::{backup, seal, serve};
use crate::config::Config;
use crate::ctx::{Clock, SystemClock};
use crate::keys::{Credential, MadeShares, Places, Seal};

/// Open an installation again with two of its three recovery shares
///
/// For the day its key file, credential or passphrase is lost while its data is there: what opens it is
/// made anew, as the configuration names it. Where the data is lost too, `strongroom restore --share FILE
/// --share FILE` does the same from backups. Rehearse it once a year with `--dry-run`.
///
/// Example: strongroom recover --share one.txt --share two.txt --dry-run
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Recover {
    /// The file of a share; twice, or none to type both on the terminal
    #[arg(long, value_name = "FILE")]
    share: Vec<PathBuf>,
    /// Look whether the shares open everything, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(subcommand)]
    command: Option<RecoverCommand>,
}

#[derive(Subcommand)]
enum RecoverCommand {
    /// Make three new recovery shares; those there were open nothing from then on
    ///
    /// Any two of the three open the installation, one alone says nothing. Give each to another person, or
    /// keep each at another place. Backups made before still open with the shares of then.
    ///
    /// Example: strongroom recover shares --shares-to /mnt/usb
    Shares {
        /// The folder of the three files, one for each holder; without it they are shown on the terminal
        #[arg(long, value_name = "DIR")]
        shares_to: Option<PathBuf>,
    },
    /// Put another seal in place: what opens the installation from then on
    ///
    /// Example: strongroom recover seal --to passphrase
    Seal {
        /// What opens it from then on
        #[arg(long, value_enum)]
        to: NewSeal,
        /// The new key file or credential; for a passphrase, a file it is read from
        #[arg(long, value_name = "FILE", required_if_eq_any = [("to", "key-file"), ("to", "credential")])]
        file: Option<PathBuf>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum NewSeal {
    /// A file that only its owner can read, best on another disk
    KeyFile,
    /// Words that a person types whenever it starts
    Passphrase,
    /// A credential that systemd decrypts on this machine only
    Credential,
}

impl Recover {
    pub(super) async fn run(&self, common: &Common, output: &Output) -> Result<(), Failure> {
        if common.server.is_some() {
            let sentence = "what opens an installation never travels: do this on its own machine, while it \
                            is not served";
            return Err(Failure::usage(sentence));
        }
        let config = Config::read(&common.config)?;
        match &self.command {
            Some(RecoverCommand::Shares { shares_to }) => {
                let app = serve::open(&config).await?;
                hand_out(&app, shares_to.as_deref(), Some(output)).await
            }
            Some(RecoverCommand::Seal { to, file }) => {
                change_seal(&config, *to, file.as_deref(), output).await
            }
            None => self.recover(&config, output).await,
        }
    }

    async fn recover(&self, config: &Config, output: &Output) -> Result<(), Failure> {
        let shares = seal::shares(&self.share)?;
        let places = seal::with(config, shares)?;
        if self.dry_run {
            let seen = rehearse_recovery(&places)?;
            if output.is_json() {
                return output.value(&json!({ "set": seen.set, "keys": seen.keys }));
            }
            return output.line(&format!(
                "These two shares of the set {} open the installation: all {} keys of it were opened. \
                 Nothing was changed.",
                seen.set, seen.keys
            ));
        }
        let to = seal::fresh(config)?;
        refuse_taken(&to)?;
        replace_seal(config, places, &to).await?;
        output.done(
            None,
            "Recovered: the installation opens again as the configuration says. If what was lost may be in \
             other hands, `strongroom rotate` makes new keys; it opens backups made until now all the same.",
        )
    }
}

async fn replace_seal(config: &Config, places: Places, to: &Seal) -> Result<(), Failure> {
    let clock = SystemClock::new();
    let random = Arc::new(SystemRandom);
    let ctx = operator_at(clock.now(), random.clone())?;
    let surroundings =
        Surroundings { places, server: config.server()?, clock: Arc::new(clock), random };
    Ok(reseal(surroundings, to, &ctx).await?)
}

async fn change_seal(
    config: &Config,
    to: NewSeal,
    file: Option<&Path>,
    output: &Output,
) -> Result<(), Failure> {
    let file = file.map(std::path::absolute).transpose()?;
    let (to, lines) = match (to, &file) {
        (NewSeal::Passphrase, file) => {
            (seal::new_passphrase(file.as_deref())?, "[seal]\nby = \"passphrase\"".to_owned())
        }
        (NewSeal::KeyFile, Some(path)) => {
            (Seal::KeyFile(path.clone()), format!("key_file = \"{}\"", path.display()))
        }
        (NewSeal::Credential, Some(path)) => {
            let credential = Credential { encrypted: path.clone(), handed_over: None };
            let lines = format!("[seal]\nby = \"credential\"\nfile = \"{}\"", path.display());
            (Seal::Credential(credential), lines)
        }
        _ => return Err(Failure::usage("name the new file with `--file`")),
    };
    refuse_taken(&to)?;
    replace_seal(config, seal::places(config)?, &to).await?;
    output.done(
        None,
        &format!(
            "Done. In the configuration, put this in place of `key_file` or `[seal]`:\n\n{lines}\n\n\
             What opened it before opens backups made until now, and nothing else. Keep it until they are \
             gone, then destroy it; if others may have it, `strongroom rotate` too."
        ),
    )
}

/// Nothing that is there is replaced, and it is said before anything is done.
pub(super) fn refuse_taken(seal: &Seal) -> Result<(), Failure> {
    let path = match seal {
        Seal::KeyFile(path) => path,
        Seal::Credential(credential) => &credential.encrypted,
        _ => return Ok(()),
    };
    if !path.exists() {
        return Ok(());
    }
    let sentence = format!(
        "`{}` is there already, and what opens an installation is never overwritten: put it aside, or \
         name another file",
        path.display()
    );
    Err(Failure::new("exists", sentence))
}

/// Makes shares, writes them down for their holders, and only then lets them be the way back.
pub(super) async fn hand_out(
    app: &App,
    to: Option<&Path>,
    output: Option<&Output>,
) -> Result<(), Failure> {
    let desk = app.desk()?;
    let made = desk.keyring.make_shares()?;
    let files = match to {
        Some(folder) => write_pages(folder, &made)?,
        None if std::io::stdout().is_terminal() && std::io::stdin().is_terminal() => {
            show_pages(&made)?;
            Vec::new()
        }
        None => {
            let sentence = "recovery shares go to a terminal or into files, and never into a log: name a \
                            folder with `--shares-to DIR`";
            return Err(Failure::usage(sentence));
        }
    };
    access::keep_shares(&desk, &backup::operator(app)?, &made).await?;
    let Some(output) = output else { return Ok(()) };
    if output.is_json() {
        return output.value(&json!({ "set": made.set_name(), "files": files }));
    }
    let there = files.iter().map(|path| format!("\n  {}", path.display())).collect::<String>();
    output.line(&format!(
        "Three recovery shares of the set {}.{there}\nAny two open the installation. Give each to another \
         person or put it at another place, none beside the\nbackups, and look once a year whether they \
         still work: strongroom recover --dry-run",
        made.set_name()
    ))
}

fn write_pages(folder: &Path, made: &MadeShares) -> Result<Vec<PathBuf>, Failure> {
    use std::os::unix::fs::DirBuilderExt;

    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mut files = Vec::new();
    for share in made.shares() {
        let name = format!("strongroom-share-{}-{}.txt", share.number(), made.set_name());
        let path = std::path::absolute(folder.join(name))?;
        let mut file = create_new(&path)?;
        file.write_all(page(share).as_bytes())?;
        file.sync_all()?;
        files.push(path);
    }
    std::fs::File::open(folder)?.sync_all()?;
    Ok(files)
}

/// One after another, each gone from the screen before the next holder looks.
fn show_pages(made: &MadeShares) -> Result<(), Failure> {
    let mut screen = std::io::stdout().lock();
    for share in made.shares() {
        screen.write_all(page(share).as_bytes())?;
        screen.write_all(b"\nWrite it down, then press Enter; the screen is cleared. ")?;
        screen.flush()?;
        let mut line = String::new();
        if std::io::stdin().read_line(&mut line)? == 0 {
            return Err(Failure::usage("the shares were not all seen; nothing was changed"));
        }
        // The screen, and what scrolled off it.
        screen.write_all(b"\x1b[2J\x1b[3J\x1b[H")?;
    }
    Ok(())
}

/// The page of one holder.
fn page(share: &Share) -> Zeroizing<String> {
    let number = share.number();
    // Room for all of it, so that no piece stays behind where it grew.
    let mut page = Zeroizing::new(String::with_capacity(4096));
    page.push_str(&format!(
        "STRONGROOM RECOVERY SHARE {number} of 3\nSet {}\n\n\
         Two shares of this set, together, open this business's customer data when everything else is\n\
         lost. This one alone opens nothing and says nothing.\n\n\
         Keep it like a spare key of the building: on paper or a stick, locked away, not in mail, not in a\n\
         photograph, not beside the backups, and not where another share of the set is.\n\n",
        share.set_name()
    ));
    page.push_str(&share.to_rows());
    page.push_str(
        "\nIf it is ever needed: strongroom recover, or strongroom restore --share FILE --share FILE.\n\
         If it is lost or somebody saw it: strongroom recover shares makes three new ones.\n",
    );
    page
}

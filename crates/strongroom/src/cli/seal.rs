//! What opens an installation: read from the configuration, asked on a terminal, or put together from
//! recovery shares.

use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use strongroom_crypto::Share;
use zeroize::Zeroizing;

use crate::cli::failure::Failure;
use crate::cli::output::warn;
use crate::config::{Config, SealKind, Sealing};
use crate::keys::{Credential, Places, Seal};

/// The data folder of a configuration and what opens it; a passphrase is asked for where none is read.
pub(super) fn places(config: &Config) -> Result<Places, Failure> {
    let seal = match (&config.key_file, &config.seal) {
        (_, Some(sealing)) => seal_of(sealing)?,
        (Some(path), None) => Seal::KeyFile(path.clone()),
        (None, None) => return Err(Failure::usage("the configuration names no seal")),
    };
    with(config, seal)
}

/// The same, opened by something else.
pub(super) fn with(config: &Config, seal: Seal) -> Result<Places, Failure> {
    Ok(Places { data_folder: config.data_dir.clone(), key_server: config.key_server()?, seal })
}

/// What is to open an installation from now on, as the configuration names it; a passphrase is a new one.
pub(super) fn fresh(config: &Config) -> Result<Seal, Failure> {
    match &config.seal {
        Some(Sealing { by: SealKind::Passphrase, file }) => new_passphrase(file.as_deref()),
        _ => Ok(places(config)?.seal),
    }
}

fn seal_of(sealing: &Sealing) -> Result<Seal, Failure> {
    match (sealing.by, &sealing.file) {
        (SealKind::Credential, file) => {
            let encrypted = file.clone().unwrap_or_default();
            Ok(Seal::Credential(Credential { encrypted, handed_over: handed_over() }))
        }
        (SealKind::Passphrase, Some(file)) => Ok(Seal::Passphrase(Arc::new(read_words(file)?))),
        (SealKind::Passphrase, None) => Ok(Seal::Passphrase(Arc::new(ask_hidden("Passphrase: ")?))),
    }
}

/// The folder in which the service manager hands credentials over.
fn handed_over() -> Option<PathBuf> {
    #[expect(
        clippy::disallowed_methods,
        reason = "no setting: systemd says this way, and no other, where a credential lies"
    )]
    std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from)
}

/// A new passphrase, typed twice, or read from a file.
pub(super) fn new_passphrase(file: Option<&Path>) -> Result<Seal, Failure> {
    if let Some(file) = file {
        return Ok(Seal::Passphrase(Arc::new(read_words(file)?)));
    }
    let words = ask_hidden("New passphrase, 15 characters or more: ")?;
    let again = ask_hidden("The same again: ")?;
    if *words != *again {
        return Err(Failure::usage("the two are not the same; nothing was changed"));
    }
    Ok(Seal::Passphrase(Arc::new(words)))
}

/// Two shares, from files or typed on a terminal.
pub(super) fn shares(files: &[PathBuf]) -> Result<Seal, Failure> {
    let shares = match files {
        [first, second] => [read_share(first)?, read_share(second)?],
        [] if io::stdin().is_terminal() => [type_share("first")?, type_share("second")?],
        _ => {
            let sentence = "recovering takes two shares: name two files, each with `--share FILE`, or \
                            type them at a terminal";
            return Err(Failure::usage(sentence));
        }
    };
    Ok(Seal::Shares(Arc::new(shares)))
}

/// A stick from a safe may know no rights, and one share alone says nothing: who may read it is not asked.
fn read_share(path: &Path) -> Result<Share, Failure> {
    let text = read_limited(path, OpenToOthers::Taken)?;
    Share::from_rows(&text).map_err(|cause| {
        let sentence = format!("`{}`: {cause}", path.display());
        Failure::new("share_unreadable", sentence)
    })
}

/// Row by row, so that a mistake is found where it was made.
fn type_share(which: &str) -> Result<Share, Failure> {
    warn(&format!("The {which} share, row by row; what is typed is not shown."));
    for _ in 0..TRIES_MAX {
        let mut text = Zeroizing::new(String::new());
        for row in 1..=8 {
            let line = ask_hidden(&format!("  row {row}: "))?;
            let words = line.trim().trim_start_matches(&format!("{row}:")).to_owned();
            text.push_str(&Zeroizing::new(format!("{row}: {}\n", &*Zeroizing::new(words))));
        }
        match Share::from_rows(&text) {
            Ok(share) => return Ok(share),
            Err(cause) => warn(&format!("{cause}. Once more from the first row:")),
        }
    }
    Err(Failure::usage("no share could be read; the same can be given as a file with `--share`"))
}

fn read_words(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let text = read_limited(path, OpenToOthers::Refused)?;
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() {
        let sentence = format!("`{}` holds no passphrase in its first line", path.display());
        return Err(Failure::new("passphrase_missing", sentence));
    }
    Ok(Zeroizing::new(line.to_owned()))
}

/// What becomes of a file that others on this machine may read.
#[derive(PartialEq, Eq)]
enum OpenToOthers {
    Refused,
    Taken,
}

/// A small secret text; also from a pipe.
fn read_limited(path: &Path, open: OpenToOthers) -> Result<Zeroizing<String>, Failure> {
    use std::os::unix::fs::MetadataExt;

    let cannot = |cause: io::Error| {
        Failure::new("input_output", format!("`{}` cannot be read: {cause}", path.display()))
    };
    let file = std::fs::File::open(path).map_err(cannot)?;
    let facts = file.metadata().map_err(cannot)?;
    let is_open = facts.is_file() && facts.mode() & 0o077 != 0;
    if is_open && open == OpenToOthers::Refused {
        let sentence = format!(
            "`{}` can be read by others on this machine; run `chmod 600` on it",
            path.display()
        );
        return Err(Failure::new("open_to_others", sentence));
    }
    let mut text = Zeroizing::new(String::with_capacity(TEXT_SIZE_BYTES_MAX));
    let limit = u64::try_from(TEXT_SIZE_BYTES_MAX).unwrap_or(u64::MAX);
    file.take(limit).read_to_string(&mut text).map_err(cannot)?;
    Ok(text)
}

/// A line typed on the terminal, which does not show it.
fn ask_hidden(prompt: &str) -> Result<Zeroizing<String>, Failure> {
    let input = io::stdin();
    if !input.is_terminal() {
        let sentence = "the passphrase is asked for on a terminal, and there is none; name a file or \
                        pipe it is read from as `file` under `[seal]`";
        return Err(Failure::new("passphrase_missing", sentence));
    }
    let shown = tcgetattr(&input).map_err(io::Error::from)?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    hidden.local_modes.insert(LocalModes::ECHONL);
    let _ = write!(io::stderr(), "{prompt}");
    let _ = io::stderr().flush();
    tcsetattr(&input, OptionalActions::Now, &hidden).map_err(io::Error::from)?;
    let mut line = Zeroizing::new(String::with_capacity(TEXT_SIZE_BYTES_MAX));
    let read = input.lock().read_line(&mut line);
    tcsetattr(&input, OptionalActions::Now, &shown).map_err(io::Error::from)?;
    if read? == 0 {
        return Err(Failure::usage("nothing was typed; nothing was changed"));
    }
    while line.ends_with(['\n', '\r']) {
        line.pop();
    }
    Ok(line)
}

/// A page of a share with all its words around it.
const TEXT_SIZE_BYTES_MAX: usize = 16 * 1024;

const TRIES_MAX: usize = 3;

//! `strongroom init`: a new installation, and what to do next.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde_json::json;
use strongroom_crypto::SystemRandom;

use crate::app::{Surroundings, initialise};
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::ctx::SystemClock;
use crate::keys::Places;

/// Make a new installation: configuration, keys, an empty data folder, a policy to begin with
///
/// Nothing that exists is overwritten.
///
/// Example: strongroom init --dir /srv/strongroom
#[derive(Args)]
pub(super) struct Init {
    /// Where to make it; made if it is not there
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
}

/// The files of an installation.
pub(super) struct Made {
    /// The configuration.
    pub(super) config: PathBuf,
    /// The data policy.
    pub(super) policy: PathBuf,
    /// The data folder and the key file.
    pub(super) places: Places,
    /// Whether the policy was there before.
    kept_policy: bool,
}

impl Init {
    pub(super) fn run(&self, output: &Output) -> Result<(), Failure> {
        let made = make(&self.dir)?;
        if output.is_json() {
            return output.value(&json!({
                "config": made.config,
                "data_dir": made.places.data_folder,
                "key_file": made.places.key_file,
                "policy": made.policy,
            }));
        }
        tell(&made, self.dir == Path::new("."), output)
    }
}

/// Makes an installation in a folder.
pub(super) fn make(dir: &Path) -> Result<Made, Failure> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|cause| cannot(dir, "cannot be made", &cause))?;
    let config = dir.join("strongroom.toml");
    let policy = dir.join("policy.toml");
    let places = Places { data_folder: dir.join("data"), key_file: dir.join("strongroom.key") };
    for path in [&config, &places.data_folder, &places.key_file] {
        if path.exists() {
            let sentence = format!(
                "`{}` is there already; nothing was changed. Choose another folder with `--dir`",
                path.display()
            );
            return Err(Failure::new("already_initialised", sentence));
        }
    }
    let kept_policy = policy.exists();
    if !kept_policy {
        write_new(&policy, POLICY)?;
    }
    let surroundings = Surroundings {
        places,
        clock: Arc::new(SystemClock::new()),
        random: Arc::new(SystemRandom),
    };
    initialise(&surroundings)?;
    // Last, so that a configuration never names an installation that is not whole.
    write_new(&config, CONFIG)?;
    Ok(Made { config, policy, places: surroundings.places, kept_policy })
}

fn tell(made: &Made, is_here: bool, output: &Output) -> Result<(), Failure> {
    let option =
        if is_here { String::new() } else { format!(" --config {}", made.config.display()) };
    let policy =
        if made.kept_policy { "yours, kept as it was" } else { "to begin with; change it" };
    output.line("A new installation is ready.\n")?;
    let row = |path: &Path, what: &str| vec![format!("  {}", path.display()), what.to_owned()];
    output.rows(&[
        row(&made.config, "how it runs"),
        row(&made.policy, &format!("what is kept about customers and who may look: {policy}")),
        row(&made.places.data_folder, "the data, sealed"),
        row(&made.places.key_file, "the key that opens it"),
    ])?;
    output.line(&format!(
        "\nWhoever loses the key file loses every customer's data; nobody can bring it back. Copy it\n\
         to a safe place now, away from the copies of the data folder.\n\n\
         Next:\n\
         \x20 1. Look through the policy and apply it:  strongroom policy apply{option}\n\
         \x20 2. Make a key for your shop's program:    strongroom key new --name Shop --role shop \
         --purpose support{option}\n\
         \x20 3. Serve:                                 strongroom serve{option}"
    ))
}

/// Writes a file that must not exist yet.
pub(super) fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    let mut file = create_new(path)?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(|cause| cannot(path, "cannot be written", &cause))
}

/// Makes an empty file that must not exist yet, for its owner alone.
pub(super) fn create_new(path: &Path) -> Result<File, Failure> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    opened.map_err(|cause| match cause.kind() {
        ErrorKind::AlreadyExists => {
            let sentence = format!("`{}` is there already and was left alone", path.display());
            Failure::new("exists", sentence)
        }
        _ => cannot(path, "cannot be made", &cause),
    })
}

fn cannot(path: &Path, what: &str, cause: &std::io::Error) -> Failure {
    Failure::new("input_output", format!("`{}` {what}: {cause}", path.display()))
}

/// The policy an installation begins with.
pub(super) const POLICY: &str = include_str!("../../../../examples/shop/policy.toml");

const CONFIG: &str = "\
# How this Strongroom runs. Paths start at the folder of this file.

data_dir = \"data\"             # the data and the wrapped keys
key_file = \"strongroom.key\"   # opens them; never inside data_dir, never in the same backup
policy = \"policy.toml\"        # read by `strongroom policy apply`
listen = \"127.0.0.1:8720\"     # beyond this machine only with TLS:

# Backups are made every hour while it serves; name another disk:

# [backup]
# to = \"backups\"

# [tls]
# certificate = \"certificate.pem\"
# key = \"certificate.key\"
";

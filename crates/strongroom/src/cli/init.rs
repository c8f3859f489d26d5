//! `strongroom init`: a new installation, and what to do next.

mod answers;

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, IsTerminal, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde_json::json;
use strongroom_crypto::SystemRandom;

use crate::app::{Surroundings, initialise};
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::{recover, serve, tls};
use crate::config::{Config, OwnCa};
use crate::ctx::SystemClock;
use crate::keys::{Places, Seal};
use crate::web::HostName;

use answers::{Answers, Flags, RoadTo};

/// Make a new installation: configuration, keys, an empty data folder, a policy to begin with
///
/// On a terminal it asks six questions; the same can be given as flags. Nothing that exists is
/// overwritten.
///
/// Example: strongroom init --dir /srv/strongroom
#[derive(Args)]
pub(super) struct Init {
    /// Where to make it; made if it is not there
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// The folder of the three recovery shares, one file for each holder; asked for on a terminal
    #[arg(long, value_name = "DIR")]
    shares_to: Option<PathBuf>,
    #[command(flatten)]
    flags: Flags,
}

/// The files of an installation.
pub(super) struct Made {
    /// The configuration.
    pub(super) config: PathBuf,
    /// The data policy.
    pub(super) policy: PathBuf,
    /// The data folder and what opens it.
    pub(super) places: Places,
    /// The key file.
    pub(super) key_file: PathBuf,
    /// Whether the policy was there before.
    kept_policy: bool,
}

impl Init {
    pub(super) async fn run(&self, output: &Output) -> Result<(), Failure> {
        let dir = std::path::absolute(&self.dir)?;
        refuse_taken(&Made::at(&self.dir))?;
        let is_asked = self.flags.may_ask()
            && !output.is_json()
            && std::io::stdin().is_terminal()
            && std::io::stdout().is_terminal();
        let answers = if is_asked {
            self.flags.ask(&mut std::io::stdin().lock(), output)?
        } else {
            self.flags.answers()?
        };
        let made = make_as(&self.dir, &answers)?;
        if output.is_json() {
            output.value(&json!({
                "config": made.config,
                "data_dir": made.places.data_folder,
                "key_file": made.key_file,
                "policy": made.policy,
            }))?;
        } else {
            tell(&made, &answers, self.dir == Path::new("."), output)?;
            tell_road(&dir, &answers.road, output)?;
        }
        self.shares(&made, is_asked, output).await
    }
}

impl Init {
    /// The way back, where there is somebody to take it.
    async fn shares(&self, made: &Made, is_asked: bool, output: &Output) -> Result<(), Failure> {
        if !is_asked && self.shares_to.is_none() {
            return output
                .words(&format!("\nThere is no way back yet if the key file is lost: {LATER}"));
        }
        let app = serve::open(&Config::read(&made.config)?).await?;
        output.words("")?;
        // A program has read its one answer already.
        let told = (!output.is_json()).then_some(output);
        match recover::hand_out(&app, self.shares_to.as_deref(), told).await {
            // The installation is there; who went away in between makes them later.
            Err(unseen) if self.shares_to.is_none() => {
                output.words(&format!("\n\n{}: {LATER}", unseen.sentence()))
            }
            handed => handed,
        }
    }
}

impl Made {
    fn at(dir: &Path) -> Self {
        let key_file = dir.join("strongroom.key");
        let seal = Seal::KeyFile(key_file.clone());
        Self {
            config: dir.join("strongroom.toml"),
            policy: dir.join("policy.toml"),
            places: Places::in_folder(dir.join("data"), seal),
            key_file,
            kept_policy: dir.join("policy.toml").exists(),
        }
    }
}

/// Makes an installation in a folder, of a shop, for this machine.
pub(super) fn make(dir: &Path) -> Result<Made, Failure> {
    make_as(dir, &Flags::default().answers()?)
}

fn refuse_taken(made: &Made) -> Result<(), Failure> {
    for path in [&made.config, &made.places.data_folder, &made.key_file] {
        if path.exists() {
            let sentence = format!(
                "`{}` is there already; nothing was changed. Choose another folder with `--dir`",
                path.display()
            );
            return Err(Failure::new("already_initialised", sentence));
        }
    }
    Ok(())
}

fn make_as(dir: &Path, answers: &Answers) -> Result<Made, Failure> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|cause| cannot(dir, "cannot be made", &cause))?;
    let made = Made::at(dir);
    refuse_taken(&made)?;
    if !made.kept_policy {
        write_new(&made.policy, &policy_text(answers))?;
    }
    if let RoadTo::Office(names) = &answers.road {
        tls::make(&own_ca(dir, names))?;
    }
    let surroundings = Surroundings {
        places: Made::at(dir).places,
        server: None,
        clock: Arc::new(SystemClock::new()),
        random: Arc::new(SystemRandom),
    };
    initialise(&surroundings)?;
    // Last, so that a configuration never names an installation that is not whole.
    write_new(&made.config, &config_text(answers))?;
    Ok(made)
}

fn own_ca(dir: &Path, names: &[HostName]) -> OwnCa {
    OwnCa { folder: dir.join("tls"), names: names.to_vec() }
}

/// The template, for this business.
fn policy_text(answers: &Answers) -> String {
    let template = answers.template.policy();
    let lines = template.lines().map(|line| match line.split_once(" = ") {
        Some(("name", _)) => answers.business.as_ref().map(|it| format!("name = {}", quoted(it))),
        Some(("timezone", _)) => {
            answers.timezone.as_ref().map(|it| format!("timezone = {}", quoted(it)))
        }
        _ => None,
    });
    // Only the section of the business has lines that begin so.
    let text: Vec<String> = lines
        .zip(template.lines())
        .map(|(changed, line)| changed.unwrap_or_else(|| line.to_owned()))
        .collect();
    text.join("\n") + "\n"
}

fn config_text(answers: &Answers) -> String {
    let list = |names: &[HostName]| {
        let names: Vec<String> = names.iter().map(|it| quoted(&it.to_string())).collect();
        names.join(", ")
    };
    let (listen, road) = match &answers.road {
        RoadTo::Local => (LOCAL, NO_ROAD.to_owned()),
        RoadTo::Office(names) => {
            ("0.0.0.0:8720", format!("[tls.own_ca]\nnames = [{}]\n", list(names)))
        }
        RoadTo::Public(names) => (
            "0.0.0.0:443",
            format!("[tls.acme]\nnames = [{}]\nagree_to_terms = true\n", list(names)),
        ),
        RoadTo::Proxy(names) => {
            (LOCAL, format!("[proxy]\nfrom = [\"127.0.0.1\"]\nhosts = [{}]\n", list(names)))
        }
    };
    let backups = quoted(&answers.backups.display().to_string());
    let witness = witness_text(answers);
    let text = CONFIG.replace("{listen}", listen).replace("{backups}", &backups);
    text.replace("{witness}", &witness).replace("{road}", &road)
}

/// The section of the witness, or what it would be.
fn witness_text(answers: &Answers) -> String {
    match &answers.witness {
        Some(it) => format!("[witness]\nurl = {}\nkey = {}\n", quoted(&it.url), quoted(&it.key)),
        None => NO_WITNESS.to_owned(),
    }
}

/// A text of TOML.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// What a road asks of people.
fn tell_road(dir: &Path, road: &RoadTo, output: &Output) -> Result<(), Failure> {
    match road {
        RoadTo::Local => Ok(()),
        RoadTo::Office(names) => {
            let own = own_ca(dir, names);
            let authority = crate::certificates::authority(&own)?;
            output.line("")?;
            tls::tell(&own, &authority, output)
        }
        RoadTo::Public(names) => {
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            output.line(&format!(
                "\nPorts 80 and 443 of {} must lead to this machine before you serve: the authority \
                 looks\nthere. `serve` gets the certificate, and renews it by itself.",
                names.join(", ")
            ))
        }
        RoadTo::Proxy(_) => output.line(
            "\nThe proxy passes on its Host header and adds to X-Forwarded-For; docs/operating.md has the\n\
             lines for nginx.",
        ),
    }
}

fn tell(made: &Made, answers: &Answers, is_here: bool, output: &Output) -> Result<(), Failure> {
    let (name, role, purpose) = answers.template.first_key();
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
        row(&made.key_file, "the key that opens it"),
    ])?;
    output.line(&format!(
        "\nWhoever has the key file and the data reads every customer. Keep a copy of it in a safe place,\n\
         away from the copies of the data folder.\n\n\
         Next:\n\
         \x20 1. Look through the policy and apply it:  strongroom policy apply{option}\n\
         \x20 2. Make a key for your first program:     strongroom key new --name {name} --role {role} \
         --purpose {purpose} --out {role}.key{option}\n\
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

const LATER: &str = "make three recovery shares with\nstrongroom recover shares --shares-to DIR";

const LOCAL: &str = "127.0.0.1:8720";

const CONFIG: &str = "\
# How this Strongroom runs. Paths start at the folder of this file.

data_dir = \"data\"             # the data and the wrapped keys
key_file = \"strongroom.key\"   # opens them; never inside data_dir, never in the same backup
policy = \"policy.toml\"        # read by `strongroom policy apply`
listen = \"{listen}\"     # beyond this machine only with TLS

[backup]
to = {backups}                # best on another disk

# Numbers for whoever watches the server, at http://127.0.0.1:9464/metrics:

# [metrics]
# listen = \"127.0.0.1:9464\"

{witness}
{road}";

const NO_WITNESS: &str = "\
# Another machine that notices when older files are put back: `strongroom witness init` there.

# [witness]
# url = \"https://witness.example\"
# key = \"what `strongroom witness init` printed\"
";

const NO_ROAD: &str = "\
# Reached from elsewhere: `strongroom tls own-ca --name HOST`, or a certificate you have:

# [tls]
# certificate = \"certificate.pem\"
# key = \"certificate.key\"
";

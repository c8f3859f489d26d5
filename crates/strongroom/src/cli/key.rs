//! `strongroom key`: API keys for the programs of the shop.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::cli::Common;
use crate::cli::failure::Failure;
use crate::cli::init::create_new;
use crate::cli::output::Output;
use crate::cli::transport::{Call, Transport, id};

/// API keys of the programs that use Strongroom
#[derive(Subcommand)]
pub(super) enum Key {
    New(NewKey),
    /// List the keys, without their secrets
    ///
    /// Example: strongroom key list
    List,
    /// Switch a key off until it is switched on again
    ///
    /// Example: strongroom key disable key_06gzz…
    Disable {
        /// As `key list` shows it
        #[arg(value_parser = id)]
        id: String,
    },
    /// Switch a key on again, as after a restore, which switches all of them off
    ///
    /// Example: strongroom key enable key_06gzz…
    Enable {
        /// As `key list` shows it
        #[arg(value_parser = id)]
        id: String,
    },
    /// Revoke a key, for good
    ///
    /// Example: strongroom key revoke key_06gzz…
    Revoke {
        /// As `key list` shows it
        #[arg(value_parser = id)]
        id: String,
    },
}

/// Make a key; its secret is shown this once
///
/// Example: strongroom key new --name "Web shop" --role shop --purpose support --out shop.key
#[derive(Args)]
pub(super) struct NewKey {
    /// The program that will use it
    #[arg(long)]
    name: String,
    /// Its role in the policy
    #[arg(long)]
    role: String,
    /// What it may act for, as the policy names it; several times for several
    #[arg(long = "purpose", value_name = "PURPOSE")]
    purposes: Vec<String>,
    /// People sit at the program: each call must say who asks (`Strongroom-On-Behalf-Of`)
    #[arg(long)]
    people: bool,
    /// Days it lives, 1 to 365
    #[arg(long, default_value_t = 90)]
    days: u32,
    /// Print the secret and nothing else
    #[arg(long, conflicts_with = "out")]
    quiet: bool,
    /// Write the secret to a new file that only you can read, and print no secret
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Key {
    pub(super) async fn run(&self, common: &Common, output: &Output) -> Result<(), Failure> {
        match self {
            Self::New(new) => new.run(common, output).await,
            Self::List => {
                let call = Call::get("/v1/keys");
                let keys = Transport::open(common).await?.call(call).await?.json()?;
                if output.is_json() {
                    return output.value(&keys);
                }
                let columns =
                    ["id", "name", "role", "purposes", "people", "expires", "revoked", "off"];
                let keys = keys.get("keys").unwrap_or(&Value::Null);
                output.list(keys, &columns, "There are no keys yet.")
            }
            Self::Disable { id } => {
                let call = Call::post(format!("/v1/keys/{id}/disable"));
                let answer = Transport::open(common).await?.call(call).await?;
                output.done(answer.receipt(), "The key is off until it is enabled again.")
            }
            Self::Enable { id } => {
                let call = Call::post(format!("/v1/keys/{id}/enable"));
                let answer = Transport::open(common).await?.call(call).await?;
                output.done(answer.receipt(), "The key is on again.")
            }
            Self::Revoke { id } => {
                let call = Call::delete(format!("/v1/keys/{id}"));
                let answer = Transport::open(common).await?.call(call).await?;
                output.done(answer.receipt(), "The key is revoked; it opens nothing any more.")
            }
        }
    }
}

impl NewKey {
    async fn run(&self, common: &Common, output: &Output) -> Result<(), Failure> {
        let mut transport = Transport::open(common).await?;
        // Before the key is made: a secret that cannot be written would be lost.
        let file = self.out.as_deref().map(create_new).transpose()?;
        let Self { name, role, purposes, people, days, .. } = self;
        let wanted = Wanted { name, role, purposes, people: *people, days: *days };
        let made = make(&mut transport, wanted).await;
        let made = match (made, &self.out, file) {
            (Ok(made), Some(_), Some(mut file)) => {
                file.write_all(format!("{}\n", made.secret).as_bytes())?;
                file.sync_all()?;
                made
            }
            (Ok(made), _, _) => made,
            (Err(failure), out, _) => {
                // It is empty; what cannot be removed does no harm.
                let _ = out.as_deref().map(fs::remove_file);
                return Err(failure);
            }
        };
        if output.is_json() {
            let secret = self.out.is_none().then_some(made.secret);
            let value = json!({ "id": made.id, "expires": made.expires, "secret": secret });
            return output.value(&value);
        }
        if self.quiet {
            return output.line(&made.secret);
        }
        output.line(&format!("Key {}, until {}.", made.id, made.expires))?;
        match &self.out {
            Some(out) => output.line(&format!("Its secret is in `{}`.", out.display())),
            None => output.line(&format!(
                "\n  {}\n\nThis is the only time it is shown. Keep it where only `{}` can read it.",
                made.secret, self.name
            )),
        }
    }
}

/// A key that is to be made.
pub(super) struct Wanted<'a> {
    pub(super) name: &'a str,
    pub(super) role: &'a str,
    pub(super) purposes: &'a [String],
    /// Whether each call must say who asks.
    pub(super) people: bool,
    pub(super) days: u32,
}

/// A new key.
pub(super) struct Made {
    /// Names it.
    pub(super) id: String,
    /// Opens.
    pub(super) secret: String,
    expires: String,
}

/// Makes a key.
pub(super) async fn make(transport: &mut Transport, wanted: Wanted<'_>) -> Result<Made, Failure> {
    let Wanted { name, role, purposes, people, days } = wanted;
    let body = json!({ "name": name, "role": role, "purposes": purposes, "people": people,
        "days": days });
    let made = transport.call(Call::post("/v1/keys").json(&body)).await?.json()?;
    let text = |name: &str| made.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(Made { id: text("id"), secret: text("secret"), expires: text("expires") })
}

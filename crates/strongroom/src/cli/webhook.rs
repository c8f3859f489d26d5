//! `strongroom webhook`: receivers that are told what happens to customers.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::cli::Common;
use crate::cli::failure::Failure;
use crate::cli::init::create_new;
use crate::cli::output::Output;
use crate::cli::transport::{Call, Transport, id};

/// Receivers that are told when a customer was changed or erased
#[derive(Subcommand)]
pub(super) enum Webhook {
    New(NewWebhook),
    /// List the webhooks: how many events wait, what came of the last attempt
    ///
    /// Example: strongroom webhook list
    List,
    /// Switch a webhook on again, as after a restore, which switches all of them off
    ///
    /// Example: strongroom webhook on hook_06gzz…
    On {
        /// As `webhook list` shows it
        #[arg(value_parser = id)]
        id: String,
    },
    /// Switch a webhook off; what happens meanwhile waits for it
    ///
    /// Example: strongroom webhook off hook_06gzz…
    Off {
        /// As `webhook list` shows it
        #[arg(value_parser = id)]
        id: String,
    },
    /// Tell a webhook again of everything since a moment of the last 30 days
    ///
    /// Example: strongroom webhook replay hook_06gzz… --since 2026-11-21T10:00:00Z
    Replay {
        /// As `webhook list` shows it
        #[arg(value_parser = id)]
        id: String,
        /// From when on
        #[arg(long, value_name = "TIME")]
        since: String,
    },
    Secret(NewSecret),
    /// End a webhook, for good
    ///
    /// Example: strongroom webhook end hook_06gzz…
    End {
        /// As `webhook list` shows it
        #[arg(value_parser = id)]
        id: String,
    },
}

/// Have a receiver told; the secret it checks signatures with is shown this once
///
/// Example: strongroom webhook new --url https://shop.example/hooks --out webhook.secret
#[derive(Args)]
pub(super) struct NewWebhook {
    /// Where events are posted
    #[arg(long)]
    url: String,
    /// What it is told of, like customer.erased; several times for several, everything if left out
    #[arg(long = "kind", value_name = "KIND")]
    kinds: Vec<String>,
    /// Write the secret to a new file that only you can read, and print no secret
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Give a webhook another secret; the one before it counts for a day as well
///
/// Example: strongroom webhook secret hook_06gzz… --out webhook.secret
#[derive(Args)]
pub(super) struct NewSecret {
    /// As `webhook list` shows it
    #[arg(value_parser = id)]
    id: String,
    /// Write the secret to a new file that only you can read, and print no secret
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Webhook {
    pub(super) async fn run(&self, common: &Common, output: &Output) -> Result<(), Failure> {
        match self {
            Self::New(NewWebhook { url, kinds, out }) => {
                let body = json!({ "url": url, "kinds": kinds });
                let call = Call::post("/v1/webhooks").json(&body);
                show_secret(common, output, call, out.as_deref()).await
            }
            Self::Secret(NewSecret { id, out }) => {
                let call = Call::post(format!("/v1/webhooks/{id}/secret"));
                show_secret(common, output, call, out.as_deref()).await
            }
            Self::List => list(common, output).await,
            Self::Replay { id, since } => {
                let call = Call::post(format!("/v1/webhooks/{id}/replay"));
                let call = call.json(&json!({ "since": since }));
                let told = Transport::open(common).await?.call(call).await?.json()?;
                if output.is_json() {
                    return output.value(&told);
                }
                let waiting = told.get("waiting").and_then(Value::as_u64).unwrap_or(0);
                output.line(&format!("{waiting} events wait to be sent now."))
            }
            Self::On { id } => {
                let call = Call::post(format!("/v1/webhooks/{id}/enable"));
                done(common, output, call, "The webhook is on.").await
            }
            Self::Off { id } => {
                let call = Call::post(format!("/v1/webhooks/{id}/disable"));
                done(common, output, call, "The webhook is off; what happens waits for it.").await
            }
            Self::End { id } => {
                let call = Call::delete(format!("/v1/webhooks/{id}"));
                done(common, output, call, "The webhook is ended; it is told nothing any more.")
                    .await
            }
        }
    }
}

async fn list(common: &Common, output: &Output) -> Result<(), Failure> {
    let call = Call::get("/v1/webhooks");
    let found = Transport::open(common).await?.call(call).await?.json()?;
    if output.is_json() {
        return output.value(&found);
    }
    let columns = ["id", "url", "state", "waiting", "passed_over", "last_answer", "failing_since"];
    let found = found.get("webhooks").unwrap_or(&Value::Null);
    output.list(found, &columns, "There are no webhooks yet.")
}

async fn done(common: &Common, output: &Output, call: Call, sentence: &str) -> Result<(), Failure> {
    let answer = Transport::open(common).await?.call(call).await?;
    output.done(answer.receipt(), sentence)
}

async fn show_secret(
    common: &Common,
    output: &Output,
    call: Call,
    out: Option<&Path>,
) -> Result<(), Failure> {
    let mut transport = Transport::open(common).await?;
    // Before the secret is made: one that cannot be written would be lost.
    let file = out.map(create_new).transpose()?;
    let made = match transport.call(call).await {
        Ok(made) => made.json()?,
        Err(failure) => {
            // It is empty; what cannot be removed does no harm.
            let _ = out.map(fs::remove_file);
            return Err(failure);
        }
    };
    let text = |name: &str| made.get(name).and_then(Value::as_str).unwrap_or_default();
    if let Some(mut file) = file {
        file.write_all(format!("{}\n", text("secret")).as_bytes())?;
        file.sync_all()?;
    }
    if output.is_json() {
        let secret = out.is_none().then(|| text("secret"));
        return output.value(&json!({ "id": text("id"), "secret": secret }));
    }
    output.line(&format!("Webhook {}.", text("id")))?;
    match out {
        Some(out) => output.line(&format!("Its secret is in `{}`.", out.display())),
        None => output.line(&format!(
            "\n  {}\n\nThis is the only time it is shown. The receiver checks signatures with it.",
            text("secret")
        )),
    }
}

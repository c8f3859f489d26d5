//! `strongroom share`: some fields of one customer by a link.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::cli::Common;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::transport::{Call, Transport, id, names, place};

/// Shares: some fields of one customer by a link, with an API key (`--key-file`)
#[derive(Subcommand)]
pub(super) enum Share {
    New(NewShare),
    /// End a share at once
    ///
    /// Example: strongroom share end shr_06gzz… --key-file desk.key
    End {
        /// The share, as `share new` said
        #[arg(value_parser = id)]
        share: String,
    },
}

/// Share fields of a customer by a link, which is shown this once
///
/// Whoever has the link sees the fields, so often and so long as you say; each view is an entry.
///
/// Example: strongroom share new cus_06gzz… --fields name,address --for courier --purpose delivery --hours 24 --key-file shop.key
#[derive(Args)]
pub(super) struct NewShare {
    /// The customer
    #[arg(value_parser = id)]
    customer: String,
    /// Fields, separated by commas
    #[arg(long, value_parser = names)]
    fields: String,
    /// Whom it is for: a company or a post, never a person's name
    #[arg(long = "for", value_name = "RECIPIENT", value_parser = place)]
    recipient: String,
    /// What it is for, as the policy names it
    #[arg(long)]
    purpose: String,
    /// How long the link works, 1 to 720
    #[arg(long)]
    hours: u32,
    /// How often it works, 1 to 100
    #[arg(long, default_value_t = 1)]
    views: u32,
    /// One of the policy's reasons, where the fields are masked for you
    #[arg(long, default_value = "")]
    reason: String,
}

impl Share {
    pub(super) async fn run(&self, common: &Common, output: &Output) -> Result<(), Failure> {
        match self {
            Self::New(new) => new.run(common, output).await,
            Self::End { share } => {
                let call = Call::delete(format!("/v1/shares/{share}"));
                let answer = Transport::open(common).await?.call(call).await?;
                output.done(answer.receipt(), "Ended; its link shows nothing any more.")
            }
        }
    }
}

impl NewShare {
    async fn run(&self, common: &Common, output: &Output) -> Result<(), Failure> {
        let Self { customer, fields, recipient, purpose, hours, views, reason } = self;
        let fields: Vec<&str> = fields.split(',').collect();
        let body = json!({ "customer": customer, "fields": fields, "recipient": recipient,
            "hours": hours, "views": views, "reason": reason });
        let call = Call::post("/v1/shares").purpose(purpose).json(&body);
        let made = Transport::open(common).await?.call(call).await?.json()?;
        if output.is_json() {
            return output.value(&made);
        }
        let text = |name: &str| made.get(name).and_then(Value::as_str).unwrap_or_default();
        let server = common.server.as_deref().map(|server| server.trim_end_matches('/'));
        output.line(&format!("Share {}, until {}.", text("id"), text("ends")))?;
        output.line(&format!("\n  {}{}\n", server.unwrap_or_default(), text("path")))?;
        if server.is_none() {
            output.line("Put the address of your server before it.")?;
        }
        output.line("This is the only time it is shown. Whoever has it sees the fields.")
    }
}

//! `strongroom access`: who may see what, and why.

use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use crate::cli::Common;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::transport::{Call, Transport, names};

/// Who may see what, and why
#[derive(Subcommand)]
pub(super) enum Access {
    /// Everyone who may see or find a field
    ///
    /// Example: strongroom access who --field email
    Who {
        /// A field of the policy
        #[arg(long, value_parser = names)]
        field: String,
    },
    /// Explain one decision
    ///
    /// Example: strongroom access why --role desk --purpose support --field email --wish reveal
    Why {
        /// A role of the policy
        #[arg(long)]
        role: String,
        /// A purpose of the policy
        #[arg(long)]
        purpose: String,
        /// A field of the policy
        #[arg(long)]
        field: String,
        /// What they would like to do
        #[arg(long)]
        wish: Wish,
    },
}

/// What someone would like to do with a field.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Wish {
    /// Look customers up by it
    Find,
    /// See it as the policy shows it
    Read,
    /// See it in clear for a reason
    Reveal,
}

impl Access {
    pub(super) async fn run(&self, common: &Common, output: &Output) -> Result<(), Failure> {
        let mut transport = Transport::open(common).await?;
        match self {
            Self::Who { field } => {
                let call = Call::get(format!("/v1/access/who?field={field}"));
                let who = transport.call(call).await?.json()?;
                if output.is_json() {
                    return output.value(&who);
                }
                let columns = ["role", "purpose", "sees", "finds_by_it", "reveals_it", "keys"];
                let none = "Nobody may see or find this field.";
                output.list(who.get("who").unwrap_or(&Value::Null), &columns, none)
            }
            Self::Why { role, purpose, field, wish } => {
                let wish = match wish {
                    Wish::Find => "find",
                    Wish::Read => "read",
                    Wish::Reveal => "reveal",
                };
                let body =
                    json!({ "role": role, "purpose": purpose, "field": field, "wish": wish });
                let call = Call::post("/v1/access/why").json(&body);
                let answer = transport.call(call).await?.json()?;
                if output.is_json() {
                    return output.value(&answer);
                }
                let allowed = answer.get("allowed").and_then(Value::as_bool) == Some(true);
                let why = answer.get("why").and_then(Value::as_str).unwrap_or_default();
                output.line(&format!("{}: {why}.", if allowed { "Yes" } else { "No" }))
            }
        }
    }
}

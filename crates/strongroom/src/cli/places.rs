//! `strongroom places`: where customers' data is.

use clap::Subcommand;
use serde_json::{Value, json};

use crate::cli::Common;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::transport::{Call, Transport, names, place};

/// Where customers' data is: import files, exports, vendors, laptops, paper
#[derive(Subcommand)]
pub(super) enum Places {
    /// Every place, by name
    ///
    /// Example: strongroom places list
    List {
        /// Where to go on, as the page before says
        #[arg(long, value_parser = names)]
        cursor: Option<String>,
    },
    /// What is or was at a place: how many customers, which fields, since when
    ///
    /// Example: strongroom places holdings import-sources
    Holdings {
        /// The place
        #[arg(value_parser = place)]
        name: String,
        /// Where to go on, as the page before says
        #[arg(long, value_parser = names)]
        cursor: Option<String>,
    },
    /// Name a place, or say anew what it is and who answers for it
    ///
    /// Example: strongroom places add filing-cabinet --kind paper_box --owner "front desk"
    Add {
        /// The place
        #[arg(value_parser = place)]
        name: String,
        /// `database`, `folder`, `laptop`, `mailbox`, `paper_box`, `vault` or `vendor`
        #[arg(long)]
        kind: String,
        /// A post or a team, never a person's name
        #[arg(long)]
        owner: String,
    },
    /// Say that what was there is gone, and what shows it
    ///
    /// Example: strongroom places close import-sources --origin imp_06gzz… --evidence "shredded, ticket 41"
    Close {
        /// The place
        #[arg(value_parser = place)]
        name: String,
        /// One holding only
        #[arg(long, conflicts_with = "origin")]
        holding: Option<String>,
        /// What one import, send or request put there only
        #[arg(long)]
        origin: Option<String>,
        /// A ticket or a certificate
        #[arg(long)]
        evidence: String,
    },
}

impl Places {
    pub(super) async fn run(&self, common: &Common, output: &Output) -> Result<(), Failure> {
        let mut transport = Transport::open(common).await?;
        match self {
            Self::List { cursor } => {
                let path = with_cursor("/v1/places?limit=200".to_owned(), cursor.as_deref());
                let columns = ["name", "kind", "owner", "open_holdings", "opened", "closed"];
                show(&transport.call(Call::get(path)).await?.json()?, &columns, output)
            }
            Self::Holdings { name, cursor } => {
                let path = format!("/v1/places/{name}/holdings?limit=200");
                let path = with_cursor(path, cursor.as_deref());
                let columns =
                    ["id", "whose", "number", "fields", "since", "due", "origin", "closed"];
                show(&transport.call(Call::get(path)).await?.json()?, &columns, output)
            }
            Self::Add { name, kind, owner } => {
                let body = json!({ "kind": kind, "owner": owner });
                let call = Call::put(format!("/v1/places/{name}")).json(&body);
                let answer = transport.call(call).await?;
                output.done(answer.receipt(), "The place is known now.")
            }
            Self::Close { name, holding, origin, evidence } => {
                let body = json!({ "holding": holding, "origin": origin, "evidence": evidence });
                let call = Call::post(format!("/v1/places/{name}/close")).json(&body);
                let closed = transport.call(call).await?.json()?;
                if output.is_json() {
                    return output.value(&closed);
                }
                let count = closed.get("closed").and_then(Value::as_u64).unwrap_or_default();
                output.line(&format!("Closed: {count}."))
            }
        }
    }
}

fn with_cursor(mut path: String, cursor: Option<&str>) -> String {
    if let Some(cursor) = cursor {
        path.push_str("&cursor=");
        path.push_str(cursor);
    }
    path
}

fn show(page: &Value, columns: &[&str], output: &Output) -> Result<(), Failure> {
    if output.is_json() {
        return output.value(page);
    }
    output.list(page.get("items").unwrap_or(&Value::Null), columns, "Nothing.")?;
    match page.get("next").and_then(Value::as_str) {
        Some(next) => output.line(&format!("There are more: add `--cursor {next}`.")),
        None => Ok(()),
    }
}

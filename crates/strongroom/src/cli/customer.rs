//! `strongroom customer`: add, find, show, reveal, consents, erase, keep.
//!
//! Values never stand on the command line: other users of the machine see it in the list of
//! processes, and the shell keeps it in its history.

use std::fs::File;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use crate::cli::Common;
use crate::cli::failure::Failure;
use crate::cli::output::{Output, warn};
use crate::cli::transport::{Call, Transport, id, names};
use crate::web::BODY_SIZE_BYTES_MAX;

/// Single customers, with an API key (`--key-file`)
#[derive(Subcommand)]
pub(super) enum Customer {
    Add(Add),
    /// Find customers by one field; its value is read from standard input
    ///
    /// The value does not stand on the command line: process lists and shell histories keep those. A field
    /// with `find = "words"` takes the beginnings of words.
    ///
    /// Example: strongroom customer find email --purpose support --key-file desk.key
    Find {
        /// A field that the policy lets you find by
        field: String,
        /// What it is for, as the policy names it
        #[arg(long)]
        purpose: String,
    },
    /// Show fields of a customer, masked as the policy says
    ///
    /// Example: strongroom customer show cus_06gzz… --fields name,email --purpose support --key-file desk.key
    Show {
        #[command(flatten)]
        what: What,
    },
    Reveal(Reveal),
    /// List what a customer consents to
    ///
    /// Example: strongroom customer consents cus_06gzz… --key-file desk.key
    Consents {
        /// The customer
        #[arg(value_parser = id)]
        id: String,
    },
    Consent(Consent),
    /// Set down that a customer does not, or no longer, consent to a purpose
    ///
    /// Example: strongroom customer withdraw cus_06gzz… --purpose marketing --key-file desk.key
    Withdraw {
        /// The customer
        #[arg(value_parser = id)]
        id: String,
        /// The purpose, as the policy names it
        #[arg(long, value_parser = names)]
        purpose: String,
    },
    /// Ask for a customer to be forgotten: hidden at once, destroyed when the grace is over
    ///
    /// Example: strongroom customer erase cus_06gzz… --key-file privacy.key
    Erase {
        /// The customer
        #[arg(value_parser = id)]
        id: String,
    },
    /// Take an erasure back while its grace lasts
    ///
    /// Example: strongroom customer keep cus_06gzz… --key-file privacy.key
    Keep {
        /// The customer
        #[arg(value_parser = id)]
        id: String,
    },
}

/// Add a customer; the fields are read as a JSON object from a file or standard input
///
/// They do not stand on the command line: process lists and shell histories keep those. The object
/// looks like {"name": "…", "email": "…", "address": {"lines": ["…"], "city": "…"}}.
///
/// Example: strongroom customer add --relation purchase fields.json --key-file shop.key
#[derive(Args)]
pub(super) struct Add {
    /// Why the customer is known, as the policy names it; several times for several
    #[arg(long = "relation", value_name = "RELATION", required = true)]
    relations: Vec<String>,
    /// A file with the fields; `-` is standard input
    #[arg(default_value = "-")]
    file: PathBuf,
}

/// Whose fields, which, and what for.
#[derive(Args)]
pub(super) struct What {
    /// The customer
    #[arg(value_parser = id)]
    id: String,
    /// Fields, separated by commas
    #[arg(long, value_parser = names)]
    fields: String,
    /// What it is for, as the policy names it
    #[arg(long)]
    purpose: String,
}

/// Show fields of a customer in clear, for a reason that the ledger keeps
///
/// Example: strongroom customer reveal cus_06gzz… --fields email --purpose support --reason "customer called" --ticket T-77 --key-file desk.key
#[derive(Args)]
pub(super) struct Reveal {
    #[command(flatten)]
    what: What,
    /// One of the policy's reasons
    #[arg(long)]
    reason: String,
    /// The number of your own ticket; never a name
    #[arg(long, default_value = "")]
    ticket: String,
}

/// Set down that a customer consents to a purpose
///
/// Example: strongroom customer consent cus_06gzz… --purpose marketing --how form --key-file desk.key
#[derive(Args)]
pub(super) struct Consent {
    /// The customer
    #[arg(value_parser = id)]
    id: String,
    /// The purpose, as the policy names it
    #[arg(long, value_parser = names)]
    purpose: String,
    /// How it was obtained: account, email, form, in_person, paper or phone
    #[arg(long)]
    how: String,
    /// When, like 2026-11-21T10:00:00Z; now if left out
    #[arg(long)]
    at: Option<String>,
}

impl Customer {
    pub(super) async fn run(&self, common: &Common, output: &Output) -> Result<(), Failure> {
        match self {
            Self::Add(add) => add.run(common, output).await,
            Self::Find { field, purpose } => find(field, purpose, common, output).await,
            Self::Show { what } => {
                let path = format!("/v1/customers/{}?fields={}", what.id, what.fields);
                show(Call::get(path).purpose(&what.purpose), common, output).await
            }
            Self::Reveal(reveal) => {
                let Reveal { what, reason, ticket } = reveal;
                let fields: Vec<&str> = what.fields.split(',').collect();
                let body = json!({ "fields": fields, "reason": reason, "ticket": ticket });
                let call = Call::post(format!("/v1/customers/{}/reveal", what.id)).json(&body);
                show(call.purpose(&what.purpose), common, output).await
            }
            Self::Consents { id } => consents(id, common, output).await,
            Self::Consent(consent) => {
                let Consent { id, purpose, how, at } = consent;
                let call = Call::put(format!("/v1/customers/{id}/consents/{purpose}"));
                let body = json!({ "how": how, "at": at });
                let answer = Transport::open(common).await?.call(call.json(&body)).await?;
                output.done(answer.receipt(), "Set down; it counts from now on.")
            }
            Self::Withdraw { id, purpose } => {
                let call = Call::delete(format!("/v1/customers/{id}/consents/{purpose}"));
                let answer = Transport::open(common).await?.call(call).await?;
                output
                    .done(answer.receipt(), "Withdrawn; nothing is shown or sent for it any more.")
            }
            Self::Erase { id } => erase(id, common, output).await,
            Self::Keep { id } => {
                let call = Call::delete(format!("/v1/customers/{id}/erasure"));
                let answer = Transport::open(common).await?.call(call).await?;
                output.done(
                    answer.receipt(),
                    "The erasure is taken back; the customer is there as before.",
                )
            }
        }
    }
}

impl Add {
    async fn run(&self, common: &Common, output: &Output) -> Result<(), Failure> {
        let text = read_text(&self.file, "The fields as JSON, then Ctrl-D:")?;
        // The message of the parser would quote what was written.
        let fields: Map<String, Value> = serde_json::from_str(&text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            let sentence = format!(
                "the fields are not a JSON object at line {line}, column {column}; one looks like \
                 {{\"name\": \"…\", \"email\": \"…\"}}"
            );
            Failure::new("bad_json", sentence)
        })?;
        let relations: Vec<Value> =
            self.relations.iter().map(|name| json!({ "name": name })).collect();
        let body = json!({ "relations": relations, "fields": fields });
        let call = Call::post("/v1/customers").json(&body);
        let made = Transport::open(common).await?.call(call).await?.json()?;
        if output.is_json() {
            return output.value(&made);
        }
        output.line(made.get("id").and_then(Value::as_str).unwrap_or_default())
    }
}

async fn find(field: &str, purpose: &str, common: &Common, output: &Output) -> Result<(), Failure> {
    let text = read_text(Path::new("-"), "The value, then Enter and Ctrl-D:")?;
    let mut body = Map::new();
    body.insert(field.to_owned(), text.trim_end_matches(['\r', '\n']).into());
    let call = Call::post("/v1/customers/lookup").purpose(purpose).json(&Value::Object(body));
    let found = Transport::open(common).await?.call(call).await?.json()?;
    if output.is_json() {
        return output.value(&found);
    }
    let customers = found.get("customers").and_then(Value::as_array).cloned().unwrap_or_default();
    if customers.is_empty() {
        warn("Nobody has this value.");
    }
    for customer in customers {
        output.line(customer.as_str().unwrap_or_default())?;
    }
    if found.get("more").and_then(Value::as_bool).unwrap_or_default() {
        warn("There may be more; give more of the value.");
    }
    Ok(())
}

async fn show(call: Call, common: &Common, output: &Output) -> Result<(), Failure> {
    let shown = Transport::open(common).await?.call(call).await?.json()?;
    if output.is_json() {
        return output.value(&shown);
    }
    let empty = Map::new();
    let fields = shown.get("fields").and_then(Value::as_object).unwrap_or(&empty);
    if fields.is_empty() {
        return output.line("The customer has none of these fields.");
    }
    let is_masked = |name: &str| {
        let masked = shown.get("masked").and_then(Value::as_array);
        masked.is_some_and(|masked| masked.iter().any(|it| it.as_str() == Some(name)))
    };
    let rows: Vec<Vec<String>> = fields
        .iter()
        .map(|(name, value)| {
            let note = if is_masked(name) { "(masked)" } else { "" };
            vec![name.clone(), in_one_line(value), note.to_owned()]
        })
        .collect();
    output.rows(&rows)
}

/// An address reads as on an envelope, in one line.
fn in_one_line(value: &Value) -> String {
    match value {
        Value::Object(parts) => {
            let order = ["lines", "city", "region", "postcode", "country"];
            let known = order.iter().filter_map(|name| parts.get(*name));
            let rest = parts.iter().filter(|(name, _)| !order.contains(&name.as_str()));
            let all = known.chain(rest.map(|(_, part)| part));
            all.filter(|part| !part.is_null()).map(in_one_line).collect::<Vec<_>>().join(", ")
        }
        Value::Array(parts) => parts.iter().map(in_one_line).collect::<Vec<_>>().join(", "),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

async fn consents(id: &str, common: &Common, output: &Output) -> Result<(), Failure> {
    let call = Call::get(format!("/v1/customers/{id}/consents"));
    let listed = Transport::open(common).await?.call(call).await?.json()?;
    if output.is_json() {
        return output.value(&listed);
    }
    let columns = ["purpose", "stands", "given", "how", "withdrawn"];
    let consents = listed.get("consents").unwrap_or(&Value::Null);
    output.list(consents, &columns, "Nothing was said about any purpose yet.")
}

async fn erase(id: &str, common: &Common, output: &Output) -> Result<(), Failure> {
    let call = Call::delete(format!("/v1/customers/{id}"));
    let asked = Transport::open(common).await?.call(call).await?.json()?;
    if output.is_json() {
        return output.value(&asked);
    }
    let due = asked.get("due").and_then(Value::as_str).unwrap_or_default();
    output.line(&format!(
        "Hidden from everyone now; the keys are destroyed at {due}. Until then `strongroom customer \
         keep` takes it back."
    ))?;
    let kept = asked.get("kept").unwrap_or(&Value::Null);
    if kept.as_array().is_some_and(|kept| !kept.is_empty()) {
        output.line("\nA legal duty keeps for now:")?;
        output.list(kept, &["fields", "relation", "basis", "last_day"], "")?;
        let goes = asked.get("goes").and_then(Value::as_array).cloned().unwrap_or_default();
        let goes: Vec<&str> = goes.iter().filter_map(Value::as_str).collect();
        let goes = if goes.is_empty() { "nothing else".to_owned() } else { goes.join(", ") };
        output.line(&format!("\nThis goes: {goes}."))?;
    }
    Ok(())
}

/// Reads at most what a call may hold.
fn read_text(path: &Path, prompt: &str) -> Result<String, Failure> {
    let limit = u64::try_from(BODY_SIZE_BYTES_MAX).unwrap_or(u64::MAX);
    let mut text = String::new();
    let read = if path == Path::new("-") {
        if std::io::stdin().is_terminal() {
            warn(prompt);
        }
        std::io::stdin().lock().take(limit).read_to_string(&mut text)
    } else {
        File::open(path).and_then(|file| file.take(limit).read_to_string(&mut text))
    };
    read.map_err(|cause| {
        let place = if path == Path::new("-") {
            "standard input".into()
        } else {
            path.display().to_string()
        };
        Failure::new("input_output", format!("`{place}` cannot be read as text: {}", cause.kind()))
    })?;
    Ok(text)
}

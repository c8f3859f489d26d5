//! Holds, findings, sealing, and the description of the API.

use clap::Subcommand;
use serde_json::{Value, json};

use crate::cli::Common;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::transport::{Call, Transport, id};
use crate::router;

/// Legal holds: while one stands, nothing erases the customer
#[derive(Subcommand)]
pub(super) enum Hold {
    /// Place a hold
    ///
    /// Example: strongroom hold place cus_06gzz… --reason "case 2026-14"
    Place {
        /// The customer
        #[arg(value_parser = id)]
        id: String,
        /// The case; never a person's name
        #[arg(long)]
        reason: String,
    },
    /// Release every hold on a customer
    ///
    /// Example: strongroom hold release cus_06gzz…
    Release {
        /// The customer
        #[arg(value_parser = id)]
        id: String,
    },
}

impl Hold {
    pub(super) async fn run(&self, common: &Common, output: &Output) -> Result<(), Failure> {
        let (call, sentence) = match self {
            Self::Place { id, reason } => (
                Call::put(format!("/v1/customers/{id}/hold")).json(&json!({ "reason": reason })),
                "The hold stands; nothing erases this customer until it is released.",
            ),
            Self::Release { id } => (
                Call::delete(format!("/v1/customers/{id}/hold")),
                "Released; the customer can be erased again.",
            ),
        };
        let answer = Transport::open(common).await?.call(call).await?;
        output.done(answer.receipt(), sentence)
    }
}

/// Lists what is missing or wrong.
pub(super) async fn findings(common: &Common, output: &Output) -> Result<(), Failure> {
    let call = Call::get("/v1/findings");
    let findings = Transport::open(common).await?.call(call).await?.json()?;
    if output.is_json() {
        return output.value(&findings);
    }
    tell_findings(&findings, output)
}

/// Drops the keys of a running server.
pub(super) async fn seal(common: &Common, output: &Output) -> Result<(), Failure> {
    if common.server.is_none() {
        let sentence = "`seal` is for a running server: name it with `--server` and `--key-file`. \
                        An installation that is not served is sealed already";
        return Err(Failure::usage(sentence));
    }
    let answer = Transport::open(common).await?.call(Call::post("/v1/seal")).await?;
    output.done(answer.receipt(), "Sealed: nothing is shown until the server is started again.")
}

/// Prints the description of the API; needs no installation.
pub(super) fn openapi(output: &Output) -> Result<(), Failure> {
    let document = router::openapi().to_pretty_json().map_err(|_| {
        Failure::new("internal", "the description of the API cannot be written as JSON")
    })?;
    output.line(&document)
}

/// Findings, in words.
pub(super) fn tell_findings(findings: &Value, output: &Output) -> Result<(), Failure> {
    let findings = findings.get("findings").and_then(Value::as_array).cloned().unwrap_or_default();
    if findings.is_empty() {
        return output.line("No findings.");
    }
    for finding in findings {
        let text = |name: &str| finding.get(name).and_then(Value::as_str).unwrap_or_default();
        output.line(&format!("{}, since {}:", text("kind"), text("first_seen")))?;
        for line in wrapped(text("detail"), 88) {
            output.line(&format!("  {line}"))?;
        }
    }
    Ok(())
}

/// Broken between words, for reading on a terminal.
pub(super) fn wrapped(text: &str, width_max: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let width = line.chars().count() + word.chars().count() + 1;
        if !line.is_empty() && width > width_max {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

//! `strongroom policy`: check, apply, show, cancel.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::{Value, json};

use crate::cli::Common;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::transport::{Call, Transport};
use crate::config::Config;
use crate::policy;

/// Who may see what, why and how long it is kept
#[derive(Subcommand)]
pub(super) enum Policy {
    /// Say what is wrong with a policy file, line by line; needs no installation
    ///
    /// Example: strongroom policy check policy.toml
    Check {
        /// The policy
        #[arg(default_value = "policy.toml")]
        file: PathBuf,
    },
    /// Show what a policy changes, in words, and apply it
    ///
    /// What narrows counts at once; what widens who sees, shortens a life or drops a field waits a
    /// day and can be cancelled.
    ///
    /// Example: strongroom policy apply policy.toml
    Apply {
        /// The policy; without it the one that the configuration names
        file: Option<PathBuf>,
        /// Show what it would change, and change nothing
        #[arg(long)]
        preview: bool,
    },
    /// Show the policy in force
    ///
    /// Example: strongroom policy show --text > policy.toml
    Show {
        /// The file as it was applied, comments and all
        #[arg(long)]
        text: bool,
    },
    /// Cancel a policy that waits
    ///
    /// Example: strongroom policy cancel
    Cancel,
}

impl Policy {
    pub(super) async fn run(&self, common: &Common, output: &Output) -> Result<(), Failure> {
        match self {
            Self::Check { file } => check(file, output),
            Self::Apply { file, preview } => {
                let text = match file {
                    Some(file) => read(file)?,
                    None if common.server.is_some() => read(Path::new("policy.toml"))?,
                    None => read(&Config::read(&common.config)?.policy)?,
                };
                apply(&text, *preview, common, output).await
            }
            Self::Show { text } => show(*text, common, output).await,
            Self::Cancel => {
                let call = Call::delete("/v1/policy/pending");
                let answer = Transport::open(common).await?.call(call).await?;
                output.done(
                    answer.receipt(),
                    "The waiting policy is cancelled; the one in force stays.",
                )
            }
        }
    }
}

fn check(file: &Path, output: &Output) -> Result<(), Failure> {
    let text = read(file)?;
    match policy::parse(&text) {
        Ok(policy) => {
            if output.is_json() {
                return output.value(&json!({ "problems": [] }));
            }
            output.line(&format!(
                "No problems: {} fields, {} roles, {} grants.",
                policy.fields().len(),
                policy.roles().len(),
                policy.grants().len()
            ))
        }
        Err(problems) => {
            if output.is_json() {
                let problems: Vec<Value> = problems
                    .iter()
                    .map(|it| json!({ "line": it.line, "cause": it.cause, "cure": it.cure }))
                    .collect();
                output.value(&json!({ "problems": problems }))?;
                return Err(Failure::told());
            }
            for problem in problems {
                let policy::Problem { line, cause, cure } = problem;
                output.line(&format!("line {line}: {cause}; {cure}"))?;
            }
            Err(Failure::told())
        }
    }
}

async fn apply(text: &str, preview: bool, common: &Common, output: &Output) -> Result<(), Failure> {
    let mut transport = Transport::open(common).await?;
    let body = json!({ "policy": text });
    let preview_call = Call::post("/v1/policy/check").json(&body);
    let would = transport.call(preview_call).await?.json()?;
    if preview {
        if output.is_json() {
            return output.value(&would);
        }
        tell_lines(&would, output)?;
        return output.line("Nothing was changed.");
    }
    if !output.is_json() {
        tell_lines(&would, output)?;
    }
    let applied = transport.call(Call::post("/v1/policy").json(&body)).await?.json()?;
    if output.is_json() {
        return output.value(&applied);
    }
    match (applied.get("version").and_then(Value::as_u64), applied.get("due")) {
        (Some(version), _) => output.line(&format!("Applied as version {version}.")),
        (None, Some(Value::String(due))) => output.line(&format!(
            "It widens something, so it waits until {due} and is then applied by the server; until \
             then `strongroom policy cancel` takes it back."
        )),
        _ => output.line("Done."),
    }
}

fn tell_lines(difference: &Value, output: &Output) -> Result<(), Failure> {
    let lines = difference.get("lines").and_then(Value::as_array).cloned().unwrap_or_default();
    if lines.is_empty() {
        return output.line("It changes nothing.");
    }
    output.line("It changes:")?;
    for line in lines {
        let text = line.get("text").and_then(Value::as_str).unwrap_or_default();
        let widens = line.get("needs_second_person").and_then(Value::as_bool) == Some(true);
        output.line(&format!("  {} {text}", if widens { "!" } else { "-" }))?;
    }
    Ok(())
}

async fn show(whole: bool, common: &Common, output: &Output) -> Result<(), Failure> {
    let shown = Transport::open(common).await?.call(Call::get("/v1/policy")).await?.json()?;
    if whole {
        let file = shown.get("text").and_then(Value::as_str).ok_or_else(|| {
            let detail =
                "the file is shown to whoever may apply one; take a key whose role may `policy`";
            Failure::new("right_missing", detail)
        })?;
        return output.line(file.trim_end());
    }
    if output.is_json() {
        return output.value(&shown);
    }
    let text = |name: &str| shown.get(name).and_then(Value::as_str);
    let version = shown.get("version").and_then(Value::as_u64).unwrap_or_default();
    output.line(&format!("Version {version}, in force since {}.", text("since").unwrap_or("?")))?;
    if let Some(due) = text("pending_until") {
        output.line(&format!("Another one waits and is applied at {due}."))?;
    }
    let policy = shown.get("policy").unwrap_or(&Value::Null);
    section(policy, "relations", &["name", "keep", "basis", "title"], output)?;
    section(policy, "fields", &["name", "type", "find", "needed_for", "title"], output)?;
    section(policy, "purposes", &["name", "title"], output)?;
    section(policy, "roles", &["name", "may", "title"], output)?;
    section(policy, "grants", &["role", "purpose", "see", "fields", "find"], output)
}

fn section(policy: &Value, name: &str, columns: &[&str], output: &Output) -> Result<(), Failure> {
    output.line(&format!("\n{name}:"))?;
    output.list(policy.get(name).unwrap_or(&Value::Null), columns, &format!("No {name}."))
}

/// A policy holds no customer's data, so it may be read whole and quoted.
fn read(path: &Path) -> Result<String, Failure> {
    let wrong = |problem: &str| {
        let sentence = format!("the policy `{}` {problem}", path.display());
        Failure::new("bad_policy", sentence)
    };
    let mut text = Vec::new();
    File::open(path)
        .and_then(|file| file.take(FILE_SIZE_BYTES_MAX + 1).read_to_end(&mut text))
        .map_err(|cause| wrong(&format!("cannot be read: {cause}")))?;
    if text.len() as u64 > FILE_SIZE_BYTES_MAX {
        return Err(wrong("is larger than 192 KiB; is it the right file?"));
    }
    String::from_utf8(text).map_err(|_| wrong("is not UTF-8; save it as such"))
}

/// What fits, escaped, into one call.
const FILE_SIZE_BYTES_MAX: u64 = 192 * 1024;

//! `strongroom ledger`: what happened, and that nobody changed it since.

mod export;
mod files;

use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;
use serde_json::{Value, json};

use crate::cli::Common;
use crate::cli::failure::Failure;
use crate::cli::import::Progress;
use crate::cli::init;
use crate::cli::output::Output;
use crate::cli::transport::{Call, Transport, id, names};

/// What happened, who looked, and proof that the log was not changed
#[derive(Subcommand)]
pub(super) enum Ledger {
    /// Read the whole log, rebuild its tree and indexes, and compare
    ///
    /// Example: strongroom ledger verify
    Verify {
        /// Also open each customer's rows and hold them against the newest entry that wrote them
        #[arg(long)]
        deep: bool,
    },
    /// Who looked at a customer, when and why, newest first
    ///
    /// Example: strongroom ledger who cus_06gzz…
    Who {
        /// The customer
        #[arg(value_parser = id)]
        id: String,
        /// Looks on the page, 1 to 200
        #[arg(long, default_value_t = 50)]
        limit: u16,
        /// Where to go on, as the page before says
        #[arg(long, value_parser = names)]
        cursor: Option<String>,
    },
    /// Whose data an actor touched, or was at a place, between two moments
    ///
    /// Example: strongroom ledger scope --actor key_06gzz… --from 2026-11-01T00:00:00Z --to 2026-12-01T00:00:00Z
    Scope {
        /// A key's id, `operator`, or `system:` and a job
        #[arg(long, required_unless_present = "place", conflicts_with = "place")]
        actor: Option<String>,
        /// A place: a vendor, a laptop, a folder; `strongroom places list` names them
        #[arg(long)]
        place: Option<String>,
        /// The first moment
        #[arg(long, value_name = "TIME")]
        from: String,
        /// The last moment
        #[arg(long, value_name = "TIME")]
        to: String,
    },
    /// Prove that an entry is in the log
    ///
    /// Example: strongroom ledger proof 17
    Proof {
        /// The entry's place in the log
        index: u64,
        /// An earlier incarnation of the log, from before a restore
        #[arg(long, value_name = "NUMBER")]
        incarnation: Option<u64>,
        /// Write it into this new file, as `strongroom-verify proof` and C2SP programs read it
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Write the whole log into a folder, for auditors: they check it with `strongroom-verify`
    ///
    /// The folder is laid out as C2SP tlog-tiles says; logs from before restores stand in folders of
    /// their own in it. Called again, it fetches what is new. Entries hold pseudonyms, no customer's
    /// data.
    ///
    /// Example: strongroom ledger export log
    Export {
        /// The folder to write, new or of an earlier export
        folder: PathBuf,
    },
    /// The newest signed checkpoint: keep it elsewhere, and nobody can rewrite what is under it
    ///
    /// Example: strongroom ledger checkpoint > checkpoint.txt
    Checkpoint,
    /// The public key that the log is signed with: auditors and witnesses need it, on another way than
    /// the log
    ///
    /// Print it and keep it with the recovery shares. After a rotation of the signing key print it anew.
    ///
    /// Example: strongroom ledger key
    Key,
}

impl Ledger {
    pub(super) async fn run(&self, common: &Common, output: &Output) -> Result<(), Failure> {
        let mut transport = Transport::open(common).await?;
        match self {
            Self::Verify { deep } => verify(&mut transport, *deep, output).await,
            Self::Who { id, limit, cursor } => {
                let mut path = format!("/v1/customers/{id}/ledger?limit={limit}");
                if let Some(cursor) = cursor {
                    path.push_str("&cursor=");
                    path.push_str(cursor);
                }
                who(&mut transport, path, output).await
            }
            Self::Scope { actor, place, from, to } => {
                let asked = json!({
                    "actor": actor, "place": place, "from": from, "to": to, "limit": 1_000,
                });
                scope(&all_pages(&mut transport, asked).await?, output)
            }
            Self::Proof { index, incarnation, out } => {
                let older = incarnation.map(|it| format!("&incarnation={it}")).unwrap_or_default();
                let as_json = output.is_json() && out.is_none();
                let form = if as_json { "json" } else { "text" };
                let call = Call::get(format!("/v1/ledger/proof/{index}?form={form}{older}"));
                let answer = transport.call(call).await?;
                match out {
                    Some(file) => {
                        init::write_new(file, &answer.text())?;
                        output.done(None, &format!("The proof is in `{}`.", file.display()))
                    }
                    None if as_json => output.value(&answer.json()?),
                    None => output.line(answer.text().trim_end_matches('\n')),
                }
            }
            Self::Export { folder } => export::export(&mut transport, folder, output).await,
            Self::Checkpoint => {
                let answer = transport.call(Call::get("/v1/ledger/checkpoint")).await?;
                let text = answer.text();
                if output.is_json() {
                    let key = answer.header("strongroom-verifier-key");
                    return output.value(&json!({ "checkpoint": text, "verifier_key": key }));
                }
                output.line(text.trim_end_matches('\n'))
            }
            Self::Key => {
                let answer = transport.call(Call::get("/v1/ledger/checkpoint")).await?;
                let key = answer.header("strongroom-verifier-key").unwrap_or_default();
                match output.is_json() {
                    true => output.value(&json!({ "verifier_key": key })),
                    false => output.line(key),
                }
            }
        }
    }
}

async fn verify(transport: &mut Transport, deep: bool, output: &Output) -> Result<(), Failure> {
    let path = if deep { "/v1/ledger/verify?deep=true" } else { "/v1/ledger/verify" };
    let verified = wait_for(transport, path, output).await?;
    let intact = verified.get("intact").and_then(Value::as_bool) == Some(true);
    if output.is_json() {
        output.value(&verified)?;
        return if intact { Ok(()) } else { Err(Failure::told()) };
    }
    let size = verified.get("size").and_then(Value::as_u64).unwrap_or_default();
    let flaws = verified.get("flaws").unwrap_or(&Value::Null);
    if flaws.as_array().is_some_and(Vec::is_empty) {
        output.line(&format!("Intact: {size} entries, tree and indexes fit."))?;
    } else {
        output.line(&format!("Not intact: {size} entries were read, and this does not fit:"))?;
        output.list(flaws, &["entry", "what"], "The answer does not say what.")?;
    }
    if let Some(compared) = verified.get("compared").filter(|compared| !compared.is_null()) {
        rows(compared, output)?;
    }
    if intact { Ok(()) } else { Err(Failure::told()) }
}

/// What the customers' rows said beside the log.
fn rows(compared: &Value, output: &Output) -> Result<(), Failure> {
    let number = |name: &str| compared.get(name).and_then(Value::as_u64).unwrap_or_default();
    let (customers, differing) = (number("customers"), number("differing"));
    let (unknown, broken, missing) = (number("unknown"), number("broken"), number("missing"));
    let fit = customers.saturating_sub(differing + unknown + broken);
    output.line(&format!(
        "Rows: of {customers} customers, {fit} stand as their newest entry says."
    ))?;
    if unknown > 0 {
        output.line(&format!("UNKNOWN: of {unknown} no entry says how they should stand."))?;
    }
    if broken > 0 {
        output.line(&format!("{broken} do not open; see `strongroom findings`."))?;
    }
    if missing > 0 {
        output.line(&format!("{missing} more are gone, and nobody erased them."))?;
    }
    if differing > 0 {
        output.line(&format!("{differing} were put back to an older state by other hands."))?;
    }
    if differing + missing > 0 {
        let flaws = compared.get("flaws").unwrap_or(&Value::Null);
        output.list(flaws, &["entry", "what"], "The answer does not say who.")?;
    }
    Ok(())
}

/// Asks how far the verification is until it has ended.
async fn wait_for(
    transport: &mut Transport,
    begin: &str,
    output: &Output,
) -> Result<Value, Failure> {
    let mut told = transport.call(Call::post(begin)).await?.json()?;
    let text = |told: &Value, name: &str| {
        told.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let path = format!("/v1/ledger/verify/{}", text(&told, "id"));
    let number = |told: &Value, name: &str| told.get(name).and_then(Value::as_u64).unwrap_or(0);
    let mut progress =
        if output.is_json() { Progress::Quiet } else { Progress::for_people("entries") };
    let mut size = 0;
    while text(&told, "state") == "running" {
        tokio::time::sleep(ASK_AGAIN).await;
        told = transport.call(Call::get(path.clone())).await?.json()?;
        if size == 0 && number(&told, "size") > 0 {
            size = number(&told, "size");
            progress.begin(number(&told, "done"), size);
        }
        progress.at(number(&told, "done"));
    }
    progress.end();
    match told.get("problem").filter(|problem| !problem.is_null()) {
        Some(problem) => Err(Failure::new(&text(problem, "code"), text(problem, "detail"))),
        None => Ok(told),
    }
}

async fn who(transport: &mut Transport, path: String, output: &Output) -> Result<(), Failure> {
    let looks = transport.call(Call::get(path)).await?.json()?;
    if output.is_json() {
        return output.value(&looks);
    }
    let columns = [
        "time",
        "act",
        "actor",
        "on_behalf_of",
        "purpose",
        "reason",
        "ticket",
        "outcome",
        "fields",
    ];
    output.list(looks.get("items").unwrap_or(&Value::Null), &columns, "Nobody looked.")?;
    if let Some(next) = looks.get("next").and_then(Value::as_str) {
        output.line(&format!("There are more: add `--cursor {next}`."))?;
    }
    Ok(())
}

/// A scope is of use as a whole: every page, put together.
async fn all_pages(transport: &mut Transport, mut asked: Value) -> Result<Value, Failure> {
    let (mut customers, mut erased_since) = (Vec::<Value>::new(), 0);
    loop {
        let call = Call::post("/v1/ledger/scope").json(&asked);
        let mut page = transport.call(call).await?.json()?;
        erased_since += page.get("erased_since").and_then(Value::as_u64).unwrap_or(0);
        if let Some(Value::Array(lines)) = page.get_mut("customers") {
            customers.append(lines);
        }
        match (page.get_mut("next").map(Value::take), asked.as_object_mut()) {
            (Some(next @ Value::String(_)), Some(asked)) => asked.insert("cursor".to_owned(), next),
            _ => {
                if let Some(page) = page.as_object_mut() {
                    page.insert("customers".to_owned(), customers.into());
                    page.insert("erased_since".to_owned(), json!(erased_since));
                }
                return Ok(page);
            }
        };
    }
}

fn scope(scope: &Value, output: &Output) -> Result<(), Failure> {
    if output.is_json() {
        return output.value(scope);
    }
    let columns = ["customer", "state", "times", "first", "last", "fields"];
    let customers = scope.get("customers").unwrap_or(&Value::Null);
    output.list(customers, &columns, "No customer that is still there.")?;
    let unknown = scope.get("unknown").and_then(Value::as_array).cloned().unwrap_or_default();
    for gap in unknown {
        let text = |name: &str| gap.get(name).and_then(Value::as_str).unwrap_or_default();
        output.line(&format!(
            "UNKNOWN from {} to {}: entries of that time were lost in a restore.",
            text("from"),
            text("to")
        ))?;
    }
    let number = |name: &str| scope.get(name).and_then(Value::as_u64);
    if let Some(count) = number("erased_since").filter(|count| *count > 0) {
        output.line(&format!("And {count} who were erased since."))?;
    }
    if let Some(index) = number("everyone_as_of") {
        output.line(&format!("And everyone who was a customer at entry {index} of the ledger."))?;
    }
    match number("strangers") {
        None | Some(0) => Ok(()),
        Some(count) => output.line(&format!("And {count} people nobody can name.")),
    }
}

/// Fine enough for a bar that moves; a verification of a small log is over before.
const ASK_AGAIN: Duration = Duration::from_millis(100);

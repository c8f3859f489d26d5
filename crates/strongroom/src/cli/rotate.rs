//! `strongroom rotate`: new keys in place of old ones, while everything goes on.

use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::cli::Common;
use crate::cli::failure::Failure;
use crate::cli::import::Progress;
use crate::cli::output::Output;
use crate::cli::transport::{Call, Transport};

/// Put new keys in place of old ones: the root key and the key that wraps each customer's keys
///
/// Everything goes on meanwhile; stopped, it goes on where it was when the program is served again. What
/// opens the installation stays as it is, and without `--after-leak` the recovery shares do too. Plain, it is
/// housekeeping, once a year, and not what helps after a leak: whoever copied the data and its keys still
/// reads that copy, and with those keys a later copy too. That is what `--after-leak` is for.
///
/// Example: strongroom rotate --server http://127.0.0.1:8720 --key-file admin.key
#[derive(Args)]
pub(super) struct Rotate {
    /// Only this one
    #[arg(long, value_enum)]
    only: Option<Only>,
    /// Somebody else may have the keys: put new ones in place of all that open or find customers' data,
    /// end the recovery shares, and say what is still exposed
    #[arg(long, conflicts_with = "only")]
    after_leak: bool,
    /// Say how far the rotations there were are, and begin none
    #[arg(long, conflicts_with_all = ["only", "after_leak"])]
    status: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Only {
    /// The key that wraps all others
    Root,
    /// The key that wraps each customer's keys
    WrappingKey,
    /// Each customer's keys: every value is sealed anew
    DataKeys,
    /// The keys under which values and tokens are found
    LookUpKeys,
    /// The key that signs the ledger; only when it is named here, for witness and auditors need the new one
    SigningKey,
}

impl Rotate {
    pub(super) async fn run(&self, common: &Common, output: &Output) -> Result<(), Failure> {
        let mut transport = Transport::open(common).await?;
        if self.status {
            let told = transport.call(Call::get("/v1/rotations")).await?.json()?;
            return show(&told, output);
        }
        if self.only == Some(Only::SigningKey) {
            let told = transport.call(asked("signing_key")).await?.json()?;
            return show_signing_key(&told, output);
        }
        let wanted = match self.only {
            _ if self.after_leak => Some("after_leak"),
            Some(Only::Root | Only::SigningKey) => None,
            Some(Only::WrappingKey) | None => Some("wrapping_key"),
            Some(Only::DataKeys) => Some("data_keys"),
            Some(Only::LookUpKeys) => Some("look_up_keys"),
        };
        if matches!(self.only, None | Some(Only::Root)) && !self.after_leak {
            transport.call(asked("root")).await?;
            output
                .words("The root key is a new one; what opens the installation stays the same.")?;
        }
        if let Some(wanted) = wanted {
            transport.call(asked(wanted)).await?;
        }
        if self.after_leak {
            output.words(
                "The root key is another one, and recovery shares of before it began open it no more.",
            )?;
        }
        let told = wait_for(&mut transport, output).await?;
        show(&told, output)?;
        if self.after_leak { tell_rest(&mut transport, output).await } else { Ok(()) }
    }
}

/// What new keys alone do not mend.
async fn tell_rest(transport: &mut Transport, output: &Output) -> Result<(), Failure> {
    if output.is_json() {
        return Ok(());
    }
    let list = transport.call(Call::get("/v1/backups")).await?.json()?;
    let backups = list.get("backups").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let exposed: Vec<&Value> =
        backups.iter().filter(|it| it.get("exposed") == Some(&Value::Bool(true))).collect();
    output.line("Still to be done, and only people can:")?;
    output.line(
        "- new recovery shares, if there are none since: `strongroom recover shares`, with the server stopped",
    )?;
    output
        .line("- if what opens the installation leaked too: `strongroom recover seal --to ...`")?;
    output.line("- the key that signs the ledger: `strongroom rotate --only signing-key`")?;
    output.line("- find out whose data it was: `strongroom ledger scope`")?;
    match exposed.len() {
        0 => output.line("No backup from before is kept.")?,
        count => output.line(&format!(
            "- {count} backups from before are exposed: whoever has the older keys opens them. Make a new \
             one (`strongroom backup`), rehearse it (`strongroom restore --verify`), then remove these:"
        ))?,
    }
    for backup in exposed {
        let text = |name: &str| backup.get(name).and_then(Value::as_str).unwrap_or_default();
        output.line(&format!("    made {} in {}", text("made"), text("folder")))?;
    }
    Ok(())
}

fn asked(what: &str) -> Call {
    Call::post("/v1/rotations").json(&json!({ "what": what }))
}

/// Until the newest is done, or another pass would not help.
async fn wait_for(transport: &mut Transport, output: &Output) -> Result<Value, Failure> {
    let mut progress =
        if output.is_json() { Progress::Quiet } else { Progress::for_people("keys") };
    let mut whole = 0;
    loop {
        let told = transport.call(Call::get("/v1/rotations")).await?.json()?;
        let newest = told.pointer("/rotations/0").cloned().unwrap_or_default();
        let number = |name: &str| newest.get(name).and_then(Value::as_u64).unwrap_or(0);
        let is_running = newest.get("state").and_then(Value::as_str) == Some("running");
        if !is_running || number("passes") >= PASSES_MAX {
            progress.end();
            return Ok(told);
        }
        if whole == 0 {
            whole = number("rewrapped") + number("left");
            progress.begin(number("rewrapped"), whole);
        }
        progress.at(number("rewrapped"));
        tokio::time::sleep(ASK_AGAIN).await;
    }
}

fn show(told: &Value, output: &Output) -> Result<(), Failure> {
    if output.is_json() {
        return output.value(told);
    }
    let rotations = told.get("rotations").unwrap_or(&Value::Null);
    let columns = ["what", "version", "state", "rewrapped", "left", "passes", "begun", "ended"];
    output.list(rotations, &columns, "No wrapping, data or look-up keys were ever rotated.")?;
    if told.pointer("/signing_key/state").and_then(Value::as_str) == Some("handing_over") {
        let key = told.pointer("/signing_key/key").and_then(Value::as_str).unwrap_or_default();
        output.line(&format!(
            "The ledger is being handed over to another signing key, which the witness has not cosigned \
             yet. On its machine: strongroom witness trust --folder DIR '{key}'"
        ))?;
    }
    if told.pointer("/rotations/0/left").and_then(Value::as_u64).is_some_and(|left| left > 0) {
        output.line(
            "Some are left under the older keys, so these are not destroyed: of customers that do not open (see \
             `strongroom findings`), or of changes that were never done. It is tried again every day.",
        )?;
    }
    Ok(())
}

fn show_signing_key(told: &Value, output: &Output) -> Result<(), Failure> {
    let signing = told.get("signing_key").cloned().unwrap_or_default();
    if output.is_json() {
        return output.value(&signing);
    }
    let text = |name: &str| signing.get(name).and_then(Value::as_str).unwrap_or_default();
    let key = text("key");
    output.line(&format!("The ledger has a new signing key:\n\n  {key}\n"))?;
    if text("state") == "handing_over" {
        output.line(&format!(
            "Both keys sign until the witness has cosigned it. On the witness's machine, now:\n\n\
             \x20 strongroom witness trust --folder DIR '{key}'\n\n\
             Until then it cosigns nothing, and `strongroom findings` says so. `strongroom rotate --status` \
             says when the old key has ended."
        ))?;
    }
    output.line(
        "Print the key and keep it with the recovery shares, in place of the old one; give it to auditors by \
         another way than the log.",
    )
}

/// Each asking is an entry of the ledger.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// As many as the server makes in a row.
const PASSES_MAX: u64 = 3;

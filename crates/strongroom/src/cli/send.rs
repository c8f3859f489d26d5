//! `strongroom send`: fields of customers to a vendor, through an outlet of the policy; nobody here
//! sees them.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::cli::Common;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::transport::{Call, Transport, id, names};

/// Sends through the outlets of the policy, with an API key (`--key-file`)
#[derive(Subcommand)]
pub(super) enum Send {
    New(NewSend),
    /// Say how far a send is, whom it could not reach, and who may have it twice
    ///
    /// Each look is an entry of the ledger.
    ///
    /// Example: strongroom send show parcel-news snd_06gzz… --key-file shop.key
    Show {
        #[command(flatten)]
        what: What,
    },
    /// Stop a send; what has left has left
    ///
    /// Example: strongroom send stop parcel-news snd_06gzz… --key-file shop.key
    Stop {
        #[command(flatten)]
        what: What,
    },
}

/// Ask for a send; a server sends it, each customer once
///
/// The words stand in files and are the same for everybody: `{{name}}` stands for a field of the
/// outlet. An outlet to an https:// address needs none.
///
/// Example: strongroom send new parcel-news --customers ids.txt --subject "Your parcel" --text parcel.txt --key-file shop.key
#[derive(Args)]
pub(super) struct NewSend {
    /// The outlet, as the policy names it
    #[arg(value_parser = names)]
    outlet: String,
    /// A file with an id of a customer on each line
    #[arg(long, value_name = "FILE", required_unless_present = "segment")]
    customers: Option<PathBuf>,
    /// All customers with this relation, instead of a list
    #[arg(long, value_name = "RELATION", conflicts_with = "customers")]
    segment: Option<String>,
    /// The subject of a mail; may name fields like `{{name}}`, never holds a value
    #[arg(long, requires = "text")]
    subject: Option<String>,
    /// A file with the words of a mail
    #[arg(long, value_name = "FILE", requires = "subject")]
    text: Option<PathBuf>,
    /// A file with the same as HTML
    #[arg(long, value_name = "FILE", requires = "text")]
    html: Option<PathBuf>,
}

/// Which send.
#[derive(Args)]
pub(super) struct What {
    /// The outlet, as the policy names it
    #[arg(value_parser = names)]
    outlet: String,
    /// The send, as `send new` said
    #[arg(value_parser = id)]
    send: String,
}

impl Send {
    pub(super) async fn run(&self, common: &Common, output: &Output) -> Result<(), Failure> {
        match self {
            Self::New(new) => new.run(common, output).await,
            Self::Show { what } => {
                let mut transport = Transport::open(common).await?;
                let told = transport.call(Call::get(what.path())).await?.json()?;
                if output.is_json() {
                    return output.value(&told);
                }
                progress(&told, output)
            }
            Self::Stop { what } => {
                let call = Call::delete(what.path());
                let answer = Transport::open(common).await?.call(call).await?;
                output.done(answer.receipt(), "Stopped; nobody else is sent to.")
            }
        }
    }
}

impl What {
    fn path(&self) -> String {
        format!("/v1/outlets/{}/sends/{}", self.outlet, self.send)
    }
}

impl NewSend {
    async fn run(&self, common: &Common, output: &Output) -> Result<(), Failure> {
        let mut body = json!({});
        let mut put = |name: &str, value: Value| {
            body.as_object_mut().map(|members| members.insert(name.to_owned(), value))
        };
        match (&self.customers, &self.segment) {
            (Some(file), _) => put("customers", listed(&read(file, LIST_SIZE_BYTES_MAX)?)?),
            (None, Some(segment)) => put("segment", segment.as_str().into()),
            (None, None) => return Err(Failure::usage("name `--customers` or `--segment`")),
        };
        if let (Some(subject), Some(text)) = (&self.subject, &self.text) {
            let html = self.html.as_deref().map(|file| read(file, WORDS_SIZE_BYTES_MAX));
            put(
                "template",
                json!({ "subject": subject, "text": read(text, WORDS_SIZE_BYTES_MAX)?,
                    "html": html.transpose()? }),
            );
        }
        let call = Call::post(format!("/v1/outlets/{}/send", self.outlet)).json(&body);
        let asked = Transport::open(common).await?.call(call).await?.json()?;
        if output.is_json() {
            return output.value(&asked);
        }
        let send = asked.get("id").and_then(Value::as_str).unwrap_or_default();
        match asked.get("recipients").and_then(Value::as_u64) {
            Some(count) => output.line(&format!("Send {send}, to {count} customers."))?,
            None => output.line(&format!(
                "Send {send}; the customers of the segment are gathered while a server runs."
            ))?,
        }
        let unknown = asked.get("unknown").and_then(Value::as_u64).unwrap_or_default();
        if unknown > 0 {
            output.line(&format!("{unknown} ids name nobody who may be sent to."))?;
        }
        output.line(&format!("How far it is: strongroom send show {} {send}", self.outlet))
    }
}

/// How far it is, in words.
fn progress(told: &Value, output: &Output) -> Result<(), Failure> {
    let text = |name: &str| told.get(name).and_then(Value::as_str);
    let counts = told.get("counts").and_then(Value::as_object);
    let counts: Vec<String> = counts
        .into_iter()
        .flatten()
        .filter(|(_, count)| count.as_u64() != Some(0))
        .map(|(state, count)| format!("{count} {state}"))
        .collect();
    let counts = if counts.is_empty() { "nobody yet".to_owned() } else { counts.join(", ") };
    output.line(&format!("{}: {counts}.", text("state").unwrap_or_default()))?;
    if let Some(why) = text("why") {
        let next = text("next").map(|next| format!("; it goes on at {next}")).unwrap_or_default();
        output.line(&format!("Why: {why}{next}."))?;
    }
    let list = |name: &str| told.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let refused = list("refused");
    if !refused.is_empty() {
        output.line("\nRefused for good:")?;
        output.list(&refused.into(), &["customer", "code"], "")?;
    }
    let unknown = list("unknown");
    if !unknown.is_empty() {
        output.line("\nMay have it twice, because nobody knew whether it had arrived:")?;
        for customer in &unknown {
            output.line(customer.as_str().unwrap_or_default())?;
        }
    }
    Ok(())
}

/// The ids of a list. What is no id is named by its line, never repeated: people list names and
/// addresses by mistake.
fn listed(text: &str) -> Result<Value, Failure> {
    let lines = text.lines().map(str::trim).zip(1_usize..).filter(|(line, _)| !line.is_empty());
    let ids = lines.map(|(line, number)| {
        id(line).map_err(|_| {
            let sentence =
                format!("line {number} of the list is no id; a customer's looks like cus_06gzz…");
            Failure::new("bad_id", sentence)
        })
    });
    Ok(ids.collect::<Result<Vec<String>, Failure>>()?.into())
}

/// A file as text. One that is too large is refused: words cut short would go to everybody.
fn read(path: &Path, size_bytes_max: u64) -> Result<String, Failure> {
    let cannot = |problem: &str| {
        let sentence = format!("`{}` {problem}", path.display());
        Failure::new("input_output", sentence)
    };
    let unread = |cause: std::io::Error| cannot(&format!("cannot be read: {}", cause.kind()));
    let mut text = String::new();
    let file = File::open(path).map_err(unread)?;
    file.take(size_bytes_max.saturating_add(1)).read_to_string(&mut text).map_err(unread)?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > size_bytes_max {
        return Err(cannot(&format!("is larger than {} KiB", size_bytes_max / 1024)));
    }
    Ok(text)
}

/// 20,000 ids, each on a line.
const LIST_SIZE_BYTES_MAX: u64 = 1024 * 1024;

/// What a send takes, and some: the server says it exactly.
const WORDS_SIZE_BYTES_MAX: u64 = 512 * 1024;

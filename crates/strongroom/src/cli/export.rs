//! `strongroom export`: clear values leave, sealed for whoever is to read them.
//!
//! What must never happen here: clear text in a file, or on a terminal that nobody asked to show it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use age::stream::StreamWriter;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::cli::Common;
use crate::cli::failure::Failure;
use crate::cli::output::{Output, warn};
use crate::cli::transport::{Call, Transport, id, names};
use crate::vault::EXPORT_PIECE_MAX;

/// Take clear values of all customers out, with an API key whose role may export
///
/// The file is encrypted for the recipient (age, https://age-encryption.org) before it touches the
/// disk. Broken off, it is told after which customer to go on, into another file. `strongroom import`
/// reads NDJSON back, but for records: those are sent to the API.
///
/// Example: strongroom export --to customers.ndjson.age --recipient age1… --purpose leaving --key-file leaver.key
#[derive(Args)]
pub(super) struct Export {
    /// The file to write; it must not be there yet
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "clear_to_stdout",
        requires = "recipient"
    )]
    to: Option<PathBuf>,
    /// Who can read the file: a public key made by `age-keygen`
    #[arg(long, value_name = "AGE1…", value_parser = recipient, requires = "to")]
    recipient: Option<age::x25519::Recipient>,
    /// Write clear text to standard output, as into a program that takes it over at once
    #[arg(long, conflicts_with = "to")]
    clear_to_stdout: bool,
    /// What it is for, as the policy names it
    #[arg(long)]
    purpose: String,
    /// Fields, separated by commas; all that grants show in clear, if left out
    #[arg(long, value_parser = names)]
    fields: Option<String>,
    /// How customers are written
    #[arg(long, value_enum, default_value = "ndjson")]
    format: Format,
    /// Where the file goes, by its name among the places: who is in it stands there, and that it is
    /// to be gone in 30 days
    #[arg(long, value_name = "PLACE", default_value = "exports")]
    place: String,
    /// Go on after this customer
    #[arg(long, value_name = "ID", value_parser = id)]
    after: Option<String>,
}

/// How customers are written.
#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// A table for spreadsheets; cells that look like formulas begin with an apostrophe
    Csv,
    /// One JSON object a line; the import reads it back
    Ndjson,
}

impl Export {
    pub(super) async fn run(&self, common: &Common, output: &Output) -> Result<(), Failure> {
        let mut transport = Transport::open(common).await?;
        // The first piece before the file: a refusal leaves no empty file behind.
        let mut after = self.after.clone();
        let mut piece = self.piece(&mut transport, after.as_deref()).await?;
        let mut sink = Sink::open(self)?;
        let mut customers = 0;
        let stopped = loop {
            sink.write(piece.text)?;
            customers += piece.customers;
            let Some(next) = piece.next else { break None };
            if customers % TELL_EVERY == 0 {
                warn(&format!("{customers} customers."));
            }
            after = Some(next);
            match self.piece(&mut transport, after.as_deref()).await {
                Ok(more) => piece = more,
                Err(failure) => break Some(failure),
            }
        };
        // Also what was broken off is ended well: it can be read as far as it goes.
        sink.finish()?;
        if let Some(failure) = stopped {
            let after = after.unwrap_or_default();
            let more = format!(
                ". {customers} customers left and are in the file; go on with `--after {after}` into \
                 another file"
            );
            return Err(failure.and(&more));
        }
        if self.clear_to_stdout {
            warn(&format!("{customers} customers, clear."));
            return Ok(());
        }
        if output.is_json() {
            return output.value(&json!({ "customers": customers }));
        }
        output.line(&format!(
            "{customers} customers are in the file, readable with the recipient's key alone. It is \
             written down at the place `{0}`:\ndelete it when it is no longer needed, at the latest in \
             30 days, and say so with `strongroom places close {0}`.",
            self.place
        ))
    }

    async fn piece(
        &self,
        transport: &mut Transport,
        after: Option<&str>,
    ) -> Result<Piece, Failure> {
        let fields: Vec<&str> =
            self.fields.as_deref().map_or(Vec::new(), |it| it.split(',').collect());
        let format = match self.format {
            Format::Csv => "csv",
            Format::Ndjson => "ndjson",
        };
        let mut body = json!({ "format": format, "fields": fields, "limit": EXPORT_PIECE_MAX,
            "place": self.place });
        if let (Some(after), Some(body)) = (after, body.as_object_mut()) {
            body.insert("after".to_owned(), Value::from(after));
        }
        let call = Call::post("/v1/exports").purpose(&self.purpose).json(&body);
        let answer = transport.call(call).await?;
        let number = |name| answer.header(name).and_then(|text| text.parse().ok());
        let customers = number("strongroom-customers").unwrap_or(0);
        let next = answer.header("strongroom-next").map(str::to_owned);
        Ok(Piece { customers, next, text: answer.into_bytes() })
    }
}

struct Piece {
    customers: u64,
    next: Option<String>,
    text: axum::body::Bytes,
}

/// Where it goes.
enum Sink {
    Clear(io::Stdout),
    Sealed(StreamWriter<File>),
}

impl Sink {
    fn open(export: &Export) -> Result<Self, Failure> {
        let (Some(to), Some(recipient)) = (&export.to, &export.recipient) else {
            return Ok(Self::Clear(io::stdout()));
        };
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to);
        let file = file.map_err(|cause| {
            let sentence = format!("`{}` cannot be made: {}", to.display(), cause.kind());
            Failure::new("input_output", sentence)
        })?;
        let recipients = std::iter::once(recipient as &dyn age::Recipient);
        let encryptor = age::Encryptor::with_recipients(recipients).map_err(io::Error::other)?;
        Ok(Self::Sealed(encryptor.wrap_output(file)?))
    }

    fn write(&mut self, text: impl AsRef<[u8]>) -> Result<(), Failure> {
        match self {
            Self::Clear(out) => out.write_all(text.as_ref())?,
            Self::Sealed(out) => out.write_all(text.as_ref())?,
        }
        Ok(())
    }

    fn finish(self) -> Result<(), Failure> {
        match self {
            Self::Clear(mut out) => out.flush()?,
            Self::Sealed(out) => out.finish()?.sync_all()?,
        }
        Ok(())
    }
}

/// A public key of age. What is not one is not repeated: it may be the secret key.
fn recipient(text: &str) -> Result<age::x25519::Recipient, String> {
    text.parse().map_err(|_| "a recipient is a public key like age1…, from `age-keygen`".to_owned())
}

/// Often enough to see that it goes on.
const TELL_EVERY: u64 = 10_000;

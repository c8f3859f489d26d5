//! The command line.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::base64;
use crate::entry::{Entry, Subjects};
use crate::folder;
use crate::log::{Asked, Report, verify_log};
use crate::note::{Checkpoint, Key, NOTE_SIZE_BYTES_MAX};
use crate::proof::{PROOF_SIZE_BYTES_MAX, Proof, Proven, verify_proof};
use crate::time;
use crate::wrong::Wrong;

/// Runs the program; 0 only where everything was checked and holds, 1 where something is wrong, 2
/// where nothing was checked: the call was not understood, or what it names cannot be read.
pub fn run(arguments: Vec<OsString>, out: &mut dyn Write, err: &mut dyn Write) -> ExitCode {
    let told = match Call::parse(arguments) {
        Ok(Some(call)) => match call.answer() {
            Ok(text) => tell(out, &text, 0),
            Err(wrong) if wrong.is_unread() => tell(err, &unchecked(&wrong), 2),
            Err(wrong) => tell(err, &format!("NOT INTACT: {wrong}.\n"), 1),
        },
        Ok(None) => tell(out, &help(), 0),
        Err(wrong) => tell(err, &unchecked(&wrong), 2),
    };
    // An answer nobody could be told is no answer.
    told.unwrap_or(ExitCode::from(2))
}

fn unchecked(wrong: &Wrong) -> String {
    format!("NOTHING CHECKED: {wrong}. `strongroom-verify --help` shows what it takes.\n")
}

fn help() -> String {
    format!("strongroom-verify {}. {HELP}", env!("CARGO_PKG_VERSION"))
}

fn tell(to: &mut dyn Write, text: &str, code: u8) -> io::Result<ExitCode> {
    to.write_all(text.as_bytes())?;
    to.flush()?;
    Ok(ExitCode::from(code))
}

struct Call {
    is_proof: bool,
    path: PathBuf,
    key: Key,
    witnesses: Vec<Key>,
    since: Option<PathBuf>,
    older_keys: Vec<Key>,
    entry: Option<PathBuf>,
    is_listing: bool,
}

impl Call {
    /// `None` where help is asked for.
    fn parse(arguments: Vec<OsString>) -> Result<Option<Self>, Wrong> {
        let mut arguments = arguments.into_iter().peekable();
        let is_proof = arguments.next_if(|first| first == "proof").is_some();
        // Alone only: help in the midst of a call would end with 0 and have checked nothing.
        let asks_help = ["--help", "-h", "help", "--version", "-V"];
        if arguments.len() == 1
            && arguments.next_if(|first| asks_help.iter().any(|it| first == it)).is_some()
        {
            return Ok(None);
        }
        let (mut path, mut key, mut since, mut entry) = (None, None, None, None);
        let (mut witnesses, mut older_keys, mut is_listing) = (Vec::new(), Vec::new(), false);
        while let Some(argument) = arguments.next() {
            let name = argument.to_str().unwrap_or_default().to_owned();
            if !name.starts_with("--") {
                refuse_second(path.replace(PathBuf::from(argument)), "a file or folder")?;
                continue;
            }
            let has_use = match name.as_str() {
                "--since" | "--old-key" | "--list" => !is_proof,
                "--entry" => is_proof,
                other => ["--key", "--witness"].contains(&other),
            };
            if !has_use {
                return Err(Wrong::new(format!("`{}` is not known here", name.escape_debug())));
            }
            if name == "--list" {
                is_listing = true;
                continue;
            }
            let value = arguments.next();
            let value = value.ok_or(Wrong::new(format!("`{name}` needs something after it")))?;
            match name.as_str() {
                "--key" => refuse_second(key.replace(Key::log(&text_of(&value)?)?), "`--key`")?,
                "--witness" => witnesses.push(Key::witness(&text_of(&value)?)?),
                "--old-key" => older_keys.push(Key::log(&text_of(&value)?)?),
                "--since" => refuse_second(since.replace(PathBuf::from(value)), "`--since`")?,
                _ => refuse_second(entry.replace(PathBuf::from(value)), "`--entry`")?,
            }
        }
        let path = path.ok_or(Wrong::new("say what to check"))?;
        let key = key.ok_or(Wrong::new("`--key` is missing: the log's verifier key"))?;
        Ok(Some(Self { is_proof, path, key, witnesses, since, older_keys, entry, is_listing }))
    }

    fn answer(&self) -> Result<String, Wrong> {
        if self.is_proof {
            let proof = read(&self.path, PROOF_SIZE_BYTES_MAX)?;
            let entry = self.entry.as_ref();
            let entry = entry.map(|path| read(path, NOTE_SIZE_BYTES_MAX)).transpose()?;
            let proof = Proof::parse(&proof)?;
            let proven = verify_proof(&proof, &self.key, &self.witnesses, entry.as_deref())?;
            return Ok(in_words(&proven));
        }
        let since = self.since.as_ref();
        let since = since.map(|path| read(path, NOTE_SIZE_BYTES_MAX)).transpose()?;
        let asked = Asked {
            key: &self.key,
            witnesses: &self.witnesses,
            since: since.as_deref(),
            older_keys: &self.older_keys,
            wants_entries: self.is_listing,
        };
        let reports = verify_log(&self.path, &asked)?;
        let told: Vec<String> = reports.iter().map(describe).collect();
        let has_unknown = reports.iter().any(|report| report.unknown_lines > 0);
        let but = if has_unknown { ", but for what says NOT CHECKED" } else { "" };
        Ok(format!("{}\nINTACT: everything above was checked{but}.\n", told.join("\n")))
    }
}

/// A file that the caller named.
fn read(path: &Path, size_bytes_max: usize) -> Result<Vec<u8>, Wrong> {
    let name = path.to_string_lossy();
    let name = format!("`{}`", name.escape_debug());
    folder::read(path, size_bytes_max).map_err(|wrong| wrong.at(name).unread())
}

fn refuse_second<T>(before: Option<T>, what: &str) -> Result<(), Wrong> {
    match before {
        Some(_) => Err(Wrong::new(format!("{what} was given twice"))),
        None => Ok(()),
    }
}

fn text_of(value: &OsString) -> Result<String, Wrong> {
    // Whoever copies it takes the blanks around it along.
    let text = value.to_str().ok_or(Wrong::new("a key is text"))?;
    Ok(text.trim().to_owned())
}

fn describe(report: &Report) -> String {
    let mut lines = facts(&report.checkpoint);
    if let Some((first, last)) = report.times_ms {
        lines.push(("from", time::to_text(first)));
        lines.push(("to", time::to_text(last)));
    }
    for (name, seconds) in &report.cosigned {
        lines.push(("cosigned", format!("{name}, {}", moment(*seconds))));
    }
    for (place, key) in &report.rotated {
        lines.push(("another key", format!("in entry {place}, {}", key.escape_debug())));
    }
    for (size, key) in &report.handed {
        let what = format!("at {size} entries, as a witness cosigned, {}", key.escape_debug());
        lines.push(("another key", what));
    }
    if let Some(since) = &report.continues {
        lines.push(("continues", format!("the older checkpoint of {} entries", since.size)));
    }
    if let Some(before) = &report.before {
        let (origin, size) = (before.origin.escape_debug(), before.size);
        lines.push(("restored", format!("after {size} entries of {origin}, checked below")));
    }
    if report.unknown_lines > 0 {
        let what = format!("{} signatures of keys that were not given", report.unknown_lines);
        lines.push(("NOT CHECKED", what));
    }
    for ((kind, outcome), count) in &report.counts {
        let name = format!("{} {}", kind.as_str(), outcome.as_str());
        lines.push(("entries", format!("{name:<16} {count:>10}")));
    }
    let entries = (0_u64..).zip(&report.entries).map(|(place, entry)| line_of(place, entry));
    entries.fold(table(&lines), |text, line| text + &line)
}

/// An entry on a line of its own.
fn line_of(place: u64, entry: &Entry) -> String {
    let what = format!("{} {}", entry.kind.as_str(), entry.outcome.as_str());
    let (verb, actor) = (entry.verb.escape_debug(), entry.actor.escape_debug());
    let (time, about) = (time::to_text(entry.time_ms), about(entry.subjects));
    let ticket = match entry.ticket.as_str() {
        "" => String::new(),
        ticket => format!(", {}", ticket.escape_debug()),
    };
    format!("{place:<12} {time}  {what:<16} {verb} by {actor}, about {about}{ticket}\n")
}

fn about(subjects: Subjects) -> String {
    match subjects {
        Subjects::None => "nobody".to_owned(),
        Subjects::One(pseudonym) => {
            let digits: String = pseudonym.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("the customer under the pseudonym {digits}")
        }
        Subjects::Set(count) => format!("{count} customers"),
    }
}

fn in_words(proven: &Proven) -> String {
    let entry = &proven.entry;
    let mut lines = vec![("entry", proven.index.to_string())];
    lines.push(("time", time::to_text(entry.time_ms)));
    let act = format!("{} ({}, {})", entry.verb, entry.kind.as_str(), entry.outcome.as_str());
    lines.push(("act", act.escape_debug().to_string()));
    lines.push(("actor", entry.actor.escape_debug().to_string()));
    lines.push(("about", about(entry.subjects)));
    lines.extend(facts(&proven.checkpoint));
    for (name, seconds) in &proven.cosigned {
        lines.push(("cosigned", format!("{name}, {}", moment(*seconds))));
    }
    format!("{}\nPROVEN: the entry is in the log.\n", table(&lines))
}

fn facts(checkpoint: &Checkpoint) -> Vec<(&'static str, String)> {
    let origin = checkpoint.origin.escape_debug().to_string();
    let (size, root) = (checkpoint.size.to_string(), base64::encode(&checkpoint.root));
    vec![("log", origin), ("size", size), ("root", root)]
}

/// A witness may claim any time there is.
fn moment(seconds: u64) -> String {
    match i64::try_from(seconds).ok().and_then(|seconds| seconds.checked_mul(1_000)) {
        Some(ms) => time::to_text(ms),
        None => format!("{seconds} seconds after 1970"),
    }
}

fn table(lines: &[(&str, String)]) -> String {
    lines.iter().map(|(name, value)| format!("{name:<12} {value}\n")).collect()
}

const HELP: &str = "\
Checks an exported log, or one proof, without trusting whoever wrote it.

  strongroom-verify FOLDER --key VKEY [--since CHECKPOINT] [--old-key VKEY]... [--witness VKEY]...
                    [--list]
  strongroom-verify proof FILE --key VKEY [--entry FILE] [--witness VKEY]...

  --key VKEY          the log's verifier key, from somewhere else than the export
  --since CHECKPOINT  a file with an older checkpoint you kept: the log must continue it
  --old-key VKEY      a key the log had before, where the older checkpoint is signed with it
  --witness VKEY      a witness that must have cosigned; may be given more than once
  --list              every entry, on a line each
  --entry FILE        the entry, where the proof does not hold it

Ends with 0 only if everything was checked and holds; with 1 it says what is wrong first, with 2 why
nothing was checked.
";

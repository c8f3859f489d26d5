//! The question about a witness.

use std::io::BufRead;

use clap::Args;
use strongroom_tlog::WitnessKey;

use super::{Asking, Question};
use crate::cli::failure::Failure;
use crate::web::AskAddress;

/// The answers, where they are given as flags.
#[derive(Args, Default)]
pub(super) struct WitnessFlags {
    /// Where a witness on another machine answers, like https://witness.example, or `none`
    #[arg(long, value_name = "URL", value_parser = address)]
    witness: Option<String>,
    /// Its key, as `strongroom witness init` printed it
    #[arg(long, value_name = "KEY", value_parser = key, requires = "witness")]
    witness_key: Option<String>,
}

/// A witness to name in the configuration.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::cli::init) struct Chosen {
    pub(in crate::cli::init) url: String,
    pub(in crate::cli::init) key: String,
}

impl WitnessFlags {
    /// Without a question: none unless it is named.
    pub(super) fn answer(&self) -> Result<Option<Chosen>, Failure> {
        match (self.witness.as_deref(), &self.witness_key) {
            (None | Some(NONE), None) => Ok(None),
            (None | Some(NONE), Some(_)) => Err(half("--witness URL")),
            (Some(_), None) => Err(half("--witness-key KEY")),
            (Some(url), Some(key)) => Ok(Some(Chosen { url: url.to_owned(), key: key.clone() })),
        }
    }

    /// Asks for what is not given.
    pub(super) fn ask(
        &self,
        asking: &mut Asking<'_, impl BufRead>,
    ) -> Result<Option<Chosen>, Failure> {
        let url = match &self.witness {
            Some(url) => url.clone(),
            None => asking.ask(&WITNESS, NONE, address)?,
        };
        if url == NONE {
            return Ok(None);
        }
        let key = match &self.witness_key {
            Some(key) => key.clone(),
            None => asking.ask(&KEY, "", key)?,
        };
        Ok(Some(Chosen { url, key }))
    }
}

fn half(flag: &str) -> Failure {
    Failure::usage(format!("a witness has an address and a key: give `{flag}` too"))
}

fn address(text: &str) -> Result<String, String> {
    if text == NONE {
        return Ok(text.to_owned());
    }
    AskAddress::parse(text).map(|_| text.to_owned())
}

fn key(text: &str) -> Result<String, String> {
    let read = WitnessKey::parse(text);
    read.map(|_| text.to_owned()).map_err(|problem| {
        format!("{problem}; it is the line that `strongroom witness init` printed")
    })
}

const NONE: &str = "none";

const WITNESS: Question = Question {
    text: "6. At which address does a witness answer?",
    why: "Another machine that notices when older files are put back; `none` stays a finding.",
    choices: &[],
};
const KEY: Question = Question {
    text: "   What is its key?",
    why: "`strongroom witness init` printed it there.",
    choices: &[],
};

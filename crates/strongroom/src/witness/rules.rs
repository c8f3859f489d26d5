//! What an answer of a witness means. Pure: no network, no clock, no database.

use strongroom_tlog::{Checkpoint, Cosignature, WitnessKey, open_cosignature, parse_size_answer};

use crate::web::Told;

/// What was asked.
pub(super) struct Asked<'a> {
    /// The size that the witness was said to have cosigned last.
    pub(super) old: u64,
    /// The checkpoint that it is to cosign.
    pub(super) checkpoint: &'a Checkpoint,
}

/// What to do now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The question is answered.
    End(Verdict),
    /// Ask once more: this is the size it cosigned last.
    From(u64),
}

/// What a witness says of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is the one it knows, or continues it.
    Cosigned(Cosignature),
    /// It knows more entries than there are, so many.
    KnowsMore(u64),
    /// At this size it knows other entries.
    KnowsOther(u64),
    /// Nothing: it was not reached or does not cosign. In words, with the cure.
    Missed(String),
}

/// Reads an answer. Whatever is not understood is no cosignature and no contradiction.
pub(super) fn read(asked: &Asked<'_>, told: &Told, key: &WitnessKey) -> Step {
    let size = asked.checkpoint.size;
    match told.status {
        200 => match open_cosignature(asked.checkpoint, &told.text, key) {
            Ok(cosignature) => Step::End(Verdict::Cosigned(cosignature)),
            Err(_) => missed("it answers, but not with the key that `witness.key` names"),
        },
        409 => match parse_size_answer(&told.text).filter(|_| told.kind.starts_with(SIZE_KIND)) {
            Some(known) if known > size => Step::End(Verdict::KnowsMore(known)),
            // It cosigned this very size, and refuses it all the same: the roots differ.
            Some(known) if known == asked.old && known == size => {
                Step::End(Verdict::KnowsOther(known))
            }
            Some(known) if known != asked.old => Step::From(known),
            _ => missed("it answers with a size that makes no sense"),
        },
        // The size was right, or the answer had been 409; so the entries below it are others.
        422 => Step::End(Verdict::KnowsOther(asked.old)),
        404 => missed(UNKNOWN_LOG),
        403 => missed(OTHER_KEY),
        status => missed(&format!("it answers with status {status}")),
    }
}

fn missed(why: &str) -> Step {
    Step::End(Verdict::Missed(why.to_owned()))
}

/// What the type of a 409 begins with (tlog-witness, "add-checkpoint").
pub(super) const SIZE_KIND: &str = "text/x.tlog.size";

/// Why a witness does not cosign a log that is signed with a key it was not told of.
pub(super) const OTHER_KEY: &str = "it knows this log by another key";

/// Why a witness does not cosign a log it was not told of.
pub(super) const UNKNOWN_LOG: &str = "it was not told of this log";

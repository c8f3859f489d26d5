//! What a log asks of a witness and what the witness answers (<https://c2sp.org/tlog-witness>),
//! without the transport.
//!
//! `judge` is the whole decision. It is only as good as what it is told was cosigned last: that must
//! be read, and the new one made durable, in one step that no other request can come between.

use std::fmt;

use crate::checkpoint::parse_decimal;
use crate::tree::empty_root;
use crate::{
    Checkpoint, Hash, SIZE_MAX, TlogError, VerifierKey, open_checkpoint, verify_consistency,
};

/// The body of `POST add-checkpoint`. Parsing proves nothing: `judge` opens the checkpoint.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AddCheckpoint {
    /// The size that the log believes the witness cosigned last; 0 for none.
    pub old: u64,
    /// From that size to the checkpoint's (RFC 6962 section 2.1.2).
    pub proof: Vec<Hash>,
    /// The signed note, unopened.
    pub checkpoint: String,
}

/// What a witness cosigned last of a log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Witnessed {
    /// How many leaves.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
}

/// Why a witness does not cosign.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WitnessRefusal {
    /// 400: it does not have its form, or is said to grow from a larger size than its own.
    Malformed,
    /// 409: the witness cosigned this size last, or another root at it.
    OtherSize(u64),
    /// 403: it hands the log over to a key that the witness was not told of. Never decided here: what the
    /// further lines of a checkpoint mean, its readers know.
    OtherKey,
    /// 403: no trusted key of the log signed it.
    Unsigned,
    /// 404: no log of this origin is known.
    UnknownLog,
    /// 422: it does not continue what was cosigned last.
    Unproven,
}

impl WitnessRefusal {
    /// The status of its answer.
    pub fn status(self) -> u16 {
        match self {
            Self::Malformed => 400,
            Self::OtherSize(_) => 409,
            Self::OtherKey | Self::Unsigned => 403,
            Self::UnknownLog => 404,
            Self::Unproven => 422,
        }
    }
}

impl AddCheckpoint {
    /// Reads the body of a request.
    pub fn parse(body: &str) -> Result<Self, TlogError> {
        if body.len() > ADD_CHECKPOINT_SIZE_BYTES_MAX {
            return Err(TlogError::RequestMalformed("it is too long"));
        }
        let (head, checkpoint) =
            body.split_once("\n\n").ok_or(TlogError::RequestMalformed("no blank line"))?;
        let mut lines = head.split('\n');
        let old = lines
            .next()
            .and_then(|line| line.strip_prefix("old "))
            .and_then(parse_decimal)
            .filter(|size| *size <= SIZE_MAX)
            .ok_or(TlogError::RequestMalformed("no line with the old size"))?;
        let mut proof = Vec::new();
        for line in lines {
            if proof.len() == PROOF_LINES_MAX {
                return Err(TlogError::RequestMalformed("the proof is too long"));
            }
            proof.push(Hash::from_base64(line)?);
        }
        Ok(Self { old, proof, checkpoint: checkpoint.to_owned() })
    }

    /// The log that the checkpoint says it is of. Nobody has signed that yet: it is good for
    /// finding keys to verify with, by comparing it whole, and for nothing else.
    pub fn claimed_origin(&self) -> &str {
        self.checkpoint.split('\n').next().unwrap_or_default()
    }
}

impl fmt::Display for AddCheckpoint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "old {}", self.old)?;
        for hash in &self.proof {
            writeln!(out, "{}", hash.to_base64())?;
        }
        write!(out, "\n{}", self.checkpoint)
    }
}

/// Decides on a request: gives the checkpoint to cosign, or why not. `logs` are the keys of logs the
/// witness was told of; `last` is what it cosigned last of the log the request names.
///
/// Given the truth in `last`, no two roots of one size and no smaller size ever come out of it.
pub fn judge(
    request: &AddCheckpoint,
    logs: &[VerifierKey],
    last: Option<&Witnessed>,
) -> Result<Checkpoint, WitnessRefusal> {
    let checkpoint = open_by_any(request, logs)?;
    if request.old > checkpoint.size {
        return Err(WitnessRefusal::Malformed);
    }
    let none = Witnessed { size: 0, root: empty_root() };
    let last = last.unwrap_or(&none);
    if request.old != last.size {
        return Err(WitnessRefusal::OtherSize(last.size));
    }
    let (old, new) = (last.size, checkpoint.size);
    if old == new && last.root != checkpoint.root {
        return Err(WitnessRefusal::OtherSize(last.size));
    }
    verify_consistency(old, &last.root, new, &checkpoint.root, &request.proof)
        .map_err(|_| WitnessRefusal::Unproven)?;
    Ok(checkpoint)
}

/// A log may have several keys while one takes the place of another.
fn open_by_any(
    request: &AddCheckpoint,
    logs: &[VerifierKey],
) -> Result<Checkpoint, WitnessRefusal> {
    let mut refusal = WitnessRefusal::UnknownLog;
    for key in logs.iter().filter(|key| key.name() == request.claimed_origin()) {
        match open_checkpoint(&request.checkpoint, key) {
            Ok(checkpoint) => return Ok(checkpoint),
            Err(TlogError::SignatureWrong | TlogError::Unsigned) => {
                refusal = WitnessRefusal::Unsigned;
            }
            Err(_) => return Err(WitnessRefusal::Malformed),
        }
    }
    Err(refusal)
}

/// The body of a 409, of type `text/x.tlog.size`.
pub fn size_answer(size: u64) -> String {
    format!("{size}\n")
}

/// Reads it.
pub fn parse_size_answer(body: &str) -> Option<u64> {
    body.strip_suffix('\n').and_then(parse_decimal).filter(|size| *size <= SIZE_MAX)
}

/// Largest request read: 63 hashes, and a checkpoint with a dozen post-quantum signatures.
pub const ADD_CHECKPOINT_SIZE_BYTES_MAX: usize = 64 * 1024;

/// Most lines of a consistency proof (tlog-witness, "add-checkpoint").
pub const PROOF_LINES_MAX: usize = 63;

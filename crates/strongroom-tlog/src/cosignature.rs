//! Cosignatures (<https://c2sp.org/tlog-cosignature>): what a witness says of a checkpoint. Ed25519
//! only, which the specification calls `cosignature/v1`.
//!
//! A cosignature says: at this time, the largest consistent tree I ever saw of this log has this
//! root. Whoever makes one must know that; here it is only written down.

use std::fmt;

use strongroom_crypto::{SigningKey, VerifyingKey};

use crate::checkpoint::readable_body;
use crate::note::{
    key_id, parse_vkey, refuse_controls, refuse_key_name, signature_line, signature_lines,
    split_note, write_vkey,
};
use crate::{Checkpoint, NOTE_SIZE_BYTES_MAX, TlogError, VerifierKey, open_checkpoint};

/// The public key of a witness under its name: a vkey of signature type 0x04. Another type than
/// [`VerifierKey`], so that what a witness signed never passes for what a log signed.
#[derive(Clone, Debug, PartialEq)]
pub struct WitnessKey {
    // INVARIANT: a valid key name.
    name: String,
    key: VerifyingKey,
}

/// A cosignature that holds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cosignature {
    /// When the witness said it, in seconds since 1970; as far as its clock is right.
    pub time_s: u64,
    /// The signature line, with its newline, to be added to the checkpoint.
    pub line: String,
}

impl WitnessKey {
    /// Refuses a name that is empty or holds a space, a plus sign or a control character.
    pub fn new(name: &str, key: VerifyingKey) -> Result<Self, TlogError> {
        refuse_key_name(name)?;
        Ok(Self { name: name.to_owned(), key })
    }

    /// Reads a vkey. Refuses that of a log, and an id which the name and key do not give.
    pub fn parse(vkey: &str) -> Result<Self, TlogError> {
        let otherwise = "the key is not that of a witness (Ed25519, type 4)";
        let (name, key) = parse_vkey(vkey, ALGORITHM_COSIGNATURE, otherwise)?;
        Ok(Self { name, key })
    }

    /// The name that stands in signature lines.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// First four bytes of SHA-256(name, newline, 0x04, public key).
    pub fn id(&self) -> [u8; 4] {
        key_id(&self.name, ALGORITHM_COSIGNATURE, &self.key)
    }
}

impl fmt::Display for WitnessKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&write_vkey(&self.name, ALGORITHM_COSIGNATURE, &self.key))
    }
}

/// The line by which a witness of this name cosigns. Refuses a checkpoint that no log could have
/// signed, since the lines of its text become lines of what is signed here.
pub fn cosign(
    checkpoint: &Checkpoint,
    time_s: u64,
    name: &str,
    key: &SigningKey,
) -> Result<String, TlogError> {
    let body = readable_body(checkpoint)?;
    if time_s > TIME_MAX_S {
        return Err(TlogError::CheckpointMalformed("the time is beyond what can be written"));
    }
    let witness = WitnessKey::new(name, key.verifying_key())?;
    let mut signature = witness.id().to_vec();
    signature.extend_from_slice(&time_s.to_be_bytes());
    signature.extend_from_slice(&key.sign(message(&body, time_s).as_bytes()));
    Ok(signature_line(name, &signature))
}

/// The newest cosignature of `witness` among these signature lines. Lines of others are ignored,
/// but must be well formed; one line of `witness` that does not hold refuses all.
pub fn open_cosignature(
    checkpoint: &Checkpoint,
    lines: &str,
    witness: &WitnessKey,
) -> Result<Cosignature, TlogError> {
    if lines.len() > NOTE_SIZE_BYTES_MAX {
        return Err(TlogError::NoteMalformed("it is too long"));
    }
    refuse_controls(lines)?;
    newest(&checkpoint.body(), lines, witness)
}

/// The checkpoint in a note which `log` signed and `witness` cosigned, and the newest cosignature.
pub fn open_cosigned(
    note: &str,
    log: &VerifierKey,
    witness: &WitnessKey,
) -> Result<(Checkpoint, Cosignature), TlogError> {
    let checkpoint = open_checkpoint(note, log)?;
    let (text, lines) = split_note(note)?;
    let cosignature = newest(text, lines, witness)?;
    Ok((checkpoint, cosignature))
}

fn newest(text: &str, lines: &str, witness: &WitnessKey) -> Result<Cosignature, TlogError> {
    let mut newest: Option<Cosignature> = None;
    for line in signature_lines(lines)? {
        if line.name != witness.name || line.key_id != witness.id() {
            continue;
        }
        let (time, signature) =
            line.signature.split_first_chunk::<8>().ok_or(TlogError::SignatureWrong)?;
        let time_s = u64::from_be_bytes(*time);
        if time_s > TIME_MAX_S {
            return Err(TlogError::SignatureWrong);
        }
        let message = message(text, time_s);
        witness.key.verify(message.as_bytes(), signature).map_err(|_| TlogError::SignatureWrong)?;
        if newest.as_ref().is_none_or(|known| known.time_s < time_s) {
            let bytes = [&line.key_id[..], &line.signature].concat();
            newest = Some(Cosignature { time_s, line: signature_line(line.name, &bytes) });
        }
    }
    newest.ok_or(TlogError::Unsigned)
}

/// tlog-cosignature, "Ed25519 signed message". The first line keeps this key's signatures over
/// checkpoints apart from those over anything else.
fn message(text: &str, time_s: u64) -> String {
    format!("cosignature/v1\ntime {time_s}\n{text}")
}

/// Signature type of timestamped Ed25519 cosignatures (tlog-cosignature, "Format").
const ALGORITHM_COSIGNATURE: u8 = 0x04;

/// tlog-cosignature, "Format": at most 2^63 - 1.
const TIME_MAX_S: u64 = i64::MAX as u64;

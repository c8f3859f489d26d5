//! Checkpoints (<https://c2sp.org/tlog-checkpoint>): the size and root of a log, signed by it.

use strongroom_crypto::SigningKey;

use crate::note::sign_note_by;
use crate::{Hash, SIZE_MAX, TlogError, VerifierKey, open_note};

/// What a log signs. The fields are free, so a value is only known to be a checkpoint once
/// `sign_checkpoint` took it or `open_checkpoint` gave it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Checkpoint {
    /// Name of the log, and of the key that signs for it.
    pub origin: String,
    /// Number of leaves, at most `SIZE_MAX`.
    pub size: u64,
    /// Root of the first `size` leaves.
    pub root: Hash,
    /// Further lines without their newline, none of them empty. No monitor can check them, so
    /// the specification advises against any.
    pub extensions: Vec<String>,
}

impl Checkpoint {
    /// The note text: one line for each part, each with its newline. Does not check the fields.
    pub fn body(&self) -> String {
        let mut body = format!("{}\n{}\n{}\n", self.origin, self.size, self.root.to_base64());
        for extension in &self.extensions {
            body.push_str(extension);
            body.push('\n');
        }
        body
    }

    fn parse(body: &str) -> Result<Self, TlogError> {
        let lines = body
            .strip_suffix('\n')
            .ok_or(TlogError::CheckpointMalformed("the last line has no newline"))?;
        // Wider than the rule for notes: these lines are shown to people, and C1 controls move
        // the cursor of some terminals as ESC does.
        if lines.contains(|c: char| c.is_control() && c != '\n') {
            return Err(TlogError::CheckpointMalformed("it holds a control character"));
        }
        let mut lines = lines.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next())
        else {
            return Err(TlogError::CheckpointMalformed("fewer than three lines"));
        };
        let extensions: Vec<String> = lines.map(str::to_owned).collect();
        if origin.is_empty() || extensions.iter().any(String::is_empty) {
            return Err(TlogError::CheckpointMalformed("it holds an empty line"));
        }
        let size = parse_decimal(size)
            .filter(|size| *size <= SIZE_MAX)
            .ok_or(TlogError::CheckpointMalformed("the size is not a plain number"))?;
        let root = Hash::from_base64(root)
            .map_err(|_| TlogError::CheckpointMalformed("the root is not a hash"))?;
        Ok(Self { origin: origin.to_owned(), size, root, extensions })
    }
}

/// Signs under the origin as key name. Refuses a field that would not be read back as it is, such
/// as an origin or extension with a line break in it. Whether an earlier checkpoint contradicts
/// this one, only the caller can know.
pub fn sign_checkpoint(checkpoint: &Checkpoint, key: &SigningKey) -> Result<String, TlogError> {
    sign_checkpoint_by(checkpoint, &[key])
}

/// The same by several keys of the log, a line for each in their order: while one takes the place of
/// another, a verifier that knows either opens the checkpoint.
pub fn sign_checkpoint_by(
    checkpoint: &Checkpoint,
    keys: &[&SigningKey],
) -> Result<String, TlogError> {
    sign_note_by(&readable_body(checkpoint)?, &checkpoint.origin, keys)
}

/// The text of a checkpoint that reads back as it is. One comparison instead of a rule for each
/// field: nothing can be injected into a text that reads back as the value it was made from.
pub(crate) fn readable_body(checkpoint: &Checkpoint) -> Result<String, TlogError> {
    let body = checkpoint.body();
    if Checkpoint::parse(&body)? != *checkpoint {
        return Err(TlogError::CheckpointMalformed("a line break stands in a line"));
    }
    Ok(body)
}

/// The checkpoint in a note which `vkey` signed, for the log of that name. A key that also signs
/// other texts cannot be used to pass one of them off as this log's.
pub fn open_checkpoint(note: &str, vkey: &VerifierKey) -> Result<Checkpoint, TlogError> {
    let checkpoint = Checkpoint::parse(open_note(note, vkey)?)?;
    if checkpoint.origin != vkey.name() {
        return Err(TlogError::OriginWrong);
    }
    Ok(checkpoint)
}

/// A number with one spelling: ASCII digits, no sign, no leading zero.
pub(crate) fn parse_decimal(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

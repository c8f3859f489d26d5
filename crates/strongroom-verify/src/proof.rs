//! One entry, its proof and the checkpoint it leads to, in one text (tlog-proof).

use crate::base64;
use crate::entry::Entry;
use crate::note::{self, Checkpoint, Key, NOTE_SIZE_BYTES_MAX, Note};
use crate::tree::{self, Hash};
use crate::wrong::Wrong;

/// A proof taken apart; it says nothing before it is checked.
#[derive(Clone, Debug)]
pub struct Proof<'a> {
    entry: Option<Vec<u8>>,
    index: u64,
    path: Vec<Hash>,
    note: &'a [u8],
}

/// What a proof proves.
#[derive(Clone, Debug)]
pub struct Proven {
    /// The place of the entry.
    pub index: u64,
    /// What the entry says.
    pub entry: Entry,
    /// The log it is in.
    pub checkpoint: Checkpoint,
    /// When each witness cosigned, in seconds since 1970.
    pub cosigned: Vec<(String, u64)>,
}

impl<'a> Proof<'a> {
    /// Takes the text apart.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Wrong> {
        if bytes.len() > PROOF_SIZE_BYTES_MAX {
            return Err(Wrong::new("it is longer than any proof"));
        }
        let text = str::from_utf8(bytes).map_err(|_| Wrong::new("it is not text"))?;
        let (head, note) = text.split_once("\n\n").ok_or(Wrong::new("it has no blank line"))?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some("c2sp.org/tlog-proof@v1") {
            return Err(Wrong::new("it does not begin with c2sp.org/tlog-proof@v1"));
        }
        let extra = lines.next_if(|line| line.starts_with("extra "));
        let extra = extra.and_then(|line| line.strip_prefix("extra "));
        let entry = extra.map(|encoded| base64::decode(encoded).ok_or(()));
        let entry = entry.transpose().map_err(|()| Wrong::new("its extra data is not base64"))?;
        let index = lines.next().and_then(|line| line.strip_prefix("index "));
        let index = index.and_then(note::number);
        let index = index.ok_or(Wrong::new("it has no line with the index"))?;
        let path: Option<Vec<Hash>> = lines.take(PATH_LENGTH_MAX + 1).map(note::hash).collect();
        let path = path.ok_or(Wrong::new("a line of its path is no hash"))?;
        if path.len() > PATH_LENGTH_MAX {
            return Err(Wrong::new("its path is longer than any"));
        }
        Ok(Self { entry, index, path, note: note.as_bytes() })
    }
}

/// Checks a proof. The entry is the one given, or, where none is, the one in the proof's own `extra`
/// line; where both are there they must be the same.
pub fn verify_proof(
    proof: &Proof<'_>,
    key: &Key,
    witnesses: &[Key],
    entry: Option<&[u8]>,
) -> Result<Proven, Wrong> {
    let note = Note::parse(proof.note).map_err(|wrong| wrong.at("its checkpoint"))?;
    let checkpoint = note.checkpoint(key).map_err(|wrong| wrong.at("its checkpoint"))?;
    let mut cosigned = Vec::new();
    for witness in witnesses {
        let time = note.cosigned(witness).map_err(|wrong| wrong.at("its checkpoint"))?;
        cosigned.push((witness.name().to_owned(), time));
    }
    let bytes = match (entry, proof.entry.as_deref()) {
        (Some(given), Some(own)) if given != own => {
            return Err(Wrong::new("it is about another entry than the one given"));
        }
        (Some(bytes), _) | (None, Some(bytes)) => bytes,
        (None, None) => {
            return Err(Wrong::new("it does not hold the entry; give it with `--entry FILE`"));
        }
    };
    let Checkpoint { size, root, .. } = &checkpoint;
    let reached = tree::climb(proof.index, *size, tree::of_leaf(bytes), &proof.path);
    if reached.as_ref() != Some(root) {
        let what =
            format!("entry {} does not lead to the root that the checkpoint signs", proof.index);
        return Err(Wrong::new(what));
    }
    let entry = Entry::decode(bytes).map_err(|it| it.at(format!("entry {}", proof.index)))?;
    Ok(Proven { index: proof.index, entry, checkpoint, cosigned })
}

/// One hash a level, and sizes have 62 bits.
const PATH_LENGTH_MAX: usize = 62;

/// A note of full size, and as much again for path and entry.
pub(crate) const PROOF_SIZE_BYTES_MAX: usize = 2 * NOTE_SIZE_BYTES_MAX;

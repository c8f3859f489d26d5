//! Signed notes and verifier keys (<https://c2sp.org/signed-note>), Ed25519 only.
//!
//! The text of a note must not be looked at before a signature holds: `open_note` is the only way
//! to it.

use std::fmt;

use data_encoding::HEXLOWER;
use strongroom_crypto::{SigningKey, VerifyingKey, sha256};

use crate::{TlogError, base64};

/// A public key under the name it signs with ("vkey"). `Display` and `parse` use the form
/// `name+hexid+base64`, which Go's sumdb/note and the C2SP tools read.
#[derive(Clone, Debug, PartialEq)]
pub struct VerifierKey {
    // INVARIANT: a valid key name.
    name: String,
    key: VerifyingKey,
}

impl VerifierKey {
    /// Refuses a name that is empty or holds a space, a plus sign or a control character.
    pub fn new(name: &str, key: VerifyingKey) -> Result<Self, TlogError> {
        refuse_key_name(name)?;
        Ok(Self { name: name.to_owned(), key })
    }

    /// Reads a vkey. Refuses other algorithms than Ed25519, and an id which the name and key do
    /// not give: a wrong id means that the string was mistyped or put together from two.
    pub fn parse(vkey: &str) -> Result<Self, TlogError> {
        let (name, key) = parse_vkey(vkey, ALGORITHM_ED25519, "the key is not an Ed25519 key")?;
        Ok(Self { name, key })
    }

    /// The name that stands in signature lines; for a log, its origin.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// First four bytes of SHA-256(name, newline, 0x01, public key). Tells keys apart, proves
    /// nothing: anyone can make another key with the same id.
    pub fn id(&self) -> [u8; 4] {
        key_id(&self.name, ALGORITHM_ED25519, &self.key)
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&write_vkey(&self.name, ALGORITHM_ED25519, &self.key))
    }
}

/// The name and key of a vkey of one signature type; `otherwise` says that it is of another.
pub(crate) fn parse_vkey(
    vkey: &str,
    algorithm: u8,
    otherwise: &'static str,
) -> Result<(String, VerifyingKey), TlogError> {
    let parts = vkey.split_once('+').and_then(|(name, rest)| {
        let (id, key) = rest.split_once('+')?;
        Some((name, id, key))
    });
    let (name, id, key) = parts.ok_or(TlogError::KeyMalformed("not of the form name+id+key"))?;
    let bytes = base64::decode(key).ok_or(TlogError::KeyMalformed("the key is not base64"))?;
    let public = bytes
        .strip_prefix(&[algorithm])
        .and_then(|public| <[u8; 32]>::try_from(public).ok())
        .ok_or(TlogError::KeyMalformed(otherwise))?;
    refuse_key_name(name)?;
    let key = VerifyingKey::from_bytes(public);
    if HEXLOWER.encode(&key_id(name, algorithm, &key)) != id {
        return Err(TlogError::KeyMalformed("the id is not that of this name and key"));
    }
    Ok((name.to_owned(), key))
}

pub(crate) fn write_vkey(name: &str, algorithm: u8, key: &VerifyingKey) -> String {
    let mut bytes = vec![algorithm];
    bytes.extend_from_slice(key.as_bytes());
    let id = HEXLOWER.encode(&key_id(name, algorithm, key));
    format!("{name}+{id}+{}", base64::encode(&bytes))
}

/// signed-note, "Signatures": the same key under another name or type has another id.
pub(crate) fn key_id(name: &str, algorithm: u8, key: &VerifyingKey) -> [u8; 4] {
    let key: &[u8; 32] = key.as_bytes();
    let [a, b, c, d, ..] = sha256(&[name.as_bytes(), b"\n", &[algorithm], key]);
    [a, b, c, d]
}

/// Signs `text`, which must end in a newline, under `name`. The result is text, blank line and one
/// signature line; witnesses add their lines at the end.
pub fn sign_note(text: &str, name: &str, key: &SigningKey) -> Result<String, TlogError> {
    sign_note_by(text, name, &[key])
}

/// The same by several keys of one name, a line for each in their order: while one takes the place of
/// another, whoever knows either opens it.
pub(crate) fn sign_note_by(
    text: &str,
    name: &str,
    keys: &[&SigningKey],
) -> Result<String, TlogError> {
    if !text.ends_with('\n') {
        return Err(TlogError::NoteMalformed("the text does not end in a newline"));
    }
    refuse_controls(text)?;
    let mut note = format!("{text}\n");
    for key in keys {
        let verifier = VerifierKey::new(name, key.verifying_key())?;
        let mut signature = verifier.id().to_vec();
        signature.extend_from_slice(&key.sign(text.as_bytes()));
        note.push_str(&signature_line(name, &signature));
    }
    if note.len() > NOTE_SIZE_BYTES_MAX {
        return Err(TlogError::NoteMalformed("it is too long"));
    }
    Ok(note)
}

/// The text of a note which `key` signed, with its final newline. Lines of other keys are ignored,
/// but must be well formed; one line of `key` that does not hold refuses the whole note.
pub fn open_note<'note>(note: &'note str, key: &VerifierKey) -> Result<&'note str, TlogError> {
    let (text, lines) = split_note(note)?;
    let mut signed = false;
    for line in signature_lines(lines)? {
        if line.name != key.name || line.key_id != key.id() {
            continue;
        }
        key.key.verify(text.as_bytes(), &line.signature).map_err(|_| TlogError::SignatureWrong)?;
        signed = true;
    }
    if signed { Ok(text) } else { Err(TlogError::Unsigned) }
}

/// The text of a note with its final newline, and its signature lines with theirs. Says nothing
/// about who signed: what is given out of this must be verified first.
pub(crate) fn split_note(note: &str) -> Result<(&str, &str), TlogError> {
    if note.len() > NOTE_SIZE_BYTES_MAX {
        return Err(TlogError::NoteMalformed("it is too long"));
    }
    refuse_controls(note)?;
    // The last blank line divides, so a signature block inside the text is part of the text.
    let (body, signatures) =
        note.rsplit_once("\n\n").ok_or(TlogError::NoteMalformed("no blank line"))?;
    // The text keeps the newline that ends it and loses the blank line only.
    let (text, _) =
        note.split_at_checked(body.len() + 1).ok_or(TlogError::NoteMalformed("no blank line"))?;
    Ok((text, signatures))
}

/// Every line of a block of signatures, all of them well formed.
pub(crate) fn signature_lines(block: &str) -> Result<Vec<SignatureLine<'_>>, TlogError> {
    let lines = block
        .strip_suffix('\n')
        .ok_or(TlogError::NoteMalformed("no newline after the last signature"))?;
    let mut read = Vec::new();
    for (count, line) in lines.split('\n').enumerate() {
        if count == SIGNATURES_MAX {
            return Err(TlogError::NoteMalformed("too many signatures"));
        }
        read.push(SignatureLine::parse(line)?);
    }
    Ok(read)
}

/// One line with its newline; `signature` begins with the key's id.
pub(crate) fn signature_line(name: &str, signature: &[u8]) -> String {
    format!("{SIGNATURE_PREFIX}{name} {}\n", base64::encode(signature))
}

pub(crate) struct SignatureLine<'note> {
    pub(crate) name: &'note str,
    pub(crate) key_id: [u8; 4],
    pub(crate) signature: Vec<u8>,
}

impl<'note> SignatureLine<'note> {
    fn parse(line: &'note str) -> Result<Self, TlogError> {
        let malformed = TlogError::NoteMalformed("a line after the text is no signature");
        let parts = line.strip_prefix(SIGNATURE_PREFIX).and_then(|line| line.split_once(' '));
        let Some((name, encoded)) = parts else { return Err(malformed) };
        let Some(bytes) = base64::decode(encoded) else { return Err(malformed) };
        match bytes.split_first_chunk::<4>() {
            Some((key_id, signature)) if is_key_name(name) && !signature.is_empty() => {
                Ok(Self { name, key_id: *key_id, signature: signature.to_vec() })
            }
            _ => Err(malformed),
        }
    }
}

pub(crate) fn refuse_key_name(name: &str) -> Result<(), TlogError> {
    if is_key_name(name) {
        return Ok(());
    }
    Err(TlogError::KeyMalformed("a name is without spaces, `+` and controls"))
}

/// signed-note, "Format": not empty, no Unicode space, no plus sign. Controls are refused in the
/// whole note; here they are refused for names that never were in a note.
fn is_key_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c == '+' || c.is_control())
}

/// signed-note, "Format": no ASCII control below U+0020 but the newline. This covers CR and ESC.
pub(crate) fn refuse_controls(text: &str) -> Result<(), TlogError> {
    if text.bytes().any(|byte| byte < 0x20 && byte != b'\n') {
        return Err(TlogError::NoteMalformed("it holds a control character"));
    }
    Ok(())
}

/// Largest note signed or read: 1 MiB, a hundred post-quantum signatures of 5 kB and the text.
pub const NOTE_SIZE_BYTES_MAX: usize = 1 << 20;

/// Most signature lines read, as in Go's sumdb/note; the specification asks for at least 16.
pub const SIGNATURES_MAX: usize = 100;

/// Signature type of plain Ed25519 (signed-note, "Signature types").
const ALGORITHM_ED25519: u8 = 0x01;

/// Em dash and space.
const SIGNATURE_PREFIX: &str = "\u{2014} ";

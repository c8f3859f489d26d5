//! The signing key of a witness, in the text form that Go's sumdb/note and the C2SP tools use:
//! `PRIVATE+KEY+name+id+base64(type and seed)`.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use strongroom_crypto::{SecretKey, SigningKey};
use strongroom_tlog::WitnessKey;
use zeroize::Zeroizing;

use crate::error::Error;

/// Writes a key that must not exist yet, readable by its owner only.
pub(in crate::witness) fn create(path: &Path, name: &str, seed: &SecretKey) -> Result<(), Error> {
    let vkey = WitnessKey::new(name, SigningKey::from_seed(seed)?.verifying_key());
    let id = data_encoding::HEXLOWER.encode(&vkey.map_err(Error::internal)?.id());
    let bytes = Zeroizing::new([&[TYPE][..], seed.expose_bytes()].concat());
    let key = Zeroizing::new(data_encoding::BASE64.encode(&bytes));
    let text = Zeroizing::new(format!("{PREFIX}{name}+{id}+{}\n", key.as_str()));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|cause| unusable("cannot be made (a key is never replaced)", cause))?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(|cause| unusable("cannot be written", cause))
}

/// Reads it; refuses one that others can read.
pub(in crate::witness) fn read(path: &Path) -> Result<(SigningKey, WitnessKey), Error> {
    let mut file = File::open(path).map_err(|cause| {
        unusable("cannot be opened; `strongroom witness init` makes a new witness", cause)
    })?;
    let facts = file.metadata().map_err(|cause| unusable("cannot be looked at", cause))?;
    if facts.mode() & 0o077 != 0 {
        let detail = "`witness.key` can be read by others on this machine, who could cosign in its \
                      name: make a new witness in another folder";
        return Err(Error::unavailable("witness_key_open_to_others", detail));
    }
    if facts.len() > FILE_SIZE_BYTES_MAX {
        return Err(malformed());
    }
    let mut text = Zeroizing::new(String::new());
    file.read_to_string(&mut text).map_err(|cause| unusable("cannot be read", cause))?;
    parse(text.trim_end()).ok_or_else(malformed)
}

fn parse(text: &str) -> Option<(SigningKey, WitnessKey)> {
    let (name, rest) = text.strip_prefix(PREFIX)?.split_once('+')?;
    let (id, key) = rest.split_once('+')?;
    let bytes = Zeroizing::new(data_encoding::BASE64.decode(key.as_bytes()).ok()?);
    let seed: [u8; 32] = bytes.strip_prefix(&[TYPE])?.try_into().ok()?;
    let signing = SigningKey::from_seed(&SecretKey::from_bytes(seed)).ok()?;
    let vkey = WitnessKey::new(name, signing.verifying_key()).ok()?;
    (data_encoding::HEXLOWER.encode(&vkey.id()) == id).then_some((signing, vkey))
}

fn unusable(what: &str, cause: std::io::Error) -> Error {
    let detail = format!("the key of the witness {what}");
    Error::unavailable("witness_key_unusable", detail).caused_by(cause)
}

fn malformed() -> Error {
    let detail = "`witness.key` is not the key of a witness or is damaged; put back the original";
    Error::unavailable("witness_key_malformed", detail)
}

const PREFIX: &str = "PRIVATE+KEY+";

/// Ed25519 cosignatures (tlog-cosignature, "Format").
const TYPE: u8 = 0x04;

/// The file has one line.
const FILE_SIZE_BYTES_MAX: u64 = 1024;

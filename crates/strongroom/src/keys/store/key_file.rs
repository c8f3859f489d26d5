//! The key file: the simplest seal provider. Whoever has it and the data can read everything.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use strongroom_crypto::{Random, SecretKey};
use zeroize::Zeroizing;

use crate::error::Error;

/// A new key, and the text of a file that holds it.
pub(in crate::keys) fn generate(
    random: &dyn Random,
) -> Result<(SecretKey, Zeroizing<String>), Error> {
    let key = SecretKey::generate(random)?;
    let hex = Zeroizing::new(data_encoding::HEXLOWER.encode(key.expose_bytes()));
    let text = Zeroizing::new(format!("{FIRST_LINE}\n{}\n", hex.as_str()));
    Ok((key, text))
}

/// Makes a new key file, readable by its owner only. Refuses to replace one.
pub(in crate::keys) fn create(path: &Path, random: &dyn Random) -> Result<(), Error> {
    let (_, text) = generate(random)?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o400)
        .open(path)
        .map_err(|cause| unusable("cannot be made (a key file is never replaced)", cause))?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(|cause| unusable("cannot be written", cause))
}

/// Reads a key file; refuses one that others can read or that lies among the data it protects.
pub(in crate::keys) fn read(path: &Path, data_folder: &Path) -> Result<SecretKey, Error> {
    refuse_inside(path, data_folder)?;
    let mut file = File::open(path).map_err(|cause| unusable("cannot be opened", cause))?;
    let facts = file.metadata().map_err(|cause| unusable("cannot be looked at", cause))?;
    if facts.mode() & 0o077 != 0 {
        let detail = "the key file can be read by others on this machine; run `chmod 400` on it, \
                      and if others could log in, make new keys";
        return Err(Error::unavailable("key_file_open_to_others", detail));
    }
    if facts.len() > FILE_SIZE_BYTES_MAX {
        return Err(malformed());
    }
    let mut text = Zeroizing::new(String::new());
    file.read_to_string(&mut text).map_err(|cause| unusable("cannot be read", cause))?;
    parse(&text)
}

/// The key in the text of a key file.
pub(in crate::keys) fn parse(text: &str) -> Result<SecretKey, Error> {
    let hex = text
        .strip_prefix(FIRST_LINE)
        .and_then(|rest| rest.strip_prefix('\n'))
        .and_then(|rest| rest.strip_suffix('\n'))
        .ok_or_else(malformed)?;
    let bytes =
        Zeroizing::new(data_encoding::HEXLOWER.decode(hex.as_bytes()).map_err(|_| malformed())?);
    let bytes: [u8; 32] = bytes.as_slice().try_into().map_err(|_| malformed())?;
    Ok(SecretKey::from_bytes(bytes))
}

/// A copy of the data folder must not carry its own key.
fn refuse_inside(path: &Path, data_folder: &Path) -> Result<(), Error> {
    let path = path.canonicalize().map_err(|cause| unusable("is not there", cause))?;
    let folder = data_folder.canonicalize().map_err(Error::internal)?;
    if path.starts_with(folder) {
        let detail = "the key file lies inside the data folder, so every copy of the data would \
                      carry its key; move it elsewhere and name the new place in the configuration";
        return Err(Error::unavailable("key_file_among_data", detail));
    }
    Ok(())
}

fn unusable(what: &str, cause: std::io::Error) -> Error {
    let detail = format!("the key file {what}; without it nothing can be opened");
    Error::unavailable("key_file_unusable", detail).caused_by(cause)
}

fn malformed() -> Error {
    let detail = "the key file is not one of ours or is damaged; put back the original, a new one \
                  opens nothing";
    Error::unavailable("key_file_malformed", detail)
}

const FIRST_LINE: &str = "strongroom key file 1: keep it secret, keep a copy in a safe place";

/// The file has two short lines.
pub(in crate::keys) const FILE_SIZE_BYTES_MAX: u64 = 1024;

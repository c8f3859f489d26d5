//! Secrets that the configuration names by file, so that the configuration itself may be shown.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use zeroize::Zeroizing;

use crate::error::Error;

/// Reads the one line of a file that only its owner may read; `setting` is what names the file.
///
/// Fails with `bad_config`, naming file and cure.
pub fn read_secret(path: &Path, setting: &str) -> Result<Zeroizing<String>, Error> {
    let cannot = |problem: &str| {
        let detail = format!("`{setting}`: the file `{}` {problem}", path.display());
        Error::unprocessable("bad_config", detail)
    };
    let facts = std::fs::metadata(path).map_err(|_| cannot("cannot be read"))?;
    if facts.mode() & 0o077 != 0 {
        return Err(cannot("can be read by others; run `chmod 600` on it"));
    }
    if facts.len() > SECRET_SIZE_BYTES_MAX {
        return Err(cannot("is larger than 4 KiB; is it the right one?"));
    }
    let text = std::fs::read_to_string(path).map_err(|_| cannot("cannot be read"))?;
    let text = Zeroizing::new(text);
    let line = Zeroizing::new(text.trim().to_owned());
    if line.is_empty() { Err(cannot("is empty")) } else { Ok(line) }
}

/// Longer than any password or token, shorter than what somebody names by mistake.
const SECRET_SIZE_BYTES_MAX: u64 = 4 * 1024;

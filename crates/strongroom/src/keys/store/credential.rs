//! A credential of systemd: a key file that only this machine decrypts, and for a service only into its
//! own memory. The service manager hands it over in a folder; anybody else asks `systemd-creds`, which
//! asks for the rights to the machine's own key.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use strongroom_crypto::{Random, SecretKey};
use zeroize::Zeroizing;

use super::key_file;
use crate::error::Error;
use crate::keys::model::Credential;

/// Makes a new one. The key goes to `systemd-creds` through a pipe and never lies on a disk in the
/// clear. Refuses to replace one.
pub(in crate::keys) fn create(
    credential: &Credential,
    random: &dyn Random,
) -> Result<SecretKey, Error> {
    let path = &credential.encrypted;
    if path.exists() {
        let detail =
            "the credential is there already, and one is never replaced; name another file";
        return Err(Error::unavailable("credential_unusable", detail));
    }
    let (key, text) = key_file::generate(random)?;
    let mut creds = command(&["encrypt", NAME_OPTION, "-"], path)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(cannot_ask)?;
    let written = creds.stdin.take().map_or(Ok(()), |mut pipe| pipe.write_all(text.as_bytes()));
    let told = creds.wait_with_output().map_err(cannot_ask)?;
    if !told.status.success() || written.is_err() {
        return Err(refused("encrypt", &told.stderr));
    }
    File::open(path).and_then(|file| file.sync_all()).map_err(cannot_ask)?;
    Ok(key)
}

/// Reads what the service manager decrypted, or has `systemd-creds` decrypt it.
pub(in crate::keys) fn read(credential: &Credential) -> Result<SecretKey, Error> {
    if let Some(folder) = &credential.handed_over {
        let path = folder.join(NAME);
        if path.exists() {
            let mut text = Zeroizing::new(String::new());
            File::open(&path)
                .and_then(|file| file.take(key_file::FILE_SIZE_BYTES_MAX).read_to_string(&mut text))
                .map_err(cannot_ask)?;
            return key_file::parse(&text);
        }
    }
    let told = command(&["decrypt", NAME_OPTION], &credential.encrypted)
        .arg("-")
        .stdin(Stdio::null())
        .output()
        .map_err(cannot_ask)?;
    let text = Zeroizing::new(told.stdout);
    if !told.status.success() {
        return Err(refused("decrypt", &told.stderr));
    }
    let text = std::str::from_utf8(&text).map_err(|_| refused("decrypt", b"it is not text"))?;
    key_file::parse(text)
}

fn command(arguments: &[&str], path: &Path) -> Command {
    let mut command = Command::new("systemd-creds");
    command.args(arguments).arg(path);
    command
}

fn cannot_ask(cause: std::io::Error) -> Error {
    let detail = "the credential cannot be read: it is neither handed over by systemd \
                  (`LoadCredentialEncrypted=strongroom.key:…` in the unit) nor is there a \
                  `systemd-creds` to ask";
    Error::unavailable("credential_unusable", detail).caused_by(cause)
}

/// What `systemd-creds` says holds no key: it names files and rights.
fn refused(what: &str, said: &[u8]) -> Error {
    let said = String::from_utf8_lossy(said);
    let said: String = said.trim().chars().filter(|it| !it.is_control()).take(300).collect();
    let detail = format!("`systemd-creds {what}` refused: {said}");
    Error::unavailable("credential_unusable", detail)
}

/// What the unit calls it.
const NAME: &str = "strongroom.key";

const NAME_OPTION: &str = "--name=strongroom.key";

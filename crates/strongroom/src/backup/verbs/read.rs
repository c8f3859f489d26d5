//! Reading a backup: the manifest is believed first, then each part against it, and a part that is not
//! what the manifest says is refused by its name.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use strongroom_crypto::Sha256;

use crate::backup::model::{FORMAT, Kind, MANIFEST, Manifest, Part};
use crate::backup::rules::{self, FRAME_SIZE_BYTES_MAX, Frame};
use crate::db::{TableShape, Value};
use crate::error::Error;
use crate::keys::{self, BackupKey, Keyring, Places};

/// A backup whose manifest is ours and whose parts are the ones it names.
pub(in crate::backup) struct Opened {
    pub(in crate::backup) folder: PathBuf,
    pub(in crate::backup) manifest: Manifest,
    pub(in crate::backup) key: BackupKey,
}

/// The backup a path means: itself, or the newest of its kind in it.
pub(in crate::backup) fn pick(path: &Path, kind: Kind) -> Result<PathBuf, Error> {
    // A manifest or a part of it may be named as well as its folder.
    let path = if path.is_file() { path.parent().unwrap_or(path) } else { path };
    if path.join(MANIFEST).exists() {
        return Ok(path.to_owned());
    }
    let mut newest: Option<(i64, PathBuf)> = None;
    for found in fs::read_dir(path).map_err(|cause| unreadable(path, cause))?.flatten() {
        let is_kind =
            found.file_name().to_string_lossy().starts_with(&format!("{}-", kind.as_str()));
        if !is_kind {
            continue;
        }
        let Ok(unverified) = read_manifest(&found.path()) else { continue };
        let made = unverified.manifest.made_ms;
        if newest.as_ref().is_none_or(|(newest, _)| made > *newest) {
            newest = Some((made, found.path()));
        }
    }
    newest.map(|(_, path)| path).ok_or_else(|| {
        let detail = format!("there is no {} backup in `{}`", kind.as_str(), path.display());
        Error::unprocessable("no_backup", detail)
    })
}

/// Opens a backup with what unseals the installation: whatever opens it, or the keys of the one that runs.
pub(in crate::backup) fn open(
    folder: &Path,
    kind: Kind,
    unseal: impl FnOnce(&[u8; 16], &[u8]) -> Result<Vec<BackupKey>, Error>,
) -> Result<Opened, Error> {
    let unverified = read_manifest(folder)?;
    let claimed = &unverified.manifest;
    if claimed.format != FORMAT {
        let detail = format!(
            "`{}` has the form {} and this program knows {FORMAT}; use the program that made it, or a \
             newer one",
            folder.display(),
            claimed.format
        );
        return Err(Error::unprocessable("backup_format", detail));
    }
    if claimed.kind != kind {
        let detail = format!(
            "`{}` is a backup of {}, and one of {} is needed here",
            folder.display(),
            claimed.kind.as_str(),
            kind.as_str()
        );
        return Err(Error::unprocessable("backup_kind", detail));
    }
    let bad = || manifest_bad(folder);
    let installation = claimed.installation_id().ok_or_else(bad)?;
    let wrapped = unverified.wrapped_root().ok_or_else(bad)?;
    let keys = unseal(&installation, &wrapped)?;
    let (manifest, key) = unverified.verify(keys).ok_or_else(bad)?;
    check_parts(folder, &manifest)?;
    Ok(Opened { folder: folder.to_owned(), manifest, key })
}

/// The manifest of a folder, if it is one of ours; its parts are not looked at.
pub(in crate::backup) fn manifest_of(folder: &Path, keyring: &Keyring) -> Option<Manifest> {
    let unverified = read_manifest(folder).ok()?;
    let keys = keyring.backup_keys(&unverified.wrapped_root()?).ok()?;
    unverified.verify(keys).map(|(manifest, _)| manifest)
}

/// Unseals with what opens the installation, on a machine that has nothing else.
pub(in crate::backup) fn by_seal(
    places: &Places,
) -> impl Fn(&[u8; 16], &[u8]) -> Result<Vec<BackupKey>, Error> {
    move |installation, wrapped| keys::backup_keys(places, installation, wrapped)
}

/// Every row of the parts that hold `holds`, in the order it was written.
pub(in crate::backup) fn load(
    opened: &Opened,
    holds: &str,
    mut visit: impl FnMut(&TableShape, Vec<Value>) -> Result<(), Error>,
) -> Result<u64, Error> {
    let mut total = 0;
    for part in opened.manifest.parts.iter().filter(|part| part.holds == holds) {
        let rows = load_part(opened, part, &mut visit)?;
        if rows != part.rows {
            return Err(part_bad(&opened.folder, &part.name, "holds another number of rows"));
        }
        total += rows;
    }
    Ok(total)
}

/// The tables of a backup of this installation with the number of their rows: what left the machine.
pub fn contents(folder: &Path, keyring: &Keyring) -> Result<BTreeMap<String, u64>, Error> {
    let kind = read_manifest(folder)?.manifest.kind;
    let opened = open(folder, kind, |_, wrapped| keyring.backup_keys(wrapped))?;
    let mut rows = BTreeMap::new();
    for part in &opened.manifest.parts {
        load_part(&opened, part, &mut |table: &TableShape, _: Vec<Value>| {
            *rows.entry(table.name.clone()).or_default() += 1;
            Ok(())
        })?;
    }
    Ok(rows)
}

fn load_part(
    opened: &Opened,
    part: &Part,
    visit: &mut impl FnMut(&TableShape, Vec<Value>) -> Result<(), Error>,
) -> Result<u64, Error> {
    let damaged = || part_bad(&opened.folder, &part.name, "is damaged: it does not open");
    let path = opened.folder.join(&part.name);
    let file = File::open(&path).map_err(|cause| unreadable(&path, cause))?;
    let sealed = opened.key.open(BufReader::with_capacity(BUFFER_SIZE, file));
    let plain = BufReader::with_capacity(BUFFER_SIZE, sealed.map_err(|_| damaged())?);
    let manifest = &opened.manifest;
    let title = rules::title(manifest.kind.as_str(), &manifest.backup, &part.name);
    read_open_part(plain, title, visit).map_err(|flaw| match flaw {
        Flaw::Damaged => damaged(),
        Flaw::Foreign => part_bad(&opened.folder, &part.name, "belongs to another backup"),
        Flaw::Refused(error) => error,
    })
}

/// What is wrong with a part that lies open.
enum Flaw {
    Damaged,
    Foreign,
    Refused(Error),
}

/// Every row under the right title, and how many.
fn read_open_part(
    mut plain: impl Read,
    title: String,
    visit: &mut impl FnMut(&TableShape, Vec<Value>) -> Result<(), Error>,
) -> Result<u64, Flaw> {
    let mut frame = Vec::new();
    if next(&mut plain, &mut frame).map_err(|()| Flaw::Damaged)? != Some(Frame::Title(title)) {
        return Err(Flaw::Foreign);
    }
    let (mut table, mut rows) = (None, 0);
    while let Some(read) = next(&mut plain, &mut frame).map_err(|()| Flaw::Damaged)? {
        match (read, &table) {
            (Frame::Table(shape), _) => table = Some(shape),
            (Frame::Row(row), Some(shape)) if row.len() == shape.columns.len() => {
                rows += 1;
                visit(shape, row).map_err(Flaw::Refused)?;
            }
            _ => return Err(Flaw::Damaged),
        }
    }
    Ok(rows)
}

/// How many rows an open part holds, for the fuzzer.
#[cfg(any(test, feature = "fuzz"))]
pub(in crate::backup) fn rows_of(part: &[u8], title: &str) -> Option<u64> {
    read_open_part(part, title.to_owned(), &mut |_: &TableShape, _: Vec<Value>| Ok(())).ok()
}

/// The next frame; `None` at the end.
fn next(plain: &mut impl Read, frame: &mut Vec<u8>) -> Result<Option<Frame>, ()> {
    let mut length = [0; 4];
    let Some((first, rest)) = length.split_first_mut() else { return Err(()) };
    match plain.read(std::slice::from_mut(first)) {
        Ok(0) => return Ok(None),
        Ok(_) => plain.read_exact(rest).map_err(|_| ())?,
        Err(_) => return Err(()),
    }
    let length = u32::from_be_bytes(length) as usize;
    if length > FRAME_SIZE_BYTES_MAX {
        return Err(());
    }
    frame.clear();
    // Not a buffer of that size at once: a length that lies costs nothing.
    let read = plain.by_ref().take(length as u64).read_to_end(frame).map_err(|_| ())?;
    if read != length {
        return Err(());
    }
    Frame::decode(frame).map(Some).ok_or(())
}

fn read_manifest(folder: &Path) -> Result<crate::backup::model::Unverified, Error> {
    let path = folder.join(MANIFEST);
    let mut text = String::new();
    File::open(&path)
        .and_then(|file| file.take(MANIFEST_SIZE_BYTES_MAX).read_to_string(&mut text))
        .map_err(|cause| unreadable(&path, cause))?;
    Manifest::parse(&text).ok_or_else(|| manifest_bad(folder))
}

/// Every part is there, has its size and its digest, and nothing else lies beside them.
fn check_parts(folder: &Path, manifest: &Manifest) -> Result<(), Error> {
    let known: BTreeMap<&str, &Part> =
        manifest.parts.iter().map(|part| (part.name.as_str(), part)).collect();
    for found in fs::read_dir(folder).map_err(|cause| unreadable(folder, cause))?.flatten() {
        let name = found.file_name().to_string_lossy().into_owned();
        if name != MANIFEST && !known.contains_key(name.as_str()) {
            return Err(part_bad(folder, &name, "is no part of this backup; take it away"));
        }
    }
    for (name, part) in &known {
        let path = folder.join(name);
        let Ok(facts) = path.metadata() else {
            return Err(part_bad(folder, name, "is missing"));
        };
        let digest = digest(&path)?;
        if digest == part.sha256 && facts.len() == part.size_bytes {
            continue;
        }
        let other = manifest.parts.iter().find(|other| other.sha256 == digest);
        let why = match other {
            Some(other) => format!("was swapped: it is `{}`", other.name),
            None if facts.len() < part.size_bytes => "was truncated".to_owned(),
            None => "is damaged, or was put there from elsewhere".to_owned(),
        };
        return Err(part_bad(folder, name, &why));
    }
    Ok(())
}

fn digest(path: &Path) -> Result<String, Error> {
    let mut file = File::open(path).map_err(|cause| unreadable(path, cause))?;
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; BUFFER_SIZE]);
    loop {
        let read = file.read(&mut buffer).map_err(|cause| unreadable(path, cause))?;
        if read == 0 {
            return Ok(data_encoding::HEXLOWER.encode(&hash.finish()));
        }
        hash.update(buffer.get(..read).unwrap_or_default());
    }
}

fn manifest_bad(folder: &Path) -> Error {
    let detail = format!(
        "the manifest of `{}` was changed or belongs to another installation; nothing was restored. \
         Take another copy of this backup, or an older one",
        folder.display()
    );
    Error::unprocessable("backup_manifest", detail)
}

fn part_bad(folder: &Path, name: &str, why: &str) -> Error {
    let detail = format!(
        "the part `{name}` of `{}` {why}. Nothing was restored; take another copy of this backup, or \
         an older one",
        folder.display()
    );
    Error::unprocessable("backup_part", detail)
}

fn unreadable(path: &Path, cause: std::io::Error) -> Error {
    let detail = format!("`{}` cannot be read: {}", path.display(), cause.kind());
    Error::unprocessable("backup_unreadable", detail).caused_by(cause)
}

/// Thousands of parts.
const MANIFEST_SIZE_BYTES_MAX: u64 = 16 << 20;

const BUFFER_SIZE: usize = 256 * 1024;

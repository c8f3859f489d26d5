//! Copies on another machine: a command that the operator names takes them there, and takes them back.
//!
//! It is called as `put FOLDER/FILE`, with the file as its standard input, and as `remove FOLDER`. Both
//! may come again for what was done already.

use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::access::{self, Desk};
use crate::backup::model::{Kind, MANIFEST, Settings};
use crate::backup::rules;
use crate::backup::store::{self, BackupRow};
use crate::backup::verbs::make::{allowed, kind_of};
use crate::backup::verbs::read::manifest_of;
use crate::ctx::{Ctx, Entry};
use crate::error::Error;
use crate::findings::{self, FindingKind};

/// Hands the newest pair to the command, where one is configured and has not had it. The manifests go
/// last: what has none is no backup there either. The entry comes first. Gives whether it had work.
pub async fn copy_newest(desk: &Desk, ctx: &Ctx, settings: &Settings) -> Result<bool, Error> {
    if settings.command.is_empty() {
        return Ok(false);
    }
    let folder = settings.to.display().to_string();
    let newest = store::newest_in(&mut desk.data.snapshot().await?, &folder).await?;
    let Some(row) = newest.filter(|row| row.copied.is_none() && row.data_removed.is_none()) else {
        return Ok(false);
    };
    let files = files_of(desk, &row)?;
    let entry = Entry::new(ctx, kind_of(ctx), "backup.copy").counting(files.len() as u64);
    let begun = allowed(desk, ctx, entry)?.write(store::copy_begun(&row.id, ctx.now));
    access::commit(desk, begun).await?;
    for name in &files {
        let path = Path::new(&row.folder).join(name);
        let file = File::open(&path).map_err(|cause| {
            let detail = format!("`{}` cannot be read to be copied away", path.display());
            Error::unavailable("backup_not_copied", detail).caused_by(cause)
        })?;
        call(&settings.command, PUT, name, Stdio::from(file)).await?;
    }
    let entry = Entry::new(ctx, kind_of(ctx), "backup.copied").counting(files.len() as u64);
    let closed = [FindingKind::BackupNotCopied, FindingKind::BackupSameDisk].map(findings::close);
    let change = allowed(desk, ctx, entry)?.write(store::copied(&row.id, ctx.now));
    access::commit(desk, change.write_all(closed)).await?;
    Ok(true)
}

/// Takes the copy of one of a pair back.
pub(super) async fn remove_copy(
    settings: &Settings,
    row: &BackupRow,
    kind: Kind,
) -> Result<(), Error> {
    let name = rules::folder_name(kind.as_str(), row.made, &row.id);
    if settings.command.is_empty() {
        let detail = format!(
            "the copy of `{name}` cannot be removed, so an erasure has not reached it: the command that \
             took it away is not configured any more"
        );
        return Err(Error::unavailable("backup_not_removed", detail));
    }
    call(&settings.command, REMOVE, &name, Stdio::null()).await
}

/// The files of a pair, as `FOLDER/FILE`, both manifests last.
fn files_of(desk: &Desk, row: &BackupRow) -> Result<Vec<String>, Error> {
    let key = desk.keyring.backup_key()?;
    let (mut parts, mut manifests) = (Vec::new(), Vec::new());
    for kind in [Kind::Data, Kind::Keys] {
        let name = rules::folder_name(kind.as_str(), row.made, &row.id);
        let manifest = manifest_of(&Path::new(&row.folder).join(&name), &key).ok_or_else(|| {
            let detail = format!("the newest backup `{name}` is not in its folder any more");
            Error::unavailable("backup_not_copied", detail)
        })?;
        parts.extend(manifest.parts.iter().map(|part| format!("{name}/{}", part.name)));
        manifests.push(format!("{name}/{MANIFEST}"));
    }
    parts.extend(manifests);
    Ok(parts)
}

/// What it says of itself goes where our own log lines go.
async fn call(command: &[String], verb: &str, name: &str, input: Stdio) -> Result<(), Error> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(Error::internal("a command without a program"));
    };
    let mut child = Command::new(program);
    child.args(arguments).args([verb, name]).stdin(input).stdout(Stdio::null()).kill_on_drop(true);
    let failed = |why: &str| {
        let detail = format!("`{program} … {verb} {name}` {why}; run it by hand to see more");
        let code = if verb == PUT { "backup_not_copied" } else { "backup_not_removed" };
        Error::unavailable(code, detail)
    };
    match tokio::time::timeout(TIME_MAX, child.status()).await {
        Err(_) => Err(failed("took longer than half an hour and was ended")),
        Ok(Err(cause)) => {
            Err(failed(&format!("cannot be started ({})", cause.kind())).caused_by(cause))
        }
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(failed(&format!("failed ({status})"))),
    }
}

const PUT: &str = "put";
const REMOVE: &str = "remove";

/// A part has 64 MiB at most; whatever takes longer hangs.
const TIME_MAX: Duration = Duration::from_secs(30 * 60);

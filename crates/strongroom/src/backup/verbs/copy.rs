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
use crate::backup::verbs::make::{PLACE, allowed, kind_of};
use crate::backup::verbs::read::manifest_of;
use crate::ctx::{Ctx, Entry, Guard};
use crate::error::Error;
use crate::findings::{self, FindingKind};
use crate::places::{self, PlaceName};

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
    let entry =
        Entry::new(ctx, kind_of(ctx), "backup.copy").from_reserve().counting(files.len() as u64);
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
    let entry =
        Entry::new(ctx, kind_of(ctx), "backup.copied").from_reserve().counting(files.len() as u64);
    let closed = [FindingKind::BackupNotCopied, FindingKind::BackupSameDisk].map(findings::close);
    let change = allowed(desk, ctx, entry)?.write(store::copied(&row.id, ctx.now));
    access::commit(desk, change.write_all(closed)).await?;
    Ok(true)
}

/// Takes copies back that are past their time, by their age alone: what the folder on this machine holds
/// says nothing of them. The newest whole one stays. Only with a clock that can be trusted; the entry
/// comes first. Gives how many.
pub async fn remove_old_copies(desk: &Desk, ctx: &Ctx, settings: &Settings) -> Result<u64, Error> {
    let rows = store::list(&mut desk.data.snapshot().await?).await?;
    let newest = rows.iter().find(|row| row.copied.is_some()).map(|row| row.id.as_str());
    let days = [(Kind::Keys, settings.keep_keys_days), (Kind::Data, settings.keep_data_days)];
    let past = |row: &BackupRow, kind: Kind, days: u32| {
        let oldest = ctx.now.plus_days(-i64::from(days));
        row.has_copy(kind) && row.made < oldest && newest != Some(row.id.as_str())
    };
    let old: Vec<(&BackupRow, Kind)> = days
        .iter()
        .flat_map(|(kind, days)| rows.iter().map(move |row| (row, *kind, *days)))
        .filter(|(row, kind, days)| past(row, *kind, *days))
        .map(|(row, kind, _)| (row, kind))
        .collect();
    if old.is_empty() {
        return Ok(0);
    }
    if settings.command.is_empty() {
        let detail = format!(
            "{} backups lie on another machine past their time, and the command that took them there is \
             not configured any more: an erasure has not reached them. Configure it again until they are \
             taken back",
            old.len()
        );
        return Err(Error::unavailable("backup_not_removed", detail));
    }
    let entry =
        Entry::new(ctx, kind_of(ctx), "backup.remove").from_reserve().counting(old.len() as u64);
    access::commit(desk, allowed(desk, ctx, entry)?.guard(Guard::TrustedClock)).await?;
    for (row, kind) in &old {
        let name = rules::folder_name(kind.as_str(), row.made, &row.id);
        call(&settings.command, REMOVE, &name, Stdio::null()).await?;
        let mut writes = vec![store::copy_removed(&row.id, *kind, ctx.now)];
        // Without its data nothing of a pair holds anyone.
        if *kind == Kind::Data && row.data_removed.is_some() {
            let place = PlaceName::parse(PLACE)?;
            let ended = vec![row.id.clone()];
            writes.extend(places::gone(desk, ctx, &place, ended, "its copy was taken back").await?);
        }
        let entry = Entry::new(ctx, kind_of(ctx), "backup.removed").from_reserve().counting(1);
        access::commit(desk, allowed(desk, ctx, entry)?.write_all(writes)).await?;
    }
    Ok(old.len() as u64)
}

/// The files of a pair, as `FOLDER/FILE`, both manifests last.
fn files_of(desk: &Desk, row: &BackupRow) -> Result<Vec<String>, Error> {
    let (mut parts, mut manifests) = (Vec::new(), Vec::new());
    for kind in [Kind::Data, Kind::Keys] {
        let name = rules::folder_name(kind.as_str(), row.made, &row.id);
        let manifest =
            manifest_of(&Path::new(&row.folder).join(&name), &desk.keyring).ok_or_else(|| {
                let detail = format!("the newest backup `{name}` is not in its folder any more");
                Error::unavailable("backup_not_copied", detail)
            })?;
        parts.extend(manifest.parts.iter().map(|part| format!("{name}/{}", part.name)));
        manifests.push(format!("{name}/{MANIFEST}"));
    }
    parts.extend(manifests);
    Ok(parts)
}

/// What it says on standard error goes where our own log lines go.
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

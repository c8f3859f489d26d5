//! Old backups go: key backups soon, so that an erasure reaches every copy we manage; data backups when
//! they are too old to be of use.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::access::{self, Desk};
use crate::backup::model::{Kind, Settings};
use crate::backup::rules;
use crate::backup::store::{self, BackupRow};
use crate::backup::verbs::make::{PLACE, allowed, kind_of, sync_folder};
use crate::backup::verbs::read::manifest_of;
use crate::ctx::{Ctx, Entry, Guard, Time};
use crate::error::Error;
use crate::places::{self, PlaceName};

/// Removes what is past its time, wherever a backup was ever written to and can be reached. What is
/// there decides, not what the table says: after a restore the table is older. Only with a clock that
/// can be trusted; the entry comes first.
pub async fn remove_old(desk: &Desk, ctx: &Ctx, settings: &Settings) -> Result<u64, Error> {
    let rows = store::list(&mut desk.data.snapshot().await?).await?;
    let mut folders: BTreeSet<PathBuf> = rows.iter().map(|row| row.folder.clone().into()).collect();
    folders.insert(settings.to.clone());
    let mut old = Vec::new();
    for (kind, days) in
        [(Kind::Keys, settings.keep_keys_days), (Kind::Data, settings.keep_data_days)]
    {
        let mut there: Vec<(Time, PathBuf)> = Vec::new();
        for folder in &folders {
            let Ok(found) = fs::read_dir(folder) else { continue };
            let prefix = format!("{}-", kind.as_str());
            for found in found.flatten() {
                if found.file_name().to_string_lossy().starts_with(&prefix)
                    && let Some(manifest) = manifest_of(&found.path(), &desk.keyring)
                {
                    there.push((manifest.time(), found.path()));
                }
            }
        }
        there.sort_by(|left, right| right.cmp(left));
        let made: Vec<Time> = there.iter().map(|(made, _)| *made).collect();
        let past = rules::expired(&made, ctx.now, days);
        old.extend(past.into_iter().filter_map(|place| there.get(place).map(|it| it.1.clone())));
    }
    let count = old.len() as u64;
    if count > 0 {
        let entry = Entry::new(ctx, kind_of(ctx), "backup.remove").counting(count).from_reserve();
        access::commit(desk, allowed(desk, ctx, entry)?.guard(Guard::TrustedClock)).await?;
        old.iter().try_for_each(|folder| remove(folder))?;
    }
    mark(desk, ctx, &rows).await?;
    Ok(count)
}

fn remove(folder: &Path) -> Result<(), Error> {
    fs::remove_dir_all(folder).map_err(|cause| {
        let detail = format!(
            "the old backup `{}` cannot be removed, so an erasure has not reached it; check its rights",
            folder.display()
        );
        Error::unavailable("backup_not_removed", detail).caused_by(cause)
    })?;
    folder.parent().map_or(Ok(()), sync_folder)
}

/// Rows whose folder can be reached and does not have them any more. A folder that cannot be reached
/// keeps its rows: those copies are listed as what they are.
async fn mark(desk: &Desk, ctx: &Ctx, rows: &[BackupRow]) -> Result<(), Error> {
    let (mut writes, mut ended) = (Vec::new(), Vec::new());
    for row in rows {
        let folder = Path::new(&row.folder);
        if !folder.is_dir() {
            continue;
        }
        let is_gone = |kind: Kind| {
            !folder.join(rules::folder_name(kind.as_str(), row.made, &row.id)).exists()
        };
        if row.keys_removed.is_none() && is_gone(Kind::Keys) {
            writes.push(store::keys_removed(&row.id, ctx.now));
        }
        if row.data_removed.is_none() && is_gone(Kind::Data) {
            writes.push(store::data_removed(&row.id, ctx.now));
            if !row.has_copy(Kind::Data) {
                ended.push(row.id.clone());
            }
        }
    }
    if writes.is_empty() {
        return Ok(());
    }
    // Without its data nothing of a pair holds anyone; the keys alone open nothing.
    let place = PlaceName::parse(PLACE)?;
    writes.extend(places::gone(desk, ctx, &place, ended, "the data backup was removed").await?);
    let entry = Entry::new(ctx, kind_of(ctx), "backup.removed").counting(writes.len() as u64);
    let entry = entry.from_reserve();
    access::commit(desk, allowed(desk, ctx, entry)?.write_all(writes)).await.map(drop)
}

//! Making a pair of backups: the data first, then the keys, then the register as of a later moment.
//!
//! Everything is written into folders nobody takes for a backup, brought to the disk, then entered
//! into the ledger, and only then given its name: no copy exists that the ledger does not know.

use std::fs::{self, DirBuilder, File};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use strongroom_crypto::random_array;

use crate::access::{self, Desk, system_grant};
use crate::backup::model::{
    FORMAT, Kind, MANIFEST, MIRRORED_TABLES, Manifest, Part, REBUILT_TABLES, Told,
};
use crate::backup::rules;
use crate::backup::store::{self, BackupRow};
use crate::backup::verbs::parts::{Parts, cannot_write, new_file};
use crate::ctx::{Actor, Change, Ctx, Entry, EntryKind, FieldSet, Receipt};
use crate::db::{
    Connection, DATA, Durability, Statement, disk_reserve, list_tables, newest, read_rows,
};
use crate::error::Error;
use crate::findings::{self, Finding, FindingKind};
use crate::keys::{self, DEK_TABLE};
use crate::ledger::{self, LogFacts};
use crate::places::{self, NewHolding, PlaceKind, PlaceName, Whose};
use crate::policy::Right;

/// A pair of backups.
pub struct Made {
    /// Of the data.
    pub data: (PathBuf, Manifest),
    /// Of the keys.
    pub keys: (PathBuf, Manifest),
    /// Where it stands in the ledger.
    pub receipt: Receipt,
}

/// Writes a pair of backups into a folder. Given up, it leaves nothing that is taken for one.
pub async fn make(desk: &Desk, ctx: &Ctx, folder: &Path, told: Told) -> Result<Made, Error> {
    // Decided before anything is written; decided again where it counts.
    let entry = Entry::new(ctx, kind_of(ctx), "backup.make").from_reserve();
    allowed(desk, ctx, entry.clone())?;
    let id = data_encoding::HEXLOWER.encode(&random_array::<16>(ctx.rng.as_ref())?);
    let place = Place::prepare(desk, folder, &id)?;
    if desk.committer.stall().is_low() && place.is_on_the_disk_of(&desk.folder) {
        return Err(disk_reserve());
    }
    let stop = StopOnDrop(Arc::new(AtomicBool::new(false)));
    let still = desk.keyring.hold_wrapping().await;
    let (data, told) = copy_data(desk, ctx, &place, (&id, Arc::clone(&stop.0)), told).await?;
    let keys = copy_keys(desk, ctx, &place, (&id, Arc::clone(&stop.0)), told).await?;
    drop(still);
    place.settle()?;
    let row = BackupRow {
        id: id.clone(),
        made: ctx.now,
        folder: folder.display().to_string(),
        entries: data.entries,
        data_rows: data.rows(),
        data_size_bytes: data.size_bytes(),
        keys_rows: keys.rows(),
        keys_size_bytes: keys.size_bytes(),
        copy_begun: None,
        copied: None,
        data_copy_removed: None,
        keys_copy_removed: None,
        data_removed: None,
        keys_removed: None,
    };
    let change = allowed(desk, ctx, entry.counting(data.rows() + keys.rows()))?;
    let closed = [FindingKind::BackupFailed, FindingKind::BackupLate].map(findings::close);
    let change = change.write(store::insert(&row)).write_all(closed);
    let change = change.write(place.on_a_disk_of_its_own(desk, ctx).await?);
    let change = change.write_all(holding(desk, ctx, &id, data.entries)?);
    let receipt = access::commit(desk, change).await?;
    let named = |kind: Kind| folder.join(rules::folder_name(kind.as_str(), ctx.now, &id));
    let (data_folder, keys_folder) = (named(Kind::Data), named(Kind::Keys));
    place.name(&data_folder, &keys_folder)?;
    Ok(Made { data: (data_folder, data), keys: (keys_folder, keys), receipt })
}

/// Everyone as of the data's snapshot is in the pair, with every field.
fn holding(desk: &Desk, ctx: &Ctx, id: &str, entries: u64) -> Result<Vec<Statement>, Error> {
    let new = NewHolding {
        place: &PlaceName::parse(PLACE)?,
        kind: PlaceKind::Folder,
        whose: Whose::EveryoneAsOf(entries.saturating_sub(1)),
        fields: FieldSet::of(0..=u8::MAX),
        due: None,
        act: "backup.make",
        origin: id,
    };
    places::hold(desk, ctx, &new)
}

/// The act of the operator, or of the hourly job.
pub(in crate::backup) fn allowed(desk: &Desk, ctx: &Ctx, entry: Entry) -> Result<Change, Error> {
    match ctx.actor {
        Actor::System { .. } => Ok(system_grant(ctx, Vec::new())?.change(entry)),
        _ => Ok(access::permit(desk, ctx, Right::Keys)?.change(entry)),
    }
}

pub(in crate::backup) fn kind_of(ctx: &Ctx) -> EntryKind {
    match ctx.actor {
        Actor::System { .. } => EntryKind::System,
        _ => EntryKind::Admin,
    }
}

/// All rows of strongroom.db in one snapshot, and earlier incarnations of the log.
async fn copy_data(
    desk: &Desk,
    ctx: &Ctx,
    place: &Place,
    (id, stop): (&str, Arc<AtomicBool>),
    told: Told,
) -> Result<(Manifest, Told), Error> {
    let key = desk.keyring.backup_key()?;
    let mut parts = Parts::new(&place.data, (Kind::Data, id), key, (stop, told));
    let keyring = Arc::clone(&desk.keyring);
    let archives = Arc::clone(&desk.archives);
    let (facts, sealed, parts) = desk
        .data
        .scan(move |db| {
            let facts = ledger::facts(db, &keyring)?.ok_or_else(nothing_yet)?;
            let mut sealed = 0;
            for table in list_tables(db)? {
                if REBUILT_TABLES.contains(&table.name.as_str()) {
                    continue;
                }
                let rows = count(db, &table, &mut parts)?;
                sealed += if table.name == SEALED_TABLE { rows } else { 0 };
            }
            for archive in archives.iter() {
                let holds = format!("ledger-{}", archive.number);
                let mut old = archive.data.place().open(Durability::ReadOnly)?;
                for table in list_tables(&mut old)? {
                    read_rows(&mut old, &table, |row| parts.row(&holds, &table, row))?;
                }
            }
            Ok((facts, sealed, parts))
        })
        .await?;
    let (parts, told) = parts.finish()?;
    let about = About { kind: Kind::Data, id, facts: &facts, data_keys: sealed };
    let manifest = manifest(desk, ctx, about, parts)?;
    write_manifest(desk, &place.data, &manifest)?;
    Ok((manifest, told))
}

fn count(
    db: &mut Connection,
    table: &crate::db::TableShape,
    parts: &mut Parts,
) -> Result<u64, Error> {
    let mut rows = 0;
    read_rows(db, table, |row| {
        rows += 1;
        parts.row("data", table, row)
    })?;
    Ok(rows)
}

/// The wrapped keys, then, as of a moment after all of them, what ends rights and customers.
async fn copy_keys(
    desk: &Desk,
    ctx: &Ctx,
    place: &Place,
    (id, stop): (&str, Arc<AtomicBool>),
    told: Told,
) -> Result<Manifest, Error> {
    let key = desk.keyring.backup_key()?;
    let mut parts = Parts::new(&place.keys, (Kind::Keys, id), key, (stop, told));
    let keyring = Arc::clone(&desk.keyring);
    let copied = tokio::task::spawn_blocking(move || {
        let mut generations = std::collections::BTreeMap::<u32, u64>::new();
        keyring.copy(|table, row| {
            if table.name == DEK_TABLE
                && let Some(crate::db::Value::Integer(version)) = row.get(1)
            {
                *generations.entry(u32::try_from(*version).unwrap_or(0)).or_default() += 1;
            }
            parts.row("keys", table, row)
        })?;
        Ok::<_, Error>((generations, parts))
    });
    let (generations, mut parts) = copied.await.map_err(Error::internal)??;
    let keyring = Arc::clone(&desk.keyring);
    let (facts, parts) = desk
        .data
        .scan(move |db| {
            let facts = ledger::facts(db, &keyring)?.ok_or_else(nothing_yet)?;
            for table in list_tables(db)? {
                if MIRRORED_TABLES.contains(&table.name.as_str()) {
                    read_rows(db, &table, |row| parts.row("mirror", &table, row))?;
                }
            }
            Ok((facts, parts))
        })
        .await?;
    let (parts, _) = parts.finish()?;
    let deks = generations.values().sum();
    let about = About { kind: Kind::Keys, id, facts: &facts, data_keys: deks };
    let manifest = Manifest { generations, ..manifest(desk, ctx, about, parts)? };
    write_manifest(desk, &place.keys, &manifest)?;
    Ok(manifest)
}

struct About<'a> {
    kind: Kind,
    id: &'a str,
    facts: &'a LogFacts,
    data_keys: u64,
}

fn manifest(desk: &Desk, ctx: &Ctx, about: About<'_>, parts: Vec<Part>) -> Result<Manifest, Error> {
    Ok(Manifest {
        format: FORMAT,
        kind: about.kind,
        backup: about.id.to_owned(),
        installation: data_encoding::HEXLOWER.encode(&desk.keyring.installation()),
        made: ctx.now.to_rfc3339(),
        made_ms: ctx.now.as_ms(),
        schema: newest(DATA),
        keys_schema: keys::newest_schema(),
        entries: about.facts.size,
        checkpoint: about.facts.checkpoint.as_ref().to_owned(),
        wrapped_root: data_encoding::BASE64.encode(&desk.keyring.wrapped_root()?),
        data_keys: about.data_keys,
        generations: std::collections::BTreeMap::new(),
        parts,
    })
}

fn write_manifest(desk: &Desk, folder: &Path, manifest: &Manifest) -> Result<(), Error> {
    let text = manifest.to_text(&desk.keyring.backup_key()?)?;
    let mut file = new_file(&folder.join(MANIFEST))?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(cannot_write)
}

/// Two folders that are no backups yet. Dropped, they go, unless they have been named.
struct Place {
    folder: PathBuf,
    data: PathBuf,
    keys: PathBuf,
}

impl Place {
    fn prepare(desk: &Desk, folder: &Path, id: &str) -> Result<Self, Error> {
        private_folder(folder)?;
        refuse_among_data(desk, folder)?;
        let installation = data_encoding::HEXLOWER.encode(&desk.keyring.installation());
        let own = format!("{PARTIAL}{installation}-");
        // Nobody else writes for this installation: what lies there was given up.
        for found in fs::read_dir(folder).map_err(cannot_write)?.flatten() {
            if found.file_name().to_string_lossy().starts_with(&own) {
                let _ = fs::remove_dir_all(found.path());
            }
        }
        let partial = |kind: Kind| folder.join(format!("{own}{id}-{}", kind.as_str()));
        let place = Self {
            folder: folder.to_owned(),
            data: partial(Kind::Data),
            keys: partial(Kind::Keys),
        };
        private_folder(&place.data)?;
        private_folder(&place.keys)?;
        Ok(place)
    }

    /// A finding while all backups lie on the disk of the data, and its end.
    async fn on_a_disk_of_its_own(&self, desk: &Desk, ctx: &Ctx) -> Result<Statement, Error> {
        let kind = FindingKind::BackupSameDisk;
        let before = store::newest(&mut desk.data.snapshot().await?).await?;
        let is_copied = before.is_some_and(|row| row.copied.is_some());
        if is_copied || !self.is_on_the_disk_of(&desk.folder) {
            return Ok(findings::close(kind));
        }
        let finding = Finding { kind, detail: SAME_DISK.to_owned(), customer: None };
        Ok(findings::raise_within(&finding, ctx.now))
    }

    fn is_on_the_disk_of(&self, data: &Path) -> bool {
        let disk = |path: &Path| path.metadata().map(|facts| facts.dev()).ok();
        disk(&self.folder) == disk(data)
    }

    /// Both folders are on the disk with all their files.
    fn settle(&self) -> Result<(), Error> {
        [&self.data, &self.keys, &self.folder].into_iter().try_for_each(|it| sync_folder(it))
    }

    fn name(&self, data: &Path, keys: &Path) -> Result<(), Error> {
        fs::rename(&self.data, data).map_err(cannot_write)?;
        fs::rename(&self.keys, keys).map_err(cannot_write)?;
        sync_folder(&self.folder)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // After they were named there is nothing under these names; a rest is removed by the next one.
        let _ = fs::remove_dir_all(&self.data);
        let _ = fs::remove_dir_all(&self.keys);
    }
}

/// Whoever waits for a backup and goes away ends it: the thread that copies looks at this.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn private_folder(folder: &Path) -> Result<(), Error> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(cannot_write)
}

pub(in crate::backup) fn sync_folder(folder: &Path) -> Result<(), Error> {
    File::open(folder).and_then(|it| it.sync_all()).map_err(cannot_write)
}

/// A backup among the data goes with the data.
fn refuse_among_data(desk: &Desk, folder: &Path) -> Result<(), Error> {
    let data = desk.folder.canonicalize().ok();
    let folder = folder.canonicalize().map_err(cannot_write)?;
    if data.is_some_and(|data| folder.starts_with(data)) {
        let detail = "the folder for backups lies inside the data folder and would be lost with it; \
                      name another one, best on another disk";
        return Err(Error::unprocessable("backup_among_data", detail));
    }
    Ok(())
}

fn nothing_yet() -> Error {
    Error::unavailable("nothing_yet", "the ledger is empty: there is nothing to back up yet")
}

const SAME_DISK: &str = "the backups lie on the disk of the data: when it breaks or is stolen both are gone. Name a folder \
     on another disk under `[backup]` in the configuration, or there a `command` that copies them to another \
     machine";

/// The place that all backups are at, wherever their folders are.
pub(in crate::backup) const PLACE: &str = "backups";

const SEALED_TABLE: &str = "sealed_record";

const PARTIAL: &str = ".partial-";

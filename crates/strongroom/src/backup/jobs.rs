//! Periodic work: a pair when it is due, old ones removed, a rehearsed restore once a day.

use std::sync::Arc;

use crate::access::{self, Desk, raise_finding};
use crate::backup::model::{Kind, Manifest, Settings};
use crate::backup::rules;
use crate::backup::store::{self, CheckRow};
use crate::backup::verbs::{
    Stage, copy_newest, load, make, open, pick, remove_old, remove_old_copies, standing,
};
use crate::ctx::{Ctx, Entry, EntryKind, SystemGrant, Time};
use crate::db::{DATA, Durability, Place, migrate};
use crate::error::Error;
use crate::findings::{self, Finding, FindingKind};
use crate::id::Request;
use crate::keys::{DEK_TABLE, Keyring};
use crate::vault::{self, Rebuild, Rebuilt, Replay};

/// When something was last tried: what fails is tried again in minutes, not at once.
#[derive(Debug, Default)]
pub struct Attempts {
    made: Option<Time>,
    removed: Option<Time>,
    rehearsed: Option<Time>,
}

/// Does what is due. A failure is a finding, and stops nothing else.
pub async fn run_due(
    desk: &Desk,
    settings: &Settings,
    attempts: &mut Attempts,
) -> Result<(), Error> {
    let now = desk.now();
    let every_ms = i64::from(settings.every_minutes) * 60_000;
    let standing_now = standing(desk).await?;
    let newest = standing_now.newest.as_ref().map(|row| row.made);
    if rules::is_due(newest, now, every_ms) && rules::is_due(attempts.made, now, RETRY_MS) {
        attempts.made = Some(now);
        let ctx = system(desk, "backup.make")?;
        let made = make(desk, &ctx, &settings.to, Box::new(|_, _| {})).await;
        if let Err(error) = made {
            failed(desk, &ctx, newest, every_ms, &error).await?;
        }
    }
    if rules::is_due(attempts.removed, now, every_ms) {
        attempts.removed = Some(now);
        let ctx = system(desk, "backup.remove")?;
        if let Err(error) = remove_old(desk, &ctx, settings).await {
            let detail = format!("old backups were not removed: {}", error.detail);
            raise(desk, &ctx, FindingKind::BackupFailed, detail).await?;
        }
    }
    let checked = standing_now.check.as_ref().map(|check| check.at);
    if rules::is_due(checked, now, DAY_MS) && rules::is_due(attempts.rehearsed, now, RETRY_MS) {
        attempts.rehearsed = Some(now);
        let ctx = system(desk, "backup.verify")?;
        if standing(desk).await?.newest.is_some() {
            rehearse(desk, &ctx, settings).await?;
        }
    }
    Ok(())
}

/// Copies what is due to another machine and takes back what is past its time there. Apart from the
/// rest: a slow line must not keep the next backup waiting.
pub async fn run_due_copies(desk: &Desk, settings: &Settings) -> Result<(), Error> {
    let ctx = system(desk, "backup.copy")?;
    match copy_newest(desk, &ctx, settings).await {
        Ok(_) if settings.command.is_empty() => {
            access::close_finding(desk, &ctx, "backup.copy", FindingKind::BackupNotCopied).await?;
        }
        Ok(_) => {}
        Err(error) => {
            tracing::error!(code = error.code, cause = ?error.cause(), "no backup was copied away");
            let detail = format!("the newest backup is on this machine only: {}", error.detail);
            raise(desk, &ctx, FindingKind::BackupNotCopied, detail).await?;
        }
    }
    let ctx = system(desk, "backup.remove")?;
    match remove_old_copies(desk, &ctx, settings).await {
        Ok(_) => Ok(()),
        Err(error) => {
            let detail = format!("old copies were not taken back: {}", error.detail);
            raise(desk, &ctx, FindingKind::BackupFailed, detail).await
        }
    }
}

/// Restores the newest backup into a folder nobody opens, against the keys of today; what it saw is
/// kept as evidence, and what it misses is a finding.
pub async fn rehearse(desk: &Desk, ctx: &Ctx, settings: &Settings) -> Result<CheckRow, Error> {
    let job = Ctx { actor: crate::ctx::Actor::System { job: "backup.verify" }, ..ctx.clone() };
    let mut seen = rehearse_once(desk, &job, settings).await;
    if seen.as_ref().is_ok_and(|seen| seen.rebuilt.missing > 0) {
        // Somebody who was erased while it was read looks like a missing key; the register knows now.
        seen = rehearse_once(desk, &job, settings).await;
    }
    let mut check = CheckRow {
        id: ctx.new_id::<Request>()?.to_string(),
        at: ctx.now,
        backup: String::new(),
        result: store::GOOD.to_owned(),
        customers: 0,
        sampled: 0,
        entries: 0,
        detail: String::new(),
    };
    match seen {
        Ok(seen) => {
            let Rebuilt { customers, sampled, missing, tampered, index_rows, .. } = seen.rebuilt;
            (check.customers, check.sampled, check.entries) = (customers, sampled, seen.entries);
            check.backup = seen.backup;
            check.detail = format!(
                "of the pair made {} in {}, {customers} customers opened, {sampled} of them with all \
                 values, {index_rows} index rows made, {} entries verified, {} keys counted",
                seen.made,
                settings.to.display(),
                seen.entries,
                seen.keys
            );
            if missing + tampered > 0 {
                check.result = "not_all_open".to_owned();
                check.detail.push_str(&format!("; {missing} without a key, {tampered} altered"));
            }
        }
        Err(error) => {
            (check.result, check.detail) = (error.code.to_owned(), error.detail);
        }
    }
    let is_good = check.is_good();
    let entry = Entry::new(&job, EntryKind::System, "backup.verify").counting(check.sampled);
    let entry = if is_good { entry } else { entry.because("not_restorable", "") };
    let change =
        access::system_grant(&job, Vec::new())?.change(entry).write(store::insert_check(&check));
    let closed = is_good.then(|| findings::close(FindingKind::BackupUnusable));
    access::commit(desk, change.write_all(closed)).await?;
    if !is_good {
        let detail = format!(
            "the newest backup would not restore everything ({}): {}. Make a new one with `strongroom \
             backup`, and rehearse it with `strongroom restore --verify`",
            check.result, check.detail
        );
        raise(desk, &job, FindingKind::BackupUnusable, detail).await?;
    }
    Ok(check)
}

struct Seen {
    backup: String,
    made: String,
    entries: u64,
    keys: u64,
    rebuilt: Rebuilt,
}

async fn rehearse_once(desk: &Desk, ctx: &Ctx, settings: &Settings) -> Result<Seen, Error> {
    let grant = access::system_grant(ctx, (0..=u8::MAX).collect())?;
    let (keyring, random) = (Arc::clone(&desk.keyring), Arc::clone(&desk.random));
    let (to, data) = (settings.to.clone(), desk.data.place().clone());
    let folder = desk.folder.join(REHEARSAL);
    let work = move || {
        let stage = Stage::at(&folder, folder.clone())?;
        let seen = in_stage(&stage, (&to, &data), &keyring, random.as_ref(), &grant);
        stage.clear();
        seen
    };
    tokio::task::spawn_blocking(work).await.map_err(Error::internal)?
}

fn in_stage(
    stage: &Stage,
    (to, current): (&std::path::Path, &Place),
    keyring: &Keyring,
    random: &dyn strongroom_crypto::Random,
    grant: &SystemGrant,
) -> Result<Seen, Error> {
    let data = open(&pick(to, Kind::Data)?, Kind::Data, |_, wrapped| keyring.backup_keys(wrapped))?;
    let keys = open(&pick(to, Kind::Keys)?, Kind::Keys, |_, wrapped| keyring.backup_keys(wrapped))?;
    let mut deks = 0;
    load(&keys, "keys", |table, _| {
        deks += u64::from(table.name == DEK_TABLE);
        Ok(())
    })?;
    load(&keys, "mirror", |_, _| Ok(()))?;
    let mut db = stage.load_data(&data, &mut |_| {})?;
    let facts = stage.verify_log(&data, keyring)?;
    migrate(&mut db, DATA)?;
    let mut current = current.open(Durability::ReadOnly)?;
    let mut replay = Replay::default();
    vault::replay(&mut db, &mut current, keyring, &mut replay)?;
    vault::gather(&mut db, keyring, &mut replay)?;
    let every = (data.manifest.data_keys / SAMPLE).max(1);
    let hashing = keyring.was_hashed_anew()?.then_some(grant);
    let task = Rebuild { keyring, random, replay: &replay, hashing, sample: Some((grant, every)) };
    let rebuilt = vault::rebuild_indexes(&mut db, &task, |_| {})?;
    let Manifest { backup, made, .. } = data.manifest;
    Ok(Seen { backup, made, entries: facts.size, keys: deks, rebuilt })
}

async fn failed(
    desk: &Desk,
    ctx: &Ctx,
    newest: Option<Time>,
    every_ms: i64,
    error: &Error,
) -> Result<(), Error> {
    tracing::error!(code = error.code, cause = ?error.cause(), "no backup could be made");
    let detail = format!("no backup could be made: {}", error.detail);
    raise(desk, ctx, FindingKind::BackupFailed, detail).await?;
    let Some(newest) = newest else { return Ok(()) };
    let age_ms = ctx.now.as_ms().saturating_sub(newest.as_ms());
    if age_ms < every_ms.saturating_mul(2) {
        return Ok(());
    }
    let detail = format!(
        "the last backup was made {} hours ago; what was done since would be lost with this machine. \
         The finding `backup_failed` says why",
        age_ms / 3_600_000
    );
    raise(desk, ctx, FindingKind::BackupLate, detail).await
}

async fn raise(desk: &Desk, ctx: &Ctx, kind: FindingKind, detail: String) -> Result<(), Error> {
    let finding = Finding { kind, detail, customer: None };
    raise_finding(desk, ctx, "backup", &finding).await
}

fn system(desk: &Desk, job: &'static str) -> Result<Ctx, Error> {
    Ctx::system(job, desk.now(), Arc::clone(&desk.random))
}

/// Customers whose values are opened in a rehearsal, about: enough to meet every kind of compartment,
/// few enough to take a second.
const SAMPLE: u64 = 500;

const RETRY_MS: i64 = 5 * 60_000;
const DAY_MS: i64 = 86_400_000;
const REHEARSAL: &str = "rehearsal";

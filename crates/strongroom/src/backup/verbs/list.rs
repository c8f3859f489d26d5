//! How backups stand: which there are, how old the newest is, what the last rehearsal saw.

use crate::access::{self, Desk};
use crate::backup::store::{self, BackupRow, CheckRow};
use crate::ctx::{Ctx, Time};
use crate::error::Error;
use crate::findings::{self, FindingKind};
use crate::keys::{Rotation, RotationKind};

/// How backups stand.
pub struct Standing {
    /// Those of which something is kept, the newest first.
    pub backups: Vec<BackupRow>,
    /// The newest there ever was.
    pub newest: Option<BackupRow>,
    /// The last rehearsal.
    pub check: Option<CheckRow>,
}

/// When the newest backup was made, and what the last rehearsal saw.
pub struct Latest {
    /// When the data's snapshot was taken; none where there never was a backup.
    pub made: Option<Time>,
    /// When a restore was last rehearsed, and whether it brought everything back.
    pub check: Option<CheckRow>,
}

/// The newest backup and the last rehearsal alone.
pub async fn latest(desk: &Desk) -> Result<Latest, Error> {
    let mut data = desk.data.snapshot().await?;
    let newest = store::newest(&mut data).await?;
    Ok(Latest { made: newest.map(|row| row.made), check: store::newest_check(&mut data).await? })
}

/// How backups stand.
pub async fn standing(desk: &Desk) -> Result<Standing, Error> {
    let mut data = desk.data.snapshot().await?;
    Ok(Standing {
        backups: store::list(&mut data).await?,
        newest: store::newest(&mut data).await?,
        check: store::newest_check(&mut data).await?,
    })
}

/// When the pair was made that the last rehearsal brought everything back from; none where it did not.
pub async fn rehearsed(desk: &Desk) -> Result<Option<Time>, Error> {
    let standing = standing(desk).await?;
    let check = standing.check.filter(CheckRow::is_good);
    let pair = check.and_then(|it| standing.backups.into_iter().find(|row| row.id == it.backup));
    Ok(pair.map(|row| row.made))
}

/// Since when keys are others because the older ones leaked: what was made before is open to whoever
/// has those.
pub(in crate::backup) fn exposed_before(desk: &Desk) -> Result<Option<Time>, Error> {
    Ok(after_leak(desk)?.map(|rotation| rotation.begun))
}

/// The newest rotation after a leak.
fn after_leak(desk: &Desk) -> Result<Option<Rotation>, Error> {
    let rotations = desk.keyring.rotations()?;
    Ok(rotations.into_iter().find(|it| it.kind == RotationKind::AfterLeak))
}

/// Ends the finding of a leak where nothing is left to do: all keys are new ones, new shares are handed
/// out, and nothing is kept that the older keys open.
pub async fn close_leak(desk: &Desk, ctx: &Ctx) -> Result<(), Error> {
    let Some(rotation) = after_leak(desk)? else { return Ok(()) };
    let is_exposed = |row: &BackupRow| row.made < rotation.begun && row.is_kept();
    // One that was asked for and never begun has nothing to show.
    let asked = findings::last_seen(&desk.data, FindingKind::KeysLeaked).await?;
    let is_open = rotation.ended.is_none()
        || asked.is_none_or(|asked| rotation.begun < asked)
        || desk.keyring.recovery_set()?.is_none()
        || standing(desk).await?.backups.iter().any(is_exposed);
    match is_open {
        true => Ok(()),
        false => access::close_finding(desk, ctx, "leak.watch", FindingKind::KeysLeaked).await,
    }
}

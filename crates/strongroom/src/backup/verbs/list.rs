//! How backups stand: which there are, how old the newest is, what the last rehearsal saw.

use crate::access::Desk;
use crate::backup::store::{self, BackupRow, CheckRow};
use crate::ctx::Time;
use crate::error::Error;

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

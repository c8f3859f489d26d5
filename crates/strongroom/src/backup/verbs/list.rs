//! How backups stand: which there are, how old the newest is, what the last rehearsal saw.

use crate::access::Desk;
use crate::backup::store::{self, BackupRow, CheckRow};
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

/// How backups stand.
pub async fn standing(desk: &Desk) -> Result<Standing, Error> {
    let mut data = desk.data.snapshot().await?;
    Ok(Standing {
        backups: store::list(&mut data).await?,
        newest: store::newest(&mut data).await?,
        check: store::newest_check(&mut data).await?,
    })
}

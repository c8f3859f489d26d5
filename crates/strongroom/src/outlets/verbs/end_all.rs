//! After a restore nothing leaves by itself.

use crate::ctx::Time;
use crate::db::Connection;
use crate::error::Error;
use crate::keys::Keyring;
use crate::outlets::model::{SEND_TABLE, SendRow, SendState};
use crate::outlets::store::{self, SHARE_TABLE};

/// In a restore, before anything is opened: every link is dead, because nobody knows which were revoked
/// since, and every send is stopped, because nobody knows whom it reached since. Gives how many of each.
/// A row that is not ours shows and sends nothing as it is.
pub fn end_all(db: &mut Connection, keyring: &Keyring, now: Time) -> Result<(u64, u64), Error> {
    let (mut shares, mut sends) = (0, 0);
    let mut after = Vec::new();
    loop {
        let some = store::list_shares(db, &after)?;
        let Some(last) = some.last() else { break };
        after = last.id.as_bytes().to_vec();
        for row in some {
            if !keyring.is_row_intact(SHARE_TABLE, &row.columns(), &row.mac)? {
                continue;
            }
            let before = row.mac;
            shares += u64::from(now <= row.ends && row.views < row.views_max);
            let mut ended = row;
            ended.revoked = Some(now);
            ended.mac = keyring.mac_row(SHARE_TABLE, &ended.columns())?;
            db.execute(&store::update_share(&ended, &before))?;
        }
    }
    for row in store::list_open_of(db)? {
        if !keyring.is_row_intact(SEND_TABLE, &row.columns(), &row.mac)? {
            continue;
        }
        let before = row.mac;
        let (state, why) = (SendState::Stopped, "restored".to_owned());
        let mut stopped = SendRow { state, why, next: now, ..row };
        stopped.mac = keyring.mac_row(SEND_TABLE, &stopped.columns())?;
        db.execute(&store::update_send(&stopped, &before))?;
        sends += 1;
    }
    Ok((shares, sends))
}

//! What opens the installation, as acts that stand in the log.

use crate::access::Desk;
use crate::access::verbs::{commit, permit};
use crate::ctx::{Ctx, Entry, EntryKind};
use crate::error::Error;
use crate::findings::{self, FindingKind};
use crate::keys::MadeShares;
use crate::policy::Right;

/// From now on these shares are the way back. They must be written down by now: the set before opens
/// nothing any more.
pub async fn keep_shares(desk: &Desk, ctx: &Ctx, made: &MadeShares) -> Result<(), Error> {
    let entry = Entry::new(ctx, EntryKind::Admin, "recovery.shares");
    let closed = findings::close(FindingKind::RecoveryMissing);
    let change = permit(desk, ctx, Right::Keys)?.change(entry).write(closed);
    commit(desk, change).await?;
    desk.keyring.keep_shares(made)
}

/// Says what whoever unseals is about to do to the installation as a whole: `verb`.
pub async fn announce(desk: &Desk, ctx: &Ctx, verb: &'static str) -> Result<(), Error> {
    let entry = Entry::new(ctx, EntryKind::Admin, verb);
    commit(desk, permit(desk, ctx, Right::Keys)?.change(entry)).await.map(drop)
}

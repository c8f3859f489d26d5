//! Beginning a rotation of keys; a job goes on with it.

use crate::access::{Desk, commit, permit, raise_finding};
use crate::ctx::{Ctx, Entry, EntryKind, Receipt, StateDelta, StatePart};
use crate::error::Error;
use crate::findings::{Finding, FindingKind};
use crate::keys::RotationKind;
use crate::policy::Right;

/// Puts a new root key in place of the old one: a handful of keys is wrapped anew, at once.
pub async fn rotate_root(desk: &Desk, ctx: &Ctx) -> Result<Receipt, Error> {
    let entry = Entry::new(ctx, EntryKind::Admin, "rotate.root");
    let receipt = commit(desk, permit(desk, ctx, Right::Keys)?.change(entry)).await?;
    desk.keyring.rotate_root().await?;
    Ok(receipt)
}

/// Begins a rotation; one of its kind that is not done yet goes on. After a leak the root is another one
/// from here on, and recovery shares that were handed out open nothing that is made from now on.
///
/// Not to be dropped half-way: run it where nobody's patience ends it.
pub async fn begin_rotation(desk: &Desk, ctx: &Ctx, kind: RotationKind) -> Result<Receipt, Error> {
    let _alone = desk.keyring.begin_alone().await;
    let grant = permit(desk, ctx, Right::Keys)?;
    let goes_on = desk.keyring.goes_on(kind)?;
    let verb = match kind {
        RotationKind::AfterLeak => "rotate.after_leak",
        RotationKind::WrappingKey | RotationKind::DataKeys | RotationKind::LookUpKeys => {
            "rotate.begin"
        }
    };
    let mut receipt = commit(desk, grant.change(Entry::new(ctx, EntryKind::Admin, verb))).await?;
    if kind == RotationKind::AfterLeak {
        tell(desk, ctx, FindingKind::KeysLeaked, LEAKED).await?;
    }
    // Where it goes on its root is a new one already, and shares that were handed out since open that.
    if kind == RotationKind::AfterLeak && !goes_on {
        tell(desk, ctx, FindingKind::RecoveryMissing, SHARES_ENDED).await?;
        // Before other keys are wrapped by it.
        desk.keyring.rotate_root_without_shares().await?;
    }
    if !kind.hashes_anew() {
        desk.keyring.begin_rotation(kind, desk.now()).await?;
        return Ok(receipt);
    }
    desk.keyring.prepare_look_ups(kind)?;
    decide_anew(desk, ctx, "rotate.prepared").await?;
    desk.keyring.begin_rotation(kind, desk.now()).await?;
    // And nobody goes on with it before whatever was decided until the exchange is decided anew too: it
    // stands under the older key, which a pass that finds nobody destroys.
    receipt = decide_anew(desk, ctx, "rotate.exchanged").await?;
    Ok(receipt)
}

async fn tell(desk: &Desk, ctx: &Ctx, kind: FindingKind, detail: &str) -> Result<(), Error> {
    let finding = Finding { kind, detail: detail.to_owned(), customer: None };
    raise_finding(desk, ctx, "rotate", &finding).await
}

/// From here on every decision knows the keys there are now: those before it miss their guard.
async fn decide_anew(desk: &Desk, ctx: &Ctx, verb: &'static str) -> Result<Receipt, Error> {
    let (before, after) = (None, None);
    let change = permit(desk, ctx, Right::Keys)?.change(Entry::new(ctx, EntryKind::Admin, verb));
    commit(desk, change.with_state(StateDelta { part: StatePart::Rights, before, after })).await
}

const LEAKED: &str = "somebody asked for new keys after a leak. What was copied before stays open to whoever copied it: \
     find out whose data that was (`strongroom ledger scope`) and whom you must tell. Still open here: \
     backups made before it, which `strongroom backup --list` calls exposed, new recovery shares, and what \
     opens the installation, if that leaked too (`strongroom recover seal`). This closes by itself when all \
     keys are new ones, shares are handed out and no exposed backup is kept";
const SHARES_ENDED: &str = "the recovery shares opened keys that leaked, so they are the way back no more. Hand out new ones with \
     `strongroom recover shares`: until then, whoever loses what opens the installation loses everything";

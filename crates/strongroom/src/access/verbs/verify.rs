//! Verifying the ledger: begun or joined, run beside everything else, told from memory.

use std::sync::{Arc, Weak};

use crate::access::model::Desk;
use crate::access::verbs::{commit, permit, raise_finding, system_grant};
use crate::ctx::{Ctx, Entry, EntryKind, Receipt};
use crate::error::Error;
use crate::findings::{Finding, FindingKind};
use crate::id::{Id, Verification};
use crate::ledger::{self, Joining, Verified, Verifying};
use crate::policy::Right;

/// Begins a verification, or joins the one that runs. It goes on when its caller has gone away.
pub async fn begin_verification(
    desk: &Arc<Desk>,
    ctx: &Ctx,
) -> Result<(Verifying, Receipt), Error> {
    let grant = permit(desk, ctx, Right::Ledger)?;
    let entry = Entry::new(ctx, EntryKind::Ledger, "ledger.verify");
    let receipt = commit(desk, grant.change(entry)).await?;
    let (verifying, joining) = desk.verifications.begin_or_join(ctx.new_id()?);
    if joining == Joining::Begun {
        tokio::spawn(run(Arc::downgrade(desk), verifying.id));
    }
    Ok((verifying, receipt))
}

/// How far a verification is, or what it saw.
pub fn find_verification(desk: &Desk, ctx: &Ctx, id: Id<Verification>) -> Result<Verifying, Error> {
    permit(desk, ctx, Right::Ledger)?;
    desk.verifications.find(id).ok_or_else(Error::not_found)
}

/// Holds no desk while it reads, so that an installation that closes does not wait for it.
async fn run(desk: Weak<Desk>, id: Id<Verification>) {
    let Some(here) = desk.upgrade() else { return };
    let (data, verifications) = (here.data.clone(), here.verifications.clone());
    let (keyring, told) = (Arc::clone(&here.keyring), verifications.clone());
    drop(here);
    let tell = move |done, size| told.advance(id, done, size);
    let seen = data.scan(move |db| ledger::verify(db, &keyring, tell)).await;
    let outcome = match (seen, desk.upgrade()) {
        (Ok(verified), Some(desk)) => write_down(&desk, &verified).await.map(|()| verified),
        (seen, _) => seen,
    };
    verifications.end(id, outcome);
}

/// Nobody is told what a verification saw before the ledger says that it saw something.
async fn write_down(desk: &Desk, verified: &Verified) -> Result<(), Error> {
    let ctx = Ctx::system(JOB, desk.now(), Arc::clone(&desk.random))?;
    let flaws = verified.flaws.len() as u64;
    let entry = Entry::new(&ctx, EntryKind::Ledger, "ledger.verified").counting(flaws);
    commit(desk, system_grant(&ctx, Vec::new())?.change(entry)).await?;
    if flaws == 0 {
        return Ok(());
    }
    let (kind, detail) = (FindingKind::LedgerFlaw, LEDGER_FLAW.to_owned());
    let finding = Finding { kind, detail, customer: None };
    raise_finding(desk, &ctx, JOB, &finding).await
}

const JOB: &str = "ledger.verify";

const LEDGER_FLAW: &str = "a verification of the ledger found entries or index rows that were changed, removed or put in by \
     other hands, so who looked at whom can no longer be answered with certainty. Keep the files as \
     they are, find out who can write to the database, and restore from a copy made before";

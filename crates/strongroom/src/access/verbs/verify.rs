//! Verifying the ledger: begun or joined, run beside everything else, told from memory.

use std::pin::Pin;
use std::sync::{Arc, Weak};

use crate::access::model::Desk;
use crate::access::verbs::{commit, permit, raise_finding, system_grant};
use crate::ctx::{Ctx, Entry, EntryKind, Receipt};
use crate::db::Connection;
use crate::error::Error;
use crate::findings::{Finding, FindingKind};
use crate::id::{Id, Verification};
use crate::ledger::{self, Compared, Depth, Flaw, Joining, Verified, Verifying};
use crate::policy::Right;

/// Looks at the rows beside the log, once that is read and was found intact or not; the room of customers
/// knows how. It holds no desk for longer than a page.
pub type Deeper = Box<dyn FnOnce(Weak<Desk>, bool) -> Comparing + Send>;

/// A look at the rows that is under way.
pub type Comparing = Pin<Box<dyn Future<Output = Result<Compared, Error>> + Send>>;

/// Begins a verification, or joins the one that runs. It goes on when its caller has gone away.
pub async fn begin_verification(
    desk: &Arc<Desk>,
    ctx: &Ctx,
    deeper: Option<Deeper>,
) -> Result<(Verifying, Receipt), Error> {
    let grant = permit(desk, ctx, Right::Ledger)?;
    let entry = Entry::new(ctx, EntryKind::Ledger, "ledger.verify");
    let receipt = commit(desk, grant.change(entry)).await?;
    let depth = if deeper.is_some() { Depth::Rows } else { Depth::Log };
    let (verifying, joining) = desk.verifications.begin_or_join(ctx.new_id()?, depth)?;
    if joining == Joining::Begun {
        tokio::spawn(run(Arc::downgrade(desk), verifying.id, deeper));
    }
    Ok((verifying, receipt))
}

/// How far a verification is, or what it saw.
pub fn find_verification(desk: &Desk, ctx: &Ctx, id: Id<Verification>) -> Result<Verifying, Error> {
    permit(desk, ctx, Right::Ledger)?;
    desk.verifications.find(id).ok_or_else(Error::not_found)
}

/// Holds no desk while it reads, so that an installation that closes does not wait for it.
async fn run(desk: Weak<Desk>, id: Id<Verification>, deeper: Option<Deeper>) {
    let Some(here) = desk.upgrade() else { return };
    let (data, verifications) = (here.data.clone(), here.verifications.clone());
    let (keyring, told) = (Arc::clone(&here.keyring), verifications.clone());
    let archives = Arc::clone(&here.archives);
    drop(here);
    let seen = async {
        let (tell, newest) = (told.clone(), Arc::clone(&keyring));
        let tell = move |done, size| tell.advance(id, done, size);
        let mut seen = data.scan(move |db| ledger::verify(db, &newest, tell)).await?;
        for archive in archives.iter() {
            let (keyring, origin) = (Arc::clone(&keyring), archive.facts.origin.clone());
            let (tell, before) = (told.clone(), seen.size);
            let tell = move |done, size| tell.advance(id, before + done, before + size);
            let verify =
                move |db: &mut Connection| ledger::verify_archive(db, &keyring, &origin, tell);
            let older = archive.data.scan(verify).await?;
            seen.size += older.size;
            seen.flaws.extend(older.flaws.into_iter().map(|flaw| Flaw {
                what: format!("in incarnation {}: {}", archive.number, flaw.what),
                ..flaw
            }));
        }
        if let Some(deeper) = deeper {
            seen.compared = Some(deeper(Weak::clone(&desk), seen.flaws.is_empty()).await?);
        }
        Ok(seen)
    };
    let seen = seen.await;
    let outcome = match (seen, desk.upgrade()) {
        (Ok(verified), Some(desk)) => write_down(&desk, &verified).await.map(|()| verified),
        (seen, _) => seen,
    };
    verifications.end(id, outcome);
}

/// Nobody is told what a verification saw before the ledger says that it saw something.
async fn write_down(desk: &Desk, verified: &Verified) -> Result<(), Error> {
    let ctx = Ctx::system(JOB, desk.now(), Arc::clone(&desk.random))?;
    let misfits = verified.misfits();
    let entry = Entry::new(&ctx, EntryKind::Ledger, "ledger.verified").counting(misfits);
    commit(desk, system_grant(&ctx, Vec::new())?.change(entry)).await?;
    if verified.flaws.is_empty() {
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

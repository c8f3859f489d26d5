//! What is missing or wrong: raised by any check, closed only by evidence.

mod model;
mod store;

use std::collections::BTreeMap;

use crate::ctx::{Ctx, Entry, EntryKind, SystemGrant, Time};
use crate::db::{Committer, Database, Fate, Statement};
use crate::error::Error;

pub use model::{Finding, FindingKind, Raised};

/// Raises a finding, or renews it if it is open. Its own ledger entry says when.
pub async fn raise(
    ctx: &Ctx,
    committer: &Committer,
    grant: SystemGrant,
    finding: &Finding,
) -> Result<(), Error> {
    let entry = Entry::new(ctx, EntryKind::System, "finding.raise").from_reserve();
    let change = grant.change(entry).write(store::raise(finding, ctx.now));
    match committer.commit(change).await? {
        Fate::Committed(_) => Ok(()),
        Fate::Missed(miss) => Err(Error::internal(format!("a finding was missed: {miss:?}"))),
    }
}

/// Raises a finding as part of another act, whose entry it shares.
pub fn raise_within(finding: &Finding, now: Time) -> Statement {
    store::raise(finding, now)
}

/// Open findings, the newest first, at most 200.
pub async fn list(data: &Database) -> Result<Vec<Raised>, Error> {
    store::list(&mut data.snapshot().await?).await
}

/// How many are open of each kind; under none those of a kind that this version does not know.
pub async fn count_open(data: &Database) -> Result<BTreeMap<Option<FindingKind>, u64>, Error> {
    store::count_open(&mut data.snapshot().await?).await
}

/// When an open finding about no single customer was last raised.
pub async fn last_seen(data: &Database, kind: FindingKind) -> Result<Option<Time>, Error> {
    let open = list(data).await?;
    Ok(open.iter().find(|it| it.id == kind.as_str()).map(|it| it.last_seen))
}

/// Ends a finding that is about no single customer, in the change of whoever brings the evidence.
pub fn close(kind: FindingKind) -> Statement {
    store::close(kind)
}

/// What names a customer here, to be forgotten with them.
pub fn forget(customer: &[u8; 16]) -> Vec<Statement> {
    vec![store::forget(customer)]
}

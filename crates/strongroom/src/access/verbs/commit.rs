//! Committing a change and telling what a miss means; writing refusals down.

use crate::access::model::{Desk, Metered};
use crate::ctx::{Actor, BudgetKind, Change, Ctx, Entry, EntryKind, Miss, Receipt};
use crate::db::Fate;
use crate::error::{Error, ErrorKind};
use crate::findings::{self, Finding, FindingKind};

/// What an attempt came to.
pub enum Attempt {
    /// It is durable.
    Done(Receipt),
    /// What it was decided on has moved: read and decide once more.
    Retry,
}

/// Commits a change; a miss is an error with its cure.
pub async fn commit(desk: &Desk, change: Change) -> Result<Receipt, Error> {
    match desk.committer.commit(super::repeat::claim_in(desk, change)?).await? {
        Fate::Committed(receipt) => Ok(receipt),
        Fate::Missed(miss) => Err(refusal_of(miss)),
    }
}

/// The same for acts that may be decided once more.
pub async fn commit_or_retry(desk: &Desk, change: Change) -> Result<Attempt, Error> {
    match desk.committer.commit(super::repeat::claim_in(desk, change)?).await? {
        Fate::Committed(receipt) => Ok(Attempt::Done(receipt)),
        Fate::Missed(Miss::AuthorityChanged | Miss::LifeChanged) => Ok(Attempt::Retry),
        Fate::Missed(miss) => Err(refusal_of(miss)),
    }
}

/// Writes a refusal of a known caller down and gives the error back. Where the entry cannot be
/// written the answer is 503: not even a refusal leaves without its entry.
pub async fn refuse(
    desk: &Desk,
    ctx: &Ctx,
    kind: EntryKind,
    verb: &'static str,
    error: Error,
) -> Error {
    // A value that is taken tells that somebody is a customer, as a hit of a look-up does: each one
    // has its entry, however many there are.
    let tells = error.code == "taken";
    let is_refusal = match error.kind {
        ErrorKind::Forbidden | ErrorKind::Locked | ErrorKind::TooMany => true,
        ErrorKind::Internal | ErrorKind::Unavailable | ErrorKind::Unauthenticated => false,
        _ => error.leaves_entry,
    };
    if !tells && !is_refusal {
        return error;
    }
    let minute = ctx.now.as_ms() / 60_000;
    let metered = match tells {
        true => Metered::Write(0),
        false => desk.refusals.count(&ctx.actor.reference(), minute),
    };
    match metered {
        Metered::Drop => error,
        Metered::Write(dropped) => {
            let entry = Entry::new(ctx, kind, verb).counting(dropped);
            match commit(desk, Change::refusal(entry, error.code)).await {
                Ok(_) => error,
                Err(unwritten) => unwritten,
            }
        }
    }
}

/// Raises a finding, as a named job of the system, whoever's call it was that saw it.
pub async fn raise_finding(
    desk: &Desk,
    ctx: &Ctx,
    job: &'static str,
    finding: &Finding,
) -> Result<(), Error> {
    let own = Ctx { actor: Actor::System { job }, ..ctx.clone() };
    let grant = super::system_grant(&own, Vec::new())?;
    findings::raise(&own, &desk.committer, grant, finding).await
}

/// Ends an open finding about no single customer, as a named job of the system that saw the evidence;
/// nothing is written where none is open.
pub async fn close_finding(
    desk: &Desk,
    ctx: &Ctx,
    job: &'static str,
    kind: FindingKind,
) -> Result<(), Error> {
    if !findings::count_open(&desk.data).await?.contains_key(&Some(kind)) {
        return Ok(());
    }
    let own = Ctx { actor: Actor::System { job }, ..ctx.clone() };
    let entry = Entry::new(&own, EntryKind::System, "finding.close").from_reserve();
    let change = super::system_grant(&own, Vec::new())?.change(entry);
    commit(desk, change.write(findings::close(kind))).await.map(drop)
}

/// What a miss is to whoever asked.
pub fn refusal_of(miss: Miss) -> Error {
    match miss {
        Miss::AuthorityChanged | Miss::LifeChanged => {
            let detail = "rights or the customer changed while this was done; try again";
            Error::unavailable("changed_meanwhile", detail).retry_after(1)
        }
        Miss::BudgetSpent { kind: BudgetKind::Erase, retry_after_s } => {
            let detail = "this caller has asked for 10 erasures today, or all callers together for \
                          as many as go in one day; more need a second person";
            Error::forbidden("second_person_needed", detail).retry_after(retry_after_s)
        }
        Miss::BudgetSpent { retry_after_s, .. } => {
            let detail = "today's budget of this grant is spent; it is new tomorrow, or the \
                          policy grants more";
            Error::new(ErrorKind::TooMany, "budget_spent", detail).retry_after(retry_after_s)
        }
        Miss::ClockSuspect => {
            let detail = "the machine's clock jumped, so nothing that destroys is done; set the \
                          clock, then run `strongroom doctor --confirm-clock`";
            Error::unavailable("clock_suspect", detail)
        }
        Miss::Expired => {
            Error::new(ErrorKind::Unauthenticated, "key_ended", "this key is past its end")
        }
        Miss::LegalHold => {
            let detail = "a legal hold stands against this; whoever placed it can release it";
            Error::new(ErrorKind::Locked, "legal_hold", detail)
        }
        Miss::Repeated => {
            let detail = "the same call is being done or was done; send it once more to be told \
                          what became of it";
            Error::conflict("call_repeated", detail)
        }
        Miss::Served => {
            let detail = "whom this is for gets it as another customer, whom they were merged into";
            Error::conflict("served_already", detail)
        }
        Miss::StateChanged => {
            let detail = "this was done or undone already; read it again";
            Error::conflict("state_changed", detail)
        }
        Miss::Taken(_) => {
            let detail = "another customer has this value or reference";
            Error::conflict("taken", detail)
        }
        Miss::TooEarly => Error::conflict("too_early", "its waiting time is not over"),
        Miss::VersionChanged => {
            let detail = "the customer has changed since you read it; read it again and repeat \
                          your change with the new version";
            Error::new(ErrorKind::PreconditionFailed, "version_changed", detail)
        }
    }
}

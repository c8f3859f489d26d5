//! One change inside a batch: its guards, then what it writes, or nothing of it.

use crate::ctx::{BudgetClaim, Change, Guard, Miss, Time};
use crate::db::connection::{Connection, Ran};
use crate::db::keeper::Keeper;
use crate::error::{Error, ErrorKind};
use crate::sql::Statement;

/// What there is to go back to where a change fails.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Before {
    /// Nothing was done in the transaction, so it is begun anew. For a big change that is what makes it possible:
    /// SQLite goes through all that a savepoint would put back, at each statement after it.
    Nothing,
    /// Other changes, or a turn at a server that is not given away.
    Others,
}

/// What guards of time are held against: the clock, not the ledger's time. A server that was once
/// started with its clock years ahead has entries from then, and they must not end every key.
pub(super) struct Moment {
    pub(super) wall: Time,
    pub(super) suspect: bool,
}

pub(super) enum Applied {
    Done,
    Failed(Error),
    Missed(Miss),
}

/// What guards over rows ask for changes that only look, asked for all of them at once: at a server that is one way
/// there and back. One answer for each, in their order; none where somebody writes, or is alone.
pub(super) fn foresee(
    db: &mut Connection,
    keeper: &mut dyn Keeper,
    changes: &[Change],
) -> Result<Vec<Option<Vec<u64>>>, Error> {
    if changes.len() < 2 {
        keeper.foresee(db, &[])?;
        return Ok(vec![None; changes.len()]);
    }
    let guards = changes.iter().flat_map(|change| &change.guards);
    let claims: Vec<&BudgetClaim> = guards.filter_map(claim_of).collect();
    let asked: Vec<&Statement> = changes.iter().flat_map(questions).collect();
    let rows = db.execute_all(&asked)?.whole()?;
    keeper.foresee(db, &claims)?;
    let mut rows = rows.into_iter();
    let own = |change: &Change| Some(rows.by_ref().take(questions(change).count()).collect());
    Ok(changes.iter().map(own).collect())
}

fn questions(change: &Change) -> impl Iterator<Item = &Statement> {
    change.guards.iter().filter_map(|guard| match guard {
        Guard::Rows { statement, .. } => Some(statement),
        _ => None,
    })
}

fn claim_of(guard: &Guard) -> Option<&BudgetClaim> {
    match guard {
        Guard::Budget(claim) => Some(claim),
        _ => None,
    }
}

/// Runs one change inside the batch; `known` is what was [foreseen](foresee) for it. `Err` is a failure of the disk,
/// which ends the batch.
pub(super) fn apply(
    db: &mut Connection,
    keeper: &mut dyn Keeper,
    moment: &Moment,
    (change, known): (&Change, Option<Vec<u64>>),
    before: Before,
) -> Result<Applied, Error> {
    let separate = before == Before::Others && needs_savepoint(change);
    if separate {
        db.run_later("SAVEPOINT one_change")?;
    }
    let mut charged = Vec::new();
    let mut applied = apply_guards(db, keeper, moment, (change, known), &mut charged);
    if let Ok(Applied::Done) = applied {
        let writes: Vec<&Statement> = change.writes.iter().collect();
        applied = match db.write_all(&writes) {
            Err(error) if error.kind == ErrorKind::Conflict => Ok(Applied::Failed(error)),
            written => written.map(|()| Applied::Done),
        };
    }
    let applied = applied?;
    if !matches!(applied, Applied::Done) {
        if separate {
            db.run("ROLLBACK TO one_change")?;
        } else if needs_savepoint(change) {
            db.roll_back()?;
            db.begin()?;
        }
        for (claim, amount) in charged {
            keeper.uncharge(claim, amount);
        }
    }
    if separate {
        db.run_later("RELEASE one_change")?;
    }
    Ok(applied)
}

/// A change that writes nothing before its last guard has held needs no savepoint of its own: most
/// reads. A budget looks before it writes, so only a second one can leave something behind.
pub(super) fn needs_savepoint(change: &Change) -> bool {
    let writes = |guard: &Guard| match guard {
        Guard::Rows { statement, .. } => !statement.is_question(),
        _ => false,
    };
    let budgets = change.guards.iter().filter(|guard| matches!(guard, Guard::Budget(_))).count();
    !change.writes.is_empty() || budgets > 1 || change.guards.iter().any(writes)
}

/// Budgets come last, so that nothing is charged for an act that another guard stops.
fn apply_guards<'a>(
    db: &mut Connection,
    keeper: &mut dyn Keeper,
    moment: &Moment,
    (change, known): (&'a Change, Option<Vec<u64>>),
    charged: &mut Vec<(&'a BudgetClaim, u64)>,
) -> Result<Applied, Error> {
    let (mut asked, mut missed) = (Vec::new(), None);
    for guard in &change.guards {
        missed = match guard {
            Guard::Budget(_) => continue,
            Guard::Epoch(epoch) => (!keeper.honours(*epoch)).then_some(Miss::AuthorityChanged),
            Guard::NotAfter(end) => (moment.wall > *end).then_some(Miss::Expired),
            Guard::Once(_) => {
                let error = Error::internal("a call that is to be done once was not claimed");
                return Ok(Applied::Failed(error));
            }
            Guard::NotBefore(start) => (moment.wall < *start).then_some(Miss::TooEarly),
            Guard::Rows { statement, expected, miss } => {
                asked.push((statement, *expected, miss));
                continue;
            }
            Guard::TrustedClock => moment.suspect.then_some(Miss::ClockSuspect),
        };
        if missed.is_some() {
            break;
        }
    }
    // The first guard that does not hold is told, wherever it is looked at.
    if let Some(miss) = missed_rows(db, &asked, known)?.or(missed) {
        return Ok(Applied::Missed(miss));
    }
    for claim in change.guards.iter().filter_map(claim_of) {
        match keeper.charge(db, claim)? {
            Ok(amount) => charged.push((claim, amount)),
            Err(miss) => return Ok(Applied::Missed(miss)),
        }
    }
    Ok(Applied::Done)
}

/// The first of some guards over rows that does not hold.
fn missed_rows(
    db: &mut Connection,
    asked: &[(&Statement, u64, &Miss)],
    known: Option<Vec<u64>>,
) -> Result<Option<Miss>, Error> {
    let ran = match known {
        Some(rows) => Ran { rows, failed: None },
        None => {
            let statements: Vec<&Statement> = asked.iter().map(|(it, ..)| *it).collect();
            db.execute_all(&statements)?
        }
    };
    // What is no clash ends the batch, whatever was missed before it: SQLite has ended the transaction by then.
    let is_clash = match ran.failed {
        None => false,
        Some(error) if error.kind == ErrorKind::Conflict => true,
        Some(error) => return Err(error),
    };
    for (rows, (_, expected, miss)) in ran.rows.iter().zip(asked) {
        if rows != expected {
            return Ok(Some((*miss).clone()));
        }
    }
    let clashed = asked.get(ran.rows.len()).filter(|_| is_clash);
    Ok(clashed.map(|(.., miss)| (*miss).clone()))
}

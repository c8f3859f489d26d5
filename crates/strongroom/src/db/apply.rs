//! One change inside a batch: its guards, then what it writes, or nothing of it.

use crate::ctx::{BudgetClaim, Change, Guard, Miss, Time};
use crate::db::connection::Connection;
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

/// Runs one change inside the batch. `Err` is a failure of the disk, which ends the batch.
pub(super) fn apply(
    db: &mut Connection,
    keeper: &mut dyn Keeper,
    moment: &Moment,
    change: &Change,
    before: Before,
) -> Result<Applied, Error> {
    let separate = before == Before::Others && needs_savepoint(change);
    if separate {
        db.run_later("SAVEPOINT one_change")?;
    }
    let mut charged = Vec::new();
    let mut applied = apply_guards(db, keeper, moment, change, &mut charged);
    if let Ok(Applied::Done) = applied {
        let writes: Vec<&Statement> = change.writes.iter().collect();
        applied = db.execute_all(&writes).and_then(|ran| match ran.failed {
            None => Ok(Applied::Done),
            Some(error) if error.kind == ErrorKind::Conflict => Ok(Applied::Failed(error)),
            Some(error) => Err(error),
        });
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
    change: &'a Change,
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
    if let Some(miss) = missed_rows(db, &asked)?.or(missed) {
        return Ok(Applied::Missed(miss));
    }
    for guard in &change.guards {
        let Guard::Budget(claim) = guard else { continue };
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
) -> Result<Option<Miss>, Error> {
    let statements: Vec<&Statement> = asked.iter().map(|(statement, ..)| *statement).collect();
    let ran = db.execute_all(&statements)?;
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

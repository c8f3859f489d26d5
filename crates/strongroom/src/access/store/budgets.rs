//! Tables `budget` and `budget_seen`: counted by the committer, the single writer.

use std::collections::HashMap;

use strongroom_crypto::Encoder;

use crate::access::Desk;
use crate::ctx::{BudgetClaim, BudgetKind, Miss};
use crate::db::{Connection, Statement, Value};
use crate::error::Error;
use crate::keys::Keyring;

/// Budgets of today that were drawn on, as this batch has them so far.
#[derive(Default)]
pub(super) struct Budgets {
    used: HashMap<Row, Used>,
    /// Of first looks that were asked for together: whether each was there.
    seen: HashMap<[u8; 32], bool>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Row((String, &'static str, String));

#[derive(Debug, Clone, Copy, Default)]
struct Used {
    durable: u64,
    tentative: u64,
}

impl Budgets {
    /// Asks at once which first looks these would charge.
    pub(super) fn foresee(
        &mut self,
        db: &mut Connection,
        claims: &[&BudgetClaim],
    ) -> Result<(), Error> {
        let looks =
            claims.iter().flat_map(|claim| claim.seen.iter().map(move |hash| (claim, hash)));
        let looks: Vec<(&[u8; 32], Statement)> = looks
            .map(|(claim, hash)| {
                (hash, Statement::new(SEEN, vec![claim.day.clone().into(), hash.into()]))
            })
            .collect();
        let asked: Vec<&Statement> = looks.iter().map(|(_, question)| question).collect();
        let rows = db.execute_all(&asked)?.whole()?;
        self.seen = looks.iter().zip(rows).map(|((hash, _), rows)| (**hash, rows > 0)).collect();
        Ok(())
    }

    /// Charges a claim or says that the budget is spent. Nothing is written where it is.
    pub(super) fn charge(
        &mut self,
        db: &mut Connection,
        keyring: &Keyring,
        claim: &BudgetClaim,
    ) -> Result<Result<u64, Miss>, Error> {
        let row = row_of(claim);
        let used = match self.used.get(&row) {
            Some(used) => *used,
            None => {
                let durable = read_used(db, keyring, &row)?;
                Used { durable, tentative: durable }
            }
        };
        let unseen = self.unseen(db, claim)?;
        let amount = claim.amount + unseen.len() as u64;
        if amount > 0 && used.tentative.saturating_add(amount) > claim.max {
            let retry_after_s = claim.retry_after_s;
            return Ok(Err(Miss::BudgetSpent { kind: claim.kind, retry_after_s }));
        }
        for hash in unseen {
            self.seen.entry(hash).and_modify(|is_seen| *is_seen = true);
            db.execute_later(&Statement::new(SEE, vec![claim.day.clone().into(), hash.into()]))?;
        }
        let tentative = used.tentative + amount;
        self.used.insert(row, Used { durable: used.durable, tentative });
        Ok(Ok(amount))
    }

    pub(super) fn uncharge(&mut self, claim: &BudgetClaim, amount: u64) {
        if let Some(used) = self.used.get_mut(&row_of(claim)) {
            used.tentative = used.tentative.saturating_sub(amount);
        }
    }

    /// Writes each row that changed, once per batch.
    pub(super) fn flush(&mut self, db: &mut Connection, keyring: &Keyring) -> Result<(), Error> {
        for (row, used) in &self.used {
            if used.tentative == used.durable {
                continue;
            }
            let Row((holder, kind, day)) = row;
            let mac = mac(keyring, row, used.tentative)?;
            let count = i64::try_from(used.tentative).map_err(Error::internal)?;
            db.execute_later(&Statement::new(
                WRITE,
                vec![
                    holder.clone().into(),
                    (*kind).into(),
                    day.clone().into(),
                    count.into(),
                    mac.into(),
                ],
            ))?;
        }
        Ok(())
    }

    pub(super) fn committed(&mut self) {
        for used in self.used.values_mut() {
            used.durable = used.tentative;
        }
        // Yesterday's rows stay in the database; in memory only what is drawn on matters.
        if self.used.len() > ROWS_IN_MEMORY_MAX {
            self.used.clear();
        }
    }

    pub(super) fn discard(&mut self) {
        self.used.clear();
        self.seen.clear();
    }

    fn unseen(&self, db: &mut Connection, claim: &BudgetClaim) -> Result<Vec<[u8; 32]>, Error> {
        let mut unseen = Vec::new();
        for hash in &claim.seen {
            let args = [claim.day.clone().into(), Value::from(hash)];
            let is_seen = match self.seen.get(hash) {
                Some(is_seen) => *is_seen,
                None => db.one(SEEN, &args)?.is_some(),
            };
            if !is_seen && !unseen.contains(hash) {
                unseen.push(*hash);
            }
        }
        Ok(unseen)
    }
}

/// The hash under which a first look counts: of actor, grant, day and customer.
pub(in crate::access) fn seen_hash(
    keyring: &Keyring,
    holder: &str,
    day: &str,
    customer: &[u8; 16],
) -> Result<[u8; 32], Error> {
    let mut encoder = Encoder::new("budget/seen");
    encoder.text(holder).text(day).bytes(customer);
    keyring.mac_row("budget_seen", &encoder.finish())
}

/// Removes counts and hashes of days that are over.
pub(in crate::access) fn forget_days_before(day: &str) -> Vec<Statement> {
    vec![
        Statement::new(FORGET_BUDGETS, vec![day.into()]),
        Statement::new(FORGET_SEEN, vec![day.into()]),
    ]
}

/// Whether there is anything of a day that is over.
pub(in crate::access) async fn any_day_before(desk: &Desk, day: &str) -> Result<bool, Error> {
    let mut data = desk.data.snapshot().await?;
    let budgets = data.one(ANY_BUDGET, &[day.into()]).await?;
    Ok(budgets.is_some() || data.one(ANY_SEEN, &[day.into()]).await?.is_some())
}

/// A row whose MAC is broken counts as spent: what limits is honoured even when it was tampered with.
fn read_used(db: &mut Connection, keyring: &Keyring, row: &Row) -> Result<u64, Error> {
    let Row((holder, kind, day)) = row;
    let args = [holder.clone().into(), Value::from(*kind), day.clone().into()];
    let Some(stored) = db.one(READ, &args)? else { return Ok(0) };
    let used = u64::try_from(stored.integer(0)?).unwrap_or(u64::MAX);
    let intact = strongroom_crypto::constant_time_eq(&mac(keyring, row, used)?, stored.bytes(1)?);
    Ok(if intact { used } else { u64::MAX })
}

fn mac(keyring: &Keyring, row: &Row, used: u64) -> Result<[u8; 32], Error> {
    let Row((holder, kind, day)) = row;
    let mut encoder = Encoder::new("budget");
    encoder.text(holder).text(kind).text(day).u64(used);
    keyring.mac_row("budget", &encoder.finish())
}

fn row_of(claim: &BudgetClaim) -> Row {
    let kind = match claim.kind {
        BudgetKind::Erase => "erase",
        BudgetKind::Find => "find",
        BudgetKind::Read => "read",
        BudgetKind::Reveal => "reveal",
        BudgetKind::Send => "send",
    };
    Row((claim.holder.clone(), kind, claim.day.clone()))
}

const READ: &str = "SELECT used, mac FROM budget WHERE holder = $1 AND kind = $2 AND day = $3";

const WRITE: &str = "INSERT INTO budget (holder, kind, day, used, mac)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (holder, kind, day) DO UPDATE SET used = excluded.used, mac = excluded.mac";

const SEEN: &str = "SELECT 1 FROM budget_seen WHERE day = $1 AND hash = $2";

const SEE: &str = "INSERT INTO budget_seen (day, hash) VALUES ($1, $2)";

const ANY_BUDGET: &str = "SELECT 1 FROM budget WHERE day < $1 LIMIT 1";

const ANY_SEEN: &str = "SELECT 1 FROM budget_seen WHERE day < $1 LIMIT 1";

const FORGET_BUDGETS: &str = "DELETE FROM budget WHERE day < $1";

const FORGET_SEEN: &str = "DELETE FROM budget_seen WHERE day < $1";

/// 10,000 keys with a few grants each.
const ROWS_IN_MEMORY_MAX: usize = 50_000;

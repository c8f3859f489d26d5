//! The state hash: a keyed sum over the MACs of all rows of authority.
//!
//! A row that is deleted, changed or put back by SQL changes the sum; the sum stands, keyed, in the
//! ledger's head, and every entry names how many changes there were. Rights are published from rows
//! whose sum matches, or not at all.

use std::sync::Arc;

use strongroom_crypto::{Encoder, constant_time_eq};

use crate::access::model::{Authority, Rights};
use crate::access::store::budgets::Budgets;
use crate::access::store::holds;
use crate::ctx::{BudgetClaim, Miss, StateDelta, StatePart};
use crate::db::Connection;
use crate::error::Error;
use crate::keys::Keyring;
use crate::ledger::StateStamp;
use crate::policy::Applied;
use crate::{policy, staff};

/// Reads the MACs of all rows of the register of erasures, which a room above keeps; a broken row is
/// a [`BROKEN_ROW`].
pub type RegisterMacs = fn(&mut Connection, &Keyring) -> Result<Vec<[u8; 32]>, Error>;

/// The committer's side of rights.
pub struct Book {
    keyring: Arc<Keyring>,
    rights: Rights,
    register: RegisterMacs,
    durable: Sums,
    tentative: Sums,
    budgets: Budgets,
    altered: bool,
    /// The rights after this batch, read within its transaction: afterwards another node may have written.
    coming: Option<(Authority, Sum)>,
    /// What the head row had when rows and hash were found to differ.
    refused: Option<StateStamp>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sums {
    epoch: u64,
    changes: u64,
    rights: Sum,
    register: Sum,
}

/// 256 bits, added without carry out: order does not matter, and only who has the row key can tell
/// what a row adds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sum([u64; 4]);

impl Book {
    /// Still has to be loaded.
    pub fn new(keyring: Arc<Keyring>, rights: Rights, register: RegisterMacs) -> Self {
        let (durable, tentative) = (Sums::default(), Sums::default());
        let budgets = Budgets::default();
        let (altered, coming, refused) = (true, None, None);
        Self { keyring, rights, register, durable, tentative, budgets, altered, coming, refused }
    }

    /// Reads every row of authority and holds their sum against the log's newest state.
    pub fn load(&mut self, db: &mut Connection, stamp: StateStamp) -> Result<(), Error> {
        self.coming = None;
        self.budgets.discard();
        let mut sums = Sums { epoch: stamp.epoch, changes: stamp.changes, ..Sums::default() };
        for mac in (self.register)(db, &self.keyring)? {
            sums.register.add(self.element(&mac)?);
        }
        let (authority, rights) = self.read_rights(db, stamp.epoch)?;
        sums.rights = rights;
        let untouched = stamp.changes == 0 && sums == Sums::default();
        self.altered = !untouched && !constant_time_eq(&self.tag(&sums)?, &stamp.tag);
        self.refused = self.altered.then_some(stamp);
        self.durable = sums;
        self.tentative = sums;
        self.rights.publish((!self.altered).then_some(authority));
        Ok(())
    }

    /// The same after another node has written. Where the head speaks of the state that is known here, the rows of
    /// authority stand as they did, and only what was drawn on is read again.
    pub fn catch_up(&mut self, db: &mut Connection, stamp: StateStamp) -> Result<(), Error> {
        self.discard();
        let known = self.stamp()?;
        let is_known = (stamp.epoch, stamp.changes) == (known.epoch, known.changes)
            && constant_time_eq(&stamp.tag, &known.tag);
        if self.altered || !is_known {
            return self.load(db, stamp);
        }
        Ok(())
    }

    /// The epoch as the batch has it so far.
    pub fn epoch(&self) -> u64 {
        self.tentative.epoch
    }

    /// Whether the rows are those the head speaks of.
    pub fn is_intact(&self) -> bool {
        !self.altered
    }

    /// In a restore, before anything is opened: the head's state over rows that were just replayed,
    /// one epoch and one change on, so that no decision of before counts.
    pub fn restamp(&self, db: &mut Connection, before: StateStamp) -> Result<StateStamp, Error> {
        let mut sums = Sums::default();
        for mac in (self.register)(db, &self.keyring)? {
            sums.register.add(self.element(&mac)?);
        }
        sums.epoch = before.epoch + 1;
        sums.changes = before.changes + 1;
        sums.rights = self.read_rights(db, sums.epoch)?.1;
        Ok(StateStamp { epoch: sums.epoch, changes: sums.changes, tag: self.tag(&sums)? })
    }

    /// Whether a decision of this epoch still counts. Where rights were altered none does.
    pub fn honours(&self, epoch: u64) -> bool {
        !self.altered && self.tentative.epoch == epoch
    }

    /// Counts changed rows in.
    pub fn change_state(&mut self, deltas: &[StateDelta]) -> Result<(), Error> {
        if deltas.is_empty() {
            return Ok(());
        }
        if self.altered {
            return Err(Error::internal("rights were altered; nothing about them can change"));
        }
        self.tentative.changes += 1;
        if deltas.iter().any(|delta| delta.part == StatePart::Rights) {
            self.tentative.epoch += 1;
        }
        for delta in deltas {
            let before = delta.before.map(|mac| self.element(&mac)).transpose()?;
            let after = delta.after.map(|mac| self.element(&mac)).transpose()?;
            let sum = match delta.part {
                StatePart::Register => &mut self.tentative.register,
                StatePart::Rights => &mut self.tentative.rights,
            };
            if let Some(before) = before {
                sum.subtract(before);
            }
            if let Some(after) = after {
                sum.add(after);
            }
        }
        Ok(())
    }

    /// What the head row keeps after this batch. Where rights were altered it keeps what it had: a
    /// hash over the altered rows would make them good at the next start.
    pub fn stamp(&self) -> Result<StateStamp, Error> {
        if let Some(stamp) = self.refused {
            return Ok(stamp);
        }
        let Sums { epoch, changes, .. } = self.tentative;
        Ok(StateStamp { epoch, changes, tag: self.tag(&self.tentative)? })
    }

    /// Asks at once what draws on budgets will ask.
    pub fn foresee(&mut self, db: &mut Connection, claims: &[&BudgetClaim]) -> Result<(), Error> {
        self.budgets.foresee(db, claims)
    }

    /// Draws on a budget.
    pub fn charge(
        &mut self,
        db: &mut Connection,
        claim: &BudgetClaim,
    ) -> Result<Result<u64, Miss>, Error> {
        self.budgets.charge(db, &self.keyring, claim)
    }

    /// Takes a draw back.
    pub fn uncharge(&mut self, claim: &BudgetClaim, amount: u64) {
        self.budgets.uncharge(claim, amount);
    }

    /// Writes what was drawn.
    pub fn flush_budgets(&mut self, db: &mut Connection) -> Result<(), Error> {
        self.budgets.flush(db, &self.keyring)
    }

    /// Reads the rights as this batch leaves them, where it changes any.
    pub fn read_coming(&mut self, db: &mut Connection) -> Result<(), Error> {
        if self.tentative.epoch != self.durable.epoch {
            self.coming = Some(self.read_rights(db, self.tentative.epoch)?);
        }
        Ok(())
    }

    /// The batch is durable: new rights count from here on.
    pub fn committed(&mut self) {
        self.budgets.committed();
        self.durable = self.tentative;
        if let Some((authority, rights)) = self.coming.take() {
            self.altered = rights != self.durable.rights;
            self.rights.publish((!self.altered).then_some(authority));
        }
    }

    /// The batch never was.
    pub fn discard(&mut self) {
        self.tentative = self.durable;
        self.coming = None;
        self.budgets.discard();
    }

    fn read_rights(&self, db: &mut Connection, epoch: u64) -> Result<(Authority, Sum), Error> {
        let mut sum = Sum::default();
        let (keys, mut broken) = staff::load(db, &self.keyring)?;
        for row in &keys {
            sum.add(self.element(&row.mac)?);
        }
        let stored = policy::load(db, &self.keyring)?;
        broken += stored.broken;
        for mac in &stored.macs {
            sum.add(self.element(mac)?);
        }
        let mut authority = Authority { epoch, ..Authority::default() };
        let mut consents_since = None;
        for row in holds::list(db)? {
            if self.keyring.is_row_intact(holds::TABLE, &row.columns(), &row.mac)? {
                sum.add(self.element(&row.mac)?);
            } else {
                broken += 1;
            }
            if row.customer == holds::CONSENTS {
                consents_since = consents_since.max(Some(row.placed));
            } else {
                authority.held.insert(row.customer);
            }
        }
        // A row that was put there by other hands gives nothing, and must be noticed all the same.
        for _ in 0..broken {
            sum.add(self.element(&BROKEN_ROW)?);
        }
        authority.keys = keys.into_iter().map(|row| (row.id, row)).collect();
        authority.applied =
            stored.applied.map(|applied| Arc::new(Applied { consents_since, ..applied }));
        authority.pending = stored.pending;
        Ok((authority, sum))
    }

    fn element(&self, mac: &[u8; 32]) -> Result<Sum, Error> {
        Ok(Sum::of(&self.keyring.mac_row("state/element", mac)?))
    }

    fn tag(&self, sums: &Sums) -> Result<[u8; 32], Error> {
        let mut encoder = Encoder::new("state/tag");
        encoder.u64(sums.epoch).u64(sums.changes);
        for word in sums.rights.0.iter().chain(&sums.register.0) {
            encoder.u64(*word);
        }
        self.keyring.mac_row("state/tag", &encoder.finish())
    }
}

impl Sum {
    fn of(bytes: &[u8; 32]) -> Self {
        let mut words = [0; 4];
        for (word, chunk) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *word = u64::from_be_bytes(*chunk);
        }
        Self(words)
    }

    fn add(&mut self, other: Self) {
        self.each(other, u64::overflowing_add);
    }

    fn subtract(&mut self, other: Self) {
        self.each(other, u64::overflowing_sub);
    }

    /// Word by word from the least, carrying; what leaves the top is dropped.
    fn each(&mut self, other: Self, step: fn(u64, u64) -> (u64, bool)) {
        let mut carry = false;
        for (word, other) in self.0.iter_mut().zip(other.0).rev() {
            let (partial, first) = step(*word, other);
            let (whole, second) = step(partial, u64::from(carry));
            *word = whole;
            carry = first || second;
        }
    }
}

/// What a row counts as whose MAC does not hold: no row's MAC, so the sum is never the expected one.
pub const BROKEN_ROW: [u8; 32] = [0; 32];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_added_and_taken_away_again_leaves_no_trace(a: [u8; 32], b: [u8; 32], c: [u8; 32]) {
            let mut one = Sum::of(&a);
            one.add(Sum::of(&b));
            one.add(Sum::of(&c));
            one.subtract(Sum::of(&b));
            let mut other = Sum::of(&c);
            other.add(Sum::of(&a));
            prop_assert_eq!(one, other);
        }
    }
}

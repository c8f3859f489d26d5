//! What the rooms add to each batch of the committer.

use std::sync::Arc;

use strongroom_crypto::Random;

use crate::access::{Book, Rights};
use crate::ctx::{BudgetClaim, NewKey, Receipt, StateDelta, Time};
use crate::db::{Act, Charged, Connection, Keeper};
use crate::error::Error;
use crate::keys::Keyring;
use crate::ledger::{Log, Published};
use crate::{ledger, vault};

pub(super) struct AppKeeper {
    keyring: Arc<Keyring>,
    log: Log,
    book: Book,
    now: Time,
    state_changed: bool,
}

impl AppKeeper {
    pub(super) fn new(
        keyring: Arc<Keyring>,
        random: Arc<dyn Random>,
        rights: Rights,
        published: Published,
    ) -> Self {
        let log = Log::new(Arc::clone(&keyring), random, published);
        let book = Book::new(Arc::clone(&keyring), rights, vault::register_macs);
        Self { keyring, log, book, now: Time::from_ms(0), state_changed: false }
    }
}

impl Keeper for AppKeeper {
    fn load(&mut self, db: &mut Connection) -> Result<(), Error> {
        let stamp = self.log.load(db)?;
        self.book.load(db, stamp)
    }

    fn hold(&mut self, db: &mut Connection) -> Result<(), Error> {
        ledger::hold(db).map(drop)
    }

    fn take_turn(&mut self, db: &mut Connection) -> Result<(), Error> {
        if self.log.take_turn(db)? {
            return Ok(());
        }
        // Another wrote: it may have changed keys before it said so.
        self.keyring.keep_up()?;
        let stamp = self.log.load(db)?;
        self.book.catch_up(db, stamp)
    }

    fn is_durable(&mut self, db: &mut Connection) -> Result<bool, Error> {
        db.begin()?;
        let is_durable = self.log.take_turn(db).and_then(|_| self.log.is_durable(db));
        db.roll_back()?;
        is_durable
    }

    fn epoch(&self) -> u64 {
        self.book.epoch()
    }

    fn honours(&self, epoch: u64) -> bool {
        self.book.honours(epoch)
    }

    fn head_time(&self) -> Time {
        self.log.time()
    }

    fn foresee(&mut self, db: &mut Connection, claims: &[&BudgetClaim]) -> Result<(), Error> {
        self.book.foresee(db, claims)
    }

    fn charge(&mut self, db: &mut Connection, claim: &BudgetClaim) -> Result<Charged, Error> {
        self.book.charge(db, claim)
    }

    fn uncharge(&mut self, claim: &BudgetClaim, amount: u64) {
        self.book.uncharge(claim, amount);
    }

    fn change_state(&mut self, deltas: &[StateDelta]) -> Result<(), Error> {
        self.state_changed |= !deltas.is_empty();
        self.book.change_state(deltas)
    }

    fn append(
        &mut self,
        db: &mut Connection,
        now: Time,
        acts: &[Act],
    ) -> Result<Vec<Receipt>, Error> {
        self.book.flush_budgets(db)?;
        self.book.read_coming(db)?;
        self.now = now;
        self.log.append(db, now, acts, self.book.stamp()?)
    }

    fn put_keys(&mut self, keys: &[NewKey], now: Time) -> Result<(), Error> {
        let anchor = self.log.anchor_due(now);
        if keys.is_empty() && anchor.is_none() {
            return Ok(());
        }
        self.keyring.put_pending(keys, anchor.as_ref(), now)?;
        if let Some(anchor) = anchor {
            self.log.anchored(anchor);
        }
        Ok(())
    }

    fn committed(&mut self) -> Result<(), Error> {
        let is_handed = self.log.committed()?;
        self.book.committed();
        // A changed right is anchored at once: a database put back to just before a revocation is
        // refused, however short ago that was. So is one put back to before another key signed.
        if std::mem::take(&mut self.state_changed) || is_handed {
            self.anchor(self.now)?;
        }
        Ok(())
    }

    fn touched(&mut self, customers: &[i64]) {
        self.keyring.words().touch(customers);
    }

    fn try_write(&mut self, now: Time) -> Result<(), Error> {
        self.anchor(now)
    }

    fn discard(&mut self) {
        self.state_changed = false;
        self.log.discard();
        self.book.discard();
    }

    fn close(&mut self, now: Time) -> Result<(), Error> {
        // After a clean end no older strongroom.db is taken for this one, not even by a second.
        self.anchor(now.later(self.log.time()))
    }
}

impl AppKeeper {
    fn anchor(&mut self, now: Time) -> Result<(), Error> {
        let anchor = self.log.anchor_at(now);
        self.keyring.put_pending(&[], Some(&anchor), now)?;
        self.log.anchored(anchor);
        Ok(())
    }
}

//! What the committer asks of the rooms above, and what it answers.

use crate::ctx::{BudgetClaim, Entry, Miss, NewKey, Receipt, StateDelta, Time};
use crate::db::Connection;
use crate::error::Error;

/// What the rooms above add to each batch. `app` makes the only one from the ledger, the key store
/// and the authority; tests of the committer make their own.
pub trait Keeper: Send {
    /// Reads the state again from what is durable; refuses what does not verify.
    fn load(&mut self, db: &mut Connection) -> Result<(), Error>;
    /// Keeps every other writer out until the transaction ends, and waits for one that is at it.
    fn hold(&mut self, _db: &mut Connection) -> Result<(), Error> {
        Ok(())
    }
    /// The same, and reads the state again where one has written since; called where there may be others.
    fn take_turn(&mut self, _db: &mut Connection) -> Result<(), Error> {
        Ok(())
    }
    /// Whether the batch under way is durable, of which nobody was told. Waits until no other writer is at
    /// it, and leaves nothing open.
    fn is_durable(&mut self, _db: &mut Connection) -> Result<bool, Error> {
        Ok(false)
    }
    /// The authority epoch as this batch has it so far.
    fn epoch(&self) -> u64;
    /// Whether a decision of this epoch still counts.
    fn honours(&self, epoch: u64) -> bool {
        self.epoch() == epoch
    }
    /// The time of the newest entry: time never runs backwards in the ledger.
    fn head_time(&self) -> Time;
    /// Asks at once what charging these will ask, where that saves the way to a server; until it is called again
    /// only charges change what it found.
    fn foresee(&mut self, _db: &mut Connection, _claims: &[&BudgetClaim]) -> Result<(), Error> {
        Ok(())
    }
    /// Charges a budget, and says how much was charged.
    fn charge(&mut self, db: &mut Connection, claim: &BudgetClaim) -> Result<Charged, Error>;
    /// Takes a charge back whose change was not done.
    fn uncharge(&mut self, claim: &BudgetClaim, amount: u64);
    /// Counts changed rows of authority into the state hash.
    fn change_state(&mut self, deltas: &[StateDelta]) -> Result<(), Error>;
    /// Appends the entries, signs the checkpoint, writes both into the transaction.
    fn append(
        &mut self,
        db: &mut Connection,
        now: Time,
        acts: &[Act],
    ) -> Result<Vec<Receipt>, Error>;
    /// Makes new keys durable, before the transaction is; called for every batch, so that it can
    /// keep the key store's anchor of the log young as well.
    fn put_keys(&mut self, keys: &[NewKey], now: Time) -> Result<(), Error>;
    /// The transaction is durable: what was tentative is now true.
    fn committed(&mut self) -> Result<(), Error>;
    /// Rows of these customers were written, or may have been where a COMMIT failed. Told once it is
    /// known what is durable, and before anybody is answered.
    fn touched(&mut self, _customers: &[i64]) {}
    /// Writes to whatever else has to take writes, after the database took one on trial.
    fn try_write(&mut self, _now: Time) -> Result<(), Error> {
        Ok(())
    }
    /// The transaction is gone: what was tentative never was.
    fn discard(&mut self);
    /// The committer ends, and everything it answered is durable.
    fn close(&mut self, now: Time) -> Result<(), Error>;
}

/// How a budget answered.
pub type Charged = Result<u64, Miss>;

/// An entry that will be appended, with the epoch it leaves behind.
pub struct Act {
    /// The entry.
    pub entry: Entry,
    /// The epoch after it.
    pub epoch: u64,
    /// How many changes of state there were up to it.
    pub state_changes: u64,
}

/// What became of a change.
#[derive(Debug)]
pub enum Fate {
    /// It is durable at this place of the ledger.
    Committed(Receipt),
    /// A guard did not hold; nothing was written.
    Missed(Miss),
}

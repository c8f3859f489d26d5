//! Which of several programs on one database does what only one may do at a time.

use crate::db::{Connection, Durability, Place, Value};
use crate::error::Error;

/// A claim to lead. Over a file there is nobody else; at a server it is a lock that lasts as long as its
/// connection, so a program that is killed or cut off leads no more without anybody's doing.
pub struct Lead {
    place: Place,
    held: Option<Connection>,
}

impl Lead {
    /// Claims nothing yet.
    pub fn over(place: Place) -> Self {
        Self { place, held: None }
    }

    /// Of what.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Whether this program leads now; claims it where nobody does. Waits for the server, not for another.
    pub fn is_ours(&mut self) -> Result<bool, Error> {
        if self.place.file().is_some() {
            return Ok(true);
        }
        if let Some(db) = &mut self.held
            && db.one(STILL_HELD, &[])?.is_some()
        {
            return Ok(true);
        }
        self.held = None;
        let mut db = self.place.open(Durability::Durable)?;
        let is_ours = match db.one(CLAIM, &[Value::from(LEAD)])? {
            Some(row) => row.integer(0)? == 1,
            None => false,
        };
        if is_ours {
            self.held = Some(db);
        }
        Ok(is_ours)
    }

    /// Leads no more, whatever became of the connection.
    pub fn let_go(&mut self) {
        self.held = None;
    }
}

/// Locks of a server are numbers in two halves: whose they are, and what for.
const CLAIM: &str = "SELECT pg_try_advisory_lock($1::INT, hashtext(current_schema()))::INT::BIGINT";

const STILL_HELD: &str = "SELECT 1::BIGINT";

/// "room" in ASCII.
const LEAD: i64 = 0x726f_6f6d;

//! The ledger as a test reads it: entry by entry, decoded, past every right.

use strongroom::ctx::Outcome;
use strongroom::ledger::{self, Leaf};

use super::{Answer, Shop};

impl Shop {
    /// How many entries there are.
    pub(crate) fn ledger_size(&self) -> u64 {
        self.desk().published.newest().map_or(0, |newest| newest.size)
    }

    /// Every entry, in order: its place in the list is its index.
    pub(crate) async fn entries(&self) -> Vec<Leaf> {
        self.entries_from(0).await
    }

    /// Every entry from this index on.
    pub(crate) async fn entries_from(&self, first: u64) -> Vec<Leaf> {
        let mut snapshot = self.desk().data.snapshot().await.unwrap();
        let mut entries = Vec::new();
        while let Some(leaf) =
            ledger::find(&mut snapshot, first + entries.len() as u64).await.unwrap()
        {
            entries.push(leaf);
        }
        entries
    }

    /// Customers there are rows of.
    pub(crate) fn count_customers(&self) -> u64 {
        self.data.one::<i64>("SELECT count(*) FROM customer").try_into().unwrap()
    }

    /// Data keys there are rows of.
    pub(crate) fn count_data_keys(&self) -> u64 {
        self.keys().one::<i64>("SELECT count(*) FROM dek").try_into().unwrap()
    }
}

impl Answer {
    /// Where the act stands, as its receipt says.
    pub(crate) fn index(&self) -> u64 {
        let receipt = self.headers["strongroom-receipt"].to_str().unwrap();
        let index = receipt.strip_prefix("index=").and_then(|rest| rest.split(',').next());
        index.unwrap().parse().unwrap()
    }

    /// The stable code of a problem; empty for a success.
    pub(crate) fn code(&self) -> &str {
        self.json["code"].as_str().unwrap_or_default()
    }
}

/// Entries of refused acts with this name and reason.
pub(crate) fn refusals(entries: &[Leaf], verb: &str, reason: &str) -> usize {
    let is_one = |leaf: &&Leaf| {
        leaf.outcome == Outcome::Refused && leaf.verb == verb && leaf.reason == reason
    };
    entries.iter().filter(is_one).count()
}

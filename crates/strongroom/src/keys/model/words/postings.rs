//! Hashes and who has them: flat lists of twelve bytes an entry, so that memory is known beforehand and
//! can be wiped.

use std::collections::HashMap;

use zeroize::Zeroize;

use crate::error::Error;

/// Who has which hash.
pub(super) struct Postings {
    pub(super) customers_max: usize,
    /// In order.
    sorted: Vec<Posting>,
    /// As they came. It is looked through whole, and never grows beyond what it was made with, so that
    /// no copy of it is left behind.
    recent: Vec<Posting>,
    /// The row key behind a slot, or [`NOBODY`]. A customer who changes gets the next slot, and what
    /// they had before is nobody's.
    slots: Vec<i64>,
    slot_of: HashMap<i64, u32>,
}

/// Ordered by hash, then by slot.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Zeroize)]
struct Posting {
    high: u32,
    low: u32,
    slot: u32,
}

impl Postings {
    pub(super) fn with_room_for(customers_max: usize) -> Self {
        let (sorted, recent) = (Vec::new(), Vec::new());
        Self { customers_max, sorted, recent, slots: Vec::new(), slot_of: HashMap::new() }
    }

    /// Whether this customer would be one too many.
    pub(super) fn is_full_for(&self, customer: i64) -> bool {
        self.slot_of.len() >= self.customers_max && !self.slot_of.contains_key(&customer)
    }

    /// Gives a customer these hashes instead of those they had.
    pub(super) fn replace(&mut self, customer: i64, hashes: &[u64]) -> Result<(), Error> {
        if let Some(before) = self.slot_of.remove(&customer)
            && let Some(slot) = self.slots.get_mut(before as usize)
        {
            *slot = NOBODY;
        }
        if hashes.is_empty() {
            return Ok(());
        }
        if self.recent.len() + hashes.len() > RECENT_MAX {
            self.merge();
        }
        if self.recent.capacity() == 0 {
            self.recent.reserve_exact(RECENT_MAX);
        }
        let slot = u32::try_from(self.slots.len()).map_err(Error::internal)?;
        self.slots.push(customer);
        self.slot_of.insert(customer, slot);
        self.recent.extend(hashes.iter().map(|hash| Posting::new(*hash, slot)));
        Ok(())
    }

    /// Customers who have, for each word, at least one of its hashes.
    pub(super) fn having_all(&self, words: &[Vec<u64>]) -> Vec<i64> {
        let mut found: Option<Vec<u32>> = None;
        for hashes in words {
            let mut slots: Vec<u32> = hashes.iter().flat_map(|hash| self.having(*hash)).collect();
            slots.sort_unstable();
            slots.dedup();
            if let Some(before) = found {
                slots.retain(|slot| before.binary_search(slot).is_ok());
            }
            found = Some(slots);
        }
        let customers = found.unwrap_or_default().into_iter();
        customers.filter_map(|slot| self.customer_at(slot)).collect()
    }

    fn having(&self, hash: u64) -> impl Iterator<Item = u32> {
        let first = Posting::new(hash, 0);
        let from = self.sorted.partition_point(|it| *it < first);
        let sorted = self.sorted.iter().skip(from).take_while(move |it| it.is_of(&first));
        let recent = self.recent.iter().filter(move |it| it.is_of(&first));
        sorted.chain(recent).map(|it| it.slot)
    }

    fn customer_at(&self, slot: u32) -> Option<i64> {
        self.slots.get(slot as usize).copied().filter(|customer| *customer != NOBODY)
    }

    /// Puts what came recently into the order, and leaves out what is nobody's.
    fn merge(&mut self) {
        self.recent.sort_unstable();
        let mut merged = Vec::with_capacity(self.sorted.len() + self.recent.len());
        let mut sorted = self.sorted.iter().peekable();
        let mut recent = self.recent.iter().peekable();
        loop {
            let next = match (sorted.peek(), recent.peek()) {
                (Some(one), Some(other)) if other < one => recent.next(),
                (Some(_), _) => sorted.next(),
                (None, _) => recent.next(),
            };
            let Some(posting) = next else { break };
            if self.customer_at(posting.slot).is_some() {
                merged.push(*posting);
            }
        }
        self.sorted.zeroize();
        self.sorted = merged;
        self.recent.zeroize();
        if (self.slots.len() - self.slot_of.len()) * UNUSED_SHARE > self.slots.len() {
            self.close_ranks();
        }
    }

    /// Numbers the slots anew without those that are nobody's; their order stays, and so does that of
    /// the postings.
    fn close_ranks(&mut self) {
        let mut numbers = Vec::with_capacity(self.slots.len());
        let mut next = 0;
        for customer in &self.slots {
            numbers.push(next);
            next += u32::from(*customer != NOBODY);
        }
        for posting in &mut self.sorted {
            posting.slot = numbers.get(posting.slot as usize).copied().unwrap_or(posting.slot);
        }
        self.slots.retain(|customer| *customer != NOBODY);
        self.slot_of = self.slots.iter().copied().zip(0..).collect();
    }

    pub(super) fn wipe(&mut self) {
        self.sorted.zeroize();
        self.recent.zeroize();
        (self.sorted, self.recent) = (Vec::new(), Vec::new());
        (self.slots, self.slot_of) = (Vec::new(), HashMap::new());
    }

    /// How many customers, and about how many bytes.
    pub(super) fn size(&self) -> (usize, usize) {
        let postings = self.sorted.capacity() + self.recent.capacity();
        let slot_size = size_of::<(i64, u32)>() + 1;
        let bytes = postings * size_of::<Posting>()
            + self.slots.capacity() * size_of::<i64>()
            + self.slot_of.capacity() * slot_size;
        (self.slot_of.len(), bytes)
    }
}

impl Drop for Postings {
    fn drop(&mut self) {
        self.wipe();
    }
}

impl Posting {
    fn new(hash: u64, slot: u32) -> Self {
        let [a, b, c, d, e, f, g, h] = hash.to_be_bytes();
        let (high, low) = (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]));
        Self { high, low, slot }
    }

    fn is_of(&self, other: &Self) -> bool {
        (self.high, self.low) == (other.high, other.low)
    }
}

/// No row key of ours is negative.
const NOBODY: i64 = i64::MIN;

/// Looked through in some tens of microseconds; some eight thousand customers' worth.
const RECENT_MAX: usize = 1 << 16;

/// Slots are numbered anew when more than one in so many is nobody's.
const UNUSED_SHARE: usize = 8;

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    fn sorted(mut customers: Vec<i64>) -> Vec<i64> {
        customers.sort_unstable();
        customers
    }

    #[test]
    fn postings_say_what_a_plain_map_says_through_merges_and_changes() {
        let mut postings = Postings::with_room_for(usize::MAX);
        let mut plain: BTreeMap<i64, BTreeSet<u64>> = BTreeMap::new();
        let mut state = 7_u64;
        let mut next = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % below
        };
        for round in 0..40_000 {
            let customer = next(3_000).cast_signed();
            let hashes: BTreeSet<u64> = (0..next(9)).map(|_| next(50) << 40).collect();
            let listed: Vec<u64> = hashes.iter().copied().collect();
            postings.replace(customer, &listed).unwrap();
            plain.insert(customer, hashes);
            if round % 4_001 > 0 {
                continue;
            }
            let words = [vec![next(50) << 40, next(50) << 40], vec![next(50) << 40]];
            let has = |(_, hashes): &(&i64, &BTreeSet<u64>)| {
                words.iter().all(|forms| forms.iter().any(|hash| hashes.contains(hash)))
            };
            let expected: Vec<i64> = plain.iter().filter(has).map(|(key, _)| *key).collect();
            assert_eq!(sorted(postings.having_all(&words)), expected, "round {round}");
        }
        assert!(postings.slots.len() < 3_000 * 9 / 8 + RECENT_MAX, "what is nobody's goes");
        postings.wipe();
        assert_eq!(postings.size(), (0, 0));
        assert_eq!(postings.having_all(&[vec![0]]), [] as [i64; 0]);
    }

    #[test]
    fn no_word_finds_nobody() {
        let mut postings = Postings::with_room_for(9);
        postings.replace(1, &[5]).unwrap();
        assert_eq!(postings.having_all(&[]), [] as [i64; 0]);
        assert_eq!(postings.having_all(&[vec![]]), [] as [i64; 0]);
        assert_eq!(postings.having_all(&[vec![5]]), [1]);
    }
}

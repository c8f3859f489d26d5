//! Which customers have a word: in memory alone, under a key of this process (`specs/crypto.md`,
//! "Look-up indexes").
//!
//! It holds no word and no part of one, but HMACs of the beginnings of words beside row keys. What must
//! never happen here: a change that is answered while the index neither has it nor knows that it waits;
//! an index that says it is whole and is not; anything left of it once the server is sealed.

mod postings;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use strongroom_crypto::SecretKey;
use zeroize::Zeroizing;

use crate::error::Error;
use crate::keys::{rules, sealed};

use postings::Postings;

/// The index and what it has yet to take in.
///
/// A customer waits from the moment a change of theirs is durable until it is taken in, so a search
/// knows what it would miss, whichever verb made the change.
pub struct WordIndex {
    /// None once it is dropped.
    held: RwLock<Option<Held>>,
    /// Taken after `held` where both are.
    waiting: Mutex<Waiting>,
    /// Whoever holds it goes over all customers; nobody does so twice at a time.
    filling: tokio::sync::Mutex<()>,
    /// Customers taken in since somebody asked.
    taken_in: AtomicU64,
}

/// The beginning of a word of a field, folded as a search folds it.
pub struct Beginning {
    /// The field's number.
    pub field: u8,
    /// As secret as the value it comes from.
    pub text: Zeroizing<String>,
}

/// As of when a customer waits. What was read before a later change does not count as taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark(u64);

/// How far the index is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Customers from this row key on have yet to be gone over.
    Filling(i64),
    /// There are more customers than it holds, so it holds none.
    Overfull,
    /// No field has words.
    Unused,
    /// Whoever does not wait is in it.
    Whole,
}

struct Held {
    key: SecretKey,
    /// The policy whose fields are indexed.
    policy_version: u32,
    fields: Vec<u8>,
    standing: Standing,
    postings: Postings,
}

#[derive(Default)]
struct Waiting {
    is_on: bool,
    customers: HashMap<i64, Mark>,
    /// Never goes back: a mark from before the index began again is nobody's.
    newest: u64,
}

impl WordIndex {
    pub(in crate::keys) fn new(key: SecretKey) -> Self {
        let (fields, postings) = (Vec::new(), Postings::with_room_for(CUSTOMERS_MAX));
        let held = Held { key, policy_version: 0, fields, standing: Standing::Unused, postings };
        let (held, waiting) = (RwLock::new(Some(held)), Mutex::default());
        Self { held, waiting, filling: tokio::sync::Mutex::default(), taken_in: AtomicU64::new(0) }
    }

    /// Drops everything at once, for good.
    pub(in crate::keys) fn wipe(&self) {
        let mut held = self.write();
        *held = None;
        *self.waiting() = Waiting::default();
    }

    /// Indexes the fields of a policy from now on; where they are others than before, from the front.
    pub fn settle(&self, policy_version: u32, fields: &[u8]) -> Result<Standing, Error> {
        let mut held = self.write();
        let held = held.as_mut().ok_or_else(sealed)?;
        if policy_version > held.policy_version {
            held.policy_version = policy_version;
            if held.fields != fields {
                held.fields = fields.to_vec();
                self.begin(held);
            }
        }
        Ok(held.standing)
    }

    /// Whether it is of exactly these fields. A newer policy may have others since the caller looked.
    pub fn is_of(&self, fields: &[u8]) -> bool {
        self.read().as_ref().is_some_and(|held| held.fields == fields)
    }

    /// Goes over all customers once more, as after they became too many.
    pub fn begin_again(&self) -> Result<(), Error> {
        let mut held = self.write();
        self.begin(held.as_mut().ok_or_else(sealed)?);
        Ok(())
    }

    fn begin(&self, held: &mut Held) {
        held.postings.wipe();
        let mut waiting = self.waiting();
        waiting.is_on = !held.fields.is_empty();
        // Whoever waits is durable already, and is met on the way.
        waiting.customers.clear();
        held.standing = match waiting.is_on {
            true => Standing::Filling(i64::MIN),
            false => Standing::Unused,
        };
    }

    /// How many customers it holds.
    pub fn customers_max(&self) -> usize {
        self.read().as_ref().map_or(0, |held| held.postings.customers_max)
    }

    /// Holds so many; for tests, which have no half a million.
    pub fn limit_customers(&self, customers_max: usize) {
        if let Some(held) = self.write().as_mut() {
            held.postings.customers_max = customers_max;
        }
    }

    /// How many customers were opened and taken in since this was asked last; nobody's words are told.
    pub fn count_taken_in(&self) -> u64 {
        self.taken_in.swap(0, Ordering::SeqCst)
    }

    /// Takes a count back that could not be set down.
    pub fn count_again(&self, taken_in: u64) {
        self.taken_in.fetch_add(taken_in, Ordering::SeqCst);
    }

    /// Lets nobody else go over all customers meanwhile; `None` where somebody does.
    pub fn fill_alone(&self) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        self.filling.try_lock().ok()
    }

    /// Sets down whose rows were written. Cheap, because the committer waits for it.
    pub fn touch(&self, customers: &[i64]) {
        if customers.is_empty() {
            return;
        }
        let is_too_many = {
            let mut waiting = self.waiting();
            if !waiting.is_on {
                return;
            }
            for customer in customers {
                waiting.newest += 1;
                let mark = Mark(waiting.newest);
                waiting.customers.insert(*customer, mark);
            }
            waiting.customers.len() > WAITING_MAX
        };
        if is_too_many && let Some(held) = self.write().as_mut() {
            self.begin(held);
        }
    }

    /// Who was listed on the way over all customers, and where the way goes on; `None` at its end.
    pub fn walked(&self, from: i64, customers: &[i64], next: Option<i64>) {
        self.touch(customers);
        let mut held = self.write();
        // One that began again meanwhile goes its own way.
        if let Some(held) = held.as_mut().filter(|it| it.standing == Standing::Filling(from)) {
            held.standing = next.map_or(Standing::Whole, Standing::Filling);
        }
    }

    /// Some of those who wait.
    pub fn waiting_at_most(&self, limit: usize) -> Vec<(i64, Mark)> {
        let waiting = self.waiting();
        waiting.customers.iter().take(limit).map(|(customer, mark)| (*customer, *mark)).collect()
    }

    /// Takes a customer in, as read after they began to wait; without words they are let go. Words of
    /// other fields than it is of take nobody in.
    pub fn put(
        &self,
        (customer, mark): (i64, Mark),
        fields: &[u8],
        words: &[Beginning],
    ) -> Result<(), Error> {
        let mut hashes = {
            let held = self.read();
            let held = held.as_ref().ok_or_else(sealed)?;
            words.iter().map(|it| held.hash(it.field, &it.text)).collect::<Vec<_>>()
        };
        hashes.sort_unstable();
        hashes.dedup();
        let mut held = self.write();
        let held = held.as_mut().ok_or_else(sealed)?;
        let mut waiting = self.waiting();
        if waiting.customers.get(&customer) != Some(&mark) || held.fields != fields {
            return Ok(());
        }
        waiting.customers.remove(&customer);
        self.count_again(1);
        if held.postings.is_full_for(customer) && !hashes.is_empty() {
            held.standing = Standing::Overfull;
            *waiting = Waiting { newest: waiting.newest, ..Waiting::default() };
            held.postings.wipe();
            return Ok(());
        }
        // The committer need not wait while the postings make room.
        drop(waiting);
        held.postings.replace(customer, &hashes)
    }

    /// Customers who have every one of these words, by row key: of each word one of its beginnings.
    /// Some may have lost it since; whoever asks opens them and looks.
    pub fn find(&self, field: u8, words: &[Vec<Zeroizing<String>>]) -> Result<Vec<i64>, Error> {
        let held = self.read();
        let held = held.as_ref().ok_or_else(sealed)?;
        match held.standing {
            Standing::Whole if held.fields.contains(&field) => {}
            Standing::Overfull => return Err(overfull()),
            Standing::Filling(_) | Standing::Unused | Standing::Whole => {
                return Err(index_filling());
            }
        }
        let hash = |text: &Zeroizing<String>| held.hash(field, text);
        let words: Vec<Vec<u64>> =
            words.iter().map(|forms| forms.iter().map(hash).collect()).collect();
        Ok(held.postings.having_all(&words))
    }

    /// How many customers it has, and about how many bytes they take.
    pub fn size(&self) -> (usize, usize) {
        let held = self.read();
        held.as_ref().map_or((0, 0), |held| held.postings.size())
    }

    fn read(&self) -> RwLockReadGuard<'_, Option<Held>> {
        self.held.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Option<Held>> {
        self.held.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// 64 bits: two beginnings that meet by chance cost the opening of a customer who is not meant.
    fn hash(&self, field: u8, text: &str) -> u64 {
        let message = Zeroizing::new(rules::index_message(field, text));
        let [a, b, c, d, e, f, g, h, ..] = *self.key.mac(WORDS_LABEL, &message).as_bytes();
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }
}

/// Nobody is found by words yet: an answer with gaps would be read as "there is nobody".
pub fn index_filling() -> Error {
    let detail = "the index of words is in memory alone and is being filled, as after each start; nobody \
                  is found by words until it is whole. Try again in a moment, with a running server";
    Error::unavailable("index_filling", detail).retry_after(FILLING_RETRY_S)
}

fn overfull() -> Error {
    let detail = "there are more customers than the index of words holds (500,000), so nobody is found \
                  by words rather than some silently not; find them by a field with `find = \"exact\"` or \
                  `\"unique\"`";
    Error::unavailable("index_overfull", detail)
}

/// Measured: 500,000 customers with ten beginnings each, as a name of two words has, take 80 MB (the
/// ignored test below).
const CUSTOMERS_MAX: usize = 500_000;

/// Beyond so many it is cheaper to go over all customers once more than to remember who waits.
const WAITING_MAX: usize = 200_000;

/// Many shops are filled by then, and the others lose little by asking again.
const FILLING_RETRY_S: u64 = 5;

const WORDS_LABEL: &str = "strongroom/words/v1";

#[cfg(test)]
mod tests {
    use strongroom_crypto::SystemRandom;

    use super::*;

    fn index() -> WordIndex {
        let index = WordIndex::new(SecretKey::generate(&SystemRandom).unwrap());
        assert_eq!(index.settle(1, &[4]).unwrap(), Standing::Filling(i64::MIN));
        index.walked(i64::MIN, &[], None);
        assert_eq!(index.settle(1, &[4]).unwrap(), Standing::Whole);
        index
    }

    fn text(text: &str) -> Zeroizing<String> {
        Zeroizing::new(text.to_owned())
    }

    fn put(index: &WordIndex, customer: i64, mark: Mark, word: &str) {
        index.put((customer, mark), &[4], &[Beginning { field: 4, text: text(word) }]).unwrap();
    }

    fn mark_of(index: &WordIndex, customer: i64) -> Mark {
        let waiting = index.waiting_at_most(usize::MAX);
        waiting.iter().find(|(key, _)| *key == customer).unwrap().1
    }

    fn found(index: &WordIndex, word: &str) -> Vec<i64> {
        index.find(4, &[vec![text(word)]]).unwrap()
    }

    #[test]
    fn what_was_read_before_a_later_change_does_not_count() {
        let index = index();
        index.touch(&[7]);
        let early = mark_of(&index, 7);
        index.touch(&[7]);
        let late = mark_of(&index, 7);
        put(&index, 7, early, "old");
        assert_eq!(mark_of(&index, 7), late, "they still wait");
        put(&index, 7, late, "new");
        put(&index, 7, early, "old");
        put(&index, 7, late, "old");
        assert_eq!((found(&index, "old"), found(&index, "new")), (vec![], vec![7]));
    }

    #[test]
    fn whoever_waited_when_the_index_began_again_is_met_on_the_way() {
        let index = index();
        index.touch(&[7]);
        let before = mark_of(&index, 7);
        assert_eq!(index.settle(2, &[4, 5]).unwrap(), Standing::Filling(i64::MIN));
        put(&index, 7, before, "old");
        assert_eq!(index.size().0, 0);
        assert_eq!(index.find(4, &[]).unwrap_err().code, "index_filling");
        index.walked(i64::MIN, &[3], Some(4));
        assert_eq!(index.settle(2, &[4, 5]).unwrap(), Standing::Filling(4));
        index.walked(i64::MIN, &[], None);
        assert_eq!(index.settle(2, &[4, 5]).unwrap(), Standing::Filling(4), "another way's end");
        assert_eq!(index.settle(1, &[4]).unwrap(), Standing::Filling(4), "an older policy is over");
    }

    #[test]
    fn words_of_an_older_policy_s_fields_take_nobody_in() {
        let index = index();
        assert_eq!(index.settle(2, &[4, 5]).unwrap(), Standing::Filling(i64::MIN));
        assert!(index.is_of(&[4, 5]) && !index.is_of(&[4]));
        index.walked(i64::MIN, &[7], None);
        let mark = mark_of(&index, 7);
        put(&index, 7, mark, "adams");
        assert_eq!((index.size().0, mark_of(&index, 7)), (0, mark), "who waits goes on waiting");
        let both = [4, 5].map(|field| Beginning { field, text: text("adams") });
        index.put((7, mark), &[4, 5], &both).unwrap();
        assert_eq!((found(&index, "adams"), index.waiting_at_most(1).len()), (vec![7], 0));
    }

    #[test]
    fn too_many_who_wait_are_gone_over_instead() {
        let index = index();
        let many: Vec<i64> = (0..=WAITING_MAX as i64).collect();
        index.touch(&many);
        assert_eq!(index.settle(1, &[4]).unwrap(), Standing::Filling(i64::MIN));
        assert!(index.waiting_at_most(1).is_empty());
    }

    #[test]
    fn hashes_differ_by_process_and_field() {
        let (one, other) = (index(), index());
        let hash = |index: &WordIndex, field| index.read().as_ref().unwrap().hash(field, "ann");
        assert_ne!(hash(&one, 4), hash(&other, 4));
        assert_ne!(hash(&one, 4), hash(&one, 5));
    }

    #[test]
    #[ignore = "a measurement, a minute long without optimisation"]
    fn half_a_million_names_take_eighty_megabytes() {
        let index = index();
        for customer in 0..500_000_i64 {
            index.touch(&[customer]);
            // Two words of 5 and 7 letters, as names are.
            let (first, second) = (format!("{:05}", customer % 9_000), format!("{customer:07}"));
            let begin = |word: &str, count: usize| word.chars().take(count).collect::<String>();
            let first = (2..=5).map(|count| begin(&first, count));
            let all = first.chain((2..=7).map(|count| begin(&second, count)));
            let words: Vec<Beginning> =
                all.map(|it| Beginning { field: 4, text: text(&it) }).collect();
            index.put((customer, Mark(customer.cast_unsigned() + 1)), &[4], &words).unwrap();
        }
        let (customers, size_bytes) = index.size();
        assert_eq!(customers, 500_000);
        assert!((75_000_000..85_000_000).contains(&size_bytes), "{size_bytes}");
        // First words 120 to 129 of 9,000, second words from 100,000 to 199,999.
        assert_eq!(index.find(4, &[vec![text("0012")], vec![text("01")]]).unwrap().len(), 110);
    }
}

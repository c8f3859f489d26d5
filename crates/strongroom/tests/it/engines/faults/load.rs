//! Callers that create, read and change all the time, and keep what they were told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::json;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

use super::Chance;
use crate::ledger::Held;
use crate::support::{Answer, Client, Shop, person};

/// How the server does, as far as the test knows; and how much was answered.
pub(super) struct Weather {
    /// Even while it is well; goes up when that changes.
    spell: watch::Sender<u64>,
    answered: Semaphore,
    given_up: AtomicU64,
}

impl Default for Weather {
    fn default() -> Self {
        let (spell, answered) = (watch::Sender::new(0), Semaphore::new(0));
        Self { spell, answered, given_up: AtomicU64::new(0) }
    }
}

impl Weather {
    /// From now on calls may be refused.
    pub(super) fn breaks(&self) {
        self.spell.send_modify(|spell| *spell += u64::from(is_well(*spell)));
    }

    /// From now on calls are answered.
    pub(super) fn clears(&self) {
        self.spell.send_modify(|spell| *spell += u64::from(!is_well(*spell)));
    }

    /// Waits until so many more calls were answered.
    pub(super) async fn answered(&self, calls: u32) {
        self.answered.acquire_many(calls).await.expect("every caller goes on").forget();
    }

    /// How many calls were in batches that were given up.
    pub(super) fn given_up(&self) -> u64 {
        self.given_up.load(Ordering::SeqCst)
    }
}

fn is_well(spell: u64) -> bool {
    spell.is_multiple_of(2)
}

/// What callers were told.
#[derive(Default)]
pub(super) struct Told {
    /// Customers by id, as they are.
    pub(super) known: BTreeMap<String, Known>,
    pub(super) receipts: Vec<Receipt>,
    pub(super) answered: u64,
    pub(super) refused: u64,
    /// Changes that were asked for without being told, each until it was looked up or asked for again.
    pub(super) in_doubt: u64,
    /// How many of them had been done.
    pub(super) done_in_doubt: u64,
}

/// A customer as the only caller who changes them knows them.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) number: usize,
    pub(super) version: u64,
    pub(super) name: String,
}

/// What an answer says of its entry, and what it was the answer to.
pub(super) struct Receipt {
    pub(super) held: Held,
    pub(super) request: String,
    pub(super) verb: &'static str,
    pub(super) customer: String,
}

impl Told {
    pub(super) fn add(&mut self, other: Self) {
        self.known.extend(other.known);
        self.receipts.extend(other.receipts);
        self.answered += other.answered;
        self.refused += other.refused;
        self.in_doubt += other.in_doubt;
        self.done_in_doubt += other.done_in_doubt;
    }

    pub(super) fn reads(&self) -> usize {
        self.receipts.iter().filter(|it| it.verb == READ).count()
    }
}

pub(super) const CREATE: &str = "customer.create";
pub(super) const READ: &str = "customer.read";
/// It was done before, and is only told now: of nobody.
pub(super) const REPEATED: &str = "call.repeated";
pub(super) const PATCH: &str = "customer.patch";

/// Callers at work.
pub(super) struct Load {
    weather: Arc<Weather>,
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<Told>>,
}

impl Load {
    pub(super) fn start(shop: &Shop, weather: &Arc<Weather>, seed: u64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let tasks = (0..CALLERS).map(|number| {
            let mut caller = Caller::new(shop, weather, Manner::Waits, number);
            let (stop, mut chance) = (Arc::clone(&stop), Chance(seed.wrapping_add(number as u64)));
            tokio::spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    caller.act(&mut chance).await;
                    tokio::task::yield_now().await;
                }
                std::mem::take(&mut caller.told)
            })
        });
        let (weather, tasks) = (Arc::clone(weather), tasks.collect());
        Self { weather, stop, tasks }
    }

    /// Lets each finish what it does.
    pub(super) async fn stop(mut self) -> Told {
        self.stop.store(true, Ordering::SeqCst);
        let mut told = Told::default();
        for task in std::mem::take(&mut self.tasks) {
            told.add(task.await.unwrap());
        }
        told
    }
}

/// Where a test fails, its server goes before its callers do; they need not say so.
impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        self.weather.breaks();
    }
}

/// What a caller does who is refused.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// Asks again at once.
    Insists,
    /// After a few times, waits until service is back.
    Waits,
}

pub(super) struct Caller {
    client: Client,
    weather: Arc<Weather>,
    manner: Manner,
    number: usize,
    made: usize,
    refused_in_a_row: u32,
    /// The newest one.
    pub(super) refusal: Option<Answer>,
    pub(super) told: Told,
}

/// Whoever waits for answers need not wait for those of a caller that has failed.
impl Drop for Caller {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.weather.answered.close();
        }
    }
}

impl Caller {
    pub(super) fn new(shop: &Shop, weather: &Arc<Weather>, manner: Manner, number: usize) -> Self {
        let (client, weather) = (shop.client("shop"), Arc::clone(weather));
        let (refused_in_a_row, refusal, told) = (0, None, Told::default());
        Self { client, weather, manner, number, made: 0, refused_in_a_row, refusal, told }
    }

    /// One of the three, at random.
    async fn act(&mut self, chance: &mut Chance) {
        let known = self.told.known.len() as u64;
        let drawn = (known > 0).then(|| usize::try_from(chance.draw(known)).unwrap());
        let id = drawn.and_then(|place| self.told.known.keys().nth(place)).cloned();
        match (chance.draw(4), id) {
            (0, _) | (_, None) => self.create().await,
            (1, Some(id)) => self.change(&id).await,
            (_, Some(id)) => {
                self.read(&id).await;
            }
        }
    }

    /// Asks for a customer with an e-mail of their own until there is one. By every second call's key it is
    /// told what became of it; otherwise the address is taken, and leads to whom it made.
    pub(super) async fn create(&mut self) {
        self.made += 1;
        let number = self.number * 100_000 + self.made;
        let (input, key) = (person(number), format!("create-{number}"));
        let headers = [("idempotency-key", key.as_str())];
        let headers = &headers[..number % 2];
        let mut is_doubtful = false;
        let made = loop {
            let answer = self.call("POST", "/v1/customers", Some(input.clone()), headers).await;
            if let Some(answer) = answer {
                break answer;
            }
            is_doubtful = true;
        };
        let is_told_again = made.headers.contains_key("strongroom-repeated");
        let was_done = is_told_again || made.status == 409;
        // Where a call with a key fails, the product looks by itself whether it was done.
        is_doubtful |= is_told_again;
        assert!(!was_done || is_doubtful, "nobody asked for it before: {made:?}");
        self.told.in_doubt += u64::from(is_doubtful);
        self.told.done_in_doubt += u64::from(was_done);
        let id = if made.status == 409 {
            assert_eq!((made.code(), headers.len()), ("taken", 0), "{made:?}");
            self.look_up(number).await
        } else {
            assert_eq!(made.status, 201, "{made:?}");
            assert_eq!(made.json["version"], 1, "{made:?}");
            let id = made.json["id"].as_str().unwrap().to_owned();
            self.keep(&made, if is_told_again { REPEATED } else { CREATE }, &id);
            id
        };
        let name = input["fields"]["name"].as_str().unwrap().to_owned();
        let before = self.told.known.insert(id, Known { number, version: 1, name });
        assert!(before.is_none(), "one customer for two addresses: {before:?}");
    }

    /// The only customer with this e-mail.
    async fn look_up(&mut self, number: usize) -> String {
        loop {
            let body = json!({ "email": person(number)["fields"]["email"] });
            let found = self.call("POST", "/v1/customers/lookup", Some(body), &[]).await;
            let Some(found) = found else { continue };
            let all = found.json["customers"].as_array().unwrap();
            assert_eq!(all.len(), 1, "{found:?}");
            return all[0].as_str().unwrap().to_owned();
        }
    }

    /// Reads a customer, who is as is known; whether there was an answer.
    async fn read(&mut self, id: &str) -> bool {
        let Some((version, name)) = self.see(id).await else { return false };
        let known = &self.told.known[id];
        assert_eq!((version, &name), (known.version, &known.name), "{id} is not as it was told");
        true
    }

    async fn see(&mut self, id: &str) -> Option<(u64, String)> {
        let path = format!("/v1/customers/{id}?fields=name");
        let answer = self.call("GET", &path, None, &[("strongroom-purpose", "delivery")]).await?;
        assert_eq!(answer.status, 200, "{id}: {answer:?}");
        self.keep(&answer, READ, id);
        let name = answer.json["fields"]["name"].as_str().unwrap().to_owned();
        Some((answer.json["version"].as_u64().unwrap(), name))
    }

    /// Changes a customer. Without an answer it reads what became of that, and there it stays.
    async fn change(&mut self, id: &str) {
        let Known { number, version, name } = self.told.known[id].clone();
        let changed = Known {
            number,
            version: version + 1,
            name: format!("Ada Changed{} Example{number}", version + 1),
        };
        let body = json!({ "fields": { "name": changed.name } });
        let path = format!("/v1/customers/{id}");
        let asked = format!("\"{version}\"");
        let headers = [("if-match", asked.as_str())];
        if let Some(answer) = self.call("PATCH", &path, Some(body), &headers).await {
            assert_eq!(answer.status, 200, "{id}: {answer:?}");
            assert_eq!(answer.json["version"], changed.version, "{id}: {answer:?}");
            self.keep(&answer, PATCH, id);
            self.told.known.insert(id.to_owned(), changed);
            return;
        }
        self.told.in_doubt += 1;
        let seen = loop {
            if let Some(seen) = self.see(id).await {
                break seen;
            }
        };
        if seen != (version, name) {
            assert_eq!(seen, (changed.version, changed.name.clone()), "{id}: neither nor");
            self.told.done_in_doubt += 1;
            self.told.known.insert(id.to_owned(), changed);
        }
    }

    fn keep(&mut self, answer: &Answer, verb: &'static str, customer: &str) {
        let request = answer.headers["strongroom-request-id"].to_str().unwrap().to_owned();
        let (held, customer) = (Held::of(&answer.headers), customer.to_owned());
        self.told.receipts.push(Receipt { held, request, verb, customer });
    }

    /// None where it was refused because of the server, which must not be as long as that is well.
    async fn call(
        &mut self,
        method: &str,
        path: &str,
        body: Option<serde_json::Value>,
        headers: &[(&str, &str)],
    ) -> Option<Answer> {
        let purpose = headers.iter().any(|(name, _)| *name == "strongroom-purpose");
        let support = [("strongroom-purpose", "support")];
        let headers = [headers, &support[usize::from(purpose)..]].concat();
        let before = *self.weather.spell.borrow();
        let answer = self.client.call_plain(method, path, body, &headers).await;
        if answer.status != 503 {
            self.refused_in_a_row = 0;
            self.told.answered += 1;
            self.weather.answered.add_permits(1);
            return Some(answer);
        }
        let after = *self.weather.spell.borrow();
        assert!(
            before != after || !is_well(before),
            "refused by a server that is well: {answer:?}"
        );
        assert!(REFUSALS.contains(&answer.code()), "{answer:?}");
        let has_receipt = answer.headers.contains_key("strongroom-receipt");
        if answer.code() == "ledger_stalled" {
            self.weather.given_up.fetch_add(1, Ordering::SeqCst);
        }
        assert!(!has_receipt && answer.json.get("fields").is_none(), "it tells: {answer:?}");
        self.refusal = Some(answer);
        self.told.refused += 1;
        self.refused_in_a_row += 1;
        if self.manner == Manner::Waits && self.refused_in_a_row >= REFUSED_MAX {
            let mut spell = self.weather.spell.subscribe();
            spell.wait_for(|spell| is_well(*spell)).await.unwrap();
        }
        tokio::task::yield_now().await;
        None
    }
}

/// Each says that what was asked for may have been done.
const REFUSALS: [&str; 3] = ["ledger_stalled", "storage", "too_slow"];

const CALLERS: usize = 6;

/// A crowd stands at the door of a server that comes back, and does not take the machine from it.
const REFUSED_MAX: u32 = 3;

//! The same acts without HTTP: by the verbs, in this process, on the installation that a server has left.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use anyhow::{Context, ensure};
use strongroom::access::{self, Desk};
use strongroom::ctx::{Actor, Clock, Ctx, SystemClock, Time};
use strongroom::error::Error;
use strongroom::id::{Customer, Id};
use strongroom::{metrics, vault};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::load::Chance;
use crate::measured::{Measured, latencies_us};
use crate::plan::Span;
use crate::process::Process;
use crate::shop::{At, READ_FIELDS, Shop, call, new_key};

/// An open installation whose time passes when it is told to.
pub(crate) struct Inside {
    // Before the runtime it needs to end in order.
    shop: Shop,
    runtime: Runtime,
    clock: Arc<Ahead>,
    /// API keys that may only erase, each [`ERASED_BY_ONE`] a day.
    erasers: Vec<String>,
    /// Those that were not asked to be forgotten.
    staying: Vec<String>,
}

/// What every client of a run shares.
struct Reading {
    desk: Arc<Desk>,
    actor: Actor,
    fields: Vec<String>,
    customers: Vec<Id<Customer>>,
    begin: Instant,
    end: Instant,
}

/// The machine's clock, ahead of it by as much as it was told: both of its hands, so that nobody suspects it.
struct Ahead {
    clock: SystemClock,
    ms: AtomicI64,
}

impl Inside {
    pub(crate) fn open(folder: &Path, at: &At, customers: usize) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let clock = Arc::new(Ahead { clock: SystemClock::new(), ms: AtomicI64::new(0) });
        let own = Arc::clone(&clock);
        let shop = runtime.block_on(Shop::open_by(folder, at, customers, own))?;
        let staying = shop.customers.iter().map(|(_, id)| id.clone()).collect();
        let mut erasers = Vec::new();
        for _ in 0..ERASED / ERASED_BY_ONE {
            erasers.push(runtime.block_on(new_key(&shop.router, "eraser"))?.0);
        }
        Ok(Self { shop, runtime, clock, erasers, staying })
    }

    /// Three fields of a customer, masked, each look with its entry.
    pub(crate) fn read(&self, clients: usize, span: Span) -> anyhow::Result<Measured> {
        let desk = self.shop.app.desk()?;
        let actor = access::actor_of_key(&desk, &self.shop.key_id)?;
        let fields = READ_FIELDS.split(',').map(str::to_owned).collect();
        let customers = self.staying.iter().map(|id| id.parse());
        let customers = customers.collect::<Result<_, _>>().context("no id of a customer")?;
        let begin = Instant::now() + span.warm_up();
        let end = begin + span.run();
        let reading = Arc::new(Reading { desk, actor, fields, customers, begin, end });
        self.runtime.block_on(async {
            let mut running = JoinSet::new();
            for client in 0..clients {
                running.spawn(Arc::clone(&reading).repeat(client));
            }
            sleep_until(begin).await;
            let before = Used::by_now(&reading.desk).await?;
            sleep_until(end).await;
            let used = Used::by_now(&reading.desk).await?.since(&before);
            let mut latencies = Vec::new();
            while let Some(done) = running.join_next().await {
                latencies.append(&mut done??);
            }
            ensure!(!latencies.is_empty(), "nothing was read in time");
            let operations = latencies.len() as u64;
            Ok(used.over(operations, span.run().as_secs_f64(), latencies_us(latencies)))
        })
    }

    /// As many as one may ask for in a day: asked for at once, and forgotten together when their grace is over.
    /// Both count.
    pub(crate) fn erase(&mut self) -> anyhow::Result<Measured> {
        ensure!(self.staying.len() >= ERASED, "nobody is left to be forgotten");
        let going = self.staying.split_off(self.staying.len() - ERASED);
        let desk = self.shop.app.desk()?;
        let before = self.runtime.block_on(Used::by_now(&desk))?;
        let begun = Instant::now();
        self.runtime.block_on(async {
            let mut asking = JoinSet::new();
            for (id, key) in going.into_iter().zip(self.erasers.iter().cycle()) {
                let (router, key) = (self.shop.router.clone(), key.clone());
                let path = format!("/v1/customers/{id}");
                asking.spawn(async move { call(&router, Some(&key), "DELETE", &path, None).await });
            }
            while let Some(asked) = asking.join_next().await {
                asked??;
            }
            anyhow::Ok(())
        })?;
        self.clock.ms.fetch_add(GRACE_MS, Ordering::SeqCst);
        let ctx = Ctx::system("erase.due", desk.now(), Arc::clone(&desk.random))?;
        let erased = self.runtime.block_on(vault::erase_due(&desk, &ctx))?;
        let seconds = begun.elapsed().as_secs_f64();
        ensure!(erased.done == ERASED as u64, "{} were forgotten, not {ERASED}", erased.done);
        let used = self.runtime.block_on(Used::by_now(&desk))?.since(&before);
        Ok(used.over(ERASED as u64, seconds, [0.0; 3]))
    }
}

/// What this process used up.
struct Used {
    cpu_us: u64,
    written_bytes: Option<u64>,
    commits: u64,
}

impl Used {
    async fn by_now(desk: &Arc<Desk>) -> anyhow::Result<Self> {
        let own = Process(std::process::id());
        let scraped = metrics::scrape(desk).await;
        let commits = scraped.lines().find_map(|line| line.strip_prefix(BATCHES));
        let commits = commits.context("no count of batches")?.trim().parse()?;
        Ok(Self { cpu_us: own.cpu_us()?, written_bytes: own.written_bytes(), commits })
    }

    fn since(&self, before: &Self) -> Self {
        let written = self.written_bytes.zip(before.written_bytes);
        Self {
            cpu_us: self.cpu_us - before.cpu_us,
            written_bytes: written.map(|(now, then)| now - then),
            commits: self.commits - before.commits,
        }
    }

    fn over(&self, operations: u64, seconds: f64, [p50_us, p99_us, max_us]: [f64; 3]) -> Measured {
        let each = |total: u64| total as f64 / operations as f64;
        Measured {
            operations,
            per_second: operations as f64 / seconds,
            server_cpu_us: Some(each(self.cpu_us)),
            generator_cpu_us: None,
            written_bytes: self.written_bytes.map(each),
            commits: Some(each(self.commits)),
            p50_us,
            p99_us,
            max_us,
        }
    }
}

impl Reading {
    /// One client: the next look as soon as the last one is done.
    async fn repeat(self: Arc<Self>, client: usize) -> Result<Vec<u64>, Error> {
        let (mut chance, mut latencies) = (Chance(client as u64), Vec::new());
        loop {
            let number = chance.below(self.customers.len());
            let begun = Instant::now();
            if begun >= self.end {
                return Ok(latencies);
            }
            if let Some(id) = self.customers.get(number) {
                self.look(*id).await?;
            }
            let now = Instant::now();
            if now >= self.begin && now < self.end {
                let taken = now.duration_since(begun).as_nanos();
                latencies.push(u64::try_from(taken).unwrap_or(u64::MAX));
            }
        }
    }

    async fn look(&self, id: Id<Customer>) -> Result<(), Error> {
        let now = self.desk.now();
        let rng = Arc::clone(&self.desk.random);
        let request = Id::time_ordered(now, rng.as_ref())?;
        let (actor, claim) = (self.actor.clone(), None);
        let ctx = Ctx { actor, network: None, now, request, rng, claim };
        let shown = vault::read(&self.desk, &ctx, id, "support", &self.fields).await?;
        std::hint::black_box(shown);
        Ok(())
    }
}

impl Clock for Ahead {
    fn now(&self) -> Time {
        self.clock.now().plus_ms(self.ms.load(Ordering::SeqCst))
    }

    fn monotonic_ms(&self) -> i64 {
        self.clock.monotonic_ms() + self.ms.load(Ordering::SeqCst)
    }
}

/// Of the metrics: how many there were.
const BATCHES: &str = "strongroom_batch_changes_count";

/// So many go in a day without a second person, however few customers there are.
const ERASED: usize = 100;

/// So many of them one caller may ask for.
const ERASED_BY_ONE: usize = 10;

/// Past the seven days of the policy that is measured, and into another day.
const GRACE_MS: i64 = 8 * 86_400_000;

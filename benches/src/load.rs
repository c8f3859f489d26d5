//! The load generator: a closed loop over keep-alive connections, in a process of its own.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context, ensure};
use clap::{Args, ValueEnum};
use tokio::runtime;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::connection::{Connection, change, request};
use crate::measured::{Measured, latencies_us};
use crate::plan::{Plan, Span};
use crate::process::Process;
use crate::shop::{READ_FIELDS, email, person};
use crate::{answer, machine};

#[derive(Args, Clone)]
pub(crate) struct Load {
    /// The plan that the server wrote
    #[arg(long)]
    pub(crate) plan: PathBuf,
    /// Whose processor time is counted
    #[arg(long)]
    pub(crate) server: u32,
    /// What each operation does
    #[arg(long, value_enum)]
    pub(crate) work: Work,
    /// Connections, each with one request at a time
    #[arg(long)]
    pub(crate) clients: usize,
    /// Numbers of customers to be created begin here
    #[arg(long)]
    pub(crate) first_new: usize,
    #[command(flatten)]
    pub(crate) span: Span,
}

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// The request of a read, to the port with the constant answer
    Constant,
    /// Change a field of a customer
    Change,
    /// Make a customer
    Create,
    /// Look a customer up by e-mail, read who was found
    LookUpRead,
    /// Read three fields of a customer, masked
    Read,
}

/// What all connections share.
struct Shared {
    load: Load,
    plan: Plan,
    reads: Vec<Vec<u8>>,
    next_new: AtomicUsize,

    begin: Instant,
    end: Instant,
}

impl Load {
    /// Runs as the child: measures, and prints the result as JSON.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let measured = self.measure()?;
        writeln!(std::io::stdout(), "{}", serde_json::to_string(&measured)?)?;
        Ok(())
    }

    /// Starts the child and waits for its result.
    pub(crate) fn start(&self) -> anyhow::Result<Measured> {
        let work = self.work.to_possible_value().context("work without a name")?;
        let numbers = [
            ("--server", u64::from(self.server)),
            ("--clients", self.clients as u64),
            ("--first-new", self.first_new as u64),
            ("--warm-up-ms", self.span.warm_up_ms),
            ("--run-ms", self.span.run_ms),
        ];
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["load", "--work", work.get_name(), "--plan"]).arg(&self.plan);
        for (name, number) in numbers {
            command.args([name, &number.to_string()]);
        }
        let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
        ensure!(output.status.success(), "the load generator failed");
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    fn measure(self) -> anyhow::Result<Measured> {
        let plan = Plan::read(&self.plan)?;
        let to_read = |id| request("GET", &read_path(id), &plan.key, "");
        let reads = plan.customers.iter().map(|(_, id)| to_read(id)).collect();
        let (server, own) = (Process(self.server), Process(std::process::id()));
        let begin = Instant::now() + self.span.warm_up();
        let end = begin + self.span.run();
        let next_new = AtomicUsize::new(self.first_new);
        let clients = self.clients;
        let shared = Shared { load: self, plan, reads, next_new, begin, end };
        let shared = Arc::new(shared);

        // One single-threaded runtime per core: no work stealing, and no core is out of reach.
        let threads = machine::cores().min(clients);
        let loops = (0..threads).map(|first| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || converse((first..clients).step_by(threads), &shared))
        });
        let loops: Vec<_> = loops.collect();
        let used =
            runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
                sleep_until(begin).await;
                let before = (server.cpu_us()?, own.cpu_us()?, server.written_bytes());
                sleep_until(end).await;
                let written = server.written_bytes().zip(before.2).map(|(now, then)| now - then);
                anyhow::Ok((server.cpu_us()? - before.0, own.cpu_us()? - before.1, written))
            })?;
        let mut latencies = Vec::new();
        for done in loops {
            latencies.append(&mut done.join().ok().context("a thread panicked")??);
        }
        ensure!(!latencies.is_empty(), "nothing was answered in time");
        let (server_cpu, generator_cpu, written) = used;
        let operations = latencies.len() as u64;
        let each = |total: u64| total as f64 / operations as f64;
        let [p50_us, p99_us, max_us] = latencies_us(latencies);
        Ok(Measured {
            operations,
            per_second: operations as f64 / shared.load.span.run().as_secs_f64(),
            server_cpu_us: Some(each(server_cpu)),
            generator_cpu_us: Some(each(generator_cpu)),
            written_bytes: written.map(each),
            commits: None,
            p50_us,
            p99_us,
            max_us,
        })
    }
}

/// Some of the connections, on a thread of their own.
fn converse(
    clients: impl Iterator<Item = usize>,
    shared: &Arc<Shared>,
) -> anyhow::Result<Vec<u64>> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut running = JoinSet::new();
        for client in clients {
            let shared = Arc::clone(shared);
            running.spawn(async move { repeat(client, &shared).await });
        }
        let mut latencies = Vec::new();
        while let Some(done) = running.join_next().await {
            latencies.append(&mut done??);
        }
        Ok(latencies)
    })
}

/// One client: the next operation as soon as the last one is answered.
async fn repeat(client: usize, shared: &Shared) -> anyhow::Result<Vec<u64>> {
    let mut connection = Connection::open(shared.port()).await?;
    let mut own = shared.own(&mut connection, client).await?;
    let mut chance = Chance(client as u64);
    let mut latencies = Vec::with_capacity(LATENCIES_FIRST);
    loop {
        let number = chance.below(shared.reads.len());
        // A body is made before its time starts: the product has no part in that.
        let new = (shared.load.work == Work::Create).then(|| shared.new_customer());
        let mine = own.len().max(1);
        let begun = Instant::now();
        if begun >= shared.end {
            return Ok(latencies);
        }
        match new {
            Some(new) => answer::check_created(&connection.exchange(&new).await?)?,
            None if shared.load.work == Work::Change => {
                let own = own.get_mut(number % mine).context("no customer of one's own")?;
                shared.change(&mut connection, own).await?;
            }
            None => shared.look(&mut connection, number).await?,
        }
        let now = Instant::now();
        if now >= shared.begin && now < shared.end {
            let taken = now.duration_since(begun).as_nanos();
            latencies.push(u64::try_from(taken).unwrap_or(u64::MAX));
        }
    }
}

impl Shared {
    fn port(&self) -> u16 {
        match self.load.work {
            Work::Constant => self.plan.constant_port,
            Work::Change | Work::Create | Work::LookUpRead | Work::Read => self.plan.product_port,
        }
    }

    async fn look(&self, connection: &mut Connection, number: usize) -> anyhow::Result<()> {
        if self.load.work == Work::LookUpRead {
            let (number, _) = self.plan.customers.get(number).context("no such customer")?;
            let wanted = format!("{{\"email\":\"{}\"}}", email(*number));
            let find = request("POST", "/v1/customers/lookup", &self.plan.key, &wanted);
            let id = answer::found(&connection.exchange(&find).await?)?.to_owned();
            let read = request("GET", &read_path(&id), &self.plan.key, "");
            return answer::check_read(&connection.exchange(&read).await?);
        }
        let read = self.reads.get(number).context("no customer of this number")?;
        answer::check_read(&connection.exchange(read).await?)
    }

    /// Customers that nobody else changes, with the versions they have.
    async fn own(
        &self,
        connection: &mut Connection,
        client: usize,
    ) -> anyhow::Result<Vec<(String, u64)>> {
        if self.load.work != Work::Change {
            return Ok(Vec::new());
        }
        let mut own = Vec::with_capacity(OWN);
        let places = (client..self.reads.len()).step_by(self.load.clients).take(OWN);
        for place in places {
            let read = self.reads.get(place).context("no customer of this number")?;
            let version = answer::version(&connection.exchange(read).await?)?;
            let (_, id) = self.plan.customers.get(place).context("no such customer")?;
            own.push((id.clone(), version));
        }
        Ok(own)
    }

    async fn change(
        &self,
        connection: &mut Connection,
        (id, version): &mut (String, u64),
    ) -> anyhow::Result<()> {
        let path = format!("/v1/customers/{id}");
        let body = format!("{{\"fields\":{{\"points\":{}}}}}", *version % POINTS);
        let change = change(&path, (&self.plan.changer, *version), &body);
        *version = answer::version(&connection.exchange(&change).await?)?;
        Ok(())
    }

    fn new_customer(&self) -> Vec<u8> {
        let number = self.next_new.fetch_add(1, Ordering::Relaxed);
        request("POST", "/v1/customers", &self.plan.key, &person(number).to_string())
    }
}

fn read_path(id: &str) -> String {
    format!("/v1/customers/{id}?fields={READ_FIELDS}")
}

/// SplitMix64: which customers are read repeats from run to run, so pairs compare like with like.
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % bound.max(1) as u64).unwrap_or(0)
    }
}

/// Of customers that one client changes in turn.
const OWN: usize = 16;

/// A field of small numbers.
const POINTS: u64 = 5_000;

/// A guess that spares most growing while time is taken.
const LATENCIES_FIRST: usize = 64 * 1024;

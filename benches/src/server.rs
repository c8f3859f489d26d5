//! The process that is measured: the product's router on one port, a constant answer of the same
//! size through the same middleware and server on another.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, bail};
use axum::Router;
use axum::http::header::{CONTENT_TYPE, ETAG};
use axum::http::{HeaderMap, HeaderName};
use axum::routing::get;
use clap::Args;
use strongroom::ctx::{Clock, SystemClock};
use strongroom::meter::Meter;
use strongroom::web::{self, Listen, RECEIPT_HEADER};
use strongroom_crypto::SystemRandom;
use tokio::sync::watch;

use crate::plan::Plan;
use crate::process::Process;
use crate::shop::{Answered, At, Shop};

#[derive(Args)]
pub(crate) struct ServeForBench {
    /// An empty folder for the installation and the plan
    #[arg(long)]
    folder: PathBuf,
    /// How many customers it holds
    #[arg(long)]
    customers: usize,
    #[command(flatten)]
    at: At,
}

impl ServeForBench {
    /// Serves until standard input ends, so it never outlives whoever started it.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        log();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(self.serve())
    }

    async fn serve(&self) -> anyhow::Result<()> {
        let shop = Shop::open(&self.folder, &self.at, self.customers).await?;
        let answered = shop.read_one().await?;
        let body_bytes = answered.body.len();
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (product, constant) = (Listen::bind(any_port, None)?, Listen::bind(any_port, None)?);
        let Shop { app, router, key, changer, eraser, customers, .. } = shop;
        let port = |listen: &Listen| listen.address().map(|address| address.port());
        let (product_port, constant_port) = (port(&product), port(&constant));
        let product_port = product_port.context("no port")?;
        let constant_port = constant_port.context("no port")?;
        let plan =
            Plan { product_port, constant_port, key, changer, eraser, customers, body_bytes };
        plan.write(&plan_path(&self.folder))?;

        let jobs = tokio::spawn(strongroom::jobs::run(app.desk()?));
        let stop = end_of_input();
        writeln!(std::io::stdout(), "{READY}")?;
        tokio::join!(
            web::serve(product, router, stopped(stop.clone())),
            web::serve(constant, constant_router(answered), stopped(stop)),
        );
        jobs.abort();
        let _ = jobs.await;
        Ok(())
    }
}

/// The running child process.
pub(crate) struct Server {
    child: Child,
    input: Option<ChildStdin>,
    pub(crate) plan: Plan,
}

impl Server {
    /// Starts it and waits until it answers.
    pub(crate) fn start(folder: &Path, at: &At, customers: usize) -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve-for-bench", "--customers", &customers.to_string(), "--folder"])
            .arg(folder)
            .args(at.arguments())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(folder.join("log"))?)
            .spawn()?;
        let input = child.stdin.take();
        let mut ready = [0; READY.len()];
        let mut output = child.stdout.take().context("no output of the server")?;
        if output.read_exact(&mut ready).is_err() {
            let _ = child.wait();
            let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
            let last: Vec<&str> = log.lines().rev().take(LOG_LINES_SHOWN).collect();
            bail!("the server did not start; its last lines, newest first:\n{}", last.join("\n"));
        }
        let plan = Plan::read(&plan_path(folder))?;
        Ok(Self { child, input, plan })
    }

    pub(crate) fn process(&self) -> Process {
        Process(self.child.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}

pub(crate) fn plan_path(folder: &Path) -> PathBuf {
    folder.join("plan.json")
}

/// Says again what one read answered, to the same request, without looking at it.
fn constant_router(answered: Answered) -> Router {
    let mut headers = HeaderMap::new();
    for name in [CONTENT_TYPE, ETAG, HeaderName::from_static(RECEIPT_HEADER)] {
        if let Some(value) = answered.headers.get(&name) {
            headers.insert(name, value.clone());
        }
    }
    let body = answered.body;
    let answer = move || std::future::ready((headers.clone(), body.clone()));
    let router = Router::new().route("/v1/customers/{id}", get(answer));
    let (clock, random) = (Arc::new(SystemClock::new()), Arc::new(SystemRandom));
    let meter = Meter::starting_at(clock.now());
    web::wrap(router, clock, random, meter)
}

/// As the product logs: one line per request, to standard error.
fn log() {
    let lines = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new("off,strongroom=info"))
        .with_writer(std::io::stderr)
        .with_ansi(false);
    let _ = lines.try_init();
}

fn end_of_input() -> watch::Receiver<bool> {
    let (ended, receiver) = watch::channel(false);
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        ended.send_replace(true);
    });
    receiver
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stopped| *stopped).await;
}

const READY: &str = "ready";

const LOG_LINES_SHOWN: usize = 5;

//! Every periodic job, in the order it runs.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::access::{self, Desk, system_grant};
use crate::ctx::Ctx;
use crate::db::{Lead, free_bytes};
use crate::error::Error;
use crate::findings::{self, Finding, FindingKind};
use crate::{backup, outlets, places, policy, vault, webhooks};

/// Of several programs on one database has one do what only one may do at a time: `begin` starts it, whenever
/// this one comes to lead, and it is ended whenever it leads no more. Returns once `end` is told and all of it
/// has ended.
pub async fn lead(
    desk: Arc<Desk>,
    begin: impl Fn() -> JoinSet<()>,
    mut end: oneshot::Receiver<()>,
) {
    let mut seconds = tokio::time::interval(Duration::from_millis(LEAD_MS));
    seconds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut lead = Lead::over(desk.data.place().clone());
    let mut led = None;
    loop {
        tokio::select! {
            _ = &mut end => break,
            _ = seconds.tick() => {}
        }
        let leads;
        (leads, lead) = tokio::select! {
            _ = &mut end => break,
            claimed = claim(lead) => claimed,
        };
        match (leads, &mut led) {
            (true, None) => led = Some(begin()),
            (false, Some(all)) => {
                tracing::warn!("the database server is away, or another program leads: jobs pause");
                all.shutdown().await;
                led = None;
            }
            (true, Some(_)) | (false, None) => {}
        }
    }
    if let Some(mut all) = led {
        all.shutdown().await;
    }
}

/// Where the server cannot be asked nobody leads.
async fn claim(mut lead: Lead) -> (bool, Lead) {
    let place = lead.place().clone();
    let asking = tokio::task::spawn_blocking(move || {
        let is_ours = lead.is_ours().unwrap_or_else(|error| {
            tracing::debug!(cause = ?error.cause(), "who leads could not be asked");
            lead.let_go();
            false
        });
        (is_ours, lead)
    });
    asking.await.unwrap_or_else(|_| (false, Lead::over(place)))
}

/// Runs what each program does for itself once a minute until the future is dropped.
pub async fn run_here(desk: Arc<Desk>) {
    let mut minutes = tokio::time::interval(Duration::from_millis(MINUTE_MS));
    minutes.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        minutes.tick().await;
        watch_here(&desk).await;
    }
}

/// Runs all jobs once a minute until the future is dropped. A job that fails is logged and tried
/// again a minute later; it stops no other.
pub async fn run(desk: Arc<Desk>) {
    let mut minutes = tokio::time::interval(Duration::from_millis(MINUTE_MS));
    minutes.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for minute in 0_u64.. {
        minutes.tick().await;
        run_due(&desk).await;
        if minute % MINUTES_A_DAY == 0 {
            run_daily(&desk).await;
        }
    }
}

/// Makes, rehearses and removes backups when they are due, beside the other jobs: copying a large
/// database must not keep an erasure waiting.
pub async fn run_backups(desk: Arc<Desk>, settings: backup::Settings) {
    let mut minutes = tokio::time::interval(Duration::from_millis(MINUTE_MS));
    minutes.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut attempts = backup::Attempts::default();
    loop {
        minutes.tick().await;
        tell(&desk, "backup", backup::run_due(&desk, &settings, &mut attempts).await);
    }
}

/// Copies backups to another machine and takes them back, beside making them.
pub async fn run_copies(desk: Arc<Desk>, settings: backup::Settings) {
    let mut minutes = tokio::time::interval(Duration::from_millis(COPY_MS));
    minutes.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        minutes.tick().await;
        tell(&desk, "backup.copy", backup::run_due_copies(&desk, &settings).await);
    }
}

/// Goes on with a rotation of keys that is not done yet, beside the other jobs: all customers are gone over.
pub async fn run_rotations(desk: Arc<Desk>) {
    let mut minutes = tokio::time::interval(Duration::from_millis(MINUTE_MS));
    minutes.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for minute in 0_u64.. {
        minutes.tick().await;
        // What is left after some passes does not change by the minute.
        let passes_max = if minute % MINUTES_A_DAY == 0 { u32::MAX } else { 3 };
        tell(&desk, "rotate", rotate(&desk, passes_max).await);
    }
}

/// Keeps the index of words whole, beside the other jobs: after a start all customers are gone over.
pub async fn run_words(desk: Arc<Desk>) {
    let mut seconds = tokio::time::interval(Duration::from_millis(WORDS_MS));
    seconds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        seconds.tick().await;
        let done = index_words(&desk).await;
        let failed = done.is_err();
        tell(&desk, "words.index", done);
        if failed {
            // What keeps it is over no sooner, and each time is a line in the log.
            tokio::time::sleep(Duration::from_millis(MINUTE_MS)).await;
        }
    }
}

/// Takes whoever waits into the index of words.
pub async fn index_words(desk: &Arc<Desk>) -> Result<(), Error> {
    vault::index_words(desk, &ctx(desk, "words.index")?).await
}

async fn rotate(desk: &Arc<Desk>, passes_max: u32) -> Result<(), Error> {
    vault::rotate_due(desk, &ctx(desk, "rotate")?, passes_max).await
}

/// Runs the jobs of a day once: those that read whole tables.
pub async fn run_daily(desk: &Arc<Desk>) {
    tell(desk, "keys.sweep", sweep(desk).await);
    tell(desk, "auth.ending", tell_ending_keys(desk).await);
    tell(desk, "places.overdue", tell_overdue(desk).await);
    tell(desk, "keys.retire", retire_keys(desk).await);
    tell(desk, "leak.watch", watch_leak(desk).await);
    tell(desk, "outlet.forget", forget_sent(desk).await);
    tell(desk, "customer.walk", walk(desk).await);
    tell(desk, "webhook.forget", forget_events(desk).await);
}

/// Runs the jobs of a minute once.
pub async fn run_once(desk: &Desk) {
    run_due(desk).await;
    watch_here(desk).await;
}

/// What each program sees of its own machine and its own callers.
async fn watch_here(desk: &Desk) {
    tell(desk, "disk.watch", watch_disk(desk).await);
    tell(desk, "clock.watch", watch_clock(desk).await);
    tell(desk, "auth.strangers", summarise_strangers(desk).await);
    tell(desk, "words.tell", tell_indexed(desk).await);
}

async fn run_due(desk: &Desk) {
    tell(desk, "policy.due", apply_due_policy(desk).await);
    tell(desk, "erase.due", erase_due(desk).await);
    tell(desk, "budget.forget", forget_past_days(desk).await);
    tell(desk, "repeat.forget", forget_repeated(desk).await);
}

fn tell(desk: &Desk, job: &'static str, done: Result<(), Error>) {
    desk.meter.job(job, &done, desk.now());
    if let Err(error) = done {
        tracing::error!(job, code = error.code, cause = ?error.cause(), "a job failed");
    }
}

async fn watch_clock(desk: &Desk) -> Result<(), Error> {
    if !desk.trust.is_suspect(desk.clock.as_ref()) {
        return Ok(());
    }
    let ctx = ctx(desk, "clock.watch")?;
    let kind = FindingKind::ClockSuspect;
    let finding = Finding { kind, detail: CLOCK_SUSPECT.to_owned(), customer: None };
    access::raise_finding(desk, &ctx, "clock.watch", &finding).await
}

/// Said once while it lasts: a finding that is renewed every minute would fill the disk too.
async fn watch_disk(desk: &Desk) -> Result<(), Error> {
    let (ctx, kind) = (ctx(desk, "disk.watch")?, FindingKind::DiskLow);
    let has_little = free_bytes(&desk.folder).is_some_and(|free| free < DISK_LOW_BYTES);
    if !has_little && !desk.committer.stall().is_low() {
        return access::close_finding(desk, &ctx, "disk.watch", kind).await;
    }
    if findings::count_open(&desk.data).await?.contains_key(&Some(kind)) {
        return Ok(());
    }
    let finding = Finding { kind, detail: DISK_LOW.to_owned(), customer: None };
    access::raise_finding(desk, &ctx, "disk.watch", &finding).await
}

async fn summarise_strangers(desk: &Desk) -> Result<(), Error> {
    access::summarise_strangers(desk, &ctx(desk, "auth.strangers")?).await
}

async fn apply_due_policy(desk: &Desk) -> Result<(), Error> {
    let authority = desk.rights.now()?;
    let Some(pending) = authority.pending.as_ref() else { return Ok(()) };
    let ctx = ctx(desk, "policy.due")?;
    if ctx.now < pending.due {
        return Ok(());
    }
    let grant = system_grant(&ctx, Vec::new())?;
    let current = authority.applied.as_deref();
    let change = policy::apply_due(&ctx, &desk.keyring, grant, current, pending)?;
    access::commit(desk, change).await.map(drop)
}

async fn erase_due(desk: &Desk) -> Result<(), Error> {
    let ctx = ctx(desk, "erase.due")?;
    // A key store that was busy a minute ago left these past their begin.
    vault::finish_begun(desk, &ctx).await?;
    vault::erase_due(desk, &ctx).await.map(drop)
}

async fn forget_past_days(desk: &Desk) -> Result<(), Error> {
    access::forget_past_days(desk, &ctx(desk, "budget.forget")?).await
}

async fn tell_ending_keys(desk: &Desk) -> Result<(), Error> {
    access::tell_ending_keys(desk, &ctx(desk, "auth.ending")?).await
}

async fn tell_overdue(desk: &Desk) -> Result<(), Error> {
    places::tell_overdue(desk, &ctx(desk, "places.overdue")?).await
}

async fn forget_sent(desk: &Desk) -> Result<(), Error> {
    outlets::forget_ended(desk, &ctx(desk, "outlet.forget")?).await
}

async fn forget_repeated(desk: &Desk) -> Result<(), Error> {
    access::forget_repeated(desk, &ctx(desk, "repeat.forget")?).await
}

async fn tell_indexed(desk: &Desk) -> Result<(), Error> {
    vault::tell_indexed(desk, &ctx(desk, "words.index")?).await
}

async fn sweep(desk: &Arc<Desk>) -> Result<(), Error> {
    vault::sweep_pending_keys(desk, &ctx(desk, "keys.sweep")?).await.map(drop)
}

/// What a backup still needs is kept until a newer one was rehearsed.
async fn retire_keys(desk: &Desk) -> Result<(), Error> {
    let Some(rehearsed) = backup::rehearsed(desk).await? else { return Ok(()) };
    vault::destroy_retired(desk, &ctx(desk, "keys.retire")?, rehearsed).await.map(drop)
}

async fn watch_leak(desk: &Desk) -> Result<(), Error> {
    backup::close_leak(desk, &ctx(desk, "leak.watch")?).await
}

async fn walk(desk: &Arc<Desk>) -> Result<(), Error> {
    vault::walk(desk, &ctx(desk, "customer.walk")?).await.map(drop)
}

async fn forget_events(desk: &Desk) -> Result<(), Error> {
    webhooks::forget_old(desk, &ctx(desk, "webhook.forget")?).await
}

fn ctx(desk: &Desk, job: &'static str) -> Result<Ctx, Error> {
    Ctx::system(job, desk.now(), Arc::clone(&desk.random))
}

const MINUTES_A_DAY: u64 = 1_440;

/// Summaries are a minute wide; erasures and policies need no finer step.
const MINUTE_MS: u64 = 60_000;

/// How soon another program takes over, and how soon one that leads no more knows.
const LEAD_MS: u64 = 1_000;

/// Between two looks for a pair to copy away: what failed is tried again as often.
const COPY_MS: u64 = 5 * MINUTE_MS;

/// A search takes in what is younger by itself; this keeps that little.
const WORDS_MS: u64 = 1_000;

/// Four times what ordinary service needs: time for a person to act.
const DISK_LOW_BYTES: u64 = 512 << 20;

const DISK_LOW: &str = "little room is left on the disk of the data. When it is nearly used up, Strongroom stops: every \
     application is answered 503, and only erasures, revoking keys, sealing and backups to another disk \
     go on. Free disk space, or move the data to a larger disk";
const CLOCK_SUSPECT: &str = "the machine's clock jumped by more than a day. Reads go on, but nothing is erased and no policy \
     is applied until a person has looked: set the clock, then run `strongroom doctor \
     --confirm-clock`";

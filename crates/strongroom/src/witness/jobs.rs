//! Asks the witness while the server runs, and tells what came of it.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::access::{self, Desk, commit, system_grant};
use crate::ctx::{Ctx, Entry, EntryKind};
use crate::error::Error;
use crate::findings::{self, Finding, FindingKind};
use crate::ledger;
use crate::witness::rules::Verdict;
use crate::witness::store;
use crate::witness::verbs::{Outlook, Standing, Witness, contradiction};

/// The witness is asked for as long as this lives.
pub struct Watching {
    desk: Arc<Desk>,
    witness: Arc<Witness>,
    task: JoinHandle<()>,
}

impl Watching {
    /// Begins to ask.
    pub fn begin(desk: &Arc<Desk>, witness: &Arc<Witness>) -> Self {
        let task = tokio::spawn(watch(Arc::clone(desk), Arc::clone(witness)));
        Self { desk: Arc::clone(desk), witness: Arc::clone(witness), task }
    }

    /// Asks a last time, so that after a clean end not even the newest entry can be taken back unseen.
    pub async fn end(self) {
        self.task.abort();
        let _ = self.task.await;
        let mut round = Round::default();
        let last = round.ask(&self.desk, &self.witness);
        if !matches!(tokio::time::timeout(LAST_TIME_MAX, last).await, Ok(Ok(()))) {
            tracing::warn!("the witness was not told of the newest entries at the end");
        }
    }
}

/// Tells in the ledger and as a finding what a start learned from the witness.
pub async fn tell_outlook(desk: &Desk, ctx: &Ctx, outlook: Outlook) -> Result<(), Error> {
    match outlook {
        Outlook::Empty => Ok(()),
        Outlook::Missed(why) => tell_missed(desk, ctx, &why).await,
        Outlook::Cosigned(cosigned) => {
            desk.published.set_cosigned(cosigned);
            close_findings(desk, ctx).await
        }
    }
}

/// Says that nobody cosigns; once, however often the server starts.
pub async fn tell_none(desk: &Desk) -> Result<(), Error> {
    let kind = FindingKind::WitnessNone;
    if is_open(desk, kind).await? {
        return Ok(());
    }
    let finding = Finding { kind, detail: NONE.to_owned(), customer: None };
    access::raise_finding(desk, &ctx(desk)?, JOB, &finding).await
}

async fn watch(desk: Arc<Desk>, witness: Arc<Witness>) {
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    seconds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut round = Round::default();
    while !round.is_over {
        seconds.tick().await;
        if !round.is_due(&desk) {
            continue;
        }
        let done = round.ask(&desk, &witness).await;
        desk.meter.job(JOB, &done, desk.now());
        if let Err(error) = done {
            tracing::error!(code = error.code, cause = ?error.cause(), "a job failed");
        }
    }
}

/// What is remembered from one question to the next.
#[derive(Default)]
struct Round {
    asked_ms: Option<i64>,
    /// Of the entries that were asked about last.
    size: u64,
    /// Of the rights that were asked about last.
    epoch: u64,
    /// Whether the witness is known to be silent.
    is_missed: bool,
    /// Whether the witness is known to cosign.
    is_cosigned: bool,
    /// Whether there is nothing more to ask.
    is_over: bool,
}

impl Round {
    /// Soon after rights changed, at most every [`PAUSE_MS`] otherwise, and now and then without a
    /// change, to see that the witness is there.
    fn is_due(&self, desk: &Desk) -> bool {
        if desk.keyring.is_sealed() {
            return false;
        }
        let Some(newest) = desk.published.newest() else { return false };
        let Some(asked_ms) = self.asked_ms else { return true };
        let passed_ms = desk.clock.monotonic_ms().saturating_sub(asked_ms);
        let is_other_epoch = epoch(desk).is_some_and(|epoch| epoch != self.epoch);
        is_other_epoch
            || passed_ms >= QUIET_MS
            || (passed_ms >= PAUSE_MS && (newest.size != self.size || self.is_missed))
    }

    async fn ask(&mut self, desk: &Desk, witness: &Witness) -> Result<(), Error> {
        let Some(newest) = desk.published.newest() else { return Ok(()) };
        self.asked_ms = Some(desk.clock.monotonic_ms());
        self.size = newest.size;
        self.epoch = epoch(desk).unwrap_or(self.epoch);
        let standing = Standing::newest(&newest, &desk.keyring)?;
        let known = desk.published.cosigned().map_or(0, |cosigned| cosigned.size);
        let verdict = witness.ask(&standing, known, &desk.data).await?;
        match verdict {
            Verdict::Cosigned(said) => {
                let cosigned = witness.cosigned(&standing, &said);
                let kept = store::keep(&desk.folder, &cosigned.checkpoint);
                let cosigned_note = Arc::clone(&cosigned.checkpoint);
                desk.published.set_cosigned(cosigned);
                if !self.is_cosigned {
                    close_findings(desk, &ctx(desk)?).await?;
                }
                (self.is_cosigned, self.is_missed) = (true, false);
                if standing.hands_over() {
                    end_handover(desk, &cosigned_note).await?;
                }
                kept
            }
            Verdict::Missed(why) => {
                // The start may have told it already.
                if !self.is_missed && !is_open(desk, FindingKind::WitnessUnreachable).await? {
                    tell_missed(desk, &ctx(desk)?, &why).await?;
                }
                (self.is_cosigned, self.is_missed) = (false, true);
                Ok(())
            }
            contradicted => {
                self.is_over = true;
                stop(desk, &contradiction(&standing, &contradicted)).await
            }
        }
    }
}

/// Ends a hand-over that a crash left open, where no witness is to cosign it.
pub async fn end_unwatched(desk: &Desk) -> Result<(), Error> {
    let Some(newest) = desk.published.newest() else { return Ok(()) };
    if desk.published.expects_witness() {
        return Ok(());
    }
    match ledger::naming_note(&desk.keyring, &newest)? {
        Some(note) => end_handover(desk, &note).await,
        None => Ok(()),
    }
}

/// From the entry that says so on the new key signs alone; of the old one its public half is left.
async fn end_handover(desk: &Desk, note: &str) -> Result<(), Error> {
    let ctx = Ctx::system("rotate", desk.now(), Arc::clone(&desk.random))?;
    let entry = Entry::new(&ctx, EntryKind::System, ledger::HANDED_VERB);
    let change = system_grant(&ctx, Vec::new())?.change(entry).write(ledger::end_handover(note));
    commit(desk, change).await?;
    desk.keyring.forget_former_signer().await
}

/// A history that the witness contradicts is not served on: the keys are dropped, and the next start
/// refuses. The finding first, since nothing can be written afterwards.
async fn stop(desk: &Desk, error: &Error) -> Result<(), Error> {
    tracing::error!(code = error.code, detail = error.detail, "all keys are dropped");
    let told = tell(desk, &ctx(desk)?, FindingKind::WitnessContradicts, &error.detail).await;
    desk.keyring.seal();
    told
}

async fn tell_missed(desk: &Desk, ctx: &Ctx, why: &str) -> Result<(), Error> {
    let detail = format!(
        "{why}. Until it does, nobody notices when strongroom.db and keys.db are put back together: \
         erased customers and revoked keys would be back"
    );
    tell(desk, ctx, FindingKind::WitnessUnreachable, &detail).await
}

/// One entry that says so, and the finding.
async fn tell(desk: &Desk, ctx: &Ctx, kind: FindingKind, detail: &str) -> Result<(), Error> {
    tracing::warn!(finding = kind.as_str(), "{detail}");
    let verb = match kind {
        FindingKind::WitnessContradicts => "witness.contradict",
        _ => "witness.miss",
    };
    let finding = Finding { kind, detail: detail.to_owned(), customer: None };
    let change = system_grant(ctx, Vec::new())?.change(Entry::new(ctx, EntryKind::System, verb));
    commit(desk, change.write(findings::raise_within(&finding, ctx.now))).await.map(drop)
}

/// A cosignature is the evidence against every finding about the witness.
async fn close_findings(desk: &Desk, ctx: &Ctx) -> Result<(), Error> {
    let kinds = [
        FindingKind::WitnessContradicts,
        FindingKind::WitnessNone,
        FindingKind::WitnessUnreachable,
    ];
    for kind in kinds {
        access::close_finding(desk, ctx, JOB, kind).await?;
    }
    Ok(())
}

async fn is_open(desk: &Desk, kind: FindingKind) -> Result<bool, Error> {
    Ok(findings::count_open(&desk.data).await?.contains_key(&Some(kind)))
}

fn epoch(desk: &Desk) -> Option<u64> {
    desk.rights.now().ok().map(|authority| authority.epoch)
}

fn ctx(desk: &Desk) -> Result<Ctx, Error> {
    Ctx::system(JOB, desk.now(), Arc::clone(&desk.random))
}

const JOB: &str = "witness.ask";

/// What is written between two questions is what older files can hide.
const PAUSE_MS: i64 = 30_000;

/// A witness that went away unnoticed is noticed so late at most.
const QUIET_MS: i64 = 600_000;

/// A service manager waits for the end.
const LAST_TIME_MAX: Duration = Duration::from_secs(5);

const NONE: &str = "nobody cosigns the ledger: when strongroom.db and keys.db are put back together to an older state, \
     nothing notices, and erased customers and revoked keys are back. On another machine run \
     `strongroom witness init`, and name it in the configuration under `[witness]`";

//! Renews the certificate in time, and shows what the files hold.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use strongroom_crypto::Random;

use crate::access::{self, Desk};
use crate::certificates::model::{days_left, is_due, is_ending};
use crate::certificates::verbs::{issue, obtain};
use crate::config;
use crate::ctx::{Clock, Ctx, Time};
use crate::error::Error;
use crate::findings::{Finding, FindingKind};
use crate::web::{Challenges, Life, Tls};

/// Keeps the certificate of a server that runs.
pub struct Keeper {
    road: config::Tls,
    tls: Tls,
    challenges: Challenges,
    random: Arc<dyn Random>,
    memory: Mutex<Memory>,
}

/// When things were last done, by the monotonic clock.
#[derive(Default)]
struct Memory {
    tried_ms: Option<i64>,
    told_ms: Option<i64>,
    /// No finding that it ends is open, as far as this process knows.
    is_quiet: bool,
}

impl Keeper {
    /// Sees to a certificate that can be shown: renews one that is due or not there where the road
    /// has a way to, and reads it. Fails only when there is none that works.
    pub async fn open(
        road: config::Tls,
        challenges: Challenges,
        clock: &dyn Clock,
        random: Arc<dyn Random>,
    ) -> Result<Self, Error> {
        let now = clock.now();
        let files = road.files();
        let read = Tls::read(&files.certificate, &files.key, now);
        let is_good = match &read {
            Ok(tls) => !is_due(tls.life()?, now),
            Err(_) => false,
        };
        let mut memory = Memory::default();
        let tls = if is_good || matches!(road, config::Tls::Given(_)) {
            read?
        } else {
            memory.tried_ms = Some(clock.monotonic_ms());
            match (renew(&road, &challenges, &|| clock.now(), random.as_ref()).await, read) {
                (Ok(()), _) => Tls::read(&files.certificate, &files.key, clock.now())?,
                (Err(error), Ok(tls)) => {
                    tell_failure(&error);
                    tls
                }
                (Err(error), Err(_)) => return Err(error),
            }
        };
        Ok(Self { road, tls, challenges, random, memory: Mutex::new(memory) })
    }

    /// For a listener.
    pub fn tls(&self) -> &Tls {
        &self.tls
    }

    /// What is done once a minute: renew what is due, at most once an hour; show what the files hold;
    /// say when it ends soon.
    pub async fn turn(&self, desk: &Desk) -> Result<(), Error> {
        let now = desk.now();
        let passed_ms = desk.clock.monotonic_ms();
        if is_due(self.tls.life()?, now)
            && !matches!(self.road, config::Tls::Given(_))
            && self.is_time(passed_ms)
            && let Err(error) =
                renew(&self.road, &self.challenges, &|| desk.now(), self.random.as_ref()).await
        {
            tell_failure(&error);
        }
        let now = desk.now();
        match self.tls.reload(now) {
            Ok(true) => {
                let days = days_left(self.tls.life()?.until, now);
                tracing::info!(days, "another certificate is shown from now on");
            }
            Ok(false) => {}
            Err(error) => tracing::warn!(
                code = error.code,
                detail = error.detail,
                "the certificate's files cannot be used; the one from before is shown"
            ),
        }
        let life = self.tls.life()?;
        desk.meter.certificate(life.until);
        if is_ending(life, now) && self.is_to_tell(passed_ms) {
            raise(desk, &self.road, life, now).await?;
        }
        if !is_ending(life, now) && !self.is_quiet() {
            // Also one from before the process began: a new certificate is the evidence.
            let ctx = Ctx::system(JOB, now, Arc::clone(&desk.random))?;
            access::close_finding(desk, &ctx, JOB, FindingKind::CertificateEnding).await?;
            self.memory().is_quiet = true;
        }
        Ok(())
    }

    /// Whether to try, which is then remembered.
    fn is_time(&self, passed_ms: i64) -> bool {
        elapse(&mut self.memory().tried_ms, passed_ms, PAUSE_MS)
    }

    /// Whether to say that it ends, which is then remembered.
    fn is_to_tell(&self, passed_ms: i64) -> bool {
        let mut memory = self.memory();
        memory.is_quiet = false;
        elapse(&mut memory.told_ms, passed_ms, DAY_MS)
    }

    fn is_quiet(&self) -> bool {
        self.memory().is_quiet
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Turns once a minute until the future is dropped. A failure is logged and tried again.
pub async fn run(desk: Arc<Desk>, keeper: Arc<Keeper>) {
    let mut minutes = tokio::time::interval(MINUTE);
    minutes.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        minutes.tick().await;
        let done = keeper.turn(&desk).await;
        desk.meter.job(JOB, &done, desk.now());
        if let Err(error) = done {
            tracing::error!(code = error.code, cause = ?error.cause(), "a job failed");
        }
    }
}

async fn renew(
    road: &config::Tls,
    challenges: &Challenges,
    clock: &(dyn Fn() -> Time + Sync),
    random: &dyn Random,
) -> Result<(), Error> {
    match road {
        config::Tls::Acme(acme) => obtain(acme, challenges, clock).await,
        config::Tls::Given(_) => Ok(()),
        config::Tls::OwnCa(own) => issue(own, clock(), random),
    }
}

fn tell_failure(error: &Error) {
    tracing::warn!(
        code = error.code,
        detail = error.detail,
        "the certificate could not be renewed; the one from before is shown, and it is tried again in an hour"
    );
}

fn elapse(last_ms: &mut Option<i64>, passed_ms: i64, pause_ms: i64) -> bool {
    let is_time = last_ms.is_none_or(|last| passed_ms.saturating_sub(last) >= pause_ms);
    if is_time {
        *last_ms = Some(passed_ms);
    }
    is_time
}

async fn raise(desk: &Desk, road: &config::Tls, life: Life, now: Time) -> Result<(), Error> {
    let cure = match road {
        config::Tls::Acme(_) => {
            "the authority has not renewed it for weeks: the log says why (`acme_failed`); mostly \
             port 80 of the name no longer leads here"
        }
        config::Tls::Given(_) => {
            "put a new one into the files of `[tls]`; it is shown within a minute"
        }
        config::Tls::OwnCa(_) => {
            "the own authority could not renew it: the log says why; `strongroom doctor` looks at \
             its files"
        }
    };
    let detail = format!(
        "the server's certificate ends in {} days. From then on no application can reach customers' \
         data, and people get used to clicking warnings away: {cure}",
        days_left(life.until, now)
    );
    let ctx = Ctx::system(JOB, now, Arc::clone(&desk.random))?;
    let finding = Finding { kind: FindingKind::CertificateEnding, detail, customer: None };
    access::raise_finding(desk, &ctx, JOB, &finding).await
}

const JOB: &str = "certificate.watch";
const MINUTE: Duration = Duration::from_secs(60);
/// Public authorities allow five failures an hour for a name.
const PAUSE_MS: i64 = 3_600_000;
const DAY_MS: i64 = 86_400_000;

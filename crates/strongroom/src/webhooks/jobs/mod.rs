//! Couriers: one for each endpoint, side by side, so that one that is down delays no other.
//!
//! A courier posts one event at a time, in the order of the ledger, and goes on only when it was taken.
//! How far it is gets written down after some of them at the latest: a kill in between has those posted
//! again, under the same ids.

mod deliver;
mod keep;
mod note;

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use rustls::ClientConfig;
use tokio::task::JoinSet;

use crate::access::{Desk, raise_finding};
use crate::config::Config;
use crate::ctx::Ctx;
use crate::error::Error;
use crate::findings::{Finding, FindingKind};
use crate::id::{Id, Webhook};
use crate::web::{Reach, trusted_by};
use crate::webhooks::model::{EndpointRow, EndpointState};
use crate::webhooks::verbs::is_intact;
use crate::webhooks::{rules, store};

use deliver::deliver;
pub use keep::forget_old;

/// How receivers are reached, and who is under way.
pub struct Couriers {
    reach: Reach,
    /// Read with the configuration where it names a file, else when the first event leaves.
    trusted: OnceLock<Arc<ClientConfig>>,
    /// Endpoints that have a courier: two would post the same.
    busy: Mutex<HashSet<Id<Webhook>>>,
    /// Altered rows that somebody was told of.
    told: Mutex<HashSet<Id<Webhook>>>,
}

impl Couriers {
    /// To public addresses whose certificates the system trusts.
    pub fn none() -> Self {
        Self::with(Reach::PublicOnly)
    }

    /// Reads the certificate to trust. Fails with `bad_certificate`.
    pub fn read(config: &Config) -> Result<Self, Error> {
        let settings = &config.webhooks;
        let reach =
            if settings.allow_private_address { Reach::PrivateToo } else { Reach::PublicOnly };
        let couriers = Self::with(reach);
        if let Some(ca) = &settings.ca {
            couriers.trust(Some(ca))?;
        }
        Ok(couriers)
    }

    fn with(reach: Reach) -> Self {
        let (trusted, busy, told) = (OnceLock::new(), Mutex::default(), Mutex::default());
        Self { reach, trusted, busy, told }
    }

    fn trust(&self, ca: Option<&Path>) -> Result<Arc<ClientConfig>, Error> {
        if let Some(trusted) = self.trusted.get() {
            return Ok(Arc::clone(trusted));
        }
        let trusted = trusted_by(ca, "webhooks.ca")?;
        Ok(Arc::clone(self.trusted.get_or_init(|| trusted)))
    }

    fn busy(&self) -> MutexGuard<'_, HashSet<Id<Webhook>>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this is the first time that somebody is to be told of this row.
    fn is_news(&self, id: &Id<Webhook>) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() > TOLD_MAX {
            told.clear();
        }
        told.insert(*id)
    }
}

/// Sends couriers out every second until the future is dropped.
pub async fn attend(desk: Arc<Desk>, couriers: Arc<Couriers>) {
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    seconds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // Dropped with this future: whoever is under way then ends with it.
    let mut away = JoinSet::new();
    loop {
        seconds.tick().await;
        while away.try_join_next().is_some() {}
        match due(&desk, &couriers).await {
            Ok(rounds) => rounds.into_iter().for_each(|round| drop(away.spawn(round.walk()))),
            Err(error) => tell(&error),
        }
    }
}

/// Sends a courier to every endpoint that is due, and waits until all are back.
pub async fn run_once(desk: &Arc<Desk>, couriers: &Arc<Couriers>) -> Result<(), Error> {
    let mut away = JoinSet::new();
    for round in due(desk, couriers).await? {
        away.spawn(round.walk());
    }
    while let Some(back) = away.join_next().await {
        back.map_err(Error::internal)?;
    }
    Ok(())
}

/// One courier's way to one endpoint.
struct Round {
    desk: Arc<Desk>,
    couriers: Arc<Couriers>,
    row: EndpointRow,
}

impl Round {
    async fn walk(self) {
        if let Err(error) = deliver(&self.desk, &self.couriers, self.row.clone()).await {
            tell(&error);
        }
    }
}

impl Drop for Round {
    fn drop(&mut self) {
        self.couriers.busy().remove(&self.row.id);
    }
}

async fn due(desk: &Arc<Desk>, couriers: &Arc<Couriers>) -> Result<Vec<Round>, Error> {
    // What could not be written down would be posted again every second.
    if !can_work(desk) {
        return Ok(Vec::new());
    }
    let now = desk.now();
    let rows = store::list_endpoints(&mut desk.data.snapshot().await?).await?;
    let mut rounds = Vec::new();
    for row in rows {
        if !is_intact(desk, &row)? {
            if couriers.is_news(&row.id) {
                raise(desk, FindingKind::Tampered, &altered(&row.id)).await?;
            }
            continue;
        }
        if row.state == EndpointState::On
            && rules::is_due(row.next, now)
            && couriers.busy().insert(row.id)
        {
            let (desk, couriers) = (Arc::clone(desk), Arc::clone(couriers));
            rounds.push(Round { desk, couriers, row });
        }
    }
    Ok(rounds)
}

fn can_work(desk: &Desk) -> bool {
    let stall = desk.committer.stall();
    let takes_entries = !stall.is_stalled() && !stall.is_low();
    !desk.keyring.is_sealed() && takes_entries && desk.rights.now().is_ok()
}

async fn raise(desk: &Desk, kind: FindingKind, detail: &str) -> Result<(), Error> {
    let finding = Finding { kind, detail: detail.to_owned(), customer: None };
    raise_finding(desk, &system_ctx(desk)?, JOB, &finding).await
}

fn system_ctx(desk: &Desk) -> Result<Ctx, Error> {
    Ctx::system(JOB, desk.now(), Arc::clone(&desk.random))
}

fn tell(error: &Error) {
    tracing::error!(job = JOB, code = error.code, cause = ?error.cause(), "a job failed");
}

fn altered(id: &Id<Webhook>) -> String {
    format!(
        "the webhook `{id}` was altered in the database by other hands, so nothing is sent to it; end \
         it, make it anew, and find out who can write to the database"
    )
}

const JOB: &str = "webhooks.deliver";

/// More than there are endpoints; rows put there by SQL must not fill the memory.
const TOLD_MAX: usize = 100;

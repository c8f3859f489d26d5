//! What was decided: the only way to a value or a write.

use std::collections::BTreeMap;

use crate::ctx::{Actor, Change, Ctx, Entry, Guard};

/// How a field may be seen under a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum See {
    /// The whole value.
    Clear,
    /// A mask of fixed length.
    Masked,
}

/// An allowed act: who, for what, which fields how, and what must still hold when it counts.
///
/// Made only by `access`, from a decision; tidy checks it. It cannot be cloned, so one decision is
/// one act.
#[derive(Debug)]
pub struct Grant {
    actor: Actor,
    fields: BTreeMap<u8, See>,
    guards: Vec<Guard>,
    policy_version: u32,
    purpose: String,
}

impl Grant {
    /// For `access` alone.
    pub(crate) fn issue(
        actor: Actor,
        purpose: String,
        fields: BTreeMap<u8, See>,
        policy_version: u32,
        guards: Vec<Guard>,
    ) -> Self {
        Self { actor, fields, guards, policy_version, purpose }
    }

    /// Who was allowed.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// The fields it opens and how each may be shown.
    pub fn fields(&self) -> &BTreeMap<u8, See> {
        &self.fields
    }

    /// What it was decided for; empty where no purpose is needed.
    pub fn purpose(&self) -> &str {
        &self.purpose
    }

    /// The applied policy that decided.
    pub fn policy_version(&self) -> u32 {
        self.policy_version
    }

    /// The change this grant allows: it carries the grant's guards, so no verb can forget one.
    pub fn change(self, entry: Entry) -> Change {
        let entry = entry.for_purpose(&self.purpose).under_policy(self.policy_version);
        Change::guarded(entry, self.guards)
    }
}

/// Work of the system itself: a named job and the fields it may open.
#[derive(Debug)]
pub struct SystemGrant {
    fields: Vec<u8>,
    job: &'static str,
}

impl SystemGrant {
    /// For jobs named in tidy alone.
    pub(crate) fn issue(ctx: &Ctx, fields: Vec<u8>) -> Option<Self> {
        match ctx.actor {
            Actor::System { job } => Some(Self { fields, job }),
            Actor::Key { .. } | Actor::Operator => None,
        }
    }

    /// The job.
    pub fn job(&self) -> &'static str {
        self.job
    }

    /// The fields it may open.
    pub fn fields(&self) -> &[u8] {
        &self.fields
    }

    /// The change this grant allows.
    pub fn change(self, entry: Entry) -> Change {
        Change::guarded(entry, Vec::new())
    }
}

/// Data keys that a durable `erase.begin` names, that others took the place of, or that nothing ever
/// named: the only thing that destroys keys.
///
/// Made only by the vault's jobs, after the entry that begins it; tidy checks it.
pub struct Destruction {
    deks: Vec<[u8; 16]>,
}

impl Destruction {
    /// For the vault's jobs alone.
    pub(crate) fn issue(deks: Vec<[u8; 16]>) -> Self {
        Self { deks }
    }

    /// The ids of the keys to destroy.
    pub fn deks(&self) -> &[[u8; 16]] {
        &self.deks
    }
}

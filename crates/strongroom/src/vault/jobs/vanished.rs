//! Customers whose rows are gone although nobody erased them: whoever deletes them by SQL leaves nothing
//! that could be opened and found wrong, and only the log still speaks of them.
//!
//! Customers of whom the log of this incarnation says nothing, because they came by a restore and nobody
//! has changed them since, are not missed here. Nor is who kept a part after an erasure and was not
//! changed since.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use super::compare::{JOB, here, writes_rows};
use crate::access::{Desk, close_finding, raise_finding};
use crate::ctx::Pseudonym;
use crate::db::Connection;
use crate::error::Error;
use crate::findings::{Finding, FindingKind};
use crate::ledger::{self, Compared, FLAWS_MAX, Flaw};
use crate::vault::model::Core;
use crate::vault::verbs::scope::{Touched, who_is};

/// The pseudonyms of everybody who is there, eight bytes of each: they are random, and with ten million of
/// them any two have the same in one installation of 300,000.
#[derive(Default)]
pub(super) struct Standing(Vec<u64>);

impl Standing {
    /// Takes in who was opened, under every name the log has for them.
    pub(super) fn add(&mut self, core: &Core) {
        self.0.push(short(&core.pseudonym));
        self.0.extend(core.merged.iter().map(short));
    }

    fn has(&self, pseudonym: &Pseudonym) -> bool {
        self.0.binary_search(&short(pseudonym)).is_ok()
    }
}

fn short(pseudonym: &Pseudonym) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = pseudonym.0;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// Finds whom the log speaks of last as somebody who is there, and who is not.
pub(super) async fn find_vanished(
    desk: &Weak<Desk>,
    mut standing: Standing,
    compared: &mut Compared,
) -> Result<(), Error> {
    standing.0.sort_unstable();
    let standing = Arc::new(standing);
    let mut vanished = Vec::new();
    for (pseudonym, entry) in missed(desk, &standing).await? {
        let (own, ctx) = here(desk)?;
        // They may have come since everybody was opened; who does not open is counted as that.
        if matches!(who_is(&own, &ctx, &pseudonym).await?, Touched::Erased) {
            vanished.push((pseudonym, entry));
        }
    }
    if !vanished.is_empty() {
        // They may have been erased since the log was read.
        let still = missed(desk, &standing).await?;
        vanished.retain(|(pseudonym, _)| still.contains_key(pseudonym));
    }
    vanished.sort_unstable_by_key(|(_, entry)| *entry);
    tell(desk, &vanished, compared).await
}

async fn tell(
    desk: &Weak<Desk>,
    vanished: &[(Pseudonym, u64)],
    compared: &mut Compared,
) -> Result<(), Error> {
    let (own, ctx) = here(desk)?;
    compared.missing = vanished.len() as u64;
    for (_, entry) in vanished {
        if compared.flaws.len() < FLAWS_MAX {
            let what = "the customer it wrote is gone, and nobody erased them".to_owned();
            compared.flaws.push(Flaw { entry: Some(*entry), what });
        }
    }
    let kind = FindingKind::CustomerMissing;
    if vanished.is_empty() {
        return close_finding(&own, &ctx, JOB, kind).await;
    }
    let finding = Finding { kind, detail: GONE.to_owned(), customer: None };
    raise_finding(&own, &ctx, JOB, &finding).await
}

/// Who is not there, and the entry that wrote their rows last, which was no erasure.
async fn missed(
    desk: &Weak<Desk>,
    standing: &Arc<Standing>,
) -> Result<HashMap<Pseudonym, u64>, Error> {
    let (own, _) = here(desk)?;
    let (data, keyring, standing) =
        (own.data.clone(), Arc::clone(&own.keyring), Arc::clone(standing));
    drop(own);
    let read = move |db: &mut Connection| {
        let mut missed = HashMap::new();
        ledger::visit(db, &keyring, writes_rows, |placed, subjects| {
            for subject in subjects.into_iter().filter(|it| !standing.has(it)) {
                let goes = placed.leaf.verb == ERASE_VERB;
                missed.insert(subject, Some(placed.index).filter(|_| !goes));
            }
        })?;
        let missed = missed.into_iter().filter_map(|(who, entry)| Some((who, entry?)));
        Ok(missed.collect())
    };
    data.scan(read).await
}

/// From here on a customer goes, or a part of them.
const ERASE_VERB: &str = "erase.begin";

const GONE: &str = "customers whom the ledger speaks of are gone, and nobody erased them: their rows were deleted by \
     other hands. `strongroom ledger verify --deep` names the entries that wrote them last; bring them \
     back from a backup, and find out who can write to the database";

//! Customers whose rows are gone although nobody erased them: whoever deletes them by SQL leaves nothing
//! that could be opened and found wrong, and only the log still speaks of them.
//!
//! Not missed here are customers of whom the log of this incarnation says nothing, because they came by a
//! restore and nobody has changed them since; who kept a part after an erasure and was not changed since;
//! and who was merged into somebody and waits for the end.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};

use super::compare::{JOB, here, writes_rows};
use crate::access::{Desk, close_finding, raise_finding};
use crate::ctx::{Ctx, Pseudonym};
use crate::db::Connection;
use crate::error::Error;
use crate::findings::{Finding, FindingKind};
use crate::ledger::{self, Compared, FLAWS_MAX, Flaw};
use crate::vault::model::Core;
use crate::vault::store;
use crate::vault::verbs::open::{Which, open};

/// The pseudonyms of everybody who is there, eight bytes of each: they are random, and with ten million of
/// them any two have the same in one installation of 300,000.
#[derive(Default)]
pub(super) struct Present(Vec<u64>);

impl Present {
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

/// Whom the log speaks of last as somebody who is there, and who is not; with the entries that say so.
pub(super) async fn find_vanished(
    desk: &Weak<Desk>,
    mut present: Present,
    compared: &mut Compared,
) -> Result<Vec<(Pseudonym, u64)>, Error> {
    present.0.sort_unstable();
    let present = Arc::new(present);
    let (mut vanished, mut closed) = (Vec::new(), HashSet::new());
    for (pseudonym, entry) in missed(desk, &present).await? {
        let (own, ctx) = here(desk)?;
        match fate(&own, &ctx, &pseudonym).await? {
            Fate::Came => {}
            // Counted among those who do not open. Nobody can say whether one row stands for several.
            Fate::Closed(key) if closed.insert(key) => {}
            Fate::Closed(_) => compared.unknown += 1,
            Fate::Gone => vanished.push((pseudonym, entry)),
        }
    }
    if !vanished.is_empty() {
        // They may have been erased since the log was read.
        let still = missed(desk, &present).await?;
        vanished.retain(|(pseudonym, _)| still.contains_key(pseudonym));
    }
    vanished.sort_unstable_by_key(|(_, entry)| *entry);
    Ok(vanished)
}

/// Of somebody who was not among those who were opened.
enum Fate {
    /// They came since.
    Came,
    /// The row that they lead to does not open.
    Closed(i64),
    Gone,
}

/// A row that leads from a name to a customer is anybody's who can write: the customer has to say so too.
async fn fate(desk: &Desk, ctx: &Ctx, pseudonym: &Pseudonym) -> Result<Fate, Error> {
    let hash = desk.keyring.subject_index(&pseudonym.0)?;
    let key = {
        let mut data = desk.data.snapshot().await?;
        store::key_of_subject(&mut data, &hash).await?
    };
    let Some(key) = key else { return Ok(Fate::Gone) };
    match open(desk, ctx, Which::Key(key)).await {
        Ok(Some(opened)) if opened.core.stands_for(pseudonym) => Ok(Fate::Came),
        Ok(_) => Ok(Fate::Gone),
        Err(error) if error.code == "sealed" => Err(error),
        Err(_) => Ok(Fate::Closed(key)),
    }
}

/// Counts and names them. That nobody is missed any more is believed of an intact log alone: whoever deleted
/// somebody may have altered what it says of them.
pub(super) async fn tell_vanished(
    desk: &Weak<Desk>,
    vanished: &[(Pseudonym, u64)],
    is_log_intact: bool,
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
        return match is_log_intact {
            true => close_finding(&own, &ctx, JOB, kind).await,
            false => Ok(()),
        };
    }
    let finding = Finding { kind, detail: GONE.to_owned(), customer: None };
    raise_finding(&own, &ctx, JOB, &finding).await
}

/// Who is not there, and the entry that wrote their rows last, which was no erasure.
async fn missed(
    desk: &Weak<Desk>,
    present: &Arc<Present>,
) -> Result<HashMap<Pseudonym, u64>, Error> {
    let (own, _) = here(desk)?;
    let (data, keyring, present) =
        (own.data.clone(), Arc::clone(&own.keyring), Arc::clone(present));
    drop(own);
    let read = move |db: &mut Connection| {
        let mut missed = HashMap::new();
        ledger::visit(db, &keyring, writes_rows, |placed, subjects| {
            for subject in subjects.into_iter().filter(|it| !present.has(it)) {
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

//! Each customer's rows, held against the newest entry that wrote them: whoever puts all rows of one
//! customer back to an older state, by SQL, makes them fit each other, but not the log.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use strongroom_crypto::sha256;

use super::vanished::{Present, find_vanished, tell_vanished};
use crate::access::{Desk, raise_finding};
use crate::ctx::{Ctx, Outcome, Pseudonym};
use crate::db::Connection;
use crate::error::Error;
use crate::findings::{Finding, FindingKind};
use crate::ledger::{self, Compared, FLAWS_MAX, Flaw, Leaf, LeafSubjects};
use crate::vault::rules::{self, Said, SaidRows, Stands, Verdict};
use crate::vault::store;
use crate::vault::verbs::open::{Opened, Which, open, open_page};

/// Compares all customers there are. The log was verified before and is believed here; where it is not
/// intact, what does not fit is told all the same, and nothing that was told before is taken back.
pub async fn compare(desk: Weak<Desk>, is_log_intact: bool) -> Result<Compared, Error> {
    let (mut compared, mut present) = (Compared::default(), Present::default());
    let mut from = Some(i64::MIN);
    while let Some(first) = from {
        let batch;
        (batch, from) = read_batch(&desk, first, (&mut compared, &mut present)).await?;
        judge(&desk, batch, &mut compared).await?;
    }
    let vanished = find_vanished(&desk, present, &mut compared).await?;
    tell_vanished(&desk, &vanished, is_log_intact, &mut compared).await?;
    Ok(compared)
}

/// Customers by the names the log has for them.
type Batch = HashMap<Pseudonym, Stands>;

/// What was said last, by the same names.
type Told = HashMap<Pseudonym, Option<Said>>;

/// So many customers as fit into memory, from a row key on; and where the next ones begin.
async fn read_batch(
    desk: &Weak<Desk>,
    first: i64,
    (compared, present): (&mut Compared, &mut Present),
) -> Result<(Batch, Option<i64>), Error> {
    let mut batch = Batch::new();
    let mut from = Some(first);
    while let Some(first) = from.filter(|_| batch.len() < BATCH_CUSTOMERS) {
        let (own, ctx) = here(desk)?;
        let data = own.data.clone();
        let page = data.apart(move || async move { read_page(&own, &ctx, first).await }).await?;
        compared.customers += page.seen;
        compared.broken += page.broken;
        for opened in page.opened {
            present.add(&opened.core);
            batch.insert(opened.core.pseudonym, stands(&opened));
        }
        from = page.next;
    }
    Ok((batch, from))
}

struct Page {
    seen: u64,
    broken: u64,
    opened: Vec<Opened>,
    next: Option<i64>,
}

async fn read_page(desk: &Desk, ctx: &Ctx, first: i64) -> Result<Page, Error> {
    let listed = {
        let mut data = desk.data.snapshot().await?;
        store::list_keys(&mut data, (first, i64::MAX), PAGE_ROWS).await?
    };
    let is_full = i64::try_from(listed.len()).is_ok_and(|rows| rows >= PAGE_ROWS);
    let last = listed.last().filter(|_| is_full).and_then(|(key, _)| key.checked_add(1));
    let mut page = Page { seen: 0, broken: 0, opened: Vec::new(), next: last };
    // By id where it is one, so that even a row that cannot be read has a name in its finding.
    let which: Vec<Which<'_>> =
        listed.iter().map(|(key, id)| id.as_ref().map_or(Which::Key(*key), Which::Id)).collect();
    for opened in open_page(desk, ctx, &which).await? {
        match opened {
            // Erased, or being erased.
            Ok(None) => continue,
            Ok(Some(opened)) => page.opened.push(opened),
            Err(error) if error.code == "sealed" => return Err(error),
            Err(_) => page.broken += 1,
        }
        page.seen += 1;
    }
    Ok(page)
}

fn stands(opened: &Opened) -> Stands {
    let version = opened.row.version;
    let newest = opened.records.values().filter(|it| it.version == version);
    let sealed = newest.map(|it| it.sealed.as_slice()).chain([opened.core_sealed.as_slice()]);
    let sealed_hash = sealed.fold([0; 32], |hash, sealed| sha256(&[&hash, sealed]));
    Stands { row: opened.row.clone(), sealed_hash, is_merged_away: opened.core.is_merged_away }
}

/// Who differs is opened once more: only where nothing has moved while the log was read do rows and log
/// belong to one moment.
async fn judge(desk: &Weak<Desk>, mut batch: Batch, compared: &mut Compared) -> Result<(), Error> {
    for _ in 0..ROUNDS_MAX {
        if batch.is_empty() {
            return Ok(());
        }
        let told = read_log(desk, &batch).await?;
        let mut moved = Batch::new();
        for (pseudonym, stands) in batch {
            let said = told.get(&pseudonym).and_then(Option::as_ref);
            match rules::compare(&stands, said) {
                Verdict::Fits => {}
                Verdict::Unknown => compared.unknown += 1,
                Verdict::Differs => {
                    let (own, ctx) = here(desk)?;
                    match open(&own, &ctx, Which::Id(&stands.row.id)).await {
                        Ok(None) => {}
                        Ok(Some(now)) if now.row == stands.row => {
                            tell(&own, &ctx, &stands, said, compared).await?;
                        }
                        Ok(Some(now)) => drop(moved.insert(pseudonym, self::stands(&now))),
                        Err(error) if error.code == "sealed" => return Err(error),
                        Err(_) => compared.broken += 1,
                    }
                }
            }
        }
        batch = moved;
    }
    // Changed whenever it was looked at.
    compared.unknown += batch.len() as u64;
    Ok(())
}

async fn tell(
    desk: &Desk,
    ctx: &Ctx,
    stands: &Stands,
    said: Option<&Said>,
    compared: &mut Compared,
) -> Result<(), Error> {
    compared.differing += 1;
    if compared.flaws.len() >= FLAWS_MAX {
        return Ok(());
    }
    let what = format!("the rows of {} are not the ones it wrote", stands.row.id);
    compared.flaws.push(Flaw { entry: said.map(|said| said.index), what });
    let customer = Some(*stands.row.id.as_bytes());
    let (kind, detail) = (FindingKind::RecordPutBack, PUT_BACK.to_owned());
    raise_finding(desk, ctx, JOB, &Finding { kind, detail, customer }).await
}

/// What all incarnations say of these customers' rows, the oldest first, so that the newest stays.
async fn read_log(desk: &Weak<Desk>, batch: &Batch) -> Result<Told, Error> {
    let mut told: Told = batch.keys().map(|pseudonym| (*pseudonym, None)).collect();
    let (own, _) = here(desk)?;
    let logs = own.archives.iter().rev().map(|archive| (archive.data.clone(), true));
    let logs: Vec<_> = logs.chain([(own.data.clone(), false)]).collect();
    let keyring = Arc::clone(&own.keyring);
    drop(own);
    for (data, is_before_restore) in logs {
        let keyring = Arc::clone(&keyring);
        let read = move |db: &mut Connection| {
            ledger::visit(db, &keyring, writes_rows, |placed, subjects| {
                for subject in subjects {
                    if let Some(last) = told.get_mut(&subject) {
                        hear(last, placed.index, &placed.leaf, is_before_restore);
                    }
                }
            })?;
            Ok(told)
        };
        told = data.scan(read).await?;
    }
    Ok(told)
}

/// Whether an entry changed the rows of its customers.
pub(super) fn writes_rows(leaf: &Leaf) -> bool {
    let says = leaf.written.is_some() || [DUE_ANEW, IMPORTED].contains(&leaf.verb.as_str());
    leaf.outcome == Outcome::Ok && says && leaf.subjects != LeafSubjects::None
}

/// Takes in the next entry about a customer.
fn hear(last: &mut Option<Said>, index: u64, leaf: &Leaf, is_before_restore: bool) {
    let rows = match (leaf.written, leaf.subjects) {
        (Some(written), LeafSubjects::Set { .. }) => SaidRows::Merged(written),
        (Some(written), _) if leaf.verb.starts_with(OF_RECORDS) => SaidRows::WithRecords(written),
        (Some(written), _) => SaidRows::Whole(written),
        (None, _) if leaf.verb == IMPORTED => SaidRows::First,
        (None, _) => {
            if let Some(said) = last {
                said.is_due_anew = true;
            }
            return;
        }
    };
    *last = Some(Said { index, rows, is_before_restore, is_due_anew: false });
}

pub(super) fn here(desk: &Weak<Desk>) -> Result<(Arc<Desk>, Ctx), Error> {
    let detail = "the server ends, and the verification with it; ask again";
    let desk = desk.upgrade().ok_or_else(|| Error::unavailable("closing", detail))?;
    let ctx = Ctx::system(JOB, desk.now(), Arc::clone(&desk.random))?;
    Ok((desk, ctx))
}

pub(super) const JOB: &str = "ledger.compare";

/// Entries without a hash that change rows: the daily walk's, and an import's.
const DUE_ANEW: &str = "customer.due";
const IMPORTED: &str = "import.rows";

/// Acts on records seal those with the core.
const OF_RECORDS: &str = "record.";

/// About a hundred megabytes; the log is read once for so many.
const BATCH_CUSTOMERS: usize = 200_000;

/// Opened in some twenty milliseconds: a snapshot held longer lets the write-ahead log grow.
const PAGE_ROWS: i64 = 500;

/// Whoever changes every time the log is read is not the one who was put back.
const ROUNDS_MAX: usize = 3;

const PUT_BACK: &str = "all rows of this customer were put back to an older state by other hands: an older address, or \
     a consent that was withdrawn, stands again, and what is answered about them may be wrong. Look into \
     the ledger for what happened since, restore the customer from a backup, and find out who can write \
     to the database";

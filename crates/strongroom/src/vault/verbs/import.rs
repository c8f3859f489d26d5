//! Importing rows: chunk by chunk, each row exactly once, from the same file on.
//!
//! The caller reads the file and sends rows in order; the job row remembers how far it is. A chunk
//! and the job's step forward are one change, so a kill at any point repeats or loses nothing.

use std::collections::HashSet;
use std::sync::Arc;

use crate::access::{self, Attempt, Desk, commit_or_retry};
use crate::ctx::{Ctx, Entry, EntryKind, FieldSet, Guard, Miss, Pseudonym, Receipt, Subjects};
use crate::db::Statement;
use crate::error::{Error, ErrorKind};
use crate::id::{Id, Import};
use crate::places::{self, HOLDING_SET_MAX, NewHolding, PlaceKind, PlaceName, Whose};
use crate::policy::{Applied, Right};
use crate::vault::model::Reference;
use crate::vault::store::{self, ImportRow};
use crate::vault::verbs::consent::ConsentSaid;
use crate::vault::verbs::create::{Known, NewCustomer, Prepared, prepare};
use crate::vault::verbs::lot::Lot;
use crate::vault::verbs::{ATTEMPTS_MAX, changed_meanwhile};

/// One row of the source.
#[derive(Clone)]
pub struct ImportRowInput {
    /// Its number in the source, from 1, for messages.
    pub line: u64,
    /// What it makes.
    pub customer: NewCustomer,
    /// What the callers' own systems call them, `shop/4711`, each once in the whole installation; at
    /// most 8.
    pub references: Vec<String>,
    /// What they consented to elsewhere; takes the right `relate` too.
    pub consents: Vec<ConsentSaid>,
}

/// An import that was begun or found again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// Names it.
    pub id: Id<Import>,
    /// How many rows of the source are done: go on with the next one.
    pub rows_done: u64,
    /// Customers made so far.
    pub created: u64,
    /// Rows skipped so far because another customer has their unique value.
    pub skipped: u64,
    /// Rows refused so far.
    pub refused: u64,
}

/// A row that made no customer, and why; never with its values.
#[derive(Debug, Clone)]
pub struct RowProblem {
    /// The row's number in the source.
    pub line: u64,
    /// Stable code.
    pub code: &'static str,
    /// In words, with field names.
    pub detail: String,
}

/// What a chunk came to.
#[derive(Debug)]
pub struct ChunkOutcome {
    /// Where the import stands now.
    pub now: Begun,
    /// Rows that made no customer.
    pub problems: Vec<RowProblem>,
    /// Where the chunk stands in the ledger; none for a dry run.
    pub receipt: Option<Receipt>,
}

/// Begins the import of a file with a map, or finds where it stopped.
pub async fn begin_import(
    desk: &Desk,
    ctx: &Ctx,
    file_hash: [u8; 32],
    map_hash: [u8; 32],
) -> Result<(Begun, Receipt), Error> {
    for _ in 0..ATTEMPTS_MAX {
        let grant = access::permit(desk, ctx, Right::Import)?;
        let known = {
            let mut data = desk.data.snapshot().await?;
            store::find_import(&mut data, &file_hash, &map_hash).await?
        };
        let entry = Entry::new(ctx, EntryKind::Import, "import.begin");
        if let Some(row) = known {
            let receipt = access::commit(desk, grant.change(entry).changing(row.id)).await?;
            return Ok((begun(&row), receipt));
        }
        let row = ImportRow {
            id: ctx.new_id()?,
            file_hash,
            map_hash,
            next_row: 0,
            created: 0,
            skipped: 0,
            refused: 0,
            started: ctx.now,
        };
        let statement = store::insert_import(&row);
        let guard = Guard::Rows { statement, expected: 1, miss: Miss::LifeChanged };
        let change = grant.change(entry).guard(guard).changing(row.id);
        if let Attempt::Done(receipt) = commit_or_retry(desk, change).await? {
            return Ok((begun(&row), receipt));
        }
    }
    Err(changed_meanwhile())
}

/// Where an import stands.
pub async fn import_now(desk: &Desk, id: Id<Import>) -> Result<Begun, Error> {
    let mut data = desk.data.snapshot().await?;
    let row = store::read_import(&mut data, &id).await?.ok_or_else(Error::not_found)?;
    Ok(begun(&row))
}

/// Says what would become of rows, and keeps none of them. It tells whose values are taken, so it is
/// an entry like any other question about customers.
pub async fn try_chunk(
    desk: &Arc<Desk>,
    ctx: &Ctx,
    rows: Vec<ImportRowInput>,
) -> Result<(Vec<RowProblem>, Receipt), Error> {
    let rows = Arc::new(rows);
    let grant = access::permit(desk, ctx, Right::Import)?;
    refuse_chunk(desk, ctx, &rows)?;
    let applied = Arc::clone(desk.rights.now()?.applied()?);
    let count = rows.len() as u64;
    let problems = sort_rows(desk, ctx, &applied, &rows).await?.problems;
    let entry = Entry::new(ctx, EntryKind::Import, "import.try").counting(count);
    let receipt = access::commit(desk, grant.change(entry)).await?;
    Ok((problems, receipt))
}

/// Takes the next rows of an import: `first` is how many rows were done before them.
pub async fn import_chunk(
    desk: &Arc<Desk>,
    ctx: &Ctx,
    id: Id<Import>,
    first: u64,
    rows: Vec<ImportRowInput>,
) -> Result<ChunkOutcome, Error> {
    refuse_chunk(desk, ctx, &rows)?;
    let rows = Arc::new(rows);
    for _ in 0..ATTEMPTS_MAX {
        let grant = access::permit(desk, ctx, Right::Import)?;
        let applied = Arc::clone(desk.rights.now()?.applied()?);
        let job = {
            let mut data = desk.data.snapshot().await?;
            store::read_import(&mut data, &id).await?.ok_or_else(Error::not_found)?
        };
        if job.next_row != first {
            return Err(out_of_step(job.next_row));
        }
        let sorted = sort_rows(desk, ctx, &applied, &rows).await?;
        let mut next = job.clone();
        next.next_row += rows.len() as u64;
        next.created += sorted.prepared.len() as u64;
        let skipped = sorted.problems.iter().filter(|it| it.code == TAKEN).count() as u64;
        next.skipped += skipped;
        next.refused += sorted.problems.len() as u64 - skipped;
        let mut fields = FieldSet::default();
        let mut subjects = Vec::with_capacity(sorted.prepared.len());
        for prepared in &sorted.prepared {
            prepared.fields.iter().for_each(|field| fields.insert(field));
            subjects.push(prepared.pseudonym);
        }
        let source = source_of(desk, ctx, &id, &subjects, fields)?;
        let entry = Entry::new(ctx, EntryKind::Import, "import.rows")
            .about(if subjects.is_empty() { Subjects::None } else { Subjects::Set(subjects) })
            .of_fields(fields)
            .counting(sorted.prepared.len() as u64);
        let statement = store::advance_import(&job, &next);
        let guard = Guard::Rows { statement, expected: 1, miss: Miss::LifeChanged };
        let change = grant.change(entry).guard(guard).write_all(source);
        let change = Prepared::all_into_change(sorted.prepared, change);
        match commit_or_retry(desk, change).await {
            Ok(Attempt::Done(receipt)) => {
                let receipt = Some(receipt);
                let problems = sorted.problems;
                return Ok(ChunkOutcome { now: begun(&next), problems, receipt });
            }
            Ok(Attempt::Retry) => {}
            // Somebody made a customer with one of these values meanwhile: sort the rows again.
            Err(error) if error.code == TAKEN => {}
            Err(error) => return Err(error),
        }
    }
    Err(changed_meanwhile())
}

/// The file the rows came from still holds them: a copy that has to go.
fn source_of(
    desk: &Desk,
    ctx: &Ctx,
    id: &Id<Import>,
    subjects: &[Pseudonym],
    fields: FieldSet,
) -> Result<Vec<Statement>, Error> {
    let new = NewHolding {
        place: &PlaceName::parse(IMPORT_SOURCES)?,
        kind: PlaceKind::Folder,
        whose: Whose::These(subjects.to_vec()),
        fields,
        due: Some(ctx.now.plus_days(SOURCE_DAYS_MAX)),
        act: "import.rows",
        origin: &id.to_string(),
    };
    places::hold(desk, ctx, &new)
}

struct Sorted {
    prepared: Vec<Prepared>,
    problems: Vec<RowProblem>,
}

/// Rows that make a customer, sealed, and rows that do not. Sealing a chunk takes a tenth of a second,
/// in which short requests must not wait.
async fn sort_rows(
    desk: &Arc<Desk>,
    ctx: &Ctx,
    applied: &Arc<Applied>,
    rows: &Arc<Vec<ImportRowInput>>,
) -> Result<Sorted, Error> {
    let (worker, own, policy) = (Arc::clone(desk), ctx.clone(), Arc::clone(applied));
    let input = Arc::clone(rows);
    // Sealing thousands of customers keeps processors busy for long, so it does not run where requests
    // are answered.
    let sealing = tokio::task::spawn_blocking(move || seal_all(&worker, &own, &policy, &input));
    let tried = sealing.await.map_err(Error::internal)??;
    let prepared = tried.iter().filter_map(|(_, tried)| tried.as_ref().ok());
    let asked = prepared.flat_map(|it| it.guards.iter().map(|(claim, _)| store::find_claim(claim)));
    let asked: Vec<Statement> = asked.collect();
    let known = desk.data.snapshot().await?.count_all(&asked.iter().collect::<Vec<_>>()).await?;
    let mut known = known.into_iter();
    let mut sorted = Sorted { prepared: Vec::with_capacity(rows.len()), problems: Vec::new() };
    let mut claimed: HashSet<(u8, [u8; 16])> = HashSet::new();
    for (line, tried) in tried {
        let prepared = match tried {
            Ok(prepared) => prepared,
            Err(problem) => {
                sorted.problems.push(problem);
                continue;
            }
        };
        let there: Vec<u64> = known.by_ref().take(prepared.guards.len()).collect();
        let taken = prepared.guards.iter().zip(there).find(|((claim, _), there)| {
            *there > 0 || claimed.contains(&(claim.entry.field, claim.entry.hash))
        });
        if let Some(((claim, _), _)) = taken {
            let name = applied.registry.name_of(claim.entry.field).unwrap_or("reference");
            let detail = format!("another customer already has this `{name}`; the row was skipped");
            sorted.problems.push(RowProblem { line, code: TAKEN, detail });
            continue;
        }
        claimed.extend(prepared.guards.iter().map(|(it, _)| (it.entry.field, it.entry.hash)));
        sorted.prepared.push(prepared);
    }
    Ok(sorted)
}

/// What became of a row: its number, and a sealed customer or why there is none.
type Tried = (u64, Result<Prepared, RowProblem>);

/// On every processor at once, in the order of the rows.
fn seal_all(
    desk: &Desk,
    ctx: &Ctx,
    applied: &Applied,
    rows: &[ImportRowInput],
) -> Result<Vec<Tried>, Error> {
    let lots = Lot::together(desk, ctx, rows.len())?;
    let processors = std::thread::available_parallelism().map_or(1, usize::from).min(SEALERS_MAX);
    let share = rows.len().div_ceil(processors).max(SHARE_ROWS_MIN);
    let seal = |(rows, lots): (&[ImportRowInput], &[Lot])| -> Result<Vec<Tried>, Error> {
        let each = rows.iter().zip(lots);
        each.map(|(row, lot)| Ok((row.line, seal_one(desk, ctx, applied, (row, *lot))?))).collect()
    };
    std::thread::scope(|scope| {
        let shares = rows.chunks(share).zip(lots.chunks(share));
        let sealers: Vec<_> = shares.map(|share| scope.spawn(move || seal(share))).collect();
        let mut all = Vec::with_capacity(rows.len());
        for sealer in sealers {
            let sealed = sealer.join().map_err(|_| Error::internal("a sealing thread ended"))?;
            all.extend(sealed?);
        }
        Ok(all)
    })
}

fn seal_one(
    desk: &Desk,
    ctx: &Ctx,
    applied: &Applied,
    (row, lot): (&ImportRowInput, Lot),
) -> Result<Result<Prepared, RowProblem>, Error> {
    let prepared = read_references(&row.references).and_then(|references| {
        let known = Known { references: &references, consents: &row.consents };
        prepare(desk, ctx, applied, (&row.customer, known), lot)
    });
    match prepared {
        Ok(prepared) => Ok(Ok(prepared)),
        Err(error) if error.kind == ErrorKind::Unprocessable => {
            Ok(Err(problem_of(row.line, &error)))
        }
        Err(error) => Err(error),
    }
}

fn read_references(texts: &[String]) -> Result<Vec<Reference>, Error> {
    if texts.len() > REFERENCES_MAX {
        let detail = format!("a customer comes with at most {REFERENCES_MAX} references");
        return Err(Error::unprocessable("too_many_references", detail));
    }
    let mut references: Vec<Reference> =
        texts.iter().map(|text| Reference::parse_text(text)).collect::<Result<_, _>>()?;
    references.sort();
    references.dedup();
    Ok(references)
}

fn problem_of(line: u64, error: &Error) -> RowProblem {
    let details: Vec<String> = error
        .fields
        .iter()
        .map(|problem| format!("{}: {}", problem.field, problem.detail))
        .collect();
    let detail = if details.is_empty() { error.detail.clone() } else { details.join("; ") };
    let code = error.fields.first().map_or(error.code, |problem| problem.code);
    RowProblem { line, code, detail }
}

fn begun(row: &ImportRow) -> Begun {
    Begun {
        id: row.id,
        rows_done: row.next_row,
        created: row.created,
        skipped: row.skipped,
        refused: row.refused,
    }
}

fn refuse_chunk(desk: &Desk, ctx: &Ctx, rows: &[ImportRowInput]) -> Result<(), Error> {
    if rows.iter().any(|row| !row.consents.is_empty()) {
        access::permit(desk, ctx, Right::Relate)?;
    }
    if rows.len() <= CHUNK_ROWS_MAX {
        return Ok(());
    }
    let detail = format!("send at most {CHUNK_ROWS_MAX} rows at a time");
    Err(Error::new(ErrorKind::TooLarge, "too_many_rows", detail))
}

fn out_of_step(done: u64) -> Error {
    let detail = format!(
        "this import stands at row {done}; send the rows after that one. Nothing of this chunk \
         was taken"
    );
    Error::conflict("import_out_of_step", detail)
}

/// The place of files that customers were imported from.
const IMPORT_SOURCES: &str = "import-sources";

/// Time enough to see that everything came over; then the file is only a danger.
const SOURCE_DAYS_MAX: i64 = 30;

/// The code of a unique value that another customer has.
const TAKEN: &str = "taken";

/// Bounds a change: four thousand customers are about twelve megabytes of sealed rows. Their source is one
/// holding.
pub const CHUNK_ROWS_MAX: usize = HOLDING_SET_MAX;

/// More threads would wait for each other's memory.
const SEALERS_MAX: usize = 8;

/// Fewer are sealed sooner than a thread starts.
const SHARE_ROWS_MIN: usize = 64;

/// A customer of a shop is in a handful of systems.
const REFERENCES_MAX: usize = 8;

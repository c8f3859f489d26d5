//! The log's tables.

use std::sync::Arc;

use strongroom_tlog::{Frontier, Hash, TileRoot, leaf_hash};

use crate::ctx::{Pseudonym, Time};
use crate::db::{Connection, Row, Snapshot, Statement, Value};
use crate::error::Error;
use crate::ledger::model::Leaf;
use crate::ledger::rules::{LoadedHashes, leaf_check, run_of};

/// The log as its newest durable batch left it.
#[derive(Clone)]
pub(super) struct Head {
    pub(super) time: Time,
    pub(super) epoch: u64,
    pub(super) state_changes: u64,
    pub(super) state_tag: [u8; 32],
    pub(super) frontier: Frontier,
    pub(super) checkpoint: Arc<str>,
    /// The key that the log is being handed over to; stands in no column of the head.
    pub(super) handing: Option<Arc<str>>,
}

/// The log, handed over to another signing key.
pub(super) struct Handover {
    /// The entry that says so.
    pub(super) entry: u64,
    /// The coming key, in C2SP form.
    pub(super) key: Arc<str>,
    /// The checkpoint that names it; empty while it is waited for.
    pub(super) note: String,
}

/// Ties a database to its key store: a strange pair is refused.
pub fn pair(db: &mut Connection, installation: &[u8; 16]) -> Result<(), Error> {
    let Some(row) = db.one(READ_INSTALLATION, &[])? else {
        return db
            .execute(&Statement::new(WRITE_INSTALLATION, vec![installation.into()]))
            .map(drop);
    };
    if row.array::<16>(0)? == *installation {
        return Ok(());
    }
    let detail = "strongroom.db and keys.db belong to different installations; put back the pair \
                  that belongs together";
    Err(Error::unavailable("mismatched_pair", detail))
}

pub(super) fn read_head(db: &mut Connection) -> Result<Option<Head>, Error> {
    let Some(row) = db.one(READ_HEAD, &[])? else { return Ok(None) };
    let frontier = Frontier::decode(row.bytes(5)?).map_err(Error::internal)?;
    if frontier.size() != unsigned(row.integer(0)?)? {
        return Err(Error::internal("the head's size and its tree differ"));
    }
    Ok(Some(Head {
        time: Time::from_ms(row.integer(1)?),
        epoch: unsigned(row.integer(2)?)?,
        state_changes: unsigned(row.integer(3)?)?,
        state_tag: row.array(4)?,
        frontier,
        checkpoint: row.text(6)?.into(),
        handing: None,
    }))
}

/// Size and checkpoint of the newest durable batch. Whoever else would write waits from here on, until the
/// transaction ends; before the first batch too.
pub(super) fn lock_head(db: &mut Connection) -> Result<Option<(u64, String)>, Error> {
    let read = |row: Row| Ok((unsigned(row.integer(0)?)?, row.text(1)?.to_owned()));
    if let Some(row) = db.one(LOCK_HEAD, &[])? {
        return read(row).map(Some);
    }
    db.execute(&Statement::new(LOCK_INSTALLATION, Vec::new()))?;
    // Another may have written the first one while this waited.
    db.one(LOCK_HEAD, &[])?.map(read).transpose()
}

pub(super) fn write_head(db: &mut Connection, head: &Head) -> Result<(), Error> {
    db.execute_later(&Statement::new(
        WRITE_HEAD,
        vec![
            signed(head.frontier.size())?.into(),
            head.time.as_ms().into(),
            signed(head.epoch)?.into(),
            signed(head.state_changes)?.into(),
            head.state_tag.into(),
            head.frontier.encode().into(),
            head.checkpoint.as_ref().into(),
        ],
    ))
}

/// What a batch adds to the tables of the log.
#[derive(Default)]
pub(super) struct Added {
    entries: Vec<Statement>,
    actors: Vec<Statement>,
    subjects: Vec<Statement>,
    tiles: Vec<Statement>,
}

impl Added {
    pub(super) fn entry(&mut self, index: u64, leaf: Vec<u8>, hash: &Hash) -> Result<(), Error> {
        let args = vec![signed(index)?.into(), leaf.into(), leaf_check(hash).into()];
        self.entries.push(Statement::new(APPEND_ENTRY, args));
        Ok(())
    }

    pub(super) fn actor(&mut self, index: u64, actor: &str) -> Result<(), Error> {
        let args = vec![signed(run_of(index))?.into(), actor.into(), signed(index)?.into()];
        self.actors.push(Statement::new(INDEX_ACTOR, args));
        Ok(())
    }

    pub(super) fn subject(&mut self, index: u64, subject: &Pseudonym) -> Result<(), Error> {
        let args = vec![signed(run_of(index))?.into(), subject.0.into(), signed(index)?.into()];
        self.subjects.push(Statement::new(INDEX_SUBJECT, args));
        Ok(())
    }

    pub(super) fn tile(&mut self, tile: &TileRoot) -> Result<(), Error> {
        let args =
            vec![i64::from(tile.level).into(), signed(tile.index)?.into(), tile.hash.0.into()];
        self.tiles.push(Statement::new(APPEND_TILE, args));
        Ok(())
    }

    /// Writes all of it, table by table: over a server each is one statement.
    pub(super) fn write(&self, db: &mut Connection) -> Result<(), Error> {
        let tables = [&self.entries, &self.actors, &self.subjects, &self.tiles];
        db.write_all_later(&tables.into_iter().flatten().collect::<Vec<_>>())
    }
}

pub(super) fn begin_handover(db: &mut Connection, entry: u64, key: &str) -> Result<(), Error> {
    let args = vec![signed(entry)?.into(), key.into()];
    db.execute_later(&Statement::new(BEGIN_HANDOVER, args))
}

/// A change that ends the hand-over under way: `note` is the checkpoint that names the coming key.
pub fn end_handover(note: &str) -> Statement {
    Statement::new(END_HANDOVER, vec![note.into()])
}

/// Every one there was of this log, oldest first.
pub(super) fn list_handovers(db: &mut Connection) -> Result<Vec<Handover>, Error> {
    let rows = db.query(LIST_HANDOVERS, &[Value::from(HANDOVERS_MAX)])?;
    let read = |row: &Row| {
        let (key, note) = (row.text(1)?.into(), row.text(2)?.to_owned());
        Ok(Handover { entry: unsigned(row.integer(0)?)?, key, note })
    };
    rows.iter().map(read).collect()
}

pub(super) fn append_set(db: &mut Connection, index: u64, sealed: Vec<u8>) -> Result<(), Error> {
    let args = vec![signed(index)?.into(), sealed.into()];
    db.execute_later(&Statement::new(APPEND_SET, args))
}

pub(super) fn read_set(db: &mut Connection, index: u64) -> Result<Option<Vec<u8>>, Error> {
    let row = db.one(READ_SET, &[signed(index)?.into()])?;
    Ok(row.and_then(|row| row.bytes(0).map(<[u8]>::to_vec).ok()))
}

/// Entries from an index on, in order, as they are stored.
pub(super) fn read_entries(
    db: &mut Connection,
    from: u64,
    count: u64,
) -> Result<Vec<StoredEntry>, Error> {
    let args = [signed(from)?.into(), signed(from.saturating_add(count))?.into()];
    db.query(READ_ENTRIES, &args)?.iter().map(stored_entry).collect()
}

/// One entry's row.
pub(super) struct StoredEntry {
    pub(super) index: u64,
    pub(super) leaf: Vec<u8>,
    pub(super) check: Vec<u8>,
}

/// What is not even bytes any more was changed; it hashes to something else and is named so.
fn stored_entry(row: &Row) -> Result<StoredEntry, Error> {
    let leaf = row.bytes(1).map(<[u8]>::to_vec).unwrap_or_default();
    let check = row.bytes(2).map(<[u8]>::to_vec).unwrap_or_default();
    Ok(StoredEntry { index: unsigned(row.integer(0)?)?, leaf, check })
}

pub(super) fn read_tile(db: &mut Connection, level: u8, index: u64) -> Result<Option<Hash>, Error> {
    let row = db.one(READ_TILE, &[i64::from(level).into(), signed(index)?.into()])?;
    Ok(row.and_then(|row| row.array(0).ok()).map(Hash))
}

/// Hashes of one level from an index on, in order; fewer where they are not there.
pub(super) fn read_tiles(
    db: &mut Connection,
    level: u8,
    from: u64,
    count: u64,
) -> Result<Vec<(u64, Hash)>, Error> {
    let (first, end) = (signed(from)?.into(), signed(from.saturating_add(count))?.into());
    let rows = db.query(READ_TILES, &[i64::from(level).into(), first, end])?;
    // What is no hash any more is not there.
    let hashes = rows.iter().filter_map(|row| row.array(1).ok().map(|hash| (row, Hash(hash))));
    hashes.map(|(row, hash)| Ok((unsigned(row.integer(0)?)?, hash))).collect()
}

/// Loads the hashes a proof needs: level 0 from the entries, the others from full tiles. Those that follow each
/// other come in one answer: up to 255 of each level do, and at a server each question is a way there and back.
pub(super) fn load_hashes(
    db: &mut Connection,
    needed: &[(u8, u64)],
) -> Result<LoadedHashes, Error> {
    let mut loaded = LoadedHashes::default();
    for run in needed.chunk_by(|one, next| (one.0, one.1 + 1) == *next) {
        let [(level, from), ..] = *run else { continue };
        let count = run.len() as u64;
        let hashes = match level {
            0 => {
                let entries = read_entries(db, from, count)?;
                entries.iter().map(|entry| (entry.index, leaf_hash(&entry.leaf))).collect()
            }
            _ => read_tiles(db, level, from, count)?,
        };
        loaded.0.extend(hashes.into_iter().map(|(index, hash)| ((level, index), hash)));
    }
    Ok(loaded)
}

pub(super) fn count_beyond(db: &mut Connection, size: u64) -> Result<u64, Error> {
    let row = db.one(COUNT_BEYOND, &[signed(size)?.into()])?;
    row.map_or(Ok(0), |row| unsigned(row.integer(0)?))
}

/// The subject rows of one run.
pub(super) fn run_subjects(db: &mut Connection, run: u64) -> Result<Vec<(Pseudonym, u64)>, Error> {
    let (args, mut found) = ([signed(run)?.into(), Value::from(RUN_ROWS_MAX)], Vec::new());
    db.each_row(RUN_SUBJECTS, &args, |row| {
        // A row of another form stands for nobody, and is named as one too many.
        found.push((Pseudonym(row.array(0).unwrap_or_default()), unsigned(row.integer(1)?)?));
        Ok(())
    })?;
    Ok(found)
}

/// The actor rows of one run.
pub(super) fn run_actors(db: &mut Connection, run: u64) -> Result<Vec<(String, u64)>, Error> {
    let (args, mut found) = ([signed(run)?.into(), Value::from(RUN_ROWS_MAX)], Vec::new());
    db.each_row(RUN_ACTORS, &args, |row| {
        found.push((row.text(0).unwrap_or_default().to_owned(), unsigned(row.integer(1)?)?));
        Ok(())
    })?;
    Ok(found)
}

/// Index rows of runs that no entry belongs to.
pub(super) fn count_stray_runs(db: &mut Connection, runs: u64) -> Result<u64, Error> {
    let mut strays = 0;
    for sql in [COUNT_STRAY_SUBJECTS, COUNT_STRAY_ACTORS] {
        let row = db.one(sql, &[signed(runs)?.into()])?;
        strays += row.map_or(Ok(0), |row| unsigned(row.integer(0)?))?;
    }
    Ok(strays)
}

pub(super) async fn find_leaf(snapshot: &mut Snapshot, index: u64) -> Result<Option<Leaf>, Error> {
    let row = snapshot.one(READ_ENTRY, &[signed(index)?.into()]).await?;
    row.map(|row| Leaf::decode(row.bytes(0)?)).transpose()
}

pub(super) fn size(db: &mut Connection) -> Result<u64, Error> {
    let row = db.one(READ_SIZE, &[])?;
    row.map_or(Ok(0), |row| unsigned(row.integer(0)?))
}

/// Entries about a subject in one run, newest first.
pub(super) fn subject_in_run(
    db: &mut Connection,
    run: u64,
    subject: &Pseudonym,
) -> Result<Vec<u64>, Error> {
    let args = [signed(run)?.into(), subject.0.into(), Value::from(RUN_ROWS_MAX)];
    indexes(&db.query(SUBJECT_IN_RUN, &args)?)
}

/// Entries of an actor in one run, newest first.
pub(super) fn actor_in_run(db: &mut Connection, run: u64, actor: &str) -> Result<Vec<u64>, Error> {
    let args = [signed(run)?.into(), actor.into(), Value::from(RUN_ROWS_MAX)];
    indexes(&db.query(ACTOR_IN_RUN, &args)?)
}

fn indexes(rows: &[Row]) -> Result<Vec<u64>, Error> {
    rows.iter().map(|row| unsigned(row.integer(0)?)).collect()
}

fn signed(number: u64) -> Result<i64, Error> {
    i64::try_from(number).map_err(Error::internal)
}

fn unsigned(number: i64) -> Result<u64, Error> {
    u64::try_from(number).map_err(Error::internal)
}

const READ_INSTALLATION: &str = "SELECT installation FROM installation WHERE id = 1";

const WRITE_INSTALLATION: &str = "INSERT INTO installation (id, installation) VALUES (1, $1)";

const READ_HEAD: &str =
    "SELECT size, time_ms, epoch, state_changes, state_tag, frontier, checkpoint
FROM ledger_head
WHERE id = 1";

const WRITE_HEAD: &str = "INSERT INTO ledger_head
  (id, size, time_ms, epoch, state_changes, state_tag, frontier, checkpoint)
VALUES (1, $1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (id) DO UPDATE SET
  size = excluded.size, time_ms = excluded.time_ms, epoch = excluded.epoch,
  state_changes = excluded.state_changes, state_tag = excluded.state_tag,
  frontier = excluded.frontier, checkpoint = excluded.checkpoint";

const LOCK_HEAD: &str =
    "UPDATE ledger_head SET size = size WHERE id = 1 RETURNING size, checkpoint";

const LOCK_INSTALLATION: &str = "UPDATE installation SET installation = installation WHERE id = 1";

const READ_SIZE: &str = "SELECT size FROM ledger_head WHERE id = 1";

const APPEND_ENTRY: &str = "INSERT INTO ledger_entry (idx, leaf, leaf_check) VALUES ($1, $2, $3)";

const READ_ENTRY: &str = "SELECT leaf FROM ledger_entry WHERE idx = $1";

const READ_ENTRIES: &str = "SELECT idx, leaf, leaf_check FROM ledger_entry
WHERE idx >= $1 AND idx < $2
ORDER BY idx";

const COUNT_BEYOND: &str = "SELECT COUNT(*) FROM ledger_entry WHERE idx >= $1 OR idx < 0";

const BEGIN_HANDOVER: &str = "INSERT INTO ledger_handover (idx, vkey, note) VALUES ($1, $2, '')";

const END_HANDOVER: &str = "UPDATE ledger_handover SET note = $1 WHERE note = ''";

const LIST_HANDOVERS: &str = "SELECT idx, vkey, note FROM ledger_handover ORDER BY idx LIMIT $1";

const APPEND_TILE: &str = "INSERT INTO ledger_tile (level, idx, hash) VALUES ($1, $2, $3)";

const READ_TILE: &str = "SELECT hash FROM ledger_tile WHERE level = $1 AND idx = $2";

const READ_TILES: &str = "SELECT idx, hash FROM ledger_tile
WHERE level = $1 AND idx >= $2 AND idx < $3
ORDER BY idx";

const INDEX_SUBJECT: &str = "INSERT INTO ledger_subject (run, subject, idx) VALUES ($1, $2, $3)";

const INDEX_ACTOR: &str = "INSERT INTO ledger_actor (run, actor, idx) VALUES ($1, $2, $3)";

const SUBJECT_IN_RUN: &str = "SELECT idx FROM ledger_subject
WHERE run = $1 AND subject = $2
ORDER BY idx DESC
LIMIT $3";

const ACTOR_IN_RUN: &str = "SELECT idx FROM ledger_actor
WHERE run = $1 AND actor = $2
ORDER BY idx DESC
LIMIT $3";

const RUN_SUBJECTS: &str = "SELECT subject, idx FROM ledger_subject
WHERE run = $1
ORDER BY subject, idx
LIMIT $2";

const RUN_ACTORS: &str = "SELECT actor, idx FROM ledger_actor
WHERE run = $1
ORDER BY actor, idx
LIMIT $2";

const COUNT_STRAY_SUBJECTS: &str = "SELECT COUNT(*) FROM ledger_subject WHERE run >= $1 OR run < 0";

const COUNT_STRAY_ACTORS: &str = "SELECT COUNT(*) FROM ledger_actor WHERE run >= $1 OR run < 0";

const APPEND_SET: &str = "INSERT INTO ledger_set (idx, sealed) VALUES ($1, $2)";

const READ_SET: &str = "SELECT sealed FROM ledger_set WHERE idx = $1";

/// One a day for years.
const HANDOVERS_MAX: i64 = 1_000;

/// A run has 1,024 entries, each of as many subjects as a wrapped text of 64 KiB names; and some rows more, which
/// other hands put there.
const RUN_ROWS_MAX: i64 = 1_024 * (64 * 1_024 / 16) + 100_000;

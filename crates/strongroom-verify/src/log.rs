//! An exported log, read from its first entry to its last.

use std::collections::BTreeMap;
use std::path::Path;

use crate::entry::{Entry, Kind, Outcome};
use crate::folder::{self, Row};
use crate::handover::{self, Chain, HANDOVER_VERB};
use crate::note::{Checkpoint, Key, NOTE_SIZE_BYTES_MAX, Note};
use crate::tree::{self, Hash, TILE_WIDTH, Tree};
use crate::wrong::Wrong;

/// What an auditor brings along.
pub struct Asked<'a> {
    /// The log's key, from somewhere else than the export.
    pub key: &'a Key,
    /// Witnesses whose cosignature the newest checkpoint must bear.
    pub witnesses: &'a [Key],
    /// An older checkpoint, kept since an earlier look: the signed note.
    pub since: Option<&'a [u8]>,
    /// Keys that the log had before, for an older checkpoint and nothing else.
    pub older_keys: &'a [Key],
    /// Whether the report is to hold the entries: some 200 bytes of memory for each.
    pub wants_entries: bool,
}

impl<'a> Asked<'a> {
    /// The key alone, and nothing else to hold the log against.
    pub fn with(key: &'a Key) -> Self {
        Self { key, witnesses: &[], since: None, older_keys: &[], wants_entries: false }
    }
}

/// What an intact log holds.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was signed.
    pub checkpoint: Checkpoint,
    /// The times of its first and last entry, in milliseconds since 1970.
    pub times_ms: Option<(i64, i64)>,
    /// How many entries of each kind and outcome.
    pub counts: BTreeMap<(Kind, Outcome), u64>,
    /// Of a log that was opened by a restore: the one before it, as entry 0 names it.
    pub before: Option<Checkpoint>,
    /// Keys it was handed over to since the one that was asked with, as a witness cosigned, and at how
    /// many entries.
    pub handed: Vec<(u64, String)>,
    /// Entries that hand it over to a key without whose signature nothing was believed, and these keys.
    pub rotated: Vec<(u64, String)>,
    /// The entries in order, where they were asked for.
    pub entries: Vec<Entry>,
    /// The older checkpoint that this log was seen to continue.
    pub continues: Option<Checkpoint>,
    /// When each witness cosigned, in seconds since 1970.
    pub cosigned: Vec<(String, u64)>,
    /// Signature lines of keys nobody named here: not checked.
    pub unknown_lines: usize,
}

/// Checks a log in a folder, and the logs from before restores beside it. The newest comes first.
///
/// Ends at the first thing that is wrong and names it.
pub fn verify_log(folder: &Path, asked: &Asked<'_>) -> Result<Vec<Report>, Wrong> {
    let older = folder::read_top(folder, true)?;
    let since = asked.since.map(Note::parse).transpose();
    let since = since.map_err(|wrong| wrong.at("the older checkpoint").unread())?;
    let newest = verify_one(folder, asked, since.as_ref(), None)?;
    let mut reports = vec![newest];
    for (number, path) in older {
        let place = format!("incarnation-{number}");
        let named = reports.last().and_then(|report| report.before.clone());
        let named = named.ok_or_else(|| Wrong::new("no later log names it").at(&place))?;
        folder::read_top(&path, false).map_err(|wrong| wrong.at(&place))?;
        let key = asked.key.named(&named.origin).map_err(|wrong| wrong.at(&place))?;
        let asked = Asked { key: &key, witnesses: &[], ..*asked };
        let report = verify_one(&path, &asked, since.as_ref(), Some(&named));
        let report = report.map_err(|it| it.at(&place))?;
        if report.checkpoint != named {
            return Err(Wrong::new("it is not the log that the later one names").at(&place));
        }
        reports.push(report);
    }
    if let Some(before) = reports.last().and_then(|report| report.before.as_ref()) {
        let name = before.origin.escape_debug();
        return Err(Wrong::new(format!(
            "the log before the restore, {name}, is not in the folder; export the log anew"
        )));
    }
    if since.is_some() && !reports.iter().any(|report| report.continues.is_some()) {
        return Err(Wrong::new("the older checkpoint is of another log"));
    }
    Ok(reports)
}

fn verify_one(
    folder: &Path,
    asked: &Asked<'_>,
    since: Option<&Note<'_>>,
    pinned: Option<&Checkpoint>,
) -> Result<Report, Wrong> {
    let Asked { key, witnesses, older_keys, .. } = *asked;
    let bytes = folder::read(&folder.join("checkpoint"), NOTE_SIZE_BYTES_MAX);
    let bytes = bytes.map_err(|wrong| wrong.at("checkpoint"))?;
    let note = Note::parse(&bytes).map_err(|wrong| wrong.at("checkpoint"))?;
    let beside = key_beside(folder)?;
    let handovers = folder::read_handovers(folder)?;
    let parsed = (1..).zip(&handovers).map(|(number, bytes)| {
        Note::parse(bytes).map_err(|wrong| wrong.at(handover::file(number)))
    });
    let handovers = parsed.collect::<Result<Vec<_>, _>>()?;
    let chain = match pinned {
        // A later log names its root, so the key that lies beside it is as good as any.
        Some(_) if note.checkpoint(key).is_err() => Chain::pinned(&beside, &handovers)?,
        Some(_) => Chain::pinned(key, &handovers)?,
        None => Chain::follow(key, witnesses, &handovers)?,
    };
    let signer = chain.newest()?;
    let checkpoint = note.checkpoint(signer);
    let checkpoint = checkpoint.map_err(|wrong| chain.unsigned(wrong.at("checkpoint")))?;
    let mut cosigned = Vec::new();
    for witness in witnesses {
        let time = note.cosigned(witness).map_err(|wrong| wrong.at("checkpoint"))?;
        cosigned.push((witness.name().to_owned(), time));
    }
    refuse_other_key(&beside, signer)?;
    let since = since.filter(|note| note.claimed_origin() == checkpoint.origin);
    let since = since.map(|note| open_older(note, chain.keys(), older_keys)).transpose();
    let since = since.map_err(|wrong| wrong.at("the older checkpoint"))?;
    if let Some(since) = since.as_ref().filter(|since| since.size > checkpoint.size) {
        return Err(Wrong::new(format!(
            "the older checkpoint covers {} entries and this log has {}: entries are gone",
            since.size, checkpoint.size
        )));
    }

    let mut walk = Walk { folder, size: checkpoint.size, since: since.as_ref(), ..Walk::new() };
    walk.handed = chain.handovers().map(|(checkpoint, _)| checkpoint).collect();
    walk.wants_entries = asked.wants_entries;
    for tile in 0..checkpoint.size.div_ceil(TILE_WIDTH) {
        walk.tile(tile)?;
    }
    walk.end(&checkpoint.root)?;
    chain.compare(&walk.handing, pinned.is_some())?;
    folder::refuse_strays(folder, checkpoint.size)?;
    let known: Vec<&Key> = chain.keys().iter().chain(witnesses).collect();
    let unknown_lines = note.unknown_lines(&known);
    let Walk { times_ms, counts, before, handing, entries, .. } = walk;
    let (handed, rotated) = (chain.told(), chain.untold(&handing));
    Ok(Report {
        checkpoint,
        times_ms,
        counts,
        before,
        handed,
        rotated,
        entries,
        continues: since,
        cosigned,
        unknown_lines,
    })
}

fn key_beside(folder: &Path) -> Result<Key, Wrong> {
    let beside = folder::read(&folder.join("vkey"), NOTE_SIZE_BYTES_MAX);
    let beside = beside.and_then(|bytes| {
        let text = str::from_utf8(&bytes).ok().and_then(|text| text.strip_suffix('\n'));
        Key::log(text.ok_or(Wrong::new("it is not one line"))?)
    });
    beside.map_err(|wrong| wrong.at("vkey"))
}

/// An older checkpoint, signed with a key that the log has or, as far as the auditor says so, had.
fn open_older(note: &Note<'_>, keys: &[Key], older: &[Key]) -> Result<Checkpoint, Wrong> {
    let mut wrong = Wrong::new("there is no key");
    for key in keys.iter().rev().chain(older) {
        match note.checkpoint(key) {
            Ok(checkpoint) => return Ok(checkpoint),
            Err(found) => wrong = found,
        }
    }
    let cure = "where the log had another key then, give that with `--old-key`";
    Err(Wrong::new(format!("{wrong}; {cure}")))
}

/// The key in the folder proves nothing; but another one than the auditor's is a sign of a mix-up.
fn refuse_other_key(beside: &Key, key: &Key) -> Result<(), Wrong> {
    if beside == key {
        return Ok(());
    }
    Err(Wrong::new("it holds another key than the one that was asked for").at("vkey"))
}

/// One pass over all entries: the tree grows, and every tile is held against it.
struct Walk<'a> {
    folder: &'a Path,
    size: u64,
    since: Option<&'a Checkpoint>,
    /// Checkpoints that handed the log over: each is one of this log.
    handed: Vec<&'a Checkpoint>,
    tree: Tree,
    /// Hashes of each row, from row 1, since its last full tile.
    rows: Vec<Vec<Hash>>,
    /// How many full tiles of each row there were, from row 1.
    tiles: Vec<u64>,
    /// Time, epoch and changes of rights of the entry before.
    last: Option<(i64, u64, u64)>,
    times_ms: Option<(i64, i64)>,
    counts: BTreeMap<(Kind, Outcome), u64>,
    before: Option<Checkpoint>,
    /// The entries that hand the log over, with the keys they name.
    handing: Vec<(u64, String)>,
    wants_entries: bool,
    entries: Vec<Entry>,
    seen_since: bool,
}

impl Walk<'_> {
    fn new() -> Self {
        Self {
            folder: Path::new(""),
            size: 0,
            since: None,
            handed: Vec::new(),
            tree: Tree::default(),
            rows: Vec::new(),
            tiles: Vec::new(),
            last: None,
            times_ms: None,
            counts: BTreeMap::new(),
            before: None,
            handing: Vec::new(),
            wants_entries: false,
            entries: Vec::new(),
            seen_since: false,
        }
    }

    /// One bundle of entries, and the tile with their hashes.
    fn tile(&mut self, index: u64) -> Result<(), Wrong> {
        let width = Row::Entries.width(index, self.size);
        let name = Row::Entries.file(index, width);
        let bundle = folder::read(&self.folder.join(&name), BUNDLE_SIZE_BYTES_MAX);
        let bundle = bundle.map_err(|wrong| wrong.at(&name))?;
        let hashes = self.read_hashes(0, index, width)?;
        let first = index * TILE_WIDTH;
        let mut rest = bundle.as_slice();
        for (number, told) in (first..).zip(&hashes) {
            let cut = || Wrong::new("it is not in the bundle").at(format!("entry {number}"));
            let (length, after) = rest.split_first_chunk::<2>().ok_or_else(cut)?;
            let length = usize::from(u16::from_be_bytes(*length));
            let (entry, after) = after.split_at_checked(length).ok_or_else(cut)?;
            rest = after;
            self.entry(number, entry, told).map_err(|wrong| wrong.at(format!("entry {number}")))?;
        }
        if !rest.is_empty() {
            return Err(Wrong::new("it holds more than the entries it should").at(name));
        }
        if width == TILE_WIDTH {
            self.take_up(1, tree::over(&hashes))?;
        }
        Ok(())
    }

    fn entry(&mut self, number: u64, bytes: &[u8], told: &Hash) -> Result<(), Wrong> {
        let hash = tree::of_leaf(bytes);
        if hash != *told {
            return Err(Wrong::new("its hash is not the one in the tile of hashes"));
        }
        self.look_back()?;
        self.tree.add(hash);
        let entry = Entry::decode(bytes)?;
        let now = (entry.time_ms, entry.epoch, entry.state_changes);
        if let Some(last) = self.last
            && (now.0 < last.0 || now.1 < last.1 || now.2 < last.2)
        {
            return Err(Wrong::new("it is older than the entry before it"));
        }
        self.last = Some(now);
        let begun = self.times_ms.map_or(now.0, |(first, _)| first);
        self.times_ms = Some((begun, now.0));
        *self.counts.entry((entry.kind, entry.outcome)).or_default() += 1;
        if entry.verb == HANDOVER_VERB && entry.outcome == Outcome::Ok {
            self.handing.push((number, entry.ticket.clone()));
        }
        if number == 0 && entry.verb == OPENING_VERB {
            let named = named_by(&entry.ticket);
            self.before = Some(named.ok_or(Wrong::new("it names no log from before the restore"))?);
        }
        if self.wants_entries {
            self.entries.push(entry);
        }
        Ok(())
    }

    /// The tree must once have had the root of the older checkpoint, at its size.
    fn look_back(&mut self) -> Result<(), Wrong> {
        let here = self.handed.iter().filter(|it| it.size == self.tree.size());
        for handed in here {
            if self.tree.root() != handed.root {
                return Err(Wrong::new(format!(
                    "the first {} entries are not the ones that were handed over to another key",
                    handed.size
                )));
            }
        }
        let Some(since) = self.since.filter(|since| since.size == self.tree.size()) else {
            return Ok(());
        };
        self.seen_since = true;
        if self.tree.root() == since.root {
            return Ok(());
        }
        let size = since.size;
        Err(Wrong::new(format!(
            "the first {size} entries are not the ones that the older checkpoint covers"
        )))
    }

    /// A full tile below gives one hash of the row above; a full row there goes on upwards.
    fn take_up(&mut self, level: usize, hash: Hash) -> Result<(), Wrong> {
        if self.rows.len() < level {
            self.rows.push(Vec::new());
            self.tiles.push(0);
        }
        let place = level - 1;
        let (Some(row), Some(tiles)) = (self.rows.get_mut(place), self.tiles.get_mut(place)) else {
            return Ok(());
        };
        row.push(hash);
        if (row.len() as u64) < TILE_WIDTH {
            return Ok(());
        }
        let (row, index) = (std::mem::take(row), *tiles);
        *tiles += 1;
        self.compare(level as u32, index, &row)?;
        self.take_up(level + 1, tree::over(&row))
    }

    /// What was computed, against the file that says it.
    fn compare(&self, level: u32, index: u64, computed: &[Hash]) -> Result<(), Wrong> {
        let told = self.read_hashes(level, index, computed.len() as u64)?;
        let wrong = computed.iter().zip(&told).position(|(computed, told)| computed != told);
        let Some(place) = wrong else { return Ok(()) };
        let span = TILE_WIDTH.pow(level);
        let first = (index * TILE_WIDTH + place as u64) * span;
        let name = Row::Hashes(level).file(index, computed.len() as u64);
        let last = first + span - 1;
        Err(Wrong::new(format!("the entries {first} to {last} are not the ones hashed here"))
            .at(name))
    }

    fn read_hashes(&self, level: u32, index: u64, width: u64) -> Result<Vec<Hash>, Wrong> {
        let name = Row::Hashes(level).file(index, width);
        let bytes = folder::read(&self.folder.join(&name), TILE_SIZE_BYTES_MAX);
        let bytes = bytes.map_err(|wrong| wrong.at(&name))?;
        let (hashes, rest) = bytes.as_chunks::<32>();
        if !rest.is_empty() || hashes.len() as u64 != width {
            return Err(Wrong::new(format!("it does not hold {width} hashes")).at(name));
        }
        Ok(hashes.to_vec())
    }

    /// The tiles that are not full, and the root.
    fn end(&mut self, root: &Hash) -> Result<(), Wrong> {
        for (level, (row, tiles)) in (1_u32..).zip(self.rows.iter().zip(&self.tiles)) {
            if !row.is_empty() {
                self.compare(level, *tiles, row)?;
            }
        }
        self.look_back()?;
        if self.handed.iter().any(|handed| handed.size > self.size) {
            return Err(Wrong::new("it was handed over with more entries than it has now"));
        }
        if self.tree.root() != *root {
            return Err(Wrong::new(
                "the entries and tiles fit each other, and not the root that the checkpoint signs",
            ));
        }
        if self.since.is_some() && !self.seen_since {
            return Err(Wrong::new("the older checkpoint was not reached"));
        }
        Ok(())
    }
}

/// `origin size root`, as entry 0 after a restore names the log before it.
fn named_by(ticket: &str) -> Option<Checkpoint> {
    let mut parts = ticket.split(' ');
    let (origin, size, root) = (parts.next()?, parts.next()?, parts.next()?);
    let (size, root) = (crate::note::number(size)?, crate::note::hash(root)?);
    parts.next().is_none().then(|| Checkpoint { origin: origin.to_owned(), size, root })
}

const OPENING_VERB: &str = "ledger.restore";

const TILE_SIZE_BYTES_MAX: usize = 256 * 32;

/// 256 entries of 65,535 bytes, each with two for its length.
const BUNDLE_SIZE_BYTES_MAX: usize = 256 * (65_535 + 2);

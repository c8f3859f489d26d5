//! `strongroom ledger export`: the whole log as files, for auditors and mirrors.
//!
//! Every full tile is held against the row above it and the highest row against the signed root, before
//! anything is written: a server that sends another log spoils no folder.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;
use strongroom_tlog::{
    Checkpoint, Frontier, Hash, TILE_WIDTH, TileWidth, VerifierKey, entries_path, leaf_hash,
    needed_for_root, open_checkpoint, parse_entries_bundle, root_of, tile_path, tile_width,
};

use super::files::Files;
use crate::cli::failure::Failure;
use crate::cli::import::Progress;
use crate::cli::output::Output;
use crate::cli::transport::{Call, Transport};

/// Exports the log and those from before restores.
pub(super) async fn export(
    transport: &mut Transport,
    folder: &Path,
    output: &Output,
) -> Result<(), Failure> {
    // Before the log: what hands it over is under its checkpoint then.
    let handovers = handovers(transport).await?;
    let newest = Log::ask(transport, None).await?;
    newest.export(transport, folder, &handovers, output).await?;
    let mut older = 0_u64;
    for number in (1..newest.number).rev() {
        let log = Log::ask(transport, Some(number)).await?;
        log.export(transport, &folder.join(format!("incarnation-{number}")), &[], output).await?;
        older += 1;
    }
    let key = newest.key.to_string();
    if output.is_json() {
        return output.value(&json!({
            "size": newest.checkpoint.size,
            "root": newest.checkpoint.root.to_base64(),
            "verifier_key": key,
            "older_incarnations": older,
        }));
    }
    output.line(&format!("{} entries are in `{}`.", newest.checkpoint.size, folder.display()))?;
    match older {
        0 => {}
        1 => output.line("Beside them is a log from before a restore.")?,
        _ => output.line(&format!("Beside them are {older} logs from before restores."))?,
    }
    output.line(&format!(
        "The log's key is {key}\n\
         Auditors check the folder with `strongroom-verify {} --key '{key}'`. Give them the key by \
         another way than the folder: whoever changes one must not be able to change the other.",
        folder.display()
    ))
}

/// The checkpoints by which the log was handed over to other signing keys: what an auditor needs who has
/// an older one.
async fn handovers(transport: &mut Transport) -> Result<Vec<String>, Failure> {
    let mut notes = Vec::new();
    for number in 1..=HANDOVERS_MAX {
        let call = Call::get(format!("/v1/ledger/checkpoint?handover={number}"));
        match transport.call(call).await {
            Ok(answer) => notes.push(answer.text()),
            Err(failure) if failure.code() == "not_found" => break,
            Err(failure) => return Err(failure),
        }
    }
    Ok(notes)
}

/// One incarnation, as its checkpoint says.
struct Log {
    number: u64,
    key: VerifierKey,
    note: String,
    checkpoint: Checkpoint,
}

impl Log {
    async fn ask(transport: &mut Transport, number: Option<u64>) -> Result<Self, Failure> {
        let query = number.map(|it| format!("?incarnation={it}")).unwrap_or_default();
        let call = Call::get(format!("/v1/ledger/checkpoint{query}"));
        let answer = transport.call(call).await?;
        let key = answer.header("strongroom-verifier-key").map(VerifierKey::parse);
        let number = answer.header("strongroom-incarnation").and_then(|it| it.parse().ok());
        let (Some(Ok(key)), Some(number)) = (key, number) else {
            return Err(Failure::new(
                "not_a_strongroom",
                "the server does not say which log it is",
            ));
        };
        let note = answer.text();
        let checkpoint = open_checkpoint(&note, &key)
            .map_err(|error| altered(&format!("its checkpoint does not hold: {error}")))?;
        Ok(Self { number, key, note, checkpoint })
    }

    async fn export(
        &self,
        transport: &mut Transport,
        folder: &Path,
        handovers: &[String],
        output: &Output,
    ) -> Result<(), Failure> {
        let mut files = Files::open(folder, &format!("{}\n", self.key))?;
        let mut export = Export { log: self, transport, files: &mut files };
        export.refuse_other_past().await?;
        let edge = export.edge().await?;
        let mut above = Vec::new();
        for level in (1..=self.highest_level()).rev() {
            above = export.row(level, &above, &edge).await?;
        }
        let mut progress =
            if output.is_json() { Progress::Quiet } else { Progress::for_people("entries") };
        export.entries(&above, &edge, &mut progress).await?;
        progress.end();
        for (number, note) in (1..).zip(handovers) {
            files.write(&format!("handover-{number}"), note.as_bytes())?;
        }
        files.end(&self.note, self.checkpoint.size)
    }

    fn highest_level(&self) -> u8 {
        (0..8).take_while(|level| self.checkpoint.size >> (8 * level) > 0).last().unwrap_or(0)
    }
}

/// An export under way.
struct Export<'a> {
    log: &'a Log,
    transport: &'a mut Transport,
    files: &'a mut Files,
}

/// The hashes of tiles that are not full, by row.
type Edge = BTreeMap<u8, Vec<Hash>>;

impl Export<'_> {
    /// What was exported here before must be the beginning of what there is now; otherwise the folder
    /// is the proof of it, and stays as it is.
    async fn refuse_other_past(&mut self) -> Result<(), Failure> {
        let Some(note) = self.files.read("checkpoint")? else { return Ok(()) };
        let note = String::from_utf8_lossy(&note).into_owned();
        let old = open_checkpoint(&note, &self.log.key)
            .map_err(|_| other_log("its checkpoint is not one of this log"))?;
        if old.size > self.log.checkpoint.size {
            return Err(other_log("it has more entries than the log has now"));
        }
        let mut hashes = BTreeMap::new();
        for (level, index) in needed_for_root(old.size) {
            if !hashes.contains_key(&(level, index)) {
                let tile = index / TILE_WIDTH as u64;
                let read = self.fetch_hashes(level, tile).await?;
                let first = tile * TILE_WIDTH as u64;
                hashes.extend((first..).zip(read).map(|(index, hash)| ((level, index), hash)));
            }
        }
        match root_of(old.size, &hashes) {
            Ok(root) if root == old.root => Ok(()),
            _ => Err(other_log("the log does not continue it")),
        }
    }

    /// Tiles that are not full, from the server; they give the root, so all else follows from them.
    async fn edge(&mut self) -> Result<Edge, Failure> {
        let Checkpoint { size, root, .. } = self.log.checkpoint;
        let (mut edge, mut hashes) = (Edge::new(), BTreeMap::new());
        for level in 0..=self.log.highest_level() {
            let filled = size >> (8 * level);
            let tile = filled / TILE_WIDTH as u64;
            if filled % TILE_WIDTH as u64 == 0 {
                continue;
            }
            let read = self.fetch_hashes(level, tile).await?;
            let first = tile * TILE_WIDTH as u64;
            hashes.extend((first..).zip(&read).map(|(index, hash)| ((level, index), *hash)));
            edge.insert(level, read);
        }
        match root_of(size, &hashes) {
            Ok(found) if found == root => {}
            _ => return Err(altered("its tiles do not have the root that it signed")),
        }
        for (level, hashes) in &edge {
            let path = tile_path(*level, (size >> (8 * level)) / TILE_WIDTH as u64, width(hashes)?);
            self.files.write(&path, &to_bytes(hashes))?;
        }
        Ok(edge)
    }

    /// All tiles of a row above the entries' hashes, each as the row above says; gives their hashes.
    async fn row(&mut self, level: u8, above: &[Hash], edge: &Edge) -> Result<Vec<Hash>, Failure> {
        let mut row = Vec::new();
        for (tile, told) in (0..).zip(above) {
            row.extend(self.full_tile(level, tile, told).await?);
        }
        row.extend(edge.get(&level).into_iter().flatten());
        Ok(row)
    }

    /// A full tile: the one in the folder if it is the right one, else from the server.
    async fn full_tile(&mut self, level: u8, tile: u64, told: &Hash) -> Result<Vec<Hash>, Failure> {
        let path = tile_path(level, tile, TileWidth::Full);
        if let Some(here) = self.files.read(&path)?.and_then(|bytes| to_hashes(&bytes))
            && here.len() == TILE_WIDTH
            && over(here.iter().copied()) == *told
        {
            return Ok(here);
        }
        let sent = self.fetch_hashes(level, tile).await?;
        if over(sent.iter().copied()) != *told {
            return Err(altered(&format!("{path} is not the one under the signed root")));
        }
        self.files.write(&path, &to_bytes(&sent))?;
        Ok(sent)
    }

    /// The entries and the row of their hashes, piece by piece: only this row is too long for memory.
    async fn entries(
        &mut self,
        above: &[Hash],
        edge: &Edge,
        progress: &mut Progress,
    ) -> Result<(), Failure> {
        let size = self.log.checkpoint.size;
        progress.begin(0, size);
        for (tile, told) in (0..).zip(above) {
            let hashes = self.full_tile(0, tile, told).await?;
            self.bundle(tile, &hashes).await?;
            progress.at((tile + 1) * TILE_WIDTH as u64);
        }
        if let Some(hashes) = edge.get(&0) {
            self.bundle(size / TILE_WIDTH as u64, hashes).await?;
        }
        progress.at(size);
        Ok(())
    }

    async fn bundle(&mut self, tile: u64, hashes: &[Hash]) -> Result<(), Failure> {
        let path = entries_path(tile, width(hashes)?);
        let fits = |bundle: &[u8]| match parse_entries_bundle(bundle) {
            Ok(entries) => entries.into_iter().map(leaf_hash).eq(hashes.iter().copied()),
            Err(_) => false,
        };
        if self.files.read(&path)?.is_some_and(|here| fits(&here)) {
            return Ok(());
        }
        let sent = self.fetch(&path).await?;
        if !fits(&sent) {
            return Err(altered(&format!("{path} does not hold the entries that were signed")));
        }
        self.files.write(&path, &sent)
    }

    async fn fetch_hashes(&mut self, level: u8, tile: u64) -> Result<Vec<Hash>, Failure> {
        let width = tile_width(self.log.checkpoint.size, level, tile);
        let width = width.ok_or_else(|| altered("it has no such tile"))?;
        let path = tile_path(level, tile, width);
        let sent = self.fetch(&path).await?;
        let hashes = to_hashes(&sent).filter(|hashes| hashes.len() == places(width));
        hashes.ok_or_else(|| altered(&format!("{path} is no tile of this width")))
    }

    async fn fetch(&mut self, path: &str) -> Result<Vec<u8>, Failure> {
        let query = format!("?incarnation={}", self.log.number);
        let call = Call::get(format!("/v1/ledger/{path}{query}"));
        Ok(self.transport.call(call).await?.into_bytes().to_vec())
    }
}

/// The hash over a full tile.
fn over(hashes: impl Iterator<Item = Hash>) -> Hash {
    let (mut tree, mut completed) = (Frontier::new(), Vec::new());
    hashes.for_each(|hash| tree.append(hash, &mut completed));
    tree.root()
}

fn width(hashes: &[Hash]) -> Result<TileWidth, Failure> {
    tile_width(hashes.len() as u64, 0, 0).ok_or_else(|| altered("a tile is empty"))
}

fn places(width: TileWidth) -> usize {
    match width {
        TileWidth::Full => TILE_WIDTH,
        TileWidth::Partial(width) => usize::from(width.get()),
    }
}

fn to_hashes(bytes: &[u8]) -> Option<Vec<Hash>> {
    let (hashes, rest) = bytes.as_chunks::<32>();
    rest.is_empty().then(|| hashes.iter().copied().map(Hash).collect())
}

fn to_bytes(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

/// More than a verifier reads.
const HANDOVERS_MAX: u64 = 1_000;

fn altered(what: &str) -> Failure {
    let sentence = format!(
        "the server does not send the log that it signed: {what}. Run `strongroom ledger verify`"
    );
    Failure::new("ledger_altered", sentence)
}

fn other_log(what: &str) -> Failure {
    let sentence = format!(
        "the folder holds another log: {what}. Nothing was written; keep the folder as it is, ask why, \
         and export into a new one"
    );
    Failure::new("other_log", sentence)
}

//! The log in the pieces of C2SP tlog-tiles, for mirrors and auditors.

use strongroom_tlog::{
    Hash, TILE_WIDTH, TileKind, TilePath, TileWidth, entries_bundle, leaf_hash, tile_width,
};

use crate::db::{Connection, Database};
use crate::error::Error;
use crate::ledger::{altered, store};

/// A hash tile or a bundle of entries of a log that is durable up to `size`; not found where the log
/// does not reach.
///
/// What is stored is what is told: whoever asks computes the root and holds it against the checkpoint.
pub async fn tile(data: &Database, size: u64, path: TilePath) -> Result<Vec<u8>, Error> {
    let level = match path.kind {
        TileKind::Entries => 0,
        TileKind::Hashes(level) => level,
    };
    let most = tile_width(size, level, path.index).ok_or_else(Error::not_found)?;
    if hashes_in(path.width) > hashes_in(most) {
        return Err(Error::not_found());
    }
    let wanted = hashes_in(path.width);
    // Cannot overflow: the log has such a tile.
    let first = path.index * TILE_WIDTH as u64;
    data.scan(move |db| match path.kind {
        TileKind::Entries => {
            let entries = read_entries(db, first, wanted)?;
            let entries: Vec<&[u8]> = entries.iter().map(Vec::as_slice).collect();
            entries_bundle(&entries).map_err(Error::internal)
        }
        TileKind::Hashes(level) => {
            let hashes = read_hashes(db, level, first, wanted)?;
            Ok(hashes.iter().flat_map(|hash| hash.0).collect())
        }
    })
    .await
}

/// How many places a tile of this width fills.
fn hashes_in(width: TileWidth) -> u64 {
    match width {
        TileWidth::Full => TILE_WIDTH as u64,
        TileWidth::Partial(width) => u64::from(width.get()),
    }
}

fn read_entries(db: &mut Connection, first: u64, wanted: u64) -> Result<Vec<Vec<u8>>, Error> {
    let stored = store::read_entries(db, first, wanted)?;
    let are_all = stored.iter().map(|it| it.index).eq(first..first + wanted);
    if !are_all {
        return Err(altered("an entry that was signed is gone"));
    }
    Ok(stored.into_iter().map(|it| it.leaf).collect())
}

fn read_hashes(
    db: &mut Connection,
    level: u8,
    first: u64,
    wanted: u64,
) -> Result<Vec<Hash>, Error> {
    if level == 0 {
        return Ok(read_entries(db, first, wanted)?.iter().map(|leaf| leaf_hash(leaf)).collect());
    }
    let stored = store::read_tiles(db, level, first, wanted)?;
    if !stored.iter().map(|(index, _)| *index).eq(first..first + wanted) {
        return Err(altered("a hash over entries that were signed is gone"));
    }
    Ok(stored.into_iter().map(|(_, hash)| hash).collect())
}

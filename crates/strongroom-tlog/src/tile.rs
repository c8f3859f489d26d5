//! Names and contents of the resources of <https://c2sp.org/tlog-tiles>: hash tiles and entry
//! bundles.

use std::num::NonZeroU8;

use crate::TlogError;
use crate::checkpoint::parse_decimal;
use crate::tree::TILE_HEIGHT;

/// What a tile path names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TileKind {
    /// The entries themselves: never to be served without a check of who asks.
    Entries,
    /// Hashes of one level; 0 is the leaf hashes, and no log reaches a level above 7.
    Hashes(u8),
}

/// How much of its 256 places a tile fills.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TileWidth {
    /// All 256; never changes again.
    Full,
    /// The rightmost tile of its level in some tree.
    Partial(NonZeroU8),
}

/// A parsed tile path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TilePath {
    /// Hashes or entries.
    pub kind: TileKind,
    /// Position of the tile within its level: its first entry is number `index` * 256.
    pub index: u64,
    /// Full, or cut off at a width.
    pub width: TileWidth,
}

/// Path of a hash tile, from `tile/`. The format has levels 0 to 63; a higher one gives a path
/// that `parse_tile_path` refuses.
pub fn tile_path(level: u8, index: u64, width: TileWidth) -> String {
    format!("tile/{level}/{}", index_path(index, width))
}

/// Path of an entry bundle, from `tile/`.
pub fn entries_path(index: u64, width: TileWidth) -> String {
    format!("tile/entries/{}", index_path(index, width))
}

/// Reads a path from `tile/` on, without a leading slash. Refuses every spelling but the one that
/// `tile_path` and `entries_path` write. Does not know whether the tile exists: see `tile_width`.
pub fn parse_tile_path(path: &str) -> Result<TilePath, TlogError> {
    read_tile_path(path).ok_or(TlogError::PathMalformed)
}

/// The width of a tile in a tree of `size` leaves; `None` where the tree has no such tile. A
/// request for a partial tile is honest if its width is at most this. Entries count as level 0.
pub fn tile_width(size: u64, level: u8, index: u64) -> Option<TileWidth> {
    let entries_in_level = size.checked_shr(u32::from(level) * TILE_HEIGHT)?;
    let entries_from_tile = entries_in_level.checked_sub(index.checked_mul(TILE_WIDTH as u64)?)?;
    match u8::try_from(entries_from_tile) {
        Ok(width) => NonZeroU8::new(width).map(TileWidth::Partial),
        Err(_) => Some(TileWidth::Full),
    }
}

/// The contents of an entry bundle: each entry after its length as two bytes big-endian. Takes 1
/// to 256 entries of at most `ENTRY_SIZE_BYTES_MAX` bytes.
pub fn entries_bundle(entries: &[&[u8]]) -> Result<Vec<u8>, TlogError> {
    if entries.is_empty() || entries.len() > TILE_WIDTH {
        return Err(TlogError::BundleMalformed("it holds 1 to 256 entries"));
    }
    let mut bundle = Vec::with_capacity(entries.iter().map(|entry| entry.len() + 2).sum());
    for entry in entries {
        let length = u16::try_from(entry.len())
            .map_err(|_| TlogError::BundleMalformed("an entry is longer than 65535 bytes"))?;
        bundle.extend_from_slice(&length.to_be_bytes());
        bundle.extend_from_slice(entry);
    }
    Ok(bundle)
}

/// The entries of a bundle, in order. They are what the server says until their leaf hashes are
/// compared with a tile under a checkpoint.
pub fn parse_entries_bundle(bundle: &[u8]) -> Result<Vec<&[u8]>, TlogError> {
    let mut entries = Vec::new();
    let mut rest = bundle;
    while let Some((length, after_length)) = rest.split_first_chunk::<2>() {
        let (entry, after_entry) = after_length
            .split_at_checked(usize::from(u16::from_be_bytes(*length)))
            .ok_or(TlogError::BundleMalformed("an entry is cut short"))?;
        if entries.len() == TILE_WIDTH {
            return Err(TlogError::BundleMalformed("it holds 1 to 256 entries"));
        }
        entries.push(entry);
        rest = after_entry;
    }
    if !rest.is_empty() {
        return Err(TlogError::BundleMalformed("a length is cut short"));
    }
    if entries.is_empty() {
        return Err(TlogError::BundleMalformed("it holds 1 to 256 entries"));
    }
    Ok(entries)
}

/// Three digits a directory, all but the last marked by an x: no directory of a mirror grows
/// beyond a few thousand names.
fn index_path(index: u64, width: TileWidth) -> String {
    let mut path = format!("{:03}", index % 1000);
    let mut rest = index / 1000;
    while rest > 0 {
        path = format!("x{:03}/{path}", rest % 1000);
        rest /= 1000;
    }
    match width {
        TileWidth::Full => path,
        TileWidth::Partial(width) => format!("{path}.p/{width}"),
    }
}

fn read_tile_path(path: &str) -> Option<TilePath> {
    let (kind, place) = path.strip_prefix("tile/")?.split_once('/')?;
    let (digits, width) = match place.split_once(".p/") {
        None => (place, TileWidth::Full),
        Some((digits, width)) => (digits, TileWidth::Partial(width.parse().ok()?)),
    };
    let mut index: u64 = 0;
    for part in digits.split('/') {
        let part: u16 = part.trim_start_matches('x').parse().ok()?;
        index = index.checked_mul(1000)?.checked_add(u64::from(part))?;
    }
    let kind = match kind {
        "entries" => TileKind::Entries,
        level => TileKind::Hashes(u8::try_from(parse_decimal(level)?).ok()?),
    };
    let canonical = match kind {
        TileKind::Entries => entries_path(index, width),
        TileKind::Hashes(level) if level <= LEVEL_MAX => tile_path(level, index, width),
        TileKind::Hashes(_) => return None,
    };
    // The reading above is lenient about zeros, signs and marks, because only this comparison
    // decides.
    (canonical == path).then_some(TilePath { kind, index, width })
}

/// Hashes in a full tile and entries in a full bundle.
pub const TILE_WIDTH: usize = 256;

/// Longest entry of a bundle: its length is written in two bytes.
pub const ENTRY_SIZE_BYTES_MAX: usize = u16::MAX as usize;

/// Highest level in a path (tlog-tiles, "Merkle Tree").
const LEVEL_MAX: u8 = 63;

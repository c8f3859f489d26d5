use std::num::NonZeroU8;

use proptest::prelude::*;
use strongroom_tlog::{
    ENTRY_SIZE_BYTES_MAX, TILE_WIDTH, TileKind, TilePath, TileWidth, TlogError, entries_bundle,
    entries_path, parse_entries_bundle, parse_tile_path, tile_path, tile_width,
};

fn partial(width: u8) -> TileWidth {
    TileWidth::Partial(NonZeroU8::new(width).unwrap())
}

fn check_path(path: &str, kind: TileKind, index: u64, width: TileWidth) {
    let written = match kind {
        TileKind::Entries => entries_path(index, width),
        TileKind::Hashes(level) => tile_path(level, index, width),
    };
    assert_eq!(written, path);
    assert_eq!(parse_tile_path(path), Ok(TilePath { kind, index, width }));
}

#[test]
fn paths_are_those_of_the_specification() {
    let level = TileKind::Hashes;
    check_path("tile/0/000", level(0), 0, TileWidth::Full);
    check_path("tile/0/x001/x234/067", level(0), 1_234_067, TileWidth::Full);
    check_path("tile/0/x001/x234/067.p/8", level(0), 1_234_067, partial(8));
    check_path("tile/1/999.p/255", level(1), 999, partial(255));
    check_path("tile/1/x001/000.p/1", level(1), 1000, partial(1));
    check_path("tile/63/x018/x446/x744/x073/x709/x551/615", level(63), u64::MAX, TileWidth::Full);
    check_path("tile/entries/x001/x234/067.p/8", TileKind::Entries, 1_234_067, partial(8));
    check_path("tile/entries/000", TileKind::Entries, 0, TileWidth::Full);
}

#[test]
fn a_path_has_one_spelling() {
    for path in [
        "",
        "tile",
        "tile/",
        "tile/0",
        "tile/0/",
        "/tile/0/000",
        "tile/0/000/",
        "tile//000",
        "tile/00/000",
        "tile/01/000",
        "tile/+1/000",
        "tile/-1/000",
        "tile/64/000",
        "tile/256/000",
        "tile/data/000",
        "tile/Entries/000",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/0/1000",
        "tile/0/+01",
        "tile/0/x000/000",
        "tile/0/x000/001",
        "tile/0/001/000",
        "tile/0/x001",
        "tile/0/x001/x000",
        "tile/0/xx01/000",
        "tile/0/X001/000",
        "tile/0/x001//000",
        "tile/0/x001/../000",
        "tile/0/%2e%2e",
        "tile/0/000.p",
        "tile/0/000.p/",
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/0/000.p/+1",
        "tile/0/000.p/256",
        "tile/0/000.p/8/",
        "tile/0/000.p/8.p/8",
        "tile/0/x001.p/8/000",
        "tile/0/000\n",
        "tile/0/٠٠٠",
        "tile/0/x018/x446/x744/x073/x709/x551/616",
        "tile/0/x001/x018/x446/x744/x073/x709/x551/615",
    ] {
        assert_eq!(parse_tile_path(path), Err(TlogError::PathMalformed), "{path}");
    }
    let long = format!("tile/0/{}000", "x000/".repeat(100_000));
    assert_eq!(parse_tile_path(&long), Err(TlogError::PathMalformed));
    // A level that the format does not have is written, as documented, but never read.
    let beyond = tile_path(64, 0, TileWidth::Full);
    assert_eq!(parse_tile_path(&beyond), Err(TlogError::PathMalformed));
}

#[test]
fn a_tree_has_the_tiles_of_the_specification() {
    // tlog-tiles, "Partial Tiles": the trees of 70,000 and of 256 leaves.
    assert_eq!(tile_width(70_000, 0, 272), Some(TileWidth::Full));
    assert_eq!(tile_width(70_000, 0, 273), Some(partial(112)));
    assert_eq!(tile_width(70_000, 0, 274), None);
    assert_eq!(tile_width(70_000, 1, 0), Some(TileWidth::Full));
    assert_eq!(tile_width(70_000, 1, 1), Some(partial(17)));
    assert_eq!(tile_width(70_000, 1, 2), None);
    assert_eq!(tile_width(70_000, 2, 0), Some(partial(1)));
    assert_eq!(tile_width(70_000, 3, 0), None);
    assert_eq!(tile_width(256, 0, 0), Some(TileWidth::Full));
    assert_eq!(tile_width(256, 0, 1), None);
    assert_eq!(tile_width(256, 1, 0), Some(partial(1)));
    assert_eq!(tile_width(255, 0, 0), Some(partial(255)));
    assert_eq!(tile_width(0, 0, 0), None);
    assert_eq!(tile_width(u64::MAX, 7, 0), Some(partial(255)));
    assert_eq!(tile_width(u64::MAX, 8, 0), None);
    assert_eq!(tile_width(u64::MAX, 255, 0), None);
    assert_eq!(tile_width(u64::MAX, 0, u64::MAX), None);
}

#[test]
fn a_bundle_is_entries_after_their_lengths() {
    let bundle = entries_bundle(&[b"ab", b"", b"c"]).unwrap();
    assert_eq!(bundle, b"\x00\x02ab\x00\x00\x00\x01c");
    assert_eq!(parse_entries_bundle(&bundle).unwrap(), [b"ab".as_slice(), b"", b"c"]);

    let longest = vec![7; ENTRY_SIZE_BYTES_MAX];
    let bundle = entries_bundle(&[&longest]).unwrap();
    assert_eq!(parse_entries_bundle(&bundle).unwrap(), [longest.as_slice()]);
    let full = entries_bundle(&[b"x".as_slice(); TILE_WIDTH]).unwrap();
    assert_eq!(parse_entries_bundle(&full).unwrap().len(), TILE_WIDTH);
}

#[test]
fn a_malformed_bundle_is_refused() {
    let too_long = vec![7; ENTRY_SIZE_BYTES_MAX + 1];
    let malformed = |refused: bool| assert!(refused);
    malformed(entries_bundle(&[]).is_err());
    malformed(entries_bundle(&[b"fits", &too_long]).is_err());
    malformed(entries_bundle(&[b"x".as_slice(); TILE_WIDTH + 1]).is_err());
    malformed(parse_entries_bundle(b"").is_err());
    malformed(parse_entries_bundle(b"\x00").is_err());
    malformed(parse_entries_bundle(b"\x00\x02a").is_err());
    malformed(parse_entries_bundle(b"\x00\x01a\x00").is_err());
    malformed(parse_entries_bundle(&[0; 2 * (TILE_WIDTH + 1)]).is_err());
    assert_eq!(parse_entries_bundle(&[0; 2 * TILE_WIDTH]).unwrap().len(), TILE_WIDTH);
}

proptest! {
    #[test]
    fn every_path_reads_back(level in 0_u8..64, index: u64, width: u8, small in 0_u64..3000) {
        let width = NonZeroU8::new(width).map_or(TileWidth::Full, TileWidth::Partial);
        for index in [index, small] {
            check_path(&tile_path(level, index, width), TileKind::Hashes(level), index, width);
            check_path(&entries_path(index, width), TileKind::Entries, index, width);
        }
    }

    #[test]
    fn a_path_that_reads_is_the_one_that_is_written(
        path in "tile/(entries|[0-9]{1,2})/(x[0-9]{3}/){0,3}[x0-9]{2,4}(\\.p/[0-9]{1,3})?",
        text: String,
    ) {
        let _ = parse_tile_path(&text);
        if let Ok(TilePath { kind, index, width }) = parse_tile_path(&path) {
            check_path(&path, kind, index, width);
        }
    }

    #[test]
    fn a_bundle_that_reads_is_the_one_that_is_written(
        bytes: Vec<u8>,
        entries in prop::collection::vec(any::<Vec<u8>>(), 1..40),
    ) {
        if let Ok(entries) = parse_entries_bundle(&bytes) {
            prop_assert_eq!(entries_bundle(&entries).unwrap(), bytes);
        }
        let entries: Vec<&[u8]> = entries.iter().map(Vec::as_slice).collect();
        let bundle = entries_bundle(&entries).unwrap();
        prop_assert_eq!(parse_entries_bundle(&bundle).unwrap(), entries);
    }
}

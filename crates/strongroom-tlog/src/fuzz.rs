//! What must hold for any bytes whatever, of each parser and verifier of this crate: bodies for the
//! fuzzer (`fuzz/`), run over the committed corpora by the tests below. No part of the product: built
//! for tests and with the feature `fuzz` only.
//!
//! A body asserts; it never merely survives.

use std::collections::BTreeMap;

use strongroom_crypto::{SecretKey, SigningKey, sha256};

use crate::{
    Checkpoint, Frontier, Hash, ProofBundle, SIZE_MAX, TILE_WIDTH, TileKind, TileWidth,
    VerifierKey, consistency_proof, entries_bundle, entries_path, inclusion_proof, leaf_hash,
    needed_for_consistency, needed_for_inclusion, needed_for_root, open_checkpoint, open_note,
    parse_entries_bundle, parse_tile_path, root_of, sign_checkpoint, sign_note, tile_path,
    tile_width, verify_consistency, verify_inclusion,
};

/// A target: its name, which its corpus has too, what it does, and inputs to begin with.
pub type Target = (&'static str, fn(&[u8]), fn() -> Vec<Vec<u8>>);

/// All targets of this crate.
pub const TARGETS: &[Target] =
    &[("notes", notes, note_seeds), ("proofs", proofs, proof_seeds), ("tiles", tiles, tile_seeds)];

/// Signed notes, checkpoints and verifier keys, as texts from outside and as texts signed here and
/// then altered.
pub fn notes(data: &[u8]) {
    let Some((&mode, data)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(data) else { return };
    match mode % 3 {
        0 => note_from_outside(text),
        1 => signed_note(text),
        _ => {
            if let Ok(key) = VerifierKey::parse(text) {
                assert_eq!(key.to_string(), text, "two spellings of one key");
            }
        }
    }
}

fn note_from_outside(note: &str) {
    let Some(key) = verifier() else { return };
    let text = open_note(note, &key);
    let checkpoint = open_checkpoint(note, &key);
    if let Ok(text) = text {
        assert!(text.ends_with('\n') && note.starts_with(text), "not the text of this note");
        // Ed25519 is deterministic and nobody else has the key: its line is the one we write.
        let signed = sign_note(text, NAME, &signer()).unwrap_or_default();
        let (_, line) = signed.rsplit_once("\n\n").unwrap_or_default();
        let (_, lines) = note.rsplit_once("\n\n").unwrap_or_default();
        assert!(lines.split_inclusive('\n').any(|it| it == line), "opened and not signed here");
    }
    if let Ok(checkpoint) = checkpoint {
        assert_eq!(Ok(checkpoint.body().as_str()), text, "two texts of one checkpoint");
        assert!(checkpoint.size <= SIZE_MAX, "beyond any log");
        assert!(!checkpoint.body().contains('\u{1b}'), "moves the cursor");
    }
}

/// The first lines of the input are what is signed; its last bytes say what is altered afterwards.
fn signed_note(text: &str) {
    let Some(key) = verifier() else { return };
    let (root, size) = (Hash(sha256(&[text.as_bytes()])), text.len() as u64);
    let extensions: Vec<String> = text.split('|').map(str::to_owned).collect();
    let origin = extensions.first().cloned().unwrap_or_default();
    for checkpoint in [
        Checkpoint { origin, size, root, extensions: Vec::new() },
        Checkpoint { origin: NAME.to_owned(), size, root, extensions },
    ] {
        let Ok(note) = sign_checkpoint(&checkpoint, &signer()) else { continue };
        let own = VerifierKey::new(&checkpoint.origin, signer().verifying_key());
        let opened = own.and_then(|own| open_checkpoint(&note, &own));
        assert_eq!(opened.as_ref(), Ok(&checkpoint), "signed as one thing and read as another");
        let place = text.len().wrapping_mul(31) % note.len();
        let mut bad = note.clone().into_bytes();
        if let Some(byte) = bad.get_mut(place) {
            *byte ^= 1 << (text.len() % 8);
        }
        if let Ok(bad) = String::from_utf8(bad) {
            assert!(open_note(&bad, &key).is_err(), "a bit is another and the note still opens");
        }
    }
}

/// Paths of tiles, bundles of entries, stored frontiers, widths.
pub fn tiles(data: &[u8]) {
    let Some((&mode, data)) = data.split_first() else { return };
    match mode % 4 {
        0 => {
            let Some(path) = std::str::from_utf8(data).ok() else { return };
            let Ok(tile) = parse_tile_path(path) else { return };
            let again = match tile.kind {
                TileKind::Entries => entries_path(tile.index, tile.width),
                TileKind::Hashes(level) => tile_path(level, tile.index, tile.width),
            };
            assert_eq!(again, path, "two paths of one tile");
            assert!(!path.contains("..") && !path.starts_with('/'), "leads elsewhere");
        }
        1 => {
            let Ok(entries) = parse_entries_bundle(data) else { return };
            assert!((1..=TILE_WIDTH).contains(&entries.len()), "no tile has so many");
            assert_eq!(entries_bundle(&entries).as_deref(), Ok(data), "two bundles of the same");
        }
        2 => {
            let Ok(mut frontier) = Frontier::decode(data) else { return };
            assert_eq!(frontier.encode(), data, "two forms of one frontier");
            let (size, root) = (frontier.size(), frontier.root());
            frontier.append(leaf_hash(data), &mut Vec::new());
            assert_eq!(frontier.size(), size + 1, "one leaf is one more");
            assert_ne!(frontier.root(), root, "a leaf that changes nothing");
            assert!(frontier.encode().len() <= 8 + 32 * 63, "grows with the log");
        }
        _ => {
            let Some((size, rest)) = number(data) else { return };
            let Some((index, rest)) = number(rest) else { return };
            let level = rest.first().copied().unwrap_or(0);
            let width = tile_width(size, level, index);
            let longer = size.checked_add(1).map(|size| tile_width(size, level, index));
            if width == Some(TileWidth::Full) {
                assert!(longer.is_none_or(|longer| longer == width), "a full tile shrank");
            }
            if let (Some(TileWidth::Partial(now)), Some(then)) = (width, longer) {
                let grew = match then {
                    Some(TileWidth::Partial(then)) => then >= now,
                    Some(TileWidth::Full) => now.get() == u8::MAX,
                    None => false,
                };
                assert!(grew, "a tile lost hashes as the log grew");
            }
        }
    }
}

/// Proofs over small logs, right and altered; proof bundles as texts; what is asked of huge logs.
pub fn proofs(data: &[u8]) {
    let Some((&mode, data)) = data.split_first() else { return };
    match mode % 3 {
        0 => {
            let Some(text) = std::str::from_utf8(data).ok() else { return };
            let Ok(bundle) = ProofBundle::parse(text) else { return };
            assert_eq!(bundle.to_string(), text, "two texts of one proof");
            assert!(bundle.proof.len() <= 64, "longer than any path");
        }
        1 => small_log(data),
        _ => {
            let Some((first, rest)) = number(data) else { return };
            let Some((second, _)) = number(rest) else { return };
            let (old, new) = (first.min(second), first.max(second));
            for needed in [needed_for_inclusion(new, old), needed_for_consistency(old, new)] {
                assert!(needed.is_sorted_by(|earlier, later| earlier < later), "asked twice");
                assert!(needed.len() <= 8 * 511, "more than the tiles of two edges");
            }
            assert!(needed_for_root(new).len() <= 8 * 255, "more than the tiles of one edge");
        }
    }
}

fn small_log(data: &[u8]) {
    let Some((&[old, new, index, place, bit, drop_or_add], rest)) = data.split_first_chunk::<6>()
    else {
        return;
    };
    // Three hundred leaves, so that more than one tile is full.
    let (old, new) = (u64::from(old), 1 + u64::from(new) + rest.len().min(63) as u64);
    let index = u64::from(index) % new;
    let (hashes, roots) = log_of(new.max(old));
    let root = |size: u64| roots.get(usize::try_from(size).unwrap_or(0)).copied();
    let (Some(new_root), Some(old_root)) = (root(new), root(old)) else { return };
    assert_eq!(root_of(new, &hashes), Ok(new_root), "rebuilt as another tree");
    let leaf = hashes.get(&(0, index)).copied();
    let proof = inclusion_proof(new, index, &hashes);
    let (Some(leaf), Ok(mut proof)) = (leaf, proof) else { return };
    assert_eq!(verify_inclusion(index, new, &leaf, &proof, &new_root), Ok(()), "not included");
    if changed(&mut proof, place, bit, drop_or_add) {
        let verified = verify_inclusion(index, new, &leaf, &proof, &new_root);
        assert!(verified.is_err(), "an altered proof of inclusion holds");
    }
    if old > new {
        assert!(consistency_proof(old, new, &hashes).is_err(), "a log that shrank");
        assert!(verify_consistency(old, &old_root, new, &new_root, &[]).is_err(), "accepted");
        return;
    }
    let Ok(mut proof) = consistency_proof(old, new, &hashes) else { return };
    let verify = |proof: &[Hash]| verify_consistency(old, &old_root, new, &new_root, proof);
    assert_eq!(verify(&proof), Ok(()), "not consistent");
    if changed(&mut proof, place, bit, drop_or_add) {
        assert!(verify(&proof).is_err(), "an altered proof of consistency holds");
    }
}

/// A bit changed, a hash taken away, put in or exchanged; whether anything is different now.
fn changed(proof: &mut Vec<Hash>, place: u8, bit: u8, how: u8) -> bool {
    let before = proof.clone();
    let place = usize::from(place) % proof.len().max(1);
    match how % 4 {
        0 => {
            let byte = proof.get_mut(place).and_then(|it| it.0.get_mut(usize::from(bit / 8)));
            if let Some(byte) = byte {
                *byte ^= 1 << (bit % 8);
            }
        }
        1 if place < proof.len() => drop(proof.drain(place..=place)),
        1 => {}
        2 => proof.insert(place, Hash([bit; 32])),
        _ => proof.reverse(),
    }
    *proof != before
}

/// Every tile hash of a log of so many leaves, and the root of each size up to it.
fn log_of(size: u64) -> (BTreeMap<(u8, u64), Hash>, Vec<Hash>) {
    let mut frontier = Frontier::new();
    let (mut hashes, mut roots) = (BTreeMap::new(), vec![frontier.root()]);
    for index in 0..size {
        let leaf = leaf_hash(&index.to_be_bytes());
        let mut completed = Vec::new();
        frontier.append(leaf, &mut completed);
        hashes.insert((0, index), leaf);
        hashes.extend(completed.iter().map(|it| ((it.level, it.index), it.hash)));
        roots.push(frontier.root());
    }
    (hashes, roots)
}

fn number(data: &[u8]) -> Option<(u64, &[u8])> {
    let (bytes, rest) = data.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*bytes), rest))
}

fn signer() -> SigningKey {
    let key = SigningKey::from_seed(&SecretKey::from_bytes([7; 32]));
    #[expect(clippy::unreachable, reason = "INVARIANT: any 32 bytes are a seed")]
    key.unwrap_or_else(|_| unreachable!("a seed that is none"))
}

fn verifier() -> Option<VerifierKey> {
    VerifierKey::new(NAME, signer().verifying_key()).ok()
}

fn note_seeds() -> Vec<Vec<u8>> {
    let checkpoint = |extensions: &[&str]| Checkpoint {
        origin: NAME.to_owned(),
        size: 300,
        root: Hash([5; 32]),
        extensions: extensions.iter().map(|it| (*it).to_owned()).collect(),
    };
    let mut seeds: Vec<Vec<u8>> = [checkpoint(&[]), checkpoint(&["one", "two"])]
        .iter()
        .filter_map(|checkpoint| sign_checkpoint(checkpoint, &signer()).ok())
        .chain(sign_note("a text\n\n\u{2014} no signature\n", NAME, &signer()).ok())
        .map(|note| [&[0], note.as_bytes()].concat())
        .collect();
    seeds.push(b"\x01log.example/other|one|two".to_vec());
    seeds.push(b"\x01line\nbreak|\x1b[2J".to_vec());
    seeds.extend(verifier().map(|key| [&[2], key.to_string().as_bytes()].concat()));
    seeds
}

fn proof_seeds() -> Vec<Vec<u8>> {
    let bundle = ProofBundle {
        extra: Some(b"extra".to_vec()),
        index: 7,
        proof: vec![Hash([1; 32]), Hash([2; 32])],
        checkpoint: "a checkpoint\n".to_owned(),
    };
    let bare = ProofBundle { extra: None, proof: Vec::new(), ..bundle.clone() };
    let mut seeds: Vec<Vec<u8>> = [bundle, bare]
        .iter()
        .map(|bundle| [&[0], bundle.to_string().as_bytes()].concat())
        .collect();
    for how in 0..4 {
        seeds.push(vec![1, 5, 6, 3, 1, 9, how]);
        seeds.push([&[1, 200, 255, 100, 2, 77, how], [0; 60].as_slice()].concat());
    }
    for pair in [(1_u64, 300_u64), (0, u64::MAX), (SIZE_MAX, SIZE_MAX - 1)] {
        seeds.push([&[2], &pair.0.to_be_bytes()[..], &pair.1.to_be_bytes()].concat());
    }
    seeds
}

fn tile_seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = [
        tile_path(0, 1_234_067, TileWidth::Full),
        "tile/1/000.p/17".to_owned(),
        entries_path(70, TileWidth::Full),
        "tile/entries/x001/067.p/255".to_owned(),
    ]
    .iter()
    .map(|path| [&[0], path.as_bytes()].concat())
    .collect();
    if let Ok(bundle) = entries_bundle(&[b"one", b"", b"three"]) {
        seeds.push([&[1], bundle.as_slice()].concat());
    }
    let mut frontier = Frontier::new();
    for leaf in 0..7_u8 {
        seeds.push([&[2], frontier.encode().as_slice()].concat());
        frontier.append(leaf_hash(&[leaf]), &mut Vec::new());
    }
    for (size, index, level) in [(300_u64, 1_u64, 0_u8), (70_000, 1, 1), (u64::MAX, 3, 7)] {
        seeds.push([&[3], &size.to_be_bytes()[..], &index.to_be_bytes(), &[level]].concat());
    }
    seeds
}

const NAME: &str = "log.example/fuzz";

#[cfg(test)]
mod tests {
    use super::*;

    /// Every input that the fuzzer kept, and every seed, through its target.
    #[test]
    fn what_the_fuzzer_found_still_holds() {
        let corpora = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus");
        for (name, target, seeds) in TARGETS {
            seeds().iter().for_each(|seed| target(seed));
            let corpus = std::fs::read_dir(format!("{corpora}/{name}")).unwrap();
            let inputs: Vec<_> = corpus.map(|file| file.unwrap().path()).collect();
            assert!(!inputs.is_empty(), "fuzz/corpus/{name} is empty");
            inputs.iter().for_each(|input| target(&std::fs::read(input).unwrap()));
        }
    }

    #[test]
    fn seeds_reach_what_opens() {
        let key = verifier().unwrap();
        let opens = |seed: &Vec<u8>| {
            std::str::from_utf8(&seed[1..]).is_ok_and(|note| open_note(note, &key).is_ok())
        };
        assert_eq!(note_seeds().iter().filter(|seed| opens(seed)).count(), 3);
    }
}

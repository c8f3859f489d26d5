//! Both ways with another implementation: Go's x/mod/sumdb/note and tlog.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use strongroom_crypto::{SecretKey, SigningKey};
use strongroom_tlog::{
    Checkpoint, Frontier, Hash, Hashes, ProofBundle, TILE_WIDTH, TileRoot, VerifierKey,
    consistency_proof, entries_bundle, entries_path, inclusion_proof, leaf_hash, open_checkpoint,
    parse_entries_bundle, root_of, sign_checkpoint_by, tile_path, tile_width, verify_consistency,
    verify_inclusion,
};

use crate::log::Log;

const ORIGIN: &str = "strongroom/0123/1";

/// One tile, a ragged edge on two rows, and one leaf more than a power of two.
const SIZES: [u64; 5] = [1, 256, 257, 700, 1_025];

#[test]
fn go_accepts_our_checkpoints_tiles_and_proofs() {
    let Some(go) = go() else { return };
    for size in SIZES {
        let folder = tempfile::tempdir().unwrap();
        let (proofs, trees) = write(folder.path(), size);
        let told = run(go, &["check", text(folder.path())]);
        assert!(told.status.success(), "{size}: {}", String::from_utf8_lossy(&told.stderr));
        let said = String::from_utf8(told.stdout).unwrap();
        assert_eq!(said, format!("{size} records, {proofs} proofs, {trees} trees\n"));
    }
}

/// While a log is handed over from one key to another, both sign, and one line names the coming one.
#[test]
fn go_opens_a_checkpoint_of_two_keys_by_either() {
    let Some(go) = go() else { return };
    for (opened_by, named) in [(3, false), (4, false), (3, true), (4, true)] {
        let folder = tempfile::tempdir().unwrap();
        let extensions = named.then(|| format!("handover {}", vkey(4))).into_iter().collect();
        let (proofs, trees) = write_by(folder.path(), 257, (&[4, 3], opened_by), extensions);
        let told = run(go, &["check", text(folder.path())]);
        assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
        let said = String::from_utf8(told.stdout).unwrap();
        assert_eq!(said, format!("257 records, {proofs} proofs, {trees} trees\n"));
    }
    let folder = tempfile::tempdir().unwrap();
    write_by(folder.path(), 257, (&[4, 3], 5), Vec::new());
    assert!(!run(go, &["check", text(folder.path())]).status.success(), "by a third");
}

/// That the program above would notice.
#[test]
fn go_refuses_what_is_not_ours() {
    let Some(go) = go() else { return };
    let spoiled = ["checkpoint", "tile/0/000", "tile/1/000.p/2", "tile/entries/001", "trees/300"];
    for name in spoiled.into_iter().chain(["proofs/300"]) {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), 700);
        let file = folder.path().join(name);
        let mut bytes = fs::read(&file).unwrap();
        // In the middle, so that it is no line break at an end.
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(file, bytes).unwrap();
        let told = run(go, &["check", text(folder.path())]);
        assert!(!told.status.success(), "{name}");
        assert!(String::from_utf8_lossy(&told.stderr).starts_with("interop: "), "{told:?}");
    }
}

#[test]
fn we_accept_what_go_made() {
    let Some(go) = go() else { return };
    for size in SIZES {
        let folder = tempfile::tempdir().unwrap();
        let told = run(go, &["make", text(folder.path()), &size.to_string()]);
        assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
        let read = |name: &str| fs::read(folder.path().join(name)).unwrap();
        let vkey = String::from_utf8(read("vkey")).unwrap();
        let vkey = VerifierKey::parse(vkey.trim_end()).unwrap();
        let note = String::from_utf8(read("checkpoint")).unwrap();
        let checkpoint = open_checkpoint(&note, &vkey).unwrap();
        assert_eq!((checkpoint.size, checkpoint.origin.as_str()), (size, "go.example/log"));

        let (hashes, records) = read_tiles(folder.path(), size);
        assert_eq!(records.len() as u64, size);
        assert_eq!(root_of(size, &hashes), Ok(checkpoint.root));
        let (mut checked, root) = (0, checkpoint.root);
        for (index, file) in numbered(&folder.path().join("proofs")) {
            let bundle = ProofBundle::parse(&fs::read_to_string(file).unwrap()).unwrap();
            assert_eq!((bundle.index, bundle.checkpoint.as_str()), (index, note.as_str()));
            let leaf = leaf_hash(&records[index as usize]);
            verify_inclusion(index, size, &leaf, &bundle.proof, &root).unwrap();
            assert_eq!(inclusion_proof(size, index, &hashes), Ok(bundle.proof));
            checked += 1;
        }
        for (old, file) in numbered(&folder.path().join("trees")) {
            let lines = fs::read_to_string(file).unwrap();
            let lines: Vec<Hash> =
                lines.lines().map(|line| Hash::from_base64(line).unwrap()).collect();
            verify_consistency(old, &lines[0], size, &root, &lines[1..]).unwrap();
            assert_eq!(consistency_proof(old, size, &hashes), Ok(lines[1..].to_vec()));
            checked += 1;
        }
        assert!(checked >= 2, "{checked}");
    }
}

/// The program, built once; `None`, said aloud, without Go. `./check` installs it, and builds with
/// STRONGROOM_TOOLS=required: then its absence is a failure.
fn go() -> Option<&'static Path> {
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    BUILT.get_or_init(build).as_deref()
}

#[expect(clippy::print_stdout, reason = "whoever runs the tests is told what was not looked at")]
fn build() -> Option<PathBuf> {
    let has_go = Command::new("go").arg("version").output().is_ok_and(|it| it.status.success());
    let has_mod = Path::new(GOPATH).join("src/golang.org/x/mod/sumdb/tlog/tlog.go").exists();
    if !has_go || !has_mod {
        let said = "COULD NOT LOOK: no go with x/mod, NOT RUN; apt-get install golang-go \
                    golang-golang-x-mod-dev";
        assert!(option_env!("STRONGROOM_TOOLS") != Some("required"), "{said}");
        println!("{said}");
        return None;
    }
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (program, cache) = (scratch.join("interop"), scratch.join("go-cache"));
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tools/interop.go");
    let mut command = Command::new("go");
    command.args(["build", "-o"]).arg(&program).arg(source).env("GOCACHE", cache);
    command.env("GO111MODULE", "off").env("GOPATH", GOPATH).env("GOFLAGS", "");
    let built = command.output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    Some(program)
}

fn run(program: &Path, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).output().unwrap()
}

fn signer(seed: u8) -> SigningKey {
    SigningKey::from_seed(&SecretKey::from_bytes([seed; 32])).unwrap()
}

fn vkey(seed: u8) -> VerifierKey {
    VerifierKey::new(ORIGIN, signer(seed).verifying_key()).unwrap()
}

/// Writes a log of ours with proofs; says how many of each kind.
fn write(folder: &Path, size: u64) -> (usize, usize) {
    write_by(folder, size, (&[3], 3), Vec::new())
}

/// The same with lines of several keys, to be opened by one, and with further lines in its text.
fn write_by(
    folder: &Path,
    size: u64,
    (signers, opened_by): (&[u8], u8),
    extensions: Vec<String>,
) -> (usize, usize) {
    let put = |name: &str, bytes: &[u8]| {
        let file = folder.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, bytes).unwrap();
    };
    let record = |number: u64| number.to_be_bytes();
    let log = Log::numbered(size);
    let keys: Vec<SigningKey> = signers.iter().map(|seed| signer(*seed)).collect();
    let keys: Vec<&SigningKey> = keys.iter().collect();
    let (origin, root) = (ORIGIN.to_owned(), log.frontier.root());
    let checkpoint = Checkpoint { origin, size, root, extensions };
    let note = sign_checkpoint_by(&checkpoint, &keys).unwrap();
    put("vkey", format!("{}\n", vkey(opened_by)).as_bytes());
    put("checkpoint", note.as_bytes());
    for level in 0..2 {
        for index in 0.. {
            let Some(width) = tile_width(size, level, index) else { break };
            let hashes = (index * TILE_WIDTH as u64..).take(TILE_WIDTH);
            let hashes = hashes.map_while(|index| log.hash(level, index));
            let hashes: Vec<u8> = hashes.flat_map(|hash| hash.0).collect();
            put(&tile_path(level, index, width), &hashes);
            if level == 0 {
                let first = index * TILE_WIDTH as u64;
                let last = (first + TILE_WIDTH as u64).min(size);
                let records: Vec<[u8; 8]> = (first..last).map(record).collect();
                let records: Vec<&[u8]> = records.iter().map(<[u8; 8]>::as_slice).collect();
                put(&entries_path(index, width), &entries_bundle(&records).unwrap());
            }
        }
    }
    let (mut proofs, mut trees) = (0, 0);
    for index in (0..size).step_by(100) {
        let proof = inclusion_proof(size, index, &log).unwrap();
        let extra = Some(record(index).to_vec());
        let bundle = ProofBundle { extra, index, proof, checkpoint: note.clone() };
        put(&format!("proofs/{index}"), bundle.to_string().as_bytes());
        proofs += 1;
    }
    for old in (100..=size).step_by(100).chain([1, size]) {
        let mut lines = Log::numbered(old).frontier.root().to_base64() + "\n";
        for hash in consistency_proof(old, size, &log).unwrap() {
            lines += &(hash.to_base64() + "\n");
        }
        let is_new = !folder.join(format!("trees/{old}")).exists();
        trees += usize::from(is_new);
        put(&format!("trees/{old}"), lines.as_bytes());
    }
    (proofs, trees)
}

/// Hashes by row and place.
type Rows = BTreeMap<(u8, u64), Hash>;

/// The tiles that Go wrote, checked against its records, and those.
fn read_tiles(folder: &Path, size: u64) -> (Rows, Vec<Vec<u8>>) {
    let (mut hashes, mut records) = (Rows::new(), Vec::new());
    for level in 0..2 {
        for index in 0.. {
            let Some(width) = tile_width(size, level, index) else { break };
            let tile = fs::read(folder.join(tile_path(level, index, width))).unwrap();
            let (tile, rest) = tile.as_chunks::<32>();
            assert!(rest.is_empty());
            let first = index * TILE_WIDTH as u64;
            hashes.extend((first..).zip(tile).map(|(at, hash)| ((level, at), Hash(*hash))));
            if level == 0 {
                let bundle = fs::read(folder.join(entries_path(index, width))).unwrap();
                records.extend(parse_entries_bundle(&bundle).unwrap().iter().map(|it| it.to_vec()));
            }
        }
    }
    let (mut tree, mut completed) = (Frontier::new(), Vec::new());
    for (index, record) in (0..).zip(&records) {
        assert_eq!(hashes[&(0, index)], leaf_hash(record));
        tree.append(leaf_hash(record), &mut completed);
    }
    for TileRoot { level, index, hash } in completed {
        assert_eq!(hashes[&(level, index)], hash);
    }
    (hashes, records)
}

fn numbered(folder: &Path) -> Vec<(u64, PathBuf)> {
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    files.map(|file| (text(file.file_name().unwrap().as_ref()).parse().unwrap(), file)).collect()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Where Debian puts Go packages.
const GOPATH: &str = "/usr/share/gocode";

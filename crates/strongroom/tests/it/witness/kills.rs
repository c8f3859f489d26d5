//! A witness killed in the middle of what it does says nothing afterwards that it must not say.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use strongroom_crypto::{SecretKey, SigningKey};
use strongroom_tlog::{
    AddCheckpoint, Checkpoint, Frontier, Hash, Hashes, VerifierKey, consistency_proof, leaf_hash,
    open_cosignature, parse_size_answer, sign_checkpoint,
};

use super::Witness;

/// A log of this many leaves whose key is in wrong hands: it has two histories.
pub(super) struct TwoFaced {
    leaves: [Vec<Hash>; 2],
    roots: [Vec<Hash>; 2],
    key: SigningKey,
}

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Face {
    One = 0,
    Other = 1,
}

struct Tiles<'a>(&'a [Hash]);

impl Hashes for Tiles<'_> {
    fn hash(&self, level: u8, index: u64) -> Option<Hash> {
        // Fewer leaves than one tile has.
        self.0.get(usize::try_from(index).unwrap()).copied().filter(|_| level == 0)
    }
}

impl TwoFaced {
    pub(super) fn new() -> Self {
        let leaves = ["one", "other"].map(|face| {
            let leaf = |number: u64| leaf_hash(format!("{face} {number}").as_bytes());
            (0..SIZE_MAX).map(leaf).collect::<Vec<_>>()
        });
        let roots = leaves.each_ref().map(|leaves| {
            let mut frontier = Frontier::new();
            let mut roots = vec![frontier.root()];
            for leaf in leaves {
                frontier.append(*leaf, &mut Vec::new());
                roots.push(frontier.root());
            }
            roots
        });
        let key = SigningKey::from_seed(&SecretKey::from_bytes([3; 32])).unwrap();
        Self { leaves, roots, key }
    }

    pub(super) fn vkey(&self) -> VerifierKey {
        VerifierKey::new(ORIGIN, self.key.verifying_key()).unwrap()
    }

    pub(super) fn checkpoint(&self, face: Face, size: u64) -> Checkpoint {
        let root = self.roots[face as usize][usize::try_from(size).unwrap()];
        Checkpoint { origin: ORIGIN.to_owned(), size, root, extensions: Vec::new() }
    }

    pub(super) fn request(&self, face: Face, old: u64, size: u64) -> String {
        let tiles = Tiles(&self.leaves[face as usize]);
        let proof = consistency_proof(old.min(size), size, &tiles).unwrap();
        let checkpoint = sign_checkpoint(&self.checkpoint(face, size), &self.key).unwrap();
        AddCheckpoint { old, proof, checkpoint }.to_string()
    }
}

/// What was ever cosigned: one root a size.
struct Seen<'a> {
    log: &'a TwoFaced,
    witness: &'a Witness,
    roots: Mutex<BTreeMap<u64, Hash>>,
    answers: AtomicU64,
}

impl Seen<'_> {
    /// Asks, and remembers what was said; none where the connection broke off.
    fn ask(&self, face: Face, old: u64, size: u64) -> Option<Result<(), u64>> {
        let (status, body) = self.witness.ask(&self.log.request(face, old, size))?;
        if status == 200 {
            let checkpoint = self.log.checkpoint(face, size);
            open_cosignature(&checkpoint, &body, &self.witness.key).unwrap();
            let mut roots = self.roots.lock().unwrap();
            let known = *roots.entry(size).or_insert(checkpoint.root);
            assert_eq!(known, checkpoint.root, "two roots were cosigned at size {size}");
            self.answers.fetch_add(1, Ordering::SeqCst);
            return Some(Ok(()));
        }
        Some(Err(parse_size_answer(&body).unwrap_or(old)))
    }
}

#[test]
fn a_witness_killed_in_the_middle_never_cosigns_two_roots_of_one_size() {
    let folder = tempfile::tempdir().unwrap();
    let log = TwoFaced::new();
    let mut witness = Witness::make(folder.path());
    witness.trust(&log.vkey());
    let mut known = BTreeMap::new();
    let mut last = 0;
    let mut broken = 0;
    for round in 0..KILLS {
        witness.serve();
        let (roots, unanswered) = one_kill(&log, &mut witness, known, last, round);
        known = roots;
        broken += unanswered;
        witness.serve();
        let (status, body) = witness.ask(&log.request(Face::One, 0, 0)).unwrap();
        // Nothing was ever cosigned only where no answer ever came.
        let now = if status == 200 { 0 } else { parse_size_answer(&body).unwrap() };
        let most = known.keys().last().copied().unwrap_or(0);
        assert!(now >= most, "it cosigned {most} and remembers {now}");
        assert!(now >= last, "it went back from {last} to {now}");
        last = now;
        witness.kill();
    }
    assert!(broken > 0, "no kill met a request");
    assert!(known.len() > 1, "it cosigned as it went");
}

/// Asks for both histories at once until the witness is killed between two answers.
fn one_kill(
    log: &TwoFaced,
    witness: &mut Witness,
    known: BTreeMap<u64, Hash>,
    last: u64,
    round: u64,
) -> (BTreeMap<u64, Hash>, u64) {
    let child = witness.child.take().unwrap();
    let child = Mutex::new(child);
    let seen = Seen { log, witness, roots: Mutex::new(known), answers: AtomicU64::new(0) };
    let (is_over, unanswered) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for worker in 0..WORKERS {
            let (seen, is_over, unanswered) = (&seen, &is_over, &unanswered);
            scope.spawn(move || {
                let face = if worker % 2 == 0 { Face::One } else { Face::Other };
                let mut old = last;
                while !is_over.load(Ordering::SeqCst) {
                    let size = (old + 1 + worker % 3).min(SIZE_MAX);
                    match seen.ask(face, old, size) {
                        Some(Ok(())) => old = size,
                        // At the end the same size again, which is cosigned again.
                        Some(Err(now)) => old = now,
                        None => {
                            unanswered.fetch_add(1, Ordering::SeqCst);
                            return;
                        }
                    }
                }
            });
        }
        // After some answers, another number each time; the log is long enough for all rounds.
        let wanted = 1 + round % 5;
        while seen.answers.load(Ordering::SeqCst) < wanted {
            std::thread::yield_now();
        }
        let mut child = child.lock().unwrap();
        // Who asks from here on was not cut off.
        is_over.store(true, Ordering::SeqCst);
        child.kill().unwrap();
        child.wait().unwrap();
    });
    (seen.roots.into_inner().unwrap(), unanswered.load(Ordering::SeqCst))
}

const ORIGIN: &str = "two.faced/log";

/// One tile's worth, so that every hash is a leaf's.
pub(super) const SIZE_MAX: u64 = 255;
const KILLS: u64 = 20;
const WORKERS: u64 = 4;

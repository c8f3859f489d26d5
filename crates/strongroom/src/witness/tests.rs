//! What answers mean, and what a witness keeps.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use strongroom_crypto::{SecretKey, SigningKey, SystemRandom};
use strongroom_tlog::{
    AddCheckpoint, Checkpoint, Frontier, Hash, VerifierKey, WitnessKey, WitnessRefusal, cosign,
    leaf_hash, open_cosignature, sign_checkpoint,
};
use tempfile::TempDir;

use crate::time::{TestClock, Time};
use crate::web::Told;
use crate::witness::rules::{Asked, SIZE_KIND, Step, Verdict, read};
use crate::witness::store::{keep, read_kept};
use crate::witness::verbs::{Keeper, Refused, Unanswered, make, trust};

const ORIGIN: &str = "example.com/log";

fn key(byte: u8) -> SigningKey {
    SigningKey::from_seed(&SecretKey::from_bytes([byte; 32])).unwrap()
}

fn root(size: u64, history: &str) -> Hash {
    let mut frontier = Frontier::new();
    for number in 0..size {
        frontier.append(leaf_hash(format!("{history} {number}").as_bytes()), &mut Vec::new());
    }
    frontier.root()
}

fn checkpoint(size: u64, history: &str) -> Checkpoint {
    let (origin, root) = (ORIGIN.to_owned(), root(size, history));
    Checkpoint { origin, size, root, extensions: Vec::new() }
}

fn told(status: u16, kind: &str, text: &str) -> Told {
    Told { status, kind: kind.to_owned(), text: text.to_owned() }
}

fn is_missed(step: &Step) -> bool {
    matches!(step, Step::End(Verdict::Missed(_)))
}

#[test]
fn only_a_cosignature_of_the_named_witness_over_this_checkpoint_is_one() {
    let witness = WitnessKey::new("w", key(7).verifying_key()).unwrap();
    let checkpoint = checkpoint(5, "a");
    let asked = Asked { old: 3, checkpoint: &checkpoint };
    let line = cosign(&checkpoint, 9, "w", &key(7)).unwrap();
    let Step::End(Verdict::Cosigned(said)) = read(&asked, &told(200, "", &line), &witness) else {
        panic!("it is one");
    };
    assert_eq!((said.time_s, said.line), (9, line.clone()));
    let other = Checkpoint { size: 4, ..checkpoint.clone() };
    for text in [
        String::new(),
        "ok\n".to_owned(),
        cosign(&checkpoint, 9, "w", &key(8)).unwrap(),
        cosign(&checkpoint, 9, "v", &key(7)).unwrap(),
        cosign(&other, 9, "w", &key(7)).unwrap(),
        sign_checkpoint(&checkpoint, &key(7)).unwrap(),
        format!("{line}{{}}"),
    ] {
        assert!(is_missed(&read(&asked, &told(200, "", &text), &witness)), "{text:?}");
    }
}

#[test]
fn a_conflict_is_a_contradiction_only_where_more_or_other_entries_are_known() {
    let witness = WitnessKey::new("w", key(7).verifying_key()).unwrap();
    let checkpoint = checkpoint(5, "a");
    let conflict = |old: u64, text: &str| {
        let asked = Asked { old, checkpoint: &checkpoint };
        read(&asked, &told(409, SIZE_KIND, text), &witness)
    };
    assert_eq!(conflict(3, "6\n"), Step::End(Verdict::KnowsMore(6)));
    assert_eq!(conflict(5, "5\n"), Step::End(Verdict::KnowsOther(5)));
    assert_eq!(conflict(3, "5\n"), Step::From(5));
    assert_eq!(conflict(3, "0\n"), Step::From(0));
    for (old, text) in [(3, "3\n"), (3, ""), (3, "6"), (3, "-1\n"), (3, "6\n\n"), (3, "<html>6\n")]
    {
        assert!(is_missed(&conflict(old, text)), "{text:?}");
    }
    let asked = Asked { old: 3, checkpoint: &checkpoint };
    // A proxy that answers 409 with a page of its own is no witness.
    assert!(is_missed(&read(&asked, &told(409, "text/html", "6\n"), &witness)));
    assert_eq!(read(&asked, &told(422, "", ""), &witness), Step::End(Verdict::KnowsOther(3)));
    for status in [0, 204, 301, 400, 401, 403, 404, 413, 429, 500, 502, 503] {
        assert!(is_missed(&read(&asked, &told(status, SIZE_KIND, "6\n"), &witness)), "{status}");
    }
}

struct Home {
    folder: TempDir,
    clock: Arc<TestClock>,
    vkey: WitnessKey,
}

impl Home {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let vkey = make(&folder.path().join("w"), None, &SystemRandom).unwrap();
        Self { folder, clock: Arc::new(TestClock::at(Time::from_ms(1_000_000))), vkey }
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("w")
    }

    fn open(&self) -> Keeper {
        Keeper::open(&self.path(), Arc::<TestClock>::clone(&self.clock)).unwrap()
    }

    fn trusting(self) -> Self {
        let log = VerifierKey::new(ORIGIN, key(1).verifying_key()).unwrap();
        assert!(trust(&self.path(), &log.to_string(), Time::from_ms(0)).unwrap().is_new);
        self
    }
}

fn body(old: u64, checkpoint: &Checkpoint) -> String {
    let note = sign_checkpoint(checkpoint, &key(1)).unwrap();
    AddCheckpoint { old, proof: Vec::new(), checkpoint: note }.to_string()
}

fn refusal(answer: Result<(Checkpoint, String), Unanswered>) -> Refused {
    match answer {
        Err(Unanswered::Refused(refused)) => refused,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_witness_remembers_what_it_cosigned_when_it_is_opened_again() {
    let home = Home::new().trusting();
    let (_, line) = home.open().answer(&body(0, &checkpoint(5, "a"))).unwrap();
    assert_eq!(open_cosignature(&checkpoint(5, "a"), &line, &home.vkey).unwrap().time_s, 1000);
    let again = home.open();
    for asked in [
        body(0, &checkpoint(5, "b")),
        body(5, &checkpoint(5, "b")),
        body(0, &checkpoint(9, "b")),
        body(0, &checkpoint(3, "a")),
        body(3, &checkpoint(3, "a")),
    ] {
        assert_eq!(refusal(again.answer(&asked)).why, WitnessRefusal::OtherSize(5));
    }
    assert_eq!(refusal(again.answer(&body(5, &checkpoint(9, "b")))).why, WitnessRefusal::Unproven);
    // The clock goes back; what is said later does not.
    home.clock.step_ms(-500_000);
    let (_, line) = again.answer(&body(5, &checkpoint(5, "a"))).unwrap();
    assert_eq!(open_cosignature(&checkpoint(5, "a"), &line, &home.vkey).unwrap().time_s, 1000);
}

#[test]
fn a_witness_signs_nothing_that_its_disk_did_not_take() {
    let home = Home::new().trusting();
    let keeper = home.open();
    let sql = |text: &str| {
        rusqlite::Connection::open(home.path().join("witness.db")).unwrap().execute_batch(text)
    };
    let trigger = "CREATE TRIGGER broken BEFORE INSERT ON cosigned
        BEGIN SELECT RAISE(ABORT, 'broken'); END";
    sql(trigger).unwrap();
    for history in ["a", "b"] {
        let answer = keeper.answer(&body(0, &checkpoint(5, history)));
        assert!(matches!(answer, Err(Unanswered::Failed(_))), "{answer:?}");
    }
    sql("DROP TRIGGER broken").unwrap();
    assert!(keeper.answer(&body(0, &checkpoint(5, "b"))).is_ok(), "it goes on by itself");
    assert_eq!(
        refusal(keeper.answer(&body(0, &checkpoint(5, "a")))).why,
        WitnessRefusal::OtherSize(5)
    );
}

#[test]
fn a_log_is_cosigned_once_it_is_trusted_and_its_name_is_not_repeated_before() {
    let home = Home::new();
    let keeper = home.open();
    let asked = body(0, &checkpoint(5, "a"));
    assert_eq!(
        refusal(keeper.answer(&asked)),
        Refused { why: WitnessRefusal::UnknownLog, origin: None }
    );
    // Told while it is served.
    let home = home.trusting();
    assert!(keeper.answer(&asked).is_ok());
    let forged = asked.replace("\n5\n", "\n6\n");
    assert_eq!(
        refusal(keeper.answer(&forged)),
        Refused { why: WitnessRefusal::Unsigned, origin: Some(ORIGIN.to_owned()) }
    );
    let log = VerifierKey::new(ORIGIN, key(1).verifying_key()).unwrap().to_string();
    assert!(!trust(&home.path(), &log, Time::from_ms(9)).unwrap().is_new);
    for bad in
        ["", "x", log.trim_start_matches('e'), &home.vkey.to_string(), "a\u{1b}[2J+00000000+AAAA"]
    {
        assert_eq!(trust(&home.path(), bad, Time::from_ms(0)).unwrap_err().code, "bad_log_key");
    }
}

#[test]
fn a_witness_that_forgot_or_is_open_to_others_is_not_served() {
    let refuse = |spoil: &dyn Fn(&Path)| {
        let home = Home::new();
        spoil(&home.path());
        Keeper::open(&home.path(), Arc::<TestClock>::clone(&home.clock)).err().unwrap().code
    };
    let remove = |name: &'static str| move |at: &Path| std::fs::remove_file(at.join(name)).unwrap();
    assert_eq!(refuse(&remove("witness.db")), "witness_forgot");
    assert_eq!(refuse(&remove("witness.key")), "witness_key_unusable");
    let other = Home::new();
    let record = other.path().join("witness.db");
    let stranger = |at: &Path| {
        std::fs::copy(&record, at.join("witness.db")).unwrap();
    };
    assert_eq!(refuse(&stranger), "witness_forgot");
    let open = |at: &Path| {
        let mode = std::fs::Permissions::from_mode(0o640);
        std::fs::set_permissions(at.join("witness.key"), mode).unwrap();
    };
    assert_eq!(refuse(&open), "witness_key_open_to_others");
    let edited = |at: &Path| {
        let text = std::fs::read_to_string(at.join("witness.key")).unwrap();
        std::fs::write(at.join("witness.key"), text.replace("strongroom", "someone")).unwrap();
    };
    assert_eq!(refuse(&edited), "witness_key_malformed");
    let home = Home::new();
    let before = std::fs::read(home.path().join("witness.key")).unwrap();
    let again = make(&home.path(), None, &SystemRandom).unwrap_err();
    assert_eq!(again.code, "already_initialised");
    assert_eq!(std::fs::read(home.path().join("witness.key")).unwrap(), before);
    let mode = std::fs::metadata(home.path().join("witness.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    for name in ["", "a b", "a+b", "a\nb", "a\u{1b}[2J"] {
        let folder = home.folder.path().join("named");
        assert_eq!(make(&folder, Some(name), &SystemRandom).unwrap_err().code, "bad_name");
        assert!(!folder.join("witness.db").exists());
    }
}

#[test]
fn the_newest_note_is_kept_whole_and_what_lies_there_instead_is_nothing() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(read_kept(folder.path()).unwrap(), None);
    for note in ["first\n", "second, longer\n", "third\n"] {
        keep(folder.path(), note).unwrap();
        assert_eq!(read_kept(folder.path()).unwrap().as_deref(), Some(note));
    }
    let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(files.len(), 1, "nothing is left beside it");
    let mode = files[0].as_ref().unwrap().metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0);
    std::fs::write(folder.path().join("checkpoint.cosigned"), [0xff; 9]).unwrap();
    assert_eq!(read_kept(folder.path()).unwrap(), None);
}

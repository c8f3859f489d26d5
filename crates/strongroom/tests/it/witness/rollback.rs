//! Both stores put back together: the one thing they cannot tell each other.

use serde_json::Value;

use super::{Pair, get, refused};
use crate::attack::{Kept, look_up, one};
use crate::support::server::{Client, Server};

/// Whoever holds the key of `desk` had it revoked, and would like it back.
struct Attack {
    pair: Pair,
    before: Kept,
    after: Kept,
    desk: String,
    /// What the witness cosigned last.
    size: u64,
}

impl Attack {
    async fn prepare() -> Self {
        let pair = Pair::new().await;
        let desk = pair.shop.keys["desk"].clone();
        let before = Kept::of(&pair.shop);
        let mut server = pair.serve();
        assert_eq!(find_nobody(&server, &desk), 200);
        let mut client = Client::new(&server, &desk);
        assert_eq!(client.send("DELETE", "/v1/keys/own", None).unwrap().status, 204);
        assert_eq!(find_nobody(&server, &desk), 401);
        let size = pair.change_rights(&server).size;
        server.kill();
        let after = Kept::of(&pair.shop);
        Self { pair, before, after, desk, size }
    }

    /// Both stores, and the note beside them, which an intruder does not overlook.
    fn put_back(&self) {
        self.before.put_back(&self.pair.shop);
        let note = self.pair.shop.data_folder().join("checkpoint.cosigned");
        std::fs::remove_file(note).unwrap();
    }

    fn entries(&self) -> i64 {
        one(self.pair.shop.data(), "SELECT COUNT(*) FROM ledger_entry")
    }
}

/// A look-up that is allowed while the key counts.
fn find_nobody(server: &Server, key: &str) -> u16 {
    let wanted: Value = serde_json::json!({ "email": "nobody@mail.example" });
    let told = Client::new(server, key).send("POST", "/v1/customers/lookup", Some(&wanted));
    told.unwrap().status
}

#[tokio::test]
async fn both_stores_put_back_together_are_refused_with_a_witness_and_unnoticed_without() {
    let attack = Attack::prepare().await;
    attack.put_back();
    let entries = attack.entries();
    let said = attack.pair.refused();
    assert!(said.contains("the witness contradicts the ledger"), "{said}");
    let numbers = format!("it has cosigned {} entries, and here are {entries}", attack.size);
    assert!(said.contains(&numbers) && said.contains("strongroom restore"), "{said}");
    assert_eq!(attack.entries(), entries, "nothing was written to what was refused");

    // The same files without a witness: the revoked key is back, and only a finding says that nobody
    // would notice.
    let mut server = Server::start(attack.pair.folder(), &[]);
    assert_eq!(find_nobody(&server, &attack.desk), 200, "the same attack succeeds without it");
    let kinds: Vec<String> = attack.pair.findings(&server).into_iter().map(|it| it.0).collect();
    assert!(kinds.iter().any(|kind| kind == "witness_none"), "{kinds:?}");
    let ordinary =
        ["witness_none", "key_file_only", "recovery_missing", "backup_same_disk", "backup_late"];
    assert!(kinds.iter().all(|kind| ordinary.contains(&kind.as_str())), "noticed: {kinds:?}");

    // It grows beyond what the witness saw, and is another history all the same.
    for _ in 0..=attack.size {
        assert_eq!(find_nobody(&server, &attack.desk), 200);
    }
    server.kill();
    let said = attack.pair.refused();
    let numbers = format!("the first {} entries it has cosigned are not the ones", attack.size);
    assert!(said.contains(&numbers), "{said}");

    // With the newest files all is well again.
    attack.after.put_back(&attack.pair.shop);
    let server = attack.pair.serve();
    assert_eq!(find_nobody(&server, &attack.desk), 401);
    assert_eq!(attack.pair.finding(&server, "witness_none"), None, "a cosignature closes it");
}

/// As many entries as the witness cosigned, and others.
#[tokio::test]
async fn another_history_of_the_same_size_is_refused() {
    let mut attack = Attack::prepare().await;
    attack.put_back();
    // In this process, where no job writes beside it.
    let shop = &mut attack.pair.shop;
    shop.start().await.unwrap();
    assert!(shop.ledger_size() < attack.size, "there is room for another history");
    while shop.ledger_size() < attack.size {
        assert_eq!(look_up(shop, "email", "nobody@mail.example").await.status, 200);
    }
    shop.stop();
    assert_eq!(attack.entries(), i64::try_from(attack.size).unwrap());
    let said = attack.pair.refused();
    let numbers = format!("the first {} entries it has cosigned are not the ones", attack.size);
    assert!(said.contains(&numbers), "{said}");
}

/// The witness is cut off, but the note of what it cosigned was left in the folder.
#[tokio::test]
async fn the_note_beside_the_stores_refuses_them_while_the_witness_is_cut_off() {
    let mut attack = Attack::prepare().await;
    attack.pair.witness.kill();
    attack.before.put_back(&attack.pair.shop);
    let said = attack.pair.refused();
    assert!(said.contains("the witness contradicts the ledger"), "{said}");
}

#[tokio::test]
async fn a_server_that_the_witness_contradicts_later_drops_its_keys() {
    let mut attack = Attack::prepare().await;
    attack.pair.witness.kill();
    attack.put_back();
    let mut server = attack.pair.serve();
    assert!(attack.pair.finding(&server, "witness_unreachable").is_some());
    assert_eq!(find_nobody(&server, &attack.desk), 200, "nobody could be asked");
    attack.pair.witness.serve();
    attack.pair.ask_soon(&server);
    attack.pair.wait(|| (find_nobody(&server, &attack.desk) == 503).then_some(()));
    let ready = get(&server, "none", "/readyz").unwrap();
    assert_eq!(ready.status, 503, "{}", ready.body);
    assert!(ready.body.contains("sealed"), "{}", ready.body);
    server.kill();
    let kind = "SELECT COUNT(*) FROM finding WHERE kind = 'witness_contradicts' AND state = 'open'";
    assert_eq!(one::<i64>(attack.pair.shop.data(), kind), 1);
    assert!(attack.pair.refused().contains("the witness contradicts the ledger"));
}

#[tokio::test]
async fn a_crash_alone_is_never_a_contradiction() {
    let pair = Pair::new().await;
    let mut last = 0;
    for _ in 0..8 {
        let mut server = pair.serve();
        let size = pair.change_rights(&server).size;
        assert!(size > last);
        last = size;
        pair.ask_soon(&server);
        server.kill();
    }
    // Nor is a folder in which the note is gone or is another's.
    let note = pair.shop.data_folder().join("checkpoint.cosigned");
    for text in [None, Some(""), Some("nonsense"), Some("old/log\n99999\nAAAA\n\n— a AAAA\n")] {
        match text {
            None => std::fs::remove_file(&note).unwrap(),
            Some(text) => std::fs::write(&note, text).unwrap(),
        }
        let server = pair.serve();
        assert!(pair.cosigned(&server).is_some(), "the start cosigned what it found");
    }
    assert!(refused(pair.folder(), "[witness]\n").contains("missing field `url`"));
}

//! What must hold after every kill.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use strongroom::app::{App, Surroundings};
use strongroom::ctx::{Clock, Outcome, SystemClock};
use strongroom::id::{Customer, Id};
use strongroom::keys::{Places, Seal};
use strongroom::{jobs, ledger};
use strongroom_crypto::SystemRandom;

use super::{Storm, Told};
use crate::ledger::roots;
use crate::support::data::{Data, blob};
use crate::support::{Shop, person};

/// It opens, the log verifies, answers have entries, the known are there, the erased are not.
pub(super) async fn check_recovered(storm: &mut Storm, round: u64) {
    let seed = storm.seed;
    let late = SystemClock::new().now().as_ms() - storm.shop.clock.now().as_ms();
    storm.shop.clock.pass_ms(late.max(0));
    if let Err(error) = storm.shop.start().await {
        panic!("round {round}: it does not open after the kill: {error:?}");
    }
    let shop = &storm.shop;
    let verified = shop.verify().await;
    assert_eq!(verified["intact"], true, "round {round}: {verified}");
    let told = std::mem::take(&mut *storm.told.lock().unwrap());
    let mut data = shop.desk().data.snapshot().await.unwrap();
    for (index, kind) in &told.receipts {
        let leaf = ledger::find(&mut data, *index).await.unwrap();
        let leaf = leaf.unwrap_or_else(|| panic!("entry {index} of an answer is gone"));
        assert_eq!((leaf.kind, leaf.outcome), (*kind, Outcome::Ok), "entry {index}");
    }
    drop(data);
    see_the_known(shop, &told, seed).await;
    see_nothing_of_the_erased(shop, &told, seed).await;
    let open = shop.as_operator("GET", "/v1/findings", None).await;
    for kind in ["tampered", "key_missing", "rights_altered", "ledger_flaw"] {
        assert!(!open.json.to_string().contains(kind), "round {round}: {:?}", open.json);
    }
    // What is due is erased here too, so that the next kill does not find all of it.
    if round.is_multiple_of(3) {
        jobs::run_once(&shop.desk()).await;
        see_keys_fit(shop, &told);
    }
    storm.shop.stop();
    let stand = roots(&storm.shop);
    for (size, root) in &told.roots {
        let stands = stand[usize::try_from(*size).unwrap() - 1].to_base64();
        assert_eq!(*root, stands, "the root that was signed for size {size} is another's");
    }
    *storm.told.lock().unwrap() = told;
}

/// All of the newest, and some of the others: each opens, at no version older than was told.
async fn see_the_known(shop: &Shop, told: &Told, seed: u64) {
    let gone = |id: &String| told.erased.contains(id) || told.doubtful.contains(id);
    let known: Vec<_> = told.known.iter().filter(|(id, _)| !gone(id)).collect();
    let skip = usize::try_from(seed % 7).unwrap();
    let newest = known.iter().rev().take(KNOWN_CHECKED_MAX);
    let others = known.iter().skip(skip).step_by(7).take(KNOWN_CHECKED_MAX);
    for (id, (version, _)) in newest.chain(others) {
        let path = format!("/v1/customers/{id}?fields=name");
        let read = shop.call("shop", "GET", &path, None).await;
        assert_eq!(read.status, 200, "{id} was lost: {read:?} {}", state_of(shop, id));
        assert!(read.json["version"].as_u64() >= Some(*version), "{id} went back: {read:?}");
    }
}

/// For whoever has to find out why: what the row says.
fn state_of(shop: &Shop, id: &str) -> String {
    let id = blob(id.parse::<Id<Customer>>().unwrap().as_bytes());
    let sql = format!("SELECT state || ' at version ' || version FROM customer WHERE id = {id}");
    shop.data().column(&sql).pop().unwrap_or_else(|| "there is no row".to_owned())
}

async fn see_nothing_of_the_erased(shop: &Shop, told: &Told, seed: u64) {
    for (place, id) in told.erased.iter().enumerate() {
        let read = shop.call("shop", "GET", &format!("/v1/customers/{id}?fields=name"), None).await;
        assert_eq!(read.status, 404, "{id} is seen again: {read:?}");
        if place as u64 % 8 == seed % 8 {
            let email = &person(told.known[id].1)["fields"]["email"];
            let body = json!({ "email": email });
            let found = shop.call("desk", "POST", "/v1/customers/lookup", Some(body)).await;
            assert_eq!(found.json["customers"], json!([]), "{id} is found again: {found:?}");
        }
    }
}

/// Who was told to be erased and is: their key is in no row and their row is gone.
fn see_keys_fit(shop: &Shop, told: &Told) {
    see_no_destroyed_key(shop);
    let gone = gone(shop, told);
    assert_eq!(gone.len(), told.erased.len(), "an erasure that is due is done");
}

/// No key that the register calls destroyed is in keys.db.
pub(in crate::crash) fn see_no_destroyed_key(shop: &Shop) {
    let there: Vec<Vec<u8>> = shop.keys().column("SELECT id FROM dek");
    let mut destroyed = shop.data().column("SELECT dek FROM erasure_register");
    destroyed.retain(|dek| there.contains(dek));
    assert_eq!(destroyed.len(), 0, "keys that the register calls destroyed");
}

/// Ids of customers who were told to be erased and of whom no row is left.
pub(super) fn gone(shop: &Shop, told: &Told) -> BTreeSet<Vec<u8>> {
    let there: BTreeSet<Vec<u8>> = ids(shop.data());
    let bytes = |id: &String| id.parse::<Id<Customer>>().unwrap().as_bytes().to_vec();
    told.erased.iter().map(bytes).filter(|id| !there.contains(id)).collect()
}

/// A restore that was killed and went on opens, and holds nobody who was gone before its backup.
pub(super) async fn check_restored(storm: &Storm, folder: &Path) {
    let places = Places::in_folder(folder.to_owned(), Seal::KeyFile(storm.shop.key_file()));
    let clock = Arc::clone(&storm.shop.clock);
    let random = Arc::new(SystemRandom);
    let app = App::open(Surroundings { places, server: None, clock, random }).await.unwrap();
    drop(app);
    let (_, gone) = storm.pair.as_ref().unwrap();
    let there = ids(&Data::File(folder.join("strongroom.db")));
    assert!(gone.is_disjoint(&there), "the erased came back");
    let _ = std::fs::remove_dir_all(folder);
}

fn ids(data: &Data) -> BTreeSet<Vec<u8>> {
    data.column("SELECT id FROM customer").into_iter().collect()
}

const KNOWN_CHECKED_MAX: usize = 40;

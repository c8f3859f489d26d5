//! Chunks of an import beside everything else.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::ThreadId;

use serde_json::json;
use strongroom::ctx::{Actor, Ctx};
use strongroom::vault::{self, ImportRowInput, NewCustomer, RelationInput};
use strongroom_crypto::{CryptoError, Random, SystemRandom};

use crate::support::{Shop, person};

/// Counts how often it is asked on one thread: whoever seals asks many times a customer.
struct Watched {
    thread: ThreadId,
    here: AtomicUsize,
    elsewhere: AtomicUsize,
}

impl Random for Watched {
    fn fill(&self, out: &mut [u8]) -> Result<(), CryptoError> {
        let here = std::thread::current().id() == self.thread;
        let count = if here { &self.here } else { &self.elsewhere };
        count.fetch_add(1, Ordering::SeqCst);
        SystemRandom.fill(out)
    }
}

#[tokio::test]
async fn a_chunk_is_sealed_apart_from_the_threads_that_answer() {
    let shop = Shop::open().await;
    let desk = shop.desk();
    let row = {
        let authority = desk.rights.now().unwrap();
        authority.keys.values().find(|row| row.role == "importer").unwrap().clone()
    };
    let random = Arc::new(Watched {
        thread: std::thread::current().id(),
        here: AtomicUsize::new(0),
        elsewhere: AtomicUsize::new(0),
    });
    let mut ctx = Ctx::system("test", desk.now(), random.clone()).unwrap();
    let (role, purposes) = (row.role.clone(), row.purposes.clone());
    ctx.actor = Actor::Key { id: row.id, role, purposes, expires: row.expires, behalf: None };
    let rows = |from: usize| {
        let row = |number: usize| {
            let fields = serde_json::from_value(person(number)["fields"].clone()).unwrap();
            let relation = |name: &str| RelationInput { name: name.to_owned(), last: None };
            let relations = vec![relation("enquiry"), relation("purchase")];
            let customer = NewCustomer { relations, fields };
            ImportRowInput {
                line: number as u64,
                customer,
                references: Vec::new(),
                consents: Vec::new(),
            }
        };
        (from..from + 20).map(row).collect::<Vec<_>>()
    };
    let (begun, _) = vault::begin_import(&desk, &ctx, [1; 32], [2; 32]).await.unwrap();
    random.here.store(0, Ordering::SeqCst);
    let (problems, _) = vault::try_chunk(&desk, &ctx, rows(1)).await.unwrap();
    assert_eq!(problems.len(), 0);
    let taken = vault::import_chunk(&desk, &ctx, begun.id, 0, rows(100)).await.unwrap();
    assert_eq!(taken.now.created, 20, "{}", json!(taken.problems.len()));
    // The id of the holding alone: what belongs to a row is drawn where it is sealed.
    assert!(random.here.load(Ordering::SeqCst) <= 1, "it keeps no answer waiting");
    assert!(random.elsewhere.load(Ordering::SeqCst) >= 40 * 3, "it was sealed somewhere");
}

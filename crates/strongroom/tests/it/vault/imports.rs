//! Chunks of an import beside everything else.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::ThreadId;

use serde_json::json;
use strongroom::ctx::{Actor, Ctx};
use strongroom::vault::{self, CHUNK_ROWS_MAX, ImportRowInput, NewCustomer, RelationInput};
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

fn rows(from: usize, count: usize) -> Vec<ImportRowInput> {
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
    (from..from + count).map(row).collect()
}

fn importer(shop: &Shop, random: Arc<dyn Random>) -> Ctx {
    let desk = shop.desk();
    let row = {
        let authority = desk.rights.now().unwrap();
        authority.keys.values().find(|row| row.role == "importer").unwrap().clone()
    };
    let mut ctx = Ctx::system("test", desk.now(), random).unwrap();
    let (role, purposes) = (row.role.clone(), row.purposes.clone());
    ctx.actor = Actor::Key { id: row.id, role, purposes, expires: row.expires, behalf: None };
    ctx
}

/// All that is written of a chunk has room for as many rows as a chunk may have.
#[tokio::test]
async fn the_largest_chunk_is_taken() {
    let shop = Shop::open().await;
    let (desk, ctx) = (shop.desk(), importer(&shop, Arc::new(SystemRandom)));
    let (begun, _) = vault::begin_import(&desk, &ctx, [1; 32], [2; 32]).await.unwrap();
    let all = rows(1, CHUNK_ROWS_MAX);
    let taken = vault::import_chunk(&desk, &ctx, begun.id, 0, all).await.unwrap();
    assert_eq!(taken.now.created, CHUNK_ROWS_MAX as u64, "{}", taken.problems.len());
}

#[tokio::test]
async fn a_chunk_is_sealed_apart_from_the_threads_that_answer() {
    let shop = Shop::open().await;
    let desk = shop.desk();
    let random = Arc::new(Watched {
        thread: std::thread::current().id(),
        here: AtomicUsize::new(0),
        elsewhere: AtomicUsize::new(0),
    });
    let ctx = importer(&shop, random.clone());
    let (begun, _) = vault::begin_import(&desk, &ctx, [1; 32], [2; 32]).await.unwrap();
    random.here.store(0, Ordering::SeqCst);
    let (problems, _) = vault::try_chunk(&desk, &ctx, rows(1, 20)).await.unwrap();
    assert_eq!(problems.len(), 0);
    let taken = vault::import_chunk(&desk, &ctx, begun.id, 0, rows(100, 20)).await.unwrap();
    assert_eq!(taken.now.created, 20, "{}", json!(taken.problems.len()));
    // The id of the holding alone: what belongs to a row is drawn where it is sealed.
    assert!(random.here.load(Ordering::SeqCst) <= 1, "it keeps no answer waiting");
    assert!(random.elsewhere.load(Ordering::SeqCst) >= 40 * 3, "it was sealed somewhere");
}

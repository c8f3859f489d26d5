//! One nonce, one text: with a constant random source and on clones of a machine no two different
//! records are ever sealed under one key and nonce. The nonce of a cell is its field, so it is the
//! record's key that must differ, and with one data key only its salt makes it differ.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use strongroom::app::{App, Surroundings};
use strongroom::router::router;
use strongroom_crypto::{CryptoError, Decoder, Random, SystemRandom};

use super::Kept;
use crate::support::{Answer, Shop, send};

/// Good until it breaks; then always the same byte.
struct Breaking(AtomicBool);

impl Random for Breaking {
    fn fill(&self, out: &mut [u8]) -> Result<(), CryptoError> {
        if !self.0.load(Ordering::SeqCst) {
            return SystemRandom.fill(out);
        }
        out.fill(7);
        Ok(())
    }
}

/// The key a record is sealed under is a function of these: data key, version, salt.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Sealing {
    dek: [u8; 16],
    version: u64,
    salt: [u8; 32],
}

#[derive(Default)]
struct Seen(HashMap<Sealing, Vec<u8>>);

impl Seen {
    fn take_all(&mut self, shop: &Shop) {
        for data in shop.data().column::<Vec<u8>>("SELECT data FROM sealed_record") {
            let sealing = sealing_of(&data);
            let known = self.0.entry(sealing.clone()).or_insert_with(|| data.clone());
            assert_eq!(*known, data, "two texts under one key and nonce: {sealing:?}");
        }
    }

    /// How many of one data key and version there are, the most of any.
    fn most_of_one_version(&self) -> usize {
        let mut counts = HashMap::<([u8; 16], u64), usize>::new();
        for sealing in self.0.keys() {
            *counts.entry((sealing.dek, sealing.version)).or_default() += 1;
        }
        counts.into_values().max().unwrap()
    }
}

fn sealing_of(data: &[u8]) -> Sealing {
    let mut decoder = Decoder::new(data, "strongroom/record").unwrap();
    decoder.u8().unwrap();
    for _ in ["installation", "customer", "compartment"] {
        decoder.array::<16>().unwrap();
    }
    let dek = decoder.array().unwrap();
    Sealing { dek, version: decoder.u64().unwrap(), salt: decoder.array().unwrap() }
}

/// Changes the e-mail at a broken machine and gives the answer.
async fn patch(shop: &Shop, id: &str, version: u64, email: &str) -> Answer {
    let places = shop.surroundings().places;
    let clock = Arc::clone(&shop.clock);
    let random = Arc::new(Breaking(AtomicBool::new(false)));
    let (server, breaking) = (shop.data().server(), Arc::<Breaking>::clone(&random));
    let surroundings = Surroundings { places, server, clock, random: breaking };
    let app = App::open(surroundings).await.unwrap();
    random.0.store(true, Ordering::SeqCst);
    let desk = app.desk().unwrap();
    let key = format!("Bearer {}", shop.keys["shop"]);
    let version = format!("\"{version}\"");
    let headers = [("authorization", key.as_str()), ("if-match", version.as_str())];
    let body = json!({ "fields": { "email": email, "note": email } });
    let path = format!("/v1/customers/{id}");
    let answer = send(router(&desk), "PATCH", &path, Some(body), &headers, false).await;
    assert_eq!(answer.status, 200, "{:?}", answer.json);
    answer
}

#[tokio::test]
async fn one_nonce_one_text_with_a_constant_random_source() {
    let mut shop = Shop::open().await;
    let id = shop.customer(1).await;
    shop.stop();
    let mut seen = Seen::default();
    seen.take_all(&shop);
    for version in 1..8 {
        let email = format!("ada.{}@mail.example", version % 3);
        patch(&shop, &id, version, &email).await;
        seen.take_all(&shop);
    }
    assert!(seen.0.len() >= 15, "{}", seen.0.len());
}

#[tokio::test]
async fn clones_of_a_machine_never_give_one_key_and_nonce_to_two_texts() {
    let mut shop = Shop::open().await;
    let id = shop.customer(1).await;
    shop.stop();
    let image = Kept::of(&shop);
    let mut seen = Seen::default();
    // Each writes the same version of the same customer with the same random bytes.
    for email in ["one@mail.example", "two@mail.example", "one@mail.example", "six@mail.example"] {
        image.put_back(&shop);
        patch(&shop, &id, 1, email).await;
        seen.take_all(&shop);
    }
    assert!(seen.most_of_one_version() >= 3, "the clones did write one version");
}

//! The way back: two of three shares, and nothing less.

mod before;
mod memory;
mod renewal;
mod rotation;
mod signing;
mod unused;

pub(crate) use renewal::rehearse;
pub(crate) use rotation::{go_on, newest, rotate};

use std::sync::Arc;

use strongroom::access;
use strongroom::app;
use strongroom::backup::{MissingKeys, Outcome, RestoreInput, Restored};
use strongroom::error::Error;
use strongroom::keys::{self, Places, Seal};
use strongroom_crypto::{Random, SHARES_COUNT, Share, SystemRandom};

use crate::backup::{Pair, back_up, enable_all, operator};
use crate::support::Shop;

/// A new set for a shop, as its holders have it: words on paper.
async fn hand_out(shop: &Shop) -> [String; SHARES_COUNT] {
    let desk = shop.desk();
    let made = desk.keyring.make_shares().unwrap();
    let pages = made.shares().each_ref().map(|share| share.to_rows().to_string());
    access::keep_shares(&desk, &operator(shop), &made).await.unwrap();
    pages
}

fn two(first: &str, second: &str) -> Seal {
    let read = |page| Share::from_rows(page).unwrap();
    Seal::Shares(Arc::new([read(first), read(second)]))
}

fn restore_by(empty: &Shop, pair: &Pair, unseal: Seal) -> Result<Restored, Error> {
    let random: Arc<dyn Random> = Arc::new(SystemRandom);
    let input = RestoreInput {
        data: pair.data.clone(),
        keys: pair.keys.clone(),
        registers: Vec::new(),
        places: Places::in_folder(empty.data_folder(), Seal::KeyFile(empty.key_file())),
        unseal: Some(unseal),
        register_as_of: None,
        agreed_by: Vec::new(),
        missing_keys: MissingKeys::Refuse,
        outcome: Outcome::Keep,
    };
    app::restore(&input, empty.clock.as_ref(), &random, |_| {})
}

fn refusal(restored: Result<Restored, Error>) -> &'static str {
    restored.err().map_or("", |error| error.code)
}

/// A machine that has nothing: not the data folder, and not the key file.
fn empty_machine(shop: &Shop) -> Shop {
    let empty = shop.empty_beside();
    std::fs::remove_file(empty.key_file()).unwrap();
    empty
}

#[tokio::test]
async fn an_empty_machine_both_backups_and_any_two_shares_bring_everything_back() {
    let shop = Shop::open_today().await;
    let id = shop.customer(1).await;
    let pages = hand_out(&shop).await;
    let pair = back_up(&shop).await;
    let path = format!("/v1/customers/{id}?fields=name,email");
    for (first, second) in [(0, 1), (1, 2), (2, 0)] {
        let mut empty = empty_machine(&shop);
        let seen = restore_by(&empty, &pair, two(&pages[first], &pages[second])).unwrap();
        assert_eq!((seen.rebuilt.customers, seen.rebuilt.missing), (1, 0));
        // What opens it from now on is a key file of its own, made on this machine.
        let (old, new) = (shop.key_file(), empty.key_file());
        assert_ne!(std::fs::read(old).unwrap(), std::fs::read(new).unwrap());
        empty.start().await.unwrap();
        enable_all(&empty).await;
        let read = empty.call("desk", "GET", &path, None).await;
        assert_eq!(read.status, 200, "{:?}", read.json);
        assert_eq!(empty.verify().await["intact"], true);
    }
}

#[tokio::test]
async fn one_share_or_shares_of_two_sets_bring_nothing_back_and_say_why() {
    let shop = Shop::open_today().await;
    shop.customer(1).await;
    let before = back_up(&shop).await;
    let first = hand_out(&shop).await;
    let between = back_up(&shop).await;
    let second = hand_out(&shop).await;
    let after = back_up(&shop).await;
    let strange = hand_out(&Shop::open_today().await).await;
    for (pair, one, other, code) in [
        (&after, &second[0], &second[0], "shares_do_not_fit"),
        (&after, &first[0], &second[1], "shares_do_not_fit"),
        (&after, &first[0], &first[1], "shares_of_another_set"),
        (&after, &strange[0], &strange[1], "shares_of_another_set"),
        (&between, &second[0], &second[1], "shares_of_another_set"),
        (&before, &first[0], &first[1], "no_recovery"),
    ] {
        let empty = empty_machine(&shop);
        let refused = restore_by(&empty, pair, two(one, other));
        assert_eq!(refusal(refused), code);
        assert!(
            !empty.key_file().exists() && !empty.keys_file().exists(),
            "{code}: nothing is made"
        );
    }
    // A backup opens with the shares that were the way back when it was made.
    restore_by(&empty_machine(&shop), &between, two(&first[1], &first[2])).unwrap();
    restore_by(&empty_machine(&shop), &after, two(&second[1], &second[2])).unwrap();
}

#[tokio::test]
async fn a_rehearsal_opens_every_key_and_changes_nothing() {
    let mut shop = Shop::open_in_file().await;
    let pages = hand_out(&shop).await;
    shop.stop();
    let before = std::fs::read(shop.keys_file()).unwrap();
    let places = |seal| Places::in_folder(shop.data_folder(), seal);
    let seen = app::rehearse_recovery(&places(two(&pages[0], &pages[2]))).unwrap();
    assert!(seen.keys >= 7, "{seen:?}");
    assert_eq!(std::fs::read(shop.keys_file()).unwrap(), before);
    let refused = app::rehearse_recovery(&places(two(&pages[0], &pages[0])));
    assert_eq!(refused.unwrap_err().code, "shares_do_not_fit");
}

#[tokio::test]
async fn another_seal_opens_the_installation_and_the_one_before_it_nothing() {
    let mut shop = Shop::open_today().await;
    let id = shop.customer(1).await;
    let pages = hand_out(&shop).await;
    let pair = back_up(&shop).await;
    let ctx = operator(&shop);
    shop.stop();
    let words = Seal::Passphrase(Arc::new("seven wet herons borrow a ladder".to_owned().into()));
    let wrong = Seal::Passphrase(Arc::new("seven wet herons borrow a laddar".to_owned().into()));
    let weak = Seal::Passphrase(Arc::new("short".to_owned().into()));
    let surroundings = |seal| {
        let mut surroundings = shop.surroundings();
        surroundings.places.seal = seal;
        surroundings
    };
    let key_file = Seal::KeyFile(shop.key_file());
    let refused = app::reseal(surroundings(key_file.clone()), &weak, &ctx).await.unwrap_err();
    assert_eq!(refused.code, "weak_passphrase");
    app::reseal(surroundings(key_file.clone()), &words, &ctx).await.unwrap();

    let code = |seal: &Seal| {
        let places = surroundings(seal.clone()).places;
        keys::open(&places, Arc::new(SystemRandom)).err().map_or("", |error| error.code)
    };
    assert_eq!(code(&words), "");
    assert_eq!(code(&wrong), "wrong_passphrase");
    assert_eq!(code(&key_file), "other_seal");
    assert_eq!(code(&two(&pages[0], &pages[1])), "", "the shares are of the recovery key");

    let app = app::App::open(surroundings(words)).await.unwrap();
    let desk = app.desk().unwrap();
    // The backup was made under the seal before, and is still one of ours to look at and to remove.
    let rows = strongroom::backup::contents(&pair.data, &desk.keyring).unwrap();
    assert_eq!(rows["customer"], 1, "{id}");
    let findings = strongroom::findings::list(&desk.data).await.unwrap();
    let open: Vec<&str> = findings.iter().map(|it| it.kind.as_str()).collect();
    assert!(!open.contains(&"key_file_only") && !open.contains(&"recovery_missing"), "{open:?}");
}

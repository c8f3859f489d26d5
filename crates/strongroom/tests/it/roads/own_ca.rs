//! A small authority of one's own: renewed without a restart, told of when it cannot be.

use std::sync::Arc;

use strongroom::certificates::{Keeper, issue, make_authority};
use strongroom::config::{OwnCa, Tls};
use strongroom::ctx::Clock;
use strongroom::web::{Challenges, HostName, Listen, serve};
use strongroom_crypto::SystemRandom;

use super::{echo, shown};
use crate::support::Shop;

const DAY_MS: i64 = 86_400_000;

fn own(shop: &Shop) -> OwnCa {
    let folder = shop.folder.path().join("tls");
    OwnCa { folder, names: vec![HostName::parse("vault.lan").unwrap()] }
}

/// A shop whose certificate is kept, and the address that shows it.
async fn served(shop: &Shop) -> (Keeper, std::net::SocketAddr) {
    let own = own(shop);
    make_authority(&own, shop.clock.now(), &SystemRandom).unwrap();
    let keeper = open(shop, &own).await;
    let any = "127.0.0.1:0".parse().unwrap();
    let listen = Listen::bind(any, Some(keeper.tls().config())).unwrap();
    let address = listen.address().unwrap();
    tokio::spawn(serve(listen, echo(Arc::clone(&shop.clock) as _), std::future::pending()));
    (keeper, address)
}

async fn open(shop: &Shop, own: &OwnCa) -> Keeper {
    let road = Tls::OwnCa(own.clone());
    let random = Arc::new(SystemRandom);
    Keeper::open(road, Challenges::default(), shop.clock.as_ref(), random).await.unwrap()
}

fn authority(shop: &Shop) -> std::path::PathBuf {
    own(shop).folder.join("strongroom-ca.crt")
}

async fn ending(shop: &Shop) -> usize {
    let found = shop.as_operator("GET", "/v1/findings", None).await.json;
    let list = found["findings"].as_array().unwrap();
    list.iter().filter(|it| it["kind"] == "certificate_ending").count()
}

#[tokio::test]
async fn the_own_authority_renews_after_60_days_without_a_restart() {
    let shop = Shop::open().await;
    let (keeper, address) = served(&shop).await;
    let look = async || shown(address, "vault.lan", &authority(&shop), shop.clock.now()).await;
    let first = look().await.unwrap();
    shop.clock.pass_ms(59 * DAY_MS);
    keeper.turn(&shop.desk()).await.unwrap();
    assert!(look().await.unwrap() == first, "it is not due yet");
    shop.clock.pass_ms(2 * DAY_MS);
    keeper.turn(&shop.desk()).await.unwrap();
    let second = look().await.unwrap();
    assert!(second != first, "the same port shows another certificate");
    shop.clock.pass_ms(59 * DAY_MS);
    assert!(look().await.unwrap() == second, "when the first would have ended");
    assert_eq!(ending(&shop).await, 0);
    // A machine that was off for a year begins with a new one.
    shop.clock.pass_ms(365 * DAY_MS);
    drop(open(&shop, &own(&shop)).await);
    keeper.turn(&shop.desk()).await.unwrap();
    assert!(look().await.unwrap() != second);
}

#[tokio::test]
async fn while_renewal_fails_the_old_certificate_stays_and_a_finding_says_when_it_ends() {
    let shop = Shop::open().await;
    let (keeper, address) = served(&shop).await;
    let key = own(&shop).folder.join("strongroom-ca.key");
    let away = own(&shop).folder.join("away");
    std::fs::rename(&key, &away).unwrap();
    let look = async || shown(address, "vault.lan", &authority(&shop), shop.clock.now()).await;
    let first = look().await.unwrap();
    shop.clock.pass_ms(70 * DAY_MS);
    keeper.turn(&shop.desk()).await.unwrap();
    assert!(look().await.unwrap() == first);
    assert_eq!(ending(&shop).await, 0);
    shop.clock.pass_ms(7 * DAY_MS);
    keeper.turn(&shop.desk()).await.unwrap();
    assert!(look().await.unwrap() == first);
    assert_eq!(ending(&shop).await, 1);

    std::fs::rename(&away, &key).unwrap();
    keeper.turn(&shop.desk()).await.unwrap();
    assert!(look().await.unwrap() == first, "a failure is not tried again within the hour");
    shop.clock.pass_ms(3_600_000);
    keeper.turn(&shop.desk()).await.unwrap();
    assert!(look().await.unwrap() != first);
    assert_eq!(ending(&shop).await, 0, "the new certificate is the evidence");
    let before = shop.ledger_size();
    keeper.turn(&shop.desk()).await.unwrap();
    assert_eq!(shop.ledger_size(), before, "and is not told every minute");
}

#[tokio::test]
async fn a_certificate_renewed_while_the_server_was_off_closes_the_finding_too() {
    let shop = Shop::open().await;
    let (keeper, _) = served(&shop).await;
    let key = own(&shop).folder.join("strongroom-ca.key");
    let away = own(&shop).folder.join("away");
    std::fs::rename(&key, &away).unwrap();
    shop.clock.pass_ms(77 * DAY_MS);
    keeper.turn(&shop.desk()).await.unwrap();
    assert_eq!(ending(&shop).await, 1);
    drop(keeper);
    std::fs::rename(&away, &key).unwrap();
    let keeper = open(&shop, &own(&shop)).await;
    keeper.turn(&shop.desk()).await.unwrap();
    assert_eq!(ending(&shop).await, 0);
    let entries = shop.entries().await;
    let closed = entries.iter().filter(|leaf| leaf.verb == "finding.close").count();
    assert_eq!(closed, 1);
}

#[tokio::test]
async fn a_given_certificate_is_read_again_and_a_bad_one_is_not_shown() {
    let shop = Shop::open().await;
    let own = own(&shop);
    make_authority(&own, shop.clock.now(), &SystemRandom).unwrap();
    let file = own.folder.join("server.pem");
    let given =
        Tls::Given(strongroom::config::TlsFiles { certificate: file.clone(), key: file.clone() });
    let random = Arc::new(SystemRandom);
    let keeper =
        Keeper::open(given, Challenges::default(), shop.clock.as_ref(), random).await.unwrap();
    let any = "127.0.0.1:0".parse().unwrap();
    let listen = Listen::bind(any, Some(keeper.tls().config())).unwrap();
    let address = listen.address().unwrap();
    tokio::spawn(serve(listen, echo(Arc::clone(&shop.clock) as _), std::future::pending()));
    let look =
        async || shown(address, "vault.lan", &authority(&shop), shop.clock.now()).await.unwrap();
    let first = look().await;
    let put = |text: &str| std::fs::write(&file, text).unwrap();
    put("-----BEGIN CERTIFICATE-----\n");
    keeper.turn(&shop.desk()).await.unwrap();
    assert!(look().await == first);
    issue(&own, shop.clock.now(), &SystemRandom).unwrap();
    keeper.turn(&shop.desk()).await.unwrap();
    assert!(look().await != first);
}

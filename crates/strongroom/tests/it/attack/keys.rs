//! Data keys changed by SQL on keys.db. A missing key is never taken for an erasure.

use std::sync::Arc;

use strongroom::ctx::Ctx;
use strongroom::vault::sweep_pending_keys;

use super::{Kept, assert_code, findings, look_up, one, read};
use crate::support::{Shop, intrude, person};

#[tokio::test]
async fn a_wrapped_data_key_moved_to_another_customer_opens_nothing() {
    let mut shop = Shop::open().await;
    let ids = [shop.customer(1).await, shop.customer(2).await];
    shop.stop();
    let kept = Kept::of(&shop);
    for attack in [
        // Wrapped keys go round by one place; then ids do; then one key is everyone's.
        "CREATE TEMP TABLE was AS SELECT row_number() OVER (ORDER BY id) AS place, * FROM dek;
         UPDATE dek SET wrapped = (SELECT next.wrapped FROM was AS next, was AS own
           WHERE own.id = dek.id AND next.place = own.place % (SELECT COUNT(*) FROM was) + 1)",
        "UPDATE dek SET wrapped = (SELECT MIN(wrapped) FROM dek)
         WHERE wrapped <> (SELECT MIN(wrapped) FROM dek)",
        "UPDATE dek SET kek_version = 2",
        "UPDATE dek SET wrapped = x''",
    ] {
        kept.put_back(&shop);
        intrude(shop.keys(), attack);
        shop.start().await.unwrap();
        let answers = [read(&shop, &ids[0]).await, read(&shop, &ids[1]).await];
        let tampered = answers.iter().filter(|it| it.json["code"] == "tampered").count();
        // The one customer whose key was copied to all others keeps their own.
        assert!(
            tampered >= 1 && (tampered == 2 || attack.contains("MIN")),
            "{attack}: {answers:?}"
        );
        assert!(findings(&shop).await.contains(&"tampered".to_owned()), "{attack}");
        shop.stop();
    }
}

/// The swap an intruder would choose: the cores of two customers.
#[tokio::test]
async fn a_data_key_bound_to_another_customer_does_not_unwrap_under_the_id_of_this_one() {
    let mut shop = Shop::open().await;
    let (first, second) = (shop.customer(1).await, shop.customer(2).await);
    shop.stop();
    // All of the second's sealed rows under the first's id, with the keys they name: only the
    // wrapping knows whose keys they are.
    let sql = "UPDATE customer SET id = x'00112233445566778899aabbccddeeff' WHERE id = FIRST;
        UPDATE customer SET id = FIRST WHERE id = SECOND;"
        .replace("FIRST", &blob(&first))
        .replace("SECOND", &blob(&second));
    intrude(shop.data(), &sql);
    shop.start().await.unwrap();
    assert_code(&read(&shop, &first).await, 503, "tampered");
}

#[tokio::test]
async fn absence_is_not_erasure_a_deleted_data_key_is_missed_and_nothing_is_deleted() {
    let mut shop = Shop::open().await;
    let ids = [shop.customer(1).await, shop.customer(2).await, shop.customer(3).await];
    shop.stop();
    let kept = Kept::of(&shop);
    let all = "DELETE FROM dek";
    for (attack, missing) in [(all, 3), ("DELETE FROM dek WHERE id = (SELECT MIN(id) FROM dek)", 1)]
    {
        kept.put_back(&shop);
        let before = contents(&shop);
        intrude(shop.keys(), attack);
        shop.start().await.unwrap();
        let mut missed = 0;
        for id in &ids {
            let answer = read(&shop, id).await;
            if answer.status != 200 {
                assert_code(&answer, 503, "key_missing");
                missed += 1;
            }
        }
        assert_eq!(missed, missing);
        assert_eq!(findings(&shop).await, ["key_file_only", "key_missing", "recovery_missing"]);
        shop.clock.pass_ms(40 * 86_400_000);
        strongroom::jobs::run_once(&shop.desk()).await;
        strongroom::jobs::run_daily(&shop.desk()).await;
        shop.stop();
        assert_eq!(contents(&shop), before, "nothing is deleted");
        // The keys put back, all is as it was.
        shop.clock.step_ms(-40 * 86_400_000);
        kept.put_back(&shop);
        shop.start().await.unwrap();
        for id in &ids {
            assert_eq!(read(&shop, id).await.status, 200);
        }
        shop.stop();
    }
}

#[tokio::test]
async fn with_the_keys_of_eleven_customers_missing_nothing_is_written() {
    let shop = Shop::open().await;
    let mut ids = Vec::new();
    for number in 0..11 {
        ids.push(shop.customer(number).await);
    }
    intrude(shop.keys(), "DELETE FROM dek");
    for (number, id) in ids.iter().enumerate() {
        let made = shop.call("shop", "POST", "/v1/customers", Some(person(100 + number))).await;
        assert_eq!(made.status, 201, "after {number} missing: {:?}", made.json);
        assert_code(&read(&shop, id).await, 503, "key_missing");
    }
    let refused = shop.call("shop", "POST", "/v1/customers", Some(person(200))).await;
    assert_code(&refused, 503, "keys_missing");
    let path = format!("/v1/customers/{}", ids[0]);
    assert_code(&shop.call("privacy", "DELETE", &path, None).await, 503, "keys_missing");
}

#[tokio::test]
async fn a_forged_register_line_does_not_turn_a_missing_key_into_an_erasure() {
    let mut shop = Shop::open().await;
    let id = shop.customer(1).await;
    let dek = one::<String>(shop.keys(), "SELECT hex(MIN(id)) FROM dek");
    let deks = format!("DELETE FROM dek WHERE id = x'{dek}'");
    intrude(shop.keys(), &deks);
    let line = format!("INSERT INTO erasure_register VALUES (x'{dek}', 0, zeroblob(32))");
    intrude(shop.data(), &line);
    let job = "INSERT INTO erasure_job
        SELECT randomblob(16), 'begun', key, 0, 0, x'', 1, zeroblob(32) FROM customer";
    intrude(shop.data(), job);
    assert_code(&read(&shop, &id).await, 503, "key_missing");
    let found = look_up(&shop, "email", "ada.1@mail.example").await;
    assert_code(&found, 503, "key_missing");
    shop.stop();
    shop.start().await.unwrap();
    assert_code(&read(&shop, &id).await, 503, "rights_altered");
}

/// A key is durable before the record that it seals: to a sweep a create in flight looks like a key that
/// was left over. Whatever age the sweep believes it has, it is left alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn absence_is_not_erasure_a_sweep_leaves_the_keys_of_creates_in_flight_alone() {
    let shop = Shop::open().await;
    let (desk, client) = (shop.desk(), shop.client("shop"));
    let creates = tokio::spawn(async move {
        let mut made = Vec::new();
        for number in 0..150 {
            let answer = client.call("POST", "/v1/customers", Some(person(number))).await;
            assert_eq!(answer.status, 201, "{answer:?}");
            made.push(answer.json["id"].as_str().unwrap().to_owned());
        }
        made
    });
    let (mut in_flight, mut live) = (0, 0);
    while !creates.is_finished() {
        let later = desk.now().plus_days(8);
        let ctx = Ctx::system("keys.sweep", later, Arc::clone(&desk.random)).unwrap();
        let swept = sweep_pending_keys(&desk, &ctx).await.unwrap();
        (in_flight, live) = (in_flight + swept.without_record, live + swept.live);
    }
    let made = creates.await.unwrap();
    assert!(in_flight > 0, "no sweep met a create in flight");
    assert!(live > 0, "no sweep met one that was done");
    drop(desk);
    for id in made {
        let path = format!("/v1/customers/{id}?fields=name,email,phone,address");
        assert_eq!(shop.call("shop", "GET", &path, None).await.status, 200, "{id}");
    }
    assert!(!findings(&shop).await.contains(&"key_missing".to_owned()));
}

fn blob(id: &str) -> String {
    let id: strongroom::id::Id<strongroom::id::Customer> = id.parse().unwrap();
    format!("x'{}'", data_encoding::HEXLOWER.encode(id.as_bytes()))
}

fn contents(shop: &Shop) -> Vec<String> {
    let tables = ["customer", "sealed_record", "lookup_unique", "lookup_exact", "subject"];
    let sums = tables.iter().map(|table| {
        let sql = match *table {
            "customer" => {
                "SELECT group_concat(hex(id) || state || version || hex(mac)) FROM customer"
            }
            "sealed_record" => "SELECT group_concat(hex(data)) FROM sealed_record",
            "lookup_unique" => "SELECT group_concat(hex(hash) || customer) FROM lookup_unique",
            "lookup_exact" => "SELECT group_concat(hex(hash) || customer) FROM lookup_exact",
            _ => "SELECT group_concat(hex(hash) || customer) FROM subject",
        };
        one::<String>(shop.data(), sql)
    });
    sums.collect()
}

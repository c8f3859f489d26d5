//! Backups, registers and rows of before keys were replaced: what they bring back, and what not.

use super::renewal::{Whole, blobs, destroy_retired, no_record_names, rehearse};
use super::rotation::{go_on, newest, rotate};
use crate::backup::{back_up, count, enquirer, erase, input, read, restore, restored};
use crate::support::data::blob;
use crate::support::{Shop, intrude, person};

/// The keys of before open the customer in the backup of before: an erasure names them too.
#[tokio::test]
async fn who_is_erased_after_a_renewal_stays_erased_in_backups_of_before() {
    let mut shop = Shop::open().await;
    let (gone, stays) = (enquirer(&shop, 1).await, enquirer(&shop, 2).await);
    let old = back_up(&shop).await;
    rotate(&shop, "data_keys").await;
    go_on(&shop).await;
    shop.clock.pass_ms(2 * 3_600_000);
    back_up(&shop).await;
    rehearse(&shop).await;
    assert!(destroy_retired(&shop).await > 0);
    erase(&shop, &gone).await;
    assert_eq!(count(shop.data(), "SELECT count(*) FROM erasure_register"), 4);
    assert_eq!(count(shop.data(), "SELECT count(*) FROM retired_key"), 2, "of who stays");
    // The sum over rows of rights and the register still holds.
    shop.stop();
    shop.start().await.unwrap();
    let new = back_up(&shop).await;
    shop.stop();
    let mut empty = shop.empty_beside();
    let mut input = input(&empty, &old.data, &old.keys);
    input.registers = vec![new.keys];
    let seen = restore(&empty, &input).unwrap();
    assert_eq!((seen.rebuilt.customers_gone, seen.rebuilt.customers), (1, 1));
    empty.start().await.unwrap();
    crate::backup::enable_all(&empty).await;
    assert_eq!(read(&empty, &gone).await.status, 404);
    assert_eq!(read(&empty, &stays).await.status, 200);
}

/// The data is older than the look-up keys: it is hashed anew as it is restored.
#[tokio::test]
async fn older_data_is_found_again_when_it_is_restored_with_newer_look_up_keys() {
    let mut shop = Shop::open_today().await;
    let whole = Whole::make(&shop, 1).await;
    let old = back_up(&shop).await;
    rotate(&shop, "look_up_keys").await;
    for _ in 0..3 {
        go_on(&shop).await;
    }
    assert_eq!(newest(&shop).await["state"], "done");
    let new = back_up(&shop).await;
    rehearse(&shop).await;
    shop.stop();
    let (again, seen) = restored(&shop, &old.data, &new.keys).await;
    assert_eq!((seen.rebuilt.customers, seen.rebuilt.missing, seen.rebuilt.tampered), (1, 0, 0));
    whole.check(&again).await;
    let taken = again.call("shop", "POST", "/v1/customers", Some(person(1))).await;
    assert_eq!((taken.status.as_u16(), taken.code()), (409, "taken"));
    assert_eq!(crate::attack::flaws(&again).await, []);
}

/// Rows that say which keys are retired confer nothing: an erasure goes by what the core says.
#[tokio::test]
async fn rows_of_retired_keys_put_there_or_taken_away_change_no_erasure() {
    let mut shop = Shop::open().await;
    let (gone, stays) = (enquirer(&shop, 1).await, enquirer(&shop, 2).await);
    let old = back_up(&shop).await;
    rotate(&shop, "data_keys").await;
    go_on(&shop).await;
    // Every key of everybody is called a retired one of the first, and their own are not.
    intrude(shop.data(), "DELETE FROM retired_key");
    let nought = blob(&[0; 16]);
    for dek in shop.keys().column::<Vec<u8>>("SELECT id FROM dek") {
        let called = format!(
            "INSERT INTO retired_key (dek, customer, id, compartment, retired_ms, mac)
            SELECT {}, key, id, {nought}, 0, {nought} FROM customer
            WHERE key = (SELECT min(key) FROM customer)",
            blob(&dek)
        );
        intrude(shop.data(), &called);
    }
    for id in [&gone, &stays] {
        assert_eq!(read(&shop, id).await.status, 200);
    }
    erase(&shop, &gone).await;
    assert_eq!(read(&shop, &stays).await.status, 200, "keys of another went with them");
    assert_eq!(count(shop.data(), "SELECT count(*) FROM erasure_register"), 4);
    assert_eq!(shop.count_data_keys(), 4, "those of who stays, and what they had before");
    let new = back_up(&shop).await;
    shop.stop();
    let (again, seen) = restored(&shop, &old.data, &new.keys).await;
    assert_eq!((seen.rebuilt.customers_gone, seen.rebuilt.customers), (1, 1));
    assert_eq!(read(&again, &gone).await.status, 404);
}

/// The register has the key of before the rotation alone; the data that is brought back is of after it.
#[tokio::test]
async fn who_was_erased_in_older_data_stays_erased_in_newer() {
    let mut shop = Shop::open().await;
    let (gone, stays) = (enquirer(&shop, 1).await, enquirer(&shop, 2).await);
    let old = back_up(&shop).await;
    rotate(&shop, "data_keys").await;
    go_on(&shop).await;
    let newer = back_up(&shop).await;
    shop.stop();
    let (mut older, _) = restored(&shop, &old.data, &old.keys).await;
    erase(&older, &gone).await;
    let register = back_up(&older).await;
    older.stop();
    let mut empty = older.empty_beside();
    let mut input = input(&empty, &newer.data, &newer.keys);
    input.registers = vec![register.keys];
    let seen = restore(&empty, &input).unwrap();
    assert_eq!((seen.rebuilt.customers_gone, seen.rebuilt.customers), (1, 1));
    empty.start().await.unwrap();
    crate::backup::enable_all(&empty).await;
    assert_eq!(read(&empty, &gone).await.status, 404);
    assert_eq!(read(&empty, &stays).await.status, 200);
}

/// Older data comes back with keys of after the rotation: it is sealed anew once more.
#[tokio::test]
async fn data_of_before_a_rotation_is_sealed_anew_when_it_is_restored() {
    let mut shop = Shop::open_today().await;
    let whole = Whole::make(&shop, 1).await;
    let old = back_up(&shop).await;
    let deks = blobs(shop.keys(), "SELECT id FROM dek");
    rotate(&shop, "data_keys").await;
    go_on(&shop).await;
    let new = back_up(&shop).await;
    shop.stop();
    let (again, _) = restored(&shop, &old.data, &new.keys).await;
    assert_eq!(newest(&again).await["state"], "running");
    go_on(&again).await;
    assert_eq!(newest(&again).await["state"], "done");
    no_record_names(&again, &deks);
    whole.check(&again).await;
}

//! Backups that an older version made, kept here as it wrote them.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::{enable_all, found, input, restore};
use crate::support::Shop;

/// Three made-up customers, imported and backed up by the version whose tables stood at their eighth
/// migration.
const VERSION_8: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/backup/version8");

#[tokio::test]
async fn a_backup_of_an_older_version_is_brought_up_to_this_one() {
    let folder = Path::new(VERSION_8);
    let manifest = std::fs::read_to_string(folder.join("data/manifest")).unwrap();
    assert!(
        manifest.contains("\"schema\": 8"),
        "made by the version it is called after: {manifest}"
    );
    let mut shop = Shop::open().await;
    shop.stop();
    let mut empty = shop.empty_beside();
    std::fs::copy(folder.join("strongroom.key"), empty.key_file()).unwrap();
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(empty.key_file(), private).unwrap();
    // It was made at 2:22 of the night after the day on which tests begin, at ten.
    empty.clock.pass_ms(16 * 3_600_000 + 30 * 60_000);
    let seen = restore(&empty, &input(&empty, &folder.join("data"), &folder.join("keys"))).unwrap();
    assert_eq!((seen.rebuilt.customers, seen.rebuilt.missing, seen.rebuilt.tampered), (3, 0, 0));
    empty.start().await.unwrap();
    enable_all(&empty).await;
    for role in ["shop", "desk"] {
        let key = empty.new_key(role, &["support"]).await;
        empty.keys.insert(role, key);
    }
    assert_eq!(found(&empty, "ada.2@mail.example").await, 1);
    empty.customer(9).await;
    assert_eq!(crate::attack::flaws(&empty).await, []);
}

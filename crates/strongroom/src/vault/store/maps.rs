//! Table `import_map`.

use strongroom_crypto::Encoder;

use crate::db::{Snapshot, Statement, Value};
use crate::error::Error;
use crate::keys::Keyring;

/// The text of a map. One that other hands changed would put values into other fields, so it is an
/// error.
pub(in crate::vault) async fn find_map(
    snapshot: &mut Snapshot,
    keyring: &Keyring,
    name: &str,
) -> Result<Option<String>, Error> {
    let Some(row) = snapshot.one(FIND, &[name.into()]).await? else { return Ok(None) };
    let map = row.text(0)?;
    if keyring.is_row_intact(TABLE, &columns(name, map), row.bytes(1)?)? {
        return Ok(Some(map.to_owned()));
    }
    let detail = "this map was changed in the database by other hands; save it again, and find out \
                  who can write to the database";
    Err(Error::unavailable("tampered", detail))
}

pub(in crate::vault) async fn count_maps(snapshot: &mut Snapshot) -> Result<i64, Error> {
    snapshot.one(COUNT, &[]).await?.map_or(Ok(0), |row| row.integer(0))
}

pub(in crate::vault) fn put_map(
    keyring: &Keyring,
    name: &str,
    map: String,
) -> Result<Statement, Error> {
    let mac = keyring.mac_row(TABLE, &columns(name, &map))?;
    Ok(Statement::new(PUT, vec![name.into(), Value::from(map), mac.into()]))
}

fn columns(name: &str, map: &str) -> Vec<u8> {
    let mut encoder = Encoder::new(TABLE);
    encoder.text(name).text(map);
    encoder.finish()
}

const TABLE: &str = "import_map";

const FIND: &str = "SELECT map, mac FROM import_map WHERE name = $1";

const COUNT: &str = "SELECT COUNT(*) FROM import_map";

const PUT: &str = "INSERT INTO import_map (name, map, mac)
VALUES ($1, $2, $3)
ON CONFLICT (name) DO UPDATE SET map = excluded.map, mac = excluded.mac";

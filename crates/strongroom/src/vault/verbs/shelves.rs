//! Opening shelves: what stands on them is held against the core before anything of it counts.

use std::collections::BTreeMap;

use strongroom_crypto::{peek_binding, sha256};

use crate::access::Desk;
use crate::ctx::Ctx;
use crate::error::Error;
use crate::findings::FindingKind;
use crate::keys::{Found, KeyHandle};
use crate::vault::model::{About, CustomerRow, Rows, Shelf};
use crate::vault::store;
use crate::vault::verbs::open::{
    Opened, RETURNED, TAMPERED, key_missing, raise, registered, tampered,
};

/// A shelf whose records are exactly those the core knows.
pub(in crate::vault) struct OpenShelf {
    pub(in crate::vault) shelf: Shelf,
    pub(in crate::vault) key: KeyHandle,
    pub(in crate::vault) rows: Rows,
    /// The records that were asked for.
    pub(in crate::vault) records: Vec<OpenRecord>,
}

/// A record whose place holds; its fields are opened by whoever has a permit.
pub(in crate::vault) struct OpenRecord {
    pub(in crate::vault) about: About,
    pub(in crate::vault) version: u64,
    pub(in crate::vault) sealed: Vec<u8>,
}

/// A shelf and a record on it.
pub(in crate::vault) type Place = ([u8; 16], [u8; 16]);

/// Opens the shelves of a customer that are wanted, and on them the records that are chosen from all
/// there are. `None` where the customer has moved on since they were opened: decide once more.
pub(in crate::vault) async fn open_shelves(
    desk: &Desk,
    ctx: &Ctx,
    opened: &Opened,
    wanted: impl Fn(&Shelf) -> bool,
    chosen: impl FnOnce(Vec<Place>) -> Vec<Place>,
) -> Result<Option<Vec<OpenShelf>>, Error> {
    let shelves: Vec<&Shelf> = opened.core.shelves.iter().filter(|it| wanted(it)).collect();
    if shelves.is_empty() {
        return Ok(Some(Vec::new()));
    }
    let read = {
        let mut data = desk.data.snapshot().await?;
        let now = store::row_by_key(&mut data, opened.row.key).await?;
        if now.as_ref() != Some(&opened.row) {
            return Ok(None);
        }
        let mut read = Vec::with_capacity(shelves.len());
        for shelf in shelves {
            if registered(desk, &mut data, &shelf.dek).await? {
                drop(data);
                raise(desk, ctx, FindingKind::Tampered, &opened.row.id, RETURNED).await;
                return Err(Error::not_found());
            }
            let rows = store::read_shelf(&mut data, opened.row.key, &shelf.id).await?;
            read.push((shelf, rows, Vec::new()));
        }
        let all = read.iter().flat_map(|(shelf, rows, _)| rows.keys().map(|id| (shelf.id, *id)));
        for (on, id) in chosen(all.collect()) {
            let sealed = store::read_shelf_record(&mut data, opened.row.key, &on, &id).await?;
            let shelf = read.iter_mut().find(|(shelf, _, _)| shelf.id == on);
            if let (Some((_, _, records)), Some(sealed)) = (shelf, sealed) {
                records.push((id, sealed));
            }
        }
        read
    };
    let mut keys = desk.keyring.snapshot().await?;
    let mut open = Vec::with_capacity(read.len());
    for (shelf, rows, records) in read {
        if !shelf.holds(&rows) {
            return Err(told(desk, ctx, &opened.row, tampered("a shelf holds other records")).await);
        }
        let id = opened.row.id.as_bytes();
        let found = desk.keyring.find_called(&mut keys, id, &shelf.id, shelf.dek).await?;
        let Found::Key(key) = found else {
            drop(keys);
            // An error unless the key was destroyed by an erasure.
            key_missing(desk, ctx, &opened.row, &shelf.dek).await?;
            return Err(Error::not_found());
        };
        let records = match open_records(&key, &rows, records) {
            Ok(records) => records,
            Err(error) => return Err(told(desk, ctx, &opened.row, error).await),
        };
        open.push(OpenShelf { shelf: shelf.clone(), key, rows, records });
    }
    Ok(Some(open))
}

fn open_records(
    key: &KeyHandle,
    rows: &Rows,
    stored: Vec<([u8; 16], Vec<u8>)>,
) -> Result<Vec<OpenRecord>, Error> {
    let stored: BTreeMap<[u8; 16], Vec<u8>> = stored.into_iter().collect();
    let mut records = Vec::with_capacity(stored.len());
    for (id, sealed) in stored {
        if rows.get(&id) != Some(&sha256(&[&sealed])) {
            return Err(tampered("a record is not the one its shelf names"));
        }
        let binding = peek_binding(&sealed).map_err(|_| tampered("a record without a header"))?;
        let about = About::decode(key.open_about(binding.version, &sealed)?.expose())?;
        if about.id != id {
            return Err(tampered("a record stands under the id of another"));
        }
        records.push(OpenRecord { about, version: binding.version, sealed });
    }
    Ok(records)
}

/// Raises the finding where an error means that other hands were at work.
pub(super) async fn told(desk: &Desk, ctx: &Ctx, row: &CustomerRow, error: Error) -> Error {
    if error.code == "tampered" {
        raise(desk, ctx, FindingKind::Tampered, &row.id, TAMPERED).await;
    }
    error
}

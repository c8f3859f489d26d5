//! Opens every core of restored data, drops what is erased, and makes the indexes anew.
//!
//! Used by a restore, which keeps what it makes, and by the daily rehearsal, which throws it away.

use std::collections::BTreeMap;

use strongroom_crypto::{Cell, Plain, Random, peek_binding, peek_fields};

use crate::ctx::SystemGrant;
use crate::db::Connection;
use crate::error::Error;
use crate::keys::{CORE, Found, KeyHandle, KeyReader, Keyring, Permit};
use crate::policy::FieldValue;
use crate::vault::jobs::erase::{Plan, forget};
use crate::vault::jobs::replay::Replay;
use crate::vault::model::{
    Claim, Core, CustomerRow, IndexEntry, IndexKind, REFERENCE_FIELD, Shelf, Standing,
    TOKEN_VERSION,
};
use crate::vault::store::{self, TokenRow};

/// What to rebuild with.
pub struct Rebuild<'a> {
    /// Opens the cores.
    pub keyring: &'a Keyring,
    /// Seals cores that lose a part.
    pub random: &'a dyn Random,
    /// What is erased.
    pub replay: &'a Replay,
    /// Where look-up keys were rotated, under a grant that names every field: data of before is found by
    /// hashes of keys that are gone, and is hashed anew.
    pub hashing: Option<&'a SystemGrant>,
    /// Opens the values of every customer in so many, under a grant that names its fields.
    pub sample: Option<(&'a SystemGrant, u64)>,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// Customers who open.
    pub customers: u64,
    /// Sealed records that are left.
    pub records: u64,
    /// Index rows made.
    pub index_rows: u64,
    /// Customers who were erased since and are gone again.
    pub customers_gone: u64,
    /// Parts of customers that were forgotten since and are gone again.
    pub parts_gone: u64,
    /// Customers whose key is missing although no register names it.
    pub missing: u64,
    /// Customers who do not open where they stand.
    pub tampered: u64,
    /// Some of those, by id, at most [`NAMED_MAX`].
    pub named: Vec<String>,
    /// Customers whose values were opened.
    pub sampled: u64,
    /// Values opened.
    pub values: u64,
}

/// Goes through all customers of a database nobody serves. `progress` hears how many are done.
pub fn rebuild_indexes(
    db: &mut Connection,
    task: &Rebuild<'_>,
    mut progress: impl FnMut(u64),
) -> Result<Rebuilt, Error> {
    let mut keys = task.keyring.reader()?;
    let (mut rebuilt, mut after, mut done) = (Rebuilt::default(), None, 0);
    loop {
        let page = store::list_customers_page(db, after, PAGE_ROWS)?;
        let Some(last) = page.last() else { return Ok(rebuilt) };
        after = Some(last.key);
        db.begin()?;
        done += page.len() as u64;
        for row in page {
            one(db, task, &mut keys, row, &mut rebuilt)?;
        }
        db.commit()?;
        progress(done);
    }
}

fn one(
    db: &mut Connection,
    task: &Rebuild<'_>,
    keys: &mut KeyReader,
    row: CustomerRow,
    rebuilt: &mut Rebuilt,
) -> Result<(), Error> {
    let mut records = store::records_of(db, row.key)?;
    if records.get(&CORE).is_some_and(|core| task.replay.is_record_gone(core)) {
        rebuilt.customers_gone += 1;
        let plan = Plan::of_gone(&row, records.keys().copied().collect());
        return forget(row.key, &plan).iter().try_for_each(|it| db.execute(it).map(drop));
    }
    let Some((key, core)) = open_core(task, keys, &row, &records, rebuilt)? else { return Ok(()) };
    if is_gone_under(task, &core, &CORE) {
        rebuilt.customers_gone += 1;
        let plan = Plan::of_gone(&row, records.keys().copied().collect());
        return forget(row.key, &plan).iter().try_for_each(|it| db.execute(it).map(drop));
    }
    let mut changed = row.clone();
    let mut kept = drop_gone(db, task, &row, &core, &mut records, rebuilt)?;
    if let Some(grant) = task.hashing {
        let Some(indexes) = hashed_anew(task, keys, grant, &row, (&kept, &records))? else {
            return note(rebuilt, &row, Why::Missing);
        };
        kept.indexes = indexes;
        hash_tokens(db, task, keys, &row, &records)?;
    }
    changed.state = task.replay.state_of(row.key).unwrap_or(row.state);
    if changed.state != row.state || kept != core {
        reseal(db, task.random, &key, &kept, (&row, changed))?;
    }
    index(db, task.keyring, row.key, &kept, rebuilt)?;
    if let Some((grant, _)) =
        task.sample.filter(|(_, every)| rebuilt.customers.is_multiple_of(*every))
    {
        let opened = sample(task.keyring, keys, grant, &row, (&kept, &records))?;
        let Some(values) = opened else {
            return note(rebuilt, &row, Why::Missing);
        };
        (rebuilt.values, rebuilt.sampled) = (rebuilt.values + values, rebuilt.sampled + 1);
    }
    rebuilt.customers += 1;
    rebuilt.records += records.len() as u64;
    Ok(())
}

/// What is left of a customer: parts that were forgotten since go again. Under a key of before a rotation
/// they may have been forgotten too, where this data is of after it.
fn drop_gone(
    db: &mut Connection,
    task: &Rebuild<'_>,
    row: &CustomerRow,
    core: &Core,
    records: &mut BTreeMap<[u8; 16], Vec<u8>>,
    rebuilt: &mut Rebuilt,
) -> Result<Core, Error> {
    let gone_under = |it: &[u8; 16]| is_gone_under(task, core, it);
    let mut kept = core.clone();
    kept.formers.retain(|former| !task.replay.is_gone(&former.dek));
    let gone: Vec<[u8; 16]> = records
        .iter()
        .filter(|(id, sealed)| task.replay.is_record_gone(sealed) || gone_under(id))
        .map(|(compartment, _)| *compartment)
        .collect();
    for compartment in gone {
        records.remove(&compartment);
        kept.compartments.remove(&compartment);
        db.execute(&store::delete_record(row.key, &compartment))?;
        db.execute(&store::delete_tokens_in(row.key, &compartment))?;
        rebuilt.parts_gone += 1;
    }
    let is_shelf_gone = |shelf: &&Shelf| task.replay.is_gone(&shelf.dek) || gone_under(&shelf.id);
    for shelf in core.shelves.iter().filter(is_shelf_gone) {
        kept.shelves.retain(|it| it.id != shelf.id);
        db.execute(&store::delete_shelf(row.key, &shelf.id))?;
        rebuilt.parts_gone += 1;
    }
    if kept != *core {
        // Who asked to be forgotten took back whatever they had agreed to.
        kept.indexes = findable(&core.indexes, records)?;
        kept.consents.clear();
        kept.references.clear();
    }
    Ok(kept)
}

fn is_gone_under(task: &Rebuild<'_>, core: &Core, compartment: &[u8; 16]) -> bool {
    let mut formers = core.formers.iter().filter(|it| it.compartment == *compartment);
    formers.any(|former| task.replay.is_gone(&former.dek))
}

enum Why {
    Missing,
    Tampered,
}

/// Nothing is deleted for it: a missing key is no erasure, and what was changed is evidence.
fn note(rebuilt: &mut Rebuilt, row: &CustomerRow, why: Why) -> Result<(), Error> {
    match why {
        Why::Missing => rebuilt.missing += 1,
        Why::Tampered => rebuilt.tampered += 1,
    }
    if rebuilt.named.len() < NAMED_MAX {
        rebuilt.named.push(row.id.to_string());
    }
    Ok(())
}

fn open_core(
    task: &Rebuild<'_>,
    keys: &mut KeyReader,
    row: &CustomerRow,
    records: &BTreeMap<[u8; 16], Vec<u8>>,
    rebuilt: &mut Rebuilt,
) -> Result<Option<(KeyHandle, Core)>, Error> {
    let id = row.id.as_bytes();
    let Some(sealed) = records.get(&CORE) else {
        note(rebuilt, row, Why::Tampered)?;
        return Ok(None);
    };
    let key = match task.keyring.find_with(keys, id, &CORE, sealed) {
        Ok(Found::Key(key)) => key,
        Ok(Found::Missing) => {
            note(rebuilt, row, Why::Missing)?;
            return Ok(None);
        }
        Err(error) if error.code == "tampered" => {
            note(rebuilt, row, Why::Tampered)?;
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let opened = key
        .open_core(row.version, sealed)
        .and_then(|cells| Ok(key.verify_row(&row.columns(), &row.mac).map(|()| cells)?))
        .and_then(|cells| Core::from_cells(&cells));
    let Ok(core) = opened else {
        note(rebuilt, row, Why::Tampered)?;
        return Ok(None);
    };
    for (compartment, version) in &core.compartments {
        let Some(sealed) = records.get(compartment) else {
            note(rebuilt, row, Why::Tampered)?;
            return Ok(None);
        };
        if task.replay.is_record_gone(sealed) {
            continue;
        }
        if peek_binding(sealed).map_or(true, |binding| binding.version != *version) {
            note(rebuilt, row, Why::Tampered)?;
            return Ok(None);
        }
        match task.keyring.find_with(keys, id, compartment, sealed) {
            Ok(Found::Key(_)) => {}
            Ok(Found::Missing) => {
                note(rebuilt, row, Why::Missing)?;
                return Ok(None);
            }
            Err(_) => {
                note(rebuilt, row, Why::Tampered)?;
                return Ok(None);
            }
        }
    }
    for shelf in core.shelves.iter().filter(|shelf| !task.replay.is_gone(&shelf.dek)) {
        if !keys.has(&shelf.dek)? {
            note(rebuilt, row, Why::Missing)?;
            return Ok(None);
        }
    }
    Ok(Some((key, core)))
}

/// What a customer is found by, under the keys of now. `None` where a key is missing.
fn hashed_anew(
    task: &Rebuild<'_>,
    keys: &mut KeyReader,
    grant: &SystemGrant,
    row: &CustomerRow,
    (core, records): (&Core, &BTreeMap<[u8; 16], Vec<u8>>),
) -> Result<Option<Vec<IndexEntry>>, Error> {
    let mut hashed = Vec::with_capacity(core.indexes.len());
    let is_wanted = |field: &u8| core.indexes.iter().any(|entry| entry.field == *field);
    for (compartment, version) in &core.compartments {
        let Some(sealed) = records.get(compartment) else { return Ok(None) };
        let wanted: Vec<u8> = peek_fields(sealed)?.into_iter().filter(is_wanted).collect();
        let found = task.keyring.find_with(keys, row.id.as_bytes(), compartment, sealed)?;
        let Found::Key(key) = found else { return Ok(None) };
        for (field, plain) in key.open_fields(Permit::System(grant), *version, sealed, &wanted)? {
            let value = FieldValue::from_bytes(plain.expose()).map_err(Error::internal)?;
            let hash = task.keyring.index(field, &value.expose_index_text())?.hash;
            let known = core.indexes.iter().filter(|entry| entry.field == field);
            hashed.extend(known.map(|entry| IndexEntry { hash, ..*entry }));
        }
    }
    for reference in &core.references {
        let hash = task.keyring.index(REFERENCE_FIELD, &reference.index_text())?.hash;
        hashed.push(IndexEntry { kind: IndexKind::Unique, field: REFERENCE_FIELD, hash });
    }
    // A field may have been found by in two ways, and both are the same hash now.
    let mut once: Vec<IndexEntry> = Vec::with_capacity(hashed.len());
    for entry in hashed {
        if !once.contains(&entry) {
            once.push(entry);
        }
    }
    // The order says nothing, and who is found as before stays as they were written.
    let is_as_before =
        once.len() == core.indexes.len() && once.iter().all(|entry| core.indexes.contains(entry));
    Ok(Some(if is_as_before { core.indexes.clone() } else { once }))
}

fn hash_tokens(
    db: &mut Connection,
    task: &Rebuild<'_>,
    keys: &mut KeyReader,
    row: &CustomerRow,
    records: &BTreeMap<[u8; 16], Vec<u8>>,
) -> Result<(), Error> {
    for token in store::tokens_of(db, row.key)? {
        let Some(sealed) = records.get(&token.compartment) else { continue };
        let id = row.id.as_bytes();
        let Found::Key(key) = task.keyring.find_with(keys, id, &token.compartment, sealed)? else {
            continue;
        };
        // One that does not open stands for nothing, wherever it is found.
        let Ok(about) = key.open_about(TOKEN_VERSION, &token.data) else { continue };
        let standing = Standing::decode(about.expose())?;
        let hash = task.keyring.token_index(&standing.token)?.hash;
        db.execute(&store::renew_token(&token, &TokenRow { hash, ..token.clone() }))?;
    }
    Ok(())
}

/// A field that went with its part is no longer found by, nor is anything by a reference.
fn findable(
    indexes: &[IndexEntry],
    records: &BTreeMap<[u8; 16], Vec<u8>>,
) -> Result<Vec<IndexEntry>, Error> {
    let mut staying = Vec::new();
    for (_, sealed) in records.iter().filter(|(compartment, _)| **compartment != CORE) {
        staying.extend(peek_fields(sealed)?);
    }
    Ok(indexes.iter().filter(|entry| staying.contains(&entry.field)).copied().collect())
}

/// A new version of core and row; the life counter moves, because less may be shown.
fn reseal(
    db: &mut Connection,
    random: &dyn Random,
    key: &KeyHandle,
    core: &Core,
    (before, mut row): (&CustomerRow, CustomerRow),
) -> Result<(), Error> {
    row.version += 1;
    row.life += 1;
    row.mac = key.mac_row(&row.columns());
    let cells: Vec<(u8, Plain)> = core.cells();
    let cells: Vec<Cell<'_>> =
        cells.iter().map(|(field, value)| Cell { field: *field, value: value.expose() }).collect();
    let sealed = key.seal(random, row.version, &cells)?;
    db.execute(&store::put_record(row.key, &CORE, sealed))?;
    match db.execute(&store::update_customer(&row, before))? {
        1 => Ok(()),
        _ => Err(Error::internal("a customer changed while nobody serves")),
    }
}

fn index(
    db: &mut Connection,
    keyring: &Keyring,
    key: i64,
    core: &Core,
    rebuilt: &mut Rebuilt,
) -> Result<(), Error> {
    for entry in &core.indexes {
        let statement = match entry.kind {
            IndexKind::Exact => store::insert_exact(entry, key),
            IndexKind::Unique => store::claim_unique(&Claim { entry: *entry, other: None }, key),
        };
        if db.execute(&statement)? == 0 && entry.kind == IndexKind::Unique {
            rebuilt.tampered += 1;
        }
        rebuilt.index_rows += 1;
    }
    // One who was merged away left the way back to whom it was merged into.
    if core.is_merged_away {
        return Ok(());
    }
    for pseudonym in std::iter::once(&core.pseudonym).chain(&core.merged) {
        let hashed = keyring.subject_index(&pseudonym.0)?;
        db.execute(&store::insert_subject(&hashed.hash, key))?;
        rebuilt.index_rows += 1;
    }
    Ok(())
}

/// Opens every value of a customer and shows none. `None` where a key is missing.
fn sample(
    keyring: &Keyring,
    keys: &mut KeyReader,
    grant: &SystemGrant,
    row: &CustomerRow,
    (core, records): (&Core, &BTreeMap<[u8; 16], Vec<u8>>),
) -> Result<Option<u64>, Error> {
    let mut values = 0;
    for (compartment, version) in &core.compartments {
        let Some(sealed) = records.get(compartment) else { return Ok(None) };
        let Found::Key(key) = keyring.find_with(keys, row.id.as_bytes(), compartment, sealed)?
        else {
            return Ok(None);
        };
        let fields = peek_fields(sealed)?;
        let opened = key.open_fields(Permit::System(grant), *version, sealed, &fields)?;
        values += opened.len() as u64;
    }
    Ok(Some(values))
}

/// A page in one transaction.
const PAGE_ROWS: i64 = 1_000;

/// Enough to look into; the numbers say how many there are.
pub const NAMED_MAX: usize = 20;

//! One customer under new keys: sealed anew and found under other hashes, in one change for the customer
//! and one for each shelf of records. Where somebody else changed them meanwhile it is decided once more.

use std::collections::{BTreeMap, BTreeSet};

use strongroom_crypto::peek_fields;

use crate::access::{Attempt, Desk, commit_or_retry, system_grant};
use crate::ctx::{
    Change, Ctx, Entry, EntryKind, FieldSet, Guard, Miss, Subjects, SystemGrant, Written,
};
use crate::db::Statement;
use crate::error::Error;
use crate::keys::{CORE, Found, KeyHandle, Permit, Placed, Rotation, Source};
use crate::policy::FieldValue;
use crate::vault::model::{Claim, Core, Former, IndexEntry, REFERENCE_FIELD, Shelf, TOKEN_VERSION};
use crate::vault::store::{self, RETIRED_TABLE, RetiredRow, TokenRow};
use crate::vault::verbs::create::Sealing;
use crate::vault::verbs::open::{Opened, Which, open, tampered};
use crate::vault::verbs::shelves::open_shelves;
use crate::vault::verbs::tokens::{slot_of, standing_of};
use crate::vault::verbs::{ATTEMPTS_MAX, changed_meanwhile};

/// What became of a customer.
pub(super) enum Renewed {
    /// Nothing was left to do.
    Settled,
    /// They are under new keys now.
    Changed,
}

/// Does what a rotation wants of a customer, as they were read or as they are by now.
pub(super) async fn renew(
    desk: &Desk,
    ctx: &Ctx,
    rotation: &Rotation,
    opened: Opened,
) -> Result<Renewed, Error> {
    let key = opened.row.key;
    let (mut renewed, mut now, mut attempts) = (Renewed::Settled, Some(opened), 0);
    while let Some(opened) = now {
        let Some(want) = want(desk, ctx, rotation, &opened).await? else { break };
        if apply(desk, ctx, rotation, &opened, want).await? {
            (renewed, attempts) = (Renewed::Changed, 0);
        } else {
            attempts += 1;
        }
        if attempts > ATTEMPTS_MAX {
            return Err(changed_meanwhile());
        }
        now = open(desk, ctx, Which::Key(key)).await?;
    }
    Ok(renewed)
}

/// The next thing to be done for a customer.
enum Want {
    Customer {
        /// Whether the core and the compartments get new keys.
        seals: bool,
        /// Index entries as they are, and as they are to be.
        moves: Vec<(IndexEntry, IndexEntry)>,
    },
    Shelf([u8; 16]),
}

async fn want(
    desk: &Desk,
    ctx: &Ctx,
    rotation: &Rotation,
    opened: &Opened,
) -> Result<Option<Want>, Error> {
    let moves = match rotation.kind.hashes_anew() {
        true => moves(desk, &indexed(ctx, opened)?, opened)?,
        false => Vec::new(),
    };
    if !rotation.kind.seals_anew() {
        let wanted = !moves.is_empty() || has_old_ways(desk, rotation, opened).await?;
        return Ok(wanted.then_some(Want::Customer { seals: false, moves }));
    }
    let mut keys = opened.records.values().map(|record| &record.key);
    let seals = opened.core_key.is_before(rotation) || keys.any(|key| key.is_before(rotation));
    if seals || !moves.is_empty() || has_old_ways(desk, rotation, opened).await? {
        return Ok(Some(Want::Customer { seals, moves }));
    }
    let id = opened.row.id.as_bytes();
    let mut keys = desk.keyring.snapshot().await?;
    for shelf in &opened.core.shelves {
        let found = desk.keyring.find_called(&mut keys, id, &shelf.id, shelf.dek).await?;
        if matches!(&found, Found::Key(key) if key.is_before(rotation)) {
            return Ok(Some(Want::Shelf(shelf.id)));
        }
    }
    Ok(None)
}

/// Whether a token or the way back from a pseudonym still stands under the older key.
async fn has_old_ways(desk: &Desk, rotation: &Rotation, opened: &Opened) -> Result<bool, Error> {
    if !rotation.kind.hashes_anew() {
        return Ok(false);
    }
    let mut data = desk.data.snapshot().await?;
    for pseudonym in std::iter::once(&opened.core.pseudonym).chain(&opened.core.merged) {
        let Some(other) = desk.keyring.subject_index(&pseudonym.0)?.other else { continue };
        if store::is_subject_under(&mut data, &other, opened.row.key).await? {
            return Ok(true);
        }
    }
    for row in store::list_tokens(&mut data, opened.row.key).await? {
        let token = standing_of(opened, &row)?.token;
        if desk.keyring.token_index(&token)?.hash != row.hash {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The grant to open exactly the fields a customer is found by.
fn indexed(ctx: &Ctx, opened: &Opened) -> Result<SystemGrant, Error> {
    system_grant(ctx, fields_found_by(opened).into_iter().collect())
}

fn fields_found_by(opened: &Opened) -> BTreeSet<u8> {
    let fields = opened.core.indexes.iter().map(|entry| entry.field);
    fields.filter(|field| *field != REFERENCE_FIELD).collect()
}

/// Which index entries stand under the older key, and where they belong.
fn moves(
    desk: &Desk,
    grant: &SystemGrant,
    opened: &Opened,
) -> Result<Vec<(IndexEntry, IndexEntry)>, Error> {
    let mut moves = Vec::new();
    for claim in claims(desk, grant, opened)? {
        let Some(other) = claim.both().nth(1) else { continue };
        if opened.core.indexes.contains(&other) {
            moves.push((other, claim.entry));
        }
    }
    Ok(moves)
}

/// Everything a customer is found by, hashed under the keys of now.
fn claims(desk: &Desk, grant: &SystemGrant, opened: &Opened) -> Result<Vec<Claim>, Error> {
    let mut claims = Vec::new();
    for record in opened.records.values() {
        let here = peek_fields(&record.sealed)?;
        let wanted: Vec<u8> = here.into_iter().filter(|it| grant.fields().contains(it)).collect();
        let permit = Permit::System(grant);
        for (field, plain) in
            record.key.open_fields(permit, record.version, &record.sealed, &wanted)?
        {
            let text = FieldValue::from_bytes(plain.expose()).map_err(Error::internal)?;
            let hashed = desk.keyring.index(field, &text.expose_index_text())?;
            let kinds = opened.core.indexes.iter().filter(|it| it.field == field);
            claims.extend(kinds.map(|it| Claim::new(it.kind, field, hashed)));
        }
    }
    for reference in &opened.core.references {
        claims.push(crate::vault::verbs::create::reference_claim(desk, reference)?);
    }
    claims.dedup();
    Ok(claims)
}

/// Does it in one change; `false` where the customer has changed meanwhile.
async fn apply(
    desk: &Desk,
    ctx: &Ctx,
    rotation: &Rotation,
    opened: &Opened,
    want: Want,
) -> Result<bool, Error> {
    let mut renewal = Renewal::new(opened);
    match want {
        Want::Customer { seals, moves } => {
            let keys = if seals { renewal.seal(desk, ctx, opened)? } else { BTreeMap::new() };
            renewal.hash(desk, opened, moves)?;
            renewal.take_tokens(desk, ctx, opened, (&keys, rotation.kind.hashes_anew())).await?;
        }
        Want::Shelf(id) => {
            // The hash of the entry covers its records, which only acts on records say.
            renewal.verb = "record.renew";
            let is_it = |shelf: &Shelf| shelf.id == id;
            let Some(shelves) = open_shelves(desk, ctx, opened, is_it, |all| all).await? else {
                return Ok(false);
            };
            let block = desk.keyring.new_block()?;
            for shelf in shelves {
                let (key, new_key) =
                    desk.keyring.new_data_key(block, opened.row.id.as_bytes(), &id)?;
                renewal.sealing.keys.push(new_key);
                let mut rows = shelf.rows;
                for record in &shelf.records {
                    let (version, sealed) = (record.version, record.sealed.as_slice());
                    let from = Source { key: &shelf.key, version, sealed };
                    let sealed = key.seal_from(ctx.rng.as_ref(), version, from, None)?;
                    let at = record.about.id;
                    rows.insert(at, renewal.sealing.on_shelf(opened.row.key, &id, &at, sealed));
                }
                renewal.replaced.push((id, shelf.shelf.dek));
                if let Some(known) = renewal.core.shelves.iter_mut().find(|it| it.id == id) {
                    known.dek = key.dek();
                    known.stock(&rows);
                }
            }
        }
    }
    let change = renewal.into_change(desk, ctx, opened)?;
    Ok(matches!(commit_or_retry(desk, change).await?, Attempt::Done(_)))
}

/// What one change writes.
struct Renewal {
    core: Core,
    /// Where the core gets a new key.
    core_key: Option<KeyHandle>,
    sealing: Sealing,
    guards: Vec<Guard>,
    writes: Vec<Statement>,
    /// Compartments and the keys they had.
    replaced: Vec<([u8; 16], [u8; 16])>,
    verb: &'static str,
}

impl Renewal {
    fn new(opened: &Opened) -> Self {
        Self {
            core: opened.core.clone(),
            core_key: None,
            sealing: Sealing::default(),
            guards: Vec::new(),
            writes: Vec::new(),
            replaced: Vec::new(),
            verb: "customer.renew",
        }
    }

    /// Seals every compartment under a key of its own that nobody has seen; gives these.
    fn seal(
        &mut self,
        desk: &Desk,
        ctx: &Ctx,
        opened: &Opened,
    ) -> Result<BTreeMap<[u8; 16], KeyHandle>, Error> {
        let (id, next) = (opened.row.id.as_bytes(), opened.row.version + 1);
        let (mut keys, block) = (BTreeMap::new(), desk.keyring.new_block()?);
        for (compartment, record) in &opened.records {
            let (key, new_key) = desk.keyring.new_data_key(block, id, compartment)?;
            let (version, sealed) = (record.version, record.sealed.as_slice());
            let from = Source { key: &record.key, version, sealed };
            let sealed = key.seal_from(ctx.rng.as_ref(), next, from, None)?;
            self.sealing.put(opened.row.key, compartment, sealed);
            self.sealing.keys.push(new_key);
            self.core.compartments.insert(*compartment, next);
            self.replaced.push((*compartment, record.key.dek()));
            keys.insert(*compartment, key);
        }
        let (key, new_key) = desk.keyring.new_data_key(block, id, &CORE)?;
        self.sealing.keys.push(new_key);
        self.replaced.push((CORE, opened.core_key.dek()));
        self.core_key = Some(key);
        Ok(keys)
    }

    /// Everything the customer is found by, under the keys of now.
    fn hash(
        &mut self,
        desk: &Desk,
        opened: &Opened,
        moves: Vec<(IndexEntry, IndexEntry)>,
    ) -> Result<(), Error> {
        let key = opened.row.key;
        for (from, to) in moves {
            self.core.indexes.retain(|entry| *entry != from);
            if self.core.indexes.contains(&to) {
                // One of two who were merged had it under the newer key already.
                self.must(store::delete_index(&from, key));
            } else {
                self.must(store::rehash_index(&from, key, &to.hash));
                self.core.indexes.push(to);
            }
        }
        for pseudonym in std::iter::once(&opened.core.pseudonym).chain(&opened.core.merged) {
            let hashed = desk.keyring.subject_index(&pseudonym.0)?;
            let moved = hashed.other.map(|from| store::rehash_subject(key, &from, &hashed.hash));
            self.writes.extend(moved);
        }
        Ok(())
    }

    /// What a token stands for is sealed with its compartment, and its slot hangs on the core's key.
    async fn take_tokens(
        &mut self,
        desk: &Desk,
        ctx: &Ctx,
        opened: &Opened,
        (keys, hashes): (&BTreeMap<[u8; 16], KeyHandle>, bool),
    ) -> Result<(), Error> {
        let rows = store::list_tokens(&mut desk.data.snapshot().await?, opened.row.key).await?;
        let count = rows.len() as u64;
        for row in rows {
            let standing = standing_of(opened, &row)?;
            let mut after = TokenRow { ..row.clone() };
            if hashes {
                after.hash = desk.keyring.token_index(&standing.token)?.hash;
            }
            if let Some(core_key) = &self.core_key {
                let record = opened.records.get(&row.compartment);
                let (Some(record), Some(key)) = (record, keys.get(&row.compartment)) else {
                    return Err(tampered("a token in a compartment that is not there"));
                };
                let from = Source { key: &record.key, version: TOKEN_VERSION, sealed: &row.data };
                after.data = key.seal_from(ctx.rng.as_ref(), TOKEN_VERSION, from, None)?;
                let slot = |core: &KeyHandle, key: &KeyHandle, data: &[u8]| {
                    let value = match standing.pinned {
                        true => key.mac_field(TOKEN_VERSION, data, standing.field)?,
                        false => None,
                    };
                    Ok::<_, Error>(slot_of(core, standing.field, &standing.consumer, value))
                };
                // One that came by a merge may have a slot of chance, and keeps it.
                if slot(&opened.core_key, &record.key, &row.data)? == row.slot {
                    after.slot = slot(core_key, key, &after.data)?;
                }
            }
            self.must(store::renew_token(&row, &after));
        }
        // One that was made meanwhile must not stay behind.
        let (statement, miss) = (store::tokens_in(opened.row.key, None), Miss::LifeChanged);
        self.guards.push(Guard::Rows { statement, expected: count, miss });
        Ok(())
    }

    /// Exactly one row, or it is decided once more.
    fn must(&mut self, statement: Statement) {
        let miss = Miss::LifeChanged;
        self.guards.push(Guard::Rows { statement, expected: 1, miss });
    }

    fn placed(&self, opened: &Opened) -> Vec<Placed> {
        let customer = *opened.row.id.as_bytes();
        let place = |(compartment, dek): &([u8; 16], [u8; 16])| Placed {
            customer,
            compartment: *compartment,
            dek: *dek,
        };
        self.replaced.iter().map(place).collect()
    }

    fn into_change(mut self, desk: &Desk, ctx: &Ctx, opened: &Opened) -> Result<Change, Error> {
        let mut row = opened.row.clone();
        row.version += 1;
        let core_key = self.core_key.as_ref().unwrap_or(&opened.core_key);
        let former = |key: &Placed| Former { compartment: key.compartment, dek: key.dek };
        self.core.formers.extend(self.placed(opened).iter().map(former));
        self.sealing.core(ctx, row.key, core_key, &self.core, row.version)?;
        row.mac = core_key.mac_row(&row.columns());
        let entry = Entry::new(ctx, EntryKind::System, self.verb)
            .about(Subjects::One(opened.core.pseudonym))
            .of_fields(FieldSet::of(fields_found_by(opened)))
            .writing(Written { sealed_hash: self.sealing.hash, row_mac: row.mac })
            .counting(1);
        let (statement, miss) = (store::update_customer(&row, &opened.row), Miss::LifeChanged);
        let mut change = system_grant(ctx, Vec::new())?.change(entry).guard(Guard::Rows {
            statement,
            expected: 1,
            miss,
        });
        for key in self.placed(opened) {
            let (customer, retired) = (opened.row.key, desk.now());
            let mut row = RetiredRow { key, customer, retired, destroyed: None, mac: [0; 32] };
            row.mac = desk.keyring.mac_row(RETIRED_TABLE, &row.columns())?;
            change = change.write(store::insert_retired(&row));
        }
        let change = self.guards.into_iter().fold(change, Change::guard);
        let change = change.write_all(self.sealing.writes).write_all(self.writes);
        Ok(self.sealing.keys.into_iter().fold(change, Change::put_key))
    }
}

//! Making a customer, alone or by the caller's own reference.

use std::collections::BTreeMap;

use serde_json::Value;
use strongroom_crypto::{Cell, Plain, random_array, sha256};

use crate::access::{self, Attempt, Desk, commit_or_retry};
use crate::ctx::{
    Change, Ctx, Entry, EntryKind, FieldSet, Guard, Miss, NewKey, Pseudonym, Receipt, Subjects,
    Time, Written,
};
use crate::db::Statement;
use crate::error::{Error, FieldProblem};
use crate::id::{Customer, Id};
use crate::keys::{CORE, KeyHandle};
use crate::policy::{Applied, Right};
use crate::vault::model::{
    Claim, Core, CustomerRow, CustomerState, IndexEntry, IndexKind, REFERENCE_FIELD, Reference,
    Relation,
};
use crate::vault::rules::{self, Nulls, ParsedField};
use crate::vault::store;
use crate::vault::verbs::consent::ConsentSaid;
use crate::vault::verbs::lot::Lot;
use crate::vault::verbs::{ATTEMPTS_MAX, changed_meanwhile};

/// What makes a customer.
#[derive(Clone)]
pub struct NewCustomer {
    /// Why they are known: at least one.
    pub relations: Vec<RelationInput>,
    /// Declared fields that a relation needs.
    pub fields: BTreeMap<String, Value>,
}

/// What else is known of a new customer.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    /// What the callers' own systems call them.
    pub(super) references: &'a [Reference],
    /// What they said elsewhere.
    pub(super) consents: &'a [ConsentSaid],
}

/// A relation as a caller states it.
#[derive(Debug, Clone)]
pub struct RelationInput {
    /// A relation of the policy.
    pub name: String,
    /// When it last happened; now if not said, and never in the future.
    pub last: Option<Time>,
}

/// A customer who exists now.
#[derive(Debug)]
pub struct Created {
    /// The new id.
    pub id: Id<Customer>,
    /// Its version.
    pub version: u64,
    /// Where it stands in the ledger.
    pub receipt: Receipt,
}

/// Makes a customer. A unique value that another customer has is a conflict, decided at commit: of
/// two parallel creates one wins.
pub async fn create(desk: &Desk, ctx: &Ctx, input: &NewCustomer) -> Result<Created, Error> {
    create_with(desk, ctx, input, None).await
}

/// Makes a customer, under a reference if there is one.
pub(super) async fn create_with(
    desk: &Desk,
    ctx: &Ctx,
    input: &NewCustomer,
    reference: Option<&Reference>,
) -> Result<Created, Error> {
    let known = Known { references: reference.map_or(&[], std::slice::from_ref), consents: &[] };
    for _ in 0..ATTEMPTS_MAX {
        let grant = access::permit(desk, ctx, Right::Create)?;
        let applied = std::sync::Arc::clone(desk.rights.now()?.applied()?);
        let made = prepare(desk, ctx, &applied, (input, known), Lot::alone(desk, ctx)?)?;
        let entry = Entry::new(ctx, EntryKind::Write, "customer.create")
            .about(Subjects::One(made.pseudonym))
            .of_fields(made.fields)
            .writing(made.written)
            .counting(1);
        let (id, guards) = (made.id, made.guards.clone());
        let change = made.into_change(grant.change(entry).making(id));
        match commit_or_retry(desk, change).await {
            Ok(Attempt::Done(receipt)) => return Ok(Created { id, version: 1, receipt }),
            Ok(Attempt::Retry) => {}
            Err(error) if error.code == "taken" => {
                return Err(name_taken(desk, &applied, &guards).await.unwrap_or(error));
            }
            Err(error) => return Err(error),
        }
    }
    Err(changed_meanwhile())
}

/// A customer ready to be committed.
pub(super) struct Prepared {
    pub(super) id: Id<Customer>,
    pub(super) pseudonym: Pseudonym,
    pub(super) fields: FieldSet,
    pub(super) written: Written,
    pub(super) guards: Vec<(Claim, i64)>,
    key: i64,
    exact: Vec<IndexEntry>,
    subject: [u8; 32],
    writes: Vec<Statement>,
    keys: Vec<NewKey>,
}

impl Prepared {
    /// Adds what it writes to a change.
    pub(super) fn into_change(self, change: Change) -> Change {
        Self::all_into_change(vec![self], change)
    }

    /// Adds what many write to one change, table by table in the order of their keys: random pages of
    /// the indexes are what an import costs (`specs/performance.md`).
    pub(super) fn all_into_change(mut many: Vec<Self>, mut change: Change) -> Change {
        many.sort_unstable_by_key(|it| it.key);
        let mut claims: Vec<_> = many.iter().flat_map(|it| it.guards.iter().copied()).collect();
        claims.sort_unstable_by_key(|(claim, _)| (claim.entry.field, claim.entry.hash));
        for (claim, key) in claims {
            let statement = store::claim_unique(&claim, key);
            let miss = Miss::Taken(claim.entry.field);
            change = change.guard(Guard::Rows { statement, expected: 1, miss });
        }
        let mut exact: Vec<_> =
            many.iter().flat_map(|it| it.exact.iter().map(|entry| (*entry, it.key))).collect();
        exact.sort_unstable_by_key(|(entry, _)| (entry.field, entry.hash));
        let mut subjects: Vec<_> = many.iter().map(|it| (it.subject, it.key)).collect();
        subjects.sort_unstable();
        let (mut writes, mut keys) = (Vec::new(), Vec::with_capacity(many.len() * 3));
        for prepared in many {
            writes.extend(prepared.writes);
            keys.extend(prepared.keys);
        }
        // Rows of one table that follow each other go to a server as one statement.
        writes.sort_by_key(|statement| statement.sql);
        change = change
            .write_all(writes)
            .write_all(exact.iter().map(|(entry, key)| store::insert_exact(entry, *key)))
            .write_all(subjects.iter().map(|(hash, key)| store::insert_subject(hash, *key)));
        keys.sort_unstable_by_key(|key| key.id);
        keys.into_iter().fold(change, Change::put_key)
    }
}

/// Reads, checks and seals a new customer; touches nothing.
pub(super) fn prepare(
    desk: &Desk,
    ctx: &Ctx,
    applied: &Applied,
    (input, known): (&NewCustomer, Known<'_>),
    lot: Lot,
) -> Result<Prepared, Error> {
    let relations = read_relations(ctx, applied, &input.relations)?;
    let parsed = rules::parse_fields(applied, &relations, &input.fields, Nulls::Refuse)?;
    let id = Id::<Customer>::random(ctx.rng.as_ref())?;
    let Lot { key, block } = lot;
    let pseudonym = Pseudonym(random_array(ctx.rng.as_ref())?);
    let mut claims = index_claims(desk, &parsed)?;
    for reference in known.references {
        claims.push(reference_claim(desk, reference)?);
    }
    let mut consents = Vec::new();
    for consent in known.consents {
        consent.take_in(applied, ctx.now, &mut consents)?;
    }
    let mut sealing = Sealing { is_new: true, ..Sealing::default() };
    let mut compartments = BTreeMap::new();
    for (compartment, cells) in by_compartment(&parsed) {
        let (handle, new_key) = desk.keyring.new_data_key(block, id.as_bytes(), &compartment)?;
        sealing.seal(ctx, key, &compartment, &handle, &cells, 1)?;
        sealing.keys.push(new_key);
        compartments.insert(compartment, 1);
    }
    let due_day = rules::due_day(&applied.policy, &relations);
    let core = Core {
        pseudonym,
        created: ctx.now,
        relations,
        compartments,
        indexes: claims.iter().map(|claim| claim.entry).collect(),
        consents,
        shelves: Vec::new(),
        references: known.references.to_vec(),
        formers: Vec::new(),
        merged: Vec::new(),
        is_merged_away: false,
    };
    let (core_key, new_key) = desk.keyring.new_data_key(block, id.as_bytes(), &CORE)?;
    sealing.seal(ctx, key, &CORE, &core_key, &core.cells(), 1)?;
    sealing.keys.push(new_key);
    let state = CustomerState::Active;
    let mut row = CustomerRow { key, id, state, version: 1, life: 1, due_day, mac: [0; 32] };
    row.mac = core_key.mac_row(&row.columns());
    let mut writes = vec![store::insert_customer(&row)];
    writes.append(&mut sealing.writes);
    let subject = desk.keyring.subject_index(&pseudonym.0)?.hash;
    let (mut guards, mut exact) = (Vec::new(), Vec::new());
    for claim in claims {
        match claim.entry.kind {
            IndexKind::Exact => exact.push(claim.entry),
            IndexKind::Unique => guards.push((claim, key)),
        }
    }
    let written = Written { sealed_hash: sealing.hash, row_mac: row.mac };
    let fields = FieldSet::of(parsed.iter().map(|field| field.id));
    let keys = sealing.keys;
    Ok(Prepared { id, pseudonym, fields, written, guards, key, exact, subject, writes, keys })
}

/// Sealed records on their way, and the hash over all of them.
#[derive(Default)]
pub(in crate::vault) struct Sealing {
    pub(in crate::vault) writes: Vec<Statement>,
    pub(in crate::vault) keys: Vec<NewKey>,
    pub(in crate::vault) hash: [u8; 32],
    /// Whether the customer has none yet.
    is_new: bool,
}

impl Sealing {
    fn seal(
        &mut self,
        ctx: &Ctx,
        key: i64,
        compartment: &[u8; 16],
        handle: &KeyHandle,
        cells: &[(u8, Plain)],
        version: u64,
    ) -> Result<(), Error> {
        let cells: Vec<Cell<'_>> = cells
            .iter()
            .map(|(field, value)| Cell { field: *field, value: value.expose() })
            .collect();
        let sealed = handle.seal(ctx.rng.as_ref(), version, &cells)?;
        self.put(key, compartment, sealed);
        Ok(())
    }

    /// Takes a sealed record in.
    pub(in crate::vault) fn put(&mut self, key: i64, compartment: &[u8; 16], sealed: Vec<u8>) {
        self.hash = sha256(&[&self.hash, &sealed]);
        let put = if self.is_new { store::insert_record } else { store::put_record };
        self.writes.push(put(key, compartment, sealed));
    }

    /// Takes the sealed record of a shelf in; gives its hash.
    pub(in crate::vault) fn on_shelf(
        &mut self,
        key: i64,
        shelf: &[u8; 16],
        id: &[u8; 16],
        sealed: Vec<u8>,
    ) -> [u8; 32] {
        let hash = sha256(&[&sealed]);
        self.hash = sha256(&[&self.hash, &sealed]);
        self.writes.push(store::put_shelf_record(key, shelf, id, &hash, sealed));
        hash
    }

    /// Seals a core.
    pub(in crate::vault) fn core(
        &mut self,
        ctx: &Ctx,
        key: i64,
        handle: &KeyHandle,
        core: &Core,
        version: u64,
    ) -> Result<(), Error> {
        self.seal(ctx, key, &CORE, handle, &core.cells(), version)
    }

    /// Seals the first record of a compartment under a new key.
    pub(in crate::vault) fn first(
        &mut self,
        desk: &Desk,
        ctx: &Ctx,
        row: (&Id<Customer>, i64),
        compartment: &[u8; 16],
        cells: &[(u8, Plain)],
        version: u64,
    ) -> Result<(), Error> {
        let block = desk.keyring.new_block()?;
        let (handle, new_key) = desk.keyring.new_data_key(block, row.0.as_bytes(), compartment)?;
        self.seal(ctx, row.1, compartment, &handle, cells, version)?;
        self.keys.push(new_key);
        Ok(())
    }
}

/// Relations of the policy, each once, none in the future.
pub(super) fn read_relations(
    ctx: &Ctx,
    applied: &Applied,
    input: &[RelationInput],
) -> Result<Vec<Relation>, Error> {
    let known: Vec<&str> = applied.policy.relations().keys().map(|name| name.as_str()).collect();
    let mut relations: Vec<Relation> = Vec::with_capacity(input.len());
    for wanted in input {
        let last = wanted.last.unwrap_or(ctx.now);
        let refusal = if !known.contains(&wanted.name.as_str()) {
            Some(("relation_unknown", format!("the policy has `{}`", known.join("`, `"))))
        } else if last > ctx.now {
            Some(("relation_in_future", "a relation cannot have happened in the future".to_owned()))
        } else if relations.iter().any(|relation| relation.name == wanted.name) {
            Some(("relation_twice", "name each relation once".to_owned()))
        } else {
            None
        };
        if let Some((code, detail)) = refusal {
            let field = "relations".to_owned();
            let problem = FieldProblem { field, code, detail: detail.clone() };
            return Err(Error::unprocessable(code, detail).with_fields(vec![problem]));
        }
        relations.push(Relation { name: wanted.name.clone(), last });
    }
    if relations.is_empty() {
        let detail = format!(
            "say why this customer is known: `relations` needs at least one of `{}`",
            known.join("`, `")
        );
        return Err(Error::unprocessable("relation_missing", detail));
    }
    Ok(relations)
}

/// Where all indexed fields that have a value are to be found.
pub(super) fn index_claims(desk: &Desk, parsed: &[ParsedField]) -> Result<Vec<Claim>, Error> {
    let mut claims = Vec::new();
    for field in parsed {
        let (Some(kind), Some(value)) = (field.index, &field.value) else { continue };
        let hashed = desk.keyring.index(field.id, &value.expose_index_text())?;
        claims.push(Claim::new(kind, field.id, hashed));
    }
    Ok(claims)
}

/// Where a reference is to be found.
pub(in crate::vault) fn reference_claim(
    desk: &Desk,
    reference: &Reference,
) -> Result<Claim, Error> {
    let hashed = desk.keyring.index(REFERENCE_FIELD, &reference.index_text())?;
    Ok(Claim::new(IndexKind::Unique, REFERENCE_FIELD, hashed))
}

fn by_compartment(parsed: &[ParsedField]) -> BTreeMap<[u8; 16], Vec<(u8, Plain)>> {
    let mut compartments: BTreeMap<[u8; 16], Vec<(u8, Plain)>> = BTreeMap::new();
    for field in parsed {
        let Some(value) = &field.value else { continue };
        let cells = compartments.entry(field.compartment).or_default();
        cells.push((field.id, Plain::copy_of(&value.expose_bytes())));
    }
    for cells in compartments.values_mut() {
        cells.sort_by_key(|(field, _)| *field);
    }
    compartments
}

/// Says which field is taken. Who has it is for those who may look customers up by it.
pub(super) async fn name_taken(
    desk: &Desk,
    applied: &Applied,
    guards: &[(Claim, i64)],
) -> Option<Error> {
    let mut data = desk.data.snapshot().await.ok()?;
    // From behind, where the reference stands: of two parallel upserts the second finds both the
    // reference and the e-mail taken, by the very customer it is to change.
    for (claim, key) in guards.iter().rev() {
        let found = store::find_by_hash(&mut data, claim).await.ok()?;
        if found.iter().all(|it| it == key) {
            continue;
        }
        let entry = claim.entry;
        if entry.field == REFERENCE_FIELD {
            let detail = "another customer has this reference; send it again to change them";
            return Some(Error::conflict(REFERENCE_TAKEN, detail));
        }
        let name = applied.registry.name_of(entry.field)?.to_owned();
        let detail = format!(
            "another customer already has this `{name}`; look them up by it and change that one"
        );
        let code = "taken";
        let problem = FieldProblem { field: name, code, detail: detail.clone() };
        return Some(Error::conflict(code, detail).with_fields(vec![problem]));
    }
    None
}

/// The code of a reference that another customer has.
pub(super) const REFERENCE_TAKEN: &str = "reference_taken";

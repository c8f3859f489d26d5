//! Merging two customers who are one: what stays is sealed anew with the one who stays, in one change;
//! the other is hidden by the same change and erased as a job like any other.

use std::collections::{BTreeMap, BTreeSet};

use strongroom_crypto::{peek_fields, random_array};

use crate::access::{self, Attempt, Desk, commit_or_retry};
use crate::ctx::{
    Change, Ctx, Entry, EntryKind, FieldSet, Guard, Miss, Receipt, Subjects, Time, Written,
};
use crate::db::Statement;
use crate::error::{Error, ErrorKind, FieldProblem};
use crate::id::{Customer, Id};
use crate::keys::{KeyHandle, Source, Versions};
use crate::policy::{Applied, Right};
use crate::vault::model::{
    Core, CustomerState, IndexEntry, REFERENCE_FIELD, Rows, Shelf, TOKEN_VERSION,
};
use crate::vault::rules;
use crate::vault::store::{self, TokenRow};
use crate::vault::verbs::create::Sealing;
use crate::vault::verbs::erase::{daily_limit, hold_guard, new_job, register};
use crate::vault::verbs::open::{Opened, open_active};
use crate::vault::verbs::read::still_alive;
use crate::vault::verbs::records::{SHELVES_MAX, new_shelf, restock};
use crate::vault::verbs::shelves::{OpenShelf, open_shelves};
use crate::vault::verbs::tokens::{slot_of, standing_of};
use crate::vault::verbs::{ATTEMPTS_MAX, changed_meanwhile};
use crate::webhooks::{self, EventKind};

/// Two customers who are one.
pub struct MergeInput {
    /// Who goes.
    pub other: Id<Customer>,
    /// The version of who stays, as it was read.
    pub version: u64,
    /// The version of who goes, as it was read.
    pub other_version: u64,
    /// Whose value stays, by field; without a word that of who stays, where there is one.
    pub keep: BTreeMap<String, Keep>,
}

/// Whose value of a field stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// That of who goes.
    Other,
    /// That of who stays.
    This,
}

/// What a merge came to.
pub struct Merged {
    /// Who stays.
    pub id: Id<Customer>,
    /// Their version from now on.
    pub version: u64,
    /// When the keys of the other are destroyed.
    pub due: Time,
    /// Where it stands in the ledger.
    pub receipt: Receipt,
}

/// Merges one customer into another. It cannot be taken back.
pub async fn merge(
    desk: &Desk,
    ctx: &Ctx,
    id: Id<Customer>,
    input: &MergeInput,
) -> Result<Merged, Error> {
    if id == input.other {
        let detail = "`other` is the customer itself; name the one that is to go";
        return Err(Error::unprocessable("merge_same", detail));
    }
    for _ in 0..ATTEMPTS_MAX {
        let grant = access::permit(desk, ctx, Right::Merge)?;
        let stays = open_active(desk, ctx, &id).await?;
        let goes = open_active(desk, ctx, &input.other).await?;
        if stays.row.version != input.version || goes.row.version != input.other_version {
            return Err(version_changed());
        }
        let authority = desk.rights.now()?;
        if [&stays, &goes].iter().any(|it| authority.held.contains(it.row.id.as_bytes())) {
            return Err(access::refusal_of(Miss::LegalHold));
        }
        let applied = std::sync::Arc::clone(authority.applied()?);
        let fewer = daily_limit(desk, ctx).await?;
        let pair = Pair { stays: &stays, goes: &goes };
        let Some(merging) = pair.merge(desk, ctx, &applied, &input.keep).await? else { continue };
        let due = ctx.now.plus_days(i64::from(applied.policy.business().erase_grace.days()));
        let job = new_job(desk, ctx, &goes, due)?;
        let pseudonyms = vec![stays.core.pseudonym, goes.core.pseudonym];
        let (row, sealing, guards) = merging.finish(ctx, &applied, pair)?;
        let written = Written { sealed_hash: sealing.hash, row_mac: row.mac };
        let entry = Entry::new(ctx, EntryKind::Write, "customer.merge")
            .about(Subjects::Set(pseudonyms))
            .of_fields(merging_fields(&goes)?)
            .writing(written)
            .counting(2);
        let statement = store::update_customer(&row, &stays.row);
        let miss = Miss::VersionChanged;
        let change = still_alive(still_alive(grant.change(entry), &stays), &goes)
            .guard(hold_guard(&stays.row))
            .guard(hold_guard(&goes.row))
            .guard(fewer)
            .guard(Guard::Rows { statement, expected: 1, miss })
            .write(store::insert_job(&job))
            .with_state(register(None, Some(job.mac)))
            .write_all(sealing.writes)
            .write(webhooks::merged(ctx, &desk.keyring, &input.other, &id)?)
            .write(webhooks::event(ctx, &desk.keyring, EventKind::Updated, &id)?);
        let guards = guards.into_iter().chain(access::erase_claims(desk, ctx)?);
        let change = guards.fold(change, Change::guard);
        let change = sealing.keys.into_iter().fold(change, Change::put_key);
        let change = hide(ctx, change, &goes)?;
        if let Attempt::Done(receipt) = commit_or_retry(desk, change).await? {
            return Ok(Merged { id, version: row.version, due, receipt });
        }
    }
    Err(changed_meanwhile())
}

/// Who stays, and who goes.
#[derive(Clone, Copy)]
struct Pair<'a> {
    stays: &'a Opened,
    goes: &'a Opened,
}

/// What a merge writes.
struct Merging {
    core: Core,
    sealing: Sealing,
    guards: Vec<Guard>,
    /// Keys of compartments that the one who stays did not have.
    new_keys: BTreeMap<[u8; 16], KeyHandle>,
}

impl Pair<'_> {
    /// Seals anew what stays; `None` to decide once more.
    async fn merge(
        self,
        desk: &Desk,
        ctx: &Ctx,
        applied: &Applied,
        keep: &BTreeMap<String, Keep>,
    ) -> Result<Option<Merging>, Error> {
        let mut merging = Merging {
            core: self.stays.core.clone(),
            sealing: Sealing::default(),
            guards: Vec::new(),
            new_keys: BTreeMap::new(),
        };
        merging.join(&self.goes.core)?;
        let taken = self.taken(applied, keep)?;
        merging.take_fields(desk, ctx, self, &taken)?;
        merging.take_indexes(self, &taken);
        merging.take_subjects(desk, self)?;
        let same = |shelf: &Shelf| {
            let theirs = &self.goes.core.shelves;
            theirs.iter().any(|it| it.kind == shelf.kind && it.end_year == shelf.end_year)
        };
        let Some(mine) = open_shelves(desk, ctx, self.stays, same, |_| Vec::new()).await? else {
            return Ok(None);
        };
        let count: u64 = self.goes.core.shelves.iter().map(|it| u64::from(it.count)).sum();
        if count > MERGED_RECORDS_MAX {
            let detail = "the one who goes has more than 2,000 records; merge the other way round, \
                          so that the one with fewer goes";
            return Err(Error::conflict("too_many_records", detail));
        }
        let Some(theirs) = open_shelves(desk, ctx, self.goes, |_| true, |all| all).await? else {
            return Ok(None);
        };
        merging.take_records(desk, ctx, self, mine, theirs)?;
        merging.take_tokens(desk, ctx, self).await?;
        Ok(Some(merging))
    }

    /// Numbers of the fields whose value comes from the one who goes.
    fn taken(
        self,
        applied: &Applied,
        keep: &BTreeMap<String, Keep>,
    ) -> Result<BTreeSet<u8>, Error> {
        let mut wanted = BTreeMap::new();
        for (name, keep) in keep {
            let known = applied.policy.fields().contains_key(name.as_str());
            let Some(id) = applied.registry.id_of(name).filter(|_| known) else {
                let detail = "`keep` names fields of the policy, each with `this` or `other`";
                let (field, code) = ("keep".to_owned(), "field_unknown");
                let problem = FieldProblem { field, code, detail: detail.to_owned() };
                return Err(Error::unprocessable(code, detail).with_fields(vec![problem]));
            };
            wanted.insert(id, *keep);
        }
        let mine = fields_of(self.stays)?;
        let theirs = fields_of(self.goes)?;
        let is_taken = |field: &u8| match wanted.get(field) {
            Some(Keep::Other) => true,
            Some(Keep::This) => false,
            None => !mine.contains_key(field),
        };
        for (field, compartment) in &theirs {
            if is_taken(field) && mine.get(field).is_some_and(|it| it != compartment) {
                return Err(Error::internal("a field that two customers keep in different places"));
            }
        }
        Ok(theirs.into_keys().filter(is_taken).collect())
    }
}

impl Merging {
    /// Relations, each with the later time; consents, of which a withdrawal wins; and the pseudonyms
    /// under which the ledger knows both.
    fn join(&mut self, goes: &Core) -> Result<(), Error> {
        for relation in &goes.relations {
            match self.core.relations.iter_mut().find(|known| known.name == relation.name) {
                Some(known) => known.last = known.last.later(relation.last),
                None => self.core.relations.push(relation.clone()),
            }
        }
        for consent in &goes.consents {
            match self.core.consents.iter_mut().find(|known| known.purpose == consent.purpose) {
                Some(known) => {
                    let given = [known.given, consent.given].into_iter().flatten();
                    known.given = given.max_by_key(|(at, _)| *at);
                    known.withdrawn = known.withdrawn.max(consent.withdrawn);
                }
                None => self.core.consents.push(consent.clone()),
            }
        }
        self.core.created = Time::from_ms(self.core.created.as_ms().min(goes.created.as_ms()));
        self.core.references.extend_from_slice(&goes.references);
        self.core.merged.push(goes.pseudonym);
        self.core.merged.extend(&goes.merged);
        if self.core.merged.len() <= MERGED_MAX {
            return Ok(());
        }
        let detail = "more than 64 customers were merged into this one; look for what makes them";
        Err(Error::conflict("too_many_merged", detail))
    }

    fn take_fields(
        &mut self,
        desk: &Desk,
        ctx: &Ctx,
        pair: Pair<'_>,
        taken: &BTreeSet<u8>,
    ) -> Result<(), Error> {
        let next = pair.stays.row.version + 1;
        for (compartment, theirs) in &pair.goes.records {
            let fields: Vec<u8> = peek_fields(&theirs.sealed)?
                .into_iter()
                .filter(|field| taken.contains(field))
                .collect();
            if fields.is_empty() {
                continue;
            }
            let (key, version, sealed) = (&theirs.key, theirs.version, &theirs.sealed);
            let from = Source { key, version, sealed };
            let random = ctx.rng.as_ref();
            let sealed = if let Some(mine) = pair.stays.records.get(compartment) {
                let versions = Versions { now: mine.version, next };
                mine.key.reseal_taking(random, versions, &mine.sealed, from, &fields)?
            } else {
                let id = pair.stays.row.id.as_bytes();
                let (key, new_key) =
                    desk.keyring.new_data_key(desk.keyring.new_block()?, id, compartment)?;
                self.sealing.keys.push(new_key);
                let sealed = key.seal_from(random, next, from, Some(&fields))?;
                self.new_keys.insert(*compartment, key);
                sealed
            };
            self.sealing.put(pair.stays.row.key, compartment, sealed);
            self.core.compartments.insert(*compartment, next);
        }
        Ok(())
    }

    /// A row is handed over in place. Those of values that do not stay go with this change.
    fn take_indexes(&mut self, pair: Pair<'_>, taken: &BTreeSet<u8>) {
        let (stays, goes) = (pair.stays.row.key, pair.goes.row.key);
        let comes =
            |entry: &&IndexEntry| entry.field == REFERENCE_FIELD || taken.contains(&entry.field);
        let theirs = &pair.goes.core.indexes;
        let replaced: Vec<IndexEntry> = self
            .core
            .indexes
            .iter()
            .filter(|entry| taken.contains(&entry.field) && !theirs.contains(entry))
            .copied()
            .collect();
        self.core.indexes.retain(|entry| !replaced.contains(entry));
        for entry in &replaced {
            self.must(store::delete_index(entry, stays));
        }
        for entry in theirs {
            let both_have = self.core.indexes.contains(entry);
            if comes(&entry) && !both_have {
                self.must(store::move_index(entry, goes, stays));
                self.core.indexes.push(*entry);
            } else {
                self.must(store::delete_index(entry, goes));
            }
        }
    }

    fn take_subjects(&mut self, desk: &Desk, pair: Pair<'_>) -> Result<(), Error> {
        let (stays, goes) = (pair.stays.row.key, pair.goes.row.key);
        for pseudonym in std::iter::once(&pair.goes.core.pseudonym).chain(&pair.goes.core.merged) {
            let hash = desk.keyring.subject_index(&pseudonym.0)?;
            self.must(store::move_subject(&hash, goes, stays));
        }
        Ok(())
    }

    fn take_records(
        &mut self,
        desk: &Desk,
        ctx: &Ctx,
        pair: Pair<'_>,
        mut mine: Vec<OpenShelf>,
        theirs: Vec<OpenShelf>,
    ) -> Result<(), Error> {
        for from in theirs {
            let known = mine.iter().position(|it| {
                it.shelf.kind == from.shelf.kind && it.shelf.end_year == from.shelf.end_year
            });
            let (shelf, key, mut rows) = if let Some(at) = known {
                let open = mine.swap_remove(at);
                (open.shelf, open.key, open.rows)
            } else {
                let named = (from.shelf.kind.as_str(), from.shelf.end_year);
                let id = &pair.stays.row.id;
                let (shelf, key) = new_shelf(desk, ctx, id, named, &mut self.sealing)?;
                self.core.shelves.push(shelf.clone());
                (shelf, key, Rows::new())
            };
            for record in &from.records {
                let (version, sealed) = (record.version, &record.sealed);
                let source = Source { key: &from.key, version, sealed };
                let sealed = key.seal_from(ctx.rng.as_ref(), version, source, None)?;
                let id = record.about.id;
                rows.insert(id, self.sealing.on_shelf(pair.stays.row.key, &shelf.id, &id, sealed));
            }
            if rows.len() as u64 > store::SHELF_RECORDS_MAX.unsigned_abs()
                || self.core.shelves.len() > SHELVES_MAX
            {
                let detail = "together the two have more records than one customer may have";
                return Err(Error::conflict("records_used_up", detail));
            }
            restock(&mut self.core, &shelf.id, &rows);
        }
        Ok(())
    }

    /// A token stays what other systems know it as. Where the one who stays has one for the same field
    /// and consumer, both are good from now on.
    async fn take_tokens(&mut self, desk: &Desk, ctx: &Ctx, pair: Pair<'_>) -> Result<(), Error> {
        let (mut slots, rows) = {
            let mut data = desk.data.snapshot().await?;
            let mine = store::list_tokens(&mut data, pair.stays.row.key).await?;
            let slots: BTreeSet<[u8; 32]> = mine.into_iter().map(|row| row.slot).collect();
            (slots, store::list_tokens(&mut data, pair.goes.row.key).await?)
        };
        let mut left_behind = 0;
        for row in rows {
            let standing = standing_of(pair.goes, &row)?;
            let theirs = pair.goes.records.get(&row.compartment);
            let theirs = theirs.ok_or_else(|| Error::internal("a token without compartment"))?;
            let mine = pair.stays.records.get(&row.compartment).map(|record| &record.key);
            // Without a compartment here, none of its values stays: the token goes with the other.
            let Some(key) = mine.or_else(|| self.new_keys.get(&row.compartment)) else {
                left_behind += 1;
                continue;
            };
            let source = Source { key: &theirs.key, version: TOKEN_VERSION, sealed: &row.data };
            let data = key.seal_from(ctx.rng.as_ref(), TOKEN_VERSION, source, None)?;
            let pinned = match standing.pinned {
                true => key.mac_field(TOKEN_VERSION, &data, standing.field)?,
                false => None,
            };
            let mut slot =
                slot_of(&pair.stays.core_key, standing.field, &standing.consumer, pinned);
            if !slots.insert(slot) {
                slot = random_array(ctx.rng.as_ref())?;
            }
            let customer = pair.stays.row.key;
            let after = TokenRow { customer, slot, data, ..row.clone() };
            // Tokens made while this is decided: none may take the slot, and none may stay behind.
            let statement = store::tokens_in(customer, Some(&slot));
            self.guards.push(Guard::Rows { statement, expected: 0, miss: Miss::LifeChanged });
            self.must(store::move_token(&row, &after));
        }
        let (statement, miss) = (store::tokens_in(pair.goes.row.key, None), Miss::LifeChanged);
        self.guards.push(Guard::Rows { statement, expected: left_behind, miss });
        Ok(())
    }

    /// Exactly one row, or it is decided once more.
    fn must(&mut self, statement: Statement) {
        let miss = Miss::LifeChanged;
        self.guards.push(Guard::Rows { statement, expected: 1, miss });
    }

    /// Seals the core of who stays; the new row, all that is written, and what must hold.
    fn finish(
        mut self,
        ctx: &Ctx,
        applied: &Applied,
        pair: Pair<'_>,
    ) -> Result<(crate::vault::model::CustomerRow, Sealing, Vec<Guard>), Error> {
        let mut row = pair.stays.row.clone();
        row.version += 1;
        row.life += 1;
        row.due_day = rules::due_day_of(&applied.policy, &self.core);
        row.mac = pair.stays.core_key.mac_row(&row.columns());
        self.sealing.core(ctx, row.key, &pair.stays.core_key, &self.core, row.version)?;
        Ok((row, self.sealing, self.guards))
    }
}

/// Hides who goes at once. What is found by, and the ways back from the ledger, are with the other one
/// now; what is left names the keys that are to be destroyed.
fn hide(ctx: &Ctx, change: Change, goes: &Opened) -> Result<Change, Error> {
    let mut core = goes.core.clone();
    core.indexes = Vec::new();
    core.references = Vec::new();
    core.merged = Vec::new();
    core.is_merged_away = true;
    let mut row = goes.row.clone();
    row.state = CustomerState::Restricted;
    row.version += 1;
    row.life += 1;
    row.mac = goes.core_key.mac_row(&row.columns());
    let mut sealing = Sealing::default();
    sealing.core(ctx, row.key, &goes.core_key, &core, row.version)?;
    let statement = store::update_customer(&row, &goes.row);
    let miss = Miss::VersionChanged;
    Ok(change.guard(Guard::Rows { statement, expected: 1, miss }).write_all(sealing.writes))
}

/// Which compartment each field of a customer is sealed in.
fn fields_of(opened: &Opened) -> Result<BTreeMap<u8, [u8; 16]>, Error> {
    let mut fields = BTreeMap::new();
    for (compartment, record) in &opened.records {
        fields.extend(peek_fields(&record.sealed)?.into_iter().map(|field| (field, *compartment)));
    }
    Ok(fields)
}

fn merging_fields(goes: &Opened) -> Result<FieldSet, Error> {
    Ok(FieldSet::of(fields_of(goes)?.into_keys()))
}

fn version_changed() -> Error {
    let detail = "one of the two has changed since you read them; read both again and repeat the \
                  merge with their new versions";
    Error::new(ErrorKind::PreconditionFailed, "version_changed", detail)
}

/// All of them are sealed anew in one change; so many are about two megabytes.
const MERGED_RECORDS_MAX: u64 = 2_000;

/// Sixteen bytes each in the core, and one walk through the ledger each where somebody asks who looked.
const MERGED_MAX: usize = 64;

//! Making tokens, and showing what they stand for.

use std::collections::{BTreeMap, BTreeSet, HashMap, btree_map};

use serde_json::Value;
use strongroom_crypto::{Encoder, Plain, peek_fields, random_array};

use crate::access::{self, Attempt, Desk, Permission, commit_or_retry};
use crate::ctx::{
    Actor, Change, Ctx, Entry, EntryKind, FieldSet, Guard, Miss, Pseudonym, Receipt, Subjects, Time,
};
use crate::error::{Error, FieldProblem};
use crate::id::{Customer, Id};
use crate::keys::{KeyHandle, Permit, Versions};
use crate::policy::{Applied, FieldValue, Right};
use crate::vault::model::{CustomerState, Standing, TOKEN_VERSION, Token};
use crate::vault::rules;
use crate::vault::store::{self, TokenRow};
use crate::vault::verbs::open::{Opened, Which, open, open_active, tampered};
use crate::vault::verbs::read::still_alive;
use crate::vault::verbs::shelves::told;
use crate::vault::verbs::show_records::as_permitted;
use crate::vault::verbs::{ATTEMPTS_MAX, changed_meanwhile};

/// What a token is to stand for.
#[derive(Debug, Clone)]
pub struct TokenInput {
    /// Whose value.
    pub customer: Id<Customer>,
    /// A field of the customer.
    pub field: String,
    /// Whom it is for; the role of the key if not said.
    pub consumer: Option<String>,
    /// Which value it shows.
    pub shows: TokenShows,
    /// From when on it stands for nothing.
    pub expires: Option<Time>,
}

/// Which value a token shows when the customer has changed since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenShows {
    /// That of now.
    Now,
    /// That of when it was made.
    Then,
}

/// What a token stands for, as it may be shown.
pub struct TokenShown {
    /// The field.
    pub field: String,
    /// The value or its mask; none where the customer has no such value any more.
    pub value: Option<Value>,
    /// Whether it is a mask.
    pub masked: bool,
    /// Whether it is the value of now.
    pub shows: TokenShows,
}

/// Why a token shows nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NothingShown {
    /// Its customer has not consented to the purpose.
    ConsentMissing,
    /// Never made, ended, or its customer is not there any more.
    Unknown,
}

/// Makes tokens, or gives those that stand already for the same value and consumer.
pub async fn make_tokens(
    desk: &Desk,
    ctx: &Ctx,
    inputs: &[TokenInput],
) -> Result<(Vec<Token>, Receipt), Error> {
    for _ in 0..ATTEMPTS_MAX {
        let grant = access::permit(desk, ctx, Right::Update)?;
        let applied = std::sync::Arc::clone(desk.rights.now()?.applied()?);
        let mut customers: BTreeMap<Id<Customer>, Opened> = BTreeMap::new();
        for input in inputs {
            if let btree_map::Entry::Vacant(place) = customers.entry(input.customer) {
                place.insert(open_active(desk, ctx, &input.customer).await?);
            }
        }
        let mut making = Making::default();
        for (position, input) in inputs.iter().enumerate() {
            let opened = customers.get(&input.customer).ok_or_else(Error::not_found)?;
            making.add(desk, ctx, &applied, (position, input), opened).await?;
        }
        making.refuse_too_many(desk).await?;
        let pseudonyms = customers.values().map(|opened| opened.core.pseudonym).collect();
        let entry = Entry::new(ctx, EntryKind::Write, "token.make")
            .about(subjects(pseudonyms))
            .of_fields(FieldSet::of(making.fields.iter().copied()))
            .counting(inputs.len() as u64);
        let mut change = grant.change(entry);
        for opened in customers.values() {
            // The value of then is that of this position in the ledger.
            let statement = store::unchanged(&opened.row);
            change = still_alive(change, opened).guard(Guard::Rows {
                statement,
                expected: 1,
                miss: Miss::LifeChanged,
            });
        }
        let change = making.guards.into_iter().fold(change, Change::guard);
        if let Attempt::Done(receipt) = commit_or_retry(desk, change).await? {
            return Ok((making.tokens, receipt));
        }
    }
    Err(changed_meanwhile())
}

/// Tokens on their way.
#[derive(Default)]
struct Making {
    tokens: Vec<Token>,
    fields: BTreeSet<u8>,
    guards: Vec<Guard>,
    /// New ones by customer.
    new: BTreeMap<i64, u64>,
    /// Those of this batch, since the same may be asked for twice in it.
    slots: HashMap<(i64, [u8; 32]), Token>,
}

impl Making {
    async fn add(
        &mut self,
        desk: &Desk,
        ctx: &Ctx,
        applied: &Applied,
        (position, input): (usize, &TokenInput),
        opened: &Opened,
    ) -> Result<(), Error> {
        let (field, consumer) = read_input(ctx, applied, position, input)?;
        self.fields.insert(field);
        let Slot { compartment, slot } = place(opened, field, &consumer, input.shows)?
            .ok_or_else(|| refused(position, "no_value", NO_VALUE.to_owned()))?;
        if let Some(token) = self.slots.get(&(opened.row.key, slot)) {
            self.tokens.push(*token);
            return Ok(());
        }
        let known = {
            let mut data = desk.data.snapshot().await?;
            store::token_in_slot(&mut data, opened.row.key, &slot).await?
        };
        let record = opened.records.get(&compartment);
        let record = record.ok_or_else(|| Error::internal("a compartment that is not there"))?;
        let token = match &known {
            Some(row) => {
                let standing = standing_of(opened, row)?;
                if standing.expires == input.expires {
                    self.keep(opened.row.key, slot, Token::from_bytes(standing.token));
                    return Ok(());
                }
                standing.token
            }
            None => random_array(ctx.rng.as_ref())?,
        };
        let (pinned, expires) = (input.shows == TokenShows::Then, input.expires);
        let standing = Standing { token, field, consumer, pinned, expires };
        let versions = Versions { now: record.version, next: TOKEN_VERSION };
        let fields: &[u8] = if pinned { &[field] } else { &[] };
        let about = Plain::new(standing.encode());
        let data =
            record.key.seal_copy(ctx.rng.as_ref(), versions, &record.sealed, fields, &about)?;
        let statement = match known {
            Some(row) => store::reseal_token(&row, data),
            None => {
                *self.new.entry(opened.row.key).or_default() += 1;
                let hash = desk.keyring.token_index(&token)?.hash;
                let customer = opened.row.key;
                store::insert_token(&TokenRow { hash, customer, compartment, slot, data })
            }
        };
        // Somebody made the same token meanwhile: look again.
        self.guards.push(Guard::Rows { statement, expected: 1, miss: Miss::LifeChanged });
        self.keep(opened.row.key, slot, Token::from_bytes(token));
        Ok(())
    }

    fn keep(&mut self, customer: i64, slot: [u8; 32], token: Token) {
        self.slots.insert((customer, slot), token);
        self.tokens.push(token);
    }

    async fn refuse_too_many(&self, desk: &Desk) -> Result<(), Error> {
        for (customer, new) in &self.new {
            let known = store::count_tokens(&mut desk.data.snapshot().await?, *customer).await?;
            if known + new > TOKENS_MAX {
                let detail = "a customer has as many tokens as are kept (1,000); ask for the same \
                              consumer and value again and the token is the same";
                return Err(Error::unprocessable("tokens_used_up", detail));
            }
        }
        Ok(())
    }
}

/// The number of the field and the consumer, read.
fn read_input(
    ctx: &Ctx,
    applied: &Applied,
    position: usize,
    input: &TokenInput,
) -> Result<(u8, String), Error> {
    let fields = applied.policy.fields();
    let id = applied.registry.id_of(&input.field).filter(|_| fields.contains_key(&*input.field));
    let Some(id) = id else {
        let known: Vec<&str> = fields.keys().map(|name| name.as_str()).collect();
        let detail = format!(
            "`field` is a field of the customer, not of a record; the policy has `{}`",
            known.join("`, `")
        );
        return Err(refused(position, "field_unknown", detail));
    };
    let consumer = match (&input.consumer, &ctx.actor) {
        (Some(consumer), _) => consumer.clone(),
        (None, Actor::Key { role, .. }) => role.clone(),
        (None, Actor::Operator | Actor::System { .. }) => String::new(),
    };
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c);
    let is_name = (1..=CONSUMER_SIZE_MAX).contains(&consumer.len());
    if !is_name || !consumer.chars().all(plain) {
        let detail = "`consumer` names a system: 1 to 40 lower-case letters, digits, `-`, `_`";
        return Err(refused(position, "bad_consumer", detail.to_owned()));
    }
    if input.expires.is_some_and(|expires| expires <= ctx.now) {
        let detail = "`expires` must be in the future; leave it out for a token without an end";
        return Err(refused(position, "expires_in_past", detail.to_owned()));
    }
    Ok((id, consumer))
}

fn refused(position: usize, code: &'static str, detail: String) -> Error {
    let field = format!("tokens, number {}", position + 1);
    let problem = FieldProblem { field, code, detail: detail.clone() };
    Error::unprocessable(code, detail).with_fields(vec![problem])
}

/// Where a token belongs.
struct Slot {
    /// The compartment its field is sealed in.
    compartment: [u8; 16],
    /// Keyed by the customer's core, over field, consumer and the value it is pinned to.
    slot: [u8; 32],
}

/// Where the token of a field for a consumer belongs; `None` without a value. One that is pinned has a slot for each value, so pinning the same again gives the same.
fn place(
    opened: &Opened,
    field: u8,
    consumer: &str,
    shows: TokenShows,
) -> Result<Option<Slot>, Error> {
    for (compartment, record) in &opened.records {
        if !peek_fields(&record.sealed)?.contains(&field) {
            continue;
        }
        let value = record.key.mac_field(record.version, &record.sealed, field)?;
        let Some(value) = value else { continue };
        let pinned = (shows == TokenShows::Then).then_some(value);
        let slot = slot_of(&opened.core_key, field, consumer, pinned);
        return Ok(Some(Slot { compartment: *compartment, slot }));
    }
    Ok(None)
}

/// The slot of a token of a customer.
pub(in crate::vault) fn slot_of(
    core_key: &KeyHandle,
    field: u8,
    consumer: &str,
    pinned: Option<[u8; 32]>,
) -> [u8; 32] {
    let mut encoder = Encoder::new("token/slot");
    encoder.u8(field).text(consumer);
    encoder.bytes(pinned.as_ref().map_or(&[][..], |value| value));
    core_key.mac_row(&encoder.finish())
}

pub(in crate::vault) fn standing_of(opened: &Opened, row: &TokenRow) -> Result<Standing, Error> {
    let record = opened.records.get(&row.compartment);
    let record = record.ok_or_else(|| tampered("a token in a compartment that is not there"))?;
    Ok(Standing::decode(record.key.open_about(TOKEN_VERSION, &row.data)?.expose())?)
}

/// A token that was found, with what it stands for.
struct FoundToken {
    customer: i64,
    compartment: [u8; 16],
    standing: Standing,
    data: Vec<u8>,
}

/// What tokens stand for, as the policy shows it for a purpose, or why they show nothing.
pub async fn detokenize(
    desk: &Desk,
    ctx: &Ctx,
    purpose: &str,
    tokens: &[Option<Token>],
) -> Result<(Vec<Result<TokenShown, NothingShown>>, Receipt), Error> {
    for _ in 0..ATTEMPTS_MAX {
        let mut customers: BTreeMap<i64, Option<Opened>> = BTreeMap::new();
        let mut found = Vec::with_capacity(tokens.len());
        for token in tokens {
            found.push(match token {
                Some(token) => find(desk, ctx, &mut customers, token).await?,
                None => None,
            });
        }
        let applied = std::sync::Arc::clone(desk.rights.now()?.applied()?);
        let refused = without_consent(&applied, purpose, &customers);
        let found: Vec<Result<FoundToken, NothingShown>> = found
            .into_iter()
            .map(|found| match found {
                Some(found) if refused.contains(&found.customer) => {
                    Err(NothingShown::ConsentMissing)
                }
                found => found.ok_or(NothingShown::Unknown),
            })
            .collect();
        let named: BTreeSet<&str> = found
            .iter()
            .flatten()
            .filter_map(|it| applied.registry.name_of(it.standing.field))
            .collect();
        let fields: Vec<String> = named.into_iter().map(str::to_owned).collect();
        let touched: BTreeSet<i64> = found.iter().flatten().map(|it| it.customer).collect();
        let opened: Vec<&Opened> =
            touched.iter().filter_map(|key| customers.get(key)?.as_ref()).collect();
        let ids: Vec<Id<Customer>> = opened.iter().map(|opened| opened.row.id).collect();
        let permission = access::may_read(desk, ctx, purpose, &fields, &ids)?;
        let mut shown = Vec::with_capacity(found.len());
        for found in found {
            shown.push(match found {
                Ok(found) => Ok(show(&permission, &customers, &found)?),
                Err(why) => Err(why),
            });
        }
        let pseudonyms = opened.iter().map(|opened| opened.core.pseudonym).collect();
        let entry = Entry::new(ctx, EntryKind::Read, "token.read")
            .about(subjects(pseudonyms))
            .of_fields(FieldSet::of(permission.fields.keys().copied()))
            .counting(shown.iter().flatten().count() as u64);
        let change = permission.grant.change(entry);
        let change = opened.into_iter().fold(change, still_alive);
        if let Attempt::Done(receipt) = commit_or_retry(desk, change).await? {
            return Ok((shown, receipt));
        }
    }
    Err(changed_meanwhile())
}

/// Which of these customers have not consented to a purpose that needs it.
fn without_consent(
    applied: &Applied,
    purpose: &str,
    customers: &BTreeMap<i64, Option<Opened>>,
) -> BTreeSet<i64> {
    let consented = |opened: &Opened| rules::has_consented(applied, &opened.core, purpose);
    let customers = customers.iter();
    let refused = customers.filter(|(_, it)| it.as_ref().is_some_and(|it| !consented(it)));
    refused.map(|(key, _)| *key).collect()
}

/// What a token stands for now. One that has ended, or whose customer is hidden, stands for nothing.
async fn find(
    desk: &Desk,
    ctx: &Ctx,
    customers: &mut BTreeMap<i64, Option<Opened>>,
    token: &Token,
) -> Result<Option<FoundToken>, Error> {
    let hashed = desk.keyring.token_index(token.as_bytes())?;
    let row = store::find_token(&mut desk.data.snapshot().await?, &hashed).await?;
    let Some(row) = row else { return Ok(None) };
    if let btree_map::Entry::Vacant(place) = customers.entry(row.customer) {
        let opened = open(desk, ctx, Which::Key(row.customer)).await?;
        place.insert(opened.filter(|it| it.row.state == CustomerState::Active));
    }
    let Some(Some(opened)) = customers.get(&row.customer) else { return Ok(None) };
    if !opened.records.contains_key(&row.compartment) {
        return Ok(None);
    }
    let standing = match standing_of(opened, &row) {
        Ok(standing) if standing.token == *token.as_bytes() => standing,
        Ok(_) => {
            let error = tampered("a token stands under the hash of another");
            return Err(told(desk, ctx, &opened.row, error).await);
        }
        Err(error) => return Err(told(desk, ctx, &opened.row, error).await),
    };
    if standing.expires.is_some_and(|expires| expires <= ctx.now) {
        return Ok(None);
    }
    let TokenRow { customer, compartment, data, .. } = row;
    Ok(Some(FoundToken { customer, compartment, standing, data }))
}

fn show(
    permission: &Permission,
    customers: &BTreeMap<i64, Option<Opened>>,
    found: &FoundToken,
) -> Result<TokenShown, Error> {
    let record = customers.get(&found.customer).and_then(|opened| opened.as_ref());
    let record = record.and_then(|opened| opened.records.get(&found.compartment));
    let record = record.ok_or_else(|| Error::internal("a token without its compartment"))?;
    let (permit, wanted) = (Permit::Grant(&permission.grant), [found.standing.field]);
    let (shows, cells) = match found.standing.pinned {
        true => {
            let cells = record.key.open_fields(permit, TOKEN_VERSION, &found.data, &wanted)?;
            (TokenShows::Then, cells)
        }
        false => {
            let cells = record.key.open_fields(permit, record.version, &record.sealed, &wanted)?;
            (TokenShows::Now, cells)
        }
    };
    let name = permission.applied.registry.name_of(found.standing.field).unwrap_or_default();
    let Some((number, plain)) = cells.into_iter().next() else {
        let field = name.to_owned();
        return Ok(TokenShown { field, value: None, masked: false, shows });
    };
    let value = FieldValue::from_bytes(plain.expose()).map_err(Error::internal)?;
    let (field, value, masked) = as_permitted(permission, number, &value)?;
    Ok(TokenShown { field, value: Some(value), masked, shows })
}

fn subjects(pseudonyms: Vec<Pseudonym>) -> Subjects {
    match pseudonyms.as_slice() {
        [] => Subjects::None,
        [one] => Subjects::One(*one),
        _ => Subjects::Set(pseudonyms),
    }
}

const NO_VALUE: &str = "the customer has no value in this field, so there is nothing to stand for";

const CONSUMER_SIZE_MAX: usize = 40;

/// A few fields for a few systems, and a pinned address for each time somebody moved.
const TOKENS_MAX: u64 = 1_000;

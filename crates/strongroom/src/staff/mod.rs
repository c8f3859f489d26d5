//! Who may ask: API keys. Their secrets are shown once and never stored.
//!
//! What must never happen here: a key without an end, a secret in a row, a row that counts although
//! it was changed by SQL.

mod model;
mod store;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use strongroom_crypto::{Plain, constant_time_eq};
use strongroom_detect::card::contains_card_number;

use crate::ctx::{
    Actor, Change, Ctx, Entry, EntryKind, Grant, Guard, Miss, StateDelta, StatePart, Time,
};
use crate::db::Connection;
use crate::error::Error;
use crate::keys::Keyring;

use model::Presented;
pub use model::{KeyRow, NewKeyInput};

/// A key as it is handed over: the only time its secret is seen.
pub struct IssuedKey {
    /// Its row.
    pub row: KeyRow,
    /// `sr_live_…`
    pub secret: Plain,
    /// Commit it before the secret is shown.
    pub change: Change,
}

/// Prepares a new key. The caller has checked role and purposes against the applied policy.
pub fn issue_key(
    ctx: &Ctx,
    keyring: &Keyring,
    grant: Grant,
    input: NewKeyInput,
) -> Result<IssuedKey, Error> {
    refuse_bad_input(&input)?;
    let presented = Presented::generate(ctx.new_id()?, ctx.rng.as_ref())?;
    let mut row = KeyRow {
        id: presented.id,
        name: input.name,
        role: input.role,
        purposes: input.purposes,
        people: input.people,
        created: ctx.now,
        expires: ctx.now.plus_days(i64::from(input.days)),
        revoked: None,
        disabled: None,
        verifier: [0; 32],
        version: 1,
        mac: [0; 32],
    };
    let message = row.verifier_message(presented.secret.expose());
    row.verifier = keyring.mac_row(VERIFIER, message.expose())?;
    row.mac = keyring.mac_row(store::TABLE, &row.columns())?;
    let change = grant
        .change(Entry::new(ctx, EntryKind::Key, "key.create"))
        .write(store::insert(&row))
        .with_state(StateDelta { part: StatePart::Rights, before: None, after: Some(row.mac) });
    Ok(IssuedKey { row, secret: presented.to_text(), change })
}

/// The text of a key, for the fuzzer.
#[cfg(any(test, feature = "fuzz"))]
pub(crate) fn text_of(id: [u8; 16], secret: &[u8; 32]) -> Plain {
    Presented { id: crate::id::Id::from_bytes(id), secret: Plain::copy_of(secret) }.to_text()
}

/// What is read as a key, written again, for the fuzzer.
#[cfg(any(test, feature = "fuzz"))]
pub(crate) fn rewritten(text: &str) -> Option<Plain> {
    Presented::parse(text).map(|key| key.to_text())
}

/// All rows are read whole, so one row more than that would never be read, and the state hash could
/// never hold again: the key before it is the last one.
pub fn refuse_one_too_many(keys: usize) -> Result<(), Error> {
    if i64::try_from(keys).is_ok_and(|keys| keys < store::KEYS_MAX) {
        return Ok(());
    }
    let detail = "10,000 API keys were made, revoked ones too; no more are kept in this version";
    Err(Error::unprocessable("keys_used_up", detail))
}

/// Prepares the end of a key, from this entry on and for good.
pub fn revoke_key(
    ctx: &Ctx,
    keyring: &Keyring,
    grant: Grant,
    row: &KeyRow,
) -> Result<Change, Error> {
    if row.revoked.is_some() {
        return Err(Error::conflict("already_revoked", "this key was revoked before"));
    }
    let mut revoked = row.clone();
    revoked.revoked = Some(ctx.now);
    exchange(ctx, keyring, grant, row, revoked, "key.revoke")
}

/// Prepares that a key does not count until it is switched on again.
pub fn disable_key(
    ctx: &Ctx,
    keyring: &Keyring,
    grant: Grant,
    row: &KeyRow,
) -> Result<Change, Error> {
    if row.revoked.is_some() || row.disabled.is_some() {
        return Err(Error::conflict("already_off", "this key is off or was revoked before"));
    }
    let mut disabled = row.clone();
    disabled.disabled = Some(ctx.now);
    exchange(ctx, keyring, grant, row, disabled, "key.disable")
}

/// Prepares that a key which was switched off, by a person or by a restore, counts again.
pub fn enable_key(
    ctx: &Ctx,
    keyring: &Keyring,
    grant: Grant,
    row: &KeyRow,
) -> Result<Change, Error> {
    if row.revoked.is_some() {
        let detail = "this key was revoked, which is for good; make a new one";
        return Err(Error::conflict("already_revoked", detail));
    }
    if row.disabled.is_none() {
        return Err(Error::conflict("not_disabled", "this key is not switched off"));
    }
    let mut enabled = row.clone();
    enabled.disabled = None;
    exchange(ctx, keyring, grant, row, enabled, "key.enable")
}

fn exchange(
    ctx: &Ctx,
    keyring: &Keyring,
    grant: Grant,
    row: &KeyRow,
    mut after: KeyRow,
    verb: &'static str,
) -> Result<Change, Error> {
    after.version += 1;
    after.mac = keyring.mac_row(store::TABLE, &after.columns())?;
    let statement = store::update(&after, &row.mac);
    let delta =
        StateDelta { part: StatePart::Rights, before: Some(row.mac), after: Some(after.mac) };
    let mut entry = Entry::new(ctx, EntryKind::Key, verb);
    if after.revoked.is_some() || after.disabled.is_some() {
        entry = entry.from_reserve();
    }
    let guard = Guard::Rows { statement, expected: 1, miss: Miss::StateChanged };
    Ok(grant.change(entry).guard(guard).with_state(delta))
}

/// In a restore, before anything is opened: every key is off, and one that a newer register knows as
/// revoked stays revoked. Keys made after the backup come along, off as well. Gives how many wait to
/// be switched on.
pub fn replay(
    db: &mut Connection,
    mirror: &mut Connection,
    keyring: &Keyring,
    now: Time,
) -> Result<u64, Error> {
    let (mut rows, _) = load(db, keyring)?;
    let (newer, broken) = load(mirror, keyring)?;
    if broken > 0 {
        return Err(mirror_altered());
    }
    for row in newer {
        match rows.iter_mut().find(|known| known.id == row.id) {
            Some(known) => {
                known.revoked = known.revoked.or(row.revoked);
                known.version = known.version.max(row.version);
            }
            None => {
                db.execute(&store::insert(&row))?;
                rows.push(row);
            }
        }
    }
    let mut off = 0;
    for mut row in rows {
        let before = row.mac;
        row.disabled = Some(row.disabled.unwrap_or(now));
        row.version += 1;
        row.mac = keyring.mac_row(store::TABLE, &row.columns())?;
        db.execute(&store::update(&row, &before))?;
        off += u64::from(row.revoked.is_none() && now <= row.expires);
    }
    Ok(off)
}

fn mirror_altered() -> Error {
    let detail = "the key backup holds an API key that was changed by other hands before the backup \
                  was made; restore with an older key backup as well as this register";
    Error::unavailable("rights_altered", detail)
}

/// All rows whose MAC holds, and how many do not: those count for nothing.
pub fn load(db: &mut Connection, keyring: &Keyring) -> Result<(Vec<KeyRow>, usize), Error> {
    let rows = store::list(db)?;
    let total = rows.len();
    let mut intact = Vec::with_capacity(total);
    for row in rows {
        if keyring.is_row_intact(store::TABLE, &row.columns(), &row.mac)? {
            intact.push(row);
        }
    }
    let broken = total - intact.len();
    Ok((intact, broken))
}

/// The actor behind a presented key. `find` looks the id up among the rows in memory. Every failure
/// is the same answer: which part was wrong is nobody's business.
pub fn authenticate<'a>(
    ctx: &Ctx,
    keyring: &Keyring,
    text: &str,
    find: impl FnOnce(&crate::id::Id<crate::id::ApiKey>) -> Option<&'a KeyRow>,
) -> Result<Actor, Error> {
    let presented = Presented::parse(text).ok_or_else(refused)?;
    // As much work for an id that no key has: how long a refusal takes tells nobody which there are.
    let found = find(&presented.id);
    let row = found.unwrap_or(&NOBODY);
    let message = row.verifier_message(presented.secret.expose());
    let verifier = keyring.mac_row(VERIFIER, message.expose())?;
    let is_right = constant_time_eq(&verifier, &row.verifier);
    let row = found.filter(|_| is_right).ok_or_else(refused)?;
    if let Some(why) = row.refusal_at(ctx.now) {
        let kind = crate::error::ErrorKind::Unauthenticated;
        return Err(Error::new(kind, "key_ended", why));
    }
    Ok(row.actor())
}

fn refuse_bad_input(input: &NewKeyInput) -> Result<(), Error> {
    let plain = |c: char| c.is_ascii_alphanumeric() || " -_.".contains(c);
    let name = input.name.as_str();
    let is_short = !name.is_empty() && name.len() <= NAME_MAX;
    if !is_short || !name.chars().all(plain) || contains_card_number(name) {
        let detail = "a key's name is 1 to 60 letters, digits, spaces, `-`, `_` or `.`; name the \
                      system that uses it, not a person";
        return Err(Error::unprocessable("bad_name", detail));
    }
    if input.days == 0 || input.days > DAYS_MAX {
        let detail = "a key lives 1 to 365 days; make its successor before it ends";
        return Err(Error::unprocessable("bad_days", detail));
    }
    Ok(())
}

fn refused() -> Error {
    let detail = "this needs an API key: send `Authorization: Bearer sr_live_…` with a key that \
                  was made here";
    Error::new(crate::error::ErrorKind::Unauthenticated, "unauthenticated", detail)
}

/// No key, and of the size of one.
static NOBODY: LazyLock<KeyRow> = LazyLock::new(|| KeyRow {
    id: crate::id::Id::from_bytes([0; 16]),
    name: String::new(),
    role: "nobody".to_owned(),
    purposes: vec!["nothing".to_owned()],
    people: false,
    created: Time::from_ms(0),
    expires: Time::from_ms(0),
    revoked: None,
    disabled: None,
    verifier: [0; 32],
    version: 0,
    mac: [0; 32],
});

const VERIFIER: &str = "api_key/verifier";
const NAME_MAX: usize = 60;

/// A key that is never replaced is a key that leaks for ever.
const DAYS_MAX: u32 = 365;

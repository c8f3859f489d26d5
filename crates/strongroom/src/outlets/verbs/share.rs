//! Shares: some fields of one customer for whoever holds a link, so often and so long.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use strongroom_crypto::random_array;
use zeroize::Zeroizing;

use crate::access::{self, Attempt, Desk, commit_or_retry, system_grant};
use crate::ctx::{
    Actor, Ctx, Entry, EntryKind, FieldSet, Guard, Miss, Pseudonym, Receipt, Subjects, Time,
};
use crate::error::{Error, ErrorKind};
use crate::id::{Customer, Id, Share};
use crate::outlets::store::{self, SHARE_TABLE, ShareRow};
use crate::outlets::verbs::ATTEMPTS_MAX;
use crate::places::{self, NewHolding, PlaceKind, PlaceName, Whose};
use crate::policy::{FieldValue, Right};
use crate::vault::{self, Allowance, Release, Released};

/// What to share.
pub struct NewShare {
    /// Whose.
    pub customer: Id<Customer>,
    /// For what.
    pub purpose: String,
    /// Which fields.
    pub fields: Vec<String>,
    /// One of the policy's reasons, where the grant masks the fields; empty where it does not.
    pub reason: String,
    /// The company or post it is for; the place the holding names.
    pub recipient: String,
    /// How long, 1 to 720.
    pub hours: u32,
    /// How often, 1 to 100.
    pub views: u32,
}

/// A share that was made.
pub struct Shared {
    /// Names it, for revoking.
    pub id: Id<Share>,
    /// What stands in the link; shown this once.
    pub secret: Zeroizing<String>,
    /// From when on it shows nothing.
    pub ends: Time,
    /// Where the making stands in the ledger.
    pub receipt: Receipt,
}

/// What a link shows.
pub struct OpenedShare {
    /// Field name to value.
    pub values: BTreeMap<String, FieldValue>,
    /// How often it can still be opened.
    pub views_left: u64,
    /// From when on it shows nothing.
    pub ends: Time,
    /// Where the view stands in the ledger.
    pub receipt: Receipt,
}

/// Makes a share; the values stay in the vault until it is opened.
pub async fn share(desk: &Desk, ctx: &Ctx, new: &NewShare) -> Result<Shared, Error> {
    let recipient = PlaceName::parse(&new.recipient)?;
    if !(1..=HOURS_MAX).contains(&new.hours) || !(1..=VIEWS_MAX).contains(&new.views) {
        let detail = "a share lasts 1 to 720 hours and shows itself 1 to 100 times";
        return Err(Error::unprocessable("bad_share", detail));
    }
    for _ in 0..ATTEMPTS_MAX {
        let NewShare { purpose, fields, reason, customer, .. } = new;
        let permission = access::may_share(desk, ctx, purpose, fields, *customer, reason)?;
        places::refuse_one_too_many(desk, &recipient).await?;
        let Actor::Key { id: made_by, .. } = &ctx.actor else { return Err(Error::not_found()) };
        let applied = Arc::clone(&permission.applied);
        vault::consented(desk, ctx, *customer, &applied, purpose).await?;
        // Seen after the consent: a withdrawal between the two raises the life and is missed by neither.
        let subject = vault::subject_of(desk, ctx, customer).await?;
        let secret: Zeroizing<[u8; 32]> = Zeroizing::new(random_array(ctx.rng.as_ref())?);
        let fields = FieldSet::of(permission.fields.keys().copied());
        let mut row = ShareRow {
            id: ctx.new_id()?,
            token: token(desk, secret.as_slice())?,
            subject: subject.pseudonym,
            life: subject.life,
            fields,
            purpose: purpose.clone(),
            recipient: recipient.as_str().to_owned(),
            made_by: *made_by,
            made: ctx.now,
            ends: Time::from_ms(ctx.now.as_ms() + i64::from(new.hours) * HOUR_MS),
            views_max: u64::from(new.views),
            views: 0,
            revoked: None,
            mac: [0; 32],
        };
        row.mac = desk.keyring.mac_row(SHARE_TABLE, &row.columns())?;
        let entry = Entry::new(ctx, EntryKind::Send, "share.make")
            .about(Subjects::One(subject.pseudonym))
            .of_fields(fields)
            .because(reason, "")
            .counting(1);
        let change = permission.grant.change(entry).guard(subject.alive);
        let change = change.making(row.id).write(store::insert_share(&row));
        match commit_or_retry(desk, change).await? {
            Attempt::Retry => {}
            Attempt::Done(receipt) => {
                let hex = data_encoding::HEXLOWER.encode(secret.as_slice());
                let secret = Zeroizing::new(format!("{PREFIX}{hex}"));
                return Ok(Shared { id: row.id, secret, ends: row.ends, receipt });
            }
        }
    }
    Err(changed_meanwhile())
}

/// Ends a share at once.
pub async fn revoke_share(desk: &Desk, ctx: &Ctx, id: &Id<Share>) -> Result<Receipt, Error> {
    let grant = access::permit(desk, ctx, Right::Send)?;
    let found = store::find_share(&mut desk.data.snapshot().await?, id).await?;
    let mut row = found.ok_or_else(Error::not_found)?;
    refuse_altered(desk, &row)?;
    let before = row.mac;
    row.revoked = Some(row.revoked.unwrap_or(ctx.now));
    row.mac = desk.keyring.mac_row(SHARE_TABLE, &row.columns())?;
    let statement = store::update_share(&row, &before);
    let entry = Entry::new(ctx, EntryKind::Send, "share.revoke")
        .about(Subjects::One(row.subject))
        .from_reserve();
    let guard = Guard::Rows { statement, expected: 1, miss: Miss::StateChanged };
    access::commit(desk, grant.change(entry).guard(guard)).await
}

/// Opens a share with the secret of its link. Whether it never was, is over, used up, revoked, or its
/// customer gone is not told apart: whoever holds a link learns nothing else.
pub async fn open_share(
    desk: &Desk,
    network: Option<IpAddr>,
    secret: &str,
) -> Result<OpenedShare, Error> {
    let bytes =
        secret.strip_prefix(PREFIX).map(|hex| data_encoding::HEXLOWER.decode(hex.as_bytes()));
    let Some(Ok(bytes)) = bytes else { return Err(no_share()) };
    let token = token(desk, &Zeroizing::new(bytes))?;
    for _ in 0..ATTEMPTS_MAX {
        let ctx =
            Ctx { network, ..Ctx::system("share.open", desk.now(), Arc::clone(&desk.random))? };
        let found = store::find_share_by_token(&mut desk.data.snapshot().await?, &token).await?;
        let row = found.ok_or_else(no_share)?;
        refuse_altered(desk, &row)?;
        match open(desk, &ctx, &row).await {
            // Somebody else opened it at the same moment, or a right changed: look again.
            Err(error) if error.code == "state_changed" || error.code == "changed_meanwhile" => {}
            Err(error) if DEAD.contains(&error.code) => return Err(no_share()),
            other => return other,
        }
    }
    Err(changed_meanwhile())
}

async fn open(desk: &Desk, ctx: &Ctx, row: &ShareRow) -> Result<OpenedShare, Error> {
    let authority = desk.rights.now()?;
    let applied = Arc::clone(authority.applied()?);
    // A key that was revoked was lost or stolen, and so was what it shared.
    let is_kept = authority.keys.get(&row.made_by).is_some_and(|key| key.revoked.is_none());
    let is_open = row.revoked.is_none() && row.views < row.views_max && ctx.now <= row.ends;
    if !is_kept || !is_open || !applied.policy.purposes().contains_key(row.purpose.as_str()) {
        return Err(no_share());
    }
    let mut next = row.clone();
    next.views += 1;
    next.mac = desk.keyring.mac_row(SHARE_TABLE, &next.columns())?;
    let place = PlaceName::parse(&row.recipient)?;
    let origin = row.id.to_string();
    let allow = |_: &Id<Customer>| {
        let grant = system_grant(ctx, row.fields.iter().collect())?;
        Ok(Allowance::System(grant, row.purpose.clone(), Arc::clone(&applied)))
    };
    let act = |now_as: &Pseudonym, fields: FieldSet, _: &BTreeMap<String, FieldValue>| {
        // Whoever made the link knew nothing of whom this customer was merged into since.
        if *now_as != row.subject {
            return Err(no_share());
        }
        let holding = NewHolding {
            place: &place,
            kind: PlaceKind::Vendor,
            whose: Whose::These(vec![row.subject]),
            fields,
            due: None,
            act: "share.open",
            origin: &origin,
        };
        let statement = store::update_share(&next, &row.mac);
        Ok(Release {
            entry: Entry::new(ctx, EntryKind::Send, "share.open")
                .for_purpose(&row.purpose)
                .under_policy(applied.version)
                .counting(1),
            guards: vec![
                Guard::Epoch(authority.epoch),
                Guard::NotAfter(row.ends),
                Guard::Rows { statement, expected: 1, miss: Miss::StateChanged },
            ],
            writes: places::hold(desk, ctx, &holding)?,
            life: Some(row.life),
        })
    };
    match vault::release(desk, ctx, &row.subject, allow, act).await? {
        Released::Gone => Err(no_share()),
        Released::Values { values, receipt, .. } => {
            let views_left = next.views_max - next.views;
            Ok(OpenedShare { values, views_left, ends: row.ends, receipt })
        }
    }
}

fn token(desk: &Desk, secret: &[u8]) -> Result<[u8; 32], Error> {
    desk.keyring.mac_row("share/token", secret)
}

fn refuse_altered(desk: &Desk, row: &ShareRow) -> Result<(), Error> {
    if desk.keyring.is_row_intact(SHARE_TABLE, &row.columns(), &row.mac)? {
        return Ok(());
    }
    let detail = "this share was altered in the database by other hands; nothing is shown";
    Err(Error::unavailable("tampered", detail))
}

fn no_share() -> Error {
    let detail = "this link shows nothing: it is over, used up, or was taken back; ask whoever sent \
                  it for a new one";
    Error::new(ErrorKind::NotFound, "no_share", detail)
}

fn changed_meanwhile() -> Error {
    let detail = "rights or the customer keep changing while this is done; try again";
    Error::unavailable("changed_meanwhile", detail).retry_after(1)
}

/// It is over by the clock of the commit, or the customer withdrew their consent.
const DEAD: [&str; 2] = ["consent_missing", "key_ended"];

/// Scanners for leaked secrets know the shape.
const PREFIX: &str = "sr_share_";

/// Thirty days: who needs it longer needs another way.
const HOURS_MAX: u32 = 720;

/// A link opened more often is a publication.
const VIEWS_MAX: u32 = 100;

const HOUR_MS: i64 = 3_600_000;

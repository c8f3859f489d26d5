//! Making an endpoint, and giving it another secret.

use strongroom_crypto::{Plain, SharedSecret};
use zeroize::Zeroizing;

use crate::access::{self, Attempt, Desk, commit_or_retry};
use crate::ctx::{Ctx, Entry, EntryKind, Guard, Miss, Receipt, Time};
use crate::error::Error;
use crate::id::{Id, Webhook};
use crate::policy::Right;
use crate::webhooks::model::{ENDPOINT_TABLE, EndpointRow, EndpointState, OldSecret};
use crate::webhooks::verbs::{ATTEMPTS_MAX, Among, becomes, changed_meanwhile};
use crate::webhooks::{rules, store};

/// Who is to be told of what.
pub struct NewEndpoint {
    /// Where, with `https://`.
    pub url: String,
    /// Which kinds of events; all where none is named.
    pub kinds: Vec<String>,
}

/// An endpoint that was made, or has another secret.
pub struct Made {
    /// Names it.
    pub id: Id<Webhook>,
    /// `whsec_…`; shown this once.
    pub secret: Zeroizing<String>,
    /// Until when the secret before it counts as well.
    pub old_ends: Option<Time>,
    /// Where it stands in the ledger.
    pub receipt: Receipt,
}

/// Makes an endpoint. It is told of what happens from now on.
pub async fn make(desk: &Desk, ctx: &Ctx, new: &NewEndpoint) -> Result<Made, Error> {
    for _ in 0..ATTEMPTS_MAX {
        let grant = access::permit(desk, ctx, Right::Keys)?;
        let address = rules::parse_url(&new.url)?;
        let kinds = rules::parse_kinds(&new.kinds)?;
        let look = |db: &mut _| Ok((store::read_endpoints(db)?.len(), store::newest_number(db)?));
        let (count, position) = desk.data.scan(look).await?;
        if i64::try_from(count).unwrap_or(i64::MAX) >= store::ENDPOINTS_MAX {
            let detail = "there are 16 webhooks; end one, or let one receiver pass events on";
            return Err(Error::conflict("too_many_webhooks", detail));
        }
        let id = ctx.new_id()?;
        let secret = SharedSecret::generate(ctx.rng.as_ref())?;
        let mut row = EndpointRow {
            id,
            url: address.as_str().to_owned(),
            kinds,
            secret: seal(desk, &id, &secret)?,
            old: None,
            made_by: ctx.actor.reference(),
            made: ctx.now,
            state: EndpointState::On,
            position,
            attempts: 0,
            next: ctx.now,
            failing: None,
            refused: None,
            code: String::new(),
            passed: 0,
            mac: [0; 32],
        };
        row.mac = desk.keyring.mac_row(ENDPOINT_TABLE, &row.columns())?;
        let entry = Entry::new(ctx, EntryKind::Send, "webhook.make").because(&id.to_string(), "");
        let (statement, miss) = (store::is_full(), Miss::StateChanged);
        let change = grant
            .change(entry)
            .guard(Guard::Rows { statement, expected: 0, miss })
            .making(id)
            .write(store::insert_endpoint(&row));
        if let Attempt::Done(receipt) = commit_or_retry(desk, change).await? {
            return Ok(Made { id, secret: rules::secret_text(&secret), old_ends: None, receipt });
        }
    }
    Err(changed_meanwhile())
}

/// Gives an endpoint another secret. For a day events carry a signature by each of the two, so that
/// the receiver can change its own at leisure.
pub async fn renew_secret(desk: &Desk, ctx: &Ctx, id: &Id<Webhook>) -> Result<Made, Error> {
    for _ in 0..ATTEMPTS_MAX {
        let grant = access::permit(desk, ctx, Right::Keys)?;
        let among = Among::find_intact(desk, id).await?;
        let secret = SharedSecret::generate(ctx.rng.as_ref())?;
        let mut row = among.row.clone();
        let ends = Time::from_ms(ctx.now.as_ms() + OLD_SECRET_MS);
        row.old = Some(OldSecret { sealed: std::mem::take(&mut row.secret), ends });
        row.secret = seal(desk, id, &secret)?;
        let entry = Entry::new(ctx, EntryKind::Send, "webhook.secret").because(&id.to_string(), "");
        let guard = becomes(desk, &among.row, &mut row, Miss::LifeChanged)?;
        let change = grant.change(entry).guard(guard).changing(id);
        if let Attempt::Done(receipt) = commit_or_retry(desk, change).await? {
            let secret = rules::secret_text(&secret);
            return Ok(Made { id: *id, secret, old_ends: Some(ends), receipt });
        }
    }
    Err(changed_meanwhile())
}

fn seal(desk: &Desk, id: &Id<Webhook>, secret: &SharedSecret) -> Result<Vec<u8>, Error> {
    desk.keyring.seal_text(id.as_bytes(), &Plain::copy_of(secret.expose()))
}

/// A day: time to change the receiver without a gap, and little for whoever stole the old one.
const OLD_SECRET_MS: i64 = 86_400_000;

//! What can be done with endpoints.

mod list;
mod make;
mod manage;

pub use list::{EndpointView, list};
pub use make::{Made, NewEndpoint, make, renew_secret};
pub use manage::{Replayed, Switch, end, replay, switch, switch_all_off};

use crate::access::Desk;
use crate::ctx::{Guard, Miss, Time};
use crate::db::Statement;
use crate::error::Error;
use crate::findings::{self, FindingKind};
use crate::id::{Id, Webhook};
use crate::webhooks::model::{ENDPOINT_TABLE, EndpointRow, EndpointState};
use crate::webhooks::store;

/// An endpoint and all others.
pub(in crate::webhooks) struct Among {
    pub(in crate::webhooks) row: EndpointRow,
    others: Vec<EndpointRow>,
}

impl Among {
    /// None where there is no such endpoint.
    pub(in crate::webhooks) async fn find(
        desk: &Desk,
        id: &Id<Webhook>,
    ) -> Result<Option<Self>, Error> {
        let rows = store::list_endpoints(&mut desk.data.snapshot().await?).await?;
        let (mine, others): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.id == *id);
        Ok(mine.into_iter().next().map(|row| Self { row, others }))
    }

    async fn find_intact(desk: &Desk, id: &Id<Webhook>) -> Result<Self, Error> {
        let found = Self::find(desk, id).await?.ok_or_else(Error::not_found)?;
        if is_intact(desk, &found.row)? {
            return Ok(found);
        }
        let detail = "this webhook was altered in the database by other hands, so nothing is sent to \
                      it; end it, make it anew, and find out who can write to the database";
        Err(Error::unavailable("tampered", detail))
    }

    /// Ends findings that are true of no endpoint, once this one is as it is from now on.
    pub(in crate::webhooks) fn settled(
        &self,
        after: Option<&EndpointRow>,
        now: Time,
    ) -> Vec<Statement> {
        let ends = |Told { kind, is_so }: Told| {
            let still = after.into_iter().chain(&self.others).any(|row| is_so(row, now));
            (is_so(&self.row, now) && !still).then(|| findings::close(kind))
        };
        TOLD.into_iter().filter_map(ends).collect()
    }
}

/// Whether a row is as it was written here.
pub(in crate::webhooks) fn is_intact(desk: &Desk, row: &EndpointRow) -> Result<bool, Error> {
    desk.keyring.is_row_intact(ENDPOINT_TABLE, &row.columns(), &row.mac)
}

/// The row becomes another if it is as it was read.
pub(in crate::webhooks) fn becomes(
    desk: &Desk,
    before: &EndpointRow,
    after: &mut EndpointRow,
    miss: Miss,
) -> Result<Guard, Error> {
    after.mac = desk.keyring.mac_row(ENDPOINT_TABLE, &after.columns())?;
    let statement = store::update_endpoint(after, &before.mac);
    Ok(Guard::Rows { statement, expected: 1, miss })
}

fn changed_meanwhile() -> Error {
    let detail = "rights or the webhook keep changing while this is done; try again";
    Error::unavailable("changed_meanwhile", detail).retry_after(1)
}

/// What a person is told of, and of which endpoints it is true.
struct Told {
    kind: FindingKind,
    is_so: fn(&EndpointRow, Time) -> bool,
}

const TOLD: [Told; 3] = [
    Told { kind: FindingKind::WebhookFailing, is_so: EndpointRow::fails_at },
    Told { kind: FindingKind::WebhookGone, is_so: |row, _| row.state == EndpointState::Gone },
    Told { kind: FindingKind::WebhookPassed, is_so: |row, _| row.passed > 0 },
];

/// An act is decided once more when what it rests on moves; after so many times it is busy.
pub(in crate::webhooks) const ATTEMPTS_MAX: usize = 5;

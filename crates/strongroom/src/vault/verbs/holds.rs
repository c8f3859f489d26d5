//! Placing a legal hold on a customer who is there.

use crate::access::{self, Desk};
use crate::ctx::{Ctx, Receipt};
use crate::error::Error;
use crate::id::{Customer, Id};
use crate::policy::Right;
use crate::vault::store;

/// Places a hold. A mistyped id would be a hold that holds nobody, seen only once the customer is
/// gone. The row is enough: who cannot be opened may be held all the same.
pub async fn place_hold(
    desk: &Desk,
    ctx: &Ctx,
    id: Id<Customer>,
    reason: &str,
) -> Result<Receipt, Error> {
    access::permit(desk, ctx, Right::Policy)?;
    let known = {
        let mut data = desk.data.snapshot().await?;
        store::find_row(&mut data, &id).await?.is_some()
    };
    if known {
        return access::place_hold(desk, ctx, id, reason).await;
    }
    Err(Error::not_found().leaving_entry())
}

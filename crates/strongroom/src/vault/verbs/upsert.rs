//! Keeping a customer in step by the caller's own reference.

use crate::access::Desk;
use crate::ctx::Ctx;
use crate::error::Error;
use crate::vault::model::Reference;
use crate::vault::verbs::create::{Created, NewCustomer, REFERENCE_TAKEN, create_with};
use crate::vault::verbs::patch::{Patched, patch_by_reference};
use crate::vault::verbs::{ATTEMPTS_MAX, changed_meanwhile};

/// What an upsert came to.
pub enum Upserted {
    /// There was none.
    Created(Created),
    /// There was one.
    Patched(Patched),
}

/// Makes a customer under the caller's own reference, or changes the one who has it.
pub async fn upsert(
    desk: &Desk,
    ctx: &Ctx,
    reference: &Reference,
    input: &NewCustomer,
) -> Result<Upserted, Error> {
    for _ in 0..ATTEMPTS_MAX {
        if let Some(patched) = patch_by_reference(desk, ctx, reference, input).await? {
            return Ok(Upserted::Patched(patched));
        }
        match create_with(desk, ctx, input, Some(reference)).await {
            Ok(created) => return Ok(Upserted::Created(created)),
            // Another upsert of the same reference won: there is one to change now.
            Err(error) if error.code == REFERENCE_TAKEN => {}
            Err(error) => return Err(error),
        }
    }
    Err(changed_meanwhile())
}

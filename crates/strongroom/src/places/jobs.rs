//! Periodic work: data that should be gone from somewhere and is not becomes a finding.

use crate::access::{Desk, raise_finding};
use crate::ctx::Ctx;
use crate::error::Error;
use crate::findings::{Finding, FindingKind};
use crate::places::store;

/// Raises a finding while holdings are past their due date.
pub async fn tell_overdue(desk: &Desk, ctx: &Ctx) -> Result<(), Error> {
    let overdue = {
        let mut data = desk.data.snapshot().await?;
        store::count_overdue(&mut data, ctx.now).await?
    };
    if overdue == 0 {
        return Ok(());
    }
    let detail = format!(
        "{overdue} copies of customers' data should be gone by now and are not: a stolen laptop or \
         an old file would still give them away. `strongroom places list` shows where; destroy the \
         copy, then `strongroom places close` with what shows it"
    );
    let finding = Finding { kind: FindingKind::HoldingOverdue, detail, customer: None };
    raise_finding(desk, ctx, "places.overdue", &finding).await
}

//! Finding customers by the beginnings of words. What is typed is never kept.

use std::sync::Arc;

use serde_json::Value;

use crate::access::{Attempt, Desk, Permission};
use crate::ctx::Ctx;
use crate::error::{Error, FieldProblem};
use crate::keys::Permit;
use crate::vault::jobs::whole_by_now;
use crate::vault::model::CustomerState;
use crate::vault::rules::{self, Typed};
use crate::vault::verbs::find::{FOUND_MAX, Match, set_down};
use crate::vault::verbs::open::{Opened, Which, open_page};
use crate::vault::verbs::read::open_values;

/// Customers who have every word that was typed; `None` to decide once more.
pub(super) async fn find_by_words(
    desk: &Arc<Desk>,
    ctx: &Ctx,
    permission: Permission,
    (name, number): (&str, u8),
    typed: &Value,
) -> Result<Option<Match>, Error> {
    let typed = typed.as_str().and_then(Typed::parse).ok_or_else(|| not_words(name))?;
    whole_by_now(desk, ctx, &permission.applied).await?;
    let candidates = desk.keyring.words().find(number, &typed.beginnings())?;
    let (own, whose) = (Arc::clone(desk), ctx.clone());
    let opening = move || async move {
        let found = compare(&own, &whose, &permission, &typed, number, &candidates).await?;
        Ok((permission, found))
    };
    let (permission, (mut found, is_cut)) = desk.data.apart(opening).await?;
    let more = is_cut || found.len() > FOUND_MAX;
    found.truncate(FOUND_MAX);
    match set_down(desk, ctx, permission, number, &found).await? {
        Attempt::Retry => Ok(None),
        Attempt::Done(receipt) => {
            let customers = found.iter().map(|opened| opened.row.id).collect();
            Ok(Some(Match { customers, more, receipt }))
        }
    }
}

/// Opens candidates until there are more than are answered; whether some were left unopened.
async fn compare(
    desk: &Desk,
    ctx: &Ctx,
    permission: &Permission,
    typed: &Typed,
    field: u8,
    candidates: &[i64],
) -> Result<(Vec<Opened>, bool), Error> {
    let purpose = permission.grant.purpose();
    let mut found = Vec::new();
    let (looked_at, left) = candidates.split_at(candidates.len().min(CANDIDATES_MAX));
    for page in looked_at.chunks(PAGE_ROWS) {
        let which: Vec<Which<'_>> = page.iter().map(|key| Which::Key(*key)).collect();
        for opened in open_page(desk, ctx, &which).await? {
            let Some(opened) = opened? else { continue };
            let may_be_found = opened.row.state == CustomerState::Active
                && rules::has_consented(&permission.applied, &opened.core, purpose);
            if may_be_found && has_words(permission, &opened, typed, field)? {
                found.push(opened);
            }
        }
        if found.len() > FOUND_MAX {
            break;
        }
    }
    Ok((found, !left.is_empty()))
}

fn has_words(
    permission: &Permission,
    opened: &Opened,
    typed: &Typed,
    field: u8,
) -> Result<bool, Error> {
    let values = open_values(Permit::Grant(&permission.grant), opened, &[field])?;
    Ok(values.iter().any(|(_, value)| typed.is_in(&value.expose_words())))
}

fn not_words(field: &str) -> Error {
    let detail =
        "type the beginning of one or more words, 3 letters or more in all and one word of at \
                  least 2, at most 8 words and 200 characters"
            .to_owned();
    let (field, code) = (field.to_owned(), "not_words");
    Error::unprocessable("fields_refused", "this cannot be looked up")
        .with_fields(vec![FieldProblem { field, code, detail }])
}

/// Some more than are answered: most candidates are found.
const PAGE_ROWS: usize = 25;

/// Where most candidates are not found, as for a purpose few have consented to, a search opens so many
/// and says that there may be more.
const CANDIDATES_MAX: usize = 500;

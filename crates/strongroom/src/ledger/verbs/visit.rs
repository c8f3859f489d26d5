//! Going over the whole log, whoever acted.

use crate::ctx::Pseudonym;
use crate::db::Connection;
use crate::error::Error;
use crate::keys::Keyring;
use crate::ledger::model::{Leaf, LeafSubjects};
use crate::ledger::{Placed, open_set, rules, store};

/// Every entry that is wanted, oldest first, with the subjects it touched. An entry that cannot be read,
/// or whose subjects cannot, is left out: `verify` names it.
pub fn visit(
    db: &mut Connection,
    keyring: &Keyring,
    wanted: impl Fn(&Leaf) -> bool,
    mut visit: impl FnMut(Placed, Vec<Pseudonym>),
) -> Result<(), Error> {
    let size = store::size(db)?;
    for run in 0..size.div_ceil(rules::RUN_SIZE) {
        let first = run * rules::RUN_SIZE;
        for stored in store::read_entries(db, first, rules::RUN_SIZE.min(size - first))? {
            let Ok(leaf) = Leaf::decode(&stored.leaf) else { continue };
            if !wanted(&leaf) {
                continue;
            }
            let index = stored.index;
            let subjects = match leaf.subjects {
                LeafSubjects::None => Vec::new(),
                LeafSubjects::One(one) => vec![one],
                LeafSubjects::Set { .. } => open_set(db, keyring, index).unwrap_or_default(),
            };
            visit(Placed { index, leaf }, subjects);
        }
    }
    Ok(())
}

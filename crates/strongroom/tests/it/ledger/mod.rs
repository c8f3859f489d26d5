//! The log: nothing in it can be changed unseen, and it names nobody.

pub(crate) mod export;
mod personal;
mod receipts;
mod scope;
mod tiles;
mod verify;

use axum::http::HeaderMap;
use strongroom_tlog::{Frontier, Hash, leaf_hash};

use crate::support::Shop;

/// A receipt as a client keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) index: u64,
    pub(crate) size: u64,
    pub(crate) root: String,
    pub(crate) signature: String,
}

impl Held {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let text = headers["strongroom-receipt"].to_str().unwrap();
        let part = |name: &str| {
            let mut parts = text.split(", ").filter_map(|part| part.split_once('='));
            parts.find(|(known, _)| *known == name).unwrap().1.to_owned()
        };
        Self {
            index: part("index").parse().unwrap(),
            size: part("size").parse().unwrap(),
            root: part("root"),
            signature: part("signature"),
        }
    }
}

/// Every entry as it stands in the database.
pub(crate) fn leaves(shop: &Shop) -> Vec<Vec<u8>> {
    shop.data().column("SELECT leaf FROM ledger_entry ORDER BY idx")
}

/// The roots at every size, worked out from the entries alone: the one at size n stands at n - 1.
pub(crate) fn roots(shop: &Shop) -> Vec<Hash> {
    let mut tree = Frontier::new();
    let mut completed = Vec::new();
    let mut roots = Vec::new();
    for leaf in leaves(shop) {
        tree.append(leaf_hash(&leaf), &mut completed);
        roots.push(tree.root());
    }
    roots
}

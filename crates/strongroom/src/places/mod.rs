//! Places where customers' data is, and holdings: which customers' which fields are at which place,
//! since when, until when at the latest, and by which act they came there.
//!
//! Every act that puts data somewhere writes a holding in its own change ([`hold`]). A holding names
//! nobody: it keeps pseudonyms, sealed, and once a customer is erased theirs leads nowhere. What must
//! never happen here: a customer's id or value in a plain column, an altered row passed over in
//! silence, a holding closed without evidence.

mod api;
mod jobs;
mod model;
mod store;
#[cfg(test)]
mod tests;
mod verbs;

pub use api::routes;
pub use jobs::tell_overdue;
pub use model::{
    Closing, HOLDING_SET_MAX, Held, HeldOf, NewHolding, PlaceKind, PlaceName, PlaceRow, Whose,
};
pub use verbs::{
    Holdings, close, gone, hold, list, list_holdings, open, refuse_one_too_many, visit_held,
};

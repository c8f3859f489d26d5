//! Whether a customer's rows are those that the log says were written last.

use crate::ctx::Written;
use crate::vault::model::{CustomerRow, CustomerState};

/// What the newest entries say of one customer's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::vault) struct Said {
    /// The entry that wrote them last.
    pub(in crate::vault) index: u64,
    /// What it says they are.
    pub(in crate::vault) rows: SaidRows,
    /// Whether it stands in an incarnation from before a restore, which may have sealed them anew.
    pub(in crate::vault) is_before_restore: bool,
    /// Whether the due day was set anew since, which changes the row's MAC and nothing sealed.
    pub(in crate::vault) is_due_anew: bool,
}

/// What an entry says of the rows it wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::vault) enum SaidRows {
    /// Made by an import: the first version, and nothing more.
    First,
    /// Hash and MAC of who stays of two; who goes is hidden.
    Merged(Written),
    /// Hash and MAC; the hash covers core and compartments alone.
    Whole(Written),
    /// Hash and MAC; the hash covers records too, which are not read here.
    WithRecords(Written),
}

/// A customer's rows, as far as the log speaks of them.
#[derive(Debug, Clone)]
pub(in crate::vault) struct Stands {
    pub(in crate::vault) row: CustomerRow,
    /// Over what was sealed with the newest version: compartments in order, then the core.
    pub(in crate::vault) sealed_hash: [u8; 32],
    pub(in crate::vault) is_merged_away: bool,
}

/// Whether rows and log fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::vault) enum Verdict {
    Differs,
    Fits,
    /// Nothing says what the rows should be. Never taken for either of the others.
    Unknown,
}

/// Holds rows against what was said of them last.
///
/// The core names its own version and those of all that is sealed beside it, and opened under its key;
/// so where the row's MAC is the one that was written, everything is.
pub(in crate::vault) fn compare(stands: &Stands, said: Option<&Said>) -> Verdict {
    let Some(said) = said else { return Verdict::Unknown };
    let row = &stands.row;
    let fits = match said.rows {
        SaidRows::First => {
            Some((row.version, row.life, row.state) == (1, 1, CustomerState::Active))
        }
        SaidRows::Merged(_) if stands.is_merged_away => {
            Some(row.state == CustomerState::Restricted)
        }
        SaidRows::Merged(written) | SaidRows::WithRecords(written) => {
            let is_same = row.mac == written.row_mac;
            (is_same || !said.is_due_anew).then_some(is_same)
        }
        SaidRows::Whole(written) => {
            let is_same = row.mac == written.row_mac || said.is_due_anew;
            Some(is_same && stands.sealed_hash == written.sealed_hash)
        }
    };
    match fits {
        Some(true) => Verdict::Fits,
        Some(false) if !said.is_before_restore => Verdict::Differs,
        _ => Verdict::Unknown,
    }
}

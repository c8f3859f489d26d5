//! What a witness is shown, and what it said.

use std::sync::{Arc, PoisonError};

use strongroom_tlog::{Hash, consistency_proof, needed_for_consistency};

use crate::db::Database;
use crate::error::Error;
use crate::ledger::{Published, altered, store};

/// A checkpoint that a witness cosigned.
#[derive(Debug, Clone)]
pub struct Cosigned {
    /// How many entries it covers.
    pub size: u64,
    /// The note, with the line of the log and that of the witness.
    pub checkpoint: Arc<str>,
    /// The key of the witness, as C2SP verifiers take it.
    pub witness_key: Arc<str>,
}

impl Published {
    /// The newest checkpoint a witness cosigned, if any did.
    pub fn cosigned(&self) -> Option<Cosigned> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).cosigned.clone()
    }

    /// A witness is to cosign, and so the log is handed over to another key only when it did.
    pub fn expect_witness(&self) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).is_watched = true;
    }

    /// Whether a witness is to cosign.
    pub fn expects_witness(&self) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).is_watched
    }

    /// A witness cosigned this.
    pub fn set_cosigned(&self, cosigned: Cosigned) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).cosigned = Some(cosigned);
    }
}

/// The proof that the log of size `new` continues that of size `old`.
pub async fn prove_growth(data: &Database, old: u64, new: u64) -> Result<Vec<Hash>, Error> {
    data.scan(move |db| {
        let hashes = store::load_hashes(db, &needed_for_consistency(old, new))?;
        consistency_proof(old, new, &hashes)
            .map_err(|_| altered("a hash that the proof needs is not there"))
    })
    .await
}

//! What is sealed beside customers' own records: sets of pseudonyms, holdings, the words of a mailing.

use strongroom_crypto::Plain;

use crate::error::Error;
use crate::keys::{Keyring, rules};

impl Keyring {
    /// Seals a set of pseudonyms that stands beside a ledger entry.
    pub fn seal_set(&self, entry: u64, set: &Plain) -> Result<Vec<u8>, Error> {
        let aad = self.set_binding(entry);
        Ok(strongroom_crypto::wrap(&self.keys()?.sets, self.random.as_ref(), &aad, set)?)
    }

    /// Opens such a set.
    pub fn open_set(&self, entry: u64, sealed: &[u8]) -> Result<Plain, Error> {
        Ok(strongroom_crypto::unwrap_key(&self.keys()?.sets, &self.set_binding(entry), sealed)?)
    }

    /// Seals the pseudonyms of a holding for exactly this holding at this place.
    pub fn seal_holding(
        &self,
        holding: &[u8; 16],
        place: &str,
        set: &Plain,
    ) -> Result<Vec<u8>, Error> {
        let aad = rules::holding_binding(&self.installation, holding, place);
        Ok(strongroom_crypto::wrap(&self.keys()?.sets, self.random.as_ref(), &aad, set)?)
    }

    /// Opens such a set.
    pub fn open_holding(
        &self,
        holding: &[u8; 16],
        place: &str,
        sealed: &[u8],
    ) -> Result<Plain, Error> {
        let aad = rules::holding_binding(&self.installation, holding, place);
        Ok(strongroom_crypto::unwrap_key(&self.keys()?.sets, &aad, sealed)?)
    }

    /// Seals a text that belongs to one row of ours and to no one customer: the words of a mailing.
    pub fn seal_text(&self, row: &[u8; 16], text: &Plain) -> Result<Vec<u8>, Error> {
        let aad = rules::text_binding(&self.installation, row);
        Ok(strongroom_crypto::wrap(&self.keys()?.sets, self.random.as_ref(), &aad, text)?)
    }

    /// Opens such a text.
    pub fn open_text(&self, row: &[u8; 16], sealed: &[u8]) -> Result<Plain, Error> {
        let aad = rules::text_binding(&self.installation, row);
        Ok(strongroom_crypto::unwrap_key(&self.keys()?.sets, &aad, sealed)?)
    }
}

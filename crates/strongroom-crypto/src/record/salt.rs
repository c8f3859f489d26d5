//! The salt of a record, hedged: the reason why no key and nonce ever meet two texts.

use super::header::{Header, SALT_SIZE_BYTES};
use crate::{CryptoError, Random, SecretKey, random_array};

/// A PRF, under a key from the data key, over 32 random bytes ‖ header without salt ‖ padded cells.
///
/// With a good random source the salt is new each time. With a constant one, on a cloned machine or
/// with two writers of one version it still differs as soon as a text differs; if nothing differs,
/// the whole record is the same, and an onlooker learns only that. The salt is public; what it says
/// about the texts is hidden by the key.
///
/// The parts are written one after another. INVARIANT: that is injective, as the random part has
/// one size, the header's items say where they end, and so does each padded cell.
pub(super) fn hedged_salt(
    dek: &SecretKey,
    random: &dyn Random,
    header: &Header<'_>,
    padded_cells: &[u8],
) -> Result<[u8; SALT_SIZE_BYTES], CryptoError> {
    let fresh: [u8; 32] = random_array(random)?;
    let header = header.encode_without_salt();
    let tag =
        dek.derive(KEY_LABEL, &[]).mac_parts(LABEL, &[&fresh, header.as_bytes(), padded_cells]);
    Ok(tag.0)
}

const KEY_LABEL: &str = "strongroom/record-salt-key";

const LABEL: &str = "strongroom/record-salt";

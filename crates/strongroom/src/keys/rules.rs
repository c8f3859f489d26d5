//! What each wrapped key and MAC is bound to.

use strongroom_crypto::Encoder;

use crate::keys::model::KeyBinding;

/// The name of the log until a restore opens another one.
pub(super) fn first_origin(installation: &[u8; 16]) -> String {
    format!("strongroom/{}/1", data_encoding::HEXLOWER.encode(installation))
}

/// Associated data of a wrapped data key: it unwraps only for this customer and compartment.
pub(super) fn dek_binding(binding: &KeyBinding, kek_version: u32) -> Vec<u8> {
    let mut encoder = Encoder::new("strongroom/dek/v1");
    encoder.bytes(&binding.installation);
    encoder.bytes(&binding.customer);
    encoder.bytes(&binding.compartment);
    encoder.bytes(&binding.dek);
    encoder.u32(kek_version);
    encoder.finish()
}

/// Associated data of a key of the installation: it unwraps only under its own name.
pub(super) fn name_binding(installation: &[u8; 16], name: &str) -> Vec<u8> {
    let mut encoder = Encoder::new("strongroom/key/v1");
    encoder.bytes(installation);
    encoder.text(name);
    encoder.finish()
}

/// What a row MAC covers.
pub(super) fn row_message(table: &str, columns: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder::new("strongroom/row/v1");
    encoder.text(table);
    encoder.bytes(columns);
    encoder.finish()
}

/// What an index hash covers: the same e-mail gives different hashes in different fields.
pub(super) fn index_message(field: u8, normalised: &str) -> Vec<u8> {
    let mut encoder = Encoder::new("strongroom/index/v1");
    encoder.u8(field);
    encoder.text(normalised);
    encoder.finish()
}

/// Associated data of a holding's set: it opens only as this holding, at the place it was written for.
pub(super) fn holding_binding(installation: &[u8; 16], holding: &[u8; 16], place: &str) -> Vec<u8> {
    let mut encoder = Encoder::new("strongroom/holding/v1");
    encoder.bytes(installation);
    encoder.bytes(holding);
    encoder.text(place);
    encoder.finish()
}

/// Associated data of a sealed text: it opens only beside its own row.
pub(super) fn text_binding(installation: &[u8; 16], row: &[u8; 16]) -> Vec<u8> {
    let mut encoder = Encoder::new("strongroom/text/v1");
    encoder.bytes(installation);
    encoder.bytes(row);
    encoder.finish()
}

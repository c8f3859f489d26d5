//! The files of a witness, and the newest cosigned note of a server.

mod kept;
mod key_file;
mod record;

pub(super) use kept::{keep, read_kept};
pub(super) use key_file::{create as create_key, read as read_key};
pub(super) use record::{Record, create as create_record, open as open_record_file};

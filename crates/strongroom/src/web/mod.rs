//! HTTP, for every room alike: how a request comes in, is bounded, and how a failure is told.
//!
//! This module knows no room and no route. Whatever a caller sent and cannot be used is described by
//! place and kind, never repeated: what people mistype are passwords and customers' names. Handlers
//! take [`Body`], [`Paging`], [`BearerToken`] and [`Call`], and fail with [`crate::error::Error`];
//! [`wrap`] turns each failure into one problem, one log line and one request id.

mod ask;
mod bearer;
mod body;
mod challenge;
mod directory;
mod front;
mod host;
mod layer;
mod metrics;
mod page;
mod post;
mod problem;
mod receipt;
mod repeat;
mod serve;
mod socket;
mod stream;
mod tls;

#[cfg(test)]
mod tests;

pub use ask::{AskAddress, Asker, Told};
pub use bearer::BearerToken;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) use bearer::of_header as bearer_of;
pub use body::{
    BODY_DEPTH_MAX, BODY_SIZE_BYTES_MAX, Body, CHUNK_SIZE_BYTES_MAX, read as read_body,
};
pub use challenge::{Challenges, serve_challenges};
pub use directory::Directory;
pub use front::Front;
pub use host::HostName;
pub use layer::{Call, REQUEST_TIME_MS_MAX, wrap};
pub use metrics::{Numbers, metrics_router, serve_metrics};
#[cfg(any(test, feature = "fuzz"))]
pub(crate) use page::read as read_paging;
pub use page::{CURSOR_SIZE_BYTES_MAX, Cursor, PAGE_ITEMS_MAX, Page, Paging};
pub use post::{Posted, Poster, Reach, is_private_number, trusted_by};
pub use problem::{Problem, ProblemField, status_of};
pub use receipt::{RECEIPT_HEADER, Receipted};
pub use repeat::{REPEATED_HEADER, Repetition};
pub use serve::{CONNECTIONS_MAX, Listen, Peer, Secure, serve, serve_few};
pub use stream::{Pieces, streamed};
pub use tls::{Life, Tls, life_of, names_of, read_tls};

//! Answers that are longer than memory: made piece by piece while they are sent.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::Frame;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use zeroize::Zeroizing;

use crate::error::Error;

/// Where the pieces of an answer are put; a caller who went away makes putting fail.
pub struct Pieces(Sender<Result<Bytes, Error>>);

impl Pieces {
    /// Waits until the one before was taken, so that memory holds two. False once nobody reads.
    pub async fn put(&self, piece: Zeroizing<Vec<u8>>) -> bool {
        self.0.send(Ok(Bytes::from_owner(piece))).await.is_ok()
    }

    /// Breaks the answer off, so that nobody takes it for whole.
    pub async fn break_off(self, error: Error) {
        let _ = self.0.send(Err(error)).await;
    }
}

/// An answer and where its pieces are put.
pub fn streamed() -> (Pieces, Body) {
    let (sender, receiver) = channel(PIECES_WAITING_MAX);
    (Pieces(sender), Body::new(Streamed(receiver)))
}

struct Streamed(Receiver<Result<Bytes, Error>>);

impl HttpBody for Streamed {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}

/// One on its way while the next is made.
const PIECES_WAITING_MAX: usize = 1;

//! The header that says where an act stands in the ledger.

use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};

use crate::ctx::Receipt;

/// An answer with its receipt: nothing is answered without one.
pub struct Receipted<T>(pub Receipt, pub T);

impl<T: IntoResponse> IntoResponse for Receipted<T> {
    fn into_response(self) -> Response {
        let Self(receipt, answer) = self;
        let mut response = answer.into_response();
        if let Ok(value) = HeaderValue::from_str(&header_text(&receipt)) {
            response.headers_mut().insert(HeaderName::from_static(RECEIPT_HEADER), value);
        }
        response
    }
}

/// `index=…, size=…, root=…, signature=…`: what a client keeps to see that the log only grows. The
/// signature is the one of the checkpoint's note; origin, size and root make its text again.
fn header_text(receipt: &Receipt) -> String {
    let root = data_encoding::BASE64.encode(&receipt.root);
    let signature = receipt.checkpoint.lines().last().and_then(|line| line.rsplit(' ').next());
    format!(
        "index={}, size={}, root={root}, signature={}",
        receipt.index,
        receipt.size,
        signature.unwrap_or_default()
    )
}

/// On every answer to an API key.
pub const RECEIPT_HEADER: &str = "strongroom-receipt";

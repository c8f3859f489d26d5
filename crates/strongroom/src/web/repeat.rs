//! A call that was sent again: what a room needs to build its answer once more.

use axum::http::StatusCode;

/// A call that was done, and is asked for again word for word.
pub struct Repetition<'a> {
    /// Its method.
    pub method: &'a str,
    /// The template of its route.
    pub route: &'a str,
    /// What stands for `{id}` in its address; empty where the route has none.
    pub id: &'a str,
    /// What the change named as made or changed; empty where it named nothing.
    pub resource: &'a str,
    /// The status it was answered with.
    pub status: StatusCode,
}

impl Repetition<'_> {
    /// `POST /v1/customers`, to choose by.
    pub fn name(&self) -> String {
        format!("{} {}", self.method, self.route)
    }
}

/// On an answer that was built again: nothing was done this time.
pub const REPEATED_HEADER: &str = "strongroom-repeated";

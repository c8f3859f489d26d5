//! What must hold at the doors: races, nothing personal anywhere, who may what, bad input.

mod bad_input;
mod behalf;
mod canary;
mod keys;
mod matrix;
mod openapi;
mod overtaking;
pub(crate) mod races;

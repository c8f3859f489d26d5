//! What must hold at the doors: races, nothing personal anywhere, who may what, bad input.

mod canary;
mod matrix;
mod overtaking;
mod races;

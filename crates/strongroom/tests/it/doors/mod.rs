//! What must hold at the doors: races, nothing personal anywhere, who may what, bad input.

mod matrix;
mod overtaking;
mod races;

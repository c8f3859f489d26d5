//! What a crash and a failing disk may not do.

pub(crate) mod disk;
mod kill;
mod merge;
mod rotations;
mod space;
mod steps;
mod storm;

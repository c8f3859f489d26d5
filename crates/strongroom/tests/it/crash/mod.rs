//! What a crash and a failing disk may not do.

mod disk;
mod kill;
mod merge;

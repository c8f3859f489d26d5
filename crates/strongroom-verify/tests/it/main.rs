//! The verifier, against logs that the writer's own code made, and against everything that is not one.

#![cfg(test)]

mod command;
mod folders;
mod garbage;
mod handover;
mod made;
mod proofs;

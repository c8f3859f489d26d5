//! What a log, its proofs and its notes promise, through the public door only.

#[cfg(test)]
mod bundle;
#[cfg(test)]
mod checkpoint;
#[cfg(test)]
mod cosignature;
#[cfg(test)]
mod go;
#[cfg(test)]
mod log;
#[cfg(test)]
mod naive;
#[cfg(test)]
mod note;
#[cfg(test)]
mod proof;
#[cfg(test)]
mod tile;
#[cfg(test)]
mod tree;
#[cfg(test)]
mod verify;
#[cfg(test)]
mod witness;

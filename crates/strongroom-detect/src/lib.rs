//! Recognises and checks personal data in text.
//!
//! Everything here is a pure function of its arguments: no files, no network, no clock. Nothing
//! here repeats what it was given: errors are words without the value, hits are positions without
//! the digits.

#![forbid(unsafe_code)]

pub mod card;
pub mod country;
pub mod email;
pub mod iban;
pub mod phone;
pub mod text;

mod brand;
mod calling;
mod characters;

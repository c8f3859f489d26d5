//! How far a rotation of the wrapping key is.

use crate::ctx::Time;

/// A rotation of the wrapping key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// Names it.
    pub id: [u8; 16],
    /// The version that wraps from now on.
    pub kek_version: u32,
    /// The place of the customer whose keys were put under it last; none before the first of a pass.
    pub position: Option<i64>,
    /// How often all customers were gone over.
    pub passes: u32,
    /// Data keys that were put under it.
    pub rewrapped: u64,
    /// Data keys still under an older one after the last pass.
    pub left_over: u64,
    /// When it began.
    pub begun: Time,
    /// When the older wrapping keys were destroyed.
    pub ended: Option<Time>,
}

/// A data key and where it belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// The customer.
    pub customer: [u8; 16],
    /// The compartment; all zero for the core.
    pub compartment: [u8; 16],
    /// The key.
    pub dek: [u8; 16],
}

//! The log: segments with other bytes.

use crate::reseal::Kind;
use crate::{Target, damage};

/// This target.
pub const TARGET: Target = Target { name: "segment", heap_mib_max: 64, check };

fn check(bytes: &[u8]) {
    damage::check(Kind::Segment, "log", bytes);
}

//! Indexes of segments with other bytes: they are made again from the log.

use crate::reseal::Kind;
use crate::{Target, damage};

/// This target.
pub const TARGET: Target = Target { name: "index", heap_mib_max: 64, check };

fn check(bytes: &[u8]) {
    damage::check(Kind::Index, "idx", bytes);
}

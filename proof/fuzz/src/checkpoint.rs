//! Checkpoints with other bytes: the one before them, or the log alone, serves.

use crate::reseal::Kind;
use crate::{Target, damage};

/// This target.
pub const TARGET: Target = Target { name: "checkpoint", heap_mib_max: 64, check };

fn check(bytes: &[u8]) {
    damage::check(Kind::Checkpoint, "ckpt", bytes);
}

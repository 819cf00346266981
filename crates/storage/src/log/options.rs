//! Settings of the log engine.

use std::time::Duration;

use crate::StoreError;

use super::format::FRAMES_START;

/// Smallest segment, bytes.
const SEGMENT_BYTES_MIN: u64 = 16 << 10;
/// Largest segment, bytes: positions have 32 bits.
const SEGMENT_BYTES_MAX: u64 = 2 << 30;

/// Settings of a [`crate::LogStore`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogOptions {
    /// Size of a segment file. A batch has to fit into one, so smaller than a few times
    /// [`crate::PAYLOAD_BYTES_MAX`] is for tests only. Fixed when the data folder is made; a
    /// folder keeps the size it was made with.
    pub segment_bytes: u64,
    /// Log files of removed segments kept for another life.
    pub recycled_files_max: usize,
    /// Bytes that may wait for a sync before appends are held off.
    pub unsynced_bytes_max: u64,
    /// Log room that appends leave to other batches when the disk is full.
    pub reserve_bytes: u64,
    /// Free space left on the disk for checkpoints and indexes: no segment is added beyond it.
    pub free_bytes_min: u64,
    /// Least time between two syncs. Zero, the default, syncs as soon as something waits and the
    /// last sync has returned; more trades latency for fewer device operations.
    pub min_sync_interval: Duration,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            segment_bytes: 128 << 20,
            recycled_files_max: 2,
            unsynced_bytes_max: 32 << 20,
            reserve_bytes: 32 << 20,
            free_bytes_min: 256 << 20,
            min_sync_interval: Duration::ZERO,
        }
    }
}

/// Whether a segment may have this size, bytes.
pub(super) fn is_segment_size(bytes: u64) -> bool {
    (SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&bytes) && bytes.is_multiple_of(FRAMES_START)
}

impl LogOptions {
    pub(super) fn validate(&self) -> Result<(), StoreError> {
        let invalid = |what: &str| Err(StoreError::Invalid(what.to_owned()));
        if !is_segment_size(self.segment_bytes) {
            return invalid("segment_bytes is out of range or no multiple of 4096");
        }
        if self.reserve_bytes > self.segment_bytes / 2 {
            return invalid("reserve_bytes is more than half a segment");
        }
        Ok(())
    }
}

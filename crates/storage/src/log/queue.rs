//! Batches that wait for the committer, and the room they may count on.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::disk::DiskFile;
use crate::{Batch, Op, StoreError};

use super::format::{FRAME_HEADER_BYTES, FRAMES_START, frame_bytes, frames_end};
use super::index::Segment;
use super::record;

/// Bytes over the admission bound that are still taken, because several callers may have been
/// admitted at once.
pub(super) const ADMITTED_BYTES_MAX: u64 = 128 << 20;
/// A buffer that grew beyond this is not kept.
const KEPT_BUFFER_BYTES_MAX: usize = 8 << 20;

/// A segment with its header on disk and no frames.
#[derive(Debug)]
pub(super) struct Spare {
    pub(super) segment: Arc<Segment>,
    pub(super) file: Arc<dyn DiskFile>,
}

/// What one group commit writes.
#[derive(Debug)]
pub(super) struct Taken {
    /// Room for the frame header, then the batches.
    pub(super) frame: Vec<u8>,
    pub(super) first_lsn: u64,
    pub(super) batches: u32,
    /// Where to go on, when the present segment has no room for the first batch.
    pub(super) roll: Option<Spare>,
}

/// Free space in the present segment and the spares behind it. Planned for the worst case, one
/// frame per batch, so that a batch that was accepted always finds its place.
#[derive(Debug, Clone, Copy)]
struct Room {
    left: u64,
    spares: usize,
}

impl Room {
    fn place(self, batch_bytes: usize, capacity: u64) -> Option<Self> {
        let need = frame_bytes(batch_bytes);
        if need <= self.left {
            Some(Self { left: self.left - need, ..self })
        } else if need <= capacity && self.spares > 0 {
            Some(Self { left: capacity - need, spares: self.spares - 1 })
        } else {
            None
        }
    }
}

/// Why a queue takes no more.
#[derive(Debug, Clone)]
enum Gate {
    /// `recover` was not called yet.
    Unready,
    Open,
    Closed,
    Failed(String),
}

/// The double buffer between callers and the committer.
#[derive(Debug)]
pub(super) struct Queue {
    frame: Vec<u8>,
    /// Where in `frame` each batch ends.
    ends: Vec<usize>,
    next_lsn: u64,
    gate: Gate,
    room: Room,
    capacity: u64,
    spares: VecDeque<Spare>,
    /// Segment that the last taken frame went to.
    pub(super) segment: u32,
    /// Why no spare can be made at present.
    pub(super) spare_fault: Option<String>,
    pub(super) in_flight_bytes: u64,
    /// The committer sleeps and wants to be woken.
    pub(super) is_idle: bool,
}

impl Queue {
    pub(super) fn new(segment_bytes: u64) -> Self {
        Self {
            frame: vec![0; FRAME_HEADER_BYTES],
            ends: Vec::new(),
            next_lsn: 1,
            gate: Gate::Unready,
            room: Room { left: 0, spares: 0 },
            capacity: frames_end(segment_bytes) - FRAMES_START,
            spares: VecDeque::new(),
            segment: 0,
            spare_fault: None,
            in_flight_bytes: 0,
            is_idle: false,
        }
    }

    /// Opens for batches behind what recovery found.
    pub(super) fn start(&mut self, next_lsn: u64, segment: u32, left: u64) {
        self.next_lsn = next_lsn;
        self.segment = segment;
        self.room = Room { left, spares: self.spares.len() };
        self.gate = Gate::Open;
    }

    pub(super) fn add_spare(&mut self, spare: Spare) {
        self.spares.push_back(spare);
        self.room.spares += 1;
        self.spare_fault = None;
    }

    /// Whether the present segment is less than half full.
    pub(super) fn has_time(&self) -> bool {
        self.room.left > self.capacity / 2 || self.room.spares > 0
    }

    pub(super) fn spares(&self) -> usize {
        self.spares.len()
    }

    pub(super) fn unsynced_bytes(&self) -> u64 {
        self.in_flight_bytes + (self.frame.len() - FRAME_HEADER_BYTES) as u64
    }

    pub(super) fn last_lsn(&self) -> u64 {
        self.next_lsn - 1
    }

    pub(super) fn is_open(&self) -> Result<(), StoreError> {
        match &self.gate {
            Gate::Open => Ok(()),
            Gate::Unready => Err(StoreError::Invalid("recover comes before the first use".into())),
            Gate::Closed => Err(StoreError::Closed),
            Gate::Failed(message) => Err(StoreError::Failed(message.clone())),
        }
    }

    pub(super) fn close(&mut self) {
        if matches!(self.gate, Gate::Open | Gate::Unready) {
            self.gate = Gate::Closed;
        }
    }

    pub(super) fn fail(&mut self, message: &str) {
        self.gate = Gate::Failed(message.to_owned());
        self.ends.clear();
        self.frame.truncate(FRAME_HEADER_BYTES);
        self.in_flight_bytes = 0;
    }

    pub(super) fn is_closed(&self) -> bool {
        matches!(self.gate, Gate::Closed)
    }

    /// Whether a batch waits that could be written.
    pub(super) fn has_work(&self) -> bool {
        !self.ends.is_empty()
    }

    pub(super) fn is_failed(&self) -> bool {
        matches!(self.gate, Gate::Failed(_))
    }

    /// Whether an append may come, given the room that must stay for other batches.
    pub(super) fn admit(
        &self,
        unsynced_bytes_max: u64,
        reserve_bytes: u64,
    ) -> Result<(), StoreError> {
        self.is_open()?;
        if self.unsynced_bytes() >= unsynced_bytes_max {
            return Err(StoreError::Overloaded);
        }
        if self.room.spares == 0 && self.room.left < reserve_bytes {
            return Err(self.no_room());
        }
        Ok(())
    }

    /// Encodes a batch behind the others. `batch_bytes` is its encoded length.
    pub(super) fn push(
        &mut self,
        batch: &Batch,
        batch_bytes: usize,
        unsynced_bytes_max: u64,
    ) -> Result<u64, StoreError> {
        self.is_open()?;
        let unsynced_bytes = self.unsynced_bytes() + batch_bytes as u64;
        if unsynced_bytes > unsynced_bytes_max + ADMITTED_BYTES_MAX {
            return Err(StoreError::Overloaded);
        }
        self.room = match self.room.place(batch_bytes, self.capacity) {
            Some(room) => room,
            None if frame_bytes(batch_bytes) > self.capacity => {
                return Err(StoreError::Invalid("a batch larger than a segment".into()));
            }
            None => return Err(self.no_room()),
        };
        batch.ops.iter().for_each(|op: &Op| record::encode(op, &mut self.frame));
        self.ends.push(self.frame.len());
        let lsn = self.next_lsn;
        self.next_lsn += 1;
        Ok(lsn)
    }

    /// Takes as many batches as one segment has room for, given `left` bytes of the present one.
    /// `empty` becomes the next buffer.
    pub(super) fn take(&mut self, left: u64, mut empty: Vec<u8>) -> Option<Taken> {
        let batches = self.ends.len();
        let first_lsn = self.next_lsn - batches as u64;
        let first_bytes = self.ends.first()? - FRAME_HEADER_BYTES;
        let must_roll = frame_bytes(first_bytes) > left;
        let roll = if must_roll { Some(self.spares.pop_front()?) } else { None };
        let left = if must_roll { self.capacity } else { left };
        let fits = |end: &usize| frame_bytes(end - FRAME_HEADER_BYTES) <= left;
        let count = match self.ends.last() {
            Some(end) if fits(end) => batches,
            _ => self.ends.partition_point(fits),
        };
        let end = *self.ends.get(count.checked_sub(1)?)?;

        empty.clear();
        empty.resize(FRAME_HEADER_BYTES, 0);
        empty.extend_from_slice(self.frame.get(end..).unwrap_or_default());
        let mut frame = std::mem::replace(&mut self.frame, empty);
        frame.truncate(end);
        let rest = self.ends.split_off(count);
        self.ends = rest.iter().map(|next| next - end + FRAME_HEADER_BYTES).collect();

        if let Some(spare) = &roll {
            self.segment = spare.segment.number;
        }
        self.replan(left - frame_bytes(end - FRAME_HEADER_BYTES));
        self.in_flight_bytes = (end - FRAME_HEADER_BYTES) as u64;
        Some(Taken { frame, first_lsn, batches: count as u32, roll })
    }

    /// Plans anew from what is really left behind the taken frame. That can only be more than
    /// the old plan had, so the waiting batches still fit.
    fn replan(&mut self, left: u64) {
        let mut room = Room { left, spares: self.spares.len() };
        let mut start = FRAME_HEADER_BYTES;
        for end in &self.ends {
            room = room.place(end - start, self.capacity).unwrap_or(Room { left: 0, spares: 0 });
            start = *end;
        }
        self.room = room;
    }

    fn no_room(&self) -> StoreError {
        match &self.spare_fault {
            Some(fault) => StoreError::NoSpace(fault.clone()),
            None => StoreError::Overloaded,
        }
    }
}

/// What to do with a written frame's buffer: keep it for the next one unless it is huge.
pub(super) fn recycle(mut frame: Vec<u8>) -> Vec<u8> {
    if frame.capacity() > KEPT_BUFFER_BYTES_MAX {
        return Vec::new();
    }
    frame.clear();
    frame
}

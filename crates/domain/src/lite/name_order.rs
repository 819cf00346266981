//! Slots of one topic in the order of their names, for listing without a walk over all.

use std::cmp::Ordering;

const CHUNK_MAX: usize = 512;

/// A sorted list of slot numbers in chunks. The order is the caller's: it compares a slot with the
/// name sought.
#[derive(Debug, Default)]
pub(crate) struct NameOrder {
    chunks: Vec<Vec<u32>>,
    len: usize,
}

impl NameOrder {
    /// From slots that are in order already.
    pub(crate) fn from_sorted(slots: &[u32]) -> Self {
        let chunks = slots.chunks(CHUNK_MAX * 3 / 4).map(<[u32]>::to_vec).collect();
        Self { chunks, len: slots.len() }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Adds `slot`, whose place `compare` tells: how an element compares to the new one.
    pub(crate) fn insert(&mut self, slot: u32, compare: impl Fn(u32) -> Ordering) {
        self.len += 1;
        let at = self.chunk_of(&compare);
        let Some(chunk) = self.chunks.get_mut(at) else {
            self.chunks.push(vec![slot]);
            return;
        };
        let place = chunk.partition_point(|other| compare(*other) == Ordering::Less);
        chunk.insert(place, slot);
        if chunk.len() >= CHUNK_MAX {
            let tail = chunk.split_off(CHUNK_MAX / 2);
            // Names that come in order never fill the first half again.
            chunk.shrink_to_fit();
            self.chunks.insert(at + 1, tail);
        }
    }

    /// Removes the element that compares equal.
    pub(crate) fn remove(&mut self, compare: impl Fn(u32) -> Ordering) {
        let at = self.chunk_of(&compare);
        let Some(chunk) = self.chunks.get_mut(at) else { return };
        if let Ok(place) = chunk.binary_search_by(|other| compare(*other)) {
            chunk.remove(place);
            self.len -= 1;
            if chunk.is_empty() {
                self.chunks.remove(at);
            }
        }
    }

    /// Elements from the first that is not less on.
    pub(crate) fn iter_from(&self, compare: impl Fn(u32) -> Ordering) -> impl Iterator<Item = u32> {
        let at = self.chunk_of(&compare);
        let place = match self.chunks.get(at) {
            Some(chunk) => chunk.partition_point(|other| compare(*other) == Ordering::Less),
            None => 0,
        };
        self.chunks.iter().skip(at).flatten().skip(place).copied()
    }

    /// Any elements, at most `max`, for taking a topic down piece by piece.
    pub(crate) fn last(&self, max: usize) -> Vec<u32> {
        self.chunks.iter().rev().flat_map(|chunk| chunk.iter().rev()).take(max).copied().collect()
    }

    /// The last chunk whose first element is not greater; where the sought one is or belongs.
    fn chunk_of(&self, compare: &impl Fn(u32) -> Ordering) -> usize {
        let after = self.chunks.partition_point(|chunk| {
            chunk.first().is_some_and(|first| compare(*first) != Ordering::Greater)
        });
        after.saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_come_in_order_leave_no_spare_room_behind() {
        let mut order = NameOrder::default();
        for value in 0..100_000 {
            order.insert(value, |other| other.cmp(&value));
        }
        let kept: usize = order.chunks.iter().map(Vec::capacity).sum();
        assert!(kept <= order.len() + CHUNK_MAX, "{kept} places for {} names", order.len());
    }

    #[test]
    fn elements_stay_in_order_through_inserts_and_removes() {
        let mut order = NameOrder::default();
        let mut model = std::collections::BTreeSet::new();
        let mut seed = 7_u32;
        for _ in 0..20_000 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let value = seed >> 20;
            if model.contains(&value) {
                model.remove(&value);
                order.remove(|other| other.cmp(&value));
            } else {
                model.insert(value);
                order.insert(value, |other| other.cmp(&value));
            }
        }
        assert_eq!(order.len(), model.len());
        let all: Vec<u32> = order.iter_from(|_| Ordering::Greater).collect();
        assert_eq!(all, model.iter().copied().collect::<Vec<u32>>());
        for start in [0, 1, 999, 2048, 4095, 5000] {
            let listed: Vec<u32> = order.iter_from(|other| other.cmp(&start)).take(5).collect();
            assert_eq!(listed, model.range(start..).take(5).copied().collect::<Vec<u32>>());
        }
    }
}

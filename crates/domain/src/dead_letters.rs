//! Which dead letters of a lite topic were sent again.

use crate::limits::RESENT_SPANS_MAX;

/// The offsets of one life of a lite topic whose messages were sent again to where they came from:
/// spans from an offset to before another, ascending, none empty and none touching the next.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ResentLetters {
    pub(crate) generation: u32,
    pub(crate) spans: Vec<(u64, u64)>,
}

impl ResentLetters {
    /// None of a life yet.
    pub(crate) fn of(generation: u32) -> Self {
        Self { generation, spans: Vec::new() }
    }

    /// How many.
    pub(crate) fn count(&self) -> u64 {
        self.spans.iter().map(|(from, end)| end - from).sum()
    }

    pub(crate) fn contains(&self, offset: u64) -> bool {
        let after = self.spans.partition_point(|(from, _)| *from <= offset);
        let last = after.checked_sub(1).and_then(|at| self.spans.get(at));
        last.is_some_and(|(_, end)| offset < *end)
    }

    /// Adds an offset that is not contained.
    pub(crate) fn insert(&mut self, offset: u64) {
        let at = self.spans.partition_point(|(from, _)| *from <= offset);
        let (mut from, mut end) = (offset, offset + 1);
        if let Some((_, next_end)) = self.spans.get(at).filter(|(next, _)| *next == end) {
            end = *next_end;
            self.spans.remove(at);
        }
        let before = at.checked_sub(1);
        let previous = before.and_then(|before| self.spans.get(before)).copied();
        if let Some((before, previous)) = before.zip(previous.filter(|(_, last)| *last == offset)) {
            from = previous.0;
            self.spans.remove(before);
        }
        let at = self.spans.partition_point(|(other, _)| *other < from);
        self.spans.insert(at, (from, end));
    }

    /// Whether they are few enough to be remembered.
    pub(crate) fn fits(&self) -> bool {
        self.spans.len() <= RESENT_SPANS_MAX
    }

    /// Forgets what is below an offset.
    pub(crate) fn forget_below(&mut self, first: u64) {
        self.spans.retain(|(_, end)| *end > first);
        if let Some(oldest) = self.spans.first_mut() {
            oldest.0 = oldest.0.max(first);
        }
    }

    /// Whether the spans are as they should be and end at most at `end`.
    pub(crate) fn is_sound(&self, end: u64) -> bool {
        let mut lowest = 0;
        self.spans.iter().enumerate().all(|(at, span)| {
            let is_apart = at == 0 || span.0 > lowest;
            lowest = span.1;
            is_apart && span.0 < span.1 && span.1 <= end
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(offsets: &[u64]) -> ResentLetters {
        let mut letters = ResentLetters::of(1);
        for offset in offsets {
            assert!(!letters.contains(*offset));
            letters.insert(*offset);
            assert!(letters.contains(*offset));
            assert!(letters.is_sound(u64::MAX), "{letters:?}");
        }
        letters
    }

    #[test]
    fn neighbours_become_one_span_from_whichever_side_they_come() {
        assert_eq!(with(&[1, 2, 3]).spans, [(1, 4)]);
        assert_eq!(with(&[3, 2, 1]).spans, [(1, 4)]);
        assert_eq!(with(&[1, 3, 2, 5]).spans, [(1, 4), (5, 6)]);
        assert_eq!(with(&[9, 0, 5]).spans, [(0, 1), (5, 6), (9, 10)]);
        assert_eq!(with(&[9, 0, 5]).count(), 3);
    }

    #[test]
    fn what_is_removed_is_forgotten() {
        let mut letters = with(&[0, 1, 2, 5, 6]);
        letters.forget_below(2);
        assert_eq!(letters.spans, [(2, 3), (5, 7)]);
        letters.forget_below(6);
        assert_eq!(letters.spans, [(6, 7)]);
        letters.forget_below(7);
        assert_eq!(letters, ResentLetters::of(1));
    }

    #[test]
    fn spans_that_touch_or_lie_beyond_the_end_are_not_sound() {
        for (spans, end) in [
            (vec![(0, 1), (1, 2)], 9),
            (vec![(2, 2)], 9),
            (vec![(3, 4), (0, 1)], 9),
            (vec![(0, 4)], 3),
        ] {
            assert!(!ResentLetters { generation: 1, spans }.is_sound(end));
        }
    }
}

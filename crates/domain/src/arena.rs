//! Many small values under dense numbers, without moving them as they grow in number.

use std::collections::VecDeque;

const CHUNK_BITS: u32 = 10;
const CHUNK_VALUES: usize = 1 << CHUNK_BITS;

/// Values in chunks of 1,024, numbered from 0. Growth allocates one chunk, never a copy of all.
/// Numbers given back are reused oldest first, so that one number is not worn out by churn.
#[derive(Debug)]
pub(crate) struct Arena<T> {
    chunks: Vec<Vec<T>>,
    free: VecDeque<u32>,
}

impl<T> Default for Arena<T> {
    fn default() -> Self {
        Self { chunks: Vec::new(), free: VecDeque::new() }
    }
}

impl<T: Default> Arena<T> {
    /// Numbers handed out so far, free ones included.
    pub(crate) fn len(&self) -> u32 {
        match self.chunks.split_last() {
            None => 0,
            Some((last, full)) => (full.len() * CHUNK_VALUES + last.len()) as u32,
        }
    }

    /// Numbers that were not given back.
    pub(crate) fn in_use(&self) -> usize {
        (self.len() as usize).saturating_sub(self.free.len())
    }

    /// Numbers that were given back.
    pub(crate) fn free(&self) -> impl Iterator<Item = u32> {
        self.free.iter().copied()
    }

    /// A number for `value`.
    pub(crate) fn insert(&mut self, value: T) -> u32 {
        if let Some(index) = self.free.pop_front()
            && let Some(place) = self.get_mut(index)
        {
            *place = value;
            return index;
        }
        self.push(value)
    }

    /// The oldest free number, or a new one; its value is what was left there.
    pub(crate) fn reserve(&mut self) -> u32 {
        match self.free.pop_front() {
            Some(index) => index,
            None => self.push(T::default()),
        }
    }

    fn push(&mut self, value: T) -> u32 {
        let index = self.len();
        match self.chunks.last_mut() {
            Some(last) if last.len() < CHUNK_VALUES => last.push(value),
            _ => {
                let mut chunk = Vec::with_capacity(CHUNK_VALUES);
                chunk.push(value);
                self.chunks.push(chunk);
            }
        }
        index
    }

    /// Numbers that can be had without handing out more than `max`.
    pub(crate) fn room(&self, max: u32) -> usize {
        self.free.len() + max.saturating_sub(self.len()) as usize
    }

    /// Makes `index` exist, with defaults up to it.
    pub(crate) fn grow_to(&mut self, index: u32) {
        while self.len() <= index {
            self.push(T::default());
        }
    }

    pub(crate) fn get(&self, index: u32) -> Option<&T> {
        self.chunks.get((index >> CHUNK_BITS) as usize)?.get(index as usize % CHUNK_VALUES)
    }

    pub(crate) fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        self.chunks.get_mut((index >> CHUNK_BITS) as usize)?.get_mut(index as usize % CHUNK_VALUES)
    }

    /// Takes the value out and gives the number back.
    pub(crate) fn remove(&mut self, index: u32) -> Option<T> {
        let value = std::mem::take(self.get_mut(index)?);
        self.free.push_back(index);
        Some(value)
    }

    /// Gives the number back, leaving the value as it is.
    pub(crate) fn release(&mut self, index: u32) {
        self.free.push_back(index);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.chunks.iter().flatten().enumerate().map(|(index, value)| (index as u32, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_given_back_are_reused_oldest_first() {
        let mut arena = Arena::default();
        let numbers: Vec<u32> = (0..3000).map(|value| arena.insert(value)).collect();
        assert_eq!(numbers, (0..3000).collect::<Vec<u32>>());
        assert_eq!(arena.remove(7), Some(7));
        assert_eq!(arena.remove(2999), Some(2999));
        assert_eq!(arena.insert(70), 7);
        assert_eq!(arena.insert(71), 2999);
        assert_eq!(arena.insert(72), 3000);
        assert_eq!(arena.get(7), Some(&70));
    }
}

//! The bytes of all lite topic names, without an allocation each.

const UNIT_BYTES: usize = 8;
const CHUNK_UNITS: usize = 8192;
/// A length byte and up to 255 bytes, in units.
const CLASSES: usize = (1 + u8::MAX as usize).div_ceil(UNIT_BYTES) + 1;

/// Where a name lies, in units of 8 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct NameRef(u32);

/// Names of up to 255 bytes, each behind its length byte, rounded up to 8 bytes. Freed places are
/// reused by names of the same rounded size.
#[derive(Debug)]
pub(crate) struct NameArena {
    chunks: Vec<Box<[u8]>>,
    /// Units used of the last chunk.
    used: usize,
    free: Vec<Vec<u32>>,
}

impl Default for NameArena {
    fn default() -> Self {
        Self { chunks: Vec::new(), used: CHUNK_UNITS, free: vec![Vec::new(); CLASSES] }
    }
}

impl NameArena {
    /// Keeps a name. `None` when the arena is full, at 32 GiB.
    pub(crate) fn insert(&mut self, name: &[u8]) -> Option<NameRef> {
        let length = name.len().min(u8::MAX as usize);
        let units = units_of(length);
        let reused = self.free.get_mut(units).and_then(Vec::pop);
        let place = match reused {
            Some(place) => place,
            None => self.fresh(units)?,
        };
        if let Some(bytes) = self.bytes_mut(place, length + 1)
            && let Some((head, rest)) = bytes.split_first_mut()
        {
            *head = length as u8;
            rest.copy_from_slice(name.get(..length).unwrap_or_default());
        }
        Some(NameRef(place))
    }

    pub(crate) fn remove(&mut self, name: NameRef) {
        let units = units_of(self.get(name).len());
        if let Some(places) = self.free.get_mut(units) {
            places.push(name.0);
        }
    }

    pub(crate) fn get(&self, name: NameRef) -> &[u8] {
        let (chunk, start) = locate(name.0);
        let bytes = self.chunks.get(chunk).and_then(|chunk| chunk.get(start..)).unwrap_or_default();
        match bytes.split_first() {
            Some((length, rest)) => rest.get(..*length as usize).unwrap_or_default(),
            None => &[],
        }
    }

    fn fresh(&mut self, units: usize) -> Option<u32> {
        if self.used + units > CHUNK_UNITS {
            self.chunks.push(vec![0; CHUNK_UNITS * UNIT_BYTES].into_boxed_slice());
            self.used = 0;
        }
        let place = u32::try_from((self.chunks.len() - 1) * CHUNK_UNITS + self.used).ok()?;
        self.used += units;
        Some(place)
    }

    fn bytes_mut(&mut self, place: u32, length: usize) -> Option<&mut [u8]> {
        let (chunk, start) = locate(place);
        self.chunks.get_mut(chunk)?.get_mut(start..start + length)
    }
}

fn units_of(length: usize) -> usize {
    (length + 1).div_ceil(UNIT_BYTES)
}

fn locate(place: u32) -> (usize, usize) {
    (place as usize / CHUNK_UNITS, place as usize % CHUNK_UNITS * UNIT_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_every_length_come_back_and_freed_places_are_reused() {
        let mut arena = NameArena::default();
        let names: Vec<Vec<u8>> =
            (1..=64).map(|length| vec![b'a' + length as u8 % 26; length]).collect();
        for _ in 0..200 {
            let places: Vec<NameRef> = names.iter().filter_map(|name| arena.insert(name)).collect();
            assert_eq!(places.len(), names.len());
            for (place, name) in places.iter().zip(&names) {
                assert_eq!(arena.get(*place), name);
            }
            for place in places {
                arena.remove(place);
            }
        }
        assert_eq!(arena.chunks.len(), 1, "200 rounds of 64 names fit where the first round did");
    }
}

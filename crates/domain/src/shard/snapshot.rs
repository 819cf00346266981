//! The state of a shard as records, piece by piece.

use super::Shard;
use crate::persisted::{self, Key};

impl Shard {
    /// Passes the records of at most `slots_max` slots from `first` on to `sink`; where the next
    /// piece starts, or `None` at the end. Pieces may be taken with changes in between: every
    /// change is in the log as well.
    pub fn snapshot(
        &self,
        first: u32,
        slots_max: u32,
        sink: &mut dyn FnMut(Key, Vec<u8>),
    ) -> Option<u32> {
        let end = first.saturating_add(slots_max).min(self.lites.slots_len());
        for index in first..end {
            let Some(slot) = self.lites.get_any(index) else { continue };
            let name = self.lites.name_bytes(slot);
            sink(Key::Channel { slot: index }, persisted::channel::encode(slot, name));
            for (at, cursor) in self.cursors.chain(slot.first_cursor) {
                sink(
                    Key::Cursor { slot: index, group: cursor.group },
                    persisted::cursor::encode(cursor, self.cursors.run(at)),
                );
            }
            for subscriber in self.subscriptions.chain(slot.first_link) {
                if let Some(found) = self.subscriptions.get(subscriber) {
                    let (group, client) = (found.group, found.key);
                    sink(
                        Key::Subscription { slot: index, group, client },
                        persisted::subscription::encode(&found.client),
                    );
                }
            }
        }
        (end < self.lites.slots_len()).then_some(end)
    }
}

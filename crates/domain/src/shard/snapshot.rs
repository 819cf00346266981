//! The state of a shard as records, piece by piece.

use super::Shard;
use crate::limits::{RESENDS_PER_PIECE, SLOTS_MAX};
use crate::persisted::{self, Key};

impl Shard {
    /// Passes the records of at most `slots_max` slots from `first` on to `sink`, and behind the
    /// slots a part of the window of resends; where the next piece starts, or `None` at the end. Pieces may be taken with changes in between: every
    /// change is in the log as well.
    pub fn snapshot(
        &self,
        first: u32,
        slots_max: u32,
        sink: &mut dyn FnMut(Key, Vec<u8>),
    ) -> Option<u32> {
        if let Some(newer) = first.checked_sub(SLOTS_MAX) {
            return self.snapshot_resends(newer, sink).map(|next| SLOTS_MAX + next);
        }
        let end = first.saturating_add(slots_max).min(self.lites.slots_len());
        for index in first..end {
            let Some(slot) = self.lites.get_any(index) else { continue };
            sink(Key::Channel { slot: index }, self.channel_value(index, slot));
            for (at, cursor) in self.cursors.chain(slot.first_cursor) {
                sink(
                    Key::Cursor { slot: index, group: cursor.group },
                    persisted::cursor::encode(cursor, self.cursors.run(at), slot.last_read_at),
                );
            }
            for subscriber in self.subscriptions.chain(slot.first_link) {
                if let Some(found) = self.subscriptions.get(subscriber) {
                    let (group, client) = (found.group, found.key);
                    sink(
                        Key::Subscription { slot: index, group, client },
                        persisted::subscription::encode(&found.client, found.user),
                    );
                }
            }
            if let Some(letters) = self.resent.get(&index) {
                sink(Key::ResentLetters { slot: index }, persisted::resent::encode(letters));
            }
        }
        Some(if end < self.lites.slots_len() { end } else { SLOTS_MAX })
    }

    /// The sends that are recognised when repeated, behind so many newer ones.
    fn snapshot_resends(&self, newer: u32, sink: &mut dyn FnMut(Key, Vec<u8>)) -> Option<u32> {
        let rest = self.resends.older_than(newer as usize);
        let sends: Vec<_> = rest.take(RESENDS_PER_PIECE).collect();
        if !sends.is_empty() {
            sink(Key::Resends { newer }, persisted::resends::encode(&sends));
        }
        (sends.len() == RESENDS_PER_PIECE).then(|| newer + RESENDS_PER_PIECE as u32)
    }
}

//! The events of one shard, the oldest overwritten by the newest.

use std::collections::BTreeMap;

use litemq_domain::{
    Effects, End, Happened, LiteTopicName, Place, Shard, Timestamp, TopicId, What,
};

use super::WhoKey;
use crate::broker::limits::TRACE_EVENTS_PER_STEP;

/// One event: 56 bytes, whatever it is.
#[derive(Debug, Clone, Copy)]
pub(in crate::broker) struct Event {
    /// When.
    pub(super) at: Timestamp,
    /// Who did it.
    pub(super) by: WhoKey,
    /// What.
    pub(super) happened: Happened,
}

const _: () = assert!(size_of::<Event>() == 56, "the figures of docs/trace.md are of 56 bytes");

/// The trace of a shard, kept by its actor.
#[derive(Debug)]
pub(in crate::broker) struct ShardTrace {
    ring: Ring,
    /// The room for what happens in a turn, used again and again.
    room: Vec<Happened>,
}

/// What is looked for in a ring.
#[derive(Debug)]
pub(in crate::broker) enum RingAsk {
    /// Messages of a topic that were stored under this tag.
    Stored {
        /// The tag of the message id.
        tag: u64,
        /// The topic.
        topic: TopicId,
        /// In this lite topic only.
        name: Option<LiteTopicName>,
    },
    /// What happened to messages.
    Of {
        /// Which.
        places: Vec<Place>,
        /// Their topic.
        topic: TopicId,
        /// Their lite topic, if it is known.
        name: Option<LiteTopicName>,
    },
}

/// What some events of a ring gave.
#[derive(Debug, Default)]
pub(in crate::broker) struct RingPiece {
    /// Where the next piece starts; `None` at the end.
    pub(super) next: Option<u64>,
    /// From when on everything is kept; `None` while nothing is.
    pub(super) since: Option<Timestamp>,
    /// Messages, with the names of their lite topics if those are still there.
    pub(super) stored: Vec<(Place, Option<LiteTopicName>)>,
    /// Events, each with the place it was found for in the order of [`RingAsk::Of::places`].
    pub(super) events: Vec<(usize, Event)>,
    /// Lives that have ended, of places of the topic and lite topic that were asked for.
    pub(super) ended: Vec<(u32, u32)>,
}

impl ShardTrace {
    /// Of so many bytes, from a moment on; `None` when that is no event.
    pub(in crate::broker) fn new(bytes: usize, since: Timestamp) -> Option<Self> {
        let capacity = bytes / size_of::<Event>();
        (capacity > 0).then(|| Self { ring: Ring::new(capacity, since), room: Vec::new() })
    }

    /// Effects that tell what happens.
    pub(in crate::broker) fn effects(&mut self) -> Effects {
        let happened = std::mem::take(&mut self.room);
        Effects { happened, is_traced: true, ..Effects::default() }
    }

    /// Takes up what happened since the last time.
    pub(in crate::broker) fn take(&mut self, now: Timestamp, by: WhoKey, fx: &mut Effects) {
        for happened in fx.happened.drain(..) {
            // A claim only finds that out.
            let is_found = matches!(happened.what, What::UsedUp(_));
            let by = if is_found { WhoKey::default() } else { by };
            self.ring.push(Event { at: now, by, happened });
        }
    }

    /// The end of a turn: its room is used again.
    pub(in crate::broker) fn end_turn(&mut self, fx: Effects) {
        self.room = fx.happened;
    }

    /// Looks at some events, from this number on.
    pub(in crate::broker) fn look(&self, ask: &RingAsk, from: u64, shard: &Shard) -> RingPiece {
        let from = from.max(self.ring.first());
        let end = from.saturating_add(TRACE_EVENTS_PER_STEP).min(self.ring.next);
        let events = (from..end).filter_map(|number| self.ring.get(number));
        let mut piece = RingPiece {
            next: (end < self.ring.next).then_some(end),
            since: Some(self.ring.kept_since()),
            ..RingPiece::default()
        };
        match ask {
            RingAsk::Stored { tag, topic, name } => {
                for event in events {
                    let Happened { place, what } = event.happened;
                    if what != (What::Stored { tag: *tag }) {
                        continue;
                    }
                    match shard.lite_topic_at(place) {
                        None => piece.stored.push((place, None)),
                        Some((of, found)) => {
                            let is_wanted = name.as_ref().is_none_or(|name| *name == found);
                            if of == *topic && is_wanted {
                                piece.stored.push((place, Some(found)));
                            }
                        }
                    }
                }
            }
            RingAsk::Of { places, topic, name } => {
                let by_life = by_life(places);
                let hash = name.as_ref().map(|name| shard.name_hash(*topic, name));
                for event in events {
                    let Happened { place, what } = event.happened;
                    let life = (place.slot, place.generation);
                    let Some(places) = by_life.get(&life) else { continue };
                    if let What::Removed(end) | What::Expired(end) = what
                        && is_of(end, *topic, hash)
                    {
                        piece.ended.push(life);
                    }
                    let is_wanted = |(_, offset): &&(usize, u64)| concerns(place, what, *offset);
                    let found = places.iter().filter(is_wanted);
                    piece.events.extend(found.map(|(at, _)| (*at, *event)));
                }
            }
        }
        piece
    }
}

fn is_of(end: End, topic: TopicId, hash: Option<u64>) -> bool {
    end.topic == topic && hash.is_none_or(|hash| end.name_hash == hash)
}

/// Whether an event of a life is about the message at an offset.
fn concerns(place: Place, what: What, offset: u64) -> bool {
    match what {
        What::PastRetention(first) => offset < first,
        what if what.is_of_all() => true,
        _ => place.offset == offset,
    }
}

/// The offsets of each life, with where they stand in `places`.
fn by_life(places: &[Place]) -> BTreeMap<(u32, u32), Vec<(usize, u64)>> {
    let mut by_life: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (at, place) in places.iter().enumerate() {
        let life = by_life.entry((place.slot, place.generation)).or_default();
        life.push((at, place.offset));
    }
    by_life
}

/// A bounded memory of events, which have numbers from 0 on.
#[derive(Debug)]
struct Ring {
    events: Vec<Event>,
    capacity: usize,
    /// The number of the next event.
    next: u64,
    since: Timestamp,
}

impl Ring {
    fn new(capacity: usize, since: Timestamp) -> Self {
        // Memory that was never written is not used.
        Self { events: Vec::with_capacity(capacity), capacity, next: 0, since }
    }

    fn push(&mut self, event: Event) {
        let at = self.index(self.next);
        match self.events.get_mut(at) {
            Some(oldest) => *oldest = event,
            None => self.events.push(event),
        }
        self.next += 1;
    }

    fn get(&self, number: u64) -> Option<&Event> {
        self.events.get(self.index(number))
    }

    /// The number of the oldest that is kept.
    fn first(&self) -> u64 {
        self.next - self.events.len() as u64
    }

    /// From when on everything is kept.
    fn kept_since(&self) -> Timestamp {
        match self.get(self.first()) {
            // Another one of the same moment may have gone.
            Some(oldest) if self.first() > 0 => Timestamp(oldest.at.0.saturating_add(1)),
            _ => self.since,
        }
    }

    fn index(&self, number: u64) -> usize {
        (number % self.capacity as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT_BYTES: usize = size_of::<Event>();

    fn stored(offset: u64) -> Happened {
        let place = Place { slot: 0, generation: 0, offset };
        Happened { place, what: What::Stored { tag: 0 } }
    }

    fn push(trace: &mut ShardTrace, at: u64) {
        let mut fx = trace.effects();
        fx.happened.push(stored(at));
        trace.take(Timestamp(at), WhoKey::default(), &mut fx);
        trace.end_turn(fx);
    }

    #[test]
    fn a_ring_that_is_filled_many_times_keeps_the_newest_in_the_memory_it_had() {
        let mut trace = ShardTrace::new(100 * EVENT_BYTES, Timestamp(0)).unwrap();
        let memory = trace.ring.events.capacity();
        for at in 0..10_050 {
            push(&mut trace, at);
        }
        let ring = &trace.ring;
        let kept: Vec<u64> = (ring.first()..ring.next)
            .filter_map(|number| ring.get(number))
            .map(|event| event.happened.place.offset)
            .collect();
        assert_eq!(kept, (9_950..10_050).collect::<Vec<u64>>());
        assert_eq!(ring.events.capacity(), memory);
        assert!(trace.room.capacity() <= 4, "the room of a turn is used again");
    }

    #[test]
    fn a_ring_says_from_when_on_it_has_everything() {
        let mut trace = ShardTrace::new(3 * EVENT_BYTES, Timestamp(5)).unwrap();
        let mut since = Vec::new();
        for at in [10, 10, 11, 11, 12, 20] {
            push(&mut trace, at);
            since.push(trace.ring.kept_since().0);
        }
        assert_eq!(since, [5, 5, 5, 11, 12, 12]);
    }

    #[test]
    fn without_room_for_an_event_there_is_no_trace() {
        assert!(ShardTrace::new(0, Timestamp(0)).is_none());
        assert!(ShardTrace::new(EVENT_BYTES - 1, Timestamp(0)).is_none());
    }
}

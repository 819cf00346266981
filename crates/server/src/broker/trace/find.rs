//! Finds messages and what happened to them.

use std::collections::{BTreeSet, VecDeque};

use litemq_domain::{
    Error, ErrorCode, GroupName, LiteTopicName, Place, Result, Timestamp, Topic, What,
};
use litemq_storage::{ChannelRef, ReadLimit, ShardId};

use super::ring::Event;
use super::{FILTER, RingAsk, RingPiece, Who};
use crate::broker::browse::decode;
use crate::broker::limits::{TRACE_EVENTS_MAX, TRACE_MESSAGES_MAX};
use crate::broker::shard::command::Command;
use crate::broker::{Broker, Look, Peeked, stopping};

/// Which messages to trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// With this message id.
    Id(String),
    /// With this key, in a lite topic that is named.
    Key(String),
}

/// What is known about some messages.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Trace {
    /// From when on everything that happened is kept; what happened before may be missing. `None` while
    /// the trace is off.
    pub since: Option<Timestamp>,
    /// The messages, the newest first; at most [`TRACE_MESSAGES_MAX`].
    pub messages: Vec<TracedMessage>,
    /// Stored messages below this offset were not looked at.
    pub next: Option<u64>,
}

/// One message, and what happened to it.
#[derive(Debug, Clone, PartialEq)]
pub struct TracedMessage {
    /// Its lite topic; `None` when that is gone and was not named.
    pub lite_topic: Option<LiteTopicName>,
    /// Its offset there.
    pub offset: u64,
    /// The message, while it is stored.
    pub stored: Option<Peeked>,
    /// Whether `events` begin with its being stored.
    pub has_beginning: bool,
    /// What happened, the oldest first.
    pub events: Vec<TraceEvent>,
    /// Older events that are kept and were left out, beyond [`TRACE_EVENTS_MAX`].
    pub left_out: u64,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceEvent {
    /// When.
    pub at: Timestamp,
    /// Who did it; `None` is the broker itself, or somebody who is not remembered any more.
    pub who: Option<Who>,
    /// It was settled because its client's filter does not want it.
    pub filtered: bool,
    /// For which group; `None` when it is about none, or was deleted.
    pub group: Option<GroupName>,
    /// What.
    pub what: What,
}

/// A message on the way to being found.
struct Lead {
    shard: usize,
    place: Place,
    lite_topic: Option<LiteTopicName>,
    stored: Option<Peeked>,
    events: VecDeque<Event>,
    left_out: u64,
    /// Its life has ended, and was of what was asked for.
    has_ended: bool,
}

impl Broker {
    /// What happened to messages. Without the name of a lite topic only an id can be found, and only
    /// while its being stored is still in the trace.
    ///
    /// # Errors
    /// [`ErrorCode::TopicNotFound`]; [`ErrorCode::LiteTopicNotFound`] when nothing is known of the lite
    /// topic either; [`ErrorCode::BadRequest`] for a key without a lite topic.
    pub async fn trace(
        &self,
        topic: &str,
        name: Option<&str>,
        wanted: &Wanted,
        before: Option<u64>,
    ) -> Result<Trace> {
        let topic = self.topic(topic)?;
        let name = name.map(LiteTopicName::new).transpose()?;
        let mut trace = Trace::default();
        let mut leads = match wanted {
            Wanted::Id(id) => self.stored_as(id, &topic, name.as_ref(), &mut trace).await?,
            Wanted::Key(_) => Vec::new(),
        };
        let mut missing = None;
        match &name {
            Some(name) => match self.look_for(wanted, before, &topic, name, &mut leads).await {
                Ok(next) => trace.next = next,
                // It may have been there.
                Err(error) if error.code == ErrorCode::LiteTopicNotFound => missing = Some(error),
                Err(error) => return Err(error),
            },
            None if matches!(wanted, Wanted::Key(_)) => {
                return Err(Error::new(
                    ErrorCode::BadRequest,
                    "a key is looked for in one lite topic; name it, or give the message id",
                ));
            }
            None => {}
        }
        leads.sort_unstable_by_key(|Lead { shard, place, .. }| {
            (*shard, place.slot, place.generation, place.offset)
        });
        leads.reverse();
        leads.truncate(TRACE_MESSAGES_MAX);
        self.read_stored(&mut leads).await?;
        let shards: BTreeSet<usize> = leads.iter().map(|lead| lead.shard).collect();
        for shard in shards {
            self.add_events(shard, &topic, name.as_ref(), &mut leads, &mut trace).await?;
        }
        if let Some(name) = &name
            && trace.since.is_none()
        {
            self.add_since(name, &mut trace).await?;
        }
        leads.retain(|lead| lead.lite_topic.is_some() || lead.has_ended);
        leads.sort_by_key(|lead| std::cmp::Reverse(lead.known_since()));
        trace.messages = leads.into_iter().map(|lead| self.traced(lead, name.as_ref())).collect();
        match missing.filter(|_| trace.messages.is_empty()) {
            Some(error) => Err(error),
            None => Ok(trace),
        }
    }

    /// Messages that the trace knows to have been stored under an id.
    async fn stored_as(
        &self,
        id: &str,
        topic: &Topic,
        name: Option<&LiteTopicName>,
        trace: &mut Trace,
    ) -> Result<Vec<Lead>> {
        let tag = self.keys.message(id);
        let mut leads = VecDeque::new();
        for shard in 0..self.shards.len() {
            if tag == 0 || name.is_some_and(|name| self.keys.shard(name) != shard) {
                continue;
            }
            let ask = || RingAsk::Stored { tag, topic: topic.id, name: name.cloned() };
            self.each_piece(shard, ask, trace, |piece| {
                for (place, lite_topic) in piece.stored {
                    leads.push_back(Lead::new(shard, place, lite_topic));
                    if leads.len() > TRACE_MESSAGES_MAX {
                        leads.pop_front();
                    }
                }
            })
            .await?;
        }
        Ok(leads.into())
    }

    /// Messages that are stored; where to go on below.
    async fn look_for(
        &self,
        wanted: &Wanted,
        before: Option<u64>,
        topic: &Topic,
        name: &LiteTopicName,
        leads: &mut Vec<Lead>,
    ) -> Result<Option<u64>> {
        let (id, key) = match wanted {
            Wanted::Id(id) => (Some(id.clone()), None),
            Wanted::Key(key) => (None, Some(key.clone())),
        };
        let view = self.view(topic, name).await?;
        let limit = TRACE_MESSAGES_MAX;
        let look = Look { id, key, before, newest_first: true, limit, ..Look::default() };
        let found = self.look_in(topic, name, &look).await?;
        let shard = self.keys.shard(name);
        for peeked in found.messages {
            let (slot, generation, offset) = (view.slot, view.generation, peeked.offset);
            let place = Place { slot, generation, offset };
            let at = leads.iter().position(|lead| (lead.shard, lead.place) == (shard, place));
            let at = at.unwrap_or_else(|| {
                leads.push(Lead::new(shard, place, Some(name.clone())));
                leads.len() - 1
            });
            if let Some(lead) = leads.get_mut(at) {
                lead.stored = Some(peeked);
            }
        }
        Ok(found.next)
    }

    /// Reads what the trace knows the place of.
    async fn read_stored(&self, leads: &mut [Lead]) -> Result<()> {
        for lead in leads {
            if lead.stored.is_some() || lead.lite_topic.is_none() {
                continue;
            }
            let Place { slot, generation, offset } = lead.place;
            let shard = ShardId(u16::try_from(lead.shard).unwrap_or(u16::MAX));
            let channel = ChannelRef { shard, slot, generation };
            let limit = ReadLimit { records_max: 1, bytes_max: 0 };
            let page = self.read_page(channel, offset, limit).await?;
            let found = page.records.into_iter().find(|record| record.offset == offset);
            let Some(record) = found else { continue };
            let stored_at = Timestamp(record.at_ms);
            lead.stored = Some(Peeked { offset, stored_at, message: decode(record.payload)? });
        }
        Ok(())
    }

    async fn add_events(
        &self,
        shard: usize,
        topic: &Topic,
        name: Option<&LiteTopicName>,
        leads: &mut [Lead],
        trace: &mut Trace,
    ) -> Result<()> {
        let mut here: Vec<&mut Lead> =
            leads.iter_mut().filter(|lead| lead.shard == shard).collect();
        let places: Vec<Place> = here.iter().map(|lead| lead.place).collect();
        let ask = || RingAsk::Of { places: places.clone(), topic: topic.id, name: name.cloned() };
        self.each_piece(shard, ask, trace, |piece| {
            for (at, event) in piece.events {
                if let Some(lead) = here.get_mut(at) {
                    lead.add(event);
                }
            }
            for lead in &mut here {
                let life = (lead.place.slot, lead.place.generation);
                lead.has_ended |= piece.ended.contains(&life);
            }
        })
        .await
    }

    /// Since when the ring of a lite topic's shard has everything, when nothing was looked for in it.
    async fn add_since(&self, name: &LiteTopicName, trace: &mut Trace) -> Result<()> {
        let shard = self.shards.get(self.keys.shard(name)).ok_or_else(stopping)?;
        let ask = RingAsk::Of { places: Vec::new(), topic: litemq_domain::TopicId(0), name: None };
        let piece = shard.ask(|reply| Command::Trace(ask, u64::MAX, reply)).await?;
        trace.since = trace.since.max(piece.since);
        Ok(())
    }

    /// Goes through the ring of a shard piece by piece; others have their turn in between.
    async fn each_piece(
        &self,
        shard: usize,
        ask: impl Fn() -> RingAsk,
        trace: &mut Trace,
        mut take: impl FnMut(RingPiece),
    ) -> Result<()> {
        let shard = self.shards.get(shard).ok_or_else(stopping)?;
        let mut from = Some(0);
        while let Some(first) = from {
            let piece = shard.ask(|reply| Command::Trace(ask(), first, reply)).await?;
            trace.since = trace.since.max(piece.since);
            from = piece.next;
            take(piece);
        }
        Ok(())
    }

    fn traced(&self, lead: Lead, name: Option<&LiteTopicName>) -> TracedMessage {
        let is_stored = |event: &Event| matches!(event.happened.what, What::Stored { .. });
        TracedMessage {
            lite_topic: lead.lite_topic.or_else(|| name.cloned()),
            offset: lead.place.offset,
            stored: lead.stored,
            has_beginning: lead.left_out == 0 && lead.events.front().is_some_and(is_stored),
            events: lead.events.into_iter().map(|event| self.event(event)).collect(),
            left_out: lead.left_out,
        }
    }

    fn event(&self, event: Event) -> TraceEvent {
        let what = event.happened.what;
        let group = what.group().and_then(|group| self.context.catalog.group_by_id(group));
        TraceEvent {
            at: event.at,
            who: self.context.who.of(event.by),
            filtered: event.by == FILTER,
            group: group.map(|group| group.name.clone()),
            what,
        }
    }
}

impl Lead {
    fn new(shard: usize, place: Place, lite_topic: Option<LiteTopicName>) -> Self {
        Self {
            shard,
            place,
            lite_topic,
            stored: None,
            events: VecDeque::new(),
            left_out: 0,
            has_ended: false,
        }
    }

    /// The first moment that is known of it.
    fn known_since(&self) -> Option<Timestamp> {
        let stored = self.stored.as_ref().map(|peeked| peeked.stored_at);
        stored.or_else(|| self.events.front().map(|event| event.at))
    }

    fn add(&mut self, event: Event) {
        self.events.push_back(event);
        if self.events.len() > TRACE_EVENTS_MAX {
            self.events.pop_front();
            self.left_out += 1;
        }
    }
}

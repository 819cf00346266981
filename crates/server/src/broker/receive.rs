//! Receiving: claims what is ready, or waits for it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use litemq_domain::limits::RECEIVE_MESSAGES_MAX;
use litemq_domain::{
    Claim, Claimed, ClientKey, DurationMs, Error, ErrorCode, Handle, Place, Result, Timestamp,
};
use litemq_storage::{ChannelRef, ReadLimit, ShardId, StoredRecord};
use prost::Message as _;
use tokio::time::Instant;

use super::catalog::GroupEntry;
use super::deliveries::{Deliveries, Outgoing};
use super::durability::error_of;
use super::life::Life;
use super::limits::{
    ANSWER_LEFT_PART, ANSWER_RETRY_INTERVAL, CLAIM_WAIT_MAX, PARKED_RECEIVES_MAX,
    PAYLOAD_BYTES_MAX, RECEIVE_BYTES_MAX, RECEIVE_WAIT_MAX,
};
use super::message::{Delivery, StoredMessage};
use super::pool::{Pool, Taken};
use super::ready::ReadySignal;
use super::request::ReceiveRequest;
use super::shard::ShardHandle;
use super::shard::command::Command;
use super::{Broker, WhoKey, group_deleted, handle};

/// Counts a waiting receive while it lives.
#[derive(Debug)]
struct Parked<'a>(&'a AtomicUsize);

/// What is claimed of the shards.
#[derive(Debug, Clone, Copy)]
enum Offer<'a> {
    /// Of each, what a receive was given before its answer was lost.
    GivenBefore,
    /// Of those that say that they have something.
    Ready(&'a ReadySignal),
}

/// Passes a wake-up on when the receive that took it ends.
struct PassOn(Arc<ReadySignal>);

impl Broker {
    /// Waits for messages.
    ///
    /// # Errors
    /// When the group is gone, too many receives wait, or the store has failed.
    pub async fn receive(&self, request: ReceiveRequest) -> Result<Deliveries> {
        self.receive_within(request, self.shares.answer_bytes.pool()).await
    }

    /// The same for a client that may hold so much of the answers of all. While it holds too much,
    /// nothing is claimed for it.
    ///
    /// # Errors
    /// As [`Self::receive`].
    pub async fn receive_within(
        &self,
        request: ReceiveRequest,
        answers: &Arc<Pool>,
    ) -> Result<Deliveries> {
        let group = request.group.id;
        let entry = self.context.catalog.group_entry(group).ok_or_else(group_deleted)?;
        let client = self.keys.client(&request.client);
        let by = self.who(&request.caller, Some(&request.client));
        let _parked = Parked::enter(&self.parked)?;
        let _open = self.context.sessions.open(&request.client);
        let (own, is_first) = self.context.signals.find_or_add(client, group);
        // The first receive since a start may repeat one from before it.
        let attempt = self.keys.attempt(&request.attempt_id);
        let mut may_repeat = attempt != 0 && (own.is_repeat(attempt) || is_first);
        let is_sharing = entry.group.options.wildcard().is_some();
        let signal = match is_sharing {
            true => self.context.signals.of_group(group),
            false => own,
        };
        signal.doubt();
        if is_sharing && is_first {
            self.join(&request.client, &entry.group);
        }
        let _pass_on = PassOn(Arc::clone(&signal));
        let deadline = Instant::now() + request.wait.min(RECEIVE_WAIT_MAX);
        let mut life = self.context.life.subscribe();
        loop {
            // With too many answers unread, nothing is claimed that could not be read then.
            let has_room = answers.left() >= PAYLOAD_BYTES_MAX;
            let notified = signal.notify().notified();
            tokio::pin!(notified);
            if has_room {
                // Register first, then look: a flag raised after the look finds us registered.
                notified.as_mut().enable();
                let asked = Asked { client, by, request: &request, entry: &entry, answers };
                if std::mem::take(&mut may_repeat) {
                    let again = self.claim_all(Offer::GivenBefore, asked, deadline).await?;
                    if !again.is_empty() {
                        return Ok(again);
                    }
                }
                let deliveries = self.claim_all(Offer::Ready(&signal), asked, deadline).await?;
                if !deliveries.is_empty() {
                    return Ok(deliveries);
                }
            } else if is_sharing {
                signal.pass_on(); // another client may have room
            }
            if self.context.catalog.group_by_id(group).is_none() {
                return Err(group_deleted());
            }
            match &*life.borrow_and_update() {
                Life::Serving => {}
                Life::Stopping => return Ok(Deliveries::none(group)),
                Life::Failed(error) => return Err(error_of(error)),
            }
            if has_room && signal.bits() != 0 && Instant::now() < deadline {
                continue;
            }
            let retry = if has_room { deadline } else { Instant::now() + ANSWER_RETRY_INTERVAL };
            tokio::select! {
                biased;
                () = &mut notified, if has_room => {}
                _ = life.changed() => {}
                () = tokio::time::sleep_until(retry.min(deadline)) => {
                    if Instant::now() >= deadline {
                        return Ok(Deliveries::none(group));
                    }
                }
            }
        }
    }

    /// Claims from each shard that may have something, another first each time, until the answer
    /// is full.
    async fn claim_all(
        &self,
        offer: Offer<'_>,
        asked: Asked<'_>,
        deadline: Instant,
    ) -> Result<Deliveries> {
        let mut deliveries = Deliveries::none(asked.request.group.id);
        let mut room = Room {
            messages: asked.request.messages_max.clamp(1, RECEIVE_MESSAGES_MAX),
            bytes: RECEIVE_BYTES_MAX,
            fault: None,
        };
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        for step in 0..self.shards.len() {
            let at = first.wrapping_add(step) % self.shards.len();
            let Some(shard) = self.shards.get(at).filter(|_| offer.is_of(at)) else {
                continue;
            };
            let claim = self.claim(shard, offer, asked, &mut room, &mut deliveries);
            // A store that stalls must not keep the answer: what is claimed later goes back.
            match tokio::time::timeout_at(deadline + CLAIM_WAIT_MAX, claim).await {
                Ok(claimed) => claimed?,
                Err(_) => break,
            }
            if room.messages == 0 || room.bytes == 0 {
                break;
            }
        }
        match room.fault {
            // The next receive asks for others; this one would be given the same again.
            Some(fault) if deliveries.is_empty() => Err(fault),
            _ => Ok(deliveries),
        }
    }

    async fn claim(
        &self,
        shard: &ShardHandle,
        offer: Offer<'_>,
        asked: Asked<'_>,
        room: &mut Room,
        deliveries: &mut Deliveries,
    ) -> Result<()> {
        let Asked { client, by, request, .. } = asked;
        let claim = Claim {
            client,
            group: request.group.id,
            messages_max: room.messages,
            per_lite_topic_max: request.per_lite_topic_max,
            invisible: request.invisible,
            auto_renew: request.auto_renew,
            attempt_id: self.keys.attempt(&request.attempt_id),
        };
        let claimed = shard.ask(|reply| match offer {
            Offer::GivenBefore => Command::ClaimAgain(claim, by, reply),
            Offer::Ready(_) => Command::Claim(claim, by, reply),
        });
        let claimed = claimed.await?.messages;
        // From here on whatever is not delivered goes back when this is dropped.
        let mut unread = Unread { shard, group: request.group.id, claims: claimed.into() };
        self.check_claims(request, unread.claims.iter()).await?;
        room.messages = room.messages.saturating_sub(unread.claims.len());
        while let Some((channel, first, count)) = unread.next_run(shard.number()) {
            let before = unread.claims.len();
            let Some(mut held) = take_room(asked.answers, room.bytes) else {
                room.bytes = 0;
                break;
            };
            let limit = ReadLimit { records_max: count, bytes_max: held.amount().min(room.bytes) };
            let page = match self.context.store.read(channel, first, limit).await {
                Ok(page) => page,
                Err(error) => {
                    // Its lease is the pause before it is tried again; the others go on.
                    tracing::error!(%error, ?channel, first, "a message cannot be read");
                    unread.claims.drain(..count).for_each(drop);
                    room.fault = Some(error_of(&error));
                    continue;
                }
            };
            if let Some(left) = page.first_retained {
                let (slot, generation) = (channel.slot, channel.generation);
                shard.tell_soon(Command::Trimmed { slot, generation, first: left });
                unread.drop_below(count, left);
            }
            for record in page.records {
                room.bytes = room.bytes.saturating_sub(record.payload.len());
                if let Some(claimed) = unread.take(record.offset) {
                    let bytes = held.split(record.payload.len());
                    self.prepare(shard, &claimed, record, bytes, asked, deliveries)?;
                }
            }
            if room.bytes == 0 || unread.claims.len() == before {
                break;
            }
        }
        Ok(())
    }

    /// Makes a delivery of a claimed message; one that the filter does not want is settled.
    fn prepare(
        &self,
        shard: &ShardHandle,
        claimed: &Claimed,
        record: StoredRecord,
        bytes: Taken,
        asked: Asked<'_>,
        deliveries: &mut Deliveries,
    ) -> Result<()> {
        let Asked { request, entry, .. } = asked;
        let handle = Handle {
            shard: shard.number(),
            place: claimed.place,
            group: request.group.id,
            epoch: claimed.epoch,
            visible_at: claimed.visible_at,
        };
        let message = StoredMessage::decode(record.payload)
            .map_err(|error| Error::new(ErrorCode::StorageDamaged, error.to_string()))?;
        if !request.filter.matches(message.tag.as_deref()) {
            // Nobody waits for that: if it is lost, the message is only filtered again.
            shard.tell_soon(Command::PassOver(handle));
            return Ok(());
        }
        entry.metrics.message_out(message.body.len() as u64, u32::from(claimed.attempt));
        if claimed.attempt == 1 {
            let waited = self.context.clock.now().since(Timestamp(record.at_ms));
            entry.metrics.delivered(waited);
        }
        deliveries.push(Outgoing {
            claim: (claimed.place, claimed.epoch),
            _bytes: bytes,
            shard: shard.clone(),
            delivery: Delivery {
                lite_topic: claimed.lite_topic.clone(),
                offset: record.offset,
                stored_at: Timestamp(record.at_ms),
                attempt: u32::from(claimed.attempt),
                invisible: DurationMs(claimed.visible_at.since(self.context.clock.now()).0),
                receipt_handle: handle::to_text(&handle, &self.keys),
                message,
            },
        });
        Ok(())
    }
}

/// Who asks for what.
#[derive(Clone, Copy)]
struct Asked<'a> {
    client: ClientKey,
    by: WhoKey,
    request: &'a ReceiveRequest,
    entry: &'a GroupEntry,
    /// The bytes of answers that it may take of.
    answers: &'a Arc<Pool>,
}

/// Takes what a read may find: enough for the largest message, more while there is plenty.
fn take_room(answers: &Arc<Pool>, wanted: usize) -> Option<Taken> {
    let plenty = wanted.min(answers.left() / ANSWER_LEFT_PART).max(PAYLOAD_BYTES_MAX);
    answers.try_take(plenty).or_else(|| answers.try_take(PAYLOAD_BYTES_MAX))
}

/// What still fits into an answer.
struct Room {
    messages: usize,
    bytes: usize,
    /// What could not be read.
    fault: Option<Error>,
}

/// Claimed messages that were not read yet; they go back when this is dropped.
struct Unread<'a> {
    shard: &'a ShardHandle,
    group: litemq_domain::GroupId,
    claims: VecDeque<Claimed>,
}

impl Unread<'_> {
    /// The next claims that are neighbours in one lite topic: channel, first offset, count.
    fn next_run(&self, shard: u16) -> Option<(ChannelRef, u64, usize)> {
        let Place { slot, generation, offset } = self.claims.front()?.place;
        let is_neighbour = |(at, claimed): &(usize, &Claimed)| {
            claimed.place == Place { slot, generation, offset: offset + *at as u64 }
        };
        let count = self.claims.iter().enumerate().take_while(is_neighbour).count();
        Some((ChannelRef { shard: ShardId(shard), slot, generation }, offset, count))
    }

    /// Takes the claim of the message at `offset`, which is the next.
    fn take(&mut self, offset: u64) -> Option<Claimed> {
        self.take_if(|claimed| claimed.place.offset == offset)
    }

    fn take_if(&mut self, wanted: impl Fn(&Claimed) -> bool) -> Option<Claimed> {
        if self.claims.front().is_some_and(wanted) { self.claims.pop_front() } else { None }
    }

    /// Forgets claims of the next `count` that retention has removed.
    fn drop_below(&mut self, count: usize, first: u64) {
        for _ in 0..count {
            if self.take_if(|claimed| claimed.place.offset < first).is_none() {
                return;
            }
        }
    }
}

impl Drop for Unread<'_> {
    fn drop(&mut self) {
        let left: Vec<_> = self.claims.drain(..).map(|left| (left.place, left.epoch)).collect();
        if !left.is_empty() {
            self.shard.tell_soon(Command::GiveBack(self.group, left));
        }
    }
}

impl<'a> Parked<'a> {
    fn enter(count: &'a AtomicUsize) -> Result<Self> {
        if count.fetch_add(1, Ordering::Relaxed) >= PARKED_RECEIVES_MAX {
            count.fetch_sub(1, Ordering::Relaxed);
            return Err(Error::new(
                ErrorCode::Overloaded,
                format!("{PARKED_RECEIVES_MAX} receives are waiting already; try again later"),
            ));
        }
        Ok(Self(count))
    }
}

impl Drop for Parked<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Offer<'_> {
    fn is_of(self, shard: usize) -> bool {
        match self {
            Self::GivenBefore => true,
            Self::Ready(signal) => signal.bits() & (1 << shard) != 0,
        }
    }
}

impl Drop for PassOn {
    fn drop(&mut self) {
        self.0.pass_on();
    }
}

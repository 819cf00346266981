//! A shard's actor: takes commands, applies them to the pure shard, makes the effects durable,
//! answers.

use std::sync::Arc;

use bytes::Bytes;
use litemq_domain::{Effects, Error, Event, Record, Shard};
use litemq_storage::{Batch, ChannelRef, Durability, Lsn, Op, ShardId, ShardStore};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::burial;
use super::command::{Command, Named, SnapshotPiece, Sync};
use super::pending::{Answer, PendingAnswers};
use crate::broker::SyncAction;
use crate::broker::catalog::Catalog;
use crate::broker::clock::Clock;
use crate::broker::durability::error_of;
use crate::broker::limits::{CHECKPOINT_SLOTS_PER_STEP, SHARD_CYCLE_BYTES, SHARD_CYCLE_COMMANDS};
use crate::broker::ready::ReadySignals;
use crate::broker::sessions::Sessions;

/// What all shards' actors share.
#[derive(Debug)]
pub(crate) struct ActorContext {
    /// Where effects become durable.
    pub(crate) store: Arc<dyn ShardStore>,
    /// The time.
    pub(crate) clock: Clock,
    /// Who is woken.
    pub(crate) signals: Arc<ReadySignals>,
    /// Who is connected.
    pub(crate) sessions: Arc<Sessions>,
    /// What events are counted by.
    pub(crate) catalog: Arc<Catalog>,
}

/// One shard's actor.
#[derive(Debug)]
pub(super) struct ShardActor {
    shard: Shard,
    context: Arc<ActorContext>,
    queue: mpsc::Receiver<Command>,
    /// For work that comes back as a command; does not keep the actor alive.
    own: mpsc::WeakSender<Command>,
    durable: watch::Receiver<Durability>,
    /// The last batch of this shard.
    submitted: Lsn,
    pending: PendingAnswers,
    /// Set once, when the store has failed.
    failed: Option<Error>,
}

/// Why the actor goes round.
enum Turn {
    Commands,
    Durable,
    Time,
    Work,
    End,
}

impl ShardActor {
    pub(super) fn new(
        shard: Shard,
        context: Arc<ActorContext>,
        queue: mpsc::Receiver<Command>,
        own: mpsc::WeakSender<Command>,
    ) -> Self {
        let durable = context.store.durable();
        Self {
            shard,
            context,
            queue,
            own,
            durable,
            submitted: Lsn(0),
            pending: PendingAnswers::default(),
            failed: None,
        }
    }

    pub(super) async fn run(mut self) {
        let mut commands = Vec::with_capacity(SHARD_CYCLE_COMMANDS);
        loop {
            match self.next_turn(&mut commands).await {
                Turn::Commands => self.apply_all(&mut commands),
                Turn::Durable => self.release(),
                Turn::Time => self.tick(),
                Turn::Work => self.step(),
                Turn::End => return,
            }
        }
    }

    async fn next_turn(&mut self, commands: &mut Vec<Command>) -> Turn {
        let deadline = self.shard.next_deadline().map(|at| self.context.clock.instant_of(at));
        let has_work = self.shard.has_work() && self.failed.is_none();
        tokio::select! {
            biased;
            changed = self.durable.changed(), if self.failed.is_none() => match changed {
                Ok(()) => Turn::Durable,
                Err(_) => Turn::End,
            },
            count = self.queue.recv_many(commands, SHARD_CYCLE_COMMANDS) => {
                if count == 0 { Turn::End } else { Turn::Commands }
            }
            () = sleep_until(deadline), if self.failed.is_none() => Turn::Time,
            () = tokio::task::yield_now(), if has_work => Turn::Work,
        }
    }

    fn apply_all(&mut self, commands: &mut Vec<Command>) {
        // A queue that is never empty must not keep leases from ending; claims and acks go by them.
        if self.shard.next_deadline().is_some_and(|at| at <= self.context.clock.now()) {
            self.tick();
        }
        let mut fx = Effects::default();
        let mut answers = Vec::with_capacity(commands.len());
        let mut bytes = 0;
        for command in commands.drain(..) {
            bytes += payload_bytes(&command);
            self.apply(command, &mut fx, &mut answers);
            if bytes >= SHARD_CYCLE_BYTES {
                self.commit(&mut fx, &mut answers);
                bytes = 0;
            }
        }
        self.commit(&mut fx, &mut answers);
        // Nor from removing what was deleted.
        if self.shard.has_work() {
            self.step();
        }
    }

    fn apply(&mut self, command: Command, fx: &mut Effects, answers: &mut Vec<Answer>) {
        let now = self.context.clock.now();
        let shard = &mut self.shard;
        answers.push(match command {
            Command::Send { send, in_flight, reply } => {
                let admitted = self.context.store.admit_append().map_err(|error| error_of(&error));
                Answer::Send(reply, admitted.and_then(|()| shard.send(now, send, fx)), in_flight)
            }
            Command::Claim(claim, reply) => {
                let outcome = shard.claim(now, claim, fx);
                let more = outcome.as_ref().is_ok_and(|outcome| outcome.more);
                if !more && let Some(signal) = self.context.signals.find(claim.client, claim.group)
                {
                    signal.lower(shard.number());
                }
                Answer::Claim(claim.group, reply, outcome)
            }
            Command::Ack(named, reply) => {
                let checked = check_name(shard, &named);
                Answer::Done(reply, checked.and_then(|()| shard.ack(now, &named.handle, fx)))
            }
            Command::ChangeInvisible { named, invisible, suspend, reply } => {
                let changed = check_name(shard, &named).and_then(|()| {
                    shard.change_invisible(now, &named.handle, invisible, suspend, fx)
                });
                Answer::Handle(reply, changed)
            }
            Command::BeginBurial(named, reply) => {
                let checked = check_name(shard, &named);
                Answer::Burial(reply, checked.and_then(|()| shard.begin_burial(&named.handle)))
            }
            Command::Bury { burial, payload, reply } => {
                let admitted = self.context.store.admit_append().map_err(|error| error_of(&error));
                let buried = admitted.and_then(|()| shard.bury(now, &burial, payload, fx));
                if buried.is_err() {
                    shard.burial_failed(now, &burial, fx);
                }
                Answer::Done(reply, buried)
            }
            Command::Sync(sync, reply) => Answer::Sync(reply, self.sync(sync, fx)),
            Command::CountNew(client, group, names, reply) => {
                Answer::Count(reply, shard.count_new(client, group, &names))
            }
            Command::RemoveLite(topic, name, reply) => {
                Answer::Done(reply, shard.remove_lite(topic, &name, fx))
            }
            Command::Describe(topic, name, reply) => {
                Answer::View(reply, shard.describe(now, topic, &name))
            }
            Command::List { topic, prefix, after, max, reply } => {
                Answer::Views(reply, shard.list(now, topic, &prefix, after.as_deref(), max))
            }
            Command::Counts(reply) => Answer::Counts(reply, shard.counts(now)),
            Command::Snapshot(from, reply) => Answer::Snapshot(reply, snapshot(shard, from)),
            told => return self.apply_told(told, fx),
        });
    }

    /// Commands that nobody waits for.
    fn apply_told(&mut self, command: Command, fx: &mut Effects) {
        let now = self.context.clock.now();
        let shard = &mut self.shard;
        match command {
            Command::BurialFailed(burial) => shard.burial_failed(now, &burial, fx),
            Command::GiveBack(group, messages) => shard.give_back(now, group, &messages, fx),
            Command::ReleaseClient { client, renewed_only } => {
                shard.release_client(now, client, renewed_only, fx);
            }
            Command::Trimmed { slot, generation, first } => {
                shard.trimmed(now, slot, generation, first, fx);
            }
            Command::SetTopic(topic) => shard.set_topic(topic),
            Command::RemoveTopic(topic) => shard.remove_topic(topic),
            Command::SetGroup(group) => shard.set_group(group),
            Command::RemoveGroup(group) => shard.remove_group(group),
            asked => tracing::error!(?asked, "a command with a reply was treated as one without"),
        }
    }

    fn sync(
        &mut self,
        sync: Sync,
        fx: &mut Effects,
    ) -> litemq_domain::Result<litemq_domain::SyncOutcome> {
        let now = self.context.clock.now();
        let Sync { client, key, group, action, names } = sync;
        match action {
            SyncAction::PartialAdd => self.shard.subscribe(now, &client, key, group, &names, fx),
            SyncAction::PartialRemove => Ok(self.shard.unsubscribe(key, group, &names, fx)),
            SyncAction::CompleteAdd => {
                self.shard.replace_subscriptions(now, &client, key, group, &names, fx)
            }
            SyncAction::CompleteRemove => Ok(self.shard.unsubscribe_all(key, group, fx)),
        }
    }

    fn tick(&mut self) {
        let mut fx = Effects::default();
        let sessions = Arc::clone(&self.context.sessions);
        let now = self.context.clock.now();
        self.shard.tick(now, &|client| sessions.is_connected(client, now), &mut fx);
        self.commit(&mut fx, &mut Vec::new());
    }

    fn step(&mut self) {
        let mut fx = Effects::default();
        self.shard.step(self.context.clock.now(), &mut fx);
        self.commit(&mut fx, &mut Vec::new());
    }

    /// Submits the effects; the answers wait for them and for everything before.
    fn commit(&mut self, fx: &mut Effects, answers: &mut Vec<Answer>) {
        let records = std::mem::take(&mut fx.records);
        if !records.is_empty() && self.failed.is_none() {
            match self.context.store.submit(self.batch(records)) {
                Ok(lsn) => self.submitted = lsn,
                Err(error) => self.fail(error_of(&error)),
            }
        }
        for answer in answers.drain(..) {
            self.pending.push(self.submitted, answer);
        }
        for wake in fx.wakes.drain(..) {
            if let Some(signal) = self.context.signals.find(wake.client, wake.group) {
                signal.raise(self.shard.number());
            }
        }
        for burial in fx.burials.drain(..) {
            burial::start(burial, self.shard.number(), &self.context, self.own.clone());
        }
        self.count(&std::mem::take(&mut fx.events));
        self.release();
    }

    /// Answers what has become durable.
    fn release(&mut self) {
        let state = self.durable.borrow_and_update().clone();
        if let Some(error) = &self.failed {
            self.pending.refuse_all(error);
            return;
        }
        let orphans = self.pending.release(state.durable);
        if let Some(error) = state.failed {
            self.fail(error_of(&error));
            return;
        }
        if !orphans.is_empty() {
            let now = self.context.clock.now();
            let mut fx = Effects::default();
            for (group, messages) in orphans {
                self.shard.give_back(now, group, &messages, &mut fx);
            }
            self.commit(&mut fx, &mut Vec::new());
        }
    }

    /// Nothing becomes durable any more: refuse everything from here on.
    fn fail(&mut self, error: Error) {
        tracing::error!(shard = self.shard.number(), %error, "the store has failed");
        self.pending.refuse_all(&error);
        self.failed = Some(error);
    }

    fn batch(&self, records: Vec<Record>) -> Batch {
        let shard = ShardId(self.shard.number());
        let ops = records.into_iter().map(|record| op(shard, record)).collect();
        Batch { ops }
    }

    fn count(&self, events: &[Event]) {
        for event in events {
            match event {
                Event::LiteTopicCreated(topic) => self.context.catalog.lite_topic_created(*topic),
                Event::LiteTopicRemoved(topic) => self.context.catalog.lite_topic_removed(*topic),
            }
        }
    }
}

async fn sleep_until(deadline: Option<std::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(Instant::from_std(deadline)).await,
        None => std::future::pending().await,
    }
}

fn check_name(shard: &Shard, named: &Named) -> litemq_domain::Result<()> {
    match &named.lite_topic {
        Some(name) => shard.check_name(&named.handle, name),
        None => Ok(()),
    }
}

fn payload_bytes(command: &Command) -> usize {
    match command {
        Command::Send { send, .. } => send.payload.len(),
        Command::Bury { payload, .. } => payload.len(),
        _ => 0,
    }
}

fn snapshot(shard: &Shard, from: u32) -> SnapshotPiece {
    let mut piece = SnapshotPiece::default();
    let records = &mut piece.records;
    piece.next = shard.snapshot(from, CHECKPOINT_SLOTS_PER_STEP, &mut |key, value| {
        records.push((key.encode(), value));
    });
    piece
}

fn op(shard: ShardId, record: Record) -> Op {
    match record {
        Record::Append { slot, generation, offset, at, tag, payload } => Op::Append {
            channel: ChannelRef { shard, slot, generation },
            offset,
            at_ms: at.0,
            tag,
            payload,
        },
        Record::Drop { slot, generation } => {
            Op::Drop { channel: ChannelRef { shard, slot, generation } }
        }
        Record::Put { key, value } => {
            Op::Put { shard, key: Bytes::from(key.encode()), value: Bytes::from(value) }
        }
        Record::Delete { key } => Op::Delete { shard, key: Bytes::from(key.encode()) },
    }
}

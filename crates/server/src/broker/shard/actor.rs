//! A shard's actor: takes commands, applies them to the pure shard, makes the effects durable,
//! answers.

use std::sync::Arc;

use litemq_domain::{Effects, Error, ErrorCode, Farewell, Shard};
use litemq_storage::{Durability, Lsn, ShardStore, StoreError};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::backlog::Backlog;
use super::batches::{batches, bytes_of};
use super::burial;
use super::command::Command;
use super::pending::{Answer, PendingAnswers};
use crate::broker::catalog::Catalog;
use crate::broker::clock::Clock;
use crate::broker::durability::error_of;
use crate::broker::life::Life;
use crate::broker::limits::{
    PENDING_ANSWERS_MAX, SHARD_CYCLE_BYTES, SHARD_CYCLE_COMMANDS, SHARD_QUEUE_COMMANDS,
    STALL_RETRY_INTERVAL,
};
use crate::broker::mail::Notice;
use crate::broker::ready::ReadySignals;
use crate::broker::sessions::Sessions;
use crate::broker::sets::SubscriptionSets;
use crate::broker::trace::{ShardTrace, WhoKey, WhoTable};

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
    /// Bytes of each shard's trace; 0 is off.
    pub(in crate::broker) trace_bytes: usize,
    /// Who did what.
    pub(in crate::broker) who: WhoTable,
    /// How many lite topics each client has.
    pub(in crate::broker) subscriptions: SubscriptionSets,
    /// Whether the broker serves; who waits looks at it too.
    pub(in crate::broker) life: watch::Sender<Life>,
}

/// One shard's actor.
#[derive(Debug)]
pub(super) struct ShardActor {
    pub(super) shard: Shard,
    pub(super) context: Arc<ActorContext>,
    /// What happened; nothing while the trace is off.
    pub(super) trace: Option<ShardTrace>,
    queue: mpsc::Receiver<Command>,
    /// For work that comes back as a command; does not keep the actor alive.
    own: mpsc::WeakSender<Command>,
    durable: watch::Receiver<Durability>,
    backlog: Backlog,
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
    Retry,
    End,
}

impl ShardActor {
    pub(super) fn new(
        shard: Shard,
        context: Arc<ActorContext>,
        queue: mpsc::Receiver<Command>,
        own: mpsc::WeakSender<Command>,
    ) -> Self {
        let mut durable = context.store.durable();
        // What happened before counts as well.
        durable.mark_changed();
        let trace = ShardTrace::new(context.trace_bytes, context.clock.now());
        Self {
            shard,
            context,
            trace,
            queue,
            own,
            durable,
            backlog: Backlog::default(),
            submitted: Lsn(0),
            pending: PendingAnswers::default(),
            failed: None,
        }
    }

    pub(super) async fn run(mut self) {
        let mut commands = Vec::with_capacity(SHARD_CYCLE_COMMANDS);
        loop {
            match self.next_turn(&mut commands).await {
                Turn::Commands => self.take_up(&mut commands),
                Turn::Durable | Turn::Retry => self.go_on(),
                Turn::Time => {
                    self.tick();
                    // More may be due than a tick deals with.
                    tokio::task::yield_now().await;
                }
                Turn::Work => self.step(),
                Turn::End => return,
            }
        }
    }

    async fn next_turn(&mut self, commands: &mut Vec<Command>) -> Turn {
        let is_held_up = self.is_held_up();
        let is_free = self.failed.is_none() && !is_held_up;
        let deadline = self.shard.next_deadline().map(|at| self.context.clock.instant_of(at));
        let has_work = is_free && self.shard.has_work();
        tokio::select! {
            biased;
            changed = self.durable.changed(), if self.failed.is_none() => match changed {
                Ok(()) => Turn::Durable,
                Err(_) => Turn::End,
            },
            count = self.queue.recv_many(commands, SHARD_CYCLE_COMMANDS),
                if self.backlog.deferred() < SHARD_QUEUE_COMMANDS => {
                if count == 0 { Turn::End } else { Turn::Commands }
            }
            () = sleep_until(deadline), if is_free => Turn::Time,
            () = tokio::task::yield_now(), if has_work => Turn::Work,
            () = tokio::time::sleep(STALL_RETRY_INTERVAL), if is_held_up => Turn::Retry,
        }
    }

    fn take_up(&mut self, commands: &mut Vec<Command>) {
        // A queue that is never empty must not keep leases from ending; claims and acks go by them.
        let is_due = |at| at <= self.context.clock.now();
        if !self.is_held_up() && self.shard.next_deadline().is_some_and(is_due) {
            self.tick();
        }
        self.apply_all(commands);
        // Nor from removing what was deleted.
        if !self.is_held_up() && self.shard.has_work() {
            self.step();
        }
    }

    fn is_held_up(&self) -> bool {
        self.backlog.refusal().is_some()
    }

    fn apply_all(&mut self, commands: &mut Vec<Command>) {
        let mut fx = self.effects();
        let mut answers = Vec::with_capacity(commands.len());
        let (mut bytes, mut measured) = (0, 0);
        for command in commands.drain(..) {
            let Some(command) = self.admit(command) else { continue };
            let payload_bytes = command.payload_bytes();
            if payload_bytes > 0 && bytes + payload_bytes > SHARD_CYCLE_BYTES {
                self.commit(&mut fx, &mut answers);
                (bytes, measured) = (0, 0);
            }
            // The commit may have been held up.
            let Some(command) = self.admit(command) else { continue };
            let by = command.by();
            answers.extend(self.apply(command, &mut fx));
            self.note(by, &mut fx);
            bytes += bytes_of(fx.records.get(measured..).unwrap_or_default());
            measured = fx.records.len();
            if bytes >= SHARD_CYCLE_BYTES {
                self.commit(&mut fx, &mut answers);
                (bytes, measured) = (0, 0);
            }
        }
        self.commit(&mut fx, &mut answers);
        self.end(fx);
    }

    /// The command, if it is to be applied now. While the store takes nothing, requests are refused
    /// and the others wait.
    fn admit(&mut self, command: Command) -> Option<Command> {
        if let Some(error) = self.backlog.refusal() {
            let told = command.refuse(error)?;
            self.backlog.defer(told);
            return None;
        }
        if self.pending.len() < PENDING_ANSWERS_MAX {
            return Some(command);
        }
        command.refuse(&Error::new(
            ErrorCode::Overloaded,
            "too many requests wait for the disk; try again shortly",
        ))
    }

    fn tick(&mut self) {
        let mut fx = self.effects();
        let sessions = Arc::clone(&self.context.sessions);
        let now = self.context.clock.now();
        self.shard.tick(now, &|client| sessions.is_connected(client, now), &mut fx);
        self.commit(&mut fx, &mut Vec::new());
        self.end(fx);
    }

    fn step(&mut self) {
        let mut fx = self.effects();
        self.shard.step(self.context.clock.now(), &mut fx);
        self.commit(&mut fx, &mut Vec::new());
        self.end(fx);
    }

    /// The effects of a turn.
    fn effects(&mut self) -> Effects {
        self.trace.as_mut().map_or_else(Effects::default, ShardTrace::effects)
    }

    /// A turn is over.
    fn end(&mut self, fx: Effects) {
        if let Some(trace) = &mut self.trace {
            trace.end_turn(fx);
        }
    }

    /// Keeps what happened in the trace. Whoever asks for it is answered when it is durable.
    fn note(&mut self, by: WhoKey, fx: &mut Effects) {
        if let Some(trace) = &mut self.trace
            && !fx.happened.is_empty()
        {
            trace.take(self.context.clock.now(), by, fx);
        }
    }

    /// Submits the effects; the answers wait for them and for everything before.
    fn commit(&mut self, fx: &mut Effects, answers: &mut Vec<Answer>) {
        self.note(WhoKey::default(), fx);
        let number = self.shard.number();
        self.backlog.batches.extend(batches(number, std::mem::take(&mut fx.records)));
        for farewell in fx.farewells.drain(..) {
            self.context.subscriptions.lost(&farewell);
            answers.push(Answer::Farewell(farewell));
        }
        self.backlog.answers.append(answers);
        for wake in fx.wakes.drain(..) {
            if let Some(signal) = self.context.signals.find(wake) {
                signal.raise(number);
            }
        }
        if !fx.burials.is_empty() {
            let burials = std::mem::take(&mut fx.burials);
            burial::start(burials, number, &self.context, self.own.clone());
        }
        for event in fx.events.drain(..) {
            self.context.catalog.count(event);
        }
        self.go_on();
    }

    /// Submits what is not yet, and answers what has become durable.
    fn go_on(&mut self) {
        self.submit();
        self.release();
        if !self.is_held_up() && self.backlog.deferred() > 0 {
            let mut deferred = self.backlog.take_deferred();
            self.apply_all(&mut deferred);
        }
    }

    fn submit(&mut self) {
        if self.failed.is_some() {
            return;
        }
        while let Some(batch) = self.backlog.batches.front() {
            match self.context.store.submit(batch.clone()) {
                Ok(lsn) => {
                    self.submitted = lsn;
                    self.backlog.batches.pop_front();
                }
                Err(error @ (StoreError::NoSpace(_) | StoreError::Overloaded)) => {
                    if !self.is_held_up() {
                        tracing::warn!(shard = self.shard.number(), %error, "the shard waits for the store");
                    }
                    self.backlog.hold(error_of(&error));
                    return;
                }
                Err(error) => return self.fail(&error),
            }
        }
        if self.backlog.end() {
            tracing::info!(shard = self.shard.number(), "the shard goes on");
        }
        for answer in self.backlog.answers.drain(..) {
            self.pending.push(self.submitted, answer);
        }
    }

    /// Answers what has become durable. Claims that nobody waits for any more go back.
    fn release(&mut self) {
        let state = self.durable.borrow_and_update().clone();
        if self.failed.is_none() {
            let released = self.pending.release(state.durable);
            for (group, messages) in released.orphans {
                self.backlog.defer(Command::GiveBack(group, messages));
            }
            for farewell in released.farewells {
                self.context.part(&farewell);
            }
            if let Some(error) = state.failed {
                self.fail(&error);
            }
        }
        if let Some(error) = &self.failed {
            self.backlog.batches.clear();
            for answer in self.backlog.answers.drain(..) {
                answer.refuse(error.clone());
            }
            self.pending.refuse_all(error);
        }
    }

    /// Nothing becomes durable any more: refuse everything from here on.
    fn fail(&mut self, error: &StoreError) {
        tracing::error!(shard = self.shard.number(), %error, "the store has failed");
        self.failed = Some(error_of(error));
        self.backlog.end();
        Life::fail(&self.context.life, error);
    }
}

impl ActorContext {
    /// A client lost a lite topic, durably.
    fn part(&self, farewell: &Farewell) {
        let notice = Notice::Unsubscribed(farewell.lite_topic.clone());
        self.sessions.tell(farewell.client, notice);
    }
}

impl Drop for ShardActor {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let reason = format!("shard {} has ended by a fault of its own", self.shard.number());
            Life::fail(&self.context.life, &StoreError::Failed(reason));
        }
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

//! What each command does to the shard.

use litemq_domain::{Effects, Result, Shard, Subscribe, Subscribing, SyncOutcome};

use super::actor::ShardActor;
use super::command::{Change, Command, LagOrder, Named, SnapshotPiece, Sync};
use super::pending::Answer;
use crate::broker::durability::error_of;
use crate::broker::limits::CHECKPOINT_SLOTS_PER_STEP;

impl ShardActor {
    /// Applies a command; its answer, if somebody waits for one.
    pub(super) fn apply(&mut self, command: Command, fx: &mut Effects) -> Option<Answer> {
        let now = self.context.clock.now();
        let room = self.context.catalog.lite_topics();
        let shard = &mut self.shard;
        Some(match command {
            Command::Send { send, in_flight, reply, .. } => {
                let admitted = self.context.store.admit_append().map_err(|error| error_of(&error));
                Answer::Send(
                    reply,
                    admitted.and_then(|()| shard.send(now, send, room, fx)),
                    in_flight,
                )
            }
            Command::Claim(claim, _, reply) => {
                let outcome = shard.claim(now, claim, fx);
                let more = outcome.as_ref().is_ok_and(|outcome| outcome.more);
                let wake = shard.wake_of(claim.client, claim.group);
                if !more && let Some(signal) = self.context.signals.find(wake) {
                    signal.lower(shard.number());
                }
                Answer::Claim(claim.group, reply, outcome)
            }
            Command::ClaimAgain(claim, _, reply) => {
                Answer::Claim(claim.group, reply, shard.claim_again(now, claim, fx))
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
                let burial = |()| shard.begin_burial(now, &named.handle, fx);
                Answer::Burial(reply, checked.and_then(burial))
            }
            Command::Bury { burial, payload, reply } => {
                let admitted = self.context.store.admit_append().map_err(|error| error_of(&error));
                let buried = admitted.and_then(|()| shard.bury(now, &burial, payload, room, fx));
                if buried.is_err() {
                    shard.burial_failed(now, &burial, fx);
                }
                Answer::Buried(reply, buried)
            }
            Command::Letters(topic, name, reply) => {
                Answer::Letters(reply, shard.letters(topic, &name))
            }
            Command::Resend(resend, _, reply) => {
                let admitted = self.context.store.admit_append().map_err(|error| error_of(&error));
                Answer::Resent(reply, admitted.and_then(|()| shard.resend(now, resend, room, fx)))
            }
            Command::Sync(sync, reply) => Answer::Sync(reply, self.sync(sync, fx)),
            Command::CountNew(client, group, names, reply) => {
                Answer::Count(reply, Ok(shard.count_new(client, group, &names)))
            }
            Command::Expel(client, group, name, reply) => {
                Answer::Count(reply, Ok(shard.expel(now, client, group, name.as_ref(), fx)))
            }
            Command::ToConsume(group, name, reply) => {
                Answer::Place(reply, shard.to_consume(group, &name))
            }
            Command::ConsumedBy(group, first, reply) => {
                Answer::Places(reply, shard.consumed_by(group, first))
            }
            Command::MovePositions(group, moves, reply) => {
                Answer::Count(reply, shard.move_positions(now, group, &moves, fx))
            }
            Command::CreateLite(topic, name, own, reply) => {
                let admitted = self.context.store.admit_append().map_err(|error| error_of(&error));
                let create = |()| shard.create_lite(now, topic, &name, own, room, fx);
                Answer::Lite(reply, admitted.and_then(create))
            }
            Command::ChangeLifetime(topic, name, changes, reply) => {
                Answer::Lite(reply, shard.change_lifetime(now, topic, &name, &changes, fx))
            }
            Command::RemoveLite(topic, name, _, reply) => {
                Answer::Done(reply, shard.remove_lite(topic, &name, fx))
            }
            Command::Describe(topic, name, reply) => {
                Answer::View(reply, shard.describe(now, topic, &name))
            }
            Command::NameOf(place, reply) => Answer::Name(reply, shard.name_of(place)),
            Command::List { topic, prefix, after, max, reply } => {
                Answer::Views(reply, shard.list(now, topic, &prefix, after.as_deref(), max))
            }
            Command::Trace(ask, from, reply) => {
                let trace = self.trace.as_ref();
                let piece = trace.map(|trace| trace.look(&ask, from, shard)).unwrap_or_default();
                Answer::Trace(reply, piece)
            }
            Command::Lag(group, reply) => Answer::Lag(reply, shard.lag(now, group)),
            Command::Lagging(group, order, reply) => Answer::Lagging(
                reply,
                match order {
                    LagOrder::Oldest(max) => (shard.oldest(group, max), None),
                    LagOrder::Most { first, max } => shard.most_lagging(group, first, max),
                },
            ),
            Command::SubscribedTo(client, group, reply) => {
                Answer::SubscribedTo(reply, shard.subscribed_to(client, group))
            }
            Command::Counts(reply) => Answer::Counts(reply, shard.counts(now)),
            Command::Audit(reply) => Answer::Audit(reply, shard.audit(now)),
            Command::Snapshot(from, reply) => Answer::Snapshot(reply, snapshot(shard, from)),
            told => {
                self.apply_told(told, fx);
                return None;
            }
        })
    }

    /// Commands that nobody waits for.
    fn apply_told(&mut self, command: Command, fx: &mut Effects) {
        let now = self.context.clock.now();
        let shard = &mut self.shard;
        match command {
            Command::BurialFailed(burial) => shard.burial_failed(now, &burial, fx),
            Command::GiveBack(group, messages) => shard.give_back(now, group, &messages, fx),
            Command::PassOver(handle) => shard.pass_over(now, &handle, fx),
            Command::LearnAges(group, ages) => shard.learn_ages(group, &ages),
            Command::DoubtClient(client) => shard.doubt_client(client, fx),
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

    fn sync(&mut self, sync: Sync, fx: &mut Effects) -> Result<SyncOutcome> {
        let now = self.context.clock.now();
        let Sync { client, key, user, group, change, names, starts } = sync;
        let takes_over = change == Change::Add;
        let who = Subscribing { client: &client, key, user };
        let (names, starts) = (&names, &starts);
        let outcome = match change {
            Change::Add | Change::AddFree => {
                let request = Subscribe { who, group, names, starts, takes_over };
                self.shard.subscribe(now, request, fx)?
            }
            Change::Remove => self.shard.unsubscribe(now, key, group, names, fx),
            Change::Replace => self.shard.replace_subscriptions(now, who, group, names, fx)?,
            Change::Clear => self.shard.unsubscribe_all(key, group, fx),
        };
        let more = outcome.added as i64 - outcome.removed as i64;
        self.context.subscriptions.count(key, group, more);
        Ok(outcome)
    }
}

fn check_name(shard: &Shard, named: &Named) -> Result<()> {
    match &named.lite_topic {
        Some(name) => shard.check_name(&named.handle, name),
        None => Ok(()),
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

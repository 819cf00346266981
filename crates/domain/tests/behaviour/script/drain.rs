//! Handing out everything that is left.

use std::collections::BTreeMap;
use std::sync::Arc;

use litemq_domain::{
    Burial, Claim, Claimed, ClientKey, DurationMs, Effects, Group, GroupId, GroupView, Handle,
    LiteTopicRoom, LiteView, Place, Record, Result, Shard, Timestamp, Topic,
};

use super::world::{World, client_key};

/// Longer than any lease.
const LATER: DurationMs = DurationMs::from_hours(13);

/// In the names of dead letters that a drain made.
const COPY_MARK: char = '\'';

/// What was handed out of one lite topic to one group: each message's offset and attempt, in order.
pub(crate) type Drained = BTreeMap<(GroupId, String), Vec<(u64, String)>>;

/// Something that a drain did.
#[derive(Debug)]
pub(crate) enum Handed {
    /// A message was given to a client, who settled it.
    Settled { client: ClientKey, group: GroupId, claimed: Claimed, message: String },
    /// A message went to the dead letters.
    Buried { burial: Burial, lite: String, copy: String, offset: u64 },
}

/// Lets all leases end, lifts all rates, and hands out and settles everything to its subscribers. Nothing may be
/// left then, and nothing may come twice.
pub(crate) fn drain(shard: &mut Shard, world: &World, handed: &mut dyn FnMut(Handed)) -> Drained {
    let mut stored = world.stored.clone();
    let now = world.now + LATER;
    let mut fx = Effects::default();
    for group in world.groups.values().filter(|group| group.options.consume_rate.is_some()) {
        let mut group = Group::clone(group);
        group.options.consume_rate = None;
        shard.set_group(Arc::new(group));
    }
    end_what_is_due(shard, now);
    while shard.has_work() {
        shard.step(now, &mut fx);
    }
    let mut drained = Drained::new();
    let mut last = usize::MAX;
    while last != 0 {
        last = 0;
        let subscribers = shard.subscribers().into_iter().map(|found| (found.key, found.group));
        // Any client will do.
        let sharing = sharing(world).map(|group| (client_key("c1"), group));
        for (client, group) in subscribers.chain(sharing).collect::<Vec<_>>() {
            let claim = Claim { client, group, ..claim_some() };
            last += claim_and_settle(shard, (world, now), claim, &mut stored, &mut drained, handed);
        }
    }
    for messages in drained.values_mut() {
        // In which order two groups bury is nobody's business.
        for (offset, message) in messages.iter_mut() {
            if message.contains(COPY_MARK) {
                *offset = u64::MAX;
            }
        }
        messages.sort_unstable();
    }
    // Settled by all, a lite topic may expire only now.
    end_what_is_due(shard, now);
    assert_nothing_is_left(shard, world, now);
    drained
}

/// The groups whose clients need not subscribe.
fn sharing(world: &World) -> impl Iterator<Item = GroupId> {
    let groups = world.groups.values().filter(|group| group.options.wildcard().is_some());
    groups.map(|group| group.id)
}

fn shares(world: &World, group: GroupId, lite: &LiteView) -> bool {
    let found = world.groups.values().find(|found| found.id == group);
    let prefix = found.and_then(|found| found.options.wildcard());
    prefix.is_some_and(|prefix| lite.name.as_str().starts_with(prefix.as_str()))
}

fn end_what_is_due(shard: &mut Shard, now: Timestamp) {
    while shard.next_deadline().is_some_and(|due| due <= now) {
        shard.tick(now, &|_| false, &mut Effects::default());
    }
}

/// Room for any number of lite topics.
struct Unlimited;

impl LiteTopicRoom for Unlimited {
    fn take(&self, _: &Topic) -> Result<()> {
        Ok(())
    }
}

fn claim_some() -> Claim {
    Claim {
        client: ClientKey(0),
        group: GroupId(0),
        messages_max: 7,
        per_lite_topic_max: 3,
        invisible: DurationMs::from_secs(10),
        auto_renew: false,
        attempt_id: 0,
    }
}

fn claim_and_settle(
    shard: &mut Shard,
    (world, now): (&World, Timestamp),
    claim: Claim,
    stored: &mut BTreeMap<(u32, u32, u64), String>,
    drained: &mut Drained,
    handed: &mut dyn FnMut(Handed),
) -> usize {
    let Claim { client, group, .. } = claim;
    let mut fx = Effects::default();
    let Ok(outcome) = shard.claim(now, claim, &mut fx) else { return 0 };
    let progress = outcome.messages.len() + fx.burials.len();
    for claimed in outcome.messages {
        let place = claimed.place;
        let message = message_at(stored, place);
        let came = drained.entry((group, claimed.lite_topic.to_string())).or_default();
        assert!(came.iter().all(|(offset, _)| *offset < place.offset), "{message} out of order");
        came.push((place.offset, format!("{message}#{}", claimed.attempt)));
        let (epoch, visible_at) = (claimed.epoch, claimed.visible_at);
        let handle = Handle { shard: shard.number(), place, group, epoch, visible_at };
        shard.ack(now, &handle, &mut fx).unwrap();
        handed(Handed::Settled { client, group, claimed, message });
    }
    for burial in std::mem::take(&mut fx.burials) {
        let message = message_at(stored, burial.place);
        let copy = format!("{message}{COPY_MARK}{}", burial.group.0);
        shard.bury(now, &burial, copy.clone().into(), &Unlimited, &mut fx).unwrap();
        if let Some(Record::Append { slot, generation, offset, .. }) =
            fx.records.iter().rfind(|record| matches!(record, Record::Append { .. }))
        {
            stored.insert((*slot, *generation, *offset), copy.clone());
            let lite = world.lite_of(shard, burial.place.slot);
            handed(Handed::Buried { burial, lite, copy, offset: *offset });
        }
    }
    progress
}

fn message_at(stored: &BTreeMap<(u32, u32, u64), String>, place: Place) -> String {
    stored[&(place.slot, place.generation, place.offset)].clone()
}

fn assert_nothing_is_left(shard: &Shard, world: &World, now: Timestamp) {
    // A lite topic may expire later than every lease.
    assert!(shard.next_deadline().is_none_or(|due| due > now), "a timer is left");
    for topic in world.topics.keys() {
        for view in shard.list(now, *topic, "", None, usize::MAX) {
            let is_served = |group: &&GroupView| {
                !group.subscribers.is_empty() || shares(world, group.group, &view)
            };
            for group in view.groups.iter().filter(is_served) {
                assert_eq!(group.committed, view.next_offset, "left behind: {view:?}");
            }
        }
    }
}

//! The durable records of a world, and shards recovered from them.

use litemq_domain::{Effects, Record, Shard, ShardRecovery};

use super::drain::drain;
use super::world::{CONFIG, World};

/// What a storage engine would hold.
#[derive(Default)]
pub(crate) struct Replay {
    pub(crate) log: Vec<Record>,
    /// The snapshot being taken, one slot after each step.
    taking: Snapshot,
    next_slot: u32,
    /// The last finished one.
    snapshot: Option<Snapshot>,
}

/// Keys and values, and the place in the log where they begin to hold.
#[derive(Default)]
struct Snapshot {
    start: usize,
    values: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Replay {
    pub(crate) fn snapshot_piece(&mut self, shard: &Shard) {
        let values = &mut self.taking.values;
        let next =
            shard.snapshot(self.next_slot, 1, &mut |key, value| values.push((key.encode(), value)));
        self.next_slot = next.unwrap_or(0);
        if next.is_none() {
            let fresh = Snapshot { start: self.log.len(), values: Vec::new() };
            self.snapshot = Some(std::mem::replace(&mut self.taking, fresh));
        }
    }

    /// From all records.
    pub(crate) fn recover(&self, world: &World) -> Shard {
        finish(replayed(ShardRecovery::new(CONFIG), &self.log), world)
    }

    /// From the last snapshot and the records since its start.
    fn recover_from_snapshot(&self, world: &World) -> Option<Shard> {
        let snapshot = self.snapshot.as_ref()?;
        let mut recovery = ShardRecovery::new(CONFIG);
        for (key, value) in &snapshot.values {
            recovery.put(key, value).unwrap();
        }
        Some(finish(replayed(recovery, &self.log[snapshot.start..]), world))
    }
}

fn replayed(mut recovery: ShardRecovery, records: &[Record]) -> ShardRecovery {
    for record in records {
        match record {
            Record::Append { slot, generation, offset, at, tag, .. } => {
                recovery.appended(*slot, *generation, *offset, *at, *tag);
            }
            Record::Drop { .. } => {}
            Record::Put { key, value } => recovery.put(&key.encode(), value).unwrap(),
            Record::Delete { key } => recovery.delete(&key.encode()).unwrap(),
        }
    }
    recovery
}

fn finish(recovery: ShardRecovery, world: &World) -> Shard {
    let topics: Vec<_> = world.topics.values().cloned().collect();
    let groups: Vec<_> = world.groups.values().cloned().collect();
    recovery.finish(world.now, topics, groups)
}

/// Compares the world's shard with shards recovered from its records: what they show, and what
/// they hand out when all leases have ended.
pub(crate) fn check_restarts(mut world: World, place: &str) {
    let mut recovered = vec![(world.replay.recover(&world), "records")];
    let from_snapshot = world.replay.recover_from_snapshot(&world);
    recovered.extend(from_snapshot.map(|shard| (shard, "a snapshot")));
    let mut live = std::mem::replace(&mut world.shard, Shard::new(CONFIG));
    let leases_agree = leases_agree(&live, &world);
    let views = Views::of(&mut live, &world, leases_agree);
    for (shard, source) in &mut recovered {
        let same = Views::of(shard, &world, leases_agree);
        assert_eq!(same, views, "recovered from {source}, {place}");
    }
    for burial in &world.burials {
        live.burial_failed(world.now, burial, &mut Effects::default());
    }
    let drained = drain(live, &world);
    for (shard, source) in recovered {
        let same = drain(shard, &world);
        assert_eq!(same, drained, "handed out when recovered from {source}, {place}");
    }
}

/// A restart forgets what is being buried and deals with what is due.
fn leases_agree(live: &Shard, world: &World) -> bool {
    world.burials.is_empty() && live.next_deadline().is_none_or(|due| due > world.now)
}

/// What a shard shows of itself.
#[derive(Debug, PartialEq)]
struct Views {
    lites: Vec<String>,
    pairs: u64,
    subscribers: Vec<String>,
}

impl Views {
    fn of(shard: &mut Shard, world: &World, leases_agree: bool) -> Self {
        while shard.has_work() {
            shard.step(world.now, &mut Effects::default());
        }
        let mut lites = Vec::new();
        for topic in world.topics.keys() {
            for mut view in shard.list(world.now, *topic, "", None, usize::MAX) {
                for group in view.groups.iter_mut().filter(|_| !leases_agree) {
                    group.ready += std::mem::take(&mut group.in_flight);
                }
                lites.push(format!("{view:?}"));
            }
        }
        let mut subscribers: Vec<String> =
            shard.subscribers().iter().map(|found| format!("{found:?}")).collect();
        subscribers.sort_unstable();
        Self { lites, pairs: shard.counts(world.now).subscriptions, subscribers }
    }
}

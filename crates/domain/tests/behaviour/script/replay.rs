//! The durable records of a world, and shards recovered from them.

use litemq_domain::{Effects, Record, Shard, ShardRecovery};

use super::drain::{Handed, drain};
use super::world::{CONFIG, World};

/// What a storage engine would hold.
pub(crate) struct Replay {
    pub(crate) log: Vec<Record>,
    /// The snapshot being taken, one slot after each step.
    taking: Snapshot,
    next_slot: Option<u32>,
    /// The last finished one.
    snapshot: Option<Snapshot>,
}

impl Default for Replay {
    fn default() -> Self {
        Self { log: Vec::new(), taking: Snapshot::default(), next_slot: Some(0), snapshot: None }
    }
}

/// Keys and values, and the place in the log where they begin to hold.
#[derive(Default)]
struct Snapshot {
    start: usize,
    values: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Replay {
    /// Takes the next piece of a snapshot, which holds once it is complete and all of it is durable.
    pub(crate) fn snapshot_piece(&mut self, shard: &Shard, is_durable: bool) {
        if let Some(next_slot) = self.next_slot {
            let values = &mut self.taking.values;
            self.next_slot = shard.snapshot(next_slot, 1, &mut |key, value| {
                values.push((key.encode(), value));
            });
        }
        if self.next_slot.is_none() && is_durable {
            let taken = self.begin_snapshot();
            self.snapshot = Some(taken);
        }
    }

    /// Begins a new snapshot; the one before.
    fn begin_snapshot(&mut self) -> Snapshot {
        self.next_slot = Some(0);
        let fresh = Snapshot { start: self.log.len(), values: Vec::new() };
        std::mem::replace(&mut self.taking, fresh)
    }

    /// Records from here on, and the snapshot that is being taken, were never durable.
    pub(crate) fn lose_from(&mut self, log: usize) {
        self.log.truncate(log);
        self.begin_snapshot();
    }

    pub(crate) fn has_snapshot(&self) -> bool {
        self.snapshot.is_some()
    }

    /// From all records.
    pub(crate) fn recover(&self, world: &World) -> Shard {
        finish(replayed(ShardRecovery::new(CONFIG), &self.log), world)
    }

    /// From the last snapshot and the records since its start.
    pub(crate) fn recover_from_snapshot(&self, world: &World) -> Option<Shard> {
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
    recovery.finish(world.now, topics, groups).unwrap()
}

/// Compares the world's shard with shards recovered from its records: what they show, and what
/// they hand out when all leases have ended.
pub(crate) fn check_restarts(mut world: World, place: &str) {
    check_recovered(&mut world, place, &mut |_| {});
}

/// The same; `handed` is told what the world's own shard hands out.
pub(crate) fn check_recovered(world: &mut World, place: &str, handed: &mut dyn FnMut(Handed)) {
    let mut recovered = vec![(world.replay.recover(world), "records")];
    let from_snapshot = world.replay.recover_from_snapshot(world);
    recovered.extend(from_snapshot.map(|shard| (shard, "a snapshot")));
    let mut live = std::mem::replace(&mut world.shard, Shard::new(CONFIG));
    let leases_agree = leases_agree(&live, world);
    let views = Views::of(&mut live, world, leases_agree);
    for (shard, source) in &mut recovered {
        let same = Views::of(shard, world, leases_agree);
        assert_eq!(same, views, "recovered from {source}, {place}");
        let violations = world.violations_of(shard);
        assert!(violations.is_empty(), "recovered from {source}, {place}: {violations:#?}");
    }
    for burial in &world.burials {
        live.burial_failed(world.now, burial, &mut Effects::default());
    }
    let drained = drain(&mut live, world, handed);
    world.shard = live;
    world.recount();
    for (mut shard, source) in recovered {
        let same = drain(&mut shard, world, &mut |_| {});
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

//! What a world is made of: decided by its seed before it begins.

use std::time::Duration;

use litemq_checker::Dice;
use litemq_clients::client::Receiving;
use litemq_clients::workload::{Habits, Sharing};
use litemq_storage::disk::Survival;

use crate::notes::NOTES;
use crate::server::{GroupPlan, ServerPlan};

pub(crate) const ORDERED: &str = "ordered";
pub(crate) const UNORDERED: &str = "unordered";
/// A group with few attempts, whose consumers give much back.
pub(crate) const FRAGILE: &str = "fragile";
const FRAGILE_ATTEMPTS_MAX: u16 = 3;
/// A group in which who subscribes takes lite topics from whoever has them.
pub(crate) const EXCLUSIVE: &str = "exclusive";
/// A group whose clients share all lite topics without subscribing.
pub(crate) const WILDCARD: &str = "wildcard";

/// Lite topics that are sent to.
pub(crate) const LITE_TOPICS: usize = 12;
/// Producers pause while more than this is owed.
pub(crate) const OWED_MAX: u64 = 120;

/// A world.
#[derive(Debug, Clone)]
pub(crate) struct WorldPlan {
    pub(crate) seed: u64,
    pub(crate) server: ServerPlan,
    pub(crate) producers: usize,
    pub(crate) consumers: Vec<Habits>,
    pub(crate) body_bytes_max: usize,
    /// Pause of a producer between two requests.
    pub(crate) pause: Duration,
    /// Latency of the network, milliseconds.
    pub(crate) latency_ms: (usize, usize),
    /// How long there is load and faults.
    pub(crate) load_for: Duration,
    /// Within this time of calm all that is owed is delivered and settled.
    pub(crate) calm_max: Duration,
    /// What happens, by its time.
    pub(crate) faults: Vec<(Duration, Fault)>,
}

/// A client, by its place among producers and then consumers.
pub(crate) type Seat = usize;

/// Something that goes wrong, and for how long.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// Nothing passes between a client and the server, and what was on its way is lost.
    Cut(Seat, Duration),
    /// What is on its way, and what follows, arrives later.
    Hold(Seat, Duration),
    /// The client hears nothing more, the server does.
    Deafen(Seat, Duration),
    /// The server hears nothing more, the client does.
    Mute(Seat, Duration),
    /// Every message takes so long, milliseconds.
    Slow(Seat, u64, Duration),
    /// The client does not read what comes.
    Stall(Seat, Duration),
    /// The client dies and comes back: one that stays as itself, another as somebody else.
    Die { seat: Seat, is_silent: bool, away: Duration },
    /// The server's process is killed now; the disk keeps what was written.
    Kill { away: Duration },
    /// At its so manyth disk operation from now the process is killed, or the machine goes off.
    Crash { acts: u64, survival: Option<Survival>, away: Duration },
    /// The server is stopped and started.
    Restart { away: Duration },
    /// The so manyth sync from now fails, and the server with it.
    FailSync(u64),
    /// The same of a write.
    FailWrite(u64),
    /// Syncs take so long, milliseconds.
    SlowDisk(u64, u64, Duration),
    /// So many more bytes fit on the disk.
    FillDisk(u64, Duration),
    /// A checkpoint now.
    Checkpoint,
    /// Somebody removes this lite topic.
    Remove(usize),
    /// Somebody moves a group back to the oldest message of this lite topic.
    Reset(&'static str, usize),
    /// Somebody sends to this lite topic of the topic whose lite topics expire.
    Note(usize),
    /// The wall clock is set back by so many milliseconds. Forward would be, for a server that
    /// starts, a long time off.
    SetWallBack(u64),
}

/// What happens to a world.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// Seconds of load, at least and at most.
    pub(crate) load_secs: (usize, usize),
    /// Least and most pause between two faults, milliseconds.
    pub(crate) pause_ms: (usize, usize),
    /// Each kind of fault by its weight.
    pub(crate) faults: &'static [(usize, Kind)],
    /// Least and most time that faults last and clients are away, milliseconds.
    pub(crate) long_ms: (usize, usize),
    /// Least and most pause of a producer between two requests, milliseconds.
    pub(crate) producer_pause_ms: (usize, usize),
    /// Whether there is a group with few attempts.
    pub(crate) is_fragile: bool,
    /// Whether there are an exclusive group, a wildcard group, and lite topics that expire.
    pub(crate) has_modes: bool,
    /// Load without new faults at its end.
    pub(crate) quiet: Duration,
    /// See [`WorldPlan::calm_max`].
    pub(crate) calm_max: Duration,
}

/// A lease of a push consumer that is gone without a word, or whose answer was lost, ends after 60 s;
/// its connection is found dead after 50 s.
const CALM_MAX: Duration = secs(70);

/// A scenario without faults, for others to differ from.
pub(crate) const FAIR: Scenario = Scenario {
    name: "fair",
    load_secs: (8, 20),
    pause_ms: (200, 3_000),
    faults: &[],
    long_ms: (50, 8_000),
    producer_pause_ms: (0, 100),
    is_fragile: false,
    has_modes: false,
    quiet: Duration::ZERO,
    calm_max: CALM_MAX,
};

/// A kind of fault; the dice choose the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Cut,
    Hold,
    Deafen,
    Mute,
    Slow,
    Stall,
    /// Of a client whose host says goodbye to the server's.
    Die,
    /// Of one whose host does not.
    Vanish,
    Kill,
    KillAtAct,
    PowerCut,
    Restart,
    FailSync,
    FailWrite,
    SlowDisk,
    FillDisk,
    Checkpoint,
    Remove,
    Reset,
    Note,
    SetWallBack,
}

impl WorldPlan {
    pub(crate) fn of(scenario: &Scenario, seed: u64) -> Self {
        let mut dice = Dice::of(seed).fork(scenario.name);
        let load_for = secs(dice.within(scenario.load_secs.0..scenario.load_secs.1 + 1));
        let producers = dice.within(1..3);
        let consumers = consumers(scenario, &mut dice);
        let seats = producers + consumers.len();
        let mut plan = Self {
            seed,
            server: server(scenario, seed, &mut dice),
            producers,
            consumers,
            body_bytes_max: *dice.one_of(&[2_000, 20_000]),
            pause: between(scenario.producer_pause_ms, &mut dice),
            latency_ms: *dice.one_of(&[(5, 5), (5, 20), (5, 60)]),
            load_for,
            calm_max: scenario.calm_max,
            faults: Vec::new(),
        };
        if scenario.faults.is_empty() {
            return plan;
        }
        let mut at = secs(1);
        loop {
            at += between(scenario.pause_ms, &mut dice);
            if at + scenario.quiet >= load_for {
                return plan;
            }
            let kind = choose(scenario.faults, &mut dice);
            let fault = fault(kind, between(scenario.long_ms, &mut dice), seats, &mut dice);
            plan.faults.push((at, fault));
        }
    }
}

fn server(scenario: &Scenario, seed: u64, dice: &mut Dice) -> ServerPlan {
    let quota = Some(LITE_TOPICS as u32);
    let sharing = Sharing::Shared;
    let group = |name, ordered| GroupPlan { name, ordered, max_attempts: 1000, quota, sharing };
    let mut groups = vec![group(ORDERED, true), group(UNORDERED, false)];
    if scenario.is_fragile {
        let max_attempts = FRAGILE_ATTEMPTS_MAX;
        groups.push(GroupPlan { max_attempts, ..group(FRAGILE, dice.percent(50)) });
    }
    if scenario.has_modes {
        for name in [EXCLUSIVE, WILDCARD] {
            groups.push(GroupPlan { sharing: sharing_of(name), ..group(name, dice.percent(50)) });
        }
    }
    ServerPlan {
        seed,
        shards: *dice.one_of(&[1, 2, 3]),
        segment_bytes: *dice.one_of(&[256 << 10, 1 << 20]),
        checkpoint_interval: secs(dice.within(2..20)),
        groups,
        has_notes: scenario.has_modes,
    }
}

fn sharing_of(group: &str) -> Sharing {
    match group {
        EXCLUSIVE => Sharing::Exclusive,
        WILDCARD => Sharing::Wildcard,
        _ => Sharing::Shared,
    }
}

/// One that stays in each group, and others that come, go, and settle badly.
fn consumers(scenario: &Scenario, dice: &mut Dice) -> Vec<Habits> {
    let mut groups = vec![ORDERED, UNORDERED];
    if scenario.is_fragile {
        groups.push(FRAGILE);
    }
    if scenario.has_modes {
        groups.extend([EXCLUSIVE, WILDCARD]);
    }
    let mut all = Vec::new();
    for group in &groups {
        all.push(Habits {
            stays: true,
            share: 100,
            nacks: 0,
            forgets: 0,
            greed: 0,
            ..consumer(&format!("stay-{group}"), group, dice)
        });
    }
    for number in 0..dice.within(1..3) {
        let group = *dice.one_of(&groups);
        all.push(consumer(&format!("c{number}"), group, dice));
    }
    if scenario.is_fragile {
        let nacks = dice.within(20..60);
        all.push(Habits { nacks, suspends: 10, ..consumer("careless", FRAGILE, dice) });
    }
    // Removal ends subscriptions. Elsewhere only what the broker remembers counts.
    let removes = scenario.faults.iter().any(|(_, kind)| matches!(kind, Kind::Remove));
    all.iter_mut().for_each(|habits| habits.syncs = removes);
    if scenario.has_modes {
        all.push(consumer("rival", EXCLUSIVE, dice));
        all.push(consumer("fellow", WILDCARD, dice));
        // Who stays takes again what others took, so that in the end nothing is without an owner.
        let is_owner = |habits: &&mut Habits| habits.stays && habits.group == EXCLUSIVE;
        all.iter_mut().filter(is_owner).for_each(|habits| habits.syncs = true);
    }
    all
}

fn consumer(name: &str, group: &str, dice: &mut Dice) -> Habits {
    let invisible = dice.percent(50).then(|| secs(dice.within(10..20)));
    Habits {
        name: name.to_owned(),
        group: group.to_owned(),
        sharing: sharing_of(group),
        receiving: Receiving {
            language: ["JAVA", "PYTHON", "GOLANG"][dice.below(3)],
            batch: *dice.one_of(&[1, 4, 32]),
            invisible,
        },
        share: dice.within(30..100),
        stays: false,
        nacks: dice.below(15),
        suspends: dice.below(60),
        // What is renewed comes back only when its client leaves.
        forgets: if invisible.is_some() { dice.below(10) } else { 0 },
        greed: if dice.percent(30) { LITE_TOPICS + 1 } else { 0 },
        syncs: false,
    }
}

fn choose(kinds: &[(usize, Kind)], dice: &mut Dice) -> Kind {
    let mut thrown = dice.below(kinds.iter().map(|(weight, _)| weight).sum());
    for (weight, kind) in kinds {
        if thrown < *weight {
            return *kind;
        }
        thrown -= weight;
    }
    unreachable!("thrown is below the sum of the weights")
}

fn fault(kind: Kind, long: Duration, seats: usize, dice: &mut Dice) -> Fault {
    let seat = dice.below(seats);
    let away = ms(dice.within(5..3_000));
    match kind {
        Kind::Cut => Fault::Cut(seat, long),
        Kind::Hold => Fault::Hold(seat, ms(dice.within(20..3_000))),
        Kind::Deafen => Fault::Deafen(seat, long),
        Kind::Mute => Fault::Mute(seat, long),
        Kind::Slow => Fault::Slow(seat, dice.within(50..800) as u64, long),
        Kind::Stall => Fault::Stall(seat, long),
        Kind::Die => Fault::Die { seat, is_silent: false, away: long },
        Kind::Vanish => Fault::Die { seat, is_silent: true, away: long },
        Kind::Kill => Fault::Kill { away },
        Kind::KillAtAct => Fault::Crash { acts: dice.within(1..30) as u64, survival: None, away },
        Kind::PowerCut => {
            let survivals = [
                Survival::Nothing,
                Survival::Everything,
                Survival::Prefix(dice.draw()),
                Survival::Some(dice.draw()),
                Survival::TornEnd(dice.draw()),
                Survival::Zeros,
                Survival::Stale(dice.draw()),
            ];
            let acts = dice.within(1..30) as u64;
            Fault::Crash { acts, survival: Some(*dice.one_of(&survivals)), away }
        }
        Kind::Restart => Fault::Restart { away },
        Kind::FailSync => Fault::FailSync(dice.within(1..20) as u64),
        Kind::FailWrite => Fault::FailWrite(dice.within(1..20) as u64),
        Kind::SlowDisk => Fault::SlowDisk(20, dice.within(50..900) as u64, long),
        Kind::FillDisk => Fault::FillDisk(dice.within(0..200_000) as u64, long),
        Kind::Checkpoint => Fault::Checkpoint,
        Kind::Remove => Fault::Remove(dice.below(LITE_TOPICS)),
        Kind::Reset => {
            let groups = [ORDERED, UNORDERED, EXCLUSIVE, WILDCARD];
            Fault::Reset(dice.one_of::<&str>(&groups), dice.below(LITE_TOPICS))
        }
        Kind::Note => Fault::Note(dice.below(NOTES)),
        Kind::SetWallBack => Fault::SetWallBack(dice.within(0..3_600_000) as u64),
    }
}

fn between((least_ms, most_ms): (usize, usize), dice: &mut Dice) -> Duration {
    ms(dice.within(least_ms..most_ms + 1))
}

pub(crate) const fn secs(count: usize) -> Duration {
    Duration::from_secs(count as u64)
}

pub(crate) const fn ms(count: usize) -> Duration {
    Duration::from_millis(count as u64)
}

//! What a world is made of: decided by its seed before it begins.

use std::time::Duration;

use litemq_checker::Dice;
use litemq_clients::client::Receiving;
use litemq_clients::workload::Habits;
use litemq_storage::disk::Survival;

use crate::server::{GroupPlan, ServerPlan};

pub(crate) const ORDERED: &str = "ordered";
pub(crate) const UNORDERED: &str = "unordered";

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
    /// Latency of the network, milliseconds.
    pub(crate) latency_ms: (usize, usize),
    /// How long there is load and faults.
    pub(crate) load_for: Duration,
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
    /// The client dies and comes back.
    Die { seat: Seat, is_silent: bool, away: Duration, is_same: bool },
    /// The server's process is killed; the disk keeps what was written.
    Kill { away: Duration },
    /// The machine goes off at its so manyth disk operation from now.
    PowerCut { acts: u64, survival: Survival, away: Duration },
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
    /// The wall clock is so many milliseconds ahead of what it was at the beginning.
    SetWall(i64),
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
}

/// A kind of fault; the dice choose the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Cut,
    Hold,
    Deafen,
    Mute,
    Slow,
    Stall,
    Die,
    Kill,
    PowerCut,
    Restart,
    FailSync,
    FailWrite,
    SlowDisk,
    FillDisk,
    Checkpoint,
    SetWall,
}

impl WorldPlan {
    pub(crate) fn of(scenario: &Scenario, seed: u64) -> Self {
        let mut dice = Dice::of(seed).fork(scenario.name);
        let load_for = secs(dice.within(scenario.load_secs.0..scenario.load_secs.1 + 1));
        let producers = dice.within(1..3);
        let consumers = consumers(&mut dice);
        let seats = producers + consumers.len();
        let mut plan = Self {
            seed,
            server: server(seed, &mut dice),
            producers,
            consumers,
            body_bytes_max: *dice.one_of(&[2_000, 20_000]),
            latency_ms: *dice.one_of(&[(5, 5), (5, 20), (5, 60)]),
            load_for,
            faults: Vec::new(),
        };
        if scenario.faults.is_empty() {
            return plan;
        }
        let mut at = secs(1);
        loop {
            at += ms(dice.within(scenario.pause_ms.0..scenario.pause_ms.1 + 1));
            if at >= load_for {
                return plan;
            }
            let fault = fault(choose(scenario.faults, &mut dice), seats, &mut dice);
            plan.faults.push((at, fault));
        }
    }
}

fn server(seed: u64, dice: &mut Dice) -> ServerPlan {
    let group = |name, ordered| GroupPlan { name, ordered, max_attempts: 1000, quota: None };
    ServerPlan {
        seed,
        shards: *dice.one_of(&[1, 2, 3]),
        segment_bytes: *dice.one_of(&[256 << 10, 1 << 20]),
        checkpoint_interval: secs(dice.within(2..20)),
        groups: vec![group(ORDERED, true), group(UNORDERED, false)],
    }
}

/// One that stays in each group, and others that come, go, and settle badly.
fn consumers(dice: &mut Dice) -> Vec<Habits> {
    let mut all = Vec::new();
    for group in [ORDERED, UNORDERED] {
        let stayer = Habits {
            stays: true,
            share: 100,
            nacks: 0,
            forgets: 0,
            ..consumer(&format!("stay-{group}"), group, dice)
        };
        all.push(stayer);
    }
    for number in 0..dice.within(1..3) {
        let group = *dice.one_of(&[ORDERED, UNORDERED]);
        all.push(consumer(&format!("c{number}"), group, dice));
    }
    all
}

fn consumer(name: &str, group: &str, dice: &mut Dice) -> Habits {
    let invisible = dice.percent(50).then(|| secs(dice.within(10..20)));
    Habits {
        name: name.to_owned(),
        group: group.to_owned(),
        receiving: Receiving {
            language: *dice.one_of(&["JAVA", "PYTHON", "GOLANG"]),
            batch: *dice.one_of(&[1, 4, 32]),
            invisible,
        },
        share: dice.within(30..100),
        stays: false,
        nacks: dice.below(15),
        // What is renewed comes back only when its client leaves.
        forgets: if invisible.is_some() { dice.below(10) } else { 0 },
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

fn fault(kind: Kind, seats: usize, dice: &mut Dice) -> Fault {
    let seat = dice.below(seats);
    let long = ms(dice.within(50..8_000));
    let away = ms(dice.within(5..3_000));
    match kind {
        Kind::Cut => Fault::Cut(seat, long),
        Kind::Hold => Fault::Hold(seat, ms(dice.within(20..3_000))),
        Kind::Deafen => Fault::Deafen(seat, long),
        Kind::Mute => Fault::Mute(seat, long),
        Kind::Slow => Fault::Slow(seat, dice.within(50..800) as u64, long),
        Kind::Stall => Fault::Stall(seat, long),
        Kind::Die => {
            let (is_silent, is_same) = (dice.percent(30), dice.percent(50));
            Fault::Die { seat, is_silent, away: long, is_same }
        }
        Kind::Kill => Fault::Kill { away },
        Kind::PowerCut => {
            let survivals = [
                Survival::Nothing,
                Survival::Everything,
                Survival::Prefix(dice.draw()),
                Survival::Some(dice.draw()),
            ];
            let acts = dice.within(1..12) as u64;
            Fault::PowerCut { acts, survival: *dice.one_of(&survivals), away }
        }
        Kind::Restart => Fault::Restart { away },
        Kind::FailSync => Fault::FailSync(dice.within(1..20) as u64),
        Kind::FailWrite => Fault::FailWrite(dice.within(1..20) as u64),
        Kind::SlowDisk => Fault::SlowDisk(20, dice.within(50..900) as u64, long),
        Kind::FillDisk => Fault::FillDisk(dice.within(0..200_000) as u64, long),
        Kind::Checkpoint => Fault::Checkpoint,
        Kind::SetWall => Fault::SetWall(dice.within(0..7_200_000) as i64 - 3_600_000),
    }
}

pub(crate) const fn secs(count: usize) -> Duration {
    Duration::from_secs(count as u64)
}

pub(crate) const fn ms(count: usize) -> Duration {
    Duration::from_millis(count as u64)
}

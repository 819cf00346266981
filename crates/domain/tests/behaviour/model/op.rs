//! Random operations. Handles, messages being buried and receives to repeat are picked when an
//! operation is done, so that a sequence makes sense with some of its operations taken out.

use litemq_checker::Dice;

pub(crate) const LITES: [&str; 3] = ["a", "b", "c"];
/// Two groups with rules that change, and one that consumes their dead letters.
pub(crate) const GROUPS: [&str; 3] = ["g", "h", "d"];
pub(crate) const OF_DEAD_LETTERS: &str = "d";
pub(crate) const CLIENTS: [&str; 3] = ["c1", "c2", "c3"];

/// A client of a group, by number.
pub(crate) type Pair = (usize, usize);

#[derive(Debug, Clone)]
pub(crate) enum Op {
    Send { lite: usize, count: usize },
    SendAgain(usize),
    Subscribe(Pair, Vec<usize>),
    Unsubscribe(Pair, Vec<usize>),
    Replace(Pair, Vec<usize>),
    Leave(Pair),
    Claim { pair: Pair, seconds: Option<u64>, max: usize, each: usize, repeatable: bool },
    Repeat(Pair),
    Ack(usize),
    Hide(usize, u64),
    Suspend(usize, u64),
    GiveBack(usize),
    BeginBurial(usize),
    Bury(usize),
    BurialFailed(usize),
    Doubt(usize),
    Gone(usize, bool),
    Connected(usize, bool),
    Wait(u64),
    Jump(u64),
    Tick,
    Work,
    Remove(usize),
    RemoveGroup { group: usize, by_restart: bool },
    Trim(usize, u64),
    Rules { group: usize, rules: Rules, at_once: bool },
    Count,
    Hold,
    Durable,
    Crash { from_snapshot: bool },
    Restart { from_snapshot: bool },
}

/// How a group delivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rules {
    pub(crate) ordered: bool,
    pub(crate) attempts: u16,
    /// Lite topics that one client may subscribe to.
    pub(crate) quota: Option<u32>,
}

/// An operation's share, and how it is thrown. To add an operation: a row here, its meaning for the
/// shard and the model in `both.rs`, and what clients see of it in `witness.rs`.
const KINDS: [(usize, fn(&mut Dice) -> Op); 31] = [
    (40, |dice| Op::Send { lite: lite(dice), count: dice.within(1..4) }),
    (4, |dice| Op::SendAgain(dice.below(4))),
    (16, |dice| Op::Subscribe(pair(dice), lites(dice))),
    (4, |dice| Op::Unsubscribe(pair(dice), lites(dice))),
    (4, |dice| Op::Replace(pair(dice), lites(dice))),
    (2, |dice| Op::Leave(pair(dice))),
    (70, |dice| Op::Claim {
        pair: pair(dice),
        seconds: dice.percent(50).then(|| dice.within(1..20) as u64),
        max: dice.below(8),
        each: dice.below(5),
        repeatable: dice.percent(50),
    }),
    (8, |dice| Op::Repeat(pair(dice))),
    (40, |dice| Op::Ack(dice.below(8))),
    (8, |dice| Op::Hide(dice.below(8), seconds(dice))),
    (8, |dice| Op::Suspend(dice.below(8), seconds(dice))),
    (4, |dice| Op::GiveBack(dice.below(8))),
    (6, |dice| Op::BeginBurial(dice.below(8))),
    (14, |dice| Op::Bury(dice.below(4))),
    (4, |dice| Op::BurialFailed(dice.below(4))),
    (3, |dice| Op::Doubt(client(dice))),
    (3, |dice| Op::Gone(client(dice), dice.percent(50))),
    (4, |dice| Op::Connected(client(dice), dice.percent(60))),
    (16, |dice| match dice.below(13) {
        0 => Op::Wait(11_000),
        1..5 => Op::Wait(dice.within(50..70) as u64),
        _ => Op::Wait(dice.below(20) as u64),
    }),
    (4, |dice| Op::Jump(seconds(dice))),
    (4, |_| Op::Tick),
    (4, |_| Op::Work),
    (2, |dice| Op::Remove(lite(dice))),
    (1, |dice| Op::RemoveGroup { group: dice.below(2), by_restart: dice.percent(30) }),
    (3, |dice| Op::Trim(lite(dice), dice.below(6) as u64)),
    (2, |dice| Op::Rules { group: dice.below(2), rules: rules(dice), at_once: dice.percent(50) }),
    (2, |_| Op::Count),
    (4, |_| Op::Hold),
    (3, |_| Op::Durable),
    (4, |dice| Op::Crash { from_snapshot: dice.percent(50) }),
    (3, |dice| Op::Restart { from_snapshot: dice.percent(50) }),
];

/// What is done to a fresh shard.
#[derive(Debug, Clone)]
pub(crate) struct Sequence {
    /// Of the first two groups, at the start.
    pub(crate) rules: [Rules; 2],
    pub(crate) ops: Vec<Op>,
}

const OPS: std::ops::Range<usize> = 20..201;
/// Of a hundred sequences, in so many each kind of operation is left out, so that some are without
/// what ends interesting states early.
const LEFT_OUT_PERCENT: usize = 20;

impl Sequence {
    /// The sequence of a seed.
    pub(crate) fn of(seed: u64) -> Self {
        let mut dice = Dice::of(seed).fork("operations");
        let kinds: Vec<_> = KINDS.into_iter().filter(|_| !dice.percent(LEFT_OUT_PERCENT)).collect();
        let total: usize = kinds.iter().map(|(share, _)| share).sum();
        let rules = [rules(&mut dice), rules(&mut dice)];
        let count = dice.within(OPS);
        let mut throw = || {
            let mut at = dice.below(total);
            let kind = kinds.iter().find(|(share, _)| {
                let is_it = at < *share;
                at = at.wrapping_sub(*share);
                is_it
            });
            kind.map(|(_, throw)| throw(&mut dice))
        };
        let ops = (0..count).filter_map(|_| throw()).collect();
        Self { rules, ops }
    }
}

fn lite(dice: &mut Dice) -> usize {
    dice.below(LITES.len())
}

fn client(dice: &mut Dice) -> usize {
    dice.below(CLIENTS.len())
}

fn pair(dice: &mut Dice) -> Pair {
    (client(dice), *dice.one_of(&[0, 0, 0, 0, 1, 1, 1, 2]))
}

fn lites(dice: &mut Dice) -> Vec<usize> {
    (0..dice.below(4)).map(|_| lite(dice)).collect()
}

fn seconds(dice: &mut Dice) -> u64 {
    match dice.below(3) {
        0 => 0,
        1 => dice.within(1..20) as u64,
        _ => dice.within(50..70) as u64,
    }
}

fn rules(dice: &mut Dice) -> Rules {
    Rules {
        ordered: dice.percent(60),
        attempts: dice.within(1..4) as u16,
        quota: dice.percent(30).then(|| dice.within(1..4) as u32),
    }
}

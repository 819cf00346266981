//! Random operations. Handles, messages being buried and receives to repeat are picked when an
//! operation is done, so that a sequence makes sense with some of its operations taken out.

use litemq_checker::Dice;
use litemq_domain::{DurationMs, NamePrefix, StartAt, SubscriptionMode, TopicOptions};

use crate::script::step::{Change, Resets};

pub(crate) const LITES: [&str; 3] = ["a", "b", "c"];
/// Two groups with rules that change, and one that consumes their dead letters.
pub(crate) const GROUPS: [&str; 3] = ["g", "h", "d"];
pub(crate) const OF_DEAD_LETTERS: &str = "d";
pub(crate) const CLIENTS: [&str; 3] = ["c1", "c2", "c3"];

/// A client of a group, by number.
pub(crate) type Pair = (usize, usize);

#[derive(Debug, Clone)]
pub(crate) enum Op {
    Send {
        lite: usize,
        count: usize,
    },
    /// A message that gives the lite topic a time to live of its own, if it makes it.
    SendFirst {
        lite: usize,
        ttl: Option<DurationMs>,
    },
    Options(TopicOptions),
    Room(Option<u64>),
    Create {
        lite: usize,
        ttl: Option<Option<DurationMs>>,
    },
    Lifetime(usize, Change),
    SendAgain(usize),
    Subscribe(Pair, Vec<usize>),
    SubscribeFrom(Pair, Vec<usize>, StartAt),
    /// Moves a group in one lite topic or in all.
    Move {
        group: usize,
        lite: Option<usize>,
        start: StartAt,
    },
    Expel(Pair, Option<usize>),
    Unsubscribe(Pair, Vec<usize>),
    Replace(Pair, Vec<usize>),
    Leave(Pair),
    Claim {
        pair: Pair,
        seconds: Option<u64>,
        max: usize,
        each: usize,
        repeatable: bool,
    },
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
    RemoveGroup {
        group: usize,
        by_restart: bool,
    },
    Trim(usize, u64),
    Resend {
        lite: usize,
        from: usize,
        count: usize,
    },
    RemoveLetters(usize),
    TrimLetters(usize, u64),
    Rules {
        group: usize,
        rules: Rules,
        at_once: bool,
    },
    Count,
    Hold,
    Durable,
    Crash {
        from_snapshot: bool,
    },
    Restart {
        from_snapshot: bool,
    },
}

/// How a group delivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rules {
    pub(crate) ordered: bool,
    pub(crate) attempts: u16,
    /// Lite topics that one client may subscribe to.
    pub(crate) quota: Option<u32>,
    pub(crate) mode: Mode,
    pub(crate) resets: Resets,
    /// Messages of one lite topic a second.
    pub(crate) rate: Option<u32>,
}

/// How the clients of a group share lite topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Shared,
    Exclusive,
    /// All those whose names start so.
    Wildcard(&'static str),
}

impl Mode {
    pub(crate) fn of_group(self) -> SubscriptionMode {
        match self {
            Self::Shared => SubscriptionMode::Shared,
            Self::Exclusive => SubscriptionMode::Exclusive,
            Self::Wildcard(prefix) => SubscriptionMode::Wildcard(NamePrefix::new(prefix).unwrap()),
        }
    }

    /// Whether all clients share a lite topic of this name.
    pub(crate) fn shares(self, lite: &str) -> bool {
        matches!(self, Self::Wildcard(prefix) if lite.starts_with(prefix))
    }
}

/// An operation's share, and how it is thrown. To add an operation: a row here, its meaning for the
/// shard and the model in `both.rs`, and what clients see of it in `witness.rs`.
type Throw = fn(&mut Thrower) -> Op;

const KINDS: [(usize, Throw); 42] = [
    (40, |throw| Op::Send { lite: throw.lite(), count: throw.dice.within(1..4) }),
    (4, |throw| Op::SendAgain(throw.dice.below(4))),
    (2, |throw| Op::SendFirst { lite: throw.lite(), ttl: throw.ttl() }),
    (3, |throw| Op::Options(throw.options())),
    (1, |throw| Op::Room(throw.quota())),
    (2, |throw| {
        let own = throw.dice.percent(50);
        Op::Create { lite: throw.lite(), ttl: own.then(|| throw.ttl()) }
    }),
    (3, |throw| Op::Lifetime(throw.lite(), throw.change())),
    (16, |throw| Op::Subscribe(throw.pair(), throw.some_lites())),
    (5, |throw| Op::SubscribeFrom(throw.pair(), throw.some_lites(), throw.start())),
    (3, |throw| {
        let one = throw.dice.percent(60);
        Op::Move {
            group: throw.dice.below(2),
            lite: one.then(|| throw.lite()),
            start: throw.start(),
        }
    }),
    (2, |throw| {
        let one = throw.dice.percent(60);
        Op::Expel(throw.pair(), one.then(|| throw.lite()))
    }),
    (4, |throw| Op::Unsubscribe(throw.pair(), throw.some_lites())),
    (4, |throw| Op::Replace(throw.pair(), throw.some_lites())),
    (2, |throw| Op::Leave(throw.pair())),
    (70, |throw| Op::Claim {
        pair: throw.pair(),
        seconds: throw.dice.percent(50).then(|| throw.dice.within(1..20) as u64),
        max: throw.dice.below(8),
        each: throw.dice.below(5),
        repeatable: throw.dice.percent(50),
    }),
    (8, |throw| Op::Repeat(throw.pair())),
    (40, |throw| Op::Ack(throw.dice.below(8))),
    (8, |throw| Op::Hide(throw.dice.below(8), throw.seconds())),
    (8, |throw| Op::Suspend(throw.dice.below(8), throw.seconds())),
    (4, |throw| Op::GiveBack(throw.dice.below(8))),
    (6, |throw| Op::BeginBurial(throw.dice.below(8))),
    (14, |throw| Op::Bury(throw.dice.below(4))),
    (4, |throw| Op::BurialFailed(throw.dice.below(4))),
    (3, |throw| Op::Doubt(throw.client())),
    (3, |throw| Op::Gone(throw.client(), throw.dice.percent(50))),
    (4, |throw| Op::Connected(throw.client(), throw.dice.percent(60))),
    (24, |throw| match throw.dice.below(13) {
        0 => Op::Wait(11_000),
        1..5 => Op::Wait(throw.dice.within(50..70) as u64),
        _ => Op::Wait(throw.dice.below(20) as u64),
    }),
    (4, |throw| Op::Jump(throw.seconds())),
    (4, |_| Op::Tick),
    (4, |_| Op::Work),
    (2, |throw| Op::Remove(throw.lite())),
    (1, |throw| Op::RemoveGroup { group: throw.dice.below(2), by_restart: throw.dice.percent(30) }),
    (3, |throw| Op::Trim(throw.lite(), throw.dice.below(6) as u64)),
    (16, |throw| Op::Resend {
        lite: throw.lite(),
        from: throw.dice.below(2),
        count: throw.dice.within(1..5),
    }),
    (1, |throw| Op::RemoveLetters(throw.lite())),
    (1, |throw| Op::TrimLetters(throw.lite(), throw.dice.below(4) as u64)),
    (2, |throw| Op::Rules {
        group: throw.dice.below(2),
        rules: throw.rules(),
        at_once: throw.dice.percent(50),
    }),
    (2, |_| Op::Count),
    (4, |_| Op::Hold),
    (3, |_| Op::Durable),
    (4, |throw| Op::Crash { from_snapshot: throw.dice.percent(50) }),
    (3, |throw| Op::Restart { from_snapshot: throw.dice.percent(50) }),
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
        let mut throw = Thrower::of(seed);
        let kinds: Vec<_> =
            KINDS.into_iter().filter(|_| !throw.dice.percent(LEFT_OUT_PERCENT)).collect();
        let total: usize = kinds.iter().map(|(share, _)| share).sum();
        let rules = [throw.rules(), throw.rules()];
        let mut ops = throw.first_subscriptions();
        let count = throw.dice.within(OPS);
        while ops.len() < count {
            let mut at = throw.dice.below(total);
            for (share, kind) in &kinds {
                if at < *share {
                    ops.push(kind(&mut throw));
                    break;
                }
                at -= share;
            }
        }
        Self { rules, ops }
    }
}

/// Throws what operations are about. Each sequence has a world of its own size, as much comes about
/// only where many meet.
struct Thrower {
    dice: Dice,
    lites: usize,
    clients: usize,
}

impl Thrower {
    fn of(seed: u64) -> Self {
        let mut dice = Dice::of(seed).fork("operations");
        let lites = dice.within(1..LITES.len() + 1);
        let clients = dice.within(1..CLIENTS.len() + 1);
        Self { dice, lites, clients }
    }

    fn first_subscriptions(&mut self) -> Vec<Op> {
        let all =
            (0..self.clients).flat_map(|client| (0..GROUPS.len()).map(move |of| (client, of)));
        let all: Vec<Pair> = all.collect();
        let some = all.into_iter().filter(|_| self.dice.percent(50)).collect::<Vec<_>>();
        some.into_iter().map(|pair| Op::Subscribe(pair, (0..self.lites).collect())).collect()
    }

    fn lite(&mut self) -> usize {
        self.dice.below(self.lites)
    }

    fn client(&mut self) -> usize {
        self.dice.below(self.clients)
    }

    fn pair(&mut self) -> Pair {
        (self.client(), *self.dice.one_of(&[0, 0, 0, 0, 1, 1, 1, 2]))
    }

    fn some_lites(&mut self) -> Vec<usize> {
        (0..self.dice.below(4)).map(|_| self.lite()).collect()
    }

    fn seconds(&mut self) -> u64 {
        match self.dice.below(3) {
            0 => 0,
            1 => self.dice.within(1..20) as u64,
            _ => self.dice.within(50..70) as u64,
        }
    }

    /// Mostly short, so that some is waited for.
    fn ttl(&mut self) -> Option<DurationMs> {
        let minutes = self.dice.one_of(&[None, Some(1), Some(1), Some(2), Some(3)]);
        minutes.map(|minutes| DurationMs::from_secs(60 * minutes))
    }

    fn quota(&mut self) -> Option<u64> {
        self.dice.percent(40).then(|| self.dice.within(1..4) as u64)
    }

    fn options(&mut self) -> TopicOptions {
        TopicOptions {
            ttl: self.ttl(),
            counts_reads: self.dice.percent(40),
            keep_undelivered: self.dice.percent(40),
            keep_subscribed: self.dice.percent(30),
            lite_topic_quota: self.quota(),
            send_rate: None,
        }
    }

    fn change(&mut self) -> Change {
        match self.dice.below(5) {
            0 | 1 => Change::Extend(DurationMs::from_secs(self.seconds())),
            2 => Change::Pin,
            3 => Change::Unpin,
            _ => Change::Ttl(self.dice.percent(60).then(|| self.ttl())),
        }
    }

    fn rules(&mut self) -> Rules {
        let mode = *self.dice.one_of(&[
            Mode::Shared,
            Mode::Shared,
            Mode::Shared,
            Mode::Exclusive,
            Mode::Exclusive,
            Mode::Wildcard(""),
            Mode::Wildcard("a"),
        ]);
        Rules {
            ordered: self.dice.percent(60),
            attempts: self.dice.within(1..4) as u16,
            quota: self.dice.percent(30).then(|| self.dice.within(1..4) as u32),
            mode,
            resets: Resets {
                on_takeover: mode == Mode::Exclusive && self.dice.percent(30),
                on_unsubscribe: self.dice.percent(20),
            },
            rate: self.dice.percent(15).then(|| self.dice.within(1..4) as u32),
        }
    }

    fn start(&mut self) -> StartAt {
        match self.dice.below(4) {
            0 => StartAt::Oldest,
            1 => StartAt::Newest,
            2 => StartAt::Offset(self.dice.below(8) as u64),
            _ => StartAt::Tail(self.dice.below(4) as u64),
        }
    }
}

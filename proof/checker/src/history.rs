//! What happened in a run, as its clients saw it.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

/// Time since the start of the run.
pub type Moment = Duration;

/// A consumer group of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub name: String,
    /// Whether a lite topic has one open message at a time.
    pub ordered: bool,
}

/// One thing that happened.
#[derive(Debug, Clone)]
pub enum Event {
    Sent(Sent),
    Delivered(Delivered),
    Settled(Settled),
    /// A client of a group may be given these lite topics, and no others, from now on. To be noted
    /// before a request that adds some is sent, and after one that takes some away is answered.
    Subscribed {
        client: String,
        lites: BTreeSet<String>,
        at: Moment,
    },
    /// A lite topic was made ahead of its first message, or was there already.
    Created {
        lite: String,
        at: Moment,
    },
    /// A client begins to say goodbye, or is taken for gone; its leases may end now.
    Left {
        client: String,
        at: Moment,
    },
    Killed {
        at: Moment,
    },
    Removed(Removed),
    Moved(Moved),
    TakenOver(TakenOver),
    /// Retention may have taken the messages of a lite topic below this offset.
    Trimmed {
        lite: String,
        below: u64,
        at: Moment,
    },
    /// Faults have ended and nothing is sent any more, but for [`Event::AtRest`]. What is owed now must come `within` so long;
    /// that is the longest lease that may be in its way, and the bound of the run.
    Calm {
        at: Moment,
        within: Duration,
    },
    /// Nothing is owed after the calm, and consumers wait. What is sent from here on comes `within` so
    /// long to each group.
    AtRest {
        at: Moment,
        within: Duration,
    },
    Counted(Counted),
    Sampled(Sampled),
}

/// One message of one send request.
#[derive(Debug, Clone)]
pub struct Sent {
    pub id: String,
    pub producer: usize,
    pub lite: String,
    /// Place among what the producer sent to the lite topic.
    pub sequence: u64,
    pub asked_at: Moment,
    pub answered_at: Moment,
    pub result: SendResult,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendResult {
    /// Answered OK, with this offset.
    Stored(u64),
    /// Answered with an error.
    Refused(String),
    /// No answer.
    Unknown,
}

/// One message that reached a consumer.
#[derive(Debug, Clone)]
pub struct Delivered {
    pub group: String,
    pub client: String,
    /// Which receive of the run it came with.
    pub receive: u64,
    pub asked_at: Moment,
    pub at: Moment,
    pub lite: String,
    pub offset: u64,
    pub id: String,
    pub attempt: u32,
    /// How long nobody else may get it, at least, while its client stays.
    pub lease: Duration,
    /// What differs from the message that was sent.
    pub damage: Option<String>,
}

/// One try to settle a delivery.
#[derive(Debug, Clone)]
pub struct Settled {
    pub group: String,
    pub lite: String,
    pub offset: u64,
    pub attempt: u32,
    pub how: Settle,
    pub asked_at: Moment,
    pub answered_at: Moment,
    pub result: SettleResult,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settle {
    Ack,
    /// Visible again after so long.
    Nack(Duration),
    /// The same, and the attempt does not count.
    Suspend(Duration),
    /// Handed to the dead letters, by its client or because its attempts are used up. Settled once
    /// that is done; before that nobody is given it.
    DeadLetter,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettleResult {
    Done,
    Refused(String),
    Unknown,
}

/// A lite topic was removed with its messages. What is sent later is a new life of its name.
#[derive(Debug, Clone)]
pub struct Removed {
    pub lite: String,
    pub asked_at: Moment,
    pub answered_at: Moment,
    pub result: SettleResult,
}

/// A group goes on at another place of a lite topic, as if nothing behind it had ever been handed out.
/// What lies before it is not owed to the group.
#[derive(Debug, Clone)]
pub struct Moved {
    pub group: String,
    pub lite: String,
    /// The place.
    pub to: u64,
    pub asked_at: Moment,
    pub answered_at: Moment,
    pub result: SettleResult,
}

/// A client of an exclusive group takes a lite topic: what others hold of it may end.
#[derive(Debug, Clone)]
pub struct TakenOver {
    pub group: String,
    /// Who takes it.
    pub client: String,
    pub lite: String,
    pub asked_at: Moment,
    pub answered_at: Moment,
    pub result: SettleResult,
}

/// A number that the broker tells while no request is under way.
#[derive(Debug, Clone)]
pub struct Counted {
    pub what: Count,
    pub told: u64,
    /// What it must never be above.
    pub limit: Option<u64>,
    pub at: Moment,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Count {
    /// Lite topics that exist.
    LiteTopics,
    /// Pairs of client and lite topic.
    Subscriptions,
    /// Lite topics that one client is subscribed to.
    SubscriptionsOf(String),
}

/// How much of something bounded is in use. The first sample of a resource is its starting level,
/// the last one is taken after everything has come to its end.
#[derive(Debug, Clone)]
pub struct Sampled {
    pub resource: String,
    pub amount: u64,
    /// How much above the starting level it may stay, in the unit of the amount.
    pub slack: u64,
    pub at: Moment,
}

impl Event {
    /// When it began.
    pub fn at(&self) -> Moment {
        match self {
            Self::Sent(sent) => sent.asked_at,
            Self::Delivered(delivered) => delivered.at,
            Self::Settled(settled) => settled.asked_at,
            Self::Removed(removed) => removed.asked_at,
            Self::Moved(moved) => moved.asked_at,
            Self::TakenOver(taken) => taken.asked_at,
            Self::Counted(counted) => counted.at,
            Self::Sampled(sampled) => sampled.at,
            Self::Subscribed { at, .. }
            | Self::Created { at, .. }
            | Self::Left { at, .. }
            | Self::Killed { at }
            | Self::Trimmed { at, .. }
            | Self::Calm { at, .. }
            | Self::AtRest { at, .. } => *at,
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:9.3} s  ", self.at().as_secs_f64())?;
        match self {
            Self::Sent(s) => {
                let answered = s.answered_at.as_secs_f64();
                write!(f, "send {} to {}: {:?} at {answered:.3}", s.id, s.lite, s.result)
            }
            Self::Delivered(d) => {
                let asked = d.asked_at.as_secs_f64();
                write!(
                    f,
                    "{}: {} gets {}@{}, attempt {}",
                    d.group, d.client, d.lite, d.offset, d.attempt
                )?;
                write!(
                    f,
                    ", {} in receive {}, asked at {asked:.3}, lease {:?}",
                    d.id, d.receive, d.lease
                )
            }
            Self::Settled(s) => {
                let answered = s.answered_at.as_secs_f64();
                write!(
                    f,
                    "{}: {:?} {}@{} of attempt {}",
                    s.group, s.how, s.lite, s.offset, s.attempt
                )?;
                write!(f, ": {:?} at {answered:.3}", s.result)
            }
            Self::Subscribed { client, lites, .. } => {
                write!(f, "{client} subscribes to {} lite topics", lites.len())
            }
            Self::Created { lite, .. } => write!(f, "{lite} is created"),
            Self::Left { client, .. } => write!(f, "{client} leaves"),
            Self::Killed { .. } => write!(f, "the broker is killed"),
            Self::Removed(r) => {
                let answered = r.answered_at.as_secs_f64();
                write!(f, "remove {}: {:?} at {answered:.3}", r.lite, r.result)
            }
            Self::Moved(m) => {
                let answered = m.answered_at.as_secs_f64();
                write!(
                    f,
                    "{} moves to {}@{}: {:?} at {answered:.3}",
                    m.group, m.lite, m.to, m.result
                )
            }
            Self::TakenOver(t) => {
                let answered = t.answered_at.as_secs_f64();
                write!(
                    f,
                    "{}: {} takes {} over: {:?} at {answered:.3}",
                    t.group, t.client, t.lite, t.result
                )
            }
            Self::Trimmed { lite, below, .. } => write!(f, "{lite} is trimmed below {below}"),
            Self::Calm { within, .. } => write!(f, "calm; what is owed comes within {within:?}"),
            Self::AtRest { within, .. } => {
                write!(f, "at rest; what is sent comes within {within:?}")
            }
            Self::Counted(c) => write!(f, "{:?}: {} of {:?}", c.what, c.told, c.limit),
            Self::Sampled(s) => write!(f, "{}: {} (+{})", s.resource, s.amount, s.slack),
        }
    }
}

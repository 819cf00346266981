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
    /// A client of a group may be given these lite topics from now on.
    Subscribed {
        client: String,
        lites: BTreeSet<String>,
        at: Moment,
    },
    /// A client begins to say goodbye; from now on its leases may end.
    Left {
        client: String,
        at: Moment,
    },
    Killed {
        at: Moment,
    },
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
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettleResult {
    Done,
    Refused(String),
    Unknown,
}

impl Event {
    /// When it began.
    pub fn at(&self) -> Moment {
        match self {
            Self::Sent(sent) => sent.asked_at,
            Self::Delivered(delivered) => delivered.at,
            Self::Settled(settled) => settled.asked_at,
            Self::Subscribed { at, .. } | Self::Left { at, .. } | Self::Killed { at } => *at,
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
            Self::Left { client, .. } => write!(f, "{client} leaves"),
            Self::Killed { .. } => write!(f, "the broker is killed"),
        }
    }
}

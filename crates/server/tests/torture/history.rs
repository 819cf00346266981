//! What happened in a run, as its clients saw it.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

/// Time since the start of the run.
pub type Moment = Duration;

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

/// How far a run has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    pub sends_stored: u64,
    pub sends_unknown: u64,
    pub deliveries: u64,
    pub redeliveries: u64,
    pub acks: u64,
    pub acks_unknown: u64,
    /// Pairs of a message answered OK and a group that has not settled it.
    pub owed: u64,
}

/// Collects events.
#[derive(Debug)]
pub struct Recorder {
    start: Instant,
    groups: Vec<String>,
    state: Mutex<State>,
    progress: watch::Sender<Progress>,
}

type Place = (String, u64);

#[derive(Debug, Default)]
struct State {
    events: Vec<Event>,
    receives: u64,
    stored: BTreeSet<Place>,
    settled: BTreeSet<(String, Place)>,
}

impl Recorder {
    pub fn new(groups: Vec<String>) -> Self {
        let (progress, _) = watch::channel(Progress::default());
        Self { start: Instant::now(), groups, state: Mutex::default(), progress }
    }

    pub fn now(&self) -> Moment {
        self.start.elapsed()
    }

    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// A number for a receive.
    pub fn next_receive(&self) -> u64 {
        let mut state = self.lock();
        state.receives += 1;
        state.receives
    }

    pub fn record(&self, event: Event) {
        let mut state = self.lock();
        self.progress.send_modify(|progress| self.count(&event, &mut state, progress));
        state.events.push(event);
    }

    pub fn events(&self) -> Vec<Event> {
        self.lock().events.clone()
    }

    /// Group, lite topic and offset of what was answered OK and is not settled.
    pub fn owed(&self) -> Vec<(String, String, u64)> {
        let state = self.lock();
        let all = self
            .groups
            .iter()
            .flat_map(|group| state.stored.iter().map(move |place| (group.clone(), place.clone())));
        let open = all.filter(|pair| !state.settled.contains(pair));
        open.map(|(group, (lite, offset))| (group, lite, offset)).collect()
    }

    fn count(&self, event: &Event, state: &mut State, progress: &mut Progress) {
        match event {
            Event::Sent(Sent { result: SendResult::Unknown, .. }) => progress.sends_unknown += 1,
            Event::Sent(Sent { result: SendResult::Stored(offset), lite, .. }) => {
                progress.sends_stored += 1;
                let place = (lite.clone(), *offset);
                let open =
                    |group: &&String| !state.settled.contains(&((*group).clone(), place.clone()));
                let owing = self.groups.iter().filter(open).count() as u64;
                if state.stored.insert(place) {
                    progress.owed += owing;
                }
            }
            Event::Delivered(delivered) => {
                progress.deliveries += 1;
                progress.redeliveries += u64::from(delivered.attempt > 1);
            }
            Event::Settled(Settled { how: Settle::Ack, result, group, lite, offset, .. }) => {
                progress.acks += u64::from(*result == SettleResult::Done);
                progress.acks_unknown += u64::from(*result == SettleResult::Unknown);
                let place = (lite.clone(), *offset);
                if *result == SettleResult::Done
                    && state.settled.insert((group.clone(), place.clone()))
                {
                    progress.owed -= u64::from(state.stored.contains(&place));
                }
            }
            _ => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
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

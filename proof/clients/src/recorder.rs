//! Collects what happens in a run.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use litemq_checker::history::{Event, Moment, SendResult, Sent, Settle, SettleResult, Settled};
use tokio::sync::watch;
use tokio::time::Instant;

/// How far a run has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    pub sends_stored: u64,
    pub sends_unknown: u64,
    pub sends_refused: u64,
    pub deliveries: u64,
    pub redeliveries: u64,
    pub acks: u64,
    pub acks_unknown: u64,
    /// Pairs of a message answered OK and a group that has not settled it.
    pub owed: u64,
}

/// Knows the time of a run, and is told what is recorded.
pub trait Witness: fmt::Debug + Send + Sync {
    fn now(&self) -> Moment;
    fn saw(&self, event: &Event);
}

/// Looks at the clock and tells nobody.
#[derive(Debug)]
struct Watch(Instant);

impl Witness for Watch {
    fn now(&self) -> Moment {
        self.0.elapsed()
    }

    fn saw(&self, _event: &Event) {}
}

/// Collects events.
#[derive(Debug)]
pub struct Recorder {
    witness: Arc<dyn Witness>,
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
        Self::before(Arc::new(Watch(Instant::now())), groups)
    }

    /// The same with a witness.
    pub fn before(witness: Arc<dyn Witness>, groups: Vec<String>) -> Self {
        let (progress, _) = watch::channel(Progress::default());
        Self { witness, groups, state: Mutex::default(), progress }
    }

    pub fn now(&self) -> Moment {
        self.witness.now()
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
        self.witness.saw(&event);
        let mut state = self.lock();
        self.progress.send_modify(|progress| self.count(&event, &mut state, progress));
        state.events.push(event);
    }

    /// A call begins; these are its events as long as there is no answer.
    pub fn asked(&self, events: Vec<Event>) -> Asked<'_> {
        Asked { recorder: self, events }
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
            Event::Sent(Sent { result: SendResult::Refused(_), .. }) => progress.sends_refused += 1,
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

/// A call under way. Dropped without an answer, because its client has died, it is recorded as one
/// of which nothing is known.
#[derive(Debug)]
pub struct Asked<'a> {
    recorder: &'a Recorder,
    events: Vec<Event>,
}

impl Asked<'_> {
    /// The answer came: `complete` enters it into each event.
    pub fn answered(mut self, complete: impl Fn(usize, &mut Event)) {
        for (at, event) in self.events.iter_mut().enumerate() {
            complete(at, event);
        }
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let now = self.recorder.now();
        for mut event in self.events.drain(..) {
            match &mut event {
                Event::Sent(sent) => sent.answered_at = now,
                Event::Settled(settled) => settled.answered_at = now,
                _ => {}
            }
            self.recorder.record(event);
        }
    }
}

//! Collects what happens in a run.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use litemq_checker::history::{
    Event, Moment, Removed, SendResult, Sent, Settle, SettleResult, Settled,
};
use tokio::sync::watch;
use tokio::time::Instant;

/// The code for too much at once, as a refusal shows it.
pub const PUT_OFF: &str = "code: TooManyRequests";

/// How far a run has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    pub sends_stored: u64,
    pub sends_unknown: u64,
    /// Refused for good, or until something changes: not for too much at once.
    pub sends_refused: u64,
    /// Refused because there was too much at once.
    pub sends_put_off: u64,
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
    /// When the last removal of a lite topic was over. What was sent before is not owed any more.
    removed: BTreeMap<String, Moment>,
}

impl State {
    fn is_of_an_old_life(&self, lite: &str, asked_at: Moment) -> bool {
        self.removed.get(lite).is_some_and(|removed| asked_at <= *removed)
    }

    /// Forgets a life of a lite topic; how many places were owed to one of these groups.
    fn forget(&mut self, removed: &Removed, groups: &[String]) -> u64 {
        let is_other = |place: &Place| place.0 != removed.lite;
        let before = self.open(groups);
        self.stored.retain(is_other);
        self.settled.retain(|(_, place)| is_other(place));
        self.removed.insert(removed.lite.clone(), removed.answered_at);
        before - self.open(groups)
    }

    fn open(&self, groups: &[String]) -> u64 {
        let all = groups.len() * self.stored.len();
        let settled = self.settled.iter().filter(|(_, place)| self.stored.contains(place)).count();
        (all - settled) as u64
    }
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
            Event::Sent(Sent { result: SendResult::Refused(text), .. }) => {
                let is_put_off = text.contains(PUT_OFF);
                progress.sends_put_off += u64::from(is_put_off);
                progress.sends_refused += u64::from(!is_put_off);
            }
            Event::Sent(Sent { result: SendResult::Stored(offset), lite, asked_at, .. }) => {
                progress.sends_stored += 1;
                if state.is_of_an_old_life(lite, *asked_at) {
                    return;
                }
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
            Event::Settled(Settled {
                how: Settle::Ack,
                result,
                group,
                lite,
                offset,
                asked_at,
                ..
            }) => {
                progress.acks += u64::from(*result == SettleResult::Done);
                progress.acks_unknown += u64::from(*result == SettleResult::Unknown);
                if state.is_of_an_old_life(lite, *asked_at) || !self.groups.contains(group) {
                    return;
                }
                let place = (lite.clone(), *offset);
                if *result == SettleResult::Done
                    && state.settled.insert((group.clone(), place.clone()))
                {
                    progress.owed -= u64::from(state.stored.contains(&place));
                }
            }
            Event::Removed(removed) if !matches!(removed.result, SettleResult::Refused(_)) => {
                progress.owed -= state.forget(removed, &self.groups);
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
                Event::Removed(removed) => removed.answered_at = now,
                Event::Moved(moved) => moved.answered_at = now,
                Event::TakenOver(taken) => taken.answered_at = now,
                _ => {}
            }
            self.recorder.record(event);
        }
    }
}

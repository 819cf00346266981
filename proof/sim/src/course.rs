//! The course of a world: load and faults, then calm, an end, a verdict.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use litemq_checker::history::Event;
use litemq_checker::rules::{Violation, check};
use litemq_clients::client::POLL;
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::errands::{Answer, Errand};
use crate::notes;
use crate::plan::{FRAGILE, WorldPlan, ms, secs};
use crate::server::State;
use crate::trace::{ToTrace, Trace};
use crate::weather::Weather;
use crate::world::World;

/// Within this time whoever is told to end has ended, and a server that starts serves.
const END_MAX: Duration = secs(30);

/// Within this time nothing is left of clients that are gone, also of those that went without a
/// word: their connections are found dead after 50 s.
const TRACELESS_MAX: Duration = secs(60);
/// So long after the last fault nobody has a connection any more that is dead, and every consumer's
/// receive waits.
const REST_AFTER: Duration = ms(14_000);
/// Messages that are sent at rest, one by one.
const PROBES: u64 = 3;
/// Each of them comes within this time: it wakes who waits, and is not found by a later poll.
const PROBE_MAX: Duration = ms(900);
const _: () = assert!(PROBE_MAX.as_millis() < POLL.as_millis(), "a poll would do");
/// Within this time all of them are settled, also if they come late.
const PROBES_MAX: Duration = secs(60);
/// How often the shards are held against their invariants.
const AUDIT_EVERY: Duration = ms(1_000);
/// How often the broker is asked how far it is.
const LOOK_EVERY: Duration = ms(500);
/// A runtime keeps its tasks in a few lists, chosen by their numbers, and a crash drops them list by
/// list. Numbers go on from one world to the next; each begins with a multiple of this.
const TASK_LISTS_MAX: u64 = 64;

/// What became of a world.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) trace: Arc<Trace>,
    pub(crate) events: Vec<Event>,
    pub(crate) happened: Vec<(&'static str, u64)>,
    /// How often the shards were held against their invariants.
    pub(crate) audits: u64,
    /// How long everything owed took once it was calm.
    pub(crate) calm: Duration,
    pub(crate) simulated: Duration,
    pub(crate) failure: Option<String>,
}

/// Runs a world to its end.
pub(crate) fn run(plan: &WorldPlan) -> Outcome {
    align_task_numbers();
    let trace = Arc::new(Trace::default());
    let log = tracing_subscriber::fmt()
        .with_writer(ToTrace(Arc::clone(&trace)))
        .with_ansi(false)
        .without_time()
        .with_max_level(Level::DEBUG)
        .finish();
    let ours = ["litemq_server", "litemq_storage", "litemq_domain"];
    let log = log.with(Targets::new().with_targets(ours.map(|name| (name, Level::DEBUG))));
    tracing::subscriber::with_default(log, || {
        let mut world = World::new(plan, Arc::clone(&trace));
        let mut weather = Weather::of(&plan.faults);
        let lived = live(&mut world, &mut weather);
        let events = world.recorder.events();
        let compacted = world.machine.compacted.load(Ordering::Relaxed);
        weather.happened.insert("compacted_segments", compacted);
        let broken = tell(&check(&events, &plan.groups()));
        // A history that did not come to its end still tells why.
        let failure = match (&lived, broken) {
            (Ok(_), None) => None,
            (Ok(_), Some(broken)) => Some(broken),
            (Err(error), None) => Some(error.clone()),
            (Err(error), Some(broken)) => Some(format!("{error}\n{broken}")),
        };
        Outcome {
            trace,
            events,
            happened: weather.happened.into_iter().collect(),
            audits: world.audits,
            calm: lived.unwrap_or_default(),
            simulated: world.now(),
            failure,
        }
    })
}

fn align_task_numbers() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let number = || runtime.spawn(async {}).id().to_string().parse::<u64>().unwrap();
    while number() % TASK_LISTS_MAX != 0 {}
}

fn live(world: &mut World<'_>, weather: &mut Weather) -> Result<Duration, String> {
    while world.now() < world.plan.load_for {
        world.step()?;
        weather.blow(world)?;
        audit_now_and_then(world)?;
    }
    weather.clear_up(world);
    let calm_since = world.now();
    world.recorder.record(Event::Calm { at: calm_since, within: world.plan.calm_max });
    world.stop_load();
    until(world, weather, END_MAX, |world| world.is_load_done())
        .map_err(|error| format!("the load does not end: {error}"))?;
    until_nothing_is_owed(world, weather)?;
    if world.plan.server.groups.iter().any(|group| group.name == FRAGILE) {
        do_errand(world, weather, &Errand::TellDeadLetters(FRAGILE))?;
    }
    let calm = world.now() - calm_since;
    world.trace.say("nothing is owed");
    if world.plan.server.has_notes {
        let longest = notes::EXPIRED_WITHIN;
        until(world, weather, longest, |world| {
            ask(world, &Errand::LookAtNotes) == Some(Answer::Left(0))
        })
        .map_err(|error| format!("lite topics stay beyond their time to live: {error}"))?;
        world.trace.say("all notes have expired");
        // Their names are free again, and so are their places.
        for number in 0..notes::NOTES / 2 {
            do_errand(world, weather, &Errand::Note(number))?;
        }
    }
    probe(world, weather, calm_since + REST_AFTER)?;
    do_errand(world, weather, &Errand::Count)?;
    do_errand(world, weather, &Errand::Audit)?;
    world.stop_all();
    until(world, weather, END_MAX, |world| world.are_clients_done())
        .map_err(|error| format!("the clients do not end: {error}"))?;
    until(world, weather, TRACELESS_MAX, |world| {
        ask(world, &Errand::LookAtResources) == Some(Answer::Left(0))
    })
    .map_err(|error| format!("something is left of clients that are gone: {error}"))?;
    restart(world, weather)?;
    Ok(calm)
}

fn until_nothing_is_owed(world: &mut World<'_>, weather: &mut Weather) -> Result<(), String> {
    for group in world.plan.server.groups.clone() {
        // The broker's own word tells when to look; the rules tell whether it was true.
        let look = Errand::LookAt(group.name);
        until(world, weather, world.plan.calm_max, |world| {
            ask(world, &look) == Some(Answer::Left(0))
        })
        .map_err(|error| format!("{} is not done: {error}: {}", group.name, owed(world)))?;
    }
    Ok(())
}

/// Sends messages while everybody waits; the rules tell whether they came soon enough.
fn probe(world: &mut World<'_>, weather: &mut Weather, from: Duration) -> Result<(), String> {
    until(world, weather, REST_AFTER, |world| world.now() >= from)?;
    world.recorder.record(Event::AtRest { at: world.now(), within: PROBE_MAX });
    world.probe(PROBES);
    let mut probed = None;
    until(world, weather, PROBES_MAX, |world| {
        probed = world.probed();
        probed.is_some()
    })
    .map_err(|error| format!("what is sent at rest is not settled: {error}: {}", owed(world)))?;
    if probed != Some(PROBES) {
        return Err(format!("of {PROBES} messages that were sent at rest {probed:?} were stored"));
    }
    until_nothing_is_owed(world, weather)
}

fn audit_now_and_then(world: &mut World<'_>) -> Result<(), String> {
    match world.machine.take_answer(&Errand::Audit) {
        Some(Answer::Broken(what)) => {
            return Err(format!("shards break their invariants: {what}"));
        }
        Some(Answer::Done) => world.audits += 1,
        _ => {}
    }
    if world.now().as_millis().is_multiple_of(AUDIT_EVERY.as_millis()) {
        world.machine.send(Errand::Audit);
    }
    Ok(())
}

/// Sends on an errand again and again; its answer, when there is a new one.
fn ask(world: &mut World<'_>, errand: &Errand) -> Option<Answer> {
    let answer = world.machine.take_answer(errand);
    if answer.is_some() || world.now().as_millis().is_multiple_of(LOOK_EVERY.as_millis()) {
        world.machine.send(errand.clone());
    }
    answer
}

/// Sends on an errand and waits for it; what it finds broken is the error.
fn do_errand(world: &mut World<'_>, weather: &mut Weather, errand: &Errand) -> Result<(), String> {
    let mut answer = None;
    world.machine.send(errand.clone());
    until(world, weather, END_MAX, |world| {
        answer = world.machine.take_answer(errand);
        answer.is_some()
    })
    .map_err(|error| format!("{errand:?} does not end: {error}"))?;
    match answer {
        Some(Answer::Broken(what)) => Err(format!("{errand:?}: {what}")),
        Some(Answer::Unknown) => Err(format!("{errand:?} was not possible")),
        _ => Ok(()),
    }
}

/// Stops a server at rest; the next start must find the same.
fn restart(world: &mut World<'_>, weather: &mut Weather) -> Result<(), String> {
    world.machine.remember();
    world.machine.stop();
    until(world, weather, END_MAX, |world| world.machine.state() == State::Off)
        .map_err(|error| format!("the server does not stop: {error}"))?;
    world.start_server();
    until(world, weather, END_MAX, |world| world.machine.state() == State::Serving)
        .map_err(|error| format!("the server does not start again: {error}"))
}

/// Lets time pass until something is reached.
fn until(
    world: &mut World<'_>,
    weather: &mut Weather,
    longest: Duration,
    mut reached: impl FnMut(&mut World<'_>) -> bool,
) -> Result<(), String> {
    let end = world.now() + longest;
    while !reached(world) {
        if world.now() > end {
            return Err(format!("{longest:?} were not enough"));
        }
        world.step()?;
        weather.blow(world)?;
    }
    Ok(())
}

fn owed(world: &World<'_>) -> String {
    let owed = world.recorder.owed();
    let first: Vec<_> = owed.iter().take(10).collect();
    format!("{} messages are owed, among them {first:?}", owed.len())
}

fn tell(violations: &[Violation]) -> Option<String> {
    let mut text = format!("{} violations", violations.len());
    // One of each rule says more than many of one.
    let mut told = BTreeSet::new();
    for violation in violations.iter().filter(|violation| told.insert(violation.rule)) {
        let Violation { rule, what, story } = violation;
        write!(text, "\n\n{rule:?}: {what}\n{}", story.join("\n")).unwrap();
    }
    (!violations.is_empty()).then_some(text)
}

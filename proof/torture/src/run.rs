//! One run: load, kills, a quiet end, the verdict.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::broker::{Broker, Checkpoints};
use litemq_checker::Dice;
use litemq_checker::history::{Event, Group};
use litemq_checker::rules::{Violation, check};
use litemq_clients::client::Receiving;
use litemq_clients::recorder::{Progress, Recorder};
use litemq_clients::workload::{Habits, Load};

const PRODUCERS: usize = 4;
const LITE_TOPICS: usize = 48;
const OWED_MAX: u64 = 800;
const ORDERED: &str = "ordered";
const UNORDERED: &str = "unordered";
const LEASE: Duration = Duration::from_secs(10);

/// Longest time without a single event that a run waits for. Leases that hold messages back end
/// long before.
const STANDSTILL_MAX: Duration = Duration::from_secs(40);
/// With as many cycles, everything that shall happen sometimes has happened.
const CYCLES_FOR_GOALS: u64 = 20;

/// What a run did.
#[derive(Debug)]
#[expect(dead_code, reason = "printed")]
pub(crate) struct Summary {
    progress: Progress,
    fewest_sends_in_a_cycle: u64,
    checkpoints: usize,
    sealed_segments: usize,
    took: Duration,
}

/// Runs it in a folder; the error is for people.
pub(crate) async fn torture(
    seed: u64,
    cycles: u64,
    binary: &Path,
    folder: &Path,
) -> Result<Summary, String> {
    let groups = [(ORDERED, true), (UNORDERED, false)]
        .map(|(name, ordered)| Group { name: name.to_owned(), ordered });
    let recorder = Arc::new(Recorder::new(groups.iter().map(|group| group.name.clone()).collect()));
    let mut broker = Broker::new(binary, folder, &groups);
    let endured = endure(seed, cycles, &recorder, &mut broker).await;
    let violations = check(&recorder.events(), &groups);
    // A history that did not come to its end still tells why.
    let fewest_sends_in_a_cycle = match endured {
        Ok(fewest) if violations.is_empty() => fewest,
        Ok(_) => return Err(tell(&violations)),
        Err(error) => return Err(format!("{error}\n{}", tell(&violations))),
    };
    if let Some(line) = ["panicked", " ERROR "].iter().flat_map(|what| broker.logged(what)).next() {
        return Err(format!("the broker logged: {line}"));
    }
    let summary = Summary {
        progress: *recorder.progress().borrow(),
        fewest_sends_in_a_cycle,
        checkpoints: broker.logged("wrote a checkpoint").len(),
        sealed_segments: broker.sealed_segments(),
        took: recorder.now(),
    };
    if cycles >= CYCLES_FOR_GOALS {
        summary.reached_its_goals()?;
    }
    Ok(summary)
}

/// Kills the broker under load, then lets everything come to its end. Tells the fewest sends that
/// were answered OK in a cycle.
async fn endure(
    seed: u64,
    cycles: u64,
    recorder: &Arc<Recorder>,
    broker: &mut Broker,
) -> Result<u64, String> {
    let mut load = Work::start(seed, recorder, broker, PRODUCERS, habits());
    let mut dice = Dice::of(seed).fork("kills");
    let mut fewest_sends = u64::MAX;
    for cycle in 0..cycles {
        let often = dice.percent(50);
        broker.start(if often { Checkpoints::Often } else { Checkpoints::Rarely });
        let before = *recorder.progress().borrow();
        let goal = Kill::random(&mut dice);
        let reached = wait(recorder, |now| goal.is_due(&before, now)).await;
        reached.map_err(|error| format!("cycle {cycle}, {goal:?}: {error}"))?;
        broker.kill();
        recorder.record(Event::Killed { at: recorder.now() });
        println!("{:7.3} s: cycle {cycle}, killed after {goal:?}", recorder.now().as_secs_f64());
        let sends = recorder.progress().borrow().sends_stored - before.sends_stored;
        fewest_sends = fewest_sends.min(sends);
        if dice.percent(30) {
            broker.start_and_kill_early();
        }
    }
    broker.start(Checkpoints::Often);
    load.end().await;
    let mut drain = Work::start(seed, recorder, broker, 0, drainers());
    let drained = wait(recorder, |now| now.owed == 0).await;
    drained.map_err(|error| format!("the end: {error}{}", tell_owed(recorder)))?;
    drain.end().await;
    broker.kill();
    Ok(fewest_sends)
}

impl Summary {
    /// Interesting states that a run of some length must have been in.
    fn reached_its_goals(&self) -> Result<(), String> {
        let goals = [
            ("a send without an answer", self.progress.sends_unknown > 0),
            ("an ack without an answer", self.progress.acks_unknown > 0),
            ("a redelivery", self.progress.redeliveries > 0),
            ("a checkpoint", self.checkpoints > 0),
            ("a segment that was sealed", self.sealed_segments > 0),
            ("20 sends answered OK in each cycle", self.fewest_sends_in_a_cycle >= 20),
        ];
        match goals.iter().find(|(_, reached)| !reached) {
            Some((goal, _)) => Err(format!("the run never saw {goal}: {self:#?}")),
            None => Ok(()),
        }
    }
}

/// When the broker is killed: after so many of these since it started.
#[derive(Debug)]
enum Kill {
    Sends(u64),
    Deliveries(u64),
    Acks(u64),
}

impl Kill {
    fn random(dice: &mut Dice) -> Self {
        let count = dice.within(100..1500) as u64;
        match dice.below(3) {
            0 => Self::Sends(count),
            1 => Self::Deliveries(count),
            _ => Self::Acks(count),
        }
    }

    fn is_due(&self, before: &Progress, now: &Progress) -> bool {
        // A few sends in any case, so that each cycle is one under load.
        let sends = now.sends_stored - before.sends_stored;
        sends >= 30
            && match self {
                Self::Sends(count) => sends >= *count,
                Self::Deliveries(count) => now.deliveries - before.deliveries >= *count,
                Self::Acks(count) => now.acks - before.acks >= *count,
            }
    }
}

/// Tasks, and how to end them: first who sends, then who receives.
struct Work {
    producers: (watch::Sender<bool>, JoinSet<()>),
    consumers: (watch::Sender<bool>, JoinSet<()>),
}

impl Work {
    fn start(
        seed: u64,
        recorder: &Arc<Recorder>,
        broker: &Broker,
        producers: usize,
        consumers: Vec<Habits>,
    ) -> Self {
        let load = |stop: &watch::Sender<bool>| Load {
            seed,
            recorder: Arc::clone(recorder),
            way: broker.address(),
            lite_topics: LITE_TOPICS,
            owed_max: OWED_MAX,
            stop: stop.subscribe(),
        };
        let (stop_producers, stop_consumers) =
            (watch::Sender::new(false), watch::Sender::new(false));
        let sending = (0..producers).map(|number| load(&stop_producers).produce(number)).collect();
        let receiving =
            consumers.into_iter().map(|habits| load(&stop_consumers).consume(habits)).collect();
        Self { producers: (stop_producers, sending), consumers: (stop_consumers, receiving) }
    }

    async fn end(&mut self) {
        for (stop, tasks) in [&mut self.producers, &mut self.consumers] {
            stop.send_replace(true);
            while let Some(ended) = tasks.join_next().await {
                ended.unwrap();
            }
        }
    }
}

fn habits() -> Vec<Habits> {
    let consumer = |name: &str, group: &str, language, batch, invisible, share| Habits {
        name: name.to_owned(),
        group: group.to_owned(),
        receiving: Receiving { language, batch, invisible },
        share,
        nacks: 5,
        // What is renewed comes back only when its client leaves.
        forgets: if invisible.is_some() { 2 } else { 0 },
    };
    vec![
        consumer("push-a", ORDERED, "JAVA", 8, None, 60),
        consumer("push-b", ORDERED, "PYTHON", 4, None, 60),
        consumer("simple-a", ORDERED, "JAVA", 16, Some(LEASE), 100),
        consumer("simple-b", ORDERED, "PYTHON", 1, Some(LEASE), 100),
        consumer("free-push", UNORDERED, "GO", 16, None, 70),
        consumer("free-simple", UNORDERED, "JAVA", 32, Some(LEASE), 100),
    ]
}

/// Consumers that settle whatever is left.
fn drainers() -> Vec<Habits> {
    [ORDERED, UNORDERED]
        .map(|group| Habits {
            name: format!("drain-{group}"),
            group: group.to_owned(),
            receiving: Receiving { language: "JAVA", batch: 32, invisible: Some(LEASE) },
            share: 100,
            nacks: 0,
            forgets: 0,
        })
        .to_vec()
}

/// Waits as long as things happen.
async fn wait(recorder: &Recorder, reached: impl Fn(&Progress) -> bool) -> Result<(), String> {
    let mut progress = recorder.progress();
    loop {
        let now = *progress.borrow_and_update();
        if reached(&now) {
            return Ok(());
        }
        if tokio::time::timeout(STANDSTILL_MAX, progress.changed()).await.is_err() {
            return Err(format!("nothing has happened for {STANDSTILL_MAX:?}: {now:#?}"));
        }
    }
}

fn tell_owed(recorder: &Recorder) -> String {
    let owed = recorder.owed();
    let first: Vec<_> = owed.iter().take(20).collect();
    format!("\n{} messages are owed, among them {first:?}", owed.len())
}

fn tell(violations: &[Violation]) -> String {
    let mut text = format!("{} violations", violations.len());
    // One of each rule says more than many of one.
    let mut told = BTreeSet::new();
    for violation in violations.iter().filter(|violation| told.insert(violation.rule)) {
        let Violation { rule, what, story } = violation;
        write!(text, "\n\n{rule:?}: {what}\n{}", story.join("\n")).unwrap();
    }
    text
}

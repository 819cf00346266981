//! Many worlds, one after the other.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::{Duration, Instant};

use crate::course::{self, Outcome};
use crate::goals::{Goals, WORLDS_FOR_GOALS};
use crate::plan::{Scenario, WorldPlan};
use crate::scenarios;

/// Every so manyth world is lived twice.
const TWICE_EVERY: u64 = 10;
/// A line of progress at least every so often.
const PROGRESS_EVERY: Duration = Duration::from_secs(10);
/// Lines of a trace that are shown of a world that failed.
const TRACE_LINES_SHOWN: usize = 60;

/// Which worlds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Order<'a> {
    pub(crate) seed: u64,
    pub(crate) cycles: u64,
    /// All in turn, or one.
    pub(crate) scenario: Option<&'a Scenario>,
}

/// Runs worlds until one fails; whether none did.
pub(crate) fn run(order: Order<'_>) -> bool {
    let mut tally = Tally::default();
    let mut told = Instant::now();
    for cycle in 0..order.cycles {
        let (scenario, seed) = order.world(cycle);
        let plan = WorldPlan::of(scenario, seed);
        let outcome = course::run(&plan);
        if let Some(failure) = &outcome.failure {
            tell_failure(scenario, seed, &outcome, failure);
            return false;
        }
        if cycle % TWICE_EVERY == 0 && !is_same_again(&plan, &outcome) {
            tell_replay("", scenario, seed);
            return false;
        }
        tally.add(&outcome);
        if told.elapsed() >= PROGRESS_EVERY || cycle + 1 == order.cycles {
            told = Instant::now();
            println!("{} worlds, {}", cycle + 1, tally.progress());
        }
    }
    tally.tell_figures();
    let missed = tally.goals.missed();
    let is_whole = order.scenario.is_none() && order.cycles >= WORLDS_FOR_GOALS;
    if is_whole && !missed.is_empty() {
        println!("the run never reached: {}", missed.join(", "));
        println!("replay: ./prove sim --seed {} --cycles {}", order.seed, order.cycles);
        return false;
    }
    true
}

/// Lives each world twice; whether both were always the same.
pub(crate) fn meta(order: Order<'_>) -> bool {
    for cycle in 0..order.cycles {
        let (scenario, seed) = order.world(cycle);
        let plan = WorldPlan::of(scenario, seed);
        let outcome = course::run(&plan);
        if !is_same_again(&plan, &outcome) {
            tell_replay("meta ", scenario, seed);
            return false;
        }
        println!(
            "{} {seed}: twice the same {} lines, {:016x}",
            scenario.name,
            outcome.trace.lines().len(),
            outcome.trace.hash()
        );
    }
    println!("figures: worlds_twice={}", order.cycles);
    true
}

/// Prints the trace of one world.
pub(crate) fn show(order: Order<'_>) -> bool {
    let (scenario, seed) = order.world(0);
    let outcome = course::run(&WorldPlan::of(scenario, seed));
    let mut out = std::io::stdout().lock();
    for line in outcome.trace.lines() {
        if writeln!(out, "{line}").is_err() {
            return true;
        }
    }
    drop(out);
    println!("{}", outcome.failure.as_deref().unwrap_or("nothing went wrong"));
    outcome.failure.is_none()
}

impl<'a> Order<'a> {
    fn world(self, cycle: u64) -> (&'a Scenario, u64) {
        let turn = (cycle % scenarios::ALL.len() as u64) as usize;
        (self.scenario.unwrap_or(&scenarios::ALL[turn]), self.seed.wrapping_add(cycle))
    }
}

/// Whether another life of the same plan leaves the same trace.
fn is_same_again(plan: &WorldPlan, outcome: &Outcome) -> bool {
    let again = course::run(plan);
    let (first, second) = (outcome.trace.lines(), again.trace.lines());
    if first == second {
        return true;
    }
    let at = first.iter().zip(&second).take_while(|(a, b)| a == b).count();
    println!("the same seed, another trace, from line {at} on:");
    println!("  {}", first.get(at).map_or("the end", String::as_str));
    println!("  {}", second.get(at).map_or("the end", String::as_str));
    false
}

fn tell_failure(scenario: &Scenario, seed: u64, outcome: &Outcome, failure: &str) {
    println!("{} {seed} failed. Its last lines:", scenario.name);
    let lines = outcome.trace.lines();
    for line in &lines[lines.len().saturating_sub(TRACE_LINES_SHOWN)..] {
        println!("  {line}");
    }
    println!("{failure}");
    tell_replay("", scenario, seed);
}

fn tell_replay(command: &str, scenario: &Scenario, seed: u64) {
    println!("replay: ./prove sim {command}--seed {seed} --cycles 1 --scenario {}", scenario.name);
}

/// What the worlds of a run came to.
#[derive(Debug, Default)]
struct Tally {
    worlds: u64,
    simulated: Duration,
    events: usize,
    longest_calm: Duration,
    happened: BTreeMap<&'static str, u64>,
    goals: Goals,
}

impl Tally {
    fn add(&mut self, outcome: &Outcome) {
        self.worlds += 1;
        self.simulated += outcome.simulated;
        self.events += outcome.events.len();
        self.longest_calm = self.longest_calm.max(outcome.calm);
        for (name, count) in &outcome.happened {
            *self.happened.entry(name).or_default() += count;
        }
        self.goals.add(outcome);
    }

    fn progress(&self) -> String {
        format!(
            "{} simulated minutes, {} events, longest calm {:.1} s",
            self.simulated.as_secs() / 60,
            self.events,
            self.longest_calm.as_secs_f64()
        )
    }

    fn tell_figures(&self) {
        let mut line = format!(
            "figures: worlds={} simulated_minutes={} events={} longest_calm_s={:.1}",
            self.worlds,
            self.simulated.as_secs() / 60,
            self.events,
            self.longest_calm.as_secs_f64()
        );
        let happened = self.happened.iter().map(|(name, count)| (*name, *count));
        for (name, count) in happened.chain(self.goals.iter()) {
            line += &format!(" {name}={count}");
        }
        println!("{line}");
    }
}

//! How a test of the proof ladder takes its size, and what it says of itself.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Seed of a plain `cargo test`.
const SEED: u64 = 20_261_122;
/// Cycles of a plain `cargo test`.
const CYCLES: u64 = 1;
/// From so many cycles on, each goal must be reached whatever the seed.
const CYCLES_FOR_GOALS: u64 = 4;
/// A test is not silent for longer.
const QUIET: Duration = Duration::from_secs(10);

/// Counts of what was done and reached, by name.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    counts: BTreeMap<&'static str, u64>,
    last_word: Option<Instant>,
}

impl Figures {
    pub(crate) fn add(&mut self, name: &'static str, count: u64) {
        *self.counts.entry(name).or_default() += count;
        if self.last_word.is_some_and(|at| at.elapsed() > QUIET) {
            self.last_word = Some(Instant::now());
            println!("  so far {}", self.line());
        }
    }

    /// Notes that something interesting happened, or did not.
    pub(crate) fn reached(&mut self, name: &'static str, is_reached: bool) {
        self.add(name, u64::from(is_reached));
    }

    pub(crate) fn get(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or(0)
    }

    /// The sum of all counts whose names begin so.
    pub(crate) fn sum(&self, prefix: &str) -> u64 {
        self.counts
            .iter()
            .filter(|(name, _)| name.starts_with(prefix))
            .map(|(_, count)| count)
            .sum()
    }

    fn line(&self) -> String {
        let pairs: Vec<String> =
            self.counts.iter().map(|(name, count)| format!("{name}={count}")).collect();
        pairs.join(" ")
    }
}

/// Runs `cycle` for each seed, tells the figures, and asserts that each of the `goals` was reached
/// in at least one of them.
pub(crate) fn prove(name: &str, goals: &[&str], mut cycle: impl FnMut(u64, &mut Figures)) {
    let given = number("LITEMQ_PROOF_SEED");
    let seed = given.unwrap_or(SEED);
    let cycles = number("LITEMQ_PROOF_CYCLES").unwrap_or(CYCLES);
    println!("{name}: seed {seed}, cycles {cycles}");
    let mut figures = Figures { last_word: Some(Instant::now()), ..Figures::default() };
    for seed in (seed..).take(usize::try_from(cycles).expect("cycles can be counted")) {
        let told = Replay(seed);
        cycle(seed, &mut figures);
        drop(told);
    }
    println!("figures: {}", figures.line());
    let is_large_enough = given.is_none() || cycles >= CYCLES_FOR_GOALS;
    let missed: Vec<&&str> = goals.iter().filter(|goal| figures.get(goal) == 0).collect();
    if is_large_enough && !missed.is_empty() {
        println!("replay: ./prove disk --seed {seed} --cycles {cycles}");
        panic!("{name} never reached {missed:?}");
    }
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text}")))
}

/// Tells how to see a failure again, if its cycle ends in one.
struct Replay(u64);

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("replay: ./prove disk --seed {} --cycles 1", self.0);
        }
    }
}

/// Says which case failed, when an assertion deeper down fails.
pub(crate) struct Told(pub(crate) String);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("case: {}", self.0);
        }
    }
}

/// A sequence of numbers that follows from a seed.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }
}

//! Random operations on a shard and on a plain model of it.
//!
//! They agree on every message handed out, every refusal and every position; the shard's own
//! invariants hold after every step; and what clients saw is judged by the rules that judge the
//! simulation and the torture. A restart, from records or from a snapshot, with or without the last
//! of them, changes nothing that was answered.
//!
//! A cycle is one sequence, and its seed is the run's seed plus its number, so a failure is replayed
//! by its own seed and one cycle. It is shrunk, and told as a script that can stay as a test.

mod both;
mod claiming;
mod goals;
mod op;
mod reference;
mod shrink;
mod witness;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use both::Both;
use goals::Goals;
use op::Sequence;

/// Without a word of the environment, a few seconds in a debug build.
const CYCLES_DEFAULT: u64 = 200;
const SEED_DEFAULT: u64 = 1;
/// With as many sequences, everything that shall happen sometimes has happened.
const CYCLES_FOR_GOALS: u64 = 1000;
const PROGRESS_INTERVAL: Duration = Duration::from_secs(10);

#[test]
fn a_shard_delivers_as_the_plain_model_does() {
    let (cycles, seed) = cycles_and_seed();
    say(&format!("model: seed {seed}, {cycles} sequences"));
    shrink::keep_panics_to_ourselves();
    let (mut goals, mut steps) = (Goals::default(), 0);
    let mut told_at = Instant::now();
    for cycle in 0..cycles {
        let own_seed = seed.wrapping_add(cycle);
        let sequence = Sequence::of(own_seed);
        match catch_unwind(AssertUnwindSafe(|| run(&sequence, false).end())) {
            Ok(reached) => goals.add(&reached),
            Err(_) => fail(own_seed, sequence),
        }
        steps += sequence.ops.len();
        if told_at.elapsed() >= PROGRESS_INTERVAL {
            told_at = Instant::now();
            say(&format!("model: {} of {cycles} sequences, {steps} steps", cycle + 1));
        }
    }
    say(&format!("figures: sequences={cycles} steps={steps}{goals}"));
    let missed = if cycles >= CYCLES_FOR_GOALS { goals.missed() } else { Vec::new() };
    if !missed.is_empty() {
        say(&format!("{cycles} sequences never came to {missed:?}"));
        say(&format!("replay: ./prove model --seed {seed} --cycles {cycles}"));
        panic!("goals were missed");
    }
}

fn run(sequence: &Sequence, tells: bool) -> Both {
    let mut both = Both::new(sequence, tells);
    for op in &sequence.ops {
        both.apply(op);
    }
    both
}

fn fail(seed: u64, sequence: Sequence) -> ! {
    say(&format!("replay: ./prove model --seed {seed} --cycles 1"));
    let shrunk = shrink::shrunk(sequence);
    let (script, why) = shrink::told(&shrunk);
    say(&format!("{} operations are left of it:\n\n{script}\n\n{why}", shrunk.ops.len()));
    panic!("seed {seed} fails");
}

/// What this run of the level shall do.
pub(crate) fn cycles_and_seed() -> (u64, u64) {
    let cycles = from_environment("LITEMQ_PROOF_CYCLES").unwrap_or(CYCLES_DEFAULT);
    (cycles, from_environment("LITEMQ_PROOF_SEED").unwrap_or(SEED_DEFAULT))
}

#[allow(clippy::print_stdout, reason = "a level says what it does")]
pub(crate) fn say(text: &str) {
    println!("{text}");
}

fn from_environment(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

//! Each call of a workload to its disk fails once.

use litemq_storage::StoreError;
use litemq_storage::disk::{Call, Failure, FaultDisk, Survival};

use super::case::{Case, Ending};
use super::common::history::History;
use super::common::proof::{Dice, Figures, Told, prove};
use super::common::workload::{Step, Weather, Workload};

/// Rounds of the workload.
const ROUNDS: u64 = 45;
/// Calls of one kind that fail in one cycle, each in a run of its own.
const CALLS_MAX: u64 = 70;
/// Acts after a failure that are followed by a power cut in turn.
const ACTS_AFTER: usize = 12;

#[test]
fn any_call_that_fails_stops_the_store_or_is_refused_and_nothing_is_lost() {
    let goals = [
        "stops_by_failed_syncs",
        "stops_by_failed_writes",
        "refused_starts",
        "refused_checkpoints",
        "refused_reads",
        "failures_without_a_trace",
    ];
    prove("failures", &goals, |seed, figures| {
        let mut dice = Dice::new(seed);
        for call in Call::ALL {
            let count = calls_of_a_run(seed, call, figures);
            let step = count.div_ceil(CALLS_MAX).max(1);
            let first = 1 + dice.below(step);
            for nth in (first..=count).step_by(step as usize) {
                for failure in failures_of(call) {
                    fail_once(seed, call, nth, *failure, figures);
                }
            }
        }
    });
}

fn failures_of(call: Call) -> &'static [Failure] {
    match call {
        Call::Create | Call::Write | Call::Allocate | Call::Rename => {
            &[Failure::Error, Failure::NoSpace]
        }
        Call::Read => {
            &[Failure::Error, Failure::Short(0), Failure::Short(128), Failure::Short(255)]
        }
        _ => &[Failure::Error],
    }
}

fn calls_of_a_run(seed: u64, call: Call, figures: &mut Figures) -> u64 {
    let disk = FaultDisk::new();
    let mut history = History::default();
    run(&disk, &mut history, figures, seed).expect("nothing fails");
    disk.calls(call)
}

/// Works, whatever is refused on the way; the error when the store stopped.
fn run(
    disk: &FaultDisk,
    history: &mut History,
    figures: &mut Figures,
    seed: u64,
) -> Result<(), StoreError> {
    let mut workload = Workload::start(disk, history, figures, seed, Weather::OneFailure)
        .expect("a second start succeeds");
    match workload.rounds(ROUNDS).and_then(|()| workload.step(Step::Read)) {
        Ok(()) => workload.end(true),
        Err(error) => {
            workload.assert_stopped();
            Err(error)
        }
    }
}

fn fail_once(seed: u64, call: Call, nth: u64, failure: Failure, figures: &mut Figures) {
    let disk = FaultDisk::new();
    disk.fail(call, nth, failure);
    if matches!(call, Call::SyncDir | Call::Rename | Call::Remove) {
        disk.keep_moments();
    }
    let mut history = History::default();
    let name = format!("seed {seed}, {call:?} {nth} fails with {failure:?}");
    let told = Told(name.clone());
    let refused_before = figures.sum("refused");
    let ended = run(&disk, &mut history, figures, seed);
    assert!(disk.has_failed(), "the workload comes to this call");
    figures.add("failed_calls", 1);
    match (call, ended) {
        (Call::Write, Err(StoreError::Failed(_))) => figures.add("stops_by_failed_writes", 1),
        (Call::Sync, Err(StoreError::Failed(_))) => figures.add("stops_by_failed_syncs", 1),
        (Call::Read, Err(StoreError::Failed(_))) => figures.add("stops_by_failed_reads", 1),
        (_, Ok(())) => {
            let is_silent = figures.sum("refused") == refused_before;
            figures.reached("failures_without_a_trace", is_silent);
        }
        (_, Err(error)) => panic!("no reason to stop: {error}"),
    }
    drop(told);
    let mut dice = Dice::new(nth);
    // What goes on after a name was not made durable, cut off in the middle.
    let after = |moment: &(usize, FaultDisk)| moment.1.has_failed();
    let moments = disk.take_moments().into_iter().enumerate().filter(after);
    for (act, moment) in moments.take(ACTS_AFTER) {
        for survival in [Survival::Nothing, Survival::Some(dice.next())] {
            let name = format!("{name}, act {act}, {survival:?}");
            let case = Case { history: &history, facts: history.facts_at(act as u64), name };
            case.recover(&moment.crash(survival), figures);
            figures.add("crash_points", 1);
        }
    }
    for ending in [
        Ending::PowerCut(Survival::Nothing),
        Ending::PowerCut(Survival::Some(dice.next())),
        Ending::Kill,
    ] {
        let facts = history.facts();
        let case = Case { history: &history, facts, name: format!("{name}, {ending:?}") };
        case.check(&ending.of(&disk), ending, figures, &mut dice);
    }
}

//! Crashes at every act of a workload, and at every act of the recovery from them.

use litemq_storage::StoreError;
use litemq_storage::disk::FaultDisk;

use super::case::{Case, Ending};
use super::common::history::History;
use super::common::proof::{Dice, Figures, prove};
use super::common::workload::{Weather, Workload};

/// Rounds before the crash.
const ROUNDS: u64 = 60;
#[test]
fn crash_at_any_act_loses_nothing_durable_and_shows_nothing_torn() {
    let goals = [
        "torn_tails",
        "batches_beyond_the_watermark",
        "removed_records",
        "spared_replay",
        "indexes_made_again",
        "crashes_in_recovery",
        "recycled_files_with_old_frames",
        "unfinished_files_removed",
        "new_folders_lost",
        "compacted_segments",
    ];
    prove("crashes", &goals, crash_everywhere);
}

fn crash_everywhere(seed: u64, figures: &mut Figures) {
    let disk = FaultDisk::new();
    disk.keep_moments();
    let mut history = History::default();
    let worked = work(&disk, &mut history, figures, seed);
    assert!(history.facts().durable > ROUNDS / 2, "the workload makes progress: {worked:?}");
    let mut dice = Dice::new(seed);
    let moments = disk.take_moments();
    for (act, moment) in moments.iter().chain([&disk]).enumerate() {
        let facts = history.facts_at(act as u64);
        for ending in Ending::all(moment, &mut dice) {
            let case = Case {
                history: &history,
                facts,
                name: format!("seed {seed}, act {act}, {ending:?}"),
            };
            case.check(&ending.of(moment), ending, figures, &mut dice);
        }
    }
    figures.add("workloads", 1);
}

/// The workload from an empty disk to a closed store.
fn work(
    disk: &FaultDisk,
    history: &mut History,
    figures: &mut Figures,
    seed: u64,
) -> Result<(), StoreError> {
    let mut workload = Workload::start(disk, history, figures, seed, Weather::Fair)?;
    workload.rounds(ROUNDS)?;
    workload.end(true)
}

//! Space runs out at each act of a workload, and comes back.

use litemq_storage::StoreError;
use litemq_storage::disk::{FaultDisk, Survival};

use super::case::{Case, Ending};
use super::common::history::History;
use super::common::proof::{Dice, Figures, Told, prove};
use super::common::workload::{Step, Weather, Workload};

/// Rounds of the workload before space runs out, at most.
const ROUNDS: u64 = 25;
/// Rounds on the full disk, and after it.
const ROUNDS_FULL: u64 = 6;
/// Appends that surely find the disk full.
const APPENDS_MAX: u64 = 200;
/// Settles for which the reserve must last.
const SETTLES: u64 = 5;

#[test]
fn full_disk_refuses_clearly_at_any_act_and_the_store_recovers_by_itself() {
    let goals = ["refused_appends", "refused_batches", "refused_checkpoints", "refused_new_stores"];
    prove("full disks", &goals, |seed, figures| {
        let disk = FaultDisk::new();
        let mut history = History::default();
        let mut workload = Workload::start(&disk, &mut history, figures, seed, Weather::Fair)
            .expect("a new store");
        workload.rounds(ROUNDS).expect("nothing is in the way");
        workload.end(false).expect("all becomes durable");
        for act in 1..=disk.acts() {
            fill_up(seed, act, figures);
        }
    });
}

fn fill_up(seed: u64, act: u64, figures: &mut Figures) {
    let name = format!("seed {seed}, full at act {act}");
    let told = Told(name.clone());
    let disk = FaultDisk::new();
    disk.full_at(act);
    let mut history = History::default();
    figures.add("full_disks", 1);
    work(&disk, &mut history, figures, seed, act);
    drop(told);
    let mut dice = Dice::new(act);
    for ending in
        [Ending::PowerCut(Survival::Nothing), Ending::PowerCut(Survival::Some(dice.next()))]
    {
        let facts = history.facts();
        assert_eq!(facts.durable, facts.submitted);
        let case = Case { history: &history, facts, name: format!("{name}, {ending:?}") };
        case.check(&ending.of(&disk), ending, figures, &mut dice);
    }
}

fn work(disk: &FaultDisk, history: &mut History, figures: &mut Figures, seed: u64, act: u64) {
    match Workload::start(disk, history, figures, seed, Weather::Full) {
        Err(StoreError::NoSpace(_) | StoreError::Io { .. }) => {
            figures.add("refused_new_stores", 1);
            disk.set_capacity(None);
        }
        Err(other) => panic!("a clear refusal: {other}"),
        Ok(workload) => drop(workload),
    }
    let mut workload =
        Workload::start(disk, history, figures, seed, Weather::Full).expect("the store opens");
    for _ in 0..ROUNDS {
        if disk.acts() < act {
            workload.rounds(1).expect("the store goes on");
        }
    }
    workload.set_weather(Weather::Full);
    let mut refused = None;
    for _ in 0..APPENDS_MAX {
        match workload.append() {
            Ok(()) => workload.step(Step::CommitAll).expect("what is accepted becomes durable"),
            Err(StoreError::NoSpace(message)) => {
                assert!(!message.is_empty());
                refused = Some(message);
                break;
            }
            // No spare segment yet; the housekeeper finds out that there is no space.
            Err(StoreError::Overloaded) => workload.step(Step::Chores).expect("the store lives"),
            Err(other) => panic!("a clear refusal: {other}"),
        }
    }
    if refused.is_some() {
        for _ in 0..SETTLES {
            workload.settle().expect("settles go on while the reserve lasts");
        }
    }
    workload.step(Step::Read).expect("reads go on");
    workload.rounds(ROUNDS_FULL).expect("refusals are no reason to stop");
    workload.step(Step::Read).expect("reads go on");
    disk.set_capacity(None);
    workload.step(Step::CommitAll).expect("the store lives");
    workload.step(Step::Chores).expect("the store lives");
    workload.set_weather(Weather::Fair);
    workload.append().expect("space has returned");
    workload.rounds(ROUNDS_FULL).expect("the store goes on");
    workload.step(Step::Read).expect("all can be read");
    workload.end(false).expect("all becomes durable");
    figures.reached("refused_appends", refused.is_some());
}

//! One way a process ended, and what the next one must find.

use litemq_storage::disk::{Call, FaultDisk, Survival};

use super::common::history::{Facts, History};
use super::common::proof::{Dice, Figures, Told};
use super::common::workload::{Weather, Workload};
use super::common::{anatomy, recover};

/// Rounds after a crash.
const ROUNDS_AFTER: u64 = 3;
/// Rounds after a kill, so that what the killed process had prepared is used.
const ROUNDS_AFTER_KILL: u64 = 12;
/// Of how many crashes one is followed by crashes at every act of the recovery.
const RECOVERIES_CRASHED: u64 = 12;
/// Of how many crashes one is followed by more work.
const WORKED_ON: u64 = 6;

/// How a process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Alone: the machine stays on.
    Kill,
    /// With its machine.
    PowerCut(Survival),
}

impl Ending {
    pub(crate) fn of(self, disk: &FaultDisk) -> FaultDisk {
        match self {
            Self::Kill => disk.kill(),
            Self::PowerCut(survival) => disk.crash(survival),
        }
    }

    /// All that differ.
    pub(crate) fn all(disk: &FaultDisk, dice: &mut Dice) -> Vec<Self> {
        if disk.is_settled() {
            return vec![Self::PowerCut(Survival::Nothing)];
        }
        let cuts = [
            Survival::Nothing,
            Survival::Everything,
            Survival::Prefix(dice.next()),
            Survival::Some(dice.next()),
            Survival::Some(dice.next()),
            Survival::TornEnd(dice.next()),
            Survival::Zeros,
            Survival::Stale(dice.next()),
        ];
        std::iter::once(Self::Kill).chain(cuts.map(Self::PowerCut)).collect()
    }

    fn some(disk: &FaultDisk, dice: &mut Dice) -> Self {
        let all = Self::all(disk, dice);
        all[dice.below(all.len() as u64) as usize]
    }
}

/// A crash, and what was known when it happened.
pub(crate) struct Case<'a> {
    pub(crate) history: &'a History,
    pub(crate) facts: Facts,
    pub(crate) name: String,
}

impl Case<'_> {
    /// Recovers, compares, and crashes and works on after that.
    pub(crate) fn check(
        &self,
        disk: &FaultDisk,
        ending: Ending,
        figures: &mut Figures,
        dice: &mut Dice,
    ) {
        figures.add("crash_points", 1);
        figures.reached("recycled_files_with_old_frames", has_old_frames(disk));
        figures.reached("new_folders_lost", disk.paths().is_empty());
        let unfinished = |disk: &FaultDisk| {
            disk.paths()
                .iter()
                .filter(|path| path.extension().is_some_and(|end| end == "new"))
                .count()
        };
        let unfinished_before = unfinished(disk);
        let crashes_again = dice.one_in(RECOVERIES_CRASHED);
        if crashes_again {
            disk.keep_moments();
        }
        let found = self.recover(disk, figures);
        figures.reached("unfinished_files_removed", unfinished_before > unfinished(disk));
        for moment in disk.take_moments() {
            figures.add("crash_points", 1);
            figures.add("crashes_in_recovery", 1);
            let ending = Ending::some(&moment, dice);
            let again = ending.of(&moment);
            let name = format!("{}, in recovery {ending:?}", self.name);
            Case { history: self.history, facts: self.facts, name }.recover(&again, figures);
        }
        if ending == Ending::Kill || dice.one_in(WORKED_ON) {
            self.work_on(disk, ending, found, figures, dice);
        } else {
            // What recovery has called durable is.
            let facts = Facts { durable: found, submitted: found, ..self.facts };
            let name = format!("{}, and again", self.name);
            let after = disk.crash(Survival::Nothing);
            Case { history: self.history, facts, name }.recover(&after, figures);
        }
    }

    /// Recovers and compares; how many batches were found.
    pub(crate) fn recover(&self, disk: &FaultDisk, figures: &mut Figures) -> u64 {
        let Facts { durable, submitted, retained_after_ms, .. } = self.facts;
        let (store, recovered, report) = recover(disk)
            .unwrap_or_else(|error| panic!("{}: the store does not recover: {error}", self.name));
        let found = report.durable.0;
        assert!(
            (durable..=submitted).contains(&found),
            "{}: of {submitted} batches {durable} were durable, {found} were found",
            self.name
        );
        let told = Told(self.name.clone());
        self.history.assert_held(&store, &recovered, found, retained_after_ms, figures);
        drop(told);
        figures.reached("torn_tails", report.torn_bytes > 0);
        figures.reached("batches_beyond_the_watermark", found > durable);
        figures.reached("indexes_made_again", disk.calls(Call::Create) > 0 && found > 0);
        found
    }

    /// Works on with what was found, crashes again, and compares again: what was cut must not come
    /// back, and what was found must stay.
    fn work_on(
        &self,
        disk: &FaultDisk,
        before: Ending,
        found: u64,
        figures: &mut Figures,
        dice: &mut Dice,
    ) {
        let told = Told(self.name.clone());
        let mut history = self.history.cut(found, self.facts.retained_after_ms);
        let mut workload = Workload::start(disk, &mut history, figures, dice.next(), Weather::Fair)
            .expect("the store recovers a second time");
        // A kill has lost nothing yet: what the next process says must not hang on what the killed one
        // had not synced.
        let (rounds, ending) = match before {
            Ending::Kill => (ROUNDS_AFTER_KILL, Some(Ending::PowerCut(Survival::Nothing))),
            Ending::PowerCut(_) => (ROUNDS_AFTER, None),
        };
        workload.rounds(rounds).expect("the store works on");
        workload.end(false).expect("all becomes durable");
        let ending = ending.unwrap_or_else(|| Ending::some(disk, dice));
        let name = format!("{}, worked on, {ending:?}", self.name);
        let facts = history.facts();
        assert_eq!(facts.durable, facts.submitted);
        Case { history: &history, facts, name }.recover(&ending.of(disk), figures);
        drop(told);
    }
}

/// Whether a segment that was not written yet has frames of a former life.
fn has_old_frames(disk: &FaultDisk) -> bool {
    let is_segment = |path: &&std::path::PathBuf| path.extension().is_some_and(|end| end == "log");
    disk.paths().iter().filter(is_segment).any(|path| {
        let bytes = disk.contents(path).unwrap_or_default();
        anatomy::has_old_frame(&bytes, 4_096)
    })
}

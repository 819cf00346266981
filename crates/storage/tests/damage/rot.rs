//! One flipped bit in each region of each file, at a start and under a running store.

use std::path::{Path, PathBuf};

use litemq_storage::conformance::Model;
use litemq_storage::disk::{Call, FaultDisk};
use litemq_storage::{ShardStore, StoreError};

use super::common::anatomy::{Region, regions};
use super::common::history::{History, assert_records};
use super::common::proof::{Dice, Figures, Told, prove};
use super::common::workload::{Weather, Workload};
use super::common::{DIR, chores, commit_all, recover};
use super::folder::image;

/// Rounds of the workload that makes the files.
const ROUNDS: u64 = 60;
/// Flips in each region of each file.
const FLIPS: u64 = 5;
/// More of them, evenly spread over the last region of each kind.
const FLIPS_IN_THE_LAST: usize = 4;

#[test]
fn flipped_bit_is_made_good_or_named_and_never_served_nor_taken_for_the_end() {
    let goals = [
        "flips_without_effect",
        "flips_refused_at_the_start",
        "flips_refused_by_reads",
        "flips_in_the_last_frame_of_a_killed_process",
        "indexes_made_again",
        "checkpoints_passed_over",
    ];
    prove("rot", &goals, |seed, figures| {
        for is_closed in [true, false] {
            let folder = Folder::filled(seed, is_closed, figures);
            let mut dice = Dice::new(seed);
            every_byte_of_the_identity(&folder, &mut dice, figures);
            for file in folder.disk.paths() {
                for (region, at) in folder.places(&file, &mut dice) {
                    let flip =
                        Flip { folder: &folder, file: &file, region, at, bit: dice.below(8) };
                    flip.check_start(figures);
                    flip.check_running(figures);
                }
            }
        }
    });
}

fn every_byte_of_the_identity(folder: &Folder, dice: &mut Dice, figures: &mut Figures) {
    let file = Path::new(DIR).join("META");
    let bytes = folder.disk.contents(&file).map_or(0, |bytes| bytes.len());
    for at in 0..bytes {
        let flip = Flip { folder, file: &file, region: "identity", at, bit: dice.below(8) };
        flip.check_start(figures);
    }
}

/// A data folder, and what it holds.
pub(super) struct Folder {
    pub(super) disk: FaultDisk,
    pub(super) model: Model,
    pub(super) batches: u64,
    pub(super) retained_after_ms: u64,
    pub(super) is_closed: bool,
    /// What a start replays when nothing is damaged.
    replayed_bytes: u64,
}

impl Folder {
    pub(super) fn filled(seed: u64, is_closed: bool, figures: &mut Figures) -> Self {
        Self::filled_on(FaultDisk::new(), seed, is_closed, figures)
    }

    pub(super) fn filled_on(
        disk: FaultDisk,
        seed: u64,
        is_closed: bool,
        figures: &mut Figures,
    ) -> Self {
        let mut history = History::default();
        let mut workload = Workload::start(&disk, &mut history, figures, seed, Weather::Fair)
            .expect("a new store");
        workload.rounds(ROUNDS).expect("the store works");
        workload.end(is_closed).expect("all becomes durable");
        let facts = history.facts();
        let (_, _, report) = recover(&disk.kill()).expect("nothing is damaged");
        Self {
            replayed_bytes: report.replayed_bytes,
            model: history.model(facts.durable),
            batches: facts.durable,
            retained_after_ms: facts.retained_after_ms,
            disk,
            is_closed,
        }
    }

    /// Bytes of each region of a file.
    fn places(&self, file: &Path, dice: &mut Dice) -> Vec<(&'static str, usize)> {
        let bytes = self.disk.contents(file).expect("the file is there");
        let regions = regions(file, &bytes);
        let mut names: Vec<&'static str> = regions.iter().map(|region| region.name).collect();
        names.sort_unstable();
        names.dedup();
        let mut places = Vec::new();
        for name in names {
            let of_name: Vec<&Region> =
                regions.iter().filter(|region| region.name == name).collect();
            let all: Vec<usize> = of_name.iter().flat_map(|region| region.bytes.clone()).collect();
            for _ in 0..FLIPS {
                places.push((name, all[dice.below(all.len() as u64) as usize]));
            }
            // The last of its kind may be taken for the end of the log.
            let last = of_name.last().expect("there is one").bytes.clone();
            let step = last.len().div_ceil(FLIPS_IN_THE_LAST).max(1);
            places.extend(last.step_by(step).map(|at| (name, at)));
        }
        places
    }

    fn has_extension(file: &Path, extension: &str) -> bool {
        file.extension().is_some_and(|end| end == extension)
    }
}

/// A bit of a file that is not what was written.
struct Flip<'a> {
    folder: &'a Folder,
    file: &'a Path,
    region: &'static str,
    at: usize,
    bit: u64,
}

impl Flip<'_> {
    fn name(&self) -> String {
        let Self { region, at, bit, .. } = self;
        let how = if self.folder.is_closed { "closed" } else { "killed" };
        format!("{} of {}: byte {at}, bit {bit}, {how}", region, self.file.display())
    }

    fn apply(&self, disk: &FaultDisk) {
        disk.damage(self.file, |bytes| bytes[self.at] ^= 1 << self.bit);
    }

    fn check_start(&self, figures: &mut Figures) {
        figures.add("flips", 1);
        let told = Told(self.name());
        let disk = self.folder.disk.kill();
        self.apply(&disk);
        let before = image(&disk);
        match recover(&disk) {
            Ok((store, recovered, report)) => {
                assert_eq!(report.durable.0, self.folder.batches, "nothing is cut");
                assert_eq!(recovered.state, self.folder.model.state);
                let is_index = Folder::has_extension(self.file, "idx");
                figures.reached("indexes_made_again", is_index && disk.calls(Call::Create) > 0);
                let is_checkpoint = Folder::has_extension(self.file, "ckpt");
                let is_passed_over =
                    is_checkpoint && report.replayed_bytes > self.folder.replayed_bytes;
                figures.reached("checkpoints_passed_over", is_passed_over);
                self.check_records(&store, figures);
                self.check_work(&store, figures);
            }
            Err(error) => {
                self.assert_named(&error);
                assert!(image(&disk) == before, "nothing was changed");
                figures.add("flips_refused_at_the_start", 1);
                let is_log = Folder::has_extension(self.file, "log");
                figures.reached(
                    "flips_in_the_last_frame_of_a_killed_process",
                    is_log && !self.folder.is_closed && self.is_in_last_frame(),
                );
            }
        }
        drop(told);
    }

    /// The bit flips while the store runs.
    fn check_running(&self, figures: &mut Figures) {
        figures.add("flips", 1);
        let told = Told(self.name());
        let disk = self.folder.disk.kill();
        let (store, _, _) = recover(&disk).expect("nothing is damaged yet");
        if disk.contents(self.file).is_some_and(|bytes| bytes.len() > self.at) {
            self.apply(&disk);
        }
        self.check_records(&store, figures);
        self.check_work(&store, figures);
        drop(told);
    }

    fn check_records(&self, store: &litemq_storage::LogStore, figures: &mut Figures) {
        let Folder { model, retained_after_ms, .. } = self.folder;
        let mut refused = 0;
        assert_records(store, model, *retained_after_ms, |_, error| {
            self.assert_named(&error);
            refused += 1;
        });
        assert!(refused <= 1, "one flip damages one record: {refused}");
        figures.add("flips_refused_by_reads", refused);
        figures.reached("flips_without_effect", refused == 0);
    }

    /// Retention, sealing and commits go on, or the store stops because of this file.
    fn check_work(&self, store: &litemq_storage::LogStore, figures: &mut Figures) {
        store.retain_after(self.folder.retained_after_ms).expect("retention runs");
        chores(store);
        let failed = store.durable().borrow().failed.clone();
        if let Some(failed) = failed {
            let StoreError::Failed(message) = &failed else { panic!("stopped: {failed}") };
            assert!(message.contains(&self.file.display().to_string()), "it is named: {message}");
            figures.add("flips_that_stop_the_store", 1);
            return;
        }
        let batch = litemq_storage::Batch::default();
        store.submit(batch).expect("the store takes batches");
        commit_all(store);
        assert_eq!(store.durable().borrow().durable.0, self.folder.batches + 1);
    }

    /// An error about this file, and the place in it.
    fn assert_named(&self, error: &StoreError) {
        let StoreError::Corrupt { path, position, .. } = error else {
            panic!("damage is told as such: {error}")
        };
        assert_eq!(path, self.file);
        let position = usize::try_from(*position).expect("a position in a file");
        assert!(position <= self.at, "{position} is behind the damage");
        if Folder::has_extension(self.file, "log") {
            let bytes = self.folder.disk.contents(self.file).expect("the file is there");
            let starts = super::common::anatomy::frame_starts(&bytes);
            let start = starts.iter().rev().find(|start| **start <= self.at).copied().unwrap_or(0);
            assert!(position >= start, "{position} is not in the frame at {start}");
        }
    }

    fn is_in_last_frame(&self) -> bool {
        let newest: Option<PathBuf> = self
            .folder
            .disk
            .paths()
            .into_iter()
            .filter(|path| Folder::has_extension(path, "log"))
            .rfind(|path| !self.frame_starts(path).is_empty());
        newest.as_deref() == Some(self.file)
            && self.frame_starts(self.file).last().is_some_and(|start| *start <= self.at)
    }

    fn frame_starts(&self, path: &Path) -> Vec<usize> {
        super::common::anatomy::frame_starts(&self.folder.disk.contents(path).unwrap_or_default())
    }
}

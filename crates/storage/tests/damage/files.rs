//! Whole files that are missing, cut, swapped, doubled, foreign, or partly blank.

use std::path::{Path, PathBuf};

use litemq_storage::disk::{Disk, FaultDisk};
use litemq_storage::{LogStore, ShardStore, StoreError};

use super::common::anatomy::frame_starts;
use super::common::history::assert_records;
use super::common::proof::{Dice, Figures, Told, prove};
use super::common::{DIR, chores, commit_all, recover};
use super::folder::image;
use super::rot::Folder;

/// What somebody did to the files.
#[derive(Debug, Clone)]
enum Mishap {
    Missing(PathBuf),
    Cut(PathBuf, usize),
    Grown(PathBuf, usize),
    /// A page was lost: it holds zeros.
    BlankPage(PathBuf, usize),
    Swapped(PathBuf, PathBuf),
    /// The first under the name of the second, which may be there already.
    Doubled(PathBuf, PathBuf),
    /// A file of the same name from another data folder.
    FromAnotherStore(PathBuf),
    Foreign(PathBuf),
}

const PAGE_BYTES: usize = 4096;

#[test]
fn files_that_are_not_as_they_were_are_made_good_or_named_and_nothing_is_cut_in_silence() {
    let goals = ["mishaps_made_good", "mishaps_refused"];
    prove("files", &goals, |seed, figures| {
        for is_closed in [true, false] {
            let folder = Folder::filled(seed, is_closed, figures);
            let other = Folder::filled_on(other_disk(), seed, is_closed, figures);
            let mut dice = Dice::new(seed);
            for mishap in mishaps(&folder.disk, &mut dice) {
                check(&folder, &other, &mishap, figures);
            }
        }
    });
}

/// A disk on which nothing has the identity that it has elsewhere.
fn other_disk() -> FaultDisk {
    let disk = FaultDisk::new();
    for _ in 0..1_000 {
        disk.draw_identity().expect("a number");
    }
    disk
}

fn mishaps(disk: &FaultDisk, dice: &mut Dice) -> Vec<Mishap> {
    let files = disk.paths();
    let mut mishaps = Vec::new();
    for (ordinal, file) in files.iter().enumerate() {
        let bytes = disk.contents(file).map_or(0, |bytes| bytes.len());
        mishaps.extend([
            Mishap::Missing(file.clone()),
            Mishap::Cut(file.clone(), 0),
            Mishap::Cut(file.clone(), dice.below(bytes as u64) as usize),
            Mishap::Cut(file.clone(), bytes - 1),
            Mishap::Grown(file.clone(), 1 + dice.below(9_000) as usize),
            Mishap::FromAnotherStore(file.clone()),
        ]);
        mishaps
            .extend((0..bytes).step_by(PAGE_BYTES).map(|at| Mishap::BlankPage(file.clone(), at)));
        for other in files.iter().skip(ordinal + 1) {
            if other.extension() == file.extension() {
                mishaps.push(Mishap::Swapped(file.clone(), other.clone()));
                mishaps.push(Mishap::Doubled(file.clone(), other.clone()));
                mishaps.push(Mishap::Doubled(other.clone(), file.clone()));
            }
        }
        if let Some(end) = file.extension() {
            for number in ["00000000", "00000001", "00000077"] {
                let name = file.with_file_name(number).with_extension(end);
                mishaps.push(Mishap::Doubled(file.clone(), name));
            }
        }
    }
    let foreign =
        ["notes.txt", "notes.new", "log/00000003.bak", "log/3.log", "idx/x.idx", "ckpt/.ckpt"];
    mishaps.extend(foreign.map(|name| Mishap::Foreign(Path::new(DIR).join(name))));
    mishaps
}

/// Whether it can be done to this folder.
fn happen(mishap: &Mishap, disk: &FaultDisk, other: &FaultDisk) -> bool {
    let contents = |path: &Path| disk.contents(path).expect("the file is there");
    match mishap {
        Mishap::Missing(file) => disk.remove(file).expect("the file is there"),
        Mishap::Cut(file, bytes) => disk.damage(file, |whole| whole.truncate(*bytes)),
        Mishap::Grown(file, bytes) => {
            disk.damage(file, |whole| whole.resize(whole.len() + bytes, 7))
        }
        Mishap::BlankPage(file, at) => disk.damage(file, |whole| {
            let end = whole.len().min(at + PAGE_BYTES);
            whole[*at..end].fill(0);
        }),
        Mishap::Swapped(one, two) => {
            let (first, second) = (contents(one), contents(two));
            put(disk, one, second);
            put(disk, two, first);
        }
        Mishap::Doubled(from, to) => put(disk, to, contents(from)),
        Mishap::FromAnotherStore(file) => match other.contents(file) {
            Some(foreign) => put(disk, file, foreign),
            None => return false,
        },
        Mishap::Foreign(file) => put(disk, file, b"by somebody else".to_vec()),
    }
    true
}

fn put(disk: &FaultDisk, path: &Path, contents: Vec<u8>) {
    if disk.contents(path).is_none() {
        disk.create(path).expect("a new file");
    }
    disk.damage(path, |bytes| *bytes = contents);
}

fn check(folder: &Folder, other: &Folder, mishap: &Mishap, figures: &mut Figures) {
    let how = if folder.is_closed { "closed" } else { "killed" };
    let told = Told(format!("{mishap:?}, {how}"));
    let disk = folder.disk.kill();
    if !happen(mishap, &disk, &other.disk) || is_beyond_proof(folder, mishap) {
        return;
    }
    figures.add("mishaps", 1);
    let before = image(&disk);
    match recover(&disk) {
        Ok((store, recovered, report)) => {
            assert_eq!(report.durable.0, folder.batches, "nothing is cut");
            assert_eq!(recovered.state, folder.model.state);
            assert_all_there_or_named(folder, &store);
            drop(store);
            if let Mishap::Foreign(file) = mishap {
                assert!(disk.contents(file).is_some(), "what is foreign is left alone");
            }
            figures.add("mishaps_made_good", 1);
        }
        Err(error) => {
            assert_named(&error);
            assert!(image(&disk) == before, "nothing was changed");
            figures.add("mishaps_refused", 1);
        }
    }
    drop(told);
}

/// Reads, works on, and reads again.
fn assert_all_there_or_named(folder: &Folder, store: &LogStore) {
    let read = || {
        assert_records(store, &folder.model, folder.retained_after_ms, |_, error| {
            assert_named(&error);
        })
    };
    read();
    store.retain_after(folder.retained_after_ms).expect("retention runs");
    chores(store);
    if store.durable().borrow().failed.is_none() {
        store.submit(litemq_storage::Batch::default()).expect("the store takes batches");
        commit_all(store);
        read();
    }
}

fn assert_named(error: &StoreError) {
    let path = match error {
        StoreError::Corrupt { path, .. } | StoreError::Io { path, .. } => path,
        other => panic!("a file is named: {other}"),
    };
    assert!(path.starts_with(DIR) && path != Path::new(DIR), "{} is named", path.display());
}

/// Plain limits: what nothing else in the folder shows to have been there.
fn is_beyond_proof(folder: &Folder, mishap: &Mishap) -> bool {
    match mishap {
        // The last frames, and the mark behind them with them.
        Mishap::BlankPage(file, at) => {
            newest_used(folder).as_ref() == Some(file)
                && starts(folder, file).last().is_some_and(|last| *at + PAGE_BYTES > *last)
        }
        // The newest segment, before the one before it got its index.
        Mishap::Missing(file) => {
            let segments = of_kind(folder, "log");
            segments.last() == Some(file)
                && newest_used(folder).as_ref() == Some(file)
                && of_kind(folder, "idx").len() + 1 < segments.len()
        }
        _ => false,
    }
}

/// The newest segment that has frames.
fn newest_used(folder: &Folder) -> Option<PathBuf> {
    of_kind(folder, "log").into_iter().rfind(|path| !starts(folder, path).is_empty())
}

fn starts(folder: &Folder, path: &Path) -> Vec<usize> {
    frame_starts(&folder.disk.contents(path).unwrap_or_default())
}

fn of_kind(folder: &Folder, extension: &str) -> Vec<PathBuf> {
    let is_of_kind = |path: &PathBuf| path.extension().is_some_and(|end| end == extension);
    folder.disk.paths().into_iter().filter(is_of_kind).collect()
}

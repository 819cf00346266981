//! Keeps the seeds of every target as files, and makes the data folder that some of them damage.
//!
//! `cargo run --example seeds -- folder` makes the folder anew; without the word, only the seeds. Seeds
//! that are made no longer are deleted; what the fuzzer found stays.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a generator that cannot go on has failed"
)]

use std::path::PathBuf;

use litemq_fuzz::TARGETS;
use litemq_fuzz::seeds::{Seeds, is_found, kept_dir};

fn main() {
    if std::env::args().any(|word| word == "folder") {
        make_folder();
    }
    let seeds = Seeds::all();
    for target in TARGETS {
        let dir = kept_dir(target.name);
        std::fs::create_dir_all(&dir).unwrap();
        let files = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path());
        for file in files.filter(|file| !is_found(&file.file_name().unwrap().to_string_lossy())) {
            std::fs::remove_file(file).unwrap();
        }
    }
    for (target, name, bytes) in seeds.iter() {
        std::fs::write(kept_dir(target).join(name), bytes).unwrap();
    }
    println!("{} seeds", seeds.iter().count());
}

/// Writes the files of a new data folder beside the code.
fn make_folder() {
    let root = litemq_fuzz::folder::kept_dir();
    if root.exists() {
        std::fs::remove_dir_all(&root).unwrap();
    }
    let disk = litemq_fuzz::folder::make();
    for path in disk.paths().into_iter().filter(|path| !path.ends_with("LOCK")) {
        let inside: PathBuf = path.strip_prefix(litemq_fuzz::folder::DIR).unwrap().into();
        let to = root.join(inside);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::write(&to, disk.contents(&path).unwrap()).unwrap();
        println!("{}", to.display());
    }
}

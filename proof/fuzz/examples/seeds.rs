//! Makes the seeds of every target from real code, and the data folder that some of them damage.
//!
//! `cargo run --example seeds -- folder` makes the folder anew; without the word, only the seeds.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a generator that cannot go on has failed"
)]

mod seeds {
    pub(crate) mod doors;
    pub(crate) mod files;
    pub(crate) mod state;
}

use std::path::{Path, PathBuf};

/// Keeps a seed of a target under the name of what it is.
fn keep(target: &str, name: &str, bytes: &[u8]) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join(name), bytes).unwrap();
}

fn main() {
    if std::env::args().any(|word| word == "folder") {
        make_folder();
    }
    seeds::files::make();
    seeds::state::make();
    seeds::doors::make();
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

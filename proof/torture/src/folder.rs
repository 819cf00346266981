//! The folder of a trial, and what an earlier run that was cut off has left on the machine.

use std::fs;
use std::path::{Path, PathBuf};

use crate::tool;

const PREFIX: &str = "litemq-torture-";

/// A folder for one trial; gone with it, unless it is kept.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    is_kept: bool,
}

impl Folder {
    pub(crate) fn make(name: &str) -> Self {
        let own = format!("{PREFIX}{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(own);
        fs::create_dir_all(&path).unwrap();
        Self { path, is_kept: false }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// For people who look for the reason.
    pub(crate) fn keep(&mut self) -> &Path {
        self.is_kept = true;
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.is_kept {
            // Away from the names that the next run clears.
            let name =
                self.path.file_name().unwrap().to_string_lossy().replace(PREFIX, "litemq-failed-");
            drop(fs::rename(&self.path, self.path.with_file_name(&name)));
            println!("the data is kept in {}", self.path.with_file_name(name).display());
        } else {
            drop(fs::remove_dir_all(&self.path));
        }
    }
}

/// Ends, unmounts and removes what runs that were cut off have left behind.
pub(crate) fn remove_left_overs() {
    let Ok(entries) = fs::read_dir(std::env::temp_dir()) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some(rest) = name.strip_prefix(PREFIX) else { continue };
        let owner = rest.split('-').next().unwrap_or_default();
        if owner.parse::<u32>().is_err() || is_torture(owner) {
            continue;
        }
        println!("an earlier run has left {}", path.display());
        end_processes_of(&path);
        unmount_below(&path);
        drop(fs::remove_dir_all(&path));
    }
}

/// Whether this process is one of ours and alive. A dead one that nobody has waited for has no command line.
fn is_torture(process: &str) -> bool {
    let command = fs::read(Path::new("/proc").join(process).join("cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&command).contains("torture")
}

/// Processes whose command line names the folder.
fn end_processes_of(folder: &Path) {
    let Ok(processes) = fs::read_dir("/proc") else { return };
    let named = folder.to_string_lossy().into_owned() + "/";
    for process in processes.flatten() {
        let id = process.file_name().to_string_lossy().parse::<i32>();
        let Ok(id) = id else { continue };
        let command = fs::read(process.path().join("cmdline")).unwrap_or_default();
        let is_of = String::from_utf8_lossy(&command).contains(&named);
        if let Some(id) = rustix::process::Pid::from_raw(id).filter(|_| is_of) {
            rustix::process::kill_process(id, rustix::process::Signal::KILL).ok();
        }
    }
}

fn unmount_below(folder: &Path) {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    for mount in mounts.lines().filter_map(|line| line.split(' ').nth(1)) {
        if Path::new(mount).starts_with(folder) {
            drop(tool::run("umount", ["-l", mount]));
        }
    }
}

//! Programs of the machine that do what a process cannot do to itself.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// In CI what is missing is a fault; on a person's machine it is a pity.
pub(crate) fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|ci| ci == "true")
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The path of a program, if the machine has it.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let beyond = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    let mut folders = std::env::split_paths(&path).chain(beyond);
    folders.find_map(|folder| Some(folder.join(name)).filter(|program| program.is_file()))
}

/// Which of these programs are missing, in words.
pub(crate) fn missing(names: &[&str]) -> Option<String> {
    let missing: Vec<&str> = names.iter().copied().filter(|name| find(name).is_none()).collect();
    if missing.is_empty() { None } else { Some(format!("{} not found", missing.join(", "))) }
}

/// Runs a program to its end; the error is what it said.
pub(crate) fn run<I: AsRef<OsStr>>(
    name: &str,
    arguments: impl IntoIterator<Item = I>,
) -> Result<String, String> {
    let program = find(name).ok_or_else(|| format!("{name} not found"))?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    let done = command.output().map_err(|error| format!("{name}: {error}"))?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&done.stderr).trim()))
}

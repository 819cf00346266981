//! System calls of the broker that fail or take their time, by strace.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::tool;

/// The thread that writes and syncs the log.
const COMMITTER: &str = "<litemq-commit>";

/// Why it cannot be used on this machine.
pub(crate) fn missing() -> Option<String> {
    tool::missing(&["strace"]).or_else(|| {
        let tried = tool::run("strace", ["-f", "-qq", "-o", "/dev/null", "true"]);
        tried.err().map(|error| format!("strace cannot trace: {error}"))
    })
}

/// What a system call is made to do, in the words of `strace -e inject=`.
#[derive(Debug, Clone)]
pub(crate) struct Injection {
    pub(crate) call: &'static str,
    pub(crate) what: String,
}

/// A system call that was tampered with.
#[derive(Debug)]
pub(crate) struct Injected {
    /// Since the start of the epoch.
    pub(crate) at: Duration,
    pub(crate) is_committer: bool,
    pub(crate) line: String,
}

/// The command that runs a program under an injection, and writes what it did to `log`. The program
/// stays the direct child: the tracer is the detached one.
pub(crate) fn wrapper(log: &Path, injection: &Injection) -> Vec<OsString> {
    let Injection { call, what } = injection;
    let strace = tool::find("strace").unwrap_or_else(|| PathBuf::from("strace"));
    let mut words = vec![strace.into_os_string()];
    words
        .extend(["-D", "-f", "-qq", "-ttt", "-y", "-Y", "--seccomp-bpf", "-o"].map(OsString::from));
    words.push(log.into());
    words.push("-e".into());
    words.push(format!("trace={call}").into());
    words.push("-e".into());
    words.push(format!("inject={call}:{what}").into());
    words
}

/// What it did so far.
pub(crate) fn injected(log: &Path) -> Vec<Injected> {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    text.lines().filter(|line| is_injected(line)).filter_map(parse).collect()
}

fn is_injected(line: &str) -> bool {
    line.contains("(INJECTED)") || line.contains("(DELAYED)")
}

/// `12345<litemq-commit> 1700000000.123456 fdatasync(9</data/log/00000001.log>) = -1 EIO (…) (INJECTED)`
fn parse(line: &str) -> Option<Injected> {
    let mut words = line.split_whitespace();
    let thread = words.next()?;
    let at: f64 = words.next()?.parse().ok()?;
    let is_committer = thread.ends_with(COMMITTER);
    Some(Injected { at: Duration::from_secs_f64(at), is_committer, line: line.to_owned() })
}

/// The same clock as in the log of strace.
pub(crate) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

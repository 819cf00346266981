//! Everything that happens in a world, line by line, with its simulated time.

use std::hash::{DefaultHasher, Hasher};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use litemq_checker::history::{Event, Moment};
use litemq_clients::recorder::Witness;
use tracing_subscriber::fmt::MakeWriter;

/// The trace of one world.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    lines: Vec<String>,
    hash: DefaultHasher,
    /// The time while no host runs.
    between: Option<Duration>,
}

impl Trace {
    /// While no host runs, this is the time.
    pub(crate) fn set_between(&self, at: Option<Duration>) {
        self.lock().between = at;
    }

    pub(crate) fn time(&self) -> Duration {
        let between = self.lock().between;
        between.or_else(turmoil::sim_elapsed).unwrap_or_default()
    }

    pub(crate) fn say(&self, what: &str) {
        let line = format!("{:9.3} s  {what}", self.time().as_secs_f64());
        self.add(line);
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.lock().lines.clone()
    }

    /// Lines that say this.
    pub(crate) fn count(&self, what: &str) -> u64 {
        self.lock().lines.iter().filter(|line| line.contains(what)).count() as u64
    }

    pub(crate) fn hash(&self) -> u64 {
        self.lock().hash.finish()
    }

    fn add(&self, line: String) {
        let mut state = self.lock();
        state.hash.write(line.as_bytes());
        state.lines.push(line);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Witness for Trace {
    fn now(&self) -> Moment {
        self.time()
    }

    fn saw(&self, event: &Event) {
        self.say(&event.to_string());
    }
}

/// Takes the server's log lines into the trace.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Log<'a>(pub(crate) &'a Trace);

impl io::Write for Log<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.say(&format!("log: {}", String::from_utf8_lossy(bytes).trim_end()));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes log lines of the thread into its world's trace.
#[derive(Debug, Clone)]
pub(crate) struct ToTrace(pub(crate) Arc<Trace>);

impl<'a> MakeWriter<'a> for ToTrace {
    type Writer = Log<'a>;

    fn make_writer(&'a self) -> Log<'a> {
        Log(&self.0)
    }
}

//! Long work gives way to short work.

use std::time::{Duration, Instant};

use super::engine::Engine;

/// Work without a pause. A scheduler may let a thread that works go on for several milliseconds
/// while a commit waits for the same core; a thread that sleeps is never in its way.
const WORK_AT_ONCE: Duration = Duration::from_micros(200);
/// Pause after it, while there is time.
const PAUSE: Duration = Duration::from_micros(300);

/// The pauses of one long piece of work.
#[derive(Debug)]
pub(super) struct Breath<'e> {
    engine: Option<&'e Engine>,
    since: Instant,
}

impl<'e> Breath<'e> {
    /// Pauses for the commits of a store.
    pub(super) fn of(engine: &'e Engine) -> Self {
        Self { engine: Some(engine), since: Instant::now() }
    }

    /// Without pauses: somebody waits for this work.
    pub(super) fn held() -> Self {
        Self { engine: None, since: Instant::now() }
    }

    /// Gives way, if it is time to; called often.
    pub(super) fn take(&mut self) {
        let Some(engine) = self.engine else { return };
        if self.since.elapsed() >= WORK_AT_ONCE {
            pause(engine, PAUSE);
            self.since = Instant::now();
        }
    }
}

/// Gives way to the commits, unless they are about to need what is being made, or a stop waits for it.
pub(super) fn pause(engine: &Engine, time: Duration) {
    if engine.is_threaded && !engine.is_stopping() && engine.queue().has_time() {
        std::thread::sleep(time);
    }
}

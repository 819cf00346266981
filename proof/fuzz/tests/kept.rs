//! Every input that was kept, without a fuzzer: seeds, and what once broke a promise.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that cannot go on fails its test")]

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use litemq_fuzz::TARGETS;

/// Panics of all threads: one in a task that nobody waits for must not go unseen.
static PANICS: AtomicUsize = AtomicUsize::new(0);

#[test]
fn every_input_that_was_kept_keeps_the_promises() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        tell(panic);
    }));
    let mut inputs = 0;
    for target in TARGETS {
        for folder in ["regressions", "corpus"] {
            let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(target.name);
            let Ok(entries) = std::fs::read_dir(&dir) else { continue };
            for entry in entries {
                let path = entry.unwrap().path();
                target.run(&std::fs::read(&path).unwrap());
                assert_eq!(PANICS.load(Ordering::Relaxed), 0, "{}", path.display());
                inputs += 1;
            }
        }
    }
    assert!(inputs > 100, "{inputs} inputs");
}

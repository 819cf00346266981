//! Makes a sequence that fails as small as it gets, and tells it.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use super::both::Both;
use super::op::{Op, Sequence};

thread_local! {
    /// What the last panic of this thread said, while it is caught here.
    static LAST_PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Panics of this thread are noted and no longer printed, as shrinking makes many. Those of other
/// threads are printed as ever.
pub(super) fn keep_panics_to_ourselves() {
    static ONCE: Once = Once::new();
    let own = std::thread::current().id();
    ONCE.call_once(|| {
        let print = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if std::thread::current().id() != own {
                return print(info);
            }
            LAST_PANIC.set(Some(info.to_string()));
        }));
    });
}

/// The sequence with everything taken out that it fails without.
pub(super) fn shrunk(mut sequence: Sequence) -> Sequence {
    let mut piece = sequence.ops.len();
    while piece > 0 {
        let mut from = 0;
        let mut has_shrunk = false;
        while from < sequence.ops.len() {
            let mut fewer = sequence.clone();
            fewer.ops.drain(from..(from + piece).min(fewer.ops.len()));
            if fails(&fewer) {
                sequence = fewer;
                has_shrunk = true;
            } else {
                from += piece;
            }
        }
        if !has_shrunk || piece > sequence.ops.len() {
            piece /= 2;
        }
    }
    for at in 0..sequence.ops.len() {
        for simpler in simpler(&sequence.ops[at]) {
            let mut other = sequence.clone();
            other.ops[at] = simpler;
            if fails(&other) {
                sequence = other;
                break;
            }
        }
    }
    sequence
}

/// The same with less, least first.
fn simpler(op: &Op) -> Vec<Op> {
    match op {
        Op::Send { lite, count } => {
            (1..*count).map(|count| Op::Send { lite: *lite, count }).collect()
        }
        Op::Subscribe(pair, lites) => {
            lites.iter().map(|lite| Op::Subscribe(*pair, vec![*lite])).collect()
        }
        Op::Crash { from_snapshot } => vec![Op::Restart { from_snapshot: *from_snapshot }],
        _ => Vec::new(),
    }
}

fn fails(sequence: &Sequence) -> bool {
    catch_unwind(AssertUnwindSafe(|| super::run(sequence, false).end())).is_err()
}

/// The steps of a sequence up to its failure as a script, and the failure.
pub(super) fn told(sequence: &Sequence) -> (String, String) {
    let both = RefCell::new(Both::new(sequence, true));
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        for op in &sequence.ops {
            both.borrow_mut().apply(op);
        }
    }));
    let mut both = both.into_inner();
    let script = both.world.told.take().unwrap_or_default().join("\n| ");
    if outcome.is_ok() {
        let _ended = catch_unwind(AssertUnwindSafe(|| both.end()));
    }
    (script, LAST_PANIC.take().unwrap_or_else(|| "it passes when told".to_owned()))
}

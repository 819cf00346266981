//! What a run did, and what it must have seen to be worth its name.

use std::collections::BTreeMap;
use std::fmt;

/// With as many cycles, everything that shall happen sometimes has happened.
pub(crate) const CYCLES_FOR_GOALS: u64 = 30;

/// Counts by name, added over scenarios.
#[derive(Debug, Default)]
pub(crate) struct Tally(BTreeMap<String, u64>);

impl Tally {
    pub(crate) fn add(&mut self, name: &str, count: u64) {
        *self.0.entry(name.to_owned()).or_default() += count;
    }

    pub(crate) fn absorb(&mut self, other: Self) {
        for (name, count) in other.0 {
            self.add(&name, count);
        }
    }

    /// Fails when a run that was long enough never reached one of its goals.
    pub(crate) fn reached(&self, goals: &[&str], cycles: u64) -> Result<(), String> {
        let missed = goals.iter().find(|goal| self.0.get(**goal).is_none_or(|count| *count == 0));
        match missed {
            Some(goal) if cycles >= CYCLES_FOR_GOALS => {
                Err(format!("the run never reached its goal '{goal}'"))
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs: Vec<String> =
            self.0.iter().map(|(name, count)| format!("{name}={count}")).collect();
        f.write_str(&pairs.join(" "))
    }
}

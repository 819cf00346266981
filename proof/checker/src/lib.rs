//! What clients of a broker saw, and the rules it is held against.
//!
//! A run records a [`history`]; [`rules`] says what must hold in it, each rule a named function. The
//! model of the domain, the simulation and the torture of the binary are judged by the same rules.

#![allow(missing_docs, reason = "names of a history say what they are")]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

pub mod dice;
pub mod history;
pub mod ledger;
pub mod rules;
#[cfg(test)]
mod verdicts;

pub use dice::Dice;
pub use ledger::Ledger;

//! One file for each workload, or one folder where it has steps.

pub(crate) mod closed_loop;
pub(crate) mod cpu;
mod create;
pub(crate) mod cycle;
pub(crate) mod deliver;
pub(crate) mod drive;
pub(crate) mod expire;
pub(crate) mod idle;
pub(crate) mod pace;
pub(crate) mod send;

/// More refused requests end a round.
const FAILURES_MAX: u64 = 1000;

//! One file for each workload, or one folder where it has steps.

pub(crate) mod arrivals;
pub(crate) mod clients;
pub(crate) mod closed_loop;
pub(crate) mod cpu;
mod create;
pub(crate) mod cycle;
pub(crate) mod deliver;
pub(crate) mod drive;
pub(crate) mod expire;
pub(crate) mod handover;
pub(crate) mod idle;
pub(crate) mod ledger;
pub(crate) mod moving;
pub(crate) mod pace;
pub(crate) mod readers;
pub(crate) mod redeliver;
pub(crate) mod send;
pub(crate) mod source;
pub(crate) mod stamp;
pub(crate) mod stream;
pub(crate) mod subscriptions;
pub(crate) mod unacked;

/// More refused requests end a round.
const FAILURES_MAX: u64 = 1000;

//! Producers and consumers that carry on by themselves whatever happens to the broker, and record what
//! they saw. The simulation and the torture of the binary run the same ones.

#![allow(missing_docs, reason = "names say what they are")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a run that cannot go on has failed"
)]

pub mod client;
pub mod connect;
pub mod letter;
pub mod recorder;
pub mod workload;

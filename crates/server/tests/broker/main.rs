//! The broker without doors: one file per promise.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests may panic"
)]

mod access;
mod browse;
mod cancelled;
mod catalog;
mod checkpoints;
mod clock;
mod consumption;
mod crashes;
mod dead_letters;
mod durability;
mod exclusive;
mod expiry;
mod folder;
mod full_disk;
mod large;
mod polls;
mod positions;
mod quotas;
mod resend;
mod resend_letters;
mod retention;
mod sessions;
mod stingy;
mod subscriptions;
mod support;
mod syncs_again;
mod trace;
mod wildcard;

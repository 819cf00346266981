//! How a shard behaves, told in scripts.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a script that is wrong may panic

mod access;
mod dead_letters;
mod delivery;
mod exclusive;
mod expiry;
mod lag;
mod leases;
mod listing;
mod model;
mod pace;
mod positions;
mod quota;
mod removal;
mod retention;
mod script;
mod sending;
mod settle;
mod subscriptions;
mod wildcard;

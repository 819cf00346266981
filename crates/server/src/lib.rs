//! The litemq server: front doors, shard actors, client sessions, configuration and boot.

pub mod access;
pub mod boot;
pub mod broker;
pub mod cli;
pub mod config;
mod descriptors;
pub mod front;
pub mod observe;
pub mod running;

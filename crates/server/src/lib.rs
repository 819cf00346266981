//! The litemq server: front doors, shard actors, client sessions, configuration and boot.

pub mod broker;

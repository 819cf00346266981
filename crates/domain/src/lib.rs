//! The broker as pure state machines.

//! Delivery of one (group, lite topic): its position and what is in flight.

pub(crate) mod cursor;
pub(crate) mod pace;
pub(crate) mod run;

//! RocketMQ v2 wire types.

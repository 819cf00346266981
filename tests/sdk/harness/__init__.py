"""The harness that drives a real litemq broker through the official RocketMQ SDKs."""

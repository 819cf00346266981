//! The litemq binary.
fn main() {}

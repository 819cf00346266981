//! LiteMQ.
fn main() {}

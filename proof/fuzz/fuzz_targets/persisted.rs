//! `litemq_fuzz::persisted`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| litemq_fuzz::persisted::TARGET.run(bytes));

//! `litemq_fuzz::handle`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| litemq_fuzz::handle::TARGET.run(bytes));

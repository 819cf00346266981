//! `litemq_fuzz::meta`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| litemq_fuzz::meta::TARGET.run(bytes));

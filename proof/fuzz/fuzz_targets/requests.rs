//! `litemq_fuzz::requests`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| litemq_fuzz::requests::TARGET.run(bytes));

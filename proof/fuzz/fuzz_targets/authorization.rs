//! `litemq_fuzz::authorization`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| litemq_fuzz::authorization::TARGET.run(bytes));

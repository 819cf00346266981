//! `litemq_fuzz::recovery`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| litemq_fuzz::recovery::TARGET.run(bytes));

//! `litemq_fuzz::content`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| litemq_fuzz::content::TARGET.run(bytes));

#![no_main]

libfuzzer_sys::fuzz_target!(init: strongroom_fuzz::begin("shares"), |data: &[u8]| strongroom_crypto::fuzz::shares(data));

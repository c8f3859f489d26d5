#![no_main]

libfuzzer_sys::fuzz_target!(init: strongroom_fuzz::begin("wrapped"), |data: &[u8]| strongroom_crypto::fuzz::wrapped(data));

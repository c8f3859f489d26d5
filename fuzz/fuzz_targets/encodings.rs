#![no_main]

libfuzzer_sys::fuzz_target!(init: strongroom_fuzz::begin("encodings"), |data: &[u8]| strongroom_crypto::fuzz::encodings(data));

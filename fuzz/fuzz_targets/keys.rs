#![no_main]

libfuzzer_sys::fuzz_target!(init: strongroom_fuzz::begin("keys"), |data: &[u8]| strongroom::fuzz::keys(data));

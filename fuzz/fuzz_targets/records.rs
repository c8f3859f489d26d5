#![no_main]

libfuzzer_sys::fuzz_target!(init: strongroom_fuzz::begin("records"), |data: &[u8]| strongroom_crypto::fuzz::records(data));

#![no_main]

libfuzzer_sys::fuzz_target!(init: strongroom_fuzz::begin("lines"), |data: &[u8]| strongroom::fuzz::lines(data));

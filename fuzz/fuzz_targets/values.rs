#![no_main]

libfuzzer_sys::fuzz_target!(init: strongroom_fuzz::begin("values"), |data: &[u8]| strongroom::fuzz::values(data));

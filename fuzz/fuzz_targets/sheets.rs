#![no_main]

libfuzzer_sys::fuzz_target!(init: strongroom_fuzz::begin("sheets"), |data: &[u8]| strongroom::fuzz::sheets(data));

#![no_main]

libfuzzer_sys::fuzz_target!(init: strongroom_fuzz::begin("policies"), |data: &[u8]| strongroom::fuzz::policies(data));

#![no_main]

libfuzzer_sys::fuzz_target!(init: strongroom_fuzz::begin("words"), |data: &[u8]| strongroom::fuzz::words(data));

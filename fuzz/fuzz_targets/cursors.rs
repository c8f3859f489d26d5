#![no_main]

libfuzzer_sys::fuzz_target!(init: strongroom_fuzz::begin("cursors"), |data: &[u8]| strongroom::fuzz::cursors(data));

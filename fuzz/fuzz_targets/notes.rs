#![no_main]

libfuzzer_sys::fuzz_target!(init: strongroom_fuzz::begin("notes"), |data: &[u8]| strongroom_tlog::fuzz::notes(data));

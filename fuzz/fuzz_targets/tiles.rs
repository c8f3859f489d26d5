#![no_main]

libfuzzer_sys::fuzz_target!(init: strongroom_fuzz::begin("tiles"), |data: &[u8]| strongroom_tlog::fuzz::tiles(data));

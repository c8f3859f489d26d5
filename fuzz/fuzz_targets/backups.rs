#![no_main]

libfuzzer_sys::fuzz_target!(init: strongroom_fuzz::begin("backups"), |data: &[u8]| strongroom::fuzz::backups(data));

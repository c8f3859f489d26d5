#![no_main]

libfuzzer_sys::fuzz_target!(init: strongroom_fuzz::begin("proofs"), |data: &[u8]| strongroom_tlog::fuzz::proofs(data));

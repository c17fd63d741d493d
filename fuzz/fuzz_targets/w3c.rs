//! Bytes for the family `w3c`: see `family.rs`.
#![no_main]

#[path = "../family.rs"]
mod family;

libfuzzer_sys::fuzz_target!(|data: &[u8]| family::run("w3c", data));

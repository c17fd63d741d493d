//! Bytes for the family `json`: see `family.rs`.
#![no_main]

#[path = "../family.rs"]
mod family;

libfuzzer_sys::fuzz_target!(|data: &[u8]| family::run("json", data));

//! The fuzz targets' corpus, replayed: every input that ever reached something new, without a fuzzer.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may fail wherever it likes"
)]

#[path = "../fuzz/family.rs"]
mod family;

use std::path::Path;

#[test]
fn every_input_of_the_corpus_is_read_or_refused() {
    for name in family::FAMILIES {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fuzz/corpus")
            .join(name);
        let mut inputs = 0;
        for entry in std::fs::read_dir(&folder).unwrap() {
            family::run(name, &std::fs::read(entry.unwrap().path()).unwrap());
            inputs += 1;
        }
        assert!(inputs > 9, "{name} has a corpus");
    }
}

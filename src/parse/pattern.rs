//! Regular expressions over lines: named groups are fields.
//!
//! Python's `(?P<name>…)` and Rust's `(?<name>…)` are the same to the engine. It runs in linear
//! time; Unicode classes are used only where a pattern cannot do without.

use regex::bytes::{CaptureLocations, Regex};

use crate::record::{Mismatch, Reading, Span, compile_pattern};

/// Memory for one compiled pattern.
const MEBIBYTES: usize = 8;

/// A compiled pattern.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    regex: Regex,
}

impl Pattern {
    /// Compiles a pattern; the error is one sentence.
    pub(super) fn compile(pattern: &str) -> Result<Pattern, String> {
        let regex = compile_pattern(pattern, MEBIBYTES)?;
        Ok(Pattern { regex })
    }

    /// Names of the groups.
    pub(super) fn names(&self) -> Vec<String> {
        self.regex
            .capture_names()
            .flatten()
            .map(str::to_owned)
            .collect()
    }

    /// Number of the group with this name.
    pub(super) fn group(&self, name: &str) -> Option<usize> {
        self.regex
            .capture_names()
            .position(|known| known == Some(name))
    }

    /// Room for the positions of one line's groups.
    pub(super) fn locations(&self) -> CaptureLocations {
        self.regex.capture_locations()
    }

    /// Finds the groups of a line: `wanted` pairs group and span numbers.
    pub(super) fn read(
        &self,
        line: &[u8],
        locations: &mut CaptureLocations,
        wanted: &[(usize, usize)],
        spans: &mut [Span],
    ) -> Result<Reading, Mismatch> {
        if self.regex.captures_read(locations, line).is_none() {
            return Err(Mismatch::text(
                0,
                "a line that the regular expression takes",
            ));
        }
        for &(group, slot) in wanted {
            if let (Some((start, end)), Some(span)) = (locations.get(group), spans.get_mut(slot)) {
                *span = Span::new(start, end);
            }
        }
        Ok(Reading::Exact)
    }
}

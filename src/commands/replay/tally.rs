//! What became of the lines of one input, in parts that may be added in any order.

use crate::pipeline::LineCounts;

/// Samples kept of each input's unparsed lines.
const SAMPLES: usize = 5;

/// Bytes kept of a sample.
const SAMPLE_BYTES: usize = 200;

/// The lines of one input, or of one part of it.
#[derive(Debug, Default)]
pub(super) struct FileTally {
    pub(super) counts: LineCounts,
    /// Decompressed bytes read.
    pub(super) bytes: u64,
    pub(super) compression: String,
    pub(super) sampler: Sampler,
    pub(super) error: Option<String>,
}

impl FileTally {
    /// Adds another part.
    pub(super) fn add(&mut self, other: FileTally) {
        self.counts.add(&other.counts);
        self.bytes += other.bytes;
        if self.compression.is_empty() {
            self.compression = other.compression;
        }
        self.error = self.error.take().or(other.error);
        self.sampler.samples.extend(other.sampler.samples);
        self.sampler.sort();
    }
}

/// The first unparsed lines by position, whoever read them.
#[derive(Debug, Default)]
pub(super) struct Sampler {
    pub(super) samples: Vec<Unread>,
}

/// A line that no parser read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unread {
    pub(super) offset: u64,
    pub(super) start: Vec<u8>,
    pub(super) reason: String,
    pub(super) at: usize,
}

impl Sampler {
    /// Keeps the line if it is among the first.
    pub(super) fn take(
        &mut self,
        line: &[u8],
        offset: u64,
        reason: impl FnOnce() -> String,
        at: u32,
    ) {
        if self.samples.len() >= SAMPLES
            && self.samples.last().is_some_and(|last| last.offset < offset)
        {
            return;
        }
        let start = line.get(..SAMPLE_BYTES).unwrap_or(line).to_vec();
        self.samples.push(Unread {
            offset,
            start,
            reason: reason(),
            at: at as usize,
        });
        self.sort();
    }

    fn sort(&mut self) {
        self.samples.sort_by_key(|sample| sample.offset);
        self.samples.truncate(SAMPLES);
    }
}

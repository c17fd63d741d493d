//! The first lines of a log, as bytes.

use crate::commands::Failure;
use crate::parse::{Envelopes, without_headers};
use crate::source::{Archive, Input, InputKind, Limits};

/// Bytes of one log that are looked at, whatever the lines.
const MOST_BYTES: usize = 1 << 28;

/// Whole lines from the beginning of a log.
pub(super) struct Sample {
    /// The text, with its line ends.
    pub(super) text: Vec<u8>,
    /// There is more of it.
    pub(super) more: bool,
}

impl Sample {
    /// Reads at most `lines` lines.
    ///
    /// # Errors
    /// The log cannot be opened. One that is damaged further on gives what is before the damage.
    pub(super) fn of(input: &Input, lines: u64) -> Result<Sample, Failure> {
        let limits = Limits::default();
        let archive = match input.kind {
            InputKind::Stdin => Archive::stdin(limits),
            InputKind::File => Archive::open(&input.path, limits),
        };
        let mut archive = archive.map_err(|error| Failure::Inputs(vec![error.to_string()]))?;
        let (mut text, mut block) = (Vec::new(), vec![0; 1 << 16]);
        let mut left = lines;
        while left > 0 && text.len() < MOST_BYTES {
            let read = archive.read(&mut block).unwrap_or_default();
            let new = block.get(..read).unwrap_or_default();
            if new.is_empty() {
                return Ok(Sample { text, more: false });
            }
            let mut end = new.len();
            for lf in memchr::memchr_iter(b'\n', new) {
                left -= 1;
                if left == 0 {
                    end = lf + 1;
                    break;
                }
            }
            text.extend_from_slice(new.get(..end).unwrap_or_default());
        }
        Ok(Sample { text, more: true })
    }

    /// The lines without their ends, blank ones left out.
    pub(super) fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let lines = self.text.split(|&byte| byte == b'\n');
        let lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        lines.filter(|line| !line.trim_ascii().is_empty())
    }

    /// The records of the lines, out of their envelopes and without headers; `None` when most lines
    /// are records as they stand.
    pub(super) fn records(&self) -> Option<Vec<Vec<u8>>> {
        let mut envelopes = Envelopes::new(MOST_BYTES);
        let (mut lines, mut wrapped, mut records) = (0, 0, Vec::new());
        for line in self.lines() {
            lines += 1;
            match envelopes.open(line).record(line) {
                Some((record, _)) => {
                    let inside = without_headers(record);
                    wrapped += usize::from(inside != line);
                    if !inside.trim_ascii().is_empty() {
                        records.push(inside.to_vec());
                    }
                }
                None => wrapped += 1,
            }
        }
        (wrapped * 2 > lines && !records.is_empty()).then_some(records)
    }
}

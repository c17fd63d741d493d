//! Which parser reads a file: the one that reads its first lines best.
//!
//! A line that is exactly what the format says counts most, one with more behind it less, one that
//! only a person would read least. A line that names its own values, as a JSON object does, counts for a
//! format as far as the two agree in names ([`Agreement`]). Ties go to the documented order (`detect` in
//! the format files).

use std::borrow::Cow;

use crate::parse::{Agreement, Envelopes, Format, Line, Reader, TimeError, Zone, are_pieces};
use crate::pipeline::trimmed;
use crate::record::{Expected, Mismatch, Reading, Span};

/// Lines that detection looks at.
pub(super) const SAMPLE_LINES: usize = 1000;

/// What a line lacks that has not the usual columns, in a file that names none.
const NO_HEADER: &str = "a `#Fields:` line before it, or the usual columns";

/// Bytes that detection looks at.
pub(super) const SAMPLE_BYTES: usize = 256 * 1024;

/// How well a format read a sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fit {
    /// Number in the list of candidates.
    pub(super) candidate: usize,
    /// Lines it read.
    pub(super) read: u64,
    /// Lines there were, blank ones and directives aside.
    pub(super) lines: u64,
    score: u64,
    /// How far it got in the first line it did not read, and why it did not, in words.
    pub(super) failure: Option<(u32, String)>,
}

/// A line of the sample without its envelope, and with it where a format may read that.
type Sampled<'s> = (Cow<'s, [u8]>, Option<&'s [u8]>);

/// All candidates, best first, by the beginning of a log's text. Candidates must be in the documented
/// order.
pub(super) fn rank(candidates: &[Format], text: &[u8]) -> Vec<Fit> {
    let lines = lines(beginning(text));
    let mut fits: Vec<Fit> = candidates
        .iter()
        .enumerate()
        .map(|(number, format)| fit(number, format, &lines))
        .collect();
    fits.sort_by_key(|fit| (std::cmp::Reverse(fit.score), fit.candidate));
    fits
}

/// The whole lines of the bytes that are looked at; a text that is shorter may end without a line feed.
fn beginning(text: &[u8]) -> &[u8] {
    match text.get(..SAMPLE_BYTES) {
        Some(start) => memchr::memrchr(b'\n', start).map_or(start, |lf| start.split_at(lf).0),
        None => text,
    }
}

/// The lines that say something, out of their envelopes.
fn lines(sample: &[u8]) -> Vec<Sampled<'_>> {
    let lines = sample.split(|&byte| byte == b'\n').take(SAMPLE_LINES);
    let lines = lines.filter_map(|line| trimmed(line).ok());
    if !are_pieces(sample) {
        return lines.map(|line| (Cow::Borrowed(line), None)).collect();
    }
    let mut envelopes = Envelopes::new(SAMPLE_BYTES);
    let opened = lines.filter_map(|line| {
        let (record, whole) = envelopes.open(line).record(line)?;
        let whole = whole.map(|_| line);
        (!record.trim_ascii().is_empty()).then(|| (Cow::Owned(record.to_vec()), whole))
    });
    opened.collect()
}

/// A format that is tried on the lines of one file, in their order.
pub(super) struct Candidate<'f> {
    format: &'f Format,
    agreement: Agreement,
    reader: Reader,
    spans: Vec<Span>,
    /// A line has said what the others hold, where the format has such lines.
    described: bool,
}

/// What one line says for a format.
pub(super) enum Attempt {
    /// It was read, this well.
    Read(u64),
    /// Nothing: it describes other lines.
    Directive,
    /// It was not read.
    Failed(Mismatch),
    /// Its time does not exist.
    BadTime,
}

impl<'f> Candidate<'f> {
    pub(super) fn new(format: &'f Format) -> Candidate<'f> {
        let agreement = Agreement::with(format);
        let reader = format.reader(agreement.names(), &Zone::utc());
        Candidate {
            format,
            agreement,
            spans: vec![Span::ABSENT; reader.spans()],
            reader,
            described: !format.is_stateful(),
        }
    }

    /// Tries the next line.
    pub(super) fn attempt(&mut self, line: &[u8]) -> Attempt {
        let reading = match self.reader.read(line, &mut self.spans) {
            Ok(Line::Directive) => {
                self.described = true;
                return Attempt::Directive;
            }
            Ok(Line::Record(reading)) => reading,
            Err(mismatch) if self.described => return Attempt::Failed(mismatch),
            // Any text is a few columns: how far they go says nothing.
            Err(_) => return Attempt::Failed(Mismatch::text(0, NO_HEADER)),
        };
        match self.reader.time(line, &self.spans) {
            Ok(_) => {}
            Err(TimeError::Value) => return Attempt::BadTime,
            Err(TimeError::Shape) => {
                return Attempt::Failed(Mismatch::without(line, Expected::Time));
            }
        }
        let weight = match reading {
            Reading::Exact => 3,
            Reading::Extra => 2,
            Reading::Partial => 1,
        };
        Attempt::Read(weight * self.agreement.of(line, &self.spans, &self.reader))
    }
}

fn fit(number: usize, format: &Format, lines: &[Sampled<'_>]) -> Fit {
    let mut candidate = Candidate::new(format);
    let mut fit = Fit {
        candidate: number,
        read: 0,
        lines: 0,
        score: 0,
        failure: None,
    };
    for (line, whole) in lines {
        let attempt = match (candidate.attempt(line), whole) {
            (Attempt::Failed(_) | Attempt::BadTime, Some(whole)) => candidate.attempt(whole),
            (attempt, _) => attempt,
        };
        match attempt {
            Attempt::Directive => continue,
            Attempt::Read(score) => {
                fit.read += 1;
                fit.score += score;
            }
            Attempt::Failed(mismatch) => {
                let reason = || (mismatch.at, candidate.format.reason(mismatch));
                fit.failure.get_or_insert_with(reason);
            }
            Attempt::BadTime => {
                let reason = || (u32::MAX, "its time does not exist".to_owned());
                fit.failure.get_or_insert_with(reason);
            }
        }
        fit.lines += 1;
    }
    fit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_cut_by_the_sample_is_not_looked_at() {
        let text = [vec![b'a'; 5], vec![b'\n'], vec![b'b'; SAMPLE_BYTES]].concat();
        assert_eq!(beginning(&text), b"aaaaa");
        assert_eq!(beginning(b"a\nb"), b"a\nb");
        let one = vec![b'a'; SAMPLE_BYTES + 1];
        assert_eq!(beginning(&one).len(), SAMPLE_BYTES);
    }
}

//! Which parser reads a file: the one that reads its first lines best.
//!
//! A line that is exactly what the format says counts most, one with more behind it less, one that
//! only a person would read least; ties go to the documented order (`detect` in the format files).

use std::borrow::Cow;

use crate::parse::{Envelopes, Format, Line, Reader, Zone, are_pieces};
use crate::record::{Reading, Span};

/// Lines that detection looks at.
pub(super) const SAMPLE_LINES: usize = 1000;

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
    /// How far it got in the first line it did not read, and what it expected there.
    pub(super) failure: Option<(u32, String)>,
}

/// A line of the sample without its envelope, and with it where a format may read that.
type Sampled<'s> = (Cow<'s, [u8]>, Option<&'s [u8]>);

/// All candidates, best first. Candidates must be in the documented order.
pub(super) fn rank(candidates: &[Format], sample: &[u8]) -> Vec<Fit> {
    let lines = lines(sample);
    let mut fits: Vec<Fit> = candidates
        .iter()
        .enumerate()
        .map(|(number, format)| fit(number, format, &lines))
        .collect();
    fits.sort_by_key(|fit| (std::cmp::Reverse(fit.score), fit.candidate));
    fits
}

/// The lines that say something, out of their envelopes.
fn lines(sample: &[u8]) -> Vec<Sampled<'_>> {
    let lines = sample.split(|&byte| byte == b'\n').take(SAMPLE_LINES);
    let lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let lines = lines.filter(|line| !line.trim_ascii().is_empty());
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

fn fit(candidate: usize, format: &Format, lines: &[Sampled<'_>]) -> Fit {
    let mut reader = format.reader(&[], &Zone::utc());
    let mut spans = vec![Span::ABSENT; reader.spans()];
    let mut fit = Fit {
        candidate,
        read: 0,
        lines: 0,
        score: 0,
        failure: None,
    };
    for (line, whole) in lines {
        let mut ask = |line: &[u8]| score(format, &mut reader, line, &mut spans, &mut fit.failure);
        let score = match (ask(line), whole) {
            (Some(0), Some(whole)) => ask(whole),
            (score, _) => score,
        };
        let Some(score) = score else {
            continue;
        };
        fit.lines += 1;
        fit.read += u64::from(score > 0);
        fit.score += score;
    }
    fit
}

/// What one line says for the format; `None` when it says nothing.
fn score(
    format: &Format,
    reader: &mut Reader,
    line: &[u8],
    spans: &mut [Span],
    failure: &mut Option<(u32, String)>,
) -> Option<u64> {
    let reading = match reader.read(line, spans) {
        Ok(Line::Directive) => return None,
        Ok(Line::Record(reading)) => reading,
        Err(mismatch) => {
            failure.get_or_insert_with(|| (mismatch.at, format.explain(mismatch)));
            return Some(0);
        }
    };
    if reader.time(line, spans).is_err() {
        failure.get_or_insert_with(|| (0, "a time".to_owned()));
        return Some(0);
    }
    Some(match reading {
        Reading::Exact => 3,
        Reading::Extra => 2,
        Reading::Partial => 1,
    })
}

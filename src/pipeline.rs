//! The one screen where a line becomes a count.
//!
//! Pure: no I/O, no clock, no thread. Lines go in, a table grows, every line is accounted for once:
//! `lines = parsed + unparsed + skipped + Σ rejected`. Of a record that an envelope cut into several
//! lines, the last one is the record's, the others are rejected as pieces.

use std::sync::Arc;

use memchr::{memchr, memchr_iter, memmem};

use crate::metrics::Table;
use crate::parse::{Envelopes, Line, Opened, Reader, TimeError, is_header_alone};
use crate::record::{Expected, Kept, Mismatch, Reading, Span};
use crate::rule::{Evaluator, Moment};

/// Why a line was not counted though nothing is wrong with the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rejection {
    /// Nothing but blanks.
    Blank,
    /// It describes lines, it is none.
    Directive,
    /// Longer than the limit.
    TooLong,
    /// Its time is far ahead of the clock.
    Future,
    /// Its time is older than what is kept.
    TooLate,
    /// Its time does not exist.
    BadTime,
    /// Its time is outside the range asked for.
    OutOfRange,
    /// Nothing but NUL bytes.
    NulRun,
    /// Part of a record that a later line ends.
    Piece,
}

impl Rejection {
    /// All reasons, in the order they are shown.
    pub const ALL: [Rejection; 9] = [
        Rejection::Blank,
        Rejection::Directive,
        Rejection::TooLong,
        Rejection::Future,
        Rejection::TooLate,
        Rejection::BadTime,
        Rejection::OutOfRange,
        Rejection::NulRun,
        Rejection::Piece,
    ];

    /// The label value.
    pub fn name(self) -> &'static str {
        match self {
            Rejection::Blank => "blank",
            Rejection::Directive => "directive",
            Rejection::TooLong => "too_long",
            Rejection::Future => "future",
            Rejection::TooLate => "too_late",
            Rejection::BadTime => "bad_time",
            Rejection::OutOfRange => "out_of_range",
            Rejection::NulRun => "nul_run",
            Rejection::Piece => "piece",
        }
    }
}

/// What became of the lines of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LineCounts {
    /// Lines read by the format.
    pub parsed: u64,
    /// Lines no format read.
    pub unparsed: u64,
    /// Lines passed over because no wanted rule could take them.
    pub skipped: u64,
    /// Lines rejected, by [`Rejection`].
    pub rejected: [u64; Rejection::ALL.len()],
    /// Of the parsed lines, those read leniently.
    pub partial: u64,
    /// Of the parsed lines, those whose local time a clock change made ambiguous.
    pub ambiguous: u64,
}

impl LineCounts {
    /// Every line.
    pub fn lines(&self) -> u64 {
        self.parsed + self.unparsed + self.skipped + self.rejected.iter().sum::<u64>()
    }

    /// Counts a rejected line.
    pub fn reject(&mut self, reason: Rejection) {
        self.reject_many(reason, 1);
    }

    /// Counts lines that were rejected elsewhere.
    pub fn reject_many(&mut self, reason: Rejection, lines: u64) {
        if let Some(count) = self.rejected.get_mut(reason as usize) {
            *count += lines;
        }
    }

    /// Adds the counts of another part of the file.
    pub fn add(&mut self, other: &LineCounts) {
        self.parsed += other.parsed;
        self.unparsed += other.unparsed;
        self.skipped += other.skipped;
        self.partial += other.partial;
        self.ambiguous += other.ambiguous;
        for (count, more) in self.rejected.iter_mut().zip(other.rejected) {
            *count += more;
        }
    }
}

/// A time range: from the first second, up to, not including, the second.
#[derive(Clone, Copy, Debug)]
pub struct TimeRange {
    /// Inclusive, Unix seconds.
    pub since: i64,
    /// Exclusive, Unix seconds.
    pub until: i64,
    /// What a line before the range is.
    pub before: Rejection,
    /// What a line behind the range is.
    pub behind: Rejection,
}

impl TimeRange {
    /// The times somebody asked for.
    pub const fn asked(since: i64, until: i64) -> TimeRange {
        TimeRange {
            since,
            until,
            before: Rejection::OutOfRange,
            behind: Rejection::OutOfRange,
        }
    }

    /// The times a clock makes believable: what is older is no longer kept, what is newer is no
    /// time that a server could have written.
    pub const fn believable(since: i64, until: i64) -> TimeRange {
        TimeRange {
            since,
            until,
            before: Rejection::TooLate,
            behind: Rejection::Future,
        }
    }

    #[inline]
    fn rejects(&self, seconds: i64) -> Option<Rejection> {
        if seconds < self.since {
            Some(self.before)
        } else if seconds >= self.until {
            Some(self.behind)
        } else {
            None
        }
    }
}

/// Cuts times into windows.
pub trait Windows {
    /// Start of the window that holds `seconds` (Unix).
    fn start(&mut self, seconds: i64) -> i64;
}

/// One reader with its rules and its counts.
#[derive(Debug)]
pub struct Counter {
    reader: Reader,
    evaluator: Evaluator,
    /// What was counted.
    pub table: Table,
    spans: Vec<Span>,
}

/// What became of one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It went through the rules.
    Parsed(Reading),
    /// No format reads it.
    Unparsed(Mismatch),
    /// It was not counted, for this reason.
    Rejected(Rejection),
}

impl Counter {
    /// A counter with an empty table.
    pub fn new(reader: Reader, evaluator: Evaluator) -> Counter {
        let table = Table::new(Arc::clone(&evaluator.rules().layout));
        let spans = vec![Span::ABSENT; reader.spans()];
        Counter {
            reader,
            evaluator,
            table,
            spans,
        }
    }

    /// The evaluator, for labels of the next file and its value errors.
    pub fn evaluator(&mut self) -> &mut Evaluator {
        &mut self.evaluator
    }

    /// Starts with another file: nothing is remembered of the lines before. Returns the reader used
    /// so far.
    pub fn restart(&mut self, reader: Reader) -> Reader {
        std::mem::replace(&mut self.reader, reader)
    }

    /// The reader of the lines.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Reads a line that holds more than blanks and counts it.
    #[inline]
    fn line(
        &mut self,
        line: &[u8],
        position: u64,
        range: TimeRange,
        windows: &mut impl Windows,
        ambiguous: &mut u64,
    ) -> Outcome {
        let reading = match self.reader.read(line, &mut self.spans) {
            Ok(Line::Record(reading)) => reading,
            Ok(Line::Directive) => return Outcome::Rejected(Rejection::Directive),
            Err(mismatch) => return Outcome::Unparsed(mismatch),
        };
        let (time, twice) = match self.reader.time(line, &self.spans) {
            Ok(time) => time,
            Err(TimeError::Value) => return Outcome::Rejected(Rejection::BadTime),
            Err(TimeError::Shape) => {
                return Outcome::Unparsed(Mismatch::without(line, Expected::Time));
            }
        };
        if let Some(reason) = range.rejects(time.seconds) {
            return Outcome::Rejected(reason);
        }
        *ambiguous += u64::from(twice);
        self.table.select(windows.start(time.seconds));
        let moment = Moment {
            seconds: time.seconds,
            nanos: time.nanos,
            position,
        };
        self.evaluator
            .count(line, &self.spans, moment, &mut self.table);
        Outcome::Parsed(reading)
    }
}

/// The way of whole blocks of lines into counts: several formats tried in order, one set of line
/// counts.
#[derive(Debug)]
pub struct Pipeline<W> {
    counters: Vec<Counter>,
    range: TimeRange,
    windows: W,
    literal: Option<memmem::Finder<'static>>,
    envelopes: Option<Box<Envelopes>>,
    /// Lines put aside whose time was not believed.
    pub rejected: Kept<Rejection>,
    /// What became of the lines so far.
    pub counts: LineCounts,
}

impl<W: Windows> Pipeline<W> {
    /// Lines go to the first of `counters` whose format reads them. With `literal`, lines that do
    /// not hold it are skipped unread.
    pub fn new(
        counters: Vec<Counter>,
        range: TimeRange,
        windows: W,
        literal: Option<&[u8]>,
    ) -> Pipeline<W> {
        let literal = literal.map(|literal| memmem::Finder::new(literal).into_owned());
        Pipeline {
            counters,
            range,
            windows,
            literal,
            envelopes: None,
            rejected: Kept::default(),
            counts: LineCounts::default(),
        }
    }

    /// Takes lines out of envelopes that cut or escape them. No line may then be skipped for lack of
    /// a literal, which an envelope may write in another way.
    #[must_use]
    pub fn with_envelopes(mut self, envelopes: Envelopes) -> Pipeline<W> {
        (self.envelopes, self.literal) = (Some(Box::new(envelopes)), None);
        self
    }

    /// What envelopes remember of the lines so far, where they are taken off.
    pub fn envelopes(&mut self) -> Option<&mut Envelopes> {
        self.envelopes.as_deref_mut()
    }

    /// A line over the limit was passed over. What was begun before it stays without its end.
    pub fn too_long(&mut self) {
        self.counts.reject(Rejection::TooLong);
        if let Some(envelopes) = &mut self.envelopes {
            envelopes.forget();
        }
    }

    /// The counters, in the order they are tried.
    pub fn counters(&mut self) -> &mut [Counter] {
        &mut self.counters
    }

    /// Roughly the memory that counts take.
    pub fn bytes(&self) -> usize {
        let tables = self.counters.iter().map(|counter| counter.table.bytes());
        tables.sum()
    }

    /// What cuts times into windows.
    pub fn windows(&mut self) -> &mut W {
        &mut self.windows
    }

    /// Lines with times outside `range` are rejected from now on.
    pub fn set_range(&mut self, range: TimeRange) {
        self.range = range;
    }

    /// Counts a block of whole lines whose first byte has the given position. Lines that no format
    /// reads are shown to `unparsed` with their position and mismatches.
    #[inline]
    pub fn block(
        &mut self,
        block: &[u8],
        position: u64,
        unparsed: &mut impl FnMut(&[u8], u64, usize, Mismatch),
    ) {
        match self.literal.take() {
            None => self.every_line(block, position, unparsed),
            Some(literal) => {
                self.lines_with(&literal, block, position, unparsed);
                self.literal = Some(literal);
            }
        }
    }

    fn every_line(
        &mut self,
        block: &[u8],
        position: u64,
        unparsed: &mut impl FnMut(&[u8], u64, usize, Mismatch),
    ) {
        let mut start = 0;
        while start < block.len() {
            let rest = block.get(start..).unwrap_or_default();
            let length = memchr(b'\n', rest).unwrap_or(rest.len());
            self.line(
                rest.get(..length).unwrap_or_default(),
                position + start as u64,
                unparsed,
            );
            start += length + 1;
        }
    }

    /// Reads only lines that hold the literal; the others are counted as skipped.
    fn lines_with(
        &mut self,
        literal: &memmem::Finder<'_>,
        block: &[u8],
        position: u64,
        unparsed: &mut impl FnMut(&[u8], u64, usize, Mismatch),
    ) {
        let mut total = memchr_iter(b'\n', block).count() as u64;
        total += u64::from(block.last().is_some_and(|&last| last != b'\n'));
        let mut from = 0;
        while let Some(found) = block.get(from..).and_then(|rest| literal.find(rest)) {
            let at = from + found;
            let start = block
                .get(..at)
                .and_then(|before| memchr::memrchr(b'\n', before))
                .map_or(0, |lf| lf + 1);
            let end = block
                .get(at..)
                .and_then(|rest| memchr(b'\n', rest))
                .map_or(block.len(), |lf| at + lf);
            self.line(
                block.get(start..end).unwrap_or_default(),
                position + start as u64,
                unparsed,
            );
            total -= 1;
            from = end;
        }
        self.counts.skipped += total;
    }

    #[inline]
    fn line(
        &mut self,
        line: &[u8],
        position: u64,
        unparsed: &mut impl FnMut(&[u8], u64, usize, Mismatch),
    ) {
        let line = match trimmed(line) {
            Ok(line) => line,
            Err(reason) => return self.counts.reject(reason),
        };
        let enveloped = self.envelopes.take_if(|envelopes| envelopes.concern(line));
        let Some(mut envelopes) = enveloped else {
            return self.record(line, None, position, unparsed);
        };
        let opened = envelopes.open(line);
        match (opened, opened.record(line)) {
            (_, Some((text, whole))) => match trimmed(text) {
                Ok(text) => self.record(text, whole, position, unparsed),
                Err(reason) => self.counts.reject(reason),
            },
            (Opened::TooLong, None) => self.counts.reject(Rejection::TooLong),
            (Opened::Piece, None) => self.counts.reject(Rejection::Piece),
            (_, None) => self.counts.reject(Rejection::Directive),
        }
        self.envelopes = Some(envelopes);
    }

    /// Counts a record, or else the whole line that it was taken out of.
    #[inline]
    fn record(
        &mut self,
        record: &[u8],
        whole: Option<&[u8]>,
        position: u64,
        unparsed: &mut impl FnMut(&[u8], u64, usize, Mismatch),
    ) {
        let Err(mismatch) = self.count(record, position) else {
            return;
        };
        if whole.is_some_and(|whole| self.count(whole, position).is_ok()) {
            return;
        }
        if is_header_alone(record) {
            return self.counts.reject(Rejection::Blank);
        }
        self.counts.unparsed += 1;
        if let Some((number, mismatch)) = mismatch {
            unparsed(record, position, number, mismatch);
        }
    }

    /// Counts by the first format that reads the line; else says which one came furthest.
    #[inline]
    fn count(&mut self, line: &[u8], position: u64) -> Result<(), Option<(usize, Mismatch)>> {
        let mut best: Option<(usize, Mismatch)> = None;
        for (number, counter) in self.counters.iter_mut().enumerate() {
            match counter.line(
                line,
                position,
                self.range,
                &mut self.windows,
                &mut self.counts.ambiguous,
            ) {
                Outcome::Parsed(reading) => {
                    self.counts.parsed += 1;
                    self.counts.partial += u64::from(reading == Reading::Partial);
                    return Ok(());
                }
                Outcome::Rejected(reason) => {
                    self.counts.reject(reason);
                    if reason != Rejection::Directive {
                        self.rejected.keep(line, || reason);
                    }
                    return Ok(());
                }
                Outcome::Unparsed(mismatch) => {
                    if best.is_none_or(|(_, known)| known.at < mismatch.at) {
                        best = Some((number, mismatch));
                    }
                }
            }
        }
        Err(best)
    }
}

/// The line without its CR and without NUL bytes before it (a hole that a crash left in the file).
///
/// # Errors
/// There is nothing else in it.
#[inline]
pub fn trimmed(line: &[u8]) -> Result<&[u8], Rejection> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match line.first() {
        Some(0) => {
            let holes = line.iter().take_while(|&&byte| byte == 0).count();
            match line.get(holes..) {
                Some(rest) if !rest.is_empty() => Ok(rest),
                _ => Err(Rejection::NulRun),
            }
        }
        Some(byte) if !byte.is_ascii_whitespace() => Ok(line),
        _ if line.trim_ascii().is_empty() => Err(Rejection::Blank),
        _ => Ok(line),
    }
}

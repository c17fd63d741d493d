//! Sorted runs: counts on their way from many tables to one answer.
//!
//! A run is a row of series in key order, each with its points in time order. Tables write runs
//! (to memory, or to a file when memory is short), and [`Merge`] reads any number of them as if
//! they were one. Merging is [`Kind::add`] alone, so what was spilled, and how often, does not
//! show. This file does no I/O of its own: it writes to a `Write` and reads from a `BufRead`.
//!
//! Layout: series = varint key length, key, varint number of points, points; point = zigzag varint
//! of the distance in seconds from the point before, cell; cell = varint bit mask of the words that
//! are not 0, then these words as varints.

use std::io::{self, BufRead, Read as _, Write};

use super::{Kind, Metric, series};

/// A cell still encoded, and the start of its window.
#[derive(Clone, Copy, Debug)]
pub struct Point<'t> {
    /// Unix seconds.
    pub start: i64,
    /// Begins with the cell; more may follow.
    pub cell: &'t [u8],
}

/// Most words a cell may have: one bit of the mask each.
pub const MAX_WORDS: usize = 64;

/// Appends a number, seven bits a byte, lowest first.
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(low_seven(value) | 0x80);
        value >>= 7;
    }
    out.push(low_seven(value));
}

fn low_seven(value: u64) -> u8 {
    (value & 0x7f) as u8
}

/// Takes a number from the front; `None` at the end or when it is cut.
pub fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// Appends a signed number so that small distances stay short.
pub fn put_signed(out: &mut Vec<u8>, value: i64) {
    put_varint(out, ((value << 1) ^ (value >> 63)).cast_unsigned());
}

/// Takes a signed number from the front.
pub fn take_signed(bytes: &mut &[u8]) -> Option<i64> {
    take_varint(bytes).map(unsigned_to_signed)
}

fn unsigned_to_signed(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

/// Appends a cell.
pub fn put_cell(out: &mut Vec<u8>, cell: &[u64]) {
    let mask = (0..64)
        .zip(cell)
        .fold(0, |mask, (bit, &word)| mask | (u64::from(word != 0) << bit));
    put_varint(out, mask);
    for &word in cell.iter().filter(|&&word| word != 0) {
        put_varint(out, word);
    }
}

/// Adds the encoded cell at the front to `into`; `None` when it is cut.
fn add_cell(bytes: &mut &[u8], kind: &Kind, into: &mut [u64]) -> Option<()> {
    let mut cell = [0u64; MAX_WORDS];
    let mask = take_varint(bytes)?;
    for (bit, word) in cell.iter_mut().enumerate() {
        if mask >> bit & 1 == 1 {
            *word = take_varint(bytes)?;
        }
    }
    kind.add(into, cell.get(..into.len())?);
    Some(())
}

/// Steps over the cell at the front.
pub fn skip_cell(bytes: &mut &[u8]) {
    let words = take_varint(bytes).map_or(0, u64::count_ones);
    for _ in 0..words {
        take_varint(bytes);
    }
}

/// True when the cell at the front holds nothing.
pub fn is_empty_cell(bytes: &[u8]) -> bool {
    bytes.first().is_none_or(|&mask| mask == 0)
}

/// Writes one series; sorts its points and adds up those of the same window. Series must be
/// written in key order.
///
/// # Errors
/// Those of `out`.
pub fn write_series(
    out: &mut impl Write,
    key: &[u8],
    points: &mut [Point<'_>],
    kind: &Kind,
) -> io::Result<()> {
    points.sort_by_key(|point| point.start);
    let windows = points.chunk_by(|a, b| a.start == b.start);
    let count = windows.clone().count();
    if count == 0 {
        return Ok(());
    }
    let mut buffer = Vec::with_capacity(key.len() + 16);
    put_varint(&mut buffer, key.len() as u64);
    buffer.extend_from_slice(key);
    put_varint(&mut buffer, count as u64);
    let mut last = 0;
    let mut cell = vec![0; kind.width()];
    for window in windows {
        cell.fill(0);
        for point in window {
            add_cell(&mut { point.cell }, kind, &mut cell);
        }
        let start = window.first().map_or(last, |point| point.start);
        put_signed(&mut buffer, start.wrapping_sub(last));
        last = start;
        put_cell(&mut buffer, &cell);
        if buffer.len() > 1 << 15 {
            out.write_all(&buffer)?;
            buffer.clear();
        }
    }
    out.write_all(&buffer)
}

/// Reads one run.
struct Reader<R> {
    input: R,
    key: Vec<u8>,
    points: u64,
    start: i64,
    /// The next point of the current series has been read into `start` and `cell`.
    ready: bool,
    cell: [u64; MAX_WORDS],
    ended: bool,
}

impl<R: BufRead> Reader<R> {
    fn new(input: R) -> Reader<R> {
        Reader {
            input,
            key: Vec::new(),
            points: 0,
            start: 0,
            ready: false,
            cell: [0; MAX_WORDS],
            ended: false,
        }
    }

    /// Moves to the next series; points left over are read first.
    fn next_series(&mut self) -> io::Result<()> {
        while self.next_point()? {
            self.ready = false;
        }
        if self.input.fill_buf()?.is_empty() {
            self.ended = true;
            return Ok(());
        }
        let length = self.varint()?;
        self.key.clear();
        // Read as far as there is something: a damaged length must not reserve memory.
        let read = (&mut self.input).take(length).read_to_end(&mut self.key)?;
        if read as u64 != length {
            return Err(damaged());
        }
        self.points = self.varint()?;
        self.start = 0;
        Ok(())
    }

    /// True when a point is ready.
    fn next_point(&mut self) -> io::Result<bool> {
        if self.ready {
            return Ok(true);
        }
        if self.points == 0 {
            return Ok(false);
        }
        self.points -= 1;
        let distance = unsigned_to_signed(self.varint()?);
        self.start = self.start.wrapping_add(distance);
        let mask = self.varint()?;
        for bit in 0..MAX_WORDS {
            let word = if mask >> bit & 1 == 1 {
                self.varint()?
            } else {
                0
            };
            if let Some(place) = self.cell.get_mut(bit) {
                *place = word;
            }
        }
        self.ready = true;
        Ok(true)
    }

    fn varint(&mut self) -> io::Result<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = *self.input.fill_buf()?.first().ok_or_else(damaged)?;
            self.input.consume(1);
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(damaged())
    }
}

fn damaged() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "a run of spilled counts is damaged",
    )
}

/// Many runs read as one.
pub struct Merge<'m, R> {
    readers: Vec<Reader<R>>,
    metrics: &'m [Metric],
    key: Vec<u8>,
}

impl<'m, R: BufRead> Merge<'m, R> {
    /// Merges `runs`, whose keys number `metrics`.
    ///
    /// # Errors
    /// Those of reading.
    pub fn new(
        runs: impl IntoIterator<Item = R>,
        metrics: &'m [Metric],
    ) -> io::Result<Merge<'m, R>> {
        let mut readers: Vec<_> = runs.into_iter().map(Reader::new).collect();
        for reader in &mut readers {
            reader.next_series()?;
        }
        Ok(Merge {
            readers,
            metrics,
            key: Vec::new(),
        })
    }

    /// Moves to the next series in key order; `None` after the last. Points of the series before
    /// that were not read are passed over.
    ///
    /// # Errors
    /// Those of reading.
    pub fn next_series(&mut self) -> io::Result<Option<(&[u8], &'m Metric)>> {
        if !self.key.is_empty() {
            for reader in &mut self.readers {
                if !reader.ended && reader.key == self.key {
                    reader.next_series()?;
                }
            }
        }
        self.key.clear();
        let Some(next) = self
            .readers
            .iter()
            .filter(|r| !r.ended)
            .map(|r| &r.key)
            .min()
        else {
            return Ok(None);
        };
        self.key.extend_from_slice(next);
        let metric = self
            .metrics
            .get(series::metric_of(&self.key))
            .ok_or_else(damaged)?;
        Ok(Some((&self.key, metric)))
    }

    /// The next point of the current series, all runs added: start of the window and cell (of the
    /// metric's width). `None` after the last.
    ///
    /// # Errors
    /// Those of reading.
    pub fn next_point(&mut self, cell: &mut Vec<u64>) -> io::Result<Option<i64>> {
        let Some(metric) = self.metrics.get(series::metric_of(&self.key)) else {
            return Ok(None);
        };
        let mut first: Option<i64> = None;
        for reader in self
            .readers
            .iter_mut()
            .filter(|r| !r.ended && r.key == self.key)
        {
            if reader.next_point()? {
                first = Some(first.map_or(reader.start, |first| first.min(reader.start)));
            }
        }
        let Some(start) = first else { return Ok(None) };
        cell.clear();
        cell.resize(metric.kind.width(), 0);
        for reader in self
            .readers
            .iter_mut()
            .filter(|r| !r.ended && r.key == self.key)
        {
            if reader.ready && reader.start == start {
                let width = cell.len();
                metric
                    .kind
                    .add(cell, reader.cell.get(..width).unwrap_or_default());
                reader.ready = false;
            }
        }
        Ok(Some(start))
    }
}

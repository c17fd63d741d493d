//! The floor of benchmark job 2: a program that can do nothing else.
//!
//! It knows the generator's layout by heart (quotes, the place of the status, the time's fixed
//! width), splits with memchr, keeps its counts in arrays and writes the oracle's JSON. What a
//! general engine costs more than this is the price of being general.
//!
//!     floor access.log > answer.json
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::print_stdout
)]

use std::collections::BTreeMap;
use std::io::{Read, Write};

use memchr::{memchr, memrchr};

const BOUNDS_MS: [u64; 11] = [5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000];

#[derive(Clone, Copy, Default)]
struct Cell {
    n: u64,
    bytes: u64,
    ms: u64,
    le: [u64; 12],
}

/// Cells of one minute: five providers by five classes.
type Minute = [Cell; 32];

struct Counts {
    unmatched: u64,
    minutes: BTreeMap<u32, Box<Minute>>,
    current: u32,
    window: Box<Minute>,
}

fn main() {
    let path = std::env::args()
        .filter(|argument| argument != "--bench")
        .nth(1)
        .expect("a log file");
    let mut file = std::fs::File::open(path).unwrap();
    let mut buffer = vec![0u8; 256 * 1024];
    let mut filled = 0;
    let mut counts = Counts {
        unmatched: 0,
        minutes: BTreeMap::new(),
        current: 0,
        window: Box::default(),
    };
    loop {
        let read = file.read(&mut buffer[filled..]).unwrap();
        if read == 0 {
            break;
        }
        filled += read;
        let Some(last) = memrchr(b'\n', &buffer[..filled]) else {
            continue;
        };
        let mut start = 0;
        while start <= last {
            let length = memchr(b'\n', &buffer[start..=last]).unwrap();
            line(&buffer[start..start + length], &mut counts);
            start += length + 1;
        }
        buffer.copy_within(last + 1..filled, 0);
        filled -= last + 1;
    }
    counts.close();
    write(&counts);
}

/// `addr - user [time] "request" status bytes "referer" "agent" "cdn" request_time`. A line of
/// another shape is unmatched, as the oracle has it, so every quote must be found.
fn line(line: &[u8], counts: &mut Counts) {
    match split(line) {
        Some(fields) => counts.add(&fields),
        None => counts.unmatched += 1,
    }
}

struct Fields<'l> {
    time: &'l [u8],
    class: u8,
    bytes: u64,
    cdn: &'l [u8],
    ms: u64,
}

#[inline]
fn split(line: &[u8]) -> Option<Fields<'_>> {
    let bracket = memchr(b'[', line)?;
    let time = line.get(bracket + 1..bracket + 27)?;
    (line.get(bracket + 27..bracket + 30)? == b"] \"").then_some(())?;
    let status = quoted(line, bracket + 30)? + 2;
    let (class, bytes_start) = (*line.get(status)?, status + 4);
    (class.is_ascii_digit() && *line.get(status + 3)? == b' ').then_some(())?;
    let (mut at, mut bytes) = (bytes_start, 0);
    while line.get(at)?.is_ascii_digit() {
        bytes = bytes * 10 + u64::from(line[at] - b'0');
        at += 1;
    }
    let agent = quoted(line, at + 2)? + 3;
    let cdn = quoted(line, agent)? + 3;
    let end = quoted(line, cdn)?;
    let mut ms = 0;
    for &byte in line.get(end + 2..)? {
        match byte {
            b'0'..=b'9' => ms = ms * 10 + u64::from(byte - b'0'),
            b'.' => {}
            _ => return None,
        }
    }
    Some(Fields {
        time,
        class,
        bytes,
        cdn: &line[cdn..end],
        ms,
    })
}

/// Position of the quote that ends a value and has a blank behind it.
#[inline]
fn quoted(line: &[u8], start: usize) -> Option<usize> {
    let end = start + memchr(b'"', line.get(start..)?)?;
    (*line.get(end + 1)? == b' ').then_some(end)
}

impl Counts {
    #[inline]
    fn add(&mut self, fields: &Fields<'_>) {
        let provider = match fields.cdn {
            b"akamai" => 0,
            b"cloudfront" => 1,
            b"edgecast" => 2,
            b"fastly" => 3,
            _ => 4,
        };
        let digit = |at: usize| u32::from(fields.time[at] - b'0');
        self.select(
            digit(0) * 1_000_000
                + digit(1) * 100_000
                + digit(12) * 10_000
                + digit(13) * 1000
                + digit(15) * 10
                + digit(16),
        );
        let cell = &mut self.window[provider * 6 + usize::from(fields.class - b'0')];
        cell.n += 1;
        cell.bytes += fields.bytes;
        cell.ms += fields.ms;
        let bucket = BOUNDS_MS.iter().position(|bound| fields.ms <= *bound);
        cell.le[bucket.unwrap_or(11)] += 1;
    }

    fn select(&mut self, minute: u32) {
        if minute != self.current {
            self.close();
            self.current = minute;
            self.window = self.minutes.remove(&minute).unwrap_or_default();
        }
    }

    fn close(&mut self) {
        let window = std::mem::take(&mut self.window);
        self.minutes.insert(self.current, window);
    }
}

/// The generator's default day, 1 February 2024, as the oracle writes it.
fn write(counts: &Counts) {
    const NAMES: [&str; 5] = ["akamai", "cloudfront", "edgecast", "fastly", "none"];
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    write!(out, "{{\"unmatched\": {}, ", counts.unmatched).unwrap();
    let mut separator = "\"cdn\": {\n";
    for (key, window) in &counts.minutes {
        let epoch = 1_706_745_600 + u64::from(key / 1000 % 100) * 3600 + u64::from(key % 1000) * 60;
        for (number, cell) in window.iter().enumerate().filter(|(_, cell)| cell.n > 0) {
            let (name, class) = (NAMES[number / 6], number % 6);
            let Cell { n, bytes, ms, le } = cell;
            write!(out, "{separator}\"{epoch}|{name}|{class}xx\": {{\"n\": {n}, \"bytes\": {bytes}, \"le\": {le:?}, \"ms\": {ms}}}").unwrap();
            separator = ",\n";
        }
    }
    writeln!(out, "\n}}}}").unwrap();
}

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

/// `addr - user [time] "request" status bytes "referer" "agent" "cdn" request_time`
fn line(line: &[u8], counts: &mut Counts) {
    let bracket = memchr(b'[', line).unwrap();
    let request = bracket + 30;
    let after = request + memchr(b'"', &line[request..]).unwrap() + 2;
    let class = usize::from(line[after] - b'0');
    let mut at = after + 4;
    let mut bytes = 0;
    while line[at].is_ascii_digit() {
        bytes = bytes * 10 + u64::from(line[at] - b'0');
        at += 1;
    }
    let last_quote = memrchr(b'"', line).unwrap();
    let provider = match &line[last_quote - 4..last_quote] {
        b"amai" => 0,
        b"ront" => 1,
        b"cast" => 2,
        b"stly" => 3,
        _ => 4,
    };
    let mut ms = 0;
    for &byte in &line[last_quote + 2..] {
        if byte != b'.' {
            ms = ms * 10 + u64::from(byte - b'0');
        }
    }
    let time = &line[bracket + 1..bracket + 27];
    let minute = u32::from(time[0] - b'0') * 1_000_000
        + u32::from(time[1] - b'0') * 100_000
        + u32::from(time[12] - b'0') * 10_000
        + u32::from(time[13] - b'0') * 1000
        + u32::from(time[15] - b'0') * 10
        + u32::from(time[16] - b'0');
    counts.select(minute);
    let cell = &mut counts.window[provider * 6 + class];
    cell.n += 1;
    cell.bytes += bytes;
    cell.ms += ms;
    cell.le[BOUNDS_MS
        .iter()
        .position(|bound| ms <= *bound)
        .unwrap_or(11)] += 1;
}

impl Counts {
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
    let mut separator = "{\"cdn\": {\n";
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

//! Points as carbon reads them: plaintext lines, pickle frames, datagrams.
//!
//! Pure: values in, bytes out. Invariants: each (path, minute) has one value, because carbon keeps the
//! last one it reads; a line, a frame's point and a datagram's line are never cut; no number passes
//! through floating point but those that pickle has no other form for.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::metrics::{Decimal, Kind};
use crate::sinks::paths::{Leaf, rounded, values};

/// Path, value, and the minute's start in Unix seconds.
pub type Point = (String, Decimal, i64);

/// Longest datagram in bytes: with its headers it passes an Ethernet without being cut.
pub const DATAGRAM_BYTES: usize = 1400;

/// Longest pickle in a frame in bytes; carbon closes the connection on more than 2^20.
pub const FRAME_BYTES: usize = 1 << 20;

/// How points travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// Lines over TCP.
    #[default]
    Tcp,
    /// Lines in datagrams: nobody says whether they arrived.
    Udp,
    /// Pickle frames over TCP.
    Pickle,
}

/// A series' cell in one minute and the paths that it feeds.
#[derive(Clone, Copy, Debug)]
pub struct Counted<'c> {
    /// From [`Paths::leaves`](crate::sinks::paths::Paths::leaves).
    pub leaves: &'c [Leaf],
    /// As wide as the kind says.
    pub cell: &'c [u64],
    /// Of the series' metric.
    pub kind: &'c Kind,
    /// Start in Unix seconds.
    pub minute: i64,
}

/// Points with one value for each path and minute, in order of minute, then path. What several series
/// count under one path is added up: for the sum to be right, `counted` must hold all of them.
pub fn collect<'c>(counted: impl IntoIterator<Item = Counted<'c>>) -> Vec<Point> {
    let mut points: BTreeMap<(i64, &str), (Decimal, bool)> = BTreeMap::new();
    for Counted {
        leaves,
        cell,
        kind,
        minute,
    } in counted
    {
        let values = values(kind, cell);
        for leaf in leaves {
            let value = values.get(leaf.value).copied().unwrap_or_default();
            let (sum, whole) = points.entry((minute, &leaf.path)).or_default();
            *sum = sum.plus(value);
            *whole |= leaf.whole;
        }
    }
    let points = points.into_iter().map(|((minute, path), (sum, whole))| {
        let value = if whole { rounded(sum) } else { sum };
        (path.to_owned(), value, minute)
    });
    points.collect()
}

/// Points to bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Encoder {
    /// What the other end reads.
    pub protocol: Protocol,
}

impl Encoder {
    /// What is to be written, in order: for TCP one buffer, for pickle a frame each, for UDP a
    /// datagram each. Nothing for no points. A point longer than a datagram has one of its own.
    pub fn encode(self, points: &[Point]) -> Vec<Vec<u8>> {
        match self.protocol {
            Protocol::Tcp => packed(points.iter().map(line), usize::MAX),
            Protocol::Udp => packed(points.iter().map(line), DATAGRAM_BYTES),
            Protocol::Pickle => {
                let room = FRAME_BYTES - PICKLE_BEGIN.len() - PICKLE_END.len();
                let lists = packed(points.iter().map(pickled), room);
                lists.iter().filter_map(|list| frame(list)).collect()
            }
        }
    }
}

/// The pieces joined to buffers of at most `room` bytes.
fn packed(pieces: impl Iterator<Item = Vec<u8>>, room: usize) -> Vec<Vec<u8>> {
    let mut buffers: Vec<Vec<u8>> = Vec::new();
    for piece in pieces {
        match buffers.last_mut() {
            Some(last) if last.len().saturating_add(piece.len()) <= room => last.extend(piece),
            _ => buffers.push(piece),
        }
    }
    buffers
}

fn line((path, value, minute): &Point) -> Vec<u8> {
    format!("{path} {value} {minute}\n").into_bytes()
}

/// Protocol 2, an empty list, mark.
const PICKLE_BEGIN: &[u8] = b"\x80\x02](";
/// All since the mark into the list, stop.
const PICKLE_END: &[u8] = b"e.";

/// A pickled list behind its length, as carbon's receiver wants it: `!L`.
fn frame(list: &[u8]) -> Option<Vec<u8>> {
    let length = PICKLE_BEGIN.len() + list.len() + PICKLE_END.len();
    let length = u32::try_from(length).ok()?.to_be_bytes();
    Some([&length, PICKLE_BEGIN, list, PICKLE_END].concat())
}

/// `(path, (minute, value))` in opcodes of Python's pickletools.
fn pickled((path, value, minute): &Point) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len() + 32);
    let length = u32::try_from(path.len()).unwrap_or(u32::MAX);
    out.push(b'X');
    out.extend(length.to_le_bytes());
    out.extend(path.as_bytes());
    pickle_integer(&mut out, *minute);
    pickle_value(&mut out, *value);
    // Two nested pairs.
    out.extend(b"\x86\x86");
    out
}

/// A whole number in the fewest kinds of opcodes: `BININT`, or `LONG1` with eight bytes.
fn pickle_integer(out: &mut Vec<u8>, value: i64) {
    if let Ok(short) = i32::try_from(value) {
        out.push(b'J');
        out.extend(short.to_le_bytes());
    } else {
        out.extend(b"\x8a\x08");
        out.extend(value.to_le_bytes());
    }
}

/// An integer where the value is one, else the nearest double, found by reading the decimal text.
fn pickle_value(out: &mut Vec<u8>, value: Decimal) {
    const ONE: i128 = 1_000_000_000;
    let whole = (value.0 % ONE == 0).then(|| i64::try_from(value.0 / ONE));
    if let Some(Ok(whole)) = whole {
        return pickle_integer(out, whole);
    }
    let mut text = String::new();
    let double = write!(text, "{value}").ok().and(text.parse::<f64>().ok());
    out.push(b'G');
    out.extend(double.unwrap_or_default().to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sinks::made::{buckets, metric, observed};
    use crate::sinks::paths::Paths;
    use proptest::prelude::*;
    use std::io::Write as _;

    fn point(path: &str, value: &str, minute: i64) -> Point {
        let value = Decimal::parse(value.as_bytes(), 0).unwrap();
        (path.to_owned(), value, minute)
    }

    fn encoded(protocol: Protocol, points: &[Point]) -> Vec<Vec<u8>> {
        Encoder { protocol }.encode(points)
    }

    #[test]
    fn plaintext_is_one_buffer_of_lines() {
        let points = [point("a.b", "2", 60), point("a.c", "-0.25", 120)];
        assert_eq!(
            encoded(Protocol::Tcp, &points),
            [b"a.b 2 60\na.c -0.25 120\n"]
        );
        for protocol in [Protocol::Tcp, Protocol::Udp, Protocol::Pickle] {
            assert!(encoded(protocol, &[]).is_empty());
        }
    }

    #[test]
    fn line_longer_than_a_datagram_travels_alone_and_whole() {
        let long = "x".repeat(3000);
        let points = [
            point("a", "1", 60),
            point(&long, "2", 60),
            point("b", "3", 60),
        ];
        let datagrams = encoded(Protocol::Udp, &points);
        assert_eq!(datagrams.len(), 3);
        assert_eq!(datagrams[0], b"a 1 60\n");
        assert_eq!(datagrams[1], format!("{long} 2 60\n").as_bytes());
        assert_eq!(datagrams[2], b"b 3 60\n");
    }

    /// Frames read by Python as carbon reads them; `None` where there is no Python.
    #[expect(clippy::disallowed_methods, reason = "a test may start a process")]
    fn read_by_python(frames: &[Vec<u8>]) -> Option<String> {
        const READER: &str = "
import pickle, struct, sys
data = sys.stdin.buffer.read()
while data:
    (size,) = struct.unpack('!L', data[:4])
    assert size <= 2 ** 20
    for path, (minute, value) in pickle.loads(data[4:4 + size]):
        print(path, minute, repr(value))
    data = data[4 + size:]
";
        let python = std::process::Command::new("python3")
            .args(["-c", READER])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn();
        let mut python = python.ok()?;
        let mut input = python.stdin.take().unwrap();
        let bytes = frames.concat();
        let writer = std::thread::spawn(move || input.write_all(&bytes).unwrap());
        let output = python.wait_with_output().unwrap();
        writer.join().unwrap();
        assert!(output.status.success());
        Some(String::from_utf8(output.stdout).unwrap())
    }

    #[test]
    fn python_reads_frames_as_the_points_they_hold() {
        let points = [
            point("a.b", "2", 1_383_202_800),
            point("a;x=y", "-0.25", 4_102_444_800),
            point("less", "-3", -60),
            ("most".to_owned(), Decimal::whole(u64::MAX), 0),
            point("large", "4294967296", 0),
            point("fine", "0.123456789", 0),
        ];
        let Some(read) = read_by_python(&encoded(Protocol::Pickle, &points)) else {
            return;
        };
        assert_eq!(
            read,
            "a.b 1383202800 2\na;x=y 4102444800 -0.25\nless -60 -3\nmost 0 1.8446744073709552e+19\n\
             large 0 4294967296\nfine 0 0.123456789\n"
        );
    }

    #[test]
    fn frames_are_no_longer_than_carbon_reads_and_hold_every_point() {
        let points: Vec<Point> = (0..30_000)
            .map(|n| {
                point(
                    &format!("web.some.longer.path.to.a.node.{n}"),
                    "1.5",
                    n * 60,
                )
            })
            .collect();
        let frames = encoded(Protocol::Pickle, &points);
        assert!(frames.len() > 1);
        for frame in &frames {
            let length = u32::from_be_bytes(frame[..4].try_into().unwrap()) as usize;
            assert_eq!(length, frame.len() - 4);
            assert!(length <= FRAME_BYTES);
        }
        if let Some(read) = read_by_python(&frames) {
            assert_eq!(read.lines().count(), points.len());
        }
    }

    #[test]
    fn series_that_become_one_path_are_added_up_before_they_are_rounded() {
        let seconds = metric("s", &["x"], buckets(&["1"]));
        let paths = Paths::new("", &seconds, Some(&["s".to_owned()]), false);
        let (a, b) = (paths.leaves(&["a"]), paths.leaves(&["b"]));
        let cell = observed(&[1, 0], "0.0000004");
        let counted = |leaves, minute| Counted {
            leaves,
            cell: &cell,
            kind: &seconds.kind,
            minute,
        };
        let points = collect([counted(&a, 60), counted(&b, 60), counted(&a, 0)]);
        let text = String::from_utf8(encoded(Protocol::Tcp, &points).concat()).unwrap();
        assert_eq!(
            text,
            "s.count 1 0\ns.le_1 1 0\ns.le_inf 1 0\ns.sum_us 0 0\n\
             s.count 2 60\ns.le_1 2 60\ns.le_inf 2 60\ns.sum_us 1 60\n"
        );
    }

    proptest! {
        #[test]
        fn datagrams_are_short_and_hold_the_lines_of_plaintext(
            points in prop::collection::vec(("[a-z.]{1,90}", any::<i64>(), 0i64..9), 0..200),
        ) {
            let points: Vec<Point> = points
                .into_iter()
                .map(|(path, value, minute)| (path, Decimal(i128::from(value)), minute * 60))
                .collect();
            let datagrams = encoded(Protocol::Udp, &points);
            prop_assert_eq!(datagrams.concat(), encoded(Protocol::Tcp, &points).concat());
            for datagram in datagrams {
                prop_assert!(datagram.len() <= DATAGRAM_BYTES);
                prop_assert_eq!(datagram.last(), Some(&b'\n'));
            }
        }

        #[test]
        fn each_path_and_minute_has_one_point_and_nothing_is_lost(
            series in prop::collection::vec(("[ab. _]{0,2}", 0i64..3, 1u64..9), 0..20),
        ) {
            let n = metric("n_total", &["x"], Kind::Count);
            let paths = Paths::new("p", &n, Some(&["n.{x}".to_owned(), "n.all".to_owned()]), false);
            let made: Vec<_> = series
                .iter()
                .map(|(label, minute, count)| (paths.leaves(&[label]), [*count], minute * 60))
                .collect();
            let mut expected: BTreeMap<(String, i64), u64> = BTreeMap::new();
            for (leaves, count, minute) in &made {
                for leaf in leaves {
                    *expected.entry((leaf.path.clone(), *minute)).or_default() += count[0];
                }
            }
            let points = collect(made.iter().map(|(leaves, cell, minute)| Counted {
                leaves,
                cell,
                kind: &n.kind,
                minute: *minute,
            }));
            let number = points.len();
            let found: BTreeMap<(String, i64), Decimal> = points
                .into_iter()
                .map(|(path, value, minute)| ((path, minute), value))
                .collect();
            prop_assert_eq!(found.len(), number);
            let expected: BTreeMap<_, _> = expected
                .into_iter()
                .map(|(key, n)| (key, Decimal::whole(n)))
                .collect();
            prop_assert_eq!(found, expected);
        }
    }
}

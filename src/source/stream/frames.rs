//! Cuts a stream of bytes into frames: lines, or what RFC 6587 makes of syslog over TCP.
//!
//! Invariant: the frames do not depend on how the bytes were split into reads. Memory holds at most
//! one frame of the limit and one read; a longer frame is passed over and told once.
//!
//! A frame is counted in octets (`123 <190>…`) when it begins with a number, a space and `<`, since
//! a message after RFC 6587 always begins with its priority. With the `<`, a line without a header
//! that begins with a number is not taken for a length. Any other frame ends with LF.

use memchr::memchr;

/// Digits of a frame's length; a longer number is text.
const LENGTH_DIGITS: usize = 9;

/// A piece of the stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame<'a> {
    /// A line without its LF, or the octets that were counted.
    Whole(&'a [u8]),
    /// A frame over the limit was passed over; told at its beginning.
    TooLong,
    /// The stream ended inside a frame whose length was given.
    Torn,
}

/// What is passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Skip {
    Nothing,
    ToLf,
    Octets(usize),
}

/// How the next frame ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// With LF.
    Lf,
    /// After so many octets, behind a length of so many bytes.
    Octets { head: usize, len: usize },
    /// More bytes must be seen.
    Unknown,
}

/// The frames of one stream.
pub(super) struct Frames {
    /// The frame begun, and nothing before it.
    held: Vec<u8>,
    /// So many bytes of it hold no LF.
    searched: usize,
    skip: Skip,
    limit: usize,
    /// Frames may be counted in octets.
    counted: bool,
}

impl Frames {
    /// Lines of at most `limit` bytes without LF.
    pub(super) fn lines(limit: usize) -> Frames {
        Frames {
            held: Vec::new(),
            searched: 0,
            skip: Skip::Nothing,
            limit,
            counted: false,
        }
    }

    /// Syslog frames of at most `limit` bytes.
    pub(super) fn syslog(limit: usize) -> Frames {
        Frames {
            counted: true,
            ..Frames::lines(limit)
        }
    }

    /// Takes what was read and gives the frames that became whole.
    pub(super) fn feed(&mut self, read: &[u8], mut put: impl FnMut(Frame<'_>)) {
        self.held.extend_from_slice(read);
        let mut done = 0;
        while let Some(step) = self.step(done, &mut put) {
            done += step;
            self.searched = 0;
        }
        self.held.drain(..done);
        if self.held.is_empty() {
            // Room grown for a long frame is not kept.
            self.held.shrink_to(super::BLOCK_LEN);
        }
    }

    /// The stream ended: a last line without LF counts.
    pub(super) fn finish(&mut self, mut put: impl FnMut(Frame<'_>)) {
        if !self.held.is_empty() {
            match self.ending(&self.held) {
                Ending::Octets { .. } => put(Frame::Torn),
                Ending::Lf | Ending::Unknown => put(Frame::Whole(&self.held)),
            }
        }
        self.held.clear();
        self.searched = 0;
        self.skip = Skip::Nothing;
    }

    /// The stream is inside a frame that was not yet told.
    pub(super) fn is_inside(&self) -> bool {
        !self.held.is_empty()
    }

    /// Deals with the bytes after `done`; how many of them are dealt with, `None` for more input.
    fn step(&mut self, done: usize, put: &mut impl FnMut(Frame<'_>)) -> Option<usize> {
        let rest = self.held.get(done..).filter(|rest| !rest.is_empty())?;
        match self.skip {
            Skip::Octets(octets) => {
                let step = octets.min(rest.len());
                self.skip = match octets - step {
                    0 => Skip::Nothing,
                    more => Skip::Octets(more),
                };
                return Some(step);
            }
            Skip::ToLf => {
                let lf = memchr(b'\n', rest);
                if lf.is_some() {
                    self.skip = Skip::Nothing;
                }
                return Some(lf.map_or(rest.len(), |lf| lf + 1));
            }
            Skip::Nothing => {}
        }
        match self.ending(rest) {
            Ending::Unknown => None,
            Ending::Octets { head, len } if len > self.limit => {
                put(Frame::TooLong);
                self.skip = Skip::Octets(len);
                Some(head)
            }
            Ending::Octets { head, len } => {
                put(Frame::Whole(rest.get(head..head + len)?));
                Some(head + len)
            }
            Ending::Lf => self.line(done, put),
        }
    }

    /// The line that begins at `done`.
    fn line(&mut self, done: usize, put: &mut impl FnMut(Frame<'_>)) -> Option<usize> {
        let rest = self.held.get(done..)?;
        let lf = rest
            .get(self.searched..)
            .and_then(|new| memchr(b'\n', new))
            .map(|lf| lf + self.searched);
        match lf {
            Some(lf) if lf > self.limit => put(Frame::TooLong),
            Some(lf) => put(Frame::Whole(rest.get(..lf)?)),
            None if rest.len() > self.limit => {
                put(Frame::TooLong);
                self.skip = Skip::ToLf;
                return Some(rest.len());
            }
            None => self.searched = rest.len(),
        }
        lf.map(|lf| lf + 1)
    }

    /// How the frame at the beginning of `rest` ends.
    fn ending(&self, rest: &[u8]) -> Ending {
        if !self.counted || !matches!(rest.first(), Some(b'1'..=b'9')) {
            return Ending::Lf;
        }
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits > LENGTH_DIGITS {
            return Ending::Lf;
        }
        match (rest.get(digits), rest.get(digits + 1)) {
            (None, _) | (Some(b' '), None) => Ending::Unknown,
            (Some(b' '), Some(b'<')) => {
                let number = rest.iter().take(digits);
                let len = number.fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'));
                let head = digits + 1;
                Ending::Octets { head, len }
            }
            _ => Ending::Lf,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The frames of some reads, each as text; then the count of those too long and torn.
    fn cut(mut frames: Frames, reads: &[&[u8]]) -> (Vec<String>, usize, usize) {
        let (mut whole, mut long, mut torn) = (Vec::new(), 0, 0);
        let mut put = |frame: Frame<'_>| match frame {
            Frame::Whole(bytes) => whole.push(String::from_utf8_lossy(bytes).into_owned()),
            Frame::TooLong => long += 1,
            Frame::Torn => torn += 1,
        };
        for read in reads {
            frames.feed(read, &mut put);
        }
        frames.finish(&mut put);
        (whole, long, torn)
    }

    fn syslog(text: &[u8]) -> (Vec<String>, usize, usize) {
        cut(Frames::syslog(100), &[text])
    }

    #[test]
    fn both_framings_are_told_apart_frame_by_frame() {
        let (whole, ..) = syslog(b"6 <1>a\nb<2>c\n7 <3>defg<4>h\n");
        assert_eq!(whole, ["<1>a\nb", "<2>c", "<3>defg", "<4>h"]);
    }

    #[test]
    fn a_line_that_begins_with_a_number_is_no_counted_frame() {
        let text = b"1 12345 line\n203.0.113.9 - -\n1478012345.123 x\n1234567890 <1>x\n0 <1>x\n7\n";
        let (whole, long, torn) = syslog(text);
        assert_eq!(whole.len(), 6);
        assert_eq!(whole[0], "1 12345 line");
        assert_eq!(whole[4], "0 <1>x");
        assert_eq!((long, torn), (0, 0));
    }

    #[test]
    fn a_counted_frame_that_ends_early_is_torn() {
        assert_eq!(syslog(b"10 <1>abc\n"), (vec![], 0, 1));
    }

    #[test]
    fn a_last_line_without_lf_counts() {
        assert_eq!(syslog(b"<1>a\n<1>b").0, ["<1>a", "<1>b"]);
        assert_eq!(syslog(b"12").0, ["12"]);
    }

    #[test]
    fn frames_over_the_limit_are_passed_over_and_told_once() {
        let mut text = b"<1>a\n".to_vec();
        text.extend([b'x'; 101]);
        text.extend(b"\n120 <1>");
        text.extend([b'1'; 117]);
        text.extend(b"<1>b\n");
        text.extend([b'y'; 100]);
        text.push(b'\n');
        let (whole, long, torn) = syslog(&text);
        assert_eq!(whole, ["<1>a", "<1>b", &"y".repeat(100)]);
        assert_eq!((long, torn), (2, 0));
    }

    #[test]
    fn an_endless_line_holds_no_memory() {
        let mut frames = Frames::lines(100);
        let mut told = 0;
        for _ in 0..1000 {
            frames.feed(&[b'x'; 1000], |frame| {
                assert_eq!(frame, Frame::TooLong);
                told += 1;
            });
        }
        assert_eq!(told, 1);
        assert!(frames.held.capacity() <= super::super::BLOCK_LEN);
    }

    /// What a frame of the generated text is like.
    fn piece() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            "[0-9<>a \r]{0,12}\n".prop_map(String::into_bytes),
            "<[0-9]{1,3}>[a \n]{0,20}".prop_map(|text| format!("{} {text}", text.len()).into()),
            "[0-9]{1,10} <[a1]{0,8}".prop_map(String::into_bytes),
        ]
    }

    proptest! {
        #[test]
        fn frames_do_not_depend_on_the_reads(
            pieces in prop::collection::vec(piece(), 0..12),
            sizes in prop::collection::vec(1usize..9, 1..20),
        ) {
            let text = pieces.concat();
            let mut reads = Vec::new();
            let mut rest = text.as_slice();
            for size in sizes.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (read, after) = rest.split_at((*size).min(rest.len()));
                reads.push(read);
                rest = after;
            }
            for limit in [0, 5, 16, 1000] {
                let whole = cut(Frames::syslog(limit), &[&text]);
                prop_assert_eq!(cut(Frames::syslog(limit), &reads), whole);
            }
        }

        #[test]
        fn lines_are_those_of_the_standard_library(text in "[a1 <\n\r]{0,60}", limit in 0usize..12) {
            let lines: Vec<&str> = text.split_terminator('\n').collect();
            let (whole, long, torn) = cut(Frames::lines(limit), &[text.as_bytes()]);
            let kept: Vec<_> = lines.iter().filter(|line| line.len() <= limit).collect();
            prop_assert_eq!(&whole.iter().collect::<Vec<_>>(), &kept);
            prop_assert_eq!((long, torn), (lines.len() - kept.len(), 0));
        }
    }
}

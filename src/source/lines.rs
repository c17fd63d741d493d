//! Blocks of whole lines, cut out of a stream or out of a range of a file.
//!
//! Invariant: every line is in exactly one block, whole and in order, or reported once as too
//! long; this holds for any sizes of the reads and for any partition of a file into ranges.
//!
//! A block is handed out as it lies in the one buffer, so that the cost of this layer is a backward
//! search for the last LF and the move of the line begun behind it. What a line is made of is not
//! looked at: CR, NUL and empty lines pass unchanged.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memchr::{memchr, memrchr};

use super::{ArchiveError, Compression, Place};

/// Bytes of the buffer from which blocks are cut; it grows only for a line longer than this.
pub const BLOCK_LEN: usize = 256 * 1024;

/// The usual limit for the bytes of one line, its LF not counted.
pub const MAX_LINE: usize = 1024 * 1024;

/// Bytes read past the end of a range at a time, to finish its last line.
const TAIL_LEN: u64 = 16 * 1024;

/// What comes next in the text. An `offset` counts decompressed bytes from the beginning of the
/// text to the first byte meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Block<'a> {
    /// One or more lines, each with its LF; only the last of the text may lack it.
    Lines {
        /// The lines as they are.
        bytes: &'a [u8],
        /// Where the first of them begins.
        offset: u64,
    },
    /// The beginning of a line that a read error tore; the error comes next.
    Torn {
        /// What was read of the line.
        bytes: &'a [u8],
        /// Where it begins.
        offset: u64,
    },
    /// A line longer than the limit was passed over.
    TooLong {
        /// Its length without LF, or what was read of it before an error.
        bytes: u64,
        /// Where it begins.
        offset: u64,
    },
}

/// Blocks of a stream that is read by a function, such as [`super::Archive::read`].
pub struct Blocks<R, E> {
    read: R,
    carver: Carver<E>,
}

impl<R, E> Blocks<R, E>
where
    R: FnMut(&mut [u8]) -> Result<usize, E>,
{
    /// `read` fills the beginning of a slice, says how many bytes, and 0 at the end; it retries
    /// interruptions itself. A line may have `max_line` bytes before its LF.
    pub fn new(read: R, max_line: usize) -> Blocks<R, E> {
        Blocks {
            read,
            carver: Carver::new(0, max_line),
        }
    }

    /// The next block; `None` at the end and after an error.
    pub fn next_block(&mut self) -> Result<Option<Block<'_>>, E> {
        let piece = self.carver.advance(&mut self.read)?;
        Ok(piece.map(|piece| self.carver.block(piece)))
    }
}

/// Blocks of the lines of a plain file whose first byte lies in a range.
///
/// The line that crosses the beginning of the range belongs to the range before; the line that
/// crosses its end is read to its LF. An end of `u64::MAX` includes what is appended meanwhile.
pub struct RangeBlocks {
    reader: RangeReader,
    carver: Carver<ArchiveError>,
    /// The line that crosses the beginning is still being passed over.
    entering: bool,
}

impl RangeBlocks {
    /// Opens a regular file for one range.
    pub fn open(
        path: &Path,
        range: Range<u64>,
        max_line: usize,
    ) -> Result<RangeBlocks, ArchiveError> {
        match File::open(path) {
            Ok(file) => Ok(RangeBlocks::over(Arc::new(file), path, range, max_line)),
            Err(source) => Err(ArchiveError::Open {
                path: path.to_path_buf(),
                source,
            }),
        }
    }

    /// A range of an open file, which other ranges may share; its path is for messages.
    pub fn over(file: Arc<File>, path: &Path, range: Range<u64>, max_line: usize) -> RangeBlocks {
        // One byte earlier: only an LF there says that a line begins at the start.
        let position = range.start.saturating_sub(1);
        let mut carver = Carver::new(position, max_line);
        let entering = range.start > 0;
        if entering {
            carver.drop_current();
        }
        let reader = RangeReader {
            file,
            path: path.to_path_buf(),
            position,
            end: range.end,
        };
        RangeBlocks {
            reader,
            carver,
            entering,
        }
    }

    /// The next block; `None` at the end of the range or file and after an error.
    pub fn next_block(&mut self) -> Result<Option<Block<'_>>, ArchiveError> {
        if !self.enter()? || self.carver.offset >= self.reader.end {
            return Ok(None);
        }
        let (reader, carver) = (&mut self.reader, &mut self.carver);
        let piece = carver.advance(&mut |into: &mut [u8]| reader.read(into))?;
        Ok(piece.map(|piece| self.within(self.carver.block(piece))))
    }

    /// Passes over the line that crosses the beginning; false when the range has no line.
    fn enter(&mut self) -> Result<bool, ArchiveError> {
        while self.entering {
            if self.carver.drop_line().is_some() {
                self.entering = false;
            } else if self.carver.offset >= self.reader.end || self.carver.is_drained() {
                self.carver.fault.take().map_or(Ok(()), Err)?;
                return Ok(false);
            } else {
                self.carver
                    .fill(&mut |into: &mut [u8]| self.reader.read(into));
            }
        }
        Ok(true)
    }

    /// Takes away the lines that begin behind the end.
    fn within<'a>(&self, block: Block<'a>) -> Block<'a> {
        let Block::Lines { bytes, offset } = block else {
            return block;
        };
        // The line with the byte before the end is the last.
        let last = usize::try_from(self.reader.end.saturating_sub(offset).saturating_sub(1));
        let rest = last.ok().and_then(|last| Some((last, bytes.get(last..)?)));
        let len = rest.and_then(|(last, rest)| Some(last + memchr(b'\n', rest)? + 1));
        let bytes = len.and_then(|len| bytes.get(..len)).unwrap_or(bytes);
        Block::Lines { bytes, offset }
    }
}

/// Reads a file forward from a position, and only little past an end.
struct RangeReader {
    file: Arc<File>,
    path: PathBuf,
    position: u64,
    end: u64,
}

impl RangeReader {
    fn read(&mut self, into: &mut [u8]) -> Result<usize, ArchiveError> {
        let wanted = self
            .end
            .saturating_sub(self.position)
            .saturating_add(TAIL_LEN);
        let wanted = usize::try_from(wanted)
            .unwrap_or(usize::MAX)
            .min(into.len());
        let into = into.get_mut(..wanted).unwrap_or_default();
        loop {
            match self.file.read_at(into, self.position) {
                Ok(got) => {
                    self.position += u64::try_from(got).unwrap_or(u64::MAX);
                    return Ok(got);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => {
                    return Err(ArchiveError::Read {
                        at: self.place(),
                        source,
                    });
                }
            }
        }
    }

    fn place(&self) -> Place {
        Place {
            path: self.path.clone(),
            compression: Compression::Plain,
            text: self.position,
            consumed: self.position,
        }
    }
}

/// A block before it borrows the buffer.
enum Piece {
    Lines(Range<usize>, u64),
    Torn(Range<usize>, u64),
    TooLong(Dropped),
}

/// A line that is being passed over.
#[derive(Clone, Copy)]
struct Dropped {
    offset: u64,
    bytes: u64,
}

/// The buffer and the cutting, without the reading.
struct Carver<E> {
    /// `buffer[start..end]` was read and not yet handed out.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// So many bytes after `start` hold no LF: a long line is searched once, not at every read.
    searched: usize,
    /// Position of `buffer[start]` in the text.
    offset: u64,
    max_line: usize,
    dropped: Option<Dropped>,
    /// The reads have come to an end or to a fault.
    drained: bool,
    /// Waits until everything before it is handed out.
    fault: Option<E>,
}

impl<E> Carver<E> {
    fn new(offset: u64, max_line: usize) -> Carver<E> {
        Carver {
            buffer: vec![0; BLOCK_LEN],
            start: 0,
            end: 0,
            searched: 0,
            offset,
            max_line,
            dropped: None,
            drained: false,
            fault: None,
        }
    }

    fn advance<R>(&mut self, read: &mut R) -> Result<Option<Piece>, E>
    where
        R: FnMut(&mut [u8]) -> Result<usize, E>,
    {
        loop {
            if let Some(piece) = self.carve() {
                return Ok(Some(piece));
            }
            if self.drained {
                return match self.rest() {
                    Some(piece) => Ok(Some(piece)),
                    None => self.fault.take().map_or(Ok(None), Err),
                };
            }
            self.fill(read);
        }
    }

    fn block(&self, piece: Piece) -> Block<'_> {
        let bytes = |range| self.buffer.get::<Range<usize>>(range).unwrap_or_default();
        match piece {
            Piece::Lines(range, offset) => Block::Lines {
                bytes: bytes(range),
                offset,
            },
            Piece::Torn(range, offset) => Block::Torn {
                bytes: bytes(range),
                offset,
            },
            Piece::TooLong(Dropped { offset, bytes }) => Block::TooLong { bytes, offset },
        }
    }

    /// What can be handed out without reading.
    fn carve(&mut self) -> Option<Piece> {
        if self.dropped.is_some() {
            return self.drop_line();
        }
        match whole_lines(self.waiting(), self.searched, self.max_line) {
            0 => {
                self.searched = self.waiting().len();
                if self.searched <= self.max_line {
                    return None;
                }
                self.drop_current();
                self.drop_line()
            }
            len => {
                let (range, offset) = self.take(len);
                Some(Piece::Lines(range, offset))
            }
        }
    }

    /// Marks the line at hand as one to pass over.
    fn drop_current(&mut self) {
        self.dropped = Some(Dropped {
            offset: self.offset,
            bytes: 0,
        });
    }

    /// Passes over the marked line as far as it is buffered; it is returned when its LF was met.
    fn drop_line(&mut self) -> Option<Piece> {
        let mut dropped = self.dropped?;
        let found = memchr(b'\n', self.waiting());
        let passed = found.unwrap_or(self.waiting().len());
        dropped.bytes += u64::try_from(passed).unwrap_or(u64::MAX);
        self.take(passed + usize::from(found.is_some()));
        self.dropped = if found.is_some() { None } else { Some(dropped) };
        found.map(|_| Piece::TooLong(dropped))
    }

    /// What is left when nothing more can be read: a line without LF, or nothing.
    fn rest(&mut self) -> Option<Piece> {
        if let Some(dropped) = self.dropped.take() {
            return Some(Piece::TooLong(dropped));
        }
        let len = self.waiting().len();
        if len == 0 {
            return None;
        }
        let (range, offset) = self.take(len);
        Some(match self.fault {
            Some(_) => Piece::Torn(range, offset),
            None => Piece::Lines(range, offset),
        })
    }

    /// One read behind the line at hand, which moves to the front of the buffer.
    fn fill<R>(&mut self, read: &mut R)
    where
        R: FnMut(&mut [u8]) -> Result<usize, E>,
    {
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        if self.end == self.buffer.len() {
            self.grow();
        }
        match read(self.buffer.get_mut(self.end..).unwrap_or_default()) {
            Ok(0) => self.drained = true,
            Ok(got) => self.end = (self.end + got).min(self.buffer.len()),
            Err(fault) => (self.drained, self.fault) = (true, Some(fault)),
        }
    }

    /// The buffer holds one unfinished line of at most `max_line` bytes. It grows at most to hold
    /// one byte more, which decides whether the line is too long.
    fn grow(&mut self) {
        let most = self.max_line.saturating_add(1);
        let len = self
            .buffer
            .len()
            .saturating_mul(2)
            .min(most)
            .max(self.end.saturating_add(1));
        self.buffer.resize(len, 0);
    }

    fn take(&mut self, len: usize) -> (Range<usize>, u64) {
        let (range, offset) = (self.start..self.start + len, self.offset);
        self.start += len;
        self.offset += u64::try_from(len).unwrap_or(u64::MAX);
        self.searched = 0;
        (range, offset)
    }

    fn waiting(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    fn is_drained(&self) -> bool {
        self.drained
    }
}

/// The length of the longest beginning of `data` that is made of whole lines of at most `max_line`
/// bytes and an LF. The first `searched` bytes hold no LF.
///
/// An LF at most `max_line` bytes behind a line's beginning proves that no line in between is too
/// long. So this leaps backwards from the limit instead of looking at each line: one search for a
/// block shorter than the limit.
pub(super) fn whole_lines(data: &[u8], searched: usize, max_line: usize) -> usize {
    let mut whole: usize = 0;
    loop {
        let limit = whole
            .saturating_add(max_line)
            .saturating_add(1)
            .min(data.len());
        let from = whole.max(searched).min(limit);
        match memrchr(b'\n', data.get(from..limit).unwrap_or_default()) {
            Some(at) => whole = from + at + 1,
            None => return whole,
        }
        if limit == data.len() {
            return whole;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a stream of blocks amounts to, a line at a time.
    #[derive(Clone, Debug, PartialEq, Eq)]
    enum Event {
        /// With its LF, if it has one.
        Line(u64, Vec<u8>),
        TooLong(u64, u64),
        Torn(u64, Vec<u8>),
    }

    /// The twin: splits the whole text at once.
    fn naive(text: &[u8], max_line: usize) -> Vec<Event> {
        let mut offset = 0;
        let mut events = Vec::new();
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let len = line.strip_suffix(b"\n").unwrap_or(line).len();
            events.push(if len > max_line {
                Event::TooLong(offset, len as u64)
            } else {
                Event::Line(offset, line.to_vec())
            });
            offset += line.len() as u64;
        }
        events
    }

    fn events(block: Block<'_>) -> Vec<Event> {
        match block {
            Block::TooLong { bytes, offset } => vec![Event::TooLong(offset, bytes)],
            Block::Torn { bytes, offset } => vec![Event::Torn(offset, bytes.to_vec())],
            Block::Lines { bytes, offset } => {
                assert!(!bytes.is_empty(), "a block holds at least one line");
                let mut lines = naive(bytes, usize::MAX);
                for line in &mut lines {
                    if let Event::Line(at, _) = line {
                        *at += offset;
                    }
                }
                lines
            }
        }
    }

    /// Reads `text` in reads of the sizes given, over and over; then fails if asked to.
    fn stream(
        text: &[u8],
        sizes: &[usize],
        max_line: usize,
        fails: bool,
    ) -> (Vec<Event>, Result<(), &'static str>) {
        let (mut rest, mut sizes) = (text, sizes.iter().cycle());
        let read = |into: &mut [u8]| {
            let len = rest.len().min(into.len()).min(*sizes.next().unwrap());
            if rest.is_empty() && fails {
                return Err("torn cable");
            }
            into[..len].copy_from_slice(&rest[..len]);
            rest = &rest[len..];
            Ok(len)
        };
        let mut blocks = Blocks::new(read, max_line);
        let mut all = Vec::new();
        loop {
            match blocks.next_block() {
                Ok(Some(block)) => all.extend(events(block)),
                Ok(None) => return (all, Ok(())),
                Err(error) => {
                    assert_eq!(blocks.next_block(), Ok(None), "an error is returned once");
                    return (all, Err(error));
                }
            }
        }
    }

    fn range(path: &Path, range: Range<u64>, max_line: usize) -> Vec<Event> {
        let mut blocks = RangeBlocks::open(path, range, max_line).unwrap();
        let mut all = Vec::new();
        while let Some(block) = blocks.next_block().unwrap() {
            all.extend(events(block));
        }
        assert_eq!(blocks.next_block().unwrap(), None);
        all
    }

    fn file(text: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn empty_text_has_no_block() {
        assert_eq!(stream(b"", &[1], 10, false), (vec![], Ok(())));
    }

    #[test]
    fn last_line_may_lack_its_lf_and_cr_is_kept() {
        let (all, _) = stream(b"a\r\n\nb", &[100], 10, false);
        let line = |offset, text: &[u8]| Event::Line(offset, text.to_vec());
        assert_eq!(all, [line(0, b"a\r\n"), line(3, b"\n"), line(4, b"b")]);
    }

    #[test]
    fn whole_lines_of_one_read_are_one_block() {
        let mut reads = [b"a\nb\nc".as_slice(), b"\n"].into_iter();
        let read = |into: &mut [u8]| {
            let text = reads.next().unwrap_or_default();
            into[..text.len()].copy_from_slice(text);
            Ok::<_, ()>(text.len())
        };
        let mut blocks = Blocks::new(read, MAX_LINE);
        let lines = |bytes, offset| Ok(Some(Block::Lines { bytes, offset }));
        assert_eq!(blocks.next_block(), lines(b"a\nb\n", 0));
        assert_eq!(blocks.next_block(), lines(b"c\n", 4));
        assert_eq!(blocks.next_block(), Ok(None));
    }

    #[test]
    fn line_at_the_limit_is_kept_and_one_byte_more_is_not() {
        for max_line in [0, 1, 10, BLOCK_LEN - 1, BLOCK_LEN, BLOCK_LEN + 1, MAX_LINE] {
            for (len, lf) in [
                (max_line, true),
                (max_line + 1, true),
                (max_line + 1, false),
            ] {
                let mut text = vec![b'x'; len];
                text.extend(if lf { b"\nnext\n".as_slice() } else { b"" });
                let (all, _) = stream(&text, &[usize::MAX], max_line, false);
                assert!(all == naive(&text, max_line), "{max_line} {len} {lf}");
            }
        }
    }

    #[test]
    fn buffer_grows_no_further_than_the_longest_line() {
        let text = vec![b'x'; 3 * MAX_LINE];
        let mut rest = text.as_slice();
        let mut blocks = Blocks::new(|into: &mut [u8]| io::Read::read(&mut rest, into), MAX_LINE);
        let bytes = 3 * MAX_LINE as u64;
        let block = blocks.next_block().unwrap();
        assert_eq!(block, Some(Block::TooLong { bytes, offset: 0 }));
        assert_eq!(blocks.carver.buffer.len(), MAX_LINE + 1);
    }

    #[test]
    fn read_error_comes_after_lines_and_torn_rest() {
        let (all, end) = stream(b"a\nb", &[100], 10, true);
        let expected = [
            Event::Line(0, b"a\n".to_vec()),
            Event::Torn(2, b"b".to_vec()),
        ];
        assert_eq!(
            (all.as_slice(), end),
            (expected.as_slice(), Err("torn cable"))
        );
    }

    #[test]
    fn read_error_in_a_too_long_line_reports_what_was_read_of_it() {
        let (all, end) = stream(b"a\nlonger", &[3], 2, true);
        let expected = [Event::Line(0, b"a\n".to_vec()), Event::TooLong(2, 6)];
        assert_eq!(
            (all.as_slice(), end),
            (expected.as_slice(), Err("torn cable"))
        );
    }

    #[test]
    fn range_begins_with_the_line_at_its_start_and_finishes_its_last() {
        let file = file(b"aa\nbb\ncc\ndd");
        let lines = |lines: &[(u64, &[u8])]| -> Vec<_> {
            lines
                .iter()
                .map(|(offset, line)| Event::Line(*offset, line.to_vec()))
                .collect()
        };
        let read = |from, to| range(file.path(), from..to, MAX_LINE);
        assert_eq!(read(0, 1), lines(&[(0, b"aa\n")]));
        assert_eq!(read(1, 3), lines(&[]));
        assert_eq!(read(3, 4), lines(&[(3, b"bb\n")]));
        assert_eq!(read(4, 7), lines(&[(6, b"cc\n")]));
        assert_eq!(read(9, u64::MAX), lines(&[(9, b"dd")]));
        assert_eq!(read(10, 11), lines(&[]));
        assert_eq!(read(3, 3), lines(&[]));
        assert_eq!(read(100, 200), lines(&[]));
    }

    #[test]
    fn ranges_of_an_open_archive_are_of_that_file_after_a_rotation() {
        let file = file(b"old\nlog\n");
        let archive = super::super::Archive::open(file.path(), Default::default()).unwrap();
        let other = tempfile::NamedTempFile::new_in(file.path().parent().unwrap()).unwrap();
        other.persist(file.path()).unwrap();
        let open = archive.file().unwrap();
        let mut blocks = RangeBlocks::over(open, file.path(), 1..8, MAX_LINE);
        let block = blocks.next_block().unwrap();
        assert_eq!(
            block,
            Some(Block::Lines {
                bytes: b"log\n",
                offset: 4
            })
        );
    }

    #[test]
    fn range_in_a_folder_is_a_read_error() {
        let folder = tempfile::tempdir().unwrap();
        for start in [0, 5] {
            let mut blocks = RangeBlocks::open(folder.path(), start..9, MAX_LINE).unwrap();
            assert!(matches!(
                blocks.next_block(),
                Err(ArchiveError::Read { .. })
            ));
            assert!(matches!(blocks.next_block(), Ok(None)));
        }
    }

    #[test]
    fn many_blocks_and_ranges_hold_the_lines_of_a_large_file() {
        let line = |n: usize| format!("{n} {}\n", "x".repeat(n * 7919 % 1000));
        let text = (0..4000).map(line).collect::<String>().into_bytes();
        let expected = naive(&text, 900);
        assert!(stream(&text, &[usize::MAX], 900, false).0 == expected);
        let file = file(&text);
        let cuts: Vec<u64> = (0..8).map(|n| n * text.len() as u64 / 7).collect();
        let ranges = cuts
            .windows(2)
            .flat_map(|cut| range(file.path(), cut[0]..cut[1], 900));
        assert!(ranges.eq(expected));
    }

    /// Texts with many LF, among them empty and too long lines, with and without a last LF.
    fn any_text() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![2 => Just(b'\n'), 1 => Just(b'\r'), 5 => any::<u8>()];
        let line = (0..40usize).prop_map(|len| [vec![b'x'; len], vec![b'\n']].concat());
        let piece = prop_oneof![prop::collection::vec(byte, 0..20), line];
        prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_lines_of_the_text(
            text in any_text(),
            sizes in prop::collection::vec(1..50usize, 1..10),
            max_line in 0..50usize,
        ) {
            let (all, end) = stream(&text, &sizes, max_line, false);
            prop_assert_eq!(all, naive(&text, max_line));
            prop_assert_eq!(end, Ok(()));
        }

        #[test]
        fn any_chunking_before_an_error_gives_all_that_was_read(
            text in any_text(),
            sizes in prop::collection::vec(1..50usize, 1..10),
            max_line in 0..50usize,
        ) {
            let (all, end) = stream(&text, &sizes, max_line, true);
            let mut expected = naive(&text, max_line);
            if let Some(Event::Line(offset, line)) = expected.last().cloned()
                && !line.ends_with(b"\n")
            {
                *expected.last_mut().unwrap() = Event::Torn(offset, line);
            }
            prop_assert_eq!(all, expected);
            prop_assert_eq!(end, Err("torn cable"));
        }

        #[test]
        fn any_partition_gives_every_line_once(
            text in any_text(),
            cuts in prop::collection::vec(0..400u64, 0..8),
            max_line in 0..50usize,
        ) {
            let file = file(&text);
            let mut cuts = [cuts, vec![0, u64::MAX]].concat();
            cuts.sort_unstable();
            for cut in cuts.windows(2) {
                let expected: Vec<_> = naive(&text, max_line)
                    .into_iter()
                    .filter(|event| match event {
                        Event::Line(at, _) | Event::TooLong(at, _) | Event::Torn(at, _) => {
                            (cut[0]..cut[1]).contains(at)
                        }
                    })
                    .collect();
                prop_assert_eq!(range(file.path(), cut[0]..cut[1], max_line), expected);
            }
        }

        #[test]
        fn leaping_finds_the_same_whole_lines_as_looking_at_each(
            text in any_text(),
            max_line in 0..50usize,
        ) {
            let lines = text.split_inclusive(|byte| *byte == b'\n');
            let whole = lines
                .take_while(|line| line.strip_suffix(b"\n").is_some_and(|l| l.len() <= max_line))
                .map(<[u8]>::len)
                .sum::<usize>();
            prop_assert_eq!(whole_lines(&text, 0, max_line), whole);
        }
    }
}

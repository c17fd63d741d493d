//! A position in a text, and the marks that prove a file to hold the text before it.
//!
//! The head mark covers the first bytes and grows until 1 KiB; the tail mark covers the bytes before the
//! position. The tail is kept as bytes, not only as a hash, so that each read can begin with it and find a file
//! that was cut and has grown again.

use std::io;

use sha2::{Digest as _, Sha256};

use super::text::Text;
use super::{Digest, Disk, SavedGeneration, TRAIL_BYTES};

/// The most bytes of the head mark.
pub(super) const HEAD_LEN: usize = 1024;

/// The most bytes of the tail mark.
pub(super) const TAIL_LEN: usize = 256;

/// Bytes of a saved mark of the trail.
const TRAIL_MARK: usize = size_of::<u64>() + size_of::<Digest>();

/// Marks kept behind the position; when there are so many, every second of the older ones is dropped.
const TRAIL_LEN: usize = TRAIL_BYTES / TRAIL_MARK;

/// A hash over some bytes, and the bytes if they are at hand.
#[derive(Clone, Debug, Default)]
struct Mark {
    len: usize,
    digest: Digest,
    bytes: Option<Vec<u8>>,
}

impl Mark {
    fn empty() -> Mark {
        Mark {
            bytes: Some(Vec::new()),
            ..Mark::default()
        }
    }

    fn saved(&self) -> (u32, Digest) {
        let digest = self.bytes.as_deref().map_or(self.digest, digest);
        (u32::try_from(self.len).unwrap_or(u32::MAX), digest)
    }

    /// Whether `bytes` are those of the mark.
    fn agrees(&self, bytes: &[u8]) -> bool {
        bytes.len() == self.len && self.saved().1 == digest(bytes)
    }
}

/// How far a text was handed out.
#[derive(Clone, Debug)]
pub(super) struct Position {
    /// Decompressed bytes from the beginning.
    pub(super) offset: u64,
    /// Bytes of a line over the limit passed over; they are part of `offset`.
    pub(super) skipped: u64,
    head: Mark,
    tail: Mark,
    /// Earlier positions with the hash of the bytes before each, first to last: what proves a text that
    /// ends before the position, or went on in another way, to begin as this one.
    trail: Vec<(u64, Digest)>,
    /// This process read some of it.
    read_here: bool,
}

/// What a text says about a position.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It holds the text before the position.
    Same,
    /// It holds something else.
    Other,
    /// It begins in the same way and ends before the position.
    Short,
}

impl Position {
    /// The beginning of any text.
    pub(super) fn start() -> Position {
        Position {
            offset: 0,
            skipped: 0,
            head: Mark::empty(),
            tail: Mark::empty(),
            trail: Vec::new(),
            read_here: false,
        }
    }

    /// As it was saved; the marks are only hashes until a text was found to agree.
    pub(super) fn restored(saved: &SavedGeneration) -> Position {
        let mark = |len: u32, digest| match usize::try_from(len) {
            Ok(0) | Err(_) => Mark::empty(),
            Ok(len) => Mark {
                len,
                digest,
                bytes: None,
            },
        };
        Position {
            offset: saved.offset,
            skipped: saved.skipping,
            head: mark(saved.head_len, saved.head),
            tail: mark(saved.tail_len, saved.tail),
            trail: decoded(&saved.trail),
            read_here: false,
        }
    }

    /// As it was saved, after more of it was read.
    pub(super) fn back_to(&self, saved: &SavedGeneration) -> Position {
        Position {
            read_here: self.read_here,
            ..Position::restored(saved)
        }
    }

    /// The trail as it is saved: for each mark its position, little-endian, and its hash.
    pub(super) fn trail(&self) -> Vec<u8> {
        let mark = |(at, digest): &(u64, Digest)| [&at.to_le_bytes()[..], digest].concat();
        let surplus = self.trail.len().saturating_sub(TRAIL_LEN);
        self.trail.iter().skip(surplus).flat_map(mark).collect()
    }

    /// Length and hash of the head mark.
    pub(super) fn head(&self) -> (u32, Digest) {
        self.head.saved()
    }

    /// Length and hash of the tail mark.
    pub(super) fn tail(&self) -> (u32, Digest) {
        self.tail.saved()
    }

    /// The bytes before the position, as far as they are marked.
    pub(super) fn before(&self) -> &[u8] {
        self.tail.bytes.as_deref().unwrap_or_default()
    }

    /// Moves behind `bytes`, which are the next of the text.
    pub(super) fn advance(&mut self, bytes: &[u8]) {
        self.leave_marks_within(bytes);
        self.read_here = true;
        self.offset += as_u64(bytes.len());
        if let Some(head) = self.head.bytes.as_mut() {
            let room = HEAD_LEN.saturating_sub(head.len()).min(bytes.len());
            head.extend_from_slice(bytes.get(..room).unwrap_or_default());
            self.head.len = head.len();
            if head.len() == HEAD_LEN {
                self.head.digest = digest(head);
                self.head.bytes = None;
            }
        }
        let tail = self.tail.bytes.get_or_insert_default();
        let last = bytes.get(bytes.len().saturating_sub(TAIL_LEN)..);
        tail.extend_from_slice(last.unwrap_or_default());
        let surplus = tail.len().saturating_sub(TAIL_LEN);
        tail.drain(..surplus);
        self.tail.len = tail.len();
        self.leave_mark();
    }

    /// Asks a text; when it agrees, the marks are at hand.
    pub(super) fn check<D: Disk>(&mut self, disk: &D, text: &mut Text<D>) -> io::Result<Verdict> {
        let mut head = vec![0; self.head.len];
        let got = text.read(disk, 0, &mut head)?;
        if got < head.len() {
            return Ok(Verdict::Short);
        }
        if !self.head.agrees(&head) {
            return Ok(Verdict::Other);
        }
        let mut tail = vec![0; self.tail.len];
        let at = self.offset.saturating_sub(as_u64(self.tail.len));
        let got = text.read(disk, at, &mut tail)?;
        if got < tail.len() {
            return Ok(Verdict::Short);
        }
        if !self.tail.agrees(&tail) {
            return Ok(Verdict::Other);
        }
        if head.len() < HEAD_LEN {
            self.head.bytes = Some(head);
        }
        self.tail.bytes = Some(tail);
        Ok(Verdict::Same)
    }

    /// Keeps a mark of the position.
    fn leave_mark(&mut self) {
        let before = self.tail.bytes.as_deref().unwrap_or_default();
        if before.len() < TAIL_LEN {
            return;
        }
        self.trail.push((self.offset, digest(before)));
        if self.trail.len() > TRAIL_LEN {
            let mut place = 0;
            self.trail.retain(|_| {
                place += 1;
                place > TRAIL_LEN * 2 / 3 || place % 2 == 0
            });
        }
    }

    /// Keeps marks of what is about to be passed.
    fn leave_marks_within(&mut self, bytes: &[u8]) {
        if self.trail.is_empty() {
            self.leave_mark();
        }
        let len = bytes.len();
        for at in [len / 2, len - len / 4] {
            if let Some(before) = at
                .checked_sub(TAIL_LEN)
                .and_then(|from| bytes.get(from..at))
            {
                self.trail.push((self.offset + as_u64(at), digest(before)));
            }
        }
    }

    /// This process read up to it; it is not as it was saved.
    pub(super) fn was_reached_here(&self) -> bool {
        self.read_here
    }

    /// Whether a text of `len` bytes, which ends before the position, is the beginning of this one; not where
    /// no mark could tell.
    pub(super) fn begins_with<D: Disk>(
        &self,
        disk: &D,
        text: &mut Text<D>,
        len: u64,
    ) -> io::Result<bool> {
        if let Some(own) = &self.head.bytes
            && len <= as_u64(own.len())
        {
            let mut bytes = vec![0; own.len()];
            let got = text.read(disk, 0, &mut bytes)?;
            return Ok(got > 0 && own.starts_with(bytes.get(..got).unwrap_or_default()));
        }
        if len >= as_u64(self.head.len) && !self.check_head(disk, text)? {
            return Ok(false);
        }
        match self.trail.iter().rfind(|(at, _)| *at <= len) {
            Some(mark) => self.agrees_at(disk, text, mark),
            None => Ok(false),
        }
    }

    /// Asks a text for the head alone.
    pub(super) fn check_head<D: Disk>(&self, disk: &D, text: &mut Text<D>) -> io::Result<bool> {
        let mut head = vec![0; self.head.len];
        let got = text.read(disk, 0, &mut head)?;
        Ok(self.head.len > 0 && self.head.agrees(head.get(..got).unwrap_or_default()))
    }
}

impl Position {
    /// A text known by its first bytes alone: it has no tail mark.
    pub(super) fn head_only(head: &[u8]) -> Position {
        let mut position = Position::start();
        position.advance(head);
        position.tail = Mark::empty();
        position.trail.clear();
        position.read_here = false;
        position
    }

    /// Behind the last line of a plain text, or inside its last if that is longer than the limit.
    pub(super) fn at_end<D: Disk>(
        disk: &D,
        text: &mut Text<D>,
        limit: usize,
    ) -> io::Result<Position> {
        let (len, _) = text.measure(disk, 0)?;
        let (mut end, mut chunk) = (len, vec![0; 64 * 1024]);
        let mut position = Position::start();
        while end > 0 {
            let from = end.saturating_sub(as_u64(chunk.len()));
            let room = usize::try_from(end - from).unwrap_or(usize::MAX);
            let into = chunk.get_mut(..room).unwrap_or_default();
            let got = text.read(disk, from, into)?;
            let found = memchr::memrchr(b'\n', into.get(..got).unwrap_or_default());
            if let Some(at) = found {
                end = from + as_u64(at) + 1;
                break;
            }
            end = from;
            if len - end > as_u64(limit) {
                position.skipped = len - end;
                end = len;
                break;
            }
        }
        let skipped = position.skipped;
        position = Position::at(disk, text, end)?;
        position.skipped = skipped;
        Ok(position)
    }

    /// At the first line that begins at an offset or behind it; behind the last if none does.
    pub(super) fn at_line<D: Disk>(
        disk: &D,
        text: &mut Text<D>,
        offset: u64,
        limit: usize,
    ) -> io::Result<Position> {
        let (mut at, mut chunk) = (offset.saturating_sub(1), vec![0; 64 * 1024]);
        loop {
            let got = text.read(disk, at, &mut chunk)?;
            let found = memchr::memchr(b'\n', chunk.get(..got).unwrap_or_default());
            if let Some(place) = found {
                return Position::at(disk, text, at + as_u64(place) + 1);
            }
            at += as_u64(got);
            if got < chunk.len() {
                return Position::at_end(disk, text, limit);
            }
        }
    }

    /// At an offset of a text, with the marks there.
    fn at<D: Disk>(disk: &D, text: &mut Text<D>, offset: u64) -> io::Result<Position> {
        let mut position = Position::start();
        let head_len = usize::try_from(offset).unwrap_or(HEAD_LEN).min(HEAD_LEN);
        let mut head = vec![0; head_len];
        let got = text.read(disk, 0, &mut head)?;
        position.advance(head.get(..got).unwrap_or_default());
        if offset > as_u64(HEAD_LEN) {
            let from = offset - as_u64(TAIL_LEN);
            let mut tail = vec![0; TAIL_LEN];
            let got = text.read(disk, from, &mut tail)?;
            position.tail = Mark::empty();
            position.advance(tail.get(..got).unwrap_or_default());
        }
        position.offset = offset;
        position.trail.clear();
        position.read_here = false;
        Ok(position)
    }

    /// Where a text of `len` bytes, which is not this one up to the position, is so for the most part:
    /// the last mark that it agrees with, and where it may have gone on in another way. The latter is `len`
    /// if it only ends early. A short beginning in common may be a banner, and proves nothing.
    pub(super) fn common<D: Disk>(
        &self,
        disk: &D,
        text: &mut Text<D>,
        len: u64,
    ) -> io::Result<Option<(u64, u64)>> {
        if !self.check_head(disk, text)? {
            return Ok(None);
        }
        let mut end = len.min(self.offset);
        let mut within = self.trail.iter().rev().filter(|(at, _)| *at <= len);
        if len < self.offset && within.clone().next().is_none() {
            return Ok(Some((end, end)));
        }
        let short = self.offset / 4;
        let known = within.find_map(|mark| match self.agrees_at(disk, text, mark) {
            Ok(false) => {
                end = mark.0;
                None
            }
            other => Some(other.map(|_| mark.0)),
        });
        let known = known.transpose()?;
        let known = known.filter(|at| *at >= short.max(as_u64(HEAD_LEN + TAIL_LEN)) || end == len);
        Ok(known.map(|at| (at, end)))
    }

    /// Whether a text has the bytes of a mark.
    fn agrees_at<D: Disk>(
        &self,
        disk: &D,
        text: &mut Text<D>,
        (at, before): &(u64, Digest),
    ) -> io::Result<bool> {
        let mut own = vec![0; TAIL_LEN];
        let got = text.read(disk, at.saturating_sub(as_u64(TAIL_LEN)), &mut own)?;
        Ok(got == TAIL_LEN && digest(&own) == *before)
    }
}

fn decoded(trail: &[u8]) -> Vec<(u64, Digest)> {
    let mark = |bytes: &[u8]| {
        let (at, digest) = bytes.split_at_checked(size_of::<u64>())?;
        let at = u64::from_le_bytes(at.try_into().ok()?);
        Some((at, digest.try_into().ok()?))
    };
    let marks = trail.chunks_exact(TRAIL_MARK).filter_map(mark);
    marks.take(TRAIL_LEN).collect()
}

fn digest(bytes: &[u8]) -> Digest {
    let mut digest = Digest::default();
    for (to, from) in digest.iter_mut().zip(Sha256::digest(bytes)) {
        *to = from;
    }
    digest
}

/// Lossless on every platform Rust runs on.
pub(super) fn as_u64(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

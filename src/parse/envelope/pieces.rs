//! Envelopes that cut a line into pieces or escape it: containers' logs and the journal's objects.
//!
//! Docker's `json-file` (`{"log":"…\n","stream":"stdout",…}`) and CRI (`TIME stdout P …`) cut lines
//! over 16 KiB; the last piece of a line ends in `\n`, or is marked `F`. The pieces of one stream
//! belong together, those of the other one may lie between them. `journalctl -o json` has the line
//! as the value of `MESSAGE`, `-o export` writes a line for each field of an entry.
//!
//! Invariant: each line that goes in is one of: a record, a piece of the record that a later line
//! ends, or a line of the envelope itself. A line that is no piece ends all that was begun: no
//! writer puts one there, so the rest of what was begun will not come.
//!
//! Memory is bounded: a record whose pieces are together longer than the limit is passed over.

use memchr::{memchr, memchr_iter, memchr2, memmem};

use super::{behind_priority, cri};
use crate::record::Escape;

/// What a line is to its envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened<'l> {
    /// A record, ready to be read.
    Record {
        /// The record without its envelope; headers that can be passed over are still there. It may be
        /// empty.
        text: &'l [u8],
        /// It was put together from several lines.
        is_joined: bool,
    },
    /// A piece of the record that a later line ends.
    Piece,
    /// It belongs to the envelope, there is no record in it.
    Own,
    /// The last piece of a record that is longer than the limit.
    TooLong,
}

impl<'l> Opened<'l> {
    /// The record; the line itself beside it when that was more. A format may read the envelope.
    pub fn record(self, line: &'l [u8]) -> Option<(&'l [u8], Option<&'l [u8]>)> {
        match self {
            Opened::Record { text, is_joined } => {
                Some((text, (!is_joined && text != line).then_some(line)))
            }
            _ => None,
        }
    }
}

/// The memory that envelopes need from line to line of one file.
#[derive(Clone, Debug)]
pub struct Envelopes {
    limit: usize,
    /// What was begun on standard output and on standard error.
    begun: [Begun; 2],
    record: Vec<u8>,
}

/// The first pieces of a line.
#[derive(Clone, Debug, Default)]
struct Begun {
    text: Vec<u8>,
    /// Bytes of the lines that were its pieces; 0 when nothing is begun.
    bytes: usize,
}

/// How a line's envelope is made.
#[derive(Clone, Copy)]
enum Kind<'l> {
    Piece(Piece<'l>),
    /// An object of `journalctl -o json`.
    Journal,
    /// A line of `journalctl -o export` beside the message.
    Export,
}

/// A line, or a part of one, that a container wrote.
#[derive(Clone, Copy)]
struct Piece<'l> {
    is_error: bool,
    is_last: bool,
    text: &'l [u8],
    escape: Escape,
}

impl Envelopes {
    /// Nothing is begun. The pieces of a record may have `limit` bytes.
    pub fn new(limit: usize) -> Envelopes {
        Envelopes {
            limit,
            begun: Default::default(),
            record: Vec::new(),
        }
    }

    /// Forgets what was begun: another file follows, or something that cannot be read.
    pub fn forget(&mut self) {
        self.begun.iter_mut().for_each(Begun::clear);
    }

    /// True when a line may be other than a record as it stands.
    #[inline]
    pub fn concern(&self, line: &[u8]) -> bool {
        may_have_kind(line) || self.begun.iter().any(|begun| begun.bytes > 0)
    }

    /// Takes the next line, without its line end.
    pub fn open<'a>(&'a mut self, line: &'a [u8]) -> Opened<'a> {
        let (header, inside) = split_header(line);
        let kind = bare_kind(inside);
        let Some(Kind::Piece(piece)) = kind else {
            self.forget();
            return match kind {
                Some(Kind::Journal) => self.journal(header, inside),
                Some(_) => Opened::Own,
                None => record(line, false),
            };
        };
        let [out, error] = &mut self.begun;
        let begun = if piece.is_error { error } else { out };
        let is_joined = begun.bytes > 0;
        match (is_joined, piece.is_last, piece.escape) {
            // CRI's header is passed over like any other.
            (false, true, Escape::None) => return record(line, false),
            (false, true, _) => {
                start(&mut self.record, header);
                piece.escape.decode_into(piece.text, &mut self.record);
                return record(&self.record, false);
            }
            _ => begun.add(header, piece, line.len(), self.limit),
        }
        if !piece.is_last {
            return Opened::Piece;
        }
        let is_long = begun.bytes > self.limit;
        std::mem::swap(&mut begun.text, &mut self.record);
        begun.clear();
        if is_long {
            return Opened::TooLong;
        }
        record(&self.record, true)
    }

    /// The message of a journal's object; one without text has no record.
    fn journal(&mut self, header: &[u8], object: &[u8]) -> Opened<'_> {
        start(&mut self.record, header);
        match message(object, &mut self.record) {
            Some(()) => record(&self.record, false),
            None => Opened::Own,
        }
    }
}

/// A record keeps the header that its first line came behind.
fn start(record: &mut Vec<u8>, header: &[u8]) {
    record.clear();
    record.extend_from_slice(header);
}

/// The header with a priority in front of a line, and the rest.
fn split_header(line: &[u8]) -> (&[u8], &[u8]) {
    line.split_at_checked(behind_priority(line))
        .unwrap_or_default()
}

fn record(text: &[u8], is_joined: bool) -> Opened<'_> {
    Opened::Record {
        text: text.strip_suffix(b"\r").unwrap_or(text),
        is_joined,
    }
}

impl Begun {
    fn add(&mut self, header: &[u8], piece: Piece<'_>, line: usize, limit: usize) {
        if self.bytes == 0 {
            start(&mut self.text, header);
        }
        self.bytes = self.bytes.saturating_add(line.max(1));
        if self.bytes > limit {
            self.text = Vec::new();
        } else {
            piece.escape.decode_into(piece.text, &mut self.text);
        }
    }

    fn clear(&mut self) {
        self.text.clear();
        self.bytes = 0;
    }
}

/// Whether any of these lines is in an envelope that joins, escapes or adds lines. Files that begin
/// so are read from the beginning to the end.
pub fn are_pieces(sample: &[u8]) -> bool {
    let mut lines = sample.split(|&byte| byte == b'\n');
    lines.any(|line| kind(line).is_some() || line.starts_with(b"MESSAGE="))
}

/// The length of the longest beginning of `text`, which is made of whole lines, that leaves no
/// record begun. What is read so far, and no further, can be left for good at any time.
pub fn without_open_record(text: &[u8]) -> usize {
    let whole = text.strip_suffix(b"\n").unwrap_or(text);
    let last = memchr::memrchr(b'\n', whole).map_or(0, |lf| lf + 1);
    if piece(content(whole.get(last..).unwrap_or_default())).is_none()
        && !is_blank(whole.get(last..).unwrap_or_default())
    {
        return text.len();
    }
    let (mut closed, mut start, mut begun) = (0, 0, [false; 2]);
    for end in memchr_iter(b'\n', text) {
        let line = text.get(start..end).unwrap_or_default();
        match piece(content(line)) {
            Some(piece) => {
                if let Some(begun) = begun.get_mut(usize::from(piece.is_error)) {
                    *begun = !piece.is_last;
                }
            }
            None if is_blank(line) => {}
            None => begun = [false; 2],
        }
        start = end + 1;
        if begun == [false; 2] {
            closed = start;
        }
    }
    closed
}

/// A line as a reader sees it: without a hole of NUL bytes before it.
fn content(line: &[u8]) -> &[u8] {
    let holes = line.iter().take_while(|&&byte| byte == 0).count();
    line.get(holes..).unwrap_or_default()
}

/// Lines that are rejected before their envelope is asked.
fn is_blank(line: &[u8]) -> bool {
    content(line).trim_ascii().is_empty()
}

/// What the first bytes tell; most lines of most logs end here.
#[inline]
fn may_have_kind(line: &[u8]) -> bool {
    match line {
        [b'0'..=b'9', _, _, _, b'-', ..] => line.get(10) == Some(&b'T'),
        [b'{', ..] => may_be_object(line),
        [b'A'..=b'Z' | b'_' | b'<', ..] => true,
        _ => false,
    }
}

/// Docker's objects begin with the key `log`; all keys of the journal's with `_` or a capital.
fn may_be_object(line: &[u8]) -> bool {
    matches!(
        line,
        [_, b'"', b'_' | b'A'..=b'Z', ..] | [_, b' ', b'"', b'_' | b'A'..=b'Z', ..]
    ) || line.starts_with(DOCKER)
}

const DOCKER: &[u8] = br#"{"log":""#;

fn kind(line: &[u8]) -> Option<Kind<'_>> {
    bare_kind(split_header(line).1)
}

fn bare_kind(line: &[u8]) -> Option<Kind<'_>> {
    if !may_have_kind(line) {
        return None;
    }
    if let Some(piece) = bare_piece(line) {
        return Some(Kind::Piece(piece));
    }
    match line.first()? {
        b'{' => is_journal(line).then_some(Kind::Journal),
        b'A'..=b'Z' | b'_' => is_export(line).then_some(Kind::Export),
        _ => None,
    }
}

fn piece(line: &[u8]) -> Option<Piece<'_>> {
    bare_piece(split_header(line).1)
}

fn bare_piece(line: &[u8]) -> Option<Piece<'_>> {
    match line.first()? {
        b'{' => docker(line),
        b'0'..=b'9' => {
            let cri = cri(line, 0)?;
            Some(Piece {
                is_error: cri.is_error,
                is_last: !cri.is_partial,
                text: line.get(cri.message..)?,
                escape: Escape::None,
            })
        }
        _ => None,
    }
}

/// `{"log":"…\n","stream":"stdout","time":"…"}`, as `json-file` writes it: in this order.
fn docker(line: &[u8]) -> Option<Piece<'_>> {
    let (text, rest) = string(line.strip_prefix(DOCKER)?)?;
    let rest = rest.strip_prefix(br#","stream":"std"#)?;
    let is_error = match rest.get(..4)? {
        br#"out""# => false,
        br#"err""# => true,
        _ => return None,
    };
    line.ends_with(b"}").then(|| {
        let before = text.strip_suffix(b"n").unwrap_or_default();
        let backslashes = before.iter().rev().take_while(|&&byte| byte == b'\\');
        let is_last = backslashes.count() % 2 == 1;
        Piece {
            is_error,
            is_last,
            text: if is_last {
                before.strip_suffix(b"\\").unwrap_or(before)
            } else {
                text
            },
            escape: Escape::Json,
        }
    })
}

/// The content of a JSON string whose opening quote was passed, and what is behind its end.
fn string(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut at = 0;
    loop {
        at += memchr2(b'"', b'\\', text.get(at..)?)?;
        if text.get(at) == Some(&b'"') {
            return Some((text.get(..at)?, text.get(at + 1..)?));
        }
        at += 2;
    }
}

fn is_journal(line: &[u8]) -> bool {
    line.ends_with(b"}")
        && may_be_object(line)
        && memmem::find(line, br#""__REALTIME_TIMESTAMP""#).is_some()
}

/// The value of `MESSAGE`: a string, or numbers of bytes where it is no UTF-8 text. `None` for an
/// entry without one, and for one too long to be shown (`null`).
fn message(line: &[u8], out: &mut Vec<u8>) -> Option<()> {
    const KEY: &[u8] = br#""MESSAGE""#;
    let behind = memmem::find(line, KEY)? + KEY.len();
    let value = line.get(behind..)?.trim_ascii_start().strip_prefix(b":")?;
    match value.trim_ascii_start().split_first()? {
        (b'"', text) => Escape::Json.decode_into(string(text)?.0, out),
        (b'[', numbers) => {
            let numbers = numbers.get(..memchr(b']', numbers)?)?;
            for number in numbers.split(|&byte| byte == b',') {
                out.push(str::from_utf8(number.trim_ascii()).ok()?.parse().ok()?);
            }
        }
        _ => return None,
    }
    Some(())
}

/// A field of the journal's export format other than the message. Programs may add fields of any
/// name; those of the journal itself, of syslog and of containers are known.
fn is_export(line: &[u8]) -> bool {
    const BEGINNINGS: [&[u8]; 5] = [b"_", b"SYSLOG_", b"CODE_", b"CONTAINER_", b"OBJECT_"];
    const NAMES: [&[u8]; 10] = [
        b"PRIORITY",
        b"MESSAGE_ID",
        b"ERRNO",
        b"TID",
        b"THREAD_ID",
        b"UNIT",
        b"USER_UNIT",
        b"INVOCATION_ID",
        b"USER_INVOCATION_ID",
        b"IMAGE_NAME",
    ];
    let is_key = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_';
    let length = line.iter().take(65).take_while(|byte| is_key(byte)).count();
    let name = line.get(..length).unwrap_or_default();
    line.get(length) == Some(&b'=')
        && (NAMES.contains(&name) || BEGINNINGS.iter().any(|begin| name.starts_with(begin)))
}

#[cfg(test)]
mod tests;

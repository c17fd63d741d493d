//! A server's format string as a row of segments, read in one pass with memchr.
//!
//! `$remote_addr - $remote_user [$time_local] "$request"` becomes steps: a field, then the literal
//! that ends it. Where the literal begins with a quote the field is quoted and ends at the first
//! quote that its dialect did not write itself; a time and a status have a fixed shape; any other
//! field ends where its literal stands. Nothing is decoded here.
//!
//! Two passes, never mixed: [`Layout::read`] accepts what the server can have written and nothing
//! else. Only when it refuses, [`Layout::read_leniently`] asks what a person would ask: where is
//! the time, where is the status? A header cannot steer the second pass, because a quote inside a
//! value is always escaped, so `time] "` occurs once in a line that the server wrote.

use memchr::{memchr, memrchr};

use crate::record::{Expected, Mismatch, Reading, Span, find_near};

/// What a field may hold, as far as that helps to find its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// `31/Oct/2013:07:06:42 +0000`.
    Clf,
    /// Digits, or a lone `-`.
    Number,
    /// No blank inside.
    Token,
    /// A comma separated list; a blank after a comma does not end it.
    List,
    /// Up to the next occurrence of the literal that follows.
    Text,
}

/// How a quoted value is kept from ending early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quoting {
    /// The dialect never writes a quote inside a value (nginx's default).
    Never,
    /// A backslash stands before a quote that belongs to the value (Apache, JSON).
    Backslash,
}

/// One piece of a format string, as its dialect's compiler found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Text that stands in every line.
    Literal(Vec<u8>),
    /// A variable.
    Field {
        /// nginx's name for it.
        name: String,
        /// What it may hold.
        shape: Shape,
    },
}

/// A field and the literal that ends it.
#[derive(Clone, Debug)]
struct Step {
    /// Index into the caller's spans, when the field is wanted.
    slot: Option<usize>,
    shape: Shape,
    quoted: bool,
    /// Empty only behind the last field.
    literal: Literal,
    /// Position in `literal` of the byte that is least likely inside a value.
    rare: usize,
}

/// Text that stands in every line, and its first eight bytes as a number: most literals are short,
/// and one comparison of numbers costs a tenth of a call that compares bytes.
#[derive(Clone, Debug, Default)]
struct Literal {
    text: Box<[u8]>,
    word: u64,
    mask: u64,
}

impl Literal {
    fn new(text: &[u8]) -> Literal {
        let mut word = [0; 8];
        let mut mask = [0; 8];
        for ((word, mask), &byte) in word.iter_mut().zip(&mut mask).zip(text) {
            (*word, *mask) = (byte, 0xff);
        }
        let (word, mask) = (u64::from_le_bytes(word), u64::from_le_bytes(mask));
        Literal {
            text: text.into(),
            word,
            mask,
        }
    }

    /// True when `line` goes on with the literal at `at`.
    #[inline]
    fn stands_at(&self, line: &[u8], at: usize) -> bool {
        let eight = line.get(at..).and_then(<[u8]>::first_chunk::<8>);
        match eight {
            Some(eight) if self.text.len() <= 8 => {
                u64::from_le_bytes(*eight) & self.mask == self.word
            }
            _ => {
                let rest = line.get(at..).unwrap_or_default().iter();
                self.text.len() <= rest.len() && self.text.iter().zip(rest).all(|(a, b)| a == b)
            }
        }
    }
}

/// A compiled format string that fills the wanted spans.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    prefix: Literal,
    steps: Vec<Step>,
    quoting: Quoting,
    /// Step of the time, when it has a shape that can be searched.
    anchor: Option<usize>,
    /// Step of the status.
    status: Option<usize>,
}

impl Layout {
    /// Compiles `pieces`; `slot` names the span of each wanted field. Two fields must not touch.
    pub(super) fn compile(
        pieces: &[Piece],
        quoting: Quoting,
        slot: impl Fn(&str) -> Option<usize>,
    ) -> Result<Layout, String> {
        let mut prefix = Vec::new();
        let mut steps: Vec<Step> = Vec::new();
        let (mut anchor, mut status, mut open) = (None, None, false);
        for piece in pieces {
            match piece {
                Piece::Literal(text) if !open && steps.is_empty() => prefix.extend_from_slice(text),
                Piece::Literal(text) => {
                    let step = steps
                        .last_mut()
                        .expect("a literal before any field is the prefix");
                    step.end_with(text);
                    open = false;
                }
                Piece::Field { name, shape } => {
                    if open {
                        return Err(format!(
                            "nothing separates `{name}` from the field before it"
                        ));
                    }
                    if *shape == Shape::Clf {
                        anchor = anchor.or(Some(steps.len()));
                    }
                    if name == "status" {
                        status = status.or(Some(steps.len()));
                    }
                    steps.push(Step::field(slot(name), *shape));
                    open = true;
                }
            }
        }
        if steps.is_empty() {
            return Err("no field in this format".to_owned());
        }
        Ok(Layout {
            prefix: Literal::new(&prefix),
            steps,
            quoting,
            anchor,
            status,
        })
    }

    /// Reads a line that is exactly what the server writes, or that with more fields behind it.
    #[inline]
    pub(super) fn read(&self, line: &[u8], spans: &mut [Span]) -> Result<Reading, Mismatch> {
        if !self.prefix.stands_at(line, 0) {
            return Err(Mismatch::text(0, "the format's first characters"));
        }
        let (stopped, at) = self.advance(line, spans, self.prefix.text.len(), 0);
        match stopped {
            Some(step) => Err(mismatch(step, at)),
            None if at == line.len() => Ok(Reading::Exact),
            None if line.get(at) == Some(&b' ') => Ok(Reading::Extra),
            None => Err(mismatch(self.steps.len(), at)),
        }
    }

    /// Reads steps from `first` on. Returns the step that failed, if any, and the position
    /// reached: the end of the format, or where the failed step began.
    #[inline]
    fn advance(
        &self,
        line: &[u8],
        spans: &mut [Span],
        from: usize,
        first: usize,
    ) -> (Option<usize>, usize) {
        let mut at = from;
        for (index, step) in self.steps.iter().enumerate().skip(first) {
            let Some(end) = step.end(line, at, self.quoting) else {
                return (Some(index), at);
            };
            step.keep(spans, at, end);
            at = end + step.literal.text.len();
        }
        (None, at)
    }

    /// Reads what a person would read: finds the time, then as many fields behind it as there
    /// are, then the address and the user before it. Refuses a line without time or status.
    #[cold]
    pub(super) fn read_leniently(
        &self,
        line: &[u8],
        spans: &mut [Span],
    ) -> Result<Reading, Mismatch> {
        let refused = Err(Mismatch::text(0, "a time in brackets and a status"));
        let Some(anchor) = self.anchor else {
            return refused;
        };
        let before = anchor.checked_sub(1).and_then(|i| self.steps.get(i));
        let lead: &[u8] = before.map_or(&self.prefix.text, |step| &step.literal.text);
        let lead = lead.get(lead.len().saturating_sub(1)..).unwrap_or_default();
        let mut from = 0;
        while let Some(open) = line.get(from..).and_then(|rest| find(rest, lead)) {
            let at = from + open + lead.len();
            from = from + open + 1;
            spans.fill(Span::ABSENT);
            let (stopped, reached) = self.advance(line, spans, at, anchor);
            let read = stopped.unwrap_or(self.steps.len());
            let cut = self
                .steps
                .get(read)
                .is_some_and(|step| step.keep_cut(line, spans, reached));
            if read + usize::from(cut) <= self.status.unwrap_or(anchor) {
                continue;
            }
            self.read_head(
                line.get(..at - lead.len()).unwrap_or_default(),
                anchor,
                spans,
            );
            return Ok(Reading::Partial);
        }
        refused
    }

    /// Fields before the time: the first field is the first word that looks like an address (or
    /// the first word), the last one the last word when there are enough words for it.
    fn read_head(&self, head: &[u8], anchor: usize, spans: &mut [Span]) {
        let words = words(head);
        let (Some(first), Some(step)) = (words.first(), self.steps.first()) else {
            return;
        };
        let looks = |span: &&Span| {
            span.of(head).is_some_and(|word| {
                word.iter()
                    .all(|b| b.is_ascii_hexdigit() || matches!(b, b'.' | b':' | b','))
            })
        };
        let span = words.iter().find(looks).unwrap_or(first);
        if anchor > 0 {
            step.keep(spans, span.start(), span.end());
        }
        let last = anchor.checked_sub(1).and_then(|i| self.steps.get(i));
        if let (Some(step), Some(span), true) = (last, words.last(), words.len() > 2 && anchor > 1)
        {
            step.keep(spans, span.start(), span.end());
        }
    }

    /// The literal expected at step `index`, for error messages: the field's own is what failed.
    pub(super) fn describe(&self, index: u16) -> String {
        match self.steps.get(usize::from(index)) {
            None => "the end of the line, or a blank and more fields".to_owned(),
            Some(step) if step.shape == Shape::Clf => {
                "a time such as 31/Oct/2013:07:06:42 +0000".to_owned()
            }
            Some(step) if step.shape == Shape::Number => {
                format!(
                    "a number, then `{}`",
                    String::from_utf8_lossy(&step.literal.text)
                )
            }
            Some(step) if step.literal.text.is_empty() => "a value without blanks".to_owned(),
            Some(step) => format!(
                "a value, then `{}`",
                String::from_utf8_lossy(&step.literal.text)
            ),
        }
    }
}

impl Step {
    fn field(slot: Option<usize>, shape: Shape) -> Step {
        Step {
            slot,
            shape,
            quoted: false,
            literal: Literal::default(),
            rare: 0,
        }
    }

    fn end_with(&mut self, text: &[u8]) {
        self.literal = Literal::new(text);
        self.quoted = text.first() == Some(&b'"');
        let common = |b: &u8| match b {
            b' ' => 3,
            b if b.is_ascii_alphanumeric() => 2,
            b',' | b'.' | b':' | b'/' => 1,
            _ => 0,
        };
        self.rare = (0..text.len())
            .min_by_key(|&i| text.get(i).map_or(9, common))
            .unwrap_or_default();
    }

    #[inline]
    fn keep(&self, spans: &mut [Span], start: usize, end: usize) {
        if let Some(span) = self.slot.and_then(|slot| spans.get_mut(slot)) {
            *span = Span::new(start, end);
        }
    }

    /// Keeps what a line that ends inside this field has of it: the beginning of a quoted value, or
    /// a whole number. False when the line does not end here.
    fn keep_cut(&self, line: &[u8], spans: &mut [Span], at: usize) -> bool {
        let rest = line.get(at..).unwrap_or_default();
        let digits = self.shape == Shape::Number && rest.iter().all(u8::is_ascii_digit);
        let quoted = self.quoted && memchr(b'"', rest).is_none();
        let cut = quoted || rest == b"-" || (digits && !rest.is_empty());
        if cut {
            self.keep(spans, at, line.len());
        }
        cut
    }

    /// Position after the field that starts at `at`, where its literal stands.
    #[inline]
    fn end(&self, line: &[u8], at: usize, quoting: Quoting) -> Option<usize> {
        let rest = line.get(at..)?;
        let length = if self.quoted {
            match quoting {
                Quoting::Never => find_near(b'"', rest)?,
                Quoting::Backslash => unescaped_quote(rest)?,
            }
        } else {
            match self.shape {
                Shape::Clf => clf_length(rest)?,
                Shape::Number => number_length(rest)?,
                Shape::Token => token_length(rest, &self.literal.text)?,
                Shape::List | Shape::Text => return self.search(line, at),
            }
        };
        self.literal
            .stands_at(line, at + length)
            .then_some(at + length)
    }

    /// Finds the literal behind a field of no known shape by its rarest byte.
    fn search(&self, line: &[u8], at: usize) -> Option<usize> {
        let Some(rare) = self.literal.text.get(self.rare) else {
            return Some(line.len());
        };
        let mut from = at + self.rare;
        loop {
            let found = from + find_near(*rare, line.get(from..)?)?;
            let end = found - self.rare;
            let in_list = self.shape == Shape::List
                && self.literal.text.first() == Some(&b' ')
                && end > at
                && line.get(end - 1) == Some(&b',');
            if !in_list && self.literal.stands_at(line, end) {
                return Some(end);
            }
            from = found + 1;
        }
    }
}

fn mismatch(step: usize, at: usize) -> Mismatch {
    Mismatch {
        at: u32::try_from(at).unwrap_or(u32::MAX),
        expected: Expected::Segment(u16::try_from(step).unwrap_or(u16::MAX)),
    }
}

/// Length of a value that ends at the first quote with an even number of backslashes before it.
#[inline]
fn unescaped_quote(rest: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let found = from + find_near(b'"', rest.get(from..)?)?;
        let value = rest.get(..found)?;
        let backslashes = value.iter().rev().take_while(|&&b| b == b'\\').count();
        if backslashes % 2 == 0 {
            return Some(found);
        }
        from = found + 1;
    }
}

/// 26 when `rest` starts with the outline of a CLF time; digits are checked when it is parsed.
#[inline]
fn clf_length(rest: &[u8]) -> Option<usize> {
    match rest.get(..26)? {
        [
            _,
            _,
            b'/',
            _,
            _,
            _,
            b'/',
            _,
            _,
            _,
            _,
            b':',
            _,
            _,
            b':',
            _,
            _,
            b':',
            _,
            _,
            b' ',
            b'+' | b'-',
            ..,
        ] => Some(26),
        _ => None,
    }
}

#[inline]
fn number_length(rest: &[u8]) -> Option<usize> {
    match rest
        .iter()
        .position(|b| !b.is_ascii_digit())
        .unwrap_or(rest.len())
    {
        0 if rest.first() == Some(&b'-') => Some(1),
        0 => None,
        digits => Some(digits),
    }
}

/// A word: up to the first blank, or to the first byte of a literal that begins otherwise.
#[inline]
fn token_length(rest: &[u8], literal: &[u8]) -> Option<usize> {
    let stop = literal.first().copied().unwrap_or(b' ');
    let length = rest
        .iter()
        .position(|&b| b == stop || b == b' ')
        .unwrap_or(rest.len());
    (length > 0).then_some(length)
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(haystack, needle)
}

fn words(text: &[u8]) -> Vec<Span> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(last) = rest.iter().rposition(|&b| b != b' ') {
        let word = rest.get(..=last).unwrap_or_default();
        let start = memrchr(b' ', word).map_or(0, |blank| blank + 1);
        words.push(Span::new(start, last + 1));
        rest = rest.get(..start).unwrap_or_default();
    }
    words.reverse();
    words
}

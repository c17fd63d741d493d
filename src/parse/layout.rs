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
//!
//! A value that its server writes as it came, quotes and all, ends nowhere by itself: [`open`]
//! reads the line from both ends around it.

mod open;

use memchr::{memchr, memrchr};

use crate::definition::Unit;
use crate::record::{Escape, Expected, Mismatch, Reading, Span, find_near};

/// Times in a line from which a lenient reading sets out. A server writes one, and a line torn in
/// the middle of another two; each may lead to the end of the line and find nothing.
const TIMES: usize = 8;

/// What a field may hold, as far as that helps to find its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// `31/Oct/2013:07:06:42 +0000`.
    Clf,
    /// Digits, or a lone `-`.
    Number,
    /// At most three digits, or a lone `-`: more are two numbers that lost what was between them.
    Status,
    /// No blank inside.
    Token,
    /// A comma separated list; a blank after a comma does not end it.
    List,
    /// What nginx says of each server it asked: `a, b : c`. The value is that of the last one.
    Attempts,
    /// So many bytes, whatever they are.
    Fixed(usize),
    /// Up to the next occurrence of the literal that follows.
    Text,
    /// Digits behind an optional `+`, which is not kept; `-1`, `-` and `""` are absent (HAProxy).
    Signed,
    /// A word up to its last `:` where a `:` follows: an IPv6 address before its port.
    Address,
    /// A word that may hold quotes: only a blank ends it, or the quote before a blank.
    Word,
    /// A backslash stands before a quote inside the quotes, whatever the dialect does otherwise.
    Escaped,
    /// Bytes as a client sent them: quotes and blanks end nothing.
    Open,
    /// A lone `-`, or else `Open`: what a value that begins with its name can be.
    Cookie,
    /// `{a|b}`, in which neither brace nor bar stands; absent together with the blank before it.
    Braced,
}

impl Shape {
    /// True when a list of this shape goes on behind `value`, where `rest` begins with a blank.
    fn goes_on(self, value: &[u8], rest: &[u8]) -> bool {
        match self {
            Shape::List => value.ends_with(b","),
            Shape::Attempts => {
                value.ends_with(b",") || value.ends_with(b" :") || rest.starts_with(b" : ")
            }
            _ => false,
        }
    }
}

/// What stands last in a list of [`Shape::Attempts`]: what was said of the last server.
pub(super) fn last_attempt(list: &[u8]) -> Span {
    let list = list.strip_suffix(b" : ").unwrap_or(list);
    let before = memrchr(b' ', list).map_or(0, |blank| blank + 1);
    Span::new(before, list.len())
}

/// How a quoted value is kept from ending early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quoting {
    /// The dialect never writes a quote inside a value (nginx's default).
    Never,
    /// A backslash stands before a quote that belongs to the value (Apache, JSON).
    Backslash,
    /// Nothing keeps it (nginx's `escape=none`): it ends where all of the text behind it stands.
    Unescaped,
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
    /// Headers that HAProxy captured, `{a|b}`, or nothing at all.
    Captures {
        /// The field of what stands between the braces.
        whole: String,
        /// The fields of its parts, as far as they are known.
        parts: Vec<String>,
    },
}

impl Piece {
    /// The fields of the piece.
    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        let (first, others): (Option<&String>, &[String]) = match self {
            Piece::Literal(_) => (None, &[]),
            Piece::Field { name, .. } => (Some(name), &[]),
            Piece::Captures { whole, parts } => (Some(whole), parts),
        };
        first.into_iter().chain(others)
    }

    /// As [`Piece::names`], to change them.
    pub(super) fn names_mut(&mut self) -> impl Iterator<Item = &mut String> {
        let (first, others): (Option<&mut String>, &mut [String]) = match self {
            Piece::Literal(_) => (None, &mut []),
            Piece::Field { name, .. } => (Some(name), &mut []),
            Piece::Captures { whole, parts } => (Some(whole), parts),
        };
        first.into_iter().chain(others)
    }
}

/// A server's format string, as its dialect's compiler understood it.
#[derive(Debug)]
pub(super) struct ServerFormat {
    /// Literals and fields in their order.
    pub(super) pieces: Vec<Piece>,
    /// The unit of each field that does not count in seconds.
    pub(super) units: Vec<(String, Unit)>,
    /// How the field `time` is written, when the format string says so.
    pub(super) time_format: Option<String>,
    /// How a quoted value is kept from ending early.
    pub(super) quoting: Quoting,
    /// How values are escaped.
    pub(super) escape: Escape,
    /// Fields that are escaped in another way.
    pub(super) escapes: Vec<(String, Escape)>,
}

/// What is wrong inside a format string, and where.
pub(super) type FormatError = (std::ops::Range<usize>, String);

impl ServerFormat {
    /// A format string without pieces so far.
    pub(super) fn new(quoting: Quoting, escape: Escape) -> ServerFormat {
        ServerFormat {
            pieces: Vec::new(),
            units: Vec::new(),
            time_format: None,
            quoting,
            escape,
            escapes: Vec::new(),
        }
    }

    /// Adds text that stands in every line.
    pub(super) fn literal(&mut self, text: &[u8]) {
        match self.pieces.last_mut() {
            _ if text.is_empty() => {}
            Some(Piece::Literal(before)) => before.extend_from_slice(text),
            _ => self.pieces.push(Piece::Literal(text.to_vec())),
        }
    }

    /// Adds a field.
    pub(super) fn field(&mut self, name: impl Into<String>, shape: Shape) {
        self.pieces.push(Piece::Field {
            name: name.into(),
            shape,
        });
    }

    /// True when a field of this name is there.
    pub(super) fn has(&self, name: &str) -> bool {
        self.pieces
            .iter()
            .flat_map(Piece::names)
            .any(|known| known == name)
    }
}

/// A name in lower case with `_` for all that is neither letter nor digit.
pub(super) fn plain_name(text: &str) -> String {
    let letter = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            '_'
        }
    };
    text.chars().map(letter).collect()
}

/// A field and the literal that ends it.
#[derive(Clone, Debug)]
struct Step {
    /// Index into the caller's spans, when the field is wanted.
    slot: Option<usize>,
    /// Of a captured header's parts, which bars separate.
    parts: Box<[Option<usize>]>,
    shape: Shape,
    quoted: bool,
    /// How its end is found, which shape and quotes decide.
    way: Way,
    /// Its value is all that stands there.
    is_plain: bool,
    /// Empty only behind the last field.
    literal: Literal,
    /// Position in `literal` of the byte that is least likely inside a value.
    rare: usize,
}

/// How the end of a field is found. Few ways do for most fields, and those stand together where the
/// compiler puts them into the loop over the steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Clf,
    Number,
    Status,
    Token,
    /// Up to the next quote.
    Quote,
    /// Up to the next quote without a backslash.
    Backslash,
    /// Up to where the literal stands.
    Search,
    /// By what its shape says.
    Rare,
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
    /// Step of the time, when it has a shape that can be searched.
    anchor: Option<usize>,
    /// Step of the status.
    status: Option<usize>,
    /// Step of the client's address, or of the list that begins with it, before the time.
    address: Option<usize>,
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
        let (mut anchor, mut status, mut address, mut open) = (None, None, None, false);
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
                Piece::Field { name, .. } | Piece::Captures { whole: name, .. } if open => {
                    return Err(format!(
                        "nothing separates `{name}` from the field before it"
                    ));
                }
                Piece::Captures { whole, parts } => {
                    let mut step = Step::field(slot(whole), Shape::Braced);
                    step.parts = parts.iter().map(|part| slot(part)).collect();
                    steps.push(step);
                    open = true;
                }
                Piece::Field { name, shape } => {
                    if *shape == Shape::Clf {
                        anchor = anchor.or(Some(steps.len()));
                    }
                    if matches!(&**name, "remote_addr" | "http_x_forwarded_for") && anchor.is_none()
                    {
                        address = address.or(Some(steps.len()));
                    }
                    if name == "status" {
                        status = status.or(Some(steps.len()));
                    }
                    let shape = match shape {
                        Shape::Number if name == "status" => Shape::Status,
                        shape => *shape,
                    };
                    steps.push(Step::field(slot(name), shape));
                    open = true;
                }
            }
        }
        if steps.is_empty() {
            return Err("no field in this format".to_owned());
        }
        for step in &mut steps {
            step.way = step.way_with(quoting);
        }
        Ok(Layout {
            prefix: Literal::new(&prefix),
            steps,
            anchor,
            status,
            address,
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
            Some(step) if self.is_open(step) => self.read_open(line, spans, step, at),
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
            let Some(end) = step.end(line, at) else {
                match step.end_of_nothing(line, at) {
                    Some(end) => at = end,
                    None => return (Some(index), at),
                }
                step.leave_out(spans);
                continue;
            };
            step.take(line, spans, at, end);
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
            let from = self.prefix.text.len();
            let begins = self.prefix.stands_at(line, 0) && self.status.is_some();
            let read = begins && self.reads_beyond_status(line, spans, from, 0);
            return if read { Ok(Reading::Partial) } else { refused };
        };
        let before = anchor.checked_sub(1).and_then(|i| self.steps.get(i));
        let lead: &[u8] = before.map_or(&self.prefix.text, |step| &step.literal.text);
        let lead = lead.get(lead.len().saturating_sub(1)..).unwrap_or_default();
        let (mut from, mut times) = (0, 0);
        while let Some(open) = line.get(from..).and_then(|rest| find(rest, lead)) {
            let at = from + open + lead.len();
            from = from + open + 1;
            if !self.stands(line, at, anchor) {
                continue;
            }
            times += 1;
            if times > TIMES {
                return refused;
            }
            if !self.reads_beyond_status(line, spans, at, anchor) {
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

    /// True when the field of this step is at `at`, with its literal behind it.
    fn stands(&self, line: &[u8], at: usize, step: usize) -> bool {
        let step = self.steps.get(step);
        step.is_some_and(|step| step.end(line, at).is_some())
    }

    /// Reads as many fields as there are from step `first` on; true when the status, or the time
    /// of a format without one, is among them.
    fn reads_beyond_status(
        &self,
        line: &[u8],
        spans: &mut [Span],
        at: usize,
        first: usize,
    ) -> bool {
        spans.fill(Span::ABSENT);
        let (stopped, reached) = self.advance(line, spans, at, first);
        let read = stopped.unwrap_or(self.steps.len());
        if self.is_open(read) && self.joins_status(read) {
            return self.read_only_status(line, spans, read, reached);
        }
        // A status of which a digit may be missing is none.
        let whole = self.status != Some(read) || line.len().saturating_sub(reached) == 3;
        let step = self.steps.get(read).filter(|_| whole);
        let cut = step.is_some_and(|step| step.keep_cut(line, spans, reached));
        read + usize::from(cut) > self.status.unwrap_or(first) && self.has_status(line, at, first)
    }

    /// False when what stands in the place of a status is a number, but none of three digits: then
    /// the fields before it are not what they seem, and it is no status.
    fn has_status(&self, line: &[u8], mut at: usize, first: usize) -> bool {
        let Some(status) = self.status.filter(|status| *status >= first) else {
            return true;
        };
        for step in self.steps.iter().take(status).skip(first) {
            let end = step.end(line, at);
            let behind = end.map(|end| end + step.literal.text.len());
            let Some(behind) = behind.or_else(|| step.end_of_nothing(line, at)) else {
                return false;
            };
            at = behind;
        }
        let rest = line.get(at..).unwrap_or_default();
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        matches!(digits, 0 | 3)
    }

    /// Fields before the time: the address is the first word that looks like one (or the first
    /// word), the field right before the time the last word when there are enough words for it.
    fn read_head(&self, head: &[u8], anchor: usize, spans: &mut [Span]) {
        let words = words(head);
        let looks = |span: &&Span| {
            span.of(head).is_some_and(|word| {
                word.iter()
                    .all(|b| b.is_ascii_hexdigit() || matches!(b, b'.' | b':' | b','))
            })
        };
        let found = words.iter().find(looks).or(words.first());
        let address = self.address.and_then(|i| self.steps.get(i));
        if let (Some(step), Some(span)) = (address, found) {
            step.keep(spans, span.start(), span.end());
        }
        let last = anchor
            .checked_sub(1)
            .filter(|last| Some(*last) != self.address);
        let last = last.and_then(|i| self.steps.get(i));
        if let (Some(step), Some(span), true) = (last, words.last(), words.len() > 2) {
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
            Some(step) if matches!(step.shape, Shape::Number | Shape::Status | Shape::Signed) => {
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
            parts: Box::default(),
            shape,
            quoted: false,
            way: Way::Rare,
            is_plain: !matches!(shape, Shape::Signed | Shape::Braced | Shape::Attempts),
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

    /// Keeps the last value of a list as nginx writes one for `$upstream_…` variables
    /// (ngx_http_upstream_module): `, ` stands between servers of a group, ` : ` between groups,
    /// and a request that was turned over without asking another server ends in ` : `.
    fn keep_last_attempt(&self, line: &[u8], spans: &mut [Span], start: usize, end: usize) {
        let list = line.get(start..end).unwrap_or_default();
        let last = last_attempt(list);
        self.keep(spans, start + last.start(), start + last.end());
    }

    /// Keeps the field from `start` to `end` without what its shape puts around it.
    #[inline]
    fn take(&self, line: &[u8], spans: &mut [Span], start: usize, end: usize) {
        if self.is_plain {
            self.keep(spans, start, end);
        } else {
            self.take_rare(line, spans, start, end);
        }
    }

    fn take_rare(&self, line: &[u8], spans: &mut [Span], start: usize, end: usize) {
        match self.shape {
            Shape::Signed => match line.get(start) {
                Some(b'-' | b'"') => self.leave_out(spans),
                Some(b'+') => self.keep(spans, start + 1, end),
                _ => self.keep(spans, start, end),
            },
            Shape::Braced => self.take_parts(line, spans, start + 1, end - 1),
            Shape::Attempts => self.keep_last_attempt(line, spans, start, end),
            _ => self.keep(spans, start, end),
        }
    }

    /// The field has no value in this line.
    fn leave_out(&self, spans: &mut [Span]) {
        for slot in self.slot.iter().chain(self.parts.iter().flatten()) {
            if let Some(span) = spans.get_mut(*slot) {
                *span = Span::ABSENT;
            }
        }
    }

    /// What stands between the braces, and its parts between the bars.
    fn take_parts(&self, line: &[u8], spans: &mut [Span], start: usize, end: usize) {
        self.leave_out(spans);
        self.keep(spans, start, end);
        let mut from = start;
        let inside = line.get(start..end).unwrap_or_default();
        for (slot, part) in self.parts.iter().zip(inside.split(|&byte| byte == b'|')) {
            if let Some(span) = slot.and_then(|slot| spans.get_mut(slot)) {
                *span = Span::new(from, from + part.len());
            }
            from += part.len() + 1;
        }
    }

    /// Where the line goes on when nothing was captured: HAProxy merges the blanks around it.
    fn end_of_nothing(&self, line: &[u8], at: usize) -> Option<usize> {
        if self.shape != Shape::Braced || line.get(at) == Some(&b'{') {
            return None;
        }
        let literal = &self.literal.text;
        if let Some(rest) = literal.strip_prefix(b" ")
            && at.checked_sub(1).and_then(|before| line.get(before)) == Some(&b' ')
            && line.get(at..)?.starts_with(rest)
        {
            return Some(at + rest.len());
        }
        self.literal
            .stands_at(line, at)
            .then_some(at + literal.len())
    }

    /// Keeps what a line that ends inside this field has of it: the beginning of a quoted value, or
    /// a whole number. False when the line does not end here.
    fn keep_cut(&self, line: &[u8], spans: &mut [Span], at: usize) -> bool {
        let rest = line.get(at..).unwrap_or_default();
        let is_number = matches!(self.shape, Shape::Number | Shape::Status);
        let digits = is_number && rest.iter().all(u8::is_ascii_digit);
        let bounded = !matches!(self.shape, Shape::Open | Shape::Cookie | Shape::Signed);
        let quoted = self.quoted && bounded && memchr(b'"', rest).is_none();
        let cut = quoted || rest == b"-" || (digits && !rest.is_empty());
        if cut {
            self.keep(spans, at, line.len());
        }
        cut
    }

    fn way_with(&self, quoting: Quoting) -> Way {
        let is_rare = matches!(
            self.shape,
            Shape::Open | Shape::Signed | Shape::Escaped | Shape::Word
        );
        match (self.quoted, self.shape, quoting) {
            (true, ..) if is_rare => Way::Rare,
            (true, _, Quoting::Never) => Way::Quote,
            (true, _, Quoting::Backslash) => Way::Backslash,
            (true, _, Quoting::Unescaped) => Way::Search,
            (false, Shape::Clf, _) => Way::Clf,
            (false, Shape::Number, _) => Way::Number,
            (false, Shape::Status, _) => Way::Status,
            (false, Shape::Token | Shape::Word, _) => Way::Token,
            (false, Shape::List | Shape::Attempts | Shape::Text, _) => Way::Search,
            (false, ..) => Way::Rare,
        }
    }

    /// Position after the field that starts at `at`, where its literal stands.
    #[inline]
    fn end(&self, line: &[u8], at: usize) -> Option<usize> {
        let rest = line.get(at..)?;
        let length = match self.way {
            Way::Clf => clf_length(rest)?,
            Way::Number => number_length(rest)?,
            Way::Status => number_length(rest).filter(|digits| *digits <= 3)?,
            Way::Token => token_length(rest, &self.literal.text)?,
            Way::Quote => find_near(b'"', rest)?,
            Way::Backslash => unescaped_quote(rest)?,
            Way::Search => return self.search(line, at),
            Way::Rare => self.rare_length(rest)?,
        };
        self.literal
            .stands_at(line, at + length)
            .then_some(at + length)
    }

    /// Length of a field whose shape few formats have.
    #[inline(never)]
    fn rare_length(&self, rest: &[u8]) -> Option<usize> {
        match self.shape {
            Shape::Signed => signed_length(rest),
            Shape::Escaped if self.quoted => unescaped_quote(rest),
            Shape::Word => quoted_word_length(rest, &self.literal.text),
            Shape::Fixed(length) => Some(length),
            Shape::Address => address_length(rest, &self.literal.text),
            Shape::Braced => braced_length(rest),
            Shape::Cookie if rest.first() == Some(&b'-') => Some(1),
            _ => None,
        }
    }

    /// Finds the literal behind a field of no known shape by its rarest byte.
    fn search(&self, line: &[u8], at: usize) -> Option<usize> {
        let Some(rare) = self.literal.text.get(self.rare) else {
            return Some(line.len());
        };
        let lone = self.shape != Shape::Attempts && line.get(at) == Some(&b'-');
        if lone && self.literal.stands_at(line, at + 1) {
            return Some(at + 1);
        }
        let mut from = at + self.rare;
        loop {
            let found = from + find_near(*rare, line.get(from..)?)?;
            let end = found - self.rare;
            let goes_on = self.literal.text.first() == Some(&b' ')
                && end > at
                && self.shape.goes_on(line.get(at..end)?, line.get(end..)?);
            if !goes_on && self.literal.stands_at(line, end) {
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

/// `+` and digits, or one of the ways to say that there is no number.
fn signed_length(rest: &[u8]) -> Option<usize> {
    if rest.starts_with(b"-1") || rest.starts_with(b"\"\"") {
        return Some(2);
    }
    let sign = usize::from(rest.first() == Some(&b'+'));
    match number_length(rest.get(sign..)?)? {
        1 if sign == 1 && rest.get(1) == Some(&b'-') => None,
        digits => Some(sign + digits),
    }
}

/// A word; where its literal begins with a colon, up to the last colon inside.
fn address_length(rest: &[u8], literal: &[u8]) -> Option<usize> {
    if literal.first() != Some(&b':') {
        return token_length(rest, literal);
    }
    let word = rest.get(..token_length(rest, b" ")?)?;
    memrchr(b':', word).filter(|length| *length > 0)
}

/// A word in quotes with quotes inside, perhaps: the last one before a blank ends it.
fn quoted_word_length(rest: &[u8], literal: &[u8]) -> Option<usize> {
    match literal {
        [b'"'] | [b'"', b' ', ..] => {
            let blank = memchr(b' ', rest).unwrap_or(rest.len());
            memrchr(b'"', rest.get(..blank)?)
        }
        _ => find(rest, literal),
    }
}

/// `{…}` with its braces; a brace or a quote inside would be escaped.
fn braced_length(rest: &[u8]) -> Option<usize> {
    let inside = rest.strip_prefix(b"{")?;
    let length = memchr::memchr3(b'}', b'{', b'"', inside)?;
    (inside.get(length) == Some(&b'}')).then_some(length + 2)
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

#[cfg(test)]
mod tests {
    use super::super::made::{compiled, seen};
    use super::super::{EventTime, Format, Line, Zone};
    use crate::definition::{Dialect as Server, NginxEscape};
    use crate::record::{Fields as _, Reading, Span};
    use proptest::prelude::*;

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Dialect {
        Nginx,
        NginxJson,
        NginxNone,
        Apache,
        Varnishncsa,
    }

    fn compile(dialect: Dialect, text: &str) -> Result<Format, String> {
        let dialect = match dialect {
            Dialect::Nginx => Server::Nginx(NginxEscape::Default),
            Dialect::NginxJson => Server::Nginx(NginxEscape::Json),
            Dialect::NginxNone => Server::Nginx(NginxEscape::None),
            Dialect::Apache => Server::Apache,
            Dialect::Varnishncsa => Server::Varnishncsa,
        };
        compiled(dialect, text)
    }

    fn format(dialect: Dialect, text: &str) -> Format {
        compile(dialect, text).unwrap_or_else(|mistakes| panic!("{mistakes}"))
    }

    fn refused(dialect: Dialect, text: &str) -> String {
        compile(dialect, text).unwrap_err()
    }

    /// How the line was read, its values decoded by name, and its time.
    type Read = (Reading, Vec<(String, Vec<u8>)>, Option<EventTime>);

    fn read(format: &Format, line: &[u8]) -> Option<Read> {
        let seen = seen(format, line)?;
        Some((seen.reading, seen.values, seen.time))
    }

    fn field(format: &Format, line: &str, name: &str) -> String {
        let (_, values, _) = read(format, line.as_bytes()).expect(line);
        let value = values.into_iter().find(|(known, _)| known == name);
        value.map_or_else(
            || "absent".to_owned(),
            |(_, value)| String::from_utf8(value).unwrap(),
        )
    }

    /// A value as the server writes it.
    fn escape(dialect: Dialect, value: &[u8], out: &mut Vec<u8>) {
        for &byte in value {
            match (dialect, byte) {
                (Dialect::Nginx, b'"' | b'\\' | 0..=0x1f | 0x7f..) => {
                    out.extend_from_slice(format!("\\x{byte:02X}").as_bytes());
                }
                (Dialect::NginxJson, b'"' | b'\\') => out.extend_from_slice(&[b'\\', byte]),
                (Dialect::NginxJson, b'\n') => out.extend_from_slice(b"\\n"),
                (Dialect::NginxJson, 0..=0x1f) => {
                    out.extend_from_slice(format!("\\u{byte:04X}").as_bytes());
                }
                (Dialect::Apache, b'"' | b'\\') => out.extend_from_slice(&[b'\\', byte]),
                (Dialect::Apache, b'\n') => out.extend_from_slice(b"\\n"),
                (Dialect::Apache, b'\t') => out.extend_from_slice(b"\\t"),
                (Dialect::Apache, 0..=0x1f | 0x7f..) => {
                    out.extend_from_slice(format!("\\x{byte:02x}").as_bytes());
                }
                _ => out.push(byte),
            }
        }
    }

    /// A field of a made format: its variable in each dialect, its name, what it may hold.
    #[derive(Clone, Debug)]
    struct Made {
        nginx: &'static str,
        apache: &'static str,
        name: &'static str,
        quoted: bool,
        regex: &'static str,
    }

    const fn made(
        nginx: &'static str,
        apache: &'static str,
        name: &'static str,
        quoted: bool,
        regex: &'static str,
    ) -> Made {
        Made {
            nginx,
            apache,
            name,
            quoted,
            regex,
        }
    }

    const FIELDS: [Made; 9] = [
        made("$remote_addr", "%h", "remote_addr", false, ""),
        made("$remote_user", "%u", "remote_user", false, r".*?"),
        made("$status", "%>s", "status", false, r"[0-9]{1,3}|-"),
        made(
            "$body_bytes_sent",
            "%b",
            "body_bytes_sent",
            false,
            r"[0-9]+|-",
        ),
        made("$request", "%r", "request", true, ""),
        made("$http_referer", "%{Referer}i", "http_referer", true, ""),
        made(
            "${http_user_agent}",
            "%{User-Agent}i",
            "http_user_agent",
            true,
            "",
        ),
        made(
            "$http_x_thing",
            "%!200,304{X-Thing}i",
            "http_x_thing",
            true,
            "",
        ),
        made(
            "$connection_requests",
            "%k",
            "connection_requests",
            false,
            r"[0-9]+|-",
        ),
    ];

    /// A format, its regular expression, and for each field what is written: (format, regex,
    /// literals around the values, fields).
    #[derive(Clone, Debug)]
    struct Case {
        dialect: Dialect,
        fields: Vec<(Made, Vec<u8>)>,
        separator: &'static str,
        time_at: usize,
    }

    impl Case {
        fn text(&self) -> String {
            let mut text = String::new();
            for (number, (field, _)) in self.fields.iter().enumerate() {
                if number == self.time_at {
                    text += if self.dialect == Dialect::Apache {
                        "%t"
                    } else {
                        "[$time_local]"
                    };
                    text += self.separator;
                }
                let variable = if self.dialect == Dialect::Apache {
                    field.apache
                } else {
                    field.nginx
                };
                let quote = if field.quoted { "\"" } else { "" };
                text += &format!("{quote}{variable}{quote}{}", self.separator);
            }
            text + "end"
        }

        fn regex(&self) -> String {
            let mut text = "(?s-u)^".to_owned();
            let separator = regex::escape(self.separator);
            // A word ends at a blank and where its literal begins.
            let token = format!("[^ {}]+", &self.separator[..1]);
            for (number, (field, _)) in self.fields.iter().enumerate() {
                if number == self.time_at {
                    text += r"\[(?<time_local>../.../....:..:..:.. [+-]....)\]";
                    text += &separator;
                }
                let value = match (field.quoted, self.dialect) {
                    (false, _) if field.name == "remote_addr" => token.as_str(),
                    (false, _) => field.regex,
                    (true, Dialect::Nginx) => "[^\"]*",
                    (true, _) => r#"(?:[^"\\]|\\.)*"#,
                };
                let quote = if field.quoted { "\"" } else { "" };
                text += &format!("{quote}(?<{}>{value}){quote}{separator}", field.name);
            }
            text + "end$"
        }

        fn line(&self) -> Vec<u8> {
            let mut line = Vec::new();
            for (number, (field, value)) in self.fields.iter().enumerate() {
                if number == self.time_at {
                    line.extend_from_slice(b"[31/Oct/2013:07:06:42 +0000]");
                    line.extend_from_slice(self.separator.as_bytes());
                }
                let quote: &[u8] = if field.quoted { b"\"" } else { b"" };
                line.extend_from_slice(quote);
                escape(self.dialect, value, &mut line);
                line.extend_from_slice(quote);
                line.extend_from_slice(self.separator.as_bytes());
            }
            line.extend_from_slice(b"end");
            line
        }
    }

    fn value_of(field: Made) -> BoxedStrategy<(Made, Vec<u8>)> {
        let bytes = match (field.quoted, field.name) {
            (true, _) => prop_oneof![
                prop::collection::vec(any::<u8>(), 0..12),
                prop::collection::vec(prop::sample::select(b"\"\\ []-x 1|;".to_vec()), 0..12),
                Just(b"[31/Oct/2014:07:06:42 +0000] \"GET / HTTP/1.1\" 500 1 \"".to_vec()),
            ]
            .boxed(),
            (false, "remote_user") => "[a-z]{1,6}".prop_map(String::into_bytes).boxed(),
            (false, "remote_addr") => "[0-9.:a-f]{1,12}".prop_map(String::into_bytes).boxed(),
            (false, "status") => "[0-9]{1,3}|-".prop_map(String::into_bytes).boxed(),
            _ => "[0-9]{1,6}|-".prop_map(String::into_bytes).boxed(),
        };
        bytes.prop_map(move |bytes| (field.clone(), bytes)).boxed()
    }

    fn case() -> impl Strategy<Value = Case> {
        let fields = prop::sample::subsequence(FIELDS.to_vec(), 1..=9).prop_shuffle();
        let fields =
            fields.prop_flat_map(|fields| fields.into_iter().map(value_of).collect::<Vec<_>>());
        let dialect =
            prop::sample::select(vec![Dialect::Nginx, Dialect::NginxJson, Dialect::Apache]);
        let separator = prop::sample::select(vec![" ", "|", " - ", ";", " | "]);
        (dialect, fields, separator, 0usize..9).prop_map(|(dialect, fields, separator, time_at)| {
            let time_at = time_at % fields.len();
            // JSON strings are text; a byte that is none would come back as it is, too, but the
            // writer above knows only bytes.
            Case {
                dialect,
                fields,
                separator,
                time_at,
            }
        })
    }

    proptest! {
        #[test]
        fn what_a_server_writes_comes_back_as_it_was(case in case()) {
            let format = format(case.dialect, &case.text());
            let (reading, values, time) = read(&format, &case.line()).expect("written for the format");
            prop_assert_eq!(reading, Reading::Exact);
            prop_assert_eq!(time.unwrap().seconds, 1_383_203_202);
            for (field, value) in &case.fields {
                let found = values.iter().find(|(name, _)| name == field.name);
                prop_assert_eq!(&found.unwrap().1, value, "{}", field.name);
            }
        }

        #[test]
        fn a_compiled_format_is_its_regex_twin(
            case in case(),
            changes in prop::collection::vec((any::<prop::sample::Index>(), prop::option::of(prop::sample::select(b"\" \\-[]|;x1".to_vec()))), 0..3),
        ) {
            let mut line = case.line();
            for (at, byte) in &changes {
                let at = at.index(line.len());
                match byte {
                    Some(byte) => line[at] = *byte,
                    None => drop(line.remove(at)),
                }
            }
            let format = format(case.dialect, &case.text());
            let names = format.names();
            let mut spans = vec![Span::ABSENT; names.len()];
            let mut reader = format.reader(&names, &Zone::utc());
            let twin = regex::bytes::Regex::new(&case.regex()).unwrap();
            let groups = twin.captures(&line);
            match reader.read(&line, &mut spans) {
                Ok(Line::Record(Reading::Exact)) => {
                    let groups = groups.expect("the twin reads it, too");
                    for (name, span) in names.iter().zip(&spans) {
                        let group = groups.name(name).map(|group| (group.start(), group.end()));
                        prop_assert_eq!(group, Some((span.start(), span.end())), "{}", name);
                    }
                }
                // A regex goes back on its steps; a server's line never asks for that.
                _ => prop_assert!(groups.is_none() || !changes.is_empty()),
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(case in case(), line in prop::collection::vec(any::<u8>(), 0..120), cut in any::<prop::sample::Index>()) {
            let format = format(case.dialect, &case.text());
            drop(read(&format, &line));
            let whole = case.line();
            drop(read(&format, &whole[..cut.index(whole.len())]));
        }

        #[test]
        fn any_text_is_a_format_or_a_mistake(text in "[$%{}a-z\\[\\]\" <>!,0-9^\\\\é]{0,30}") {
            for dialect in [Dialect::Nginx, Dialect::NginxJson, Dialect::Apache, Dialect::Varnishncsa] {
                match compile(dialect, &text) {
                    Ok(format) => drop(read(&format, b"a [31/Oct/2013:07:06:42 +0000] 200")),
                    Err(mistakes) => prop_assert!(!mistakes.is_empty()),
                }
            }
        }

        #[test]
        fn header_content_cannot_steer_a_lenient_reading(
            header in prop::collection::vec(prop::sample::select(vec![
                "[31/Oct/2014:07:06:42 +0000] ", "\"", "GET /forged HTTP/1.1", "\" 200 5 \"", " ", "-", "\\", "[", "] ", "500 ",
            ]), 0..8),
            cut in any::<prop::sample::Index>(),
            dialect in prop::sample::select(vec![Dialect::Nginx, Dialect::Apache]),
        ) {
            let text = match dialect {
                Dialect::Apache => "%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-Agent}i\"",
                _ => "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \"$http_referer\" \"$http_user_agent\"",
            };
            let format = format(dialect, text);
            let mut line = b"192.0.2.1 - - [31/Oct/2013:07:06:42 +0000] \"GET /real?".to_vec();
            let header = header.concat();
            escape(dialect, header.as_bytes(), &mut line);
            let request_ends = line.len() + 10;
            line.extend_from_slice(b" HTTP/1.1\" 404 7 \"");
            escape(dialect, header.as_bytes(), &mut line);
            line.extend_from_slice(b"\" \"");
            escape(dialect, header.as_bytes(), &mut line);
            line.push(b'"');
            let end = cut.index(line.len() + 1);
            match read(&format, &line[..end]) {
                None => prop_assert!(end < request_ends + 8, "time and status are there"),
                Some((reading, values, time)) => {
                    let value = |name: &str| values.iter().find(|(known, _)| known == name).map(|(_, v)| v.clone());
                    prop_assert_eq!(reading == Reading::Exact, end == line.len());
                    prop_assert_eq!(time.unwrap().seconds, 1_383_203_202);
                    prop_assert_eq!(value("status"), Some(b"404".to_vec()));
                    prop_assert_eq!(value("remote_addr"), Some(b"192.0.2.1".to_vec()));
                    prop_assert!(value("request").unwrap().starts_with(b"GET /real?"));
                }
            }
        }

        #[test]
        fn the_last_server_asked_is_that_of_the_naive_twin(
            groups in prop::collection::vec(prop::collection::vec("[0-9]{1,3}|-|[a-z]{1,3}:[0-9]|unix:/s", 1..4), 1..4),
            turned_over in any::<bool>(),
            separator in prop::sample::select(vec![" ", " - ", "|", "\" "]),
        ) {
            let groups: Vec<String> = groups.iter().map(|group| group.join(", ")).collect();
            let mut list = groups.join(" : ");
            let last = list.rsplit(" : ").next().and_then(|group| group.rsplit(", ").next()).unwrap().to_owned();
            list.push_str(if turned_over { " : " } else { "" });
            let open = if separator.starts_with('"') { "\"" } else { "" };
            // Where the text behind a list may be a part of one, no reading is sure.
            prop_assume!(separator != " - " || !list.contains(" -"));
            let text = format!("[$time_local] {open}$upstream_addr{separator}$status");
            let line = format!("[31/Oct/2013:07:06:42 +0000] {open}{list}{separator}200");
            let format = format(Dialect::Nginx, &text);
            prop_assert_eq!(field(&format, &line, "upstream_addr"), last, "{}", line);
            prop_assert_eq!(field(&format, &line, "status"), "200", "{}", line);
        }

        #[test]
        fn a_lenient_reading_has_a_time_and_a_status(line in "[0-9.]{1,9}( [a-z-]{1,4}){0,4} (\\[31/Oct/2013:07:06:42 \\+0000\\] )?(\"[A-Z]{3} /[a-z]{0,5}\" )?([0-9]{3})?( [0-9]+)?( \"[a-z\\\\]{0,5}\"){0,3}") {
            let format = format(Dialect::Nginx, "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \"$http_referer\"");
            if let Some((_, values, time)) = read(&format, line.as_bytes()) {
                let status = values.iter().find(|(name, _)| name == "status");
                prop_assert!(status.is_some_and(|(_, status)| status.len() == 3), "{}", line);
                prop_assert!(time.is_some(), "{}", line);
            }
        }
    }

    #[test]
    fn fields_that_touch_are_refused() {
        assert!(
            refused(Dialect::Nginx, "[$time_local] $status$request")
                .contains("nothing separates `request`")
        );
        assert!(
            refused(Dialect::Apache, "%t %s%b").contains("nothing separates `body_bytes_sent`")
        );
        assert!(refused(Dialect::Nginx, "only text").contains("no field"));
        assert!(refused(Dialect::Nginx, "$status").contains("no field holds the time"));
        assert!(
            refused(Dialect::Nginx, "[$time_local] $ x")
                .contains("a variable name must follow `$`")
        );
        assert!(refused(Dialect::Apache, "%t %{Referer i").contains("must begin a directive"));
        assert!(refused(Dialect::Apache, "%t %Z").contains("no directive `%Z`"));
    }

    #[test]
    fn apaches_directives_have_nginxs_names() {
        for (text, line, name, value) in [
            ("%t %m \"%U%q\"", "GET \"/a?b=c\"", "request_uri", "/a?b=c"),
            ("%t %U|%q|%s", "/a|?b=c|200", "query_string", "?b=c"),
            ("%t 100%% %s", "100% 200", "status", "200"),
            ("%t\\t%s", "\t200", "status", "200"),
            ("%t %<s", "200", "status", "200"),
            (
                "%t \"%!200,304{Referer}i\" %s",
                "\"r\\\"x\" 200",
                "http_referer",
                "r\"x",
            ),
            (
                "%t %{X-Forwarded-For}i %h %s",
                "1.1.1.1, 2.2.2.2 3.3.3.3 200",
                "http_x_forwarded_for",
                "1.1.1.1, 2.2.2.2",
            ),
            (
                "%t %{X-Forwarded-For}i %h %s",
                "1.1.1.1, 2.2.2.2 3.3.3.3 200",
                "remote_addr",
                "3.3.3.3",
            ),
            ("%t %{ms}T %s", "12 200", "request_time", "12"),
            ("%t %p %{remote}p", "80 5000", "remote_port", "5000"),
            (
                "%t %{SSL_PROTOCOL}x|%s",
                "TLSv1.3|200",
                "ssl_protocol",
                "TLSv1.3",
            ),
            (
                "%t %{Content-Type}o|%s",
                "text/html; x|200",
                "sent_http_content_type",
                "text/html; x",
            ),
            ("%t %{id}C %s", "7 200", "cookie_id", "7"),
            ("%t %b", "-", "body_bytes_sent", "-"),
        ] {
            let format = format(Dialect::Apache, text);
            let blank = if text.starts_with("%t ") { " " } else { "" };
            let line = format!("[31/Oct/2013:07:06:42 +0000]{blank}{line}");
            assert_eq!(field(&format, &line, name), value, "{text}");
        }
        let shift = |text: &str| {
            format(Dialect::Apache, text)
                .field("request_time")
                .unwrap()
                .shift
        };
        assert_eq!(
            ["%t %D", "%t %T", "%t %{ms}T", "%t %{us}T"].map(shift),
            [-6, 0, -3, -6]
        );
    }

    #[test]
    fn every_directive_of_apache_has_a_field() {
        for (directive, line, name, value) in [
            ("%a", "::1", "remote_addr", "::1"),
            ("%{c}a", "192.0.2.1", "realip_remote_addr", "192.0.2.1"),
            ("%h", "host.example", "remote_addr", "host.example"),
            ("%{c}h", "h", "realip_remote_host", "h"),
            ("%A", "192.0.2.7", "server_addr", "192.0.2.7"),
            ("%B", "0", "body_bytes_sent", "0"),
            ("\"%{id}C\"", "\"7 8\"", "cookie_id", "7 8"),
            ("%{REGION}e", "eu", "env_REGION", "eu"),
            ("%f", "/var/www/x", "request_filename", "/var/www/x"),
            ("%H", "HTTP/1.1", "server_protocol", "HTTP/1.1"),
            (
                "%{X-CDN-Provider}i",
                "akamai",
                "http_x_cdn_provider",
                "akamai",
            ),
            ("%k", "3", "connection_requests", "3"),
            ("%l", "-", "remote_ident", "-"),
            ("%L", "VFZ/x", "log_id", "VFZ/x"),
            ("%{c}L", "VFZ/y", "connection_log_id", "VFZ/y"),
            ("%{hit}n", "1", "note_hit", "1"),
            ("%{Age}o", "12", "sent_http_age", "12"),
            ("%p", "80", "server_port", "80"),
            ("%{canonical}p", "443", "server_port", "443"),
            ("%{local}p", "8443", "server_port", "8443"),
            ("%{remote}p", "5000", "remote_port", "5000"),
            ("%P", "17", "pid", "17"),
            ("%{pid}P", "17", "pid", "17"),
            ("%{tid}P", "140", "tid", "140"),
            ("%{hextid}P", "7fa0", "tid", "7fa0"),
            ("%R", "proxy:http://x", "handler", "proxy:http://x"),
            ("%u", "frank", "remote_user", "frank"),
            ("%v", "www.example.com", "server_name", "www.example.com"),
            ("%V", "example.com", "host", "example.com"),
            ("%X", "+", "connection_status", "+"),
            ("%I", "148", "request_length", "148"),
            ("%O", "286", "bytes_sent", "286"),
            ("%S", "434", "bytes_transferred", "434"),
            ("%{X-T}^ti", "t", "trailer_x_t", "t"),
            ("%{X-T}^to", "t", "sent_trailer_x_t", "t"),
            ("%^FB", "1500", "time_to_first_byte", "1500"),
            ("%{SSL_CIPHER}x", "AES", "ssl_cipher", "AES"),
            ("%{version}c", "TLSv1.3", "ssl_protocol", "TLSv1.3"),
            ("%{cipher}c", "AES", "ssl_cipher", "AES"),
            ("%!200,304{Referer}>i", "r", "http_referer", "r"),
        ] {
            let format = format(Dialect::Apache, &format!("%t {directive} end"));
            let line = format!("[31/Oct/2013:07:06:42 +0000] {line} end");
            assert_eq!(field(&format, &line, name), value, "{directive}");
        }
    }

    #[test]
    fn two_requests_of_one_redirect_have_names_of_their_own() {
        let apache = |text: &str| format(Dialect::Apache, text).names();
        assert_eq!(
            apache("%t %s %>s"),
            ["time_local", "original_status", "status"]
        );
        assert_eq!(
            apache("%t %<s %>s"),
            ["time_local", "original_status", "status"]
        );
        assert_eq!(apache("%t %s"), ["time_local", "status"]);
        assert_eq!(apache("%t %>U|%U|"), ["time_local", "final_uri", "uri"]);
        assert_eq!(
            apache("%t %u|%<u|"),
            ["time_local", "remote_user", "original_remote_user"]
        );
        assert_eq!(
            apache("%h %a %t"),
            ["remote_host", "remote_addr", "time_local"]
        );
    }

    #[test]
    fn the_finer_of_two_durations_is_the_duration() {
        let format = format(Dialect::Apache, "%t %T %D");
        let line = "[31/Oct/2013:07:06:42 +0000] 1 1204567";
        assert_eq!(field(&format, line, "request_time"), "1204567");
        assert_eq!(format.field("request_time").unwrap().shift, -6);
        assert_eq!(field(&format, line, "coarse_request_time"), "1");
        assert_eq!(format.field("coarse_request_time").unwrap().shift, 0);
    }

    #[test]
    fn a_time_in_pieces_is_one_field() {
        let seconds = 1_383_203_202;
        for (text, line, nanos) in [
            // The example of mod_log_config.
            (
                "%h %{%d/%b/%Y %T}t.%{msec_frac}t %{%z}t %s",
                "::1 31/Oct/2013 09:06:42.250 +0200 200",
                250_000_000,
            ),
            ("[%{%F}t %{%T}t] %s", "[2013-10-31 07:06:42] 200", 0),
            (
                "%{%F %T}t,%{usec_frac}t %s",
                "2013-10-31 07:06:42,000007 200",
                7000,
            ),
            (
                "%{sec}t.%{msec_frac}t %s",
                "1383203202.250 200",
                250_000_000,
            ),
            (
                "%{sec}t%{usec_frac}t %s",
                "1383203202250000 200",
                250_000_000,
            ),
            ("%{msec}t %s", "1383203202250 200", 250_000_000),
            (
                "%{begin:%d/%b/%Y:%T %z}t %s",
                "31/Oct/2013:07:06:42 +0000 200",
                0,
            ),
            ("%{%c}t %s", "Thu Oct 31 07:06:42 2013 200", 0),
            (
                "%{%T}t %h %{%F %T}t %s",
                "07:06:42 ::1 2013-10-31 07:06:42 200",
                0,
            ),
            (
                "%{end:%T}t %{begin:%F %T}t %s",
                "07:06:43 2013-10-31 07:06:42 200",
                0,
            ),
        ] {
            for dialect in [Dialect::Apache, Dialect::Varnishncsa] {
                let format = format(dialect, text);
                let (reading, _, time) = read(&format, line.as_bytes()).expect(text);
                assert_eq!(reading, Reading::Exact, "{text}");
                assert_eq!(time, Some(EventTime { seconds, nanos }), "{text}");
                assert_eq!(field(&format, line, "status"), "200", "{text}");
            }
        }
        let apart = format(Dialect::Apache, "%{sec}t %h %{msec_frac}t %s");
        assert_eq!(field(&apart, "1383203202 ::1 250 200", "time_2"), "250");
        let both = format(Dialect::Apache, "%t %{usec_frac}t");
        assert_eq!(both.names(), ["time_local", "time"]);
        assert!(refused(Dialect::Apache, "%{%d/%b/%Y}t %h %{%T}t").contains("does not tell"));
        assert!(refused(Dialect::Apache, "%{msec_frac}t %h").contains("does not tell"));
    }

    #[test]
    fn varnishs_directives_have_nginxs_names() {
        for (text, line, name, value) in [
            (
                "%{Varnish:hitmiss}x",
                "miss",
                "upstream_cache_status",
                "miss",
            ),
            (
                "%{Varnish:hitmiss}x %{Varnish:handling}x",
                "miss pass",
                "upstream_cache_status",
                "pass",
            ),
            (
                "%{Varnish:hitmiss}x %{Varnish:handling}x",
                "miss pass",
                "varnish_hitmiss",
                "miss",
            ),
            (
                "%{Varnish:time_firstbyte}x",
                "0.001424",
                "time_to_first_byte",
                "0.001424",
            ),
            (
                "%{Varnish:side}x %{Varnish:vxid}x",
                "c 32770",
                "request_id",
                "32770",
            ),
            (
                "\"%{VCL_Log:my-key}x\"",
                r#""va\"l ue""#,
                "vcl_log_my_key",
                "va\"l ue",
            ),
            (
                "%{VSL:Timestamp:Resp[2]}x",
                "0.001461",
                "vsl_timestamp_resp_2",
                "0.001461",
            ),
            ("%U%q", "/a?b=c", "request_uri", "/a?b=c"),
            ("%U %q %m", "/synth  GET", "request_method", "GET"),
            ("%D %T %{ms}T", "1461 0 1", "request_time", "1461"),
            ("%I %O %H", "148 286 HTTP/1.1", "bytes_sent", "286"),
            (
                "%{Host}i \\x41\\\"%s\\\"",
                "www.example.com x41\"200\"",
                "http_host",
                "www.example.com",
            ),
        ] {
            let format = format(Dialect::Varnishncsa, &format!("%t {text} end"));
            let line = format!("[31/Oct/2013:07:06:42 +0000] {line} end");
            assert_eq!(field(&format, &line, name), value, "{text}");
        }
        let whole = format(Dialect::Varnishncsa, "%{Varnish:default_format}x %D");
        let line =
            r#"- - - [31/Oct/2013:07:06:42 +0000] "- http://localhost HTTP/1.0" 400 0 "-" "-" 0"#;
        assert_eq!(read(&whole, line.as_bytes()).unwrap().0, Reading::Exact);
        assert!(refused(Dialect::Varnishncsa, "%t 100%%").contains("no directive `%%`"));
        assert!(
            refused(Dialect::Varnishncsa, "%t %{Varnish:luck}x").contains("`%{Varnish:luck}x`")
        );
    }

    #[test]
    fn of_several_servers_asked_the_last_one_counts() {
        let text = "[$time_local] $upstream_addr $upstream_status \"$upstream_response_time\" $request_time";
        let nginx = format(Dialect::Nginx, text);
        for (addr, status, time, last) in [
            (
                "192.0.2.1:80",
                "200",
                "0.004",
                ["192.0.2.1:80", "200", "0.004"],
            ),
            (
                "192.0.2.1:80, unix:/tmp/s",
                "502, 200",
                "0.001, 0.004",
                ["unix:/tmp/s", "200", "0.004"],
            ),
            (
                "192.0.2.1:80, 192.0.2.2:80 : 192.0.2.3:80",
                "502, 504 : 200",
                "0.1, 60.0 : 0.004",
                ["192.0.2.3:80", "200", "0.004"],
            ),
            (
                "app : 192.0.2.3:80",
                "- : 200",
                "- : 0.004",
                ["192.0.2.3:80", "200", "0.004"],
            ),
            (
                "192.0.2.1:80 : ",
                "404 : ",
                "0.004 : ",
                ["192.0.2.1:80", "404", "0.004"],
            ),
            ("-", "-", "-", ["-", "-", "-"]),
            ("192.0.2.1:80, -", "502, -", "0.1, -", ["-", "-", "-"]),
        ] {
            let line = format!("[31/Oct/2013:07:06:42 +0000] {addr} {status} \"{time}\" 60.105");
            assert_eq!(
                read(&nginx, line.as_bytes()).unwrap().0,
                Reading::Exact,
                "{line}"
            );
            let names = ["upstream_addr", "upstream_status", "upstream_response_time"];
            assert_eq!(names.map(|name| field(&nginx, &line, name)), last, "{line}");
            assert_eq!(field(&nginx, &line, "request_time"), "60.105", "{line}");
        }
    }

    #[test]
    fn a_quote_that_nothing_escapes_ends_no_value() {
        let text = "[$time_local] \"$request\" $status \"$http_user_agent\" $request_time";
        let none = format(Dialect::NginxNone, text);
        // As nginx 1.22.1 wrote them.
        for (line, agent) in [
            (
                r#"[22/Nov/2026:10:38:47 +0000] "GET /app HTTP/1.1" 200 "U"A\ é" 0.001"#,
                r#"U"A\ é"#,
            ),
            (r#"[22/Nov/2026:10:38:47 +0000] "" 400 "" 0.005"#, ""),
        ] {
            assert_eq!(
                read(&none, line.as_bytes()).unwrap().0,
                Reading::Exact,
                "{line}"
            );
            assert_eq!(field(&none, line, "http_user_agent"), agent);
        }
    }

    #[test]
    fn a_status_that_a_client_wrote_beside_the_servers_is_not_taken() {
        let text = "[$time_local] \"$request\" $status \"$http_user_agent\" $request_time";
        let none = format(Dialect::NginxNone, text);
        let time = "[22/Nov/2026:10:38:47 +0000]";
        let agent = format!(r#"{time} "GET / HTTP/1.1" 503 "x" 0.001" 200 "y" 0.002"#);
        assert!(read(&none, agent.as_bytes()).is_none_or(|(how, ..)| how == Reading::Partial));
        let request = format!(r#"{time} "GET /?" 200 "a" 503 "b" 0.001"#);
        assert!(read(&none, request.as_bytes()).is_none_or(|(how, ..)| how == Reading::Partial));
        let cut = format!(r#"{time} "GET / HTTP/1.1" 503 "a b"#);
        assert_eq!(read(&none, cut.as_bytes()).unwrap().0, Reading::Partial);
        assert_eq!(field(&none, &cut, "status"), "503");
        let quotes = format!(r#"{time} "GET /?q="x" HTTP/1.1" 503 "a " b " c" 0.001"#);
        assert_eq!(read(&none, quotes.as_bytes()).unwrap().0, Reading::Exact);
        assert_eq!(field(&none, &quotes, "status"), "503");
        assert_eq!(field(&none, &quotes, "http_user_agent"), r#"a " b " c"#);
    }

    #[test]
    fn absent_values_are_empty_where_nginx_writes_nothing_for_them() {
        let text = "$remote_addr $msec $request_method $server_protocol $remote_port $upstream_status $upstream_response_time|$status";
        let json = format(Dialect::NginxJson, text);
        let line = "203.0.113.9 1383203202.250      |400";
        assert_eq!(read(&json, line.as_bytes()).unwrap().0, Reading::Exact);
        assert_eq!(field(&json, line, "status"), "400");
        assert_eq!(field(&json, line, "request_method"), "");
        let whole = "203.0.113.9 1383203202.250 GET HTTP/1.1 5000 502, 200 0.1, 0.2|200";
        assert_eq!(field(&json, whole, "upstream_status"), "200");
        assert_eq!(field(&json, whole, "request_method"), "GET");
    }

    #[test]
    fn a_strftime_time_is_its_own_fields() {
        let format = format(Dialect::Apache, "%{%Y-%m-%d %H:%M:%S}t|%s");
        let (.., time) = read(&format, b"2013-10-31 07:06:42|200").unwrap();
        assert_eq!(time.unwrap().seconds, 1_383_203_202);
        let format = self::format(Dialect::Apache, "%{sec}t %s");
        assert_eq!(
            read(&format, b"1383203202 200").unwrap().2.unwrap().seconds,
            1_383_203_202
        );
        let both = self::format(Dialect::Apache, "%t %{%Y}t|%s");
        let (.., time) = read(&both, b"[31/Oct/2013:07:06:42 +0000] 2013|200").unwrap();
        assert_eq!(time.unwrap().seconds, 1_383_203_202);
    }

    #[test]
    fn a_variable_that_stands_twice_gives_its_first_value() {
        let format = format(Dialect::Nginx, "[$time_local] $status $remote_user $status");
        assert_eq!(
            field(&format, "[31/Oct/2013:07:06:42 +0000] 200 u 500", "status"),
            "200"
        );
    }

    #[test]
    fn quotes_inside_values_end_them_only_where_the_dialect_says_so() {
        let line = r#"[31/Oct/2013:07:06:42 +0000] "a\" 500 \"b" 200"#;
        let apache = format(Dialect::Apache, "%t \"%r\" %s");
        assert_eq!(field(&apache, line, "status"), "200");
        let nginx = format(Dialect::Nginx, "[$time_local] \"$request\" $status");
        let (reading, ..) = read(&nginx, line.as_bytes()).unwrap();
        assert_ne!(reading, Reading::Exact, "nginx cannot have written it");
        let backslashes = r#"[31/Oct/2013:07:06:42 +0000] "a\\" 200"#;
        assert_eq!(field(&apache, backslashes, "request"), r"a\");
    }

    #[test]
    fn two_numbers_that_run_together_are_no_status() {
        let nginx = format(
            Dialect::Nginx,
            "[$time_local] \"$request\" $status $body_bytes_sent",
        );
        for line in [
            r#"[31/Oct/2013:07:06:42 +0000] "GET / HTTP/1.1" 2002326"#,
            r#"[31/Oct/2013:07:06:42 +0000] "GET / HTTP/1.1" 2005 2326"#,
        ] {
            assert!(read(&nginx, line.as_bytes()).is_none(), "{line}");
        }
        let own = format(
            Dialect::Nginx,
            "[$time_local] $upstream_status $status \"$uri\"",
        );
        let line = r#"[31/Oct/2013:07:06:42 +0000] 200 2005 "/""#;
        assert!(read(&own, line.as_bytes()).is_none());
    }

    /// Each time is followed by a list that has no end: a search from each would look at the rest of
    /// the line.
    #[test]
    fn a_line_of_times_is_given_up_after_a_few() {
        let text = "[$time_local] $upstream_addr $status \"$uri\"";
        let nginx = format(Dialect::Nginx, text);
        let torn = |times: usize| {
            let line = "[31/Oct/2013:07:06:4, +0000] : ".repeat(times);
            format!("{line}x [31/Oct/2013:07:06:42 +0000] a 200 \"/\"")
        };
        let (reading, ..) = read(&nginx, torn(super::TIMES - 2).as_bytes()).unwrap();
        assert_eq!(reading, Reading::Partial);
        assert!(read(&nginx, torn(20_000).as_bytes()).is_none());
    }
}

//! One line seen as fields: spans into the line's own bytes.
//!
//! Invariant: a span is inside the line it was read from, or absent. Nothing here copies or
//! decodes; escapes are resolved by [`escape`] when a rule asks for the value.

pub mod escape;
mod kept;
mod pattern;
mod scan;

pub use escape::Escape;
pub use kept::{Kept, LINE_BYTES};
pub use pattern::{compile_pattern, mistake_in};
pub use scan::find_near;

/// A byte range of a line, or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// The field is not in this line.
    pub const ABSENT: Span = Span {
        start: u32::MAX,
        end: u32::MAX,
    };

    /// The bytes from `start` up to, not including, `end`. Positions past 4 GiB are absent: lines
    /// are limited long before.
    pub fn new(start: usize, end: usize) -> Span {
        match (u32::try_from(start), u32::try_from(end)) {
            (Ok(start), Ok(end)) => Span { start, end },
            _ => Span::ABSENT,
        }
    }

    /// True when the field is not in this line.
    pub fn is_absent(self) -> bool {
        self.start == u32::MAX
    }

    /// The bytes of the field, undecoded; `None` when absent.
    pub fn of(self, line: &[u8]) -> Option<&[u8]> {
        line.get(self.start as usize..self.end as usize)
    }

    /// First byte's position in the line.
    pub fn start(self) -> usize {
        self.start as usize
    }

    /// Position after the last byte.
    pub fn end(self) -> usize {
        self.end as usize
    }
}

/// How well a line fitted its format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reading {
    /// A person would read it, the format would not: fields at the end or before the time are
    /// missing or cut; what is missing is absent.
    Partial,
    /// Every field was read and more text follows.
    Extra,
    /// The line is what the format says.
    Exact,
}

/// Why and where a line does not fit a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// Byte position in the line up to which the format was satisfied.
    pub at: u32,
    /// What should have stood there.
    pub expected: Expected,
}

/// What a format expected at the place where a line left it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// The n-th segment of a server's format string.
    Segment(u16),
    /// Something that has no place in a format string.
    Text(&'static str),
    /// The n-th of the fields that the format requires; the line was read to its end.
    Required(u16),
    /// A time, in a line that was read to its end.
    Time,
}

impl Mismatch {
    /// A mismatch at byte `at` where `text` was expected.
    pub fn text(at: usize, text: &'static str) -> Mismatch {
        Mismatch {
            at: u32::try_from(at).unwrap_or(u32::MAX),
            expected: Expected::Text(text),
        }
    }

    /// A line that was read to its end and lacks what every line of the format has.
    pub fn without(line: &[u8], expected: Expected) -> Mismatch {
        Mismatch {
            at: u32::try_from(line.len()).unwrap_or(u32::MAX),
            expected,
        }
    }
}

/// How a field of a format is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldKind {
    /// The escapes its writer uses.
    pub escape: Escape,
    /// Power of ten that turns its number into the base unit: -3 for milliseconds.
    pub shift: i32,
}

/// What a format offers by name.
pub trait Fields {
    /// The field with nginx's name `name`, or `None` when no line of this format has it.
    fn field(&self, name: &str) -> Option<FieldKind>;

    /// The value that every line has for this name, when the format says so.
    fn constant(&self, _name: &str) -> Option<&str> {
        None
    }

    /// Names to propose when a rule asks for one that does not exist.
    fn names(&self) -> Vec<String>;
}

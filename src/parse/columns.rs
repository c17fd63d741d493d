//! Columns by their names: which of them are wanted, and the two fields that one may hold.
//!
//! Invariant: wanted columns are in the order of the line, so that one pass over a record finds
//! them all. A column whose name has a `/` or `:` in it (`cache_status/status`,
//! `remote_addr:remote_port`) holds two fields with this character between them.
//!
//! It does not look for the ends of columns: `w3c` and `csv` do.

use memchr::{memchr, memrchr};

use crate::record::Span;

/// The columns of a record, as far as they are wanted.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    /// How many columns a record has, at least 1.
    pub(super) count: usize,
    /// The name of each column, in the order of the record.
    names: Vec<String>,
    /// In the order of the columns.
    wanted: Vec<Wanted>,
    /// The value that says that there is none; may be empty.
    absent: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Wanted {
    column: usize,
    slot: usize,
    part: Part,
}

/// What of a column a field is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Whole,
    Before(u8),
    Behind(u8),
}

impl Columns {
    /// Columns called `names`, of which the fields `wanted` are written to spans in their order. A
    /// field that several columns hold is read from the first. None when no column is named.
    pub(super) fn new(names: Vec<String>, wanted: &[String]) -> Option<Columns> {
        let place = |(slot, field): (usize, &String)| {
            let mut columns = names.iter().enumerate();
            columns.find_map(|(column, name)| {
                let part = part_of(name, field)?;
                Some(Wanted { column, slot, part })
            })
        };
        let mut wanted: Vec<Wanted> = wanted.iter().enumerate().filter_map(place).collect();
        wanted.sort_unstable();
        (!names.is_empty()).then_some(Columns {
            count: names.len(),
            names,
            wanted,
            absent: Vec::new(),
        })
    }

    /// The same columns, where the value `absent` says that there is none.
    pub(super) fn with_absent(self, absent: &str) -> Columns {
        Columns {
            absent: absent.as_bytes().to_vec(),
            ..self
        }
    }

    /// The fields that the columns hold.
    pub(super) fn fields(&self) -> Vec<String> {
        let fields = self.names.iter().flat_map(|name| fields_of(name));
        fields.map(str::to_owned).collect()
    }

    /// What is written of a record, from its first column on.
    pub(super) fn record<'c>(&'c self, line: &'c [u8], out: &'c mut [Span]) -> Record<'c> {
        Record {
            line,
            wanted: &self.wanted,
            absent: &self.absent,
            out,
        }
    }
}

/// A record being read; columns are given to it in their order.
pub(super) struct Record<'c> {
    line: &'c [u8],
    wanted: &'c [Wanted],
    absent: &'c [u8],
    out: &'c mut [Span],
}

impl Record<'_> {
    /// The next column that is wanted; none when the rest of the record is not.
    #[inline]
    pub(super) fn next_wanted(&self) -> Option<usize> {
        self.wanted.first().map(|wanted| wanted.column)
    }

    /// Writes the fields that `column` holds; `span` is its value.
    #[inline]
    pub(super) fn put(&mut self, column: usize, span: Span) {
        while let Some((first, rest)) = self.wanted.split_first()
            && first.column == column
        {
            let span = match first.part {
                Part::Whole if !self.absent.is_empty() && self.is_absent(span) => Span::ABSENT,
                Part::Whole => span,
                part => part.of(span, self.line),
            };
            if let Some(place) = self.out.get_mut(first.slot) {
                *place = span;
            }
            self.wanted = rest;
        }
    }

    fn is_absent(&self, span: Span) -> bool {
        span.of(self.line) == Some(self.absent)
    }
}

impl Part {
    /// The part of a value. A `:` is the last one, for addresses hold some; the brackets of IPv6 are
    /// not part of an address. A value without the character is all before it.
    fn of(self, span: Span, line: &[u8]) -> Span {
        let text = span.of(line).unwrap_or_default();
        let find = |byte| match byte {
            b':' => memrchr(byte, text).filter(|_| text.last() != Some(&b']')),
            _ => memchr(byte, text),
        };
        match self {
            Part::Whole => span,
            Part::Behind(byte) => find(byte).map_or(Span::ABSENT, |at| {
                Span::new(span.start() + at + 1, span.end())
            }),
            Part::Before(byte) => {
                let end = find(byte).unwrap_or(text.len());
                let before = text.get(..end).unwrap_or_default();
                match before {
                    [b'[', .., b']'] => Span::new(span.start() + 1, span.start() + end - 1),
                    _ => Span::new(span.start(), span.start() + end),
                }
            }
        }
    }
}

/// The two fields of a column's name, and what stands between them.
pub(super) fn halves(name: &str) -> Option<(&str, u8, &str)> {
    let at = name.find(['/', ':'])?;
    let (before, behind) = (name.get(..at)?, name.get(at + 1..)?);
    let byte = *name.as_bytes().get(at)?;
    (!before.is_empty() && !behind.is_empty()).then_some((before, byte, behind))
}

/// The fields of a column; none for one that is called `-`.
pub(super) fn fields_of(name: &str) -> impl Iterator<Item = &str> {
    let (first, second) = match halves(name) {
        Some((before, _, behind)) => (before, Some(behind)),
        None => (name, None),
    };
    let fields = [Some(first), second].into_iter().flatten();
    fields.filter(|field| !matches!(*field, "" | "-"))
}

fn part_of(name: &str, field: &str) -> Option<Part> {
    if matches!(field, "" | "-") {
        return None;
    }
    match halves(name) {
        Some((before, byte, _)) if before == field => Some(Part::Before(byte)),
        Some((_, byte, behind)) if behind == field => Some(Part::Behind(byte)),
        None if name == field => Some(Part::Whole),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fields of one column's value.
    fn split<'v>(name: &str, value: &'v str) -> Vec<Option<&'v str>> {
        let fields: Vec<String> = fields_of(name).map(str::to_owned).collect();
        let columns = Columns::new(vec![name.to_owned()], &fields).unwrap();
        let mut out = vec![Span::ABSENT; fields.len()];
        let mut record = columns.record(value.as_bytes(), &mut out);
        record.put(0, Span::new(0, value.len()));
        let text = |span: Span| span.of(value.as_bytes());
        let texts = out.into_iter().map(text);
        texts
            .map(|text| text.map(|text| std::str::from_utf8(text).unwrap()))
            .collect()
    }

    #[test]
    fn a_column_with_a_slash_holds_two_fields() {
        let both = |value| split("cache_status/status", value);
        assert_eq!(both("TCP_HIT/200"), [Some("TCP_HIT"), Some("200")]);
        assert_eq!(both("a/b/c"), [Some("a"), Some("b/c")]);
        assert_eq!(both("-"), [Some("-"), None]);
        assert_eq!(both(""), [Some(""), None]);
        assert_eq!(both("/"), [Some(""), Some("")]);
    }

    #[test]
    fn a_port_is_behind_the_last_colon() {
        let both = |value| split("remote_addr:remote_port", value);
        assert_eq!(both("192.0.2.1:80"), [Some("192.0.2.1"), Some("80")]);
        assert_eq!(both("[2001:db8::1]:80"), [Some("2001:db8::1"), Some("80")]);
        assert_eq!(both("2001:db8::1:80"), [Some("2001:db8::1"), Some("80")]);
        assert_eq!(both("[2001:db8::1]"), [Some("2001:db8::1"), None]);
        assert_eq!(both("-"), [Some("-"), None]);
        assert_eq!(both("[]:1"), [Some(""), Some("1")]);
    }

    #[test]
    fn only_one_field_of_two_may_be_wanted() {
        assert_eq!(split("-/status", "TCP_HIT/200"), [Some("200")]);
        assert_eq!(split("remote_addr:-", "192.0.2.1:80"), [Some("192.0.2.1")]);
        assert!(split("-", "x").is_empty());
        assert_eq!(split(":x", "1:2"), [Some("1:2")]);
    }
}

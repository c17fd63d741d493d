//! What a format has to say about a line beyond its spans, for people and for detection: why it was not
//! read, how well the two agree, which members of its families it has.
//!
//! None of it is asked on the way of a counted line.

use super::json::{all_keys, header_name};
use super::{Format, Layout, Reader, Time, envelope, layout};
use crate::record::{Expected, Mismatch, Span};

/// What [`Agreement::of`] says when format and line agree in everything.
pub const FULL: u64 = 1000;

/// How much of a line a format knows, and how much of the format the line has.
///
/// A server's format string says it by being read exactly or not. JSON objects and W3C records name
/// their values themselves, and any format of the kind reads them all: of these the one that knows most
/// is right.
#[derive(Debug)]
pub struct Agreement {
    /// Fields that the layout names.
    names: Vec<String>,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Whole,
    Json,
    W3c,
}

impl Agreement {
    /// What it takes to compare lines with `format`; they are read for the fields [`Agreement::names`].
    pub fn with(format: &Format) -> Agreement {
        let (mut names, kind) = match &format.layout {
            Layout::Json { .. } => (super::layout_names(&format.layout), Kind::Json),
            Layout::W3c { .. } => (super::layout_names(&format.layout), Kind::W3c),
            _ => (Vec::new(), Kind::Whole),
        };
        names.sort();
        names.dedup();
        Agreement { names, kind }
    }

    /// The fields that a reader must be made for; their spans are the first.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The agreement with a line that was read, in thousandths, at least 1: the geometric mean of the
    /// part of the line that the format names and the part of the format that the line has. A W3C
    /// format promises no columns, so only the first part is asked of it.
    pub fn of(&self, line: &[u8], spans: &[Span], reader: &Reader) -> u64 {
        let known = match self.kind {
            Kind::Whole => return FULL,
            Kind::Json => {
                let present = spans.iter().take(self.names.len());
                present.filter(|span| !span.is_absent()).count()
            }
            Kind::W3c => {
                let columns = reader.columns();
                let known = columns.iter().filter(|name| self.names.contains(name));
                return part(known.count(), columns.len()).max(1);
            }
        };
        let of_line = part(known, all_keys(inside(line)).len());
        let of_format = part(known, self.names.len());
        (of_line * of_format).isqrt().max(1)
    }
}

/// The line behind its header.
fn inside(line: &[u8]) -> &[u8] {
    let start = envelope::prefix(line).map_or(0, |prefix| prefix.message);
    line.get(start..).unwrap_or_default()
}

/// Thousandths, at most all of them.
fn part(some: usize, all: usize) -> u64 {
    let (some, all) = (some.min(all) as u64, all.max(1) as u64);
    some * FULL / all
}

impl Format {
    /// What a format expected where a line left it, in words.
    pub fn explain(&self, mismatch: Mismatch) -> String {
        match (mismatch.expected, &self.layout) {
            (Expected::Text(text), _) => text.to_owned(),
            (Expected::Segment(number), Layout::Server { pieces, quoting }) => {
                match layout::Layout::compile(pieces, *quoting, |_| None) {
                    Ok(layout) => layout.describe(number),
                    Err(message) => message,
                }
            }
            (Expected::Segment(_), _) => "something else".to_owned(),
            (Expected::Required(number), _) => {
                let name = self.require.get(usize::from(number)).map(String::as_str);
                format!("a line with {}", self.place_of(name.unwrap_or_default()))
            }
            (Expected::Time, _) => match &self.time {
                Time::Field { name, .. } => format!("a time in {}", self.place_of(name)),
                _ => "a time".to_owned(),
            },
        }
    }

    /// Why a line was not read, in a few words: where it left the format and what should have stood
    /// there, or what it lacks.
    pub fn reason(&self, mismatch: Mismatch) -> String {
        let expected = self.explain(mismatch);
        match mismatch.expected {
            Expected::Required(_) => {
                format!("no{}", expected.strip_prefix("a line with").unwrap_or(""))
            }
            Expected::Time => format!("no{}", expected.strip_prefix('a').unwrap_or(&expected)),
            Expected::Segment(_) | Expected::Text(_) => {
                format!("at byte {} expected {expected}", mismatch.at)
            }
        }
    }

    /// A field, and where it would stand in the line's object.
    fn place_of(&self, name: &str) -> String {
        if let Layout::Json { fields, .. } = &self.layout
            && let Some((_, path)) = fields.iter().find(|(known, _)| known == name)
        {
            return format!("`{name}` at `{path}`");
        }
        format!("`{name}`")
    }

    /// Names of fields beyond the named ones that a line may have: members of a JSON format's families,
    /// of which every present one is among them. Cheap enough for every line, so without looking where
    /// a member stands.
    pub fn family_members(&self, line: &[u8], mut visit: impl FnMut(String)) {
        let Layout::Json { families, .. } = &self.layout else {
            return;
        };
        if families.is_empty() {
            return;
        }
        for key in all_keys(inside(line)) {
            let key = header_name(&key);
            for (prefix, template) in families {
                if let Some(name) = template.name_in(&key) {
                    visit(format!("{prefix}{name}"));
                }
            }
        }
    }
}

//! The values that rules ask of a line, each computed once.
//!
//! A value lies in the line itself, in a scratch buffer that is emptied before the next line, or is
//! one of a few constants; passing it around copies a few words. Nothing is allocated once the
//! buffers have grown to the longest line.

use std::io::Write as _;
use std::net::IpAddr;

use regex::bytes::{CaptureLocations, Regex};

use super::evaluate::Environment;
use super::memo::Memo;
use super::variables::{CODES, Derived, VarId, Variable};
use super::{Rules, request};
use crate::definition::Case;
use crate::geo::GeoCache;
use crate::metrics::Decimal;
use crate::record::{FieldKind, Kept, Span, escape};

/// Where a computed value lies.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value {
    Absent,
    /// A range of the line.
    Line(u32, u32),
    /// A range of the scratch buffer.
    Scratch(u32, u32),
    /// One of [`CODES`].
    Code(u8),
    /// The address that this entry of the state holds.
    Address(u32),
}

/// When and where a record stands: decides which gauge value is the newest.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Unix seconds.
    pub seconds: i64,
    /// Nanoseconds beyond them.
    pub nanos: u32,
    /// Grows along the inputs.
    pub position: u64,
}

impl Moment {
    /// Nanoseconds since the year 1677: later is larger, and never 0.
    pub(super) fn order(self) -> u64 {
        let nanos = i128::from(self.seconds) * 1_000_000_000 + i128::from(self.nanos);
        u64::try_from((nanos + (1 << 63)).max(1)).unwrap_or(u64::MAX)
    }
}

/// What one worker knows between lines. A stamp beside a value is the number of the line that it
/// was computed for.
#[derive(Debug)]
pub(super) struct State {
    pub(super) environment: Environment,
    pub(super) geo: GeoCache,
    pub(super) line_number: u32,
    pub(super) values: Vec<(u32, Value)>,
    pub(super) addresses: Vec<IpAddr>,
    pub(super) labels: Vec<(u32, u32)>,
    pub(super) memos: Vec<Memo>,
    pub(super) series: Vec<(u32, u32)>,
    pub(super) groups: Vec<Option<CaptureLocations>>,
    pub(super) scratch: Vec<u8>,
    pub(super) spare: Vec<u8>,
    pub(super) value_errors: Vec<u64>,
    /// Near misses and the matcher that failed.
    pub(super) near_misses: Kept<String>,
}

/// A line, the spans of its wanted fields, and the rules it goes through.
#[derive(Clone, Copy)]
pub(super) struct Line<'l> {
    pub(super) bytes: &'l [u8],
    pub(super) spans: &'l [Span],
    pub(super) rules: &'l Rules,
}

impl<'l> Line<'l> {
    /// The bytes of a field as they stand in the line; `-` and empty are absent.
    #[inline]
    pub(super) fn raw(&self, slot: usize) -> Option<&'l [u8]> {
        let raw = self.spans.get(slot)?.of(self.bytes)?;
        (!matches!(raw, b"" | b"-")).then_some(raw)
    }
}

impl State {
    /// The value of an entry, computed once a line.
    #[inline]
    pub(super) fn value(&mut self, line: Line<'_>, id: VarId) -> Value {
        match self.values.get(id) {
            Some(&(stamp, value)) if stamp == self.line_number => value,
            _ => {
                let value = self.compute(line, id);
                if let Some(known) = self.values.get_mut(id) {
                    *known = (self.line_number, value);
                }
                value
            }
        }
    }

    fn compute(&mut self, line: Line<'_>, id: VarId) -> Value {
        match line.rules.variables.get(id) {
            None | Some(Variable::Absent) => Value::Absent,
            Some(Variable::Constant(text)) => self.constant(Some(text)),
            Some(Variable::Field(slot, kind)) => self.field(line, *slot, *kind),
            Some(Variable::Method(of)) => self.part(line, *of, request::method),
            Some(Variable::Target(of)) => self.part(line, *of, request::target),
            Some(Variable::Protocol(of)) => self.part(line, *of, request::protocol),
            Some(Variable::Path(of)) => self.part(line, *of, request::path),
            Some(Variable::Query(of)) => self.part(line, *of, request::query),
            Some(Variable::Authority(of)) => self.part(line, *of, request::authority),
            Some(Variable::Host(of)) => self.part(line, *of, request::host),
            Some(Variable::Parameter(of, name)) => self.parameter(line, *of, name),
            Some(Variable::Cookie(of, name)) => {
                self.part(line, *of, |text| request::cookie(text, name.as_bytes()))
            }
            Some(Variable::Code(of)) => self.code(line, *of),
            Some(Variable::First(ids)) => self.first(line, ids),
            Some(Variable::Derived(derived)) => {
                let input = self.value(line, derived.from);
                self.derive(line, id, derived, input)
            }
            Some(Variable::Client(sources)) => self.client(line, id, sources),
            Some(Variable::Provider {
                of,
                other_than,
                none,
            }) => self.provider(line, *of, *other_than, none.as_deref()),
            Some(Variable::Place { place, of, empty }) => self.place(line, *place, *of, empty),
            Some(Variable::FileLabel(number)) => self.file_label(*number),
        }
    }

    /// The bytes of a value; empty when absent.
    #[inline]
    pub(super) fn text<'t>(&'t mut self, line: Line<'t>, value: Value) -> &'t [u8] {
        let value = match value {
            Value::Address(_) => self.buffered(value),
            value => value,
        };
        plain(line, &self.scratch, value).unwrap_or_default()
    }

    /// The value as a range of a buffer: codes and addresses are written out.
    pub(super) fn buffered(&mut self, value: Value) -> Value {
        let start = self.scratch.len();
        match value {
            Value::Code(number) => {
                let code = CODES.get(usize::from(number)).copied().unwrap_or_default();
                self.scratch.extend_from_slice(code.as_bytes());
            }
            Value::Address(id) => {
                let address = self.addresses.get(id as usize).copied();
                let written = address.map(|address| write!(self.scratch, "{address}"));
                written.and_then(Result::ok).unwrap_or_default();
            }
            buffered => return buffered,
        }
        scratch_value(start, self.scratch.len())
    }

    /// Appends to the scratch buffer and names what was appended.
    fn scratched(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Value {
        let start = self.scratch.len();
        write(&mut self.scratch);
        scratch_value(start, self.scratch.len())
    }

    /// A field of the format, decoded; `-` and empty are absent.
    #[inline]
    fn field(&mut self, line: Line<'_>, slot: usize, kind: FieldKind) -> Value {
        match (line.raw(slot), line.spans.get(slot)) {
            (Some(raw), _) if kind.shift != 0 => self.in_base_unit(raw, kind.shift),
            (Some(raw), _) if kind.escape.needs_decoding(raw) => {
                self.scratched(|scratch| kind.escape.decode_into(raw, scratch))
            }
            (Some(_), Some(span)) => value_at(span.start(), span.end()),
            _ => Value::Absent,
        }
    }

    /// A number in seconds, however its server counts; what is no number stays as it is.
    fn in_base_unit(&mut self, raw: &[u8], shift: i32) -> Value {
        let start = self.scratch.len();
        let written = Decimal::parse(raw, shift).map(|number| write!(self.scratch, "{number}"));
        if !matches!(written, Some(Ok(()))) {
            self.scratch.extend_from_slice(raw);
        }
        scratch_value(start, self.scratch.len())
    }

    /// A part of another value, as the range that `find` names.
    #[inline]
    fn part(
        &mut self,
        line: Line<'_>,
        of: VarId,
        find: impl FnOnce(&[u8]) -> Option<(usize, usize)>,
    ) -> Value {
        let whole = self.value(line, of);
        let whole = self.buffered(whole);
        let Some((start, end)) = find(self.text(line, whole)).filter(|(start, end)| start < end)
        else {
            return Value::Absent;
        };
        within(whole, start, end)
    }

    fn parameter(&mut self, line: Line<'_>, of: VarId, name: &str) -> Value {
        let query = self.value(line, of);
        let text = plain(line, &self.scratch, query).unwrap_or_default();
        let Some(raw) =
            escape::query_parameter(text, name.as_bytes()).filter(|raw| !raw.is_empty())
        else {
            return Value::Absent;
        };
        let plus = escape::Escape::PlusPercent;
        if plus.needs_decoding(raw) {
            self.spare.clear();
            plus.decode_into(raw, &mut self.spare);
            let start = self.scratch.len();
            self.scratch.extend_from_slice(&self.spare);
            return scratch_value(start, self.scratch.len());
        }
        let start = raw.as_ptr().addr() - text.as_ptr().addr();
        let end = start + raw.len();
        within(query, start, end)
    }

    fn code(&mut self, line: Line<'_>, of: VarId) -> Value {
        let status = self.value(line, of);
        let code = match self.text(line, status) {
            b"" => return Value::Absent,
            text => code(text),
        };
        Value::Code(code)
    }

    /// The first that is present and holds anything.
    fn first(&mut self, line: Line<'_>, ids: &[VarId]) -> Value {
        for &id in ids {
            let value = self.value(line, id);
            let text = plain(line, &self.scratch, value);
            if matches!(value, Value::Address(_)) || text.is_some_and(|text| !text.is_empty()) {
                return value;
            }
        }
        Value::Absent
    }

    /// regex → lowercase or uppercase → map → values/other; `empty` when absent.
    pub(super) fn derive(
        &mut self,
        line: Line<'_>,
        id: VarId,
        derived: &Derived,
        input: Value,
    ) -> Value {
        let mut value = self.buffered(input);
        if let Some(regex) = &derived.regex {
            value = self.first_group(line, id, regex, value);
        }
        if let Some(case) = derived.case {
            value = self.in_case(line, case, value);
        }
        if let Some(mapped) = derived.map.of(self.text(line, value)) {
            value = self.scratched(|scratch| scratch.extend_from_slice(mapped.as_bytes()));
        }
        let text = self.text(line, value);
        if text.is_empty() {
            return self.constant(derived.empty.as_deref());
        }
        let declared = derived
            .values
            .as_ref()
            .is_none_or(|values| values.contains(text));
        match &derived.other {
            Some(other) if !declared => self.constant(Some(other)),
            _ => value,
        }
    }

    /// The first group that took part, or the whole match of a pattern without groups.
    fn first_group(&mut self, line: Line<'_>, id: VarId, regex: &Regex, value: Value) -> Value {
        let Some(Some(groups)) = self.groups.get_mut(id) else {
            return Value::Absent;
        };
        let text = plain(line, &self.scratch, value).unwrap_or_default();
        if regex.captures_read(groups, text).is_none() {
            return Value::Absent;
        }
        let first = if groups.len() == 1 {
            groups.get(0)
        } else {
            (1..groups.len()).find_map(|n| groups.get(n))
        };
        first.map_or(Value::Absent, |(start, end)| within(value, start, end))
    }

    fn in_case(&mut self, line: Line<'_>, case: Case, value: Value) -> Value {
        let other: fn(&u8) -> bool = match case {
            Case::Lower => u8::is_ascii_uppercase,
            Case::Upper => u8::is_ascii_lowercase,
        };
        if !self.text(line, value).iter().any(other) {
            return value;
        }
        let start = self.scratch.len();
        match value {
            Value::Scratch(first, last) => {
                self.scratch
                    .extend_from_within(first as usize..last as usize);
            }
            value => {
                let text = plain(line, &[], value).unwrap_or_default();
                self.scratch.extend_from_slice(text);
            }
        }
        let copied = self.scratch.get_mut(start..).unwrap_or_default();
        match case {
            Case::Lower => copied.make_ascii_lowercase(),
            Case::Upper => copied.make_ascii_uppercase(),
        }
        scratch_value(start, self.scratch.len())
    }

    fn file_label(&mut self, number: usize) -> Value {
        let start = self.scratch.len();
        if let Some(label) = self.environment.file_labels.get(number) {
            self.scratch.extend_from_slice(label);
        }
        scratch_value(start, self.scratch.len())
    }

    fn constant(&mut self, text: Option<&str>) -> Value {
        match text {
            None => Value::Absent,
            Some(text) => self.scratched(|scratch| scratch.extend_from_slice(text.as_bytes())),
        }
    }
}

#[inline]
fn value_at(start: usize, end: usize) -> Value {
    match (u32::try_from(start), u32::try_from(end)) {
        (Ok(start), Ok(end)) => Value::Line(start, end),
        _ => Value::Absent,
    }
}

pub(super) fn scratch_value(start: usize, end: usize) -> Value {
    match (u32::try_from(start), u32::try_from(end)) {
        (Ok(start), Ok(end)) => Value::Scratch(start, end),
        _ => Value::Absent,
    }
}

/// The bytes of a value that is no address.
#[inline]
pub(super) fn plain<'t>(line: Line<'t>, scratch: &'t [u8], value: Value) -> Option<&'t [u8]> {
    match value {
        Value::Absent | Value::Address(_) => None,
        Value::Line(start, end) => line.bytes.get(start as usize..end as usize),
        Value::Scratch(start, end) => scratch.get(start as usize..end as usize),
        Value::Code(number) => CODES.get(usize::from(number)).map(|code| code.as_bytes()),
    }
}

/// The number in [`CODES`] of a status' class, or of the status itself where it has one.
fn code(status: &[u8]) -> u8 {
    const OTHER: u8 = 11;
    let [class @ b'1'..=b'5', tens @ b'0'..=b'9', ones @ b'0'..=b'9'] = *status else {
        return OTHER;
    };
    match (class, tens, ones) {
        (b'4', b'2', b'9') => 4,
        (b'4', b'9', b'9') => 5,
        (b'5', b'0', b'0') => 6,
        (b'5', b'0', b'2'..=b'4') => 7 + (ones - b'2'),
        (b'5', ..) => 10,
        _ => class - b'1',
    }
}

/// The part of a buffered value from `start` to `end`, counted from the value's own first byte.
fn within(value: Value, start: usize, end: usize) -> Value {
    match value {
        Value::Line(first, _) => value_at(first as usize + start, first as usize + end),
        Value::Scratch(first, _) => scratch_value(first as usize + start, first as usize + end),
        Value::Absent | Value::Code(_) | Value::Address(_) => Value::Absent,
    }
}

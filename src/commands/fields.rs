//! A line's fields for people: decoded, by name, with those that can always be derived.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::geo::GeoCache;
use crate::parse::{EventTime, Format, HEADER_FIELDS, Line, Reader, TimeError, Zone};
use crate::record::{Mismatch, Reading, Span};
use crate::rule::{Environment, Evaluator, Rules};

/// Fields that every format with a request can give.
const DERIVED: [&str; 6] = ["method", "path", "query", "protocol", "code", "host"];

/// Reads the fields of lines of one format.
pub(super) struct FieldReader<'f> {
    format: &'f Format,
    zone: Zone,
    names: Vec<String>,
    reader: Reader,
    evaluator: Evaluator,
    spans: Vec<Span>,
}

/// What one line holds.
pub(super) struct LineFields {
    pub(super) reading: Reading,
    pub(super) time: EventTime,
    /// Present fields by name, decoded, bytes that are no UTF-8 replaced.
    pub(super) fields: BTreeMap<String, String>,
}

/// Why a line has no fields.
pub(super) enum NoFields {
    /// It describes other lines.
    Directive,
    /// It leaves the format.
    Mismatch(Mismatch),
    /// Its time is impossible.
    BadTime,
}

impl<'f> FieldReader<'f> {
    /// A reader of all fields of a format, and of `more`.
    pub(super) fn new(format: &'f Format, zone: &Zone, more: &[String]) -> FieldReader<'f> {
        let mut names = format.names();
        names.extend(DERIVED.map(str::to_owned));
        names.extend(HEADER_FIELDS.map(str::to_owned));
        names.extend_from_slice(more);
        names.sort();
        names.dedup();
        FieldReader::of(format, zone, names)
    }

    fn of(format: &'f Format, zone: &Zone, names: Vec<String>) -> FieldReader<'f> {
        let (rules, names) = Rules::fields(format, &names);
        let reader = format.reader(&rules.wanted, zone);
        let spans = vec![Span::ABSENT; reader.spans()];
        let geo = GeoCache::new(Arc::default());
        let evaluator = Evaluator::new(Arc::new(rules), Environment::default(), geo);
        FieldReader {
            format,
            zone: zone.clone(),
            names,
            reader,
            evaluator,
            spans,
        }
    }

    /// The fields of a record, or else of the whole line that it was taken out of.
    pub(super) fn read_either(
        &mut self,
        record: &[u8],
        whole: Option<&[u8]>,
    ) -> Result<LineFields, NoFields> {
        let refused = match (self.read(record), whole) {
            (Err(refused), Some(_)) => refused,
            (read, _) => return read,
        };
        let whole = whole.map(|whole| self.read(whole));
        whole.and_then(Result::ok).ok_or(refused)
    }

    /// The fields of one line; lines of a W3C file must come in order.
    pub(super) fn read(&mut self, line: &[u8]) -> Result<LineFields, NoFields> {
        let reading = match self.reader.read(line, &mut self.spans) {
            Ok(Line::Record(reading)) => reading,
            Ok(Line::Directive) => return Err(NoFields::Directive),
            Err(mismatch) => return Err(NoFields::Mismatch(mismatch)),
        };
        let time = match self.reader.time(line, &self.spans) {
            Ok((time, _)) => time,
            Err(TimeError::Value) => return Err(NoFields::BadTime),
            Err(TimeError::Shape) => return Err(NoFields::Mismatch(Mismatch::text(0, "a time"))),
        };
        let mut fields = self.present(line);
        let families = self.format.family_members(line);
        if !families.is_empty() {
            let mut family = FieldReader::of(self.format, &self.zone, families);
            if family.reader.read(line, &mut family.spans).is_ok() {
                fields.extend(family.present(line));
            }
        }
        Ok(LineFields {
            reading,
            time,
            fields,
        })
    }

    fn present(&mut self, line: &[u8]) -> BTreeMap<String, String> {
        let values = self.evaluator.fields(line, &self.spans);
        let named = self.names.iter().zip(values);
        named
            .filter_map(|(name, value)| {
                Some((name.clone(), String::from_utf8_lossy(&value?).into_owned()))
            })
            .collect()
    }
}

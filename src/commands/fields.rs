//! A line's fields for people: decoded, by name, with those that can always be derived.
//!
//! A line is read once, also when rules are to be asked about it. Fields that only the lines can name
//! (members of a JSON format's families, columns of a W3C file) are learnt on first sight, so that only a
//! line with a new one costs more than the others.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use crate::geo::GeoCache;
use crate::parse::{EventTime, Format, HEADER_FIELDS, Line, Reader, TimeError, Zone};
use crate::record::{Expected, Fields as _, Mismatch, Reading, Span};
use crate::rule::{DERIVED_FIELDS, Environment, Evaluator, Rules};

/// Members of families that are kept in mind; whoever sends ever new headers makes lines slow, not the
/// memory full.
const MOST_MEMBERS: usize = 500;

/// Reads the fields of lines of one format.
pub(super) struct FieldReader<'f> {
    format: &'f Format,
    zone: Zone,
    /// The fields that every line may have.
    names: Vec<String>,
    /// Those that lines named so far.
    learnt: HashSet<String>,
    /// Fields whose spans others want.
    wanted: Vec<String>,
    /// The columns of a W3C file, and the line that named them.
    columns: (Vec<String>, Vec<u8>),
    plan: Plan,
}

/// What is made anew when a field is learnt.
struct Plan {
    reader: Reader,
    spans: Vec<Span>,
    /// Names of the fields shown, sorted.
    shown: Vec<String>,
    /// For each field that the evaluator reads the number of its span.
    places: Vec<usize>,
    evaluator: Evaluator,
    field_spans: Vec<Span>,
}

/// What one line holds.
pub(super) struct LineFields {
    pub(super) time: EventTime,
    /// Present fields by name, decoded, bytes that are no UTF-8 replaced.
    pub(super) fields: BTreeMap<String, String>,
}

/// Why a line has no fields.
#[derive(Clone, Copy)]
pub(super) enum NoFields {
    /// It describes other lines.
    Directive,
    /// It leaves the format.
    Mismatch(Mismatch),
    /// Its time is impossible.
    BadTime,
}

impl Plan {
    fn new(format: &Format, zone: &Zone, names: Vec<String>, wanted: &[String]) -> Plan {
        let (rules, shown) = Rules::fields(format, &names);
        let mut all = wanted.to_vec();
        for name in &rules.wanted {
            if !all.contains(name) {
                all.push(name.clone());
            }
        }
        let place = |name| all.iter().position(|known| known == name);
        let places: Vec<usize> = rules.wanted.iter().filter_map(place).collect();
        let reader = format.reader(&all, zone);
        Plan {
            spans: vec![Span::ABSENT; reader.spans()],
            reader,
            shown,
            field_spans: vec![Span::ABSENT; places.len()],
            places,
            evaluator: Evaluator::new(
                Arc::new(rules),
                Environment::default(),
                GeoCache::new(Arc::default()),
            ),
        }
    }
}

impl<'f> FieldReader<'f> {
    /// A reader of all fields of a format, and of `more`. The spans of `wanted` are the first of those
    /// that [`FieldReader::spans`] has.
    pub(super) fn new(
        format: &'f Format,
        zone: &Zone,
        more: &[String],
        wanted: &[String],
    ) -> FieldReader<'f> {
        let mut names = format.names();
        names.extend(DERIVED_FIELDS.map(str::to_owned));
        names.extend(HEADER_FIELDS.map(str::to_owned));
        names.extend_from_slice(more);
        names.sort();
        names.dedup();
        let plan = Plan::new(format, zone, names.clone(), wanted);
        FieldReader {
            format,
            zone: zone.clone(),
            names,
            learnt: HashSet::new(),
            wanted: wanted.to_vec(),
            columns: (plan.reader.columns(), Vec::new()),
            plan,
        }
    }

    /// Reads the next line of a file; what it holds is then in [`FieldReader::spans`] and given by
    /// [`FieldReader::each`].
    pub(super) fn next(&mut self, line: &[u8]) -> Result<(Reading, EventTime), NoFields> {
        self.learn_members(line);
        let plan = &mut self.plan;
        let reading = match plan.reader.read(line, &mut plan.spans) {
            Ok(Line::Record(reading)) => reading,
            Ok(Line::Directive) => {
                self.learn_columns(line);
                return Err(NoFields::Directive);
            }
            Err(mismatch) => return Err(NoFields::Mismatch(mismatch)),
        };
        match plan.reader.time(line, &plan.spans) {
            Ok((time, _)) => Ok((reading, time)),
            Err(TimeError::Value) => Err(NoFields::BadTime),
            Err(TimeError::Shape) => {
                Err(NoFields::Mismatch(Mismatch::without(line, Expected::Time)))
            }
        }
    }

    /// [`FieldReader::next`] of a record, or else of the whole line that it was taken out of; and which of
    /// the two it was.
    pub(super) fn next_of<'l>(
        &mut self,
        record: &'l [u8],
        whole: Option<&'l [u8]>,
    ) -> (&'l [u8], Result<(Reading, EventTime), NoFields>) {
        let read = self.next(record);
        if let (Err(_), Some(whole)) = (&read, whole)
            && let Ok(again) = self.next(whole)
        {
            return (whole, Ok(again));
        }
        (record, read)
    }

    /// The spans of the line that was read last.
    pub(super) fn spans(&self) -> &[Span] {
        &self.plan.spans
    }

    /// Visits the present fields of the line that was read last: name and value, decoded.
    pub(super) fn each(&mut self, line: &[u8], mut visit: impl FnMut(&str, &[u8])) {
        let plan = &mut self.plan;
        for (span, &place) in plan.field_spans.iter_mut().zip(&plan.places) {
            *span = plan.spans.get(place).copied().unwrap_or(Span::ABSENT);
        }
        let shown = &plan.shown;
        plan.evaluator
            .each_field(line, &plan.field_spans, |number, value| {
                if let Some(name) = shown.get(number) {
                    visit(name, value);
                }
            });
    }

    /// The fields of a record, or else of the whole line that it was taken out of; lines of a W3C file
    /// must come in order.
    pub(super) fn read_either(
        &mut self,
        record: &[u8],
        whole: Option<&[u8]>,
    ) -> Result<LineFields, NoFields> {
        let (line, read) = self.next_of(record, whole);
        let (_, time) = read?;
        let mut fields = BTreeMap::new();
        self.each(line, |name, value| {
            fields.insert(name.to_owned(), String::from_utf8_lossy(value).into_owned());
        });
        Ok(LineFields { time, fields })
    }

    fn learn_members(&mut self, line: &[u8]) {
        let mut new = Vec::new();
        self.format.family_members(line, |name| {
            if !self.learnt.contains(&name) {
                new.push(name);
            }
        });
        if !new.is_empty() {
            self.learn(new);
        }
    }

    fn learn_columns(&mut self, line: &[u8]) {
        let columns = self.plan.reader.columns();
        if columns == self.columns.0 {
            return;
        }
        let is_new = |name: &&String| !self.names.contains(name) && !self.learnt.contains(*name);
        let new: Vec<String> = columns.iter().filter(is_new).cloned().collect();
        self.columns = (columns, line.to_vec());
        if !new.is_empty() {
            self.learn(new);
        }
    }

    /// Prepares for more fields; what the file said of its columns is said again.
    fn learn(&mut self, new: Vec<String>) {
        if self.learnt.len() > MOST_MEMBERS {
            self.learnt.clear();
        }
        self.learnt.extend(new);
        let learnt = self
            .learnt
            .iter()
            .filter(|name| self.format.field(name).is_some());
        let mut names: Vec<String> = self.names.iter().chain(learnt).cloned().collect();
        names.sort();
        names.dedup();
        self.plan = Plan::new(self.format, &self.zone, names, &self.wanted);
        // Its effect is on the reader alone.
        let named = self.columns.1.as_slice();
        let _heard = self.plan.reader.read(named, &mut self.plan.spans);
    }
}

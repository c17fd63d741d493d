//! A format prepared for the fields that are wanted, reading one file's lines in order.

use regex::bytes::CaptureLocations;

use super::json::{JsonLayout, JsonPath, JsonTemplate};
use super::layout;
use super::pattern::Pattern;
use super::time::{self, EventTime, TimeError, TimeFormat, Zone};
use super::w3c::W3cReader;
use super::{Format, Layout, Time};
use crate::record::{Expected, Mismatch, Reading, Span};

/// What a line is, as far as its format tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// A record; its spans are filled.
    Record(Reading),
    /// It says something about the lines after it (`#Fields:`).
    Directive,
}

/// Reads lines of one format.
#[derive(Debug)]
pub struct Reader {
    plan: Plan,
    time: TimePlan,
    zone: Zone,
    /// Spans of fields that must not be absent.
    required: Vec<usize>,
    spans: usize,
    last: LastTime,
}

/// The last time that was read. Lines of one second follow one another, so a CLF time, which has
/// 26 bytes, is mostly the one before; others cost as little to read as to compare.
#[derive(Debug)]
struct LastTime {
    text: [u8; 26],
    length: usize,
    time: EventTime,
    ambiguous: bool,
}

#[derive(Debug)]
enum Plan {
    Server(layout::Layout),
    Regex {
        pattern: Pattern,
        locations: CaptureLocations,
        wanted: Vec<(usize, usize)>,
    },
    Json(JsonLayout),
    W3c(W3cReader),
}

#[derive(Debug)]
enum TimePlan {
    Field {
        slot: usize,
        format: TimeFormat,
    },
    Search {
        pattern: Pattern,
        locations: CaptureLocations,
        format: TimeFormat,
    },
    Parts {
        date: usize,
        time: usize,
    },
}

impl Format {
    /// A reader that fills one span for each of `wanted`, in this order. Times without a zone of
    /// their own are in `zone`.
    pub fn reader(&self, wanted: &[String], zone: &Zone) -> Reader {
        let mut names = wanted.to_vec();
        let mut slot = |name: &str| {
            names
                .iter()
                .position(|known| known == name)
                .unwrap_or_else(|| {
                    names.push(name.to_owned());
                    names.len() - 1
                })
        };
        let time = match &self.time {
            Time::Field { name, format } => TimePlan::Field {
                slot: slot(name),
                format: format.clone(),
            },
            Time::Search { pattern, format } => TimePlan::Search {
                pattern: pattern.clone(),
                locations: pattern.locations(),
                format: format.clone(),
            },
            Time::Parts { date, time } => TimePlan::Parts {
                date: slot(date),
                time: slot(time),
            },
        };
        let required = self.require.iter().map(|name| slot(name)).collect();
        let plan = self.plan(&names);
        Reader {
            time,
            zone: zone.clone(),
            required,
            spans: match &plan {
                Plan::Json(layout) => layout.width(),
                _ => names.len(),
            },
            plan,
            last: LastTime {
                text: [0; 26],
                length: 0,
                time: EventTime {
                    seconds: 0,
                    nanos: 0,
                },
                ambiguous: false,
            },
        }
    }

    fn plan(&self, names: &[String]) -> Plan {
        let slot = |name: &str| names.iter().position(|known| known == name);
        match &self.layout {
            Layout::Server { pieces, quoting } => {
                let mut taken = vec![false; names.len()];
                let pieces = first_of_each(pieces, &mut taken, names);
                let layout = layout::Layout::compile(&pieces, *quoting, slot);
                Plan::Server(layout.expect("compiled once before"))
            }
            Layout::Regex(pattern) => {
                let wanted = names.iter().enumerate();
                let wanted = wanted.filter_map(|(slot, name)| Some((pattern.group(name)?, slot)));
                Plan::Regex {
                    pattern: pattern.clone(),
                    locations: pattern.locations(),
                    wanted: wanted.collect(),
                }
            }
            Layout::Json { fields, families } => {
                let paths = names.iter().map(|name| json_paths(name, fields, families));
                Plan::Json(JsonLayout::of_choices(paths.collect()))
            }
            Layout::W3c { fields, columns } => {
                Plan::W3c(W3cReader::new(names, fields, columns.as_deref()))
            }
        }
    }

    /// What a mismatch means, in words.
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
        }
    }

    /// Fields beyond the named ones that a line has: members of a JSON format's families.
    pub fn family_members(&self, line: &[u8]) -> Vec<String> {
        let Layout::Json { families, .. } = &self.layout else {
            return Vec::new();
        };
        let members = |(prefix, template): &(String, JsonTemplate)| {
            let names = template.expand(line).into_iter();
            names
                .map(|(name, _)| format!("{prefix}{name}"))
                .collect::<Vec<_>>()
        };
        families.iter().flat_map(members).collect()
    }
}

/// The ways to a field, in the order they are tried.
fn json_paths(
    name: &str,
    fields: &[(String, JsonPath)],
    families: &[(String, JsonTemplate)],
) -> Vec<JsonPath> {
    let own = fields.iter().filter(|(known, _)| known == name);
    let own: Vec<_> = own.map(|(_, path)| path.clone()).collect();
    if !own.is_empty() {
        return own;
    }
    let mut matching = families
        .iter()
        .filter(|(prefix, _)| name.starts_with(prefix.as_str()))
        .peekable();
    let (family, _) = matching
        .peek()
        .copied()
        .expect("only offered names are wanted");
    let member = name.get(family.len()..).unwrap_or_default();
    matching
        .filter(|(prefix, _)| prefix == family)
        .map(|(_, template)| template.instantiate(member))
        .collect()
}

/// A variable that stands twice in a format gives its first value.
fn first_of_each(
    pieces: &[super::Piece],
    taken: &mut [bool],
    names: &[String],
) -> Vec<super::Piece> {
    let mut pieces = pieces.to_vec();
    for piece in &mut pieces {
        let super::Piece::Field { name, .. } = piece else {
            continue;
        };
        let Some(slot) = names.iter().position(|known| known == name) else {
            continue;
        };
        match taken.get_mut(slot) {
            Some(taken) if *taken => name.push_str(" again"),
            Some(taken) => *taken = true,
            None => {}
        }
    }
    pieces
}

impl Reader {
    /// Number of spans that [`Reader::read`] fills.
    pub fn spans(&self) -> usize {
        self.spans
    }

    /// Reads a line without its line end. Fields it does not have are absent.
    ///
    /// # Errors
    /// Where the line leaves the format; the spans are then of no use.
    #[inline]
    pub fn read(&mut self, line: &[u8], spans: &mut [Span]) -> Result<Line, Mismatch> {
        let reading = match &mut self.plan {
            // An exact line fills every span; the lenient pass starts afresh.
            Plan::Server(layout) => match layout.read(line, spans) {
                Ok(reading) => reading,
                Err(mismatch) => layout.read_leniently(line, spans).map_err(|_| mismatch)?,
            },
            Plan::Regex {
                pattern,
                locations,
                wanted,
            } => {
                spans.fill(Span::ABSENT);
                pattern.read(line, locations, wanted, spans)?
            }
            Plan::Json(layout) => layout.read(line, spans).map(|()| Reading::Exact)?,
            Plan::W3c(_) if W3cReader::is_directive(line) => return self.directive(line),
            Plan::W3c(reader) => reader.read(line, spans)?,
        };
        for &slot in &self.required {
            let span = spans.get(slot).copied().unwrap_or(Span::ABSENT);
            if matches!(span.of(line), None | Some(b"" | b"-")) {
                return Err(Mismatch::text(
                    0,
                    "a line with all fields that this format requires",
                ));
            }
        }
        Ok(Line::Record(reading))
    }

    fn directive(&mut self, line: &[u8]) -> Result<Line, Mismatch> {
        if let Plan::W3c(reader) = &mut self.plan {
            reader.directive(line);
        }
        Ok(Line::Directive)
    }

    /// The fields of a W3C file's current columns; empty for other formats.
    pub fn columns(&self) -> Vec<String> {
        match &self.plan {
            Plan::W3c(reader) => reader.fields(),
            _ => Vec::new(),
        }
    }

    /// The time of the line that was read last, and whether it is one of two that a clock change
    /// makes equal.
    ///
    /// # Errors
    /// The time is absent or not of its format, or names a day or hour that does not exist.
    #[inline]
    pub fn time(&mut self, line: &[u8], spans: &[Span]) -> Result<(EventTime, bool), TimeError> {
        let span = |slot: usize| {
            spans
                .get(slot)
                .and_then(|span| span.of(line))
                .ok_or(TimeError::Shape)
        };
        let (text, format) = match &mut self.time {
            TimePlan::Field { slot, format } => (span(*slot)?, format),
            TimePlan::Search {
                pattern,
                locations,
                format,
            } => {
                let mut found = [Span::ABSENT];
                let group = usize::from(locations.len() > 1);
                pattern
                    .read(line, locations, &[(group, 0)], &mut found)
                    .map_err(|_| TimeError::Shape)?;
                (
                    found
                        .first()
                        .and_then(|span| span.of(line))
                        .ok_or(TimeError::Shape)?,
                    format,
                )
            }
            TimePlan::Parts { date, time } => {
                return Ok((time::parse_w3c(span(*date)?, span(*time)?)?, false));
            }
        };
        let last = &mut self.last;
        let known = match text.first_chunk::<26>() {
            Some(clf) if text.len() == 26 => last.length == 26 && last.text == *clf,
            _ => false,
        };
        if !known {
            (last.time, last.ambiguous) = format.parse(text, &self.zone)?;
            last.length = text.len();
            if let Some(clf) = text.first_chunk::<26>() {
                last.text = *clf;
            }
        }
        Ok((last.time, last.ambiguous))
    }
}

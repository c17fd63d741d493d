//! A format prepared for the fields that are wanted, reading one file's lines in order.
//!
//! A line behind a header (of syslog, of a container's runtime) is read inside it, unless the format
//! takes the whole line exactly and the inside not; then the header is the format's own. Spans point
//! into the whole line either way.

use regex::bytes::CaptureLocations;

use super::csv::CsvReader;
use super::envelope::{self, Prefix};
use super::json::{JsonLayout, JsonPath, JsonTemplate};
use super::layout;
use super::logfmt::LogfmtLayout;
use super::nginx;
use super::pattern::Pattern;
use super::time::{self, EventTime, TimeError, TimeFormat, Zone};
use super::w3c::{self, W3cReader};
use super::{Format, Layout, Time, peer};
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
    /// Span of a status that must look like one: columns that lost or gained one are read shifted,
    /// and nothing else in the line would tell.
    status: Option<usize>,
    spans: usize,
    /// Spans of the header's host and program, where they are wanted and the format has no such
    /// fields of its own.
    header: Option<[Option<usize>; 2]>,
    /// Spans that may hold a list of what each server said, of which the last counts; a server's own
    /// text is read so by its layout.
    attempts: Vec<usize>,
    /// Spans of addresses that may have a port behind them.
    peers: Vec<usize>,
    /// Where the line that was read last begins, behind its header.
    inside: usize,
    /// The line that named the columns of those after it, without its header; empty before one did.
    said: Vec<u8>,
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
    Csv(CsvReader),
    Logfmt(LogfmtLayout),
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
        let in_columns = matches!(self.layout, Layout::W3c { .. } | Layout::Csv(_));
        let has_status = in_columns && super::offers(&self.layout, "status");
        let status = has_status.then(|| slot("status"));
        let header = envelope::FIELDS.map(|field| {
            let slot = names.iter().position(|name| name == field);
            slot.filter(|_| !super::offers(&self.layout, field))
        });
        let peers = peer::FIELDS
            .iter()
            .filter_map(|field| names.iter().position(|name| self.ports && name == field));
        let peers = peers.collect();
        let plan = self.plan(&names);
        let lists = names.iter().enumerate();
        let lists = lists.filter(|(_, name)| nginx::has_attempts(name));
        let attempts = lists.map(|(slot, _)| slot).collect();
        Reader {
            attempts: match &plan {
                Plan::Server(_) => Vec::new(),
                _ => attempts,
            },
            peers,
            header: (header != [None; 2]).then_some(header),
            inside: 0,
            said: Vec::new(),
            time,
            zone: zone.clone(),
            required,
            status,
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
                let path = |name: &String| match super::offers(&self.layout, name) {
                    true => json_paths(name, fields, families),
                    false => vec![JsonPath(Vec::new())],
                };
                Plan::Json(JsonLayout::of_choices(names.iter().map(path).collect()))
            }
            Layout::W3c {
                fields, columns, ..
            } => Plan::W3c(W3cReader::new(names, fields, columns.as_deref())),
            Layout::Csv(csv) => Plan::Csv(csv.reader(names)),
            Layout::Logfmt { fields } => {
                let key = |name| {
                    let mut fields = fields.iter();
                    fields.find_map(|(field, key)| (field == name).then_some(key.as_str()))
                };
                Plan::Logfmt(LogfmtLayout::compile(names.iter().map(key)))
            }
        }
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

impl Plan {
    /// Reads a line that is what the format says, or says how to read those after it.
    #[inline]
    fn read(&mut self, line: &[u8], spans: &mut [Span]) -> Result<Line, Mismatch> {
        let reading = match self {
            // An exact line fills every span.
            Plan::Server(layout) => layout.read(line, spans)?,
            Plan::Regex {
                pattern,
                locations,
                wanted,
            } => {
                spans.fill(Span::ABSENT);
                pattern.read(line, locations, wanted, spans)?
            }
            Plan::Json(layout) => layout.read(line, spans).map(|()| Reading::Exact)?,
            Plan::W3c(reader) if W3cReader::is_directive(line) => {
                reader.directive(line);
                return Ok(Line::Directive);
            }
            Plan::W3c(reader) => reader.read(line, spans)?,
            Plan::Csv(reader) => match reader.directive(line) {
                true => return Ok(Line::Directive),
                false => reader.read(line, spans)?,
            },
            Plan::Logfmt(layout) => layout.read(line, spans).map(|()| Reading::Exact)?,
        };
        Ok(Line::Record(reading))
    }

    /// Reads what a person would read, of a line that [`Plan::read`] refused; it starts afresh.
    #[cold]
    fn read_leniently(&self, line: &[u8], spans: &mut [Span]) -> Option<Line> {
        let Plan::Server(layout) = self else {
            return None;
        };
        layout.read_leniently(line, spans).ok().map(Line::Record)
    }
}

const STATUS: &str = "a status: at most three digits, or `-`";

/// True for what a server writes as a status, or in the absence of one.
fn is_status(value: &[u8]) -> bool {
    matches!(value, b"" | b"-") || (value.len() <= 3 && value.iter().all(u8::is_ascii_digit))
}

/// The mismatch of a line that begins so many bytes later.
fn moved(mismatch: Mismatch, by: usize) -> Mismatch {
    let by = u32::try_from(by).unwrap_or(u32::MAX);
    Mismatch {
        at: mismatch.at.saturating_add(by),
        ..mismatch
    }
}

/// A variable that stands twice in a format gives its first value.
fn first_of_each(
    pieces: &[super::Piece],
    taken: &mut [bool],
    names: &[String],
) -> Vec<super::Piece> {
    let mut pieces = pieces.to_vec();
    for name in pieces.iter_mut().flat_map(super::Piece::names_mut) {
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
        let prefix = envelope::prefix(line);
        let read = match prefix {
            None => {
                self.inside = 0;
                match self.plan.read(line, spans) {
                    Err(mismatch) => self.plan.read_leniently(line, spans).ok_or(mismatch)?,
                    Ok(read) => read,
                }
            }
            Some(prefix) => self.read_inside(line, prefix.message, spans)?,
        };
        if let Line::Record(_) = read {
            for &slot in &self.peers {
                if let Some(span) = spans.get_mut(slot) {
                    *span = peer::without_port(line, *span);
                }
            }
            self.keep_header(prefix, spans);
            self.keep_last_attempts(line, spans);
            self.check_required(line, spans)?;
        } else {
            self.heed(line);
        }
        Ok(read)
    }

    /// Keeps a directive that names columns.
    #[cold]
    fn heed(&mut self, line: &[u8]) {
        let line = line.get(self.inside..).unwrap_or_default();
        if !matches!(self.plan, Plan::W3c(_)) || w3c::columns_named(line).is_some() {
            self.said.clear();
            self.said.extend_from_slice(line);
        }
    }

    /// The line that named the columns of those after it: a new reader that is told it reads on where
    /// this one stopped. Empty where no line did.
    pub fn columns_line(&self) -> &[u8] {
        &self.said
    }

    /// Reads a line that has a header: the inside exactly, the whole exactly, the inside leniently.
    /// A regular expression may begin with the header, or find what it seeks anywhere: it is asked
    /// about the whole first, except behind a priority, which only the wire has.
    #[cold]
    fn read_inside(
        &mut self,
        line: &[u8],
        message: usize,
        spans: &mut [Span],
    ) -> Result<Line, Mismatch> {
        let order = match self.plan {
            Plan::Regex { .. } if !envelope::has_priority(line) => [0, message],
            _ => [message, 0],
        };
        let mut refused = Mismatch::text(message, "a line behind its header");
        for inside in order {
            match self
                .plan
                .read(line.get(inside..).unwrap_or_default(), spans)
            {
                Ok(read) => {
                    self.begin_at(inside, spans);
                    return Ok(read);
                }
                Err(mismatch) if inside == message => refused = moved(mismatch, message),
                Err(_) => {}
            }
        }
        let text = line.get(message..).unwrap_or_default();
        let read = self.plan.read_leniently(text, spans).ok_or(refused)?;
        self.begin_at(message, spans);
        Ok(read)
    }

    /// The spans that were read of the inside become those of the whole line.
    fn begin_at(&mut self, inside: usize, spans: &mut [Span]) {
        self.inside = inside;
        if inside > 0 {
            for span in spans.iter_mut().filter(|span| !span.is_absent()) {
                *span = Span::new(span.start() + inside, span.end() + inside);
            }
        }
    }

    fn keep_header(&self, prefix: Option<Prefix>, spans: &mut [Span]) {
        let Some(slots) = self.header else { return };
        let absent = (Span::ABSENT, Span::ABSENT);
        let (host, program) = prefix.map_or(absent, |prefix| (prefix.host, prefix.program));
        for (slot, value) in slots.into_iter().zip([host, program]) {
            if let Some(span) = slot.and_then(|slot| spans.get_mut(slot)) {
                *span = value;
            }
        }
    }

    /// Of `0.001, 0.004 : 0.002` the last is kept, as in a text of nginx.
    #[inline]
    fn keep_last_attempts(&self, line: &[u8], spans: &mut [Span]) {
        for &slot in &self.attempts {
            let Some(span) = spans.get_mut(slot) else {
                continue;
            };
            let value = span.of(line).unwrap_or_default();
            if memchr::memmem::find(value, b", ").is_some()
                || memchr::memmem::find(value, b" : ").is_some()
            {
                let last = layout::last_attempt(value);
                *span = Span::new(span.start() + last.start(), span.start() + last.end());
            }
        }
    }

    #[inline]
    fn check_required(&self, line: &[u8], spans: &[Span]) -> Result<(), Mismatch> {
        for (&slot, number) in self.required.iter().zip(0..) {
            let span = spans.get(slot).copied().unwrap_or(Span::ABSENT);
            if matches!(span.of(line), None | Some(b"" | b"-")) {
                return Err(Mismatch::without(line, Expected::Required(number)));
            }
        }
        let status = self.status.and_then(|slot| spans.get(slot));
        match status.filter(|status| !status.is_absent()) {
            Some(status) if !is_status(status.of(line).unwrap_or_default()) => {
                Err(Mismatch::text(0, STATUS))
            }
            _ => Ok(()),
        }
    }

    /// The fields of a file's current columns, where it names them itself; empty for other formats.
    pub fn columns(&self) -> Vec<String> {
        match &self.plan {
            Plan::W3c(reader) => reader.fields(),
            Plan::Csv(reader) => reader.fields(),
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
                let line = line.get(self.inside..).unwrap_or_default();
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

#[cfg(test)]
mod tests {
    use super::is_status;

    #[test]
    fn a_status_has_at_most_three_digits() {
        for status in ["", "-", "0", "000", "200", "999"] {
            assert!(is_status(status.as_bytes()), "{status}");
        }
        for other in [
            "2005",
            "0.001",
            "-1",
            "TCP_HIT",
            "20x",
            "\"200\"",
            "203.0.113.9",
        ] {
            assert!(!is_status(other.as_bytes()), "{other}");
        }
    }
}

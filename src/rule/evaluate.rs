//! One record through the rules, with nothing allocated once label values are known.
//!
//! A value is computed when a rule asks for it, once a line, and lives in the line itself or in a
//! scratch buffer that is emptied before the next line. Labels go one step further: what a derived
//! field makes of an input is remembered, so that `fastly` is lower-cased, looked up and numbered
//! once and not a million times.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use memchr::{memchr, memrchr};
use regex::bytes::{CaptureLocations, Regex};

use super::memo::{Key, Memo};
use super::variables::{CODES, Derived, VarId, Variable};
use super::{Amount, Factor, Group, Label, Matcher, Near, Number, Rules};
use crate::geo::{AddressSet, GeoCache, client, parse_address};
use crate::metrics::{Decimal, Dictionary, Table};
use crate::record::{Span, escape};

/// What rules need to know beside the line.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// Proxies whose word about the client is taken.
    pub trusted: Arc<AddressSet>,
    /// Values of the labels taken from the file's path.
    pub file_labels: Vec<Vec<u8>>,
}

/// Where a computed value lies.
#[derive(Clone, Copy, Debug)]
enum Value {
    Absent,
    Line(u32, u32),
    Scratch(u32, u32),
    Constant(&'static str),
    Address(IpAddr),
}

/// Evaluates the rules of one format, for one worker.
#[derive(Debug)]
pub struct Evaluator {
    rules: Arc<Rules>,
    state: State,
}

/// What one worker knows between lines.
#[derive(Debug)]
struct State {
    environment: Environment,
    geo: GeoCache,
    line_number: u64,
    values: Vec<(u64, Value)>,
    labels: Vec<(u64, u32)>,
    memos: Vec<Memo>,
    series: Vec<(u64, u32)>,
    groups: Vec<Option<CaptureLocations>>,
    scratch: Vec<u8>,
    spare: Vec<u8>,
    value_errors: Vec<u64>,
}

/// A client walk, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walk {
    /// What each source held, the peer last; `None` when absent.
    pub sources: Vec<Option<Vec<u8>>>,
    /// The client; `None` when it is not known.
    pub answer: Option<IpAddr>,
}

/// What became of a record in one group of rules, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Rule set.
    pub rules: String,
    /// Metrics the group feeds.
    pub metrics: Vec<usize>,
    /// The first matcher that failed and the value it saw; `None` when the record counts.
    pub failed: Option<(String, Vec<u8>)>,
    /// The record is a near miss.
    pub near: bool,
}

/// A line, the spans of its wanted fields, and the rules it goes through.
#[derive(Clone, Copy)]
struct Line<'l> {
    bytes: &'l [u8],
    spans: &'l [Span],
    rules: &'l Rules,
}

impl Evaluator {
    /// An evaluator for `rules`.
    pub fn new(rules: Arc<Rules>, environment: Environment, geo: GeoCache) -> Evaluator {
        let regexes = rules.variables.iter().map(|variable| match variable {
            Variable::Derived(derived) => derived.regex.as_ref().map(Regex::capture_locations),
            _ => None,
        });
        let state = State {
            values: vec![(0, Value::Absent); rules.variables.len()],
            labels: vec![(0, 0); rules.labelling.len()],
            memos: rules.labelling.iter().map(|_| Memo::new()).collect(),
            series: vec![(0, 0); rules.sets.len()],
            groups: regexes.collect(),
            scratch: Vec::with_capacity(1024),
            spare: Vec::new(),
            value_errors: vec![0; rules.layout.metrics.len()],
            line_number: 0,
            environment,
            geo,
        };
        Evaluator { rules, state }
    }

    /// Forgets the numbers of label values, after the table did.
    pub fn forget(&mut self) {
        for memo in &mut self.state.memos {
            memo.clear();
        }
    }

    /// Sets the labels taken from the path of the file that is read next.
    pub fn file_labels(&mut self, labels: Vec<Vec<u8>>) {
        self.state.environment.file_labels = labels;
        self.forget();
    }

    /// Values that were no numbers, by metric number.
    pub fn value_errors(&self) -> &[u64] {
        &self.state.value_errors
    }

    /// Counts one record into the table's current window. `order` (time in nanoseconds since
    /// 1970, position) decides which gauge value is the newest.
    #[inline]
    pub fn count(&mut self, bytes: &[u8], spans: &[Span], order: (u64, u64), table: &mut Table) {
        let line = self.state.begin(bytes, spans, &self.rules);
        for group in &line.rules.groups {
            match self.state.first_failing(line, &group.matchers) {
                None => self.state.tally(line, group, order, table),
                Some(failed) => {
                    if let Some(near) = &group.near {
                        self.state.near(line, failed, near, table);
                    }
                }
            }
        }
    }

    /// What each group of rules makes of a record.
    pub fn verdicts(&mut self, bytes: &[u8], spans: &[Span]) -> Vec<Verdict> {
        let state = &mut self.state;
        let line = state.begin(bytes, spans, &self.rules);
        let mut verdicts = Vec::new();
        for group in &line.rules.groups {
            let failed = state.first_failing(line, &group.matchers).map(|matcher| {
                let value = state.value(line, matcher.variable);
                (matcher.text.clone(), state.text(line, value).to_vec())
            });
            let near = failed.is_some()
                && group
                    .near
                    .as_ref()
                    .is_some_and(|near| state.first_failing(line, &near.matchers).is_none());
            let metrics = group.tallies.iter().map(|tally| tally.metric).collect();
            verdicts.push(Verdict {
                rules: group.rules.clone(),
                metrics,
                failed,
                near,
            });
        }
        verdicts
    }

    /// Whether any group of rules takes the record.
    pub fn matches(&mut self, bytes: &[u8], spans: &[Span]) -> bool {
        let state = &mut self.state;
        let line = state.begin(bytes, spans, &self.rules);
        let mut groups = line.rules.groups.iter();
        groups.any(|group| state.first_failing(line, &group.matchers).is_none())
    }

    /// The values of the fields that [`Rules::fields`] was asked for; `None` when absent.
    pub fn fields(&mut self, bytes: &[u8], spans: &[Span]) -> Vec<Option<Vec<u8>>> {
        let state = &mut self.state;
        let line = state.begin(bytes, spans, &self.rules);
        let values = line.rules.labelling.iter().map(|&id| {
            let value = state.value(line, id);
            Some(state.text(line, value).to_vec()).filter(|text| !text.is_empty())
        });
        values.collect()
    }

    /// The sources of each client walk and the answer, for people.
    pub fn clients(&mut self, bytes: &[u8], spans: &[Span]) -> Vec<Walk> {
        let state = &mut self.state;
        let line = state.begin(bytes, spans, &self.rules);
        let mut found = Vec::new();
        for (id, variable) in line.rules.variables.iter().enumerate() {
            let Variable::Client(sources) = variable else {
                continue;
            };
            let mut hops = Vec::new();
            for source in sources {
                let value = state.value(line, *source);
                let text = state.text(line, value).to_vec();
                hops.push((!text.is_empty()).then_some(text));
            }
            let answer = match state.value(line, id) {
                Value::Address(address) => Some(address),
                _ => None,
            };
            found.push(Walk {
                sources: hops,
                answer,
            });
        }
        found
    }

    /// The rules being evaluated.
    pub fn rules(&self) -> &Arc<Rules> {
        &self.rules
    }
}

impl State {
    fn begin<'l>(&mut self, bytes: &'l [u8], spans: &'l [Span], rules: &'l Rules) -> Line<'l> {
        self.line_number += 1;
        self.scratch.clear();
        Line {
            bytes,
            spans,
            rules,
        }
    }

    #[inline]
    fn first_failing<'m>(
        &mut self,
        line: Line<'_>,
        matchers: &'m [Matcher],
    ) -> Option<&'m Matcher> {
        matchers.iter().find(|matcher| {
            let value = self.value(line, matcher.variable);
            !matcher.test.holds(self.text(line, value))
        })
    }

    #[inline]
    fn tally(&mut self, line: Line<'_>, group: &Group, order: (u64, u64), table: &mut Table) {
        let mut tallies = group.tallies.as_slice();
        while let Some(first) = tallies.first() {
            let same = tallies
                .iter()
                .take_while(|tally| tally.set == first.set)
                .count();
            let (these, rest) = tallies.split_at(same);
            tallies = rest;
            let series = self.series(line, first.set, table);
            let words = table.touch(first.set, series);
            for tally in these {
                let cell = words.get_mut(tally.offset..).unwrap_or_default();
                if self.add(line, &tally.amount, order, cell).is_none()
                    && let Some(errors) = self.value_errors.get_mut(tally.metric)
                {
                    *errors += 1;
                }
            }
        }
    }

    /// Adds what one record is worth; `None` when its value is no usable number. An absent value
    /// adds 0 to a sum (Apache writes `-` for 0 bytes) and nothing to a gauge or histogram.
    #[inline]
    fn add(
        &mut self,
        line: Line<'_>,
        amount: &Amount,
        order: (u64, u64),
        cell: &mut [u64],
    ) -> Option<()> {
        match amount {
            Amount::Line => *cell.first_mut()? += 1,
            Amount::Sum { value, weight } => {
                let added = self.weighed(line, *value, weight.as_ref())?;
                *cell.first_mut()? += 1;
                add_to(cell, 1, added);
            }
            Amount::Last(value) => {
                let Some(value) = self.number(line, *value)? else {
                    return Some(());
                };
                let [low, high] = value.words();
                let new = [order.0, order.1, low, high];
                let cell = cell.get_mut(..4)?;
                if new.get(..2) >= cell.get(..2) {
                    cell.copy_from_slice(&new);
                }
            }
            Amount::Observe { value, bounds } => {
                let Some(value) = self.number(line, *value)? else {
                    return Some(());
                };
                let bucket = bounds
                    .iter()
                    .position(|bound| value <= *bound)
                    .unwrap_or(bounds.len());
                *cell.get_mut(bucket)? += 1;
                add_to(cell, bounds.len() + 1, value);
            }
        }
        Some(())
    }

    fn weighed(
        &mut self,
        line: Line<'_>,
        value: Option<Number>,
        weight: Option<&Factor>,
    ) -> Option<Decimal> {
        let value = match value {
            Some(value) => self.number(line, value)?.unwrap_or(Decimal::ZERO),
            None => Decimal::whole(1),
        };
        let weight = match weight {
            None => return Some(value),
            Some(Factor::Constant(weight)) => *weight,
            Some(Factor::Field(field)) => self.number(line, *field)?.unwrap_or(Decimal::whole(1)),
        };
        value
            .0
            .checked_mul(weight.0)
            .map(|product| Decimal(product / Decimal::whole(1).0))
    }

    /// `Some(None)` when absent, `None` when it is no number that can be counted.
    #[inline]
    fn number(&mut self, line: Line<'_>, number: Number) -> Option<Option<Decimal>> {
        let value = self.value(line, number.variable);
        let text = self.text(line, value);
        if text.is_empty() {
            return Some(None);
        }
        Decimal::parse(text, number.shift)
            .filter(|value| *value >= Decimal::ZERO)
            .map(Some)
    }

    #[cold]
    fn near(&mut self, line: Line<'_>, failed: &Matcher, near: &Near, table: &mut Table) {
        if self.first_failing(line, &near.matchers).is_some() {
            return;
        }
        let ids: Vec<u32> = line
            .rules
            .sets
            .get(near.set)
            .into_iter()
            .flatten()
            .map(|label| match label {
                Label::Reason(dictionary) | Label::Field(dictionary) => {
                    table.dictionary(*dictionary).intern(failed.text.as_bytes())
                }
            })
            .collect();
        let series = table.series(near.set, &ids);
        if let Some(count) = table.touch(near.set, series).get_mut(near.offset) {
            *count += 1;
        }
    }

    /// The series number of the record's labels in a set.
    #[inline]
    fn series(&mut self, line: Line<'_>, set: usize, table: &mut Table) -> u32 {
        if let Some(&(stamp, series)) = self.series.get(set)
            && stamp == self.line_number
        {
            return series;
        }
        let mut ids = [0u32; crate::metrics::MAX_LABELS * 2];
        let labels = line.rules.sets.get(set).map_or(&[][..], Vec::as_slice);
        for (id, label) in ids.iter_mut().zip(labels) {
            if let Label::Field(number) = label {
                *id = self.label(line, *number, table);
            }
        }
        let series = table.series(set, ids.get(..labels.len()).unwrap_or_default());
        if let Some(known) = self.series.get_mut(set) {
            *known = (self.line_number, series);
        }
        series
    }

    /// The number of a label's value in its dictionary.
    #[inline]
    fn label(&mut self, line: Line<'_>, number: usize, table: &mut Table) -> u32 {
        if let Some(&(stamp, id)) = self.labels.get(number)
            && stamp == self.line_number
        {
            return id;
        }
        let id = self.label_anew(line, number, table.dictionary(number));
        if let Some(known) = self.labels.get_mut(number) {
            *known = (self.line_number, id);
        }
        id
    }

    #[inline]
    fn label_anew(&mut self, line: Line<'_>, number: usize, dictionary: &mut Dictionary) -> u32 {
        let Some(&variable) = line.rules.labelling.get(number) else {
            return 0;
        };
        let (input, derived) = match line.rules.variables.get(variable) {
            Some(Variable::Derived(derived)) => (self.value(line, derived.from), Some(derived)),
            _ => (self.value(line, variable), None),
        };
        let key = Key::of(text(line, &mut self.scratch, input));
        if let Some(id) = key.and_then(|key| self.memos.get(number)?.find(key)) {
            return id;
        }
        let value = derived.map_or(input, |derived| self.derive(line, variable, derived, input));
        let id = dictionary.intern(or_unknown(self.text(line, value)));
        if let (Some(key), Some(memo)) = (key, self.memos.get_mut(number)) {
            memo.keep(key, id);
        }
        id
    }

    /// The value of an entry, computed once a line.
    #[inline]
    fn value(&mut self, line: Line<'_>, id: VarId) -> Value {
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
            Some(Variable::Field(slot, kind)) => self.field(line, *slot, kind.escape),
            Some(Variable::Method(of)) => self.part(line, *of, method),
            Some(Variable::Target(of)) => self.part(line, *of, target),
            Some(Variable::Protocol(of)) => self.part(line, *of, protocol),
            Some(Variable::Path(of)) => self.part(line, *of, path),
            Some(Variable::Query(of)) => self.part(line, *of, query),
            Some(Variable::Authority(of)) => self.part(line, *of, authority),
            Some(Variable::Parameter(of, name)) => self.parameter(line, *of, name),
            Some(Variable::Cookie(of, name)) => {
                self.part(line, *of, |text| cookie(text, name.as_bytes()))
            }
            Some(Variable::Code(of)) => self.code(line, *of),
            Some(Variable::First(ids)) => ids
                .iter()
                .map(|&id| self.value(line, id))
                .find(|value| !matches!(value, Value::Absent))
                .unwrap_or(Value::Absent),
            Some(Variable::Derived(derived)) => {
                let input = self.value(line, derived.from);
                self.derive(line, id, derived, input)
            }
            Some(Variable::Client(sources)) => self.client(line, sources),
            Some(Variable::Place { place, of, empty }) => self.place(line, *place, *of, empty),
            Some(Variable::FileLabel(number)) => self.file_label(*number),
        }
    }

    /// The bytes of a value; empty when absent.
    #[inline]
    fn text<'t>(&'t mut self, line: Line<'t>, value: Value) -> &'t [u8] {
        text(line, &mut self.scratch, value)
    }

    /// Appends to the scratch buffer and names what was appended.
    fn scratched(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Value {
        let start = self.scratch.len();
        write(&mut self.scratch);
        scratch_value(start, self.scratch.len())
    }

    /// A field of the format, decoded; `-` and empty are absent.
    #[inline]
    fn field(&mut self, line: Line<'_>, slot: usize, escape: escape::Escape) -> Value {
        let Some(span) = line.spans.get(slot) else {
            return Value::Absent;
        };
        match span.of(line.bytes) {
            None | Some(b"" | b"-") => Value::Absent,
            Some(raw) if escape.needs_decoding(raw) => {
                self.scratched(|scratch| escape.decode_into(raw, scratch))
            }
            Some(_) => value_at(span.start(), span.end()),
        }
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
        let Some((start, end)) = find(self.text(line, whole)).filter(|(start, end)| start < end)
        else {
            return Value::Absent;
        };
        within(whole, start, end)
    }

    fn parameter(&mut self, line: Line<'_>, of: VarId, name: &str) -> Value {
        let query = self.value(line, of);
        let text = text(line, &mut self.scratch, query);
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
            [class @ b'1'..=b'5', tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => {
                let whole = [*class, *tens, *ones];
                let named = CODES.iter().find(|code| code.as_bytes() == whole);
                named.or(CODES
                    .iter()
                    .find(|code| code.as_bytes() == [*class, b'x', b'x']))
            }
            _ => None,
        };
        Value::Constant(code.unwrap_or(&"other"))
    }

    /// regex → lowercase → map → values/other; `empty` when absent.
    fn derive(&mut self, line: Line<'_>, id: VarId, derived: &Derived, input: Value) -> Value {
        let mut value = input;
        if let Some(regex) = &derived.regex {
            value = self.first_group(line, id, regex, value);
        }
        if derived.lowercase && self.text(line, value).iter().any(u8::is_ascii_uppercase) {
            value = self.lowercase(line, value);
        }
        if let Some(mapped) = derived.map.get(self.text(line, value)) {
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
        let text = text(line, &mut self.scratch, value);
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

    fn lowercase(&mut self, line: Line<'_>, value: Value) -> Value {
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
        self.scratch
            .get_mut(start..)
            .unwrap_or_default()
            .make_ascii_lowercase();
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

    fn client(&mut self, line: Line<'_>, sources: &[VarId]) -> Value {
        let mut values = [Value::Absent; 8];
        for (value, id) in values.iter_mut().zip(sources) {
            *value = self.value(line, *id);
        }
        let mut texts: [Option<&[u8]>; 8] = [None; 8];
        for (text, value) in texts.iter_mut().zip(values) {
            *text = plain(line, &self.scratch, value).filter(|text| !text.is_empty());
        }
        let texts = texts.get(..sources.len()).unwrap_or_default();
        client(texts, &self.environment.trusted).map_or(Value::Absent, Value::Address)
    }

    fn place(&mut self, line: Line<'_>, place: crate::geo::Place, of: VarId, empty: &str) -> Value {
        let address = match self.value(line, of) {
            Value::Address(address) => Some(address),
            value => parse_address(self.text(line, value)),
        };
        let start = self.scratch.len();
        match address.and_then(|address| self.geo.answer(address, place)) {
            Some(answer) => self.scratch.extend_from_slice(answer),
            None => self.scratch.extend_from_slice(empty.as_bytes()),
        }
        scratch_value(start, self.scratch.len())
    }
}

fn add_to(cell: &mut [u64], at: usize, value: Decimal) {
    if let Some([low, high]) = cell.get_mut(at..at + 2) {
        [*low, *high] = Decimal::from_words(*low, *high).plus(value).words();
    }
}

fn or_unknown(text: &[u8]) -> &[u8] {
    if text.is_empty() { b"unknown" } else { text }
}

#[inline]
fn value_at(start: usize, end: usize) -> Value {
    match (u32::try_from(start), u32::try_from(end)) {
        (Ok(start), Ok(end)) => Value::Line(start, end),
        _ => Value::Absent,
    }
}

fn scratch_value(start: usize, end: usize) -> Value {
    match (u32::try_from(start), u32::try_from(end)) {
        (Ok(start), Ok(end)) => Value::Scratch(start, end),
        _ => Value::Absent,
    }
}

/// The bytes of a value; an address is written out first.
#[inline]
fn text<'t>(line: Line<'t>, scratch: &'t mut Vec<u8>, value: Value) -> &'t [u8] {
    if let Value::Address(address) = value {
        let start = scratch.len();
        let mut text = Text(scratch);
        if write!(text, "{address}").is_err() {
            return &[];
        }
        return scratch.get(start..).unwrap_or_default();
    }
    plain(line, scratch, value).unwrap_or_default()
}

/// The bytes of a value that is not an address.
#[inline]
fn plain<'t>(line: Line<'t>, scratch: &'t [u8], value: Value) -> Option<&'t [u8]> {
    match value {
        Value::Absent | Value::Address(_) => None,
        Value::Line(start, end) => line.bytes.get(start as usize..end as usize),
        Value::Scratch(start, end) => scratch.get(start as usize..end as usize),
        Value::Constant(text) => Some(text.as_bytes()),
    }
}

struct Text<'v>(&'v mut Vec<u8>);

impl std::fmt::Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// The part of a value from `start` to `end`, counted from the value's own first byte.
fn within(value: Value, start: usize, end: usize) -> Value {
    match value {
        Value::Line(first, _) => value_at(first as usize + start, first as usize + end),
        Value::Scratch(first, _) => scratch_value(first as usize + start, first as usize + end),
        Value::Constant(text) => text.get(start..end).map_or(Value::Absent, Value::Constant),
        Value::Absent | Value::Address(_) => Value::Absent,
    }
}

fn method(request: &[u8]) -> Option<(usize, usize)> {
    Some((0, memchr(b' ', request).unwrap_or(request.len())))
}

/// Position of the protocol: the last word of a request line, if it is one.
fn protocol_start(request: &[u8]) -> Option<usize> {
    let start = memrchr(b' ', request)? + 1;
    request.get(start..)?.starts_with(b"HTTP/").then_some(start)
}

fn protocol(request: &[u8]) -> Option<(usize, usize)> {
    Some((protocol_start(request)?, request.len()))
}

fn target(request: &[u8]) -> Option<(usize, usize)> {
    let start = memchr(b' ', request)? + 1;
    let end = protocol_start(request).map_or(request.len(), |protocol| protocol - 1);
    (start <= end).then_some((start, end))
}

/// Where the path of a target begins: behind `scheme://authority` of an absolute one.
fn path_start(target: &[u8]) -> Option<usize> {
    if target.first() == Some(&b'/') {
        return Some(0);
    }
    let colon = memchr(b':', target)?;
    let authority = colon + 3;
    (target.get(colon..authority)? == b"://").then_some(())?;
    let rest = target.get(authority..)?;
    Some(
        authority
            + rest
                .iter()
                .position(|b| matches!(b, b'/' | b'?'))
                .unwrap_or(rest.len()),
    )
}

fn path(target: &[u8]) -> Option<(usize, usize)> {
    let start = path_start(target).unwrap_or(0);
    let rest = target.get(start..)?;
    Some((start, start + memchr(b'?', rest).unwrap_or(rest.len())))
}

fn query(target: &[u8]) -> Option<(usize, usize)> {
    Some((memchr(b'?', target)? + 1, target.len()))
}

fn authority(target: &[u8]) -> Option<(usize, usize)> {
    let end = path_start(target)?;
    let start = memchr(b':', target.get(..end)?)? + 3;
    Some((start, end))
}

fn cookie(header: &[u8], name: &[u8]) -> Option<(usize, usize)> {
    let mut start = 0;
    for pair in header.split(|&b| b == b';') {
        let blank = pair.iter().take_while(|&&b| b == b' ').count();
        let trimmed = pair.get(blank..)?;
        if trimmed.starts_with(name) && trimmed.get(name.len()) == Some(&b'=') {
            return Some((start + blank + name.len() + 1, start + pair.len()));
        }
        start += pair.len() + 1;
    }
    None
}

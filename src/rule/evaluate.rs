//! One record through the rules, with nothing allocated once label values are known.
//!
//! A value is computed when a rule asks for it, once a line, and lives in the line itself or in a
//! scratch buffer that is emptied before the next line. Labels go one step further: what a derived
//! field makes of an input is remembered, so that `fastly` is lower-cased, looked up and numbered
//! once and not a million times.

use std::net::IpAddr;
use std::sync::Arc;

use regex::bytes::Regex;

use super::memo::{Key, Memo};
use super::value::{Line, Moment, State, Value};
use super::variables::Variable;
use super::{Amount, Factor, Group, Input, Label, Labelling, Matcher, Near, Number, Rules};
use crate::geo::{GeoCache, Trust};
use crate::metrics::{Decimal, Dictionary, Table};
use crate::record::{Kept, Span};

/// What rules need to know beside the line.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// Whose word about the client is taken, and whose addresses are known.
    pub trusted: Arc<Trust>,
    /// Values of the labels taken from the file's path.
    pub file_labels: Vec<Vec<u8>>,
}

/// Evaluates the rules of one format, for one worker.
#[derive(Debug)]
pub struct Evaluator {
    pub(super) rules: Arc<Rules>,
    pub(super) state: State,
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
            addresses: vec![IpAddr::from([0; 4]); rules.variables.len()],
            labels: vec![(0, 0); rules.labelling.len()],
            memos: rules.labelling.iter().map(|_| Memo::new()).collect(),
            series: vec![(0, 0); rules.sets.len()],
            groups: regexes.collect(),
            scratch: Vec::with_capacity(1024),
            spare: Vec::new(),
            value_errors: vec![0; rules.layout.metrics.len()],
            near_misses: Kept::default(),
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

    /// Counts one record into the table's current window. `moment` decides which gauge value is the newest.
    #[inline]
    pub fn count(&mut self, bytes: &[u8], spans: &[Span], moment: Moment, table: &mut Table) {
        let line = self.state.begin(bytes, spans, &self.rules);
        for group in &line.rules.groups {
            if group.gate.as_ref().is_some_and(|gate| !gate.may_pass(line)) {
                continue;
            }
            match self.state.first_failing(line, &group.matchers) {
                None => self.state.tally(line, group, moment, table),
                Some(failed) => {
                    for near in &group.near {
                        self.state.near(line, failed, near, table);
                    }
                }
            }
        }
    }

    /// Whether any group of rules takes the record.
    pub fn matches(&mut self, bytes: &[u8], spans: &[Span]) -> bool {
        let state = &mut self.state;
        let line = state.begin(bytes, spans, &self.rules);
        let mut groups = line.rules.groups.iter();
        groups.any(|group| state.first_failing(line, &group.matchers).is_none())
    }

    /// Near misses put aside, with the matcher that failed.
    pub fn near_misses(&mut self) -> &mut Kept<String> {
        &mut self.state.near_misses
    }

    /// The rules being evaluated.
    pub fn rules(&self) -> &Arc<Rules> {
        &self.rules
    }
}

impl State {
    pub(super) fn begin<'l>(
        &mut self,
        bytes: &'l [u8],
        spans: &'l [Span],
        rules: &'l Rules,
    ) -> Line<'l> {
        self.line_number = self.line_number.wrapping_add(1);
        if self.line_number == 0 {
            self.forget_stamps();
        }
        self.scratch.clear();
        Line {
            bytes,
            spans,
            rules,
        }
    }

    /// After 2^32 lines a stamp could be mistaken for this line's.
    #[cold]
    fn forget_stamps(&mut self) {
        self.line_number = 1;
        self.values.fill((0, Value::Absent));
        self.labels.fill((0, 0));
        self.series.fill((0, 0));
    }

    #[inline]
    pub(super) fn first_failing<'m>(
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
    fn tally(&mut self, line: Line<'_>, group: &Group, moment: Moment, table: &mut Table) {
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
                if self.add(line, &tally.amount, moment, cell).is_none()
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
    pub(super) fn add(
        &mut self,
        line: Line<'_>,
        amount: &Amount,
        moment: Moment,
        cell: &mut [u64],
    ) -> Option<()> {
        match amount {
            Amount::Line => *cell.first_mut()? += 1,
            Amount::Sum {
                value: Some(value),
                weight: None,
            } => {
                match self.number(line, *value) {
                    Found::Absent => {}
                    Found::Billionths(added) => add_small(cell, 1, added),
                    Found::Large(added) => add_to(cell, 1, *added),
                    Found::Unusable => return None,
                }
                *cell.first_mut()? += 1;
            }
            Amount::Sum { value, weight } => {
                let added = self.weighed(line, *value, weight.as_ref())?;
                add_to(cell, 1, added);
                *cell.first_mut()? += 1;
            }
            Amount::Last(value) => {
                let Some(value) = self.number(line, *value).decimal()? else {
                    return Some(());
                };
                let [low, high] = value.words();
                let new = [moment.order(), moment.position, low, high];
                let cell = cell.get_mut(..4)?;
                if new.get(..2) >= cell.get(..2) {
                    cell.copy_from_slice(&new);
                }
            }
            Amount::Observe { value, bounds } => match self.number(line, *value) {
                Found::Absent => {}
                Found::Billionths(value) => {
                    let found = bounds.iter().position(|(bound, _)| value <= *bound);
                    *cell.get_mut(found.unwrap_or(bounds.len()))? += 1;
                    add_small(cell, bounds.len() + 1, value);
                }
                Found::Large(value) => {
                    let found = bounds.iter().position(|(_, bound)| *value <= *bound);
                    *cell.get_mut(found.unwrap_or(bounds.len()))? += 1;
                    add_to(cell, bounds.len() + 1, *value);
                }
                Found::Unusable => return None,
            },
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
            Some(value) => self.number(line, value).decimal()?.unwrap_or(Decimal::ZERO),
            None => Decimal::whole(1),
        };
        let weight = match weight {
            None => return Some(value),
            Some(Factor::Constant(weight)) => *weight,
            Some(Factor::Field(field)) => self
                .number(line, *field)
                .decimal()?
                .unwrap_or(Decimal::whole(1)),
        };
        value
            .0
            .checked_mul(weight.0)
            .map(|product| Decimal(product / Decimal::whole(1).0))
    }

    /// The number in a field.
    #[inline]
    fn number(&mut self, line: Line<'_>, number: Number) -> Found {
        let text = self.input(line, number.from);
        match Decimal::billionths(text, number.shift) {
            Some(small) => Found::Billionths(small),
            None if text.is_empty() => Found::Absent,
            None => Found::large(text, number.shift),
        }
    }

    /// The bytes of an input; empty when absent.
    #[inline]
    fn input<'t>(&'t mut self, line: Line<'t>, input: Input) -> &'t [u8] {
        match input {
            Input::Written(slot) => line.raw(slot).unwrap_or_default(),
            Input::Value(id) => {
                let value = self.value(line, id);
                self.text(line, value)
            }
        }
    }

    #[cold]
    fn near(&mut self, line: Line<'_>, failed: &Matcher, near: &Near, table: &mut Table) {
        if self.first_failing(line, &near.matchers).is_some() {
            return;
        }
        // A near miss has the reason for its label, or none at all.
        let reason = line.rules.sets.get(near.set).and_then(|set| set.first());
        let series = match reason {
            Some(Label::Reason(dictionary) | Label::Field(dictionary)) => {
                let id = table.dictionary(*dictionary).intern(failed.text.as_bytes());
                table.series(near.set, &[id])
            }
            None => table.series(near.set, &[]),
        };
        if let Some(count) = table.touch(near.set, series).get_mut(near.offset) {
            *count += 1;
        }
        self.near_misses.keep(line.bytes, || failed.text.clone());
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
        let Some(&Labelling { variable, input }) = line.rules.labelling.get(number) else {
            return 0;
        };
        let key = Key::of(self.input(line, input));
        if let Some(id) = key.and_then(|key| self.memos.get(number)?.find(key)) {
            return id;
        }
        let value = self.value(line, variable);
        let id = dictionary.intern(or_unknown(self.text(line, value)));
        if let (Some(key), Some(memo)) = (key, self.memos.get_mut(number)) {
            memo.keep(key, id);
        }
        id
    }
}

/// A field's number. Only what fits no word is moved about as more.
enum Found {
    Absent,
    Billionths(u64),
    Large(Box<Decimal>),
    Unusable,
}

impl Found {
    #[cold]
    fn large(text: &[u8], shift: i32) -> Found {
        match Decimal::parse(text, shift) {
            Some(value) if value >= Decimal::ZERO => Found::Large(Box::new(value)),
            _ => Found::Unusable,
        }
    }

    /// `Some(None)` when absent, `None` when it cannot be counted.
    fn decimal(self) -> Option<Option<Decimal>> {
        match self {
            Found::Absent => Some(None),
            Found::Billionths(small) => Some(Some(Decimal(i128::from(small)))),
            Found::Large(value) => Some(Some(*value)),
            Found::Unusable => None,
        }
    }
}

/// Adds billionths to the two words at `at`.
#[inline]
fn add_small(cell: &mut [u64], at: usize, billionths: u64) {
    if let Some([low, high]) = cell.get_mut(at..at + 2) {
        let (sum, carry) = low.overflowing_add(billionths);
        *low = sum;
        *high = high.wrapping_add(u64::from(carry));
    }
}

fn add_to(cell: &mut [u64], at: usize, value: Decimal) {
    if let Some([low, high]) = cell.get_mut(at..at + 2) {
        [*low, *high] = Decimal::from_words(*low, *high).plus(value).words();
    }
}

pub(super) fn or_unknown(text: &[u8]) -> &[u8] {
    if text.is_empty() { b"unknown" } else { text }
}

#[cfg(test)]
mod tests {
    use super::super::made::{Asked, Columns, compile, counted, counted_with};
    use super::*;
    use crate::record::Escape;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// The value of the derived field `x`, shown as a label; `unknown` when absent.
    fn derived(field: &str, format: &Columns, line: &str) -> String {
        let rules = format!(
            "[fields]\n{field}\n[[metric]]\nname = \"n_total\"\nhelp = \"n\"\nlabels = [\"x\"]\n"
        );
        let (amounts, _) = counted(&rules, format, &[line]);
        let series: Vec<&String> = amounts.keys().collect();
        assert_eq!(series.len(), 1, "{series:?}");
        series[0]["n_total{".len()..series[0].len() - 1].to_owned()
    }

    /// The value of a name that every format with a request has.
    fn part(name: &str, request: &str) -> String {
        let format = Columns::plain(&["request", "status", "http_cookie"]);
        derived(&format!("x = {{ from = ['{name}'] }}"), &format, request)
    }

    #[test]
    fn request_lines_are_taken_apart() {
        for (request, expected) in [
            (
                "GET /a?b=c HTTP/1.1",
                ["GET", "/a", "b=c", "HTTP/1.1", "unknown"],
            ),
            (
                "GET http://h.x:80/a?b HTTP/1.1",
                ["GET", "/a", "b", "HTTP/1.1", "h.x"],
            ),
            (
                "GET http://h.x?b HTTP/1.1",
                ["GET", "unknown", "b", "HTTP/1.1", "h.x"],
            ),
            (
                "GET http://h.x HTTP/1.0",
                ["GET", "unknown", "unknown", "HTTP/1.0", "h.x"],
            ),
            (
                "OPTIONS * HTTP/1.1",
                ["OPTIONS", "*", "unknown", "HTTP/1.1", "unknown"],
            ),
            (
                "CONNECT h.x:443 HTTP/1.1",
                ["CONNECT", "h.x:443", "unknown", "HTTP/1.1", "unknown"],
            ),
            ("GET /old", ["GET", "/old", "unknown", "unknown", "unknown"]),
            (
                "GET /a b?c d HTTP/1.1",
                ["GET", "/a b", "c d", "HTTP/1.1", "unknown"],
            ),
            (
                "GET  HTTP/1.1",
                ["GET", "unknown", "unknown", "HTTP/1.1", "unknown"],
            ),
            (
                "GET HTTP/1.1",
                ["GET", "unknown", "unknown", "HTTP/1.1", "unknown"],
            ),
            (
                "GET /?u=http://e.x/p HTTP/1.1",
                ["GET", "/", "u=http://e.x/p", "HTTP/1.1", "unknown"],
            ),
            (
                "GET x?u=http://e.x/p HTTP/1.1",
                ["GET", "x", "u=http://e.x/p", "HTTP/1.1", "unknown"],
            ),
            ("", ["unknown"; 5]),
            ("-", ["unknown"; 5]),
        ] {
            let names = ["method", "path", "query", "protocol", "host"];
            let found = names.map(|name| part(name, request));
            assert_eq!(found, expected, "{request}");
        }
    }

    #[test]
    fn host_is_the_first_present_of_header_server_and_request() {
        let format = Columns::plain(&["http_host", "server_name", "request"]);
        let own = Columns::plain(&["host", "request"]);
        let only = Columns::plain(&["host"]);
        let none = Columns::plain(&["status"]);
        let absolute = "GET http://r.x:80/a HTTP/1.1";
        for (format, line, expected) in [
            (&format, format!("h.x:8080|s.x|{absolute}"), "h.x"),
            (&format, format!("-|s.x|{absolute}"), "s.x"),
            (&format, format!("-|-|{absolute}"), "r.x"),
            (&format, "-|-|GET /a HTTP/1.1".to_owned(), "unknown"),
            (&own, format!("o.x:81|{absolute}"), "o.x:81"),
            (&own, format!("-|{absolute}"), "r.x"),
            (&only, "o.x".to_owned(), "o.x"),
            (&none, "200".to_owned(), "unknown"),
        ] {
            let found = derived("x = { from = ['host'] }", format, &line);
            assert_eq!(found, expected, "{line}");
        }
    }

    #[test]
    fn parameters_are_decoded_after_they_were_found() {
        for (query, expected) in [
            ("arg_a", "unknown"),
            ("b=1&x=a+b%26c%3D&x=2", "a b&c="),
            ("x=&x=2", "unknown"),
            ("x", "unknown"),
            ("%78=named", "named"),
            ("xx=1&ax=2", "unknown"),
            ("x=%zz%4", "%zz%4"),
            ("x=a?b", "a?b"),
        ] {
            assert_eq!(
                part("arg_x", &format!("GET /p?{query} HTTP/1.1")),
                expected,
                "{query}"
            );
        }
    }

    #[test]
    fn cookies_are_found_by_their_whole_name() {
        for (header, expected) in [
            ("x=1; y=2", "1"),
            ("ax=1; x=2=3", "2=3"),
            ("a=1;x=2", "2"),
            ("x=; y=1", "unknown"),
            ("xx=1", "unknown"),
            ("X=1", "unknown"),
        ] {
            assert_eq!(
                part("cookie_x", &format!("r|200|{header}")),
                expected,
                "{header}"
            );
        }
    }

    #[test]
    fn codes_are_classes_and_the_statuses_that_say_more() {
        for (status, code) in [
            ("200", "2xx"),
            ("100", "1xx"),
            ("399", "3xx"),
            ("404", "4xx"),
            ("429", "429"),
            ("499", "499"),
            ("500", "500"),
            ("501", "5xx"),
            ("502", "502"),
            ("503", "503"),
            ("504", "504"),
            ("599", "5xx"),
            ("600", "other"),
            ("000", "other"),
            ("2000", "other"),
            ("20", "other"),
            ("ok", "other"),
            ("-", "unknown"),
            ("", "unknown"),
        ] {
            assert_eq!(part("code", &format!("r|{status}|")), code, "{status}");
        }
    }

    #[test]
    fn steps_of_a_derived_field_are_taken_in_order() {
        let format = Columns::plain(&["a", "b"]);
        for (field, line, expected) in [
            ("from = ['a', 'b']", "-|two", "two"),
            ("from = ['b', 'a']", "one|-", "one"),
            ("from = ['a']", "-|", "unknown"),
            ("from = ['a'], empty = 'none'", "|", "none"),
            ("from = ['a'], regex = '[0-9]+'", "x12y3|", "12"),
            ("from = ['a'], regex = 'x(a)?(b)?'", "xb|", "b"),
            (
                "from = ['a'], regex = '([0-9]+)', empty = 'none'",
                "x|",
                "none",
            ),
            (
                "from = ['a'], regex = '([A-Z]+)', lowercase = true",
                "xAB|",
                "ab",
            ),
            (
                "from = ['a'], regex = '([a-z]+)', lowercase = true",
                "ABc|",
                "c",
            ),
            (
                "from = ['a'], regex = '([a-z]+)', uppercase = true, map = { SJC = 'Y', sjc = 'N' }",
                "sjc3|",
                "Y",
            ),
            ("from = ['a'], uppercase = true", "aB\u{e9}|", "AB\u{e9}"),
            (
                "from = ['a'], lowercase = true, map = { ab = 'Y' }",
                "AB|",
                "Y",
            ),
            ("from = ['a'], map = { ab = 'Y' }", "AB|", "AB"),
            (
                "from = ['a'], map = { ab = 'Y' }, values = ['Y'], other = 'o'",
                "ab|",
                "Y",
            ),
            (
                "from = ['a'], map = { ab = 'Y' }, values = ['ab'], other = 'o'",
                "ab|",
                "o",
            ),
            (
                "from = ['a'], values = ['ab'], other = 'o'",
                "-|",
                "unknown",
            ),
            (
                "from = ['a'], values = ['ab'], other = 'o', empty = 'e'",
                "-|",
                "e",
            ),
            ("from = ['a'], values = ['ab']", "zz|", "zz"),
            ("from = ['a'], map = { ab = '' }, empty = 'e'", "ab|", "e"),
        ] {
            assert_eq!(
                derived(&format!("x = {{ {field} }}"), &format, line),
                expected,
                "{field}"
            );
        }
    }

    #[test]
    fn an_empty_stand_in_is_not_present() {
        let format = Columns::plain(&["a", "b"]);
        let fields =
            "y = { from = ['a'], map = { m = '' }, empty = '' }\nx = { from = ['y', 'b'] }";
        assert_eq!(derived(fields, &format, "m|two"), "two");
    }

    #[test]
    fn a_client_can_be_taken_apart_like_any_text() {
        let format = Columns::plain(&["remote_addr"]);
        let fields =
            "c = { client_addr = ['remote_addr'] }\nx = { from = ['c'], regex = '^([0-9]+)' }";
        assert_eq!(derived(fields, &format, "203.0.113.9"), "203");
        let fields = "x = { client_addr = ['remote_addr'] }";
        assert_eq!(
            derived(fields, &format, "::FFFF:203.0.113.9"),
            "203.0.113.9"
        );
        assert_eq!(derived(fields, &format, "nobody"), "unknown");
        let fields = "c = { client_addr = ['remote_addr'] }\nx = { geoip = 'country', of = 'c' }";
        assert_eq!(derived(fields, &format, "10.1.2.3"), "private");
        assert_eq!(derived(fields, &format, "nobody"), "unknown");
    }

    #[test]
    fn values_longer_than_the_memo_keep_their_numbers() {
        let format = Columns::plain(&["a"]);
        let rules = "[fields]\nx = { from = ['a'], lowercase = true }\n[[metric]]\nname = 'n_total'\nhelp = 'n'\nlabels = ['x']\n";
        let long = [
            format!("{}A", "y".repeat(40)),
            format!("{}b", "Y".repeat(40)),
        ];
        let lines: Vec<&str> = long.iter().chain(&long).map(String::as_str).collect();
        let (amounts, _) = counted(rules, &format, &lines);
        let expected = ["a", "b"].map(|last| {
            (
                format!("n_total{{{}{last}}}", "y".repeat(40)),
                "2".to_owned(),
            )
        });
        assert_eq!(amounts, BTreeMap::from(expected));
    }

    #[test]
    fn escaped_values_are_compared_decoded() {
        let format = Columns(vec![("request", Escape::Nginx, 0)]);
        let rules =
            "[[metric]]\nname = 'n_total'\nhelp = 'n'\nmatch = 'path=`/a\"b`, arg_q=`x y`'\n";
        let (amounts, _) = counted(
            rules,
            &format,
            &[r"GET /a\x22b?q=x%20y HTTP/1.1", r"GET /a\x22b HTTP/1.1"],
        );
        assert_eq!(amounts.get("n_total{}").map(String::as_str), Some("1"));
    }

    const NUMBERS: &str = r#"
        [[metric]]
        name = "lines_total"
        help = "l"
        [[metric]]
        name = "bytes_total"
        help = "b"
        value = "b"
        [[metric]]
        name = "seconds"
        help = "s"
        type = "histogram"
        value = "t"
        buckets = [0.1, 1]
    "#;

    fn numbers(lines: &[&str]) -> (BTreeMap<String, String>, u64) {
        counted(
            NUMBERS,
            &Columns(vec![("b", Escape::None, 0), ("t", Escape::None, -3)]),
            lines,
        )
    }

    #[test]
    fn absent_values_add_nothing_and_bad_ones_are_counted() {
        let (amounts, errors) = numbers(&["-|-", "5|100", "|101", "-1|-5", "x|1e99", "7|2000"]);
        assert_eq!(amounts["lines_total{}"], "6");
        assert_eq!(amounts["bytes_total{}"], "12");
        assert_eq!(
            amounts["seconds{}"], "1 2 3 = 2.201",
            "in seconds, a bound holds its own value"
        );
        assert_eq!(errors, 4, "two negative, one text, one too large");
    }

    #[test]
    fn the_newest_gauge_wins_by_time_then_position() {
        let format = Columns::plain(&["v"]);
        let rules = "[[metric]]\nname = 'g'\nhelp = 'g'\ntype = 'gauge'\nvalue = 'v'\n";
        let (rules, metrics) = compile(&[("g", rules)], &format, &Asked::default()).unwrap();
        let rules = Arc::new(rules);
        let mut evaluator = Evaluator::new(
            Arc::clone(&rules),
            Environment::default(),
            GeoCache::new(Arc::default()),
        );
        let mut cells = Vec::new();
        for orders in [
            [(5, 1), (5, 2), (4, 9)],
            [(4, 9), (5, 2), (5, 1)],
            [(5, 2), (4, 9), (5, 1)],
        ] {
            let mut table = Table::new(Arc::clone(&rules.layout));
            table.select(0);
            for order in orders {
                let line = format!("{}{}", order.0, order.1);
                let moment = Moment {
                    seconds: order.0,
                    nanos: 0,
                    position: order.1,
                };
                evaluator.count(
                    line.as_bytes(),
                    &[Span::new(0, line.len())],
                    moment,
                    &mut table,
                );
            }
            evaluator.count(
                b"-",
                &[Span::new(0, 1)],
                Moment {
                    seconds: 9,
                    nanos: 0,
                    position: 9,
                },
                &mut table,
            );
            let mut run = Vec::new();
            table.write_run(&mut run).unwrap();
            evaluator.forget();
            cells.push(run);
        }
        assert!(cells.iter().all(|run| *run == cells[0]));
        let mut merge = crate::metrics::run::Merge::new([cells[0].as_slice()], &metrics).unwrap();
        merge.next_series().unwrap();
        let mut cell = Vec::new();
        merge.next_point(&mut cell).unwrap();
        assert_eq!(metrics[0].kind.amount(&cell), Decimal::whole(52));
    }

    #[test]
    fn weights_feed_a_series_of_their_own() {
        let format = Columns::plain(&["w"]);
        let rules = "[[metric]]\nname = 'n_total'\nhelp = 'n'\nweight = 'w'\n";
        let (amounts, errors) = counted(rules, &format, &["10", "2.5", "-", "x"]);
        assert_eq!(amounts["n_total{}"], "4");
        assert_eq!(
            amounts["n_estimated_total{}"], "13.5",
            "a line without a weight is one"
        );
        assert_eq!(errors, 1);
    }

    #[test]
    fn near_misses_name_the_first_matcher_that_failed() {
        let format = Columns::plain(&["a", "b"]);
        let rules = "
            [[metric]]
            name = 'hits_total'
            help = 'h'
            match = 'a=\"1\", b!=\"\"'
            near = 'a=\"1\"'
            [[metric]]
            name = 'others_total'
            help = 'h'
            match = 'a=\"1\", b!=\"\"'
            near = 'b=\"2\"'";
        let (amounts, _) = counted(rules, &format, &["1|x", "1|-", "0|2", "0|3"]);
        assert_eq!(amounts["hits_total{}"], "1");
        assert_eq!(amounts["hit_near_misses_total{b!=\"\"}"], "1");
        assert_eq!(
            amounts["other_near_misses_total{a=\"1\"}"], "1",
            "each metric has its own"
        );
        assert_eq!(amounts.len(), 4, "{amounts:?}");
    }

    #[test]
    fn labels_of_the_path_are_those_of_the_file_being_read() {
        let format = Columns::plain(&["a"]);
        let asked = Asked {
            file_labels: vec!["site".to_owned()],
            ..Asked::default()
        };
        let rules = "[[metric]]\nname = 'n_total'\nhelp = 'n'\nlabels = ['a']\n";
        let (rules, metrics) = compile(&[("n", rules)], &format, &asked).unwrap();
        let environment = Environment {
            file_labels: vec![b"north".to_vec()],
            ..Environment::default()
        };
        let (amounts, _) =
            counted_with(Arc::new(rules), &metrics, &format, environment, &["x", "x"]);
        assert_eq!(amounts["n_total{north,x}"], "2");
    }

    proptest! {
        #[test]
        fn numbered_labels_equal_labels_derived_anew(values in prop::collection::vec("[a-cA-C]{0,3}|[aA]{30,36}", 1..60)) {
            let format = Columns::plain(&["a"]);
            let rules = "[fields]\nx = { from = ['a'], regex = '^(..?)', lowercase = true, map = { ab = 'mapped' }, empty = 'none' }\n[[metric]]\nname = 'n_total'\nhelp = 'n'\nlabels = ['x', 'a']\n";
            let lines: Vec<&str> = values.iter().map(String::as_str).collect();
            let (amounts, _) = counted(rules, &format, &lines);
            let mut naive: BTreeMap<String, u64> = BTreeMap::new();
            for value in &values {
                let two: String = value.chars().take(2).collect::<String>().to_ascii_lowercase();
                let x = match two.as_str() { "" => "none", "ab" => "mapped", other => other };
                let a = if value.is_empty() { "unknown" } else { value };
                *naive.entry(format!("n_total{{{x},{a}}}")).or_default() += 1;
            }
            let naive: BTreeMap<String, String> = naive.into_iter().map(|(k, n)| (k, n.to_string())).collect();
            prop_assert_eq!(amounts, naive);
        }
    }
}

//! W3C extended logs: CloudFront's standard logs, IIS, EdgeCast's raw logs.
//!
//! Invariant: a record is read by the `#Fields` line before it, or not at all. A server that
//! restarts may write other columns into the same file, and CloudFront has added columns six times,
//! so a record whose columns do not match its header is refused rather than read shifted.
//!
//! It does not decode values and does not know what a column means; `-` is a value like any other.

use memchr::{memchr, memchr_iter, memchr2};

use super::columns::{self, Columns};
use crate::record::{Mismatch, Reading, Span, find_near};

const TOO_FEW: &str = "as many columns as the `#Fields:` line names";
const TOO_MANY: &str = "no more columns than the `#Fields:` line names";
const NO_HEADER: &str = "a `#Fields:` line before the first record";

/// Reads one file's lines in their order: directives change how the records after them are read.
#[derive(Clone, Debug)]
pub(super) struct W3cReader {
    /// Wanted fields; their positions are those of the results.
    names: Vec<String>,
    /// Field and column, in lower case, where the field is not called as [`canonical`] says.
    renamed: Vec<(String, String)>,
    columns: Option<Columns>,
}

impl W3cReader {
    /// A reader of the fields `names`. `renamed` pairs a field and the column (in lower case) that
    /// holds it. `fixed_columns`, names separated by blanks, describes records that no `#Fields`
    /// line precedes.
    pub(super) fn new(
        names: &[String],
        renamed: &[(String, String)],
        fixed_columns: Option<&str>,
    ) -> W3cReader {
        let mut reader = W3cReader {
            names: names.to_vec(),
            renamed: renamed.to_vec(),
            columns: None,
        };
        reader.columns = fixed_columns.and_then(|columns| reader.compile(columns));
        reader
    }

    /// The fields of the columns that are known now.
    pub(super) fn fields(&self) -> Vec<String> {
        self.columns.as_ref().map_or_else(Vec::new, Columns::fields)
    }

    /// None when `text` names no column. Names may stand in quotes.
    fn compile(&self, text: &str) -> Option<Columns> {
        let columns = text.split_whitespace().map(|name| name.trim_matches('"'));
        let columns = columns.filter(|name| !name.is_empty());
        let names = columns.map(|column| field_name(column, &self.renamed));
        Columns::new(names.collect(), &self.names)
    }

    /// True for lines that [`W3cReader::directive`] takes: those with `#` first, or after a byte
    /// order mark or a quote.
    #[inline]
    pub(super) fn is_directive(line: &[u8]) -> bool {
        match line.first() {
            Some(b'#') => true,
            Some(0xef | b'"') => without_mark(line).first() == Some(&b'#'),
            _ => false,
        }
    }

    /// Takes a line that begins with `#`. Only `#Fields:` has an effect; one without names leaves
    /// the records after it unreadable.
    pub(super) fn directive(&mut self, line: &[u8]) {
        if let Some(columns) = columns_named(line) {
            self.columns = self.compile(&String::from_utf8_lossy(columns));
        }
    }

    /// Finds the wanted columns of a record. Columns are separated by TABs when the line holds one,
    /// else by single spaces, where a value that begins with a quote runs to its closing quote and
    /// its span lies between them. Columns the file does not have are absent. `out` should hold one
    /// span for each name.
    ///
    /// # Errors
    /// No columns are known, the record has fewer, or it has more that are not empty; `out` is then of
    /// no use.
    pub(super) fn read(&self, line: &[u8], out: &mut [Span]) -> Result<Reading, Mismatch> {
        let columns = self.columns.as_ref().ok_or(Mismatch::text(0, NO_HEADER))?;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        out.iter_mut()
            .take(self.names.len())
            .for_each(|span| *span = Span::ABSENT);
        match memchr2(b'\t', b'"', line) {
            None => read_plain(columns, b' ', line, out),
            Some(at) if line.get(at) == Some(&b'\t') || memchr(b'\t', line).is_some() => {
                read_plain(columns, b'\t', line, out)
            }
            Some(_) => read_quoted(columns, line, out),
        }
    }
}

/// Columns without quotes: one pass over the separators. Columns that are not wanted cost no more
/// than theirs, and those behind the last wanted one are only counted.
fn read_plain(
    columns: &Columns,
    separator: u8,
    line: &[u8],
    out: &mut [Span],
) -> Result<Reading, Mismatch> {
    let mut record = columns.record(line, out);
    let mut separators = memchr_iter(separator, line);
    let (mut start, mut column) = (0, 0);
    while let Some(wanted) = record.next_wanted() {
        while column < wanted {
            let at = separators
                .next()
                .ok_or(Mismatch::text(line.len(), TOO_FEW))?;
            start = at + 1;
            column += 1;
        }
        let end = separators.next();
        record.put(column, Span::new(start, end.unwrap_or(line.len())));
        column += 1;
        match end {
            Some(end) => start = end + 1,
            None => return finish(columns, column, line, line.len(), separator),
        }
    }
    let behind = line.get(start..).unwrap_or_default();
    let count = column + 1 + separators.count();
    if count <= columns.count {
        return finish(columns, count, line, line.len(), separator);
    }
    // More columns than the header names must be empty.
    if let Some(left) = (columns.count - column).checked_sub(1) {
        let last = memchr_iter(separator, behind).nth(left);
        start += last.map_or(behind.len(), |at| at + 1);
    }
    finish(columns, columns.count, line, start, separator)
}

/// Columns between blanks of which some may be quoted.
fn read_quoted(columns: &Columns, line: &[u8], out: &mut [Span]) -> Result<Reading, Mismatch> {
    let mut record = columns.record(line, out);
    let (mut start, mut column, mut unclosed) = (0, 0, false);
    while column < columns.count && start <= line.len() {
        let (span, end) = spaced_value(line, start, &mut unclosed);
        record.put(column, span);
        start = end + 1;
        column += 1;
    }
    finish(columns, column, line, start, b' ')
}

/// Judges a record of which `column` columns were read and the rest begins at `start`.
fn finish(
    columns: &Columns,
    column: usize,
    line: &[u8],
    start: usize,
    separator: u8,
) -> Result<Reading, Mismatch> {
    if column < columns.count {
        return Err(Mismatch::text(line.len(), TOO_FEW));
    }
    let extra = line.get(start..).unwrap_or_default();
    match extra.iter().position(|byte| *byte != separator) {
        Some(at) => Err(Mismatch::text(start + at, TOO_MANY)),
        None => Ok(Reading::Exact),
    }
}

/// The value that begins at `start`, and where its separator is or would be. `unclosed` says that
/// no quote closes a value from here on, so that the rest of a line is looked through for one only
/// once; a run of quotes that begins a value may close it all the same.
fn spaced_value(line: &[u8], start: usize, unclosed: &mut bool) -> (Span, usize) {
    let rest = line.get(start..).unwrap_or_default();
    if let Some(quoted) = rest.strip_prefix(b"\"") {
        let run = quoted.iter().take_while(|byte| **byte == b'"').count();
        let searched = if *unclosed { quoted.get(..=run) } else { None };
        if let Some(length) = closing_quote(searched.unwrap_or(quoted)) {
            let first = start + 1;
            return (Span::new(first, first + length), first + length + 1);
        }
        *unclosed = true;
    }
    let end = start + find_near(b' ', rest).unwrap_or(rest.len());
    (Span::new(start, end), end)
}

/// Position of the quote that ends a value: one before a space or the end of the line that is not
/// the second of a doubled quote. None when a value only happens to begin with a quote.
fn closing_quote(text: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + memchr(b'"', text.get(from..)?)?;
        from = match text.get(at + 1) {
            None | Some(b' ') => return Some(at),
            Some(b'"') => at + 2,
            Some(_) => at + 1,
        };
    }
}

/// What a `#Fields:` line names, or nothing when the line is none.
pub(super) fn columns_named(line: &[u8]) -> Option<&[u8]> {
    const FIELDS: &[u8] = b"#fields:";
    let (start, columns) = without_mark(line).split_at_checked(FIELDS.len())?;
    start.eq_ignore_ascii_case(FIELDS).then_some(columns)
}

/// The line behind a byte order mark, and behind the quote of a directive that was quoted whole.
fn without_mark(line: &[u8]) -> &[u8] {
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    match line {
        [b'"', rest @ ..] if rest.first() == Some(&b'#') => rest,
        _ => line,
    }
}

/// Fields that W3C logs commonly have.
pub(super) const COMMON_FIELDS: [&str; 14] = [
    "date",
    "time",
    "remote_addr",
    "method",
    "path",
    "query",
    "status",
    "bytes_sent",
    "request_length",
    "request_time",
    "host",
    "protocol",
    "remote_user",
    "time_to_first_byte",
];

/// The field a column holds.
pub(super) fn field_name(column: &str, renamed: &[(String, String)]) -> String {
    let named = renamed
        .iter()
        .find(|(_, of)| of.eq_ignore_ascii_case(column));
    named.map_or_else(|| canonical(column), |(field, _)| field.clone())
}

/// The names of a column's fields: [`canonical_name`], for each half of a column of two.
fn canonical(column: &str) -> String {
    match columns::halves(column).filter(|_| !column.ends_with(')')) {
        Some((before, byte, behind)) => format!(
            "{}{}{}",
            canonical_name(before),
            char::from(byte),
            canonical_name(behind)
        ),
        None => canonical_name(column),
    }
}

/// The name nginx's fields have for what a W3C column holds: `cs(User-Agent)` is
/// `http_user_agent`. Columns nginx has no name for are lower-cased, with `_` for each run of other
/// characters than letters and digits.
fn canonical_name(column: &str) -> String {
    let column = column.to_ascii_lowercase();
    let known = match &*column {
        "c-ip" => "remote_addr",
        "cs-method" => "method",
        "cs-uri-stem" => "path",
        "cs-uri-query" => "query",
        "sc-status" => "status",
        "sc-bytes" => "bytes_sent",
        "cs-bytes" => "request_length",
        "time-taken" => "request_time",
        "cs-host" => "host",
        "cs-version" | "cs-protocol-version" => "protocol",
        "cs-username" => "remote_user",
        _ => return header_column(&column).unwrap_or_else(|| plain_name(&column)),
    };
    known.to_owned()
}

/// `cs(Name)` is a request header, `sc(Name)` one of the response.
fn header_column(column: &str) -> Option<String> {
    let (side, name) = column.strip_suffix(')')?.split_once('(')?;
    match side {
        "cs" => Some(format!("http_{}", plain_name(name))),
        "sc" => Some(format!("sent_http_{}", plain_name(name))),
        _ => None,
    }
}

fn plain_name(column: &str) -> String {
    let words = column.split(|character: char| !character.is_ascii_alphanumeric());
    words
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join("_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A reader of columns that are fields of the same name.
    fn fixed(names: &[&str], columns: Option<&str>) -> W3cReader {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        W3cReader::new(&names, &[], columns)
    }

    const CLOUDFRONT: &[u8] = b"#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer) cs(User-Agent)";

    fn reader(names: &[&str], directive: &[u8]) -> W3cReader {
        let names: Vec<String> = names.iter().map(|column| canonical(column)).collect();
        let mut reader = W3cReader::new(&names, &[], None);
        reader.directive(directive);
        reader
    }

    fn read<'l>(reader: &W3cReader, line: &'l str) -> Result<Vec<Option<&'l str>>, Mismatch> {
        let mut out = vec![Span::new(0, 0); reader.names.len()];
        assert_eq!(reader.read(line.as_bytes(), &mut out)?, Reading::Exact);
        let text = |span: Span| {
            line.get(span.start()..span.end())
                .filter(|_| !span.is_absent())
        };
        Ok(out.into_iter().map(text).collect())
    }

    #[test]
    fn cloudfront_columns_are_found_by_name() {
        let reader = reader(
            &["SC-Status", "cs(user-agent)", "x-host-header", "date"],
            CLOUDFRONT,
        );
        let line = "2019-12-04\t21:02:31\tLAX1\t392\t192.0.2.100\tGET\td1.cloudfront.net\t/index.html\t200\t-\tMozilla/5.0%20(X11)";
        let found = [
            Some("200"),
            Some("Mozilla/5.0%20(X11)"),
            None,
            Some("2019-12-04"),
        ];
        assert_eq!(read(&reader, line).unwrap(), found);
        assert_eq!(read(&reader, &format!("{line}\t")).unwrap(), found);
        assert_eq!(read(&reader, &format!("{line}\t\t\r")).unwrap(), found);
    }

    #[test]
    fn iis_columns_are_found_after_each_header() {
        let mut reader = reader(
            &["sc-status", "cs-method"],
            b"\xef\xbb\xbf#fields: date sc-status cs-method\r",
        );
        assert_eq!(
            read(&reader, "2022-01-22 200 GET\r").unwrap(),
            [Some("200"), Some("GET")]
        );
        reader.directive(b"#Date: 2022-01-22 00:00:01");
        assert_eq!(
            read(&reader, "2022-01-22 200 GET").unwrap(),
            [Some("200"), Some("GET")]
        );
        reader.directive(b"#Fields: cs-method sc-status");
        assert_eq!(
            read(&reader, "GET 503").unwrap(),
            [Some("503"), Some("GET")]
        );
    }

    #[test]
    fn a_quote_that_nothing_closes_is_looked_for_once() {
        let names: Vec<String> = (0..40_000).map(|column| format!("c{column}")).collect();
        let header = format!("#Fields: {}", names.join(" "));
        let reader = reader(&["c0", "c39998", "c39999"], header.as_bytes());
        let line = format!("{}\"\" b", "\"a ".repeat(39_998));
        assert_eq!(
            read(&reader, &line).unwrap(),
            [Some("\"a"), Some(""), Some("b")]
        );
    }

    #[test]
    fn quoted_value_is_one_column() {
        let reader = reader(&["a", "b", "c"], b"#Fields: a b c");
        for (line, found) in [
            (
                "1 \"Mozilla/5.0 (X11; Linux)\" \"-\"",
                ["1", "Mozilla/5.0 (X11; Linux)", "-"],
            ),
            ("\"\" \"x \"\" y\" 3", ["", "x \"\" y", "3"]),
            ("\"a\"b c\" 2 3", ["a\"b c", "2", "3"]),
            ("1 \"a 3", ["1", "\"a", "3"]),
            ("1  3", ["1", "", "3"]),
        ] {
            assert_eq!(read(&reader, line).unwrap(), found.map(Some), "{line}");
        }
    }

    #[test]
    fn records_with_another_number_of_columns_are_refused() {
        let reader = reader(&["a"], b"#Fields: a b c");
        let short = "as many columns as the `#Fields:` line names";
        let long = "no more columns than the `#Fields:` line names";
        for (line, at, expected) in [
            ("", 0, short),
            ("1 2", 3, short),
            ("1\t2", 3, short),
            ("1 2 3 4", 6, long),
            ("1\t2\t3\t\t4", 7, long),
            ("1 2\t3", 5, short),
        ] {
            assert_eq!(
                read(&reader, line),
                Err(Mismatch::text(at, expected)),
                "{line}"
            );
        }
    }

    #[test]
    fn record_before_any_header_is_refused() {
        let expected = Err(Mismatch::text(0, NO_HEADER));
        assert_eq!(read(&fixed(&["a"], None), "1"), expected);
        assert_eq!(read(&reader(&["a"], b"#Fields:"), "1"), expected);
    }

    #[test]
    fn fixed_columns_hold_until_a_header() {
        let mut reader = fixed(&["b"], Some("a b"));
        assert_eq!(read(&reader, "1 2").unwrap(), [Some("2")]);
        reader.directive(b"#Fields: b");
        assert_eq!(read(&reader, "1").unwrap(), [Some("1")]);
    }

    #[test]
    fn header_in_quotes_is_a_header() {
        for header in [
            &b"\"#Fields: sc-status cs-method\""[..],
            b"#Fields: \"sc-status\" \"cs-method\"",
            b"#Fields:\tsc-status\tcs-method\t\r",
        ] {
            assert!(W3cReader::is_directive(header));
            let reader = reader(&["cs-method", "sc-status"], header);
            let found = [Some("GET"), Some("200")];
            assert_eq!(read(&reader, "200 GET").unwrap(), found);
            assert_eq!(read(&reader, "200\tGET\t\t").unwrap(), found);
        }
    }

    #[test]
    fn column_of_two_fields_is_split() {
        let names = ["cache_status", "status", "remote_addr", "remote_port"].map(str::to_owned);
        let renamed = [("cache_status/status".to_owned(), "sc-status".to_owned())];
        let columns = Some("sc-status remote_addr:remote_port");
        let reader = W3cReader::new(&names, &renamed, columns);
        let found = ["TCP_HIT", "200", "2001:db8::1", "80"].map(Some);
        assert_eq!(
            read(&reader, "TCP_HIT/200 [2001:db8::1]:80").unwrap(),
            found
        );
        assert_eq!(canonical("c-ip:x-port"), "remote_addr:x_port");
        assert_eq!(canonical("cs(X-A/B)"), "http_x_a_b");
    }

    #[test]
    fn directives_are_told_from_records() {
        assert!(W3cReader::is_directive(b"#Version: 1.0"));
        assert!(W3cReader::is_directive(b"\xef\xbb\xbf#Fields: a"));
        assert!(!W3cReader::is_directive(b"2022-01-22 #"));
        assert!(!W3cReader::is_directive(b""));
    }

    #[test]
    fn columns_get_the_names_of_nginx() {
        for (column, name) in [
            ("c-ip", "remote_addr"),
            ("cs-uri-stem", "path"),
            ("cs(User-Agent)", "http_user_agent"),
            ("cs(Host)", "http_host"),
            ("cs-host", "host"),
            ("sc(X-Cache)", "sent_http_x_cache"),
            ("x-edge-location", "x_edge_location"),
            ("timestamp(ms)", "timestamp_ms"),
            ("x-ec_custom-1", "x_ec_custom_1"),
            ("--A..b-", "a_b"),
            ("date", "date"),
        ] {
            assert_eq!(canonical(column), name);
        }
    }

    /// Splits first and looks at the pieces then; spaces only where nothing is quoted.
    fn naive<'l>(line: &'l str, columns: &[&str], names: &[&str]) -> Option<Vec<Option<&'l str>>> {
        let separator = if line.contains('\t') { '\t' } else { ' ' };
        let pieces: Vec<&str> = line.split(separator).collect();
        let extra = pieces.get(columns.len()..)?;
        let value = |name: &&str| {
            let column = columns.iter().position(|column| column == name)?;
            pieces.get(column).copied()
        };
        extra
            .iter()
            .all(|piece| piece.is_empty())
            .then(|| names.iter().map(value).collect())
    }

    proptest! {
        #[test]
        fn reading_agrees_with_its_naive_twin(
            line in "([a-c0-9]{0,3}[\t ]?){0,8}",
            columns in prop::collection::vec(prop::sample::select(&["a", "b", "c", "d"][..]), 1..8),
            names in prop::collection::vec(prop::sample::select(&["a", "b", "c", "e"][..]), 0..5),
        ) {
            let reader = fixed(&names, Some(&columns.join(" ")));
            prop_assert_eq!(read(&reader, &line).ok(), naive(&line, &columns, &names));
        }

        #[test]
        fn quoted_values_are_found_whole(values in prop::collection::vec("[a \\.]{0,6}", 1..6)) {
            let columns: Vec<String> = (0..values.len()).map(|n| format!("c{n}")).collect();
            let names: Vec<&str> = columns.iter().map(String::as_str).collect();
            let line = values.iter().map(|value| format!("\"{value}\"")).collect::<Vec<_>>().join(" ");
            let found = read(&fixed(&names, Some(&columns.join(" "))), &line).unwrap();
            let values: Vec<Option<&str>> = values.iter().map(|value| Some(&**value)).collect();
            prop_assert_eq!(found, values);
        }

        #[test]
        fn no_line_panics(directive: Vec<u8>, line: Vec<u8>, almost in "[ \"\ta#-]{0,30}") {
            let mut reader = fixed(&["a", "b"], Some("a b c"));
            let mut out = [Span::ABSENT; 2];
            for line in [&line[..], almost.as_bytes()] {
                for short in 0..=2 {
                    if reader.read(line, &mut out[..short]).is_ok() {
                        prop_assert!(out[..short].iter().all(|span| span.of(line).is_some()));
                    }
                }
            }
            reader.directive(&directive);
            reader.directive(&[b"#Fields:", &directive[..]].concat());
            prop_assert!(reader.columns.is_none_or(|columns| columns.count > 0));
        }
    }
}

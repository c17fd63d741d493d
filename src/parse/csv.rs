//! Columns parted by one character: CSV, TSV, and the blank-separated logs of AWS and Squid.
//!
//! Invariant: a record is read by the columns of its format or file, never shifted: one with fewer
//! columns is refused. One with more is read, and its first columns are what they were: AWS appends
//! fields to its logs. A quoted value runs to a quote that a separator or the end of the line
//! follows, so a client's quote inside it does not part columns.
//!
//! It does not decode values, and no value goes on in the next line, as RFC 4180 would allow: a
//! line of a log is a record.

use memchr::{memchr, memchr2};

use super::columns::{Columns, fields_of};
use super::no_name;
use super::w3c::field_name;
use crate::definition::{At, ColumnEscape, ColumnsDefinition};
use crate::diagnostic::{Diagnostic, Place};
use crate::record::{Escape, Mismatch, Reading, Span, find_near};

/// Within so many bytes a value in brackets ends, or is none: each column of a line of brackets
/// would be looked through to its end otherwise.
const BRACKETED: usize = 256;

const TOO_FEW: &str = "as many columns as the format names";
const UNCLOSED: &str = "the closing quote of this value";
const NO_HEADER: &str = "a line that names the columns before the first record";

/// How columns are parted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Between two columns.
    pub(super) separator: u8,
    /// Around a value that may hold separators.
    pub(super) quote: Option<u8>,
    /// A backslash takes the next character of a quoted value literally.
    pub(super) backslash: bool,
    /// A run of separators is one.
    pub(super) repeat: bool,
    /// So many of the last columns may be missing.
    pub(super) optional: usize,
    /// The file names its columns in a line of its own.
    pub(super) header: bool,
}

/// A layout of columns, compiled.
#[derive(Debug)]
pub(super) struct CsvLayout {
    pub(super) shape: Shape,
    columns: Vec<String>,
    /// Field and column, where a header calls the field otherwise.
    renamed: Vec<(String, String)>,
    /// The value that says that there is none; may be empty.
    absent: String,
    escape: ColumnEscape,
}

/// Names that are no field's, or two columns'; more columns that may be missing than there are.
fn wrong_columns(columns: &[At<String>], shape: &Shape, place: &Place) -> Vec<Diagnostic> {
    let mut mistakes = Vec::new();
    let mut seen: Vec<(&str, &At<String>)> = Vec::new();
    for column in columns {
        for field in fields_of(&column.value) {
            if let Some(mistake) = no_name(column, field) {
                mistakes.push(mistake);
                continue;
            }
            match seen.iter().find(|(name, _)| *name == field) {
                Some((_, first)) => mistakes.push(
                    column
                        .place
                        .error(format!("two columns are called `{field}`"), "the second")
                        .note(&first.place, "the first")
                        .help("`-` is a column that nobody wants"),
                ),
                None => seen.push((field, column)),
            }
        }
    }
    if !columns.is_empty() && shape.optional >= columns.len() {
        let message = format!(
            "all {} columns may be missing: `optional = {}`",
            columns.len(),
            shape.optional
        );
        mistakes.push(place.error(message, "no column is left that a line must have"));
    }
    mistakes
}

impl CsvLayout {
    /// Compiles a definition; `place` is where the layout stands.
    ///
    /// # Errors
    /// Nothing says what the columns are, or quote and separator are one.
    pub(super) fn compile(
        definition: &ColumnsDefinition,
        place: &Place,
    ) -> Result<CsvLayout, Vec<Diagnostic>> {
        let usual = if definition.tabs {
            (b'\t', None)
        } else {
            (b',', Some(b'"'))
        };
        let escape = definition.escape.unwrap_or(ColumnEscape::None);
        let shape = Shape {
            separator: definition.separator.unwrap_or(usual.0),
            quote: definition.quote.unwrap_or(usual.1),
            backslash: escape == ColumnEscape::Backslash,
            repeat: definition.repeat.unwrap_or(false),
            optional: definition.optional.unwrap_or(0),
            header: definition.header.unwrap_or(false),
        };
        let names = |name: &At<String>| name.value.clone();
        let columns: Vec<String> = definition.columns.iter().flatten().map(names).collect();
        if columns.is_empty() && !shape.header {
            let error = place.error("no columns are named", "nothing says what a column holds");
            return Err(vec![error.help(
                "`columns = \"time remote_addr status\"`, or `header = true` when the file names them",
            )]);
        }
        if shape.quote == Some(shape.separator) {
            return Err(vec![
                place.error("`quote` and `separator` are the same", ""),
            ]);
        }
        let named = definition.columns.as_deref().unwrap_or_default();
        let mistakes = wrong_columns(named, &shape, place);
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        let renamed = definition.fields.iter().flatten();
        Ok(CsvLayout {
            shape,
            columns,
            renamed: renamed
                .map(|(field, column)| (field.value.clone(), column.value.clone()))
                .collect(),
            absent: definition.absent.clone().unwrap_or_default(),
            escape,
        })
    }

    /// A reader of the fields `wanted`.
    pub(super) fn reader(&self, wanted: &[String]) -> CsvReader {
        let reader = CsvReader::new(self.shape, wanted, &self.renamed, &self.columns);
        CsvReader {
            columns: reader
                .columns
                .map(|columns| columns.with_absent(&self.absent)),
            absent: self.absent.clone(),
            ..reader
        }
    }

    /// Fields that a record has, or that a header may name.
    pub(super) fn names(&self) -> Vec<String> {
        let renamed = self.renamed.iter().map(|(field, _)| field);
        let columns = self.columns.iter().chain(renamed);
        let mut names: Vec<String> = columns
            .flat_map(|column| fields_of(column))
            .map(str::to_owned)
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// How the value of a field is written.
    pub(super) fn escape(&self, field: &str) -> Escape {
        escape_of(self.escape, field, self.shape.quote)
    }
}

/// How a field is written in a log of columns. What a client asked for is as the client sent it,
/// here as in other formats: rules decode parameters themselves, and must not decode them twice.
pub(super) fn escape_of(escape: ColumnEscape, field: &str, quote: Option<u8>) -> Escape {
    let is_query = matches!(field, "query" | "request_uri" | "request" | "args");
    match escape {
        ColumnEscape::Percent if is_query => Escape::EncodedPercent,
        ColumnEscape::Percent => Escape::PercentTwice,
        ColumnEscape::Plus if is_query => Escape::None,
        ColumnEscape::Plus => Escape::Plus,
        ColumnEscape::Form if is_query || field == "path" => Escape::None,
        ColumnEscape::Form => Escape::PlusPercent,
        ColumnEscape::Backslash => Escape::Apache,
        ColumnEscape::None => quote.map_or(Escape::None, Escape::Doubled),
    }
}

/// Reads one file's lines in their order.
#[derive(Clone, Debug)]
pub(super) struct CsvReader {
    shape: Shape,
    /// Wanted fields; their positions are those of the results.
    wanted: Vec<String>,
    /// Field and column, where a header calls the field otherwise.
    renamed: Vec<(String, String)>,
    absent: String,
    columns: Option<Columns>,
}

impl CsvReader {
    /// A reader of the fields `wanted`; `columns` are those of records that no header precedes.
    pub(super) fn new(
        shape: Shape,
        wanted: &[String],
        renamed: &[(String, String)],
        columns: &[String],
    ) -> CsvReader {
        CsvReader {
            shape,
            wanted: wanted.to_vec(),
            renamed: renamed.to_vec(),
            absent: String::new(),
            columns: Columns::new(columns.to_vec(), wanted),
        }
    }

    /// The fields of the columns that are known now.
    pub(super) fn fields(&self) -> Vec<String> {
        self.columns.as_ref().map_or_else(Vec::new, Columns::fields)
    }

    /// Takes a line that names columns; false for any other. A record of a log has a time or a number
    /// in it, so a line in which each column looks like a name is no record, wherever it stands.
    #[inline]
    pub(super) fn directive(&mut self, line: &[u8]) -> bool {
        self.shape.header && self.header(line)
    }

    fn header(&mut self, line: &[u8]) -> bool {
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let mut names = Vec::new();
        let mut start = self.shape.skip(line, 0);
        while start <= line.len() {
            let Ok((span, end)) = self.shape.value(line, start) else {
                return false;
            };
            match std::str::from_utf8(span.of(line).unwrap_or_default()) {
                Ok(name) if is_name(name) => names.push(field_name(name, &self.renamed)),
                _ => return false,
            }
            start = self.shape.skip(line, end + 1);
        }
        let known = names.len() > 1;
        if known {
            let columns = Columns::new(names, &self.wanted);
            self.columns = columns.map(|columns| columns.with_absent(&self.absent));
        }
        known
    }

    /// Finds the wanted columns of a record; those it does not have are absent.
    ///
    /// # Errors
    /// No columns are known, the record has too few, or a quote is not closed; `out` is then of no use.
    pub(super) fn read(&self, line: &[u8], out: &mut [Span]) -> Result<Reading, Mismatch> {
        let columns = self.columns.as_ref().ok_or(Mismatch::text(0, NO_HEADER))?;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let shape = self.shape;
        out.iter_mut()
            .take(self.wanted.len())
            .for_each(|span| *span = Span::ABSENT);
        let mut record = columns.record(line, out);
        let (mut column, mut start) = (0, shape.skip(line, 0));
        while column < columns.count && shape.has_column(line, start) {
            let (span, end) = shape.value(line, start)?;
            record.put(column, span);
            column += 1;
            start = shape.skip(line, end + 1);
        }
        if column + shape.optional < columns.count {
            // Most lines have a few words: with less than half of its columns none came near.
            let near = column * 2 >= columns.count;
            return Err(Mismatch::text(if near { line.len() } else { 0 }, TOO_FEW));
        }
        let rest = line.get(start..).unwrap_or_default();
        Ok(match rest.iter().all(|byte| *byte == shape.separator) {
            true => Reading::Exact,
            false => Reading::Extra,
        })
    }
}

impl Shape {
    /// Position of the column at or behind `start`.
    fn skip(self, line: &[u8], start: usize) -> usize {
        let rest = line.get(start..).unwrap_or_default();
        if !self.repeat {
            return start;
        }
        let run = rest.iter().take_while(|byte| **byte == self.separator);
        start + run.count()
    }

    /// True when a column begins at `start`: the last one may be empty, unless a run of separators
    /// is one.
    fn has_column(self, line: &[u8], start: usize) -> bool {
        start < line.len() || (start == line.len() && !self.repeat)
    }

    /// The value that begins at `start`, and where its separator is or would be.
    fn value(self, line: &[u8], start: usize) -> Result<(Span, usize), Mismatch> {
        let rest = line.get(start..).unwrap_or_default();
        let first = rest.first().copied();
        if first.is_some() && first == self.quote {
            let inside = rest.get(1..).unwrap_or_default();
            let Some(length) = self.quoted(inside) else {
                return Err(Mismatch::text(start, UNCLOSED));
            };
            let from = start + 1;
            return Ok((Span::new(from, from + length), from + length + 1));
        }
        if first == Some(b'[')
            && self.separator == b' '
            && let Some(length) = self.bracketed(rest)
        {
            return Ok((Span::new(start + 1, start + length), start + length + 1));
        }
        let end = start + find_near(self.separator, rest).unwrap_or(rest.len());
        Ok((Span::new(start, end), end))
    }

    /// Position of the quote that ends a value.
    fn quoted(self, text: &[u8]) -> Option<usize> {
        let quote = self.quote?;
        let mut from = 0;
        loop {
            let rest = text.get(from..)?;
            let at = from
                + match self.backslash {
                    true => memchr2(quote, b'\\', rest)?,
                    false => memchr(quote, rest)?,
                };
            from = match (text.get(at), text.get(at + 1)) {
                (Some(b'\\'), _) if self.backslash => at + 2,
                (_, None) => return Some(at),
                (_, Some(next)) if *next == self.separator => return Some(at),
                (_, Some(next)) if *next == quote && !self.backslash => at + 2,
                _ => at + 1,
            };
        }
    }

    /// Position of the bracket that ends a value with blanks in it, such as a time.
    fn bracketed(self, text: &[u8]) -> Option<usize> {
        let at = memchr(b']', text.get(..BRACKETED).unwrap_or(text))?;
        matches!(text.get(at + 1), None | Some(b' ')).then_some(at)
    }
}

/// True for what could name a column and is no value of a log: no number, no address, no time.
fn is_name(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b" _-.()@/#".contains(&b);
    text.bytes().all(plain)
        && text
            .bytes()
            .next()
            .is_some_and(|b| b.is_ascii_alphabetic() || matches!(b, b'_' | b'@'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CSV: Shape = Shape {
        separator: b',',
        quote: Some(b'"'),
        backslash: false,
        repeat: false,
        optional: 0,
        header: false,
    };
    const BLANKS: Shape = Shape {
        separator: b' ',
        ..CSV
    };

    fn reader(shape: Shape, columns: &[&str]) -> CsvReader {
        let columns: Vec<String> = columns.iter().map(ToString::to_string).collect();
        CsvReader::new(shape, &columns, &[], &columns)
    }

    type Found<'l> = Result<(Reading, Vec<Option<&'l str>>), Mismatch>;

    fn read<'l>(reader: &CsvReader, line: &'l str) -> Found<'l> {
        let mut out = vec![Span::new(0, 0); reader.wanted.len()];
        let reading = reader.read(line.as_bytes(), &mut out)?;
        let text = |span: Span| {
            line.get(span.start()..span.end())
                .filter(|_| !span.is_absent())
        };
        Ok((reading, out.into_iter().map(text).collect()))
    }

    #[track_caller]
    fn values(shape: Shape, line: &str, expected: &[&str]) {
        let names: Vec<String> = (0..expected.len()).map(|n| format!("c{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let (reading, found) = read(&reader(shape, &names), line).unwrap();
        let expected: Vec<Option<&str>> = expected.iter().copied().map(Some).collect();
        assert_eq!((reading, found), (Reading::Exact, expected), "{line}");
    }

    #[test]
    fn quoted_values_hold_separators_and_doubled_quotes() {
        values(CSV, r#"a,"b,c","d""e","""#, &["a", "b,c", "d\"\"e", ""]);
        values(CSV, r#"a,"b"c",d"#, &["a", "b\"c", "d"]);
        values(CSV, "a,b\"c,\r", &["a", "b\"c", ""]);
        let backslash = Shape {
            backslash: true,
            ..CSV
        };
        values(backslash, r#""a\",b",c"#, &["a\\\",b", "c"]);
        values(backslash, r#""a\\",c"#, &["a\\\\", "c"]);
        let none = Shape { quote: None, ..CSV };
        values(none, r#""a,b""#, &["\"a", "b\""]);
    }

    #[test]
    fn a_bracketed_time_is_one_column_between_blanks() {
        values(
            BLANKS,
            "o [06/Feb/2019:00:00:38 +0000] \"GET / HTTP/1.1\" -",
            &["o", "06/Feb/2019:00:00:38 +0000", "GET / HTTP/1.1", "-"],
        );
        values(BLANKS, "[::1]:80 [a b", &["[::1]:80", "[a", "b"]);
    }

    #[test]
    fn a_run_of_blanks_is_one_separator_where_said() {
        let squid = Shape {
            repeat: true,
            optional: 1,
            ..BLANKS
        };
        values(squid, "1.5    180 a  ", &["1.5", "180", "a"]);
        let reader = reader(squid, &["a", "b", "c"]);
        let found = vec![Some("1"), Some("2"), None];
        assert_eq!(read(&reader, "1  2"), Ok((Reading::Exact, found.clone())));
        assert_eq!(read(&reader, "1  2 "), Ok((Reading::Exact, found)));
        assert!(read(&reader, "1  ").is_err());
    }

    #[test]
    fn more_columns_are_read_and_fewer_are_refused() {
        let reader = reader(CSV, &["a", "b"]);
        let found = vec![Some("1"), Some("2")];
        assert_eq!(read(&reader, "1,2,3"), Ok((Reading::Extra, found.clone())));
        assert_eq!(read(&reader, "1,2,,"), Ok((Reading::Exact, found)));
        assert_eq!(read(&reader, "1"), Err(Mismatch::text(1, TOO_FEW)));
        assert_eq!(read(&reader, "1,\"2"), Err(Mismatch::text(2, UNCLOSED)));
    }

    #[test]
    fn a_value_may_say_that_there_is_none() {
        let columns = ["a", "b"].map(str::to_owned);
        let columns = Columns::new(columns.to_vec(), &columns).unwrap();
        let reader = CsvReader {
            columns: Some(columns.with_absent("-1")),
            ..reader(CSV, &["a", "b"])
        };
        let found = vec![None, Some("-10")];
        assert_eq!(read(&reader, "-1,-10"), Ok((Reading::Exact, found)));
    }

    #[test]
    fn a_header_names_the_columns_wherever_it_stands() {
        let shape = Shape {
            header: true,
            ..CSV
        };
        let wanted: Vec<String> = ["status", "http_x_cdn"].map(str::to_owned).to_vec();
        let renamed = [("http_x_cdn".to_owned(), "CDN name".to_owned())];
        let mut reader = CsvReader::new(shape, &wanted, &renamed, &[]);
        assert_eq!(read(&reader, "1"), Err(Mismatch::text(0, NO_HEADER)));
        assert!(reader.directive(b"\xef\xbb\xbfTime,\"Status\",CDN name\r"));
        let found = vec![Some("200"), Some("a")];
        assert_eq!(read(&reader, "2013,200,a"), Ok((Reading::Exact, found)));
        assert!(!reader.directive(b"2013-10-31T07:06:42Z,200,fastly"));
        assert!(!reader.directive(b"Thu Oct 31 07:06:42,GET,fastly"));
        assert!(reader.directive(b"Status,Time"));
        let found = vec![Some("503"), None];
        assert_eq!(read(&reader, "503,2013"), Ok((Reading::Exact, found)));
    }

    /// Splits by looking at every character.
    fn naive(line: &str) -> Option<Vec<String>> {
        let mut values = vec![String::new()];
        let letters: Vec<char> = line.chars().collect();
        let ends = |at: usize| matches!(letters.get(at), None | Some(','));
        let (mut at, mut quoted) = (0, false);
        while let Some(letter) = letters.get(at).copied() {
            let value = values.last_mut().unwrap();
            let at_start = at == 0 || (letters[at - 1] == ',' && !quoted);
            match letter {
                '"' if !quoted && at_start && value.is_empty() => quoted = true,
                '"' if quoted && ends(at + 1) => quoted = false,
                '"' if quoted && letters.get(at + 1) == Some(&'"') => {
                    value.push_str("\"\"");
                    at += 1;
                }
                ',' if !quoted => values.push(String::new()),
                letter => value.push(letter),
            }
            at += 1;
        }
        (!quoted).then_some(values)
    }

    proptest! {
        #[test]
        fn reading_agrees_with_its_naive_twin(line in "[ab,\"]{0,16}") {
            let expected = naive(&line);
            let count = expected.as_ref().map_or(1, Vec::len);
            let names: Vec<String> = (0..count).map(|n| format!("c{n}")).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let reader = reader(CSV, &names);
            match expected {
                Some(values) => {
                    let (_, found) = read(&reader, &line).unwrap();
                    let values: Vec<Option<&str>> = values.iter().map(|v| Some(&**v)).collect();
                    prop_assert_eq!(found, values);
                }
                None => {
                    let whole = CsvReader { columns: Columns::new(vec!["x".to_owned(); 40], &[]), ..reader };
                    prop_assert!(read(&whole, &line).is_err());
                }
            }
        }

        #[test]
        fn written_values_are_read_back(values in prop::collection::vec("[a,\" é]{0,6}", 1..6)) {
            let written = |value: &String| format!("\"{}\"", value.replace('"', "\"\""));
            let line = values.iter().map(written).collect::<Vec<_>>().join(",");
            let names: Vec<String> = (0..values.len()).map(|n| format!("c{n}")).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let (_, found) = read(&reader(CSV, &names), &line).unwrap();
            let found: Vec<String> = found.into_iter().map(|v| v.unwrap().replace("\"\"", "\"")).collect();
            prop_assert_eq!(found, values);
        }

        #[test]
        fn no_line_panics(line: Vec<u8>, almost in "[ \"\\\\\\[\\]a,]{0,30}", repeat: bool, backslash: bool) {
            let shape = Shape { repeat, backslash, header: true, separator: b' ', ..CSV };
            let mut reader = reader(shape, &["a", "b:c", "d/e"]);
            let mut out = [Span::ABSENT; 2];
            for line in [&line[..], almost.as_bytes()] {
                if reader.read(line, &mut out).is_ok() {
                    prop_assert!(out.iter().all(|span| span.is_absent() || span.of(line).is_some()));
                }
                reader.directive(line);
            }
        }
    }
}

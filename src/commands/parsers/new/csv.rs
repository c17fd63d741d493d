//! Columns with one character between them, of which some are quoted at times: what a text with
//! variables cannot say.

use super::columns::class;
use super::draft::{Columns, Draft, Format};
use super::json;
use super::layout::named;

/// Columns that a log must have to be worth a try.
const FEWEST: usize = 4;

/// The layouts of these lines as columns, the likeliest first.
pub(super) fn drafts(lines: &[&[u8]]) -> Vec<Draft> {
    let separators = [b'\t', b',', b';', b'|'];
    let drafts = separators.into_iter().filter_map(|s| draft(lines, s));
    drafts.collect()
}

fn draft(lines: &[&[u8]], separator: u8) -> Option<Draft> {
    let quote = (separator != b'\t').then_some(b'"');
    let rows: Vec<Vec<&[u8]>> = lines
        .iter()
        .map(|line| columns(line, separator, quote))
        .collect();
    let width = rows.first()?.len();
    let agree = rows.iter().filter(|row| row.len() == width).count();
    if width < FEWEST || agree * 100 < rows.len() * 90 {
        return None;
    }
    let (first, rest) = rows.split_first()?;
    let rows: Vec<&Vec<&[u8]>> = rest.iter().filter(|row| row.len() == width).collect();
    match first.iter().all(|column| is_name(column)) {
        true => with_header(first, &rows, separator),
        false => without_header(rest, first, separator),
    }
}

fn with_header(header: &[&[u8]], rows: &[&Vec<&[u8]>], separator: u8) -> Option<Draft> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let pairs = |row: &&Vec<&[u8]>| -> Vec<(String, String)> {
        let columns = header.iter().zip(row.iter());
        let pairs = columns.map(|(name, value)| (text(name), text(value)));
        pairs.collect()
    };
    let records: Vec<Vec<(String, String)>> = rows.iter().map(pairs).collect();
    let draft = json::of_pairs(&records)?;
    let Format::Json(fields) = &draft.format else {
        return None;
    };
    let plain = |(name, path): &(String, String)| (name.clone(), path.replace("\\.", "."));
    let columns = Columns::Header(fields.iter().map(plain).collect());
    Some(Draft {
        format: Format::Columns(char::from(separator), columns),
        ..draft
    })
}

fn without_header(rest: &[Vec<&[u8]>], first: &[&[u8]], separator: u8) -> Option<Draft> {
    let column = |number: usize| {
        let values = rest.iter().filter_map(|row| row.get(number).copied());
        let first = first.get(number).copied();
        class(&first.into_iter().chain(values).collect::<Vec<_>>())
    };
    let classes = (0..first.len()).map(column).collect();
    let (names, draft) = named(classes, separator)?;
    Some(Draft {
        format: Format::Columns(char::from(separator), Columns::Named(names)),
        ..draft
    })
}

/// The values of a line. A quote ends a value where a separator or nothing follows.
fn columns(line: &[u8], separator: u8, quote: Option<u8>) -> Vec<&[u8]> {
    let mut columns = Vec::new();
    let mut rest = Some(line);
    while let Some(text) = rest {
        let quoted = quote
            .and_then(|quote| text.strip_prefix(&[quote]))
            .and_then(|inside| {
                let ends = memchr::memchr_iter(b'"', inside);
                let mut ends = ends.filter(|at| {
                    let next = inside.get(at + 1);
                    next.is_none() || next == Some(&separator)
                });
                inside.split_at_checked(ends.next()?)
            });
        let (value, behind) = match quoted {
            Some((value, behind)) => (value, behind.get(1..).unwrap_or_default()),
            None => {
                let end = memchr::memchr(separator, text).unwrap_or(text.len());
                text.split_at_checked(end).unwrap_or_default()
            }
        };
        columns.push(value);
        rest = behind.strip_prefix(&[separator]);
    }
    columns
}

/// What may name a column, as the reader of such files has it.
fn is_name(column: &[u8]) -> bool {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b" _-.()@/#".contains(b);
    let begins = |b: &u8| b.is_ascii_alphabetic() || matches!(b, b'_' | b'@');
    column.first().is_some_and(begins) && column.iter().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_ends_a_value_where_a_separator_follows() {
        let line = br#"a,"b, ""c""",,"d"#;
        let expected: [&[u8]; 4] = [b"a", br#"b, ""c"""#, b"", b"\"d"];
        assert_eq!(columns(line, b',', Some(b'"')), expected);
        assert_eq!(columns(b"a\t\"b", b'\t', None), [b"a".as_slice(), b"\"b"]);
    }
}

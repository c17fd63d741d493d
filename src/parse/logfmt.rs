//! `key=value key="quoted \"x\"" flag` lines, as Go programs, Heroku and Grafana's agents write.
//!
//! Invariant: a line is read whole or not at all: an unclosed quote, or an `=` without a key, is a
//! torn line. Of keys that stand twice the first is read. Inside quotes a backslash takes the next
//! character with it, so a client's quote neither ends a value nor begins a key.
//!
//! It does not decode values; keys that nobody wants cost their scan.

use memchr::memchr2;

use crate::record::{Mismatch, Span};

const KEY: &str = "a key before this `=`";
const CLOSED: &str = "the closing quote of this value";
const BLANK: &str = "a blank behind the value";
const PAIRS: &str = "`key=value` pairs";

/// A layout prepared for the wanted keys.
#[derive(Clone, Debug)]
pub(super) struct LogfmtLayout {
    /// The key of each span.
    keys: Vec<Option<Vec<u8>>>,
}

impl LogfmtLayout {
    /// One key for each span; none for a field that no key holds.
    pub(super) fn compile<'k>(keys: impl Iterator<Item = Option<&'k str>>) -> LogfmtLayout {
        LogfmtLayout {
            keys: keys
                .map(|key| key.map(|key| key.as_bytes().to_vec()))
                .collect(),
        }
    }

    /// Finds the values of the wanted keys; a key without `=` has an empty value. Values in quotes are
    /// without them.
    ///
    /// # Errors
    /// The line is torn, or holds no pair; `out` is then of no use.
    pub(super) fn read(&self, line: &[u8], out: &mut [Span]) -> Result<(), Mismatch> {
        out.iter_mut().for_each(|span| *span = Span::ABSENT);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let (mut start, mut pairs) = (blanks(line, 0), 0);
        while start < line.len() {
            let end = key_end(line, start);
            let key = line.get(start..end).unwrap_or_default();
            let value = match line.get(end) {
                Some(b'=') if key.is_empty() => return Err(Mismatch::text(end, KEY)),
                Some(b'"') => return Err(Mismatch::text(end, "`=` between key and value")),
                Some(b'=') => {
                    pairs += 1;
                    value(line, end + 1)?
                }
                _ => (Span::new(end, end), end),
            };
            self.put(key, value.0, out);
            start = blanks(line, value.1);
        }
        if pairs == 0 {
            return Err(Mismatch::text(0, PAIRS));
        }
        Ok(())
    }

    fn put(&self, key: &[u8], span: Span, out: &mut [Span]) {
        for (wanted, place) in self.keys.iter().zip(out) {
            if wanted.as_deref() == Some(key) && place.is_absent() {
                *place = span;
            }
        }
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Position of the first byte at or behind `start` that is no blank.
fn blanks(line: &[u8], start: usize) -> usize {
    let rest = line.get(start..).unwrap_or_default();
    start + rest.iter().take_while(|byte| is_blank(**byte)).count()
}

fn key_end(line: &[u8], start: usize) -> usize {
    let rest = line.get(start..).unwrap_or_default();
    let ends = |byte: &u8| is_blank(*byte) || matches!(byte, b'=' | b'"');
    start + rest.iter().position(ends).unwrap_or(rest.len())
}

/// The value that begins at `start`, and the position behind it.
fn value(line: &[u8], start: usize) -> Result<(Span, usize), Mismatch> {
    let rest = line.get(start..).unwrap_or_default();
    let Some(quoted) = rest.strip_prefix(b"\"") else {
        let length = memchr2(b' ', b'\t', rest).unwrap_or(rest.len());
        return Ok((Span::new(start, start + length), start + length));
    };
    let length = closing_quote(quoted).ok_or(Mismatch::text(start, CLOSED))?;
    let end = start + 1 + length;
    match line.get(end + 1) {
        Some(byte) if !is_blank(*byte) => Err(Mismatch::text(end + 1, BLANK)),
        _ => Ok((Span::new(start + 1, end), end + 1)),
    }
}

fn closing_quote(text: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + memchr2(b'"', b'\\', text.get(from..)?)?;
        if text.get(at) == Some(&b'"') {
            return Some(at);
        }
        from = at + 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read<'l>(line: &'l str, keys: &[&str]) -> Result<Vec<Option<&'l str>>, Mismatch> {
        let layout = LogfmtLayout::compile(keys.iter().map(|key| Some(*key)));
        let mut out = vec![Span::new(0, 0); keys.len()];
        layout.read(line.as_bytes(), &mut out)?;
        let text = |span: Span| {
            line.get(span.start()..span.end())
                .filter(|_| !span.is_absent())
        };
        Ok(out.into_iter().map(text).collect())
    }

    #[test]
    fn pairs_flags_and_quotes_are_read() {
        let line = r#"at=info  msg="a \"b\" c=d" res.status=200 fast empty= q="" "#;
        let keys = ["at", "msg", "res.status", "fast", "empty", "q", "c", "d"];
        let found = [
            Some("info"),
            Some(r#"a \"b\" c=d"#),
            Some("200"),
            Some(""),
            Some(""),
            Some(""),
            None,
            None,
        ];
        assert_eq!(read(line, &keys).unwrap(), found);
        assert_eq!(read("a=b=c a=2\r", &["a"]).unwrap(), [Some("b=c")]);
    }

    #[test]
    fn torn_lines_are_refused() {
        for (line, at, expected) in [
            ("a=1 b=\"x y", 6, CLOSED),
            ("a=1 b=\"x\\\"", 6, CLOSED),
            ("=1 a=2", 0, KEY),
            ("a=\"x\"b=1", 5, BLANK),
            ("no pairs here", 0, PAIRS),
            ("", 0, PAIRS),
            ("a\"b\"", 1, "`=` between key and value"),
        ] {
            assert_eq!(
                read(line, &["a"]),
                Err(Mismatch::text(at, expected)),
                "{line}"
            );
        }
    }

    #[test]
    fn a_quote_of_a_client_makes_no_key() {
        let line = r#"ua="x\" status=200 y=\"" status=503"#;
        assert_eq!(read(line, &["status"]).unwrap(), [Some("503")]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            pairs in prop::collection::btree_map("[a-z.]{1,4}", "[a =\"\\\\é]{0,6}", 1..6),
        ) {
            let escaped = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
            let written = pairs.iter().map(|(key, value)| format!("{key}=\"{}\"", escaped(value)));
            let line = written.collect::<Vec<_>>().join(" ");
            let keys: Vec<&str> = pairs.keys().map(String::as_str).collect();
            let expected: Vec<String> = pairs.values().map(|value| escaped(value)).collect();
            let found = read(&line, &keys).unwrap();
            prop_assert_eq!(found, expected.iter().map(|v| Some(&**v)).collect::<Vec<_>>());
        }

        #[test]
        fn no_line_panics(line: Vec<u8>, almost in "[ a=\"\\\\\t]{0,30}") {
            let layout = LogfmtLayout::compile([Some("a"), None].into_iter());
            let mut out = [Span::ABSENT; 2];
            for line in [&line[..], almost.as_bytes()] {
                if layout.read(line, &mut out).is_ok() {
                    prop_assert!(out.iter().all(|span| span.is_absent() || span.of(line).is_some()));
                }
            }
        }
    }
}

//! How the value of a string was written: through TOML's escapes, and through rewriting.
//!
//! Invariant: the pieces cover the value without gaps and lead to text that means the same. When
//! that cannot be shown for a string there are no pieces, and its place is the whole of it.

use std::ops::Range;
use std::sync::Arc;

use super::At;
use crate::diagnostic::{Piece, Place, SourceText};

/// The pieces of a quoted TOML string or key; none for an empty or a broken one.
pub(super) fn pieces_of_string(
    source: &Arc<SourceText>,
    span: &Range<usize>,
    value: &str,
) -> Vec<Piece> {
    let written = source.text.get(span.clone()).unwrap_or_default();
    let Some((body_start, body)) = body(written) else {
        return Vec::new();
    };
    let start = span.start + body_start;
    let is_literal = written.starts_with('\'');
    let lengths = if is_literal {
        vec![(body.len(), body.len())]
    } else {
        decoded_lengths(body)
    };
    let mut pieces = Vec::new();
    let (mut from, mut to) = (start, 0);
    for (written, decoded) in lengths {
        let piece = Piece {
            source: Arc::clone(source),
            decoded: to..to + decoded,
            written: from..from + written,
        };
        if written == decoded
            && source.text.get(piece.written.clone()) != value.get(to..to + decoded)
        {
            return Vec::new();
        }
        pieces.push(piece);
        (from, to) = (from + written, to + decoded);
    }
    if to == value.len() && to > 0 {
        pieces
    } else {
        Vec::new()
    }
}

/// What stands between the quotes and where; a line break right after `"""` does not count.
fn body(written: &str) -> Option<(usize, &str)> {
    for quote in ["\"\"\"", "'''"] {
        if let Some(rest) = written.strip_prefix(quote) {
            let body = rest.strip_suffix(quote)?;
            let body = body
                .strip_prefix("\r\n")
                .or(body.strip_prefix('\n'))
                .unwrap_or(body);
            return Some((written.len() - quote.len() - body.len(), body));
        }
    }
    ['"', '\'']
        .into_iter()
        .find_map(|quote| Some((1, written.strip_prefix(quote)?.strip_suffix(quote)?)))
}

/// Runs without escapes and escapes, as bytes written and bytes meant.
fn decoded_lengths(body: &str) -> Vec<(usize, usize)> {
    let mut lengths = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        let run = rest.find('\\').unwrap_or(rest.len());
        if run > 0 {
            lengths.push((run, run));
        }
        rest = rest.get(run..).unwrap_or_default();
        if !rest.is_empty() {
            let (written, decoded) = escape_lengths(rest);
            lengths.push((written, decoded));
            rest = rest.get(written..).unwrap_or_default();
        }
    }
    lengths
}

/// Bytes written and meant by the escape at the start of `text` (TOML 1.1, "String").
fn escape_lengths(text: &str) -> (usize, usize) {
    let digits = match text.as_bytes().get(1) {
        Some(b'x') => 2,
        Some(b'u') => 4,
        Some(b'U') => 8,
        Some(b' ' | b'\t' | b'\r' | b'\n') => {
            let after = text.get(1..).unwrap_or_default();
            return (text.len() - after.trim_start().len(), 0);
        }
        _ => return (text.len().min(2), 1),
    };
    let code = text
        .get(2..2 + digits)
        .and_then(|hex| u32::from_str_radix(hex, 16).ok());
    let letter = code.and_then(char::from_u32).map_or(1, char::len_utf8);
    (text.len().min(2 + digits), letter)
}

/// A value put together from parts of other values, each with its place.
#[derive(Default)]
pub(super) struct Rewritten {
    text: String,
    pieces: Vec<Piece>,
}

impl Rewritten {
    /// Appends a part as it is.
    pub(super) fn copy(&mut self, from: &At<String>, range: Range<usize>) {
        let base = self.text.len();
        self.text
            .push_str(from.value.get(range.clone()).unwrap_or_default());
        for mut piece in from.place.pieces_of(range) {
            piece.decoded = piece.decoded.start + base..piece.decoded.end + base;
            self.pieces.push(piece);
        }
    }

    /// Appends `text` in the stead of a part.
    pub(super) fn replace(&mut self, from: &At<String>, range: Range<usize>, text: &str) {
        let base = self.text.len();
        self.text.push_str(text);
        let place = from.place.inside(range);
        let decoded = base..self.text.len();
        let source = Arc::clone(place.source());
        self.pieces.push(Piece {
            source,
            decoded,
            written: place.span(),
        });
    }

    /// The value; `place` is shown for the whole of it.
    pub(super) fn finish(self, place: &Place) -> At<String> {
        At {
            value: self.text,
            place: place.clone().with_pieces(self.pieces),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The written text of the part of `value` that `part` names, in `k = WRITTEN`.
    fn written<'s>(source: &'s Arc<SourceText>, value: &str, part: &str) -> &'s str {
        let span = 4..source.text.len();
        let pieces = pieces_of_string(source, &span, value);
        let start = value.find(part).unwrap();
        let place = Place::new(source, span).with_pieces(pieces);
        source
            .text
            .get(place.inside(start..start + part.len()).span())
            .unwrap()
    }

    #[test]
    fn parts_are_found_in_every_kind_of_string() {
        for text in [
            "k = \"ab cd\"",
            "k = 'ab cd'",
            "k = '''\r\nab cd'''",
            "k = \"\"\"ab cd\"\"\"",
        ] {
            assert_eq!(
                written(&SourceText::new("f", text), "ab cd", "cd"),
                "cd",
                "{text}"
            );
        }
    }

    #[test]
    fn parts_are_found_between_escapes() {
        let source = SourceText::new("f", r#"k = "a\t\u00e9\x41 \U0001F600 z\"q""#);
        let value = "a\té\u{41} 😀 z\"q";
        assert_eq!(written(&source, value, "q"), "q");
        assert_eq!(written(&source, value, "é"), r"\u00e9");
        assert_eq!(written(&source, value, " 😀 z"), r" \U0001F600 z");
        let folded = SourceText::new("f", "k = \"\"\"a \\\r\n   b\"\"\"");
        assert_eq!(written(&folded, "a b", "b"), "b");
    }

    #[test]
    fn what_does_not_decode_to_the_value_has_no_pieces() {
        let source = SourceText::new("f", "k = \"abc\"");
        for value in ["abd", "ab", ""] {
            assert!(pieces_of_string(&source, &(4..9), value).is_empty());
        }
        assert!(pieces_of_string(&source, &(4..8), "abc").is_empty());
        assert!(pieces_of_string(&source, &(4..90), "abc").is_empty());
    }
}

//! Places in texts: where a value was written, and where each part of it was written.
//!
//! A value is seldom the same bytes as its text: quotes fall away, escapes are decoded, a format
//! is glued together from quoted pieces or from two files. A place therefore carries the pieces
//! of its value, so that a mistake found at byte 17 of a decoded regex is shown at the byte of
//! the file where it stands.
//!
//! Invariant: the pieces are in the order of the value and do not overlap in it. A place never
//! reads its source from disk; it holds the text that was read.

use std::fmt::{self, Debug, Formatter};
use std::ops::Range;
use std::sync::Arc;

use super::Diagnostic;

/// A text that the user wrote, with the name under which it is shown.
#[derive(Debug)]
pub struct SourceText {
    /// A path, `<command line>`, or `parsers/NAME.toml (shipped)`.
    pub name: String,
    /// The text without a byte order mark.
    pub text: String,
}

impl SourceText {
    /// Takes a text as it was read; a byte order mark at its beginning is dropped.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Arc<SourceText> {
        let mut text = text.into();
        if text.starts_with('\u{feff}') {
            text.drain(..'\u{feff}'.len_utf8());
        }
        Arc::new(SourceText {
            name: name.into(),
            text,
        })
    }
}

/// A part of a value and where it was written. Lengths that differ mean an escape or a rewritten
/// part: it is pointed at as a whole.
#[derive(Clone)]
pub struct Piece {
    /// The text it was written in; not always that of the whole value.
    pub source: Arc<SourceText>,
    /// Bytes of the value.
    pub decoded: Range<usize>,
    /// Bytes of the source text.
    pub written: Range<usize>,
}

impl Piece {
    /// The part of this piece inside `range` of the value, counted from the range's start.
    fn clip(&self, range: &Range<usize>) -> Piece {
        let start = self.decoded.start.max(range.start);
        let end = self.decoded.end.min(range.end).max(start);
        let mut written = self.written.clone();
        if self.decoded.len() == self.written.len() {
            let offset = self.written.start.saturating_sub(self.decoded.start);
            let back = self.decoded.start.saturating_sub(self.written.start);
            let shift = |at: usize| (at + offset).saturating_sub(back);
            written = shift(start)..shift(end);
        }
        let decoded = start.saturating_sub(range.start)..end.saturating_sub(range.start);
        Piece {
            source: Arc::clone(&self.source),
            decoded,
            written,
        }
    }

    fn touches(&self, range: &Range<usize>) -> bool {
        if range.is_empty() {
            return self.decoded.start <= range.start && range.start <= self.decoded.end;
        }
        self.decoded.start < range.end && range.start < self.decoded.end
    }
}

/// Where a value stands in a text. Cheap to clone: the text is shared.
#[derive(Clone)]
pub struct Place {
    source: Arc<SourceText>,
    extent: Arc<Extent>,
}

/// Shared, too: every value of a definition has a place, and every mistake carries some.
struct Extent {
    span: Range<usize>,
    pieces: Vec<Piece>,
}

impl Place {
    /// A byte range of a text; nothing is known about its inside.
    pub fn new(source: &Arc<SourceText>, span: Range<usize>) -> Place {
        let extent = Arc::new(Extent {
            span,
            pieces: Vec::new(),
        });
        Place {
            source: Arc::clone(source),
            extent,
        }
    }

    /// The value of a command-line flag, shown as `FLAG VALUE` with the value marked. An empty
    /// flag stands for an argument without one.
    pub fn argument(flag: &str, value: &str) -> Place {
        let text = if flag.is_empty() {
            value.to_owned()
        } else {
            format!("{flag} {value}")
        };
        let start = text.len().saturating_sub(value.len());
        let span = start..text.len();
        let source = Arc::new(SourceText {
            name: "<command line>".to_owned(),
            text,
        });
        let whole = Piece {
            source: Arc::clone(&source),
            decoded: 0..value.len(),
            written: span.clone(),
        };
        Place::new(&source, span).with_pieces(vec![whole])
    }

    /// The same place with what is known about the inside of its value.
    pub fn with_pieces(self, pieces: Vec<Piece>) -> Place {
        let extent = Arc::new(Extent {
            span: self.span(),
            pieces,
        });
        Place { extent, ..self }
    }

    /// The place of a part of the value, in bytes of the decoded value; the whole place when the
    /// inside is not known.
    pub fn inside(&self, range: Range<usize>) -> Place {
        let pieces = self.pieces_of(range);
        let Some(first) = pieces.first() else {
            return Place::new(&self.source, self.span());
        };
        // A part may go over into another file; the picture shows the file in which it begins.
        let end = pieces
            .iter()
            .take_while(|piece| Arc::ptr_eq(&piece.source, &first.source))
            .map(|piece| piece.written.end)
            .max()
            .unwrap_or(first.written.end);
        let place = Place::new(&first.source, first.written.start..end);
        place.with_pieces(pieces)
    }

    /// The pieces of a part of the value, counted from the start of that part.
    pub fn pieces_of(&self, range: Range<usize>) -> Vec<Piece> {
        let touched = self
            .extent
            .pieces
            .iter()
            .filter(|piece| piece.touches(&range));
        let mut pieces: Vec<Piece> = touched.map(|piece| piece.clip(&range)).collect();
        if range.is_empty() {
            // Between two pieces, the point belongs to the one that begins there.
            pieces.drain(..pieces.len().saturating_sub(1));
        }
        pieces
    }

    /// A mistake at this place; `label` stands at the caret and may be empty.
    pub fn error(&self, message: impl Into<String>, label: impl Into<String>) -> Diagnostic {
        Diagnostic::new(message).at(self, label)
    }

    /// The text in which this place is.
    pub fn source(&self) -> &Arc<SourceText> {
        &self.source
    }

    /// Bytes of the source text.
    pub fn span(&self) -> Range<usize> {
        self.extent.span.clone()
    }

    /// Line of the first byte, counted from 1.
    pub fn line(&self) -> usize {
        let before = self
            .source
            .text
            .as_bytes()
            .get(..self.extent.span.start)
            .unwrap_or_default();
        1 + before.iter().filter(|&&byte| byte == b'\n').count()
    }
}

/// Name and line: the source text would drown every debug output.
impl Debug for Place {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{}:{} {:?}",
            self.source.name,
            self.line(),
            self.extent.span
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(place: &Place) -> &str {
        place.source.text.get(place.span()).unwrap()
    }

    #[test]
    fn part_of_an_argument_is_found() {
        let place = Place::argument("--by", "provider,popp");
        assert_eq!(shown(&place), "provider,popp");
        assert_eq!(shown(&place.inside(9..13)), "popp");
        assert_eq!(shown(&place.inside(9..13).inside(1..2)), "o");
        assert_eq!(place.inside(13..13).span(), 18..18);
        assert_eq!(shown(&Place::argument("", "x.toml")), "x.toml");
    }

    #[test]
    fn unknown_inside_falls_back_to_the_whole() {
        let source = SourceText::new("a", "key = 12");
        assert_eq!(shown(&Place::new(&source, 6..8).inside(0..1)), "12");
    }

    #[test]
    fn rewritten_part_is_pointed_at_as_a_whole() {
        let source = SourceText::new("a", r"ab\tcd");
        let piece = |decoded, written| Piece {
            source: Arc::clone(&source),
            decoded,
            written,
        };
        let pieces = vec![piece(0..2, 0..2), piece(2..3, 2..4), piece(3..5, 4..6)];
        let place = Place::new(&source, 0..6).with_pieces(pieces);
        assert_eq!(shown(&place.inside(1..2)), "b");
        assert_eq!(shown(&place.inside(2..3)), "\\t");
        assert_eq!(shown(&place.inside(1..4)), "b\\tc");
        assert_eq!(place.inside(3..3).span(), 4..4);
    }

    #[test]
    fn part_over_two_files_shows_the_first() {
        let (one, two) = (
            SourceText::new("one", "abc"),
            SourceText::new("two", "  def"),
        );
        let pieces = vec![
            Piece {
                source: Arc::clone(&one),
                decoded: 0..3,
                written: 0..3,
            },
            Piece {
                source: Arc::clone(&two),
                decoded: 3..6,
                written: 2..5,
            },
        ];
        let place = Place::new(&two, 2..5).with_pieces(pieces);
        assert_eq!(
            (shown(&place.inside(1..5)), &*place.inside(1..5).source.name),
            ("bc", "one")
        );
        assert_eq!(shown(&place.inside(4..6)), "ef");
    }

    #[test]
    fn byte_order_mark_is_dropped() {
        assert_eq!(SourceText::new("a", "\u{feff}x").text, "x");
    }
}

//! A time that a format text puts together from several `%{…}t` (mod_log_config, varnishncsa(1)).
//!
//! Pieces with nothing but text between them are one field with one strftime text:
//! `%{%d/%b/%Y %T}t.%{msec_frac}t %{%z}t` reads `31/Oct/2013 07:06:42.250 +0000`. A piece behind
//! another field, of the other end of the request, or of another kind stands for itself. The first
//! that tells the minute is the field `time`; the others are `time_2`, `time_3` and so on.
//!
//! A strftime text whose parts all have fixed widths, as servers in the C locale write them, is a
//! field of that width: blanks inside it do not end it.

use super::layout::{Piece, ServerFormat, Shape};
use super::time::TimeFormat;

/// The times of a format text so far.
#[derive(Debug, Default)]
pub(super) struct TimePieces {
    found: Vec<TimePiece>,
}

#[derive(Debug)]
struct TimePiece {
    /// Position of its field among the pieces of the format.
    at: usize,
    /// True when it is the time at which the request ended.
    is_end: bool,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    /// A count since 1970; true when it has a fraction behind it.
    Epoch { fraction: bool },
    /// Digits of a fraction of a second.
    Fraction(usize),
    /// A strftime text, the C locale's words expanded.
    Text(String),
}

impl Kind {
    fn of(argument: &str) -> Kind {
        match argument {
            "sec" | "msec" | "usec" => Kind::Epoch { fraction: false },
            "msec_frac" => Kind::Fraction(3),
            "usec_frac" => Kind::Fraction(6),
            text => Kind::Text(expanded(text)),
        }
    }

    /// This time with `text` and then `next` behind it, when that is one time.
    fn and(&self, text: &[u8], next: &Kind) -> Option<Kind> {
        let text = std::str::from_utf8(text).ok()?;
        match (self, next) {
            (Kind::Epoch { fraction: false }, Kind::Fraction(_)) if matches!(text, "" | ".") => {
                Some(Kind::Epoch { fraction: true })
            }
            (Kind::Text(before), Kind::Fraction(digits)) => {
                Some(Kind::Text(format!("{before}{}%{digits}f", literal(text))))
            }
            (Kind::Text(before), Kind::Text(next)) => {
                Some(Kind::Text(format!("{before}{}{next}", literal(text))))
            }
            _ => None,
        }
    }

    /// How the field is written, when it tells the minute.
    fn format(&self) -> Option<&str> {
        match self {
            Kind::Epoch { .. } => Some("epoch"),
            Kind::Fraction(_) => None,
            Kind::Text(text) if text == CLF => Some("clf"),
            Kind::Text(text) => TimeFormat::compile(text).is_ok().then_some(text),
        }
    }

    fn shape(&self) -> Shape {
        match self {
            Kind::Epoch { fraction: false } | Kind::Fraction(_) => Shape::Number,
            Kind::Epoch { fraction: true } => Shape::Token,
            Kind::Text(text) if text == CLF => Shape::Clf,
            Kind::Text(text) => width(text).map_or(Shape::Text, Shape::Fixed),
        }
    }
}

/// The strftime text of the Common Log Format, which has a reader of its own.
const CLF: &str = "%d/%b/%Y:%H:%M:%S %z";

impl TimePieces {
    /// Adds the `%{argument}t` that stands next in `format`.
    pub(super) fn add(&mut self, format: &mut ServerFormat, argument: &str) {
        let is_end = argument.starts_with("end:");
        let argument = argument
            .strip_prefix("begin:")
            .or(argument.strip_prefix("end:"))
            .unwrap_or(argument);
        let kind = Kind::of(argument);
        if let Some((last, together)) = self.together(format, is_end, &kind) {
            last.kind = together;
            format.pieces.truncate(last.at + 1);
            return;
        }
        self.found.push(TimePiece {
            at: format.pieces.len(),
            is_end,
            kind,
        });
        format.field("time", Shape::Text);
    }

    /// The time before, when only text stands behind it and both are one time.
    fn together(
        &mut self,
        format: &ServerFormat,
        is_end: bool,
        kind: &Kind,
    ) -> Option<(&mut TimePiece, Kind)> {
        let last = self.found.last_mut()?;
        let between: &[u8] = match format.pieces.get(last.at + 1..)? {
            [] => b"",
            [Piece::Literal(text)] => text,
            _ => return None,
        };
        let together = last.kind.and(between, kind)?;
        (last.is_end == is_end).then_some((last, together))
    }

    /// Names the fields and gives them their shapes.
    pub(super) fn finish(self, format: &mut ServerFormat) {
        let chosen = self
            .found
            .iter()
            .position(|time| time.kind.format().is_some());
        let chosen = chosen.unwrap_or_default();
        let mut number = 1;
        for (index, time) in self.found.iter().enumerate() {
            let Some(Piece::Field { name, shape }) = format.pieces.get_mut(time.at) else {
                continue;
            };
            *shape = time.kind.shape();
            if index == chosen {
                format.time_format = Some(match (&time.kind, time.kind.format()) {
                    (_, Some(format)) => format.to_owned(),
                    (Kind::Text(text), None) => text.clone(),
                    (_, None) => "%f".to_owned(),
                });
            } else {
                number += 1;
                *name = format!("time_{number}");
            }
        }
    }
}

/// Text between two pieces as strftime has it.
fn literal(text: &str) -> String {
    text.replace('%', "%%")
}

/// A strftime text with the words that stand for several, as the C locale has them.
fn expanded(text: &str) -> String {
    let mut whole = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        let word = match (letter, letters.clone().next()) {
            ('%', Some('c')) => "%a %b %e %H:%M:%S %Y",
            ('%', Some('D' | 'x')) => "%m/%d/%y",
            ('%', Some('F')) => "%Y-%m-%d",
            ('%', Some('R')) => "%H:%M",
            ('%', Some('r')) => "%I:%M:%S %p",
            ('%', Some('T' | 'X')) => "%H:%M:%S",
            ('%', Some('h')) => "%b",
            ('%', Some('n')) => "\n",
            ('%', Some('t')) => "\t",
            ('%', Some(other)) => {
                whole.extend(['%', other]);
                letters.next();
                continue;
            }
            (letter, _) => {
                whole.push(letter);
                continue;
            }
        };
        whole.push_str(word);
        letters.next();
    }
    whole
}

/// Bytes that every time in this strftime text has; `None` when some are longer than others.
fn width(text: &str) -> Option<usize> {
    let mut width = 0;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        width += match letter {
            '%' => match letters.next()? {
                '%' | 'u' | 'w' => 1,
                digits @ ('3' | '6') if letters.next()? == 'f' => {
                    usize::from(digits == '6') * 3 + 3
                }
                'C' | 'd' | 'e' | 'g' | 'H' | 'I' | 'k' | 'l' | 'm' | 'M' | 'p' | 'P' | 'S'
                | 'U' | 'V' | 'W' | 'y' => 2,
                'a' | 'b' | 'j' => 3,
                'G' | 'Y' => 4,
                'z' => 5,
                _ => return None,
            },
            letter => letter.len_utf8(),
        };
    }
    Some(width)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::fmt::strtime;
    use jiff::tz::TimeZone;
    use proptest::prelude::*;

    #[test]
    fn words_of_the_c_locale_are_expanded() {
        assert_eq!(expanded("%F %T|%%D|%"), "%Y-%m-%d %H:%M:%S|%%D|%");
        assert_eq!(width(&expanded("%c")), Some(24));
        assert_eq!(width("%B"), None);
    }

    proptest! {
        #[test]
        fn times_have_the_width_of_their_text(
            parts in prop::collection::vec(prop::sample::select(vec![
                "%Y", "%m", "%d", "%e", "%H", "%I", "%k", "%l", "%M", "%S", "%p", "%y", "%j", "%b", "%a", "%z", "%F", "%T", "%D", "%R", "%c", "%r", "%3f", "%6f", "%%", " ", "T", "/", "é",
            ]), 0..9),
            seconds in 0_i64..4_000_000_000,
        ) {
            let text = expanded(&parts.concat());
            let time = jiff::Timestamp::from_second(seconds).unwrap().to_zoned(TimeZone::UTC);
            let written = strtime::format(&text, &time).unwrap();
            prop_assert_eq!(width(&text), Some(written.len()), "{} {}", text, written);
        }
    }
}

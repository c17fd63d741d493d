//! Pictures of mistakes in the style of the Rust compiler.
//!
//! Invariant: a picture is made of escaped text only, one source line for each place, cut when it
//! is long; line and column are those of the file, whatever the cut and the escapes do to the
//! line that is shown. It decides nothing about colour: the caller knows its terminal.

use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet, Title};

use super::escape::{Untrusted, escaped};
use super::{Diagnostic, Place, SourceText};

/// Longest source line that is shown whole, in bytes.
const LONGEST_LINE: usize = 200;
/// Most bytes of a span in a line that is cut.
const LONGEST_SPAN: usize = 100;
/// Bytes left and right of the span in a line that is cut.
const CONTEXT: usize = 40;
/// Most bytes of a message or a label; they may quote a hostile file.
const LONGEST_MESSAGE: usize = 400;
/// Stands for file and position while the picture is drawn: the drawing library would count the
/// column in the shown line instead of in the file. Escaped text never holds it.
const POSITION: &str = "\u{e000}";

/// All mistakes, those of one text together and in its order, with an empty line between two and
/// a line feed at the end; empty for none.
pub fn render(diagnostics: &[Diagnostic], color: bool) -> String {
    // Lines are cut here; the library's own cutting would lose the marks.
    let plain = Renderer::plain().term_width(usize::from(u16::MAX));
    let styled = Renderer::styled().term_width(usize::from(u16::MAX));
    let renderer = if color { styled } else { plain };
    let pictures: Vec<String> = in_file_order(diagnostics)
        .into_iter()
        .map(|one| draw(one, &renderer))
        .collect();
    pictures.join("\n")
}

fn in_file_order(diagnostics: &[Diagnostic]) -> Vec<&Diagnostic> {
    let mut sources: Vec<Option<&Arc<SourceText>>> = Vec::new();
    let mut keyed = Vec::new();
    for one in diagnostics {
        let source = one.place.as_ref().map(Place::source);
        let known = sources.iter().position(|other| match (other, source) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (None, None) => true,
            _ => false,
        });
        let rank = known.unwrap_or_else(|| {
            sources.push(source);
            sources.len() - 1
        });
        keyed.push((
            (rank, one.place.as_ref().map(|place| place.span().start)),
            one,
        ));
    }
    keyed.sort_by_key(|(key, _)| *key);
    keyed.into_iter().map(|(_, one)| one).collect()
}

fn draw(one: &Diagnostic, renderer: &Renderer) -> String {
    let mut positions = Vec::new();
    let level = if one.is_warning {
        Level::WARNING
    } else {
        Level::ERROR
    };
    let title = level.primary_title(message(&one.message));
    let mut first = group(title, one.place.as_ref(), &one.label, &mut positions);
    if let Some(help) = &one.help {
        let lines: Vec<String> = help.lines().map(escaped).collect();
        first = first.element(Level::HELP.message(lines.join("\n")));
    }
    let mut groups = vec![first];
    for (place, text) in &one.notes {
        let title = Level::NOTE.secondary_title(message(text));
        groups.push(group(title, Some(place), "", &mut positions));
    }
    let mut picture = renderer.render(&groups);
    for (drawn, real) in positions {
        picture = picture.replacen(&drawn, &real, 1);
    }
    picture.push('\n');
    picture
}

fn group<'a>(
    title: Title<'a>,
    place: Option<&Place>,
    label: &str,
    positions: &mut Vec<(String, String)>,
) -> Group<'a> {
    let group = Group::with_title(title);
    let Some(excerpt) = place.map(Excerpt::of) else {
        return group;
    };
    positions.push((excerpt.drawn_position(), excerpt.position));
    let mark = AnnotationKind::Primary.span(excerpt.before.len()..excerpt.marked_end);
    let mark = if label.is_empty() {
        mark
    } else {
        mark.label(message(label))
    };
    let line = Snippet::source(excerpt.shown)
        .line_start(excerpt.line)
        .path(POSITION);
    group.element(line.annotation(mark))
}

fn message(text: &str) -> String {
    Untrusted(text.as_bytes())
        .shortened(LONGEST_MESSAGE)
        .to_string()
}

/// The line of a place as it is shown.
struct Excerpt {
    /// `name:line:column` in the file.
    position: String,
    line: usize,
    /// What stands left of the mark.
    before: String,
    /// The whole line.
    shown: String,
    marked_end: usize,
}

impl Excerpt {
    fn of(place: &Place) -> Excerpt {
        let text = place.source().text.as_str();
        let start = text.floor_char_boundary(place.span().start);
        let (left, rest) = text.split_at_checked(start).unwrap_or((text, ""));
        let left = left.rsplit('\n').next().unwrap_or_default();
        let span = text
            .ceil_char_boundary(place.span().end)
            .saturating_sub(start);
        let rest = rest.split('\n').next().unwrap_or_default();
        let rest = rest.strip_suffix('\r').unwrap_or(rest);
        let (marked, right) = rest.split_at_checked(span).unwrap_or((rest, ""));
        let column = left.chars().count() + 1;
        let line = place.line();
        let position = format!("{}:{line}:{column}", escaped(&place.source().name));
        Excerpt::cut(position, line, [left, marked, right])
    }

    fn cut(position: String, line: usize, [left, marked, right]: [&str; 3]) -> Excerpt {
        let long = left.len() + marked.len() + right.len() > LONGEST_LINE;
        let [left, marked, right] = if long {
            [
                tail(left, CONTEXT),
                source_line(head(marked, LONGEST_SPAN)),
                rest(marked, right),
            ]
        } else {
            [source_line(left), source_line(marked), source_line(right)]
        };
        let marked_end = left.len() + marked.len();
        let shown = format!("{left}{marked}{right}");
        Excerpt {
            position,
            line,
            before: left,
            shown,
            marked_end,
        }
    }

    /// What the library will write for the position of the mark.
    fn drawn_position(&self) -> String {
        let column = self.before.chars().count() + 1;
        format!("{POSITION}:{}:{column}", self.line)
    }
}

/// The end of what stands left of the mark, after `…` when it is cut.
fn tail(left: &str, limit: usize) -> String {
    let start = left.ceil_char_boundary(left.len().saturating_sub(limit));
    let dots = if start > 0 { "…" } else { "" };
    format!("{dots}{}", source_line(left.get(start..).unwrap_or(left)))
}

/// What follows the mark in a line that is cut: only `…` when the mark itself is cut.
fn rest(marked: &str, right: &str) -> String {
    let shown = if marked.len() > LONGEST_SPAN {
        ""
    } else {
        head(right, CONTEXT)
    };
    let dots = if shown.len() < right.len() || marked.len() > LONGEST_SPAN {
        "…"
    } else {
        ""
    };
    source_line(shown) + dots
}

fn head(text: &str, limit: usize) -> &str {
    text.get(..text.floor_char_boundary(limit)).unwrap_or(text)
}

/// A source line keeps its indentation: tabs become four spaces.
fn source_line(text: &str) -> String {
    escaped(&text.replace('\t', "    "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn place(text: &str, word: &str) -> Place {
        let start = text.find(word).unwrap();
        Place::new(
            &SourceText::new("parsers/x.toml", text),
            start..start + word.len(),
        )
    }

    #[test]
    fn picture_has_position_caret_label_and_help() {
        let text = "a = 1\nvalue  = \"request_tme\"\n";
        let error = place(text, "request_tme")
            .error(
                "unknown field `request_tme`",
                "not in this format, nor derived",
            )
            .help("a field with a similar name exists: `request_time`");
        let expected = "\
error: unknown field `request_tme`
 --> parsers/x.toml:2:11
  |
2 | value  = \"request_tme\"
  |           ^^^^^^^^^^^ not in this format, nor derived
  |
  = help: a field with a similar name exists: `request_time`
";
        assert_eq!(render(&[error], false), expected);
    }

    #[test]
    fn notes_show_other_places() {
        let text = "a = 1\na = 2\n";
        let second = Place::new(&SourceText::new("f", text), 6..7);
        let first = Place::new(second.source(), 0..1);
        let error = second
            .error("`a` is given twice", "")
            .note(&first, "first given here");
        let expected = "\
error: `a` is given twice
 --> f:2:1
  |
2 | a = 2
  | ^
  |
note: first given here
 --> f:1:1
  |
1 | a = 1
  | ^
";
        assert_eq!(render(&[error], false), expected);
    }

    #[test]
    fn mistakes_are_in_file_order_one_text_after_the_other() {
        let (one, two) = (
            SourceText::new("one", "a\nb\n"),
            SourceText::new("two", "c\n"),
        );
        let mistakes = [
            Place::new(&one, 2..3).error("second", ""),
            Place::new(&two, 0..1).error("third", ""),
            Place::new(&one, 0..1).error("first", ""),
            Diagnostic::new("without a place"),
        ];
        let picture = render(&mistakes, false);
        let titles: Vec<&str> = picture
            .lines()
            .filter_map(|line| line.strip_prefix("error: "))
            .collect();
        assert_eq!(titles, ["first", "second", "third", "without a place"]);
        assert_eq!(render(&[], false), "");
    }

    #[test]
    fn hostile_text_is_escaped_and_the_caret_stays_right() {
        let text = "x = \u{1b}[31m\u{202e}\t\"é\u{9b}bad\" # z\u{7}\r\n";
        let error = place(text, "bad").error("evil \u{1b}[0m\n", "here \u{2066}");
        let expected = "\
error: evil \\u{1b}[0m\\n
 --> parsers/x.toml:1:15
  |
1 | x = \\u{1b}[31m\\u{202e}    \"é\\u{9b}bad\" # z\\u{7}
  |                                   ^^^ here \\u{2066}
";
        assert_eq!(render(&[error], false), expected);
    }

    #[test]
    fn long_line_is_cut_around_the_mark() {
        let text = format!("{}BAD{}", "é".repeat(300), "y".repeat(300));
        let picture = render(&[place(&text, "BAD").error("m", "l")], false);
        let expected = format!(
            "error: m\n --> parsers/x.toml:1:301\n  |\n1 | …{}BAD{}…\n  | {}^^^ l\n",
            "é".repeat(20),
            "y".repeat(40),
            " ".repeat(21)
        );
        assert_eq!(picture, expected);
    }

    #[test]
    fn mark_over_several_lines_shows_the_first() {
        let source = SourceText::new("f", "a = '''x\r\ny'''\r\n");
        let picture = render(&[Place::new(&source, 7..11).error("m", "")], false);
        assert_eq!(
            picture,
            "error: m\n --> f:1:8\n  |\n1 | a = '''x\n  |        ^\n"
        );
    }

    #[test]
    fn end_of_text_can_be_pointed_at() {
        let source = SourceText::new("f", "a\n");
        assert!(render(&[Place::new(&source, 2..2).error("m", "")], false).contains("f:2:1"));
        let empty = SourceText::new("f", "");
        assert!(render(&[Place::new(&empty, 0..0).error("m", "")], false).contains("f:1:1"));
        assert!(render(&[Place::new(&empty, 7..9).error("m", "")], false).contains("f:1:1"));
    }

    proptest! {
        #[test]
        fn any_text_and_span_give_a_printable_picture(
            text in "(?s)[ -~\u{0}-\u{1f}é\u{202e}\u{e000}漢\u{301}]{0,300}",
            message in "(?s).{0,20}", start in 0usize..320, length in 0usize..320,
        ) {
            let place = Place::new(&SourceText::new("f", text), start..start + length);
            let error = place.error(message.clone(), message.clone()).help(message).note(&place, "n");
            let picture = render(std::slice::from_ref(&error), false);
            prop_assert!(!picture.chars().any(|c| c != '\n' && c.is_control()), "{picture:?}");
            prop_assert!(!picture.contains(POSITION), "{picture:?}");
            prop_assert!(!render(&[error], true).contains(POSITION));
        }
    }
}

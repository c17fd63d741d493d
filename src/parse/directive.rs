//! Directives as Apache's `LogFormat` and `varnishncsa -F` write them: `%[modifiers]{argument}letter`.
//!
//! Only the spelling is read here (mod_log_config, "Custom Log Formats" and "Modifiers"); what a
//! directive means is left to the two dialects, for they differ there.

use super::layout::FormatError;

/// One directive, without its `%`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Directive<'t> {
    /// Which request of an internal redirect is meant.
    pub(super) of: Request,
    /// What stands between braces.
    pub(super) argument: Option<&'t str>,
    /// `h`, or one of those that begin with a caret: `^ti`, `^to`, `^FB`.
    pub(super) letter: &'t str,
}

/// The request that a directive asks about, when the server redirected one inside itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// The one that the directive asks about by itself.
    Default,
    /// `<`: the one that the client sent.
    Original,
    /// `>`: the one that was answered.
    Final,
}

/// A part of a format text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part<'t> {
    /// Text between directives, as written.
    Text(&'t str),
    /// A directive.
    Directive(Directive<'t>),
}

/// Splits a format text and gives its parts to `take`, whose errors are placed at their directive.
pub(super) fn split<'t>(
    text: &'t str,
    mut take: impl FnMut(Part<'t>) -> Result<(), String>,
) -> Result<(), FormatError> {
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        let start = text.len() - after.len() - 1;
        take(Part::Text(before)).map_err(|message| (start..start, message))?;
        let (directive, tail) = directive(after).ok_or_else(|| {
            let message = "a `%` must begin a directive such as `%h` or `%{Referer}i`";
            (start..start + 1, message.to_owned())
        })?;
        let end = text.len() - tail.len();
        take(Part::Directive(directive)).map_err(|message| (start..end, message))?;
        rest = tail;
    }
    take(Part::Text(rest)).map_err(|message| (text.len()..text.len(), message))
}

/// Modifiers, the status list among them, and the argument may stand in any order before the letter
/// (`parse_log_item` of mod_log_config).
fn directive(after: &str) -> Option<(Directive<'_>, &str)> {
    let (mut of, mut argument, mut rest) = (Request::Default, None, after);
    loop {
        let mut letters = rest.chars();
        match letters.next()? {
            '!' | ',' | '0'..='9' => {}
            '<' => of = Request::Original,
            '>' => of = Request::Final,
            '{' => {
                let (inside, tail) = letters.as_str().split_once('}')?;
                (argument, rest) = (Some(inside), tail);
                continue;
            }
            letter => {
                let length = if letter == '^' { 3 } else { letter.len_utf8() };
                let (letter, tail) = rest.split_at_checked(length)?;
                let directive = Directive {
                    of,
                    argument,
                    letter,
                };
                return Some((directive, tail));
            }
        }
        rest = letters.as_str();
    }
}

/// nginx's name for a header: lower case, with `_` for `-`.
pub(super) fn header_name(prefix: &str, header: &str) -> String {
    let plain = header.chars().map(|letter| match letter {
        '-' => '_',
        letter => letter.to_ascii_lowercase(),
    });
    prefix.chars().chain(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(text: &str) -> Directive<'_> {
        let mut found = None;
        split(text, |part| {
            if let Part::Directive(directive) = part {
                found = Some(directive);
            }
            Ok(())
        })
        .unwrap();
        found.unwrap()
    }

    #[test]
    fn modifiers_stand_in_any_order() {
        for text in ["%!200,304>{X-A}i", "%{X-A}>i", "%>{X-A}!404i"] {
            let expected = Directive {
                of: Request::Final,
                argument: Some("X-A"),
                letter: "i",
            };
            assert_eq!(one(text), expected, "{text}");
        }
        assert_eq!(one("%{a}^ti").letter, "^ti");
        assert_eq!(one("%^FB").letter, "^FB");
        assert_eq!(one("%<s").of, Request::Original);
    }

    #[test]
    fn what_is_no_directive_is_a_mistake_at_its_percent() {
        for text in ["a %", "a %{x", "a %>", "a %^t", "a %é"] {
            let result = split(text, |part| match part {
                Part::Directive(directive) if directive.letter == "é" => Err("é".to_owned()),
                _ => Ok(()),
            });
            assert_eq!(result.unwrap_err().0.start, 2, "{text}");
        }
    }

    proptest! {
        #[test]
        fn parts_are_the_text(text in "[%a-c<>!,0-9{}^é\\\\ ]{0,30}") {
            let mut length = 0;
            let result = split(&text, |part| {
                length += match part {
                    Part::Text(text) => text.len(),
                    Part::Directive(directive) => directive.letter.len(),
                };
                Ok(())
            });
            prop_assert!(length <= text.len());
            if let Err((range, _)) = result {
                prop_assert!(text.get(range).is_some());
            }
        }
    }
}

//! Patterns over bytes, for formats and rules alike.

use std::ops::Range;

use regex::bytes::{Regex, RegexBuilder};

/// A linear-time regex that compiles to at most so many MiB; Unicode classes only where the pattern
/// cannot do without.
///
/// # Errors
/// One sentence: the regex crate draws its own picture, of which only the sentence is wanted.
pub fn compile_pattern(pattern: &str, mebibytes: usize) -> Result<Regex, String> {
    let build = |unicode| {
        RegexBuilder::new(pattern)
            .unicode(unicode)
            .size_limit(mebibytes << 20)
            .dfa_size_limit(mebibytes << 20)
            .build()
    };
    build(false)
        .or_else(|_| build(true))
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => {
                format!("it compiles to more than {mebibytes} MiB")
            }
            error => last_line(&error.to_string()),
        })
}

/// Where in a pattern of one line its mistake is, as bytes. The regex crate tells it in a picture only.
pub fn mistake_in(pattern: &str) -> Option<Range<usize>> {
    let error = Regex::new(pattern).err()?.to_string();
    let mut lines = error
        .lines()
        .skip_while(|line| line.trim() != pattern.trim());
    let (shown, carets) = (lines.next()?, lines.next()?);
    let begin = shown.len() - shown.trim_start().len() + pattern.trim_start().len() - pattern.len();
    let last = carets.chars().collect::<Vec<_>>();
    let end = last.iter().rposition(|letter| *letter == '^')? + 1;
    let start = last.get(..end)?.iter().rposition(|letter| *letter != '^')? + 1;
    let byte = |column: usize| {
        let mut letters = pattern.char_indices().map(|(at, _)| at);
        letters.nth(column).unwrap_or(pattern.len())
    };
    Some(byte(start.checked_sub(begin)?)..byte(end.checked_sub(begin)?))
}

fn last_line(message: &str) -> String {
    let last = message
        .lines()
        .rfind(|line| !line.trim().is_empty())
        .unwrap_or(message);
    last.trim().trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mistake_of_a_pattern_has_a_place() {
        let at = |pattern: &str| mistake_in(pattern).map(|range| pattern[range].to_owned());
        assert_eq!(at(r"^(\S+) (\d+$"), Some("(".to_owned()));
        assert_eq!(at("é(?=x)"), Some("(?=".to_owned()));
        assert_eq!(at("(?<a>x)(?<a>y)"), Some("a".to_owned()));
        assert_eq!(mistake_in("(?<a>x)"), None);
        assert_eq!(at("  a{"), Some("{".to_owned()));
    }
}

//! Patterns over bytes, for formats and rules alike.

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

fn last_line(message: &str) -> String {
    let last = message
        .lines()
        .rfind(|line| !line.trim().is_empty())
        .unwrap_or(message);
    last.trim().trim_start_matches("error: ").to_owned()
}

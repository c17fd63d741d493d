//! `key=value` lines as `format.logfmt`: which key holds which field, as for JSON.
//!
//! What stands before the first pair is passed over, but for a time, which is searched there.

use regex::bytes::Regex;

use super::columns::tokens;
use super::draft::{Draft, Format};
use super::json::Keys;
use crate::record::compile_pattern;

/// Pairs that a line must have.
const FEWEST: usize = 4;

/// Times before the first pair: a pattern, and how what it finds is written.
const SEARCHES: [(&str, &str); 2] = [
    (
        r"^[^=]*?\b(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?)",
        "rfc3339",
    ),
    (
        r"^[^=]*?(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})",
        "clf",
    ),
];

/// The layout of lines of which most end in pairs.
pub(super) fn draft(lines: &[&[u8]]) -> Option<Draft> {
    let mut keys = Keys::default();
    let mut whole = 0;
    for line in lines {
        let Some(pairs) = pairs(line) else { continue };
        whole += 1;
        for (key, value) in pairs {
            let value = String::from_utf8_lossy(value).into_owned();
            keys.values.entry(vec![key]).or_default().push(value);
        }
    }
    if whole * 2 <= lines.len() {
        return None;
    }
    let finds = |(pattern, _): &&(&str, &str)| {
        let pattern: Option<Regex> = compile_pattern(pattern, 8).ok();
        let found = lines
            .iter()
            .filter(|line| pattern.as_ref().is_some_and(|p| p.is_match(line)));
        found.count() * 2 > lines.len()
    };
    let search = SEARCHES.iter().find(finds).copied();
    let mut draft = keys.draft(whole, search)?;
    if let Format::Json(fields) = draft.format {
        // A path's dots are a key's own here.
        let own = fields
            .into_iter()
            .map(|(name, path)| (name, path.replace("\\.", ".")));
        draft.format = Format::Logfmt(own.collect());
    }
    Some(draft)
}

/// The pairs of a line that ends in some.
fn pairs(line: &[u8]) -> Option<Vec<(String, &[u8])>> {
    let tokens = tokens(line, b' ');
    let key = |before: &[u8]| {
        let before = before.trim_ascii_start();
        let before = before.strip_suffix(b"\"").unwrap_or(before);
        let key = before.strip_suffix(b"=")?;
        (!key.contains(&b' ')).then(|| String::from_utf8_lossy(key).into_owned())
    };
    key(tokens.last()?.before)?;
    let pairs: Vec<_> = tokens
        .iter()
        .filter_map(|token| Some((key(token.before)?, token.value)))
        .collect();
    (pairs.len() >= FEWEST && pairs.len() * 3 > tokens.len()).then_some(pairs)
}

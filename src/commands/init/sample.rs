//! The newest lines of a log, read with the parsers that were chosen for it: whether the configuration is what the
//! server really does.
//!
//! Only counts leave this file: no line of a log is shown.

use super::choose::Chooser;
use super::tree::{Tree, Unread};
use crate::commands::detect::{self, SAMPLE_BYTES, SAMPLE_LINES};
use crate::parse::Format;

/// Files of a pattern that are looked at.
const MOST_FILES: usize = 5;

/// What the newest lines say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sampled {
    /// No file is there, or none with a line in it.
    Nothing,
    /// There is a file, and this is why it was not read.
    Unreadable(String),
    /// Lines, how many the parsers read, and a shipped parser that reads more.
    Lines {
        read: u64,
        lines: u64,
        better: Option<(String, u64)>,
    },
}

/// Reads the newest lines of the files of a pattern.
pub(super) fn sampled(
    tree: &Tree,
    chooser: &Chooser,
    pattern: &str,
    parsers: &[String],
) -> Sampled {
    let mut text = Vec::new();
    let mut refused = None;
    let most = u64::try_from(SAMPLE_BYTES).unwrap_or(u64::MAX);
    for file in tree.matching(pattern).iter().take(MOST_FILES) {
        match tree.tail(file, most) {
            Ok(lines) => text.extend(lines),
            Err(Unread::Refused(why)) => refused = Some(why),
            Err(Unread::Missing) => {}
        }
    }
    let text = newest(&text);
    let formats: Vec<Format> = parsers
        .iter()
        .filter_map(|name| chooser.format(name))
        .collect();
    let best = detect::rank(&formats, text)
        .into_iter()
        .max_by_key(|fit| fit.read);
    match (best, refused) {
        (Some(fit), _) if fit.lines > 0 => Sampled::Lines {
            read: fit.read,
            lines: fit.lines,
            better: better(chooser, text, fit.read, fit.lines),
        },
        (_, Some(why)) => Sampled::Unreadable(why),
        _ => Sampled::Nothing,
    }
}

/// The last of the lines, as many as detection looks at, and as many bytes.
fn newest(text: &[u8]) -> &[u8] {
    let text = text
        .get(text.len().saturating_sub(SAMPLE_BYTES)..)
        .unwrap_or_default();
    let ends: Vec<usize> = memchr::memrchr_iter(b'\n', text)
        .take(SAMPLE_LINES + 1)
        .collect();
    match ends.get(SAMPLE_LINES) {
        Some(end) => text.get(end + 1..).unwrap_or_default(),
        None => text,
    }
}

/// A shipped parser that reads clearly more, where the chosen ones miss more than a tenth.
fn better(chooser: &Chooser, text: &[u8], read: u64, lines: u64) -> Option<(String, u64)> {
    if read.saturating_mul(10) >= lines.saturating_mul(9) {
        return None;
    }
    let formats = chooser.engine.candidates().ok()?;
    let best = detect::rank(&formats, text).into_iter().next()?;
    let name = formats.get(best.candidate)?.name.clone();
    (best.read > read.saturating_add(lines / 10)).then_some((name, best.read))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_thousand_lines_are_looked_at() {
        let text: String = (0..1500).map(|number| format!("{number}\n")).collect();
        let newest = newest(text.as_bytes());
        assert!(newest.starts_with(b"500\n"));
        assert!(newest.ends_with(b"1499\n"));
        assert_eq!(super::newest(b"a\n"), b"a\n");
    }
}

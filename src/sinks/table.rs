//! The table: what a person sees first, perhaps at three in the morning.
//!
//! From the top: what was read and whether it can be trusted; who is worst and since when; then
//! each metric with its series, largest first; last what was not counted and why. Rounded where a
//! person reads it, exact where one counts: totals have all their digits, shares and sizes not.
//!
//! Invariants: no byte of a log reaches the terminal unescaped, label values and file names
//! included. Memory grows with the series of one metric (a bounded timeline each), of which twenty
//! are kept when the next metric begins.

mod blocks;
mod faults;
mod grid;
mod inputs;
mod worst;

use std::io::{self, Write};

use self::blocks::{Block, Rows};
use super::{Current, SeriesStream, Summary};
use crate::diagnostic::Untrusted;

/// What the terminal can show.
#[derive(Clone, Copy)]
pub struct TableOptions<'f> {
    /// Columns of a line. Below about 60 some values are left out.
    pub width: usize,
    /// Emphasis by ANSI escapes (SGR).
    pub color: bool,
    /// Characters beyond ASCII: sparkline blocks, `…`, `≤`.
    pub unicode: bool,
    /// Spells a time given in Unix seconds, in the zone that [`Summary::zone`] names: the shortest
    /// form that is clear for the range shown.
    pub format_time: &'f dyn Fn(i64) -> String,
}

/// Why a text stands out.
#[derive(Clone, Copy)]
enum Style {
    Title,
    Bad,
    Warning,
    Aside,
}

impl TableOptions<'_> {
    fn paint(&self, style: Style, text: &str) -> String {
        let code = match style {
            Style::Title => "1",
            Style::Bad => "1;31",
            Style::Warning => "33",
            Style::Aside => "2",
        };
        if self.color {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    fn time(&self, seconds: i64) -> String {
        (self.format_time)(seconds)
    }

    /// Stands for what was left out.
    fn more(&self) -> &'static str {
        if self.unicode { "…" } else { "..." }
    }
}

/// Writes the table.
///
/// # Errors
/// Those of `out` and of the stream.
pub fn write(
    out: &mut impl Write,
    summary: &Summary,
    stream: &mut dyn SeriesStream,
    options: &TableOptions<'_>,
) -> io::Result<()> {
    let blocks = read(summary, stream)?;
    let mut sections = vec![
        inputs::lines(summary, options),
        worst::lines(&blocks, summary, options),
    ];
    let shown = blocks
        .iter()
        .filter(|block| !faults::is_near_misses(&block.metric));
    sections.extend(shown.map(|block| block.lines(options)));
    sections.extend(faults::sections(&blocks, summary, options));
    let mut between = "";
    for section in sections.iter().filter(|section| !section.is_empty()) {
        out.write_all(between.as_bytes())?;
        for line in section {
            writeln!(out, "{}", line.trim_end())?;
        }
        between = "\n";
    }
    Ok(())
}

/// One block for each metric.
fn read(summary: &Summary, stream: &mut dyn SeriesStream) -> io::Result<Vec<Block>> {
    let mut blocks = Vec::new();
    let mut rows: Option<Rows> = None;
    let mut current = None;
    while let Some(series) = Current::next(stream, current.take())? {
        if series.first {
            blocks.extend(rows.take().map(Block::new));
        }
        let rows = rows.get_or_insert_with(|| Rows::new(summary, &series.metric));
        rows.read(&series, stream)?;
        current = Some(series);
    }
    blocks.extend(rows.map(Block::new));
    Ok(blocks)
}

/// Text from outside as one line that does nothing to the terminal.
fn safe(text: &str) -> String {
    Untrusted(text.as_bytes()).to_string()
}

#[cfg(test)]
mod tests;

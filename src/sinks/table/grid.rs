//! Columns that fit a terminal: padded, clipped, and the least important left out when it is narrow.
//!
//! Assumes one column for each character: CJK text in a label shifts what follows it.

use super::TableOptions;
use crate::sinks::text::{clipped, clipped_left, padded, width};

/// Blanks between columns.
pub(super) const GAP: &str = "  ";

/// One column.
#[derive(Clone, Debug, Default)]
pub(super) struct Column {
    pub(super) head: String,
    pub(super) cells: Vec<String>,
    /// Numbers stand at the right.
    pub(super) right: bool,
    /// The greatest goes first when the terminal is narrow; 0 stays.
    pub(super) spare: u8,
}

impl Column {
    /// Text at the left that stays.
    pub(super) fn text(head: &str, cells: Vec<String>) -> Column {
        Column {
            head: head.to_owned(),
            cells,
            right: false,
            spare: 0,
        }
    }

    /// Numbers at the right.
    pub(super) fn number(head: &str, spare: u8, cells: Vec<String>) -> Column {
        Column {
            head: head.to_owned(),
            cells,
            right: true,
            spare,
        }
    }

    /// No cell wider than `columns`, the beginning kept.
    pub(super) fn clipped(mut self, columns: usize, options: &TableOptions<'_>) -> Column {
        for cell in &mut self.cells {
            *cell = clipped(cell, columns, options.more());
        }
        self
    }

    /// No cell wider than `columns`, the end kept.
    pub(super) fn clipped_left(mut self, columns: usize, options: &TableOptions<'_>) -> Column {
        for cell in &mut self.cells {
            *cell = clipped_left(cell, columns, options.more());
        }
        self
    }

    fn width(&self) -> usize {
        self.cells
            .iter()
            .chain([&self.head])
            .map(|cell| width(cell))
            .max()
            .unwrap_or(0)
    }
}

/// Leaves out spare columns until a line takes at most `columns`, or none is spare.
pub(super) fn fit(grid: &mut Vec<Column>, columns: usize) {
    loop {
        let needed: usize = grid.iter().map(|column| column.width() + GAP.len()).sum();
        let spare = grid.iter().map(|column| column.spare).max().unwrap_or(0);
        if needed <= columns || spare == 0 {
            return;
        }
        grid.retain(|column| column.spare != spare);
    }
}

/// The head and the rows, all of one width.
pub(super) fn lines(grid: &[Column]) -> Vec<String> {
    let rows = grid
        .iter()
        .map(|column| column.cells.len())
        .max()
        .unwrap_or(0);
    let line = |row: Option<usize>| {
        let cells = grid.iter().map(|column| {
            let cell = row.map_or(Some(&column.head), |row| column.cells.get(row));
            padded(
                cell.map_or("", String::as_str),
                column.width(),
                column.right,
            )
        });
        cells.collect::<Vec<_>>().join(GAP)
    };
    [None]
        .into_iter()
        .chain((0..rows).map(Some))
        .map(line)
        .collect()
}

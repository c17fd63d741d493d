//! One metric: its series, the largest first, each with its totals and a sparkline.

use std::io;

use super::grid::{self, Column, GAP};
use super::worst::Finding;
use super::{Style, TableOptions, safe, worst};
use crate::metrics::{Decimal, Kind, Metric};
use crate::sinks::text::{clipped, count, duration, percent, short, size, thousands, width};
use crate::sinks::timeline::{Join, Timeline};
use crate::sinks::{Current, SeriesStream, Summary};

/// Series shown of a metric.
const ROWS: usize = 20;

/// Most characters of a sparkline.
const SPARKLINE: usize = 40;

/// Fewest characters that make a sparkline worth more than a column of numbers.
const SHORT_SPARKLINE: usize = 16;

/// Buckets of a series whose beginning and worst minute are looked for: a day of minutes.
const FINE: usize = 1440;

/// One series.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// Label values, as they are.
    pub(super) labels: Vec<String>,
    /// The merge of all cells.
    pub(super) cell: Vec<u64>,
    /// What stands in the column of totals.
    pub(super) total: Decimal,
    /// Start of the first and of the last window.
    pub(super) seen: (i64, i64),
    /// The greatest window and its start.
    pub(super) peak: (Decimal, i64),
    /// The whole range.
    pub(super) timeline: Timeline,
}

/// All series of the metric being read.
pub(super) struct Rows {
    /// What is counted.
    pub(super) metric: Metric,
    /// In stream order.
    pub(super) rows: Vec<Row>,
    empty: Timeline,
    range: (i64, i64),
}

impl Rows {
    /// No series yet.
    pub(super) fn new(summary: &Summary, metric: &Metric) -> Rows {
        let (from, to) = (summary.from.unwrap_or(0), summary.to.unwrap_or(0));
        let join = if matches!(metric.kind, Kind::Last) {
            Join::Greatest
        } else {
            Join::Sum
        };
        let buckets = if worst::is_failure(metric) {
            FINE
        } else {
            SPARKLINE
        };
        let empty = Timeline::new(from, to, summary.step, buckets, join);
        Rows {
            metric: metric.clone(),
            rows: Vec::new(),
            empty,
            range: (from, to),
        }
    }

    /// Reads the points of one series; a series without any makes no row.
    pub(super) fn read(
        &mut self,
        series: &Current,
        stream: &mut dyn SeriesStream,
    ) -> io::Result<()> {
        let kind = &self.metric.kind;
        let mut cell = Vec::new();
        let mut row: Option<Row> = None;
        while let Some(start) = series.point(stream, &mut cell)? {
            let amount = kind.amount(&cell);
            let row = row.get_or_insert_with(|| Row {
                labels: series.labels.clone(),
                cell: series.empty_cell(),
                total: Decimal::ZERO,
                seen: (start, start),
                peak: (amount, start),
                timeline: self.empty.clone(),
            });
            kind.add(&mut row.cell, &cell);
            row.seen.1 = start;
            if amount > row.peak.0 {
                row.peak = (amount, start);
            }
            row.timeline.add(start, amount);
        }
        self.rows.extend(row.map(|row| Row {
            total: kind.amount(&row.cell),
            ..row
        }));
        Ok(())
    }
}

/// What is kept of a metric.
pub(super) struct Block {
    /// What is counted.
    pub(super) metric: Metric,
    /// The largest series, at most [`ROWS`].
    pub(super) rows: Vec<Row>,
    /// Of all series.
    pub(super) total: Decimal,
    /// Who is worst, for metrics that count failures.
    pub(super) finding: Option<Finding>,
    /// Number and total of the series that are not in `rows`.
    others: (usize, Decimal),
    range: (i64, i64),
}

impl Block {
    /// Keeps the largest series.
    pub(super) fn new(all: Rows) -> Block {
        let finding = Finding::of(&all);
        let Rows {
            metric,
            mut rows,
            range,
            ..
        } = all;
        let sum = |rows: &[Row]| {
            rows.iter()
                .fold(Decimal::ZERO, |sum, row| sum.plus(row.total))
        };
        let total = sum(&rows);
        rows.sort_by(|a, b| b.total.cmp(&a.total).then_with(|| a.labels.cmp(&b.labels)));
        let others = rows.split_off(rows.len().min(ROWS));
        rows.iter_mut()
            .for_each(|row| row.timeline = row.timeline.coarser(SPARKLINE));
        Block {
            metric,
            rows,
            total,
            finding,
            others: (others.len(), sum(&others)),
            range,
        }
    }

    /// Title, head, rows.
    pub(super) fn lines(&self, options: &TableOptions<'_>) -> Vec<String> {
        let mut grid = self.label_columns(options);
        grid.extend(self.value_columns(options));
        grid.extend(self.time_columns(options));
        let buckets = self
            .rows
            .first()
            .map_or(0, |row| row.timeline.buckets().len());
        let reserve = buckets.min(SHORT_SPARKLINE) + 2 * GAP.len();
        grid::fit(&mut grid, options.width.saturating_sub(reserve));
        let mut lines = grid::lines(&grid);
        let used = lines.first().map_or(0, |line| width(line)) + 2 * GAP.len();
        let columns = options.width.saturating_sub(used).min(SPARKLINE);
        let drawn = self
            .rows
            .iter()
            .map(|row| row.timeline.sparkline(columns, options.unicode));
        let axis = self.axis(
            drawn.clone().map(|line| width(&line)).max().unwrap_or(0),
            options,
        );
        for (line, sparkline) in lines.iter_mut().zip([axis].into_iter().chain(drawn)) {
            let sparkline = if columns == 0 {
                String::new()
            } else {
                sparkline
            };
            *line = format!("{GAP}{line}{GAP}{sparkline}");
        }
        if let Some(head) = lines.first_mut() {
            *head = options.paint(Style::Aside, head.trim_end());
        }
        lines.insert(0, self.title(options));
        lines.extend(self.others_line(options));
        lines
    }

    fn title(&self, options: &TableOptions<'_>) -> String {
        let name = &self.metric.name;
        let total = match self.metric.kind {
            Kind::Last => String::new(),
            _ => format!(": {}", self.spelt(self.total)),
        };
        let room = options
            .width
            .saturating_sub(width(name) + width(&total) + GAP.len());
        let help = clipped(&safe(&self.metric.help), room, options.more());
        format!("{}{total}{GAP}{help}", options.paint(Style::Title, name))
    }

    fn others_line(&self, options: &TableOptions<'_>) -> Option<String> {
        let (number, total) = self.others;
        let total = match self.metric.kind {
            Kind::Last => String::new(),
            _ => format!(": {} ({})", self.spelt(total), percent(total, self.total)),
        };
        (number > 0).then(|| format!("{GAP}{} {number} more series{total}", options.more()))
    }

    /// Begin and end of the range over the sparklines.
    fn axis(&self, columns: usize, options: &TableOptions<'_>) -> String {
        let (from, to) = (options.time(self.range.0), options.time(self.range.1));
        let blanks = columns.saturating_sub(width(&from) + width(&to));
        if blanks == 0 {
            String::new()
        } else {
            format!("{from}{}{to}", " ".repeat(blanks))
        }
    }

    fn column(&self, cell: impl Fn(&Row) -> String) -> Vec<String> {
        self.rows.iter().map(cell).collect()
    }

    fn label_columns(&self, options: &TableOptions<'_>) -> Vec<Column> {
        let most = (options.width / 4).max(8);
        let column = |(at, name): (usize, &String)| {
            let cells = self.column(|row| row.labels.get(at).map_or(String::new(), |v| safe(v)));
            Column::text(name, cells).clipped(most, options)
        };
        self.metric.labels.iter().enumerate().map(column).collect()
    }

    fn value_columns(&self, options: &TableOptions<'_>) -> Vec<Column> {
        let head = match self.metric.kind {
            Kind::Count | Kind::Sum => "total",
            Kind::Last => "newest",
            Kind::Buckets(_) => "count",
        };
        let mut columns = vec![Column::number(
            head,
            0,
            self.column(|row| self.spelt(row.total)),
        )];
        if !matches!(self.metric.kind, Kind::Last) {
            let shares = self.column(|row| percent(row.total, self.total));
            columns.push(Column::number("share", 2, shares));
        }
        if matches!(self.metric.kind, Kind::Buckets(_)) {
            columns.push(Column::number("mean", 1, self.column(|row| self.mean(row))));
            columns.extend(
                [("p50", 500), ("p90", 900), ("p99", 990)].map(|(head, permille)| {
                    let cells = self.column(|row| self.quantile(row, permille, options));
                    Column::number(head, 0, cells)
                }),
            );
        }
        columns
    }

    fn time_columns(&self, options: &TableOptions<'_>) -> [Column; 3] {
        let peak = |row: &Row| {
            format!(
                "{} at {}",
                self.spelt_short(row.peak.0),
                options.time(row.peak.1)
            )
        };
        [
            Column::number("first", 4, self.column(|row| options.time(row.seen.0))),
            Column::number("last", 5, self.column(|row| options.time(row.seen.1))),
            Column::number("peak", 3, self.column(peak)),
        ]
    }

    /// A total with all digits before the point; bytes also as a size.
    fn spelt(&self, value: Decimal) -> String {
        let whole = value.0 % Decimal::whole(1).0 == 0;
        let number = if whole {
            thousands(value)
        } else {
            short(value.0)
        };
        let large = value >= Decimal::whole(1024);
        if large && self.counts_bytes() {
            format!("{number} ({})", size(value))
        } else {
            number
        }
    }

    fn spelt_short(&self, value: Decimal) -> String {
        if self.counts_bytes() {
            size(value)
        } else {
            short(value.0)
        }
    }

    /// A sum of a field named for bytes, not a count of records or observations.
    fn counts_bytes(&self) -> bool {
        let field = matches!(self.metric.kind, Kind::Sum | Kind::Last);
        field && self.metric.name.contains("bytes")
    }

    /// An observed value in its unit, which base-unit names end in.
    fn observed(&self, value: Decimal) -> String {
        match &self.metric.name {
            name if name.contains("seconds") => duration(value),
            name if name.contains("bytes") => size(value),
            _ => short(value.0),
        }
    }

    fn mean(&self, row: &Row) -> String {
        let number = i128::from(self.metric.kind.observations(&row.cell)).max(1);
        self.observed(Decimal(self.metric.kind.observed_sum(&row.cell).0 / number))
    }

    /// The bound of the bucket that holds the quantile: the value is not greater than it.
    fn quantile(&self, row: &Row, permille: u64, options: &TableOptions<'_>) -> String {
        let Kind::Buckets(bounds) = &self.metric.kind else {
            return String::new();
        };
        let number = u128::from(self.metric.kind.observations(&row.cell));
        let rank = (number * u128::from(permille)).div_ceil(1000);
        let mut cumulative = self.metric.kind.cumulative(&row.cell);
        let at = cumulative
            .position(|(_, n)| u128::from(n) >= rank)
            .unwrap_or(bounds.len());
        match (bounds.get(at), bounds.last()) {
            (Some(bound), _) if options.unicode => format!("≤ {}", self.observed(*bound)),
            (Some(bound), _) => format!("<= {}", self.observed(*bound)),
            (None, Some(bound)) => format!("> {}", self.observed(*bound)),
            (None, None) => "-".to_owned(),
        }
    }

    /// Label values and total, for a line of prose.
    pub(super) fn brief(&self, row: &Row) -> String {
        let labels = row
            .labels
            .iter()
            .map(|value| safe(value))
            .collect::<Vec<_>>()
            .join(" ");
        format!("{labels}: {}", self.spelt(row.total))
    }

    /// `3 more: 120`, when there are more series than rows.
    pub(super) fn others_brief(&self) -> Option<String> {
        let (number, total) = self.others;
        let number = u64::try_from(number).unwrap_or(u64::MAX);
        (number > 0).then(|| format!("{} more: {}", count(number), self.spelt(total)))
    }
}

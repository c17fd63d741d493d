//! The counting table of one worker: label values become numbers, numbers become series, a series
//! and a minute become a cell.
//!
//! Prepared at load, allocated on novelty: a known value in a known minute costs two look-ups and
//! no allocation. A few minutes are *open*, dense and fast; when there are too many of them all
//! are *sealed* into one compact log per series. [`Table::write_run`] turns everything into a
//! sorted run and starts empty, so that memory is bounded by whoever watches [`Table::bytes`].
//!
//! Invariant: what [`Table::write_run`] wrote so far plus what the table holds is every count made.

use std::hash::BuildHasher;
use std::io::{self, Write};
use std::sync::Arc;

use foldhash::fast::RandomState;
use std::collections::HashMap;

use super::run::{self, Point};
use super::series::KeyBuilder;
use super::{MAX_LABELS, Metric};

/// Pairs of numbers below these are found without hashing: few providers, many countries.
const SQUARE: (u32, u32) = (32, 512);

/// Minutes that may be open at once.
const OPEN_WINDOWS: usize = 128;

/// Which metrics share which labels, fixed at load.
#[derive(Clone, Debug, Default)]
pub struct TableLayout {
    /// Number of dictionaries: one for each labelling field.
    pub dictionaries: usize,
    /// Label sets.
    pub sets: Vec<SetLayout>,
    /// All metrics, by number.
    pub metrics: Arc<Vec<Metric>>,
}

/// One label set and the metrics that have it. The cells of these metrics lie side by side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetLayout {
    /// The dictionary of each label.
    pub labels: Vec<usize>,
    /// Metrics with these labels.
    pub uses: Vec<Use>,
    /// Words a series takes in a window: one that counts touches, then the cells.
    pub stride: usize,
}

/// Where a metric's cell lies in its set's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Use {
    /// Metric number.
    pub metric: usize,
    /// First word.
    pub offset: usize,
    /// Number of words.
    pub width: usize,
}

/// Label values of one field as small numbers, in the order they appeared.
#[derive(Debug, Default)]
pub struct Dictionary {
    ids: hashbrown::HashTable<u32>,
    hasher: RandomState,
    ends: Vec<u32>,
    text: Vec<u8>,
}

impl Dictionary {
    /// The number of `value`, given on first sight.
    pub fn intern(&mut self, value: &[u8]) -> u32 {
        let hash = self.hasher.hash_one(value);
        let (ends, text) = (&self.ends, &self.text);
        if let Some(id) = self.ids.find(hash, |&id| slice(ends, text, id) == value) {
            return *id;
        }
        let id = u32::try_from(self.ends.len()).expect("spilled long before 2^32 values");
        self.text.extend_from_slice(value);
        self.ends
            .push(u32::try_from(self.text.len()).expect("spilled long before 4 GiB"));
        let (ends, text, hasher) = (&self.ends, &self.text, &self.hasher);
        self.ids
            .insert_unique(hash, id, |&id| hasher.hash_one(slice(ends, text, id)));
        id
    }

    /// The value with this number; empty for a number that was never given.
    pub fn value(&self, id: u32) -> &[u8] {
        slice(&self.ends, &self.text, id)
    }

    fn bytes(&self) -> usize {
        self.text.len() + self.ends.len() * 16
    }
}

fn slice<'t>(ends: &[u32], text: &'t [u8], id: u32) -> &'t [u8] {
    let id = id as usize;
    let start = id
        .checked_sub(1)
        .and_then(|before| ends.get(before))
        .map_or(0, |&end| end as usize);
    let end = ends.get(id).map_or(start, |&end| end as usize);
    text.get(start..end).unwrap_or_default()
}

/// Series of one label set, numbered in the order they appeared.
#[derive(Debug, Default)]
struct Set {
    /// For sets of two labels and more: the number of (numbers of the labels before, next label).
    pairs: Vec<Pairs>,
    /// Sealed windows of each series: (start, cells)…, in the order they were sealed.
    logs: Vec<Log>,
}

/// Numbers of pairs. Small numbers, which most labels have, index a table directly.
#[derive(Debug, Default)]
struct Pairs {
    /// 0 where there is none, else the number plus 1.
    square: Vec<u32>,
    ids: HashMap<(u32, u32), u32, RandomState>,
    pairs: Vec<(u32, u32)>,
}

#[derive(Debug, Default)]
struct Log {
    bytes: Vec<u8>,
    last: i64,
}

/// Cells of one step of time.
#[derive(Debug, Default)]
struct Window {
    start: i64,
    sets: Vec<Cells>,
}

#[derive(Debug, Default)]
struct Cells {
    words: Vec<u64>,
    touched: Vec<u32>,
}

/// The counts of one worker.
#[derive(Debug)]
pub struct Table {
    layout: Arc<TableLayout>,
    dictionaries: Vec<Dictionary>,
    sets: Vec<Set>,
    windows: Vec<Window>,
    current: usize,
    recycled: Vec<Window>,
    log_bytes: usize,
    cell_words: usize,
}

impl Table {
    /// An empty table.
    pub fn new(layout: Arc<TableLayout>) -> Table {
        let mut table = Table {
            dictionaries: Vec::new(),
            sets: Vec::new(),
            windows: Vec::new(),
            current: usize::MAX,
            recycled: Vec::new(),
            log_bytes: 0,
            cell_words: 0,
            layout,
        };
        table.clear();
        table
    }

    /// Forgets everything, numbers of label values included.
    pub fn clear(&mut self) {
        let layout = Arc::clone(&self.layout);
        self.dictionaries = (0..layout.dictionaries)
            .map(|_| Dictionary::default())
            .collect();
        self.sets = layout
            .sets
            .iter()
            .map(|set| Set {
                pairs: (1..set.labels.len()).map(|_| Pairs::default()).collect(),
                logs: Vec::new(),
            })
            .collect();
        self.windows.clear();
        self.recycled.clear();
        self.current = usize::MAX;
        self.log_bytes = 0;
        self.cell_words = 0;
    }

    /// The dictionary of a labelling field.
    pub fn dictionary(&mut self, number: usize) -> &mut Dictionary {
        self.dictionaries
            .get_mut(number)
            .expect("dictionary numbers come from the layout")
    }

    /// Makes the window that begins at `start` (Unix seconds) the current one.
    #[inline]
    pub fn select(&mut self, start: i64) {
        if self
            .windows
            .get(self.current)
            .is_none_or(|window| window.start != start)
        {
            self.select_other(start);
        }
    }

    fn select_other(&mut self, start: i64) {
        let known = self
            .windows
            .iter()
            .rposition(|window| window.start == start);
        self.current = known.unwrap_or_else(|| {
            if self.windows.len() >= OPEN_WINDOWS {
                self.seal();
            }
            let mut window = self.recycled.pop().unwrap_or_default();
            window.start = start;
            window
                .sets
                .resize_with(self.layout.sets.len(), Cells::default);
            self.windows.push(window);
            self.windows.len() - 1
        });
    }

    /// The number of the series of `set` with these label values.
    #[inline]
    pub fn series(&mut self, set: usize, labels: &[u32]) -> u32 {
        let Some(set) = self.sets.get_mut(set) else {
            return 0;
        };
        let (Some(&first), rest) = (labels.first(), labels.get(1..).unwrap_or_default()) else {
            return 0;
        };
        rest.iter()
            .zip(&mut set.pairs)
            .fold(first, |left, (&right, pairs)| pairs.number(left, right))
    }

    /// The words of a series in the current window, the cells of all metrics of the set; counts
    /// the touch.
    #[inline]
    pub fn touch(&mut self, set: usize, series: u32) -> &mut [u64] {
        let stride = self.layout.sets.get(set).map_or(0, |set| set.stride);
        let window = self
            .windows
            .get_mut(self.current)
            .expect("a window was selected");
        let cells = window
            .sets
            .get_mut(set)
            .expect("set numbers come from the layout");
        let first = series as usize * stride;
        if cells.words.len() < first + stride {
            let before = cells.words.capacity();
            cells.words.resize(first + stride, 0);
            self.cell_words += cells.words.capacity() - before;
        }
        let words = cells
            .words
            .get_mut(first..first + stride)
            .expect("resized above");
        if let Some(touches) = words.first_mut() {
            if *touches == 0 {
                cells.touched.push(series);
            }
            *touches += 1;
        }
        words
    }

    /// Roughly the memory held, in bytes.
    pub fn bytes(&self) -> usize {
        let names: usize = self.dictionaries.iter().map(Dictionary::bytes).sum();
        let series: usize = self
            .sets
            .iter()
            .map(|set| {
                set.logs.len() * 48 + set.pairs.iter().map(|p| p.pairs.len() * 32).sum::<usize>()
            })
            .sum();
        names + series + self.log_bytes * 3 / 2 + self.cell_words * 8
    }

    /// Moves every open window into the logs.
    fn seal(&mut self) {
        let layout = Arc::clone(&self.layout);
        for mut window in std::mem::take(&mut self.windows) {
            for (number, cells) in window.sets.iter_mut().enumerate() {
                let (Some(set), Some(shape)) = (self.sets.get_mut(number), layout.sets.get(number))
                else {
                    continue;
                };
                for series in cells.touched.drain(..) {
                    let first = series as usize * shape.stride;
                    let Some(words) = cells.words.get_mut(first..first + shape.stride) else {
                        continue;
                    };
                    self.log_bytes += set.append(series, window.start, shape, words);
                    words.fill(0);
                }
            }
            self.recycled.push(window);
        }
        self.current = usize::MAX;
    }

    /// Writes everything counted as one sorted run and forgets it.
    ///
    /// # Errors
    /// Those of `out`; the table is empty afterwards in any case.
    pub fn write_run(&mut self, out: &mut impl Write) -> io::Result<()> {
        self.seal();
        let result = self.write_sealed(out);
        self.clear();
        result
    }

    /// Like [`Table::write_run`], but label values and series keep their numbers, so that whoever
    /// remembered them may go on.
    ///
    /// # Errors
    /// Those of `out`; the counts are forgotten in any case.
    pub fn take_run(&mut self, out: &mut impl Write) -> io::Result<()> {
        self.seal();
        let result = self.write_sealed(out);
        for log in self.sets.iter_mut().flat_map(|set| &mut set.logs) {
            log.bytes.clear();
            log.last = 0;
        }
        self.log_bytes = 0;
        result
    }

    fn write_sealed(&self, out: &mut impl Write) -> io::Result<()> {
        for (metric, description) in self.layout.metrics.iter().enumerate() {
            let mut series = self.series_of(metric);
            series.sort_unstable();
            let mut rest = series.as_slice();
            while let Some((key, ..)) = rest.first() {
                let same = rest.iter().take_while(|(other, ..)| other == key).count();
                let (these, others) = rest.split_at(same);
                let mut points: Vec<Point<'_>> = Vec::new();
                for (_, set, series, place) in these {
                    self.collect(*set, *series, *place, &mut points);
                }
                run::write_series(out, key, &mut points, &description.kind)?;
                rest = others;
            }
        }
        Ok(())
    }

    /// Key, set, series number and place in the set of every series of one metric.
    fn series_of(&self, metric: usize) -> Vec<(Vec<u8>, usize, u32, usize)> {
        let mut found = Vec::new();
        let mut key = KeyBuilder::default();
        for (number, (set, shape)) in self.sets.iter().zip(&self.layout.sets).enumerate() {
            for (place, _) in shape
                .uses
                .iter()
                .enumerate()
                .filter(|(_, u)| u.metric == metric)
            {
                for (series, log) in (0u32..).zip(&set.logs) {
                    if log.bytes.is_empty() {
                        continue;
                    }
                    key.start(metric);
                    let labels = set.labels(series, shape.labels.len());
                    for (id, dictionary) in labels.iter().zip(&shape.labels) {
                        let value = self.dictionaries.get(*dictionary).map(|d| d.value(*id));
                        key.label(value.unwrap_or_default());
                    }
                    found.push((key.key().to_vec(), number, series, place));
                }
            }
        }
        found
    }

    /// The points of one metric in one series' log.
    fn collect<'t>(&'t self, set: usize, series: u32, place: usize, points: &mut Vec<Point<'t>>) {
        let (Some(set), Some(shape)) = (self.sets.get(set), self.layout.sets.get(set)) else {
            return;
        };
        let Some(log) = set.logs.get(series as usize) else {
            return;
        };
        let mut rest = log.bytes.as_slice();
        let mut start = 0i64;
        while let Some(delta) = run::take_signed(&mut rest) {
            start = start.wrapping_add(delta);
            for number in 0..shape.uses.len() {
                let before = rest;
                run::skip_cell(&mut rest);
                if number == place && !run::is_empty_cell(before) {
                    points.push(Point {
                        start,
                        cell: before,
                    });
                }
            }
        }
    }
}

impl Pairs {
    #[inline]
    fn number(&mut self, left: u32, right: u32) -> u32 {
        let small = left < SQUARE.0 && right < SQUARE.1;
        let place = small.then_some((left * SQUARE.1 + right) as usize);
        match place.map(|place| self.square.get(place)) {
            Some(Some(&number)) if number > 0 => number - 1,
            _ => self.number_anew(left, right, place),
        }
    }

    fn number_anew(&mut self, left: u32, right: u32, place: Option<usize>) -> u32 {
        if let Some(&id) = self.ids.get(&(left, right)) {
            return id;
        }
        let id = u32::try_from(self.pairs.len()).expect("spilled long before 2^32 series");
        self.pairs.push((left, right));
        match place {
            None => {
                self.ids.insert((left, right), id);
            }
            Some(place) => {
                self.square.resize((SQUARE.0 * SQUARE.1) as usize, 0);
                if let Some(number) = self.square.get_mut(place) {
                    *number = id + 1;
                }
            }
        }
        id
    }
}

impl Set {
    fn labels(&self, series: u32, count: usize) -> Vec<u32> {
        let mut labels = Vec::with_capacity(MAX_LABELS);
        let mut left = series;
        for pairs in self.pairs.iter().rev() {
            let (before, right) = pairs.pairs.get(left as usize).copied().unwrap_or_default();
            labels.push(right);
            left = before;
        }
        if count > 0 {
            labels.push(left);
        }
        labels.reverse();
        labels
    }

    /// Appends one window of a series to its log; returns the bytes it took.
    fn append(&mut self, series: u32, start: i64, shape: &SetLayout, words: &[u64]) -> usize {
        let number = series as usize;
        if self.logs.len() <= number {
            self.logs.resize_with(number + 1, Log::default);
        }
        let Some(log) = self.logs.get_mut(number) else {
            return 0;
        };
        let before = log.bytes.len();
        run::put_signed(&mut log.bytes, start.wrapping_sub(log.last));
        log.last = start;
        for place in &shape.uses {
            let cell = words
                .get(place.offset..place.offset + place.width)
                .unwrap_or_default();
            run::put_cell(&mut log.bytes, cell);
        }
        log.bytes.len() - before
    }
}

#[cfg(test)]
mod tests {
    use super::super::run::Merge;
    use super::super::series::labels_of;
    use super::super::{Decimal, Kind};
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// Two sets over two dictionaries, `{a}` and `{a, b}`, and one without labels; every kind.
    fn layout() -> Arc<TableLayout> {
        let metric = |name: &str, kind: Kind, labels: &[&str]| Metric {
            name: name.to_owned(),
            help: String::new(),
            kind,
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
            declared: vec![None; labels.len()],
            graphite: Vec::new(),
            limit: 1000,
            label_limits: Vec::new(),
        };
        let buckets = Kind::Buckets(vec![Decimal::whole(1), Decimal::whole(2)]);
        let set = |labels: &[usize], uses: &[(usize, usize, usize)], stride| SetLayout {
            labels: labels.to_vec(),
            uses: uses
                .iter()
                .map(|&(metric, offset, width)| Use {
                    metric,
                    offset,
                    width,
                })
                .collect(),
            stride,
        };
        Arc::new(TableLayout {
            dictionaries: 2,
            sets: vec![
                set(&[0, 1], &[(0, 1, 1), (1, 2, 3)], 5),
                set(&[0], &[(2, 1, 4), (3, 5, 5)], 10),
                set(&[1], &[(2, 1, 4)], 5),
                set(&[], &[(4, 1, 1)], 2),
            ],
            metrics: Arc::new(vec![
                metric("count_total", Kind::Count, &["a", "b"]),
                metric("sum_total", Kind::Sum, &["a", "b"]),
                metric("last", Kind::Last, &["a"]),
                metric("buckets", buckets, &["a"]),
                metric("all_total", Kind::Count, &[]),
            ]),
        })
    }

    /// One addition: window, set, labels, place in the set, and what is added.
    #[derive(Clone, Debug)]
    struct Added {
        window: i64,
        set: usize,
        labels: [Vec<u8>; 2],
        place: usize,
        cell: Vec<u64>,
        table: usize,
        /// What is done to the table afterwards: 0 spills it, 1 takes its counts.
        then: u8,
    }

    type Model = BTreeMap<(usize, Vec<Vec<u8>>, i64), Vec<u64>>;

    fn added() -> impl Strategy<Value = Added> {
        let label = prop_oneof![
            prop::collection::vec(0u8..3, 0..4),
            prop::sample::select(vec![b"fastly".to_vec(), b"a\x00b".to_vec(), vec![0; 40]]),
        ];
        let window = prop_oneof![
            (-3i64..3).prop_map(|n| n * 60),
            (0i64..400).prop_map(|n| n * 60)
        ];
        let word = prop_oneof![1u64..5, Just(u64::MAX), Just(1 << 63)];
        let cell = prop::collection::vec(word, 5);
        (
            window,
            0usize..4,
            [label.clone(), label],
            0usize..2,
            cell,
            0usize..3,
            0u8..20,
        )
            .prop_map(|(window, set, labels, place, cell, table, then)| Added {
                window,
                set,
                labels,
                place,
                cell,
                table,
                then,
            })
    }

    /// The cell as it may be: counts are small, sums are any 128 bits that do not leave the range.
    fn cell_of(kind: &Kind, words: &[u64]) -> Vec<u64> {
        let mut cell = words.to_vec();
        cell.resize(kind.width(), 1);
        match kind {
            Kind::Count => cell[0] = cell[0] % 7 + 1,
            Kind::Sum => (cell[0], cell[2]) = (1, cell[2] % 3),
            Kind::Last => cell[0] = cell[0] % 7 + 1,
            Kind::Buckets(_) => {
                cell = vec![words[0] % 7 + 1, 0, words[1] % 3, words[2], words[3] % 3]
            }
        }
        cell
    }

    fn apply(table: &mut Table, added: &Added, layout: &TableLayout) {
        let shape = &layout.sets[added.set];
        let place = &shape.uses[added.place % shape.uses.len()];
        table.select(added.window);
        let ids: Vec<u32> = shape
            .labels
            .iter()
            .zip(&added.labels)
            .map(|(&dictionary, value)| table.dictionary(dictionary).intern(value))
            .collect();
        let series = table.series(added.set, &ids);
        let kind = &layout.metrics[place.metric].kind;
        let words = table.touch(added.set, series);
        kind.add(
            &mut words[place.offset..place.offset + place.width],
            &cell_of(kind, &added.cell),
        );
    }

    fn model(all: &[Added], layout: &TableLayout) -> Model {
        let mut model = Model::new();
        for added in all {
            let shape = &layout.sets[added.set];
            let place = &shape.uses[added.place % shape.uses.len()];
            let kind = &layout.metrics[place.metric].kind;
            let labels = added.labels[..shape.labels.len()].to_vec();
            let cell = model
                .entry((place.metric, labels, added.window))
                .or_insert_with(|| vec![0; kind.width()]);
            kind.add(cell, &cell_of(kind, &added.cell));
        }
        model
    }

    fn read(runs: &[Vec<u8>], metrics: &[Metric]) -> Model {
        let mut merge = Merge::new(runs.iter().map(Vec::as_slice), metrics).unwrap();
        let (mut model, mut cell, mut last) = (Model::new(), Vec::new(), Vec::new());
        while let Some((key, metric)) = merge.next_series().unwrap() {
            assert!(last.as_slice() < key, "keys rise");
            last = key.to_vec();
            let number = metrics
                .iter()
                .position(|known| known.name == metric.name)
                .unwrap();
            let mut before = i64::MIN;
            while let Some(start) = merge.next_point(&mut cell).unwrap() {
                assert!(before < start, "times rise");
                before = start;
                model.insert((number, labels_of(&last), start), cell.clone());
            }
        }
        model
    }

    proptest! {
        #[test]
        fn tables_spilled_anywhere_and_merged_equal_a_map(all in prop::collection::vec(added(), 0..400)) {
            let layout = layout();
            let mut tables: Vec<Table> = (0..3).map(|_| Table::new(Arc::clone(&layout))).collect();
            let mut runs = Vec::new();
            for added in &all {
                let table = &mut tables[added.table];
                apply(table, added, &layout);
                if added.then == 0 {
                    let mut run = Vec::new();
                    table.write_run(&mut run).unwrap();
                    runs.push(run);
                } else if added.then == 1 {
                    let mut run = Vec::new();
                    table.take_run(&mut run).unwrap();
                    runs.push(run);
                }
            }
            for table in &mut tables {
                let mut run = Vec::new();
                table.write_run(&mut run).unwrap();
                runs.push(run);
            }
            prop_assert_eq!(read(&runs, &layout.metrics), model(&all, &layout));
            // In another order, and all in one table: the same.
            runs.reverse();
            let mut one = Table::new(Arc::clone(&layout));
            for added in all.iter().rev() {
                apply(&mut one, added, &layout);
            }
            let mut run = Vec::new();
            one.write_run(&mut run).unwrap();
            prop_assert_eq!(read(&runs, &layout.metrics), read(&[run], &layout.metrics));
        }

        #[test]
        fn a_damaged_run_is_an_error_and_no_panic(
            all in prop::collection::vec(added(), 1..20),
            cut in 0usize..400,
            change in prop::option::of((0usize..400, 0u8..255)),
        ) {
            let layout = layout();
            let mut table = Table::new(Arc::clone(&layout));
            for added in &all {
                apply(&mut table, added, &layout);
            }
            let mut run = Vec::new();
            table.write_run(&mut run).unwrap();
            if let Some((at, byte)) = change
                && let Some(place) = run.get_mut(at)
            {
                // A key of 2^60 bytes is nobody's run; lengths stay small.
                *place = byte & 0x7f;
            }
            run.truncate(cut.max(1));
            let Ok(mut merge) = Merge::new([run.as_slice()], &layout.metrics) else { return Ok(()); };
            let mut cell = Vec::new();
            while let Ok(Some(_)) = merge.next_series() {
                while let Ok(Some(_)) = merge.next_point(&mut cell) {}
            }
        }
    }

    #[test]
    fn more_windows_than_may_be_open_lose_nothing() {
        let layout = layout();
        let mut table = Table::new(Arc::clone(&layout));
        let windows = i64::try_from(OPEN_WINDOWS).unwrap() * 3;
        for round in 0..4 {
            for window in 0..windows {
                let window = if round % 2 == 0 {
                    window
                } else {
                    windows - 1 - window
                };
                table.select(window * 60);
                let series = table.series(3, &[]);
                table.touch(3, series)[1] += 1;
            }
        }
        let mut run = Vec::new();
        table.write_run(&mut run).unwrap();
        let model = read(&[run], &layout.metrics);
        assert_eq!(model.len(), OPEN_WINDOWS * 3);
        assert!(model.values().all(|cell| *cell == [4]));
    }

    #[test]
    fn a_table_that_was_written_is_empty_and_small() {
        let layout = layout();
        let mut table = Table::new(Arc::clone(&layout));
        let empty = table.bytes();
        table.select(0);
        for n in 0..5000u32 {
            let id = table.dictionary(0).intern(&n.to_le_bytes());
            let series = table.series(1, &[id]);
            table.touch(1, series)[1] = 1;
        }
        assert!(table.bytes() > 5000 * 8 * 10);
        table.write_run(&mut Vec::new()).unwrap();
        assert_eq!(table.bytes(), empty);
        let mut run = Vec::new();
        table.write_run(&mut run).unwrap();
        assert!(run.is_empty());
    }
}

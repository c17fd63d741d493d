//! Metrics, their cells and their tables: what has been counted.
//!
//! A cell is a short row of machine words. [`Kind`] alone knows what the words mean and how two
//! cells of the same series and minute become one; every merge in the program goes through
//! [`Kind::add`], which is associative and commutative, so that neither the number of threads nor
//! the order of files can change a number.

mod decimal;
mod family;
pub mod run;
pub mod series;
mod table;
pub mod text;

pub use crate::definition::MetricType;
pub use decimal::Decimal;
pub use family::{Family, Sample};
pub use table::{Dictionary, SetLayout, Table, TableLayout, Use};

/// Most labels that one metric may have.
pub const MAX_LABELS: usize = 8;

/// The label value that stands for those beyond the limit.
pub const OTHER: &str = "_other";

/// A metric: one name, one type, one label set over all parser files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Prometheus name.
    pub name: String,
    /// One sentence.
    pub help: String,
    /// What its cells hold.
    pub kind: Kind,
    /// Label names in the order of the values.
    pub labels: Vec<String>,
    /// Declared values of each label; `None` where anything may stand.
    pub declared: Vec<Option<Vec<String>>>,
    /// Graphite paths with `{label}` nodes.
    pub graphite: Vec<String>,
    /// Most series beside the declared ones.
    pub limit: usize,
    /// Most values of each label beside declared ones, by label index.
    pub label_limits: Vec<(usize, usize)>,
}

/// What the cells of a metric hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Records: `[n]`.
    Count,
    /// A sum of a field: `[records, low, high]`.
    Sum,
    /// The newest value: `[time, position, low, high]`; time 0 is empty.
    Last,
    /// Observations by bucket, not cumulative, the last one above every bound, then the sum:
    /// `[n…, low, high]`.
    Buckets(Vec<Decimal>),
}

impl Kind {
    /// Words in a cell.
    pub fn width(&self) -> usize {
        match self {
            Kind::Count => 1,
            Kind::Sum => 3,
            Kind::Last => 4,
            Kind::Buckets(bounds) => bounds.len() + 3,
        }
    }

    /// The Prometheus type.
    pub fn metric_type(&self) -> MetricType {
        match self {
            Kind::Count | Kind::Sum => MetricType::Counter,
            Kind::Last => MetricType::Gauge,
            Kind::Buckets(_) => MetricType::Histogram,
        }
    }

    /// Adds the cell `from` to the cell `into`. Missing words count as 0.
    pub fn add(&self, into: &mut [u64], from: &[u64]) {
        match self {
            Kind::Count => add_words(into, from),
            Kind::Sum => {
                let (counts, sum) = into.split_at_mut(1.min(into.len()));
                add_words(counts, from.get(..1).unwrap_or_default());
                add_decimal(sum, from.get(1..).unwrap_or_default());
            }
            Kind::Last => {
                // The value decides between equal positions, so that the order of merging cannot.
                if from.get(..4) > into.get(..4) {
                    into.copy_from_slice(from);
                }
            }
            Kind::Buckets(bounds) => {
                let buckets = bounds.len() + 1;
                let (counts, sum) = into.split_at_mut(buckets.min(into.len()));
                add_words(counts, from.get(..buckets).unwrap_or_default());
                add_decimal(sum, from.get(buckets..).unwrap_or_default());
            }
        }
    }

    /// True when something was counted into the cell.
    pub fn touched(&self, cell: &[u64]) -> bool {
        match self {
            Kind::Count | Kind::Sum | Kind::Last => cell.first().is_some_and(|&word| word > 0),
            Kind::Buckets(bounds) => cell.iter().take(bounds.len() + 1).any(|&word| word > 0),
        }
    }

    /// What a person calls the value of a cell: the count, the sum, the newest value, the number
    /// of observations.
    pub fn amount(&self, cell: &[u64]) -> Decimal {
        match self {
            Kind::Count => Decimal::whole(cell.first().copied().unwrap_or_default()),
            Kind::Sum => decimal_at(cell, 1),
            Kind::Last => decimal_at(cell, 2),
            Kind::Buckets(_) => Decimal::whole(self.observations(cell)),
        }
    }

    /// Number of observations in a histogram's cell.
    pub fn observations(&self, cell: &[u64]) -> u64 {
        let Kind::Buckets(bounds) = self else {
            return 0;
        };
        cell.iter().take(bounds.len() + 1).sum()
    }

    /// Sum of the observations in a histogram's cell.
    pub fn observed_sum(&self, cell: &[u64]) -> Decimal {
        let Kind::Buckets(bounds) = self else {
            return Decimal::ZERO;
        };
        decimal_at(cell, bounds.len() + 1)
    }

    /// Upper bound and cumulative count of each bucket, `+Inf` last.
    pub fn cumulative<'c>(&'c self, cell: &'c [u64]) -> impl Iterator<Item = (String, u64)> + 'c {
        let bounds: &[Decimal] = if let Kind::Buckets(bounds) = self {
            bounds
        } else {
            &[]
        };
        let names = bounds
            .iter()
            .map(ToString::to_string)
            .chain(["+Inf".to_owned()]);
        names.zip(cell.iter().scan(0, |total, n| {
            *total += n;
            Some(*total)
        }))
    }
}

/// Adds word by word, stopping at the largest number instead of wrapping.
fn add_words(into: &mut [u64], from: &[u64]) {
    for (into, from) in into.iter_mut().zip(from) {
        *into = into.saturating_add(*from);
    }
}

fn add_decimal(into: &mut [u64], from: &[u64]) {
    if let ([a, b], [c, d]) = (into, from) {
        [*a, *b] = Decimal::from_words(*a, *b)
            .plus(Decimal::from_words(*c, *d))
            .words();
    }
}

fn decimal_at(cell: &[u64], at: usize) -> Decimal {
    match cell.get(at..at + 2) {
        Some([low, high]) => Decimal::from_words(*low, *high),
        _ => Decimal::ZERO,
    }
}

//! Cells as columns: `n` and `sum` for people, `cell` for the program.
//!
//! A count is its `n`; every other kind keeps the exact words in `cell`, as runs encode them. Numbers
//! without a sign are stored by their bits, since SQLite knows only signed ones.

use rusqlite::Row;

use crate::metrics::{Decimal, Kind, Metric, run};

/// The columns of a cell.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Columns {
    pub(super) n: i64,
    pub(super) sum: Option<f64>,
    pub(super) cell: Option<Vec<u8>>,
}

/// The columns that keep `cell`.
pub(super) fn columns(kind: &Kind, cell: &[u64]) -> Columns {
    let n = i64::try_from(records(kind, cell)).unwrap_or(i64::MAX);
    if matches!(kind, Kind::Count) {
        return Columns {
            n,
            sum: None,
            cell: None,
        };
    }
    let mut encoded = Vec::new();
    run::put_cell(&mut encoded, cell);
    let sum = match kind {
        Kind::Buckets(_) => kind.observed_sum(cell),
        _ => kind.amount(cell),
    };
    Columns {
        n,
        sum: Some(float(sum)),
        cell: Some(encoded),
    }
}

/// Reads `n` and `cell` from columns 0 and 1 of a row.
pub(super) fn from_row(row: &Row<'_>, kind: &Kind) -> rusqlite::Result<Vec<u64>> {
    let mut cell = vec![0; kind.width()];
    if matches!(kind, Kind::Count) {
        let n: i64 = row.get(0)?;
        if let Some(word) = cell.first_mut() {
            *word = u64::try_from(n).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(0, n))?;
        }
        return Ok(cell);
    }
    let encoded = row.get_ref(1)?.as_blob_or_null().map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(1, row_type(row), Box::new(error))
    })?;
    let mut rest = encoded.unwrap_or_default();
    decode(&mut rest, &mut cell).ok_or(rusqlite::Error::InvalidColumnType(
        1,
        "cell".to_owned(),
        rusqlite::types::Type::Blob,
    ))?;
    Ok(cell)
}

fn row_type(row: &Row<'_>) -> rusqlite::types::Type {
    row.get_ref(1)
        .map_or(rusqlite::types::Type::Null, |value| value.data_type())
}

/// Nothing at all is an empty cell; words beyond the width are damage.
fn decode(bytes: &mut &[u8], cell: &mut [u64]) -> Option<()> {
    if bytes.is_empty() {
        return Some(());
    }
    let mask = run::take_varint(bytes)?;
    for bit in (0..run::MAX_WORDS).filter(|bit| mask >> bit & 1 == 1) {
        *cell.get_mut(bit)? = run::take_varint(bytes)?;
    }
    bytes.is_empty().then_some(())
}

/// How many records or observations a cell stands for.
pub(super) fn records(kind: &Kind, cell: &[u64]) -> u64 {
    match kind {
        Kind::Count | Kind::Sum => cell.first().copied().unwrap_or_default(),
        Kind::Last => u64::from(kind.touched(cell)),
        Kind::Buckets(bounds) => cell
            .iter()
            .take(bounds.len() + 1)
            .fold(0, |sum, n| sum.saturating_add(*n)),
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people; the cell is exact")]
pub(super) fn float(value: Decimal) -> f64 {
    value.0 as f64 / 1e9
}

/// A kind as text: two metrics whose texts are equal have cells that can be added.
pub(super) fn kind_text(kind: &Kind) -> String {
    match kind {
        Kind::Count => "count".to_owned(),
        Kind::Sum => "sum".to_owned(),
        Kind::Last => "last".to_owned(),
        Kind::Buckets(bounds) => {
            let bounds: Vec<String> = bounds.iter().map(ToString::to_string).collect();
            format!("buckets {}", bounds.join(" "))
        }
    }
}

/// The kind with this text; a count when there is none.
pub(super) fn kind_from_text(text: &str) -> Kind {
    match text.split(' ').next() {
        Some("sum") => Kind::Sum,
        Some("last") => Kind::Last,
        Some("buckets") => {
            let bounds = text.split(' ').skip(1).filter(|bound| !bound.is_empty());
            Kind::Buckets(
                bounds
                    .filter_map(|bound| Decimal::parse(bound.as_bytes(), 0))
                    .collect(),
            )
        }
        _ => Kind::Count,
    }
}

/// Label values as JSON, names sorted, so that one series has one text.
pub(super) fn labels_text(metric: &Metric, labels: &[String]) -> String {
    let named: std::collections::BTreeMap<&str, &str> = metric
        .labels
        .iter()
        .map(String::as_str)
        .zip(labels.iter().map(String::as_str))
        .collect();
    serde_json::to_string(&named).expect("strings are JSON")
}

/// Label values from JSON, in the order of the metric's labels; `None` when they are not its own.
pub(super) fn labels_from_text(metric: &Metric, text: &str) -> Option<Vec<String>> {
    let mut named: std::collections::BTreeMap<String, String> = serde_json::from_str(text).ok()?;
    let labels: Option<Vec<String>> = metric
        .labels
        .iter()
        .map(|name| named.remove(name))
        .collect();
    labels.filter(|_| named.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kinds() -> impl Strategy<Value = (Kind, Vec<u64>)> {
        let word = prop_oneof![Just(0u64), 0u64..300, any::<u64>()];
        prop_oneof![
            (0u64..1 << 62).prop_map(|n| (Kind::Count, vec![n])),
            prop::collection::vec(word.clone(), 3).prop_map(|cell| (Kind::Sum, cell)),
            prop::collection::vec(word.clone(), 4).prop_map(|cell| (Kind::Last, cell)),
            prop::collection::vec(word, 5).prop_map(|cell| {
                (
                    Kind::Buckets(vec![Decimal::whole(1), Decimal::whole(2)]),
                    cell,
                )
            }),
        ]
    }

    proptest! {
        #[test]
        fn columns_give_their_cell_back((kind, cell) in kinds()) {
            let columns = columns(&kind, &cell);
            let connection = rusqlite::Connection::open_in_memory().unwrap();
            let back = connection
                .query_row("SELECT ?1, ?2", (columns.n, columns.cell), |row| from_row(row, &kind))
                .unwrap();
            prop_assert_eq!(back, cell);
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut cell = [0; 5];
            decode(&mut bytes.as_slice(), &mut cell);
        }
    }

    #[test]
    fn labels_in_another_order_have_the_same_text() {
        let metric = |labels: [&str; 2]| Metric {
            name: String::new(),
            help: String::new(),
            kind: Kind::Count,
            labels: labels.map(str::to_owned).to_vec(),
            declared: vec![None, None],
            graphite: Vec::new(),
            limit: 0,
            label_limits: Vec::new(),
        };
        let (ab, ba) = (metric(["a", "b"]), metric(["b", "a"]));
        let text = labels_text(&ab, &["1".into(), "\"\u{0}".into()]);
        assert_eq!(text, labels_text(&ba, &["\"\u{0}".into(), "1".into()]));
        assert_eq!(
            labels_from_text(&ba, &text),
            Some(vec!["\"\u{0}".to_owned(), "1".to_owned()])
        );
        assert_eq!(labels_from_text(&metric(["a", "c"]), &text), None);
    }
}

//! What the rules told of one record, kept until it is written: verdicts and series in one buffer that
//! is used again for the next record.

use std::ops::Range;
use std::sync::Arc;

use crate::metrics::{Decimal, Kind, Metric};
use crate::rule::{Listener, Verdict};

/// See the module.
pub(super) struct Told {
    metrics: Arc<Vec<Metric>>,
    text: Vec<u8>,
    verdicts: Vec<Kept>,
    series: Vec<Fed>,
}

struct Kept {
    group: usize,
    /// Where the matcher's text and the value lie.
    failed: Option<(Range<usize>, Range<usize>)>,
    near: bool,
}

struct Fed {
    metric: usize,
    name: Range<usize>,
    amount: Decimal,
}

impl Told {
    pub(super) fn new(metrics: &Arc<Vec<Metric>>) -> Told {
        Told {
            metrics: Arc::clone(metrics),
            text: Vec::new(),
            verdicts: Vec::new(),
            series: Vec::new(),
        }
    }

    /// Forgets the record.
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.verdicts.clear();
        self.series.clear();
    }

    /// Each group's verdict: group, matcher that failed and value it saw, near miss.
    pub(super) fn verdicts(&self) -> impl Iterator<Item = Verdict<'_>> {
        self.verdicts.iter().map(|kept| Verdict {
            group: kept.group,
            failed: kept.failed.clone().map(|(matcher, value)| {
                let matcher = std::str::from_utf8(self.at(matcher)).unwrap_or_default();
                (matcher, self.at(value))
            }),
            near: kept.near,
        })
    }

    /// Each series as Prometheus writes it, with its amount; in the order of the rules.
    pub(super) fn series(&self) -> impl Iterator<Item = (&[u8], Decimal)> {
        let series = self.series.iter();
        series.map(|fed| (self.at(fed.name.clone()), fed.amount))
    }

    fn at(&self, range: Range<usize>) -> &[u8] {
        self.text.get(range).unwrap_or_default()
    }

    fn keep(&mut self, text: &[u8]) -> Range<usize> {
        let start = self.text.len();
        self.text.extend_from_slice(text);
        start..self.text.len()
    }
}

impl Listener for Told {
    fn verdict(&mut self, verdict: Verdict<'_>) {
        let failed = verdict
            .failed
            .map(|(matcher, value)| (self.keep(matcher.as_bytes()), self.keep(value)));
        self.verdicts.push(Kept {
            group: verdict.group,
            failed,
            near: verdict.near,
        });
    }

    fn fed(&mut self, metric: usize, labels: &mut dyn Iterator<Item = &[u8]>, amount: Decimal) {
        let Some(description) = self.metrics.get(metric) else {
            return;
        };
        let start = self.text.len();
        write_series(&mut self.text, description, labels);
        let name = start..self.text.len();
        // Two rule sets may define one metric; its series are then fed by both.
        let text = &self.text;
        let known = self.series.iter_mut().find(|known| {
            known.metric == metric && text.get(known.name.clone()) == text.get(name.clone())
        });
        match known {
            None => self.series.push(Fed {
                metric,
                name,
                amount,
            }),
            Some(known) if description.kind == Kind::Last => known.amount = amount,
            Some(known) => known.amount = known.amount.plus(amount),
        }
    }
}

/// `metric{label="value"}` as Prometheus writes it.
fn write_series(out: &mut Vec<u8>, metric: &Metric, labels: &mut dyn Iterator<Item = &[u8]>) {
    out.extend_from_slice(metric.name.as_bytes());
    let mut before = b'{';
    for (label, value) in metric.labels.iter().zip(labels) {
        out.push(before);
        out.extend_from_slice(label.as_bytes());
        out.extend_from_slice(b"=\"");
        for chunk in value.utf8_chunks() {
            escape(out, chunk.valid());
            if !chunk.invalid().is_empty() {
                out.extend_from_slice("\u{fffd}".as_bytes());
            }
        }
        out.push(b'"');
        before = b',';
    }
    if before == b',' {
        out.push(b'}');
    }
}

fn escape(out: &mut Vec<u8>, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'"' => out.extend_from_slice(b"\\\""),
            b'\n' => out.extend_from_slice(b"\\n"),
            other => out.push(other),
        }
    }
}

//! `parsers cost`: how many series a parser makes of the lines that were read.
//!
//! What a whole day would make is not said: the next line may bring a value that no line had so far.

use std::collections::{BTreeMap, BTreeSet};

use super::counted::{Counted, Side, count, io_failure, logs};
use crate::cli::CostArgs;
use crate::commands::engine::Engine;
use crate::commands::replay::merge::has_undeclared;
use crate::commands::{Done, Failure, print, say};
use crate::metrics::Metric;
use crate::metrics::series::{labels_of, metric_of};
use crate::sinks::paths::Paths;

/// Runs the command.
pub(super) fn cost(args: &CostArgs) -> Result<Done, Failure> {
    let mut engine = Engine::open(&args.parsers)?;
    let side = Side::of(&mut engine, &args.parser, &[])?;
    let logs = logs(&args.logs, args.lines)?;
    let counted = count(&engine, &side, &logs)?;
    let costs = Costs::of(&counted).map_err(io_failure)?;
    let mut text = counted.accounts(&logs);
    costs.show(&counted, &mut text);
    print(text.as_bytes())?;
    let read = counted.logs.iter().any(|log| log.lines.contains(&true));
    if !read {
        say("no line was read, so nothing was counted");
    }
    Ok(if read {
        Done::Complete
    } else {
        Done::Incomplete
    })
}

/// What one metric costs.
#[derive(Default)]
struct Cost {
    series: usize,
    declared: usize,
    /// Series whose undeclared labels a limit makes `_other`.
    beyond: usize,
    /// Values of each label, in the metric's order.
    values: Vec<BTreeSet<Vec<u8>>>,
    paths: BTreeSet<String>,
}

struct Costs {
    by_metric: BTreeMap<usize, Cost>,
}

impl Costs {
    fn of(counted: &Counted) -> std::io::Result<Costs> {
        let survey = counted.survey()?;
        let mut by_metric: BTreeMap<usize, Cost> = BTreeMap::new();
        counted.series(|key, metric, _| {
            let labels = labels_of(key);
            let cost = by_metric.entry(metric_of(key)).or_default();
            cost.series += 1;
            cost.declared += usize::from(!has_undeclared(metric, &labels));
            let shown = survey.shown_as(key, metric);
            cost.beyond += usize::from(shown.is_some());
            cost.values.resize_with(labels.len(), BTreeSet::new);
            for (values, value) in cost.values.iter_mut().zip(&labels) {
                values.insert(value.clone());
            }
            let shown = shown.map_or(labels, |shown| labels_of(&shown));
            let texts: Vec<String> = shown
                .iter()
                .map(|value| String::from_utf8_lossy(value).into_owned())
                .collect();
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let leaves = Paths::new("", metric, None, false).leaves(&texts);
            cost.paths.extend(leaves.into_iter().map(|leaf| leaf.path));
        })?;
        Ok(Costs { by_metric })
    }

    fn show(&self, counted: &Counted, text: &mut String) {
        text.push_str(
            "\n  series declared  _other graphite  metric, and the values of its labels\n",
        );
        let mut sums = [0; 4];
        for (number, metric) in counted.metrics.iter().enumerate() {
            let none = Cost::default();
            let cost = self.by_metric.get(&number).unwrap_or(&none);
            let numbers = [cost.series, cost.declared, cost.beyond, cost.paths.len()];
            for (sum, number) in sums.iter_mut().zip(numbers) {
                *sum += number;
            }
            text.push_str(&row(
                numbers,
                &format!("{}{}", metric.name, labels(metric, cost)),
            ));
        }
        text.push_str(&row(sums, "in all"));
        let kibibytes = counted.bytes.div_ceil(1024);
        text.push_str(&format!(
            "memory for these counts in one window: {kibibytes} KiB\n"
        ));
    }
}

fn row(numbers: [usize; 4], name: &str) -> String {
    let [series, declared, beyond, paths] = numbers;
    format!("{series:>8} {declared:>8} {beyond:>7} {paths:>8}  {name}\n")
}

/// ` (provider 5, pop 71)`
fn labels(metric: &Metric, cost: &Cost) -> String {
    let pairs = metric.labels.iter().zip(&cost.values);
    let shown: Vec<String> = pairs
        .map(|(label, values)| format!("{label} {}", values.len()))
        .collect();
    if shown.is_empty() {
        String::new()
    } else {
        format!(" ({})", shown.join(", "))
    }
}

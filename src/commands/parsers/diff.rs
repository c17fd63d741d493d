//! `parsers diff`: what becomes of dashboards when a parser or rule set takes another's place.
//!
//! Both sides count the same lines, without limits on series, which would hide what moved. A series
//! *moved* when one that is lost and one that is added have the same total and no other has it: then its
//! counts are most likely there under another name.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::counted::{Counted, Log, Side, count, io_failure, logs, totals};
use crate::cli::{DiffArgs, ParserArgs};
use crate::commands::engine::Engine;
use crate::commands::{Done, Failure, print};
use crate::definition::MetricDefinition;
use crate::diagnostic::{Diagnostic, Untrusted, quoted_list};
use crate::geo::mask_addresses;
use crate::metrics::Decimal;

/// Series and lines of each kind that are shown.
const SHOWN: usize = 20;

/// Runs the command.
pub(super) fn diff(args: &DiffArgs) -> Result<Done, Failure> {
    let logs = logs(&args.logs, args.lines)?;
    let old = Half::of(args, &args.old, &args.parsers_old, &args.rules_old, &logs);
    let old = old.map_err(|failure| lacking(failure, "old", &args.old))?;
    let new = Half::of(args, &args.new, &args.parsers_new, &args.rules_new, &logs);
    let new = new.map_err(|failure| lacking(failure, "new", &args.new))?;
    let mut out = String::new();
    let mut same = lines(&old.counted, &new.counted, &logs, args.raw, &mut out);
    same &= definitions(&old.definitions, &new.definitions, &mut out);
    same &= Changes::of(&old.totals, &new.totals).show(&mut out);
    if same {
        out.push_str("no difference\n");
    }
    print(out.as_bytes())?;
    Ok(if same {
        Done::Complete
    } else {
        Done::Incomplete
    })
}

/// Rules that one side's format cannot feed are said to be that, above where they ask.
fn lacking(failure: Failure, side: &str, name: &str) -> Failure {
    let Failure::Mistakes(mut mistakes) = failure else {
        return failure;
    };
    let unknown = |mistake: &Diagnostic| {
        let field = mistake.message.strip_prefix("unknown field `")?;
        Some(field.trim_end_matches('`').to_owned())
    };
    let mut fields: Vec<String> = mistakes.iter().filter_map(unknown).collect();
    fields.sort();
    fields.dedup();
    if !fields.is_empty() {
        let fields = quoted_list(fields.iter().map(String::as_str));
        let message =
            format!("the {side} side, `{name}`, does not have what its rules ask for: {fields}");
        mistakes.insert(
            0,
            Diagnostic::new(message).help(format!(
                "give that side rules that its format can feed: `--rules-{side} NAME`"
            )),
        );
    }
    Failure::Mistakes(mistakes)
}

/// One side, counted.
struct Half {
    counted: Counted,
    totals: BTreeMap<String, Decimal>,
    definitions: BTreeMap<String, String>,
}

impl Half {
    fn of(
        args: &DiffArgs,
        name: &str,
        folders: &[std::path::PathBuf],
        rules: &[String],
        logs: &[Log],
    ) -> Result<Half, Failure> {
        let mut shared: ParserArgs = args.parsers.clone();
        shared.parsers.extend_from_slice(folders);
        let mut engine = Engine::open(&shared)?;
        let side = Side::of(&mut engine, name, rules)?;
        let counted = count(&engine, &side, logs)?;
        let mut definitions = BTreeMap::new();
        for parser in counted.logs.iter().filter_map(|log| log.parser.as_ref()) {
            for metric in side
                .sets(&engine, parser)?
                .iter()
                .flat_map(|set| &set.metrics)
            {
                definitions.insert(metric.name.value.clone(), definition(metric));
            }
        }
        let totals = totals(&counted).map_err(io_failure)?;
        Ok(Half {
            counted,
            totals,
            definitions,
        })
    }
}

/// Everything that a metric's definition says, one key a line.
fn definition(metric: &MetricDefinition) -> String {
    let mut text = format!("type = {:?}\nhelp = {}\n", metric.kind, metric.help.value);
    let mut key = |name: &str, value: String| {
        if !value.is_empty() {
            writeln!(text, "{name} = {value}").expect("writing to a `String` does not fail");
        }
    };
    let value = |at: &Option<crate::definition::At<String>>| {
        at.as_ref().map(|at| at.value.clone()).unwrap_or_default()
    };
    let list = |items: Vec<String>| items.join(", ");
    key("match", value(&metric.matchers));
    key("near", value(&metric.near));
    let labels = metric.labels.iter();
    key(
        "labels",
        list(
            labels
                .map(|(label, field)| {
                    if label.value == field.value {
                        label.value.clone()
                    } else {
                        format!("{}: {}", label.value, field.value)
                    }
                })
                .collect(),
        ),
    );
    key("value", value(&metric.value));
    key(
        "buckets",
        list(
            metric
                .buckets
                .iter()
                .map(|bound| bound.value.clone())
                .collect(),
        ),
    );
    key(
        "weight",
        metric
            .weight
            .as_ref()
            .map(|w| format!("{:?}", w.value))
            .unwrap_or_default(),
    );
    key(
        "graphite",
        list(
            metric
                .graphite
                .iter()
                .map(|path| path.value.clone())
                .collect(),
        ),
    );
    key(
        "series",
        metric
            .series
            .as_ref()
            .map(|s| s.value.to_string())
            .unwrap_or_default(),
    );
    let limits = metric.label_limits.iter();
    key(
        "label_limits",
        list(
            limits
                .map(|(label, most)| format!("{} {}", label.value, most.value))
                .collect(),
        ),
    );
    text
}

/// Lines that only one side reads; true when there are none.
fn lines(old: &Counted, new: &Counted, logs: &[Log], raw: bool, out: &mut String) -> bool {
    let mut only = [Vec::new(), Vec::new()];
    let (mut all, mut both) = (0usize, 0usize);
    for ((log, old), new) in logs.iter().zip(&old.logs).zip(&new.logs) {
        let reads = old.lines.iter().zip(&new.lines);
        for (line, (old, new)) in log.sample.lines().zip(reads) {
            all += 1;
            both += usize::from(*old && *new);
            let [only_old, only_new] = &mut only;
            match (old, new) {
                (true, false) => only_old.push(line),
                (false, true) => only_new.push(line),
                _ => {}
            }
        }
    }
    push(out, format_args!("{all} lines, {both} read by both\n"));
    for (side, sign, lines) in only
        .iter()
        .zip([("old", '-'), ("new", '+')])
        .map(|(l, (s, c))| (s, c, l))
    {
        if lines.is_empty() {
            continue;
        }
        push(
            out,
            format_args!("{} lines only the {side} side reads\n", lines.len()),
        );
        for line in lines.iter().take(3) {
            let mut masked = Vec::new();
            if raw {
                masked.extend_from_slice(line);
            } else {
                mask_addresses(line, &mut masked);
            }
            push(
                out,
                format_args!("  {sign} {}\n", Untrusted(&masked).shortened(200)),
            );
        }
    }
    only.iter().all(Vec::is_empty)
}

/// Metrics that are defined otherwise, or by one side alone; true when there are none.
fn definitions(
    old: &BTreeMap<String, String>,
    new: &BTreeMap<String, String>,
    out: &mut String,
) -> bool {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let mut same = true;
    for name in names {
        let (before, after) = (old.get(name), new.get(name));
        if before == after {
            continue;
        }
        same = false;
        match (before, after) {
            (Some(before), Some(after)) => {
                push(out, format_args!("metric {name} is defined otherwise\n"));
                let (old, new): (Vec<&str>, Vec<&str>) =
                    (before.lines().collect(), after.lines().collect());
                for line in old.iter().filter(|line| !new.contains(line)) {
                    push(out, format_args!("  - {line}\n"));
                }
                for line in new.iter().filter(|line| !old.contains(line)) {
                    push(out, format_args!("  + {line}\n"));
                }
            }
            (Some(_), None) => push(out, format_args!("- metric {name}\n")),
            _ => push(out, format_args!("+ metric {name}\n")),
        }
    }
    same
}

/// How series differ.
#[derive(Debug, Default, PartialEq, Eq)]
struct Changes<'s> {
    lost: Vec<(&'s str, Decimal)>,
    added: Vec<(&'s str, Decimal)>,
    moved: Vec<(&'s str, &'s str, Decimal)>,
    changed: Vec<(&'s str, Decimal, Decimal)>,
}

impl<'s> Changes<'s> {
    fn of(old: &'s BTreeMap<String, Decimal>, new: &'s BTreeMap<String, Decimal>) -> Changes<'s> {
        let mut changes = Changes::default();
        for (series, &before) in old {
            match new.get(series) {
                None => changes.lost.push((series, before)),
                Some(&after) if after != before => changes.changed.push((series, before, after)),
                Some(_) => {}
            }
        }
        let added = new.iter().filter(|(series, _)| !old.contains_key(*series));
        changes.added = added
            .map(|(series, &total)| (series.as_str(), total))
            .collect();
        changes.pair();
        changes
    }

    /// Takes pairs of equal totals out of what is lost and added, when the total is theirs alone.
    fn pair(&mut self) {
        let once = |list: &[(&'s str, Decimal)]| {
            let mut names: BTreeMap<Decimal, Option<&'s str>> = BTreeMap::new();
            for &(series, total) in list {
                let known = names.entry(total);
                known
                    .and_modify(|name| *name = None)
                    .or_insert(Some(series));
            }
            names
        };
        let (lost, added) = (once(&self.lost), once(&self.added));
        let pair =
            |total: &Decimal| Some((lost.get(total)?.as_ref()?, added.get(total)?.as_ref()?));
        let pairs = lost.keys().filter_map(|total| Some((pair(total)?, *total)));
        self.moved = pairs
            .map(|((old, new), total)| (*old, *new, total))
            .collect();
        self.lost.retain(|(_, total)| pair(total).is_none());
        self.added.retain(|(_, total)| pair(total).is_none());
    }

    /// Writes them; true when there are none.
    fn show(&self, out: &mut String) -> bool {
        let name = |series: &str| Untrusted(series.as_bytes()).to_string();
        let lost = self.lost.iter().map(|(s, n)| format!("- {} {n}", name(s)));
        let added = self.added.iter().map(|(s, n)| format!("+ {} {n}", name(s)));
        let moved = self
            .moved
            .iter()
            .map(|(a, b, n)| format!("> {} is {} {n}", name(a), name(b)));
        let changed = self
            .changed
            .iter()
            .map(|(s, a, b)| format!("~ {} {a}, then {b}", name(s)));
        list(out, "series lost", lost.collect());
        list(out, "series added", added.collect());
        list(out, "series moved", moved.collect());
        list(out, "series with another total", changed.collect());
        *self == Changes::default()
    }
}

fn list(out: &mut String, what: &str, lines: Vec<String>) {
    if lines.is_empty() {
        return;
    }
    push(out, format_args!("{} {what}\n", lines.len()));
    for line in lines.iter().take(SHOWN) {
        push(out, format_args!("  {line}\n"));
    }
    if lines.len() > SHOWN {
        push(out, format_args!("  and {} more\n", lines.len() - SHOWN));
    }
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text)
        .expect("writing to a `String` does not fail");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn series(pairs: &[(&str, u64)]) -> BTreeMap<String, Decimal> {
        let pairs = pairs
            .iter()
            .map(|(name, n)| ((*name).to_owned(), Decimal::whole(*n)));
        pairs.collect()
    }

    #[test]
    fn a_series_moves_when_its_total_is_its_own() {
        let old = series(&[("a", 7), ("b", 1), ("c", 1), ("d", 2), ("e", 3)]);
        let new = series(&[("x", 7), ("y", 1), ("d", 5), ("e", 3)]);
        let changes = Changes::of(&old, &new);
        assert_eq!(changes.moved, [("a", "x", Decimal::whole(7))]);
        assert_eq!(
            changes.lost,
            [("b", Decimal::whole(1)), ("c", Decimal::whole(1))]
        );
        assert_eq!(changes.added, [("y", Decimal::whole(1))]);
        assert_eq!(
            changes.changed,
            [("d", Decimal::whole(2), Decimal::whole(5))]
        );
    }

    proptest! {
        #[test]
        fn every_series_is_accounted_for(
            old in prop::collection::btree_map("[a-e]", (0u64..4).prop_map(Decimal::whole), 0..5),
            new in prop::collection::btree_map("[a-e]", (0u64..4).prop_map(Decimal::whole), 0..5),
        ) {
            let changes = Changes::of(&old, &new);
            let same = old.iter().filter(|(series, n)| new.get(*series) == Some(n)).count();
            let both = changes.moved.len() + changes.changed.len() + same;
            prop_assert_eq!(changes.lost.len() + both, old.len());
            prop_assert_eq!(changes.added.len() + both, new.len());
            prop_assert_eq!(changes == Changes::default(), old == new);
        }
    }
}

//! Rule sets from text and records from columns, for tests.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Environment, Evaluator, Moment, RuleSource, Rules, register};
use crate::definition::{Catalog, RuleSetDefinition, Var};
use crate::diagnostic::Diagnostic;
use crate::geo::GeoCache;
use crate::metrics::run::Merge;
use crate::metrics::series::labels_of;
use crate::metrics::{Kind, Metric, Table};
use crate::record::{Escape, FieldKind, Fields, Span};

/// A format of columns that `|` separates; each has an escape and a power of ten.
pub(super) struct Columns(pub(super) Vec<(&'static str, Escape, i32)>);

impl Columns {
    /// Columns without escapes and units.
    pub(super) fn plain(names: &[&'static str]) -> Columns {
        Columns(names.iter().map(|name| (*name, Escape::None, 0)).collect())
    }
}

impl Fields for Columns {
    fn field(&self, name: &str) -> Option<FieldKind> {
        let (_, escape, shift) = *self.0.iter().find(|(known, ..)| *known == name)?;
        Some(FieldKind { escape, shift })
    }

    fn names(&self) -> Vec<String> {
        self.0.iter().map(|(name, ..)| (*name).to_owned()).collect()
    }
}

/// Rule sets by file name and text; they must be well-formed TOML of the schema.
pub(super) fn sets(files: &[(&str, &str)]) -> Vec<RuleSetDefinition> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let rules = folder.path().join("rules");
    std::fs::create_dir(&rules).expect("a folder in it");
    for (name, text) in files {
        let text = format!("description = \"a rule set\"\n{text}");
        std::fs::write(rules.join(format!("{name}.toml")), text).expect("a file in it");
    }
    let (catalog, mistakes) = Catalog::open(&[folder.path().to_owned()]);
    assert!(
        mistakes.is_empty(),
        "{}",
        crate::diagnostic::render(&mistakes, false)
    );
    let set = |name: &str| {
        catalog
            .rule_set(name)
            .expect("just added")
            .definition
            .clone()
    };
    files.iter().map(|(name, _)| set(name)).collect()
}

/// What a run with these rule sets asks for, everything at its default.
#[derive(Default)]
pub(super) struct Asked {
    pub(super) overrides: BTreeMap<String, Var>,
    pub(super) only: Vec<String>,
    pub(super) by: Option<Vec<String>>,
    pub(super) file_labels: Vec<String>,
}

/// Compiled rules and their metrics.
pub(super) fn compile(
    files: &[(&str, &str)],
    format: &dyn Fields,
    asked: &Asked,
) -> Result<(Rules, Arc<Vec<Metric>>), Vec<Diagnostic>> {
    let sets = sets(files);
    let source = RuleSource {
        sets: sets.iter().collect(),
        overrides: &asked.overrides,
        only: &asked.only,
        by: asked.by.as_deref(),
        file_labels: &asked.file_labels,
    };
    let mut metrics = register(&source)?;
    let mut rules = Rules::compile(&source, format, &mut metrics)?;
    let metrics = Arc::new(metrics);
    rules.number(&metrics);
    Ok((rules, metrics))
}

/// The pictures of all mistakes.
pub(super) fn mistakes(files: &[(&str, &str)], format: &dyn Fields) -> String {
    match compile(files, format, &Asked::default()) {
        Ok(_) => String::new(),
        Err(mistakes) => crate::diagnostic::render(&mistakes, false),
    }
}

/// Counts lines with one rule set; series and amounts, and value errors.
pub(super) fn counted(
    rules: &str,
    format: &Columns,
    lines: &[&str],
) -> (BTreeMap<String, String>, u64) {
    let made = compile(&[("made", rules)], format, &Asked::default());
    let (rules, metrics) =
        made.unwrap_or_else(|mistakes| panic!("{}", crate::diagnostic::render(&mistakes, false)));
    counted_with(
        Arc::new(rules),
        &metrics,
        format,
        Environment::default(),
        lines,
    )
}

/// [`counted`] with compiled rules.
pub(super) fn counted_with(
    rules: Arc<Rules>,
    metrics: &Arc<Vec<Metric>>,
    format: &Columns,
    environment: Environment,
    lines: &[&str],
) -> (BTreeMap<String, String>, u64) {
    let mut table = Table::new(Arc::clone(&rules.layout));
    let wanted = rules.wanted.clone();
    let mut evaluator = Evaluator::new(rules, environment, GeoCache::new(Arc::default()));
    table.select(0);
    for (number, line) in (0u64..).zip(lines) {
        let spans = spans(line, format, &wanted);
        let moment = Moment {
            seconds: 1,
            nanos: 0,
            position: number,
        };
        evaluator.count(line.as_bytes(), &spans, moment, &mut table);
    }
    let errors = evaluator.value_errors().iter().sum();
    (amounts(&mut table, metrics), errors)
}

/// The spans of the wanted columns.
pub(super) fn spans(line: &str, format: &Columns, wanted: &[String]) -> Vec<Span> {
    let mut starts = vec![0];
    starts.extend(line.match_indices('|').map(|(at, _)| at + 1));
    let span = |name: &String| {
        let number = format.0.iter().position(|(known, ..)| known == name);
        let start = number.and_then(|number| starts.get(number).copied());
        start.map_or(Span::ABSENT, |start| {
            let length = line[start..].find('|').unwrap_or(line.len() - start);
            Span::new(start, start + length)
        })
    };
    wanted.iter().map(span).collect()
}

fn amounts(table: &mut Table, metrics: &[Metric]) -> BTreeMap<String, String> {
    let mut run = Vec::new();
    table.write_run(&mut run).expect("memory takes everything");
    let mut merge = Merge::new([run.as_slice()], metrics).expect("just written");
    let (mut amounts, mut cell) = (BTreeMap::new(), Vec::new());
    while let Some((key, metric)) = merge.next_series().expect("just written") {
        let labels = labels_of(key);
        let labels = labels.iter().map(|value| String::from_utf8_lossy(value));
        let name = format!(
            "{}{{{}}}",
            metric.name,
            labels.collect::<Vec<_>>().join(",")
        );
        while merge.next_point(&mut cell).expect("just written").is_some() {
            let amount = match &metric.kind {
                Kind::Buckets(_) => {
                    let buckets = metric.kind.cumulative(&cell).map(|(_, n)| n.to_string());
                    let buckets = buckets.collect::<Vec<_>>().join(" ");
                    format!("{buckets} = {}", metric.kind.observed_sum(&cell))
                }
                kind => kind.amount(&cell).to_string(),
            };
            amounts.insert(name.clone(), amount);
        }
    }
    amounts
}

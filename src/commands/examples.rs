//! The examples of parser files, run: a format's lines must give their fields, a rule set's fields
//! must give their counts, no less and no more.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::engine::Engine;
use super::fields::{FieldReader, LineFields, NoFields};
use crate::definition::{At, FormatExample, RuleExample, RuleSetDefinition};
use crate::diagnostic::{Diagnostic, Untrusted};
use crate::geo::{AddressSet, GeoCache, Trust};
use crate::metrics::Metric;
use crate::metrics::run::Merge;
use crate::metrics::series::labels_of;
use crate::parse::{Envelopes, Format, Zone};
use crate::record::{Escape, FieldKind, Fields, Span};
use crate::rule::{Environment, Evaluator, Moment, RuleSource, Rules, register};
use crate::source::MAX_LINE;

/// An example that does not hold, with what came instead.
#[derive(Debug)]
pub struct ExampleFailure {
    /// What is wrong and where.
    pub mistake: Diagnostic,
    /// A line for everything that differs: `- ` what the example says, `+ ` what there is. Fit for a
    /// terminal.
    pub diff: String,
}

impl From<Diagnostic> for ExampleFailure {
    fn from(mistake: Diagnostic) -> ExampleFailure {
        ExampleFailure {
            mistake,
            diff: String::new(),
        }
    }
}

/// Appends `- expected` and `+ found` for one name; `None` stands for what is not there.
fn differ(diff: &mut String, name: &str, expected: Option<&str>, found: Option<&str>) {
    for (sign, value) in [('-', expected), ('+', found)] {
        if let Some(value) = value {
            let name = Untrusted(name.as_bytes());
            diff.push_str(&format!(
                "  {sign} {name} = {}\n",
                Untrusted(value.as_bytes())
            ));
        }
    }
}

/// Runs the examples of the shipped parser files; the number run and those that fail.
pub fn test_all() -> (usize, Vec<ExampleFailure>) {
    match Engine::open(&crate::cli::ParserArgs {
        timezone: "UTC".to_owned(),
        ..Default::default()
    }) {
        Ok(engine) => {
            let names: Vec<String> = engine
                .catalog
                .formats()
                .map(|entry| entry.definition.name.clone())
                .collect();
            let sets: Vec<String> = engine
                .catalog
                .rule_sets()
                .map(|entry| entry.definition.name.clone())
                .collect();
            test(&engine, &names, &sets)
        }
        Err(mistakes) => (0, mistakes.into_iter().map(Into::into).collect()),
    }
}

/// Runs the examples of the named formats and rule sets.
pub(super) fn test(
    engine: &Engine,
    formats: &[String],
    sets: &[String],
) -> (usize, Vec<ExampleFailure>) {
    let (mut run, mut failures) = (0, Vec::new());
    for name in formats {
        let Ok(entry) = engine.catalog.format(name) else {
            continue;
        };
        if let Err(mistakes) = engine.compile(
            std::slice::from_ref(name),
            &super::engine::Selection::default(),
        ) {
            failures.extend(mistakes.into_iter().map(ExampleFailure::from));
            continue;
        }
        for example in &entry.definition.examples {
            run += 1;
            match engine.format(name) {
                Ok(format) => failures.extend(format_example(&format, example, &engine.zone)),
                Err(mistakes) => failures.extend(mistakes.into_iter().map(Into::into)),
            }
        }
    }
    for name in sets {
        let Ok(entry) = engine.catalog.rule_set(name) else {
            continue;
        };
        for example in &entry.definition.examples {
            run += 1;
            failures.extend(rule_example(engine, &entry.definition, example));
        }
    }
    (run, failures)
}

fn format_example(format: &Format, example: &FormatExample, zone: &Zone) -> Option<ExampleFailure> {
    let asked: Vec<String> = example
        .fields
        .iter()
        .map(|(name, _)| name.value.clone())
        .collect();
    let mut reader = FieldReader::new(format, zone, &asked, &[]);
    let mut envelopes = Envelopes::new(MAX_LINE);
    let mut last = Err(NoFields::Directive);
    for line in example.line.value.lines().map(str::as_bytes) {
        last = match envelopes.open(line).record(line) {
            Some((record, whole)) => reader.read_either(record, whole),
            None => Err(NoFields::Directive),
        };
    }
    let fields = match last {
        Ok(LineFields {
            time, mut fields, ..
        }) => {
            fields.insert("time".to_owned(), time.to_string());
            fields
        }
        Err(reason) => return Some(not_read(format, example, &reason).into()),
    };
    let (mut wrong, mut diff) = (Vec::new(), String::new());
    for (name, expected) in &example.fields {
        let found = fields.get(&name.value).map(String::as_str);
        if found.unwrap_or_default() != expected.value {
            let quoted = |value: &str| format!("{value:?}");
            let found = found.map_or_else(|| "(absent)".to_owned(), quoted);
            differ(
                &mut diff,
                &name.value,
                Some(&quoted(&expected.value)),
                Some(&found),
            );
            wrong.push((name, expected));
        }
    }
    let (name, expected) = wrong.first()?;
    let message = match wrong.len() {
        1 => format!("`{}` is another value", name.value),
        number => format!("{number} fields have other values"),
    };
    Some(ExampleFailure {
        mistake: expected.place.error(message, "expected this"),
        diff,
    })
}

/// The line shown at the byte where its format leaves it.
fn not_read(format: &Format, example: &FormatExample, reason: &NoFields) -> Diagnostic {
    let message = format!("the line is not read: {}", reason_text(reason, format));
    let place = &example.line.place;
    let NoFields::Mismatch(mismatch) = reason else {
        return place.error(message, "this line");
    };
    let text = example.line.value.trim_end_matches('\n');
    let last = text.rfind('\n').map_or(0, |end| end + 1);
    let at = (last + mismatch.at as usize).min(text.len());
    let at = (0..=at).rev().find(|&at| text.is_char_boundary(at));
    let at = at.unwrap_or_default();
    let end = text.get(at..).and_then(|rest| rest.chars().next());
    let end = at + end.map_or(0, char::len_utf8);
    place.inside(at..end).error(message, "from here on")
}

/// Why a line has no fields, in words.
pub(super) fn reason_text(reason: &NoFields, format: &Format) -> String {
    match reason {
        NoFields::Directive => "it is a directive".to_owned(),
        NoFields::BadTime => "its time does not exist".to_owned(),
        NoFields::Mismatch(mismatch) => format.reason(*mismatch),
    }
}

/// The fields of a rule set's example as a format of its own: their values stand one after another.
struct Given<'e> {
    names: Vec<&'e str>,
}

impl Fields for Given<'_> {
    fn field(&self, name: &str) -> Option<FieldKind> {
        self.names.contains(&name).then_some(FieldKind {
            escape: Escape::None,
            shift: 0,
        })
    }

    fn names(&self) -> Vec<String> {
        self.names.iter().map(ToString::to_string).collect()
    }
}

fn rule_example(
    engine: &Engine,
    set: &RuleSetDefinition,
    example: &RuleExample,
) -> Vec<ExampleFailure> {
    let given = Given {
        names: example
            .fields
            .iter()
            .map(|(name, _)| name.value.as_str())
            .collect(),
    };
    let source = RuleSource {
        sets: vec![set],
        overrides: &engine.vars,
        only: &[],
        by: None,
        file_labels: &[],
    };
    let compiled = register(&source).and_then(|mut metrics| {
        let rules = Rules::compile(&source, &given, &mut metrics)?;
        Ok((rules, metrics))
    });
    let (mut rules, metrics) = match compiled {
        Ok(compiled) => compiled,
        Err(mistakes) => return mistakes.into_iter().map(Into::into).collect(),
    };
    rules.number(&Arc::new(metrics));
    let (line, spans) = given_line(&rules, example);
    let metrics = Arc::clone(&rules.layout.metrics);
    let environment = match presumed(example) {
        Ok(environment) => environment,
        Err(mistakes) => return mistakes.into_iter().map(Into::into).collect(),
    };
    let mut evaluator = Evaluator::new(Arc::new(rules), environment, GeoCache::new(Arc::default()));
    let mut table = crate::metrics::Table::new(Arc::clone(&evaluator.rules().layout));
    table.select(0);
    let moment = Moment {
        seconds: 0,
        nanos: 0,
        position: 0,
    };
    evaluator.count(&line, &spans, moment, &mut table);
    let counted = counted(&mut table, &metrics);
    series_failure(example, &counted).into_iter().collect()
}

/// The ranges that an example presumes.
fn presumed(example: &RuleExample) -> Result<Environment, Vec<Diagnostic>> {
    let (mut trusted, mut mistakes) = (Trust::default(), Vec::new());
    for (name, At { value, place }) in &example.ranges {
        match AddressSet::parse([value.as_str()]) {
            Ok(set) => trusted.providers.add(&name.value, &set),
            Err(errors) => {
                let wrong = errors.iter();
                mistakes.extend(wrong.map(|error| place.error(error.to_string(), "")));
            }
        }
    }
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    Ok(Environment {
        trusted: Arc::new(trusted),
        ..Environment::default()
    })
}

/// What an example counts and what it says that it counts, when they differ.
fn series_failure(
    example: &RuleExample,
    counted: &BTreeMap<String, String>,
) -> Option<ExampleFailure> {
    let mut diff = String::new();
    let mut first: Option<Diagnostic> = None;
    for (series, amount) in &example.counts {
        let found = counted.get(&series.value).map(String::as_str);
        if found.unwrap_or("0") != amount.value {
            differ(&mut diff, &series.value, Some(&amount.value), found);
            let found = found.unwrap_or("0");
            let message = format!("{} is {found}, not {}", series.value, amount.value);
            first.get_or_insert_with(|| amount.place.error(message, "expected this"));
        }
    }
    let named = |name: &String| {
        example
            .counts
            .iter()
            .any(|(series, _)| series.value == *name)
    };
    for (series, amount) in counted.iter().filter(|(series, _)| !named(series)) {
        differ(&mut diff, series, None, Some(amount));
        let message = format!("{series} is counted too");
        first.get_or_insert_with(|| example.place.error(message, "not in `counts`"));
    }
    Some(ExampleFailure {
        mistake: first?,
        diff,
    })
}

fn given_line(rules: &Rules, example: &RuleExample) -> (Vec<u8>, Vec<Span>) {
    let mut line = Vec::new();
    let mut spans = Vec::new();
    for name in &rules.wanted {
        let value = example
            .fields
            .iter()
            .find(|(known, _)| known.value == *name)
            .map(|(_, value)| value.value.as_str());
        let start = line.len();
        line.extend_from_slice(value.unwrap_or_default().as_bytes());
        spans.push(Span::new(start, line.len()));
    }
    (line, spans)
}

/// Everything a table holds, as series and amounts.
pub(super) fn counted(
    table: &mut crate::metrics::Table,
    metrics: &[Metric],
) -> BTreeMap<String, String> {
    let mut counted = BTreeMap::new();
    let mut run = Vec::new();
    // Writing to memory and reading it back cannot fail.
    if table.write_run(&mut run).is_err() {
        return counted;
    }
    let Ok(mut merge) = Merge::new([run.as_slice()], metrics) else {
        return counted;
    };
    let mut cell = Vec::new();
    while let Ok(Some((key, metric))) = merge.next_series() {
        let name = series_name(metric, &labels_of(key));
        while let Ok(Some(_)) = merge.next_point(&mut cell) {
            let amount = match &metric.kind {
                crate::metrics::Kind::Buckets(_) => metric.kind.observed_sum(&cell),
                kind => kind.amount(&cell),
            };
            counted.insert(name.clone(), amount.to_string());
        }
    }
    counted
}

/// `metric{label="value"}` as Prometheus writes it.
pub(super) fn series_name(metric: &Metric, labels: &[Vec<u8>]) -> String {
    if labels.is_empty() {
        return metric.name.clone();
    }
    let pairs: Vec<String> = metric
        .labels
        .iter()
        .zip(labels)
        .map(|(label, value)| {
            let value = String::from_utf8_lossy(value)
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n");
            format!("{label}=\"{value}\"")
        })
        .collect();
    format!("{}{{{}}}", metric.name, pairs.join(","))
}

//! From a configuration to everything that a start or a reload needs, checked before anything is
//! touched: formats and rules compiled, metrics numbered, their meanings digested.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use crate::commands::engine::{Compiled, Engine, Selection};
use crate::commands::inputs;
use crate::commands::settings::Settings;
use crate::config::{Config, LogConfig, LogInput, Text};
use crate::definition::{At, RuleSetDefinition};
use crate::diagnostic::{Diagnostic, Place};
use crate::geo::{GeoDatabases, Trust};
use crate::http;
use crate::metrics::{Metric, MetricType};
use crate::parse::Zone;
use crate::rule::{self, RuleSource, SERIES_LIMIT};
use crate::store::MetricPlan;
use crate::telemetry;

use super::own::{self, Names};

/// A configuration made ready.
pub(in crate::commands) struct Prepared {
    pub(in crate::commands) config: Config,
    pub(in crate::commands) logs: Vec<PreparedLog>,
    /// The rules' metrics, then the agent's own.
    pub(in crate::commands) metrics: Vec<MetricPlan>,
    /// How many of `metrics` are the rules'.
    pub(in crate::commands) ruled: usize,
    pub(in crate::commands) trusted: Arc<Trust>,
    pub(in crate::commands) geo: Arc<GeoDatabases>,
    /// Databases in use whose files are bad, with what is wrong.
    pub(in crate::commands) stale: Vec<(PathBuf, String)>,
    pub(in crate::commands) zone: Zone,
    /// Things a person should know.
    pub(in crate::commands) notices: Vec<String>,
}

/// One log with its formats and rules.
pub(in crate::commands) struct PreparedLog {
    pub(in crate::commands) config: LogConfig,
    /// Names of the parsers, in the order they are tried.
    pub(in crate::commands) parsers: Vec<String>,
    pub(in crate::commands) compiled: Vec<Compiled>,
    /// Values of the labels that the configuration adds, in the order of all such labels.
    pub(in crate::commands) labels: Vec<Vec<u8>>,
}

impl Prepared {
    /// Compiles everything for a start.
    ///
    /// # Errors
    /// Every mistake in the configuration and the parser files it leads to.
    pub(in crate::commands) fn new(config: Config) -> Result<Prepared, Vec<Diagnostic>> {
        Prepared::beside(config, &Arc::default())
    }

    /// Compiles everything while these databases are in use.
    ///
    /// # Errors
    /// As [`Prepared::new`]; a database that is in use may have become bad.
    pub(in crate::commands) fn beside(
        mut config: Config,
        geo: &Arc<GeoDatabases>,
    ) -> Result<Prepared, Vec<Diagnostic>> {
        let mut engine = Engine::with(&Settings::of_config(&config, geo))?;
        let parsers = parsers_of(&mut engine, &config)?;
        pin(&mut config, &parsers);
        let labels = added_labels(&config);
        let (logs, metrics) = compiled(&engine, &config, &parsers, &labels)?;
        let sets = all_sets(&engine, &config, &parsers)?;
        let mut mistakes = unknown_paths(&config, &metrics);
        mistakes.extend(clashing(&sets, &metrics));
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        let plans = plans(&engine, &config, &sets, &metrics, &labels);
        let asks_places = logs.iter().flat_map(|log| &log.compiled);
        let asks_places = asks_places
            .into_iter()
            .any(|compiled| compiled.rules.asks_places());
        let notices = if asks_places {
            engine.notices
        } else {
            Vec::new()
        };
        Ok(Prepared {
            ruled: metrics.len(),
            logs,
            metrics: plans,
            trusted: engine.trusted,
            geo: engine.geo,
            stale: engine.stale,
            zone: engine.zone,
            notices,
            config,
        })
    }
}

/// The names of each log's parsers.
fn parsers_of(engine: &mut Engine, config: &Config) -> Result<Vec<Vec<String>>, Vec<Diagnostic>> {
    let (mut found, mut mistakes) = (Vec::new(), Vec::new());
    for log in &config.logs {
        let named: Vec<At<String>> = log.parsers.iter().map(plain).collect();
        let names = if named.is_empty() {
            detected(engine, log).map(|name| vec![name])
        } else {
            engine.parsers_at(&named)
        };
        match names {
            Ok(names) => found.push(names),
            Err(more) => mistakes.extend(more),
        }
    }
    if mistakes.is_empty() {
        Ok(found)
    } else {
        Err(mistakes)
    }
}

/// Writes down which parsers were found for logs that name none: a reload must not find others.
fn pin(config: &mut Config, parsers: &[Vec<String>]) {
    for (log, names) in config.logs.iter_mut().zip(parsers) {
        if log.parsers.is_empty() {
            let place = &log.name.place;
            let pinned = names.iter().map(|name| At {
                value: Text::plain(name),
                place: place.clone(),
            });
            log.parsers = pinned.collect();
        }
    }
}

fn plain(text: &At<Text>) -> At<String> {
    At {
        value: text.value.as_str().to_owned(),
        place: text.place.clone(),
    }
}

/// The parser that reads the first lines of the log's first file best.
fn detected(engine: &Engine, log: &LogConfig) -> Result<String, Vec<Diagnostic>> {
    let place = &log.name.place;
    let unknown = |message: String| {
        vec![
            place
                .error(message, "no parser named")
                .help("name one: parser = \"nginx-combined\" in the file, -p nginx-combined on the command line"),
        ]
    };
    let LogInput::Files { paths, .. } = &log.input else {
        return Err(unknown("a stream needs a parser".to_owned()));
    };
    let paths: Vec<_> = paths.iter().map(|path| path.value.clone().into()).collect();
    inputs::parser_of(engine, &paths)?.ok_or_else(|| {
        unknown(format!(
            "no file of `{}` has a line that a parser reads, so none can be chosen",
            log.name.value
        ))
    })
}

/// Names of all labels that logs add, sorted.
fn added_labels(config: &Config) -> Vec<String> {
    let names = config.logs.iter().flat_map(|log| &log.labels);
    let names: BTreeSet<String> = names.map(|(name, _)| name.value.clone()).collect();
    names.into_iter().collect()
}

/// What a log gives a label; empty when it does not have it.
fn label_of<'l>(log: &'l LogConfig, label: &str) -> &'l str {
    let found = log.labels.iter().find(|(name, _)| name.value == label);
    found.map_or("", |(_, value)| value.value.as_str())
}

/// Logs with their formats and rules, and the metrics of all of them.
type CompiledLogs = (Vec<PreparedLog>, Arc<Vec<Metric>>);

type Sets<'e> = Vec<Vec<&'e RuleSetDefinition>>;

/// The rule sets of each log's parsers, one list for each parser.
fn sets_of<'e>(
    engine: &'e Engine,
    log: &LogConfig,
    parsers: &[String],
) -> Result<Sets<'e>, Vec<Diagnostic>> {
    let named: Vec<At<String>> = log.rules.iter().map(plain).collect();
    parsers
        .iter()
        .map(|parser| engine.rule_sets_named(parser, &named))
        .collect()
}

fn compiled(
    engine: &Engine,
    config: &Config,
    parsers: &[Vec<String>],
    labels: &[String],
) -> Result<CompiledLogs, Vec<Diagnostic>> {
    let (mut names, mut sets) = (Vec::new(), Vec::new());
    for (log, parsers) in config.logs.iter().zip(parsers) {
        names.extend(parsers.iter().cloned());
        sets.extend(sets_of(engine, log, parsers)?);
    }
    let selection = Selection {
        file_labels: labels.to_vec(),
        ..Selection::default()
    };
    let (all, metrics) = engine.compile_with(&names, &sets, &selection)?;
    let mut all = all.into_iter();
    let logs = config
        .logs
        .iter()
        .zip(parsers)
        .map(|(log, parsers)| PreparedLog {
            config: log.clone(),
            parsers: parsers.clone(),
            compiled: all.by_ref().take(parsers.len()).collect(),
            labels: labels
                .iter()
                .map(|label| label_of(log, label).as_bytes().to_vec())
                .collect(),
        });
    Ok((logs.collect(), metrics))
}

/// The rule sets of each log, each once.
fn all_sets<'e>(
    engine: &'e Engine,
    config: &Config,
    parsers: &[Vec<String>],
) -> Result<Sets<'e>, Vec<Diagnostic>> {
    let mut all = Vec::new();
    for (log, parsers) in config.logs.iter().zip(parsers) {
        let mut sets: Vec<&RuleSetDefinition> = Vec::new();
        for set in sets_of(engine, log, parsers)?.into_iter().flatten() {
            if !sets.iter().any(|known| known.name == set.name) {
                sets.push(set);
            }
        }
        all.push(sets);
    }
    Ok(all)
}

/// Metrics of rules that cannot be shown beside the agent's own, or beside each other.
fn clashing(sets: &Sets<'_>, metrics: &[Metric]) -> Vec<Diagnostic> {
    let own = own::plans(&Names::default());
    let mut shown: Vec<(&str, MetricType)> = own
        .iter()
        .map(|plan| (plan.metric.name.as_str(), plan.metric.kind.metric_type()))
        .chain(
            telemetry::NAMES
                .iter()
                .map(|(name, kind, _)| (*name, *kind)),
        )
        .collect();
    let mut mistakes = Vec::new();
    for metric in metrics {
        shown.push((&metric.name, metric.kind.metric_type()));
        let Some(clash) = http::clashes(shown.iter().copied()).pop() else {
            continue;
        };
        shown.pop();
        let rules = sets.iter().flatten().flat_map(|set| &set.metrics);
        let place = rules
            .map(|rule| &rule.name)
            .find(|name| name.value == metric.name)
            .map(|name| name.place.clone());
        let place = place.unwrap_or_else(|| Place::argument("metric", &metric.name));
        let error = place.error(clash, "taken");
        mistakes.push(error.help("give the metric another name"));
    }
    mistakes
}

/// Path templates for metrics that no rule has.
fn unknown_paths(config: &Config, metrics: &[Metric]) -> Vec<Diagnostic> {
    let mut mistakes = Vec::new();
    for output in &config.outputs {
        let crate::config::OutputKind::Graphite(graphite) = &output.kind;
        for (name, _) in &graphite.paths {
            if !metrics.iter().any(|metric| metric.name == name.value) {
                let error = name.place.error(
                    format!("unknown metric `{}`", name.value),
                    "no rule of these logs has it",
                );
                let names = metrics.iter().map(|metric| metric.name.as_str());
                mistakes.push(match crate::diagnostic::similar(&name.value, names) {
                    Some(near) => {
                        error.help(format!("a metric with a similar name exists: `{near}`"))
                    }
                    None => error,
                });
            }
        }
    }
    mistakes
}

/// What the store is told of each metric.
fn plans(
    engine: &Engine,
    config: &Config,
    sets: &Sets<'_>,
    metrics: &[Metric],
    labels: &[String],
) -> Vec<MetricPlan> {
    let mut every: Vec<&RuleSetDefinition> = Vec::new();
    for set in sets.iter().flatten() {
        if !every.iter().any(|known| known.name == set.name) {
            every.push(set);
        }
    }
    let source = |sets: Vec<_>| RuleSource {
        sets,
        overrides: &engine.vars,
        only: &[],
        by: None,
        file_labels: labels,
    };
    let fed: Vec<Vec<String>> = sets
        .iter()
        .map(|sets| {
            let metrics = rule::register(&source(sets.clone())).unwrap_or_default();
            metrics.into_iter().map(|metric| metric.name).collect()
        })
        .collect();
    let mut plans: Vec<MetricPlan> = metrics
        .iter()
        .map(|metric| {
            let feeds = |number: &usize| fed.get(*number).is_some_and(|f| f.contains(&metric.name));
            let logs = (0..config.logs.len()).filter(feeds);
            let logs: Vec<&LogConfig> = logs.filter_map(|number| config.logs.get(number)).collect();
            MetricPlan {
                digest: rule::digest(&source(every.clone()), &metric.name),
                metric: with_labels(metric, &logs, labels, config.limits.series_per_metric),
                windows: true,
                logs: logs.iter().map(|log| log.name.value.clone()).collect(),
            }
        })
        .collect();
    let logs: Vec<String> = config
        .logs
        .iter()
        .map(|log| log.name.value.clone())
        .collect();
    let metrics: Vec<String> = metrics.iter().map(|metric| metric.name.clone()).collect();
    let outputs: Vec<String> = config
        .outputs
        .iter()
        .map(|o| o.name.value.clone())
        .collect();
    plans.extend(own::plans(&Names {
        logs: &logs,
        metrics: &metrics,
        outputs: &outputs,
    }));
    plans
}

/// The metric with the values that logs give its added labels declared, and the operator's limit in
/// place of the usual one.
fn with_labels(metric: &Metric, logs: &[&LogConfig], labels: &[String], limit: usize) -> Metric {
    let mut metric = metric.clone();
    if metric.limit == SERIES_LIMIT {
        metric.limit = limit;
    }
    for (name, declared) in metric.labels.iter().zip(&mut metric.declared) {
        if labels.contains(name) {
            let values: BTreeSet<&str> = logs.iter().map(|log| label_of(log, name)).collect();
            *declared = Some(values.into_iter().map(str::to_owned).collect());
        }
    }
    metric
}

/// Files whose change calls for preparing anew: geo databases, lists of proxies, ranges of providers.
pub(in crate::commands) fn watched_files(config: &Config) -> Vec<PathBuf> {
    let proxies = config
        .geoip
        .trusted_proxies
        .iter()
        .filter_map(|entry| match &entry.value {
            crate::config::ProxyEntry::File(path) => Some(path.clone()),
            crate::config::ProxyEntry::Network(_) => None,
        });
    let databases = config.geoip.databases.iter().map(|path| path.value.clone());
    let providers = config.providers.iter().flat_map(|(_, files)| files);
    let providers = providers.map(|path| path.value.clone());
    databases
        .chain(proxies)
        .chain(providers)
        .chain(crate::geo::standard_places())
        .collect()
}

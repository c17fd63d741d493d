//! From arguments to compiled formats and rules: what `replay`, `explain`, `grep` and the examples
//! share.
//!
//! All mistakes of one stage are reported together; a later stage starts only without any.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::settings::{Given, ProviderFile, Settings, Variable};
use crate::cli::ParserArgs;
use crate::definition::{At, Catalog, MetricDefinition, RuleSetDefinition, Var};
use crate::diagnostic::{Diagnostic, Place, similar};
use crate::geo::{
    AddressSet, GeoCache, GeoDatabase, GeoDatabases, Providers, Trust, standard_places,
};
use crate::metrics::Metric;
use crate::parse::{Format, Zone};
use crate::rule::{Environment, Evaluator, RuleSource, Rules, register};

/// What a run needs to know beside its inputs.
pub(super) struct Engine {
    pub(super) catalog: Catalog,
    pub(super) vars: BTreeMap<String, Var>,
    pub(super) rules: Vec<At<String>>,
    pub(super) zone: Zone,
    pub(super) trusted: Arc<Trust>,
    pub(super) geo: Arc<GeoDatabases>,
    /// Databases in use whose files are bad, with what is wrong.
    pub(super) stale: Vec<(PathBuf, String)>,
    /// Things a person should know before the result.
    pub(super) notices: Vec<String>,
}

/// A format with its rules.
pub(super) struct Compiled {
    pub(super) format: Arc<Format>,
    pub(super) rules: Arc<Rules>,
}

impl Compiled {
    /// An evaluator of the rules, for one worker.
    pub(super) fn evaluator(&self, trusted: &Arc<Trust>, geo: &Arc<GeoDatabases>) -> Evaluator {
        let environment = Environment {
            trusted: Arc::clone(trusted),
            file_labels: Vec::new(),
        };
        let geo = GeoCache::new(Arc::clone(geo));
        Evaluator::new(Arc::clone(&self.rules), environment, geo)
    }
}

/// Formats with their rules, and the metrics of all of them under one numbering.
pub(super) type Plan = (Vec<Compiled>, Arc<Vec<Metric>>);

/// What is to be counted.
#[derive(Default)]
pub(super) struct Selection {
    /// Only these metrics; all when empty.
    pub(super) metrics: Vec<String>,
    /// Only these labels.
    pub(super) by: Option<Vec<String>>,
    /// Labels taken from paths.
    pub(super) file_labels: Vec<String>,
}

impl Engine {
    /// Loads parser files, databases and address lists, as the command line says.
    ///
    /// # Errors
    /// Every mistake found.
    pub(super) fn open(args: &ParserArgs) -> Result<Engine, Vec<Diagnostic>> {
        Engine::with(&Settings::of_arguments(args)?)
    }

    /// Loads parser files, databases and address lists.
    ///
    /// # Errors
    /// Every mistake found.
    pub(super) fn with(settings: &Settings) -> Result<Engine, Vec<Diagnostic>> {
        let (catalog, mut mistakes) = Catalog::open(&settings.parsers);
        let mut vars = BTreeMap::new();
        for given in &settings.vars {
            match variable(given, &catalog) {
                Ok(var) => {
                    vars.insert(given.name.value.clone(), var);
                }
                Err(mistake) => mistakes.push(mistake),
            }
        }
        mistakes.extend(unknown_rules(&settings.rules, &catalog));
        let zone = Zone::named(&settings.timezone.value).map_err(|error| {
            mistakes.push(settings.timezone.place.error(error, "not a zone"));
        });
        let providers = provider_ranges(&settings.providers, &mut mistakes);
        let trusted = Trust {
            proxies: trusted_proxies(&settings.proxies, &providers, &mut mistakes),
            providers,
        };
        let geo = geo_databases(&settings.databases, &settings.held, &mut mistakes);
        match zone {
            Ok(zone) if mistakes.is_empty() => Ok(Engine {
                catalog,
                vars,
                rules: settings.rules.clone(),
                zone,
                trusted: Arc::new(trusted),
                geo: Arc::new(GeoDatabases::shared(geo.databases)),
                stale: geo.stale,
                notices: geo.notices,
            }),
            _ => Err(mistakes),
        }
    }

    /// Names of the parsers asked for; files named by path are added to the catalog.
    ///
    /// # Errors
    /// Unknown names and mistakes in files.
    pub(super) fn parsers(&mut self, names: &[String]) -> Result<Vec<String>, Vec<Diagnostic>> {
        let named = names.iter().map(|name| At {
            value: name.clone(),
            place: Place::argument("--parser", name),
        });
        self.parsers_at(&named.collect::<Vec<_>>())
    }

    /// [`Engine::parsers`] for names that stand anywhere.
    pub(super) fn parsers_at(
        &mut self,
        names: &[At<String>],
    ) -> Result<Vec<String>, Vec<Diagnostic>> {
        let (mut found, mut mistakes) = (Vec::new(), Vec::new());
        for At { value: name, place } in names {
            if Catalog::is_path(name) {
                match self.catalog.add_file(Path::new(name)) {
                    Ok(name) => found.push(name),
                    Err(more) => mistakes.extend(more),
                }
            } else if let Err(mistake) = self.catalog.format(name) {
                mistakes.push(mistake.at(place, "not a parser"));
            } else {
                found.push(name.clone());
            }
        }
        if mistakes.is_empty() {
            Ok(found)
        } else {
            Err(mistakes)
        }
    }

    /// One format without rules.
    pub(super) fn format(&self, name: &str) -> Result<Format, Vec<Diagnostic>> {
        let entry = self.catalog.format(name).map_err(|mistake| vec![mistake])?;
        Format::compile(&entry.definition)
    }

    /// The formats that take part in detection, in the documented order.
    pub(super) fn candidates(&self) -> Result<Vec<Format>, Vec<Diagnostic>> {
        let order = self.catalog.detection_order().into_iter();
        order
            .map(|entry| Format::compile(&entry.definition))
            .collect()
    }

    /// The rule sets that count a format's records: its own or those asked for, and those that
    /// define a metric asked for.
    pub(super) fn rule_sets(
        &self,
        format: &str,
        wanted: &[String],
    ) -> Result<Vec<&RuleSetDefinition>, Vec<Diagnostic>> {
        let mut sets = self.rule_sets_named(format, &self.rules)?;
        for set in self.catalog.rule_sets().map(|entry| &entry.definition) {
            let has = |metric: &MetricDefinition| wanted.contains(&metric.name.value);
            let known = sets
                .iter()
                .any(|known| known.name == set.name || known.metrics.iter().any(has));
            if !known && set.metrics.iter().any(has) {
                sets.push(set);
            }
        }
        Ok(sets)
    }

    /// These rule sets, or a format's own when none is named.
    ///
    /// # Errors
    /// Unknown names.
    pub(super) fn rule_sets_named(
        &self,
        format: &str,
        named: &[At<String>],
    ) -> Result<Vec<&RuleSetDefinition>, Vec<Diagnostic>> {
        let entry = self
            .catalog
            .format(format)
            .map_err(|mistake| vec![mistake])?;
        let names = if named.is_empty() {
            entry.definition.rules.as_slice()
        } else {
            named
        };
        let (mut sets, mut mistakes) = (Vec::new(), Vec::new());
        for name in names {
            match self.catalog.rule_set(&name.value) {
                Ok(set) => sets.push(&set.definition),
                Err(mistake) => mistakes.push(mistake.at(&name.place, "not a rule set")),
            }
        }
        if mistakes.is_empty() {
            Ok(sets)
        } else {
            Err(mistakes)
        }
    }

    /// Compiles formats with their rules under one numbering of metrics.
    ///
    /// # Errors
    /// Every mistake in the formats and rule sets, unknown metrics and labels.
    pub(super) fn compile(
        &self,
        names: &[String],
        selection: &Selection,
    ) -> Result<Plan, Vec<Diagnostic>> {
        let mut sets_of = Vec::new();
        for name in names {
            sets_of.push(self.rule_sets(name, &selection.metrics)?);
        }
        self.compile_with(names, &sets_of, selection)
    }

    /// [`Engine::compile`] with given rule sets for each format.
    pub(super) fn compile_with(
        &self,
        names: &[String],
        sets_of: &[Vec<&RuleSetDefinition>],
        selection: &Selection,
    ) -> Result<Plan, Vec<Diagnostic>> {
        let mut all: Vec<&RuleSetDefinition> = Vec::new();
        for set in sets_of.iter().flatten() {
            if !all.iter().any(|known| known.name == set.name) {
                all.push(set);
            }
        }
        let source = |sets: Vec<_>| RuleSource {
            sets,
            overrides: &self.vars,
            only: &selection.metrics,
            by: selection.by.as_deref(),
            file_labels: &selection.file_labels,
        };
        let mut metrics = register(&source(all.clone()))?;
        let mut mistakes = unknown_selection(&all, selection);
        let mut compiled = Vec::new();
        for (name, sets) in names.iter().zip(sets_of) {
            match self.compile_one(name, &source(sets.clone()), &mut metrics) {
                Ok(pair) => compiled.push(pair),
                Err(more) => mistakes.extend(
                    more.into_iter()
                        .filter(|new| !is_known(&mistakes, new))
                        .collect::<Vec<_>>(),
                ),
            }
        }
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        let metrics = Arc::new(metrics);
        let compiled = compiled.into_iter().map(|(format, mut rules)| {
            rules.number(&metrics);
            Compiled {
                format: Arc::new(format),
                rules: Arc::new(rules),
            }
        });
        Ok((compiled.collect(), metrics))
    }

    fn compile_one(
        &self,
        name: &str,
        source: &RuleSource<'_>,
        metrics: &mut [Metric],
    ) -> Result<(Format, Rules), Vec<Diagnostic>> {
        let format = self.format(name)?;
        let rules = Rules::compile(source, &format, metrics)?;
        Ok((format, rules))
    }
}

/// A rule set's mistake shows once, however many formats it is compiled for.
fn is_known(mistakes: &[Diagnostic], new: &Diagnostic) -> bool {
    let place = |diagnostic: &Diagnostic| {
        diagnostic
            .place
            .as_ref()
            .map(|place| (place.source().name.clone(), place.span()))
    };
    mistakes
        .iter()
        .any(|known| known.message == new.message && place(known) == place(new))
}

/// `--metric` and `--by` that name nothing.
fn unknown_selection(sets: &[&RuleSetDefinition], selection: &Selection) -> Vec<Diagnostic> {
    let mut mistakes = Vec::new();
    let everything = Selection::default();
    let source = RuleSource {
        sets: sets.to_vec(),
        overrides: &BTreeMap::new(),
        only: &everything.metrics,
        by: None,
        file_labels: &selection.file_labels,
    };
    let known = register(&source).unwrap_or_default();
    for name in &selection.metrics {
        if !known.iter().any(|metric| metric.name == *name) {
            let names = known.iter().map(|metric| metric.name.as_str());
            mistakes.push(unknown("--metric", name, "metric", names));
        }
    }
    for label in selection.by.iter().flatten() {
        let wanted = |metric: &&Metric| {
            selection.metrics.is_empty() || selection.metrics.contains(&metric.name)
        };
        let mut labels = known
            .iter()
            .filter(wanted)
            .flat_map(|metric| metric.labels.iter().map(String::as_str));
        if !labels.clone().any(|known| known == label) {
            let mut names: Vec<&str> = labels.by_ref().collect();
            names.sort_unstable();
            names.dedup();
            mistakes.push(unknown("--by", label, "label", names.into_iter()));
        }
    }
    mistakes
}

fn unknown<'n>(
    flag: &str,
    value: &str,
    what: &str,
    names: impl Iterator<Item = &'n str> + Clone,
) -> Diagnostic {
    unknown_at(&Place::argument(flag, value), value, what, names)
}

fn unknown_at<'n>(
    place: &Place,
    value: &str,
    what: &str,
    names: impl Iterator<Item = &'n str> + Clone,
) -> Diagnostic {
    let error = place.error(
        format!("unknown {what} `{value}`"),
        format!("not a {what} here"),
    );
    match similar(value, names.clone()) {
        Some(near) => error.help(format!("a {what} with a similar name exists: `{near}`")),
        None => error.help(format!(
            "{what}s here: {}",
            names.collect::<Vec<_>>().join(", ")
        )),
    }
}

fn unknown_rules<'r>(
    rules: &'r [At<String>],
    catalog: &'r Catalog,
) -> impl Iterator<Item = Diagnostic> + 'r {
    rules.iter().filter_map(|name| {
        let mistake = catalog.rule_set(&name.value).err()?;
        Some(mistake.at(&name.place, "not a rule set"))
    })
}

/// The value that the rule files want: a list where they have one.
fn variable(given: &Variable, catalog: &Catalog) -> Result<Var, Diagnostic> {
    let declared: Vec<(&str, &Var)> = catalog
        .rule_sets()
        .flat_map(|set| &set.definition.vars)
        .map(|(name, var)| (name.value.as_str(), &var.value))
        .collect();
    let name = given.name.value.as_str();
    let known = declared.iter().find(|(known, _)| *known == name);
    match (known, &given.value) {
        (Some((_, Var::List(_))), Given::Commas(value)) => {
            let values = value.split(',').filter(|v| !v.is_empty());
            Ok(Var::List(values.map(str::to_owned).collect()))
        }
        (Some((_, Var::Text(_))), Given::Commas(value)) => Ok(Var::Text(value.clone())),
        (Some((_, Var::List(_))), Given::Exactly(Var::Text(_))) => Err(given
            .place
            .error(format!("`{name}` is a list"), "one text")
            .help("write [\"one\", \"two\"]")),
        (Some((_, Var::Text(_))), Given::Exactly(Var::List(_))) => Err(given
            .place
            .error(format!("`{name}` is one text"), "a list")
            .help("write \"one\"")),
        (Some(_), Given::Exactly(var)) => Ok(var.clone()),
        (None, _) => Err(unknown_at(
            &given.name.place,
            name,
            "variable",
            declared.iter().map(|(name, _)| *name),
        )),
    }
}

/// The ranges of each provider, from their files.
fn provider_ranges(files: &[ProviderFile], mistakes: &mut Vec<Diagnostic>) -> Providers {
    let mut providers = Providers::default();
    for ProviderFile { name, file } in files {
        let legal =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.".contains(&byte);
        if name.value.is_empty() || name.value.len() > 64 || !name.value.bytes().all(legal) {
            let message = format!("`{}` is no name of a provider", name.value.escape_debug());
            let error = name.place.error(message, "not a name");
            mistakes.push(error.help(
                "1 to 64 of `a-z`, `0-9`, `_`, `-` and `.`, as the rules write it: `fastly`",
            ));
            continue;
        }
        match std::fs::read_to_string(&file.value) {
            Err(error) => mistakes.push(
                file.place
                    .error(format!("cannot read this file: {error}"), "unreadable"),
            ),
            Ok(text) => {
                let wrong = providers
                    .add_text(&name.value, &text)
                    .err()
                    .unwrap_or_default();
                mistakes.extend(
                    wrong
                        .iter()
                        .map(|error| file.place.error(error.to_string(), "in this file")),
                );
            }
        }
    }
    providers
}

/// CIDRs, `private`, `providers`, or files of CIDRs.
fn trusted_proxies(
    entries: &[At<String>],
    providers: &Providers,
    mistakes: &mut Vec<Diagnostic>,
) -> AddressSet {
    let mut set = AddressSet::default();
    for At {
        value: entry,
        place,
    } in entries
    {
        if entry == "providers" {
            if providers.is_empty() {
                let error = place.error("`providers` without ranges of any", "nobody is known");
                mistakes.push(error.help("--provider-ranges fastly=FILE, or `fastly = \"FILE\"` under [providers] in beacontail.toml"));
            }
            set.extend(&providers.all());
        } else if let Ok(more) = AddressSet::parse([entry.as_str()]) {
            set.extend(&more);
        } else if !Path::new(entry).exists() {
            let error = place.error(
                format!("`{entry}` is no address, CIDR or file"),
                "not understood",
            );
            mistakes.push(error.help(
                "write 203.0.113.0/24, `private`, `providers`, or the path of a file with one CIDR a line",
            ));
        } else {
            match std::fs::read_to_string(entry) {
                Err(error) => mistakes
                    .push(place.error(format!("cannot read this file: {error}"), "unreadable")),
                Ok(text) => {
                    if let Err(errors) = set.add_list(&text) {
                        mistakes.extend(
                            errors
                                .iter()
                                .map(|error| place.error(error.to_string(), "in this file")),
                        );
                    }
                }
            }
        }
    }
    set
}

/// The databases to use, and what to say about them.
#[derive(Default)]
struct Geo {
    databases: Vec<Arc<GeoDatabase>>,
    stale: Vec<(PathBuf, String)>,
    notices: Vec<String>,
}

/// The databases named, or those in the standard places. One that is in use stays so when its file is
/// bad.
fn geo_databases(
    named: &[At<PathBuf>],
    held: &GeoDatabases,
    mistakes: &mut Vec<Diagnostic>,
) -> Geo {
    let mut geo = Geo::default();
    let mut open = |path: &Path| {
        let error = match GeoDatabase::open(path) {
            Ok(database) => {
                geo.databases.push(Arc::new(database));
                return Ok(());
            }
            Err(error) => error.to_string(),
        };
        let Some(database) = held.at(path) else {
            return Err(error);
        };
        geo.databases.push(database);
        geo.stale.push((path.to_owned(), error));
        Ok(())
    };
    for At { value: path, place } in named {
        if let Err(error) = open(path) {
            mistakes.push(place.error(error, "not a usable database"));
        }
    }
    let standard = if named.is_empty() {
        standard_places()
    } else {
        Vec::new()
    };
    let bad = standard.iter().filter_map(|path| open(path).err());
    let bad: Vec<String> = bad.collect();
    let said = bad
        .iter()
        .map(|error| format!("geo database left out: {error}"));
    geo.notices.extend(said);
    if geo.databases.is_empty() && geo.notices.is_empty() {
        geo.notices.push(NO_DATABASE.to_owned());
    }
    geo
}

const NO_DATABASE: &str = "no geo database, so countries are `unknown`: give one with --geoip \
    FILE.mmdb, or [geoip] in beacontail.toml (GeoLite2 from maxmind.com or DB-IP Lite from db-ip.com, both free), or put \
    it into /usr/share/GeoIP";

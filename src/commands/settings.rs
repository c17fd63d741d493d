//! What parsers, rules and look-ups are told, from the command line or from the configuration.
//!
//! Both say the same things in different places; here they become one, and each value keeps its
//! place, so that a mistake found later is shown where it was made.

use std::path::PathBuf;
use std::sync::Arc;

use crate::cli::ParserArgs;
use crate::config::{Config, ProxyEntry, VarText};
use crate::definition::{At, Var};
use crate::diagnostic::{Diagnostic, Place};
use crate::geo::GeoDatabases;

/// Settings of an [`Engine`](super::engine::Engine).
pub(super) struct Settings {
    /// Folders with parser files beside the shipped ones.
    pub(super) parsers: Vec<PathBuf>,
    /// Variables of rule files.
    pub(super) vars: Vec<Variable>,
    /// Rule sets in place of the formats' own; empty: the formats' own.
    pub(super) rules: Vec<At<String>>,
    /// MaxMind databases; empty: those in the standard places.
    pub(super) databases: Vec<At<PathBuf>>,
    /// Databases in use, which stay so where their files are bad.
    pub(super) held: Arc<GeoDatabases>,
    /// CIDRs, `private`, `providers`, or files of CIDRs.
    pub(super) proxies: Vec<At<String>>,
    /// Files with the ranges of providers.
    pub(super) providers: Vec<ProviderFile>,
    /// Zone of times without one.
    pub(super) timezone: At<String>,
}

/// A file with ranges of a provider.
pub(super) struct ProviderFile {
    pub(super) name: At<String>,
    pub(super) file: At<PathBuf>,
}

/// A variable as it was given.
pub(super) struct Variable {
    pub(super) name: At<String>,
    pub(super) value: Given,
    pub(super) place: Place,
}

/// How a variable's value was given.
pub(super) enum Given {
    /// Text in which commas separate where the rules want a list.
    Commas(String),
    /// One text or a list, as it must be.
    Exactly(Var),
}

impl Settings {
    /// Those of the command line.
    ///
    /// # Errors
    /// A variable that is not NAME=VALUE, ranges that are not NAME=FILE.
    pub(super) fn of_arguments(args: &ParserArgs) -> Result<Settings, Vec<Diagnostic>> {
        let mut mistakes = Vec::new();
        let vars = good(args.var.iter().map(|text| variable(text)), &mut mistakes);
        let files = args.provider_ranges.iter().map(|text| provider_file(text));
        let providers = good(files, &mut mistakes);
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        let given = |flag: &'static str| {
            move |text: &String| At {
                value: text.clone(),
                place: Place::argument(flag, text),
            }
        };
        let databases = args.geoip.iter().map(|path| At {
            value: path.clone(),
            place: Place::argument("--geoip", &path.to_string_lossy()),
        });
        Ok(Settings {
            parsers: args.parsers.clone(),
            vars,
            providers,
            rules: args.rules.iter().map(given("--rules")).collect(),
            databases: databases.collect(),
            held: Arc::default(),
            proxies: args
                .trusted_proxies
                .iter()
                .map(given("--trusted-proxies"))
                .collect(),
            timezone: given("--timezone")(&args.timezone),
        })
    }

    /// Those of a daemon that has these databases in use.
    pub(super) fn of_config(config: &Config, held: &Arc<GeoDatabases>) -> Settings {
        let vars = config.vars.iter().map(|(name, value)| Variable {
            name: name.clone(),
            value: Given::Exactly(match &value.value {
                VarText::One(text) => Var::Text(text.as_str().to_owned()),
                VarText::List(texts) => {
                    Var::List(texts.iter().map(|text| text.as_str().to_owned()).collect())
                }
            }),
            place: value.place.clone(),
        });
        let proxies = config.geoip.trusted_proxies.iter().map(|entry| At {
            value: match &entry.value {
                ProxyEntry::Network(text) => text.as_str().to_owned(),
                ProxyEntry::File(path) => path.to_string_lossy().into_owned(),
            },
            place: entry.place.clone(),
        });
        let providers = config.providers.iter().flat_map(|(name, files)| {
            files.iter().map(|file| ProviderFile {
                name: name.clone(),
                file: file.clone(),
            })
        });
        let zone = &config.agent.timezone;
        Settings {
            parsers: config
                .parsers
                .iter()
                .map(|folder| folder.value.clone())
                .collect(),
            vars: vars.collect(),
            rules: Vec::new(),
            databases: config.geoip.databases.clone(),
            held: Arc::clone(held),
            proxies: proxies.collect(),
            providers: providers.collect(),
            timezone: At {
                value: zone.value.iana_name().unwrap_or("UTC").to_owned(),
                place: zone.place.clone(),
            },
        }
    }
}

/// What is right; the rest goes to `mistakes`.
fn good<T>(
    given: impl Iterator<Item = Result<T, Diagnostic>>,
    mistakes: &mut Vec<Diagnostic>,
) -> Vec<T> {
    given
        .filter_map(|one| one.map_err(|mistake| mistakes.push(mistake)).ok())
        .collect()
}

fn provider_file(text: &str) -> Result<ProviderFile, Diagnostic> {
    let place = Place::argument("--provider-ranges", text);
    let Some((name, file)) = text.split_once('=').filter(|(_, file)| !file.is_empty()) else {
        return Err(place
            .error("expected NAME=FILE", "no file")
            .help("--provider-ranges fastly=/etc/beacontail/fastly.cidr"));
    };
    Ok(ProviderFile {
        name: At {
            value: name.to_owned(),
            place: place.clone(),
        },
        file: At {
            value: PathBuf::from(file),
            place,
        },
    })
}

fn variable(text: &str) -> Result<Variable, Diagnostic> {
    let place = Place::argument("--var", text);
    let Some((name, value)) = text.split_once('=') else {
        return Err(place
            .error("expected NAME=VALUE", "no `=`")
            .help("--var beacon_path=/pixel.gif"));
    };
    Ok(Variable {
        name: At {
            value: name.to_owned(),
            place: place.clone(),
        },
        value: Given::Commas(value.to_owned()),
        place,
    })
}

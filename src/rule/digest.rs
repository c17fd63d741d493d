//! What a metric counts, as one short value: equal digests count equally.
//!
//! A daemon keeps a metric's totals over restarts, reloads and upgrades as long as the metric means the
//! same. The digest covers everything that decides what is counted: the metric's matchers, labels,
//! value and buckets, every derived field it leads to, and the values of the variables in them.
//! It leaves out what only shows: help texts, Graphite paths, limits, comments, the order of files;
//! and knowledge that changes by itself: geo databases, lists of addresses, what a `map_file` holds (its
//! name takes part, a `map` in the rule file does whole).
//!
//! It errs to one side: a definition that is written differently and means the same has another
//! digest, so its counts start at 0. The other way about, two meanings never share one.

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};

use super::register::{RuleSource, estimated_name, near_name};
use super::vars::Vars;
use crate::definition::{
    At, Case, Derivation, FieldDefinition, FieldSource, MetricDefinition, RuleSetDefinition,
};

/// Digest of what all rule sets of `source` together count as `metric`.
pub fn digest(source: &RuleSource<'_>, metric: &str) -> [u8; 32] {
    let mut parts = BTreeSet::new();
    for set in &source.sets {
        let vars = Vars::of(set, source.overrides);
        for definition in set.metrics.iter().filter(|known| makes(known, metric)) {
            parts.insert(described(definition, set, &vars).0);
        }
    }
    let mut hash = Sha256::new();
    hash.update(format!("{metric:?} {:?}\n", source.file_labels));
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into()
}

/// Whether a definition makes this metric: itself, its near misses, its weighted twin.
fn makes(definition: &MetricDefinition, metric: &str) -> bool {
    let name = definition.name.value.as_str();
    metric == name || metric == near_name(name) || metric == estimated_name(name)
}

/// The metric and everything it leads to.
fn described(definition: &MetricDefinition, set: &RuleSetDefinition, vars: &Vars) -> Text {
    let mut text = Text::default();
    text.metric(definition);
    let mut waiting: Vec<&FieldDefinition> = set.fields.iter().collect();
    // A field may lead to another one, so what is left is gone through until nothing is added.
    loop {
        let (used, rest): (Vec<_>, Vec<_>) = waiting
            .into_iter()
            .partition(|field| text.names(&field.name.value));
        if used.is_empty() {
            break;
        }
        used.into_iter().for_each(|field| text.field(field));
        waiting = rest;
    }
    for (name, value) in vars.all() {
        if text.names(name) {
            text.item("var", &format!("{name:?} {value:?}"));
        }
    }
    text
}

/// One item a line, each value quoted, so that no two definitions run together.
#[derive(Default)]
struct Text(String);

impl Text {
    fn item(&mut self, key: &str, value: &str) {
        self.0.push_str(key);
        self.0.push(' ');
        self.0.push_str(value);
        self.0.push('\n');
    }

    fn texts<'t>(&mut self, key: &str, values: impl IntoIterator<Item = &'t At<String>>) {
        for value in values {
            self.item(key, &format!("{:?}", value.value));
        }
    }

    fn pairs(&mut self, key: &str, pairs: &[(At<String>, At<String>)]) {
        for (left, right) in pairs {
            self.item(key, &format!("{:?} {:?}", left.value, right.value));
        }
    }

    fn metric(&mut self, definition: &MetricDefinition) {
        self.texts("metric", [&definition.name]);
        self.item("type", &format!("{:?}", definition.kind));
        self.texts("match", &definition.matchers);
        self.pairs("label", &definition.labels);
        self.texts("value", &definition.value);
        self.texts("bucket", &definition.buckets);
        self.texts("near", &definition.near);
        if let Some(weight) = &definition.weight {
            self.item("weight", &format!("{:?}", weight.value));
        }
    }

    fn field(&mut self, field: &FieldDefinition) {
        self.texts("field", [&field.name]);
        match &field.source {
            FieldSource::Derive(derivation) => self.derivation(derivation),
            FieldSource::Client(sources) => self.texts("client", sources),
            FieldSource::Geo { place, of, empty } => {
                self.texts("geo", [place, of]);
                self.texts("empty", empty);
            }
            FieldSource::Provider {
                of,
                other_than,
                none,
            } => {
                self.texts("provider_of", [of]);
                self.texts("other_than", other_than);
                self.texts("none", none);
            }
        }
    }

    fn derivation(&mut self, derivation: &Derivation) {
        self.texts("from", &derivation.from);
        self.texts("regex", &derivation.regex);
        // One word for the two cases without it: definitions older than `uppercase` keep their digest.
        let lowercase = match derivation.case {
            None => "no",
            Some(Case::Lower) => "yes",
            Some(Case::Upper) => "upper",
        };
        self.item("lowercase", lowercase);
        self.texts("map_file", &derivation.map_file);
        let written = derivation.map.iter();
        for (from, to) in written.filter(|_| derivation.map_file.is_none()) {
            self.item("map", &format!("{from:?} {:?}", to.value));
        }
        if let Some(values) = &derivation.values {
            self.item("values", &format!("{:?}", values.value));
        }
        self.texts("other", &derivation.other);
        self.texts("empty", &derivation.empty);
    }

    /// Whether the name stands anywhere in what is written so far. A word inside a pattern counts
    /// too: at worst the digest covers more than it must.
    fn names(&self, name: &str) -> bool {
        let part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        self.0.split(|c| !part(c)).any(|word| word == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::{Catalog, Var};
    use std::collections::BTreeMap;

    const SEED: &str = r#"
        [vars]
        path = "/beacon.gif"
        unused = "x"
        [fields]
        raw = { from = ["arg_source"], lowercase = true }
        provider = { from = ["raw"], values = ["fastly"], other = "other" }
        size = { from = ["bytes_sent"] }
        [[metric]]
        name = "beacons_total"
        help = "Beacons."
        match = 'path="$path"'
        labels = ["provider"]
        near = 'path=~".*gif"'
        [[metric]]
        name = "lines_total"
        help = "Lines."
    "#;

    fn digest_of(text: &str, metric: &str, overrides: &[(&str, &str)]) -> [u8; 32] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("rules")).unwrap();
        std::fs::write(folder.path().join("rules/seed.toml"), text).unwrap();
        let (catalog, mistakes) = Catalog::open(&[folder.path().to_path_buf()]);
        assert!(mistakes.is_empty(), "{mistakes:?}");
        let overrides: BTreeMap<String, Var> = overrides
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Var::Text((*value).to_owned())))
            .collect();
        let source = RuleSource {
            sets: vec![&catalog.rule_set("seed").unwrap().definition],
            overrides: &overrides,
            only: &[],
            by: None,
            file_labels: &[],
        };
        digest(&source, metric)
    }

    #[test]
    fn what_only_shows_leaves_the_digest_alone() {
        let seed = digest_of(SEED, "beacons_total", &[]);
        for (from, to) in [
            ("Beacons.", "Failure beacons."),
            ("\"Lines.\"", "\"Lines.\"\nmatch = 'status=\"200\"'"),
            ("[\"bytes_sent\"]", "[\"body_bytes_sent\"]"),
            ("\"x\"", "\"y\""),
            ("[fields]", "# a comment\n[fields]"),
        ] {
            let changed = SEED.replace(from, to);
            assert_ne!(changed, SEED);
            assert_eq!(digest_of(&changed, "beacons_total", &[]), seed, "{from}");
        }
        assert_eq!(digest_of(SEED, "beacons_total", &[("unused", "z")]), seed);
    }

    #[test]
    fn what_decides_a_count_changes_the_digest() {
        let seed = digest_of(SEED, "beacons_total", &[]);
        for (from, to) in [
            ("$path\"'", "$path\", status=\"200\"'"),
            ("/beacon.gif", "/pixel.gif"),
            ("lowercase = true", "lowercase = false"),
            ("lowercase = true", "uppercase = true"),
            ("\"arg_source\"", "\"arg_cdn\""),
            ("[\"fastly\"]", "[\"fastly\", \"akamai\"]"),
            ("labels = [\"provider\"]", "labels = { cdn = \"provider\" }"),
        ] {
            let changed = SEED.replace(from, to);
            assert_ne!(changed, SEED);
            assert_ne!(digest_of(&changed, "beacons_total", &[]), seed, "{from}");
        }
        assert_ne!(digest_of(SEED, "beacons_total", &[("path", "/x")]), seed);
    }

    #[test]
    fn near_misses_have_a_digest_of_their_own() {
        let near = digest_of(SEED, "beacon_near_misses_total", &[]);
        assert_ne!(near, digest_of(SEED, "beacons_total", &[]));
        let changed = SEED.replace(".*gif", ".*png");
        assert_ne!(digest_of(&changed, "beacon_near_misses_total", &[]), near);
    }

    #[test]
    fn what_a_map_file_holds_leaves_the_digest_alone_and_its_name_does_not() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("rules")).unwrap();
        let digest_with = |file: &str, map: &str| {
            let text = SEED.replace("lowercase = true", &format!("map_file = \"{file}\""));
            assert_ne!(text, SEED);
            std::fs::write(folder.path().join("rules/seed.toml"), text).unwrap();
            std::fs::write(folder.path().join("rules").join(file), map).unwrap();
            let (catalog, mistakes) = Catalog::open(&[folder.path().to_path_buf()]);
            assert!(mistakes.is_empty(), "{mistakes:?}");
            let source = RuleSource {
                sets: vec![&catalog.rule_set("seed").unwrap().definition],
                overrides: &BTreeMap::new(),
                only: &[],
                by: None,
                file_labels: &[],
            };
            digest(&source, "beacons_total")
        };
        let first = digest_with("hosts.tsv", "a fastly\n");
        assert_eq!(digest_with("hosts.tsv", "a fastly\nb akamai\n"), first);
        assert_ne!(digest_with("nodes.tsv", "a fastly\n"), first);
    }
}

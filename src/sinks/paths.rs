//! Where the series of a metric stand in Graphite's tree.
//!
//! A path is the prefix, then the metric's own paths with `{label}` replaced; without any, the
//! metric's name (less `_total`) and its label values. Each node is made safe on its own, before
//! nodes are joined: a dot in a label value can not become a level of the tree.
//!
//! With tags a path is prefix and name, then `;label=value` sorted by label, the form under which
//! carbon files a tagged series. Paths of the metric are then of no use and are not looked at.
//!
//! Invariant: what a label holds changes neither the number of nodes nor of tags, and every path is
//! printable ASCII without blanks beyond the prefix, which is written as the operator wrote it. Two
//! series may get one path; who writes their values adds them up.

use std::collections::HashSet;

use crate::metrics::{Decimal, Kind, Metric};

/// Longest node in bytes; file names of carbon end at 255 with their suffix.
pub(super) const NODE_BYTES: usize = 128;

/// A path, and which value of a cell it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// All of it, prefix and tags included.
    pub path: String,
    /// Position in [`values`].
    pub value: usize,
    /// Microseconds: written whole, after what meets at the path was added up.
    pub whole: bool,
}

/// The paths of one metric, whatever its labels hold.
#[derive(Clone, Debug)]
pub struct Paths {
    /// Empty, or with a dot at its end.
    prefix: String,
    name: String,
    labels: Vec<String>,
    /// Paths with `{label}` in their nodes; when empty, name and label values are the path.
    templates: Vec<String>,
    endings: Vec<String>,
    tags: bool,
}

impl Paths {
    /// Paths of `metric`; `own` takes the place of those that its rule names. Dots at the end of
    /// `prefix` do not count.
    pub fn new(prefix: &str, metric: &Metric, own: Option<&[String]>, tags: bool) -> Paths {
        let templates = own.unwrap_or(&metric.graphite);
        Paths {
            prefix: with_dot(prefix),
            name: node(metric.name.strip_suffix("_total").unwrap_or(&metric.name)),
            labels: metric.labels.clone(),
            templates: if tags { &[] } else { templates }.to_vec(),
            endings: endings(&metric.kind),
            tags,
        }
    }

    /// The paths that a series feeds, each once. `labels` are its values in the metric's order; one
    /// that is missing counts as empty.
    pub fn leaves(&self, labels: &[&str]) -> Vec<Leaf> {
        let tags = if self.tags {
            self.tagged(labels)
        } else {
            String::new()
        };
        let mut seen = HashSet::new();
        let mut leaves = Vec::new();
        for base in self.bases(labels) {
            for (value, ending) in self.endings.iter().enumerate() {
                let path = format!("{}{base}{ending}{tags}", self.prefix);
                if seen.insert(path.clone()) {
                    leaves.push(Leaf {
                        path,
                        value,
                        whole: ending == ".sum_us",
                    });
                }
            }
        }
        leaves
    }

    /// Paths without prefix, endings and tags.
    fn bases(&self, labels: &[&str]) -> Vec<String> {
        if self.tags {
            return vec![self.name.clone()];
        }
        if self.templates.is_empty() {
            let values = self.pairs(labels).map(|(_, value)| node(value));
            let nodes: Vec<String> = [self.name.clone()].into_iter().chain(values).collect();
            return vec![nodes.join(".")];
        }
        let templates = self.templates.iter();
        templates.map(|path| self.filled(path, labels)).collect()
    }

    /// A path of the metric with its labels in place.
    fn filled(&self, path: &str, labels: &[&str]) -> String {
        let fill = |part: &str| {
            let name_after = part.split_once('}');
            let (name, after) = name_after.unwrap_or((part, ""));
            let found = self.pairs(labels).find(|(label, _)| *label == name);
            node(found.map_or("", |(_, value)| value)) + after
        };
        let nodes = path.split('.').map(|text| {
            let mut parts = text.split('{');
            let start = parts.next().unwrap_or_default().to_owned();
            node(&parts.fold(start, |text, part| text + &fill(part)))
        });
        nodes.collect::<Vec<_>>().join(".")
    }

    /// `;label=value` for each label. Carbon sorts tags by name before it files a series.
    fn tagged(&self, labels: &[&str]) -> String {
        let mut tags: Vec<(&str, String)> = self
            .pairs(labels)
            .map(|(label, value)| (tag_name(label), tag_value(value)))
            .collect();
        tags.sort();
        let tags = tags.iter().map(|(name, value)| format!(";{name}={value}"));
        tags.collect()
    }

    fn pairs<'p>(&'p self, labels: &'p [&str]) -> impl Iterator<Item = (&'p str, &'p str)> {
        let values = labels.iter().copied().chain(std::iter::repeat(""));
        self.labels.iter().map(String::as_str).zip(values)
    }
}

/// A path of our own making: prefix and nodes, each node made safe.
pub fn joined(prefix: &str, nodes: &[&str]) -> String {
    let nodes: Vec<String> = nodes.iter().map(|text| node(text)).collect();
    with_dot(prefix) + &nodes.join(".")
}

/// The numbers of a cell: one, or a histogram's cumulative buckets, its sum in microseconds and its
/// count.
pub fn values(kind: &Kind, cell: &[u64]) -> Vec<Decimal> {
    if !matches!(kind, Kind::Buckets(_)) {
        return vec![kind.amount(cell)];
    }
    let micros = Decimal(kind.observed_sum(cell).0.saturating_mul(1_000_000));
    let count = Decimal::whole(kind.observations(cell));
    let bounds = kind.cumulative(cell).map(|(_, n)| Decimal::whole(n));
    bounds.chain([micros, count]).collect()
}

/// To a whole number, half up.
pub(super) fn rounded(value: Decimal) -> Decimal {
    const ONE: i128 = 1_000_000_000;
    Decimal(
        value
            .0
            .saturating_add(ONE / 2)
            .div_euclid(ONE)
            .saturating_mul(ONE),
    )
}

/// A node that no carbon, shell or URL takes for something else.
pub(super) fn node(text: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    cleaned(text, safe)
}

/// A tag's value. Carbon takes any ASCII but `;`, and `~` not at the beginning; blanks end the path
/// of a plaintext line. What quotes or matches in a query or a shell stays out as well.
fn tag_value(text: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || "_-.:/+@,%".contains(c);
    cleaned(text, safe)
}

/// Names of labels are names of tags as they are, but for `name`: under it carbon files the path
/// before the tags, and a tag of that name would be lost.
fn tag_name(label: &str) -> &str {
    if label == "name" { "name_" } else { label }
}

/// At most [`NODE_BYTES`], anything unsafe replaced, never empty.
fn cleaned(text: &str, safe: impl Fn(char) -> bool) -> String {
    let chars = text.chars().take(NODE_BYTES);
    let text: String = chars.map(|c| if safe(c) { c } else { '_' }).collect();
    if text.is_empty() {
        "_".to_owned()
    } else {
        text
    }
}

fn with_dot(prefix: &str) -> String {
    let prefix = prefix.trim_end_matches('.');
    let dot = if prefix.is_empty() { "" } else { "." };
    format!("{prefix}{dot}")
}

/// What follows the path for each of [`values`].
fn endings(kind: &Kind) -> Vec<String> {
    if !matches!(kind, Kind::Buckets(_)) {
        return vec![String::new()];
    }
    let zeros = vec![0; kind.width()];
    let bounds = kind
        .cumulative(&zeros)
        .map(|(le, _)| format!(".le_{}", node(&le.replace("+Inf", "inf"))));
    bounds
        .chain([".sum_us".to_owned(), ".count".to_owned()])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sinks::made::{HOSTILE, buckets, metric, observed};
    use proptest::prelude::*;

    fn paths_of(paths: &Paths, labels: &[&str]) -> Vec<String> {
        let leaves = paths.leaves(labels).into_iter();
        leaves.map(|leaf| leaf.path).collect()
    }

    #[test]
    fn paths_of_the_configuration_take_the_place_of_the_rules() {
        let mut beacons = metric("beacons_total", &["provider", "pop"], Kind::Count);
        beacons.graphite = vec!["rule.{provider}".to_owned()];
        let own = ["a.{pop}.{provider}".to_owned(), "all".to_owned()];
        let paths = Paths::new("web.", &beacons, Some(&own), false);
        assert_eq!(
            paths_of(&paths, &["fastly", "f.ra"]),
            ["web.a.f_ra.fastly", "web.all"]
        );
        let rules = Paths::new("", &beacons, None, false);
        assert_eq!(paths_of(&rules, &["fastly", "fra"]), ["rule.fastly"]);
        let none = Paths::new("web", &beacons, Some(&[]), false);
        assert_eq!(paths_of(&none, &["fastly"]), ["web.beacons.fastly._"]);
    }

    #[test]
    fn tags_are_sorted_and_safe_and_ignore_paths() {
        let mut n = metric("n_total", &["z", "name", "b"], Kind::Count);
        n.graphite = vec!["rule.{z}".to_owned()];
        let own = ["own.{z}".to_owned()];
        let paths = Paths::new("web.h", &n, Some(&own), true);
        assert_eq!(
            paths_of(&paths, &["~a;b=c d\n", "x", ""]),
            ["web.h.n;b=_;name_=x;z=_a_b_c_d_"]
        );
        assert_eq!(
            paths_of(&paths, &["1.2.3.4:80/x", "é", "ok"]),
            ["web.h.n;b=ok;name_=_;z=1.2.3.4:80/x"]
        );
    }

    #[test]
    fn endings_of_a_histogram_belong_to_the_name_not_to_a_tag() {
        let seconds = metric("s", &["x"], buckets(&["0.005"]));
        let paths = Paths::new("", &seconds, None, true);
        let leaves = paths.leaves(&["a"]);
        let all: Vec<(&str, usize, bool)> = leaves
            .iter()
            .map(|leaf| (leaf.path.as_str(), leaf.value, leaf.whole))
            .collect();
        assert_eq!(
            all,
            [
                ("s.le_0_005;x=a", 0, false),
                ("s.le_inf;x=a", 1, false),
                ("s.sum_us;x=a", 2, true),
                ("s.count;x=a", 3, false),
            ]
        );
        let cell = observed(&[1, 2], "0.0000015");
        assert_eq!(values(&seconds.kind, &cell).len(), leaves.len());
    }

    #[test]
    fn paths_of_our_own_are_safe_nodes_under_the_prefix() {
        assert_eq!(
            joined("web.h", &["beacontail", "my.log", "lines"]),
            "web.h.beacontail.my_log.lines"
        );
        assert_eq!(joined("", &["beacontail", ""]), "beacontail._");
    }

    proptest! {
        #[test]
        fn labels_change_neither_nodes_nor_tags(x in any::<String>(), y in any::<String>()) {
            let n = metric("n_total", &["x", "y"], buckets(&["1"]));
            for tags in [false, true] {
                let paths = Paths::new("p", &n, None, tags);
                let shape = |path: &str| {
                    let name = path.split(';').next().unwrap_or_default();
                    (name.split('.').count(), path.split(';').count())
                };
                let expected: Vec<_> = paths_of(&paths, &["a", "b"]).iter().map(|p| shape(p)).collect();
                for labels in [[x.as_str(), y.as_str()], [HOSTILE, x.as_str()]] {
                    let found = paths_of(&paths, &labels);
                    prop_assert_eq!(found.iter().map(|p| shape(p)).collect::<Vec<_>>(), expected.clone());
                    for path in found {
                        prop_assert!(path.bytes().all(|b| b.is_ascii_graphic()));
                        prop_assert!(path.split(['.', ';']).all(|part| part.len() <= NODE_BYTES + 6));
                    }
                }
            }
        }
    }
}

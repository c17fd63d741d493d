//! Parser files as data: formats and rule sets as their authors wrote them, each value with the
//! place where it stands.
//!
//! Invariant: a definition is well-typed and complete (known keys, right types, `extends`
//! resolved), never checked for meaning. Whether a field exists, a regex compiles or a matcher
//! parses is decided by `parse` and `rule`, which point back here through [`Place`].

mod catalog;
mod extend;
mod flat;
mod haproxy;
mod load;
mod load_rules;
mod pasted;
pub(crate) mod quoted;
pub(crate) mod toml_text;
mod written;

pub use catalog::{Catalog, FormatEntry, Origin, RuleSetEntry};

use crate::diagnostic::Place;

/// A value and where it stands in a file or on the command line.
#[derive(Clone, Debug)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    pub place: Place,
}

/// A log format: how a line becomes fields. One file `NAME.toml` in a parser folder.
#[derive(Clone, Debug)]
pub struct FormatDefinition {
    /// File name without `.toml`.
    pub name: String,
    /// One sentence for `parsers list`.
    pub description: String,
    /// The layout, after `extends` and `format.append`.
    pub layout: At<LayoutDefinition>,
    /// Where the time of a line stands when it is not the layout's own time variable.
    pub time: TimeDefinition,
    /// `units.FIELD = "ms"`: what a number in the field counts; seconds everywhere after reading.
    pub units: Vec<(At<String>, At<Unit>)>,
    /// Fields that every line of the format has with the same value, such as `cdn = "cloudfront"`.
    pub constants: Vec<(At<String>, At<String>)>,
    /// Fields that a line must have to count as read, beside its time.
    pub require: Vec<At<String>>,
    /// Rule sets that count this format's records unless the user names others.
    pub rules: Vec<At<String>>,
    /// Position in detection, lower first; `None`: only by name.
    pub detect: Option<i64>,
    /// Lines with the fields they must give.
    pub examples: Vec<FormatExample>,
}

/// The `format` table: exactly one layout.
#[derive(Clone, Debug)]
pub enum LayoutDefinition {
    /// A server's own format string.
    Server {
        /// Whose.
        dialect: Dialect,
        /// The text as the server gets it: a pasted directive's name and quotes are gone.
        text: At<String>,
    },
    /// A regular expression with named groups, Rust's or Python's spelling.
    Regex {
        /// The pattern.
        pattern: At<String>,
    },
    /// One JSON object a line.
    Json {
        /// Field name (may end in `*`) and its paths into the object; the first that leads to
        /// something counts.
        fields: Vec<(At<String>, Vec<At<String>>)>,
    },
    /// W3C extended log: the file itself names its columns.
    W3c {
        /// Field name and column name, for columns whose usual field name is not wanted.
        fields: Vec<(At<String>, At<String>)>,
        /// Columns of lines before any `#Fields:` directive.
        columns: Option<At<String>>,
        /// How values are escaped.
        escape: ColumnEscape,
    },
    /// Columns parted by a character.
    Columns(Box<ColumnsDefinition>),
    /// `key=value` pairs.
    Logfmt {
        /// Field name and key.
        fields: Vec<(At<String>, At<String>)>,
    },
}

/// `format.csv` or `format.tsv`; what is `None` is the parent's, or as usual.
#[derive(Clone, Debug)]
pub struct ColumnsDefinition {
    /// `tsv`: parted by TABs, without quotes, unless said otherwise.
    pub tabs: bool,
    /// Field names in the order of the columns; `-` for one that is not wanted.
    pub columns: Option<Vec<At<String>>>,
    /// Field name and column name, for columns that a header names.
    pub fields: Option<Vec<(At<String>, At<String>)>>,
    /// Between two columns.
    pub separator: Option<u8>,
    /// Around a value that may hold separators; `Some(None)` for none.
    pub quote: Option<Option<u8>>,
    /// A run of separators is one.
    pub repeat: Option<bool>,
    /// A line of the file names the columns.
    pub header: Option<bool>,
    /// So many of the last columns may be missing.
    pub optional: Option<usize>,
    /// A value that says that there is none, beside `-` and the empty one.
    pub absent: Option<String>,
    /// How values are escaped.
    pub escape: Option<ColumnEscape>,
}

/// The servers whose format strings are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// nginx `log_format`.
    Nginx(NginxEscape),
    /// Apache `LogFormat`.
    Apache,
    /// HAProxy `log-format`; `httplog`, `httpslog` and `tcplog` stand for its own.
    Haproxy,
    /// `varnishncsa -F`.
    Varnishncsa,
    /// Envoy's `text_format`.
    Envoy,
}

impl Dialect {
    /// The key below `format`.
    pub fn name(self) -> &'static str {
        match self {
            Dialect::Nginx(_) => "nginx",
            Dialect::Apache => "apache",
            Dialect::Haproxy => "haproxy",
            Dialect::Varnishncsa => "varnishncsa",
            Dialect::Envoy => "envoy",
        }
    }
}

/// nginx's `log_format … escape=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NginxEscape {
    /// `\xHH` for quotes, backslashes and bytes outside printable ASCII.
    Default,
    /// JSON string escapes.
    Json,
    /// Nothing is escaped.
    None,
    /// A backslash before a quote and before nothing else: not nginx but Traefik.
    Quote,
}

/// How a log of columns escapes values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnEscape {
    /// `%HH` (CloudFront; also its older double encoding).
    Percent,
    /// `+` for spaces, nothing else (IIS).
    Plus,
    /// `%HH`, and `+` for spaces (Akamai).
    Form,
    /// `\"`, `\\`, `\n` and `\xHH`, as Apache's.
    Backslash,
    /// Values are written as they are.
    None,
}

/// The `time` table of a format.
#[derive(Clone, Debug, Default)]
pub struct TimeDefinition {
    /// The field that holds the time; the layout's own time variable when absent.
    pub field: Option<At<String>>,
    /// `clf`, `rfc3339`, `epoch`, `any` or a strftime text.
    pub format: Option<At<String>>,
    /// The field that holds the date when `field` holds the time of day, as in W3C's logs.
    pub date: Option<At<String>>,
    /// A regex whose first group finds the time anywhere in the line.
    pub search: Option<At<String>>,
}

/// What a number in a field counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// `s`
    Seconds,
    /// `ms`
    Milliseconds,
    /// `us`
    Microseconds,
    /// `ns`
    Nanoseconds,
}

/// `[[example]]` of a format.
#[derive(Clone, Debug)]
pub struct FormatExample {
    /// One log line.
    pub line: At<String>,
    /// Field values the line must give, decoded; `time` as RFC 3339.
    pub fields: Vec<(At<String>, At<String>)>,
}

/// A rule set: what fields are counted as. One file `rules/NAME.toml` in a parser folder.
#[derive(Clone, Debug)]
pub struct RuleSetDefinition {
    /// File name without `.toml`.
    pub name: String,
    /// One sentence for `parsers list`.
    pub description: String,
    /// Variables with their defaults.
    pub vars: Vec<(At<String>, At<Var>)>,
    /// Derived fields, in file order.
    pub fields: Vec<FieldDefinition>,
    /// Metrics, in file order.
    pub metrics: Vec<MetricDefinition>,
    /// Fields with the counts they must give.
    pub examples: Vec<RuleExample>,
}

/// A variable's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Var {
    /// `beacon_path = "/x"`
    Text(String),
    /// `providers = ["a", "b"]`
    List(Vec<String>),
}

/// A derived field.
#[derive(Clone, Debug)]
pub struct FieldDefinition {
    /// Its name, usable wherever a format's field is.
    pub name: At<String>,
    /// How its value comes about.
    pub source: FieldSource,
}

/// Where a derived field's value comes from.
#[derive(Clone, Debug)]
pub enum FieldSource {
    /// `from` → `regex` → `lowercase`/`uppercase` → `map` → `values`/`other`; `empty` when absent.
    Derive(Box<Derivation>),
    /// `client_addr`: sources of the client walk, the peer last.
    Client(Vec<At<String>>),
    /// `geoip = PLACE, of = FIELD`.
    Geo {
        /// `country`, `continent`, `city` or `asn`.
        place: At<String>,
        /// The field that holds the address.
        of: At<String>,
        /// Value when the address or its place is not known.
        empty: Option<At<String>>,
    },
    /// `provider_of = FIELD`: the provider in whose ranges an address lies.
    Provider {
        /// The field that holds the address.
        of: At<String>,
        /// The field that claims a provider; there is a value only where the address contradicts it.
        other_than: Option<At<String>>,
        /// Value of a public address in nobody's ranges.
        none: Option<At<String>>,
    },
}

/// The steps of a derived field, in the order they are taken.
#[derive(Clone, Debug, Default)]
pub struct Derivation {
    /// Fields to try; the first that is present is taken.
    pub from: Vec<At<String>>,
    /// The first group, or the whole match; absent when it does not match.
    pub regex: Option<At<String>>,
    /// `lowercase` or `uppercase`.
    pub case: Option<Case>,
    /// Exact value to value.
    pub map: Vec<(String, At<String>)>,
    /// The file, as it was named, that `map` was read from.
    pub map_file: Option<At<String>>,
    /// The declared values; `$name` for a list variable.
    pub values: Option<At<Var>>,
    /// Stands for every value that is not declared.
    pub other: Option<At<String>>,
    /// Stands for an absent value.
    pub empty: Option<At<String>>,
}

/// The case that a derived field's ASCII letters are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// `lowercase = true`
    Lower,
    /// `uppercase = true`
    Upper,
}

/// `[[metric]]`.
#[derive(Clone, Debug)]
pub struct MetricDefinition {
    /// Prometheus name.
    pub name: At<String>,
    /// One sentence.
    pub help: At<String>,
    /// Counter unless `type` says otherwise.
    pub kind: MetricType,
    /// PromQL matchers, all must hold; every record when absent.
    pub matchers: Option<At<String>>,
    /// Label name and the field that gives its value.
    pub labels: Vec<(At<String>, At<String>)>,
    /// The field whose number is added, set or observed; lines are counted when absent.
    pub value: Option<At<String>>,
    /// Upper bounds of a histogram, ascending, as written.
    pub buckets: Vec<At<String>>,
    /// How many requests one line stands for in a sampled log.
    pub weight: Option<At<Weight>>,
    /// Matchers of records that should have matched.
    pub near: Option<At<String>>,
    /// Graphite paths with `{label}` nodes.
    pub graphite: Vec<At<String>>,
    /// Most series of this metric beside declared ones.
    pub series: Option<At<usize>>,
    /// Most values of one label beside declared ones.
    pub label_limits: Vec<(At<String>, At<usize>)>,
}

/// The type of a metric, with Prometheus' meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MetricType {
    /// Only grows.
    Counter,
    /// The newest value.
    Gauge,
    /// Cumulative buckets, sum and count.
    Histogram,
}

/// How many requests a line of a sampled log stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Weight {
    /// A decimal as written.
    Number(String),
    /// A field that holds it.
    Field(String),
}

/// `[[example]]` of a rule set.
#[derive(Clone, Debug)]
pub struct RuleExample {
    /// Where the example begins.
    pub place: Place,
    /// Networks that the example presumes to be a provider's, each behind the provider's name.
    pub ranges: Vec<(At<String>, At<String>)>,
    /// Field values to start from.
    pub fields: Vec<(At<String>, At<String>)>,
    /// `metric{label="value"}` and what the record adds to it; every series fed must be named.
    pub counts: Vec<(At<String>, At<String>)>,
}

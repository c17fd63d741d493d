//! Rule files: `parsers/rules/NAME.toml` as data.
//!
//! Invariant: all mistakes of a file are reported together, and a file with a mistake gives
//! nothing; numbers are kept as their author wrote them. Fields, matchers and variables are not
//! resolved. The one other file that a rule file names, a `map_file`, is read here.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::de::DeTable;

use super::toml_text::{Item, Reader, Table};
use super::{
    At, Case, Derivation, FieldDefinition, FieldSource, MetricDefinition, MetricType, RuleExample,
    RuleSetDefinition, Var, Weight,
};
use crate::diagnostic::{Diagnostic, Piece, Place, SourceText};

const TYPES: [(&str, MetricType); 3] = [
    ("counter", MetricType::Counter),
    ("gauge", MetricType::Gauge),
    ("histogram", MetricType::Histogram),
];

/// A key and its value.
type Pair = (At<String>, At<String>);

/// What values become.
type Mapped = Vec<(String, At<String>)>;

/// Where the files stand that a rule file names.
pub(super) struct Folder<'f> {
    /// The folder of the rule file.
    pub(super) path: PathBuf,
    /// Reads a whole file.
    pub(super) read: &'f dyn Fn(&Path) -> io::Result<String>,
}

/// Reads a rule file; `folder` is `None` for a file compiled into the program.
pub(super) fn rule_set(
    source: &Arc<SourceText>,
    name: &str,
    folder: Option<&Folder<'_>>,
) -> Result<RuleSetDefinition, Vec<Diagnostic>> {
    let (table, errors) = DeTable::parse_recoverable(&source.text);
    let mut reader = Reader::new(source, &errors);
    let mut root = Table::root(&reader, table.get_ref());
    let description = root.text(&mut reader, "description");
    let rules = RuleSetDefinition {
        name: name.to_owned(),
        description: description.map(|text| text.value).unwrap_or_default(),
        vars: root.pairs(&mut reader, "vars", var),
        fields: fields(&mut root, &mut reader, folder),
        metrics: root
            .tables(&mut reader, "metric", "in this metric")
            .into_iter()
            .filter_map(|table| metric(table, &mut reader))
            .collect(),
        examples: root
            .tables(&mut reader, "example", "in this example")
            .into_iter()
            .map(|table| example(table, &mut reader))
            .collect(),
    };
    root.finish(&mut reader);
    reader.finish(Some(rules))
}

fn var(item: &Item<'_>, reader: &mut Reader<'_>) -> Option<At<Var>> {
    if let Some(text) = item.as_text(reader) {
        return Some(At {
            value: Var::Text(text.value),
            place: text.place,
        });
    }
    list_var(item, reader, "a string or a list of strings")
}

fn list_var(item: &Item<'_>, reader: &mut Reader<'_>, expected: &str) -> Option<At<Var>> {
    let elements = item.elements(reader, expected)?;
    let values = elements
        .iter()
        .filter_map(|element| Some(element.text(reader)?.value))
        .collect();
    Some(At {
        value: Var::List(values),
        place: item.place(reader),
    })
}

fn fields(
    root: &mut Table<'_>,
    reader: &mut Reader<'_>,
    folder: Option<&Folder<'_>>,
) -> Vec<FieldDefinition> {
    let Some(table) = root.take("fields").and_then(|item| item.table(reader, "")) else {
        return Vec::new();
    };
    let items = table.into_items().into_iter();
    items
        .filter_map(|item| {
            let source = field_source(&item, reader, folder)?;
            Some(FieldDefinition {
                name: item.key,
                source,
            })
        })
        .collect()
}

fn field_source(
    item: &Item<'_>,
    reader: &mut Reader<'_>,
    folder: Option<&Folder<'_>>,
) -> Option<FieldSource> {
    if let Some(from) = item.as_text(reader) {
        let derivation = Derivation {
            from: vec![from],
            ..Derivation::default()
        };
        return Some(FieldSource::Derive(Box::new(derivation)));
    }
    if !item.is_table() {
        item.not(reader, "a string or a table");
        return None;
    }
    let mut table = item.table(reader, "in this field")?;
    let source = if table.has("client_addr") {
        client(&mut table, reader)
    } else if table.has("geoip") {
        geo(&mut table, reader)
    } else if table.has("provider_of") {
        provider(&mut table, reader)
    } else {
        Some(FieldSource::Derive(Box::new(derivation(
            &mut table, reader, folder,
        ))))
    };
    table.finish(reader);
    source
}

fn client(table: &mut Table<'_>, reader: &mut Reader<'_>) -> Option<FieldSource> {
    let item = table.take("client_addr")?;
    let before = reader.count();
    let sources = item.text_or_texts(reader);
    if sources.is_empty() && reader.count() == before {
        reader.report(
            item.place(reader)
                .error("no source for the client's address", ""),
        );
    }
    Some(FieldSource::Client(sources))
}

fn geo(table: &mut Table<'_>, reader: &mut Reader<'_>) -> Option<FieldSource> {
    let place = table.text(reader, "geoip");
    let of = table.need_text(reader, "of");
    let empty = table.text(reader, "empty");
    Some(FieldSource::Geo {
        place: place?,
        of: of?,
        empty,
    })
}

fn provider(table: &mut Table<'_>, reader: &mut Reader<'_>) -> Option<FieldSource> {
    let of = table.text(reader, "provider_of");
    let other_than = table.text(reader, "other_than");
    let none = table.text(reader, "none");
    Some(FieldSource::Provider {
        of: of?,
        other_than,
        none,
    })
}

fn derivation(
    table: &mut Table<'_>,
    reader: &mut Reader<'_>,
    folder: Option<&Folder<'_>>,
) -> Derivation {
    if !table.has("from") {
        let missing = Diagnostic::new("missing key `from`");
        let help = "or `client_addr`, or `geoip` with `of`, or `provider_of`";
        table.missing("from", missing.help(help));
    }
    let (map, map_file) = map(table, reader, folder);
    let derivation = Derivation {
        from: table.text_or_texts(reader, "from"),
        regex: table.text(reader, "regex"),
        case: case(table, reader),
        map,
        map_file,
        values: table.take("values").and_then(|item| values(&item, reader)),
        other: table.text(reader, "other"),
        empty: table.text(reader, "empty"),
    };
    // They belong to the other kinds of fields; naming them makes them known to the help.
    table.known(&["client_addr", "geoip", "provider_of"]);
    derivation
}

/// `lowercase` or `uppercase`, of which only one can hold.
fn case(table: &mut Table<'_>, reader: &mut Reader<'_>) -> Option<Case> {
    let mut found: Option<(Case, Place)> = None;
    for (key, case) in [("lowercase", Case::Lower), ("uppercase", Case::Upper)] {
        let Some(item) = table.take(key) else {
            continue;
        };
        if item.boolean(reader) != Some(true) {
            continue;
        }
        if let Some((_, first)) = &found {
            let error = item
                .key
                .place
                .error("both `lowercase` and `uppercase`", "one of them");
            reader.report(error.note(first, "the other is here"));
        }
        found = Some((case, item.key.place.clone()));
    }
    found.map(|(case, _)| case)
}

fn values(item: &Item<'_>, reader: &mut Reader<'_>) -> Option<At<Var>> {
    let expected = "a list of strings or `\"$NAME\"`";
    let Some(text) = item.as_text(reader) else {
        return list_var(item, reader, expected);
    };
    if text.value.starts_with('$') {
        return Some(At {
            value: Var::Text(text.value),
            place: text.place,
        });
    }
    let error = text
        .place
        .error(format!("expected {expected}, found `{}`", text.value), "");
    reader.report(error.help(format!(
        "`[\"{}\"]`, or `\"${0}\"` with a list in `[vars]`",
        text.value
    )));
    None
}

fn map(
    table: &mut Table<'_>,
    reader: &mut Reader<'_>,
    folder: Option<&Folder<'_>>,
) -> (Mapped, Option<At<String>>) {
    let written = table.take("map");
    let file = table.take("map_file");
    if let (Some(map), Some(file)) = (&written, &file) {
        let error = file
            .key
            .place
            .error("both `map` and `map_file`", "one of them");
        reader.report(error.note(&map.key.place, "the other is here"));
    }
    if let Some(map) = written {
        let pairs = map.pairs(reader, |item, reader| item.text(reader));
        let pairs = pairs.into_iter();
        return (pairs.map(|(key, value)| (key.value, value)).collect(), None);
    }
    let Some(name) = file.and_then(|item| item.text(reader)) else {
        return (Vec::new(), None);
    };
    let pairs = map_file(&name, folder).unwrap_or_else(|mistakes| {
        mistakes
            .into_iter()
            .for_each(|mistake| reader.report(mistake));
        Vec::new()
    });
    (pairs, Some(name))
}

/// Reads `key value` lines; the first run of blanks parts them, `#` begins a comment line.
fn map_file(
    name: &At<String>,
    folder: Option<&Folder<'_>>,
) -> Result<Vec<(String, At<String>)>, Vec<Diagnostic>> {
    let Some(folder) = folder else {
        let error = name
            .place
            .error("`map_file` in a shipped rule set", "there is no folder");
        return Err(vec![error.help("`map = { … }`")]);
    };
    let path = folder.path.join(&name.value);
    let text = (folder.read)(&path).map_err(|error| {
        vec![
            name.place
                .error(format!("cannot read `{}`: {error}", path.display()), ""),
        ]
    })?;
    let source = SourceText::new(path.display().to_string(), text);
    let mut mistakes = Vec::new();
    let mut seen: BTreeMap<String, Place> = BTreeMap::new();
    let mut pairs = Vec::new();
    for (start, line) in lines(&source.text) {
        match map_line(&source, start, line) {
            Ok(None) => {}
            Err(mistake) => mistakes.push(mistake),
            Ok(Some((key, value))) => match seen.get(&key.value) {
                Some(first) => {
                    let error = key
                        .place
                        .error(format!("`{}` is given twice", key.value), "");
                    mistakes.push(error.note(first, "first given here"));
                }
                None => {
                    seen.insert(key.value.clone(), key.place);
                    pairs.push((key.value, value));
                }
            },
        }
    }
    if mistakes.is_empty() {
        Ok(pairs)
    } else {
        Err(mistakes)
    }
}

/// Lines without their ends, each with its first byte's position.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut next = 0;
    text.split_inclusive('\n').map(move |line| {
        let start = next;
        next += line.len();
        (start, line)
    })
}

fn map_line(
    source: &Arc<SourceText>,
    start: usize,
    line: &str,
) -> Result<Option<Pair>, Diagnostic> {
    let start = start + line.len() - line.trim_start().len();
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let part = |from: usize, text: &str| {
        let span = start + from..start + from + text.len();
        let piece = Piece {
            source: Arc::clone(source),
            decoded: 0..text.len(),
            written: span.clone(),
        };
        At {
            value: text.to_owned(),
            place: Place::new(source, span).with_pieces(vec![piece]),
        }
    };
    let Some((key, value)) = line.split_once([' ', '\t']) else {
        let place = part(0, line).place;
        return Err(place.error("expected a key and a value", "no value in this line"));
    };
    if key.starts_with('*') && !key.starts_with("*.") {
        let place = part(0, key).place;
        let error = place.error("a star that no dot follows", "not a name");
        return Err(error.help("`*.example.com` stands for all names below example.com"));
    }
    let value = value.trim_start();
    Ok(Some((part(0, key), part(line.len() - value.len(), value))))
}

fn metric(mut table: Table<'_>, reader: &mut Reader<'_>) -> Option<MetricDefinition> {
    let name = table.need_text(reader, "name");
    let help = table.need_text(reader, "help");
    let place = table.place.clone();
    let rest = MetricDefinition {
        name: name.clone().unwrap_or(At {
            value: String::new(),
            place: place.clone(),
        }),
        help: help.clone().unwrap_or(At {
            value: String::new(),
            place,
        }),
        kind: table
            .take("type")
            .and_then(|item| item.word(reader, "type", &TYPES))
            .map_or(MetricType::Counter, |kind| kind.value),
        matchers: table.text(reader, "match"),
        labels: table
            .take("labels")
            .map(|item| labels(&item, reader))
            .unwrap_or_default(),
        value: table.text(reader, "value"),
        buckets: table
            .take("buckets")
            .map(|item| buckets(&item, reader))
            .unwrap_or_default(),
        weight: table.take("weight").and_then(|item| weight(&item, reader)),
        near: table.text(reader, "near"),
        graphite: table.text_or_texts(reader, "graphite"),
        series: table.take("series").and_then(|item| limit(&item, reader)),
        label_limits: table.pairs(reader, "label_limits", limit),
    };
    table.finish(reader);
    (name.is_some() && help.is_some()).then_some(rest)
}

fn labels(item: &Item<'_>, reader: &mut Reader<'_>) -> Vec<(At<String>, At<String>)> {
    if item.is_table() {
        return item.pairs(reader, |item, reader| item.text(reader));
    }
    let elements = item
        .elements(reader, "a list of fields or a table")
        .unwrap_or_default();
    let fields = elements.iter().filter_map(|element| element.text(reader));
    fields.map(|field| (field.clone(), field)).collect()
}

fn buckets(item: &Item<'_>, reader: &mut Reader<'_>) -> Vec<At<String>> {
    let elements = item
        .elements(reader, "a list of numbers")
        .unwrap_or_default();
    elements
        .iter()
        .filter_map(|element| element.decimal(reader))
        .collect()
}

fn weight(item: &Item<'_>, reader: &mut Reader<'_>) -> Option<At<Weight>> {
    if let Some(number) = item.as_decimal(reader) {
        return Some(At {
            value: Weight::Number(number.value),
            place: number.place,
        });
    }
    let Some(field) = item.as_text(reader) else {
        item.not(reader, "a decimal number or the name of a field");
        return None;
    };
    Some(At {
        value: Weight::Field(field.value),
        place: field.place,
    })
}

fn limit(item: &Item<'_>, reader: &mut Reader<'_>) -> Option<At<usize>> {
    item.integer(reader, "a number of series")
}

/// Networks, one or a list behind each provider's name.
fn ranges(table: &mut Table<'_>, reader: &mut Reader<'_>) -> Vec<Pair> {
    let lists = table.pairs(reader, "ranges", |item, reader| {
        let value = item.text_or_texts(reader);
        let place = item.place(reader);
        Some(At { value, place })
    });
    let each = |(name, list): (At<String>, At<Vec<At<String>>>)| {
        let networks = list.value.into_iter();
        networks.map(move |network| (name.clone(), network))
    };
    lists.into_iter().flat_map(each).collect()
}

fn example(mut table: Table<'_>, reader: &mut Reader<'_>) -> RuleExample {
    let example = RuleExample {
        place: table.place.clone(),
        ranges: ranges(&mut table, reader),
        fields: table.pairs(reader, "fields", |item, reader| {
            item.text_or_decimal(reader)
        }),
        counts: table.pairs(reader, "counts", |item, reader| item.decimal(reader)),
    };
    table.finish(reader);
    example
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::render;
    use proptest::prelude::*;

    const VALID: &str = r#"[vars]
providers = ["akamai", "fastly"]
[fields]
provider = { from = "beacon_source", values = "$providers", other = "other", empty = "direct" }
pop      = { from = ["arg_pop"], regex = '-([A-Za-z]{3,4})$', map_file = "hosts.map" }
client   = { client_addr = ["http_x_forwarded_for", "remote_addr"] }
country  = { geoip = "country", of = "client" }
[[metric]]
name   = "failures_total"
help   = "Failures by provider."
match  = 'path="/x", beacon_source!=""'
labels = ["provider"]
buckets = [0.005, 1]
graphite = "beacons.{provider}.count"
[[example]]
fields = { path = "/x" }
counts = { 'failures_total{provider="fastly"}' = 1 }
"#;

    fn read_with(text: &str, map: &str) -> Result<RuleSetDefinition, Vec<Diagnostic>> {
        let read = |path: &Path| match path.to_str() {
            Some("rules/hosts.map") => Ok(map.to_owned()),
            _ => Err(io::Error::from(io::ErrorKind::NotFound)),
        };
        let folder = Folder {
            path: PathBuf::from("rules"),
            read: &read,
        };
        rule_set(&SourceText::new("rules/x.toml", text), "x", Some(&folder))
    }

    #[track_caller]
    fn check(text: &str, map: &str, expected: &str) {
        let picture = render(&read_with(text, map).err().unwrap_or_default(), false);
        assert_eq!(picture, expected, "\n{picture}");
    }

    fn derivation(text: &str, map: &str) -> Derivation {
        match read_with(text, map).unwrap().fields.remove(0).source {
            FieldSource::Derive(derivation) => *derivation,
            other => panic!("not derived: {other:?}"),
        }
    }

    fn values<T: Clone>(list: &[At<T>]) -> Vec<T> {
        list.iter().map(|one| one.value.clone()).collect()
    }

    #[test]
    fn whole_file_is_read() {
        let rules = read_with(VALID, "a b").unwrap();
        assert_eq!(
            (
                rules.fields.len(),
                rules.metrics.len(),
                rules.examples.len()
            ),
            (4, 1, 1)
        );
    }

    #[test]
    fn fields_are_in_file_order() {
        let rules = read_with("[fields]\nz = 'a'\na = 'b'\nm = 'c'\n", "").unwrap();
        let names: Vec<&str> = rules
            .fields
            .iter()
            .map(|field| field.name.value.as_str())
            .collect();
        assert_eq!(names, ["z", "a", "m"]);
    }

    #[test]
    fn numbers_stay_as_written() {
        let text = r#"[[metric]]
name = "a"
help = "b"
buckets = [0.0050, 1, 2.5e-3]
weight = 10.0
series = 5
labels = { cdn = "provider" }
[[example]]
counts = { 'a{x="y"}' = 1.50 }
"#;
        let rules = read_with(text, "").unwrap();
        let metric = rules.metrics.first().unwrap();
        assert_eq!(values(&metric.buckets), ["0.0050", "1", "2.5e-3"]);
        assert_eq!(
            metric.weight.as_ref().unwrap().value,
            Weight::Number("10.0".to_owned())
        );
        assert_eq!(metric.series.as_ref().unwrap().value, 5);
        let (label, field) = metric.labels.first().unwrap();
        assert_eq!(
            (label.value.as_str(), field.value.as_str()),
            ("cdn", "provider")
        );
        let (series, count) = rules.examples.first().unwrap().counts.first().unwrap();
        assert_eq!(
            (series.value.as_str(), count.value.as_str()),
            (r#"a{x="y"}"#, "1.50")
        );
    }

    #[test]
    fn short_forms_of_fields_are_read() {
        assert_eq!(values(&derivation("fields.a = 'b'", "").from), ["b"]);
        assert_eq!(
            values(&derivation("fields.a = { from = 'b' }", "").from),
            ["b"]
        );
        let listed = derivation("fields.a = { from = 'b', values = '$v' }", "")
            .values
            .unwrap();
        assert_eq!(listed.value, Var::Text("$v".to_owned()));
    }

    #[test]
    fn map_file_is_read_beside_the_rule_file() {
        let map = "\u{feff}# host provider\r\na.example\t fastly \r\n\r\nb.example  two words";
        let derived = derivation("fields.a = { from = 'b', map_file = 'hosts.map' }", map);
        let pairs: Vec<(&str, &str)> = derived
            .map
            .iter()
            .map(|(key, value)| (key.as_str(), value.value.as_str()))
            .collect();
        assert_eq!(pairs, [("a.example", "fastly"), ("b.example", "two words")]);
        let place = &derived.map.first().unwrap().1.place;
        assert_eq!(
            (place.line(), place.source().name.as_str()),
            (2, "rules/hosts.map")
        );
    }

    #[test]
    fn mistakes_in_a_map_file_are_shown_there() {
        let text = "[fields]\na = { from = 'b', map_file = 'hosts.map' }\n\
            b = { from = 'b', map_file = 'no.map' }\n";
        check(
            text,
            "a  1\nfoo\na 2\n",
            "\
error: expected a key and a value
 --> rules/hosts.map:2:1
  |
2 | foo
  | ^^^ no value in this line

error: `a` is given twice
 --> rules/hosts.map:3:1
  |
3 | a 2
  | ^
  |
note: first given here
 --> rules/hosts.map:1:1
  |
1 | a  1
  | ^

error: cannot read `rules/no.map`: entity not found
 --> rules/x.toml:3:31
  |
3 | b = { from = 'b', map_file = 'no.map' }
  |                               ^^^^^^
",
        );
    }

    #[test]
    fn stars_of_a_map_file_stand_before_a_dot() {
        let text = "fields.a = { from = 'b', map_file = 'hosts.map' }\n";
        let map = "# hosts\n*.example.com\tfastly\n*example.org  akamai\n";
        assert_eq!(
            render(&read_with(text, map).unwrap_err(), false),
            "\
error: a star that no dot follows
 --> rules/hosts.map:3:1
  |
3 | *example.org  akamai
  | ^^^^^^^^^^^^ not a name
  |
  = help: `*.example.com` stands for all names below example.com
",
        );
    }

    #[test]
    fn shipped_rule_set_has_no_map_file() {
        let source = SourceText::new("x", "fields.a = { from = 'b', map_file = 'hosts.map' }");
        let mistakes = rule_set(&source, "x", None).unwrap_err();
        assert_eq!(
            mistakes.first().unwrap().message,
            "`map_file` in a shipped rule set"
        );
    }

    #[test]
    fn mistakes_in_fields_are_reported_together() {
        let text = r#"[vars]
a = 1
[fields]
p = { form = "a", lowercase = "yes" }
q = { geoip = "country", from = "x" }
r = { from = "a", values = "b", map = {}, map_file = "m" }
s = { lowercase = true }
t = { client_addr = [] }
u = 5
"#;
        let expected = "\
error: expected a string or a list of strings, found an integer
 --> rules/x.toml:2:5
  |
2 | a = 1
  |     ^ for `a`

error: unknown key `form`
 --> rules/x.toml:4:7
  |
4 | p = { form = \"a\", lowercase = \"yes\" }
  |       ^^^^
  |
  = help: a key with a similar name exists: `from`

error: expected `true` or `false`, found a string
 --> rules/x.toml:4:31
  |
4 | p = { form = \"a\", lowercase = \"yes\" }
  |                               ^^^^^ for `lowercase`

error: missing key `of`
 --> rules/x.toml:5:5
  |
5 | q = { geoip = \"country\", from = \"x\" }
  |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ in this field

error: unknown key `from`
 --> rules/x.toml:5:26
  |
5 | q = { geoip = \"country\", from = \"x\" }
  |                          ^^^^
  |
  = help: there is: `empty`, `geoip`, `of`

error: expected a list of strings or `\"$NAME\"`, found `b`
 --> rules/x.toml:6:29
  |
6 | r = { from = \"a\", values = \"b\", map = {}, map_file = \"m\" }
  |                             ^
  |
  = help: `[\"b\"]`, or `\"$b\"` with a list in `[vars]`

error: both `map` and `map_file`
 --> rules/x.toml:6:43
  |
6 | r = { from = \"a\", values = \"b\", map = {}, map_file = \"m\" }
  |                                           ^^^^^^^^ one of them
  |
note: the other is here
 --> rules/x.toml:6:33
  |
6 | r = { from = \"a\", values = \"b\", map = {}, map_file = \"m\" }
  |                                 ^^^

error: missing key `from`
 --> rules/x.toml:7:5
  |
7 | s = { lowercase = true }
  |     ^^^^^^^^^^^^^^^^^^^^ in this field
  |
  = help: or `client_addr`, or `geoip` with `of`, or `provider_of`

error: no source for the client's address
 --> rules/x.toml:8:21
  |
8 | t = { client_addr = [] }
  |                     ^^

error: expected a string or a table, found an integer
 --> rules/x.toml:9:5
  |
9 | u = 5
  |     ^ for `u`
";
        check(text, "", expected);
    }

    #[test]
    fn letters_have_one_case() {
        let text = "[fields]\np = { from = \"a\", lowercase = true, uppercase = true }\nq = { from = \"a\", lowercase = false, uppercase = true }\n";
        let expected = "\
error: both `lowercase` and `uppercase`
 --> rules/x.toml:2:37
  |
2 | p = { from = \"a\", lowercase = true, uppercase = true }
  |                                     ^^^^^^^^^ one of them
  |
note: the other is here
 --> rules/x.toml:2:19
  |
2 | p = { from = \"a\", lowercase = true, uppercase = true }
  |                   ^^^^^^^^^
";
        check(text, "", expected);
    }

    #[test]
    fn mistakes_in_metrics_are_reported_together() {
        let text = r#"[[metric]]
name = "x"
type = "summary"
series = -1
buckets = [inf, "1"]
labels = "provider"
[metrics]
"#;
        let expected = "\
error: missing key `help`
 --> rules/x.toml:1:1
  |
1 | [[metric]]
  | ^^^^^^^^^^ in this metric

error: unknown type `summary`
 --> rules/x.toml:3:9
  |
3 | type = \"summary\"
  |         ^^^^^^^
  |
  = help: one of `counter`, `gauge`, `histogram`

error: expected a number of series, found `-1`
 --> rules/x.toml:4:10
  |
4 | series = -1
  |          ^^ out of range

error: expected a decimal number, found a float
 --> rules/x.toml:5:12
  |
5 | buckets = [inf, \"1\"]
  |            ^^^ for `buckets`

error: expected a decimal number, found a string
 --> rules/x.toml:5:17
  |
5 | buckets = [inf, \"1\"]
  |                 ^^^ for `buckets`

error: expected a list of fields or a table, found a string
 --> rules/x.toml:6:10
  |
6 | labels = \"provider\"
  |          ^^^^^^^^^^ for `labels`

error: unknown key `metrics`
 --> rules/x.toml:7:2
  |
7 | [metrics]
  |  ^^^^^^^
  |
  = help: a key with a similar name exists: `metric`
";
        check(text, "", expected);
    }

    proptest! {
        #[test]
        fn a_damaged_file_is_read_or_refused_printably(
            edits in prop::collection::vec(
                (0..VALID.len(), 0usize..20, "[\"'\\[\\]{}=.,#\n\r\u{1b}\\\\a1é \t]{0,3}"),
                1..5,
            ),
            map in "(?s).{0,40}",
        ) {
            let mut text = VALID.to_owned();
            for (at, length, new) in edits {
                let start = text.floor_char_boundary(at);
                let end = text.floor_char_boundary(at + length).max(start);
                text.replace_range(start..end, &new);
            }
            let picture = render(&read_with(&text, &map).err().unwrap_or_default(), false);
            prop_assert!(!picture.chars().any(|c| c != '\n' && c.is_control()));
        }
    }
}

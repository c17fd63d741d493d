//! Format files: `parsers/NAME.toml` as data.
//!
//! Invariant: all mistakes of a file are reported together, and a file with a mistake gives
//! nothing. Parents are not looked up here (`catalog` does), and neither variables nor regexes
//! are understood.

use std::sync::Arc;

use toml::de::DeTable;

use super::haproxy;
use super::pasted::{self, NGINX_ESCAPES};
use super::toml_text::{Item, Reader, Table};
use super::{
    At, ColumnEscape, ColumnsDefinition, Dialect, FormatExample, LayoutDefinition, NginxEscape,
    TimeDefinition, Unit,
};
use crate::diagnostic::{Diagnostic, SourceText, quoted_list};

const UNITS: [(&str, Unit); 4] = [
    ("s", Unit::Seconds),
    ("ms", Unit::Milliseconds),
    ("us", Unit::Microseconds),
    ("ns", Unit::Nanoseconds),
];
const COLUMN_ESCAPES: [(&str, ColumnEscape); 5] = [
    ("percent", ColumnEscape::Percent),
    ("plus", ColumnEscape::Plus),
    ("form", ColumnEscape::Form),
    ("backslash", ColumnEscape::Backslash),
    ("none", ColumnEscape::None),
];
/// The words of the key `escape` beside `nginx`: nginx's own, and what others write.
const SERVER_ESCAPES: [(&str, NginxEscape); 4] = [
    NGINX_ESCAPES[0],
    NGINX_ESCAPES[1],
    NGINX_ESCAPES[2],
    ("quote", NginxEscape::Quote),
];
/// Keys of `[format]` that stand for a layout or a part of one.
const LAYOUTS: [&str; 12] = [
    "nginx",
    "apache",
    "haproxy",
    "varnishncsa",
    "envoy",
    "regex",
    "json",
    "w3c",
    "csv",
    "tsv",
    "logfmt",
    "append",
];

/// A format file before its parent is known; what is `None` is inherited.
#[derive(Clone, Debug)]
pub(super) struct FormatFile {
    pub(super) description: String,
    pub(super) extends: Option<At<String>>,
    pub(super) layout: Option<At<LayoutPart>>,
    pub(super) time: TimeDefinition,
    pub(super) units: Vec<(At<String>, At<Unit>)>,
    pub(super) constants: Vec<(At<String>, At<String>)>,
    pub(super) require: Option<Vec<At<String>>>,
    pub(super) rules: Option<Vec<At<String>>>,
    pub(super) detect: Option<Option<i64>>,
    pub(super) examples: Vec<FormatExample>,
}

/// A layout, or what is put behind the parent's.
#[derive(Clone, Debug)]
pub(super) enum LayoutPart {
    Whole(LayoutDefinition),
    Append(At<String>),
}

/// Reads a format file; `name` is its own name, which it must not extend.
pub(super) fn format(source: &Arc<SourceText>, name: &str) -> Result<FormatFile, Vec<Diagnostic>> {
    let (table, errors) = DeTable::parse_recoverable(&source.text);
    let mut reader = Reader::new(source, &errors);
    let mut root = Table::root(&reader, table.get_ref());
    let has_parent = root.has("extends");
    let file = FormatFile {
        description: description(&mut root, &mut reader),
        extends: extends(&mut root, &mut reader, name),
        layout: layout(&mut root, &mut reader, has_parent),
        time: time(&mut root, &mut reader),
        units: root.pairs(&mut reader, "units", |item, reader| {
            item.word(reader, "unit", &UNITS)
        }),
        constants: root.pairs(&mut reader, "constants", |item, reader| item.text(reader)),
        require: root.take("require").map(|item| item.texts(&mut reader)),
        rules: root.take("rules").map(|item| item.texts(&mut reader)),
        detect: root
            .take("detect")
            .and_then(|item| detect(&item, &mut reader)),
        examples: examples(&mut root, &mut reader),
    };
    root.finish(&mut reader);
    reader.finish(Some(file))
}

fn description(root: &mut Table<'_>, reader: &mut Reader<'_>) -> String {
    let Some(text) = root.need_text(reader, "description") else {
        return String::new();
    };
    if text.value.trim().is_empty() {
        reader.report(
            text.place
                .error("empty description", "one sentence for `parsers list`"),
        );
    }
    text.value
}

fn extends(root: &mut Table<'_>, reader: &mut Reader<'_>, name: &str) -> Option<At<String>> {
    let item = root.take("extends")?;
    let Some(parent) = item.as_text(reader) else {
        item.not(reader, "the name of one format");
        return None;
    };
    if parent.value == name {
        let error = parent
            .place
            .error(format!("format `{name}` extends itself"), "");
        reader.report(error.help(format!("give this file another name: `{name}-mine.toml`")));
        return None;
    }
    Some(parent)
}

fn layout(
    root: &mut Table<'_>,
    reader: &mut Reader<'_>,
    has_parent: bool,
) -> Option<At<LayoutPart>> {
    let Some(item) = root.take("format") else {
        if !has_parent {
            let missing = Diagnostic::new("missing key `format`");
            root.missing(
                "format",
                missing.help("`format.nginx = '…'`, or `extends = \"…\"`"),
            );
        }
        return None;
    };
    if let Some(text) = item.as_text(reader) {
        let mistake = text
            .place
            .error("a format without its kind", "whose text is this?");
        let kinds = quoted_list(LAYOUTS.into_iter().filter(|key| *key != "append"));
        reader.report(mistake.help(format!("`format.nginx = '…'`, or one of {kinds}")));
        return None;
    }
    let mut table = item.table(reader, "in this table")?;
    let escape = table.take("escape");
    let mut given: Vec<Item<'_>> = LAYOUTS.iter().filter_map(|key| table.take(key)).collect();
    given.sort_by_key(|item| item.key.place.span().start);
    if given.is_empty() && table.is_empty() && !has_parent {
        let missing = Diagnostic::new("missing layout");
        let words = quoted_list(LAYOUTS.into_iter().filter(|key| *key != "append"));
        table.missing("nginx", missing.help(format!("one of {words}")));
    }
    table.finish(reader);
    report_several(&given, reader);
    let nginx = given.iter().any(|item| item.key.value == "nginx");
    if let (Some(escape), false) = (&escape, nginx) {
        reader.report(
            escape
                .key
                .place
                .error("`escape` without `nginx`", "")
                .help("`escape` belongs to `format.nginx`; in `w3c` it stands inside its braces"),
        );
    }
    let item = given.into_iter().next()?;
    let part = layout_part(&item, escape, has_parent, reader)?;
    Some(At {
        value: part,
        place: item.key.place,
    })
}

fn report_several(given: &[Item<'_>], reader: &mut Reader<'_>) {
    let Some((first, others)) = given.split_first() else {
        return;
    };
    for other in others {
        let (a, b) = (&first.key, &other.key);
        let message = if a.value == "append" || b.value == "append" {
            let whole = if a.value == "append" {
                &b.value
            } else {
                &a.value
            };
            format!("both `append` and `{whole}`: one adds to the parent's layout, one replaces it")
        } else {
            format!("two layouts, `{}` and `{}`", a.value, b.value)
        };
        reader.report(
            b.place
                .error(message, "one of them")
                .note(&a.place, "the other is here"),
        );
    }
}

fn layout_part(
    item: &Item<'_>,
    escape: Option<Item<'_>>,
    has_parent: bool,
    reader: &mut Reader<'_>,
) -> Option<LayoutPart> {
    let layout = match item.key.value.as_str() {
        "append" => {
            if !has_parent {
                let error = item
                    .key
                    .place
                    .error("`append` without `extends`", "nothing to add to");
                reader.report(error.help("`extends = \"nginx-combined\"` above"));
            }
            return Some(LayoutPart::Append(item.text(reader)?));
        }
        "nginx" => nginx(item.text(reader)?, escape, reader)?,
        "apache" => server(Dialect::Apache, pasted::apache(item.text(reader)?), reader)?,
        "varnishncsa" => {
            let text = pasted::varnishncsa(item.text(reader)?);
            server(Dialect::Varnishncsa, text, reader)?
        }
        "haproxy" => server(
            Dialect::Haproxy,
            haproxy::layout(item.text(reader)?),
            reader,
        )?,
        "envoy" => server(Dialect::Envoy, pasted::envoy(item.text(reader)?), reader)?,
        "regex" => LayoutDefinition::Regex {
            pattern: item.text(reader)?,
        },
        "json" => json(item, reader),
        "csv" => columns(item, false, reader)?,
        "tsv" => columns(item, true, reader)?,
        "logfmt" => LayoutDefinition::Logfmt {
            fields: item.pairs(reader, |item, reader| item.text(reader)),
        },
        _ => w3c(item.table(reader, "in this table")?, reader),
    };
    Some(LayoutPart::Whole(layout))
}

fn server(
    dialect: Dialect,
    text: Result<At<String>, Diagnostic>,
    reader: &mut Reader<'_>,
) -> Option<LayoutDefinition> {
    let text = reported(text, reader)?;
    Some(LayoutDefinition::Server { dialect, text })
}

fn reported<T>(result: Result<T, Diagnostic>, reader: &mut Reader<'_>) -> Option<T> {
    result.map_err(|mistake| reader.report(mistake)).ok()
}

fn nginx(
    text: At<String>,
    escape: Option<Item<'_>>,
    reader: &mut Reader<'_>,
) -> Option<LayoutDefinition> {
    let key = escape.and_then(|item| item.word(reader, "escape", &SERVER_ESCAPES));
    let (text, pasted) = reported(pasted::nginx(text), reader)?;
    if let (Some(key), Some(pasted)) = (&key, &pasted) {
        let error = key.place.error("`escape` is given twice", "");
        reader.report(error.note(&pasted.place, "in the directive, too"));
    }
    let escape = key
        .or(pasted)
        .map_or(NginxEscape::Default, |escape| escape.value);
    let dialect = Dialect::Nginx(escape);
    Some(LayoutDefinition::Server { dialect, text })
}

fn json(item: &Item<'_>, reader: &mut Reader<'_>) -> LayoutDefinition {
    let fields = item.pairs(reader, |item, reader| {
        let before = reader.count();
        let value = item.text_or_texts(reader);
        let place = item.place(reader);
        if value.is_empty() && reader.count() == before {
            reader.report(place.error("no path to this field", ""));
        }
        Some(At { value, place })
    });
    LayoutDefinition::Json {
        fields: fields
            .into_iter()
            .map(|(name, paths)| (name, paths.value))
            .collect(),
    }
}

fn w3c(mut table: Table<'_>, reader: &mut Reader<'_>) -> LayoutDefinition {
    let layout = LayoutDefinition::W3c {
        fields: table.pairs(reader, "fields", |item, reader| item.text(reader)),
        columns: table.text(reader, "columns"),
        escape: table
            .take("escape")
            .and_then(|item| item.word(reader, "escape", &COLUMN_ESCAPES))
            .map_or(ColumnEscape::None, |escape| escape.value),
    };
    table.finish(reader);
    layout
}

/// `format.csv = "a b c"`, or a table with more to say.
fn columns(item: &Item<'_>, tabs: bool, reader: &mut Reader<'_>) -> Option<LayoutDefinition> {
    let mut definition = ColumnsDefinition {
        tabs,
        columns: None,
        fields: None,
        separator: None,
        quote: None,
        repeat: None,
        header: None,
        optional: None,
        absent: None,
        escape: None,
    };
    if let Some(text) = item.as_text(reader) {
        definition.columns = Some(words(&text));
        return Some(LayoutDefinition::Columns(Box::new(definition)));
    }
    if !item.is_table() {
        item.not(reader, "names of columns, or a table");
        return None;
    }
    let mut table = item.table(reader, "in this table")?;
    definition.columns = table
        .take("columns")
        .map(|item| match item.as_text(reader) {
            Some(text) => words(&text),
            None => item.texts(reader),
        });
    definition.fields = table
        .take("fields")
        .map(|item| item.pairs(reader, |item, reader| item.text(reader)));
    definition.separator = table
        .take("separator")
        .and_then(|item| character(&item, reader, false).flatten());
    definition.quote = table
        .take("quote")
        .and_then(|item| character(&item, reader, true));
    definition.repeat = table.take("repeat").and_then(|item| item.boolean(reader));
    definition.header = table.take("header").and_then(|item| item.boolean(reader));
    definition.optional = table
        .take("optional")
        .and_then(|item| item.integer(reader, "how many of the last columns may be missing"))
        .map(|number| number.value);
    definition.absent = table.text(reader, "absent").map(|text| text.value);
    definition.escape = table
        .take("escape")
        .and_then(|item| item.word(reader, "escape", &COLUMN_ESCAPES))
        .map(|escape| escape.value);
    table.finish(reader);
    Some(LayoutDefinition::Columns(Box::new(definition)))
}

/// The words of a text, each with its place.
fn words(text: &At<String>) -> Vec<At<String>> {
    let mut from = 0;
    let words = text.value.split_whitespace().map(|word| {
        let behind = text.value.get(from..).unwrap_or_default();
        let start = from + behind.find(word).unwrap_or_default();
        from = start + word.len();
        At {
            value: word.to_owned(),
            place: text.place.inside(start..from),
        }
    });
    words.collect()
}

/// One ASCII character; `Some(None)` for an empty text where there may be none.
fn character(item: &Item<'_>, reader: &mut Reader<'_>, may_miss: bool) -> Option<Option<u8>> {
    let text = item.text(reader)?;
    match text.value.as_bytes() {
        [] if may_miss => Some(None),
        [byte] if byte.is_ascii() && !matches!(byte, b'\n' | b'\r') => Some(Some(*byte)),
        _ => {
            let error = text.place.error(
                format!("`{}` takes one ASCII character", item.key.value),
                "more or less than one",
            );
            reader.report(error.help("a TAB is `\"\\t\"`"));
            None
        }
    }
}

fn time(root: &mut Table<'_>, reader: &mut Reader<'_>) -> TimeDefinition {
    let table = root
        .take("time")
        .and_then(|item| item.table(reader, "in this table"));
    let Some(mut table) = table else {
        return TimeDefinition::default();
    };
    let time = TimeDefinition {
        field: table.text(reader, "field"),
        format: table.text(reader, "format"),
        date: table.text(reader, "date"),
        search: table.text(reader, "search"),
    };
    table.finish(reader);
    time
}

fn detect(item: &Item<'_>, reader: &mut Reader<'_>) -> Option<Option<i64>> {
    if item.is_false() {
        return Some(None);
    }
    Some(Some(item.integer(reader, "an integer or `false`")?.value))
}

fn examples(root: &mut Table<'_>, reader: &mut Reader<'_>) -> Vec<FormatExample> {
    let tables = root.tables(reader, "example", "in this example");
    tables
        .into_iter()
        .filter_map(|table| example(table, reader))
        .collect()
}

fn example(mut table: Table<'_>, reader: &mut Reader<'_>) -> Option<FormatExample> {
    let line = table.need_text(reader, "line");
    let fields = table.pairs(reader, "fields", |item, reader| {
        item.text_or_decimal(reader)
    });
    table.finish(reader);
    Some(FormatExample {
        line: line?,
        fields,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::render;
    use proptest::prelude::*;

    const VALID: &str = r#"# a comment
description = "nginx combined + X-CDN-Provider + request time"
extends = "nginx-combined"
format.nginx = """log_format main escape=json '$remote_addr "$request" $status '
    '"$http_x_cdn_provider" $request_time';"""
units   = { request_time = "s" }
rules   = ["beacon", 'origin']
[time]
field = "time_iso8601"
[[example]]
line   = '203.0.113.9 "GET / HTTP/1.1" 200'
fields = { time = "2013-10-31T07:06:42Z", status = 200, "a.b" = "\t\u00e9" }
"#;

    fn read(text: &str) -> Result<FormatFile, Vec<Diagnostic>> {
        format(&SourceText::new("x.toml", text), "x")
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let picture = render(&read(text).err().unwrap_or_default(), false);
        assert_eq!(picture, expected, "\n{picture}");
    }

    /// First lines of the mistakes.
    fn messages(text: &str) -> Vec<String> {
        let picture = render(&read(text).err().unwrap_or_default(), false);
        let lines = picture
            .lines()
            .filter_map(|line| line.strip_prefix("error: "));
        lines.map(str::to_owned).collect()
    }

    fn nginx_layout(text: &str) -> (At<String>, NginxEscape) {
        match read(text).unwrap().layout.unwrap().value {
            LayoutPart::Whole(LayoutDefinition::Server {
                dialect: Dialect::Nginx(escape),
                text,
            }) => (text, escape),
            other => panic!("not an nginx layout: {other:?}"),
        }
    }

    fn written(text: &At<String>, part: &str) -> String {
        let start = text.value.find(part).unwrap();
        let place = text.place.inside(start..start + part.len());
        format!(
            "{}:{}",
            place.line(),
            place.source().text.get(place.span()).unwrap()
        )
    }

    #[test]
    fn mistakes_are_reported_together_in_file_order() {
        let text = r#"descripton = "nginx"
extends = ["a", "b"]
format.ngnix = "$status"
units = { request_time = "sec" }
detect = true
[time]
fields = 3
[[example]]
fields = { status = 200, path = true }
"#;
        check(
            text,
            "\
error: unknown key `descripton`
 --> x.toml:1:1
  |
1 | descripton = \"nginx\"
  | ^^^^^^^^^^
  |
  = help: a key with a similar name exists: `description`

error: expected the name of one format, found a list
 --> x.toml:2:11
  |
2 | extends = [\"a\", \"b\"]
  |           ^^^^^^^^^^ for `extends`

error: unknown key `ngnix`
 --> x.toml:3:8
  |
3 | format.ngnix = \"$status\"
  |        ^^^^^
  |
  = help: a key with a similar name exists: `nginx`

error: unknown unit `sec`
 --> x.toml:4:27
  |
4 | units = { request_time = \"sec\" }
  |                           ^^^
  |
  = help: one of `s`, `ms`, `us`, `ns`

error: expected an integer or `false`, found `true`
 --> x.toml:5:10
  |
5 | detect = true
  |          ^^^^ for `detect`

error: unknown key `fields`
 --> x.toml:7:1
  |
7 | fields = 3
  | ^^^^^^
  |
  = help: a key with a similar name exists: `field`

error: missing key `line`
 --> x.toml:8:1
  |
8 | [[example]]
  | ^^^^^^^^^^^ in this example

error: expected a string, found `true`
 --> x.toml:9:33
  |
9 | fields = { status = 200, path = true }
  |                                 ^^^^ for `path`
",
        );
    }

    #[test]
    fn second_layout_is_shown_with_the_first() {
        let text = "description = ''\nformat.regex = 'a'\nformat.json = {}\nformat.csv = 1\n";
        check(
            text,
            "\
error: empty description
 --> x.toml:1:15
  |
1 | description = ''
  |               ^^ one sentence for `parsers list`

error: two layouts, `regex` and `json`
 --> x.toml:3:8
  |
3 | format.json = {}
  |        ^^^^ one of them
  |
note: the other is here
 --> x.toml:2:8
  |
2 | format.regex = 'a'
  |        ^^^^^

error: two layouts, `regex` and `csv`
 --> x.toml:4:8
  |
4 | format.csv = 1
  |        ^^^ one of them
  |
note: the other is here
 --> x.toml:2:8
  |
2 | format.regex = 'a'
  |        ^^^^^
",
        );
    }

    #[test]
    fn mistake_inside_a_pasted_directive_is_shown_at_its_byte() {
        let text = "description = 'a'\r\nformat.nginx = '''\r\nlog_format x escape=jso\r\n  '$a';\r\n'''\r\n";
        check(
            text,
            "\
error: unknown escape `jso`
 --> x.toml:3:21
  |
3 | log_format x escape=jso
  |                     ^^^
  |
  = help: one of `default`, `json`, `none`
",
        );
    }

    #[test]
    fn one_layout_only() {
        let three = "description = 'a'\nextends = 'b'\n\
            format = { regex = 'r', append = 'x', json = {} }";
        let expected = [
            "both `append` and `regex`: one adds to the parent's layout, one replaces it",
            "two layouts, `regex` and `json`",
        ];
        assert_eq!(messages(three), expected);
        let alone = "description = 'a'\nformat.append = 'x'";
        assert_eq!(messages(alone), ["`append` without `extends`"]);
        assert_eq!(messages("description = 'a'\n[format]"), ["missing layout"]);
        assert_eq!(
            messages("description = 'a'\nextends = 'b'\n[format]").len(),
            0
        );
        assert_eq!(
            messages(""),
            ["missing key `description`", "missing key `format`"]
        );
    }

    #[test]
    fn escape_belongs_to_nginx_and_is_given_once() {
        let format = |text: &str| messages(&format!("description = 'a'\nformat = {{ {text} }}"));
        assert_eq!(
            format("regex = '', escape = 'json'"),
            ["`escape` without `nginx`"]
        );
        let twice = "nginx = \"log_format x escape=none '';\", escape = 'json'";
        assert_eq!(format(twice), ["`escape` is given twice"]);
        assert_eq!(
            format("nginx = '', escape = 'jsn'"),
            ["unknown escape `jsn`"]
        );
    }

    #[test]
    fn mistakes_in_columns_are_shown_at_their_places() {
        let format = |text: &str| messages(&format!("description = 'a'\nformat = {{ {text} }}"));
        assert_eq!(format("csv = 'a b'"), [""; 0]);
        assert_eq!(
            format("tsv = { columns = ['a', 'b'], quote = '', separator = \"\\t\" }"),
            [""; 0]
        );
        assert_eq!(
            format("csv = { separator = '||', quote = 'é', optional = -1, repaet = true }"),
            [
                "`separator` takes one ASCII character",
                "`quote` takes one ASCII character",
                "expected how many of the last columns may be missing, found `-1`",
                "unknown key `repaet`",
            ]
        );
        assert_eq!(
            format("csv = 5"),
            ["expected names of columns, or a table, found an integer"]
        );
        assert_eq!(format("tsv = { escape = 'url' }"), ["unknown escape `url`"]);
        check(
            "description = 'a'\nformat.csv = { columns = 'a b', quote = '' , separator = '' }\n",
            "\
error: `separator` takes one ASCII character
 --> x.toml:2:58
  |
2 | format.csv = { columns = 'a b', quote = '' , separator = '' }
  |                                                          ^^ more or less than one
  |
  = help: a TAB is `\"\\t\"`
",
        );
    }

    #[test]
    fn after_a_syntax_error_only_what_it_did_not_cause_is_reported() {
        let unquoted = "descriptio = 1\nformat.regex = x\nunits = { a = 'm' }\n";
        let expected = [
            "unknown key `descriptio`",
            "string values must be quoted, expected literal string",
            "unknown unit `m`",
        ];
        assert_eq!(messages(unquoted), expected);
        let unclosed = "detect = true\nrules = ['a',\ndescription = 'a'\n[format]\nregex = 1\n";
        let expected = [
            "expected an integer or `false`, found `true`",
            "string values must be quoted, expected literal string",
            "unclosed array, expected `]`",
        ];
        assert_eq!(messages(unclosed), expected);
    }

    #[test]
    fn a_format_extends_one_other_format() {
        let of_itself = "description = 'a'\nextends = 'x'";
        assert_eq!(messages(of_itself), ["format `x` extends itself"]);
        let of_two = "description = 'a'\nextends = ['a', 'b']";
        assert_eq!(
            messages(of_two),
            ["expected the name of one format, found a list"]
        );
    }

    #[test]
    fn pasted_directive_gives_text_and_escape_with_their_places() {
        let file = "description = 'a'\r\n[format]\r\nnginx = '''\r\nlog_format main escape=json\r\n  \"$a \"\r\n  \"$b\";\r\n'''\r\n";
        let (text, escape) = nginx_layout(file);
        assert_eq!((text.value.as_str(), escape), ("$a $b", NginxEscape::Json));
        assert_eq!(written(&text, "$b"), "6:$b");
        let marked = nginx_layout(&format!("\u{feff}{file}")).0;
        assert_eq!(written(&marked, "$b"), "6:$b");
    }

    #[test]
    fn numbers_of_example_fields_are_their_text() {
        let text = "description = 'a'\nextends = 'b'\n[[example]]\nline = ''\n\
            fields = { b = 0.500, a = +1_0, c = 'x' }";
        let file = read(text).unwrap();
        let fields = file.examples.first().unwrap().fields.iter();
        let shown: Vec<String> = fields
            .map(|(k, v)| format!("{}={}", k.value, v.value))
            .collect();
        assert_eq!(shown, ["b=0.500", "a=10", "c=x"]);
    }

    #[test]
    fn detect_is_a_number_or_false() {
        let detect = |value: &str| {
            let text = format!("description = 'a'\nextends = 'b'\n{value}");
            read(&text).map(|file| file.detect)
        };
        assert_eq!(detect("").unwrap(), None);
        assert_eq!(detect("detect = false").unwrap(), Some(None));
        assert_eq!(detect("detect = -3").unwrap(), Some(Some(-3)));
        assert!(detect("detect = 99999999999999999999").is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_printably(text in "(?s).{0,80}") {
            let picture = render(&read(&text).err().unwrap_or_default(), false);
            prop_assert!(!picture.chars().any(|c| c != '\n' && c.is_control()));
        }

        #[test]
        fn a_damaged_file_is_read_or_refused_printably(
            edits in prop::collection::vec(
                (0..VALID.len(), 0usize..20, "[\"'\\[\\]{}=.,#\n\r\u{1b}\u{202e}\\\\a1é \t]{0,3}"),
                1..5,
            )
        ) {
            let mut text = VALID.to_owned();
            for (at, length, new) in edits {
                let start = text.floor_char_boundary(at);
                let end = text.floor_char_boundary(at + length).max(start);
                text.replace_range(start..end, &new);
            }
            let picture = render(&read(&text).err().unwrap_or_default(), false);
            prop_assert!(!picture.chars().any(|c| c != '\n' && c.is_control()));
        }
    }
}

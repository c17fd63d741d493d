//! A proposed format, and the file that says it.

use std::fmt::Write as _;

use crate::definition::quoted::{key, string};

/// The layout of a draft.
#[derive(Clone, Debug)]
pub(super) enum Format {
    /// nginx's text.
    Nginx {
        text: String,
        escape: Option<&'static str>,
    },
    /// Text behind the parent's.
    Append(String),
    /// Field and path.
    Json(Vec<(String, String)>),
    /// Field and key.
    Logfmt(Vec<(String, String)>),
    /// Columns named by the file itself.
    W3c(&'static str),
    /// Columns parted by this character: their names, or fields and what the file calls them.
    Columns(char, Columns),
}

/// What says what the columns of a file are.
#[derive(Clone, Debug)]
pub(super) enum Columns {
    Named(Vec<String>),
    Header(Vec<(String, String)>),
}

/// What a file is made from, examples aside.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) extends: Option<String>,
    pub(super) format: Format,
    pub(super) time_field: Option<String>,
    pub(super) time_format: Option<String>,
    pub(super) time_search: Option<String>,
    pub(super) units: Vec<(String, &'static str)>,
    pub(super) require: Vec<String>,
}

/// A line with fields that it gives.
#[derive(Clone, Debug)]
pub(super) struct Example {
    pub(super) line: String,
    pub(super) fields: Vec<(String, String)>,
}

impl Draft {
    /// A draft with nothing but a layout.
    pub(super) fn of(format: Format) -> Draft {
        Draft {
            extends: None,
            format,
            time_field: None,
            time_format: None,
            time_search: None,
            units: Vec::new(),
            require: Vec::new(),
        }
    }

    /// The file, with `comment` at its head.
    pub(super) fn text(
        &self,
        comment: &[String],
        description: &str,
        examples: &[Example],
    ) -> String {
        let mut out = String::new();
        for line in comment {
            push(&mut out, format_args!("# {line}\n"));
        }
        push(
            &mut out,
            format_args!("description = {}\n", string(description)),
        );
        match &self.extends {
            Some(parent) => push(&mut out, format_args!("extends = {}\n", string(parent))),
            None => out.push_str("rules = [\"beacon\", \"origin\"]\n"),
        }
        if !self.require.is_empty() {
            let names: Vec<String> = self.require.iter().map(|name| string(name)).collect();
            push(&mut out, format_args!("require = [{}]\n", names.join(", ")));
        }
        self.layout(&mut out);
        self.time(&mut out);
        if !self.units.is_empty() {
            out.push_str("\n[units]\n");
            for (name, unit) in &self.units {
                push(&mut out, format_args!("{} = {}\n", key(name), string(unit)));
            }
        }
        for example in examples {
            let fields = example.fields.iter();
            let fields = fields.map(|(name, value)| format!("{} = {}", key(name), string(value)));
            let fields: Vec<String> = fields.collect();
            push(
                &mut out,
                format_args!(
                    "\n[[example]]\nline = {}\nfields = {{ {} }}\n",
                    string(&example.line),
                    fields.join(", ")
                ),
            );
        }
        out
    }

    fn layout(&self, out: &mut String) {
        match &self.format {
            Format::Nginx { text, escape } => {
                push(out, format_args!("\n[format]\nnginx = {}\n", string(text)));
                if let Some(escape) = escape {
                    push(out, format_args!("escape = {}\n", string(escape)));
                }
            }
            Format::Append(text) => {
                push(out, format_args!("\n[format]\nappend = {}\n", string(text)));
            }
            Format::Json(fields) | Format::Logfmt(fields) => {
                let is_json = matches!(self.format, Format::Json(_));
                let kind = if is_json { "json" } else { "logfmt" };
                push(out, format_args!("\n[format.{kind}]\n"));
                for (name, path) in fields {
                    push(out, format_args!("{} = {}\n", key(name), string(path)));
                }
            }
            Format::Columns(separator, columns) => columns_of(out, *separator, columns),
            Format::W3c(escape) => {
                push(
                    out,
                    format_args!("\n[format.w3c]\nescape = {}\n", string(escape)),
                );
            }
        }
    }

    fn time(&self, out: &mut String) {
        let keys = [
            ("field", &self.time_field),
            ("format", &self.time_format),
            ("search", &self.time_search),
        ];
        let given = keys
            .iter()
            .filter_map(|(name, value)| Some((name, value.as_ref()?)));
        let mut lines = String::new();
        for (name, value) in given {
            push(&mut lines, format_args!("{name} = {}\n", string(value)));
        }
        if !lines.is_empty() {
            push(out, format_args!("\n[time]\n{lines}"));
        }
    }
}

/// `format.csv` or `format.tsv`.
fn columns_of(out: &mut String, separator: char, columns: &Columns) {
    let kind = if separator == '\t' { "tsv" } else { "csv" };
    push(out, format_args!("\n[format.{kind}]\n"));
    if !matches!(separator, '\t' | ',') {
        let separator = string(&separator.to_string());
        push(out, format_args!("separator = {separator}\n"));
    }
    match columns {
        Columns::Named(names) => push(
            out,
            format_args!("columns = {}\n", string(&names.join(" "))),
        ),
        Columns::Header(fields) => {
            let fields = fields
                .iter()
                .map(|(name, column)| format!("{} = {}", key(name), string(column)));
            let fields: Vec<String> = fields.collect();
            push(
                out,
                format_args!("header = true\nfields = {{ {} }}\n", fields.join(", ")),
            );
        }
    }
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text)
        .expect("writing to a `String` does not fail");
}

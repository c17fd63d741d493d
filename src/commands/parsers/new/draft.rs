//! A proposed format, and the file that says it.

use std::fmt::Write as _;

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
    /// Columns named by the file itself.
    W3c(&'static str),
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
            Format::Json(fields) => {
                out.push_str("\n[format.json]\n");
                for (name, path) in fields {
                    push(out, format_args!("{} = {}\n", key(name), string(path)));
                }
            }
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

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text)
        .expect("writing to a `String` does not fail");
}

fn key(name: &str) -> String {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !name.is_empty() && name.bytes().all(is_bare) {
        name.to_owned()
    } else {
        string(name)
    }
}

/// A TOML string in which every letter can be seen: what comes from a log may hold control and
/// direction-changing characters, and the file is printed.
pub(super) fn string(text: &str) -> String {
    let seen = |c: char| matches!(c, ' '..='~') || (c > '\u{a0}' && c.is_alphanumeric());
    if text.chars().all(|c| seen(c) && c != '\'') {
        let quote = if text.contains(['"', '\\']) {
            '\''
        } else {
            '"'
        };
        return format!("{quote}{text}{quote}");
    }
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            _ if seen(letter) => out.push(letter),
            _ => push(&mut out, format_args!("\\U{:08x}", u32::from(letter))),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_text_is_one_toml_string_of_visible_letters(text: String) {
            let written = format!("a = {}\nb = 1\n", string(&text));
            let table = toml::de::DeTable::parse(&written).unwrap();
            prop_assert_eq!(table.get_ref()["a"].get_ref().as_str(), Some(text.as_str()));
            prop_assert_eq!(table.get_ref().len(), 2);
            prop_assert!(!written.chars().any(|c| c.is_control() && c != '\n'));
        }
    }
}

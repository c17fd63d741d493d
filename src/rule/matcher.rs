//! PromQL label matchers over fields: `path="/x", code=~"5..", provider!=""`.
//!
//! Prometheus' meaning (documentation, "Time series selectors"): all must hold, regexes are
//! anchored at both ends, an absent field is the empty string. Strings are quoted with `"`, `'` or
//! backticks; in quotes `$name` stands for a variable, in backticks nothing is special.

use std::ops::Range;

use regex::bytes::{Regex, RegexBuilder};

use super::vars::Vars;
use crate::definition::At;
use crate::diagnostic::Diagnostic;

/// Memory for one compiled pattern.
pub(crate) const REGEX_SIZE: usize = 4 << 20;

/// One matcher as written, its field not yet looked up.
#[derive(Clone, Debug)]
pub struct Matcher {
    /// Field name.
    pub field: String,
    /// Where the field name stands in the text.
    pub at: Range<usize>,
    /// What the value must be.
    pub test: Test,
    /// The matcher as written, shown as the reason of a near miss.
    pub text: String,
}

/// What a value must be.
#[derive(Clone, Debug)]
pub enum Test {
    /// `=`
    Is(Vec<u8>),
    /// `!=`
    IsNot(Vec<u8>),
    /// `=~` with nothing but alternatives.
    OneOf(Vec<Vec<u8>>),
    /// `!~` with nothing but alternatives.
    NoneOf(Vec<Vec<u8>>),
    /// `=~`
    Matches(Regex),
    /// `!~`
    Differs(Regex),
}

impl Test {
    /// Whether the value passes; an absent value is the empty one.
    #[inline]
    pub fn holds(&self, value: &[u8]) -> bool {
        match self {
            Test::Is(wanted) => value == wanted.as_slice(),
            Test::IsNot(wanted) => value != wanted.as_slice(),
            Test::OneOf(wanted) => wanted.iter().any(|w| value == w.as_slice()),
            Test::NoneOf(wanted) => wanted.iter().all(|w| value != w.as_slice()),
            Test::Matches(regex) => regex.is_match(value),
            Test::Differs(regex) => !regex.is_match(value),
        }
    }
}

/// Reads a list of matchers, one after another or in braces.
///
/// # Errors
/// The first mistake, pointing into the text.
pub fn parse(text: &At<String>, vars: &Vars) -> Result<Vec<Matcher>, Diagnostic> {
    let mut reader = Reader {
        text: &text.value,
        at: 0,
    };
    let mut matchers = Vec::new();
    reader.blank();
    let braces = reader.take("{");
    loop {
        reader.blank();
        if reader.rest().is_empty() || (braces && reader.take("}")) {
            break;
        }
        matchers.push(reader.matcher(text, vars)?);
        reader.blank();
        if !reader.take(",") && !reader.rest().is_empty() && !reader.rest().starts_with('}') {
            return Err(reader.expected(text, "`,` or the end"));
        }
    }
    reader.blank();
    if reader.rest().is_empty() {
        Ok(matchers)
    } else {
        Err(reader.expected(text, "the end"))
    }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Reader<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn blank(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        self.at += if found { token.len() } else { 0 };
        found
    }

    fn expected(&self, text: &At<String>, what: &str) -> Diagnostic {
        let next = self.rest().chars().next().map_or(0, char::len_utf8);
        text.place
            .inside(self.at..self.at + next)
            .error(
                format!("expected {what} in matchers"),
                format!("{what} expected here"),
            )
            .help(r#"matchers look like `path="/x", code=~"5..", provider!=""`"#)
    }

    fn matcher(&mut self, text: &At<String>, vars: &Vars) -> Result<Matcher, Diagnostic> {
        let start = self.at;
        let name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let length = self.rest().find(|c| !name(c)).unwrap_or(self.rest().len());
        if length == 0 {
            return Err(self.expected(text, "a field name"));
        }
        let field = self.rest().get(..length).unwrap_or_default().to_owned();
        self.at += length;
        let at = start..self.at;
        self.blank();
        let Some(operator) = ["=~", "!~", "!=", "="].into_iter().find(|op| self.take(op)) else {
            return Err(self.expected(text, "`=`, `!=`, `=~` or `!~`"));
        };
        self.blank();
        let from = self.at;
        let value = self.string(text, vars)?;
        let test = test(operator, &value).map_err(|error| {
            let place = text.place.inside(from..self.at);
            place.error(
                format!("this is not a regular expression: {error}"),
                "in this matcher",
            )
        })?;
        let text = self.text.get(start..self.at).unwrap_or_default().to_owned();
        Ok(Matcher {
            field,
            at,
            test,
            text,
        })
    }

    /// A quoted string, its escapes and variables resolved.
    fn string(&mut self, text: &At<String>, vars: &Vars) -> Result<String, Diagnostic> {
        let Some(quote) = ['"', '\'', '`']
            .into_iter()
            .find(|&q| self.rest().starts_with(q))
        else {
            return Err(self.expected(text, "a quoted string"));
        };
        self.at += 1;
        let start = self.at;
        let mut value = String::new();
        let mut chars = self.rest().char_indices();
        while let Some((offset, c)) = chars.next() {
            match c {
                c if c == quote => {
                    self.at = start + offset + 1;
                    if quote == '`' {
                        return Ok(value);
                    }
                    let inner = At {
                        value,
                        place: text.place.inside(start..start + offset),
                    };
                    return vars.expand(&inner);
                }
                '\\' if quote != '`' => match chars.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, 't')) => value.push('\t'),
                    Some((_, c)) if c == quote || c == '\\' => value.push(c),
                    Some((_, c)) => value.extend(['\\', c]),
                    None => break,
                },
                c => value.push(c),
            }
        }
        self.at = self.text.len();
        Err(self.expected(text, &format!("a closing `{quote}`")))
    }
}

fn test(operator: &str, value: &str) -> Result<Test, String> {
    Ok(match operator {
        "=" => Test::Is(value.as_bytes().to_vec()),
        "!=" => Test::IsNot(value.as_bytes().to_vec()),
        "=~" => alternatives(value).map_or_else(
            || anchored(value).map(Test::Matches),
            |all| Ok(Test::OneOf(all)),
        )?,
        _ => alternatives(value).map_or_else(
            || anchored(value).map(Test::Differs),
            |all| Ok(Test::NoneOf(all)),
        )?,
    })
}

/// `GET|HEAD` needs no regex.
fn alternatives(pattern: &str) -> Option<Vec<Vec<u8>>> {
    let plain =
        |c: char| c.is_alphanumeric() || matches!(c, '/' | '_' | '-' | ' ' | '|' | ':' | '=' | '&');
    pattern.chars().all(plain).then(|| {
        pattern
            .split('|')
            .map(|word| word.as_bytes().to_vec())
            .collect()
    })
}

fn anchored(pattern: &str) -> Result<Regex, String> {
    compile(&format!("^(?:{pattern})$"))
}

/// A linear-time regex over bytes, limited in size; Unicode classes only where the pattern needs
/// them.
pub(crate) fn compile(pattern: &str) -> Result<Regex, String> {
    let build = |unicode| {
        RegexBuilder::new(pattern)
            .unicode(unicode)
            .size_limit(REGEX_SIZE)
            .dfa_size_limit(REGEX_SIZE)
            .build()
    };
    build(false)
        .or_else(|_| build(true))
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => "it compiles to more than 4 MiB".to_owned(),
            error => last_line(&error.to_string()),
        })
}

/// The regex crate draws its own picture; only its sentence is wanted here.
fn last_line(message: &str) -> String {
    let last = message
        .lines()
        .rfind(|line| !line.trim().is_empty())
        .unwrap_or(message);
    last.trim().trim_start_matches("error: ").to_owned()
}

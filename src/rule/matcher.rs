//! PromQL label matchers over fields: `path="/x", code=~"5..", provider!=""`.
//!
//! Prometheus' meaning (documentation, "Time series selectors"): all must hold, regexes are
//! anchored at both ends, an absent field is the empty string. Strings are quoted with `"`, `'` or
//! backticks; in quotes `$name` stands for a variable, in backticks nothing is special.

use std::ops::Range;

use regex::bytes::Regex;

use super::vars::{Vars, name_length};
use crate::definition::At;
use crate::diagnostic::Diagnostic;
use crate::record::compile_pattern;

/// Memory for one compiled pattern.
const MEBIBYTES: usize = 4;

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
    /// True when the same values pass for the same reason.
    pub(crate) fn is_same(&self, other: &Test) -> bool {
        match (self, other) {
            (Test::Is(a), Test::Is(b)) | (Test::IsNot(a), Test::IsNot(b)) => a == b,
            (Test::OneOf(a), Test::OneOf(b)) | (Test::NoneOf(a), Test::NoneOf(b)) => a == b,
            (Test::Matches(a), Test::Matches(b)) | (Test::Differs(a), Test::Differs(b)) => {
                a.as_str() == b.as_str()
            }
            _ => false,
        }
    }

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
        if braces && reader.take("}") {
            break;
        }
        if reader.rest().is_empty() {
            if braces {
                return Err(reader.expected(text, "`}`"));
            }
            break;
        }
        matchers.push(reader.matcher(text, vars)?);
        reader.blank();
        let (end, what) = match braces {
            true => (reader.rest().starts_with('}'), "`,` or `}`"),
            false => (reader.rest().is_empty(), "`,` or the end"),
        };
        if !reader.take(",") && !end {
            return Err(reader.expected(text, what));
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
        let mut start = self.at;
        let mut value = String::new();
        let mut chars = self.rest().char_indices();
        while let Some((offset, c)) = chars.next() {
            match c {
                c if c == quote => {
                    self.at = start + offset + 1;
                    return Ok(value);
                }
                '$' if quote != '`' => {
                    let at = start + offset..start + offset + 1 + name_length(chars.as_str());
                    let written = At {
                        value: self.text.get(at.clone()).unwrap_or_default().to_owned(),
                        place: text.place.inside(at.clone()),
                    };
                    value.push_str(&vars.expand(&written)?);
                    self.at = at.end;
                    chars = self.rest().char_indices();
                    start = at.end;
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

/// As Prometheus 3 does it: both ends anchored, `.` takes a newline too.
fn anchored(pattern: &str) -> Result<Regex, String> {
    // Alone first: `a)|(b` is no pattern, though a group around it would make it one.
    compile(pattern)?;
    compile(&format!("^(?s:{pattern})$"))
}

/// A linear-time regex over bytes, limited in size; Unicode classes only where the pattern needs
/// them.
pub(crate) fn compile(pattern: &str) -> Result<Regex, String> {
    compile_pattern(pattern, MEBIBYTES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::{RuleSetDefinition, Var};
    use crate::diagnostic::{Place, render};
    use std::collections::BTreeMap;

    fn vars() -> Vars {
        let rules = RuleSetDefinition {
            name: String::new(),
            description: String::new(),
            vars: Vec::new(),
            fields: Vec::new(),
            metrics: Vec::new(),
            examples: Vec::new(),
        };
        let text = |text: &str| Var::Text(text.to_owned());
        let overrides = BTreeMap::from([
            ("pixel".to_owned(), text("/p.gif")),
            ("dollar".to_owned(), text("$pixel")),
            ("list".to_owned(), Var::List(vec!["a".to_owned()])),
        ]);
        Vars::of(&rules, &overrides)
    }

    fn parsed(text: &str) -> Result<Vec<Matcher>, String> {
        let written = At {
            value: text.to_owned(),
            place: Place::argument("", text),
        };
        parse(&written, &vars()).map_err(|mistake| render(&[mistake], false))
    }

    /// Whether the only matcher of `text` takes `value`.
    fn takes(text: &str, value: &str) -> bool {
        let matchers = parsed(text).unwrap();
        assert_eq!(matchers.len(), 1, "{text}");
        matchers[0].test.holds(value.as_bytes())
    }

    /// The column of the caret, and the message.
    fn refused(text: &str) -> (usize, String) {
        let picture = parsed(text).unwrap_err();
        let place = picture.lines().find(|line| line.contains("--> ")).unwrap();
        let column = place.rsplit(':').next().unwrap().parse().unwrap();
        (column, picture.lines().next().unwrap().to_owned())
    }

    #[test]
    fn lists_are_read_with_and_without_braces() {
        for text in [
            r#"a="1",b!="2""#,
            r#" { a = "1" , b != "2" } "#,
            r#"{a="1",b!="2",}"#,
            r#"a="1", b!="2","#,
        ] {
            let fields: Vec<String> = parsed(text).unwrap().into_iter().map(|m| m.field).collect();
            assert_eq!(fields, ["a", "b"], "{text}");
        }
        assert!(parsed("").unwrap().is_empty() && parsed("{}").unwrap().is_empty());
    }

    #[test]
    fn mistakes_are_shown_where_they_stand() {
        for (text, column, message) in [
            (r#"a="1" b="2""#, 7, "expected `,` or the end in matchers"),
            (r#"{a="1" b="2"}"#, 8, "expected `,` or `}` in matchers"),
            (r#"{a="1""#, 7, "expected `,` or `}` in matchers"),
            (r#"{a="1","#, 8, "expected `}` in matchers"),
            (r#"a="1"}"#, 6, "expected `,` or the end in matchers"),
            (r#"{} a="1""#, 4, "expected the end in matchers"),
            (r#"a="1",,b="2""#, 7, "expected a field name in matchers"),
            (
                r#"a>"1""#,
                2,
                "expected `=`, `!=`, `=~` or `!~` in matchers",
            ),
            ("a=1", 3, "expected a quoted string in matchers"),
            (r#"a="1"#, 5, "expected a closing `\"` in matchers"),
            (r#"a="1\"#, 6, "expected a closing `\"` in matchers"),
            (r#"a="\"$pixl""#, 6, "unknown variable `$pixl`"),
            (r#"é="x""#, 1, "expected a field name in matchers"),
        ] {
            let (at, found) = refused(text);
            assert_eq!((at, found), (column, format!("error: {message}")), "{text}");
        }
        let (at, found) = refused(r#"a="x", b=~"(""#);
        assert_eq!(at, 11);
        assert!(found.contains("not a regular expression"), "{found}");
        assert!(refused(r#"a="$list""#).1.contains("is a list"));
    }

    #[test]
    fn regexes_are_anchored_at_both_ends() {
        assert!(takes(r#"a=~"5..""#, "503") && !takes(r#"a=~"5..""#, "5031"));
        assert!(takes(r#"a=~"x.|y.""#, "y1") && !takes(r#"a=~"x.|y.""#, "zy1"));
        assert!(!takes(r#"a!~"5..""#, "503") && takes(r#"a!~"5..""#, "1503"));
        assert!(takes(r#"a=~"GET|HEAD""#, "HEAD") && !takes(r#"a=~"GET|HEAD""#, "GET|HEAD"));
        assert!(
            parsed(r#"a=~"x)|(y""#).is_err(),
            "no way out of the anchors"
        );
    }

    #[test]
    fn a_dot_takes_newlines_and_bytes_that_are_no_text() {
        assert!(takes(r#"a=~".+""#, "x\ny"));
        let any = parsed(r#"a=~"x.y""#).unwrap();
        assert!(any[0].test.holds(b"x\xffy"));
    }

    #[test]
    fn an_absent_value_is_the_empty_one() {
        for (text, takes_absent) in [
            (r#"a="""#, true),
            (r#"a!="""#, false),
            (r#"a!="x""#, true),
            (r#"a=~".*""#, true),
            (r#"a=~".+""#, false),
            (r#"a=~"x|""#, true),
            (r#"a!~"x""#, true),
            (r#"a!~"""#, false),
        ] {
            assert_eq!(takes(text, ""), takes_absent, "{text}");
        }
    }

    #[test]
    fn escapes_are_resolved_in_quotes_and_left_in_backticks() {
        assert!(takes(r#"a="\"\\\n\t'""#, "\"\\\n\t'"));
        assert!(takes(r#"a='\'"'"#, "'\""));
        assert!(
            takes(r#"a=~"\d+\.gif""#, "12.gif"),
            "unknown escapes are the regex's"
        );
        assert!(takes(r"a=`\n$pixel`", r"\n$pixel"));
        assert!(takes(r"a=~`\d$`", "7"));
    }

    #[test]
    fn variables_are_replaced_once_and_only_in_quotes() {
        assert!(takes(r#"a="<$pixel>""#, "</p.gif>"));
        assert!(takes(r#"a="$dollar""#, "$pixel"));
        assert!(takes(r#"a="\t$pixel$pixel\t""#, "\t/p.gif/p.gif\t"));
        assert!(takes(r#"a="5$""#, "5$") && takes(r#"a="$1""#, "$1"));
        assert!(
            takes(r#"a="\$pixel""#, r"\$pixel"),
            "an escaped dollar stays"
        );
    }

    #[test]
    fn matchers_keep_their_text_for_near_misses() {
        let texts: Vec<String> = parsed(r#"{ a = "$pixel" ,b!~`x`}"#)
            .unwrap()
            .into_iter()
            .map(|m| m.text)
            .collect();
        assert_eq!(texts, [r#"a = "$pixel""#, "b!~`x`"]);
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "[ab{}=~!,\"'`\\\\$é .|()\\[\\]*+0-9\n]{0,24}") {
            drop(parsed(&text));
        }

        #[test]
        fn plain_alternatives_mean_what_their_regex_means(
            pattern in "[ab/ |]{0,6}",
            value in "[ab/ |]{0,4}",
        ) {
            let plain = Test::OneOf(alternatives(&pattern).unwrap());
            let regex = Test::Matches(anchored(&pattern).unwrap());
            proptest::prop_assert_eq!(plain.holds(value.as_bytes()), regex.holds(value.as_bytes()));
        }
    }
}

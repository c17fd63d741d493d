//! What the configuration takes from the world: this host's name and variables.
//!
//! Invariant: nothing of the process is read here; whoever runs the program fills in an
//! [`Environment`]. What a variable holds is not looked at again: `${NAME}` in it stays.

use std::collections::BTreeMap;
use std::fmt::{self, Debug, Formatter};
use std::ops::Range;
use std::path::PathBuf;

use crate::diagnostic::similar;

/// The world as the configuration sees it.
#[derive(Clone, Default)]
pub struct Environment {
    /// This host's name as the kernel has it; stands for `{host}`.
    pub host: String,
    /// Variables that are text; stand for `${NAME}`. `HOME` and `XDG_STATE_HOME` say where an
    /// ordinary user's store is.
    pub variables: BTreeMap<String, String>,
    /// The current folder, absolute: relative paths of the command line begin there.
    pub folder: PathBuf,
    /// True when the process runs as root.
    pub is_root: bool,
}

/// Names only: variables hold secrets.
impl Debug for Environment {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.debug_struct("Environment")
            .field("host", &self.host)
            .field("variables", &self.variables.keys())
            .field("folder", &self.folder)
            .field("is_root", &self.is_root)
            .finish()
    }
}

/// Something about a `${` that cannot be replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BadVariable {
    /// Bytes of the text as it was written.
    pub(super) range: Range<usize>,
    /// What is wrong.
    pub(super) message: String,
    /// What to do.
    pub(super) help: String,
}

/// What became of a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Expansion {
    /// With everything replaced.
    pub(super) value: String,
    /// True when a variable of the environment was put in.
    pub(super) has_variable: bool,
}

impl Environment {
    /// Replaces `{host}` by `host` and `${NAME}` by the variable; `$${` stands for `${`.
    pub(super) fn expand(&self, text: &str, host: &str) -> Result<Expansion, Vec<BadVariable>> {
        let (mut expansion, mut bad) = (Expansion::default(), Vec::new());
        let mut at = 0;
        while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
            let step = if rest.starts_with("$${") {
                expansion.value.push_str("${");
                "$${".len()
            } else if rest.starts_with("{host}") {
                expansion.value.push_str(host);
                "{host}".len()
            } else if rest.starts_with("${") {
                let length = rest.find('}').map_or(rest.len(), |end| end + 1);
                match self.variable(rest.get(..length).unwrap_or_default()) {
                    Ok(value) => {
                        expansion.value.push_str(value);
                        expansion.has_variable = true;
                    }
                    Err((message, help)) => bad.push(BadVariable {
                        range: at..at + length,
                        message,
                        help,
                    }),
                }
                length
            } else {
                let length = plain_length(rest);
                expansion
                    .value
                    .push_str(rest.get(..length).unwrap_or_default());
                length
            };
            at += step;
        }
        if bad.is_empty() {
            Ok(expansion)
        } else {
            Err(bad)
        }
    }

    /// The variable that `${NAME}` names, or message and help.
    fn variable(&self, reference: &str) -> Result<&str, (String, String)> {
        const ESCAPE: &str = "write `$${` for the text `${`";
        let inside = reference
            .strip_prefix("${")
            .and_then(|rest| rest.strip_suffix('}'));
        let Some(name) = inside else {
            return Err(("`${` without `}`".to_owned(), ESCAPE.to_owned()));
        };
        let legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty()
            || !name.chars().all(legal)
            || name.starts_with(|c: char| c.is_ascii_digit())
        {
            let message = format!("`{reference}` does not name a variable");
            return Err((message, ESCAPE.to_owned()));
        }
        self.variables.get(name).map(String::as_str).ok_or_else(|| {
            let message = format!("environment variable `{name}` is not set");
            let names = self.variables.keys().map(String::as_str);
            let help = match similar(name, names) {
                Some(near) => format!("a variable with a similar name is set: `{near}`"),
                None => format!("set it, or {ESCAPE}"),
            };
            (message, help)
        })
    }
}

/// Bytes up to the next place where something may be replaced; at least one character.
fn plain_length(text: &str) -> usize {
    let mut letters = text.char_indices().skip(1);
    letters
        .find(|(_, letter)| matches!(letter, '$' | '{'))
        .map_or(text.len(), |(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn environment() -> Environment {
        let variables = [("KEY", "s3cret"), ("EMPTY", ""), ("NESTED", "${KEY}{host}")];
        Environment {
            variables: variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            ..Environment::default()
        }
    }

    #[test]
    fn host_and_variables_are_replaced_once() {
        for (text, value, has_variable) in [
            ("plain", "plain", false),
            ("web.{host}.x", "web.h.x", false),
            ("${KEY}.{host}", "s3cret.h", true),
            ("a$${KEY}", "a${KEY}", false),
            ("a$$${KEY}", "a$${KEY}", false),
            ("${EMPTY}", "", true),
            ("${NESTED}", "${KEY}{host}", true),
            (
                "$KEY {provider} {hos} $ {",
                "$KEY {provider} {hos} $ {",
                false,
            ),
            ("é{host}é", "éhé", false),
        ] {
            let expansion = environment().expand(text, "h").unwrap();
            assert_eq!(
                (expansion.value.as_str(), expansion.has_variable),
                (value, has_variable)
            );
        }
    }

    #[test]
    fn each_variable_that_is_not_there_is_named() {
        let bad = environment()
            .expand("${KEZ} ${} ${1A} ${host", "h")
            .unwrap_err();
        let said: Vec<_> = bad
            .iter()
            .map(|one| (one.range.clone(), one.message.as_str()))
            .collect();
        assert_eq!(
            said,
            [
                (0..6, "environment variable `KEZ` is not set"),
                (7..10, "`${}` does not name a variable"),
                (11..16, "`${1A}` does not name a variable"),
                (17..23, "`${` without `}`"),
            ]
        );
        assert!(bad.first().unwrap().help.ends_with("`KEY`"));
    }

    #[test]
    fn debug_does_not_tell_what_variables_hold() {
        assert!(!format!("{:?}", environment()).contains("s3cret"));
    }

    proptest! {
        #[test]
        fn text_without_braces_stays(text in "[^{]{0,30}") {
            prop_assert_eq!(environment().expand(&text, "h").unwrap().value, text);
        }

        #[test]
        fn any_text_is_replaced_or_refused_inside_of_it(text in "[$ {}a-zAKEYhostné]{0,30}") {
            for bad in environment().expand(&text, "h").err().unwrap_or_default() {
                prop_assert!(text.get(bad.range).is_some());
            }
        }
    }
}

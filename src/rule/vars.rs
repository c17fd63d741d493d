//! Variables of rule files: `$name` in strings.
//!
//! A rule set's own `[vars]` are defaults; what the operator sets stands for every file.

use std::collections::BTreeMap;

use crate::definition::{At, RuleSetDefinition, Var};
use crate::diagnostic::{Diagnostic, similar};

/// The variables one rule set sees.
#[derive(Clone, Debug, Default)]
pub struct Vars {
    values: BTreeMap<String, Var>,
}

impl Vars {
    /// The rule set's defaults, overridden where `overrides` has the name.
    pub fn of(rules: &RuleSetDefinition, overrides: &BTreeMap<String, Var>) -> Vars {
        let defaults = rules
            .vars
            .iter()
            .map(|(name, var)| (name.value.clone(), var.value.clone()));
        let mut values: BTreeMap<String, Var> = defaults.collect();
        for (name, value) in overrides {
            values.insert(name.clone(), value.clone());
        }
        Vars { values }
    }

    /// All variables by name.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Var)> {
        self.values.iter().map(|(name, var)| (name.as_str(), var))
    }

    /// Replaces each `$name` that is a text variable; a `$` before anything but a letter stays.
    ///
    /// # Errors
    /// An unknown name, or a list where a text is wanted.
    pub fn expand(&self, text: &At<String>) -> Result<String, Diagnostic> {
        let mut out = String::with_capacity(text.value.len());
        let mut rest = text.value.as_str();
        while let Some((before, after)) = rest.split_once('$') {
            out.push_str(before);
            let length = name_length(after);
            let (name, tail) = after.split_at(length);
            rest = tail;
            if name.is_empty() {
                out.push('$');
                continue;
            }
            let start = text.value.len() - after.len() - 1;
            match self.values.get(name) {
                Some(Var::Text(value)) => out.push_str(value),
                Some(Var::List(_)) => {
                    let place = text.place.inside(start..start + 1 + length);
                    let message = format!("`${name}` is a list, a text is needed here");
                    return Err(place.error(message, "a list"));
                }
                None => return Err(self.unknown(name, text, start)),
            }
        }
        out.push_str(rest);
        Ok(out)
    }

    /// A list as written, or the list variable it names.
    ///
    /// # Errors
    /// An unknown name, or a text variable where a list is wanted.
    pub fn list(&self, var: &At<Var>) -> Result<Vec<String>, Diagnostic> {
        let text = match &var.value {
            Var::List(values) => return Ok(values.clone()),
            Var::Text(text) => text,
        };
        let written = At {
            value: text.clone(),
            place: var.place.clone(),
        };
        let Some(name) = text.strip_prefix('$') else {
            return Err(var
                .place
                .error("expected a list of values", "a text")
                .help(format!("write `[\"{text}\"]`")));
        };
        match self.values.get(name) {
            Some(Var::List(values)) => Ok(values.clone()),
            Some(Var::Text(value)) => Ok(vec![value.clone()]),
            None => Err(self.unknown(name, &written, 0)),
        }
    }

    fn unknown(&self, name: &str, text: &At<String>, start: usize) -> Diagnostic {
        let place = text.place.inside(start..start + 1 + name.len());
        let error = place.error(format!("unknown variable `${name}`"), "not in `[vars]`");
        match similar(name, self.values.keys().map(String::as_str)) {
            Some(near) => error.help(format!("a variable with a similar name exists: `${near}`")),
            None => error.help("declare it under `[vars]`, or use backticks for a text with `$`"),
        }
    }
}

/// Length of the variable name that `text` begins with; 0 when it begins with none.
pub(super) fn name_length(text: &str) -> usize {
    if !text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        return 0;
    }
    text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{Place, render};

    fn vars() -> Vars {
        let list = Var::List(vec!["a".to_owned(), "b".to_owned()]);
        Vars {
            values: BTreeMap::from([
                ("one".to_owned(), Var::Text("1".to_owned())),
                ("list".to_owned(), list),
            ]),
        }
    }

    fn at<T>(value: T, text: &str) -> At<T> {
        At {
            value,
            place: Place::argument("", text),
        }
    }

    fn expanded(text: &str) -> Result<String, String> {
        let expanded = vars().expand(&at(text.to_owned(), text));
        expanded.map_err(|mistake| render(&[mistake], false))
    }

    #[test]
    fn names_end_where_letters_digits_and_underscores_do() {
        assert_eq!(expanded("$one.$one-$one$one").as_deref(), Ok("1.1-11"));
        assert_eq!(expanded("$ $1 ^x$ $").as_deref(), Ok("$ $1 ^x$ $"));
        assert!(
            expanded("$one_")
                .unwrap_err()
                .contains("unknown variable `$one_`")
        );
    }

    #[test]
    fn mistakes_point_at_the_variable() {
        let picture = expanded("é $oen").unwrap_err();
        assert!(
            picture.contains("a variable with a similar name exists: `$one`"),
            "{picture}"
        );
        assert!(picture.contains(":1:3"), "{picture}");
        assert!(
            expanded("$list")
                .unwrap_err()
                .contains("a text is needed here")
        );
    }

    #[test]
    fn lists_are_written_or_named() {
        let list = |text: &str| vars().list(&at(Var::Text(text.to_owned()), text));
        assert_eq!(list("$list").unwrap(), ["a", "b"]);
        assert_eq!(list("$one").unwrap(), ["1"]);
        assert!(render(&[list("a").unwrap_err()], false).contains("write `[\"a\"]`"));
        assert!(render(&[list("$lits").unwrap_err()], false).contains("unknown variable"));
        let written = at(Var::List(vec!["$one".to_owned()]), "x");
        assert_eq!(
            vars().list(&written).unwrap(),
            ["$one"],
            "nothing is replaced in a list"
        );
    }
}

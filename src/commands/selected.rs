//! Which series of a metric are meant: matchers over its labels, as `check` and the API take them.

use crate::definition::At;
use crate::diagnostic::{Diagnostic, Place};
use crate::rule::Vars;
use crate::rule::matcher::{self, Matcher};

/// What matchers look like, for whoever wrote something else.
pub(super) const EXAMPLE: &str = "matchers look like `provider=\"fastly\", code=~\"5..\"`";

/// Matchers that all have to hold; none means every series.
#[derive(Debug, Default)]
pub(super) struct Selected(Vec<Matcher>);

impl Selected {
    /// Reads matchers without braces around them; `argument` is where they were written.
    ///
    /// # Errors
    /// With the first mistake.
    pub(super) fn parse(argument: &str, text: &str) -> Result<Selected, Diagnostic> {
        let written = At {
            value: text.to_owned(),
            place: Place::argument(argument, text),
        };
        matcher::parse(&written, &Vars::default()).map(Selected)
    }

    /// Whether a label may have a value.
    pub(super) fn keeps(&self, label: &str, value: &str) -> bool {
        let mut own = self.0.iter().filter(|matcher| matcher.field == label);
        own.all(|matcher| matcher.test.holds(value.as_bytes()))
    }

    /// The labels that are looked at, each once, in the order of the matchers.
    pub(super) fn labels(&self) -> Vec<String> {
        let mut labels: Vec<String> = Vec::new();
        for matcher in &self.0 {
            if !labels.contains(&matcher.field) {
                labels.push(matcher.field.clone());
            }
        }
        labels
    }
}

//! `parsers lint`: what a parser file will get wrong once real lines come.
//!
//! Formats are not judged by how they look but by what they do: their own examples are changed the way
//! that clients and servers change lines, and read again. Rule sets are judged by where their labels'
//! values come from.

mod probes;
mod rules;

use super::{Named, engine};
use crate::cli::ParsersArgs;
use crate::commands::engine::Engine;
use crate::commands::{Done, Failure, print, say_all};
use crate::definition::{FormatDefinition, LayoutDefinition, Origin};
use crate::diagnostic::{Diagnostic, Place};
use crate::parse::Format;

/// Runs the command.
pub(super) fn lint(names: &[String], args: &ParsersArgs) -> Result<Done, Failure> {
    let mut engine = engine(args)?;
    let mut named = Named::of(&mut engine, names)?;
    if names.is_empty() && !args.parsers.is_empty() {
        own(&engine, &mut named);
    }
    let mut findings = Vec::new();
    for name in &named.formats {
        findings.extend(format(&engine, name)?);
    }
    for name in &named.sets {
        let entry = engine
            .catalog
            .rule_set(name)
            .map_err(|mistake| vec![mistake])?;
        findings.extend(rules::findings(&entry.definition));
    }
    if !findings.is_empty() {
        say_all(&findings);
    }
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    let (formats, sets, found) = (named.formats.len(), named.sets.len(), findings.len());
    print(
        format!(
            "{formats} format{}, {sets} rule set{}, {found} finding{}\n",
            plural(formats),
            plural(sets),
            plural(found)
        )
        .as_bytes(),
    )?;
    Ok(if found == 0 {
        Done::Complete
    } else {
        Done::Incomplete
    })
}

/// Without names, the user's own files: the shipped ones are for others to mend.
fn own(engine: &Engine, named: &mut Named) {
    let is_own = |origin: &Origin| matches!(origin, Origin::File(_));
    let catalog = &engine.catalog;
    named
        .formats
        .retain(|name| catalog.format(name).is_ok_and(|e| is_own(&e.origin)));
    named
        .sets
        .retain(|name| catalog.rule_set(name).is_ok_and(|e| is_own(&e.origin)));
}

fn format(engine: &Engine, name: &str) -> Result<Vec<Diagnostic>, Failure> {
    let entry = engine
        .catalog
        .format(name)
        .map_err(|mistake| vec![mistake])?;
    let definition = &entry.definition;
    let format = engine.format(name)?;
    let place = &definition.layout.place;
    let mut findings = Vec::new();
    if definition.examples.is_empty() {
        let why = match definition.detect {
            Some(_) => "it takes part in detection and has no example",
            None => "it has no example",
        };
        findings.push(finding(place, name, why).help(
            "add an [[example]] with a `line` and the `fields` it gives: `parsers new LOG` finds some",
        ));
    }
    if let LayoutDefinition::Regex { pattern } = &definition.layout.value {
        findings.extend(pattern_findings(name, &pattern.value, &pattern.place));
    }
    findings.extend(probes::findings(engine, definition, &format));
    findings.extend(any_object(engine, definition, &format));
    Ok(findings)
}

/// A finding about a format, shown at its layout.
fn finding(place: &Place, name: &str, what: impl AsRef<str>) -> Diagnostic {
    place
        .error(format!("`{name}`: {}", what.as_ref()), "")
        .warning()
}

/// What the pattern says by itself: whether it may begin anywhere, and how its groups are found.
fn pattern_findings(name: &str, pattern: &str, place: &Place) -> Vec<Diagnostic> {
    use regex_automata::dfa::onepass;
    use regex_automata::util::syntax;
    let mut findings = Vec::new();
    let options = syntax::Config::new().utf8(false);
    if let Ok(parsed) = syntax::parse_with(pattern, &options) {
        let prefix = format!("{:?}", parsed.properties().look_set_prefix());
        if !prefix.contains('A') {
            findings.push(
                finding(place, name, "the pattern may match behind any text")
                    .help("begin it with `^`"),
            );
        }
    }
    let built = onepass::Builder::new()
        .syntax(options)
        .configure(onepass::Config::new().size_limit(Some(1 << 20)))
        .build(pattern);
    if built.is_err() {
        findings.push(
            finding(
                place,
                name,
                "the pattern is not one-pass: a second, slower search finds the groups of each line",
            )
            .help("let each repetition end where the next part cannot go on: `[^ ]+ ` for `.+ `"),
        );
    }
    findings
}

/// A JSON format that takes any object with a time takes lines that are no requests.
fn any_object(
    engine: &Engine,
    definition: &FormatDefinition,
    format: &Format,
) -> Option<Diagnostic> {
    let LayoutDefinition::Json { fields } = &definition.layout.value else {
        return None;
    };
    let time = format.time_field()?;
    let (_, paths) = fields.iter().find(|(name, _)| name.value == time)?;
    let path = paths.first()?;
    let line = &definition.examples.first()?.line.value;
    let object: serde_json::Value = serde_json::from_str(line).ok()?;
    let steps = || path.value.split('.');
    let mut value = steps()
        .try_fold(&object, |object, step| object.get(step))?
        .clone();
    for step in steps().collect::<Vec<_>>().into_iter().rev() {
        value = serde_json::json!({ step: value });
    }
    probes::is_read(engine, format, None, value.to_string().as_bytes()).then(|| {
        finding(
            &definition.layout.place,
            &definition.name,
            "any JSON object with a time is read as a request",
        )
        .help("require = [\"status\"]")
    })
}

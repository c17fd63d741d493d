//! `beacontail parsers list|show|test`.

use super::engine::Engine;
use super::{Done, Failure, examples, print, say};
use crate::cli::{ParserArgs, ParsersArgs, ParsersCommand};
use crate::definition::{Catalog, Origin};
use crate::diagnostic::{Place, render};

/// Runs the command.
///
/// # Errors
/// The user's mistakes.
pub(crate) fn run(command: &ParsersCommand) -> Result<Done, Failure> {
    match command {
        ParsersCommand::List(args) => list(args),
        ParsersCommand::Show {
            name,
            flat,
            parsers,
        } => show(name, *flat, parsers),
        ParsersCommand::Test { names, parsers } => test(names, parsers),
    }
}

fn catalog(args: &ParsersArgs) -> Result<Catalog, Failure> {
    let (catalog, mistakes) = Catalog::open(&args.parsers);
    if mistakes.is_empty() {
        Ok(catalog)
    } else {
        Err(mistakes.into())
    }
}

fn list(args: &ParsersArgs) -> Result<Done, Failure> {
    let catalog = catalog(args)?;
    let from = |origin: &Origin| match origin {
        Origin::Shipped => String::new(),
        Origin::File(path) => format!("  ({})", path.display()),
    };
    let names = catalog.formats().map(|entry| entry.definition.name.len());
    let width = names
        .chain(catalog.rule_sets().map(|entry| entry.definition.name.len()))
        .max()
        .unwrap_or_default();
    let mut text =
        String::from("formats, in the order of detection; those marked * only by name\n");
    let order = catalog.detection_order();
    for entry in &order {
        let (name, description) = (&entry.definition.name, &entry.definition.description);
        text.push_str(&format!(
            "  {name:width$}    {description}{}\n",
            from(&entry.origin)
        ));
    }
    for entry in catalog
        .formats()
        .filter(|entry| entry.definition.detect.is_none())
    {
        let (name, description) = (&entry.definition.name, &entry.definition.description);
        text.push_str(&format!(
            "  {name:width$}  * {description}{}\n",
            from(&entry.origin)
        ));
    }
    text.push_str("rule sets\n");
    for entry in catalog.rule_sets() {
        let (name, description) = (&entry.definition.name, &entry.definition.description);
        text.push_str(&format!(
            "  {name:width$}    {description}{}\n",
            from(&entry.origin)
        ));
    }
    print(text.as_bytes())?;
    Ok(Done::Complete)
}

fn show(name: &str, flat: bool, args: &ParsersArgs) -> Result<Done, Failure> {
    let mut catalog = catalog(args)?;
    let name = if Catalog::is_path(name) {
        catalog.add_file(name.as_ref())?
    } else {
        name.to_owned()
    };
    let text = match (catalog.format(&name), catalog.rule_set(&name)) {
        (Ok(format), _) if flat => format.flat(),
        (Ok(format), _) => format.text().to_owned(),
        (Err(_), Ok(rules)) => rules.text().to_owned(),
        (Err(mistake), Err(_)) => {
            let place = Place::argument("parsers show", &name);
            return Err(vec![mistake.at(&place, "neither a format nor a rule set")].into());
        }
    };
    print(text.as_bytes())?;
    Ok(Done::Complete)
}

fn test(names: &[String], args: &ParsersArgs) -> Result<Done, Failure> {
    let args = ParserArgs {
        parsers: args.parsers.clone(),
        timezone: "UTC".to_owned(),
        ..ParserArgs::default()
    };
    let mut engine = Engine::open(&args)?;
    let (mut formats, mut sets, mut mistakes) = (Vec::new(), Vec::new(), Vec::new());
    for name in names {
        if engine.catalog.rule_set(name).is_ok() && engine.catalog.format(name).is_err() {
            sets.push(name.clone());
        } else {
            match engine.parsers(std::slice::from_ref(name)) {
                Ok(found) => formats.extend(found),
                Err(more) => mistakes.extend(more),
            }
        }
    }
    if !mistakes.is_empty() {
        return Err(mistakes.into());
    }
    if names.is_empty() {
        formats = engine
            .catalog
            .formats()
            .map(|entry| entry.definition.name.clone())
            .collect();
        sets = engine
            .catalog
            .rule_sets()
            .map(|entry| entry.definition.name.clone())
            .collect();
    }
    let (run, failures) = examples::test(&engine, &formats, &sets);
    if !failures.is_empty() {
        say(render(&failures, false).trim_end());
    }
    let plural = if failures.len() == 1 { "" } else { "s" };
    print(format!("{run} examples, {} mistake{plural}\n", failures.len()).as_bytes())?;
    Ok(if failures.is_empty() {
        Done::Complete
    } else {
        Done::Incomplete
    })
}

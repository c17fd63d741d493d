//! `beacontail parsers`: what a parser's author needs, one file for each subcommand.
//!
//! `new` proposes a file, `test` runs its examples, `lint` probes it with lines that real logs have,
//! `cost` counts its series, `diff` compares two. None of them writes to a file but `new -o`.

mod cost;
mod counted;
mod diff;
mod lint;
mod list;
mod new;
mod sample;
mod show;
mod test;

use super::engine::Engine;
use super::{Done, Failure};
use crate::cli::{ParserArgs, ParsersArgs, ParsersCommand};
use crate::definition::Catalog;

/// Runs the command.
///
/// # Errors
/// The user's mistakes.
pub(crate) fn run(command: &ParsersCommand) -> Result<Done, Failure> {
    match command {
        ParsersCommand::List(args) => list::list(args),
        ParsersCommand::Show {
            name,
            flat,
            parsers,
        } => show::show(name, *flat, parsers),
        ParsersCommand::Test { names, parsers } => test::test(names, parsers),
        ParsersCommand::New(args) => new::new(args),
        ParsersCommand::Lint { names, parsers } => lint::lint(names, parsers),
        ParsersCommand::Cost(args) => cost::cost(args),
        ParsersCommand::Diff(args) => diff::diff(args),
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

/// Formats and rule sets with nothing but the folders given; times without a zone are UTC.
fn engine(args: &ParsersArgs) -> Result<Engine, Failure> {
    let args = ParserArgs {
        parsers: args.parsers.clone(),
        timezone: "UTC".to_owned(),
        ..ParserArgs::default()
    };
    Ok(Engine::open(&args)?)
}

/// Formats and rule sets by what names them; all when nothing does.
struct Named {
    formats: Vec<String>,
    sets: Vec<String>,
}

impl Named {
    /// Looks the names up; files named by path are added to the catalog.
    ///
    /// # Errors
    /// Unknown names and mistakes in files.
    fn of(engine: &mut Engine, names: &[String]) -> Result<Named, Failure> {
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
            let catalog = &engine.catalog;
            let named = catalog.formats().map(|entry| entry.definition.name.clone());
            formats.extend(named);
            let named = catalog.rule_sets();
            sets.extend(named.map(|entry| entry.definition.name.clone()));
        }
        Ok(Named { formats, sets })
    }
}
